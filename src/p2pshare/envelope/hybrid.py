"""Hybrid signatures: Ed25519 and ML-DSA-87 over the same bytes, and both must be valid.

Sizes: public key 32 + 2,592 bytes, signature 64 + 4,627 bytes, secret 32 + 32 bytes (two seeds).
Both algorithms sign `context || message`; contexts end in a zero byte and none is a prefix of another, so a
signature made for a card is never one for an envelope. ML-DSA's own context string (FIPS 204 section 5.2)
stays empty.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, field
from typing import NoReturn

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ed25519, mldsa

from p2pshare.envelope.encoding import refusal
from p2pshare.envelope.sizes import (
    ED25519_PUBLIC_BYTES,
    ED25519_SIGNATURE_BYTES,
    SIGNATURE_BYTES,
    VERIFY_KEY_BYTES,
)
from p2pshare.identifiers import KeyId

DOMAIN_KEY_ID = b"p2pshare/v1/key-id\x00"

SEED_BYTES = 32
SIGNING_SECRET_BYTES = 2 * SEED_BYTES

# The y coordinates of the eight points whose order divides 8 (RFC 8032 section 5.1; the sign bit is dropped).
# Under such a key anybody can make signatures, and OpenSSL accepts them: refused before any use.
_FIELD_PRIME = 2**255 - 19
_ORDER_8_Y = 2707385501144840649318225287225658788936804267575313519463743609750303402022
_ED25519_LOW_ORDER_Y = frozenset({0, 1, _FIELD_PRIME - 1, _ORDER_8_Y, _FIELD_PRIME - _ORDER_8_Y})


def is_good_point(classic: bytes) -> bool:
    """Returns whether an Ed25519 public key is written in the one way and is no point of low order."""
    y = int.from_bytes(classic, "little") & (2**255 - 1)
    return y < _FIELD_PRIME and y not in _ED25519_LOW_ORDER_Y


class Secret:
    """Secret bytes that do not print, log, compare, hash or pickle. `reveal` is the only way out."""

    __slots__ = ("_raw",)
    __hash__ = None  # type: ignore[assignment]  # no secret is a key of a dict

    def __init__(self, raw: bytes) -> None:
        self._raw = bytes(raw)

    def reveal(self) -> bytes:
        return self._raw

    def __len__(self) -> int:
        return len(self._raw)

    def __repr__(self) -> str:
        return "<secret>"

    __str__ = __repr__

    def __format__(self, specification: str) -> str:
        return "<secret>"

    def __eq__(self, other: object) -> bool:
        return self is other

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret cannot be pickled or copied")


def key_id_of(public: bytes) -> KeyId:
    """Returns the id of a public key, of any kind, by its public form (docs/card.md, "Keys")."""
    return KeyId(hashlib.sha384(DOMAIN_KEY_ID + public).digest()[:16])


@dataclass(frozen=True, slots=True)
class VerifyKey:
    """A public signing key: `raw` is Ed25519 (32 bytes) || ML-DSA-87 (2,592 bytes)."""

    raw: bytes = field(repr=False)
    key_id: KeyId
    _ed25519: ed25519.Ed25519PublicKey = field(repr=False, compare=False)
    _mldsa: mldsa.MLDSA87PublicKey = field(repr=False, compare=False)

    @classmethod
    def from_raw(cls, raw: bytes) -> VerifyKey:
        """Returns the key of its raw bytes.

        Raises PeerError `bad-key`: wrong length, not canonical, or an Ed25519 point of low order.
        """
        if len(raw) != VERIFY_KEY_BYTES:
            raise refusal("bad-key", f"a verify key has {VERIFY_KEY_BYTES} bytes")
        classic, post_quantum = raw[:ED25519_PUBLIC_BYTES], raw[ED25519_PUBLIC_BYTES:]
        if not is_good_point(classic):
            raise refusal("bad-key", "an Ed25519 key is a low-order or non-canonical point")
        try:
            ed25519_key = ed25519.Ed25519PublicKey.from_public_bytes(classic)
            mldsa_key = mldsa.MLDSA87PublicKey.from_public_bytes(post_quantum)
        except ValueError:
            raise refusal("bad-key", "a verify key cannot be read") from None
        return cls(raw, key_id_of(raw), ed25519_key, mldsa_key)

    def verify(self, context: bytes, message: bytes, signature: bytes) -> None:
        """Verify both halves of a signature (4,691 bytes), the cheap one first. Raises PeerError `bad-signature`."""
        if len(signature) != SIGNATURE_BYTES:
            raise refusal("bad-signature", f"a signature has {SIGNATURE_BYTES} bytes")
        signed = context + message
        try:
            self._ed25519.verify(signature[:ED25519_SIGNATURE_BYTES], signed)
            self._mldsa.verify(signature[ED25519_SIGNATURE_BYTES:], signed)
        except InvalidSignature:
            raise refusal("bad-signature", "a signature does not hold") from None


@dataclass(frozen=True, slots=True)
class SigningKey:
    """The private half of a `VerifyKey`."""

    verify_key: VerifyKey
    _seeds: Secret = field(compare=False)
    _ed25519: ed25519.Ed25519PrivateKey = field(repr=False, compare=False)
    _mldsa: mldsa.MLDSA87PrivateKey = field(repr=False, compare=False)

    @classmethod
    def generate(cls) -> SigningKey:
        return cls.from_secret(Secret(secrets.token_bytes(SIGNING_SECRET_BYTES)))

    @classmethod
    def from_secret(cls, secret: Secret) -> SigningKey:
        """Returns the key of two seeds, 32 bytes each: Ed25519 (RFC 8032 section 5.1.5) || ML-DSA-87 (FIPS 204, xi).

        Raises ValueError for another length.
        """
        seeds = secret.reveal()
        if len(seeds) != SIGNING_SECRET_BYTES:
            raise ValueError(f"a signing secret has {SIGNING_SECRET_BYTES} bytes")
        ed25519_key = ed25519.Ed25519PrivateKey.from_private_bytes(seeds[:SEED_BYTES])
        mldsa_key = mldsa.MLDSA87PrivateKey.from_seed_bytes(seeds[SEED_BYTES:])
        public = ed25519_key.public_key().public_bytes_raw() + mldsa_key.public_key().public_bytes_raw()
        return cls(VerifyKey.from_raw(public), secret, ed25519_key, mldsa_key)

    @property
    def key_id(self) -> KeyId:
        return self.verify_key.key_id

    def secret(self) -> Secret:
        return self._seeds

    def sign(self, context: bytes, message: bytes) -> bytes:
        """Returns Ed25519(context || message) || ML-DSA-87(context || message), 4,691 bytes."""
        signed = context + message
        return self._ed25519.sign(signed) + self._mldsa.sign(signed)
