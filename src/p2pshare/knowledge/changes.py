"""Reading on in the change feed: what whoever stands at a cursor has to be told next (docs/siem.md, "Following the feed").

1. A cursor is (feed id, seq). What stands in another feed, beyond the last change, or before what the feed is complete from, was told
   something that no longer holds: it is told to begin again (*reset*), and gets the feed from 0.
2. The feed's name, its end and the rows are read in one read transaction: no reader joins the rows of one feed with the name of another.
3. A read is a page: the write-ahead log cannot shrink behind a reader that stays.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import apsw
from msgspec import Struct

from p2pshare.database.fetching import fetch
from p2pshare.database.settings import Setting, get_setting
from p2pshare.knowledge.feed import FEED_ID_BYTES, feed_id
from p2pshare.knowledge.state_table import last_change

COMPLETE_FROM = Setting("complete_from", int)
"""The seq from which on nothing was left out of the feed: what is below it may have gone by retention."""

_CURSOR = re.compile(rf"([0-9a-f]{{{2 * FEED_ID_BYTES}}})-(0|[1-9][0-9]{{0,18}})", re.ASCII)
_SEQ_MAX = 2**63 - 1  # what SQLite keeps as an integer

_PAGE = """
SELECT seq, op, type, value, score, confidence, tlp, pap, valid_from, valid_until, authors, sources, reason, at
FROM v1_changes WHERE seq > ? ORDER BY seq LIMIT ?
"""


NO_FEED = bytes(FEED_ID_BYTES)
"""The id of no feed: who stands in it is told to begin again."""


class FeedCursor(NamedTuple):
    """A place in a feed: all up to `seq` was told."""

    feed_id: bytes
    seq: int

    @property
    def text(self) -> str:
        """Returns `<16 hex>-<seq>`."""
        return f"{self.feed_id.hex()}-{self.seq}"


def parse_cursor(text: str) -> FeedCursor:
    """Returns the cursor that is written `<16 hex>-<seq>`. Raises ValueError."""
    found = _CURSOR.fullmatch(text)
    if found is None or int(found[2]) > _SEQ_MAX:
        raise ValueError("a cursor is 16 hexadecimal digits, a hyphen and a number")
    return FeedCursor(bytes.fromhex(found[1]), int(found[2]))


class Change(Struct, frozen=True):
    """A row of `v1_changes`, with its columns; instants are ISO 8601 in UTC."""

    seq: int
    op: str
    type: str
    value: str
    score: int | None
    confidence: int | None
    tlp: str | None
    pap: str | None
    valid_from: str | None
    valid_until: str | None
    authors: int
    sources: int
    reason: str | None
    at: str


class FeedPosition(Struct, frozen=True):
    """Which feed there is, its last seq, and the seq from which on it is complete."""

    feed_id: bytes
    last_seq: int
    complete_from: int

    def is_here(self, cursor: FeedCursor) -> bool:
        """Returns whether who stands at `cursor` may read on, and need not begin again (rule 1)."""
        is_complete = cursor.seq == 0 or cursor.seq >= self.complete_from
        return cursor.feed_id == self.feed_id and is_complete and cursor.seq <= self.last_seq

    @property
    def end(self) -> FeedCursor:
        return FeedCursor(self.feed_id, self.last_seq)

    @property
    def beginning(self) -> FeedCursor:
        return FeedCursor(self.feed_id, 0)


class FeedPage(Struct, frozen=True):
    """What comes behind a cursor, in order: at most a page. `is_reset`: the rows are those from 0 on."""

    position: FeedPosition
    is_reset: bool
    changes: list[Change]


def feed_position(connection: apsw.Connection) -> FeedPosition:
    """See `KnowledgeReading.feed_position`."""
    return FeedPosition(
        feed_id(connection), last_change(connection), get_setting(connection, COMPLETE_FROM) or 0
    )


def changes_after(connection: apsw.Connection, cursor: FeedCursor | None, limit: int) -> FeedPage:
    """See `KnowledgeReading.changes_after`."""
    with connection:  # rule 2
        position = feed_position(connection)
        is_reset = cursor is not None and not position.is_here(cursor)
        after = 0 if cursor is None or is_reset else cursor.seq
        rows = fetch(connection, _PAGE, (after, limit))
    return FeedPage(position, is_reset, [Change(*row) for row in rows])


def changed_since(connection: apsw.Connection, seq: int) -> str | None:
    """See `KnowledgeReading.changed_since`."""
    rows = fetch(connection, "SELECT at FROM v1_changes WHERE seq > ? ORDER BY seq LIMIT 1", (seq,))
    return rows[0][0] if rows else None
