"""One writing connection, a read-only one for each thread that asks, and the rules of every transaction:

1. Whoever writes holds `_lock`; the daemon has one writing thread, so nobody waits there. A transaction
   belongs to the thread that began it, and only that thread sees what it has not committed.
2. Below the free-space floor nothing begins, except what frees space.
3. After a failed disk operation every later write is refused: what is on disk is unknown until the next start.
4. Collection of cycles is off while rows are made: they are millions of tuples without a cycle in them.
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import apsw

from p2pshare.errors import StoreError
from p2pshare.store.connection import (
    StoreFailed,
    open_reader,
    require_free_space,
    translated,
    translation,
)
from p2pshare.store.interning import Interning
from p2pshare.store.schema import require_current

T = TypeVar("T")


class Transactions:
    """The connections of one store; `writer` is None when it is only read."""

    def __init__(self, path: Path, writer: apsw.Connection | None, free_space_bytes_min: int) -> None:
        self._path = path
        self._writer = writer
        self._free_space_bytes_min = free_space_bytes_min
        self._lock = threading.RLock()
        self._writing_thread = 0
        self._told_at = 0
        self._has_failed = False
        self._readers: list[apsw.Connection] = []
        self._local = threading.local()
        if writer is None:
            with translated(path=path):
                require_current(self._reader())
        else:
            self._interning = Interning(writer)

    def _reader(self) -> apsw.Connection:
        """This thread's connection: the writing one inside its own transaction, else its read-only one."""
        if self._writer is not None and self._writing_thread == threading.get_ident():
            return self._writer
        connection: apsw.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = open_reader(self._path)
            self._local.connection = connection
            self._readers.append(connection)
        return connection

    @contextmanager
    def transaction(self, *, frees_space: bool = False) -> Iterator[None]:
        with self._writing(frees_space=frees_space):
            yield

    @contextmanager
    def _writing(self, *, frees_space: bool = False) -> Iterator[apsw.Connection]:
        """The writing connection inside a transaction; the outermost block commits or undoes."""
        if self._writer is None:
            raise StoreError("the store was opened for reading only", reason="store-read-only")
        with self._lock:
            if self._has_failed:
                raise StoreFailed("the disk failed earlier; the store takes no more writes until a restart")
            if self._writing_thread:
                with translated(self._writer):
                    yield from self._part_of_transaction(self._writer)
                return
            if not frees_space:
                require_free_space(self._path, self._free_space_bytes_min)
            try:
                with translated(self._writer):
                    yield from self._one_transaction(self._writer)
            except StoreFailed:
                self._has_failed = True
                raise

    def _one_transaction(self, writer: apsw.Connection) -> Iterator[apsw.Connection]:
        writer.execute("BEGIN IMMEDIATE")
        self._writing_thread = threading.get_ident()
        self._told_at = 0
        was_collecting = gc.isenabled()
        gc.disable()
        try:
            self._after_begin(writer)
            yield writer
            if writer.in_transaction:
                self._before_commit(writer)
            if not writer.in_transaction:
                raise _undone()
            writer.execute("COMMIT")
        except BaseException:
            self._interning.forget()
            if writer.in_transaction:
                writer.execute("ROLLBACK")
            raise
        finally:
            self._writing_thread = 0
            if was_collecting:
                gc.enable()

    def _part_of_transaction(self, writer: apsw.Connection) -> Iterator[apsw.Connection]:
        """A call inside `transaction()`: when it fails all is undone, so that no half of it can be committed. A savepoint would
        undo it alone, and keep a copy of each page that changes in memory: 90 MiB where 100,000 claims come to a million.
        """
        if not writer.in_transaction:
            raise _undone()
        try:
            yield writer
        except BaseException:
            self._interning.forget()
            if writer.in_transaction:  # some errors (a full disk) have undone everything already
                writer.execute("ROLLBACK")
            raise

    def _after_begin(self, writer: apsw.Connection) -> None:
        """What every transaction begins with."""

    def _before_commit(self, writer: apsw.Connection) -> None:
        """What belongs to every transaction that changed something; the last thing in it."""

    def checkpoint(self) -> None:
        with self._lock, translated(self._writer):
            if self._writer is not None and not self._has_failed and not self._writing_thread:
                self._writer.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)

    def close(self) -> None:
        with self._lock:
            for connection in self._readers:
                connection.close(True)
            self._readers.clear()
            if self._writer is not None:
                self._writer.close(True)

    def _read(self, question: Callable[..., T], *arguments: Any) -> T:
        """One question through this thread's connection."""
        try:
            return question(self._reader(), *arguments)
        except apsw.Error as error:  # what `translated` does, without its cost for each look-up
            ours = translation(error)
            if ours is None:
                raise
            raise ours from error

    def _walk(self, question: Callable[..., Iterator[T]], *arguments: Any, **options: Any) -> Iterator[T]:
        """A question whose answer is too long to hold."""
        with translated():
            yield from question(self._reader(), *arguments, **options)


def _undone() -> StoreError:
    return StoreError("a part of the transaction failed and undid it", reason="store-undone")
