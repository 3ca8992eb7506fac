"""Rows of a store that this process has open already, read by the same SQLite.

Never by the interpreter's own: two copies of SQLite in one process drop each other's locks, and the second empties the memory
that the first has mapped (https://sqlite.org/howtocorrupt.html, section 2.2.1). It ended a process with SIGBUS now and then.
"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import apsw

BUSY_MS = 10_000  # a writer that closes the file for a moment moves its log into it


def rows(path: Path | str, sql: str, *bindings: object) -> list[tuple[Any, ...]]:
    with closing(apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)) as connection:
        connection.set_busy_timeout(BUSY_MS)
        return connection.execute(sql, bindings).fetchall()


def named_rows(path: Path | str, sql: str, *bindings: object) -> list[dict[str, Any]]:
    with closing(apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)) as connection:
        found = connection.execute(sql, bindings)
        return [dict(zip((one[0] for one in found.description), row, strict=True)) for row in found]
