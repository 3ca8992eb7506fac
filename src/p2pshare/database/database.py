"""The database: one writing connection, a read-only one for each thread that asks, and the rules of every transaction.

1. A writer holds `_lock`; the daemon has one writing thread, so that no thread waits there. A transaction
   belongs to the thread that began it, and only that thread sees what it has not committed.
2. A writing call returns after its transaction is durable, or raises with nothing of it kept. Inside
   `transaction()` several calls share one; then the end of the outermost block is that moment.
3. Readers see whole transactions only, from any thread, while the writer writes.
4. Below the free-space floor nothing begins, except what frees space.
5. After a failed disk operation every later write is refused: the state of the file is unknown until the next start.
6. Who commits moves the write-ahead log into the file once it is STORE_LOG_BYTES long; a daemon does it in a thread of its own
   (`leave_log`), for that many pages and two syncs take a third of a second, and whoever is next in line would wait for it.
7. Collection of cycles is off while rows are made: they are millions of tuples without a cycle in them.

The rooms whose tables lie in the file stand above: each is handed the `Database` and speaks SQL to it. Work that a room
must do in every transaction, whichever room began it, it does as a `Participant`.
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol, TypeVar

import apsw

from p2pshare.database.connection import (
    StoreFailed,
    free_space_bytes,
    open_mover,
    open_reader,
    open_writer,
    require_free_space,
    translated,
    translation,
)
from p2pshare.database.fetching import Row, fetch
from p2pshare.database.interned import Interned
from p2pshare.database.schema import STORE, Schema, create_or_check, require_current
from p2pshare.database.settings import Setting, get_setting, put_setting
from p2pshare.database.upgrade_copies import remove_copies
from p2pshare.errors import StoreError
from p2pshare.limits import (
    FREE_SPACE_BYTES_MIN,
    STORE_BUSY_MILLISECONDS,
    STORE_CACHE_BYTES,
    STORE_LOG_BYTES,
    STORE_LOG_BYTES_MAX,
)

T = TypeVar("T")
V = TypeVar("V", str, int, bytes)
IdTable = TypeVar("IdTable", bound=Interned[Any])


class Participant(Protocol):
    """The part of a room in every transaction."""

    def begun(self, writer: apsw.Connection) -> None:
        """Note that a transaction has begun; called before anything else is done in it."""
        ...

    def committing(self, writer: apsw.Connection) -> None:
        """Complete the transaction; called last, before the commit. An error here undoes the transaction."""
        ...


class Database:
    """The connections to one file; `writer` is None when it is only read."""

    def __init__(self, path: Path, writer: apsw.Connection | None, free_space_bytes_min: int) -> None:
        self.path = path
        self.free_space_bytes_min = free_space_bytes_min
        self._writer = writer
        self._lock = threading.RLock()
        self._writing_thread = 0
        self._has_failed = False
        self._is_undone = False
        self._readers: list[apsw.Connection] = []
        self._local = threading.local()
        self._participants: list[Participant] = []
        self._interned: list[Interned[Any]] = []
        self._log_bytes = 0
        self._log_bytes_max = STORE_LOG_BYTES
        if writer is None:
            with translated(path=path):
                require_current(self.connection())
        else:
            self._page_bytes: int = writer.pragma("page_size")
            writer.set_wal_hook(self._note_log)  # in place of SQLite's own rule, which knows one length
            self._organisations = self.interned(Interned[bytes], "organisation", "partner_id")

    @property
    def is_undone(self) -> bool:
        """Returns whether a part that failed has undone the transaction that is still under way."""
        return self._is_undone

    def join(self, participant: Participant) -> None:
        """Let `participant` take part in every transaction from now on."""
        self._participants.append(participant)

    def interned(self, kind: type[IdTable], table: str, column: str) -> IdTable:
        """Returns a cache that looks up, or makes, the ids of a table's rows, and is emptied with each rollback."""
        assert self._writer is not None, "ids are made by who writes"
        made = kind(self._writer, table, column)
        self._interned.append(made)
        return made

    def organisation(self, partner_id: bytes) -> int:
        """Returns the row id of a partner, made when it is new here. Inside a transaction only."""
        return self._organisations.id_of(partner_id)

    # --- writing ------------------------------------------------------------------------------------

    def transaction(
        self, *, frees_space: bool = False, is_durable: bool = True
    ) -> AbstractContextManager[apsw.Connection]:
        """Returns a context with the writing connection inside a transaction; the outermost block commits or undoes.

        `frees_space`: it holds nothing but acknowledgements, removals and expiry, and may begin on a full disk.
        `is_durable` False: the outermost block ends without a sync. What it holds outlives the end of the process, and a loss
        of power only once a later transaction was synced.
        Raises `DiskFull` (nothing kept, try again when there is room) and StoreError (read-only, damaged, or a disk
        that failed to write or sync).
        """
        return self._transaction(frees_space=frees_space, is_durable=is_durable)

    @contextmanager
    def _transaction(self, *, frees_space: bool, is_durable: bool) -> Iterator[apsw.Connection]:
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
                require_free_space(self.path, self.free_space_bytes_min)
            try:
                with translated(self._writer), _syncing(self._writer, is_durable=is_durable):
                    yield from self._one_transaction(self._writer)
            except StoreFailed:
                self._has_failed = True
                raise

    def _one_transaction(self, writer: apsw.Connection) -> Iterator[apsw.Connection]:
        writer.execute("BEGIN IMMEDIATE")
        self._writing_thread = threading.get_ident()
        was_collecting = gc.isenabled()
        gc.disable()
        try:
            for participant in self._participants:
                participant.begun(writer)
            yield writer
            if writer.in_transaction:
                for participant in self._participants:
                    participant.committing(writer)
            if not writer.in_transaction:
                raise _undone()
            writer.execute("COMMIT")
            self._move_long_log(writer)
        except BaseException:
            self._undo(writer)
            raise
        finally:
            self._writing_thread = 0
            if self._is_undone:
                self._is_undone = False
                writer.pragma("query_only", False)
            if was_collecting:
                gc.enable()

    def _part_of_transaction(self, writer: apsw.Connection) -> Iterator[apsw.Connection]:
        """Run a call inside `transaction()`: when it fails all is undone, so that no half of it can be committed.

        A savepoint would undo the call alone, and keep a copy of each page that changes in memory: 90 MiB where 100,000
        claims come to a million.
        """
        if not writer.in_transaction:
            raise _undone()
        try:
            yield writer
        except BaseException:
            self._undo(writer)
            # Whoever goes on all the same has a connection without a transaction: each statement would commit itself.
            self._is_undone = True
            writer.pragma("query_only", True)
            raise

    def _undo(self, writer: apsw.Connection) -> None:
        for interned in self._interned:
            interned.forget()
        if writer.in_transaction:  # some errors (a full disk) have undone everything already
            writer.execute("ROLLBACK")

    def disk_bytes(self) -> tuple[int, int]:
        """Returns the bytes that the file takes with its write-ahead log, and those that are free beside it."""
        log = self.path.with_name(f"{self.path.name}-wal")
        taken = sum(one.stat().st_size for one in (self.path, log) if one.exists())
        return taken, free_space_bytes(self.path)

    def lacks_space(self, bytes_above: int) -> bool:
        """Returns whether less than `bytes_above` bytes are free above the floor; False where there is no floor."""
        return bool(self.free_space_bytes_min) and (
            free_space_bytes(self.path) < self.free_space_bytes_min + bytes_above
        )

    def _note_log(self, writer: apsw.Connection, name: str, pages: int) -> int:
        """Note how long the write-ahead log is after a commit."""
        self._log_bytes = pages * self._page_bytes
        return apsw.SQLITE_OK

    def _move_long_log(self, writer: apsw.Connection) -> None:
        """As SQLite's own rule does: what fails here fails again where the log is moved next, and the commit stands."""
        if self._log_bytes >= self._log_bytes_max:
            with suppress(apsw.Error):
                self._move_log(writer)

    def _move_log(self, writer: apsw.Connection) -> None:
        pages, moved = writer.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        if moved == pages:
            self._log_bytes = 0  # the next commit begins it anew

    @property
    def is_log_long(self) -> bool:
        """Returns whether the write-ahead log is to be moved into the file."""
        return self._log_bytes >= STORE_LOG_BYTES

    def leave_log(self) -> None:
        """Have commits leave the log to `checkpoint_beside` and `checkpoint`, up to STORE_LOG_BYTES_MAX."""
        self._log_bytes_max = STORE_LOG_BYTES_MAX

    def checkpoint(self) -> None:
        """Move the write-ahead log into the file. Never waits for readers, nor for `checkpoint_beside`."""
        with self._lock, translated(self._writer):
            if self._writer is not None and not self._has_failed and not self._writing_thread:
                self._move_log(self._writer)

    def checkpoint_beside(self) -> None:
        """Move what is in the write-ahead log by now, while the writer goes on; in any thread but the writer's. What it adds
        meanwhile is left, so a `checkpoint` after it is short, and lets the log begin anew. Raises StoreError; after a disk
        that failed no later write is accepted."""
        if self._has_failed:
            return
        try:
            with closing(open_mover(self.path)) as mover, translated(mover):
                mover.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        except StoreFailed:
            self._has_failed = True
            raise

    def cut_log(self) -> bool:
        """Move the write-ahead log into the file and cut it off, so that no older page is left in it (`database.overwriting`).

        The copies of before an upgrade go, too: what is to be gone is in them. Returns False where a reader still needs the log;
        then it begins anew some time later. Raises StoreError.
        """
        remove_copies(self.path)
        with self._lock, translated(self._writer):
            if self._writer is None or self._has_failed or self._writing_thread:
                return False
            self._writer.set_busy_timeout(0)  # whoever is next in line does not wait for a reader
            try:
                self._writer.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
            except apsw.BusyError:
                return False
            finally:
                self._writer.set_busy_timeout(STORE_BUSY_MILLISECONDS)
            self._log_bytes = 0
            return True

    def close(self) -> None:
        """Close every connection, of every thread."""
        with self._lock:
            for connection in self._readers:
                connection.close(True)
            self._readers.clear()
            if self._writer is not None:
                self._writer.close(True)

    # --- reading, from any thread -------------------------------------------------------------------

    def connection(self) -> apsw.Connection:
        """Returns this thread's connection: the writing one inside its own transaction, else its read-only one."""
        if self._writer is not None and self._writing_thread == threading.get_ident():
            return self._writer
        connection: apsw.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = open_reader(self.path)
            self._local.connection = connection
            self._readers.append(connection)
        return connection

    def read(self, question: Callable[..., T], *arguments: Any) -> T:
        """Returns the result of `question`, called with this thread's connection and `arguments`. Raises StoreError."""
        try:
            return question(self.connection(), *arguments)
        except apsw.Error as error:  # what `translated` does, without its cost for each look-up
            ours = translation(error)
            if ours is None:
                raise
            raise ours from error

    def fetch(self, statement: str, bindings: Any = ()) -> list[Row]:
        """Returns all rows of one query. Raises StoreError."""
        return self.read(fetch, statement, bindings)

    def walk(self, question: Callable[..., Iterator[T]], *arguments: Any) -> Iterator[T]:
        """Yields the items of an answer that is too long to hold in memory. Raises StoreError."""
        with translated():
            yield from question(self.connection(), *arguments)

    # --- settings -----------------------------------------------------------------------------------

    def setting(self, setting: Setting[V]) -> V | None:
        """Returns the value of a setting, None where it was never put. Raises StoreError."""
        return self.read(get_setting, setting)

    def put_setting(self, setting: Setting[V], value: V) -> None:
        with self.transaction() as writer:
            put_setting(writer, setting, value)


def open_database(
    path: Path,
    *,
    read_only: bool = False,
    free_space_bytes_min: int = FREE_SPACE_BYTES_MIN,
    cache_bytes: int = STORE_CACHE_BYTES,
    vfs: str | None = None,
    schema: Schema = STORE,
) -> Database:
    """Open (and, unless `read_only`, create) the file at `path`; one that is only read is a store.

    Raises StoreError: network file system, permissions, older or newer schema, damaged file, another program's file.
    """
    if read_only:
        return Database(path, None, 0)
    writer = open_writer(path, cache_bytes=cache_bytes, vfs=vfs)
    try:
        with translated(writer):
            create_or_check(writer, schema)
        return Database(path, writer, free_space_bytes_min)
    except BaseException:
        writer.close()
        raise


@contextmanager
def _syncing(writer: apsw.Connection, *, is_durable: bool) -> Iterator[None]:
    """SQLite syncs the write-ahead log at each commit under FULL alone."""
    if is_durable:
        yield
        return
    writer.pragma("synchronous", "NORMAL")
    try:
        yield
    finally:
        writer.pragma("synchronous", "FULL")


def _undone() -> StoreError:
    return StoreError("a part of the transaction failed and undid it", reason="store-undone")
