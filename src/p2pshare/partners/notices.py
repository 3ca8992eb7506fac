# ruff: noqa: S608 - statements are put together from this program's own text only
"""Notices: the cards and vouch pages that go round the circles of this node (docs/gossip.md, "Notices").

Rules:

1. In each circle an author has one card here: putting a newer one drops the older.
2. A page is held for the key and root that it is about; who puts cards drops the pages whose root the newest one has no more.
3. What was dropped is returned: gossip must compare and announce it no more.

Nothing is verified here (`sharing.notices` does). Errors: see `database.Database`. Every reading method may be called from
any thread.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable

import apsw
from msgspec import Struct

from p2pshare.database.database import Database
from p2pshare.database.fetching import Row
from p2pshare.identifiers import CircleId, EnvelopeId, KeyId, NoticeId, PartnerId


class VouchedPage(Struct, frozen=True):
    """What makes a notice a vouch page: the revoked key, the root in the author's card, the number of pages for its circle, and
    the envelopes it lists."""

    key_id: KeyId
    root: bytes
    pages: int
    ids: tuple[EnvelopeId, ...] = ()


class NewNotice(Struct, frozen=True):
    """A notice to be held; `page` None for a card. `created` in unix seconds."""

    notice_id: NoticeId
    author: PartnerId
    circle: CircleId
    created: int
    raw: bytes
    page: VouchedPage | None = None


class NoticeEntry(Struct, frozen=True):
    """A notice that is held, without its bytes. `page` without its ids; `size` in bytes."""

    lsn: int
    notice_id: NoticeId
    author: PartnerId
    circle: CircleId
    created: int
    size: int
    page: VouchedPage | None


class RevocationRow(Struct, frozen=True):
    """A revocation on an author's newest card: since when it is known here, and how far what is held under the key was looked
    at (`place` -1: to the end). Seconds are unix seconds."""

    author: PartnerId
    key_id: KeyId
    since: int
    root: bytes
    noted_at: int
    is_late: bool
    place: int
    frame: int
    position: int


ENDED = -1

_ENTRY = """
SELECT n.lsn, n.notice_id, a.partner_id, n.circle, n.created, length(n.bytes), n.key_id, n.root, n.pages
FROM notice n JOIN organisation a ON a.id = n.author
"""
_OF = "n.author = (SELECT id FROM organisation WHERE partner_id = ?)"


class NoticesReading:
    """Questions that any thread may ask."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._fetch = database.fetch

    def entry(self, notice_id: NoticeId | EnvelopeId) -> NoticeEntry | None:
        rows = self._fetch(f"{_ENTRY} WHERE n.notice_id = ?", (bytes(notice_id),))
        return _entry_of(rows[0]) if rows else None

    def raw(self, notice_id: NoticeId | EnvelopeId) -> bytes | None:
        """Returns a notice as it is handed on, None when it is not held."""
        rows = self._fetch("SELECT bytes FROM notice WHERE notice_id = ?", (bytes(notice_id),))
        return rows[0][0] if rows else None

    def entries(self, after_lsn: int, limit: int) -> list[NoticeEntry]:
        """Returns notices in order of arrival, after `after_lsn`."""
        rows = self._fetch(f"{_ENTRY} WHERE n.lsn > ? ORDER BY n.lsn LIMIT ?", (after_lsn, limit))
        return [_entry_of(row) for row in rows]

    def keys(self, circle: CircleId) -> list[tuple[int, NoticeId]]:
        """Returns (created, id) of the notices of a circle, ascending."""
        rows = self._fetch(
            "SELECT created, notice_id FROM notice WHERE circle = ? ORDER BY created, notice_id",
            (bytes(circle),),
        )
        return [(created, NoticeId(notice_id)) for created, notice_id in rows]

    def cards(self, authors: Collection[PartnerId] | None = None) -> list[NoticeEntry]:
        """Returns the cards that go round, of these authors or of all."""
        return self._some(f"{_ENTRY} WHERE n.key_id IS NULL", authors)

    def pages(self, authors: Collection[PartnerId] | None = None) -> list[NoticeEntry]:
        """Returns the vouch pages that are held, of these authors or of all."""
        return self._some(f"{_ENTRY} WHERE n.key_id IS NOT NULL", authors)

    def page_bytes(self, author: PartnerId, circle: CircleId) -> int:
        """Returns how many bytes the vouch pages of an author take in a circle."""
        ((total,),) = self._fetch(
            f"""SELECT coalesce(sum(length(n.bytes)), 0) FROM notice n
            WHERE {_OF} AND n.circle = ? AND n.key_id IS NOT NULL""",
            (bytes(author), bytes(circle)),
        )
        return int(total)

    def is_vouched(self, author: PartnerId, key_id: KeyId, ids: Collection[EnvelopeId]) -> set[EnvelopeId]:
        """Returns those of `ids` that a page held here lists."""
        if not ids:
            return set()
        rows = self._fetch(
            """SELECT DISTINCT v.envelope_id FROM carray(?) k CROSS JOIN vouched v ON v.envelope_id = k.value
            WHERE v.author = (SELECT id FROM organisation WHERE partner_id = ?) AND v.key_id = ?""",
            (apsw.carray(tuple(map(bytes, ids))), bytes(author), bytes(key_id)),
        )
        return {EnvelopeId(one) for (one,) in rows}

    def has_all_pages(self, author: PartnerId, key_id: KeyId, circle: CircleId) -> bool:
        """Returns whether every page of a circle (or pair) is held that an author's card vouches for under a key."""
        rows = self._fetch(
            f"SELECT count(*), max(pages) FROM notice n WHERE {_OF} AND n.key_id = ? AND n.circle = ?",
            (bytes(author), bytes(key_id), bytes(circle)),
        )
        ((count, pages),) = rows
        return bool(count) and count >= pages

    def missing_pages(self) -> list[RevocationRow]:
        """Returns the revocations that name a root, and of whose pages none is here, or not all of a circle's."""
        pages = self.pages()
        return [row for row in self.revocations() if any(row.root) and not _are_whole(row, pages)]

    def revocations(self) -> list[RevocationRow]:
        """Returns all revocations that were noted, in the order of their authors' rows."""
        rows = self._fetch(
            """SELECT o.partner_id, r.key_id, r.since, r.root, r.noted_at, r.is_late, r.place, r.frame, r.position
            FROM revocation r JOIN organisation o ON o.id = r.author ORDER BY r.author, r.key_id"""
        )
        return [
            RevocationRow(PartnerId(author), KeyId(key_id), since, root, noted_at, bool(is_late), *place)
            for author, key_id, since, root, noted_at, is_late, *place in rows
        ]

    def _some(self, statement: str, authors: Collection[PartnerId] | None) -> list[NoticeEntry]:
        if authors is None:
            return [_entry_of(row) for row in self._fetch(f"{statement} ORDER BY n.lsn")]
        return [
            _entry_of(row)
            for author in authors
            for row in self._fetch(f"{statement} AND {_OF} ORDER BY n.lsn", (bytes(author),))
        ]


class Notices(NoticesReading):
    """Notices with their one writer. Each method is a transaction, or a part of the one that is under way."""

    def put(self, lsn: int, notice: NewNotice) -> list[NoticeEntry]:
        """Hold a notice that is not held yet; returns what it drops (rule 1)."""
        with self._database.transaction() as writer:
            author, page = self._database.organisation(notice.author), notice.page
            older = []
            if page is None:
                older = [one for one in self.cards([notice.author]) if one.circle == notice.circle]
                self.drop(older)
            writer.execute(
                "INSERT INTO notice VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    lsn,
                    bytes(notice.notice_id),
                    author,
                    bytes(notice.circle),
                    notice.created,
                    notice.raw,
                    *((None, None, None) if page is None else (bytes(page.key_id), page.root, page.pages)),
                ),
            )
            if page is not None:
                writer.executemany(
                    "INSERT INTO vouched VALUES (?, ?, ?, ?)",
                    ((author, bytes(page.key_id), bytes(one), lsn) for one in page.ids),
                )
            return older

    def note_revocation(
        self, author: PartnerId, key_id: KeyId, since: int, root: bytes, noted_at: int
    ) -> None:
        """Note a revocation, or another root of one that was noted; what is held is to be looked at (again)."""
        with self._database.transaction() as writer:
            writer.execute(
                """INSERT INTO revocation (author, key_id, since, root, noted_at) VALUES (?, ?, ?, ?, ?)
                ON CONFLICT DO UPDATE SET since = excluded.since, root = excluded.root, place = 0, frame = 0, position = 0""",
                (self._database.organisation(author), bytes(key_id), since, root, noted_at),
            )

    def look_again(self, author: PartnerId, key_id: KeyId, *, is_late: bool = False) -> None:
        """Have what is held under a key looked at again: a page came, or (`is_late`) none came for a day."""
        with self._database.transaction() as writer:
            writer.execute(
                """UPDATE revocation SET place = 0, frame = 0, position = 0, is_late = max(is_late, ?)
                WHERE key_id = ? AND author = (SELECT id FROM organisation WHERE partner_id = ?)""",
                (is_late, bytes(key_id), bytes(author)),
            )

    def put_place(self, row: RevocationRow, place: int, frame: int = 0, position: int = 0) -> None:
        """Note how far what is held under a key was looked at."""
        with self._database.transaction(frees_space=True) as writer:
            writer.execute(
                """UPDATE revocation SET place = ?, frame = ?, position = ?
                WHERE key_id = ? AND author = (SELECT id FROM organisation WHERE partner_id = ?)""",
                (place, frame, position, bytes(row.key_id), bytes(row.author)),
            )

    def drop(self, entries: Iterable[NoticeEntry]) -> None:
        """Hold these no more."""
        with self._database.transaction(frees_space=True) as writer:
            for one in entries:
                writer.execute("DELETE FROM vouched WHERE page = ?", (one.lsn,))
                writer.execute("DELETE FROM notice WHERE lsn = ?", (one.lsn,))


def _are_whole(row: RevocationRow, pages: Iterable[NoticeEntry]) -> bool:
    wanted: dict[CircleId, int] = {}
    held: Counter[CircleId] = Counter()
    for one in pages:
        if one.page is not None and (one.author, one.page.key_id) == (row.author, row.key_id):
            wanted[one.circle] = one.page.pages
            held[one.circle] += 1
    return bool(wanted) and all(held[circle] >= count for circle, count in wanted.items())


def _entry_of(row: Row) -> NoticeEntry:
    lsn, notice_id, author, circle, created, size, key_id, root, pages = row
    page = None if key_id is None else VouchedPage(KeyId(key_id), root, pages)
    return NoticeEntry(lsn, NoticeId(notice_id), PartnerId(author), CircleId(circle), created, size, page)
