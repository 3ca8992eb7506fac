"""The rounds over real spaces and exercises: what is real goes first, exercises take turns, and a fault in one holds up nothing else."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from whole_nodes import NOW, World

from p2pshare.daemon.space_rounds import SpaceRounds
from p2pshare.gossip.moment import Moment
from p2pshare.node.node import Node
from p2pshare.partners.roster import Roster
from p2pshare.sharing.partners import load_roster
from p2pshare.spaces.exercise_grounds import exercises_of, make_exercise, open_exercises
from p2pshare.spaces.space_exchange import SpaceExchange, exchange_of


class QuietDriver:
    """What the rounds ask of a driver that is linked with nobody, and whose clock nobody doubts."""

    @property
    def moment(self) -> Moment:
        return Moment.certain(time.time())

    def __init__(self, roster: Roster) -> None:
        self.roster = roster
        self.content_was_read: Callable[[], None] | None = None

    def peer_states(self) -> dict[Any, Any]:
        return {}

    def wake(self) -> None:
        """Nothing leaves."""


async def write(function: Callable[..., Any], *arguments: Any) -> Any:
    return function(*arguments)


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    """A node with two exercises."""
    world = World(tmp_path)
    node = world.found("alpha")
    for title in ("one", "two"):
        make_exercise(node, title, 1, [], NOW)
    yield node
    world.close()


def walked(
    node: Node, rounds: int, busy: set[str], monkeypatch: pytest.MonkeyPatch, failing: str = ""
) -> list[str]:
    """Which ground had a piece done, in order; those in `busy` always have more to do."""
    names = {id(exchange_of(node)): "real"}
    names |= {id(exchange_of(one)): str(place) for place, one in enumerate(open_exercises(node))}
    done: list[str] = []

    def step(exchange: SpaceExchange, now: float, roster: Roster, linked: object, is_doubtful: bool) -> float:
        name = names[id(exchange)]
        done.append(name)
        if name == failing:
            raise RuntimeError("a bug")
        return 0.0 if name in busy else 3_600.0

    monkeypatch.setattr(SpaceExchange, "step", step)
    driver = QuietDriver(load_roster(node))

    async def go_round() -> list[float]:
        spaces = SpaceRounds(node, write, driver, asyncio.Lock())  # type: ignore[arg-type]
        return [await spaces._round() for _ in range(rounds)]

    pauses = asyncio.run(go_round())
    assert all(pause >= 0 for pause in pauses)
    return done


def test_a_flood_in_one_exercise_starves_neither_what_is_real_nor_another(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = walked(node, 12, {"0", "real"}, monkeypatch)
    assert done.count("real") == 12 and done[0] == "real"
    assert "1" in done[:4], "the other one has its turn"
    assert all(one == "real" or done[place - 1] == "real" for place, one in enumerate(done))


def test_a_fault_in_one_exercise_holds_up_nothing_else(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    done = walked(node, 8, {"real", "1"}, monkeypatch, failing="0")
    assert done.count("0") == 1 and done.count("real") == 8 and done.count("1") >= 5


def test_an_exercise_that_was_removed_is_gone_from_the_rounds(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = open_exercises(node)[0]
    exercises_of(node).dropped(first.ground.realm)
    assert set(walked(node, 4, {"0"}, monkeypatch)) == {"real", "0"}
