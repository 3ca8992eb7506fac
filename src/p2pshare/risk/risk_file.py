"""The file `risk.sqlite`: opened with mode 0600, one connection, one lock, and every change in a transaction.

It is opened by `risk` commands and by the worker without sockets, never by the daemon's process.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import apsw

from p2pshare.database.connection import open_writer, require_free_space, translated
from p2pshare.database.fetching import Row, fetch
from p2pshare.database.schema import RISK, create_or_check
from p2pshare.limits import MIB

CACHE_BYTES = 64 * MIB  # the indexes of 200,000 components and their hits take 50 MiB


class RiskFile:
    """A connection to the file; any thread may ask, one after the other."""

    def __init__(self, path: Path, connection: apsw.Connection, free_space_bytes_min: int) -> None:
        self.path = path
        self._connection = connection
        self._free_space_bytes_min = free_space_bytes_min
        self._lock = threading.RLock()
        self._depth = 0

    @contextmanager
    def transaction(self) -> Iterator[apsw.Connection]:
        """Returns the connection inside a transaction; the outermost block commits or undoes. Raises StoreError, DiskFull."""
        with self._lock, translated(self._connection):
            if self._depth:
                yield self._connection
                return
            require_free_space(self.path, self._free_space_bytes_min)
            self._connection.execute("BEGIN IMMEDIATE")
            self._depth = 1
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
            finally:
                self._depth = 0

    def fetch(self, statement: str, bindings: Sequence[Any] | Mapping[str, Any] = ()) -> list[Row]:
        """Returns all rows of a query. Raises StoreError."""
        with self._lock, translated(self._connection):
            return fetch(self._connection, statement, bindings)

    def walk(self, statement: str, bindings: Mapping[str, Any]) -> Iterator[Row]:
        """Yields the rows of an answer that is too long to hold in memory. Raises StoreError."""
        with self._lock, translated(self._connection):
            yield from self._connection.execute(statement, bindings)

    def close(self) -> None:
        with self._lock:
            self._connection.close()


def open_risk_file(path: Path, *, free_space_bytes_min: int = 0) -> RiskFile:
    """Returns the file at `path`, opened or made. Raises StoreError: permissions, network file system, older or newer schema."""
    connection = open_writer(path, cache_bytes=CACHE_BYTES)
    try:
        with translated(connection):
            create_or_check(connection, RISK)
        return RiskFile(path, connection, free_space_bytes_min)
    except BaseException:
        connection.close()
        raise
