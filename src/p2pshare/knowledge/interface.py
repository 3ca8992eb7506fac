"""Rows about objects and observables, and the arguments of queries. See `knowledge` for the rules.

Seconds are unix seconds; names that end in `_us` are microseconds since the epoch, None where absent. Rows are Structs and
no dataclasses where nothing is derived from them: the methods of those are compiled anew at each start, half a millisecond a
class.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:  # rows only carry what these make: whoever looks rows up does not load it
    from p2pshare.envelope.envelope import Mode
    from p2pshare.envelope.payload import PartPlace
    from p2pshare.identifiers import EnvelopeId, PartnerId, PublicationId
    from p2pshare.intel.assessing import Assessment
    from p2pshare.intel.derivation import Derivation
    from p2pshare.intel.extraction import ObjectFacts
    from p2pshare.intel.marking import Pap, Tlp
    from p2pshare.intel.observable import Observable
    from p2pshare.intel.withdrawing import Reason

QUARANTINE_SOURCES = ("allow-list", "false-positive", "warning-list")

Walked = Callable[[int, int], None]
"""Called with (rows walked, rows there are) while a search goes on."""


@dataclass(frozen=True)
class NewFrame:
    """A zstd frame of STIX objects as it was sealed, and the facts read from it.

    `objects[n].position` is the place of the object in the frame's JSON array. A frame may come in pieces: then it was given its
    `row` before (`Knowledge.add_frames`).
    """

    frame: bytes
    objects: Sequence[ObjectFacts]
    row: int | None = field(default=None, kw_only=True)


class PublicationPart(Struct, frozen=True):
    """The publication that an envelope is a part of, as its author says, and its place there."""

    publication: PublicationId
    place: PartPlace


class HeldPublication(Struct, frozen=True):
    """What was read of a publication of `author`: its envelopes by the number of the part, in order, of how many `parts`."""

    author: PartnerId
    publication: PublicationId
    parts: int
    envelopes: Mapping[int, EnvelopeId]


class ClaimRow(Struct, frozen=True):
    """The current statement of one author about one observable, with the envelope that brought it."""

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
    """The time at which the observable was last seen by anybody, unix seconds."""
    is_quarantined: bool
    """True for a quarantined observable: `quarantined` gives the reason."""
    derivation: Derivation | None = None
    """What the object says that it stems from."""
    is_fallen: bool = False
    """True while an origin of it is withdrawn and it was not affirmed since: it counts no more than a withdrawn one."""

    @property
    def is_out(self) -> bool:
        """Returns whether it was withdrawn, by its author or with its origin."""
        return self.is_revoked or self.is_fallen


class Quarantine(Struct, frozen=True):
    """Reason why an observable may not be acted upon here: one of QUARANTINE_SOURCES, and its words for it."""

    source: str
    reason: str
    noted_at: int


class IndicatorRow(Struct, frozen=True):
    """The effective view of one observable over the claims that may be shown; see docs/siem.md for each rule."""

    type: str
    value: str
    is_active: bool
    confidence: int | None
    tlp: Tlp
    first_seen: int
    last_seen: int
    valid_from_us: int | None
    valid_until_us: int | None
    authors: int
    claims: int
    status: str
    """active, pending, expired, replaced or delisted; `reason` says why it is not active."""
    reason: str | None
    score: int
    pap: Pap | None
    sources: int = 0
    """How many independent statements stand behind it (`knowledge.sources`)."""


class AssessmentRow(Struct, frozen=True):
    """Assessment of an object by one partner; `author` and `observable` are None where it does not say whose and which."""

    kind: Assessment
    reporter: PartnerId
    object_id: str
    target: str
    author: PartnerId | None
    observable: Observable | None
    count: int
    seen_at: int
    tlp: Tlp
    received_at: int
    raw: bytes
    """Its JSON, byte for byte."""


class SightingRow(Struct, frozen=True):
    """Sightings of one observable by one organisation, summed up; `is_false_positive` is its latest word."""

    reporter: PartnerId
    reports: int
    count: int
    first_seen: int | None
    last_seen: int | None
    not_seen_at: int | None
    is_false_positive: bool
    tlp: Tlp
    is_trusted: bool
    """True for a partner of the roster that is not frozen, and for us: only their words count."""


class ObjectFork(Struct, frozen=True):
    """Two contents of one version of an object by one author. Both are kept; the stricter marking holds."""

    author: PartnerId
    object_id: str
    modified_us: int | None
    first: EnvelopeId
    second: EnvelopeId
    times: int
    """The number of differing contents that came after the first; only the first two have claims."""
    noted_at: int


class Withdrawal(Struct, frozen=True):
    """Withdrawal of an object by its author: its reach, up to a place in the author's chain and up to a
    `modified`; and its reason."""

    incarnation: int
    sequence: int
    up_to_us: int | None
    reason: Reason
    replaced_by: str | None
    received_at: int


class SharedObject(Struct, frozen=True):
    """What one author currently says under an object's id, as far as publishing asks: may what is read here be that?

    `values`: all that its claims name, none for what claims nothing.
    """

    author: PartnerId
    object_id: str
    tlp: Tlp
    is_revoked: bool
    modified_us: int | None
    sealed_at: int
    values: frozenset[Observable]
    derivation: Derivation | None = None
    out_us: int | None = None
    """When it was taken back, or an origin that it fell with, by its author's clock; None while it stands."""


class StoredText(Struct, frozen=True):
    """The JSON of a current object as its author wrote it, and the envelope that brought it."""

    author: PartnerId
    object_id: str
    envelope_id: EnvelopeId
    tlp: Tlp
    raw: bytes


class OwnFinding(Struct, frozen=True):
    """An object of ours, `own_id`, that states as our own finding what `author` says in `object_id`."""

    author: PartnerId
    object_id: str
    own_id: str


class FindingWithdrawn(Struct, frozen=True):
    """An object whose author took it back while our own finding beside it stands; `reason` None: revoked without one."""

    author: PartnerId
    object_id: str
    own_id: str
    reason: Reason | None
    replaced_by: str | None
    received_at: int


class EchoRow(Struct, frozen=True):
    """Another author's object that stems from one of ours, or has the same id and says nothing of where it is from."""

    author: PartnerId
    object_id: str
    is_restated: bool
    """True where it says itself that it stems from ours: then it falls with it. Else it is a possible echo, and stays."""
    is_fallen: bool
    is_revoked: bool


class Carrier(Struct, frozen=True):
    """An envelope of ours that held a version of an object: its mode, the marking of the object in it, and
    its recipients.

    `recipients`: whether each has acknowledged it; None when nothing is known of them. `came_home`: a partner handed it back
    to us, and `recipients` are those that could be told from it; there may be more. `publication`: that which it is a part of, where
    that is known.
    """

    lsn: int
    envelope_id: EnvelopeId
    mode: Mode
    ttl_class: int
    tlp: Tlp
    is_expired: bool
    awaits_first_hop: bool
    recipients: Mapping[PartnerId, bool] | None
    came_home: bool
    publication: PublicationId | None = None


class OwnEnvelope(Struct, frozen=True):
    """An envelope of ours with objects, and the publication that it is a part of (16 bytes; None: that is not known)."""

    lsn: int
    envelope_id: EnvelopeId
    ttl_class: int
    publication: bytes | None


class OwnVersion(Struct, frozen=True):
    """The current version of an object of ours as it was sealed, under the marking that it has by now. `is_fallen`: what it stems
    from was withdrawn. `was_sent_again`: a later envelope of ours carried it to the partner that is asked about."""

    object_id: str
    type: str
    raw: bytes
    tlp: Tlp
    is_revoked: bool
    is_fallen: bool
    was_sent_again: bool


class Forwardable(Struct, frozen=True):
    """An envelope of another that might be handed on: its mode, whether its bytes are still here, and how many they are."""

    lsn: int
    envelope_id: EnvelopeId
    mode: int
    is_carried: bool
    size: int


class Forwarding(Struct, frozen=True):
    """A partner that others' envelopes are handed on to: those created since (unix seconds), looked at up to the lsn `place` of
    `up_to`; the last lsn when that was asked for; how many objects were handed on, and whether something that was read since is to
    be looked at."""

    partner: PartnerId
    since: int
    place: int
    up_to: int
    began_lsn: int
    objects: int
    has_due: bool

    @property
    def is_under_way(self) -> bool:
        """Returns whether what was held when it began is still being looked at."""
        return self.place < self.up_to


class Wanted(Struct, frozen=True):
    """Arguments of a search; None and empty: anything. `type` is that of an object or of an observable it claims."""

    type: str | None = None
    author: PartnerId | None = None
    tlp: Tlp | None = None
    since: int | None = None
    """Received here at or after this instant, unix seconds."""
    label: str = ""
    """A label of the object, whatever the case."""
    text: str = ""
    """Stands in a text of the object, whatever the case."""
    of_each_author: int | None = None
    """At most so many of one author, the newest: what is beyond is not read, so nobody's number hides another's objects."""


class ObjectVersion(Struct, frozen=True):
    """A version of a STIX object as one author sent it; `raw` is its JSON, byte for byte."""

    author: PartnerId
    envelope_id: EnvelopeId
    modified_us: int | None
    tlp: Tlp
    pap: Pap | None
    """Of claims; objects that claim nothing have none here."""
    is_current: bool
    is_revoked: bool
    received_at: int
    raw: bytes
    is_fallen: bool = False
    """True of claims whose origin is withdrawn."""
