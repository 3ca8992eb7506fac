"""A disk that knows what was synced: SQLite's files on the real one, with their last unsynced writes, a room and a fault.

A loss of power keeps any part of what was not synced since (SQLite's own assumption, sqlite.org/atomiccommit.html, "Hardware
assumptions"): here each write of up to a sector survives or not, by chance, and a file has the length of its last sync or of what
survived. A disk that is full fails in the middle of a transaction, at the write that finds no room.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import apsw

SECTOR_BYTES = 512
NAME = "p2pshare-watched"


@dataclass
class Watched:
    """The state of one disk. `room_bytes`: what may still be written (None: there is room)."""

    room_bytes: int | None = None
    is_failing: bool = False
    """Whether the next sync fails; what it was asked to sync may be lost."""
    unsynced: dict[str, list[Change]] = field(default_factory=dict)
    """By file name."""

    def take_room(self, size: int) -> None:
        """Take room for a write. Raises apsw.FullError where there is none."""
        if self.room_bytes is None:
            return
        if size > self.room_bytes:
            raise apsw.FullError("no room is left")
        self.room_bytes -= size

    def lose(self, folder: Path, random: Random) -> None:
        """Make of the copies in `folder` what a loss of power leaves of them, and forget the rest."""
        for name, changes in sorted(self.unsynced.items()):
            if (folder / name).exists():
                _lose(folder / name, changes, random)
        self.unsynced.clear()


@dataclass(frozen=True, slots=True)
class Change:
    """A write that was not synced: where, the bytes before and after it, and the length of the file before it."""

    offset: int
    before: bytes
    after: bytes
    length: int


def _lose(path: Path, changes: list[Change], random: Random) -> None:
    content = bytearray(path.read_bytes())
    for one in reversed(changes):
        content[one.offset : one.offset + len(one.after)] = one.before
        del content[one.length :]
    for one in changes:
        for begin in range(0, len(one.after), SECTOR_BYTES):
            if random.random() < 0.5:
                piece, at = one.after[begin : begin + SECTOR_BYTES], one.offset + begin
                content.extend(bytes(max(0, at - len(content))))
                content[at : at + len(piece)] = piece
    path.write_bytes(content)


class _WatchedFile(apsw.VFSFile):
    def __init__(self, watched: Watched, name: str, file: Any, flags: list[int]) -> None:
        self._watched, self._name = watched, name
        super().__init__("", file, flags)

    def xWrite(self, data: Any, offset: int) -> None:
        raw = bytes(data)
        length = self.xFileSize()
        before = super().xRead(min(len(raw), length - offset), offset) if offset < length else b""
        self._watched.take_room(len(raw))
        super().xWrite(raw, offset)
        self._watched.unsynced.setdefault(self._name, []).append(Change(offset, before, raw, length))

    def xTruncate(self, newsize: int) -> None:
        """Cut it off, at once and for ever: a length that comes back would show old frames of the log, whose salts are void."""
        super().xTruncate(newsize)
        self._watched.unsynced.pop(self._name, None)

    def xSync(self, flags: int) -> None:
        if self._watched.is_failing:
            raise apsw.IOError("the disk does not sync")
        super().xSync(flags)
        self._watched.unsynced.pop(self._name, None)

    def excepthook(self, kind: Any, error: Any, trace: Any) -> bool:
        """Say nothing: SQLite tells what failed."""
        return True


class _WatchedDisk(apsw.VFS):
    """Opens files of the watched folders, and all others as they are."""

    def __init__(self) -> None:
        self.folders: dict[str, Watched] = {}
        super().__init__(NAME, "")

    def xOpen(self, name: Any, flags: list[int]) -> Any:
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        watched = self.folders.get(str(Path(path).parent)) if path else None
        if watched is None:
            return apsw.VFSFile("", name, flags)
        return _WatchedFile(watched, Path(path).name, name, flags)

    def excepthook(self, kind: Any, error: Any, trace: Any) -> bool:
        """Say nothing: SQLite tells what failed."""
        return True


@functools.cache
def _disks() -> _WatchedDisk:
    return _WatchedDisk()


def watch(folder: Path, watched: Watched) -> str:
    """Watch what is opened in `folder` from now on; returns the name of the VFS to open it with."""
    _disks().folders[str(folder)] = watched
    return NAME


def unwatch(folder: Path) -> None:
    """Forget a folder."""
    _disks().folders.pop(str(folder), None)
