# ruff: noqa: S608 - statements are put together from this program's own text only
"""Quarantine: observables that may not be acted upon here, whoever claims them, and the reasons.

One row for each (observable, source). Nothing is deleted: the claims stay, and count again when the last row
goes. The functions are promised by `Knowledge`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection

import apsw

from p2pshare.database.arrays import MANY, row_ids
from p2pshare.database.fetching import fetch
from p2pshare.intel.observable import Observable
from p2pshare.knowledge.claims import observable_ids
from p2pshare.knowledge.interface import Quarantine

_ROWS = f"""
SELECT q.observable, q.source, q.reason, q.noted_at
FROM {MANY} k CROSS JOIN quarantine q ON q.observable = k.value ORDER BY q.observable, q.source
"""


def quarantine(
    connection: apsw.Connection, observables: Collection[Observable], source: str, reason: str, now: int
) -> int:
    ids = observable_ids(connection, observables)
    known = {row_id for row_id, one in _rows(connection, ids) if one.source == source}
    connection.executemany(
        "INSERT INTO quarantine VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET reason = excluded.reason",
        ((row_id, source, reason, now) for row_id in ids),
    )
    return len(ids) - len(known)


def release(connection: apsw.Connection, observables: Collection[Observable], source: str) -> int:
    ids = observable_ids(connection, observables)
    known = [row_id for row_id, one in _rows(connection, ids) if one.source == source]
    connection.executemany(
        "DELETE FROM quarantine WHERE observable = ? AND source = ?", ((row_id, source) for row_id in known)
    )
    return len(known)


def quarantined(
    connection: apsw.Connection, observables: Collection[Observable]
) -> dict[Observable, list[Quarantine]]:
    ids = observable_ids(connection, observables)
    found: dict[Observable, list[Quarantine]] = defaultdict(list)
    for row_id, row in _rows(connection, ids):
        found[ids[row_id]].append(row)
    return dict(found)


def _rows(connection: apsw.Connection, ids: Collection[int]) -> list[tuple[int, Quarantine]]:
    if not ids:
        return []
    rows = fetch(connection, _ROWS, (row_ids(ids),))
    return [(row_id, Quarantine(*row)) for row_id, *row in rows]
