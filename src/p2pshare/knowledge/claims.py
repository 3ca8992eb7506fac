"""Observables, and the current claims about each. Functions on any connection, promised by
`KnowledgeReading`; they change nothing."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Mapping
from functools import lru_cache

import apsw

from p2pshare.database.arrays import MANY, ONE, key_tables
from p2pshare.database.fetching import Row, fetch
from p2pshare.identifiers import EnvelopeId, PartnerId
from p2pshare.intel.derivation import Derivation
from p2pshare.intel.marking import Pap, Tlp
from p2pshare.intel.observable import Observable
from p2pshare.knowledge.interface import ClaimRow
from p2pshare.knowledge.lineages import said_by
from p2pshare.knowledge.object_keys import INDICATOR, decode_object_id

_TLPS = {int(level): level for level in Tlp}
_PAPS = {int(level): level for level in Pap}

_CLAIMS = """
SELECT o.value, a.partner_id, c.object_key, c.tlp, c.confidence, l.labels,
    c.modified_us + c.from_after_us, c.modified_us + c.until_after_us, c.status, e.envelope_id, f.received_at,
    c.pap, e.created, s.sighted_at, EXISTS (SELECT 1 FROM quarantine q WHERE q.observable = o.id), c.is_fallen, c.derivation
FROM {keys} k
CROSS JOIN observable o ON o.value = k.value AND o.type = (SELECT id FROM observable_type WHERE name = ?)
CROSS JOIN claim c INDEXED BY claim_observable ON c.observable = o.id AND c.status < 2 AND c.is_aside = 0
CROSS JOIN organisation a ON a.id = c.author
CROSS JOIN frame f ON f.id = c.frame
CROSS JOIN envelope e ON e.lsn = f.envelope
LEFT JOIN effective_state s ON s.observable = o.id
LEFT JOIN label_set l ON l.id = c.label_set
ORDER BY c.id
"""
_IDS = """
SELECT o.id, o.value FROM {keys} k
CROSS JOIN observable o ON o.value = k.value AND o.type = (SELECT id FROM observable_type WHERE name = ?)
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
            rows = fetch(connection, _CLAIMS_OF[table], (bound, name))
            said = said_by(connection, [row[-1] for row in rows if row[-1] is not None])
            for row in rows:
                found.setdefault(Observable(name, row[0]), []).append(_claim_row(row, said))
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


def observable_counts(connection: apsw.Connection) -> dict[str, int]:
    return dict(fetch(connection, "SELECT name, count FROM observable_type WHERE count > 0"))


def observable_ids(connection: apsw.Connection, observables: Collection[Observable]) -> dict[int, Observable]:
    """Returns those of `observables` that are known here, by the id of their row."""
    by_type: dict[str, set[str]] = defaultdict(set)
    for observable in observables:
        by_type[observable.type].add(observable.value)
    found: dict[int, Observable] = {}
    for name, values in by_type.items():
        for table, bound in key_tables(values):
            rows = fetch(connection, _IDS.format(keys=table), (bound, name))
            found.update((row_id, Observable(name, value)) for row_id, value in rows)
    return found


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


def _claim_row(row: Row, said: Mapping[int, Derivation]) -> ClaimRow:
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
    pap, sealed_at, sighted_at, is_quarantined, is_fallen, derivation = rest
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
        bool(is_quarantined),
        None if derivation is None else said[derivation],
        bool(is_fallen),
    )


@lru_cache(maxsize=1_024)
def _labels(text: str | None) -> tuple[str, ...]:
    return tuple(json.loads(text)) if text else ()


# A look-up of ten thousand values meets the same few authors and envelopes again and again.
_partner = lru_cache(maxsize=1_024)(PartnerId)
_envelope = lru_cache(maxsize=1_024)(EnvelopeId)
