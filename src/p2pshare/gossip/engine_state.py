"""The engine's state: shared by all its parts, and the one place where requests begin and links go down."""

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
from p2pshare.gossip.moment import Moment
from p2pshare.gossip.protocol import CARD, AnyVerb
from p2pshare.gossip.states import Cause
from p2pshare.gossip.want import WantTable
from p2pshare.identifiers import CircleId, EnvelopeId, Epoch, PartnerId
from p2pshare.limits import (
    AUDIT_SECONDS,
    FAULT_REASONS_PER_LINK_MAX,
    FUTURE_REFUSE_SECONDS,
    RECONCILE_SECONDS_MAX,
    SHARD_SECONDS_BY_CLASS,
    WANT_ENTRIES_MAX,
    WANT_ENTRIES_PER_PEER_MAX,
)


class RandomSource(Protocol):
    """The part of `random.Random` that the engine uses; seeded in tests and simulation."""

    def random(self) -> float: ...
    def getrandbits(self, k: int, /) -> int: ...
    def shuffle(self, x: list[Any], /) -> None: ...


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """Settings that may differ between nodes. `reconcile_seconds` is the pause between comparisons that find something."""

    reconcile_seconds: float = 60.0
    reconcile_seconds_max: float = RECONCILE_SECONDS_MAX
    audit_seconds: float = AUDIT_SECONDS
    is_dialable: bool = True
    """Whether peers can dial us; else we poll each of them."""
    want_entries_max: int = WANT_ENTRIES_MAX
    want_entries_per_peer_max: int = WANT_ENTRIES_PER_PEER_MAX


class EngineState:
    """Tables, clock and the actions of the event being handled.

    Each table is iterated in sorted order or in order of insertion, so the same events give the same actions.
    """

    def __init__(
        self, epoch: Epoch, last_lsn: int, card_version: int, random: RandomSource, settings: EngineSettings
    ) -> None:
        self.epoch = epoch
        self.card_version = card_version
        self.random = random
        self.settings = settings
        self.now = 0.0
        """Steady seconds, for intervals: no clock that is set moves them."""
        self._wall_ahead = self._latest_ahead = 0.0
        self._earliest = NEVER
        self.links: dict[PartnerId, Link] = {}
        self.partners = 0
        self.index = Index()
        self.arrivals = Arrivals(last_lsn)
        self.want = WantTable(settings.want_entries_max, settings.want_entries_per_peer_max)
        self.first_hops: dict[EnvelopeId, Shard] = {}
        self.aside: dict[EnvelopeId, None] = {}
        """Ids that intake has deferred: verified, dated in the future, and not asked for again."""
        self.no_room_until = -NEVER
        self.owners: dict[int, Link] = {}
        """Requests in flight, by number."""
        self._actions: list[Action] = []
        self._touched: dict[PartnerId, None] = {}
        self._timers: list[tuple[float, PartnerId]] = []
        self._number = 0

    # --- time ---

    def set_clock(self, moment: Moment) -> None:
        """Follow the wall clock, which is no longer as far ahead of `now` as it was, or no longer in doubt."""
        self._wall_ahead = moment.now - self.now
        self._latest_ahead = moment.latest - self.now
        self._earliest = moment.earliest if moment.is_doubtful else NEVER

    @property
    def moment(self) -> Moment:
        """Returns what is known of the time, for everything that is dated."""
        wall = self.now + self._wall_ahead
        return Moment(wall, min(wall, self._earliest), self.now + self._latest_ahead)

    # --- actions ---

    def act(self, action: Action) -> None:
        self._actions.append(action)

    def note(self, peer: PartnerId, reason: str) -> None:
        """Count a fault or an oddity of a peer on its link, and report it to the driver."""
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
        """Register a request that leaves now, and return it with its number."""
        self._number += 1
        pending = Pending(self._number, verb, self.now, dict.fromkeys(ids), moved_at=self.now)
        link.pending[pending.number] = pending
        self.owners[pending.number] = link
        return pending

    def end(self, number: int) -> tuple[Link, Pending] | None:
        """Remove a request that has ended, and return it with its link; None when it had been abandoned."""
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
        """Mark a link that has changed: it is driven before the handling of this event ends."""
        self._touched[link.peer] = None

    def take_touched(self) -> list[Link]:
        touched, self._touched = self._touched, {}
        return [self.links[peer] for peer in touched if peer in self.links]

    def carriers(self, circle: CircleId) -> list[Link]:
        """Returns the links that carry the circle, in the order of their peers' ids."""
        return [link for link in self.links.values() if circle in link.config.circles]

    def fall(self, link: Link, *, is_failure: bool) -> None:
        """Take the link down: the peer cannot be reached, and every request to it is abandoned. A failure backs off."""
        link.move(Cause.FAILED)
        if is_failure:
            link.back_off(self.now, self.random.random)
        self.clear(link)

    def clear(self, link: Link) -> None:
        """Abandon all requests to the peer and forget what only this peer had announced."""
        for pending in list(link.pending.values()):
            if pending.verb is CARD:
                link.card_asked = (
                    0  # what became of it is not told: it is asked for again with the next hello
                )
            self.abandon(link, pending)
        link.pushes.clear()
        link.cursor = link.acked_lsn
        link.announce_at = link.hello_at = link.compare_at = link.resume_at = NEVER
        link.expected.clear()
        link.direct_wanted.clear()
        link.awaited.clear()
        link.named_at.clear()
        link.is_outbox_read_under_way = False
        link.has_outbox = True
        for other in self.want.drop_peer(link.peer):
            if other in self.links:
                self.touch(self.links[other])
        self.touch(link)

    def acknowledged(self, link: Link, ids: Collection[EnvelopeId]) -> None:
        """Note that the peer holds these envelopes of ours, here and (by an action) in the store."""
        for envelope_id in ids:
            self.first_hops.pop(envelope_id, None)
            link.awaited.pop(envelope_id, None)
            link.named_at.pop(envelope_id, None)
        if ids:
            self.act(Acknowledge(link.peer, tuple(ids)))

    def touch_asked(self, envelope_id: EnvelopeId) -> None:
        """Mark the link whose peer is being asked for this envelope."""
        want = self.want.get(envelope_id)
        if want is not None and want.asked in self.links:
            self.touch(self.links[want.asked])

    # --- timers ---

    def set_timer(self, link: Link, at: float) -> None:
        """Set the timer of a link to `at` (seconds), unless it is due earlier."""
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
        """Returns the earliest timer that is still valid, None without one; drops outdated ones on the way."""
        while self._timers:
            at, peer = self._timers[0]
            link = self.links.get(peer)
            if link is not None and link.timer_at == at:
                return at
            heapq.heappop(self._timers)
        return None

    # --- envelopes ---

    def is_wanted(self, link: Link, item: AnnounceItem) -> bool:
        """Returns whether an announced item is one to fetch from this peer: allowed on the link, current, and not seen yet."""
        if item.circle not in link.config.circles or item.ttl_class not in SHARD_SECONDS_BY_CLASS:
            return False
        if item.envelope_id in link.unavailable or item.envelope_id in self.aside:
            return False
        key = key_of(item.created, item.envelope_id)
        return self.is_current(item.ttl_class, key) and key not in self.index[shard_of(item)]

    def is_needed(self, link: Link, envelope_id: EnvelopeId) -> bool:
        """Returns whether an id that a comparison found at this peer, its key unknown, is still one to ask for.

        An envelope that came meanwhile by another way is in the arrival log.
        """
        is_put_off = envelope_id in link.unavailable or envelope_id in self.aside
        return not is_put_off and self.arrivals.item(envelope_id) is None

    def is_current(self, ttl_class: int, key: bytes) -> bool:
        """Returns whether a key is neither expired nor dated further ahead than intake accepts."""
        created, moment = created_of(key), self.moment
        is_expired = created + SHARD_SECONDS_BY_CLASS[ttl_class] <= moment.earliest
        return not is_expired and moment.latest > created - FUTURE_REFUSE_SECONDS


def shard_of(item: AnnounceItem) -> Shard:
    return Shard(item.circle, item.ttl_class)
