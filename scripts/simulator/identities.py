"""Identities of simulated partners: real keys and cards, the same in every process, and signatures that cost nothing.

Keys, certificates and cards are derived from the partner's number, so ids, and with them every order that depends on ids, are the
same on any machine.

`cheap_signatures` puts a stand-in in the place of the two signatures (3 ms of Ed25519 and ML-DSA-87 an envelope): 4,691
bytes derived from key and message, which verification derives again. A signature of another kind goes to the real
verification, so corrupt bytes are refused as ever. A signature is outside the id of an envelope: the same seed gives the
same trace with real ones (tests/simulation holds that). Not so the id of a card that goes round: where cards are issued, real signatures give another trace.
It also puts a stand-in in the place of X-Wing, whose encapsulation draws numbers of its own: a wrap follows from the key and its
content, and a wrap of another kind goes to the real one. Where content is sealed, the real one gives another trace at each run.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from p2pshare.envelope import sealing
from p2pshare.envelope.agreement import KemPublicKey
from p2pshare.envelope.card import accept_first
from p2pshare.envelope.card_format import (
    NO_PREVIOUS,
    AnyKey,
    CardBody,
    OperationalKey,
    partner_id_of,
    sign_card,
)
from p2pshare.envelope.certificate import PARTNER_URI
from p2pshare.envelope.hybrid import Secret, SigningKey, VerifyKey
from p2pshare.envelope.keys import HintKey, Identity, KemKey, OperationalKeys, TlsKey
from p2pshare.envelope.sizes import SIGNATURE_BYTES
from p2pshare.identifiers import PartnerId
from p2pshare.limits import CARD_LIFE_SECONDS_MAX
from simulator.event_queue import START_SECONDS

ENCAPSULATION_BYTES = 1_120  # of X-Wing (`envelope.agreement.KemPublicKey.wrap`)
TAG_BYTES = 16
_BEGIN = int(START_SECONDS) - 10 * 86_400
_END = _BEGIN + CARD_LIFE_SECONDS_MAX


@functools.lru_cache(maxsize=1024)
def identity_of(number: int, *, is_dialable: bool = True) -> Identity:
    """Returns the partner with this number; one that is not dialable has another card and so is another partner."""
    label = f"{number}/{is_dialable}"
    root = SigningKey.from_secret(_secret(label, "root", 64))
    partner_id = partner_id_of((root.verify_key,), 1)
    operational = _operational(label, partner_id)
    body = CardBody(
        partner_id=partner_id,
        version=1,
        previous=NO_PREVIOUS,
        not_before=_BEGIN,
        expires=_END,
        roots=(root.verify_key,),
        threshold=1,
        sign_keys=(_dated(operational.sign.verify_key),),
        kem_keys=(_dated(operational.kem.public),),
        hint_keys=(_dated(operational.hint.public),),
        tls_certificates=(operational.tls.certificate,),
        name=f"simulated {number}",
        urls=(f"https://simulated{number}.example:8443",) if is_dialable else (),
        revoked=(),
    )
    card = accept_first(sign_card(body, (root,)), int(START_SECONDS))
    return Identity(partner_id, (root,), operational, card)


def next_keys(identity: Identity, number: int) -> OperationalKeys:
    """Returns the daily keys that a partner takes when it revokes its old ones for the `number`th time."""
    return _operational(f"{identity.partner_id.text}/{number}", identity.partner_id)


def _operational(label: str, partner_id: PartnerId) -> OperationalKeys:
    return OperationalKeys(
        SigningKey.from_secret(_secret(label, "sign", 64)),
        KemKey.from_secret(_secret(label, "kem", 32)),
        HintKey.from_secret(_secret(label, "hint", 32)),
        _tls_key(label, partner_id),
    )


def _tls_key(label: str, partner_id: PartnerId) -> TlsKey:
    """Returns a key with a certificate of the smallest form that a card takes (docs/card.md, "Certificates")."""
    number = int.from_bytes(_secret(label, "tls", 32).reveal(), "big")
    key = ec.derive_private_key(number, ec.SECP384R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "simulated")])
    named = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(PARTNER_URI + partner_id.text)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1 + number % 2**64)
        .not_valid_before(datetime.fromtimestamp(_BEGIN, UTC))
        .not_valid_after(datetime.fromtimestamp(_END, UTC))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(named, critical=False)
        .sign(key, hashes.SHA384(), ecdsa_deterministic=True)
    )
    private = key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return TlsKey.from_secret(Secret(private), certificate.public_bytes(serialization.Encoding.DER))


def _dated(key: AnyKey) -> OperationalKey[AnyKey]:
    return OperationalKey(key, _BEGIN, _END)


def _secret(label: str, purpose: str, length: int) -> Secret:
    return Secret(hashlib.shake_256(f"p2pshare simulation {label} {purpose}".encode()).digest(length))


@contextlib.contextmanager
def cheap_signatures() -> Iterator[None]:
    """Make signing, verifying and wrapping cost microseconds inside the block; see above."""
    sign, verify = SigningKey.sign, VerifyKey.verify
    wrap, unwrap, nobody = KemPublicKey.wrap, KemKey.unwrap, sealing._nobody

    def cheap_sign(self: SigningKey, context: bytes, message: bytes) -> bytes:
        return _stand_in(self.verify_key, context, message)

    def cheap_verify(self: VerifyKey, context: bytes, message: bytes, signature: bytes) -> None:
        if signature != _stand_in(self, context, message):
            verify(self, context, message, signature)

    def cheap_unwrap(self: KemKey, wrapped: bytes, info: bytes) -> bytes | None:
        plaintext = _unwrapped(self.public, wrapped, info)
        return unwrap(self, wrapped, info) if plaintext is None else plaintext

    SigningKey.sign, VerifyKey.verify = cheap_sign, cheap_verify  # type: ignore[method-assign]
    KemPublicKey.wrap, KemKey.unwrap = _wrapped, cheap_unwrap  # type: ignore[method-assign, assignment]
    sealing._nobody = _simulated_nobody
    try:
        yield
    finally:
        SigningKey.sign, VerifyKey.verify = sign, verify  # type: ignore[method-assign]
        KemPublicKey.wrap, KemKey.unwrap = wrap, unwrap  # type: ignore[method-assign]
        sealing._nobody = nobody


@functools.cache
def _simulated_nobody() -> KemPublicKey:
    return KemKey.from_secret(_secret("nobody", "kem", 32)).public


def _wrapped(key: KemPublicKey, plaintext: bytes, info: bytes) -> bytes:
    """Returns a wrap in the form of a real one, that follows from key and content."""
    seal = hashlib.shake_256(b"wrap" + key.raw + info + plaintext).digest(ENCAPSULATION_BYTES)
    mask = hashlib.shake_256(b"mask" + key.raw + info + seal).digest(len(plaintext))
    tag = hashlib.blake2b(plaintext + seal, key=info[:64], digest_size=TAG_BYTES).digest()
    return seal + bytes(one ^ other for one, other in zip(plaintext, mask, strict=True)) + tag


def _unwrapped(key: KemPublicKey, wrapped: bytes, info: bytes) -> bytes | None:
    """Returns the content of such a wrap; None where it is none of this key and `info`."""
    seal, masked = wrapped[:ENCAPSULATION_BYTES], wrapped[ENCAPSULATION_BYTES:-TAG_BYTES]
    mask = hashlib.shake_256(b"mask" + key.raw + info + seal).digest(len(masked))
    plaintext = bytes(one ^ other for one, other in zip(masked, mask, strict=True))
    return plaintext if _wrapped(key, plaintext, info) == wrapped else None


def _stand_in(key: VerifyKey, context: bytes, message: bytes) -> bytes:
    mark = hashlib.blake2b(context + message, key=key.key_id, person=b"simulated").digest()
    return mark * (SIGNATURE_BYTES // len(mark)) + mark[: SIGNATURE_BYTES % len(mark)]
