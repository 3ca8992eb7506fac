"""Key agreement of two partners: X-Wing to wrap content keys, X25519 to recognise one's own wrap.

X-Wing (draft-connolly-cfrg-xwing-kem) is ML-KEM-768 and X25519: breaking only one of them reveals
nothing. Its secret is one 32-byte seed. A hint key never protects content: it only lets a recipient find
its row among the wraps, which relays and other recipients cannot do.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import mlkem, x25519
from cryptography.hazmat.primitives.hpke import (
    AEAD,
    KDF,
    KEM,
    MLKEM768X25519PrivateKey,
    MLKEM768X25519PublicKey,
    Suite,
)
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from p2pshare.envelope.encoding import refusal
from p2pshare.envelope.hybrid import Secret
from p2pshare.envelope.sizes import HINT_BYTES, KEM_PUBLIC_BYTES, MLKEM_PUBLIC_BYTES, X25519_PUBLIC_BYTES
from p2pshare.identifiers import PartnerId

AGREEMENT_SECRET_BYTES = 32

SALT_HINT = b"p2pshare/v1/hint"
PAIR_KEYS_KEPT_MAX = 4096  # larger rosters only pay the X25519 again

# RFC 9180 with X-Wing: KEM 0x647A, KDF HKDF-SHA384 0x0002, AEAD AES-256-GCM 0x0002. Only the public API.
_HPKE = Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA384, AEAD.AES_256_GCM)

# u coordinates whose order divides 8, on the curve or its twist (RFC 7748 section 6.1): the agreed secret
# would be zero whatever our key is. Only canonical u (below p, top bit clear) are read at all.
_FIELD_PRIME = 2**255 - 19
_X25519_LOW_ORDER_U = frozenset(
    {
        0,
        1,
        _FIELD_PRIME - 1,
        325606250916557431795983626356110631294008115727848805560023387167927233504,
        39382357235489614581723060781553021112529911719440698176882885853963445705823,
    }
)


def _x25519_public(raw: bytes) -> x25519.X25519PublicKey:
    u = int.from_bytes(raw, "little")
    if len(raw) != X25519_PUBLIC_BYTES or u >= _FIELD_PRIME or u in _X25519_LOW_ORDER_U:
        raise refusal("bad-key", "an X25519 key is a low-order or non-canonical point")
    return x25519.X25519PublicKey.from_public_bytes(raw)


@dataclass(frozen=True, slots=True)
class KemPublicKey:
    """An X-Wing public key: `raw` is ML-KEM-768 (1,184 bytes) || X25519 (32 bytes)."""

    raw: bytes = field(repr=False)
    _key: MLKEM768X25519PublicKey = field(repr=False, compare=False)

    @classmethod
    def from_raw(cls, raw: bytes) -> KemPublicKey:
        """Returns the key of its raw bytes.

        Raises PeerError `bad-key`: wrong length, ML-KEM modulus check (FIPS 203 section 7.2), low order.
        """
        if len(raw) != KEM_PUBLIC_BYTES:
            raise refusal("bad-key", f"a KEM key has {KEM_PUBLIC_BYTES} bytes")
        try:
            lattice = mlkem.MLKEM768PublicKey.from_public_bytes(raw[:MLKEM_PUBLIC_BYTES])
        except ValueError:
            raise refusal("bad-key", "an ML-KEM key cannot be read") from None
        return cls(raw, MLKEM768X25519PublicKey(lattice, _x25519_public(raw[MLKEM_PUBLIC_BYTES:])))

    def wrap(self, plaintext: bytes, info: bytes) -> bytes:
        """Encrypt by HPKE, single-shot in base mode (RFC 9180 section 6.1).

        Returns encapsulation (1,120 bytes) || ciphertext || tag (16 bytes).
        """
        return _HPKE.encrypt(plaintext, self._key, info=info)


@dataclass(frozen=True, slots=True)
class KemKey:
    """The private half of a `KemPublicKey`."""

    public: KemPublicKey
    _seed: Secret = field(compare=False)
    _key: MLKEM768X25519PrivateKey = field(repr=False, compare=False)

    @classmethod
    def generate(cls) -> KemKey:
        return cls.from_secret(Secret(secrets.token_bytes(AGREEMENT_SECRET_BYTES)))

    @classmethod
    def from_secret(cls, secret: Secret) -> KemKey:
        """Returns the key of an X-Wing seed (32 bytes, else ValueError).

        SHAKE-256 of the seed gives d || z of ML-KEM, then the X25519 scalar.
        """
        if len(secret) != AGREEMENT_SECRET_BYTES:
            raise ValueError(f"a KEM secret has {AGREEMENT_SECRET_BYTES} bytes")
        expanded = hashlib.shake_256(secret.reveal()).digest(96)
        lattice = mlkem.MLKEM768PrivateKey.from_seed_bytes(expanded[:64])
        curve = x25519.X25519PrivateKey.from_private_bytes(expanded[64:])
        public = lattice.public_key().public_bytes_raw() + curve.public_key().public_bytes_raw()
        return cls(KemPublicKey.from_raw(public), secret, MLKEM768X25519PrivateKey(lattice, curve))

    def secret(self) -> Secret:
        return self._seed

    def unwrap(self, wrap: bytes, info: bytes) -> bytes | None:
        """Returns the plaintext, or None when `wrap` was not made for this key and this `info`."""
        try:
            return _HPKE.decrypt(wrap, self._key, info=info)
        except (InvalidTag, ValueError):
            return None


@dataclass(frozen=True, slots=True)
class HintPublicKey:
    """The X25519 public key of the hints, 32 bytes."""

    raw: bytes = field(repr=False)
    _key: x25519.X25519PublicKey = field(repr=False, compare=False)

    @classmethod
    def from_raw(cls, raw: bytes) -> HintPublicKey:
        """Returns the key of its raw bytes. Raises PeerError `bad-key` for a low-order or non-canonical point."""
        return cls(raw, _x25519_public(raw))


@dataclass(frozen=True, slots=True)
class HintKey:
    """The private half of a `HintPublicKey`; remembers the key of each pair, because X25519 costs 40 us."""

    public: HintPublicKey
    _secret: Secret = field(compare=False)
    _key: x25519.X25519PrivateKey = field(repr=False, compare=False)
    _pairs: dict[bytes, bytes] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def generate(cls) -> HintKey:
        return cls.from_secret(Secret(secrets.token_bytes(AGREEMENT_SECRET_BYTES)))

    @classmethod
    def from_secret(cls, secret: Secret) -> HintKey:
        """Returns the key of its secret. Raises ValueError unless the secret has 32 bytes."""
        key = x25519.X25519PrivateKey.from_private_bytes(secret.reveal())
        return cls(HintPublicKey.from_raw(key.public_key().public_bytes_raw()), secret, key)

    def secret(self) -> Secret:
        return self._secret

    def hint(self, other: HintPublicKey, author: PartnerId, recipient: PartnerId, nonce: bytes) -> bytes:
        """Returns the 8 bytes that mark `recipient`'s row in `author`'s envelope with this `nonce`; same from both sides."""
        return hmac.digest(self._pair_key(other, author, recipient), nonce, "sha256")[:HINT_BYTES]

    def _pair_key(self, other: HintPublicKey, author: PartnerId, recipient: PartnerId) -> bytes:
        parties = other.raw + author + recipient
        pair_key = self._pairs.get(parties)
        if pair_key is None:
            shared = self._key.exchange(other._key)
            derivation = HKDF(hashes.SHA384(), 32, salt=SALT_HINT, info=bytes(author + recipient))
            pair_key = derivation.derive(shared)
            if len(self._pairs) >= PAIR_KEYS_KEPT_MAX:
                self._pairs.clear()
            self._pairs[parties] = pair_key
        return pair_key
