"""Stores of earlier versions: what a migration adds is there for what was stored before it, too."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from p2pshare.database.schema import APPLICATION_ID, migrations
from p2pshare.intel.marking import Tlp
from p2pshare.node.store import Store


def make_old_store(path: Path, before: str, rows: str) -> None:
    """A store as it was before the migration that creates the table `before`, holding `rows`."""
    steps = migrations()
    number = next(n for n, step in enumerate(steps) if f"CREATE TABLE {before} " in step)
    path.touch(0o600)
    with closing(sqlite3.connect(path)) as connection:
        for step in steps[:number]:
            connection.executescript(step)
        connection.executescript(rows)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {number}")
        connection.commit()


def test_networks_stored_before_their_lengths_were_noted_are_found(
    store_path: Path, open_at: Callable[..., Store]
) -> None:
    make_old_store(
        store_path,
        "network_length",
        """INSERT INTO observable_type VALUES (1, 'ipv6-net', 1), (2, 'url', 1), (3, 'ipv4-net', 2);
        INSERT INTO observable VALUES (1, 1, '2001:db8::/32'), (2, 2, 'http://evil.example/24'),
        (3, 3, '192.0.2.0/24'), (4, 3, '10.0.0.0/8');""",
    )
    assert open_at().knowledge.network_lengths() == {"ipv4-net": (24, 8), "ipv6-net": (32,)}


def test_what_was_claimed_before_there_were_standings_is_judged_when_a_time_is_told(
    store_path: Path, open_at: Callable[..., Store]
) -> None:
    make_old_store(
        store_path,
        "standing",
        """INSERT INTO organisation VALUES (1, zeroblob(32), 'alpha');
        INSERT INTO observable_type VALUES (1, 'ipv4', 2);
        INSERT INTO observable VALUES (1, 1, '192.0.2.1'), (2, 1, '192.0.2.2');
        INSERT INTO envelope VALUES (1, zeroblob(32), 1, 1, 1, zeroblob(32), zeroblob(32), 1, 1800000000, 4, 1900000000,
            9, NULL, 1800000000, 1, 0, 0);
        INSERT INTO frame VALUES (1, 1, 1800000000, zeroblob(1));
        INSERT INTO claim VALUES (1, 1, 1, zeroblob(16), 1, 0, 0, 1, 80, NULL, 1700000000000000, 0, NULL),
            (2, 2, 1, zeroblob(16), 1, 0, 0, 1, 80, NULL, 1700000000000000, 0, 5000000);""",
    )
    store = open_at()
    assert list(store.knowledge.indicators(1_800_000_000_000_000, is_active_only=False, tlp_max=Tlp.RED))
    store.knowledge.settle(1_800_000_001, 10)
    with closing(sqlite3.connect(f"file:{store_path}?mode=ro", uri=True)) as connection:
        rows = connection.execute("SELECT value, status, reason FROM v1_indicators ORDER BY value").fetchall()
        changes = connection.execute("SELECT seq, op, value FROM v1_changes").fetchall()
    assert rows == [("192.0.2.1", "active", None), ("192.0.2.2", "expired", "validity")]
    assert changes == [(1, "add", "192.0.2.1")]
