"""Signatures of playbooks as CACAO 2.0 has them (JSON Signature Scheme, section 9), made and checked.

What is signed is exact, and follows the example that OASIS published with the standard (tests/vectors/jss.json):

1. The playbook without all its signatures, with the one being made as the only member of `signatures`, without `value`.
2. Its canonical form (RFC 8785), and of that the SHA-256.
3. The ASCII of the digest in lower-case hexadecimal, 64 bytes, is what the algorithm signs: not the digest's 32 bytes.
4. `value` is the signature in base64url without padding; `public_key` the Base64 of the key's SubjectPublicKeyInfo.

Ours are Ed25519, by a key that signs nothing else: a card's keys never sign a foreign format. RS256 is checked, not made.
"""

from __future__ import annotations

import binascii
import hashlib
import secrets
from base64 import b64decode, b64encode, urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from p2pshare.envelope.hybrid import Secret, is_good_point
from p2pshare.errors import AuthorError
from p2pshare.jcs import jcs_bytes
from p2pshare.limits import KIB

JSS_BYTES_MAX = 16 * KIB  # of the canonical form: an RSA key and its signature have 2 KiB
PLAYBOOK_SEED_BYTES = 32
_RSA_BITS = range(2_048, 4_097)  # below it is forged, above it costs whoever checks
_TEXTS = ("id", "created", "modified", "signee", "related_to", "related_version", "public_key", "value")


class PlaybookKey:
    """The key of a partner that signs playbooks, and only those. `seed` is 32 random bytes. Two are equal when their public keys are."""

    def __init__(self, seed: Secret) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(seed.reveal())

    @classmethod
    def generate(cls) -> PlaybookKey:
        return cls(Secret(secrets.token_bytes(PLAYBOOK_SEED_BYTES)))

    def secret(self) -> Secret:
        """Returns the seed."""
        return Secret(self._key.private_bytes_raw())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PlaybookKey) and self.public_text == other.public_text

    def __hash__(self) -> int:
        return hash(self.public_text)

    def __repr__(self) -> str:
        return f"PlaybookKey({self.public_text})"

    @property
    def public_text(self) -> str:
        """Returns the public key as it stands in a signature."""
        der = self._key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return b64encode(der).decode()

    def sign(self, signed: bytes) -> str:
        """Returns the signature's text."""
        return urlsafe_b64encode(self._key.sign(signed)).rstrip(b"=").decode()


def sign_playbook(
    playbook: Mapping[str, Any], key: PlaybookKey, *, jss_id: str, created_by: str, signee: str, at: str
) -> dict[str, Any]:
    """Returns a complete signature over `playbook` as it is. `jss_id` is `jss--UUID`, `created_by` the id of the signer's
    identity, `at` an instant as CACAO writes it, to the millisecond. Raises AuthorError where there is no canonical form."""
    jss: dict[str, Any] = {
        "type": "jss",
        "id": jss_id,
        "created_by": created_by,
        "created": at,
        "modified": at,
        "signee": signee,
        "related_to": playbook["id"],
        "related_version": playbook["modified"],
        "hash_algorithm": "sha-256",
        "algorithm": "Ed25519",
        "public_key": key.public_text,
    }
    return jss | {"value": key.sign(_signed(playbook, jss))}


def check_jss(playbook: Mapping[str, Any], jss: Mapping[str, Any]) -> None:
    """Check one signature over `playbook`, whatever others it has; both are shallow JSON. Raises AuthorError `bad-jss`: another playbook or version, a shape or
    an algorithm that is not read, a signature that does not fit. Says nothing of who holds the key, or of a time when it is good."""
    JssChecker(playbook).check(jss)


class JssChecker:
    """Checks signatures over one playbook. Its canonical form is made once, which is most of the work for a large one."""

    def __init__(self, playbook: Mapping[str, Any]) -> None:
        """Raises AuthorError where there is no canonical form."""
        self._playbook_id, self._modified = playbook.get("id"), playbook.get("modified")
        others = {name: value for name, value in playbook.items() if name != "signatures"}
        before = {
            name: value for name, value in others.items() if _jcs_order(name) < _jcs_order("signatures")
        }
        behind = {name: value for name, value in others.items() if name not in before}
        self._before = hashlib.sha256(b"{" + b"".join(part + b"," for part in (_members(before),) if part))
        self._behind = b"".join(b"," + part for part in (_members(behind),) if part) + b"}"

    def digest(self, jss: Mapping[str, Any]) -> str:
        """Returns what `signed_digest` returns."""
        whole = self._before.copy()
        whole.update(b'"signatures":' + jcs_bytes([dict(jss)]) + self._behind)
        return whole.hexdigest()

    def check(self, jss: Mapping[str, Any]) -> None:
        """Check one signature. Raises AuthorError `bad-jss` as `check_jss`."""
        _check(self, self._playbook_id, self._modified, jss)


def _jcs_order(name: str) -> bytes:
    """Returns a key as RFC 8785 section 3.2.3 sorts it: by UTF-16 code units."""
    return name.encode("utf-16-be", "surrogatepass")


def _members(members: Mapping[str, Any]) -> bytes:
    """Returns the canonical form of members without the braces around them."""
    return jcs_bytes(dict(members))[1:-1]


def _check(checker: JssChecker, playbook_id: object, modified: object, jss: Mapping[str, Any]) -> None:
    if any(not isinstance(jss.get(name), str) for name in _TEXTS) or jss.get("type") != "jss":
        raise _bad("it lacks what a signature has")
    if jss["related_to"] != playbook_id or jss["related_version"] != modified:
        raise _bad("it is of another playbook, or of another version")
    if jss.get("revoked") is True:
        raise _bad("it was revoked")
    if jss.get("hash_algorithm") != "sha-256":
        raise _bad("its hash algorithm is not sha-256")
    if len(jcs_bytes(jss)) > JSS_BYTES_MAX:
        raise _bad(f"it is larger than {JSS_BYTES_MAX} bytes")
    try:
        key = load_der_public_key(b64decode(jss["public_key"], validate=True))
    except (ValueError, UnsupportedAlgorithm):
        raise _bad("its public key is none") from None
    signature = _signature_bytes(jss["value"])
    unsigned = {name: value for name, value in jss.items() if name != "value"}
    signed = checker.digest(unsigned).encode("ascii")
    try:
        if jss.get("algorithm") == "Ed25519" and isinstance(key, Ed25519PublicKey):
            if not is_good_point(key.public_bytes_raw()):
                raise _bad("anybody can sign under its key")
            key.verify(signature, signed)
        elif jss.get("algorithm") == "RS256" and isinstance(key, RSAPublicKey) and key.key_size in _RSA_BITS:
            key.verify(signature, signed, padding.PKCS1v15(), SHA256())
        else:
            raise _bad("its algorithm is not read, or its key is of another")
    except InvalidSignature:
        raise _bad("it does not fit what it says it signs") from None


def signed_digest(playbook: Mapping[str, Any], jss: Mapping[str, Any]) -> str:
    """Returns the SHA-256, in hexadecimal, of the canonical form of `playbook` with `jss`, which has no value, alone."""
    alone = {name: value for name, value in playbook.items() if name != "signatures"} | {
        "signatures": [dict(jss)]
    }
    return hashlib.sha256(jcs_bytes(alone)).hexdigest()


def _signed(playbook: Mapping[str, Any], jss: Mapping[str, Any]) -> bytes:
    return signed_digest(playbook, jss).encode("ascii")


def _signature_bytes(value: str) -> bytes:
    """Returns the bytes of a base64url text, padded or not. Other spellings of the same bytes are refused."""
    bare = value.rstrip("=")
    try:
        raw = urlsafe_b64decode(bare + "=" * (-len(bare) % 4))
    except (binascii.Error, ValueError):
        raise _bad("its value is no base64url") from None
    if urlsafe_b64encode(raw).rstrip(b"=").decode() != bare:
        raise _bad("its value is no base64url")
    return raw


def _bad(why: str) -> AuthorError:
    return AuthorError(f"the signature of a playbook is not good: {why}", reason="bad-jss")
