"""Stores of earlier versions: what a migration adds is there for what was stored before it, too."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from p2pshare.store.schema import APPLICATION_ID, migrations
from p2pshare.store.sqlite import SqliteStore


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
    store_path: Path, open_at: Callable[..., SqliteStore]
) -> None:
    make_old_store(
        store_path,
        "network_length",
        """INSERT INTO observable_type VALUES (1, 'ipv6-net', 1), (2, 'url', 1), (3, 'ipv4-net', 2);
        INSERT INTO observable VALUES (1, 1, '2001:db8::/32'), (2, 2, 'http://evil.example/24'),
        (3, 3, '192.0.2.0/24'), (4, 3, '10.0.0.0/8');""",
    )
    assert open_at().network_lengths() == {"ipv4-net": (24, 8), "ipv6-net": (32,)}
