"""Opening: only where SQLite is safe, only what is ours, and with every setting read back."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing

import apsw
import pytest
from stored_envelopes import store_envelopes

from p2pshare.database import connection as connections
from p2pshare.database.connection import open_reader, open_writer, refuse_network_file_system
from p2pshare.database.schema import STORE
from p2pshare.errors import StoreError

SAFE = {
    "journal_mode": "wal",
    "synchronous": 2,
    "foreign_keys": 1,
    "trusted_schema": 0,
    "cell_size_check": 1,
    "mmap_size": 0,
    "busy_timeout": 5000,
}


def test_every_setting_of_the_writer_is_as_promised(store_path):
    with closing(open_writer(store_path, cache_bytes=1 << 20)) as writer:
        assert {name: writer.pragma(name) for name in SAFE} == SAFE


def test_readers_cannot_write(store, store_path):
    with closing(open_reader(store_path)) as reader:
        assert reader.pragma("query_only") == 1
        with pytest.raises(apsw.ReadOnlyError):
            reader.execute("DELETE FROM setting")


def test_a_setting_that_does_not_take_stops_the_start(store_path, monkeypatch):
    monkeypatch.setattr(
        connections, "_WRITE_PRAGMAS", "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;"
    )
    with pytest.raises(StoreError) as refusal:
        open_writer(store_path, cache_bytes=1 << 20)
    assert refusal.value.reason == "store-unsafe"


def test_the_file_and_its_log_are_private(store, store_path):
    for path in store_path.parent.iterdir():
        assert path.stat().st_mode & 0o777 == 0o600, path.name


@pytest.mark.parametrize("mode", [0o604, 0o620, 0o666])
def test_a_file_that_others_may_read_or_write_is_refused(store, store_path, open_at, mode):
    store.close()
    os.chmod(store_path, mode)
    with pytest.raises(StoreError) as refusal:
        open_at()
    assert refusal.value.reason == "store-permissions"
    assert "chmod 600" in refusal.value.hint


def test_a_newer_schema_is_refused_and_left_alone(store, store_path, open_at, open_reading):
    store.close()
    with closing(sqlite3.connect(store_path)) as connection:
        connection.execute(f"PRAGMA user_version = {STORE.number + 1}")
    before = store_path.read_bytes()
    for opening in (open_at, open_reading):
        with pytest.raises(StoreError) as refusal:
            opening()
        assert refusal.value.reason == "schema-newer"
        assert "newer version" in refusal.value.hint
    assert store_path.read_bytes() == before


def test_the_file_of_another_program_is_refused_and_left_alone(store_path, open_at):
    with closing(sqlite3.connect(store_path)) as connection:
        connection.execute("CREATE TABLE precious (x)")
    os.chmod(store_path, 0o600)
    with pytest.raises(StoreError) as refusal:
        open_at()
    assert refusal.value.reason == "not-a-store"
    with closing(sqlite3.connect(store_path)) as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("precious",)]


def test_a_file_that_is_no_database_is_refused(store_path, open_at):
    store_path.write_bytes(b"not a database, but long enough to have a header " * 100)
    os.chmod(store_path, 0o600)
    with pytest.raises(StoreError) as refusal:
        open_at()
    assert refusal.value.reason == "store-damaged"
    assert str(store_path) in refusal.value.message


def test_a_store_that_is_not_there_is_not_made_by_a_reader(store_path, open_reading):
    with pytest.raises(StoreError):
        open_reading()
    assert not store_path.exists()


@pytest.mark.parametrize(
    ("mounts", "kind"),
    [
        ("1 0 8:1 / / rw - ext4 /dev/a rw\n2 1 0:40 / {folder} rw - nfs4 server:/x rw", "nfs4"),
        ("1 0 8:1 / / rw - ext4 /dev/a rw\n2 1 0:40 / {folder} rw shared:1 - cifs //s/x rw", "cifs"),
        ("1 0 0:9 / / rw - nfs host:/root rw", "nfs"),
    ],
)
def test_a_network_file_system_is_refused(tmp_path, mounts, kind):
    table = tmp_path / "mountinfo"
    table.write_text(mounts.format(folder=tmp_path))
    with pytest.raises(StoreError) as refusal:
        refuse_network_file_system(tmp_path / "store.sqlite", table)
    assert refusal.value.reason == "store-on-network"
    assert kind in refusal.value.message


@pytest.mark.parametrize(
    "mounts",
    [
        "1 0 8:1 / / rw - ext4 /dev/a rw\n2 1 0:40 / {folder}-other rw - nfs4 server:/x rw",
        "1 0 0:9 / / rw - nfs host:/root rw\n2 1 8:1 / {folder} rw - xfs /dev/b rw",
        "2 1 0:40 / {folder} rw - nfs4 server:/x rw\n3 1 8:1 / {folder} rw - ext4 /dev/b rw",
        "nonsense\n",
        "",
    ],
    ids=["beside", "local-below-network", "mounted-over", "unreadable-line", "empty"],
)
def test_a_local_file_system_is_taken(tmp_path, mounts):
    table = tmp_path / "mountinfo"
    table.write_text(mounts.format(folder=tmp_path))
    refuse_network_file_system(tmp_path / "store.sqlite", table)


def test_a_mount_point_with_a_space_is_understood(tmp_path):
    folder = tmp_path / "my store"
    folder.mkdir()
    table = tmp_path / "mountinfo"
    table.write_text(f"2 1 0:40 / {str(folder).replace(' ', chr(92) + '040')} rw - nfs4 server:/x rw\n")
    with pytest.raises(StoreError):
        refuse_network_file_system(folder / "store.sqlite", table)


def test_a_second_writer_is_told_so(store, store_path, open_at, make, monkeypatch):
    monkeypatch.setattr(connections, "_READ_PRAGMAS", connections._READ_PRAGMAS.replace("5000", "20"))
    other = open_at()
    with store.transaction(), pytest.raises(StoreError) as refusal:
        store_envelopes(other, [make.envelope(opened=False)])
    assert refusal.value.reason == "store-busy"
    store_envelopes(other, [make.envelope(opened=False)])
    assert store.log.counts().held == 1
