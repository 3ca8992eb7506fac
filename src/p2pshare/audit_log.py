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
5. Every process that may write the folder may append: a lock (flock(2)) makes them wait for each other. What root writes belongs to
   the folder's owner, so that the daemon can go on.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import pwd
import re
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
            path = _last_file(folder)
            if path is not None:
                os.close(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW))
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
        path = _last_file(folder)
        if path is not None and path.stat().st_size >= AUDIT_FILE_BYTES:
            before = _begin_file(folder, before, at)
            path = _last_file(folder)
        return _append(
            path or folder / _file_name(1),
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
        for path in _files(self._folder):
            first = int(path.stem)
            if before is None and first > 1:
                told_gone = first - 1
            with path.open("rb") as stream:
                for line in stream:
                    raw = line.rstrip(b"\n")
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
        place = _last_place(self._folder)
        return place if place.number else None

    def place_of(self, number: int) -> AuditPlace | None:
        """Returns where the record of that number stands, None where it is not there."""
        for path in _files(self._folder):
            with path.open("rb") as stream:
                for line in stream:
                    record, _ = _parsed(raw := line.rstrip(b"\n"))
                    if record is not None and record.number == number:
                        return AuditPlace(number, _digest(raw))
        return None


def _gone_up_to(subject: str) -> int:
    found = re.fullmatch(r"records=1-([0-9]+)", subject)
    return int(found[1]) if found else 0


def _begin_file(folder: Path, before: AuditPlace, at: int) -> AuditPlace:
    """Begin the next file, and remove the oldest where there are too many; returns where the last record stands then."""
    path = folder / _file_name(before.number + 1)
    os.close(_open_for_append(path, folder))
    files = list(_files(folder))
    gone = [files.pop(0) for _ in range(max(0, len(files) - AUDIT_FILES_MAX))]
    if not gone:
        return before
    record = AuditRecord(
        before.number + 1,
        at,
        user_name(os.getuid()),
        os.getuid(),
        REMOVED,
        f"records=1-{int(files[0].stem) - 1}",
        DONE,
    )
    place = _append(path, record, before)
    for one in gone:
        with suppress(OSError):  # a file that the kernel keeps from being removed (chattr +a) stays
            one.unlink()
    return place


def _append(path: Path, record: AuditRecord, before: AuditPlace) -> AuditPlace:
    line = json.dumps(
        asdict(record) | {"previous": before.digest}, separators=(",", ":"), sort_keys=True
    ).encode()
    descriptor = _open_for_append(path, path.parent)
    try:
        begin = b"" if _ends_whole(descriptor) else b"\n"  # behind a write that was cut off
        written = os.write(descriptor, begin + line + b"\n")
        os.fsync(descriptor)
        if written != len(begin) + len(line) + 1:
            raise OSError(28, "No space left on device")
    finally:
        os.close(descriptor)
    return AuditPlace(record.number, _digest(line))


def _open_for_append(path: Path, folder: Path) -> int:
    is_new = not path.exists()
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    if is_new:
        owner = folder.stat()
        if os.geteuid() == 0:
            os.fchown(descriptor, owner.st_uid, owner.st_gid)
        _sync_folder(folder)
    return descriptor


def _ends_whole(descriptor: int) -> bool:
    size = os.fstat(descriptor).st_size
    return size == 0 or os.pread(descriptor, 1, size - 1) == b"\n"


def _last_place(folder: Path) -> AuditPlace:
    """Returns where the last line stands; a cut-off one counts with its digest, under the number of the last whole one."""
    for path in reversed(list(_files(folder))):
        with path.open("rb") as stream:
            stream.seek(max(0, path.stat().st_size - 4 * RECORD_BYTES_MAX))
            lines = [line for line in stream.read().split(b"\n") if line]
        if not lines:
            continue
        numbers = [record.number for line in lines if (record := _parsed(line)[0]) is not None]
        number = numbers[-1] if numbers else int(path.stem) - 1
        return AuditPlace(number, _digest(lines[-1]))
    files = list(_files(folder))
    return AuditPlace(int(files[-1].stem) - 1 if files else 0, _digest(b""))


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


def _files(folder: Path) -> Iterator[Path]:
    """Yields the files of the log, the oldest first."""
    if folder.is_dir():
        yield from sorted(
            one for one in folder.iterdir() if _NAME.fullmatch(one.name) and not one.is_symlink()
        )


def _last_file(folder: Path) -> Path | None:
    return max(_files(folder), default=None)


def _file_name(number: int) -> str:
    return f"{number:010}.log"


@contextmanager
def _locked(folder: Path) -> Iterator[Path]:
    """Hold the lock on the folder, which is made where there is none; yields it. Raises OSError."""
    if not folder.is_dir():
        folder.mkdir(mode=0o700, exist_ok=True)
        if os.geteuid() == 0:
            owner = folder.parent.stat()
            os.chown(folder, owner.st_uid, owner.st_gid)
        _sync_folder(folder.parent)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield folder
    finally:
        os.close(descriptor)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
