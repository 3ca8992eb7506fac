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
from functools import lru_cache
from itertools import groupby

import apsw
import msgspec

from p2pshare.identifiers import EnvelopeId, PartnerId
from p2pshare.intel.marking import Tlp
from p2pshare.intel.observable import Observable
from p2pshare.store.arrays import MANY, ONE, key_tables
from p2pshare.store.contents import Contents
from p2pshare.store.fetching import Row, fetch
from p2pshare.store.interface import ClaimRow, IndicatorRow, ObjectVersion, OpaqueRow
from p2pshare.store.object_keys import INDICATOR, decode_object_id, encode_object_id

SLICE_IDS = 4_000  # observables of one slice of an export

_TLPS = {int(level): level for level in Tlp}

_CLAIMS = """
SELECT o.value, a.partner_id, c.object_key, c.tlp, c.confidence, l.labels,
    c.modified_us + c.from_after_us, c.modified_us + c.until_after_us, c.status, e.envelope_id, f.received_at
FROM {keys} k
CROSS JOIN observable o ON o.value = k.value AND o.type = (SELECT id FROM observable_type WHERE name = ?)
CROSS JOIN claim c ON c.observable = o.id AND +c.status < 2
CROSS JOIN organisation a ON a.id = c.author
CROSS JOIN frame f ON f.id = c.frame
CROSS JOIN envelope e ON e.lsn = f.envelope
LEFT JOIN label_set l ON l.id = c.label_set
ORDER BY c.id
"""
_CLAIMS_OF = {table: _CLAIMS.format(keys=table) for table in (ONE, MANY)}

ENDLESS_US = 2**63 - 1  # stands for the end of a live claim that has none

_LIVE = f"""
c.status = 0 AND c.modified_us + c.from_after_us <= :now
AND coalesce(c.modified_us + c.until_after_us, {ENDLESS_US}) > :now
"""
_QUARANTINED = "(SELECT min(q.source) FROM quarantine q WHERE q.observable = o.id)"
_GROUPED = f"""
SELECT t.name AS type, o.value AS value, {_QUARANTINED} AS quarantined, max(c.tlp) AS tlp,
    min(f.received_at) AS first_seen, max(f.received_at) AS last_seen,
    max(CASE WHEN {_LIVE} THEN c.confidence END) AS live_confidence,
    min(CASE WHEN {_LIVE} THEN c.modified_us + c.from_after_us END) AS live_from_us,
    max(CASE WHEN {_LIVE} THEN coalesce(c.modified_us + c.until_after_us, {ENDLESS_US}) END) AS live_until_us,
    count(DISTINCT c.author) AS authors, count(*) AS claims {{more}}
FROM observable o
CROSS JOIN observable_type t ON t.id = o.type
CROSS JOIN claim c ON c.observable = o.id AND +c.status < 2 AND c.tlp <= :tlp_max
CROSS JOIN frame f ON f.id = c.frame
WHERE o.id BETWEEN :first AND :last AND (:type IS NULL OR t.name = :type)
GROUP BY o.id
"""
_ACTIVE = f"{_GROUPED.format(more='')} HAVING live_until_us IS NOT NULL AND quarantined IS NULL"
_OF_ALL_CLAIMS = """, max(c.confidence) AS any_confidence,
    min(c.modified_us + c.from_after_us) AS any_from_us, max(c.modified_us + c.until_after_us) AS any_until_us"""
EFFECTIVE = f"""
SELECT type, value, live_until_us IS NOT NULL AND quarantined IS NULL,
    CASE WHEN live_until_us IS NOT NULL THEN live_confidence ELSE any_confidence END, tlp, first_seen, last_seen,
    coalesce(live_from_us, any_from_us), nullif(coalesce(live_until_us, any_until_us), {ENDLESS_US}), authors, claims
FROM ({_GROUPED.format(more=_OF_ALL_CLAIMS)})
WHERE live_until_us IS NOT NULL AND quarantined IS NULL OR NOT :is_active_only
"""
_VALUES = f"""
SELECT t.name, o.value FROM observable o CROSS JOIN observable_type t ON t.id = o.type
WHERE o.id BETWEEN :first AND :last AND (:type IS NULL OR t.name = :type)
AND EXISTS (SELECT 1 FROM claim c WHERE c.observable = o.id AND c.tlp <= :tlp_max AND {_LIVE})
AND NOT EXISTS (SELECT 1 FROM quarantine q WHERE q.observable = o.id)
"""
_TEXT = "replace(datetime({}, 'unixepoch'), ' ', 'T') || 'Z'"  # ten times faster than strftime with a format
_LINES = f"""
SELECT json_object(
    'type', type, 'value', value, 'active', json('true'), 'confidence', live_confidence,
    'tlp', CASE tlp WHEN 0 THEN 'TLP:CLEAR' WHEN 1 THEN 'TLP:GREEN' WHEN 2 THEN 'TLP:AMBER'
        WHEN 3 THEN 'TLP:AMBER+STRICT' ELSE 'TLP:RED' END,
    'first_seen', {_TEXT.format("first_seen")}, 'last_seen', {_TEXT.format("last_seen")},
    'valid_from', {_TEXT.format("live_from_us / 1000000")},
    'valid_until', {_TEXT.format(f"nullif(live_until_us, {ENDLESS_US}) / 1000000")},
    'authors', authors, 'claims', claims, 'status', 'active', 'reason', NULL
) FROM ({_ACTIVE})
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
            for row in fetch(connection, _CLAIMS_OF[table], (bound, name)):
                found.setdefault(Observable(name, row[0]), []).append(_claim_row(row))
    return found


def network_lengths(connection: apsw.Connection) -> dict[str, tuple[int, ...]]:
    found: dict[str, tuple[int, ...]] = {}
    for name, length in fetch(
        connection,
        """SELECT t.name, n.length FROM network_length n JOIN observable_type t ON t.id = n.type
        ORDER BY n.length DESC""",
    ):
        found[name] = (*found.get(name, ()), length)
    return found


def _claim_row(row: Row) -> ClaimRow:
    (_, author, key, tlp, confidence, labels, valid_from, valid_until, status, envelope_id, received_at) = row
    return ClaimRow(
        _partner(author),
        decode_object_id(INDICATOR, key),
        _TLPS[tlp],
        confidence,
        _labels(labels),
        valid_from,
        valid_until,
        status == 1,
        _envelope(envelope_id),
        received_at,
    )


@lru_cache(maxsize=1_024)
def _labels(text: str | None) -> tuple[str, ...]:
    return tuple(json.loads(text)) if text else ()


# A look-up of ten thousand values meets the same few authors and envelopes again and again.
_partner = lru_cache(maxsize=1_024)(PartnerId)
_envelope = lru_cache(maxsize=1_024)(EnvelopeId)


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
    wanted = {"now": now_us, "type": type, "tlp_max": int(tlp_max)}
    for ids in _slices(connection):
        lines = [line for (line,) in fetch(connection, _LINES, wanted | ids)]
        if lines:
            yield "\n".join(lines) + "\n"


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
