# ruff: noqa: S608 - statements are put together from this program's own text only
"""Which keys were seen already, of any number of them: in memory while they are few, on the disk beyond.

For work that reads more than memory holds and must take each thing once. The file is SQLite's own temporary one: without a
name, and gone with the connection or the process (docs/decisions/0073).
"""

from __future__ import annotations

from collections.abc import Sequence

import apsw

from p2pshare.database.arrays import key_tables
from p2pshare.database.connection import translated
from p2pshare.database.fetching import fetch

IN_MEMORY_MAX = 100_000  # keys of 16 bytes: 12 MiB as a Python set
CACHE_KIB = 8 * 1024  # of the pages on the disk: a batch of keys touches most of them anyhow


class SeenKeys:
    """A set of keys (bytes of any length) that only grows. Raises DiskFull where the disk has no room for it."""

    def __init__(self, in_memory_max: int = IN_MEMORY_MAX) -> None:
        self._in_memory_max = in_memory_max
        self._few: set[bytes] | None = set()
        self._disk: apsw.Connection | None = None
        self._count = 0

    def __len__(self) -> int:
        return self._count

    @property
    def is_on_disk(self) -> bool:
        """Returns whether they were too many for memory."""
        return self._disk is not None

    def add(self, keys: Sequence[bytes]) -> list[bool]:
        """Take `keys`; returns for each whether it is here for the first time, in order."""
        held = self._held_of(keys)
        is_new: list[bool] = []
        fresh: list[bytes] = []
        for key in keys:
            is_new.append(key not in held)
            if is_new[-1]:
                held.add(key)
                fresh.append(key)
        self._count += len(fresh)
        self._keep(fresh)
        return is_new

    def close(self) -> None:
        """Forget everything."""
        self._few = set()
        if self._disk is not None:
            self._disk.close()
            self._disk = None

    def _held_of(self, keys: Sequence[bytes]) -> set[bytes]:
        if self._few is not None:
            return self._few
        assert self._disk is not None
        held: set[bytes] = set()
        with translated(self._disk):
            for table, bound in key_tables(keys):
                rows = fetch(
                    self._disk, f"SELECT s.key FROM {table} k CROSS JOIN seen s ON s.key = k.value", (bound,)
                )
                held.update(key for (key,) in rows)
        return held

    def _keep(self, fresh: list[bytes]) -> None:
        if self._few is not None:  # they are in it already
            if len(self._few) <= self._in_memory_max:
                return
            fresh, self._few = list(self._few), None
            self._disk = apsw.Connection("")
            with translated(self._disk):
                # nothing of it outlives the process, so nothing is journalled; one transaction, so nothing is synced
                for name, value in (
                    ("journal_mode", "OFF"),
                    ("synchronous", "OFF"),
                    ("cache_size", -CACHE_KIB),
                ):
                    self._disk.pragma(name, value)
                self._disk.execute("CREATE TABLE seen (key BLOB PRIMARY KEY) WITHOUT ROWID")
                self._disk.execute("BEGIN")
        assert self._disk is not None
        with translated(self._disk):
            self._disk.executemany("INSERT INTO seen VALUES (?)", [(key,) for key in sorted(fresh)])
