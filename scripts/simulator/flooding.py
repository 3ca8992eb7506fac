"""The rival: flooding on the same graph, with the same wires and commits. Nothing is faster, and nothing wastes more."""

from __future__ import annotations

import heapq
import itertools
from dataclasses import dataclass
from random import Random

from p2pshare.identifiers import PartnerId
from simulator.world import World


@dataclass(frozen=True)
class Spread:
    """How one envelope got to everybody: seconds, and bodies for each partner that lacked it."""

    seconds: float
    redundancy: float


def spreads(world: World) -> list[Spread]:
    """How the published envelopes of a world without faults spread."""
    witness = world.witness
    redundancy = 1 + witness.spare_from_honest / max(1, witness.stored_from_honest)
    return [
        Spread(witness.last_held_at[envelope_id] - known.at, redundancy)
        for envelope_id, known in witness.published.items()
        if not known.direct_to
    ]


def flood_spreads(world: World) -> list[Spread]:
    """How they would have spread, had each partner sent each new body to all its others at once."""
    random = Random(f"{world.seed} flood")
    return [
        _flood(world, known.author, known.envelope.size, random)
        for known in world.witness.published.values()
        if not known.direct_to
    ]


def _flood(world: World, author: PartnerId, size: int, random: Random) -> Spread:
    weather, commit = world.scenario.weather, world.scenario.commit_seconds
    held: dict[PartnerId, float] = {}
    bodies, order = 0, itertools.count()
    queue: list[tuple[float, int, PartnerId, PartnerId]] = [(0.0, next(order), author, author)]
    while queue:
        at, _, partner, bearer = heapq.heappop(queue)
        if partner in held:
            continue
        held[partner] = at + commit.draw(random)
        for peer in sorted(world.witness.links[partner]):
            if peer == bearer:
                continue
            bodies += 1
            delay = weather.latency_seconds.draw(random) + size / weather.bytes_per_second
            heapq.heappush(queue, (held[partner] + delay, next(order), peer, partner))
    return Spread(max(held.values()), bodies / max(1, len(held) - 1))
