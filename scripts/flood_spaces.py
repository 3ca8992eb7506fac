"""What a flood of entries costs a node (docs/spaces.md, "What floods cost"); see scripts/flood-spaces. The suite runs it with some hundred."""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from space_flood import Flooded, FloodedSpace
from whole_nodes import World

from p2pshare.limits import MIB, SPACE_WAITING_MAX
from p2pshare.node.node import Node

Flood = Callable[[FloodedSpace], Iterator[tuple[Node, bytes]]]
TOLD_EVERY_SECONDS = 30


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="scripts/flood-spaces", description="flood a space and print what it costs"
    )
    parser.add_argument("--orphans", type=int, default=100_000)
    parser.add_argument("--burst", type=int, default=10_000)
    arguments = parser.parse_args()
    orphans, burst = arguments.orphans, arguments.burst
    floods: list[tuple[str, int, Flood]] = [
        (
            f"{orphans} orphans of one member, handed over by itself",
            1,
            lambda case: case.orphans(orphans, is_nearer_each_time=False),
        ),
        (
            f"{orphans} orphans of four members",
            4,
            lambda case: case.orphans(orphans, is_nearer_each_time=False),
        ),
        (
            f"{orphans} orphans of four members, each nearer than the one before",
            4,
            lambda case: case.orphans(orphans, is_nearer_each_time=True),
        ),
        (f"{burst} entries of one member in a second", 1, lambda case: case.burst(burst)),
    ]
    faults = 0
    for name, liars, entries in floods:
        with tempfile.TemporaryDirectory(prefix="p2pshare-flood-") as folder:
            world = World(Path(folder))
            case = FloodedSpace(world, liars)
            began = time.monotonic()
            done = case.flood(entries(case), _Progress(name))
            faults += report(name, done, time.monotonic() - began)
            world.close()
    return 1 if faults else 0


class _Progress:
    def __init__(self, name: str) -> None:
        self._name, self._told = name, time.monotonic()

    def __call__(self, done: Flooded) -> None:
        if time.monotonic() - self._told > TOLD_EVERY_SECONDS:
            self._told = time.monotonic()
            print(f"{self._name}: {done.handed_over}, {done.waiting_most} wait", flush=True)


def report(name: str, done: Flooded, seconds: float) -> bool:
    """Print what a flood cost; returns whether something was not bounded."""
    slices, honest = sorted(done.slices), sorted(done.honest)
    print(f"{name}: {done.handed_over} in {seconds:.0f} s, {sum(slices):.1f} CPU seconds of the writer")
    print(
        f"  a slice of 16: p50 {statistics.median(slices) * 1e3:.1f} ms, p99 {slices[len(slices) * 99 // 100] * 1e3:.1f} ms, longest {slices[-1] * 1e3:.1f} ms"
    )
    print(
        f"  an honest entry in between, and its fold: p50 {statistics.median(honest) * 1e3:.1f} ms, longest {honest[-1] * 1e3:.1f} ms"
    )
    print(f"  wait at most: {done.waiting_most} entries, {done.waiting_bytes_most / MIB:.1f} MiB")
    print(
        f"  disk: {(done.disk_most - done.disk_before) / MIB:.1f} MiB more; memory: {(done.memory_after - done.memory_before) / MIB:.1f} MiB more"
    )
    print(f"  became: {dict(done.verdicts)}; counted as refused: {done.refused}", flush=True)
    counted = sum(done.refused.values()) + done.waiting_most
    return done.waiting_most > SPACE_WAITING_MAX or counted < done.verdicts["later"]


if __name__ == "__main__":
    sys.exit(main())
