# ruff: noqa: S608 - statements are put together from this program's own text only
"""Quarantine: observables that may not be acted upon here, whoever claims them, and why.

One row for each (observable, source). Nothing is deleted: the claims stay, and count again when the last row goes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection

import apsw

from p2pshare.intel.observable import Observable
from p2pshare.store.arrays import MANY, key_tables, row_ids
from p2pshare.store.fetching import fetch
from p2pshare.store.interface_standing import Quarantine

_IDS = """
SELECT o.id, o.value FROM {keys} k
CROSS JOIN observable o ON o.value = k.value AND o.type = (SELECT id FROM observable_type WHERE name = ?)
"""
_ROWS = f"""
SELECT q.observable, q.source, q.reason, q.noted_at
FROM {MANY} k CROSS JOIN quarantine q ON q.observable = k.value ORDER BY q.observable, q.source
"""


def observable_ids(connection: apsw.Connection, observables: Collection[Observable]) -> dict[int, Observable]:
    """Those of `observables` that are known here, by their row."""
    by_type: dict[str, set[str]] = defaultdict(set)
    for observable in observables:
        by_type[observable.type].add(observable.value)
    found: dict[int, Observable] = {}
    for name, values in by_type.items():
        for table, bound in key_tables(values):
            rows = fetch(connection, _IDS.format(keys=table), (bound, name))
            found.update((row_id, Observable(name, value)) for row_id, value in rows)
    return found


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


def observables_after(connection: apsw.Connection, after: int, limit: int) -> list[tuple[int, Observable]]:
    rows = fetch(
        connection,
        """SELECT o.id, t.name, o.value FROM observable o CROSS JOIN observable_type t ON t.id = o.type
        WHERE o.id > ? ORDER BY o.id LIMIT ?""",
        (after, limit),
    )
    return [(row_id, Observable(type_, value)) for row_id, type_, value in rows]


def last_observable(connection: apsw.Connection) -> int:
    return int(fetch(connection, "SELECT coalesce(max(id), 0) FROM observable")[0][0])


def _rows(connection: apsw.Connection, ids: Collection[int]) -> list[tuple[int, Quarantine]]:
    if not ids:
        return []
    rows = fetch(connection, _ROWS, (row_ids(ids),))
    return [(row_id, Quarantine(*row)) for row_id, *row in rows]
