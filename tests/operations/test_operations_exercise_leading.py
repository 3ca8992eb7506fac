"""What the lead's node does by itself: releases in time, stamps, attests, goes on after a restart or a takeover, ends; and what it refuses."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any

import pytest
from exercise_games import Game, salted
from whole_nodes import World

from p2pshare.errors import ShareError
from p2pshare.intel.exercise_pack import PackExpectation
from p2pshare.intel.marking import Tlp
from p2pshare.operations import exercises
from p2pshare.operations.exercise_leading import (
    EndExercise,
    PauseExercise,
    ReleaseInject,
    ResumeExercise,
    StartExercise,
)
from p2pshare.operations.exercise_playing import AckInject, AnswerInject, RateExercise, StopExercise
from p2pshare.operations.exercises import (
    FetchPayload,
    InviteToExercise,
    ListItems,
    ReadInbox,
    ScoreExercise,
    ShowExercise,
)
from p2pshare.operations.incidents import OpenIncident, SayInIncident
from p2pshare.operations.space_takeover import TakeOver
from p2pshare.spaces.exercise_lead import STAMP_SECONDS


@pytest.fixture
def game(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Game]:
    world = World(tmp_path_factory.mktemp("game"))
    yield Game(world, "cert", "clinic", "lab")
    world.close()


def show(game: Game, name: str, exercise: str) -> Any:
    return json.loads(game.ask(name, ShowExercise(), exercise).told)


def results(game: Game, name: str, exercise: str, player: str = "clinic") -> dict[str, str]:
    told = json.loads(game.ask(name, ScoreExercise(), exercise).told)
    (found,) = [one for one in told["players"] if one["name"] == player]
    return {one["id"]: one["result"] for one in found["expectations"]}


def released(game: Game, name: str, exercise: str) -> list[int]:
    return [one["inject"] for one in show(game, name, exercise)["injects"]]


def stamps(game: Game, exercise: str) -> list[int]:
    """When the lead stamped."""
    fold = game.ask("cert", ShowExercise(), exercise) and _fold(game, exercise)
    return [vertex.header.created for vertex in fold.by_kind["stamp"]]


def _fold(game: Game, exercise: str) -> Any:
    from p2pshare.operations.exercises import ExerciseHere
    from p2pshare.spaces.exercise_grounds import exercise_named

    return ExerciseHere(exercise_named(game["cert"], exercise), game.now).fold


def refused(game: Game, name: str, request: Any, exercise: str) -> str:
    with pytest.raises(ShareError) as caught:
        game.ask(name, request, exercise)
    return caught.value.reason


def test_a_check_runs_by_itself_and_every_node_comes_to_one_score(game: Game) -> None:
    exercise = game.new(("partner", "clinic"), ("control", "lab"))
    started = game.ask("cert", StartExercise(60), exercise)
    assert (started.white, started.not_joined, started.time_factor) == (2, [], 60)
    game.play(2)
    assert released(game, "clinic", exercise) == [1], "the first one at once, no other ahead of its time"
    game.ask("clinic", AckInject(1), exercise)
    game.play(5)
    assert released(game, "clinic", exercise) == [1, 2, 3]
    game.ask("clinic", AnswerInject(3, choice="reached"), exercise)
    assert refused(game, "clinic", AnswerInject(3, choice="nobody"), exercise) == "answered"
    assert refused(game, "clinic", ScoreExercise(), exercise) == "not-ended"
    assert {one["result"] for one in score(game, "lab", exercise)["players"][0]["expectations"]} >= {
        "pending"
    }
    game.play(30)
    assert {show(game, name, exercise)["phase"] for name in game.nodes} == {"ended"}
    assert score(game, "cert", exercise) == score(game, "clinic", exercise) == score(game, "lab", exercise)
    assert results(game, "clinic", exercise) == {
        "acknowledged": "success",
        "sighted": "failed",
        "reached": "success",
    }
    times = stamps(game, exercise)
    assert times and all(after - before >= STAMP_SECONDS for before, after in itertools.pairwise(times))
    for late in (AckInject(2), AnswerInject(2, "too late")):
        assert refused(game, "clinic", late, exercise) == "wrong-phase", "it would count for nothing"
    items = game.ask("cert", ListItems(), exercise).each
    assert [one.id for one in items] == ["sighted.partner"]


def score(game: Game, name: str, exercise: str) -> Any:
    return json.loads(game.ask(name, ScoreExercise(), exercise).told)


def test_a_pause_and_a_restart_hold_nothing_back_for_good(game: Game) -> None:
    exercise = game.new(("partner", "clinic"))
    game.ask("cert", StartExercise(60), exercise)
    game.play(1)
    assert refused(game, "clinic", PauseExercise(), exercise) == "not-lead", "it would be told what is not so"
    game.ask("cert", PauseExercise(), exercise)
    game.play(6)
    assert (
        released(game, "cert", exercise) == [1]
        and refused(game, "cert", PauseExercise(), exercise) == "wrong-phase"
    )
    game.ask("cert", ResumeExercise(), exercise)
    game.lost.add("cert")  # its daemon is down while two more would come
    game.play(8)
    game.lost.clear()
    game.restart("cert")
    game.play(2)
    assert released(game, "clinic", exercise) == [1, 2, 3], "what was overdue has come at once"


def test_payloads_that_are_too_much_together_are_named_and_fetched_one_by_one(
    game: Game, monkeypatch: pytest.MonkeyPatch
) -> None:
    exercise = game.new(("partner", "clinic"))
    game.ask("cert", StartExercise(60), exercise)
    game.play(8)
    assert [one.payload is None for one in game.ask("clinic", ReadInbox(), exercise).each] == [
        True,
        False,
        True,
    ]
    monkeypatch.setattr(exercises, "INBOX_PAYLOADS_BYTES_MAX", 100)
    second = game.ask("clinic", ReadInbox(), exercise).each[1]
    assert second.payload is None and second.payload_name and second.payload_bytes > 100
    assert len(game.ask("clinic", FetchPayload(2), exercise).payload) == second.payload_bytes


def test_an_inject_by_hand_comes_once(game: Game) -> None:
    exercise = game.new(("partner", "clinic"))
    assert refused(game, "cert", ReleaseInject(3), exercise) == "wrong-phase"
    game.ask("cert", StartExercise(60), exercise)
    game.ask("cert", ReleaseInject(3), exercise)
    assert refused(game, "cert", ReleaseInject(3), exercise) == "released"
    assert refused(game, "cert", ReleaseInject(4), exercise) == "no-inject"
    game.play(8)
    assert released(game, "clinic", exercise) == [3, 1, 2]
    assert [one.inject for one in game.ask("clinic", ReadInbox(), exercise).each] == [3, 1, 2]


def test_a_new_lead_plays_on_from_the_entries_and_is_bound_to_the_commitment(game: Game) -> None:
    exercise = game.new(("control", "lab"), ("partner", "clinic"))
    game.ask("cert", StartExercise(60), exercise)
    game.play(1)
    game.lost.add("cert")
    assert refused(game, "clinic", TakeOver(exercise, only="exercise"), exercise) == "not-member"
    assert game.ask("lab", TakeOver(exercise, only="exercise"), exercise).lead == "lab"
    game.play(8)
    told = show(game, "clinic", exercise)
    assert [(one["inject"], one["reason"]) for one in told["injects"]] == [(1, ""), (2, ""), (3, "")]
    assert told["lead"] == game.id("lab").text
    assert refused(game, "cert", EndExercise(), exercise) == "not-lead"
    assert game.ask("lab", EndExercise(), exercise).phase == "ended"


def test_what_is_done_in_an_incident_of_the_realm_counts_once_it_is_attested(game: Game) -> None:
    archive = salted()
    first = archive.pack.injects[0]._replace(
        expect=(
            PackExpectation(
                "opened",
                "report",
                "incident-open",
                {"incident_type": "ransomware"},
                ("partner",),
                600,
                None,
                1,
            ),
            PackExpectation("told", "report", "note", {"words": ("backups",)}, ("partner",), 600, None, 1),
            PackExpectation(
                "contained", "contain", "own-status", {"status": "contained"}, ("partner",), 600, None, 1
            ),
        )
    )
    pack = archive.pack._replace(injects=(first, *archive.pack.injects[1:]))
    exercise = game.new(("partner", "clinic"), ("control", "lab"), archive=archive._replace(pack=pack))
    game.ask("cert", StartExercise(60), exercise)
    game.play(2)
    opened = game.ask("clinic", OpenIncident("wards", ("ransomware",), Tlp.GREEN), exercise)
    assert {*opened.members} == {game.id(name).text for name in game.nodes}, (
        "white members are invited by themselves"
    )
    game.play(2)
    game.ask("clinic", SayInIncident(opened.incident, "note", b"the backups are good"), exercise)
    from p2pshare.spaces.incident_entries import OwnStatus, encode_incident

    contained = encode_incident(OwnStatus("contained", ""))
    game.ask("clinic", SayInIncident(opened.incident, "own-status", contained), exercise)
    game.play(24)
    told = results(game, "clinic", exercise)
    assert [told[one] for one in ("opened", "told", "contained")] == ["success"] * 3


def test_what_cannot_be_judged_in_time_refuses_the_start(game: Game) -> None:
    exercise = game.new(("partner", "clinic"))
    with pytest.raises(ShareError) as caught:
        game.ask("cert", StartExercise(61), exercise)
    assert caught.value.reason == "too-fast" and "acknowledged of inject 1" in caught.value.message
    assert "--speed 60" in caught.value.hint
    assert refused(game, "clinic", StartExercise(0), exercise) == "not-lead"
    game.ask("cert", StartExercise(0), exercise)
    assert refused(game, "cert", StartExercise(0), exercise) == "wrong-phase"


def test_any_member_that_has_joined_stops_it_for_a_real_event_and_the_lead_alone_goes_on(game: Game) -> None:
    exercise = game.new(("partner", "clinic"), ("observer", "lab"))
    game.ask("cert", StartExercise(60), exercise)
    game.play(1)
    game.ask("lab", StopExercise(), exercise)
    game.play(3)
    for name in game.nodes:
        told = show(game, name, exercise)
        assert (told["phase"], told["stopped_by"]) == ("paused", game.id("lab").text)
    game.play(10)
    assert released(game, "clinic", exercise) == [1], "the game is paused"
    assert refused(game, "clinic", ResumeExercise(), exercise) == "not-lead"
    game.ask("cert", ResumeExercise(), exercise)
    game.play(8)
    assert released(game, "clinic", exercise) == [1, 2, 3]


def test_who_evaluates_and_who_takes_which_place(game: Game) -> None:
    exercise = game.new(("partner", "clinic"))
    assert refused(game, "clinic", RateExercise("P"), exercise) == "not-evaluator"
    assert refused(game, "cert", RateExercise(""), exercise) == "bad-argument"
    assert refused(game, "cert", RateExercise("P", objective="none"), exercise) == "unknown-objective"
    assert refused(game, "cert", RateExercise("P", expectation="none"), exercise) == "unknown-expectation"
    assert refused(game, "cert", InviteToExercise((("nowhere", "lab"),)), exercise) == "unknown-place"
    assert refused(game, "cert", InviteToExercise((("partner", "clinic"),)), exercise) == "place-taken"
    game.ask("cert", InviteToExercise((("control", "lab"),)), exercise)
    game.play(3)
    told = show(game, "cert", exercise)
    assert told["white"] == 2
    assert refused(game, "clinic", AckInject(1), exercise) == "no-inject"
