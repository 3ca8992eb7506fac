"""The lock of a home folder: its holder is the only process that writes the store and uses the keys.

The kernel drops the lock (flock(2)) with the process, however that ends, so there is no stale lock to mend.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from p2pshare.errors import ConfigError, OperatorError
from p2pshare.limits import HOME_WAIT_SECONDS

LOCK_NAME = "lock"
RETRY_SECONDS = 0.05


class HomeBusy(OperatorError):
    """Another process holds the home folder."""

    reason = "home-busy"


@contextmanager
def hold_home(home: Path) -> Iterator[None]:
    """Hold `home` for the length of the block. Raises HomeBusy at once when another process has it, ConfigError where
    there is no folder, OperatorError where the lock cannot be opened."""
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


@contextmanager
def wait_for_home(home: Path, *, is_hopeless: Callable[[], bool]) -> Iterator[None]:
    """Hold `home` as `hold_home` does, after waiting up to HOME_WAIT_SECONDS for a command that has it. Raises HomeBusy,
    at once while `is_hopeless`: the holder will not end."""
    deadline = time.monotonic() + HOME_WAIT_SECONDS
    with ExitStack() as held:
        while True:
            try:
                held.enter_context(hold_home(home))
                break
            except HomeBusy:
                if time.monotonic() > deadline or is_hopeless():
                    raise
            time.sleep(RETRY_SECONDS)
        yield


def _holder(lock: int) -> str:
    """Returns the process that has the lock, as it wrote itself down; only for a message."""
    text = os.pread(lock, 20, 0).decode("ascii", "replace").strip()
    return f"process {text}" if text.isdigit() else "another process"
