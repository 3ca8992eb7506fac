# ruff: noqa: S608 - statements are put together from this program's own text only
"""Which keys were seen already, of any number of them: in memory while they are few, on the disk beyond.

For work that reads more than memory holds and must take each thing once. The file is SQLite's own temporary one: without a
name, and gone with the connection or the process (docs/decisions/0073).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Sequence
from typing import Generic, TypeVar

import apsw

from p2pshare.database.arrays import key_tables
from p2pshare.database.connection import translated
from p2pshare.database.fetching import fetch

K = TypeVar("K", bound=Hashable)

IN_MEMORY_MAX = 100_000  # keys: 10 to 25 MiB as a Python set
CACHE_KIB = 8 * 1024  # of the pages on the disk: a batch of keys touches most of them anyhow


class SeenKeys(Generic[K]):
    """A set of keys that only grows; `encode` gives the bytes that stand for one on the disk, which decide there whether two are
    the same. Raises DiskFull where the disk has no room for it."""

    def __init__(self, encode: Callable[[K], bytes], in_memory_max: int = IN_MEMORY_MAX) -> None:
        self._encode = encode
        self._in_memory_max = in_memory_max
        self._few: set[K] = set()
        self._disk: apsw.Connection | None = None
        self._on_disk = 0

    def __len__(self) -> int:
        return len(self._few) + self._on_disk

    @property
    def is_on_disk(self) -> bool:
        """Returns whether they were too many for memory."""
        return self._disk is not None

    def add(self, keys: Sequence[K]) -> list[bool]:
        """Take `keys`; returns for each whether it is here for the first time, in order."""
        if self._disk is None:
            is_new = []
            for key in keys:
                is_new.append(key not in self._few)
                self._few.add(key)
            self._move_if_many()
            return is_new
        return self._add_on_disk(list(map(self._encode, keys)))

    def update(self, keys: Collection[K]) -> None:
        """Take `keys`."""
        if self._disk is None:
            self._few.update(keys)
            self._move_if_many()
        else:
            self._add_on_disk(list(map(self._encode, keys)))

    def close(self) -> None:
        """Forget everything."""
        self._few = set()
        self._on_disk = 0
        if self._disk is not None:
            self._disk.close()
            self._disk = None

    def _move_if_many(self) -> None:
        if len(self._few) <= self._in_memory_max:
            return
        self._disk = apsw.Connection("")
        with translated(self._disk):
            # nothing of it outlives the process, so nothing is journalled; one transaction, so nothing is synced
            for name, value in (("journal_mode", "OFF"), ("synchronous", "OFF"), ("cache_size", -CACHE_KIB)):
                self._disk.pragma(name, value)
            self._disk.execute("CREATE TABLE seen (key BLOB PRIMARY KEY) WITHOUT ROWID")
            self._disk.execute("BEGIN")
        few, self._few = self._few, set()
        self._add_on_disk(list(map(self._encode, few)))

    def _add_on_disk(self, keys: Sequence[bytes]) -> list[bool]:
        assert self._disk is not None
        held: set[bytes] = set()
        is_new: list[bool] = []
        fresh: list[bytes] = []
        with translated(self._disk):
            for table, bound in key_tables(keys):
                held.update(
                    key
                    for (key,) in fetch(
                        self._disk,
                        f"SELECT s.key FROM {table} k CROSS JOIN seen s ON s.key = k.value",
                        (bound,),
                    )
                )
            for key in keys:
                is_new.append(key not in held)
                if is_new[-1]:
                    held.add(key)
                    fresh.append(key)
            self._disk.executemany("INSERT INTO seen VALUES (?)", [(key,) for key in sorted(fresh)])
        self._on_disk += len(fresh)
        return is_new
