"""A quick look at whether the store's file is whole, for `p2pshare doctor`."""

from __future__ import annotations

from pathlib import Path

from p2pshare.database.connection import open_reader, translated
from p2pshare.database.fetching import fetch

FAULTS_MAX = 5


def quick_check(path: Path) -> list[str]:
    """Returns the findings of SQLite's quick_check, at most FAULTS_MAX lines; none when the file is whole.

    Reads the whole file, beside a writer or without one. Raises StoreError.
    """
    connection = open_reader(path)
    try:
        with translated(path=path):
            found = [str(row[0]) for row in fetch(connection, f"PRAGMA quick_check({FAULTS_MAX})")]
    finally:
        connection.close()
    return [] if found == ["ok"] else found
