"""Fetching: from wanted ids to bodies in intake, each asked of one peer at a time.

Received is not held: a body that came is only IN_INTAKE; intake's verdict decides what becomes of the entry.
A peer that is slow loses the fetch to another announcer when there is one; being slow is never a fault.
Only what can be proved against the peer (`PROVABLE_FAULTS`) counts.
"""

from __future__ import annotations

from p2pshare.gossip.actions import SendGet
from p2pshare.gossip.engine_state import EngineState, shard_of
from p2pshare.gossip.events import BodyDecided
from p2pshare.gossip.index import key_of
from p2pshare.gossip.link import NEVER, Link, Pending, Unavailable
from p2pshare.gossip.messages import AnnounceItem, PutVerdict
from p2pshare.gossip.protocol import GET
from p2pshare.gossip.want import Stage
from p2pshare.identifiers import CircleId, EnvelopeId, PartnerId
from p2pshare.limits import (
    ASIDE_MAX,
    FETCH_BYTES_PER_SECOND_MIN,
    GET_IDS_MAX,
    MIB,
    NO_ROOM_PAUSE_SECONDS,
    RESPONSE_BYTES_MAX,
)

PROVABLE_FAULTS = frozenset(
    {"malformed", "not-canonical", "oversized", "bad-lengths", "bad-signature", "wrong-author", "other-bytes"}
)
PASSING = frozenset(
    {
        "from-the-future",
        "deferred",
        "expired",
        "card-expired",
        "card-from-the-future",
        "card-gap",
        "internal-error",
        "gave-up",
    }
)
"""Reasons of a refusal that pass with time."""
ALONE_BYTES = MIB  # a larger body has a request for itself
UNKNOWN_BYTES = 16 * 1024  # what a body of unknown size (a repair) is taken for
NOT_ANNOUNCED = (0, 1, CircleId(bytes(16)), 0)  # a pushed body's place in the want table


class Fetching:
    """Requests for bodies, and their outcomes."""

    def __init__(self, state: EngineState) -> None:
        self._state = state

    def drive(self, link: Link) -> None:
        """Request wanted bodies on an open link, up to its limits."""
        state = self._state
        if state.now < state.no_room_until:
            return
        self._give_up_slow(link)
        while state.want.waiting(link.peer) and link.may_send(GET):
            items = state.want.take(link.peer, link.batch, RESPONSE_BYTES_MAX, ALONE_BYTES)
            items.sort(key=lambda item: (item.size, item.envelope_id))
            ids = tuple(item.envelope_id for item in items)
            pending = state.begin(link, GET, ids)
            pending.deadline = state.now + self._patience_seconds(link, pending)
            state.act(SendGet(pending.number, link.peer, ids))

    def expire_expected(self, link: Link) -> None:
        """Give up pushes that were asked for and did not come in time. A new announcement brings a new request."""
        for envelope_id in [one for one, at in link.expected.items() if at <= self._state.now]:
            del link.expected[envelope_id]
            self._state.want.again(envelope_id, link.peer, is_over=True)
            self._touch_announcers(envelope_id)

    def due(self, link: Link) -> float:
        """Returns the next instant at which a fetch of this link is late, or may be tried; NEVER without one."""
        deadlines = [self._late_at(link, one) for one in link.pending.values() if one.verb is GET]
        if self._state.want.waiting(link.peer) and self._state.now < self._state.no_room_until:
            deadlines.append(self._state.no_room_until)
        return min([*deadlines, *link.expected.values()], default=NEVER)

    def _give_up_slow(self, link: Link) -> None:
        """Hand late bodies over to other announcers where there are any; go on waiting for the rest."""
        for pending in list(link.pending.values()):
            if pending.verb is not GET or self._late_at(link, pending) > self._state.now:
                continue
            pending.is_waited_for = True
            pending.deadline = self._state.now + 2 * self._patience_seconds(link, pending)
            for envelope_id in [one for one in pending.ids if self._has_another(one, link.peer)]:
                del pending.ids[envelope_id]
                self._state.want.again(envelope_id, link.peer, is_over=True)
                self._touch_announcers(envelope_id)
            if not pending.ids:
                self._state.abandon(link, pending)

    def _late_at(self, link: Link, pending: Pending) -> float:
        """Returns the instant when the request counts as late: its deadline, or earlier when an announcer named smaller sizes."""
        if pending.is_waited_for:
            return pending.deadline
        return min(pending.deadline, pending.moved_at + self._patience_seconds(link, pending))

    def _has_another(self, envelope_id: EnvelopeId, peer: PartnerId) -> bool:
        want = self._state.want.get(envelope_id)
        links = self._state.links
        return want is not None and any(
            other != peer and other in links and links[other].is_open for other in want.announcers
        )

    def _patience_seconds(self, link: Link, pending: Pending) -> float:
        sizes = [want.item.size or UNKNOWN_BYTES for want in map(self._state.want.get, pending.ids) if want]
        return link.patience_seconds + sum(sizes) / FETCH_BYTES_PER_SECOND_MIN

    def _touch_announcers(self, envelope_id: EnvelopeId) -> None:
        want = self._state.want.get(envelope_id)
        for peer in want.announcers if want is not None else ():
            if peer in self._state.links:
                self._state.touch(self._state.links[peer])

    # --- bodies come ---

    def arrived(self, link: Link, pending: Pending, envelope_id: EnvelopeId) -> None:
        """Pass on a body that came whole, and extend the deadline of the others of its request."""
        if envelope_id not in pending.ids:
            return
        del pending.ids[envelope_id]
        pending.has_progress, pending.is_waited_for, pending.moved_at = True, False, self._state.now
        self.put_heard(link, envelope_id)
        pending.deadline = max(pending.deadline, self._state.now + self._patience_seconds(link, pending))

    def put_heard(self, link: Link, envelope_id: EnvelopeId) -> None:
        """Note that a body of this peer goes to intake, asked for or not."""
        link.expected.pop(envelope_id, None)
        self._state.want.enter_intake(AnnounceItem(envelope_id, *NOT_ANNOUNCED), link.peer)

    def gone(self, link: Link, pending: Pending, envelope_id: EnvelopeId) -> None:
        """Give up a body that the peer announced and does not have (any more), or not for this node."""
        if envelope_id not in pending.ids:
            return
        del pending.ids[envelope_id]
        pending.has_progress = True
        self._state.want.again(envelope_id, link.peer, is_over=True)
        link.direct_wanted.pop(envelope_id, None)
        self._set_aside(link, envelope_id, Unavailable.GONE)
        self._touch_announcers(envelope_id)

    def ended(self, link: Link, pending: Pending, *, is_answered: bool) -> None:
        """End a request. Bodies that it left out (a full response) are asked for again, provided that something came."""
        is_over = not (is_answered and pending.has_progress)
        if is_over and pending.ids:
            self._state.note(link.peer, "bodies-withheld")
        self.give_back(pending, link, is_over=is_over)
        link.batch = min(GET_IDS_MAX, link.batch * 2)

    def give_back(self, pending: Pending, link: Link, *, is_over: bool) -> None:
        """Put the outstanding bodies of a request back into the want table."""
        for envelope_id in pending.ids:
            self._state.want.again(envelope_id, link.peer, is_over=is_over)
            if is_over:
                link.direct_wanted.pop(envelope_id, None)
            self._touch_announcers(envelope_id)

    # --- intake has decided ---

    def decided(self, event: BodyDecided) -> None:
        """Apply intake's verdict to the entry. Besides `undecided` the only way out of IN_INTAKE."""
        state, envelope_id = self._state, event.envelope_id
        link = state.links.get(event.peer)
        match event.verdict:
            case PutVerdict.HELD:
                state.want.done(envelope_id)
            case PutVerdict.ALREADY_HELD:
                self._note_false_key(link, envelope_id)
                state.want.done(envelope_id)
            case PutVerdict.DEFERRED:
                state.want.done(envelope_id)
                if len(state.aside) < ASIDE_MAX:
                    state.aside[envelope_id] = None
            case PutVerdict.REFUSED:
                if event.reason in PROVABLE_FAULTS:
                    state.note(event.peer, event.reason)
                state.want.again(envelope_id, event.peer, is_over=True)
                if link is not None:
                    self._set_aside(link, envelope_id, _why(event.reason))
                self._touch_announcers(envelope_id)
        if link is not None:
            state.touch(link)

    def undecided(self, peer: PartnerId, envelope_id: EnvelopeId) -> None:
        """Put a body back that intake had no room for (disk full), and request nothing for NO_ROOM_PAUSE_SECONDS."""
        self._state.no_room_until = self._state.now + NO_ROOM_PAUSE_SECONDS
        self._state.want.again(envelope_id, peer, is_over=False)
        self._touch_announcers(envelope_id)

    def _note_false_key(self, link: Link | None, envelope_id: EnvelopeId) -> None:
        """Mark an id as unavailable that the peer announced with another date or shard than it is held with here."""
        want = self._state.want.get(envelope_id)
        if (
            link is None
            or want is None
            or want.stage is not Stage.IN_INTAKE
            or link.peer not in want.announcers
        ):
            return
        if not want.item.created and self._state.arrivals.item(envelope_id) is not None:
            return  # a comparison found it there, and it came here by another way meanwhile
        if key_of(want.item.created, envelope_id) not in self._state.index[shard_of(want.item)]:
            self._set_aside(link, envelope_id, Unavailable.FAULTY)

    def _set_aside(self, link: Link, envelope_id: EnvelopeId, why: Unavailable) -> None:
        if not link.add_unavailable(envelope_id, why, self._state.now):
            self._state.note(link.peer, "too-many-unavailable")


def _why(reason: str) -> Unavailable:
    """Returns for how long a body that was refused for `reason` is not asked for again."""
    if reason in PROVABLE_FAULTS:
        return Unavailable.FAULTY
    return Unavailable.LATER if reason in PASSING else Unavailable.BARRED
