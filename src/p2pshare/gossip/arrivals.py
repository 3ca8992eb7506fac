"""The arrival log: the newest relayed envelopes in order, kept once for all links. A link keeps a cursor into it.

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
    """A relayed envelope held here, its place in the arrival log, and the peers that are known to hold it too."""

    lsn: int
    item: AnnounceItem
    held_by: set[PartnerId] = field(default_factory=set)
    is_dropped: bool = False
    """Whether it is a notice that a newer one has pushed out: nobody is told of it any more."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Items to announce to one peer, and the `lsn` that its cursor reaches with them.

    `is_whole` is False when the list does not reach back to the cursor that was asked for.
    """

    items: tuple[AnnounceItem, ...]
    to_lsn: int
    is_whole: bool


class Arrivals:
    """The arrival log of one node. `last_lsn` is the newest arrival, announced or not."""

    def __init__(self, last_lsn: int) -> None:
        self.last_lsn = last_lsn
        self._begins_after = last_lsn
        self._items: list[PollItem] = []
        self._by_id: dict[EnvelopeId, PollItem] = {}

    def __len__(self) -> int:
        return len(self._items)

    def append(self, one: PollItem) -> None:
        """Append an arrival, whose `lsn` must be above every earlier one; drop the older half when the log is full."""
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
        """Advance `last_lsn` over an arrival that is never announced."""
        self.last_lsn = lsn

    def drop(self, envelope_id: EnvelopeId) -> None:
        """Announce this arrival to nobody any more."""
        one = self._by_id.get(envelope_id)
        if one is not None:
            one.is_dropped = True

    def note_holder(self, envelope_id: EnvelopeId, peer: PartnerId) -> None:
        """Note that the peer holds the envelope, so that it is not announced to that peer."""
        if envelope_id in self._by_id:
            self._by_id[envelope_id].held_by.add(peer)

    def forget_holder(self, envelope_id: EnvelopeId, peer: PartnerId) -> None:
        """Forget that the peer holds the envelope: a push that was counted on did not happen."""
        if envelope_id in self._by_id:
            self._by_id[envelope_id].held_by.discard(peer)

    def item(self, envelope_id: EnvelopeId) -> AnnounceItem | None:
        found = self._by_id.get(envelope_id)
        return None if found is None else found.item

    def after(self, lsn: int, peer: PartnerId, circles: Collection[CircleId], limit: int) -> Stretch:
        """Returns at most `limit` arrivals after `lsn` that are of `circles` and that the peer is not known to hold."""
        items: list[AnnounceItem] = []
        to_lsn, previous = self.last_lsn, lsn
        for place in range(self._place(lsn), len(self._items)):
            one = self._items[place]
            if self._is_news(one, peer, circles):
                if len(items) == limit:
                    to_lsn = previous
                    break
                items.append(one.item)
            previous = one.lsn
        return Stretch(tuple(items), to_lsn, is_whole=lsn >= self._begins_after)

    def count_after(self, lsn: int, peer: PartnerId, circles: Collection[CircleId]) -> int:
        """Returns the number of arrivals after `lsn` that wait to be announced to the peer."""
        behind = self._items[self._place(lsn) :]
        return sum(self._is_news(one, peer, circles) for one in behind)

    def _is_news(self, one: PollItem, peer: PartnerId, circles: Collection[CircleId]) -> bool:
        return one.item.circle in circles and peer not in one.held_by and not one.is_dropped

    def _place(self, lsn: int) -> int:
        return bisect_right(self._items, lsn, key=lambda one: one.lsn)
