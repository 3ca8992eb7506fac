"""A file beneath a folder that somebody named, opened so that nothing leads out of it or holds the reader up.

It is opened part by part, no link is followed, and a FIFO or a device is not waited for.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY


@contextmanager
def opened_below(folder: int, path: str) -> Iterator[int | None]:
    """Yields the descriptor of the file at `path` (parts divided by `/`) beneath the open `folder`, None for what is no regular file. Raises OSError:
    ELOOP or ENOTDIR where a link stands in the way; ValueError for what is no path."""
    *folders, name = path.split("/")
    with ExitStack() as held:
        at = folder
        for part in folders:
            at = os.open(part, _FLAGS | os.O_DIRECTORY, dir_fd=at)
            held.callback(os.close, at)
        file = os.open(name, _FLAGS, dir_fd=at)
        held.callback(os.close, file)
        yield file if stat.S_ISREG(os.fstat(file).st_mode) else None
