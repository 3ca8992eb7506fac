"""Vouching: which envelopes of a revoked sign key are its owner's after all (docs/card.md, "Vouch pages").

::

    page  = [magic "p2pw", 1, author, key id, kind, scope, salt, number, ids, pages, shelves]
    pages = H("vouch-page", u32 number || ids) of each page of the scope, in order
    shelf = H("vouch-shelf", salt || u32 kind || scope || pages)
    root  = H("vouch", shelves), which stands in the card beside the revocation

Numbers and times cannot tell a thief's envelopes from the owner's: a thief chooses both. Hashes can, and the root keys
sign the root. One page is checked against the card alone, whatever else is at hand. The salt of a shelf keeps whoever
holds the pages of one circle from guessing what is listed for another.

`sharing.revoking` makes them, nodes keep and pass them on (`sharing.notices`), and follow them (`sharing.revocation_walk`).
"""

from __future__ import annotations

import hashlib
import itertools
import secrets
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import IntEnum

from p2pshare.envelope.card import Card, Revocation
from p2pshare.envelope.card_format import NOTHING_VOUCHED
from p2pshare.envelope.encoding import Reader, pack, refusal
from p2pshare.errors import AuthorError
from p2pshare.identifiers import CircleId, EnvelopeId, KeyId, PartnerId
from p2pshare.limits import (
    VOUCH_PAGE_BYTES_MAX,
    VOUCH_PAGE_IDS_MAX,
    VOUCH_SHELF_PAGES_MAX,
    VOUCH_SHELVES_MAX,
    VOUCH_SHELVES_STEP,
)

VOUCH_MAGIC = b"p2pw"
FORMAT_VERSION = 1
DOMAIN_PAGE = b"p2pshare/v1/vouch-page\x00"
DOMAIN_SHELF = b"p2pshare/v1/vouch-shelf\x00"
DOMAIN_ROOT = b"p2pshare/v1/vouch\x00"
DIGEST_BYTES = 32
SALT_BYTES = 16

Scope = CircleId | PartnerId
"""Where envelopes are carried: those relayed in a circle, or the direct ones for a partner."""


class ScopeKind(IntEnum):
    """Kind of a scope, as it is written."""

    CIRCLE = 0
    PARTNER = 1


@dataclass(frozen=True, slots=True)
class VouchPage:
    """A page of the right form whose hashes fit one another; it counts only for a card that has `root` (`check_page`)."""

    author: PartnerId
    key_id: KeyId
    scope: Scope
    number: int
    pages: int
    """Of its scope, this one among them."""
    ids: tuple[EnvelopeId, ...] = field(repr=False)
    root: bytes


@dataclass(frozen=True, slots=True)
class Vouch:
    """Everything that is vouched for under one key: the root for the card, and the pages."""

    author: PartnerId
    key_id: KeyId
    root: bytes
    _shelves: bytes = field(repr=False)
    _filled: tuple[_Shelf, ...] = field(repr=False)

    def pages(self) -> Iterator[tuple[Scope, bytes]]:
        """Yields each page with its scope: that of a circle is for all its members, that of a partner for it alone."""
        begin = [VOUCH_MAGIC, FORMAT_VERSION, self.author, self.key_id]
        for shelf in self._filled:
            end = [shelf.page_digests, self._shelves]
            for number, ids in enumerate(shelf.pages):
                place = [_kind_of(shelf.scope), shelf.scope, shelf.salt, number]
                yield shelf.scope, pack([*begin, *place, ids, *end])


@dataclass(frozen=True, slots=True)
class _Shelf:
    """The pages of one scope, the ids of each joined, and the digests of all, joined."""

    scope: Scope
    salt: bytes
    pages: tuple[bytes, ...]
    page_digests: bytes

    @classmethod
    def of(cls, scope: Scope, ids: Iterable[EnvelopeId]) -> _Shelf:
        pages = _cut(sorted(set(ids)))
        digests = b"".join(_page_digest(number, page) for number, page in enumerate(pages))
        return cls(scope, secrets.token_bytes(SALT_BYTES), pages, digests)

    @property
    def digest(self) -> bytes:
        return _shelf_digest(self.salt, _kind_of(self.scope), self.scope, self.page_digests)


def vouch(author: PartnerId, key_id: KeyId, listed: Mapping[Scope, Collection[EnvelopeId]]) -> Vouch:
    """Returns the vouch for these envelopes of `author` under `key_id`, those that have not expired.

    Random shelves fill it up, so that nobody can count circles and partners. Without any envelope the root is
    `NOTHING_VOUCHED` and there is no page. Raises AuthorError `oversized`.
    """
    filled = tuple(_Shelf.of(scope, ids) for scope, ids in listed.items() if ids)
    if len(filled) > VOUCH_SHELVES_MAX or any(len(one.pages) > VOUCH_SHELF_PAGES_MAX for one in filled):
        raise AuthorError(
            f"at most {VOUCH_SHELVES_MAX} circles and partners can be vouched for, and in each"
            f" {VOUCH_SHELF_PAGES_MAX * VOUCH_PAGE_IDS_MAX} envelopes",
            hint="leave out what expires soonest",
            reason="oversized",
        )
    if not filled:
        return Vouch(author, key_id, NOTHING_VOUCHED, b"", ())
    random = (secrets.token_bytes(DIGEST_BYTES) for _ in range(-len(filled) % VOUCH_SHELVES_STEP))
    shelves = b"".join(sorted([*(one.digest for one in filled), *random]))
    return Vouch(author, key_id, _root(shelves), shelves, filled)


def decode_page(raw: bytes) -> VouchPage:
    """Decode a page and check that its hashes fit one another.

    Raises PeerError `oversized`, `malformed`, `not-canonical`, `unknown-version`, `bad-vouch`.
    """
    if len(raw) > VOUCH_PAGE_BYTES_MAX:
        raise refusal("oversized", "a vouch page is too large")
    reader = Reader(raw)
    reader.array(11, 11)
    if reader.blob(4, 4) != VOUCH_MAGIC:
        raise refusal("malformed", "not a vouch page")
    if reader.integer() != FORMAT_VERSION:
        raise refusal("unknown-version", "a vouch page has a format that this program does not know")
    author, key_id = PartnerId(reader.blob(32, 32)), KeyId(reader.blob(16, 16))
    kind = ScopeKind(reader.integer(max(ScopeKind)))
    scope: Scope = (
        CircleId(reader.blob(16, 16)) if kind is ScopeKind.CIRCLE else PartnerId(reader.blob(32, 32))
    )
    salt = reader.blob(SALT_BYTES, SALT_BYTES)
    number = reader.integer(VOUCH_SHELF_PAGES_MAX - 1)
    ids, pages, shelves = (
        _digests(reader, most) for most in (VOUCH_PAGE_IDS_MAX, VOUCH_SHELF_PAGES_MAX, VOUCH_SHELVES_MAX)
    )
    reader.end()
    if not _is_ascending(ids) or not _is_ascending(shelves) or len(shelves) % VOUCH_SHELVES_STEP:
        raise refusal("bad-vouch", "the ids or shelves of a vouch page are out of order, or too few")
    if number >= len(pages) or (number < len(pages) - 1 and len(ids) < VOUCH_PAGE_IDS_MAX):
        raise refusal("bad-vouch", "a vouch page is none of its shelf, or not full before the last one")
    if _page_digest(number, b"".join(ids)) != pages[number]:
        raise refusal("bad-vouch", "a vouch page has other ids than its shelf says")
    if _shelf_digest(salt, kind, scope, b"".join(pages)) not in shelves:
        raise refusal("bad-vouch", "the shelf of a vouch page is none of the root")
    root = _root(b"".join(shelves))
    return VouchPage(author, key_id, scope, number, len(pages), tuple(map(EnvelopeId, ids)), root)


def check_page(page: VouchPage, card: Card) -> Revocation:
    """Require that the author's roots signed what is on the page, by `card`, the newest; returns the revocation that names
    it. Raises PeerError `bad-vouch`."""
    revocation = card.revocation(page.key_id)
    if page.author != card.partner_id or revocation is None or revocation.vouch_root != page.root:
        raise refusal("bad-vouch", "the author's card does not have the root of a vouch page")
    return revocation


def _cut(ids: list[EnvelopeId]) -> tuple[bytes, ...]:
    return tuple(
        b"".join(ids[start : start + VOUCH_PAGE_IDS_MAX]) for start in range(0, len(ids), VOUCH_PAGE_IDS_MAX)
    )


def _digests(reader: Reader, most: int) -> list[bytes]:
    """Returns what a bin of 1 to `most` times 32 bytes holds."""
    joined = reader.blob(DIGEST_BYTES, most * DIGEST_BYTES)
    if len(joined) % DIGEST_BYTES:
        raise refusal("malformed", "a list in a vouch page is not of whole entries")
    return [joined[start : start + DIGEST_BYTES] for start in range(0, len(joined), DIGEST_BYTES)]


def _is_ascending(values: list[bytes]) -> bool:
    return all(before < after for before, after in itertools.pairwise(values))


def _kind_of(scope: Scope) -> ScopeKind:
    return ScopeKind.CIRCLE if isinstance(scope, CircleId) else ScopeKind.PARTNER


def _page_digest(number: int, ids: bytes) -> bytes:
    return _digest(DOMAIN_PAGE, number.to_bytes(4, "big"), ids)


def _shelf_digest(salt: bytes, kind: ScopeKind, scope: Scope, pages: bytes) -> bytes:
    return _digest(DOMAIN_SHELF, salt, kind.to_bytes(4, "big"), scope, pages)


def _root(shelves: bytes) -> bytes:
    return _digest(DOMAIN_ROOT, shelves)


def _digest(*parts: bytes) -> bytes:
    return hashlib.sha384(b"".join(parts)).digest()[:DIGEST_BYTES]
