"""Players who write as much as one may: the lead's node goes on, and what honest players did is stamped all the same."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from exercise_games import Game, salted
from whole_nodes import World

from p2pshare.errors import RefusedError
from p2pshare.identifiers import EntryId, PartnerId
from p2pshare.intel.marking import Tlp
from p2pshare.operations.exercise_leading import EndExercise, LeadRounds, StartExercise
from p2pshare.operations.exercise_playing import AckInject, RateExercise
from p2pshare.operations.exercises import ExerciseHere, ListItems
from p2pshare.operations.incidents import OpenIncident
from p2pshare.spaces import spaces
from p2pshare.spaces.exercise_entries import (
    ATTESTED_MAX,
    ExerciseObject,
    ExerciseWithdrawal,
    encode_exercise,
)
from p2pshare.spaces.exercise_grounds import exercise_named
from p2pshare.spaces.incident_entries import IncidentQuestion, encode_incident
from p2pshare.spaces.space_exchange import spaces_of
from p2pshare.spaces.writing import SpaceStatement


@pytest.fixture
def game(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Game]:
    world = World(tmp_path_factory.mktemp("game"))
    yield Game(world, "cert", "clinic", "lab")
    world.close()


def fold(game: Game, exercise: str) -> Any:
    return ExerciseHere(exercise_named(game["cert"], exercise), game.now).fold


def test_acts_that_fit_no_stamp_together_stop_neither_stamps_nor_injects(game: Game) -> None:
    exercise = game.new(("partner", "clinic"), ("partner", "lab"), archive=salted())
    game.ask("cert", StartExercise(60), exercise)
    game.play(2)
    incident = game.ask("clinic", OpenIncident("flood", ("ransomware",), Tlp.GREEN), exercise).incident
    played = exercise_named(game["clinic"], exercise)
    many = tuple(sorted(PartnerId(bytes([9, number]) * 16) for number in range(256)))
    content = encode_incident(IncidentQuestion(many, "?" * 1_024))
    for _ in range(ATTESTED_MAX):
        spaces_of(played).say(EntryId.parse(incident), SpaceStatement("ask", content, 1), game.now)
    game.ask("lab", AckInject(1), exercise)
    game.play(20)
    held = fold(game, exercise)
    assert held.released() == {1, 2, 3}
    assert not held.unstamped(), "what an honest player did is stamped"


def test_what_was_played_and_taken_back_does_not_cross_the_wall_in_a_task(game: Game) -> None:
    exercise = game.new(("partner", "clinic"))
    game.ask("cert", StartExercise(60), exercise)
    game.play(2)
    played = exercise_named(game["clinic"], exercise)
    assert played.ground.exercise is not None
    values = tuple(sorted(("domain", f"{word}.real-company.net") for word in ("first", "second", "third")))
    for kind, body in (
        ("object", ExerciseObject(values, (), 1, bytes(32), 1)),
        ("withdrawal", ExerciseWithdrawal(values, "")),
    ):
        said = SpaceStatement(kind, encode_exercise(body), 1)
        spaces_of(played).say(played.ground.exercise, said, game.now)
    text = "Block Third.Real-Company.NET at the border."
    game.ask("cert", RateExercise("S", item=text), exercise)
    game.play(25)
    found = [one for one in game.ask("cert", ListItems(), exercise).each if one.text == text]
    assert [one.played for one in found] == [["third.real-company.net"]]
    for one in game.ask("cert", ListItems("block it", "what first.real-company.net taught"), exercise).each:
        assert one.played == ["first.real-company.net"], "nor in the title of the incident"


def test_an_exercise_that_has_filled_its_disk_is_stamped_and_ended_all_the_same(
    game: Game, monkeypatch: pytest.MonkeyPatch
) -> None:
    exercise = game.new(("partner", "clinic"))
    game.ask("cert", StartExercise(60), exercise)
    game.play(2)
    for _ in range(2):  # the second one waits for its stamp
        game.ask("clinic", AckInject(1), exercise)
        game.play(1)
    monkeypatch.setattr(spaces, "EXERCISE_BYTES_MAX", 1)
    assert fold(game, exercise).unstamped()
    assert game.ask("cert", EndExercise(), exercise).phase == "ended"
    assert not fold(game, exercise).unstamped()


def test_what_cannot_be_done_is_told_to_the_log_once(
    game: Game, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    exercise = game.new(("partner", "clinic"))
    game.ask("cert", StartExercise(60), exercise)
    game.play(1)
    game.ask("clinic", OpenIncident("flood", ("ransomware",), Tlp.GREEN), exercise)

    def refuse(*_: object) -> None:
        raise RefusedError("no room", hint="", reason="author-full")

    monkeypatch.setattr(spaces.Spaces, "join", refuse)
    game.play(5)
    rounds = LeadRounds(exercise_named(game["cert"], exercise))
    caplog.clear()
    for _ in range(5):
        rounds.step(game.now)
    assert [one.getMessage() for one in caplog.records if "not joined" in one.getMessage()] == [
        "an incident of an exercise was not joined: author-full"
    ]
