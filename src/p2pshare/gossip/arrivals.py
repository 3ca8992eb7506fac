"""Arrivals: the newest ones in order, kept once for all links; each link only has a number in it.

Bounded: a peer that is further behind than the list reaches compares its store with ours instead.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection
from dataclasses import dataclass, field

from p2pshare.gossip.messages import AnnounceItem
from p2pshare.identifiers import CircleId, EnvelopeId, PartnerId
from p2pshare.limits import ARRIVALS_KEPT_MAX


@dataclass(slots=True)
class PollItem:
    """A relayed envelope we hold, its place in the arrival log, and the peers that are known to hold it too."""

    lsn: int
    item: AnnounceItem
    held_by: set[PartnerId] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Stretch:
    """What to announce to one peer, and how far that brings it. `is_whole` is False where the list begins too late."""

    items: tuple[AnnounceItem, ...]
    to_lsn: int
    is_whole: bool


class Arrivals:
    """`last_lsn` is the newest arrival, announced or not."""

    def __init__(self, last_lsn: int) -> None:
        self.last_lsn = last_lsn
        self._begins_after = last_lsn
        self._items: list[PollItem] = []
        self._by_id: dict[EnvelopeId, PollItem] = {}

    def __len__(self) -> int:
        return len(self._items)

    def append(self, one: PollItem) -> None:
        """`one.lsn` is above every earlier one."""
        self.last_lsn = one.lsn
        self._items.append(one)
        self._by_id[one.item.envelope_id] = one
        # Cut in halves: the list is moved once in 4,096 arrivals, and between half and all of the bound is kept.
        if len(self._items) > ARRIVALS_KEPT_MAX:
            for old in self._items[: ARRIVALS_KEPT_MAX // 2]:
                del self._by_id[old.item.envelope_id]
                self._begins_after = old.lsn
            del self._items[: ARRIVALS_KEPT_MAX // 2]

    def skip(self, lsn: int) -> None:
        """An arrival that is never announced."""
        self.last_lsn = lsn

    def note_holder(self, envelope_id: EnvelopeId, peer: PartnerId) -> None:
        """Nobody announces to a peer what that peer has announced."""
        if envelope_id in self._by_id:
            self._by_id[envelope_id].held_by.add(peer)

    def forget_holder(self, envelope_id: EnvelopeId, peer: PartnerId) -> None:
        """A push that was counted on did not happen."""
        if envelope_id in self._by_id:
            self._by_id[envelope_id].held_by.discard(peer)

    def item(self, envelope_id: EnvelopeId) -> AnnounceItem | None:
        found = self._by_id.get(envelope_id)
        return None if found is None else found.item

    def after(self, lsn: int, peer: PartnerId, circles: Collection[CircleId], limit: int) -> Stretch:
        """At most `limit` arrivals after `lsn` that the link carries and the peer is not known to hold."""
        items: list[AnnounceItem] = []
        to_lsn, previous = self.last_lsn, lsn
        for place in range(self._place(lsn), len(self._items)):
            one = self._items[place]
            if one.item.circle in circles and peer not in one.held_by:
                if len(items) == limit:
                    to_lsn = previous
                    break
                items.append(one.item)
            previous = one.lsn
        return Stretch(tuple(items), to_lsn, is_whole=lsn >= self._begins_after)

    def count_after(self, lsn: int, peer: PartnerId, circles: Collection[CircleId]) -> int:
        """How many arrivals wait to be announced to the peer."""
        behind = self._items[self._place(lsn) :]
        return sum(one.item.circle in circles and peer not in one.held_by for one in behind)

    def _place(self, lsn: int) -> int:
        return bisect_right(self._items, lsn, key=lambda one: one.lsn)
