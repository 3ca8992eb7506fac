"""Rows about envelopes, put into the log and returned by it. See `envelope_log` for its rules.

Seconds are unix seconds. Rows are Structs where they can be: see `knowledge.interface`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple

from msgspec import Struct

from p2pshare.database.settings import Setting

if TYPE_CHECKING:  # rows only carry what these make: whoever looks rows up does not load cryptography
    from p2pshare.envelope.envelope import Core, SealedEnvelope
    from p2pshare.envelope.verification import VerifiedEnvelope
    from p2pshare.identifiers import CircleId, EnvelopeId, PartnerId, PublicationId

AUTHOR_QUOTA_BYTES = Setting("author_quota_bytes", int)
"""The bytes of one author that are carried here in one circle: the configuration's, kept where every reader finds it."""


class ContentState(IntEnum):
    """What became of an envelope's content here. All but UNREAD, NO_ROOM and DISTRUSTED stay."""

    UNREAD = 0
    """Held, acknowledged and announced; the reader has not come to its end."""
    READ = 1
    NOT_OURS = 2
    """Sealed for others: it is only carried."""
    UNREADABLE = 3
    """Sealed for us, and left aside: counted against its author."""
    NO_ROOM = 4
    """Sealed for us; it waits until what its author costs here leaves room (`policy.content_cost`)."""
    STAGED = 5
    """Ours: what was read of it when it was prepared is being stored (`sharing.staging`)."""
    DISTRUSTED = 6
    """Sealed for us; it waits until a person believes its author again (`sharing.distrusting`)."""


@dataclass(frozen=True)
class NewEnvelope:
    """An envelope to be stored: one that was verified here, or one that we sealed."""

    envelope: VerifiedEnvelope | SealedEnvelope
    received_from: PartnerId | None
    """The partner that handed it over, None for our own."""
    received_at: int
    content: ContentState = ContentState.UNREAD
    """READ when the content is stored in the same transaction."""
    awaits_first_hop: bool = False
    """True for our own relayed envelope that no partner has acknowledged yet."""
    recipient_sequences: Mapping[PartnerId, int] = field(default_factory=dict)
    """Its number for each recipient, in its incarnation, persisted in the same transaction as the envelope."""
    is_numbered: bool = False
    """True for our own whose numbers were taken before, with those of its whole publication (`staging`)."""
    audience: tuple[PartnerId, ...] = ()
    """The partners for which our own envelope was sealed, as far as they are known where it came home. A direct one waits in
    the outbox of each but the one that brought it."""

    @property
    def envelope_id(self) -> EnvelopeId:
        return self.envelope.envelope_id

    @property
    def core(self) -> Core:
        return self.envelope.core

    @property
    def wire(self) -> bytes:
        return self.envelope.wire


class EnvelopeEntry(Struct, frozen=True):
    """Facts about an envelope that gossip may know. `lsn` is its place in the arrival log, never used twice."""

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
        """Returns the entry of an envelope that is stored under `lsn`."""
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


class EnvelopeOrigin(Struct, frozen=True):
    """The origin of content: the arrival number of its envelope, the row of the author, and the envelope's
    place in the author's order. Content is stored under it."""

    lsn: int
    author: int
    incarnation: int
    sequence: int
    envelope_id: bytes
    created: int
    received_at: int
    is_own: bool


class Stored(Struct, frozen=True):
    """Result of one arrival. `entry` is that of the envelope now held; `source` is None when it was held already."""

    entry: EnvelopeEntry
    source: EnvelopeOrigin | None

    @property
    def is_new(self) -> bool:
        return self.source is not None


class UnreadEnvelope(Struct, frozen=True):
    """An envelope whose content waits for the reader: `size` of its wire in bytes, how often reading was tried since it last
    came further, and the place where it goes on (b"": at the beginning)."""

    source: EnvelopeOrigin
    author: PartnerId
    size: int
    attempts: int
    place: bytes


class KeyedEnvelope(Struct, frozen=True):
    """An envelope under a key that was revoked: its author's row, whether its wire is still here, and whether it is out of
    effect (None: on the way there or back)."""

    lsn: int
    author: int
    envelope_id: EnvelopeId
    circle: CircleId
    mode: int
    created: int
    received_at: int
    expires: int
    is_carried: bool
    is_out: bool | None


class AuthoredEnvelope(Struct, frozen=True):
    """An envelope of an author: the author's row, what became of its content, and whether its author stands for it."""

    lsn: int
    author: int
    content: ContentState
    is_in_effect: bool


class DeferredEnvelope(Struct, frozen=True):
    """An envelope that was kept aside because it came from the near future; `attempts` to take it in since it is due."""

    envelope_id: EnvelopeId
    wire: bytes
    received_from: PartnerId | None
    attempts: int


class ExpiryPlace(NamedTuple):
    """The envelope up to which wires were dropped: its `expires`, and its lsn among those of one second."""

    expires: int
    lsn: int


EXPIRY_BEGINS = ExpiryPlace(-1, 0)


class ExpiryStep(Struct, frozen=True):
    """One batch of expiry: how many envelopes lost their wire, up to where it came, and whether more may be due."""

    dropped: int
    place: ExpiryPlace
    is_more: bool


class AuthorState(Struct, frozen=True):
    """State of our own chain: the next envelope has `sequence` + 1 and links to `previous` (32 bytes)."""

    incarnation: int
    sequence: int
    previous: bytes

    def followed_by(self, envelope_id: EnvelopeId) -> AuthorState:
        """Returns the chain with one envelope more."""
        return AuthorState(self.incarnation, self.sequence + 1, bytes(envelope_id))


class StagingState(IntEnum):
    """How far a publication of ours is that goes out in steps."""

    SEALING = 0
    """Its envelopes are sealed one by one, and nobody sees them."""
    RELEASED = 1
    """All of it leaves, whatever happens from now on."""
    GIVEN_UP = 2
    """Nothing of it left; the reason waits for somebody to read it."""


class StagedPublication(Struct, frozen=True):
    """A publication of ours on its way out, of `parts` envelopes, of which `sealed` are sealed, `moved` are in the log and
    `stored` are at their end. `token` names what was prepared. `base`: our chain when its sealing began (None: it has not),
    with the key it is sealed with."""

    publication: PublicationId
    token: str
    parts: int
    began_at: int
    state: StagingState
    reason: str
    base: AuthorState | None
    key_id: bytes
    sealed: int
    moved: int
    stored: int


class NewStaged(Struct, frozen=True):
    """An envelope to be staged as the next one of its publication. `place`: of its part in what was prepared, and that of the
    next part; `numbers`: its number for each recipient, ours among them."""

    envelope: SealedEnvelope
    place: int
    next_place: int
    awaits_first_hop: bool
    audience: tuple[PartnerId, ...]
    numbers: Mapping[PartnerId, int]


class StagedContent(Struct, frozen=True):
    """An envelope that was released and whose content is still to be stored: its number in the publication, its place in
    what was prepared, and how many of its frames are stored."""

    origin: EnvelopeOrigin
    number: int
    place: int
    frames: int


class EnvelopeRecord(Struct, frozen=True):
    """An envelope as it is held, besides its entry: who handed it over (None: ours), what became of its content, and
    whether its bytes are still here to be sent."""

    received_from: PartnerId | None
    received_at: int
    content: ContentState
    is_carried: bool


class EnvelopeCounts(Struct, frozen=True):
    """What is held: all envelopes, those read here, those not read yet, our own that wait for a partner, and those of the
    unread that wait for room."""

    held: int
    opened: int
    unread: int
    pending: int
    no_room: int

    @property
    def relayed(self) -> int:
        """Those only carried."""
        return self.held - self.opened - self.unread


class GapTotal(Struct, frozen=True):
    """Number of envelopes that `author` numbered for us and that never came, and the time at which the first
    was missed (0: not noted)."""

    author: PartnerId
    numbers: int
    noted_at: int


class ExpiredUnread(Struct, frozen=True):
    """Number of envelopes of `author` that expired before they were read, ever, and when the first and the last was noticed
    (unix seconds)."""

    author: PartnerId
    envelopes: int
    first_at: int
    last_at: int


class UsedTwice(Struct, frozen=True):
    """Two envelopes of `author` that follow the same one and begin two branches of its chain, which were both in use from
    `since` to `until` (unix seconds, by the author's clocks) at least: a copy of its home runs beside it."""

    author: PartnerId
    first: EnvelopeId
    second: EnvelopeId
    since: int
    until: int


class SequenceFork(Struct, frozen=True):
    """Two envelopes of one author with one (incarnation, sequence): its proof of equivocation. Both are held."""

    author: PartnerId
    incarnation: int
    sequence: int
    first: EnvelopeId
    second: EnvelopeId
    noted_at: int
