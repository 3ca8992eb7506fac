"""Players who write as much as one may: the lead's node goes on, and what honest players did is stamped all the same."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from exercise_games import Game, salted
from whole_nodes import World

from p2pshare.identifiers import EntryId, PartnerId
from p2pshare.intel.marking import Tlp
from p2pshare.operations.exercise_leading import StartExercise
from p2pshare.operations.exercise_playing import AckInject
from p2pshare.operations.exercises import ExerciseHere
from p2pshare.operations.incidents import OpenIncident
from p2pshare.spaces.exercise_entries import ATTESTED_MAX
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
