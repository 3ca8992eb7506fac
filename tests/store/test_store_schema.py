"""The schema: made whole or not at all, refused when it is another's, its views those of this program."""

from __future__ import annotations

import hashlib
import re
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import apsw
import pytest
from stored_envelopes import store_envelopes

from p2pshare.database import schema as schemas
from p2pshare.database.connection import open_writer
from p2pshare.database.schema import (
    APPLICATION_ID,
    RISK,
    STORE,
    WARNING_INDEX,
    Schema,
    create_or_check,
    views,
)
from p2pshare.errors import DiskFull, StoreError
from p2pshare.intel.marking import Pap, Tlp
from p2pshare.node.store import Store
from p2pshare.warninglists.warning_index import open_warning_index

PINNED = {
    STORE: (30, "95a2174041a513f9435be68002cac537cdfafd6aaea9630be6c7cd22828a3036"),
    WARNING_INDEX: (1, "adb1c37790d3eae81eb08552bde5cdf94e0bb735e38ad77e8e49ecd2c1798320"),
    RISK: (1, "1f48c682c0f06d721eaf77804139319c3add3d4f482f7b1bb616b57b33c0962a"),
}
OLD_VIEW = "CREATE VIEW v1_indicators AS SELECT value FROM observable"

Open = Callable[..., Any]


def ask(path: Path, sql: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        return connection.execute(sql).fetchall()


def change(path: Path, script: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(script)


def plant_old_views(path: Path) -> dict[str, str]:
    """As an earlier version of this program left them: one with other text, one that is gone, one not there yet."""
    change(
        path,
        f'DROP VIEW v1_indicators; {OLD_VIEW}; CREATE VIEW "v0 ""gone" AS SELECT 1; DROP VIEW v1_claims;',
    )
    return views_of(path)


def views_of(path: Path) -> dict[str, str]:
    return dict(ask(path, "SELECT name, sql FROM sqlite_schema WHERE type = 'view'"))


class _CountingFile(apsw.VFSFile):
    def __init__(self, disk: CountingDisk, name: Any, flags: Any) -> None:
        self._disk = disk
        super().__init__("", name, flags)

    def xWrite(self, data: bytes, offset: int) -> None:
        self._disk.writes += 1
        if self._disk.is_full:
            raise apsw.FullError("no room")
        super().xWrite(data, offset)


class CountingDisk(apsw.VFS):
    """The real disk, which counts what is written to it until it is full."""

    def __init__(self) -> None:
        self.writes = 0
        self.is_full = False
        super().__init__("counting-disk", "")

    def xOpen(self, name: Any, flags: Any) -> apsw.VFSFile:
        return _CountingFile(self, name, flags)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[CountingDisk]:
    monkeypatch.setattr(sys, "unraisablehook", lambda _: None)
    disk = CountingDisk()
    yield disk
    disk.unregister()


# --- the number ----------------------------------------------------------------------------------------


def fingerprint(path: Path, schema: Schema) -> str:
    """Of every table, index, trigger and first row; comments, white space, order and views do not matter."""
    with closing(open_writer(path, cache_bytes=1 << 20)) as writer:
        create_or_check(writer, schema)
        made = [
            tuple(row)
            for row in writer.execute("SELECT type, name, sql FROM sqlite_schema WHERE type <> 'view'")
        ]
        lines = [f"{type} {name} {words(sql or '')}" for type, name, sql in made]
        for type, name, _ in made:
            if type == "table":
                lines += [f"{name} {row!r}" for row in writer.execute(f'SELECT * FROM "{name}"')]
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()


def words(sql: str) -> str:
    return " ".join(re.findall(r"\w+|'[^']*'|[^\w\s]", re.sub(r"--.*", "", sql)))


@pytest.mark.parametrize("schema", PINNED, ids=lambda schema: schema.rooms[-1])
def test_tables_that_changed_without_a_new_number_are_noticed(tmp_path: Path, schema: Schema) -> None:
    """A file of the old tables would be opened as if it had the new ones."""
    number, pinned = PINNED[schema]
    found = fingerprint(tmp_path / "pinned.sqlite", schema)
    assert (schema.number, found) == (number, pinned), (
        f"the tables of {schema.rooms} are not those of schema {number}: raise `number` in database/schema.py, and write it "
        f"and {found} into PINNED"
    )


# --- creation ------------------------------------------------------------------------------------------


def test_a_new_file_is_marked_and_an_opening_that_finds_nothing_to_do_writes_nothing(
    store_path: Path, open_at: Open, disk: CountingDisk
) -> None:
    open_at().close()
    assert ask(store_path, "PRAGMA user_version") == [(STORE.number,)]
    assert ask(store_path, "PRAGMA application_id") == [(APPLICATION_ID,)]
    assert ask(store_path, "PRAGMA integrity_check") == [("ok",)]
    open_at(vfs="counting-disk")
    assert disk.writes == 0


KILLED = """
import os, signal, sys
from pathlib import Path
from p2pshare.database import schema
from p2pshare.node.store import open_store

texts = schema._texts

def cut_off(*arguments, **options):
    for number, text in enumerate(texts(*arguments, **options)):
        if number == int(sys.argv[2]):
            os.kill(os.getpid(), signal.SIGKILL)
        yield text

schema._texts = cut_off
open_store(Path(sys.argv[1]))
"""


@pytest.mark.parametrize("files", [0, 1, 6])
def test_a_creation_that_was_killed_leaves_an_empty_file_and_is_done_again(
    store_path: Path, open_at: Open, open_reading: Open, files: int
) -> None:
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, str(store_path), str(files)], timeout=60, check=False
    )
    assert killed.returncode == -signal.SIGKILL
    assert ask(store_path, "SELECT * FROM sqlite_schema") == []
    with pytest.raises(StoreError) as refusal:
        open_reading()
    assert refusal.value.reason == "store-empty"
    assert "p2pshare run" in refusal.value.hint
    open_at()
    open_reading()


def test_a_disk_too_full_for_the_tables_leaves_an_empty_file(
    store_path: Path, open_at: Open, disk: CountingDisk
) -> None:
    open_writer(store_path, cache_bytes=1 << 20).close()
    disk.is_full = True
    with pytest.raises(DiskFull):
        open_at(vfs="counting-disk")
    disk.is_full = False
    assert ask(store_path, "SELECT count(*) FROM sqlite_schema") == [(0,)]
    assert open_at(vfs="counting-disk").log.counts().held == 0


def test_a_store_that_another_process_makes_meanwhile_is_taken(
    store_path: Path, open_at: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin = schemas._transaction

    def begin_second(connection: apsw.Connection) -> Any:
        monkeypatch.setattr(schemas, "_transaction", begin)
        open_at().close()
        return begin(connection)

    monkeypatch.setattr(schemas, "_transaction", begin_second)
    assert open_at().log.counts().held == 0


# --- refusal -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [0, 15])
def test_an_older_schema_is_refused_and_left_alone(
    store_path: Path, open_at: Open, open_reading: Open, number: int
) -> None:
    """Also version 0 with tables: a file that only looks new is not filled."""
    store_path.touch(0o600)
    change(
        store_path,
        f"CREATE TABLE setting (name TEXT PRIMARY KEY, value NOT NULL) WITHOUT ROWID;"
        f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {number}; PRAGMA journal_mode = WAL",
    )
    before = store_path.read_bytes()
    for opening in (open_at, open_reading):
        with pytest.raises(StoreError) as refusal:
            opening()
        assert refusal.value.reason == "schema-older"
        assert f"schema {number}" in refusal.value.message
        for advice in ("move store.sqlite", "partners", "publish your own"):
            assert advice in refusal.value.hint
    assert store_path.read_bytes() == before


def test_an_older_index_of_warning_lists_says_what_a_person_must_enter_again(tmp_path: Path) -> None:
    path = tmp_path / "warninglists.sqlite"
    open_warning_index(path).close()
    change(path, "PRAGMA user_version = 0")
    with pytest.raises(StoreError) as refusal:
        open_warning_index(path)
    assert refusal.value.reason == "schema-older"
    assert "warninglists.sqlite" in refusal.value.hint
    assert "allow list" in refusal.value.hint


# --- views ---------------------------------------------------------------------------------------------


def test_views_of_another_version_are_made_anew(store_path: Path, open_at: Open) -> None:
    open_at().close()
    ours = views_of(store_path)
    assert set(ours) == {
        "v1_indicators", "v1_claims", "v1_feed", "v1_changes", "v1_sightings",
        "v1_incidents", "v1_incident_timeline", "v1_tasks", "v1_duties", "v1_watch", "v1_rules", "v1_playbooks",
    }  # fmt: skip
    plant_old_views(store_path)
    open_at().close()
    assert views_of(store_path) == ours


def test_a_reader_takes_the_views_that_are_there(store_path: Path, open_at: Open, open_reading: Open) -> None:
    open_at().close()
    old = plant_old_views(store_path)
    assert open_reading().log.counts().held == 0
    assert views_of(store_path) == old


def test_a_disk_too_full_for_new_views_keeps_nobody_from_looking(
    store_path: Path, open_at: Open, disk: CountingDisk, make: Any
) -> None:
    store = open_at()
    ours = views_of(store_path)
    store_envelopes(store, [make.envelope(make.indicator())])
    store.close()
    old = plant_old_views(store_path)
    disk.is_full = True
    full = open_at(vfs="counting-disk")
    assert disk.writes
    assert full.log.counts().held == 1
    assert views_of(store_path) == old
    full.close()
    disk.is_full = False
    store = open_at(vfs="counting-disk")
    assert views_of(store_path) == ours
    assert views(store.database.connection()) == ours


def test_labels_are_those_of_the_markings(store: Store, store_path: Path) -> None:
    for table, markings in (("tlp_label", Tlp), ("pap_label", Pap)):
        labels = [(int(level), level.label) for level in markings]
        assert ask(store_path, f"SELECT level, label FROM {table} ORDER BY level") == labels
