# ruff: noqa: S608 - statements are put together from this program's own text only
"""Small integers for values that repeat in one column: organisations, types and label sets. Cached across transactions.

A rollback takes the rows away again; the database that rolls back then calls `forget`.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

import apsw

from p2pshare.database.fetching import fetch
from p2pshare.limits import MIB

REMEMBERED_MAX = 20_000  # label sets, types: a hostile author can make every one its own; then we only forget
REMEMBERED_CHARACTERS_MAX = (
    4 * MIB
)  # of all of them: a label set may have 16,384 characters, a real one has thirty

K = TypeVar("K", bound=Hashable)


class Interned(Generic[K]):
    """The rows of `table`, each with a unique value in `column`. For the writing connection only."""

    def __init__(self, connection: apsw.Connection, table: str, column: str) -> None:
        self._connection = connection
        self._find = f"SELECT id FROM {table} WHERE {column} = ?"
        self._add = f"INSERT INTO {table} ({column}) VALUES (?)"
        self._ids: dict[K, int] = {}
        self._characters = 0

    def id_of(self, value: K) -> int:
        """Returns the id of the row that holds `value`, made when it is not there. Inside a transaction only."""
        known = self._ids.get(value)
        if known is None:
            if len(self._ids) >= REMEMBERED_MAX or self._characters >= REMEMBERED_CHARACTERS_MAX:
                self.forget()
            known = self._ids[value] = self._intern(value)
        return known

    def forget(self) -> None:
        """Empty the cache after a rollback: ids given in that transaction are void."""
        self._ids.clear()
        self._characters = 0

    def _intern(self, value: K) -> int:
        stored = self._stored(value)
        self._characters += len(stored)
        found = fetch(self._connection, self._find, (stored,))
        if found:
            return int(found[0][0])
        self._connection.execute(self._add, (stored,))
        row_id = int(self._connection.last_insert_rowid())
        self._made(value)
        return row_id

    def _stored(self, value: K) -> str | bytes:
        """Returns the form in which the column holds `value`."""
        return bytes(value) if isinstance(value, bytes) else str(value)

    def _made(self, value: K) -> None:
        """Fill the row of a new `value`, which holds nothing else yet; for subclasses."""
