"""Exchange: where the gossip engine, intake and the store meet.

The engine speaks of ids, the store has envelopes, intake verifies bytes. Here entries become events, bodies become
verdicts, and every envelope that leaves passes the one gate (`policy.admission.may_leave`), also when the engine itself
had asked for it: a mistake there must not be enough to leak.

`Exchange` has one position in the arrival log, `_reported_lsn`: entries above it were not reported to the engine yet. All
methods that move it, or write, run in the writer thread; the others in any thread.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from p2pshare.envelope.envelope import Mode
from p2pshare.envelope.knock import PlaceAsked
from p2pshare.envelope.member_list import read_list
from p2pshare.envelope.notice import is_notice
from p2pshare.errors import DiskFull, PeerError, StoreError
from p2pshare.gossip.events import (
    BodyDecided,
    ChainMissing,
    DeferralsEnded,
    EnvelopeHeld,
    FirstHopsLoaded,
    ItemsDropped,
    KeysLoaded,
    LinkConfig,
)
from p2pshare.gossip.index import key_of
from p2pshare.gossip.messages import AnnounceItem, PutVerdict, Shard
from p2pshare.gossip.moment import Moment
from p2pshare.gossip.negentropy.key_index import SortedKeys
from p2pshare.identifiers import CircleId, EnvelopeId, Epoch, PartnerId
from p2pshare.limits import (
    CLOCK_DOUBT_SECONDS,
    KIB,
    NOTICE_CLASS,
    QUOTA_RETRY_SECONDS,
    TTL_SECONDS_BY_CLASS,
)
from p2pshare.log.interface import EXPIRY_BEGINS, EnvelopeEntry
from p2pshare.node.node import Node
from p2pshare.partners.notices import NoticeEntry
from p2pshare.partners.pending import Draw, PendingRow
from p2pshare.partners.roster import Roster, RosterEntry
from p2pshare.policy.admission import carries, may_leave
from p2pshare.sharing import distrusting, revocation_walk
from p2pshare.sharing.intake import QUOTA, Arrival, IntakeStatus, IntakeVerdict, retry_deferred, take_in
from p2pshare.sharing.introducing import file_of, is_void, own_list, renew_own_lists, review, take_fetched
from p2pshare.sharing.notices import GAP, list_cards, take_in_chain
from p2pshare.sharing.partners import apply_card_update, load_roster, sift_card
from p2pshare.sharing.pending import admit_accepted, awaited_at, hear_place, note_place

logger = logging.getLogger(__name__)

ENTRIES_AT_ONCE = 1_000
CLOCK_NOTED_SECONDS = (
    60  # between two notes of the time in the store, for a life that begins with another clock
)
WATCH_STEP_SECONDS_MAX = (
    300  # from one look at a clock in doubt to the next; after a longer one the node was off, or slept
)
NOTICE_WEIGHT_BYTES = 512 * KIB  # of a card (17 ms on shared cores) or a page (32): 16 of them fill a batch

VERDICTS = {
    IntakeStatus.HELD: PutVerdict.HELD,
    IntakeStatus.ALREADY_HELD: PutVerdict.ALREADY_HELD,
    IntakeStatus.REFUSED: PutVerdict.REFUSED,
    IntakeStatus.DEFERRED: PutVerdict.DEFERRED,
}

LATER = frozenset({GAP, "card-from-the-future"})
"""Reasons for which a notice is refused that may be let in later: it is asked for again, as what had no room is."""


@dataclass(frozen=True, slots=True)
class ReceivedBody:
    """Bytes that `received_from` handed over under `envelope_id`; nothing of it is believed."""

    received_from: PartnerId
    envelope_id: EnvelopeId
    wire: bytes

    @property
    def weight(self) -> int:
        """Returns the bytes that it counts for where bodies take turns: a notice costs more to check than its size says."""
        return max(len(self.wire), NOTICE_WEIGHT_BYTES) if is_notice(self.wire) else len(self.wire)


@dataclass(frozen=True, slots=True)
class Outcome:
    """Outcome of one commit: arrivals in order of lsn, and a verdict for each body, in the order of the bodies."""

    held: tuple[EnvelopeHeld, ...]
    decided: tuple[BodyDecided, ...] = ()
    is_more_due: bool = False
    """Whether more may have expired, or be due of what was deferred: another sweep says."""
    makes_room: bool = False
    """Something has expired since envelopes were refused for their author's quota: they may be asked for again."""
    unread: tuple[tuple[int, int], ...] = ()
    """The lsn of each new envelope that is to be read, and how many bytes are sealed in it."""
    reads_again: bool = False
    """Whether content that waited for room may be read now."""
    dropped: ItemsDropped = ItemsDropped(())  # noqa: RUF009 - it is frozen
    missing: tuple[ChainMissing, ...] = ()
    refused_late: DeferralsEnded = DeferralsEnded(())  # noqa: RUF009 - it is frozen
    believed_clock: int | None = None
    """What a clock in doubt showed (unix seconds) and is believed from now on."""
    has_changed_roster: bool = False
    """Whether a partner's card is newer, a partner frozen, or more vouched for: roster and pins are to be read again, and
    what was refused may be let in."""


@dataclass(frozen=True, slots=True)
class Beginning:
    """Values with which an engine is made at the start of a daemon's life."""

    epoch: Epoch
    last_lsn: int
    card_version: int
    first_hops: FirstHopsLoaded
    clock_noted_at: int | None
    """What the clock showed to an earlier life (unix seconds)."""


class Exchange:
    """One per daemon's life. Raises what the store raises (StoreError, DiskFull) with nothing of the call kept."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._reported_lsn = 0
        self._is_quota_refused = False
        self._has_expired = False
        self._expired_to = EXPIRY_BEGINS
        self._room_reported_at = 0
        self._clock_noted_at = 0
        self._unnoted: dict[PartnerId, dict[EnvelopeId, None]] = {}
        """Our own envelopes that a partner holds, where that could not be written down yet."""
        self._roster: Roster | None = None

    # --- the writer thread ---

    def begin(self) -> Beginning:
        """Begin a life: a new epoch (docs/decisions/0004), in which everything up to now counts as reported to the engine."""
        store = self._node.store
        epoch = store.log.new_epoch()
        self._reported_lsn = store.log.last_lsn()
        first_hops = FirstHopsLoaded(tuple(map(_item, store.log.first_hops())))
        return Beginning(
            epoch,
            self._reported_lsn,
            self._node.identity.card.version,
            first_hops,
            store.log.clock_noted_at(),
        )

    def commit(self, bodies: Sequence[ReceivedBody], now: int, moment: Moment | None = None) -> Outcome:
        """Takes bodies in, in one transaction, and tells all that arrived, by others or published here. `now` is in unix seconds;
        `moment` says what is in doubt of it."""
        verdicts: list[IntakeVerdict] = []
        if bodies:
            arrivals = [Arrival(body.wire, body.received_from) for body in bodies]
            verdicts = take_in(self._node, arrivals, now, moment)
            self._is_quota_refused |= any(verdict.reason == QUOTA for verdict in verdicts)
            if any(verdict.reason in LATER for verdict in verdicts):
                self._is_quota_refused = self._has_expired = True
        received_from_by_id = {body.envelope_id: body.received_from for body in reversed(bodies)}
        after_all = [
            verdict.entry
            for verdict in verdicts
            if verdict.status is IntakeStatus.HELD
            and verdict.entry is not None
            and verdict.entry.lsn <= self._reported_lsn
        ]
        decided = tuple(
            _decided(body, verdict) for body, verdict in zip(bodies, verdicts, strict=bool(verdicts))
        )
        taken = [(body, verdict.notice) for body, verdict in zip(bodies, verdicts, strict=bool(verdicts))]
        notices = [(body, one) for body, one in taken if one is not None]
        return Outcome(
            self._news(received_from_by_id) + self._carried_after_all(after_all, received_from_by_id),
            decided,
            unread=_unread(verdicts),
            dropped=_forgotten([old for _, one in notices for old in one.dropped]),
            missing=tuple(
                ChainMissing(body.received_from, *one.missing) for body, one in notices if one.missing
            ),
            has_changed_roster=any(one.has_changed_roster for _, one in notices),
        )

    def sweep(self, now: int, moment: Moment | None = None) -> Outcome:
        """Drop a batch of what has expired, and when that was the last one take in a batch of what was deferred and is due, at
        `now` (unix seconds): in doubt, at the earliest that it may be."""
        moment = moment or Moment.certain(now)
        self._note_unnoted()
        if not moment.is_doubtful and abs(now - self._clock_noted_at) >= CLOCK_NOTED_SECONDS:
            self._node.store.log.note_clock(now)
            self._clock_noted_at = now
        elif moment.is_doubtful and (believed := self._watch_clock(now)) is not None:
            return Outcome(self._news({}), believed_clock=believed, is_more_due=True)
        earliest = int(moment.earliest)
        revoked = revocation_walk.step(self._node, now, earliest)
        if revoked.is_more_due:
            back = self._back(revoked.back)
            dropped = ItemsDropped(tuple(item for one in revoked.gone for item in self._keys_of(one)))
            return Outcome(back, is_more_due=True, reads_again=bool(back), dropped=dropped)
        if distrusting.step(self._node, now):
            return Outcome(self._news({}), is_more_due=True, reads_again=True)
        step = self._node.store.log.expire(earliest, self._expired_to)
        self._expired_to = step.place
        makes_room = self._makes_room(step.dropped, now)
        reads_again = bool(step.dropped and self._node.store.log.read_again())
        if step.is_more:
            return Outcome(self._news({}), makes_room=makes_room, is_more_due=True, reads_again=reads_again)
        taken_in: list[IntakeVerdict] = []
        try:
            taken_in = retry_deferred(self._node, earliest, moment)
        except DiskFull:
            logger.warning("deferred envelopes wait on: the disk is full")
        return Outcome(
            self._news({}),
            makes_room=makes_room,
            is_more_due=bool(taken_in),
            unread=_unread(taken_in),
            reads_again=reads_again,
            refused_late=DeferralsEnded(
                tuple(
                    one.envelope_id
                    for one in taken_in
                    if one.status is IntakeStatus.REFUSED and one.envelope_id is not None
                )
            ),
        )

    def _watch_clock(self, now: int) -> int | None:
        """Watch a clock in doubt over lives that are shorter than its hour: what it showed first is believed after an hour in which
        a node ran and the clock did not go back: returns it then. Else a machine that never runs for an hour would expire nothing, ever."""
        log = self._node.store.log
        watched = log.clock_watched()
        since, at, seconds = watched or (now, now, 0)
        if watched is not None and 0 <= now - at < CLOCK_NOTED_SECONDS:
            return None
        if now < at:
            since, seconds = now, 0
        elif now - at <= WATCH_STEP_SECONDS_MAX:
            seconds += now - at
        believed: int | None = None
        if seconds >= CLOCK_DOUBT_SECONDS:
            if since > (log.clock_noted_at() or 0):
                log.note_clock(since)
                believed = since
            since, seconds = now, 0
        log.watch_clock(since, now, seconds)
        return believed

    def _makes_room(self, expired: int, now: int) -> bool:
        """Returns whether envelopes refused for a quota may be asked for again. Not with each sweep: a flood whose parts
        expire one by one would be downloaded again and again."""
        self._has_expired = self._is_quota_refused and (self._has_expired or expired > 0)
        if not self._has_expired or abs(now - self._room_reported_at) < QUOTA_RETRY_SECONDS:
            return False
        self._is_quota_refused, self._has_expired, self._room_reported_at = False, False, now
        return True

    def _news(self, received_from_by_id: Mapping[EnvelopeId, PartnerId]) -> tuple[EnvelopeHeld, ...]:
        """Returns the entries of the arrival log above `_reported_lsn`, and moves it behind them."""
        news: list[EnvelopeHeld] = []
        after = self._reported_lsn
        while entries := self._node.store.log.entries(self._reported_lsn, ENTRIES_AT_ONCE):
            self._reported_lsn = entries[-1].lsn
            news += [self._held(entry, received_from_by_id.get(entry.envelope_id)) for entry in entries]
        while notices := self._node.store.notices.entries(after, ENTRIES_AT_ONCE):
            after = notices[-1].lsn
            news += [
                self._held_notice(one, received_from_by_id.get(EnvelopeId(one.notice_id))) for one in notices
            ]
        self._reported_lsn = max(self._reported_lsn, after)
        return tuple(sorted(news, key=lambda one: one.lsn))

    def _carried_after_all(
        self, entries: Sequence[EnvelopeEntry], received_from_by_id: Mapping[EnvelopeId, PartnerId]
    ) -> tuple[EnvelopeHeld, ...]:
        """Returns what came by gossip after a partner had handed it on: each takes a place in the arrival log anew."""
        held: list[EnvelopeHeld] = []
        for entry in entries:
            self._reported_lsn = self._node.store.log.next_lsn()
            one = self._held(entry, received_from_by_id.get(entry.envelope_id))
            held.append(replace(one, lsn=self._reported_lsn))
        return tuple(held)

    def _held(self, entry: EnvelopeEntry, received_from: PartnerId | None) -> EnvelopeHeld:
        direct_to: tuple[PartnerId, ...] | None = None
        if entry.mode == Mode.DIRECT:
            ends = set(self._node.store.log.audience(entry.envelope_id) if entry.is_own else ())
            if entry.is_own and received_from is not None:
                ends.add(received_from)  # it is in the shard of that pair, whatever we know of its audience
            direct_to = tuple(sorted(ends))
        return EnvelopeHeld(entry.lsn, _item(entry), entry.author, received_from, entry.is_own, direct_to)

    def _held_notice(self, one: NoticeEntry, received_from: PartnerId | None) -> EnvelopeHeld:
        own_id = self._node.identity.partner_id
        partners = (row.partner_id for row in self._node.store.partners.all()) if one.page else ()
        pair = [peer for peer in partners if one.circle == CircleId.of_pair(own_id, peer)]
        is_own = one.author == own_id
        direct_to = tuple(pair if is_own else ()) if pair else None
        return EnvelopeHeld(one.lsn, _notice_item(one), one.author, received_from, is_own, direct_to)

    def _back(self, ids: Sequence[EnvelopeId]) -> tuple[EnvelopeHeld, ...]:
        """Returns what is new, and behind it these, which are in effect again: each takes a place in the arrival log anew."""
        news = list(self._news({}))
        for envelope_id in ids:
            entry = self._node.store.log.entry(envelope_id)
            if entry is not None:
                self._reported_lsn = self._node.store.log.next_lsn()
                news.append(replace(self._held(entry, None), lsn=self._reported_lsn))
        return tuple(news)

    def _keys_of(self, envelope_id: EnvelopeId) -> list[AnnounceItem]:
        """Returns the keys under which gossip knows an envelope: a direct one stands in the shard of each pair."""
        entry = self._node.store.log.entry(envelope_id)
        if entry is None or entry.mode != Mode.DIRECT:
            return [] if entry is None else [_item(entry)]
        own_id = self._node.identity.partner_id
        others = self._node.store.log.audience(envelope_id) if entry.is_own else [entry.author]
        return [replace(_item(entry), circle=CircleId.of_pair(own_id, other)) for other in others]

    def list_notices(self) -> ItemsDropped:
        """Bring the cards that go round up to date with roster and cards; returns what gossip is to forget. What is new is
        reported with the next commit."""
        return _forgotten(list_cards(self._node))

    def own_notices(self) -> frozenset[EnvelopeId]:
        """Returns the ids under which our own newest card goes round. In any thread."""
        own = self._node.store.notices.cards([self._node.identity.partner_id])
        return frozenset(EnvelopeId(one.notice_id) for one in own)

    def apply_chain(
        self,
        author: PartnerId,
        circle: CircleId,
        raw: bytes,
        now: int,
        moment: Moment | None = None,
    ) -> tuple[bool, ItemsDropped]:
        """Take every version of a card of which a notice of `circle` told; returns whether the roster changed, and what gossip
        is to forget. Raises PeerError with its reason."""
        is_changed, dropped = take_in_chain(self._node, author, circle, raw, now, moment)
        return is_changed, _forgotten(dropped)

    def acknowledge(self, peer: PartnerId, ids: Collection[EnvelopeId]) -> None:
        """Note that the peer holds these: our own among them have left. Those of other authors are not ours to note. What cannot
        be noted, for the disk is full, is kept and noted by a later sweep: nobody says it twice."""
        log = self._node.store.log
        entries = ((one, log.entry(one)) for one in ids)
        own = [one for one, entry in entries if entry is not None and entry.is_own]
        try:
            with self._node.store.transaction(frees_space=True):
                for envelope_id in own:
                    log.acknowledge(envelope_id, peer)
        except StoreError:
            self._unnoted.setdefault(peer, {}).update(dict.fromkeys(own))
            raise

    def _note_unnoted(self) -> None:
        """Note some of the acknowledgements that could not be noted when they came."""
        for peer, waiting in list(self._unnoted.items()):
            some = list(waiting)[:ENTRIES_AT_ONCE]
            try:
                self.acknowledge(peer, some)
            except StoreError:
                return
            for envelope_id in some:
                del waiting[envelope_id]
            if not waiting:
                del self._unnoted[peer]

    def note_exchanges(self, instants: Mapping[PartnerId, int]) -> None:
        """Note when partners last answered us or spoke to us (unix seconds)."""
        with self._node.store.transaction():
            for peer, at in sorted(instants.items()):
                self._node.store.partners.touch(peer, at)

    def note_jump(self, at: int, seconds: int) -> None:
        """Note that the clock jumped by `seconds` and shows `at` since (unix seconds)."""
        self._node.store.log.note_jump(at, seconds)

    def note_reading_failed(self) -> None:
        """Count a fault of ours that kept content from being read."""
        self._node.store.partners.count_refusals(None, {"content-internal-error": 1})

    def apply_card(self, peer: PartnerId, raw: bytes, now: int, moment: Moment | None = None) -> bool:
        """Take the peer's own newer card at `now` (unix seconds), which `moment` may put in doubt, or the first one of somebody whom a person has
        accepted; returns whether the roster changed. Raises PeerError with its reason."""
        try:
            if admit_accepted(self._node, raw, peer, now) is not None:
                return True
            return apply_card_update(self._node, peer, raw, now, moment)
        except PeerError as error:
            logger.warning("the newer card of %s is not accepted: %s", peer.short, error.reason)
            raise

    def has_met(self, peer: PartnerId) -> bool:
        """Returns whether the partner ever answered us or spoke to us. In any thread."""
        return peer in self._node.store.partners.last_exchanges()

    def sift_card(
        self, raw: bytes, expected: PartnerId | None, now: int, moment: Moment | None = None
    ) -> tuple[PartnerId, bytes]:
        """Returns whose card file this is, and the part of it that is new (`sharing.partners.sift_card`); all of the first one of somebody
        whom a person has accepted. In any thread."""
        return sift_card(self._node, raw, expected=expected, now=now, moment=moment)

    def take_members(
        self, introducer: PartnerId, circle: CircleId, raw: bytes, now: int, moment: Moment
    ) -> bool:
        """Take the list that a linked introducer gave out; returns whether it is a new one. In the writer thread."""
        return take_fetched(self._node, introducer, circle, raw, now, moment)

    def review(self, now: int) -> bool:
        """Renew our own lists, and review what introductions come to; returns whether anything changed. In the writer thread."""
        is_new = renew_own_lists(self._node, now)
        return review(self._node, now) or is_new

    def hear_place(self, place: PlaceAsked, nonce: bytes) -> bool:
        """Returns whether a person is to see who asks for a place (`sharing.pending.hear_place`). In any thread."""
        return hear_place(self._node, place, nonce)

    def note_place(self, place: PlaceAsked, address: str, address_group: str, draw: Draw, now: int) -> None:
        """Note who asks for a place, at `now` (unix seconds). Raises StoreError."""
        note_place(self._node, place, address, address_group, draw, now)

    def awaited_at(self) -> list[PendingRow]:
        """Returns where those whom a person accepted may be dialled, as they said (`sharing.pending.awaited_at`). In any thread."""
        return awaited_at(self._node)

    def outbox(self, peer: PartnerId, limit: int) -> tuple[AnnounceItem, ...]:
        """Returns at most `limit` direct envelopes that wait for the peer, oldest first. In the writer thread: after what
        was acknowledged."""
        return tuple(_item(entry) for entry in self._node.store.log.outbox(peer, limit))

    # --- any thread ---

    def roster(self) -> Roster:
        """Returns the roster as it is now. What may leave is decided by the roster that was read last: a change must have
        it read again."""
        self._roster = load_roster(self._node)
        return self._roster

    def keys(self, circles: Collection[CircleId]) -> list[KeysLoaded]:
        """Returns the keys that the store has seen of these circles, a shard (circle and ttl class) each; sorted here,
        not in the event loop that takes them over."""
        return [
            KeysLoaded(
                shard,
                SortedKeys(key_of(*key) for key in self._node.store.log.keys(shard.circle, shard.ttl_class)),
            )
            for shard in (
                Shard(circle, ttl) for circle in sorted(circles) for ttl in sorted(TTL_SECONDS_BY_CLASS)
            )
        ] + [loaded for circle in sorted(circles) if (loaded := self._notice_keys(circle)).keys]

    def _notice_keys(self, circle: CircleId) -> KeysLoaded:
        keys = self._node.store.notices.keys(circle)
        return KeysLoaded(
            Shard(circle, NOTICE_CLASS), tuple(key_of(created, EnvelopeId(one)) for created, one in keys)
        )

    def pair_keys(self, peer: PartnerId) -> list[KeysLoaded]:
        """Returns the keys of the direct envelopes between the peer and us, a shard each."""
        circle = CircleId.of_pair(self._node.identity.partner_id, peer)
        by_class: dict[int, list[bytes]] = {}
        for ttl_class, created, envelope_id in self._node.store.log.direct_keys(peer):
            by_class.setdefault(ttl_class, []).append(key_of(created, envelope_id))
        direct = [KeysLoaded(Shard(circle, ttl_class), tuple(keys)) for ttl_class, keys in by_class.items()]
        pages = self._notice_keys(circle)
        return [*direct, pages] if pages.keys else direct

    def wires(self, peer: PartnerId, ids: Sequence[EnvelopeId]) -> Iterator[tuple[EnvelopeId, bytes | None]]:
        """Yields each id with its bytes; None both for an envelope that is not held and for one that this peer may not
        have."""
        roster = self._roster or self.roster()
        for envelope_id in ids:
            yield envelope_id, self._wire(roster, peer, envelope_id)

    def wire(self, peer: PartnerId, envelope_id: EnvelopeId) -> bytes | None:
        """Returns the bytes when they are held and may leave on this link, else None."""
        return self._wire(self._roster or self.roster(), peer, envelope_id)

    def _wire(self, roster: Roster, peer: PartnerId, envelope_id: EnvelopeId) -> bytes | None:
        store, link = self._node.store, roster.get(peer)
        entry = store.log.entry(envelope_id)
        if link is None:
            return None
        if entry is None:
            return self._notice(link, envelope_id)
        is_direct = entry.mode == Mode.DIRECT
        is_allowed = may_leave(
            mode=Mode(entry.mode),
            circle=entry.circle,
            link=link,
            is_own=entry.is_own,
            is_home=entry.author == peer,
            direct_recipients=store.log.audience(envelope_id).keys() if is_direct else (),
        )
        return store.log.wire(envelope_id) if is_allowed else None

    def _notice(self, link: RosterEntry, notice_id: EnvelopeId) -> bytes | None:
        store, own_id = self._node.store, self._node.identity.partner_id
        one = store.notices.entry(notice_id)
        if one is None or not link.has_link:
            return None
        is_for_pair = one.author == own_id and one.circle == CircleId.of_pair(own_id, link.partner_id)
        return store.notices.raw(notice_id) if is_for_pair or carries(link, one.circle) else None

    def chain(self, peer: PartnerId, partner: PartnerId) -> bytes | None:
        """Returns every version of a partner's card, which goes round in a circle of this link; else None."""
        roster = self._roster or self.roster()
        link, entry = roster.get(peer), roster.get(partner)
        if link is None or not (
            any(carries(link, one.circle) for one in self._node.store.notices.cards([partner]))
            or self._is_introduced_to(link, partner)
        ):
            return None
        if partner == roster.own_id:
            return self._node.card.raw
        return None if entry is None else entry.card.raw

    def _is_introduced_to(self, link: RosterEntry, partner: PartnerId) -> bool:
        """Returns whether a partner is on a member list of ours that this link may have."""
        own = self._node.card.partner_id
        lists = (self._node.store.introductions.list_of(own, circle) for circle in link.circles)
        return link.has_link and any(
            held is not None and read_list(held.raw).member(partner) is not None for held in lists
        )

    def members(self, peer: PartnerId, circle: CircleId, now: int) -> bytes | None:
        """Returns our newest member list of a circle that this link carries, unless it has expired; else None."""
        link = (self._roster or self.roster()).get(peer)
        listed = own_list(self._node, circle, now)
        return listed.raw if listed is not None and link is not None and carries(link, circle) else None

    def introducers(self, now: int) -> list[tuple[PartnerId, CircleId, bool]]:
        """Returns whose lists of which circles are held here, ours left out; and whether a list counts no more at `now` (unix
        seconds), since it has expired or its key is revoked: its introducer signs another one."""
        roster = self._roster or self.roster()
        return [
            (one.introducer, one.circle, is_void(roster.get(one.introducer), one, now))
            for one in self._node.store.introductions.lists()
            if one.introducer != roster.own_id
        ]

    def cards_missing(self, list_raw: bytes) -> list[PartnerId]:
        """Returns who is on a list, whatever it is worth, and no partner here. Raises PeerError."""
        roster = self._roster or self.roster()
        listed = [one.partner_id for one in read_list(list_raw).members]
        return [one for one in listed if one != roster.own_id and roster.get(one) is None]

    def introduction_file(self, list_raw: bytes, cards: Sequence[bytes]) -> bytes:
        """Returns the file of a list and as many of the card files as it has room for."""
        return file_of(list_raw, cards)


def links_of(roster: Roster) -> tuple[LinkConfig, ...]:
    """Returns the links that policy decided on, as the engine takes them."""
    return tuple(
        LinkConfig(
            entry.partner_id,
            entry.circles,
            bool(entry.card.urls),
            entry.card.version,
            CircleId.of_pair(roster.own_id, entry.partner_id),
        )
        for entry in roster.links()
    )


def _unread(verdicts: Sequence[IntakeVerdict]) -> tuple[tuple[int, int], ...]:
    return tuple(
        (verdict.entry.lsn, verdict.content_bytes)
        for verdict in verdicts
        if verdict.status is IntakeStatus.HELD and verdict.entry is not None
    )


def _item(entry: EnvelopeEntry) -> AnnounceItem:
    return AnnounceItem(entry.envelope_id, entry.created, entry.ttl_class, entry.circle, entry.size)


def _notice_item(one: NoticeEntry) -> AnnounceItem:
    return AnnounceItem(EnvelopeId(one.notice_id), one.created, NOTICE_CLASS, one.circle, one.size)


def _forgotten(dropped: Sequence[NoticeEntry]) -> ItemsDropped:
    return ItemsDropped(tuple(map(_notice_item, dropped)))


def _decided(body: ReceivedBody, verdict: IntakeVerdict) -> BodyDecided:
    """Returns intake's verdict as the engine takes it: about the id that was asked for, whatever the bytes were."""
    if verdict.envelope_id is not None and verdict.envelope_id != body.envelope_id:
        return BodyDecided(body.received_from, body.envelope_id, PutVerdict.REFUSED, "other-bytes")
    return BodyDecided(body.received_from, body.envelope_id, VERDICTS[verdict.status], verdict.reason)
