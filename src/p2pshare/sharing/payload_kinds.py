"""Payload kinds: the contents that an envelope may have, the limits of each, and the contract of their readers.

A kind is one row of `PAYLOAD_KINDS`, the same for every partner (docs/envelope.md, "Types"), and one reader. The row names
the reader and nothing here imports it: the daemon loads all of them at its start (`operations.payload_readers`) and hands
them to intake (`Readers`), so a reader may stand in a room above this one. What has no row, or no reader among those
handed in, is unknown: left aside and counted, while its envelope is held and relayed.

A reader can rely on this, and keeps its part:

1. A payload comes from an envelope that passed every check, is in the log and was sealed for us. Author, id, circle
   and times are believed; header and frames are the author's words, within the limits of the kind: `receive` has
   compared all that they state, before anything was inflated. Frames come as they were sealed.
   Reading never decides whether an envelope is held: it was acknowledged and announced before.
2. `read` is a generator of small steps, walked inside a transaction. Each step yields the place from which
   reading can go on, in numbers of the reader's own choice; reading begins at the place that it is handed, () at first.
   Others wait for the writer until a step is over, so none should take longer than SLICE_SECONDS: the generator is sent the
   seconds that its last step took. It inflates one frame at a time, against `kind.inflated_bytes_max` for all, and writes or
   gathers what it says. It returns the rows that it came to (`policy.content_cost`), all of the payload: its author pays for them.
3. `begin(now, is_hurried)` begins each transaction in which it is walked, and `finish()` ends it and writes what was gathered up to the last place. That may
   be between two steps of a payload: the walk then goes on in a later transaction, or in a later life from the place that was kept. A step
   may leave the place where it was: who gathers much before it is written must bear to be handed it again.
   After a transaction that was undone a new reader begins at the place that was kept last.
4. What is wrong inside is counted in `refused`, by reason, and what is good beside it is kept. A PeerError ends the
   payload and is counted as `content-REASON`. Both are counted against the author, never against who passed it on. What
   earlier steps wrote stays, so a reader checks before it writes.
5. Any other exception undoes the transaction, and what else is in it. An OperatorError (a full disk) is tried again later;
   anything else is a bug of ours: the payload is read once more, alone, and then left aside as `content-gave-up`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Protocol

from p2pshare.envelope.payload import PayloadHeader, decode_payload, stated_bytes
from p2pshare.envelope.verification import VerifiedEnvelope
from p2pshare.errors import PeerError
from p2pshare.identifiers import CircleId, EnvelopeId, PartnerId
from p2pshare.limits import (
    FORWARDED_ENVELOPES_MAX,
    INFLATED_BYTES_MAX,
    MIB,
    OBJECTS_PER_BUNDLE_MAX,
    PAYLOAD_FRAMES_MAX,
    TTL_SECONDS_BY_CLASS,
)
from p2pshare.log.interface import EnvelopeOrigin
from p2pshare.node.node import Node


@dataclass(frozen=True, slots=True)
class PayloadKind:
    """A kind and its limits, each for one envelope; `name` is the payload's `type`."""

    name: str
    frames_max: int
    inflated_bytes_max: int
    """Of all frames together."""
    objects_max: int
    ttl_classes: frozenset[int]
    """The classes of lifetime that an envelope which holds it may have (`limits.TTL_SECONDS_BY_CLASS`)."""
    reader: str
    """`module:Class` of the `PayloadReader` that is made with the node; in this room or above, so never imported here."""


_STIX = PayloadKind(
    name="stix",
    frames_max=PAYLOAD_FRAMES_MAX,
    inflated_bytes_max=INFLATED_BYTES_MAX,
    objects_max=OBJECTS_PER_BUNDLE_MAX,
    ttl_classes=frozenset(TTL_SECONDS_BY_CLASS),
    reader="p2pshare.sharing.stix_reader:StixReader",
)
_ROWS = (
    _STIX,
    replace(_STIX, name="named"),
    PayloadKind(
        name="forwarded",
        frames_max=FORWARDED_ENVELOPES_MAX,
        inflated_bytes_max=INFLATED_BYTES_MAX,
        objects_max=FORWARDED_ENVELOPES_MAX,
        ttl_classes=frozenset(TTL_SECONDS_BY_CLASS),
        reader="p2pshare.sharing.forwarded_reader:ForwardedReader",
    ),
    PayloadKind(
        name="entries",
        frames_max=64,
        inflated_bytes_max=32 * MIB,
        objects_max=1_024,
        ttl_classes=frozenset({2}),
        reader="p2pshare.spaces.reading_entries:EntriesReader",
    ),
    PayloadKind(
        name="heads",
        frames_max=64,
        inflated_bytes_max=8 * MIB,
        objects_max=64,
        ttl_classes=frozenset({1}),
        reader="p2pshare.spaces.reading_entries:HeadsReader",
    ),
    PayloadKind(
        name="exercise",
        frames_max=64,
        inflated_bytes_max=32 * MIB,
        objects_max=1_024,
        ttl_classes=frozenset({2}),
        reader="p2pshare.spaces.reading_exercises:ExerciseReader",
    ),
)
PAYLOAD_KINDS: Mapping[str, PayloadKind] = {row.name: row for row in _ROWS}
STIX = PAYLOAD_KINDS["stix"]
NAMED = PAYLOAD_KINDS["named"]
"""STIX that its author addressed to readers it named, under a marking that others could hand on."""
FORWARDED = PAYLOAD_KINDS["forwarded"]
ENTRIES = PAYLOAD_KINDS["entries"]
HEADS = PAYLOAD_KINDS["heads"]
EXERCISE = PAYLOAD_KINDS["exercise"]
OF_SPACES = (ENTRIES, HEADS, EXERCISE)
"""Kinds that say nothing of our own knowledge: what members write together."""


@dataclass(frozen=True, slots=True)
class ReceivedPayload:
    """An opened payload, as its reader gets it. Times are unix seconds."""

    kind: PayloadKind
    envelope_id: EnvelopeId
    author: PartnerId
    circle: CircleId
    created: int
    """The author's time of sealing, by the signed core."""
    received_at: int
    header: PayloadHeader
    frames: tuple[bytes, ...]
    """The frames as they were sealed: zstd frames are still compressed."""
    stated_bytes: int
    """Bytes to which the frames together say that they inflate."""


SLICE_SECONDS = 0.020  # of the writer's time, before others who wait for it get it

Place = tuple[int, ...]
"""Where reading of a payload goes on: () at its beginning, else numbers that its reader gave."""

Steps = Generator[Place, float | None, int | None]
"""The steps of a payload: each yields a place, and is sent the seconds that it took (None or 0: nobody knows)."""


class PayloadReader(Protocol):
    """Reads the payloads of one kind: see the contract above."""

    def begin(self, now: int, *, is_hurried: bool) -> None:
        """A transaction begins: what is written in it is evaluated at `now` (unix seconds). `is_hurried`: somebody waited for the
        writer when the last one ended."""
        ...

    def read(
        self, source: EnvelopeOrigin, payload: ReceivedPayload, refused: Counter[str], place: Place
    ) -> Steps:
        """Read on from `place`, and count in `refused` what is left out; what is read is stored under `source`, the log's
        name for the envelope. Returns the rows of the whole payload. Raises PeerError."""
        ...

    def finish(self) -> None:
        """Write what was gathered: the end of a transaction. Raises StoreError."""
        ...


Readers = Mapping[str, Callable[[Node], PayloadReader]]
"""Name of a kind -> the class, or function, that makes its reader for a node."""


def receive(
    envelope: VerifiedEnvelope, payload: bytes, readers: Readers, received_at: int
) -> ReceivedPayload:
    """Returns the payload that was opened in `envelope`, for the reader of its kind; nothing is inflated.

    Raises PeerError: `malformed` or `not-canonical`; `payload-type-unknown` when there is no row or no reader for it;
    `ttl-class-not-allowed`, `too-many-frames`, `too-many-objects`, `inflated-too-large` when it states more than its
    kind may.
    """
    header, frames = decode_payload(payload)
    kind = PAYLOAD_KINDS.get(header.type)
    if kind is None or kind.name not in readers:
        raise PeerError("a payload is of a kind that is not known here", reason="payload-type-unknown")
    stated = _stated_bytes(frames)
    _check(kind, envelope.core.ttl_class, len(frames), header.objects, stated)
    core = envelope.core
    return ReceivedPayload(
        kind,
        envelope.envelope_id,
        core.author,
        core.circle,
        core.created,
        received_at,
        header,
        frames,
        stated,
    )


def _check(kind: PayloadKind, ttl_class: int, frames: int, objects: int, stated: int) -> None:
    if ttl_class not in kind.ttl_classes:
        raise PeerError("a payload of this kind is not carried that long", reason="ttl-class-not-allowed")
    if frames > kind.frames_max:
        raise PeerError("a payload has more frames than its kind may", reason="too-many-frames")
    if objects > kind.objects_max:
        raise PeerError("a payload has more objects than its kind may", reason="too-many-objects")
    if stated > kind.inflated_bytes_max:
        raise PeerError("a payload inflates to more than its kind may", reason="inflated-too-large")


def _stated_bytes(frames: Sequence[bytes]) -> int:
    """Returns the sum of the sizes to which the frames say they inflate; one that says none, or is damaged, counts nothing."""
    total = 0
    for frame in frames:
        with suppress(PeerError):
            total += stated_bytes(frame)
    return total
