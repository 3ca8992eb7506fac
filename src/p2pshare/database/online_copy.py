"""A copy of an SQLite file of ours that its writer may be writing meanwhile, and the check of one that comes out of a backup.

1. The copy is one moment of the source: a read transaction stands until its last page, so what is committed meanwhile is not in it,
   and the copy never begins anew. In WAL mode it holds up no writer; the write-ahead log cannot begin anew until it ends.
2. It goes in steps of `STEP_PAGES`, so that progress is seen and an interrupt is heard.
3. The copy is one file: nothing lies beside it, and whoever opens it for writing gives it a write-ahead log again.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import apsw

from p2pshare.database.connection import open_reader, translated
from p2pshare.database.database import open_database
from p2pshare.database.integrity import quick_check
from p2pshare.database.schema import Schema
from p2pshare.errors import StoreError

STEP_PAGES = 1024  # 4 MiB: a few milliseconds of a disk
SQLITE_HEAD = b"SQLite format 3\x00"


def copy_online(source: Path, target: Path, progress: Callable[[int, int], None]) -> None:
    """Copy `source` to `target`, which must not be there, 0600; calls `progress` with (pages done, of all).

    Raises StoreError, `DiskFull` where the disk of `target` has no room; then an unfinished file may be left.
    """
    os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))
    with closing(open_reader(source)) as reader, closing(_scratch(target)) as writer:
        with translated(path=source):
            reader.execute("BEGIN; SELECT count(*) FROM sqlite_schema").fetchall()
        with translated(writer, target):
            with writer.backup("main", reader, "main") as pages:
                while not pages.done:
                    pages.step(STEP_PAGES)
                    progress(pages.page_count - pages.remaining, pages.page_count)
            writer.pragma("journal_mode", "delete")


def require_whole(path: Path) -> None:
    """Require that SQLite finds no fault in a file; reads all of it. Raises StoreError `store-damaged`."""
    if faults := quick_check(path):
        raise StoreError(
            f"{path.name} is damaged: {faults[0]}", hint="take an older backup", reason="store-damaged"
        )


def require_opens(path: Path, schema: Schema) -> None:
    """Require of a whole file that this program can go on with it, by opening it for writing as its owner will.

    Raises StoreError: `not-a-store`, `schema-newer`, `schema-older`, `wrong-realm`.
    """
    if not path.stat().st_size:  # it would be filled
        raise StoreError(f"{path.name} is empty", reason="store-empty")
    open_database(path, free_space_bytes_min=0, schema=schema).close()


def schema_number(path: Path) -> int:
    """Returns the number of the schema that a file says it has. Raises StoreError."""
    with closing(open_reader(path)) as reader, translated(path=path):
        return int(reader.pragma("user_version"))


def is_sqlite(path: Path) -> bool:
    """Returns whether a file begins as SQLite's do. Raises OSError."""
    with path.open("rb") as stream:
        return stream.read(len(SQLITE_HEAD)) == SQLITE_HEAD


def _scratch(path: Path) -> apsw.Connection:
    """A connection to a file that nobody needs after a crash: nothing of it is synced."""
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
    connection.execute("PRAGMA synchronous = OFF; PRAGMA journal_mode = OFF; PRAGMA mmap_size = 0").fetchall()
    return connection
