"""The state: everything the engine's parts share, and the one place where requests begin and links fall."""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from p2pshare.gossip.actions import Abandon, Acknowledge, Action, Notice
from p2pshare.gossip.arrivals import Arrivals
from p2pshare.gossip.index import Index, created_of, key_of
from p2pshare.gossip.link import NEVER, Link, Pending
from p2pshare.gossip.messages import AnnounceItem, Shard
from p2pshare.gossip.protocol import AnyVerb
from p2pshare.gossip.states import Cause
from p2pshare.gossip.want import WantTable
from p2pshare.identifiers import CircleId, EnvelopeId, Epoch, PartnerId
from p2pshare.limits import (
    AUDIT_SECONDS,
    FAULT_REASONS_PER_LINK_MAX,
    FUTURE_REFUSE_SECONDS,
    RECONCILE_SECONDS_MAX,
    TTL_SECONDS_BY_CLASS,
    WANT_ENTRIES_MAX,
    WANT_ENTRIES_PER_PEER_MAX,
)


class RandomSource(Protocol):
    """What is used of `random.Random`; seeded in tests and simulation."""

    def random(self) -> float: ...
    def getrandbits(self, k: int, /) -> int: ...
    def shuffle(self, x: list[Any], /) -> None: ...


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """What may differ between nodes. `reconcile_seconds`: pause between comparisons that find something."""

    reconcile_seconds: float = 60.0
    reconcile_seconds_max: float = RECONCILE_SECONDS_MAX
    audit_seconds: float = AUDIT_SECONDS
    is_dialable: bool = True
    """Whether peers can dial us; else we poll each of them."""
    want_entries_max: int = WANT_ENTRIES_MAX
    want_entries_per_peer_max: int = WANT_ENTRIES_PER_PEER_MAX


class EngineState:
    """Tables, clock and the actions of the event being handled. Nothing here is iterated unsorted unless its
    order is that of insertion, so the same events give the same actions.
    """

    def __init__(
        self, epoch: Epoch, last_lsn: int, card_version: int, random: RandomSource, settings: EngineSettings
    ) -> None:
        self.epoch = epoch
        self.card_version = card_version
        self.random = random
        self.settings = settings
        self.now = 0.0
        self.links: dict[PartnerId, Link] = {}
        self.partners = 0
        self.index = Index()
        self.arrivals = Arrivals(last_lsn)
        self.want = WantTable(settings.want_entries_max, settings.want_entries_per_peer_max)
        self.first_hops: dict[EnvelopeId, Shard] = {}
        self.aside: dict[EnvelopeId, None] = {}
        """Deferred by intake: verified, and not asked for again."""
        self.no_room_until = -NEVER
        self.owners: dict[int, Link] = {}
        """Requests in flight, by number."""
        self._actions: list[Action] = []
        self._touched: dict[PartnerId, None] = {}
        self._timers: list[tuple[float, PartnerId]] = []
        self._number = 0

    # --- actions ---

    def act(self, action: Action) -> None:
        self._actions.append(action)

    def note(self, peer: PartnerId, reason: str) -> None:
        """A fault or an oddity of a peer: counted on its link, told to the driver."""
        if peer in self.links:
            faults = self.links[peer].faults
            if reason not in faults and len(faults) >= FAULT_REASONS_PER_LINK_MAX:
                reason = "other"
            faults[reason] += 1
        self.act(Notice(peer, reason))

    def take_actions(self) -> list[Action]:
        taken, self._actions = self._actions, []
        return taken

    # --- requests ---

    def begin(self, link: Link, verb: AnyVerb, ids: Iterable[EnvelopeId] = ()) -> Pending:
        """A number for a request that leaves now."""
        self._number += 1
        pending = Pending(self._number, verb, self.now, dict.fromkeys(ids), moved_at=self.now)
        link.pending[pending.number] = pending
        self.owners[pending.number] = link
        return pending

    def end(self, number: int) -> tuple[Link, Pending] | None:
        """The request ended; None when it had been abandoned."""
        link = self.owners.pop(number, None)
        if link is None:
            return None
        self.touch(link)
        return link, link.pending.pop(number)

    def abandon(self, link: Link, pending: Pending) -> None:
        del link.pending[pending.number], self.owners[pending.number]
        self.act(Abandon(pending.number))

    # --- links ---

    def touch(self, link: Link) -> None:
        """Something changed for this link: it will be looked at before this event is over."""
        self._touched[link.peer] = None

    def take_touched(self) -> list[Link]:
        touched, self._touched = self._touched, {}
        return [self.links[peer] for peer in touched if peer in self.links]

    def carriers(self, circle: CircleId) -> list[Link]:
        """Links that carry the circle, in the order of their ids."""
        return [link for link in self.links.values() if circle in link.config.circles]

    def fall(self, link: Link, *, is_failure: bool) -> None:
        """The peer cannot be reached: whatever was under way with it is over."""
        link.move(Cause.FAILED)
        if is_failure:
            link.back_off(self.now, self.random.random)
        self.clear(link)

    def clear(self, link: Link) -> None:
        """Abandons all requests to the peer and forgets what only it had announced."""
        for pending in list(link.pending.values()):
            self.abandon(link, pending)
        link.pushes.clear()
        link.cursor = link.acked_lsn
        link.announce_at = link.hello_at = link.compare_at = link.resume_at = NEVER
        link.expected.clear()
        link.direct_wanted.clear()
        link.awaited.clear()
        link.is_outbox_read_under_way = False
        link.has_outbox = True
        for other in self.want.drop_peer(link.peer):
            if other in self.links:
                self.touch(self.links[other])
        self.touch(link)

    def acknowledged(self, link: Link, ids: Collection[EnvelopeId]) -> None:
        """The peer holds these envelopes; those of ours are noted in the store."""
        for envelope_id in ids:
            self.first_hops.pop(envelope_id, None)
            link.awaited.pop(envelope_id, None)
        if ids:
            self.act(Acknowledge(link.peer, tuple(ids)))

    def touch_asked(self, envelope_id: EnvelopeId) -> None:
        """Looks again at the link whose peer is asked for this."""
        want = self.want.get(envelope_id)
        if want is not None and want.asked in self.links:
            self.touch(self.links[want.asked])

    # --- timers ---

    def set_timer(self, link: Link, at: float) -> None:
        """The link wants to be looked at again at this instant (or earlier)."""
        if at < link.timer_at:
            link.timer_at = at
            heapq.heappush(self._timers, (at, link.peer))

    def touch_due(self) -> None:
        while self._timers and self._timers[0][0] <= self.now:
            at, peer = heapq.heappop(self._timers)
            link = self.links.get(peer)
            if link is not None and link.timer_at == at:
                link.timer_at = NEVER
                self.touch(link)

    def next_wakeup(self) -> float | None:
        """The earliest timer that still means something."""
        while self._timers:
            at, peer = self._timers[0]
            link = self.links.get(peer)
            if link is not None and link.timer_at == at:
                return at
            heapq.heappop(self._timers)
        return None

    # --- envelopes ---

    def is_wanted(self, link: Link, item: AnnounceItem) -> bool:
        """Whether an id that this peer says it has is one we may have and lack."""
        if item.circle not in link.config.circles or item.ttl_class not in TTL_SECONDS_BY_CLASS:
            return False
        if item.envelope_id in link.unavailable or item.envelope_id in self.aside:
            return False
        key = key_of(item.created, item.envelope_id)
        return self.is_current(item.ttl_class, key) and key not in self.index[shard_of(item)]

    def is_needed(self, link: Link, envelope_id: EnvelopeId) -> bool:
        """Whether an id that a comparison found at this peer, its key unknown, is one to ask it for. What came
        meanwhile by another way is among the arrivals."""
        is_put_off = envelope_id in link.unavailable or envelope_id in self.aside
        return not is_put_off and self.arrivals.item(envelope_id) is None

    def is_current(self, ttl_class: int, key: bytes) -> bool:
        """Neither expired nor from further ahead than anybody may take in."""
        created = created_of(key)
        return created + TTL_SECONDS_BY_CLASS[ttl_class] > self.now > created - FUTURE_REFUSE_SECONDS


def shard_of(item: AnnounceItem) -> Shard:
    return Shard(item.circle, item.ttl_class)
