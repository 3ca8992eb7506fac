"""Topology: the links between partners at first, and the circles that a roster's rows let a link carry."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations
from random import Random

from p2pshare.identifiers import CircleId, PartnerId
from p2pshare.partners.interface import PartnerRow
from simulator.scenario import Scenario


def links_in(rows: Iterable[PartnerRow]) -> dict[PartnerId, frozenset[CircleId]]:
    """Returns the circles that each link may carry."""
    return {row.partner_id: frozenset(map(CircleId.of, row.circles)) for row in rows if row.has_link}


def edges_of(scenario: Scenario, count: int, random: Random) -> list[frozenset[int]]:
    """Returns the pairs of numbers that are linked."""
    line = [frozenset((place, place + 1)) for place in range(count - 1)]
    match scenario.topology:
        case "chain":
            return line
        case "ring":
            return [*line, frozenset((count - 1, 0))] if count > 2 else line
        case "full":
            return [frozenset(pair) for pair in combinations(range(count), 2)]
        case "star":
            return [frozenset((0, place)) for place in range(1, count)]
        case "tree":
            return _tree(count, random)
        case "random":
            return _tree(count, random) + [
                frozenset(random.sample(range(count), 2)) for _ in range(count * (scenario.degree - 2) // 2)
            ]
        case other:
            raise ValueError(f"no topology is called '{other}'")


def _tree(count: int, random: Random) -> list[frozenset[int]]:
    return [frozenset((place, random.randrange(place))) for place in range(1, count)]
