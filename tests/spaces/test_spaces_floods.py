"""Thousands of entries at once, small: what waits is bounded, everything is counted, and honest entries come in between (scripts/flood-spaces has 100,000)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from space_flood import FloodedSpace
from whole_nodes import World

from p2pshare.node.node import Node
from p2pshare.spaces import space_exchange, spaces

COUNT, WAIT_MOST, UNASKED = 320, 64, 48

Flood = Callable[[FloodedSpace], Iterator[tuple[Node, bytes]]]


@pytest.mark.parametrize(
    ("liars", "entries", "held", "waiting"),
    [
        (1, lambda case: case.orphans(COUNT, is_nearer_each_time=False), 0, UNASKED),
        (2, lambda case: case.orphans(COUNT, is_nearer_each_time=False), 0, WAIT_MOST),
        (2, lambda case: case.orphans(COUNT, is_nearer_each_time=True), 0, WAIT_MOST),
        (1, lambda case: case.burst(COUNT), UNASKED, 0),
    ],
    ids=["of one member", "of two", "each nearer than the last", "right, in one second"],
)
def test_a_flood_is_bounded_and_counted_and_honest_entries_come_in_between(
    liars: int, entries: Flood, held: int, waiting: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = spaces.SpaceIntake
    monkeypatch.setattr(spaces, "SpaceIntake", lambda fold: real(fold, waiting_max=WAIT_MOST))
    monkeypatch.setattr(space_exchange, "UNASKED_PER_HOUR_MAX", UNASKED)
    monkeypatch.setattr("space_flood.HONEST_EVERY", 5)
    world = World(tmp_path)
    case = FloodedSpace(world, liars)
    done = case.flood(entries(case))
    assert done.handed_over == COUNT and done.waiting_most == waiting
    assert done.verdicts["held"] == held
    assert done.refused == {"later": COUNT - held - waiting}, "what is not here is counted"
    assert len(done.honest) >= COUNT // 16 // 5, "and each of them counted"
    world.close()
