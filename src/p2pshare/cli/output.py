"""Output files that a person asked for (`-o FILE`, `--rejects FILE`, `export FILE`): all are opened here.

1. A symbolic link is followed, also one that leads to no file yet, and never replaced.
2. A regular file appears whole or not at all; one that was there keeps its owner, mode and access list.
3. Any other file (a FIFO, a device) is written into and never replaced; so is all of /dev.
4. A descriptor (/dev/stdout, /dev/fd/N, /proc/self/fd/N) is written where it stands: it is not opened again.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
import stat
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from p2pshare.cli import console
from p2pshare.cli.options import STANDARD_STREAM

PUBLIC_MODE = 0o666  # of a new file, less the umask, as every program has it
OWN_MODE = 0o600
LINKS_MAX = 40  # of one name, as Linux itself follows them (path_resolution(7))
READER_SECONDS_MAX = 5  # a FIFO's reader, started beside this command, is there by then, or nobody comes
READER_PAUSE_SECONDS = 0.05
LINE_BYTES_READ = 65_536  # of a file that was there, at once
EVERYBODYS = stat.S_ISVTX | stat.S_IWOTH  # mode bits of a folder like /tmp
DEVICES = Path("/dev")
DESCRIPTOR = re.compile(r"/proc/(\d+)(?:/task/\d+)?/fd/(\d+)")  # what realpath makes of /dev/fd/N


@contextmanager
def open_output(name: str, *, mode: int = PUBLIC_MODE) -> Iterator[BinaryIO]:
    """Yields the file `name` for writing, or stdout for `-`; `mode` is that of a file which is not there yet.

    A regular file takes its place when the block ends, and is as it was when an error ends it. Raises OperatorError.
    """
    if name == STANDARD_STREAM:
        with console.result_bytes() as stream:
            yield stream
        return
    try:
        target, there = _followed(name)
        if _is_stream(target, there):
            opened: AbstractContextManager[BinaryIO] = _opened_stream(target, there, mode)
        else:
            opened = _whole_file(target, there, mode)
        with opened as stream:
            yield stream
    except OSError as error:
        raise console.unwritable(name, error) from None


def write_output(name: str, raw: bytes) -> None:
    """Write `raw` to the file `name`, or to stdout for `-`. Raises OperatorError."""
    with open_output(name) as stream:
        stream.write(raw)


def lines_there(name: str) -> int:
    """Returns how many lines that hold something stand in the file that `name` would replace; 0 where nothing is replaced,
    as of stdout and of any stream. Raises OperatorError."""
    if name == STANDARD_STREAM:
        return 0
    try:
        target, there = _followed(name)
        if there is None or _is_stream(target, there):
            return 0
        with target.open("rb") as stream:
            return sum(1 for line in _bounded_lines(stream) if line.strip())
    except OSError as error:
        raise console.unwritable(name, error) from None


def _bounded_lines(stream: BinaryIO) -> Iterator[bytes]:
    """Yields the beginning of each line: a file that was there may be anything, one line of gigabytes too."""
    is_begun = False
    while piece := stream.readline(LINE_BYTES_READ):
        if not is_begun:
            yield piece
        is_begun = not piece.endswith(b"\n")


def _followed(name: str) -> tuple[Path, os.stat_result | None]:
    """Returns where `name` leads through its links, and what is there, if anything; descriptors stay links. Raises OSError."""
    path = Path(name)
    for _ in range(LINKS_MAX):
        if not path.name or name.endswith(os.sep):
            raise _refused(errno.EISDIR if name else errno.ENOENT)
        path = Path(os.path.realpath(path.parent)) / path.name
        if DESCRIPTOR.fullmatch(str(path)):
            return path, None
        there = _there(path)
        if there is None or not stat.S_ISLNK(there.st_mode):
            return path, there
        path = path.parent / path.readlink()
    raise _refused(errno.ELOOP)


def _there(path: Path) -> os.stat_result | None:
    """Returns what is at `path`, None where nothing is. In a folder where everybody may put files (/tmp), one of another
    user may be a trap, a link as well as a file whose owner would be kept. It is refused by the rule of Linux itself
    (proc_sys_fs(5), protected_symlinks), which cannot help here: links are followed by hand. Raises OSError."""
    try:
        there = path.lstat()
    except FileNotFoundError:
        return None
    folder = path.parent.stat()
    if folder.st_mode & EVERYBODYS == EVERYBODYS and there.st_uid not in (os.geteuid(), folder.st_uid):
        raise _refused(errno.EACCES)
    return there


def _refused(number: int) -> OSError:
    return OSError(number, os.strerror(number))


def _is_stream(target: Path, there: os.stat_result | None) -> bool:
    if target.is_relative_to(DEVICES) or DESCRIPTOR.fullmatch(str(target)):
        return True
    return there is not None and not stat.S_ISREG(there.st_mode)


def _opened_stream(target: Path, there: os.stat_result | None, mode: int) -> BinaryIO:
    descriptor = DESCRIPTOR.fullmatch(str(target))
    if descriptor and int(descriptor[1]) == os.getpid():
        return os.fdopen(_handed_over(int(descriptor[2])), "wb")
    flags = os.O_WRONLY | os.O_TRUNC | os.O_NOCTTY | os.O_CLOEXEC
    if descriptor:  # another process's, the shell's say: what it has written before stays
        flags = (flags & ~os.O_TRUNC) | os.O_APPEND
    if there is not None and stat.S_ISFIFO(there.st_mode):
        return os.fdopen(_opened_fifo(target, flags), "wb")
    if there is None and target.is_relative_to(DEVICES) and target.parent != DEVICES:
        flags |= os.O_CREAT | os.O_EXCL  # /dev/shm/x; a mistyped device must not become a file
    return os.fdopen(os.open(target, flags, mode), "wb")


def _handed_over(descriptor: int) -> int:
    """Returns a copy of a descriptor that this process was started with; its own, the store's say, are not inheritable.
    Raises OSError."""
    if not os.get_inheritable(descriptor):
        raise _refused(errno.EBADF)
    console.flush_results()  # it may be stdout
    return os.dup(descriptor)


def _opened_fifo(target: Path, flags: int) -> int:
    """Wait for the FIFO's reader, which may be just starting, but not for ever; returns a descriptor. Raises OSError."""
    deadline = time.monotonic() + READER_SECONDS_MAX
    while True:
        try:
            descriptor = os.open(target, flags | os.O_NONBLOCK)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            if time.monotonic() > deadline:
                raise OSError(errno.ENXIO, "nobody reads it") from None
            time.sleep(READER_PAUSE_SECONDS)
        else:
            os.set_blocking(descriptor, True)
            return descriptor


@contextmanager
def _whole_file(target: Path, before: os.stat_result | None, mode: int) -> Iterator[BinaryIO]:
    """Yields a file beside `target`, which it replaces at the end: a reader never meets half a block list."""
    unfinished = target.with_name(f".p2pshare-{secrets.token_hex(8)}.part")
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    descriptor = os.open(unfinished, flags, mode if before is None else OWN_MODE)
    try:
        with os.fdopen(descriptor, "w+b") as stream:
            keeps_owner = before is None or _give_owner(descriptor, before)
            yield stream
            stream.flush()
            if not keeps_owner:
                _copy_into(target, stream)
                return
            if before is not None:
                _give_access(descriptor, target, before)
            os.fsync(descriptor)
            unfinished.replace(target)
    finally:
        with suppress(FileNotFoundError):
            unfinished.unlink()


def _give_owner(descriptor: int, before: os.stat_result) -> bool:
    """Give the file to the owner and group of `before`; returns False where that is not permitted."""
    now = os.fstat(descriptor)
    if (now.st_uid, now.st_gid) == (before.st_uid, before.st_gid):
        return True
    try:
        os.fchown(descriptor, before.st_uid, before.st_gid)
    except OSError:
        return False
    return True


def _give_access(descriptor: int, target: Path, before: os.stat_result) -> None:
    """Give the file the access list and mode of `target`. By descriptor, for in a folder of others a name may have become
    that of another file meanwhile. Attributes go first: with an access list the mode's middle bits are its mask, and
    alone would let the group in."""
    names: list[str] = []
    with suppress(OSError):  # a file system may have none
        names = os.listxattr(target)
    for name in names:
        with suppress(PermissionError):  # some are the kernel's
            os.setxattr(descriptor, name, os.getxattr(target, name))
    os.fchmod(descriptor, stat.S_IMODE(before.st_mode))


def _copy_into(target: Path, stream: BinaryIO) -> None:
    """Overwrite the file of another owner with what is complete by now; it stays theirs."""
    stream.seek(0)
    with os.fdopen(os.open(target, os.O_WRONLY | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC), "wb") as theirs:
        shutil.copyfileobj(stream, theirs)
    console.warn(
        f"{target} belongs to another user: overwritten in place, its reader may have met half of it"
    )
