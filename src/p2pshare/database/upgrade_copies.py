"""The copies that are made of a file before it is brought forward to a newer schema, and how long they stay.

::

    store.sqlite                 of schema 31, say
    store.sqlite.schema-30       0600, the whole file as it was, from the moment before the step to 31

A copy is the way back: a version of the program that knows schema 30 opens it. It also holds whatever was deleted since, so it goes
after UPGRADE_COPY_SECONDS, and at once when something in the file has to be gone for good (`Database.cut_log`).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import apsw

from p2pshare.database.connection import free_space_bytes, open_reader, translated
from p2pshare.errors import DiskFull, StoreError
from p2pshare.limits import FREE_SPACE_BYTES_MIN, MIB

UPGRADE_COPY_SECONDS = 7 * 86_400
"""How long a copy stays: a week shows whether the new version does what a house needs of it, and partners still carry what came since."""
COPY_STEP_PAGES = 4_096  # 16 MiB at a time: a kill or a full disk ends it soon
_SUFFIX = ".schema-"
_PART = ".part"
_NAME = re.compile(r"\.schema-([0-9]{1,9})(?:\.part)?")


def copy_path(path: Path, number: int) -> Path:
    """Returns where the copy of the file at `path` stands that has schema `number`."""
    return path.with_name(f"{path.name}{_SUFFIX}{number}")


def require_room(path: Path) -> None:
    """Require room for a copy and for the longest write-ahead log that steps can leave, above the floor. Raises DiskFull."""
    taken = sum(one.stat().st_size for one in (path, path.with_name(f"{path.name}-wal")) if one.exists())
    needed, free = 2 * taken + FREE_SPACE_BYTES_MIN, free_space_bytes(path)
    if free < needed:
        raise DiskFull(
            f"bringing {path.name} forward needs {needed // MIB} MiB beside it, and {free // MIB} MiB are free; nothing was changed",
            hint="free some space and start again, or go on with the version of before",
        )


def make_copy(path: Path, number: int) -> Path:
    """Copy the file at `path`, which has schema `number`, to where its copy stands, durable and whole; returns that place.

    The caller holds the file's write lock, so nothing is committed meanwhile. A copy of before is replaced. What root makes is the owner's of
    the file: its daemon goes back with it. Raises StoreError, DiskFull.
    """
    made = copy_path(path, number)
    part = made.with_name(made.name + _PART)
    try:
        part.unlink(missing_ok=True)
        _make_empty(part, path.stat())
        with translated(path=part), closing(open_reader(path)) as source, closing(_target(part)) as target:
            with target.backup("main", source, "main") as copying:
                while not copying.done:
                    copying.step(COPY_STEP_PAGES)
            target.pragma("journal_mode", "DELETE")  # a file alone, which needs no log beside it
        _sync(part)
        part.replace(made)
        _sync(made.parent)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise StoreError(
            f"no copy of {path.name} could be made: {(error.strerror or 'unknown').lower()}"
        ) from None
    except StoreError:
        part.unlink(missing_ok=True)
        raise
    return made


def copies_of(path: Path) -> Iterator[tuple[int, Path]]:
    """Yields (schema number, place) of each copy of the file at `path`; what a kill left of one has its place, too."""
    for one in path.parent.glob(f"{path.name}{_SUFFIX}*"):
        found = _NAME.fullmatch(one.name.removeprefix(path.name))
        if found and one.is_file() and not one.is_symlink():
            yield int(found[1]), one


def newest_copy(path: Path, number_max: int) -> Path | None:
    """Returns the whole copy of the highest schema up to `number_max`, None where there is none."""
    found = [(number, one) for number, one in copies_of(path) if number <= number_max and one.suffix != _PART]
    return max(found)[1] if found else None


def remove_copies(path: Path, *, older_than: float | None = None) -> list[str]:
    """Remove the copies of the file at `path`; returns their names. `older_than`: only those that were made before, in unix seconds."""
    gone = []
    for _, one in copies_of(path):
        try:
            if older_than is None or one.stat().st_mtime < older_than:
                one.unlink()
                gone.append(one.name)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise StoreError(
                f"{one} could not be removed: {(error.strerror or 'unknown').lower()}",
                hint="check its owner and mode",
            ) from None
    return gone


def _make_empty(path: Path, like: os.stat_result) -> None:
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        if os.geteuid() == 0:
            os.fchown(descriptor, like.st_uid, like.st_gid)
    finally:
        os.close(descriptor)


def _target(path: Path) -> apsw.Connection:
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
    connection.pragma("synchronous", "OFF")  # it is synced once, at the end
    return connection


def _sync(path: Path) -> None:
    opened = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
