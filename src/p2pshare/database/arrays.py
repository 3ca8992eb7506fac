"""Many keys in one query: SQLite's carray reads a whole Python tuple as a table with the column `value`."""

from __future__ import annotations

from array import array
from collections.abc import Collection, Iterable, Iterator
from typing import Any

import apsw

MANY = "carray(?)"
ONE = "(SELECT ? AS value)"


def key_tables(keys: Iterable[bytes | str]) -> Iterator[tuple[str, Any]]:
    """Yields (table to select `value` from, its binding); together the tables hold each of `keys` once.

    At most one array of bytes and one of text. A key alone needs no array, and a text with a NUL would end there.
    """
    blobs: list[bytes] = []
    texts: list[str] = []
    for key in keys:
        if isinstance(key, bytes):
            blobs.append(key)
        elif "\0" not in key:
            texts.append(key)
        else:
            yield ONE, key
    for part in (tuple(blobs), tuple(texts)):
        if len(part) == 1:
            yield ONE, part[0]
        elif part:
            yield MANY, apsw.carray(part)


def row_ids(ids: Collection[int]) -> Any:
    """Returns the binding of MANY for row ids, of which there must be at least one."""
    return apsw.carray(array("q", ids), flags=apsw.SQLITE_CARRAY_INT64)
