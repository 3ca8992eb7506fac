"""Runs of simulated spaces: one seed, played to its end and looked at; and what is measured where nothing goes wrong."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

from simulator.space_invariants import INVARIANTS
from simulator.space_world import SpaceFaults, SpaceWorld

FRAMES_SHOWN = 12
MINUTE = 60.0


@dataclass(frozen=True)
class SpaceOutcome:
    """The outcome of one seed. `failures`: what speaks against each invariant that does not hold; `seen`: what befell the world."""

    seed: int
    digest: str
    failures: dict[str, list[str]]
    settled_after: float | None
    entries: int
    members: int
    seen: tuple[str, ...]


def play(
    seed: int, report: Callable[[str], None] | None = None, faults: SpaceFaults | None = None
) -> SpaceOutcome:
    """Play one world; `faults` in place of those that the seed draws. An exception on the way is a failure like any other."""
    world = SpaceWorld(seed, report=report, faults=faults, is_mesh=faults is not None)
    try:
        world.run()
        failures = {name: found for name, holds in INVARIANTS.items() if (found := holds(world))}
    except Exception:  # noqa: BLE001 a bug of the product in one world must not end a campaign, and needs its seed
        failures = {"nothing_raises": traceback.format_exc().splitlines()[-FRAMES_SHOWN:]}
    return SpaceOutcome(
        seed,
        world.trace.digest(),
        failures,
        world.settled_after,
        len(world.held_by_all()),
        len(world.members) - len(world.outsiders),
        tuple(sorted(_seen(world))),
    )


def _seen(world: SpaceWorld) -> set[str]:
    faults = world.faults
    seen = {name for name in SpaceFaults.__dataclass_fields__ if getattr(faults, name)}
    kinds = {entry.header.kind for entry in world.held_by_all().values()}
    seen |= {
        f"kind {kind}"
        for kind in kinds & {"invite", "remove", "accept", "takeover", "ack", "leave", "redact"}
    }
    if world.lead_gone is not None and world.persons.majority():
        seen.add("a new lead")
    return seen


@dataclass(frozen=True)
class SpaceFigures:
    """What was measured in a world without faults. Seconds; `heads_too_soon`: envelopes within a minute of another on their link."""

    arrivals: list[float]
    heads_per_minute: float
    heads_busiest: float
    heads_too_soon: int
    copies: float


def measure(seed: int) -> SpaceFigures:
    world = SpaceWorld(seed, faults=SpaceFaults(), is_mesh=True, members=6, seconds=3_600.0)
    start = world.queue.now
    world.run()
    arrivals = [
        member.held_at[note] - at
        for note, (author, at, joined) in world.written.items()
        for member in world.members.values()
        if member.id in joined - {author} and author in member.partners and note in member.held_at
    ]
    minutes = (world.queue.now - start) / MINUTE
    counts = [len(times) for times in world.tally.heads.values()]
    too_soon = sum(
        later - earlier < MINUTE for times in world.tally.heads.values() for earlier, later in pairwise(times)
    )
    held = sum(len(set(world.held(one))) for one in world.members.values())
    return SpaceFigures(
        arrivals,
        sum(counts) / len(counts) / minutes,
        max(counts) / minutes,
        too_soon,
        sum(one.copies for one in world.members.values()) / held,
    )
