"""Sealing and opening of envelopes: the only file that encrypts or decrypts content.

Rules:

1. A fresh content key for each envelope. It is why the fixed AES-GCM nonce below is safe.
2. The header commits to the content key, and the commitment is checked before decrypting: AES-GCM alone would
   let a malicious author show two recipients two plaintexts (the "salamander").
3. Each wrap is bound to the hash of the signed header (HPKE `info`): strip the signatures and sign it as your
   own, and the header changes, so that no recipient can open it any more.
4. Rows are sorted and filled up with dummies made exactly like real rows.
"""

from __future__ import annotations

import functools
import hashlib
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from p2pshare.envelope.agreement import KemKey, KemPublicKey
from p2pshare.envelope.card import Card
from p2pshare.envelope.encoding import refusal
from p2pshare.envelope.envelope import (
    BODY_TAG_BYTES,
    COMMITMENT_BYTES,
    CONTENT_KEY_BYTES,
    DOMAIN_SIGNATURE,
    NONCE_BYTES,
    SUITE_XWING,
    WRAPPED_BYTES,
    Core,
    Mode,
    SealedEnvelope,
    digests_of,
    encode_core,
    encode_envelope,
    hints_of,
    id_of,
    slots_for,
    wrap_of,
)
from p2pshare.envelope.keys import Identity
from p2pshare.envelope.payload import pad, unpad
from p2pshare.envelope.recipient_number import RecipientNumber
from p2pshare.envelope.sizes import HINT_BYTES
from p2pshare.envelope.verification import VerifiedEnvelope
from p2pshare.errors import AuthorError, OperatorError, RefusedError
from p2pshare.identifiers import CircleId
from p2pshare.limits import ENVELOPE_BYTES_MAX, OWN_ROWS_MAX, SLOTS_MAX

DOMAIN_WRAP = b"p2pshare/v1/wrap\x00"
LABEL_BODY = b"p2pshare/v1/body"
LABEL_COMMITMENT = b"p2pshare/v1/commitment"
_NONCE_BODY = bytes(12)  # rule 1: a key encrypts one message in its life


@dataclass(frozen=True, slots=True)
class Recipient:
    """A partner who may open the envelope, and the envelope's number among those sealed for it."""

    card: Card
    number: RecipientNumber


@dataclass(frozen=True, slots=True)
class SealRequest:
    """A payload to seal, its recipients, and its place in the author's own chain. `created` is unix seconds."""

    payload: bytes = field(repr=False)
    recipients: Sequence[Recipient]
    incarnation: int
    sequence: int
    previous: bytes
    circle: CircleId
    mode: Mode
    created: int
    ttl_class: int


@dataclass(frozen=True, slots=True)
class OpenedPayload:
    """A payload as only recipients get it. `number` has a gap before it when an envelope for us was withheld."""

    payload: bytes = field(repr=False)
    number: RecipientNumber


def seal(identity: Identity, request: SealRequest) -> SealedEnvelope:
    """Encrypt a payload, wrap its key for each recipient, and sign.

    Raises AuthorError (`empty-audience`, `too-many-recipients`, `oversized`), RefusedError (`recipient-expired`),
    OperatorError (`own-key-expired`) and ValueError for a partner listed twice.
    """
    _check_recipients(request)
    if identity.card.verify_key(identity.operational.sign.key_id, request.created) is None:
        raise OperatorError(
            "our own sign key is expired, revoked or not yet valid: no partner would believe this",
            hint="check this machine's clock, or issue a new card with new operational keys",
            reason="own-key-expired",
        )
    content_key = secrets.token_bytes(CONTENT_KEY_BYTES)
    padded = pad(request.payload)
    core = Core(
        suite=SUITE_XWING,
        author=identity.partner_id,
        key_id=identity.operational.sign.key_id,
        incarnation=request.incarnation,
        sequence=request.sequence,
        previous=request.previous,
        circle=request.circle,
        mode=request.mode,
        created=request.created,
        ttl_class=request.ttl_class,
        nonce=secrets.token_bytes(NONCE_BYTES),
        commitment=_commitment(content_key),
        slots=slots_for(len(request.recipients)),
        body_bytes=len(padded) + BODY_TAG_BYTES,
    )
    core_raw = encode_core(core)
    wraps = _wrap_for_all(identity, request.recipients, core, core_raw, content_key)
    body = AESGCM(_body_key(content_key)).encrypt(_NONCE_BODY, padded, core_raw)
    digests = digests_of(core_raw, wraps, body)
    signatures = identity.operational.sign.sign(DOMAIN_SIGNATURE, digests)
    wire = encode_envelope(core_raw, wraps, body, signatures)
    if len(wire) > ENVELOPE_BYTES_MAX:
        raise AuthorError(
            "one envelope cannot hold this much", hint="split the publication", reason="oversized"
        )
    return SealedEnvelope(id_of(digests), core, wire)


def open_envelope(identity: Identity, verified: VerifiedEnvelope, author_card: Card) -> OpenedPayload | None:
    """Returns the payload, or None when it is not addressed to us.

    Raises PeerError `bad-wrap` (marked for us, but not made for us), `commitment-mismatch`, `body-tampered`,
    `bad-padding`: all of them an author's fault, because the author signed them.
    """
    wrapped = _own_wrap(identity, verified, author_card)
    if wrapped is None:
        return None
    number = RecipientNumber.parse(wrapped[CONTENT_KEY_BYTES:], verified.core.incarnation)
    return OpenedPayload(open_with_key(wrapped[:CONTENT_KEY_BYTES], verified), number)


def content_key_of(identity: Identity, verified: VerifiedEnvelope, author_card: Card) -> bytes | None:
    """Returns the content key of an envelope that is addressed to us, to be handed on with it; None of any other.

    Raises PeerError `bad-wrap`.
    """
    wrapped = _own_wrap(identity, verified, author_card)
    return None if wrapped is None else wrapped[:CONTENT_KEY_BYTES]


def open_with_key(content_key: bytes, verified: VerifiedEnvelope) -> bytes:
    """Returns the payload, opened with a content key that we hold, or that a partner handed over beside the envelope: the
    commitment first, then the body, then the padding (rule 2).

    Raises PeerError `commitment-mismatch`, `body-tampered`, `bad-padding`.
    """
    if not hmac.compare_digest(_commitment(content_key), verified.core.commitment):
        raise refusal("commitment-mismatch", "the author wrapped another key than the header commits to")
    decoded = verified.decoded
    try:
        padded = AESGCM(_body_key(content_key)).decrypt(_NONCE_BODY, decoded.body, decoded.core_raw)
    except InvalidTag:
        raise refusal(
            "body-tampered", "the body was not sealed with the key that the author wrapped"
        ) from None
    return unpad(padded)


def _own_wrap(identity: Identity, verified: VerifiedEnvelope, author_card: Card) -> bytes | None:
    """Returns what is wrapped in our row: content key || recipient number; None where none is ours. Raises PeerError `bad-wrap`."""
    rows = _own_rows(identity, verified, author_card)
    if not rows:
        return None
    if len(rows) > OWN_ROWS_MAX:
        raise refusal("bad-wrap", "more rows are marked for us than an honest author makes")
    info = _wrap_info(verified.decoded.core_raw)
    kem_keys = [identity.operational.kem, *(keys.kem for keys in identity.retired)]
    for row in rows:
        wrapped = _unwrap(kem_keys, wrap_of(verified.decoded, row), info)
        if wrapped is not None:
            return wrapped
    raise refusal("bad-wrap", "a row marked for us cannot be opened with our keys")


def _check_recipients(request: SealRequest) -> None:
    cards = [recipient.card for recipient in request.recipients]
    if not cards:
        raise AuthorError("an envelope needs at least one recipient", reason="empty-audience")
    if len(cards) > SLOTS_MAX:
        raise AuthorError(f"an envelope has at most {SLOTS_MAX} recipients", reason="too-many-recipients")
    if len({card.partner_id for card in cards}) != len(cards):
        raise ValueError("a recipient is listed twice")
    for card in cards:
        if not card.is_current(request.created):
            raise RefusedError(
                f"the card of {card.name} has expired: nothing can be sealed for it",
                hint="ask that partner for its newest card",
                reason="recipient-expired",
            )


def _wrap_for_all(
    identity: Identity, recipients: Sequence[Recipient], core: Core, core_raw: bytes, content_key: bytes
) -> bytes:
    """Returns hint * slots || wrap * slots, with rows sorted so that their order says nothing."""
    info = _wrap_info(core_raw)
    hint_key = identity.operational.hint
    rows = []
    for recipient in recipients:
        card = recipient.card
        hint = hint_key.hint(card.hint, identity.partner_id, card.partner_id, core.nonce)
        rows.append((hint, card.kem.wrap(content_key + recipient.number.encode(), info)))
    for _ in range(core.slots - len(rows)):
        rows.append((secrets.token_bytes(HINT_BYTES), _nobody().wrap(bytes(WRAPPED_BYTES), info)))
    rows.sort()
    return b"".join(hint for hint, _ in rows) + b"".join(wrap for _, wrap in rows)


@functools.cache
def _nobody() -> KemPublicKey:
    """Returns a key whose private half is thrown away. Random bytes would not do: ML-KEM ciphertexts are not uniform."""
    return KemKey.generate().public


def _own_rows(identity: Identity, verified: VerifiedEnvelope, author_card: Card) -> list[int]:
    """Returns the rows with our mark, found with the hint keys of both sides, the newest and those before them."""
    core = verified.core
    own_keys = [identity.operational.hint, *(keys.hint for keys in identity.retired)]
    marks = {
        own.hint(other, core.author, identity.partner_id, core.nonce)
        for own in own_keys
        for other in author_card.hint_keys_ever
    }
    return [row for row, hint in enumerate(hints_of(verified.decoded)) if hint in marks]


def _unwrap(kem_keys: Sequence[KemKey], wrap: bytes, info: bytes) -> bytes | None:
    for kem_key in kem_keys:
        wrapped = kem_key.unwrap(wrap, info)
        if wrapped is not None:
            return wrapped
    return None


def _wrap_info(core_raw: bytes) -> bytes:
    return DOMAIN_WRAP + hashlib.sha384(core_raw).digest()


def _body_key(content_key: bytes) -> bytes:
    return HKDF(hashes.SHA384(), 32, salt=None, info=LABEL_BODY).derive(content_key)


def _commitment(content_key: bytes) -> bytes:
    return HKDF(hashes.SHA384(), COMMITMENT_BYTES, salt=None, info=LABEL_COMMITMENT).derive(content_key)
