"""The state that the engine keeps of one linked peer. Small on purpose: a peer that is away costs this and no more."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from enum import Enum

from p2pshare.gossip.events import LinkConfig
from p2pshare.gossip.messages import AnnounceItem, Shard, ShardRoot
from p2pshare.gossip.protocol import AnyVerb
from p2pshare.gossip.states import TRANSITIONS, Cause, State
from p2pshare.identifiers import EnvelopeId, Epoch, PartnerId
from p2pshare.limits import (
    BACKOFF_SECONDS_MAX,
    BACKOFF_SECONDS_MIN,
    FETCH_SECONDS_MIN,
    GET_IDS_MAX,
    REQUESTS_IN_FLIGHT_PER_PEER_MAX,
    ROUND_TRIP_SECONDS_MAX,
    UNAVAILABLE_PER_LINK_MAX,
)

NEVER = float("inf")
ANEW_SECONDS = (
    900.0  # after this all that was given up on a link is tried anew: as long as two stores are apart at most
)
SIGN_SECONDS = 10.0  # between two signs of a peer's that are followed: each costs it a line, and us a request for all it named
LATER_SECONDS = 3_600.0  # after this a body that was refused for a reason of the moment is asked for again
ROUND_TRIP_WEIGHT = 0.125  # RFC 6298 section 2


@dataclass(slots=True)
class Pending:
    """A request of ours that has not ended. `ids` are bodies still awaited or under way."""

    number: int
    verb: AnyVerb
    began_at: float
    ids: dict[EnvelopeId, None] = field(default_factory=dict)
    deadline: float = NEVER
    to_lsn: int | None = None
    """Of an announcement: the `lsn` of its last arrival; None for a repair (items that a comparison found missing)."""
    since: int = 0
    """Of a poll: the count that it asked from."""
    has_progress: bool = False
    moved_at: float = -NEVER
    """Instant when a body of it came last, or when it began."""
    is_waited_for: bool = False
    """Whether it is late and goes on, because no other peer can be asked."""


@dataclass(frozen=True, slots=True)
class PendingPoll:
    """A long poll of the peer that waits for news, until the instant `until` (seconds) at the latest."""

    ticket: int
    until: float


class Unavailable(Enum):
    """Why an id is not asked of a peer again, and with that until when."""

    GONE = "the peer named it and did not have it, or not for us: it costs a line to ask again"
    FAULTY = "its body was wrong; another life of the peer may have the right one"
    LATER = "it was refused for a reason that passes with time"
    BARRED = "it was refused by our roster, configuration or quota: until one of these changes"


@dataclass(slots=True)
class Link:
    """The link to one peer. Instants are in seconds; NEVER where nothing is due."""

    config: LinkConfig
    state: State = State.WAITING

    # reaching it
    retry_at: float = 0.0
    tried_at: float = -NEVER
    answered_at: float = -NEVER
    failures: int = 0
    resume_at: float = NEVER
    hello_at: float = NEVER
    round_trip_seconds: float = 0.0
    batch: int = GET_IDS_MAX
    pending: dict[int, Pending] = field(default_factory=dict)
    card_asked: int = 0
    has_card_again: bool = False
    """Whether the card that was asked for was refused for a reason that passes with time."""
    chain_asked_at: float = -NEVER

    # announced to it, and by it
    reported: int = 0
    """Number of items announced to the peer and acknowledged: the count on the wire, for this link alone."""
    poll_reported: tuple[int, int] = (0, 0)
    poll_before: tuple[int, int] = (0, 0)
    """Of its polls: a count on the wire and the `lsn` it stands for; those of the last answer, and of the one before."""
    cursor: int = 0
    acked_lsn: int = 0
    announce_at: float = NEVER
    announced_at: float = -NEVER
    epoch: Epoch | None = None
    heard_epoch: Epoch | None = None
    heard_count: int = 0
    pushes: deque[EnvelopeId] = field(default_factory=deque)
    expected: dict[EnvelopeId, float] = field(default_factory=dict)
    has_outbox: bool = True
    is_outbox_read_under_way: bool = False
    declined: dict[EnvelopeId, float] = field(default_factory=dict)
    """Envelopes of ours that the peer refused, and when it may be handed them again."""
    awaited: dict[EnvelopeId, AnnounceItem] = field(default_factory=dict)
    """Direct envelopes of ours for this peer that were not acknowledged, as far as they were read from the store."""
    named_at: dict[EnvelopeId, float] = field(default_factory=dict)
    """When an answer to its poll named each of these last."""
    said_held: frozenset[EnvelopeId] = frozenset()
    """What its last poll said to hold and was not awaited here."""
    asker: PendingPoll | None = None
    poll_at: float = 0.0
    direct_wanted: dict[EnvelopeId, None] = field(default_factory=dict)
    direct_held: dict[EnvelopeId, None] = field(default_factory=dict)
    """Direct envelopes that a poll named: those still wanted, and those held but not reported to the peer yet."""

    # comparing with it
    compare_at: float = NEVER
    compare_by: float = NEVER
    audit_at: float = NEVER
    audit_answered_at: float = -NEVER
    pause_seconds: float = 0.0
    unavailable: dict[EnvelopeId, tuple[Unavailable, float]] = field(default_factory=dict)
    """Ids that this peer is not asked for: why, and since when."""
    heard_roots: frozenset[ShardRoot] = frozenset()
    """The roots in its last hello."""
    clock_offset: int | None = None
    """By how many seconds the peer's clock was ahead of ours in its last hello; negative where it was behind.
    None where it has told none since ours was put in doubt."""
    foreign_circles: int = 0
    """How many circles its last hello told that this link does not carry, where it told not all of ours either: names that are
    spelt differently, mostly. The card of who speaks goes round in each of its circles, so none is empty."""
    offered_sum: int = 0
    exhausted: dict[Shard, tuple[bytes, bytes]] = field(default_factory=dict)
    """Pairs of roots that differ only by unavailable envelopes and by those that the peer refused."""
    anew_at: float = NEVER
    """When what was given up on this link is tried anew."""
    sign_at: float = -NEVER
    sign_reasons: frozenset[Unavailable] = frozenset()
    is_offered_again: bool = False
    """When a sign of the peer's was followed last; for what one that came too soon after it is followed later, and whether what
    the peer refused is then offered again."""
    sync_steps: tuple[int, int] = (0, 0)
    """A minute, and the number of steps of work that the peer has cost in it."""

    # a deadline that is in the engine's timer heap
    timer_at: float = NEVER
    faults: Counter[str] = field(default_factory=Counter)

    @property
    def peer(self) -> PartnerId:
        return self.config.peer

    @property
    def is_open(self) -> bool:
        """Returns whether the peer may be sent a request now."""
        return self.state is State.CONNECTED and self.config.is_dialable

    def move(self, cause: Cause) -> None:
        self.state = TRANSITIONS[self.state, cause]

    def may_send(self, verb: AnyVerb) -> bool:
        """Returns whether one more request of this verb is within the limits."""
        of_verb = sum(one.verb is verb for one in self.pending.values())
        return of_verb < verb.in_flight_max and len(self.pending) < REQUESTS_IN_FLIGHT_PER_PEER_MAX

    def has_pending(self, verb: AnyVerb) -> bool:
        return any(one.verb is verb for one in self.pending.values())

    def note_round_trip(self, seconds: float) -> None:
        """Note a round trip. Bounded: a peer that answers slowly on purpose must not slow down announcements to others."""
        seconds = min(seconds, ROUND_TRIP_SECONDS_MAX)
        if not self.round_trip_seconds:
            self.round_trip_seconds = seconds
        self.round_trip_seconds += ROUND_TRIP_WEIGHT * (seconds - self.round_trip_seconds)

    @property
    def patience_seconds(self) -> float:
        """Returns how long (seconds) a first byte may take before another peer is asked."""
        return max(FETCH_SECONDS_MIN, 4 * self.round_trip_seconds)

    def back_off(self, now: float, random: Callable[[], float]) -> None:
        """Set the next try after a failure, with full jitter (Brooker, "Exponential Backoff and Jitter").

        It is anywhere below a bound that doubles; `random` gives a number from 0 to 1.
        """
        self.failures += 1
        bound = min(BACKOFF_SECONDS_MAX, BACKOFF_SECONDS_MIN * 2 ** min(self.failures - 1, 16))
        self.retry_at = now + bound * random()

    def clear_back_off(self, now: float) -> None:
        """Try again soon, but no more than once a second: the peer has sent a request, so it is reachable."""
        self.failures = 0
        self.retry_at = min(self.retry_at, max(now, self.tried_at + BACKOFF_SECONDS_MIN))

    # --- what was given up for now ---

    def add_unavailable(self, envelope_id: EnvelopeId, why: Unavailable, now: float) -> bool:
        """Mark an id as unavailable on this link; returns False when there is no room, which is the peer's fault."""
        if len(self.unavailable) >= UNAVAILABLE_PER_LINK_MAX:
            return False
        self.unavailable[envelope_id] = (why, now)
        self.give_up(now)
        return True

    def decline(self, envelope_id: EnvelopeId, now: float) -> None:
        """Note that the peer refused an envelope of ours: it is offered again when the reason may have passed."""
        if len(self.declined) < UNAVAILABLE_PER_LINK_MAX:
            self.declined[envelope_id] = now + LATER_SECONDS
            self.give_up(now)

    def give_up(self, now: float) -> None:
        """Note that something was given up for now: in a while it is tried anew."""
        self.anew_at = min(self.anew_at, now + ANEW_SECONDS)

    def ask_again(self, reasons: Collection[Unavailable]) -> bool:
        """Forget what is unavailable for one of these reasons, and that nothing was left to compare; returns whether there
        was any."""
        again = [one for one, (why, _) in self.unavailable.items() if why in reasons]
        for envelope_id in again:
            del self.unavailable[envelope_id]
        if again:
            self.exhausted.clear()
        return bool(again)

    def named_anew(self, ids: Iterable[EnvelopeId]) -> None:
        """Ask for those of `ids` again that were gone: the peer says that it has them."""
        for envelope_id in ids:
            if self.unavailable.get(envelope_id, (None, 0.0))[0] is Unavailable.GONE:
                del self.unavailable[envelope_id]

    def begin_anew(self, reasons: Collection[Unavailable]) -> None:
        """Forget what is unavailable for one of these reasons, what the peer refused, and that nothing was left to compare."""
        self.ask_again(reasons)
        self.declined.clear()
        self.exhausted.clear()
        self.offered_sum = 0

    def follow_sign(self, reasons: Collection[Unavailable], now: float, *, offers_again: bool) -> None:
        """Ask again for what is unavailable for one of these reasons, and with `offers_again` begin anew: the peer gave a sign
        that they may be over. One that comes within SIGN_SECONDS of another is followed at their end."""
        is_any = any(why in reasons for why, _ in self.unavailable.values())
        if not (is_any or (offers_again and (self.declined or self.exhausted))):
            return
        if now < self.sign_at + SIGN_SECONDS:
            self.sign_reasons |= frozenset(reasons)
            self.is_offered_again |= offers_again
            self.anew_at = min(self.anew_at, self.sign_at + SIGN_SECONDS)
            return
        self.sign_at = now
        if offers_again:
            self.begin_anew(reasons)
        else:
            self.ask_again(reasons)

    def try_anew(self, now: float) -> None:
        """Forget what was given up so long ago that it may have changed without a sign, and follow a sign that came too soon."""
        if self.sign_reasons:
            self.ask_again(self.sign_reasons)
            if self.is_offered_again:
                self.declined.clear()
            self.sign_at, self.sign_reasons, self.is_offered_again, self.offered_sum = (
                now,
                frozenset(),
                False,
                0,
            )
        self.ask_again((Unavailable.GONE,))
        if self.has_card_again:
            self.card_asked, self.has_card_again = 0, False
        for envelope_id, (why, since) in list(self.unavailable.items()):
            if why is Unavailable.LATER and since + LATER_SECONDS <= now:
                del self.unavailable[envelope_id]
        self.declined = {one: until for one, until in self.declined.items() if until > now}
        self.exhausted.clear()
        is_left = self.declined or any(why is Unavailable.LATER for why, _ in self.unavailable.values())
        self.anew_at = now + ANEW_SECONDS if is_left else NEVER
