"""Bugs to be planted into the travel of entries, each a mistake that somebody could make one day.

A bug is a function that patches; the product has no switch for it. With each stand a world in which it matters and the invariant that must
speak against it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import pytest

from p2pshare.spaces import travel
from p2pshare.spaces.entitlement import Entitlement
from p2pshare.spaces.heads import HeldElsewhere
from p2pshare.spaces.travel import SpaceTravel
from p2pshare.spaces.vertex import Vertex
from simulator.space_world import SpaceFaults

Patch = pytest.MonkeyPatch


@dataclass(frozen=True)
class PlantedTravelBug:
    """`plant` patches; in one of these worlds, with these faults (None: those that the seed draws), the invariant `found_by` must not
    hold then."""

    plant: Callable[[Patch], None]
    seeds: tuple[int, ...]
    faults: SpaceFaults | None
    found_by: str


# --- those of the design -------------------------------------------------------------------------------


def wants_to_members_only(patch: Patch) -> None:
    """An old lead that removed its neighbours asks none of them for what they write about."""
    real = SpaceTravel._heads_due

    def heads_due(self: Any, opened: Any, now: float) -> Any:
        for journey in self._journeys.values():
            for side in journey.sides.values():
                if not side.had_all:
                    side.ask_at = side.due_at = math.inf
        return real(self, opened, now)

    patch.setattr(SpaceTravel, "_heads_due", heads_due)


def head_ids_only(patch: Patch) -> None:
    """What another one holds is read from ids alone: two that were apart know none of each other's, and send everything."""
    patch.setattr(HeldElsewhere, "holds", lambda self, vertex: vertex in self._all())

    def lacked(self: HeldElsewhere) -> Iterator[Vertex]:
        listed = {one.entry_id for rows in self._listed.values() for one in rows}
        is_known = all(one in self._graph for one in listed)
        for vertex in self._graph.vertices:
            if not is_known or vertex not in self._all():
                yield vertex

    patch.setattr(HeldElsewhere, "lacked", lacked)
    patch.setattr(travel, "RESEND_SECONDS", 0.0)


# --- those of single rules -----------------------------------------------------------------------------


def bodies_to_all(patch: Patch) -> None:
    patch.setattr(Entitlement, "may_have_body", lambda self, member, vertex: True)


def entries_to_all_partners(patch: Patch) -> None:
    patch.setattr(Entitlement, "has_all", lambda self, member: True)


def the_removed_are_not_told(patch: Patch) -> None:
    real = Entitlement._part_of

    def part_of(self: Entitlement, member: Any) -> set[Vertex]:
        return set() if self.members.get(member) in ("removed", "left") else real(self, member)

    patch.setattr(Entitlement, "_part_of", part_of)


def heads_are_not_answered(patch: Patch) -> None:
    real = SpaceTravel.heads_came

    def heads_came(self: Any, peer: Any, heads: Any, now: float) -> None:
        real(self, peer, heads, now)
        self._journey(heads.space).side(peer).is_answer_due = False

    patch.setattr(SpaceTravel, "heads_came", heads_came)


def heads_are_told_all_the_time(patch: Patch) -> None:
    patch.setattr(travel, "HEADS_SECONDS", 1.0)
    patch.setattr(travel, "ASK_SECONDS", 1.0)
    patch.setattr(travel, "HEADS_AFTER_CHANGE_SECONDS", 0.5)


NOTHING = SpaceFaults()

PLANTED: Mapping[str, PlantedTravelBug] = MappingProxyType(
    {
        "wants to members only": PlantedTravelBug(
            wants_to_members_only, (0, 25, 34), None, "all_hold_the_same"
        ),
        "head ids only": PlantedTravelBug(head_ids_only, (8, 9, 11), None, "little_comes_twice"),
        "bodies to all": PlantedTravelBug(bodies_to_all, (0, 1), NOTHING, "nothing_leaks"),
        "entries to all partners": PlantedTravelBug(
            entries_to_all_partners, (0, 2), NOTHING, "nothing_leaks"
        ),
        "the removed are not told": PlantedTravelBug(
            the_removed_are_not_told, (2, 4, 8), NOTHING, "the_removed_are_told"
        ),
        "heads are not answered": PlantedTravelBug(heads_are_not_answered, (1, 3), None, "all_hold_the_same"),
        "heads are told all the time": PlantedTravelBug(
            heads_are_told_all_the_time, (0, 1), NOTHING, "heads_are_few"
        ),
    }
)
