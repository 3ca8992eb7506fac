"""A store stand-in in memory, for worlds of hundreds of partners: the bytes of an envelope are held once for all.

Only scenarios with `store = "memory"` use it; all others run the product's store. It keeps the envelopes, accounts and
rows that the exchange, intake and the invariants ask for and nothing of content, and a crash of the process costs it
nothing: these worlds show how the engine spreads and how fast, not that a disk is durable.
"""

from __future__ import annotations

import sys
from bisect import bisect_right
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from p2pshare.envelope.envelope import NO_PREVIOUS, Mode
from p2pshare.identifiers import CircleId, EnvelopeId, Epoch, NoticeId, PartnerId
from p2pshare.knowledge.interface import NewFrame
from p2pshare.limits import EXPIRED_KEY_KEEP_SECONDS
from p2pshare.log.interface import (
    EXPIRY_BEGINS,
    AuthorState,
    DeferredEnvelope,
    EnvelopeEntry,
    EnvelopeOrigin,
    ExpiryPlace,
    ExpiryStep,
    NewEnvelope,
    SequenceFork,
    Stored,
)
from p2pshare.partners.interface import Account, PartnerRow
from p2pshare.partners.notices import NoticeEntry, RevocationRow
from simulator.watched_disk import Watched


@dataclass
class _Held:
    """One envelope."""

    entry: EnvelopeEntry
    wire: bytes | None
    audience: dict[PartnerId, bool] = field(default_factory=dict)
    awaits_first_hop: bool = False
    received_from: PartnerId | None = None


class MemoryLog:
    """A stand-in for `EnvelopeLog`; see there for what each method promises."""

    def __init__(self, own_id: PartnerId) -> None:
        self._own_id = own_id
        self._held: dict[EnvelopeId, _Held] = {}
        self._log: list[_Held] = []
        self._lsns: list[int] = []
        self._last_lsn = 0
        self._chain = AuthorState(1, 0, NO_PREVIOUS)
        self._epochs = 0
        self._deferred: dict[EnvelopeId, tuple[int, bytes, PartnerId | None]] = {}

    def new_epoch(self) -> Epoch:
        self._epochs += 1
        return Epoch(self._own_id[:8] + self._epochs.to_bytes(8, "big"))

    def author_state(self, now: int) -> AuthorState:
        return self._chain

    # --- envelopes ---

    def add(self, arrivals: Sequence[NewEnvelope]) -> list[Stored]:
        return [self._add(one) for one in arrivals]

    def _add(self, arrival: NewEnvelope) -> Stored:
        known = self._held.get(arrival.envelope_id)
        if known is not None:
            return Stored(known.entry, None)
        core = arrival.core
        self._last_lsn += 1
        is_own = core.author == self._own_id
        entry = EnvelopeEntry.of(self._last_lsn, arrival, is_own=is_own)
        audience = {partner: partner == arrival.received_from for partner in arrival.audience}
        held = _Held(entry, arrival.wire, audience, arrival.awaits_first_hop, arrival.received_from)
        self._held[arrival.envelope_id] = held
        self._log.append(held)
        self._lsns.append(self._last_lsn)
        if arrival.received_from is None:
            self._chain = AuthorState(core.incarnation, core.sequence, arrival.envelope_id)
        numbers = (core.incarnation, core.sequence)
        source = EnvelopeOrigin(
            entry.lsn, 0, *numbers, arrival.envelope_id, core.created, arrival.received_at, is_own
        )
        return Stored(entry, source)

    def next_unread(
        self, after_author: int, without: Collection[int] = (), without_authors: Collection[int] = ()
    ) -> None:
        """Content is not read here."""

    def is_seen(self, ids: Collection[EnvelopeId]) -> set[EnvelopeId]:
        return {one for one in ids if one in self._held}

    def entry(self, envelope_id: EnvelopeId) -> EnvelopeEntry | None:
        held = self._held.get(envelope_id)
        return None if held is None else held.entry

    def entries(self, after_lsn: int, limit: int) -> list[EnvelopeEntry]:
        begin = bisect_right(self._lsns, after_lsn)
        return [held.entry for held in self._log[begin : begin + limit] if held.wire is not None]

    def last_lsn(self) -> int:
        return self._last_lsn

    def wire(self, envelope_id: EnvelopeId) -> bytes | None:
        held = self._held.get(envelope_id)
        return None if held is None else held.wire

    def keys(self, circle: CircleId, ttl_class: int) -> Iterator[tuple[int, EnvelopeId]]:
        yield from sorted(
            (held.entry.created, held.entry.envelope_id)
            for held in self._log
            if (held.entry.circle, held.entry.ttl_class, held.entry.mode) == (circle, ttl_class, Mode.RELAY)
        )

    def expire(self, now: int, after: ExpiryPlace = EXPIRY_BEGINS) -> ExpiryStep:
        """Drops all at once: few envelopes wait here."""
        due = [held for held in self._log if held.entry.expires <= now and held.wire is not None]
        for held in due:
            held.wire, held.awaits_first_hop = None, False
        kept = [held for held in self._log if held.entry.expires > now - EXPIRED_KEY_KEEP_SECONDS]
        if len(kept) < len(self._log):
            self._log, self._lsns = kept, [held.entry.lsn for held in kept]
            self._held = {held.entry.envelope_id: held for held in kept}
        return ExpiryStep(len(due), after, is_more=False)

    def carried(self) -> dict[tuple[PartnerId, CircleId], int]:
        """Returns nothing: sizes are not counted here, see `quota_bytes`."""
        return {}

    def quota_bytes(self) -> int:
        """Returns room for everything."""
        return sys.maxsize

    def is_deferred(self, envelope_id: EnvelopeId) -> bool:
        return envelope_id in self._deferred

    def clock_noted_at(self) -> int | None:
        return None

    def note_clock(self, now: int) -> None:
        """Do nothing: clocks are right in these worlds."""

    def clock_watched(self) -> tuple[int, int, int] | None:
        return None

    def watch_clock(self, since: int, at: int, seconds: int) -> None:
        """Do nothing, as `note_clock`."""

    def defer(
        self, envelope_id: EnvelopeId, wire: bytes, received_from: PartnerId | None, created: int
    ) -> bool:
        self._deferred[envelope_id] = (created, wire, received_from)
        return True

    def due_deferred(self, now: int, limit: int, bytes_max: int) -> list[DeferredEnvelope]:
        due = [one for one, (created, _, _) in sorted(self._deferred.items()) if created <= now][:limit]
        return [DeferredEnvelope(one, *self._deferred[one][1:], 0) for one in due]

    def begin_deferred(self, ids: Iterable[EnvelopeId]) -> None:
        """Do nothing: no attempt fails here."""

    def drop_deferred(self, ids: Iterable[EnvelopeId]) -> None:
        for one in ids:
            del self._deferred[one]

    # --- what is to be delivered ---

    def acknowledge(self, envelope_id: EnvelopeId, partner: PartnerId) -> None:
        if partner in self._held[envelope_id].audience:
            self._held[envelope_id].audience[partner] = True
        self._held[envelope_id].awaits_first_hop = False

    def outbox(self, partner: PartnerId, limit: int = -1) -> list[EnvelopeEntry]:
        waiting = [held.entry for held in self._log if held.wire and not held.audience.get(partner, True)]
        return waiting if limit < 0 else waiting[:limit]

    def audience(self, envelope_id: EnvelopeId) -> Mapping[PartnerId, bool]:
        return self._held[envelope_id].audience

    def direct_keys(self, partner: PartnerId) -> list[tuple[int, int, EnvelopeId]]:
        return sorted(
            (held.entry.ttl_class, held.entry.created, held.entry.envelope_id)
            for held in self._log
            if held.entry.mode == Mode.DIRECT
            and (
                held.entry.author == partner
                or partner in held.audience
                or (held.entry.is_own and held.received_from == partner)
            )
        )

    def first_hops(self) -> list[EnvelopeEntry]:
        return [held.entry for held in self._log if held.awaits_first_hop]

    def drop_outbox(self, partner: PartnerId) -> None:
        for held in self._log:
            held.audience.pop(partner, None)

    def sequence_forks(self) -> list[SequenceFork]:
        return []


class MemoryPartners:
    """A stand-in for `Partners`; see there for what each method promises."""

    def __init__(self, partners: Iterable[PartnerRow]) -> None:
        self._partners = {row.partner_id: row for row in partners}
        self._accounts: dict[PartnerId, Counter[tuple[str, str]]] = {}

    def all(self) -> list[PartnerRow]:
        return sorted(self._partners.values(), key=lambda row: row.alias)

    def put(self, row: PartnerRow) -> None:
        self._partners[row.partner_id] = row

    def remove(self, partner_id: PartnerId) -> None:
        self._partners.pop(partner_id, None)

    def add_accounting(self, verdicts: Iterable[tuple[PartnerId | None, str, str]]) -> None:
        for partner, status, reason in verdicts:
            if partner is not None:
                self._accounts.setdefault(partner, Counter())[status, reason] += 1

    def end_deferrals(self, verdicts: Iterable[tuple[PartnerId | None, str, str]]) -> None:
        ended = list(verdicts)
        for partner, _, _ in ended:
            counts = Counter() if partner is None else self._accounts.get(partner, Counter())
            for key in [key for key in counts if key[0] == "deferred"][:1]:
                counts[key] -= 1
        self.add_accounting(ended)

    def count_refusals(self, partner: PartnerId | None, reasons: Mapping[str, int]) -> None:
        """Do nothing: content is not read here."""

    def accounts(self) -> list[Account]:
        return [
            Account(
                partner,
                counts.total(),
                counts["held", ""],
                counts["already-held", ""],
                sum(times for (status, _), times in counts.items() if status == "deferred"),
                {reason: times for (status, reason), times in counts.items() if status == "refused"},
            )
            for partner, counts in sorted(self._accounts.items())
        ]


class NoNotices:
    """A stand-in for `Notices`: nobody lists a card in these worlds."""

    def entry(self, notice_id: EnvelopeId) -> None:
        """Return nothing."""

    def entries(self, after_lsn: int, limit: int) -> list[NoticeEntry]:
        return []

    def revocations(self) -> list[RevocationRow]:
        return []

    def keys(self, circle: CircleId) -> list[tuple[int, NoticeId]]:
        return []


class MemoryKnowledge:
    """A stand-in for `Knowledge` that knows nothing: content is not read here."""

    def add(self, frames: Sequence[tuple[EnvelopeOrigin, NewFrame]]) -> None:
        """Forget it."""

    def go_on(self, now: int) -> bool:
        return False

    def recount_reports(self) -> None:
        """Do nothing: nobody reported anything."""


class MemoryStore:
    """A stand-in for `Store`."""

    def __init__(self, own_id: PartnerId, partners: Iterable[PartnerRow]) -> None:
        self.log = MemoryLog(own_id)
        self.partners = MemoryPartners(partners)
        self.knowledge = MemoryKnowledge()
        self.notices = NoNotices()

    @contextmanager
    def transaction(self, *, frees_space: bool = False) -> Iterator[None]:
        yield

    def close(self) -> None:
        """Do nothing: it stays for the next life."""


class MemoryDisk:
    """The place where a `MemoryStore` outlives its partner's lives."""

    watched: Watched | None = None

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    def open(self) -> MemoryStore:
        return self._store

    def set_room(self, store: MemoryStore, *, has_room: bool) -> None:
        """Do nothing: there is always room."""

    def crash(self, store: MemoryStore) -> None:
        """Do nothing: a crash loses nothing that was stored."""
