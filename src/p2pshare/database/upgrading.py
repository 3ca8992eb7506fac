"""Bringing a file of an older schema forward: a copy, then every step, in one transaction (docs/operations/upgrading.md).

1. From the first released number on, each number has its steps: a file of `ROOM/schema/steps/` with that number for its name of the rooms whose tables changed, in the
   order of rooms. They bring a file of NNNN - 1 to NNNN, and a step that was released is never edited again.
2. All steps, the new number and the new views are one transaction under the file's write lock: a kill, a full disk or an error leaves
   the file as it was, and the next start begins anew.
3. The copy is made first, under the same lock, and synced (`database.upgrade_copies`). Disk space is asked for before anything is written.
4. What the steps made must be what a new file would have, table by table, index by index, trigger by trigger; else all is undone.
   So must every reference: rows that refer to nothing undo it, too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import apsw

from p2pshare.database.connection import translated
from p2pshare.database.fetching import fetch
from p2pshare.database.upgrade_copies import make_copy, require_room
from p2pshare.errors import StoreError

StepTexts = Mapping[int, list[str]]
"""The SQL of each step by the number it leads to."""


def upgrade(
    connection: apsw.Connection,
    number: int,
    steps: StepTexts,
    wanted: Mapping[str, str],
    finish: Callable[[], None],
) -> Path | None:
    """Bring the file of `connection` from schema `number` through all `steps`, whose last leads to the current one, and return the place
    of the copy that was made before; None where another process has done it meanwhile. `wanted` is what `tables` finds in a new file; `finish` marks the file and makes its views,
    and is called inside the transaction.

    Raises DiskFull and StoreError (`schema-step-wrong`: a bug of ours, and the file is as it was).
    """
    path = Path(connection.filename)
    require_room(path)
    with _without_references(connection), translated(connection, path):
        connection.execute("BEGIN IMMEDIATE")
        try:
            if connection.pragma("user_version") != number:  # another process was faster
                connection.execute("ROLLBACK")
                return None
            copy = make_copy(path, number)
            _drop_views(connection)
            for to in sorted(steps):
                for text in steps[to]:
                    connection.execute(text).fetchall()
            _require_wanted(connection, wanted)
            finish()
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:  # a full disk has undone everything already
                connection.execute("ROLLBACK")
            raise
    return copy


def tables(connection: apsw.Connection) -> dict[str, str]:
    """Returns the words of each table, index and trigger by type and name: without comments, white space and quotes of names, which
    SQLite writes as it likes when a table is renamed or gets a column. What SQLite made by itself is left out."""
    rows = fetch(
        connection,
        "SELECT type, name, sql FROM sqlite_schema WHERE type <> 'view' AND sql IS NOT NULL AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'",
    )
    return {f"{kind} {name}": _words(sql) for kind, name, sql in rows}


def _words(sql: str) -> str:
    plain = re.sub(r"--[^\n]*|/\*.*?\*/", " ", sql, flags=re.DOTALL)
    return " ".join(re.findall(r"\w+|'[^']*'|[^\w\s\"`\[\]]", plain))


def _require_wanted(connection: apsw.Connection, wanted: Mapping[str, str]) -> None:
    found = tables(connection)
    wrong = sorted(name for name in found.keys() | wanted.keys() if found.get(name) != wanted.get(name))
    if wrong:
        raise StoreError(
            f"the steps do not make what a new file has ({', '.join(wrong[:3])}); nothing was changed",
            hint="this is a bug of p2pshare: go on with the version of before, and report it",
            reason="schema-step-wrong",
        )
    if broken := fetch(connection, "PRAGMA foreign_key_check"):
        raise StoreError(
            f"after the steps {len(broken)} rows refer to nothing (table {broken[0][0]}); nothing was changed",
            hint="this is a bug of p2pshare, or the file was damaged before: `p2pshare doctor` with the version of before",
            reason="schema-step-wrong",
        )


def _drop_views(connection: apsw.Connection) -> None:
    """A view over a table that is renamed would stop the renaming; the program's own are made anew at the end."""
    for (name,) in fetch(connection, "SELECT name FROM sqlite_schema WHERE type = 'view'"):
        quoted = name.replace('"', '""')
        connection.execute(f'DROP VIEW "{quoted}"')


@contextmanager
def _without_references(connection: apsw.Connection) -> Iterator[None]:
    """Let steps make tables anew as SQLite's documentation has it (lang_altertable, section 7): references are off, and are checked
    as a whole before the commit; a rename does not follow into triggers and other tables."""
    connection.pragma("foreign_keys", False)
    connection.pragma("legacy_alter_table", True)
    try:
        yield
    finally:
        connection.pragma("legacy_alter_table", False)
        connection.pragma("foreign_keys", True)
