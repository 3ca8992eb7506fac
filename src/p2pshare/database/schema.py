"""The schemas of our files: the tables as they are now, one folder of SQL for each room that owns some.

1. `user_version` is the schema's number, `application_id` tells one kind of file from another. A file of an older number that was
   released is brought forward when it is opened for writing (`database.upgrading`); one that is newer, or from before the first
   release, is refused, and the refusal says the way out.
2. A new file gets all its tables, both marks and its views in one transaction; a crash leaves an empty file,
   which the next opening fills.
3. The views (`views.sql` of a room) have no number: the writer makes them anew where they differ from this program's.
   Readers take the views that are there.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import apsw

from p2pshare.database.connection import open_reader, open_writer, translated
from p2pshare.database.fetching import fetch
from p2pshare.database.upgrade_copies import newest_copy
from p2pshare.database.upgrading import tables, upgrade
from p2pshare.errors import DiskFull, StoreError
from p2pshare.limits import STORE_CACHE_BYTES

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

APPLICATION_ID = int.from_bytes(b"p2ps", "big")
VIEWS_NAME = "views.sql"
STEPS_FOLDER = "steps"
REAL_REALM = bytes(16)
_REALM_SQL = "= zeroblob(16)"  # stands for the file's realm in the checks of `spaces/schema/spaces.sql`, and nowhere else


@dataclass(frozen=True)
class Schema:
    """A kind of file: the rooms whose tables are in it, each after those it refers to, and the marks of the file."""

    rooms: tuple[str, ...]
    application_id: int
    number: int
    """Raised with every change of a table, index, trigger or first row. Not with a view."""
    released: int
    """The first number that was released: from it on, each higher one has its steps (a file of `ROOM/schema/steps/` with that number for its name)."""
    older_hint: str
    """The hint on how to go on with a file from before the first release."""
    realm: bytes = REAL_REALM
    """The realm whose spaces the file may hold: it stands in the checks of its tables."""
    has_views: bool = True


STORE = Schema(
    ("database", "log", "partners", "knowledge", "spaces"),
    APPLICATION_ID,
    30,
    30,
    "move store.sqlite (with store.sqlite-wal and -shm) away, start, and add your partners again: what is relayed comes "
    "home from them; publish your own sources again",
)
WARNING_INDEX = Schema(
    ("warninglists",),
    int.from_bytes(b"p2pw", "big"),
    1,
    1,
    "move warninglists.sqlite (with warninglists.sqlite-wal and -shm) away and start; then import your warning lists and "
    "enter your allow list again",
)
RISK = Schema(
    ("risk",),
    int.from_bytes(b"p2pr", "big"),
    1,
    1,
    "move risk.sqlite (with risk.sqlite-wal and -shm) away; then import your inventories and sources again, and enter your "
    "decisions again",
)


def create_or_check(connection: apsw.Connection, schema: Schema = STORE) -> None:
    """Fill an empty file, bring one of a released older number forward, refuse one of another kind or number, and bring the views
    up to date.

    A disk too full for new views leaves the old ones to the next opening. Raises StoreError, DiskFull.
    """
    if (number := released_number(connection, schema)) is not None:
        _bring_forward(connection, schema, number)
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


def released_number(connection: apsw.Connection, schema: Schema) -> int | None:
    """Returns the number of a file that is older than `schema` and can be brought forward; None for any other file."""
    number = int(connection.pragma("user_version"))
    of_this_kind = connection.pragma("application_id") == schema.application_id
    return number if of_this_kind and schema.released <= number < schema.number else None


def number_to_bring_forward(path: Path, schema: Schema) -> int | None:
    """Returns `released_number` of the file at `path`, which is only read. Raises StoreError."""
    with closing(open_reader(path)) as connection, translated(path=path):
        return released_number(connection, schema)


def bring_forward(path: Path, schema: Schema) -> None:
    """Open the file at `path` for writing, as its owner does, and close it: it has the number of `schema` then. Raises StoreError, DiskFull."""
    with closing(open_writer(path, cache_bytes=STORE_CACHE_BYTES)) as connection, translated(connection):
        create_or_check(connection, schema)


def _bring_forward(connection: apsw.Connection, schema: Schema, number: int) -> None:
    def finish() -> None:
        for text in _texts(schema, of_views=True):
            connection.execute(text)
        connection.pragma("user_version", schema.number)

    if schema.realm != REAL_REALM:
        _require_realm(connection, schema)
    upgrade(connection, number, _steps(schema, number), _wanted_tables(schema), finish)


def _steps(schema: Schema, number: int) -> dict[int, list[str]]:
    """Returns the SQL of each step that leads on from `number`. Raises StoreError where one is missing."""
    found = {to: list(_step_texts(schema, to)) for to in range(number + 1, schema.number + 1)}
    if missing := [to for to, texts in found.items() if not texts]:
        raise StoreError(
            f"the step to schema {missing[0]} is missing",
            hint="install p2pshare again",
            reason="schema-step-missing",
        )
    return found


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
            hint=_way_back(Path(connection.filename), schema),
            reason="schema-newer",
        )
    if number < schema.number:
        raise StoreError(
            f"{connection.filename} has schema {number}, and this version of p2pshare reads {schema.number} only",
            hint=_FORWARD if number >= schema.released else schema.older_hint,
            reason="schema-older",
        )
    if schema.realm != REAL_REALM:
        _require_realm(connection, schema)
    return False


_FORWARD = "start the daemon, or run any command that writes: it makes a copy and brings the file forward"


def _way_back(path: Path, schema: Schema) -> str:
    """Returns the hint for a file that is too new for this program."""
    again = "use the newer version that wrote it; an older one would damage it"
    if (copy := newest_copy(path, schema.number)) is None:
        return again
    return (
        f"{again}. Or go back to the copy from before the upgrade, and lose what only this file has: stop the daemon, then "
        f"`rm -f {path}-wal {path}-shm && mv {copy} {path}`"
    )


def _require_realm(connection: apsw.Connection, schema: Schema) -> None:
    made = fetch(connection, "SELECT sql FROM sqlite_schema WHERE type = 'table' AND name = 'space'")
    if not made or _realm_sql(schema) not in made[0][0]:
        raise StoreError("the file is that of another exercise", reason="wrong-realm")


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


@cache
def _wanted_tables(schema: Schema) -> dict[str, str]:
    """Returns the tables, indices and triggers of this program as `upgrading.tables` finds them in a file."""
    scratch = apsw.Connection(":memory:")
    try:
        for text in _texts(schema):
            scratch.execute(text)
        return tables(scratch)
    finally:
        scratch.close()


def _realm_sql(schema: Schema) -> str:
    """Returns how the realm of a file stands in its checks."""
    return _REALM_SQL if schema.realm == REAL_REALM else f"= x'{schema.realm.hex()}'"


def _texts(schema: Schema, *, of_views: bool = False) -> Iterator[str]:
    """Yields the SQL of the schema's rooms, file by file; either the tables or the views."""
    if of_views and not schema.has_views:
        return
    for room in schema.rooms:
        for file in sorted(_folder(room).iterdir(), key=lambda file: file.name):
            if file.name.endswith(".sql") and (file.name == VIEWS_NAME) is of_views:
                yield file.read_text("utf-8").replace(_REALM_SQL, _realm_sql(schema))


def _step_texts(schema: Schema, to: int) -> Iterator[str]:
    """Yields the SQL of the step to the number `to`, room by room."""
    for room in schema.rooms:
        file = _folder(room) / STEPS_FOLDER / f"{to:04}.sql"
        if file.is_file():
            yield file.read_text("utf-8").replace(_REALM_SQL, _realm_sql(schema))


def _folder(room: str) -> Traversable:
    """Returns the folder of a room's tables."""
    from importlib import resources  # only who makes a file pays for it, and readers never do

    return resources.files("p2pshare") / room / "schema"
