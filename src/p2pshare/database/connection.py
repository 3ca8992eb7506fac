"""Connections to the store's file: opened only where SQLite is safe, with every setting read back.

The file must be ours (application id), local (WAL needs shared memory, which network file systems do not have),
private (0600), and of the schema that this program knows. Every error of SQLite becomes one of ours here:

==================================  ==========================================================
full disk, quota, size limit        `DiskFull`: nothing kept, the store stays usable
failed read, write or fsync         `StoreFailed`: fatal. After a failed fsync the kernel may have
                                    dropped the pages, so a retry that succeeds proves nothing
not a database, malformed           `StoreError` reason "store-damaged"
locked by another writer            `StoreError` reason "store-busy"
==================================  ==========================================================
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw

from p2pshare.errors import DiskFull, StoreError
from p2pshare.limits import KIB, MIB, STORE_BUSY_MILLISECONDS, STORE_LOG_BYTES

NETWORK_FILE_SYSTEMS = frozenset(
    [
        "9p",
        "afs",
        "afp",
        "beegfs",
        "ceph",
        "cifs",
        "coda",
        "davfs",
        "fuse.ceph",
        "fuse.davfs",
        "fuse.glusterfs",
        "fuse.rclone",
        "fuse.s3fs",
        "fuse.sshfs",
        "gfs2",
        "glusterfs",
        "lustre",
        "ncpfs",
        "nfs",
        "nfs4",
        "ocfs2",
        "orangefs",
        "smb3",
        "smbfs",
        "virtiofs",
    ]
)
MOUNTS = Path("/proc/self/mountinfo")
FULL_ERRNOS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
SYNCHRONOUS_FULL = 2

_READ_PRAGMAS = f"""
PRAGMA busy_timeout = {STORE_BUSY_MILLISECONDS};
PRAGMA foreign_keys = ON;
PRAGMA trusted_schema = OFF;
PRAGMA cell_size_check = ON;
PRAGMA mmap_size = 0;
"""
_WRITE_PRAGMAS = f"""
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
PRAGMA journal_size_limit = {STORE_LOG_BYTES};
"""


class StoreFailed(StoreError):
    """The disk failed to read, write or sync; the process must stop, for the state of the file is unknown."""

    reason = "store-failed"


def open_writer(path: Path, *, cache_bytes: int, vfs: str | None = None) -> apsw.Connection:
    """Open the writing connection, and create the file with mode 0600 if need be. Raises StoreError."""
    refuse_network_file_system(path)
    _create_private(path)
    flags = apsw.SQLITE_OPEN_READWRITE
    with translated(path=path):
        connection = apsw.Connection(str(path), flags=flags, vfs=vfs)
        _run(connection, _READ_PRAGMAS + _WRITE_PRAGMAS)
        _run(connection, f"PRAGMA cache_size = {-cache_bytes // KIB}; PRAGMA temp_store = MEMORY")
        connection.wal_autocheckpoint(STORE_LOG_BYTES // 4096)
        _require(connection, "journal_mode", "wal")
        _require(connection, "synchronous", SYNCHRONOUS_FULL)
        _require_safe(connection)
    return connection


def open_mover(path: Path) -> apsw.Connection:
    """Open a connection that only moves the write-ahead log into the file, beside the writer. Raises StoreError."""
    with translated(path=path):
        connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
        _run(connection, _READ_PRAGMAS + "PRAGMA synchronous = FULL; PRAGMA query_only = ON")
        connection.wal_autocheckpoint(0)
        _require(connection, "synchronous", SYNCHRONOUS_FULL)
    return connection


def open_reader(path: Path) -> apsw.Connection:
    """Open a read-only connection beside the writer. Raises StoreError."""
    if not path.is_file():
        raise StoreError(
            f"there is no store at {path}", hint="`p2pshare run` (or any command that writes) makes one"
        )
    with translated(path=path):
        connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
        _run(connection, _READ_PRAGMAS + "PRAGMA query_only = ON")
        _require_safe(connection)
    return connection


def _run(connection: apsw.Connection, statements: str) -> None:
    """Run each statement to its end; apsw stops at the first row that is not fetched."""
    connection.execute(statements).fetchall()


def _require_safe(connection: apsw.Connection) -> None:
    _require(connection, "foreign_keys", 1)
    _require(connection, "trusted_schema", 0)
    _require(connection, "cell_size_check", 1)
    _require(connection, "mmap_size", 0)


def _require(connection: apsw.Connection, name: str, expected: str | int) -> None:
    """Require that SQLite has taken a setting: durability depends on it. Raises StoreError `store-unsafe`."""
    actual = connection.pragma(name)
    if actual != expected:
        raise StoreError(
            f"the store's {name} is {actual!r} and must be {expected!r}",
            hint="keep the store on a local file system",
            reason="store-unsafe",
        )


def _create_private(path: Path) -> None:
    """Create an empty file that only we can read, or check that others cannot read the existing one. Raises StoreError."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        mode = path.stat().st_mode & 0o777
        if mode & 0o027:
            raise StoreError(
                f"{path} has mode {mode:04o}: others may read or change it",
                hint=f"chmod 600 {path}",
                reason="store-permissions",
            ) from None
    except OSError as error:
        raise StoreError(f"cannot create the store at {path}: {os.strerror(error.errno or 0)}") from error


def refuse_network_file_system(path: Path, mounts: Path = MOUNTS) -> None:
    """Refuse a file system without coherent shared memory and locks. Raises StoreError `store-on-network`."""
    if kind := network_kind(path, mounts):
        raise StoreError(
            f"{path} is on a network file system ({kind})",
            hint="put the home folder on a local disk",
            reason="store-on-network",
        )


def network_kind(path: Path, mounts: Path = MOUNTS) -> str:
    """Returns the type of the network file system that holds `path`, empty where it is a local one, or not known."""
    kind = _file_system(path.absolute(), mounts)
    return kind if kind in NETWORK_FILE_SYSTEMS else ""


def _file_system(path: Path, mounts: Path) -> str:
    """Returns the type of the file system that holds `path`, or '' where that is not known."""
    try:
        lines = mounts.read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return ""
    target = os.path.realpath(path)
    longest, kind = -1, ""
    for line in lines:
        # 36 35 98:0 /root /mount/point options [optional ...] - type source options   (proc(5))
        head, _, tail = line.partition(" - ")
        point = _unescape(head.split(" ")[4]) if head.count(" ") >= 4 else ""
        inside = point and (target == point or target.startswith(point.rstrip("/") + "/"))
        if inside and len(point) >= longest and tail:
            longest, kind = len(point), tail.split(" ")[0]
    return kind


def _unescape(text: str) -> str:
    """Returns a mount point with its octal escapes of space, tab, newline and backslash replaced (proc(5))."""
    for code, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        text = text.replace(code, character)
    return text


def free_space_bytes(path: Path) -> int:
    """Returns how much may still be written on the disk of the file at `path`."""
    usage = os.statvfs(path.parent)
    return usage.f_bavail * usage.f_frsize


def require_free_space(path: Path, free_space_bytes_min: int) -> None:
    """Require that at least `free_space_bytes_min` bytes are free, before anything is written. Raises DiskFull."""
    free_bytes = free_space_bytes(path)
    if free_bytes < free_space_bytes_min:
        raise DiskFull(
            f"only {free_bytes // MIB} MiB are free at {path.parent}; the floor is {free_space_bytes_min // MIB} MiB",
            hint="free some space, or lower store.free_space_mib_min",
        )


@contextmanager
def translated(connection: apsw.Connection | None = None, path: Path | None = None) -> Iterator[None]:
    """Translate SQLite's errors into ours, as in the table above.

    `connection` gives the cause of a failed write, `path` the file that the message names.
    """
    try:
        yield
    except apsw.Error as error:
        ours = translation(error, connection, path)
        if ours is None:
            raise
        raise ours from error


def translation(
    error: apsw.Error, connection: apsw.Connection | None = None, path: Path | None = None
) -> StoreError | None:
    """Returns our error for SQLite's; None where only a bug of ours can have caused it."""
    name = path or (connection.filename if connection is not None else "")
    store = f"the store {name}" if name else "the store"
    if isinstance(error, apsw.FullError):
        return _full()
    if isinstance(error, apsw.IOError):
        return _failure(error, connection)
    if isinstance(error, apsw.NotADBError | apsw.CorruptError):
        return StoreError(
            f"{store} is damaged, or no store at all",
            hint="restore it from a backup; partners send again what is missing",
            reason="store-damaged",
        )
    if isinstance(error, apsw.BusyError):
        return StoreError(f"another program is writing {store}", reason="store-busy")
    if isinstance(error, apsw.ReadOnlyError | apsw.CantOpenError):
        return StoreError(
            f"{store} cannot be opened or written",
            hint="run as the user whom it belongs to, or check the permissions of the file and its folder",
        )
    return None


def _full() -> DiskFull:
    return DiskFull("the disk is full; nothing of the last transaction was kept", hint="free some space")


def _failure(error: apsw.IOError, connection: apsw.Connection | None) -> StoreError:
    """Returns DiskFull for a write that failed for want of room, which leaves the file as it was; else StoreFailed."""
    cause = connection.system_errno if connection is not None else 0
    if getattr(error, "extendedresult", 0) == apsw.SQLITE_IOERR_WRITE and cause in FULL_ERRNOS:
        return _full()
    return StoreFailed(
        "the disk failed to read, write or sync the store; stopping",
        hint="check the disk (dmesg, smartctl); start again when it is sound",
    )
