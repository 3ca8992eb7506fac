"""Files that released versions wrote, and this version reads: the landing commit's among them (`scripts/make-release-store`)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import apsw
import next_schema
import pytest
from next_schema import NEXT, make_rooms
from released_stores import make_released, released

from p2pshare.database import schema as schemas
from p2pshare.database import upgrading
from p2pshare.database.connection import open_writer
from p2pshare.database.exercise_schema import exercise_schema
from p2pshare.database.schema import RISK, STORE, WARNING_INDEX, Schema, create_or_check
from p2pshare.node.store import open_store
from p2pshare.warninglists.warning_index import open_warning_index

SCHEMAS = {"store": STORE, "warninglists": WARNING_INDEX, "risk": RISK, "exercise": STORE}
FILES = [(name, number) for name in SCHEMAS for number in released(name)]
PROMISED = ("v1_indicators", "v1_claims", "v1_feed", "v1_changes", "v1_sightings")


def rows_by_table(path: Path) -> dict[str, int]:
    with closing(apsw.Connection(str(path))) as connection:
        names = [
            name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
        ]
        return {name: connection.execute(f'SELECT count(*) FROM "{name}"').fetchall()[0][0] for name in names}


def promised(path: Path) -> dict[str, list[dict[str, Any]]]:
    """What a SIEM reads, as maps: a later version may have more columns."""
    with closing(apsw.Connection(str(path))) as connection:
        found = {}
        for view in PROMISED:
            cursor = connection.execute(f"SELECT * FROM {view}")
            columns = (
                [one[0] for one in cursor.get_description()]
                if connection.execute(f"SELECT 1 FROM {view} LIMIT 1").fetchall()
                else []
            )
            found[view] = sorted((dict(zip(columns, row, strict=True)) for row in cursor), key=repr)
        return found


def realm_of(path: Path) -> bytes:
    with closing(apsw.Connection(str(path))) as connection:
        return bytes(connection.execute("SELECT realm FROM space LIMIT 1").fetchall()[0][0])


def bring_forward(path: Path, schema: Schema) -> None:
    with closing(open_writer(path, cache_bytes=1 << 20)) as connection:
        create_or_check(connection, schema)
        assert connection.pragma("user_version") == schema.number
        assert upgrading.tables(connection) == schemas._wanted_tables(schema)
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_there_is_a_file_of_every_number_that_was_released() -> None:
    """Raised the number? The step is there; the file of the number of before was written when that number was released."""
    for name, schema in SCHEMAS.items():
        assert set(released(name)) >= set(
            range(schema.released, max(schema.released, schema.number - 1) + 1)
        ), name


@pytest.mark.parametrize(("name", "number"), FILES)
def test_a_file_of_a_released_version_is_brought_to_this_one_with_all_that_is_in_it(
    name: str, number: int, tmp_path: Path
) -> None:
    path = make_released(name, number, tmp_path / f"{name}.sqlite")
    schema = exercise_schema(realm_of(path)) if name == "exercise" else SCHEMAS[name]
    before = rows_by_table(path)
    shown = promised(path) if name == "store" else {}
    bring_forward(path, schema)
    after = rows_by_table(path)
    assert {table: after.get(table) for table in before if table in after} == {
        table: count for table, count in before.items() if table in after
    }
    if name == "warninglists":
        with closing(open_warning_index(path)) as index:
            assert [row.allowed.value for row in index.allowed()] == ["allowed.example"]
            assert "ours" in {row.name for row in index.lists()}
    if name == "store":
        open_store(path, free_space_bytes_min=0).close()
        now = promised(path)
        assert shown["v1_indicators"] and shown["v1_changes"]
        for view, rows in shown.items():
            assert [
                {column: row[column] for column in kept} for row, kept in zip(now[view], rows, strict=True)
            ] == rows, view


@pytest.fixture
def next_rooms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    folder = make_rooms(tmp_path / "rooms")
    monkeypatch.setattr(schemas, "_folder", lambda room: folder / room / "schema")
    next_schema.forget()
    yield
    monkeypatch.undo()
    next_schema.forget()


@pytest.mark.parametrize("name", ["store", "exercise"])
@pytest.mark.usefixtures("next_rooms")
def test_a_file_of_the_version_that_was_released_first_is_brought_to_a_schema_that_comes_after_this_one(
    name: str, tmp_path: Path
) -> None:
    """There is no such schema yet: a made-up one with a change of each sort stands for it."""
    path = make_released(name, released(name)[0], tmp_path / f"{name}.sqlite")
    before = rows_by_table(path)
    schema = NEXT
    if name == "exercise":
        schema = replace(exercise_schema(realm_of(path)), number=NEXT.number)
    bring_forward(path, schema)
    after = rows_by_table(path)
    assert after.pop("colour") == 1
    assert after == before
