"""The effective view for exports: the effective state of each observable at a given time, for a given
strictest marking. The functions are promised by `KnowledgeReading`.

For the SIEM's marking the table `effective_state` has the answer ready, as far as it is evaluated up to the
time asked for; any other slice is evaluated here, by the same rules. Walks in slices of ids, each its own
short transaction: a reader that stays open keeps the log growing.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator

import apsw

from p2pshare.database.fetching import fetch
from p2pshare.intel.instants import SECOND_US, format_instant
from p2pshare.intel.marking import Pap, Tlp
from p2pshare.intel.observable import Observable
from p2pshare.knowledge.claims import observable_ids
from p2pshare.knowledge.effective_state import EffectiveState, EffectiveStatus
from p2pshare.knowledge.interface import IndicatorRow
from p2pshare.knowledge.state_table import evaluated, siem_tlp_max
from p2pshare.knowledge.walks import is_over_markings

SLICE_IDS = 4_000  # observables of one slice of an export

_TLPS = {int(level): level for level in Tlp}
_PAPS = {int(level): level for level in Pap}
_WORDS = {status: status.name.lower() for status in EffectiveStatus}

# Rows of a slice that say nothing about :now, because they were evaluated later or are due.
_OTHER_TIME = """
SELECT 1 FROM effective_state WHERE observable BETWEEN :first AND :last AND (at > :now OR due <= :now) LIMIT 1
"""
_OF_SLICE = """
FROM effective_state s CROSS JOIN observable o ON o.id = s.observable CROSS JOIN observable_type t ON t.id = o.type
WHERE s.observable BETWEEN :first AND :last AND (:type IS NULL OR t.name = :type)
"""
_ROWS = f"""
SELECT t.name, o.value, s.status, s.reason, s.score, s.confidence, s.tlp, s.pap, s.first_seen, s.last_seen,
    s.valid_from, s.valid_until, s.authors, s.claims, s.sources, s.due
{_OF_SLICE} AND s.status < 5
"""
_VALUES = f"SELECT t.name, o.value {_OF_SLICE} AND s.status = 0 AND coalesce(s.pap, 0) <= :pap_max"
_TEXT = "replace(datetime({}, 'unixepoch'), ' ', 'T') || 'Z'"  # ten times faster than strftime with a format


def _labels(column: str, levels: type[Tlp] | type[Pap]) -> str:
    """Returns the SQL that writes a column's level out. A join with the table of labels takes a tenth longer over all rows."""
    words = " ".join(f"WHEN {int(level)} THEN '{level.label}'" for level in levels)
    return f"CASE {column} {words} END"


_LINES = f"""
SELECT json_object(
    'type', t.name, 'value', o.value, 'active', json('true'), 'confidence', s.confidence,
    'tlp', {_labels("s.tlp", Tlp)},
    'first_seen', {_TEXT.format("s.first_seen")}, 'last_seen', {_TEXT.format("s.last_seen")},
    'valid_from', {_TEXT.format("s.valid_from")}, 'valid_until', {_TEXT.format("s.valid_until")},
    'authors', s.authors, 'claims', s.claims, 'status', 'active', 'reason', NULL, 'score', s.score,
    'pap', {_labels("s.pap", Pap)}, 'sources', s.sources
) {_OF_SLICE} AND s.status = 0
"""


def indicators(
    connection: apsw.Connection, now_us: int, type: str | None, is_active_only: bool, tlp_max: Tlp
) -> Iterator[IndicatorRow]:
    for wanted in _slices(connection, now_us, type):
        for row in _rows(connection, wanted, tlp_max):
            if row.is_active or not is_active_only:
                yield row


def values(
    connection: apsw.Connection, now_us: int, type: str | None, tlp_max: Tlp, pap_max: Pap
) -> Iterator[tuple[str, str]]:
    for wanted in _slices(connection, now_us, type):
        if _is_ready(connection, wanted, tlp_max):
            yield from fetch(connection, _VALUES, wanted | {"pap_max": int(pap_max)})
        else:
            yield from (
                (row.type, row.value)
                for row in _rows(connection, wanted, tlp_max)
                if row.is_active and (row.pap or Pap.CLEAR) <= pap_max
            )


def indicator_lines(
    connection: apsw.Connection, now_us: int, type: str | None, tlp_max: Tlp
) -> Iterator[str]:
    for wanted in _slices(connection, now_us, type):
        if _is_ready(connection, wanted, tlp_max):
            lines = [line for (line,) in fetch(connection, _LINES, wanted)]
        else:
            lines = [_line(row) for row in _rows(connection, wanted, tlp_max) if row.is_active]
        if lines:
            yield "\n".join(lines) + "\n"


def effective_states(
    connection: apsw.Connection, observables: Collection[Observable], now_us: int, tlp_max: Tlp
) -> dict[Observable, IndicatorRow]:
    ids = observable_ids(connection, observables)
    rows = _evaluated_rows(connection, list(ids), now_us // SECOND_US, tlp_max)
    return {Observable(row.type, row.value): row for row in rows}


Slice = dict[str, int | str | None]
"""The bindings `first`, `last` (ids), `now` (seconds) and `type` of one slice."""


def _slices(connection: apsw.Connection, now_us: int, type_: str | None) -> Iterator[Slice]:
    ((last,),) = fetch(connection, "SELECT coalesce(max(id), 0) FROM observable")
    for first in range(1, last + 1, SLICE_IDS):
        yield {"first": first, "last": first + SLICE_IDS - 1, "now": now_us // SECOND_US, "type": type_}


def _is_ready(connection: apsw.Connection, wanted: Slice, tlp_max: Tlp) -> bool:
    """Returns whether the table holds the answer."""
    if tlp_max != siem_tlp_max(connection) or is_over_markings(connection):
        return False
    return not fetch(connection, _OTHER_TIME, wanted)


def _rows(connection: apsw.Connection, wanted: Slice, tlp_max: Tlp) -> Iterator[IndicatorRow]:
    if _is_ready(connection, wanted, tlp_max):
        for name, value, *state in fetch(connection, _ROWS, wanted):
            yield _row(name, value, EffectiveState(*state))
        return
    ids = [row_id for (row_id,) in fetch(connection, f"SELECT s.observable {_OF_SLICE}", wanted)]
    yield from _evaluated_rows(connection, ids, int(wanted["now"] or 0), tlp_max)


def _evaluated_rows(
    connection: apsw.Connection, ids: list[int], now: int, tlp_max: Tlp
) -> Iterator[IndicatorRow]:
    if ids:
        for name, value, state in evaluated(connection, ids, now, int(tlp_max)):
            yield _row(name, value, state)


def _row(name: str, value: str, state: EffectiveState) -> IndicatorRow:
    (
        status,
        reason,
        score,
        confidence,
        tlp,
        pap,
        first_seen,
        last_seen,
        valid_from,
        valid_until,
        authors,
        claims,
        sources,
        _,
    ) = state
    return IndicatorRow(
        type=name,
        value=value,
        is_active=status == EffectiveStatus.ACTIVE,
        confidence=confidence,
        tlp=_TLPS[tlp or 0],
        first_seen=first_seen or 0,
        last_seen=last_seen or 0,
        valid_from_us=None if valid_from is None else valid_from * SECOND_US,
        valid_until_us=None if valid_until is None else valid_until * SECOND_US,
        authors=authors,
        claims=claims,
        status=_WORDS[EffectiveStatus(status)],
        reason=reason,
        score=score,
        pap=None if pap is None else _PAPS[pap],
        sources=sources,
    )


def _line(row: IndicatorRow) -> str:
    """Returns the JSON that _LINES makes of a row."""
    fields = {
        "type": row.type,
        "value": row.value,
        "active": row.is_active,
        "confidence": row.confidence,
        "tlp": row.tlp.label,
        "first_seen": format_instant(row.first_seen * SECOND_US),
        "last_seen": format_instant(row.last_seen * SECOND_US),
        "valid_from": format_instant(row.valid_from_us),
        "valid_until": format_instant(row.valid_until_us),
        "authors": row.authors,
        "claims": row.claims,
        "status": row.status,
        "reason": row.reason,
        "score": row.score,
        "pap": row.pap.label if row.pap is not None else None,
        "sources": row.sources,
    }
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":"))
