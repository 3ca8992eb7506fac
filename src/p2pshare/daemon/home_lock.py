"""The lock of a home folder: whoever holds it is the only one who writes the store and uses the keys.

The kernel drops the lock (flock(2)) with the process, however that ends, so there is no stale lock to mend.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from p2pshare.errors import ConfigError, OperatorError

LOCK_NAME = "lock"


class HomeBusy(OperatorError):
    """Another process holds the home folder."""

    reason = "home-busy"


@contextmanager
def hold_home(home: Path) -> Iterator[None]:
    """Holds `home` for the length of the block. Raises HomeBusy at once when another process has it."""
    try:
        lock = os.open(home / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except FileNotFoundError:
        raise ConfigError(
            f"no home folder at {home}", hint="run `p2pshare init` first, or give --home"
        ) from None
    except OSError as error:
        raise OperatorError(
            f"cannot open {home / LOCK_NAME}: {error.strerror}", hint="check the folder's owner and mode"
        ) from None
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise HomeBusy(
                f"{home} is in use by {_holder(lock)}",
                hint="one daemon a home folder; stop the other one, or give --home",
            ) from None
        os.ftruncate(lock, 0)
        os.pwrite(lock, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(lock)


def _holder(lock: int) -> str:
    """Who has the lock, as that process wrote it; only for a message."""
    text = os.pread(lock, 20, 0).decode("ascii", "replace").strip()
    return f"process {text}" if text.isdigit() else "another process"
