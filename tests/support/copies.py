"""Folders that many tests begin with (homes, stores, pairs of partners): made once a process, and copied.

What is copied is what the product made and closed, byte for byte; a test that is about making it makes it itself.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections.abc import Callable, Hashable
from pathlib import Path

ROOM_BYTES_MIN = 1 << 30


def memory_folder() -> str | None:
    """Where files live in memory, where there is such a place with room: a commit then waits for no disk. For tests that are
    about what is stored; those of durability and of output files stay on the disk."""
    if not os.access("/dev/shm", os.W_OK) or shutil.disk_usage("/dev/shm").free < ROOM_BYTES_MIN:
        return None
    return "/dev/shm"


_folder = tempfile.TemporaryDirectory(prefix="p2pshare-copies-")
atexit.register(_folder.cleanup)
_made: dict[Hashable, Path] = {}


def copy_of(made: Hashable, make: Callable[[Path], object], folder: Path) -> Path:
    """Fills `folder`, which may be there, with a copy of what `make` makes at a path where nothing is; it is called once for each
    `made`. Nothing of it may be open when it returns.
    """
    if made not in _made:
        original = Path(tempfile.mkdtemp(dir=_folder.name)) / "made"  # one may be made of another
        make(original)
        _made[made] = original
    shutil.copytree(_made[made], folder, dirs_exist_ok=True)
    return folder
