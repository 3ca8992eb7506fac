"""Overwriting: what is deleted, replaced or moved leaves nothing behind in the file.

SQLite marks pages as free and leaves their bytes; with its pragma `secure_delete` it writes zeros over them. That costs a page more for
each that is freed, so a room asks for it where somebody has a right to have things gone, and for whatever may once have to go: a row
that was moved to another page before leaves a copy of itself as well.

The write-ahead log has older pages until it is cut off (`Database.cut_log`). No program reaches what a disk keeps beside its sectors,
nor copies of the file.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import apsw


@contextmanager
def overwriting(writer: apsw.Connection) -> Iterator[None]:
    """Have SQLite write zeros over what it frees inside."""
    was = bool(writer.pragma("secure_delete"))
    writer.pragma("secure_delete", True)
    try:
        yield
    finally:
        writer.pragma("secure_delete", was)
