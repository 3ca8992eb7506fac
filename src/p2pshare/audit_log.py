"""The audit log: who did what at this node, when, and what came of it (docs/operations/audit.md).

::

    HOME/audit/               0700
    HOME/audit/0000000001.log 0600, lines of JSON: the records from number 1 on
    HOME/audit/0000004127.log the next file, begun when that one was AUDIT_FILE_BYTES long

1. Records are only ever appended, each synced before its writer goes on. Files are named by their first number, so that none is ever
   renamed or rewritten. Beside the store, and not in it: a store that is restored, damaged or made anew takes nothing away.
2. Each record has the number behind the one of before and the digest of its line (SHA-256), so a line that was changed, put between or
   taken out is seen. What was cut off at the end is not, by the file alone: the journal has the number and the beginning of the digest of each.
3. The oldest file goes when there are AUDIT_FILES_MAX; a record says which numbers went.
4. A record has ids and names of partners, never a value, a title or a text of a person's (`subject_of`).
5. Every process that may write the folder may append: a lock (flock(2)) makes them wait for each other, and who reads wait for them. What
   root writes belongs to the folder's owner, so that the daemon can go on.
6. Root writes into a folder of another user, who may put links where they hurt: the folder is opened once, what is in it by that
   descriptor, and no link, FIFO or device is followed, waited for or given away.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import pwd
import re
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from p2pshare.errors import OperatorError
from p2pshare.limits import KIB, MIB

AUDIT_FOLDER = "audit"
AUDIT_FILE_BYTES = 1 * MIB  # some 4,000 records: one file is read and checked in a tenth of a second
AUDIT_FILES_MAX = (
    32  # 32 MiB, some 130,000 records: years of what people do, months of an export every five minutes
)
SUBJECT_CHARACTERS_MAX = 200  # a few ids
WORD_CHARACTERS_MAX = 64  # a user's or partner's name
RECORD_BYTES_MAX = 4 * KIB  # of one line: far above what the two bounds make of it
DONE = "done"
REMOVED = "audit-removed"
UNKNOWN_UID = -1
"""Of a signal: it does not say who sent it."""
_NAME = re.compile(r"([0-9]{10})\.log")
_OBJECT_ID = re.compile(r"[a-z0-9-]{2,40}--[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_ID = re.compile(r"[0-9a-f]{4,64}|[0-9]{1,12}")
"""An id or its beginning, or a number. A hash looks like it: it is asked for where ids are given, and nowhere else."""


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """One record. `at` in unix seconds; `uid` as the kernel reports it, UNKNOWN_UID where nobody knows; `result` "done" or a reason code."""

    number: int
    at: int
    user: str
    uid: int
    action: str
    subject: str
    result: str


@dataclass(frozen=True, slots=True)
class AuditPlace:
    """Where a record stands: its number, and the digest of its line in hexadecimal, by which the next one refers to it."""

    number: int
    digest: str

    @property
    def short(self) -> str:
        return f"{self.number}:{self.digest[:16]}"


@dataclass(frozen=True, slots=True)
class AuditFault:
    """Something that is not as the program left it."""

    number: int
    what: str


def user_name(uid: int) -> str:
    """Returns the system's name for a user id, the number where there is none. May ask a directory service, and take a while."""
    if uid == UNKNOWN_UID:
        return ""
    try:
        return _word(pwd.getpwuid(uid).pw_name)
    except (KeyError, OverflowError):
        return str(uid)


def subject_of(
    ids: Iterable[tuple[str, object]] = (),
    objects: Iterable[tuple[str, object]] = (),
    names: Iterable[tuple[str, object]] = (),
) -> str:
    """Returns a subject as `key=value` words, of lists the first three. Of `ids` only what looks like an id or a number is written, of `objects`
    only ids of STIX, and `?` for all else; of `names`, which this program chose or a partner is called by, what is printable."""
    words = [*_plain_words(ids, _ID), *_plain_words(objects, _OBJECT_ID)]
    for key, value in names:
        several = [
            _word(str(one))
            for one in (value if isinstance(value, list | tuple) else [value])
            if one not in (None, "")
        ]
        words += [f"{key}={','.join(several)}"] if several else []
    return " ".join(words)[:SUBJECT_CHARACTERS_MAX]


def _plain_words(parts: Iterable[tuple[str, object]], plain: re.Pattern[str]) -> Iterator[str]:
    for key, value in parts:
        several = [
            one for one in (value if isinstance(value, list | tuple) else [value]) if one not in (None, "")
        ]
        if several:
            shown = [str(one) if plain.fullmatch(str(one)) else "?" for one in several[:3]]
            yield f"{key}={','.join(shown)}" + (f"+{len(several) - 3}" if len(several) > 3 else "")


def _word(text: str) -> str:
    return "".join(one if one.isprintable() and one != " " else "_" for one in text[:WORD_CHARACTERS_MAX])


def audit_folder(home: Path) -> Path:
    return home / AUDIT_FOLDER


def require_auditable(home: Path) -> None:
    """Require that a record can be appended, before something is done that must have one. Raises OperatorError `audit-not-writable`."""
    try:
        with _locked(audit_folder(home)) as folder:
            name = _last_file(folder)
            if name is not None:
                os.close(_opened_file(folder, name, os.O_WRONLY | os.O_APPEND))
    except OSError as error:
        raise OperatorError(
            f"the audit log {audit_folder(home)} cannot be written ({(error.strerror or 'unknown').lower()}): nothing was done",
            hint="check owner and mode of the folder and its files: they are the daemon's own, 0700 and 0600",
            reason="audit-not-writable",
        ) from None


def append_record(
    home: Path, at: int, uid: int, action: str, subject: str = "", result: str = DONE
) -> AuditPlace:
    """Append a record, durably, and return where it stands. Raises OSError."""
    user = user_name(uid)  # outside of the lock
    with _locked(audit_folder(home)) as folder:
        before = _last_place(folder)
        name = _last_file(folder)
        if name is not None and os.stat(name, dir_fd=folder).st_size >= AUDIT_FILE_BYTES:
            before = _begin_file(folder, before, at)
            name = _last_file(folder)
        return _append(
            folder,
            name or _file_name(1),
            AuditRecord(before.number + 1, at, user, uid, action, subject, result),
            before,
        )


class AuditReading:
    """The audit log of a home for who only reads it. Every call raises OSError where the files cannot be read."""

    def __init__(self, home: Path) -> None:
        self._folder = audit_folder(home)

    def records(self) -> Iterator[AuditRecord | AuditFault]:
        """Yields the records from the oldest on, and a fault where the log is not as it was written."""
        before: AuditPlace | None = None
        told_gone = 0
        with _to_read(self._folder) as folder:
            for name in _files(folder):
                first = _first_number(name)
                if before is None and first > 1:
                    told_gone = first - 1
                for raw in _lines(folder, name):
                    record, previous = _parsed(raw)
                    number = (before.number if before else first - 1) + 1
                    if record is None:
                        yield AuditFault(
                            number, "unreadable: a write that was cut off, or a line that was changed"
                        )
                        before = AuditPlace(number - 1, _digest(raw))
                        continue
                    if record.number != number or (before is not None and previous != before.digest):
                        yield AuditFault(
                            record.number,
                            "does not follow the record before it: lines were taken out, changed or put between",
                        )
                    if record.action == REMOVED and record.result == DONE:
                        told_gone = 0 if _gone_up_to(record.subject) >= told_gone else told_gone
                    before = AuditPlace(record.number, _digest(raw))
                    yield record
        if told_gone:
            yield AuditFault(
                told_gone, "the records up to here are gone, and none says that their time was over"
            )

    def last_place(self) -> AuditPlace | None:
        """Returns where the last record stands, None where there is none."""
        with _to_read(self._folder) as folder:
            place = _last_place(folder)
        return place if place.number else None

    def place_of(self, number: int) -> AuditPlace | None:
        """Returns where the record of that number stands, None where it is not there."""
        with _to_read(self._folder) as folder:
            for name in _files(folder):
                for raw in _lines(folder, name):
                    record, _ = _parsed(raw)
                    if record is not None and record.number == number:
                        return AuditPlace(number, _digest(raw))
        return None


def _gone_up_to(subject: str) -> int:
    found = re.fullmatch(r"records=1-([0-9]+)", subject)
    return int(found[1]) if found else 0


def _begin_file(folder: int, before: AuditPlace, at: int) -> AuditPlace:
    """Begin the next file, and remove the oldest where there are too many; returns where the last record stands then."""
    new = _file_name(before.number + 1)
    os.close(_open_for_append(folder, new))
    names = _files(folder)
    gone = [names.pop(0) for _ in range(max(0, len(names) - AUDIT_FILES_MAX))]
    if not gone:
        return before
    record = AuditRecord(
        before.number + 1,
        at,
        user_name(os.getuid()),
        os.getuid(),
        REMOVED,
        f"records=1-{_first_number(names[0]) - 1}",
        DONE,
    )
    place = _append(folder, new, record, before)
    for one in gone:
        with suppress(OSError):  # a file that the kernel keeps from being removed (chattr +a) stays
            os.unlink(one, dir_fd=folder)
    return place


def _append(folder: int, name: str, record: AuditRecord, before: AuditPlace) -> AuditPlace:
    line = json.dumps(
        asdict(record) | {"previous": before.digest}, separators=(",", ":"), sort_keys=True
    ).encode()
    descriptor = _open_for_append(folder, name)
    try:
        size = os.fstat(descriptor).st_size
        begin = b"" if _ends_whole(descriptor, size) else b"\n"  # behind a write that was cut off
        written = os.write(descriptor, begin + line + b"\n")
        if written != len(begin) + len(line) + 1:
            with suppress(OSError):  # chattr +a; what is left then is told as cut off
                os.ftruncate(descriptor, size)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return AuditPlace(record.number, _digest(line))


def _open_for_append(folder: int, name: str) -> int:
    flags = os.O_RDWR | os.O_APPEND
    try:
        descriptor = _opened_file(folder, name, flags | os.O_CREAT | os.O_EXCL)
    except FileExistsError:
        return _opened_file(folder, name, flags)
    if os.geteuid() == 0:
        owner = os.fstat(folder)
        os.fchown(descriptor, owner.st_uid, owner.st_gid)
    os.fsync(folder)
    return descriptor


def _opened_file(folder: int | None, name: str, flags: int) -> int:
    """Returns a descriptor of a regular file of the folder (rule 6). Raises OSError."""
    safe = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    descriptor = os.open(name, flags | safe, 0o600, dir_fd=folder)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not a regular file")
    return descriptor


def _ends_whole(descriptor: int, size: int) -> bool:
    return size == 0 or os.pread(descriptor, 1, size - 1) == b"\n"


def _last_place(folder: int | None) -> AuditPlace:
    """Returns where the last line stands; a cut-off one counts with its digest, under the number of the last whole one."""
    names = _files(folder)
    for name in reversed(names):
        with os.fdopen(_opened_file(folder, name, os.O_RDONLY), "rb") as stream:
            stream.seek(max(0, os.fstat(stream.fileno()).st_size - 4 * RECORD_BYTES_MAX))
            lines = [line for line in stream.read().split(b"\n") if line]
        if not lines:
            continue
        numbers = [record.number for line in lines if (record := _parsed(line)[0]) is not None]
        number = numbers[-1] if numbers else _first_number(name) - 1
        return AuditPlace(number, _digest(lines[-1]))
    return AuditPlace(_first_number(names[-1]) - 1 if names else 0, _digest(b""))


def _parsed(raw: bytes) -> tuple[AuditRecord | None, str]:
    try:
        fields: dict[str, Any] = json.loads(raw)
        previous = fields.pop("previous")
        record = AuditRecord(**fields)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None, ""
    numbers = type(record.number) is type(record.at) is type(record.uid) is int
    texts = all(
        type(one) is str for one in (record.user, record.action, record.subject, record.result, previous)
    )
    return (record, previous) if numbers and texts else (None, "")


def _digest(line: bytes) -> str:
    return hashlib.sha256(line).hexdigest()


def _files(folder: int | None) -> list[str]:
    """Returns the names of the log's files, the oldest first."""
    if folder is None:
        return []
    return sorted(
        name
        for name in os.listdir(folder)
        if _NAME.fullmatch(name) and stat.S_ISREG(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode)
    )


def _lines(folder: int | None, name: str) -> Iterator[bytes]:
    with os.fdopen(_opened_file(folder, name, os.O_RDONLY), "rb") as stream:
        for line in stream:
            yield line.rstrip(b"\n")


def _last_file(folder: int) -> str | None:
    return max(_files(folder), default=None)


def _file_name(number: int) -> str:
    return f"{number:010}.log"


def _first_number(name: str) -> int:
    return int(name.removesuffix(".log"))


@contextmanager
def _locked(folder: Path) -> Iterator[int]:
    """Hold the lock on the folder, which is made where there is none; yields its descriptor. Raises OSError."""
    try:
        descriptor = _opened_folder(folder)
    except FileNotFoundError:
        with suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        descriptor = _opened_folder(folder)
        if os.geteuid() == 0:
            owner = folder.parent.stat()
            os.fchown(descriptor, owner.st_uid, owner.st_gid)
        _sync_folder(folder.parent)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def _to_read(folder: Path) -> Iterator[int | None]:
    """Yields the descriptor of the folder, in which nobody writes meanwhile; None where there is none. Raises OSError."""
    try:
        descriptor = _opened_folder(folder)
    except FileNotFoundError:
        yield None
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield descriptor
    finally:
        os.close(descriptor)


def _opened_folder(folder: Path) -> int:
    return os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
