"""The bytes of a card: a partner's statement about itself, signed by its root keys (docs/card.md).

::

    card     = [magic "p2pc", 1, body (bin), [[key id, signature], ...]]        key ids ascending
    versions = [magic "p2pv", 1, [card (bin), ...]]                             versions ascending by one
    body     = {0 partner id, 1 version, 2 previous, 3 not before, 4 expires, 5 roots, 6 threshold,
                7 sign, 8 kem, 9 hint, 10 tls, 11 name, 12 urls, 13 revoked}

A `.p2pcard` file is either form. Only the shape is checked here; whose signature counts is decided in `card`.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from p2pshare.envelope.agreement import HintPublicKey, KemPublicKey
from p2pshare.envelope.certificate import check_certificate
from p2pshare.envelope.encoding import INTEGER_MAX, Reader, pack, refusal
from p2pshare.envelope.hybrid import SigningKey, VerifyKey
from p2pshare.envelope.sizes import KEM_PUBLIC_BYTES, SIGNATURE_BYTES, VERIFY_KEY_BYTES, X25519_PUBLIC_BYTES
from p2pshare.errors import PeerError
from p2pshare.identifiers import KeyId, PartnerId
from p2pshare.limits import (
    CARD_BYTES_MAX,
    CARD_CHAIN_BYTES_MAX,
    CARD_CHAIN_LENGTH_MAX,
    CARD_HINT_KEYS_MAX,
    CARD_KEM_KEYS_MAX,
    CARD_LIFE_SECONDS_MAX,
    CARD_NAME_BYTES_MAX,
    CARD_REVOCATIONS_MAX,
    CARD_SIGN_KEYS_MAX,
    CARD_TLS_CERTIFICATES_MAX,
    CARD_URL_BYTES_MAX,
    CARD_URLS_MAX,
    ROOT_KEYS_MAX,
    TLS_CERTIFICATE_BYTES_MAX,
)
from p2pshare.lookalikes import has_visible

CARD_MAGIC = b"p2pc"
VERSIONS_MAGIC = b"p2pv"
FORMAT_VERSION = 1
DOMAIN_CARD = b"p2pshare/v1/card\x00"
DOMAIN_PARTNER = b"p2pshare/v1/partner-id\x00"
DIGEST_BYTES = 32
NO_PREVIOUS = bytes(DIGEST_BYTES)  # version 1 follows nothing
NOTHING_VOUCHED = bytes(DIGEST_BYTES)  # the vouch root of a revoked key whose every envelope is disowned
REVOCATION_REASON_MAX = 3  # 0 unspecified, 1 compromised, 2 lost, 3 superseded

# A person confirms a name by reading it: controls, bidi marks, invisible characters and tags would lie.
_UNREADABLE = re.compile(
    "[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff"
    "\U000e0000-\U000e007f]"
)
_URL = re.compile(
    r"https://(\[[0-9a-f:.]{2,45}\]|[A-Za-z0-9.-]{1,253})(:[0-9]{1,5})?(/[A-Za-z0-9._~/-]*)?", re.ASCII
)

AnyKey = TypeVar("AnyKey", VerifyKey, KemPublicKey, HintPublicKey)


@dataclass(frozen=True, slots=True)
class OperationalKey(Generic[AnyKey]):
    """A key and the time in which it may be used: `not_before <= at < expires`, unix seconds."""

    key: AnyKey
    not_before: int
    expires: int

    def is_valid(self, at: int) -> bool:
        return self.not_before <= at < self.expires


@dataclass(frozen=True, slots=True)
class Revocation:
    """A sign key that somebody else may have, since when (unix seconds) and why (0 to 3).

    A thief chooses times and numbers, so only what stands in the lists under `vouch_root` (`vouch`) is still its owner's.
    """

    key_id: KeyId
    since: int
    reason: int
    vouch_root: bytes = NOTHING_VOUCHED


@dataclass(frozen=True)
class CardBody:
    """The signed fields. Key lists begin with the newest; `kem`, `hint` name the one to use now."""

    partner_id: PartnerId
    version: int
    previous: bytes
    not_before: int
    expires: int
    roots: tuple[VerifyKey, ...]
    threshold: int
    sign_keys: tuple[OperationalKey[VerifyKey], ...]
    kem_keys: tuple[OperationalKey[KemPublicKey], ...]
    hint_keys: tuple[OperationalKey[HintPublicKey], ...]
    tls_certificates: tuple[bytes, ...] = field(repr=False)
    name: str
    urls: tuple[str, ...]
    revoked: tuple[Revocation, ...]

    @property
    def kem(self) -> KemPublicKey:
        return self.kem_keys[0].key

    @property
    def hint(self) -> HintPublicKey:
        return self.hint_keys[0].key


@dataclass(frozen=True)
class DecodedCard:
    """A card version of the right shape, and nothing more: its signatures are not verified."""

    body: CardBody
    body_raw: bytes = field(repr=False)
    body_digest: bytes
    signatures: tuple[tuple[KeyId, bytes], ...] = field(repr=False)
    raw: bytes = field(repr=False)


def partner_id_of(roots: Sequence[VerifyKey], threshold: int) -> PartnerId:
    """Returns the permanent id of the partner whose first card has these roots and this threshold."""
    stated = pack([threshold, sorted(root.raw for root in roots)])
    return PartnerId(hashlib.sha384(DOMAIN_PARTNER + stated).digest()[:32])


def body_digest(body_raw: bytes) -> bytes:
    """Returns the digest (32 bytes) by which the next version names this one as its previous."""
    return hashlib.sha384(body_raw).digest()[:DIGEST_BYTES]


def signed_message(body_raw: bytes) -> bytes:
    """Returns the message (48 bytes) that the root keys sign, under the context `DOMAIN_CARD`."""
    return hashlib.sha384(body_raw).digest()


def is_good_name(name: str) -> bool:
    """Returns whether a name has 1 to 256 bytes, no control, bidi or invisible characters, and no blank at either end."""
    size = len(name.encode("utf-8", "replace"))
    if not 1 <= size <= CARD_NAME_BYTES_MAX or name != name.strip():
        return False
    return not _UNREADABLE.search(name) and has_visible(name)


def is_good_url(url: str) -> bool:
    """Returns whether an address is `https://host[:port][/path]` in ASCII, without user, query or fragment."""
    found = _URL.fullmatch(url)
    if found is None or len(url) > CARD_URL_BYTES_MAX:
        return False
    port = found.group(2)
    return port is None or 1 <= int(port[1:]) <= 65535


# --- encoding --------------------------------------------------------------------------------------


def sign_card(body: CardBody, signers: Sequence[SigningKey]) -> bytes:
    """Sign a version with `signers`: roots of this version and, from version 2 on, of the version before. Returns the card."""
    return sign_body(encode_body(body), signers)


def sign_body(
    body_raw: bytes, signers: Sequence[SigningKey], signed: Sequence[tuple[KeyId, bytes]] = ()
) -> bytes:
    """Returns the card of these bytes with the signatures that it has and those of `signers`."""
    message = signed_message(body_raw)
    signatures = dict(signed) | {signer.key_id: signer.sign(DOMAIN_CARD, message) for signer in signers}
    return pack([CARD_MAGIC, FORMAT_VERSION, body_raw, [list(pair) for pair in sorted(signatures.items())]])


def encode_body(body: CardBody) -> bytes:
    """Returns the canonical bytes that are hashed and signed."""
    return pack(
        {
            0: body.partner_id,
            1: body.version,
            2: body.previous,
            3: body.not_before,
            4: body.expires,
            5: sorted(root.raw for root in body.roots),
            6: body.threshold,
            7: _pack_keys(body.sign_keys),
            8: _pack_keys(body.kem_keys),
            9: _pack_keys(body.hint_keys),
            10: list(body.tls_certificates),
            11: body.name,
            12: list(body.urls),
            13: [[r.key_id, r.since, r.reason, r.vouch_root] for r in body.revoked],
        }
    )


def encode_versions(cards: Sequence[bytes]) -> bytes:
    """Returns the file of all versions, oldest first; a single version stays a plain card."""
    return cards[0] if len(cards) == 1 else pack([VERSIONS_MAGIC, FORMAT_VERSION, list(cards)])


def _pack_keys(keys: Sequence[OperationalKey[AnyKey]]) -> list[list[object]]:
    return [[entry.key.raw, entry.not_before, entry.expires] for entry in keys]


# --- decoding --------------------------------------------------------------------------------------


def decode_card(raw: bytes) -> DecodedCard:
    """Returns the (newest) version in a card file. Checks the shape only. Raises PeerError."""
    return decode_versions(raw)[-1]


def split_versions(raw: bytes) -> list[bytes]:
    """Returns every version in a card file as it stands there, oldest first, without a look into it: cheap for any file.

    Raises PeerError `oversized`, `malformed`, `not-canonical`, `unknown-version`.
    """
    if len(raw) > CARD_CHAIN_BYTES_MAX:
        raise refusal("oversized", "a card file is too large")
    if raw[3:7] != VERSIONS_MAGIC:  # both forms begin: array of 3 or 4, bin of 4, magic
        return [raw]
    reader = Reader(raw)
    reader.array(3, 3)
    reader.blob(4, 4)
    _check_format(reader.integer())
    count = reader.array(2, CARD_CHAIN_LENGTH_MAX)  # one version alone has the plain form
    versions = [reader.blob(1, CARD_BYTES_MAX) for _ in range(count)]
    reader.end()
    return versions


def digest_of_version(raw: bytes) -> bytes:
    """Returns the digest of the body in a version of a card file; of what is no card, one that no body has. Cheap for any
    bytes: the body is not looked into."""
    reader = Reader(raw)
    try:
        reader.array(4, 4)
        reader.blob(4, 4)
        reader.integer()
        return body_digest(reader.blob(1, CARD_BYTES_MAX))
    except PeerError:
        return NO_PREVIOUS


def decode_versions(raw: bytes, *, is_unfinished: bool = False) -> tuple[DecodedCard, ...]:
    """Returns every version in a card file, oldest first. Checks the shape only. The newest of an unfinished one may have no
    signature at all.

    Raises PeerError `oversized`, `malformed`, `not-canonical`, `unknown-version`, `bad-key`, `bad-certificate`.
    """
    signatures_min = 0 if is_unfinished else 1
    versions = split_versions(raw)
    cards = [
        _decode_single(version, signatures_min if number == len(versions) else 1)
        for number, version in enumerate(versions, 1)
    ]
    for before, after in itertools.pairwise(cards):
        if after.body.version != before.body.version + 1:
            raise refusal("malformed", "the versions in a card file do not follow one another")
    return tuple(cards)


@functools.lru_cache(
    maxsize=CARD_CHAIN_LENGTH_MAX
)  # a new version is compared with all before it: 2 ms each, once
def _decode_single(raw: bytes, signatures_min: int) -> DecodedCard:
    if len(raw) > CARD_BYTES_MAX:
        raise refusal("oversized", "a card is too large")
    reader = Reader(raw)
    reader.array(4, 4)
    if reader.blob(4, 4) != CARD_MAGIC:
        raise refusal("malformed", "not a card")
    _check_format(reader.integer())
    body_raw = reader.blob(1, CARD_BYTES_MAX)
    signatures = []
    for _ in range(reader.array(signatures_min, 2 * ROOT_KEYS_MAX)):
        reader.array(2, 2)
        signatures.append((KeyId(reader.blob(16, 16)), reader.blob(SIGNATURE_BYTES, SIGNATURE_BYTES)))
    reader.end()
    if not _is_ascending([key_id for key_id, _ in signatures]):  # so one key cannot be counted twice
        raise refusal("malformed", "the signatures of a card are not in the order of their key ids")
    body = _decode_body(body_raw)
    return DecodedCard(body, body_raw, body_digest(body_raw), tuple(signatures), raw)


def _decode_body(raw: bytes) -> CardBody:
    reader = Reader(raw)
    reader.map(14)
    partner_id = PartnerId(_at(reader, 0).blob(32, 32))
    body = CardBody(
        partner_id=partner_id,
        version=_at(reader, 1).integer(),
        previous=_at(reader, 2).blob(DIGEST_BYTES, DIGEST_BYTES),
        not_before=_at(reader, 3).integer(),
        expires=_at(reader, 4).integer(),
        roots=_decode_roots(_at(reader, 5)),
        threshold=_at(reader, 6).integer(ROOT_KEYS_MAX),
        sign_keys=_decode_keys(_at(reader, 7), VERIFY_KEY_BYTES, CARD_SIGN_KEYS_MAX, VerifyKey.from_raw),
        kem_keys=_decode_keys(_at(reader, 8), KEM_PUBLIC_BYTES, CARD_KEM_KEYS_MAX, KemPublicKey.from_raw),
        hint_keys=_decode_keys(
            _at(reader, 9), X25519_PUBLIC_BYTES, CARD_HINT_KEYS_MAX, HintPublicKey.from_raw
        ),
        tls_certificates=_decode_certificates(_at(reader, 10), partner_id),
        name=_at(reader, 11).text(1, CARD_NAME_BYTES_MAX),
        urls=_decode_urls(_at(reader, 12)),
        revoked=_decode_revoked(_at(reader, 13)),
    )
    reader.end()
    _check_body(body)
    return body


def _check_body(body: CardBody) -> None:
    """Check the rules that bind several fields together. Raises PeerError `malformed`."""
    if body.version < 1 or (body.version == 1) != (body.previous == NO_PREVIOUS):
        raise refusal("malformed", "a card's version and previous digest do not fit")
    if not 1 <= body.threshold <= len(body.roots):
        raise refusal("malformed", "a card's threshold does not fit its roots")
    if not body.not_before < body.expires <= body.not_before + CARD_LIFE_SECONDS_MAX:
        raise refusal("malformed", "a card's life is empty or too long")
    if not is_good_name(body.name):
        raise refusal("malformed", "a card's name has characters that cannot be read")


def _at(reader: Reader, number: int) -> Reader:
    reader.key(number)
    return reader


def _check_format(version: int) -> None:
    if version != FORMAT_VERSION:
        raise refusal("unknown-version", "a card has a format that this program does not know")


def _is_ascending(values: Sequence[bytes]) -> bool:
    return all(before < after for before, after in itertools.pairwise(values))


def _decode_roots(reader: Reader) -> tuple[VerifyKey, ...]:
    raws = [reader.blob(VERIFY_KEY_BYTES, VERIFY_KEY_BYTES) for _ in range(reader.array(1, ROOT_KEYS_MAX))]
    if not _is_ascending(raws):
        raise refusal("malformed", "a card's roots are not in ascending order")
    return tuple(VerifyKey.from_raw(raw) for raw in raws)


def _decode_keys(
    reader: Reader, size: int, count_max: int, from_raw: Callable[[bytes], AnyKey]
) -> tuple[OperationalKey[AnyKey], ...]:
    keys: list[OperationalKey[AnyKey]] = []
    for _ in range(reader.array(1, count_max)):
        reader.array(3, 3)
        entry = OperationalKey(
            from_raw(reader.blob(size, size)), reader.integer(), reader.integer(INTEGER_MAX)
        )
        if entry.not_before >= entry.expires:
            raise refusal("malformed", "an operational key's life is empty")
        if keys and entry.not_before > keys[-1].not_before:
            raise refusal("malformed", "operational keys do not begin with the newest")
        keys.append(entry)
    if len({entry.key.raw for entry in keys}) != len(keys):
        raise refusal("malformed", "an operational key stands twice in a card")
    return tuple(keys)


def _decode_certificates(reader: Reader, partner_id: PartnerId) -> tuple[bytes, ...]:
    count = reader.array(1, CARD_TLS_CERTIFICATES_MAX)
    certificates = tuple(reader.blob(1, TLS_CERTIFICATE_BYTES_MAX) for _ in range(count))
    if len(set(certificates)) != count:
        raise refusal("malformed", "a TLS certificate stands twice in a card")
    for der in certificates:
        check_certificate(der, partner_id)
    return certificates


def _decode_urls(reader: Reader) -> tuple[str, ...]:
    urls = tuple(reader.text(1, CARD_URL_BYTES_MAX) for _ in range(reader.array(0, CARD_URLS_MAX)))
    if len(set(urls)) != len(urls) or not all(map(is_good_url, urls)):
        raise refusal(
            "malformed", "a card has an address that is not https://host[:port][/path], or has it twice"
        )
    return urls


def _decode_revoked(reader: Reader) -> tuple[Revocation, ...]:
    revoked = []
    for _ in range(reader.array(0, CARD_REVOCATIONS_MAX)):
        reader.array(4, 4)
        key_id = KeyId(reader.blob(16, 16))
        since, reason = reader.integer(), reader.integer(REVOCATION_REASON_MAX)
        revoked.append(Revocation(key_id, since, reason, reader.blob(DIGEST_BYTES, DIGEST_BYTES)))
    if not _is_ascending([entry.key_id for entry in revoked]):
        raise refusal("malformed", "a card's revocations are not in the order of their key ids")
    return tuple(revoked)
