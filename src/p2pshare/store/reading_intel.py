"""What analysts ask of the store. Functions on any connection; they change nothing."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection
from functools import lru_cache
from itertools import groupby

import apsw
import msgspec

from p2pshare.identifiers import EnvelopeId, PartnerId
from p2pshare.intel.marking import Pap, Tlp
from p2pshare.intel.observable import Observable
from p2pshare.store.arrays import MANY, ONE, key_tables
from p2pshare.store.contents import Contents
from p2pshare.store.fetching import Row, fetch
from p2pshare.store.interface import ClaimRow, ObjectVersion, OpaqueRow
from p2pshare.store.object_keys import INDICATOR, decode_object_id, encode_object_id

_TLPS = {int(level): level for level in Tlp}
_PAPS = {int(level): level for level in Pap}

_CLAIMS = """
SELECT o.value, a.partner_id, c.object_key, c.tlp, c.confidence, l.labels,
    c.modified_us + c.from_after_us, c.modified_us + c.until_after_us, c.status, e.envelope_id, f.received_at,
    c.pap, e.created, s.sighted_at
FROM {keys} k
CROSS JOIN observable o ON o.value = k.value AND o.type = (SELECT id FROM observable_type WHERE name = ?)
CROSS JOIN claim c ON c.observable = o.id AND +c.status < 2
CROSS JOIN organisation a ON a.id = c.author
CROSS JOIN frame f ON f.id = c.frame
CROSS JOIN envelope e ON e.lsn = f.envelope
LEFT JOIN standing s ON s.observable = o.id
LEFT JOIN label_set l ON l.id = c.label_set
ORDER BY c.id
"""
_CLAIMS_OF = {table: _CLAIMS.format(keys=table) for table in (ONE, MANY)}


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
    (
        _,
        author,
        key,
        tlp,
        confidence,
        labels,
        valid_from,
        valid_until,
        status,
        envelope_id,
        received_at,
        *rest,
    ) = row
    pap, sealed_at, sighted_at = rest
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
        None if pap is None else _PAPS[pap],
        sealed_at,
        sighted_at,
    )


@lru_cache(maxsize=1_024)
def _labels(text: str | None) -> tuple[str, ...]:
    return tuple(json.loads(text)) if text else ()


# A look-up of ten thousand values meets the same few authors and envelopes again and again.
_partner = lru_cache(maxsize=1_024)(PartnerId)
_envelope = lru_cache(maxsize=1_024)(EnvelopeId)


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
