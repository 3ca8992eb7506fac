# ruff: noqa: S608 - statements are put together from this program's own text only
"""What analysts, exports and the SIEM ask of the store. Functions on any connection; they change nothing.

The rules of the effective view stand twice: in the view v1_indicators, which external programs read with their
own clock, and in EFFECTIVE, which takes the time and the strictest marking as arguments. A test holds them equal.
Long exports walk in slices of ids, each its own short transaction: a reader that stays open keeps the log growing.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterator
from itertools import groupby

import apsw
import msgspec

from p2pshare.identifiers import EnvelopeId, PartnerId
from p2pshare.intel.marking import Tlp
from p2pshare.intel.observable import Observable
from p2pshare.store.arrays import key_tables
from p2pshare.store.contents import Contents
from p2pshare.store.fetching import Row, fetch
from p2pshare.store.interface import ClaimRow, IndicatorRow, ObjectVersion, OpaqueRow
from p2pshare.store.object_keys import INDICATOR, decode_object_id, encode_object_id

SLICE_IDS = 20_000  # observables of one slice of an export
LINES_PER_PIECE = 1_000  # NDJSON lines joined by SQLite into one string

_TLPS = {int(level): level for level in Tlp}

_CLAIMS = """
SELECT o.value, a.partner_id, c.object_key, c.tlp, c.confidence, l.labels, c.valid_from_us, c.valid_until_us,
    c.status, e.envelope_id, e.received_at
FROM {keys} k
CROSS JOIN observable o ON o.value = k.value AND o.type = (SELECT id FROM observable_type WHERE name = ?)
CROSS JOIN claim c ON c.observable = o.id AND +c.status < 2
CROSS JOIN organisation a ON a.id = c.author
CROSS JOIN frame f ON f.id = c.frame
CROSS JOIN envelope e ON e.lsn = f.envelope
LEFT JOIN label_set l ON l.id = c.label_set
ORDER BY c.id
"""

_LIVE = """
c.status = 0 AND coalesce(c.valid_from_us, 0) <= :now AND coalesce(c.valid_until_us, 9223372036854775807) > :now
"""
EFFECTIVE = f"""
SELECT type, value, active, CASE WHEN active THEN live_confidence ELSE any_confidence END AS confidence, tlp,
    first_seen, last_seen, CASE WHEN active THEN live_from_us ELSE any_from_us END AS valid_from_us,
    CASE WHEN NOT active THEN any_until_us WHEN is_endless THEN NULL ELSE live_until_us END AS valid_until_us,
    authors, claims
FROM (
    SELECT t.name AS type, o.value AS value, max(live) AS active, max(tlp) AS tlp,
        max(CASE WHEN live THEN confidence END) AS live_confidence, max(confidence) AS any_confidence,
        min(e.received_at) AS first_seen, max(e.received_at) AS last_seen,
        min(CASE WHEN live THEN valid_from_us END) AS live_from_us, min(valid_from_us) AS any_from_us,
        max(live AND valid_until_us IS NULL) AS is_endless,
        max(CASE WHEN live THEN valid_until_us END) AS live_until_us, max(valid_until_us) AS any_until_us,
        count(DISTINCT c.author) AS authors, count(*) AS claims
    FROM observable o
    CROSS JOIN observable_type t ON t.id = o.type
    CROSS JOIN (
        SELECT c.*, {_LIVE} AS live FROM claim c WHERE +c.status < 2 AND c.tlp <= :tlp_max
    ) c ON c.observable = o.id
    CROSS JOIN frame f ON f.id = c.frame
    CROSS JOIN envelope e ON e.lsn = f.envelope
    WHERE o.id BETWEEN :first AND :last AND (:type IS NULL OR t.name = :type)
    GROUP BY o.id
)
WHERE active OR NOT :is_active_only
"""
_VALUES = f"""
SELECT t.name, o.value FROM observable o CROSS JOIN observable_type t ON t.id = o.type
WHERE o.id BETWEEN :first AND :last AND (:type IS NULL OR t.name = :type)
AND EXISTS (SELECT 1 FROM claim c WHERE c.observable = o.id AND c.tlp <= :tlp_max AND {_LIVE})
"""
_LINES = f"""
SELECT group_concat(line, char(10)) FROM (
    SELECT json_object(
        'type', type, 'value', value, 'active', json(CASE WHEN active THEN 'true' ELSE 'false' END),
        'confidence', confidence,
        'tlp', CASE tlp WHEN 0 THEN 'TLP:CLEAR' WHEN 1 THEN 'TLP:GREEN' WHEN 2 THEN 'TLP:AMBER'
            WHEN 3 THEN 'TLP:AMBER+STRICT' ELSE 'TLP:RED' END,
        'first_seen', strftime('%Y-%m-%dT%H:%M:%SZ', first_seen, 'unixepoch'),
        'last_seen', strftime('%Y-%m-%dT%H:%M:%SZ', last_seen, 'unixepoch'),
        'valid_from', strftime('%Y-%m-%dT%H:%M:%SZ', valid_from_us / 1000000, 'unixepoch'),
        'valid_until', strftime('%Y-%m-%dT%H:%M:%SZ', valid_until_us / 1000000, 'unixepoch'),
        'authors', authors, 'claims', claims
    ) AS line, row_number() OVER () / {LINES_PER_PIECE} AS piece
    FROM ({EFFECTIVE})
) GROUP BY piece
"""


def lookup(
    connection: apsw.Connection, observables: Collection[Observable]
) -> dict[Observable, list[ClaimRow]]:
    by_type: dict[str, set[str]] = defaultdict(set)
    for observable in observables:
        by_type[observable.type].add(observable.value)
    found: dict[Observable, list[ClaimRow]] = {}
    for name, values in by_type.items():
        for table, bound in key_tables(values):
            for row in fetch(connection, _CLAIMS.format(keys=table), (bound, name)):
                found.setdefault(Observable(name, row[0]), []).append(_claim_row(row))
    return found


def _claim_row(row: Row) -> ClaimRow:
    (_, author, key, tlp, confidence, labels, valid_from, valid_until, status, envelope_id, received_at) = row
    return ClaimRow(
        PartnerId(author),
        decode_object_id(INDICATOR, key),
        _TLPS[tlp],
        confidence,
        tuple(json.loads(labels)) if labels else (),
        valid_from,
        valid_until,
        status == 1,
        EnvelopeId(envelope_id),
        received_at,
    )


def _slices(connection: apsw.Connection) -> Iterator[dict[str, int]]:
    ((last,),) = fetch(connection, "SELECT coalesce(max(id), 0) FROM observable")
    for first in range(1, last + 1, SLICE_IDS):
        yield {"first": first, "last": first + SLICE_IDS - 1}


def indicators(
    connection: apsw.Connection, now_us: int, *, type: str | None, is_active_only: bool, tlp_max: Tlp
) -> Iterator[IndicatorRow]:
    wanted = {"now": now_us, "type": type, "is_active_only": is_active_only, "tlp_max": int(tlp_max)}
    for ids in _slices(connection):
        for name, value, active, confidence, tlp, *rest in fetch(connection, EFFECTIVE, wanted | ids):
            yield IndicatorRow(name, value, bool(active), confidence, _TLPS[tlp], *rest)


def values(
    connection: apsw.Connection, now_us: int, *, type: str | None, tlp_max: Tlp
) -> Iterator[tuple[str, str]]:
    wanted = {"now": now_us, "type": type, "tlp_max": int(tlp_max)}
    for ids in _slices(connection):
        yield from fetch(connection, _VALUES, wanted | ids)


def indicator_lines(
    connection: apsw.Connection, now_us: int, *, type: str | None, tlp_max: Tlp
) -> Iterator[str]:
    wanted = {"now": now_us, "type": type, "is_active_only": True, "tlp_max": int(tlp_max)}
    for ids in _slices(connection):
        for (lines,) in fetch(connection, _LINES, wanted | ids):
            yield lines + "\n"


class _Pattern(msgspec.Struct):
    pattern: str = ""


_CLAIM_VERSIONS = """
SELECT DISTINCT a.partner_id, e.envelope_id, c.modified_us, c.tlp, c.status, c.frame, c.position
FROM claim c JOIN organisation a ON a.id = c.author
JOIN frame f ON f.id = c.frame JOIN envelope e ON e.lsn = f.envelope WHERE c.object_key = ? AND c.status {status}
"""
_OBJECT_VERSIONS = """
SELECT a.partner_id, e.envelope_id, c.modified_us, c.tlp, c.status, c.frame, c.position
FROM object c JOIN object_type t ON t.id = c.type JOIN organisation a ON a.id = c.author
JOIN frame f ON f.id = c.frame JOIN envelope e ON e.lsn = f.envelope
WHERE c.object_key = ? AND t.name = ? AND c.status {status}
"""


def object_versions(connection: apsw.Connection, object_id: str) -> list[ObjectVersion]:
    prefix, key = encode_object_id(object_id)
    rows: list[Row] = []
    for status in ("< 2", "= 2"):  # each has its own partial index
        claim_key = key if prefix == INDICATOR else object_id
        rows += fetch(connection, _CLAIM_VERSIONS.format(status=status), (claim_key,))
        rows += fetch(connection, _OBJECT_VERSIONS.format(status=status), (key, prefix))
    contents = Contents(connection)
    found = []
    for author, envelope_id, modified, tlp, status, frame, position in sorted(rows, key=lambda row: row[5:7]):
        raw = contents.raw(frame, position)
        if raw is not None:
            found.append(
                ObjectVersion(
                    PartnerId(author), EnvelopeId(envelope_id), modified, _TLPS[tlp], status < 2, raw
                )
            )
    return found


def opaque_patterns(connection: apsw.Connection, text: str, limit: int) -> list[OpaqueRow]:
    rows = fetch(
        connection,
        """SELECT a.partner_id, o.object_key, o.tlp, o.frame, o.position
        FROM object o JOIN organisation a ON a.id = o.author
        WHERE o.type = (SELECT id FROM object_type WHERE name = ?) AND +o.status < 2 ORDER BY o.frame""",
        (INDICATOR,),
    )
    found: list[OpaqueRow] = []
    for _, of_frame in groupby(rows, key=lambda row: row[3]):
        contents = Contents(connection)  # one budget a frame: every indicator is looked at
        for author, key, tlp, frame, position in of_frame:
            pattern = _pattern_of(contents.raw(frame, position))
            if text in pattern and len(found) < limit:
                found.append(
                    OpaqueRow(PartnerId(author), decode_object_id(INDICATOR, key), _TLPS[tlp], pattern)
                )
    return found


def _pattern_of(raw: bytes | None) -> str:
    try:
        return "" if raw is None else msgspec.json.decode(raw, type=_Pattern).pattern
    except msgspec.DecodeError:
        return ""
