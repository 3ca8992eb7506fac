"""Files of the home that are written whole or not at all; whoever reads one meanwhile has the old or the new."""

from __future__ import annotations

import os
import re
import secrets
from contextlib import suppress
from pathlib import Path

FOLDER_MODE = 0o700
FILE_MODE = 0o600
UNFINISHED = re.compile(r"\.[0-9a-f]{16}\.part")
"""The name of what a process that was killed left behind."""


def put_whole(target: Path, raw: bytes, *, mode: int = FILE_MODE, may_replace: bool = True) -> None:
    """Write a file durably. A link at `target` is replaced, not followed; where nothing may be replaced, what is there stays. Raises OSError."""
    unfinished = target.with_name(f".{secrets.token_hex(8)}.part")
    descriptor = os.open(
        unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode
    )
    try:
        with os.fdopen(descriptor, "wb") as stream:
            os.fchmod(stream.fileno(), mode)  # whatever the umask
            stream.write(raw)
            stream.flush()
            os.fsync(stream.fileno())
        if may_replace:
            os.replace(unfinished, target)
        else:
            with suppress(FileExistsError):
                os.link(unfinished, target)
        sync_folder(target.parent)
    finally:
        with suppress(FileNotFoundError):
            unfinished.unlink()


def make_folder(folder: Path) -> None:
    """Make a folder where there is none, so that a power cut does not take it with what was told as kept in it. Raises OSError."""
    with suppress(FileExistsError):
        folder.mkdir(mode=FOLDER_MODE)
        sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
