"""The contract of a store: what can be written and read, how often it may be repeated, and in which order.

Rules that every store keeps:

1. A writing method returns after its transaction is durable, or raises with nothing of it kept. Inside
   `transaction()` several calls share one; then the end of the outermost block is that moment.
2. Repeating a write changes nothing: an envelope is stored once, an observable has one row, a version of an
   object has one set of claims. What changed is what the answer says.
3. Versions of an object are ordered by their author's (incarnation, sequence), never by arrival or by clocks.
   Only that author's later version replaces them; another author's object of the same id is another object.
4. Readers see whole transactions only, from any thread, while the writer writes.

Errors: `DiskFull` (nothing kept, try again when there is room), `StoreError` (damaged, newer schema, or a disk
that failed to write or sync: then the store refuses every later write, because what is on disk is unknown).
Seconds are unix seconds; names that end in `_us` are microseconds since the epoch, None where absent.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol

from p2pshare.envelope.envelope import Core
from p2pshare.identifiers import CircleId, EnvelopeId, Epoch, PartnerId
from p2pshare.intel.extraction import ObjectFacts
from p2pshare.intel.marking import Pap, Tlp
from p2pshare.intel.observable import Observable
from p2pshare.store.interface_search import SearchReading
from p2pshare.store.interface_standing import StandingReading, StandingWriting
from p2pshare.store.interface_withdrawing import WithdrawalReading


@dataclass(frozen=True)
class NewFrame:
    """One zstd frame of STIX objects as it was sealed, and what was read from it.

    `objects[n].position` is the place of the object in the frame's JSON array.
    """

    frame: bytes
    objects: Sequence[ObjectFacts]


@dataclass(frozen=True)
class Opened:
    """The readable content of an envelope. `frames` is walked once, inside the transaction; it may be lazy."""

    frames: Iterable[NewFrame]
    recipient_sequence: int | None = None
    """The author's number for the envelopes sealed for us (1, 2, ...); None for our own envelopes."""


@dataclass(frozen=True)
class NewEnvelope:
    """A verified envelope to be stored. `from_partner` is who handed it over, None for our own."""

    envelope_id: EnvelopeId
    core: Core
    wire: bytes
    from_partner: PartnerId | None
    received_at: int
    opened: Opened | None = None
    awaits_first_hop: bool = False
    """Our own relayed envelope that no partner has acknowledged yet."""
    recipient_sequences: Mapping[PartnerId, int] = field(default_factory=dict)
    """The last number used for each recipient, persisted in the same transaction as the envelope."""
    audience: tuple[PartnerId, ...] = ()
    """Of our own envelope: for whom it was sealed. A direct one waits in the outbox of each."""


@dataclass(frozen=True)
class EnvelopeEntry:
    """What gossip may know of an envelope. `lsn` is its place in the arrival log, never used twice."""

    lsn: int
    envelope_id: EnvelopeId
    author: PartnerId
    circle: CircleId
    mode: int
    created: int
    ttl_class: int
    expires: int
    size: int
    is_own: bool

    @classmethod
    def of(cls, lsn: int, arrival: NewEnvelope, *, is_own: bool) -> EnvelopeEntry:
        """The entry of an envelope that is stored under `lsn`."""
        core = arrival.core
        return cls(
            lsn,
            arrival.envelope_id,
            core.author,
            core.circle,
            int(core.mode),
            core.created,
            core.ttl_class,
            core.expires,
            len(arrival.wire),
            is_own,
        )


@dataclass(frozen=True)
class Stored:
    """What became of one arrival: new here, or held already. `entry` is that of the envelope now held."""

    is_new: bool
    entry: EnvelopeEntry


@dataclass(frozen=True)
class AuthorState:
    """Where our own chain stands: the next envelope has `sequence` + 1 and links to `previous` (32 bytes)."""

    incarnation: int
    sequence: int
    previous: bytes


@dataclass(frozen=True)
class PartnerRow:
    """A partner whose card we accepted; `circles` are the names its link carries."""

    partner_id: PartnerId
    alias: str
    card: bytes
    card_version: int
    has_link: bool
    circles: tuple[str, ...]
    is_frozen: bool
    added_at: int


@dataclass(frozen=True, slots=True)
class ClaimRow:
    """One author's current statement about one observable, with the envelope that brought it."""

    author: PartnerId
    object_id: str
    tlp: Tlp
    confidence: int | None
    labels: tuple[str, ...]
    valid_from_us: int | None
    valid_until_us: int | None
    is_revoked: bool
    envelope_id: EnvelopeId
    received_at: int
    pap: Pap | None
    sealed_at: int
    sighted_at: int | None
    """When the observable was last seen by anybody, unix seconds."""
    is_quarantined: bool
    """Whether the observable is: `quarantined` says why."""


@dataclass(frozen=True)
class Counts:
    """What is held: all envelopes, those readable here, those only carried, our own that wait for a partner."""

    held: int
    opened: int
    relayed: int
    pending: int
    observables: Mapping[str, int]
    refused: Mapping[str, int]


@dataclass(frozen=True)
class Account:
    """What one partner handed over. `came_in == stored + already_held + deferred + sum(refused)`, always."""

    partner: PartnerId
    came_in: int
    stored: int
    already_held: int
    deferred: int
    refused: Mapping[str, int]


@dataclass(frozen=True)
class GapTotal:
    """How many numbers that `author` used for us never came, and when the first of them was missed (0: not noted)."""

    author: PartnerId
    numbers: int
    noted_at: int


@dataclass(frozen=True)
class SequenceFork:
    """Two envelopes of one author with one (incarnation, sequence): its proof of equivocation. Both are held."""

    author: PartnerId
    incarnation: int
    sequence: int
    first: EnvelopeId
    second: EnvelopeId
    noted_at: int


@dataclass(frozen=True)
class ObjectFork:
    """Two contents of one version of an object by one author. Both are kept; the stricter marking holds."""

    author: PartnerId
    object_id: str
    modified_us: int | None
    first: EnvelopeId
    second: EnvelopeId
    times: int
    """How many differing contents came after the first; only the first two have claims."""
    noted_at: int


@dataclass(frozen=True)
class CardFork:
    """Two cards of one version of one partner."""

    partner_id: PartnerId
    first: bytes
    second: bytes
    noted_at: int


class StoreReading(StandingReading, SearchReading, WithdrawalReading, Protocol):
    """What any thread may ask, each through its own read-only connection."""

    def epoch(self) -> Epoch: ...
    def is_seen(self, ids: Collection[EnvelopeId]) -> set[EnvelopeId]:
        """Those of `ids` that are held, or were and have not been expired for an hour."""
        ...

    def wire(self, envelope_id: EnvelopeId) -> bytes | None:
        """The envelope as received, None when it is not held or has expired."""
        ...

    def entry(self, envelope_id: EnvelopeId) -> EnvelopeEntry | None: ...
    def entries(self, after_lsn: int, limit: int) -> list[EnvelopeEntry]:
        """Unexpired envelopes in order of arrival, after `after_lsn`."""
        ...

    def last_lsn(self) -> int:
        """The highest lsn ever given, 0 at first."""
        ...

    def keys(self, circle: CircleId, ttl_class: int) -> Iterator[tuple[int, EnvelopeId]]:
        """(created, id) in ascending order: relayed envelopes seen and not expired for an hour."""
        ...

    def keys_after(self, circle: CircleId, ttl_class: int, after: bytes, limit: int) -> list[bytes]:
        """At most `limit` keys (created as 8 bytes big endian, then the id) above the key `after`."""
        ...

    def outbox(self, partner: PartnerId) -> list[EnvelopeEntry]:
        """Our direct envelopes that `partner` has not acknowledged, oldest first."""
        ...

    def audience(self, envelope_id: EnvelopeId) -> Mapping[PartnerId, bool]:
        """For whom our own envelope was sealed, partners of the past too, and whether each has acknowledged it.

        Empty for others' envelopes, and for those of an earlier version of this program.
        """
        ...

    def direct_keys(self, partner: PartnerId) -> list[tuple[int, int, EnvelopeId]]:
        """(ttl class, created, id), ascending, of the direct envelopes between `partner` and us, in both
        directions: seen and not expired for an hour."""
        ...

    def first_hops(self) -> list[EnvelopeEntry]:
        """Our relayed envelopes that no partner has acknowledged, oldest first."""
        ...

    def lookup(self, observables: Collection[Observable]) -> dict[Observable, list[ClaimRow]]:
        """Current claims of each observable that is known here, any marking; absent keys are unknown."""
        ...

    def network_lengths(self) -> dict[str, tuple[int, ...]]:
        """Prefix lengths that occur among known networks, by type (`ipv4-net`, `ipv6-net`), longest first."""
        ...

    def carried(self) -> Mapping[tuple[PartnerId, CircleId], int]:
        """Bytes of the unexpired envelopes of each author in each circle; those without any may be left out.

        Direct ones stand together under the circle of sixteen zero bytes.
        """
        ...

    def counts(self) -> Counts: ...
    def accounts(self) -> list[Account]: ...
    def partners(self) -> list[PartnerRow]:
        """In alias order."""
        ...

    def card_versions(self, partner_id: PartnerId) -> list[tuple[int, bytes]]:
        """(version, card bytes) of each card that was ever accepted, oldest first."""
        ...

    def author_names(self) -> dict[PartnerId, str]:
        """The alias of each partner, present or past, and our own name."""
        ...

    def last_exchanges(self) -> dict[PartnerId, int]:
        """When each partner last answered us or spoke to us."""
        ...

    def recipient_sequences(self, partners: Collection[PartnerId]) -> dict[PartnerId, int]:
        """The last number used for each recipient, 0 at first."""
        ...

    def sequence_gaps(self, author: PartnerId, limit: int = 1_000) -> list[tuple[int, int]]:
        """The lowest ranges (first, last) of numbers `author` used for us that never arrived."""
        ...

    def gap_totals(self) -> list[GapTotal]:
        """Of each author with such numbers, in the order of their ids."""
        ...

    def newest_created(self, limit: int) -> dict[PartnerId, list[int]]:
        """When each partner created its last `limit` envelopes that are known here, the newest first."""
        ...

    def evidence(self, envelope_id: EnvelopeId) -> bytes | None:
        """The envelope as received, also past its expiry where it is kept as proof of a fork."""
        ...

    def sequence_forks(self) -> list[SequenceFork]: ...
    def object_forks(self) -> list[ObjectFork]: ...
    def card_forks(self) -> list[CardFork]: ...
    def fork_count(self) -> int:
        """All three kinds together."""
        ...

    def setting(self, name: str) -> str | int | bytes | None: ...


class Store(StoreReading, StandingWriting, Protocol):
    """The one writer. A store opened read-only raises StoreError from each of these but `close`."""

    def transaction(self, *, frees_space: bool = False) -> AbstractContextManager[None]:
        """Makes the calls inside it one transaction; an error inside it undoes them all.

        `frees_space`: it holds nothing but acknowledgements, removals and expiry, and may begin on a full disk.
        """
        ...

    def add_envelopes(self, arrivals: Sequence[NewEnvelope]) -> list[Stored]:
        """Stores each with its content, arrival number, outbox and sequences; answers in order.

        An id that occurs twice, here or in the store, is stored once. Our own envelopes must continue our
        chain: a sequence that was used raises StoreError, for it would be an equivocation of ours.
        """
        ...

    def put_own(self, partner_id: PartnerId, name: str) -> None:
        """Who we are: decides which envelopes are our own, and the author name of our claims."""
        ...

    def author_state(self, now: int) -> AuthorState:
        """Where our chain stands. The first call after opening begins (and persists) a larger incarnation."""
        ...

    def begin_incarnation(self, now: int) -> int:
        """A new incarnation, max(last + 1, now), durable when this returns."""
        ...

    def new_epoch(self) -> Epoch: ...
    def acknowledge(self, envelope_id: EnvelopeId, partner: PartnerId) -> None:
        """`partner` has it: it waits in the outbox no more, and the first hop is done."""
        ...

    def put_partner(self, row: PartnerRow) -> None: ...
    def remove_partner(self, partner_id: PartnerId) -> None:
        """The partner and its outbox go; what it authored, its cards and its accounts stay."""
        ...

    def update_card(self, partner_id: PartnerId, raw: bytes, version: int) -> None: ...
    def freeze_partner(self, partner_id: PartnerId, *, evidence: tuple[bytes, bytes], now: int) -> None:
        """Two cards of one version were seen: keeps both and marks the partner frozen."""
        ...

    def touch_partner(self, partner_id: PartnerId, last_exchange: int) -> None:
        """Notes an exchange; the latest time wins."""
        ...

    def add_accounting(self, verdicts: Iterable[tuple[PartnerId | None, str, str]]) -> None:
        """(partner, "held"|"already-held"|"deferred"|"refused", reason) of each thing handed over."""
        ...

    def count_refusals(self, partner: PartnerId | None, reasons: Mapping[str, int]) -> None:
        """Refusals of something smaller than an envelope (an object in it), by reason."""
        ...

    def defer(
        self, envelope_id: EnvelopeId, wire: bytes, bearer: PartnerId | None, created: int, now: int
    ) -> bool:
        """Keeps an envelope of the near future aside; False when there is no room for it (limits.py)."""
        ...

    def pop_deferred(self, now: int) -> list[tuple[bytes, PartnerId | None]]:
        """(wire, bearer) of what is due at `now`, taken out, oldest first."""
        ...

    def expire(self, now: int) -> int:
        """Drops what has expired at `now`; how many envelopes lost their wire. See docs/store.md, "Expiry"."""
        ...

    def put_setting(self, name: str, value: str | int | bytes) -> None: ...
    def checkpoint(self) -> None:
        """Moves the log into the file; for idle moments. Never waits for readers."""
        ...

    def close(self) -> None: ...
