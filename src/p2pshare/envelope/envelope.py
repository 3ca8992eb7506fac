"""The wire form of an envelope (docs/envelope.md). Nothing in it is trusted here; `verification` decides about that.

::

    wire = [magic "p2ps", 1, core (bin), wraps (bin), body (bin), signatures (bin)]
    core = {0 suite, 1 author, 2 key id, 3 incarnation, 4 sequence, 5 previous, 6 circle, 7 mode,
            8 created, 9 ttl class, 10 nonce, 11 commitment, 12 slots, 13 body bytes}
    wraps = hint (8) * slots || wrap (1,192) * slots                fixed stride: nothing to parse
    id   = SHA-384(domain || SHA-384(core) || SHA-384(wraps) || SHA-384(body))[:32]

Checks made here, cheap first: 1 size, 2 shape, 3 core canonical, 4 lengths (docs/envelope.md, "Order of checks").
Signatures are outside the id: a second valid signature does not make a second envelope.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from enum import IntEnum

from p2pshare.envelope.encoding import Reader, pack, refusal
from p2pshare.envelope.payload import padded_size
from p2pshare.envelope.recipient_number import RECIPIENT_NUMBER_BYTES
from p2pshare.envelope.sizes import HINT_BYTES, HPKE_TAG_BYTES, KEM_ENCAPSULATION_BYTES, SIGNATURE_BYTES
from p2pshare.identifiers import CircleId, EnvelopeId, KeyId, PartnerId
from p2pshare.limits import CORE_BYTES_MAX, ENVELOPE_BYTES_MAX, SLOTS_MAX, TTL_SECONDS_BY_CLASS

ENVELOPE_MAGIC = b"p2ps"
FORMAT_VERSION = 1
SUITE_XWING = 1  # Ed25519 + ML-DSA-87, X-Wing / HKDF-SHA384 / AES-256-GCM; 2 is kept for ML-KEM-1024 (cnsa2)
DOMAIN_SIGNATURE = b"p2pshare/v1/envelope-signature\x00"
DOMAIN_ID = b"p2pshare/v1/envelope-id\x00"

CONTENT_KEY_BYTES = 32
WRAPPED_BYTES = CONTENT_KEY_BYTES + RECIPIENT_NUMBER_BYTES
WRAP_BYTES = KEM_ENCAPSULATION_BYTES + WRAPPED_BYTES + HPKE_TAG_BYTES
NONCE_BYTES = 16
COMMITMENT_BYTES = 32
BODY_TAG_BYTES = 16
NO_PREVIOUS = bytes(32)  # an author's first publication follows nothing


class Mode(IntEnum):
    """The carriers that an envelope may have: only its author to a recipient, or any member of the circle."""

    DIRECT = 0
    RELAY = 1


@dataclass(frozen=True, slots=True)
class Core:
    """The signed header, readable by every relay. `created` is unix seconds, `body_bytes` the length of the body."""

    suite: int
    author: PartnerId
    key_id: KeyId
    incarnation: int
    sequence: int
    previous: bytes
    circle: CircleId
    mode: Mode
    created: int
    ttl_class: int
    nonce: bytes
    commitment: bytes
    slots: int
    body_bytes: int

    @property
    def expires(self) -> int:
        return self.created + TTL_SECONDS_BY_CLASS[self.ttl_class]


@dataclass(frozen=True, slots=True)
class DecodedEnvelope:
    """An envelope of the right shape. UNTRUSTED: anybody can have written it."""

    core: Core
    core_raw: bytes = field(repr=False)
    wraps: bytes = field(repr=False)
    body: bytes = field(repr=False)
    signatures: bytes = field(repr=False)
    digests: bytes = field(repr=False)
    envelope_id: EnvelopeId
    wire: bytes = field(repr=False)

    @property
    def size(self) -> int:
        return len(self.wire)


@dataclass(frozen=True, slots=True)
class SealedEnvelope:
    """A sealed envelope, ready to be stored and sent."""

    envelope_id: EnvelopeId
    core: Core
    wire: bytes = field(repr=False)


def slots_for(recipients: int) -> int:
    """Returns the number of rows that hides the number of recipients: 1, 2, 4, 8, 16, then multiples of 16."""
    if recipients <= 16:
        return 1 << max(0, recipients - 1).bit_length()
    return -(-recipients // 16) * 16


def encode_core(core: Core) -> bytes:
    """Returns the canonical bytes that are hashed, signed and bound to wraps and body."""
    return pack(
        {
            0: core.suite,
            1: core.author,
            2: core.key_id,
            3: core.incarnation,
            4: core.sequence,
            5: core.previous,
            6: core.circle,
            7: int(core.mode),
            8: core.created,
            9: core.ttl_class,
            10: core.nonce,
            11: core.commitment,
            12: core.slots,
            13: core.body_bytes,
        }
    )


def digests_of(core_raw: bytes, wraps: bytes, body: bytes) -> bytes:
    """Returns SHA-384(core) || SHA-384(wraps) || SHA-384(body), which is signed under `DOMAIN_SIGNATURE`."""
    return b"".join(hashlib.sha384(part).digest() for part in (core_raw, wraps, body))


def id_of(digests: bytes) -> EnvelopeId:
    return EnvelopeId(hashlib.sha384(DOMAIN_ID + digests).digest()[:32])


def encode_envelope(core_raw: bytes, wraps: bytes, body: bytes, signatures: bytes) -> bytes:
    return pack([ENVELOPE_MAGIC, FORMAT_VERSION, core_raw, wraps, body, signatures])


def decode_envelope(wire: bytes) -> DecodedEnvelope:
    """Decode an envelope with checks 1 to 4.

    Raises PeerError `oversized`, `malformed`, `not-canonical`, `unknown-version`, `unknown-suite`, `bad-lengths`.
    """
    if len(wire) > ENVELOPE_BYTES_MAX:
        raise refusal("oversized", "an envelope is too large")
    reader = Reader(wire)
    reader.array(6, 6)
    if reader.blob(4, 4) != ENVELOPE_MAGIC:
        raise refusal("malformed", "not an envelope")
    if reader.integer() != FORMAT_VERSION:
        raise refusal("unknown-version", "an envelope has a format that this program does not know")
    core_raw = reader.blob(1, CORE_BYTES_MAX)
    core = decode_core(core_raw)
    wraps = reader.blob(1, SLOTS_MAX * (HINT_BYTES + WRAP_BYTES))
    body = reader.blob(1, ENVELOPE_BYTES_MAX)
    signatures = reader.blob(SIGNATURE_BYTES, SIGNATURE_BYTES)
    reader.end()
    _check_lengths(core, wraps, body)
    digests = digests_of(core_raw, wraps, body)
    return DecodedEnvelope(core, core_raw, wraps, body, signatures, digests, id_of(digests), wire)


def decode_core(raw: bytes) -> Core:
    """Decode the signed header with checks 2 and 3. Raises PeerError `malformed`, `not-canonical`, `unknown-suite`."""
    reader = Reader(raw)
    reader.map(14)
    core = Core(
        suite=_at(reader, 0).integer(),
        author=PartnerId(_at(reader, 1).blob(32, 32)),
        key_id=KeyId(_at(reader, 2).blob(16, 16)),
        incarnation=_at(reader, 3).integer(),
        sequence=_at(reader, 4).integer(),
        previous=_at(reader, 5).blob(32, 32),
        circle=CircleId(_at(reader, 6).blob(16, 16)),
        mode=Mode(_at(reader, 7).integer(high=max(Mode))),
        created=_at(reader, 8).integer(),
        ttl_class=_at(reader, 9).integer(),
        nonce=_at(reader, 10).blob(NONCE_BYTES, NONCE_BYTES),
        commitment=_at(reader, 11).blob(COMMITMENT_BYTES, COMMITMENT_BYTES),
        slots=_at(reader, 12).integer(),
        body_bytes=_at(reader, 13).integer(high=ENVELOPE_BYTES_MAX),
    )
    reader.end()
    if core.suite != SUITE_XWING:
        raise refusal("unknown-suite", "an envelope uses a suite that this program does not know")
    if core.ttl_class not in TTL_SECONDS_BY_CLASS:
        raise refusal("malformed", "an envelope has an unknown ttl class")
    if core.incarnation < 1 or core.sequence < 1:
        raise refusal("malformed", "an envelope's counters begin at 1")
    return core


def hints_of(decoded: DecodedEnvelope) -> list[bytes]:
    """Returns the hint (8 bytes) of each row, in order."""
    return [
        decoded.wraps[at : at + HINT_BYTES] for at in range(0, decoded.core.slots * HINT_BYTES, HINT_BYTES)
    ]


def wrap_of(decoded: DecodedEnvelope, row: int) -> bytes:
    """Returns the wrapped key (1,192 bytes) of row `row`."""
    start = decoded.core.slots * HINT_BYTES + row * WRAP_BYTES
    return decoded.wraps[start : start + WRAP_BYTES]


def _at(reader: Reader, number: int) -> Reader:
    reader.key(number)
    return reader


def _check_lengths(core: Core, wraps: bytes, body: bytes) -> None:
    """Check the lengths that the header states of the other parts (check 4). Raises PeerError `bad-lengths`."""
    if not 1 <= core.slots <= SLOTS_MAX or slots_for(core.slots) != core.slots:
        raise refusal("bad-lengths", "an envelope has a number of slots that no audience has")
    if len(wraps) != core.slots * (HINT_BYTES + WRAP_BYTES) or len(body) != core.body_bytes:
        raise refusal("bad-lengths", "an envelope's parts are not as long as its header says")
    padded = core.body_bytes - BODY_TAG_BYTES
    if padded_size(padded) != padded:
        raise refusal("bad-lengths", "an envelope's body is not padded")
    hints = [wraps[at : at + HINT_BYTES] for at in range(0, core.slots * HINT_BYTES, HINT_BYTES)]
    if hints != sorted(hints):
        raise refusal("bad-lengths", "an envelope's rows are not sorted")
