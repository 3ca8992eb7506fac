"""Runs: one scenario and one seed, or many of them over all cores. A failure comes with the command that repeats it."""

from __future__ import annotations

import logging
import tempfile
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from simulator.disks import Foundry
from simulator.faults import FAULTS
from simulator.identities import cheap_signatures
from simulator.invariants import INVARIANTS
from simulator.scenario import Scenario
from simulator.world import World, memory_folder

FRAMES_SHOWN = 12


@dataclass(frozen=True)
class Outcome:
    """The outcome of one run. `failures`: what speaks against each invariant that does not hold."""

    scenario: str
    seed: int
    digest: str
    failures: dict[str, list[str]]
    settled_after: float | None
    stored: int
    spare: int
    quiet_requests_per_minute: float
    quiet_bytes_per_minute: float
    virtual_seconds: float
    lines: int
    judged: int

    @property
    def command(self) -> str:
        """Returns the command that repeats this run, bit for bit."""
        return f"scripts/simulate --scenario {self.scenario} --seed {self.seed} --log"


def play(
    scenario: Scenario, seed: int, foundry: Foundry, report: Callable[[str], None] | None = None
) -> Outcome:
    """Play one run, from the first event to the last invariant; `report` gets every line of the trace."""
    world = World(scenario, seed, foundry, report, faults=FAULTS)
    try:
        failures = _failures(world)
        return Outcome(
            scenario.name,
            seed,
            world.trace.digest(),
            failures,
            world.settled_after,
            world.oracle.stored_from_honest,
            world.oracle.spare_from_honest,
            world.quiet.requests_per_minute,
            world.quiet.bytes_per_minute,
            world.virtual_seconds,
            world.trace.lines,
            world.judged,
        )
    finally:
        world.close()


def _failures(world: World) -> dict[str, list[str]]:
    """Play the world to its end and check it. An exception on the way is a failure like any other."""
    try:
        world.run()
        if world.stage.raised:
            return {"nothing_raises": world.stage.raised[0].splitlines()[-FRAMES_SHOWN:]}
        return {name: found for name, holds in INVARIANTS.items() if (found := holds(world))}
    except Exception:  # noqa: BLE001 a bug of the product in one run must not end a campaign, and needs its seed
        return {"nothing_raises": traceback.format_exc().splitlines()[-FRAMES_SHOWN:]}


def campaign(runs: Sequence[tuple[Scenario, int]], workers: int) -> Iterator[Outcome]:
    """Play all of them, in as many processes as `workers`; yields outcomes in the order of `runs`."""
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_prepare) as pool:
        yield from pool.map(_play, runs, chunksize=4)


_foundries: list[Foundry] = []
_lasting: list[object] = []


def _prepare() -> None:
    """Make one foundry a process, and cheap signatures for its whole life."""
    folder = tempfile.TemporaryDirectory(prefix="p2pshare-foundry-", dir=memory_folder())
    signatures = cheap_signatures()
    signatures.__enter__()
    _lasting.extend((folder, signatures))
    logging.disable(logging.CRITICAL)
    _foundries.append(Foundry(Path(folder.name)))


def _play(run: tuple[Scenario, int]) -> Outcome:
    return play(*run, _foundries[0])
