"""The rival: flooding on the same graph, with the same network and commits. Nothing is faster, and nothing wastes more."""

from __future__ import annotations

import heapq
import itertools
from dataclasses import dataclass
from random import Random

from p2pshare.identifiers import PartnerId
from simulator.world import World


@dataclass(frozen=True)
class Spread:
    """The way of one envelope to everybody: seconds, and bodies for each partner that lacked it."""

    seconds: float
    redundancy: float


def spreads(world: World) -> list[Spread]:
    """Returns how the published envelopes of a world without faults spread."""
    oracle = world.oracle
    redundancy = 1 + oracle.spare_from_honest / max(1, oracle.stored_from_honest)
    return [
        Spread(max(oracle.held_at[envelope_id].values()) - known.at, redundancy)
        for envelope_id, known in oracle.published.items()
        if not known.direct_to
    ]


def flood_spreads(world: World) -> list[Spread]:
    """Returns how they would have spread, had each partner sent each new body to all its others at once."""
    random = Random(f"{world.seed} flood")
    return [
        _flood(world, known.author, known.envelope.size, random)
        for known in world.oracle.published.values()
        if not known.direct_to
    ]


def _flood(world: World, author: PartnerId, size: int, random: Random) -> Spread:
    network_conditions, commit = world.scenario.network_conditions, world.scenario.commit_seconds
    held: dict[PartnerId, float] = {}
    bodies, order = 0, itertools.count()
    queue: list[tuple[float, int, PartnerId, PartnerId]] = [(0.0, next(order), author, author)]
    while queue:
        at, _, partner, received_from = heapq.heappop(queue)
        if partner in held:
            continue
        held[partner] = at + commit.draw(random)
        for peer in sorted(world.oracle.links[partner]):
            if peer == received_from:
                continue
            bodies += 1
            delay = (
                network_conditions.latency_seconds.draw(random) + size / network_conditions.bytes_per_second
            )
            heapq.heappush(queue, (held[partner] + delay, next(order), peer, partner))
    return Spread(max(held.values()), bodies / max(1, len(held) - 1))
