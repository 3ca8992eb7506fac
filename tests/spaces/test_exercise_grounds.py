"""An exercise has a ground of its own: what is played in it travels between nodes, and never to what is real."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from players import Players, ids_held
from whole_nodes import World

from p2pshare.node.exercise_file import exercise_path
from p2pshare.node.node import Node
from p2pshare.spaces.exercise_grounds import exercise_named, open_exercises
from p2pshare.spaces.space_exchange import spaces_of
from p2pshare.spaces.writing import SpaceStatement


@pytest.fixture(scope="module")
def players(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Players]:
    world = World(tmp_path_factory.mktemp("nodes"))
    yield Players(world, "alpha", "bravo", "charlie")
    world.close()


@pytest.fixture(scope="module")
def made(players: Players) -> Node:
    return players.exercise("alpha", "bravo")


def note(node: Node, text: str, now: int) -> None:
    assert node.ground.exercise is not None
    spaces_of(node).say(node.ground.exercise, SpaceStatement("note", text.encode(), 1), now)


def test_entries_travel_between_two_nodes_of_one_exercise(players: Players, made: Node) -> None:
    exercise = made.ground.exercise
    assert exercise is not None
    theirs = players.played("bravo", exercise)
    note(made, "from the lead", players.now)
    note(theirs, "from a player", players.now)
    players.run(3)
    assert len(ids_held(made)) == 4 and ids_held(made) == ids_held(theirs)
    for name in ("alpha", "bravo", "charlie"):
        assert ids_held(players[name]) == set()
        assert players.refused(name) == {}
    assert open_exercises(players["charlie"]) == []
    assert exercise_path(players["bravo"].home, made.ground.realm).stat().st_mode & 0o777 == 0o600


def test_an_exercise_is_there_after_a_restart(players: Players, made: Node) -> None:
    exercise = made.ground.exercise
    assert exercise is not None
    before = ids_held(made)
    again = exercise_named(players.reopen("alpha"), exercise.text[:8])
    assert ids_held(again) == before and again.ground == made.ground
    assert again.identity is players["alpha"].identity
