"""An entry of a space: what one of several partners wrote, and what it had seen (docs/spaces.md, "Wire form").

::

    entry  = [magic "p2pe", 1, header (bin), body (bin), signatures (bin)]
    header = {0 realm, 1 space, 2 author, 3 key id, 4 number, 5 parents, 6 depth, 7 created, 8 kind, 9 tlp, 10 audience,
              11 body digest, 12 body bytes}
    id     = SHA-384("p2pshare/v1/entry-id" || header)[:32]
    body   = 16 random bytes || content                                     empty: the header alone is handed on

Signatures hold for the header, and the header for the body by its digest; so one id comes with and without its body, and
what is wrong with a body or a signature may be the fault of who passed it on, never a reason to remember the id.

The rules of "What is taken in" that stand here: 1 to 7 (`decode_entry`), 10 and 11 (`key_of`), 12 (`verify_entry`), 17
(`VerifiedEntry.body_fits`). `spaces.entry_graph` has 13 to 16.
"""

from __future__ import annotations

import hashlib
import secrets
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from itertools import pairwise

import msgpack

from p2pshare.envelope.card_format import CardBody
from p2pshare.envelope.encoding import Reader, pack, refusal
from p2pshare.envelope.hybrid import SigningKey, VerifyKey
from p2pshare.envelope.sizes import SIGNATURE_BYTES
from p2pshare.identifiers import EntryId, KeyId, PartnerId, Realm
from p2pshare.limits import (
    ENTRY_AUDIENCE_MAX,
    ENTRY_BODY_BYTES_MAX,
    ENTRY_BYTES_MAX,
    ENTRY_HEADER_BYTES_MAX,
    ENTRY_NUMBER_MAX,
    ENTRY_PARENTS_MAX,
)

ENTRY_MAGIC = b"p2pe"
FORMAT_VERSION = 1
DOMAIN_ENTRY_ID = b"p2pshare/v1/entry-id\x00"
DOMAIN_ENTRY = b"p2pshare/v1/entry\x00"

REAL = Realm(bytes(Realm.length))
"""The realm of what is no exercise."""
NO_SPACE = EntryId(bytes(EntryId.length))
"""Stands in an opening, whose own id is the space."""
BODY_SALT_BYTES = 16  # random: nobody guesses a sealed or erased body by its digest
BODY_DIGEST_BYTES = 48
KIND_BYTES_MAX = 32
_KIND_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-")
TLP_AMBER_STRICT = 3
TLP_RED = 4

AUTHORITY_KINDS = frozenset(
    {
        "open",
        "invite",
        "join",
        "decline",
        "leave",
        "remove",
        "handover",
        "accept",
        "takeover",
        "ack",
        "rekey",
        "redact",
    }
)
"""The kinds that say who is a member and who leads, in every space."""
DECIDING_IN_EVERY_SPACE = AUTHORITY_KINDS | {"merge"}
CONTENT_IN_EVERY_SPACE = frozenset({"part"})


@dataclass(frozen=True, slots=True)
class EntryHeader:
    """What is signed, and what all members see. `created` is a claim in unix seconds, `tlp` 0 (CLEAR) to 4 (RED)."""

    realm: Realm
    space: EntryId
    author: PartnerId
    key_id: KeyId
    number: int
    parents: tuple[EntryId, ...]
    depth: int
    created: int
    kind: str
    tlp: int
    audience: tuple[PartnerId, ...]
    """Who may have the body; nobody named: all members."""
    body_digest: bytes = field(repr=False)
    body_bytes: int


@dataclass(frozen=True, slots=True)
class DecodedEntry:
    """An entry of the right shape. UNTRUSTED: anybody can have written it."""

    header: EntryHeader
    header_raw: bytes = field(repr=False)
    body: bytes = field(repr=False)
    """Empty where it came without."""
    signatures: bytes = field(repr=False)
    entry_id: EntryId


@dataclass(frozen=True, slots=True)
class VerifiedEntry:
    """An entry whose header its author has signed. Its body is believed only where `body_fits`."""

    decoded: DecodedEntry

    @property
    def header(self) -> EntryHeader:
        return self.decoded.header

    @property
    def entry_id(self) -> EntryId:
        return self.decoded.entry_id

    @property
    def wire(self) -> bytes:
        return encode_entry(self.decoded.header_raw, self.decoded.body, self.decoded.signatures)

    def body_fits(self) -> bool:
        """Returns whether the body is here, and is the one that was signed (rule 17)."""
        return is_body_of(self.header, self.decoded.body)

    def content(self) -> bytes:
        """Returns the body without its random bytes. Raises PeerError `body-mismatch`."""
        if not self.body_fits():
            raise refusal("body-mismatch", "an entry's body is missing, or is not the one that was signed")
        return self.decoded.body[BODY_SALT_BYTES:]


def is_body_of(header: EntryHeader, body: bytes) -> bool:
    """Returns whether a body, with its random bytes, is the one that was signed with a header."""
    return len(body) == header.body_bytes and hashlib.sha384(body).digest() == header.body_digest


@dataclass(frozen=True, slots=True)
class EntryDraft:
    """What an author decides about an entry; key and body are added when it is signed (`sign_entry`)."""

    realm: Realm
    space: EntryId
    author: PartnerId
    number: int
    parents: tuple[EntryId, ...]
    depth: int
    created: int
    kind: str
    tlp: int
    audience: tuple[PartnerId, ...] = ()


def entry_id_of(header_raw: bytes) -> EntryId:
    return EntryId(hashlib.sha384(DOMAIN_ENTRY_ID + header_raw).digest()[:32])


def encode_header(header: EntryHeader) -> bytes:
    """Returns the canonical bytes that are hashed and signed."""
    return pack(
        {
            0: header.realm,
            1: header.space,
            2: header.author,
            3: header.key_id,
            4: header.number,
            5: list(header.parents),
            6: header.depth,
            7: header.created,
            8: header.kind,
            9: header.tlp,
            10: list(header.audience),
            11: header.body_digest,
            12: header.body_bytes,
        }
    )


def encode_entry(header_raw: bytes, body: bytes, signatures: bytes) -> bytes:
    return pack([ENTRY_MAGIC, FORMAT_VERSION, header_raw, body, signatures])


def decode_entry(wire: bytes, realm: Realm) -> DecodedEntry:
    """Decode an entry that came in on the ground of `realm`, with rules 1 to 7.

    Rules 5 and 6 are asked of the kinds that stand in every space; of others by `check_audience`, once the space's kind is known.
    Raises PeerError `oversized`, `malformed`, `not-canonical`, `unknown-version`, `wrong-realm`, `audience-not-allowed`,
    `names-needed`, `author-full`.
    """
    if len(wire) > ENTRY_BYTES_MAX:
        raise refusal("oversized", "an entry is too large")
    reader = Reader(wire)
    reader.array(5, 5)
    if reader.blob(4, 4) != ENTRY_MAGIC:
        raise refusal("malformed", "not an entry")
    if reader.integer() != FORMAT_VERSION:
        raise refusal("unknown-version", "an entry has a format that this program does not know")
    header_raw = reader.blob(1, ENTRY_BYTES_MAX)
    if len(header_raw) > ENTRY_HEADER_BYTES_MAX:
        raise refusal("oversized", "an entry's header is too large")
    body = reader.blob(0, ENTRY_BYTES_MAX)
    if len(body) > ENTRY_BODY_BYTES_MAX:
        raise refusal("oversized", "an entry's body is too large")
    signatures = reader.blob(SIGNATURE_BYTES, SIGNATURE_BYTES)
    reader.end()
    header = decode_header(header_raw)
    check_header(header, realm)
    return DecodedEntry(header, header_raw, body, signatures, entry_id_of(header_raw))


def decode_header(raw: bytes) -> EntryHeader:
    """Decode the signed header by its shape alone (rule 2). Raises PeerError `malformed`, `not-canonical`."""
    reader = Reader(raw)
    reader.map(13)
    header = EntryHeader(
        realm=Realm(_at(reader, 0).blob(Realm.length, Realm.length)),
        space=EntryId(_at(reader, 1).blob(EntryId.length, EntryId.length)),
        author=PartnerId(_at(reader, 2).blob(PartnerId.length, PartnerId.length)),
        key_id=KeyId(_at(reader, 3).blob(KeyId.length, KeyId.length)),
        number=_at(reader, 4).integer(),
        parents=tuple(EntryId(one) for one in _ids(_at(reader, 5), ENTRY_PARENTS_MAX)),
        depth=_at(reader, 6).integer(),
        created=_at(reader, 7).integer(),
        kind=_at(reader, 8).text(1, KIND_BYTES_MAX),
        tlp=_at(reader, 9).integer(high=TLP_RED),
        audience=tuple(PartnerId(one) for one in _ids(_at(reader, 10), ENTRY_AUDIENCE_MAX)),
        body_digest=_at(reader, 11).blob(BODY_DIGEST_BYTES, BODY_DIGEST_BYTES),
        body_bytes=_at(reader, 12).integer(high=ENTRY_BODY_BYTES_MAX),
    )
    reader.end()
    if header.number < 1 or header.depth < 1 or header.body_bytes < BODY_SALT_BYTES:
        raise refusal("malformed", "an entry's number, depth or length is below the least there is")
    if not _KIND_CHARACTERS.issuperset(header.kind):
        raise refusal("malformed", "an entry's kind has a character that no kind has")
    return header


class HeaderRecall:
    """Reads headers of one space that `decode_header` has read before they were stored: in a tenth of its time, and what stands
    in many of them is one object in memory."""

    def __init__(self) -> None:
        self._entries: dict[bytes, EntryId] = {}
        self._partners: dict[bytes, PartnerId] = {}
        self._keys: dict[bytes, KeyId] = {}
        self._realms: dict[bytes, Realm] = {}

    def entry_id(self, raw: bytes) -> EntryId:
        found = self._entries.get(raw)
        if found is None:
            found = self._entries[raw] = EntryId(raw)
        return found

    def read(self, raw: bytes) -> EntryHeader:
        fields = msgpack.unpackb(raw, strict_map_key=False)
        realm, space, author, key_id, number, parents, depth, created, kind, tlp, audience, digest, size = (
            fields[key] for key in range(13)
        )
        return EntryHeader(
            self._realms.get(realm) or self._realms.setdefault(realm, Realm(realm)),
            self.entry_id(space),
            self._partner(author),
            self._keys.get(key_id) or self._keys.setdefault(key_id, KeyId(key_id)),
            number,
            tuple(map(self.entry_id, parents)),
            depth,
            created,
            sys.intern(kind),
            tlp,
            tuple(map(self._partner, audience)),
            digest,
            size,
        )

    def _partner(self, raw: bytes) -> PartnerId:
        return self._partners.get(raw) or self._partners.setdefault(raw, PartnerId(raw))


def check_header(header: EntryHeader, realm: Realm) -> None:
    """Require rules 3 to 7 of a header of the right shape. Raises PeerError."""
    if header.realm != realm:
        raise refusal("wrong-realm", "an entry is of another realm than where it came in")
    if header.kind == "open":
        begins = (header.parents, header.number, header.depth, header.space) == ((), 1, 1, NO_SPACE)
        if not begins:
            raise refusal("malformed", "an opening has parents, a number, a depth or a space")
    elif not header.parents or header.depth == 1 or header.space == NO_SPACE:
        raise refusal("malformed", "an entry that is no opening follows nothing")
    if header.kind in DECIDING_IN_EVERY_SPACE:
        check_audience(header, is_deciding=True)
    elif header.kind in CONTENT_IN_EVERY_SPACE:
        check_audience(header, is_deciding=False)
    if header.number > ENTRY_NUMBER_MAX:
        raise refusal("author-full", "an author has written all the entries that it may in one space")


def check_audience(header: EntryHeader, *, is_deciding: bool) -> None:
    """Require rules 5 and 6 of an entry whose kind is known. Raises PeerError `audience-not-allowed`, `names-needed`."""
    if is_deciding and header.audience:
        raise refusal("audience-not-allowed", "an entry that all must read alike names an audience")
    if not is_deciding and header.tlp >= TLP_AMBER_STRICT and not header.audience:
        raise refusal("names-needed", "content of AMBER+STRICT or RED does not name its audience")


def key_of(header: EntryHeader, versions: Iterable[CardBody]) -> VerifyKey | None:
    """Returns the key that must have signed an entry (rules 10 and 11), or None when no version of the author's card that
    is at hand lists it: the entry waits for one.

    A key may have left the newest version, which is why all are asked; whether one is revoked is for `rekey` to say.
    Raises PeerError `key-time` when `created` lies outside the key's time.
    """
    listed = [
        entry
        for version in versions
        if version.partner_id == header.author
        for entry in version.sign_keys
        if entry.key.key_id == header.key_id
    ]
    if not listed:
        return None
    for entry in listed:
        if entry.is_valid(header.created):
            return entry.key
    raise refusal("key-time", "an entry was not created in the time of its key")


def verify_entry(decoded: DecodedEntry, key: VerifyKey) -> VerifiedEntry:
    """Verify both signatures (rule 12) with the key that `key_of` found. Raises PeerError `bad-signature`."""
    if key.key_id != decoded.header.key_id:
        raise refusal("bad-signature", "an entry names another key")
    key.verify(DOMAIN_ENTRY, _signed(decoded.header, decoded.header_raw), decoded.signatures)
    return VerifiedEntry(decoded)


def sign_entry(draft: EntryDraft, content: bytes, key: SigningKey) -> VerifiedEntry:
    """Returns the signed entry of `draft` with this content.

    Raises PeerError with the code of the rule (1 to 7) that it would break at others.
    """
    body = secrets.token_bytes(BODY_SALT_BYTES) + content
    header = complete_header(draft, body, key.key_id)
    header_raw = encode_header(header)
    signatures = key.sign(DOMAIN_ENTRY, _signed(header, header_raw))
    return VerifiedEntry(decode_entry(encode_entry(header_raw, body, signatures), draft.realm))


def complete_header(draft: EntryDraft, body: bytes, key_id: KeyId) -> EntryHeader:
    """Returns the header of `draft` with this body, to be signed by this key."""
    return EntryHeader(
        realm=draft.realm,
        space=draft.space,
        author=draft.author,
        key_id=key_id,
        number=draft.number,
        parents=draft.parents,
        depth=draft.depth,
        created=draft.created,
        kind=draft.kind,
        tlp=draft.tlp,
        audience=draft.audience,
        body_digest=hashlib.sha384(body).digest(),
        body_bytes=len(body),
    )


def without_body(entry: VerifiedEntry) -> VerifiedEntry:
    """Returns the same entry with its header alone, for who may not have the body."""
    return VerifiedEntry(replace(entry.decoded, body=b""))


def _signed(header: EntryHeader, header_raw: bytes) -> bytes:
    return header.realm + hashlib.sha384(header_raw).digest()


def _at(reader: Reader, number: int) -> Reader:
    reader.key(number)
    return reader


def _ids(reader: Reader, most: int) -> list[bytes]:
    """Returns up to `most` ids of 32 bytes. Raises PeerError `malformed` where they do not ascend."""
    found = [reader.blob(32, 32) for _ in range(reader.array(0, most))]
    if any(one >= other for one, other in pairwise(found)):
        raise refusal("malformed", "ids do not ascend")
    return found
