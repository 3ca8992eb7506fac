"""Moving the write-ahead log: beside the writer where a daemon does it, and never longer than its bound."""

from __future__ import annotations

import threading
from pathlib import Path

import apsw
import pytest
from store_rows import rows
from stored_envelopes import store_envelopes

from p2pshare.database import database as databases
from p2pshare.database.connection import StoreFailed
from p2pshare.limits import KIB
from p2pshare.node.store import Store

LOG_BYTES, LOG_BYTES_MAX = 256 * KIB, 1024 * KIB


@pytest.fixture(autouse=True)
def _small_log(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(databases, "STORE_LOG_BYTES", LOG_BYTES)
    monkeypatch.setattr(databases, "STORE_LOG_BYTES_MAX", LOG_BYTES_MAX)


def fill(store: Store, make, first: int, count: int) -> None:
    for sequence in range(first, first + count):
        values = (f"10.{sequence}.{n >> 8}.{n & 255}" for n in range(100))
        store_envelopes(store, [make.envelope(*map(make.indicator, values), sequence=sequence)])


def log_length(path: Path) -> int:
    """Bytes of the log's file; it begins anew in place and is cut then."""
    return path.with_name(f"{path.name}-wal").stat().st_size


def test_where_nobody_moves_the_log_beside_them_commits_do(open_at, make):
    store = open_at()
    fill(store, make, 1, 60)
    assert store.database.path.stat().st_size > 4 * LOG_BYTES
    assert not store.database.is_log_long


def test_a_daemons_commits_leave_the_log_and_it_begins_anew_once_it_was_moved(open_at, make):
    store = open_at()
    store.database.checkpoint()
    store.database.leave_log()
    before, sequence = store.database.path.stat().st_size, 0
    while not store.database.is_log_long:
        sequence += 1
        fill(store, make, sequence, 1)
    assert store.database.path.stat().st_size == before, "no commit moved anything"
    with store.transaction():
        fill(store, make, sequence + 1, 1)
        store.database.checkpoint_beside()
    assert store.database.path.stat().st_size > before
    assert store.database.is_log_long, "what was added meanwhile is in it still"
    store.database.checkpoint()
    assert not store.database.is_log_long
    fill(store, make, sequence + 2, 1)
    assert not store.database.is_log_long, "it was begun anew"
    assert store.log.counts().held == sequence + 2


def test_a_log_that_nobody_moves_is_moved_by_a_commit_in_the_end(open_at, make):
    store = open_at()
    store.database.leave_log()
    for sequence in range(1, 200):
        fill(store, make, sequence, 1)
    assert log_length(store.database.path) < 2 * LOG_BYTES_MAX
    assert store.database.path.stat().st_size > LOG_BYTES_MAX


def test_the_log_is_moved_while_a_transaction_is_under_way(open_at, make):
    """Neither waits for the other, and what was not committed is not in the file."""
    store = open_at()
    store.database.leave_log()
    fill(store, make, 1, 5)
    moved = threading.Thread(target=store.database.checkpoint_beside)
    with store.transaction():
        fill(store, make, 6, 1)
        moved.start()
        moved.join(30)
        assert not moved.is_alive()
        assert rows(store.database.path, "SELECT count(*) FROM envelope") == [(5,)]
    assert store.log.counts().held == 6


def test_a_disk_that_fails_while_the_log_is_moved_takes_no_write_after_it(open_at, make, monkeypatch):
    store = open_at()
    fill(store, make, 1, 1)

    def failing(path: Path) -> apsw.Connection:
        raise StoreFailed("the disk failed")

    monkeypatch.setattr(databases, "open_mover", failing)
    with pytest.raises(StoreFailed):
        store.database.checkpoint_beside()
    with pytest.raises(StoreFailed):
        fill(store, make, 2, 1)
    assert store.log.counts().held == 1
