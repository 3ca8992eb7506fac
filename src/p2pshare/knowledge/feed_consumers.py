"""Consumers: who reads the change feed under a name, and how far each has come. Functions on any connection, promised by `Knowledge`.

A cursor goes ahead only within one feed, whoever is late: of two that read under one name the slower sets nothing back.
"""

from __future__ import annotations

import apsw
from msgspec import Struct

from p2pshare.database.fetching import fetch
from p2pshare.knowledge.changes import NO_FEED, FeedCursor

CONSUMERS_MAX = 256  # of one node: `status` shows them all, and each costs a row at most each second


class ConsumerRow(Struct, frozen=True):
    """A consumer, when it was added and when its cursor last moved (unix seconds, None: never)."""

    name: str
    cursor: FeedCursor
    added_at: int
    moved_at: int | None


def consumers(connection: apsw.Connection) -> list[ConsumerRow]:
    """See `KnowledgeReading.consumers`."""
    rows = fetch(connection, "SELECT name, feed_id, seq, added_at, moved_at FROM consumer ORDER BY name")
    return [
        ConsumerRow(name, FeedCursor(feed_id, seq), added, moved) for name, feed_id, seq, added, moved in rows
    ]


def add(connection: apsw.Connection, name: str, cursor: FeedCursor, now: int) -> None:
    connection.execute(
        "INSERT OR IGNORE INTO consumer VALUES (?, ?, ?, ?, NULL)", (name, cursor.feed_id, cursor.seq, now)
    )


def remove(connection: apsw.Connection, name: str) -> bool:
    """Returns whether there was one of that name."""
    connection.execute("DELETE FROM consumer WHERE name = ?", (name,))
    return connection.changes() > 0


def begin_again(connection: apsw.Connection, name: str) -> None:
    """Have the consumer told to begin again."""
    connection.execute("UPDATE consumer SET feed_id = ?, seq = 0 WHERE name = ?", (NO_FEED, name))


def advance(connection: apsw.Connection, name: str, cursor: FeedCursor, now: int) -> None:
    """Move the cursor ahead; in the same feed it never goes back."""
    connection.execute(
        "UPDATE consumer SET feed_id = ?1, seq = ?2, moved_at = ?3 WHERE name = ?4 AND (feed_id != ?1 OR seq < ?2)",
        (cursor.feed_id, cursor.seq, now, name),
    )
