"""The schemas: numbered SQL files, applied in order, each in one transaction. The store's are in `migrations/`.

`user_version` of the file is the number of the last one applied, `application_id` says that the file is ours.
A migration is never edited after a release, only followed by another.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib import resources

import apsw

from p2pshare.database.fetching import fetch
from p2pshare.errors import StoreError

APPLICATION_ID = int.from_bytes(b"p2ps", "big")


@dataclass(frozen=True)
class Schema:
    """One kind of file: the folder of its migrations, and the id that tells it from other kinds."""

    package: str
    application_id: int


STORE = Schema("p2pshare.database", APPLICATION_ID)
WARNING_INDEX = Schema("p2pshare.warninglists", int.from_bytes(b"p2pw", "big"))

_NAME = re.compile(r"(\d{4})_[a-z_]+\.sql")


def migrations(schema: Schema = STORE) -> list[str]:
    """The SQL of each migration; number n is at n - 1."""
    folder = resources.files(schema.package) / "migrations"
    names = sorted(entry.name for entry in folder.iterdir() if _NAME.fullmatch(entry.name))
    if [int(name[:4]) for name in names] != list(range(1, len(names) + 1)):
        raise StoreError("the program's own migrations are not numbered 1, 2, 3 ...", reason="installation")
    return [(folder / name).read_text("utf-8") for name in names]


def migrate(connection: apsw.Connection, schema: Schema = STORE) -> None:
    """Brings the file up to date. Raises StoreError when it is another program's or a newer version's."""
    steps = migrations(schema)
    version = _checked_version(connection, len(steps), schema)
    for number, step in enumerate(steps[version:], start=version + 1):
        connection.execute("BEGIN IMMEDIATE")
        try:
            if connection.pragma("user_version") < number:  # another process may have been faster
                connection.execute(step)
                connection.pragma("user_version", number)
                connection.pragma("application_id", schema.application_id)
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise


def require_current(connection: apsw.Connection) -> None:
    """For readers, who cannot migrate. Raises StoreError."""
    latest = len(migrations())
    if _checked_version(connection, latest, STORE) < latest:
        raise StoreError(
            "the store has the schema of an older version",
            hint="run `p2pshare run` (or any command that writes) once to bring it up to date",
            reason="schema-older",
        )


def _checked_version(connection: apsw.Connection, latest: int, schema: Schema) -> int:
    version = int(connection.pragma("user_version"))
    application = connection.pragma("application_id")
    is_empty = not fetch(connection, "SELECT 1 FROM sqlite_schema LIMIT 1")
    if application != schema.application_id and not (is_empty and version == 0 and application == 0):
        raise StoreError("the file is not a p2pshare store", reason="not-a-store")
    if version > latest:
        raise StoreError(
            f"the store has schema {version}, and this version of p2pshare knows up to {latest}",
            hint="use the newer version that wrote it; an older one would damage it",
            reason="schema-newer",
        )
    return version
