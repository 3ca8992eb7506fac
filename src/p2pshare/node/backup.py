"""A backup: all of a home that cannot be made again, in one file that only its key opens (docs/operations/backup.md).

It is made in the command's own process, beside a daemon that goes on:

1. *All but what is named here.* What is derived, or means something to a running process alone, stays out (`_LEFT`); so does the risk
   inventory, unless it is asked for. A file that a later version keeps is in it without a change here.
2. *One moment of each file.* Files of SQLite are copied online (`database.online_copy`), each as it is at one moment; others are written
   whole by whoever writes them. The card is read before the key file: new keys are written before the card that names them.
3. *The copy first, then the archive.* All lies below `.backup.part` of the home, as readable as the home itself, until the archive is
   written; so its list has the sizes and digests of what follows. It needs as much room as the home takes, asked for before it begins.
4. *Nothing that could not be restored.* A copy of a store that is damaged, and a card that is none, end it.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from p2pshare import __version__
from p2pshare.database.connection import FULL_ERRNOS, free_space_bytes
from p2pshare.database.online_copy import copy_online, is_sqlite, require_whole, schema_number
from p2pshare.envelope.age_format import ANY_VERSION, AgeRecipient, AgeWriter
from p2pshare.envelope.card import Card, believe_chain
from p2pshare.envelope.keys import Secret
from p2pshare.errors import DiskFull, OperatorError, PeerError
from p2pshare.intel.instants import SECOND_US, format_instant
from p2pshare.knowledge.feed import MARK_NAME
from p2pshare.limits import MIB
from p2pshare.node.backup_archive import (
    DEPTH_MAX,
    FILES_MAX,
    FORMAT,
    MODE_MASK,
    PATH_BYTES_MAX,
    VERSION,
    BackupFile,
    BackupFolder,
    BackupManifest,
    write_archive,
)
from p2pshare.node.home import CARD_FILE_NAME, CONFIG_NAME, KEY_FILE_NAME, STORE_NAME
from p2pshare.node.node import Progress
from p2pshare.node.whole_files import FOLDER_MODE, UNFINISHED

PART_NAME = ".backup.part"
RESTORE_PART_NAME = ".restore.part"
RISK_FOLDER = "risk"
FREE_BYTES_MIN = 64 * MIB  # what is left to the daemon on the disk that the copy is made on
PIECE_BYTES = 1 * MIB
REQUIRED = (CARD_FILE_NAME, KEY_FILE_NAME, CONFIG_NAME, STORE_NAME)
"""The files without which there is no home, in the order in which they are read (rule 2)."""
_LEFT = frozenset(
    {"lock", "spool", MARK_NAME, f"{MARK_NAME}.new", PART_NAME, RESTORE_PART_NAME, "lost+found"}
)
_BESIDE_SQLITE = re.compile(r".*(-wal|-shm|-journal|\.sqlite\.schema-[0-9]+(\.part)?)")
"""What SQLite keeps beside a file that is copied whole, and the copies of before an upgrade."""


def write_backup(
    home: Path,
    put: Callable[[bytes], object],
    *,
    now: int,
    progress: Progress,
    recipients: Sequence[AgeRecipient] = (),
    passphrase: Secret | None = None,
    with_risk: bool = False,
) -> BackupManifest:
    """Write the backup of `home` to `put`, piece by piece; returns what is in it. `now` in unix seconds.

    Raises OperatorError (`backup-runs`, `backup-file`), StoreError, `DiskFull`; what was put by then is no backup, for its end is missing.
    """
    with _copying(home) as part:
        manifest = _copied(home, part, now, progress, with_risk=with_risk)
        age = AgeWriter(put, recipients=recipients, passphrase=passphrase)
        done = 0

        def content_of(file: BackupFile) -> Iterator[bytes]:
            nonlocal done
            with (part / file.path).open("rb") as stream:
                while piece := stream.read(PIECE_BYTES):
                    yield piece
                    done += len(piece)
                    progress("writing the backup, MiB", done // MIB, manifest.bytes // MIB)

        write_archive(age.write, manifest, content_of)
        age.finish()
        return manifest


@contextmanager
def _copying(home: Path) -> Iterator[Path]:
    """Yields the empty folder for the copy, which is gone afterwards. One backup of a home at a time."""
    part = home / PART_NAME
    try:
        part.mkdir(mode=FOLDER_MODE, exist_ok=True)
        held = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError as error:
        raise _unreadable(part, error) from None
    try:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise OperatorError(
                f"another backup of {home} is being made", hint="wait for it", reason="backup-runs"
            ) from None
        empty_folder(part)  # what a command that was killed left
        try:
            yield part
        finally:
            shutil.rmtree(part, ignore_errors=True)
    finally:
        os.close(held)


def empty_folder(folder: Path) -> None:
    for one in folder.iterdir():
        if one.is_dir() and not one.is_symlink():
            shutil.rmtree(one)
        else:
            one.unlink()


def _copied(home: Path, part: Path, now: int, progress: Progress, *, with_risk: bool) -> BackupManifest:
    found = _Found(home, with_risk=with_risk)
    for name in REQUIRED:
        if name not in found.files:
            raise OperatorError(
                f"{home} has no {name}",
                hint="`p2pshare doctor` says what else is wrong",
                reason="backup-file",
            )
    _require_room(part, found)
    for folder in found.folders:
        (part / folder.path).mkdir(mode=FOLDER_MODE)
    done, of, listed = 0, sum(found.sizes.values()), list[BackupFile]()
    for path in sorted(
        found.files, key=lambda path: (REQUIRED.index(path) if path in REQUIRED else len(REQUIRED), path)
    ):
        copy, begun = part / path, done

        def moved(pages: int, of_pages: int, path: str = path, begun: int = begun) -> None:
            share = found.sizes[path] * pages // max(of_pages, 1)
            progress("copying, MiB", (begun + share) // MIB, of // MIB)

        if not _copy(home / path, copy, moved):
            continue  # it was there a moment ago: a result, a sample, an exercise that was removed
        done += found.sizes[path]
        listed.append(BackupFile(path, found.files[path], copy.stat().st_size, _digest(copy)))
    for name in REQUIRED:
        if not (part / name).exists():
            raise OperatorError(f"{home / name} was taken away meanwhile", reason="backup-file")
    card = _card(part / CARD_FILE_NAME)
    require_whole(part / STORE_NAME)
    return BackupManifest(
        FORMAT,
        VERSION,
        __version__,
        format_instant(now * SECOND_US) or "",
        card.partner_id.text,
        card.version,
        schema_number(part / STORE_NAME),
        any(one.path.startswith(f"{RISK_FOLDER}/") for one in listed),
        tuple(found.left_out),
        tuple(found.folders),
        tuple(listed),
    )


class _Found:
    """What of a home is backed up: folders, files with their modes and sizes; and what is left out though it may be missed."""

    def __init__(self, home: Path, *, with_risk: bool) -> None:
        self._with_risk = with_risk
        self.folders: list[BackupFolder] = []
        self.files: dict[str, int] = {}
        self.sizes: dict[str, int] = {}
        self.left_out: list[str] = []
        self._walk(home, "", 1)

    def _walk(self, folder: Path, above: str, depth: int) -> None:
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError as error:
            raise _unreadable(folder, error) from None
        for entry in entries:
            path = above + entry.name
            if not (depth == 1 and entry.name in _LEFT) and not UNFINISHED.fullmatch(entry.name):
                self._take(entry, path, depth)

    def _take(self, entry: os.DirEntry[str], path: str, depth: int) -> None:
        try:
            is_config = path == CONFIG_NAME  # it may be a link into /etc, and is followed where it is read
            status = entry.stat(follow_symlinks=is_config)
        except FileNotFoundError:
            return
        except OSError as error:
            raise _unreadable(Path(entry.path), error) from None
        if stat.S_ISDIR(status.st_mode):
            if path == RISK_FOLDER and not self._with_risk:
                self.left_out.append("risk: the inventory, which --with-risk takes along")
                return
            if depth == DEPTH_MAX:
                self.left_out.append(f"{_plain(path)}: too deep")
                return
            self.folders.append(BackupFolder(path, status.st_mode & MODE_MASK))
            self._walk(Path(entry.path), f"{path}/", depth + 1)
            return
        if stat.S_ISSOCK(status.st_mode) or _BESIDE_SQLITE.fullmatch(path):
            return
        if why := self._why_not(entry, path, status):
            self.left_out.append(f"{_plain(path)}: {why}")
            return
        self.files[path], self.sizes[path] = status.st_mode & MODE_MASK, status.st_size
        if len(self.files) + len(self.folders) > FILES_MAX:
            raise OperatorError(f"the home has more than {FILES_MAX} files", reason="backup-file")

    @staticmethod
    def _why_not(entry: os.DirEntry[str], path: str, status: os.stat_result) -> str:
        if not stat.S_ISREG(status.st_mode):
            return "no regular file"
        if len(os.fsencode(path)) > PATH_BYTES_MAX or not path.isprintable():
            return "a name that cannot be written"
        with suppress(OSError), open(entry.path, "rb") as stream:
            if stream.read(len(ANY_VERSION)) == ANY_VERSION:
                return "a file of age, as backups are"
        return ""


def _plain(path: str) -> str:
    """Returns a name that may hold bytes which are no UTF-8, so that it can be written down."""
    return path.encode("utf-8", "backslashreplace").decode()


def _require_room(part: Path, found: _Found) -> None:
    needed, free = sum(found.sizes.values()) + FREE_BYTES_MIN, free_space_bytes(part)
    if free < needed:
        raise DiskFull(
            f"the copy needs {needed // MIB} MiB beside the home, and {free // MIB} MiB are free",
            hint="free some space; nothing was written",
        )


def _copy(source: Path, copy: Path, progress: Callable[[int, int], None]) -> bool:
    """Copy one file; returns False where there is none any more. Raises OperatorError, StoreError, DiskFull."""
    try:
        if is_sqlite(source):
            copy_online(source, copy, progress)
            return True
        descriptor = os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with source.open("rb") as stream, os.fdopen(descriptor, "wb") as target:
            shutil.copyfileobj(stream, target, PIECE_BYTES)
    except FileNotFoundError:
        with suppress(FileNotFoundError):
            copy.unlink()
        return False
    except OSError as error:
        raise _unreadable(source, error) from None
    progress(1, 1)
    return True


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _card(path: Path) -> Card:
    try:
        return believe_chain(path.read_bytes())
    except PeerError as error:
        raise OperatorError(
            f"our own card is damaged ({error.reason})",
            hint="`p2pshare doctor` says how to mend it",
            reason="backup-file",
        ) from None


def _unreadable(path: Path, error: OSError) -> OperatorError:
    if error.errno in FULL_ERRNOS:
        return DiskFull("the disk is full; nothing was kept of the backup", hint="free some space")
    return OperatorError(
        f"{path}: {(error.strerror or 'unknown').lower()}",
        hint="run as the daemon's user",
        reason="backup-file",
    )
