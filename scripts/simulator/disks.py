"""Disks: the product's store on files in memory, with snapshots, torn tails and no room left.

A crash is taken literally: the files are copied as they are, half of a log frame that was never committed is
put behind them, and the next life recovers from that. Nothing is checkpointed on the way. Of a disk that is watched
(`watched_disk`), a loss of power leaves what was synced.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random

from p2pshare.envelope.keys import Identity
from p2pshare.limits import MIB
from p2pshare.node.store import Store, open_store
from p2pshare.partners.interface import PartnerRow
from simulator.watched_disk import Watched, unwatch, watch

STORE_NAME = "store.sqlite"
LOG_NAME = "store.sqlite-wal"
CACHE_BYTES = 2 * MIB
NO_ROOM_BYTES = 1 << 60
TORN_FRAME = b"\xa5" * 2_100  # half a frame of the log: its checksum cannot hold


class Disk:
    """One partner's disk. `founded` is the file of a store to begin with. `is_watched`: it can lose power, fill up in the middle
    of a transaction, and fail; each write then costs a little more."""

    def __init__(self, folder: Path, founded: Path, *, is_watched: bool = False) -> None:
        self._folder = folder
        self._generation = 0
        self._snapshots = 0
        self.watched = Watched() if is_watched else None
        self._place.mkdir(parents=True)
        shutil.copyfile(founded, self._place / STORE_NAME)
        (self._place / STORE_NAME).chmod(0o600)

    @property
    def _place(self) -> Path:
        return self._folder / str(self._generation)

    def open(self) -> Store:
        vfs = None if self.watched is None else watch(self._place, self.watched)
        return _open(self._place / STORE_NAME, vfs)

    def set_room(self, store: Store, *, has_room: bool) -> None:
        """Give or take the room: without it every write raises DiskFull, as below the floor of free space."""
        store.database.free_space_bytes_min = 0 if has_room else NO_ROOM_BYTES

    def snapshot(self) -> str:
        """Copy the files as they are now, as a backup would have them; returns the snapshot's name."""
        self._snapshots += 1
        name = f"snapshot{self._snapshots}"
        _copy(self._place, self._folder / name)
        return name

    def crash(self, store: Store) -> None:
        """Stop the process in the middle of a write; the next `open` finds what had been committed."""
        before = self._take_copy()
        log = self._place / LOG_NAME
        if log.exists():
            with log.open("ab") as stream:
                stream.write(TORN_FRAME)
        self._leave(before, store)

    def lose_power(self, store: Store, random: Random) -> None:
        """Stop the machine; the next `open` finds what had been synced, and by chance some of the rest."""
        assert self.watched is not None
        before = self._take_copy()
        self.watched.lose(self._place, random)
        self._leave(before, store)

    def _take_copy(self) -> Path:
        """Copy the files as they are to where the next life finds them; returns where they were."""
        before = self._place
        self._generation += 1
        _copy(before, self._place)
        return before

    def _leave(self, before: Path, store: Store) -> None:
        if self.watched is not None:
            room, self.watched.room_bytes = self.watched.room_bytes, None  # closing writes, to what is gone
        store.close()
        if self.watched is not None:
            self.watched.room_bytes = room
            self.watched.unsynced.clear()
            unwatch(before)
        shutil.rmtree(before)

    def restore(self, name: str) -> None:
        """Put the files of a snapshot in the place of those there are; the store must be closed."""
        shutil.rmtree(self._place)
        self._generation += 1
        _copy(self._folder / name, self._place)
        if self.watched is not None:
            self.watched.unsynced.clear()


class Foundry:
    """Stores of partners that have just been set up, made once for many seeds."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stored: dict[tuple[object, ...], Path] = {}

    def found(
        self,
        identity: Identity,
        partners: tuple[PartnerRow, ...],
        fill: Callable[[Store], None] | None = None,
        filled_with: object = None,
    ) -> Path:
        """Returns the file of a closed store that knows its partners, and that `fill` has filled: `filled_with` says with what."""
        # an identity compares by its keys and card; what is in an archive follows from what it is asked for with
        asked_for = (identity, partners, filled_with)
        path = self._stored.get(asked_for)
        if path is None:
            path = self._stored[asked_for] = self._folder / f"{len(self._stored)}.sqlite"
            store = _open(path)
            with store.transaction():
                store.partners.put_own(identity.partner_id, identity.card.name)
                for row in partners:
                    store.partners.put(row)
                if fill is not None:
                    fill(store)
            store.close()
        return path


def _open(path: Path, vfs: str | None = None) -> Store:
    return open_store(path, free_space_bytes_min=0, cache_bytes=CACHE_BYTES, vfs=vfs)


def _copy(origin: Path, target: Path) -> None:
    """Copy the store and its log. Their shared memory is made anew when they are opened."""
    target.mkdir()
    for name in (STORE_NAME, LOG_NAME):
        if (origin / name).exists():
            shutil.copyfile(origin / name, target / name)
            (target / name).chmod(0o600)
