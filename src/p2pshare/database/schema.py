"""The schemas of our files: the tables as they are now, one folder of SQL for each room that owns some.

1. `user_version` is the schema's number, `application_id` tells one kind of file from another. A file of another number
   is refused, in either direction: there are no migrations while nothing is released (docs/decisions/0050).
2. A new file gets all its tables, both marks and its views in one transaction; a crash leaves an empty file,
   which the next opening fills.
3. The views (`views.sql` of a room) have no number: the writer makes them anew where they differ from this program's.
   Readers take the views that are there.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from itertools import chain

import apsw

from p2pshare.database.connection import translated
from p2pshare.database.fetching import fetch
from p2pshare.errors import DiskFull, StoreError

APPLICATION_ID = int.from_bytes(b"p2ps", "big")
VIEWS_NAME = "views.sql"
REAL_REALM = bytes(16)
_REALM_SQL = "= zeroblob(16)"  # stands for the file's realm in the checks of `spaces/schema/spaces.sql`, and nowhere else


@dataclass(frozen=True)
class Schema:
    """A kind of file: the rooms whose tables are in it, each after those it refers to, and the marks of the file."""

    rooms: tuple[str, ...]
    application_id: int
    number: int
    """Raised with every change of a table, index, trigger or first row. Not with a view."""
    older_hint: str
    """The hint on how to go on with a file of an older schema."""
    realm: bytes = REAL_REALM
    """The realm whose spaces the file may hold: it stands in the checks of its tables."""
    has_views: bool = True


STORE = Schema(
    ("database", "log", "partners", "knowledge", "spaces"),
    APPLICATION_ID,
    30,
    "move store.sqlite (with store.sqlite-wal and -shm) away, start, and add your partners again: what is relayed comes "
    "home from them; publish your own sources again",
)
WARNING_INDEX = Schema(
    ("warninglists",),
    int.from_bytes(b"p2pw", "big"),
    1,
    "move warninglists.sqlite (with warninglists.sqlite-wal and -shm) away and start; then import your warning lists and "
    "enter your allow list again",
)
RISK = Schema(
    ("risk",),
    int.from_bytes(b"p2pr", "big"),
    1,
    "move risk.sqlite (with risk.sqlite-wal and -shm) away; then import your inventories and sources again, and enter your "
    "decisions again",
)


def create_or_check(connection: apsw.Connection, schema: Schema = STORE) -> None:
    """Fill an empty file, refuse one of another kind or number, and bring the views up to date.

    A disk too full for new views leaves the old ones to the next opening. Raises StoreError, DiskFull.
    """
    if _is_empty(connection, schema):
        with _transaction(connection):
            if _is_empty(connection, schema):  # another process may have been faster
                _create(connection, schema)
    if views(connection) != _wanted_views(schema):
        with suppress(DiskFull), translated(connection), _transaction(connection):
            _replace_views(connection, schema)


def require_current(connection: apsw.Connection) -> None:
    """Refuse a file that a reader, which cannot create tables, cannot read either. Raises StoreError."""
    if _is_empty(connection, STORE):
        raise StoreError(
            "the store is empty: it was not made to the end",
            hint="run `p2pshare run` (or any command that writes) once",
            reason="store-empty",
        )


def views(connection: apsw.Connection) -> dict[str, str]:
    """Returns the SQL of each view in the file, by name."""
    return dict(fetch(connection, "SELECT name, sql FROM sqlite_schema WHERE type = 'view'"))


def _is_empty(connection: apsw.Connection, schema: Schema) -> bool:
    """Returns whether the file is still empty. Raises StoreError when it holds anything but this schema."""
    number = int(connection.pragma("user_version"))
    application = connection.pragma("application_id")
    if number == application == 0 and not fetch(connection, "SELECT 1 FROM sqlite_schema LIMIT 1"):
        return True
    if application != schema.application_id:
        raise StoreError("the file is not a p2pshare store", reason="not-a-store")
    if number > schema.number:
        raise StoreError(
            f"{connection.filename} has schema {number}, and this version of p2pshare knows up to {schema.number}",
            hint="use the newer version that wrote it; an older one would damage it",
            reason="schema-newer",
        )
    if number < schema.number:
        raise StoreError(
            f"{connection.filename} has schema {number}, and this version of p2pshare reads {schema.number} only",
            hint=schema.older_hint,
            reason="schema-older",
        )
    if schema.realm != REAL_REALM:
        made = fetch(connection, "SELECT sql FROM sqlite_schema WHERE type = 'table' AND name = 'space'")
        if not made or _realm_sql(schema) not in made[0][0]:
            raise StoreError("the file is that of another exercise", reason="wrong-realm")
    return False


def _create(connection: apsw.Connection, schema: Schema) -> None:
    for text in chain(_texts(schema), _texts(schema, of_views=True)):
        connection.execute(text)
    connection.pragma("user_version", schema.number)
    connection.pragma("application_id", schema.application_id)


def _replace_views(connection: apsw.Connection, schema: Schema) -> None:
    for name in views(connection):
        quoted = name.replace('"', '""')
        connection.execute(f'DROP VIEW "{quoted}"')
    for text in _texts(schema, of_views=True):
        connection.execute(text)


@contextmanager
def _transaction(connection: apsw.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # a full disk has undone everything already
            connection.execute("ROLLBACK")
        raise


@cache
def _wanted_views(schema: Schema) -> dict[str, str]:
    """Returns the views of this program as `views` finds them in a file.

    SQLite writes them down, and asks for no tables until a view is read.
    """
    if not schema.has_views:
        return {}
    scratch = apsw.Connection(":memory:")
    try:
        for text in _texts(schema, of_views=True):
            scratch.execute(text)
        return views(scratch)
    finally:
        scratch.close()


def _realm_sql(schema: Schema) -> str:
    """Returns how the realm of a file stands in its checks."""
    return _REALM_SQL if schema.realm == REAL_REALM else f"= x'{schema.realm.hex()}'"


def _texts(schema: Schema, *, of_views: bool = False) -> Iterator[str]:
    """Yields the SQL of the schema's rooms, file by file; either the tables or the views."""
    from importlib import resources  # only who makes a file pays for it, and readers never do

    if of_views and not schema.has_views:
        return
    for room in schema.rooms:
        folder = resources.files("p2pshare") / room / "schema"
        for file in sorted(folder.iterdir(), key=lambda file: file.name):
            if file.name.endswith(".sql") and (file.name == VIEWS_NAME) is of_views:
                yield file.read_text("utf-8").replace(_REALM_SQL, _realm_sql(schema))
