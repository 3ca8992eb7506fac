"""Makes what the product refuses to make: envelopes of a dishonest author, correctly signed, and bad certificates.

Used by the tests of `envelope/` and by `scripts/make-vectors`. Keys may come from a fixed text, so that vectors
and tests name partners instead of carrying files.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from p2pshare.envelope import sealing
from p2pshare.envelope.card import Card, accept_first
from p2pshare.envelope.card_format import CardBody, OperationalKey, partner_id_of, sign_card
from p2pshare.envelope.envelope import (
    DOMAIN_SIGNATURE,
    NO_PREVIOUS,
    WRAPPED_BYTES,
    Core,
    Mode,
    digests_of,
    encode_core,
    encode_envelope,
    slots_for,
)
from p2pshare.envelope.keys import (
    HintKey,
    Identity,
    KemKey,
    OperationalKeys,
    Secret,
    SigningKey,
    TlsKey,
)
from p2pshare.envelope.payload import pad
from p2pshare.envelope.recipient_number import RecipientNumber
from p2pshare.identifiers import CircleId, PartnerId
from p2pshare.limits import CARD_LIFE_SECONDS_MAX

NOW = 1_900_000_000  # 2030-03-17: the one instant of all tests and vectors here
CIRCLE = CircleId.of("main")
DAY = 86_400


def request(recipients: Sequence[Card], payload: bytes = b"payload", **changes: Any) -> sealing.SealRequest:
    """An honest request; recipient n gets the sequence number n, from 1."""
    plain = sealing.SealRequest(
        payload=payload,
        recipients=[
            sealing.Recipient(card, RecipientNumber(number)) for number, card in enumerate(recipients, 1)
        ],
        incarnation=NOW,
        sequence=1,
        previous=NO_PREVIOUS,
        circle=CIRCLE,
        mode=Mode.RELAY,
        created=NOW,
        ttl_class=4,
    )
    return replace(plain, **changes)


def forge(
    author: Identity,
    recipients: Sequence[Card],
    *,
    padded: bytes | None = None,
    wrapped_keys: Mapping[PartnerId, bytes] | None = None,
    number: RecipientNumber | None = None,
    encode: Callable[[Core], bytes] = encode_core,
    **changes: Any,
) -> bytes:
    """A signed wire whose header, padding, wrapped keys, number or encoding are whatever is asked for."""
    padded = pad(b"payload") if padded is None else padded
    content_key = hashlib.sha256(b"forged content key" + author.partner_id).digest()
    core = Core(
        suite=1,
        author=author.partner_id,
        key_id=author.operational.sign.key_id,
        incarnation=NOW,
        sequence=1,
        previous=NO_PREVIOUS,
        circle=CIRCLE,
        mode=Mode.RELAY,
        created=NOW,
        ttl_class=4,
        nonce=hashlib.sha256(b"forged nonce").digest()[:16],
        commitment=sealing._commitment(content_key),
        slots=slots_for(len(recipients)),
        body_bytes=len(padded) + 16,
    )
    core = replace(core, **changes)
    core_raw = encode(core)
    info = sealing._wrap_info(core_raw)
    rows = []
    for place, card in enumerate(recipients, 1):
        key = (wrapped_keys or {}).get(card.partner_id, content_key)
        hint = author.operational.hint.hint(card.hint, author.partner_id, card.partner_id, core.nonce)
        numbered = (number or RecipientNumber(place)).encode()
        rows.append((hint, card.kem.wrap(key + numbered, info)))
    for place in range(slots_for(len(recipients)) - len(recipients)):
        hint = hashlib.sha256(b"forged dummy" + bytes([place])).digest()[:8]
        rows.append((hint, sealing._nobody().wrap(bytes(WRAPPED_BYTES), info)))
    rows.sort()
    wraps = b"".join(hint for hint, _ in rows) + b"".join(wrap for _, wrap in rows)
    body = AESGCM(sealing._body_key(content_key)).encrypt(bytes(12), padded, core_raw)
    return sign_parts(author, core_raw, wraps, body)


def sign_parts(author: Identity, core_raw: bytes, wraps: bytes, body: bytes) -> bytes:
    """Sign any three parts as `author`."""
    signatures = author.operational.sign.sign(DOMAIN_SIGNATURE, digests_of(core_raw, wraps, body))
    return encode_envelope(core_raw, wraps, body, signatures)


def body_of(card: Card) -> CardBody:
    """The signed fields of a believed card, to be changed and signed again."""
    return CardBody(**{entry.name: getattr(card, entry.name) for entry in fields(CardBody)})


def next_body(card: Card, **changes: Any) -> CardBody:
    """The body of the next version of `card`."""
    following = replace(body_of(card), version=card.version + 1, previous=card.body_digest)
    return replace(following, **changes)


def named_identity(name: str, roots: int = 1, threshold: int = 1) -> Identity:
    """A partner whose keys follow from its name (but for the TLS key): for vectors, never for use."""
    root_keys = tuple(SigningKey.from_secret(_seed(name, f"root {number}", 64)) for number in range(roots))
    partner_id = partner_id_of([key.verify_key for key in root_keys], threshold)
    operational = named_keys(name, partner_id)
    body = CardBody(
        partner_id=partner_id,
        version=1,
        previous=NO_PREVIOUS,
        not_before=NOW,
        expires=NOW + CARD_LIFE_SECONDS_MAX,
        roots=tuple(key.verify_key for key in root_keys),
        threshold=threshold,
        sign_keys=(OperationalKey(operational.sign.verify_key, NOW, NOW + 90 * DAY),),
        kem_keys=(OperationalKey(operational.kem.public, NOW, NOW + 90 * DAY),),
        hint_keys=(OperationalKey(operational.hint.public, NOW, NOW + 90 * DAY),),
        tls_certificates=(operational.tls.certificate,),
        name=name,
        urls=(f"https://{name}.example:8443",),
        revoked=(),
    )
    return Identity(
        partner_id, root_keys, operational, accept_first(sign_card(body, root_keys[:threshold]), NOW)
    )


def named_keys(name: str, partner_id: PartnerId) -> OperationalKeys:
    """Daily keys of this partner that follow from a name (but for the TLS key)."""
    return OperationalKeys(
        SigningKey.from_secret(_seed(name, "sign", 64)),
        KemKey.from_secret(_seed(name, "kem", 32)),
        HintKey.from_secret(_seed(name, "hint", 32)),
        TlsKey.generate(partner_id, NOW, 90),
    )


def _seed(name: str, purpose: str, size: int) -> Secret:
    return Secret(hashlib.shake_256(f"p2pshare test vector {name} {purpose}".encode()).digest(size))


def certificate(
    of: PartnerId,
    *,
    is_ca: bool | None = False,
    key: ec.EllipticCurvePrivateKey | None = None,
    names: Sequence[x509.GeneralName] | None = None,
    issuer: str = "x",
    signer: ec.EllipticCurvePrivateKey | None = None,
    hash_algorithm: hashes.HashAlgorithm | None = None,
) -> bytes:
    """A TLS certificate that is good but for what is asked for; `names` empty leaves the extension out."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    names = uris(f"p2pshare:{of.text}") if names is None else names
    subject, by = (x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]) for name in ("x", issuer))
    start = datetime.fromtimestamp(NOW, UTC)
    builder = x509.CertificateBuilder(by, subject, key.public_key(), 7, start, start + timedelta(days=1))
    if is_ca is not None:
        builder = builder.add_extension(x509.BasicConstraints(is_ca, None), critical=True)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(signer or key, hash_algorithm or hashes.SHA256()).public_bytes(Encoding.DER)


def uris(*texts: str) -> list[x509.GeneralName]:
    return [x509.UniformResourceIdentifier(text) for text in texts]
