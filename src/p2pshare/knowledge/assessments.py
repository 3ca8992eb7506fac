# ruff: noqa: S608 - statements are put together from this program's own text only
"""Assessments that partners made of objects: sightings and false positives become facts about observables,
the rest is kept.

Rules:

1. An assessment counts once, when its object is stored first: another version or content of it changes nothing.
2. It is about the object of the author it names; where it names none, about the object of that id if one
   author alone has one. An assessment of an object that is not held yet waits, and applies when that arrives.
3. Organisations are counted, not messages: one row for each (observable, reporter), whose latest word holds.
4. Only partners of the roster that are not frozen, and we ourselves, start a claim's decay again or count
   towards a false positive; a partner that leaves the roster stops counting.
5. No sighting is later than the moment it reached us: a wrong clock keeps nothing alive.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import apsw

from p2pshare.database.arrays import MANY, key_tables, row_ids
from p2pshare.database.fetching import fetch
from p2pshare.database.settings import Setting, get_setting
from p2pshare.identifiers import PartnerId
from p2pshare.intel.assessing import Assessment, AssessmentFacts
from p2pshare.intel.instants import SECOND_US
from p2pshare.intel.marking import Tlp
from p2pshare.intel.observable import Observable
from p2pshare.knowledge.claims import observable_ids
from p2pshare.knowledge.contents import Contents
from p2pshare.knowledge.interface import AssessmentRow, SightingRow
from p2pshare.knowledge.known_versions import claim_key
from p2pshare.knowledge.object_keys import INDICATOR, decode_object_id, encode_object_id
from p2pshare.knowledge.state_table import evaluated_at, mark

FALSE_POSITIVE_SOURCE = "false-positive"
FALSE_POSITIVE_REPORTS = Setting("false_positive_reports", int)
"""The number of organisations that make a false positive; 0: none do."""
_COUNTED = (Assessment.SIGHTING, Assessment.FALSE_POSITIVE)

_IS_TRUSTED = """(
    {0} IN (SELECT p.organisation FROM partner p WHERE NOT p.is_frozen)
    OR {0} = (SELECT g.id FROM organisation g JOIN setting w ON w.name = 'own_id' AND w.value = g.partner_id)
)"""
# The observables an assessment is about. `target_author` NULL: the id must be one author's alone.
_OBSERVABLES = """
SELECT DISTINCT c.observable FROM claim c
CROSS JOIN organisation a ON a.id = c.author
CROSS JOIN observable o ON o.id = c.observable
CROSS JOIN observable_type t ON t.id = o.type
WHERE c.object_key = :target AND c.status < 2
AND CASE WHEN :author IS NULL
    THEN (SELECT count(DISTINCT d.author) FROM claim d WHERE d.object_key = :target AND d.status < 2) = 1
    ELSE a.partner_id = :author END
AND (:type IS NULL OR (t.name = :type AND o.value = :value))
"""
_SUM_UP = """
INSERT INTO sighting VALUES (
    :observable, :reporter, 1, :count, :seen, :seen, :not_seen, :is_false_positive, :tlp, :received_at
)
ON CONFLICT DO UPDATE SET
    reports = reports + 1,
    count = min(count + excluded.count, 9007199254740991),
    first_seen = min(coalesce(first_seen, excluded.first_seen), coalesce(excluded.first_seen, first_seen)),
    last_seen = max(coalesce(last_seen, excluded.last_seen), coalesce(excluded.last_seen, last_seen)),
    not_seen_at = max(coalesce(not_seen_at, excluded.not_seen_at), coalesce(excluded.not_seen_at, not_seen_at)),
    is_false_positive = CASE WHEN excluded.count = 0 AND NOT excluded.is_false_positive
        THEN is_false_positive ELSE excluded.is_false_positive END,
    tlp = max(tlp, excluded.tlp),
    received_at = excluded.received_at
"""
_SIGHTED = f"""
UPDATE effective_state SET sighted_at = max(coalesce(sighted_at, 0), :seen)
WHERE observable = :observable AND {_IS_TRUSTED.format(":reporter")}
"""
_REPORTS = f"""
SELECT k.value, (
    SELECT count(*) FROM sighting g
    WHERE g.observable = k.value AND g.is_false_positive AND {_IS_TRUSTED.format("g.reporter")}
) FROM {MANY} k
"""


@dataclass(frozen=True, slots=True)
class ArrivedAssessment:
    """An assessment whose object has just got its row."""

    object: int
    reporter: int
    facts: AssessmentFacts
    tlp: Tlp
    received_at: int


def add(connection: apsw.Connection, arrived: Sequence[ArrivedAssessment]) -> None:
    """Keep the assessments, and apply those whose target is held."""
    for one in arrived:
        facts = one.facts
        target = claim_key(encode_object_id(facts.target))
        observable = facts.observable
        row = (
            one.object,
            int(facts.kind),
            one.reporter,
            target,
            None if facts.author is None else bytes(facts.author),
            None if observable is None else observable.type,
            None if observable is None else observable.value,
            facts.count,
            min(facts.seen_us // SECOND_US, one.received_at),
            int(one.tlp),
            one.received_at,
            facts.kind in _COUNTED,
        )
        connection.execute("INSERT INTO assessment VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
    _apply(connection, [one.object for one in arrived if one.facts.kind in _COUNTED])


def apply_waiting(connection: apsw.Connection, claim_keys: Iterable[bytes | str]) -> None:
    """Apply the assessments that waited for claims of these object keys, which were stored just now."""
    if not fetch(connection, "SELECT 1 FROM assessment WHERE is_waiting = 1 LIMIT 1"):
        return
    waiting: list[int] = []
    for table, bound in key_tables(set(claim_keys)):
        rows = fetch(
            connection,
            f"""SELECT a.object FROM {table} k CROSS JOIN assessment a INDEXED BY assessment_waiting
            ON a.target = k.value AND a.is_waiting = 1""",
            (bound,),
        )
        waiting += [row_id for (row_id,) in rows]
    _apply(connection, sorted(waiting))


def _apply(connection: apsw.Connection, assessments: Iterable[int]) -> None:
    changed: set[int] = set()
    for row_id in assessments:
        ((kind, reporter, target, author, type_, value, count, seen_at, tlp, received_at),) = fetch(
            connection,
            """SELECT kind, reporter, target, target_author, type, value, count, seen_at, tlp, received_at
            FROM assessment WHERE object = ?""",
            (row_id,),
        )
        wanted = {"target": target, "author": author, "type": type_, "value": value}
        observables = [one for (one,) in fetch(connection, _OBSERVABLES, wanted)]
        if not observables:
            continue
        connection.execute("UPDATE assessment SET is_waiting = 0 WHERE object = ?", (row_id,))
        is_false_positive = kind == Assessment.FALSE_POSITIVE
        is_seen = count > 0 and not is_false_positive
        row = {
            "reporter": reporter,
            "count": count if is_seen else 0,
            "seen": seen_at if is_seen else None,
            "not_seen": None if is_seen or is_false_positive else seen_at,
            "is_false_positive": is_false_positive,
            "tlp": tlp,
            "received_at": received_at,
        }
        for observable in observables:
            connection.execute(_SUM_UP, row | {"observable": observable})
            if is_seen:
                sighted = {"seen": seen_at, "observable": observable, "reporter": reporter}
                connection.execute(_SIGHTED, sighted)
        changed.update(observables)
    mark(connection, changed)
    recount(connection, changed)


def recount(connection: apsw.Connection, observables: Collection[int]) -> None:
    """Quarantine those that enough organisations call a false positive, and lift it from the others."""
    if not observables:
        return
    needed = get_setting(connection, FALSE_POSITIVE_REPORTS) or 0
    now = evaluated_at(connection)
    for observable, reports in fetch(connection, _REPORTS, (row_ids(observables),)):
        if needed and reports >= needed:
            connection.execute(
                "INSERT INTO quarantine VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET reason = excluded.reason",
                (observable, FALSE_POSITIVE_SOURCE, f"{reports} organisations", now),
            )
        else:
            connection.execute(
                "DELETE FROM quarantine WHERE observable = ? AND source = ?",
                (observable, FALSE_POSITIVE_SOURCE),
            )


def recount_all(connection: apsw.Connection) -> None:
    """Count anew every observable that is called a false positive: the number needed, or the roster, has changed."""
    rows = fetch(connection, "SELECT DISTINCT observable FROM sighting WHERE is_false_positive = 1")
    recount(connection, [row_id for (row_id,) in rows])


_ASSESSMENTS = """
SELECT s.kind, a.partner_id, t.name, o.object_key, s.target, s.target_author, s.type, s.value, s.count, s.seen_at, o.tlp,
    s.received_at, o.frame, o.position
FROM assessment s JOIN organisation a ON a.id = s.reporter
JOIN object o ON o.id = s.object JOIN object_type t ON t.id = o.type
WHERE {} ORDER BY s.object DESC LIMIT ?
"""
_SEEN = f"""
SELECT g.observable, a.partner_id, g.reports, g.count, g.first_seen, g.last_seen, g.not_seen_at, g.is_false_positive,
    g.tlp, {_IS_TRUSTED.format("g.reporter")}
FROM {MANY} k CROSS JOIN sighting g ON g.observable = k.value CROSS JOIN organisation a ON a.id = g.reporter
ORDER BY g.observable, g.reporter
"""


def of_object(connection: apsw.Connection, object_id: str, limit: int) -> list[AssessmentRow]:
    target = claim_key(encode_object_id(object_id))
    return _rows(connection, "s.target = ?", (target, limit))


def proposals_to(connection: apsw.Connection, author: PartnerId, limit: int) -> list[AssessmentRow]:
    return _rows(
        connection, f"s.kind = {int(Assessment.PROPOSAL)} AND s.target_author = ?", (bytes(author), limit)
    )


def _rows(connection: apsw.Connection, condition: str, bindings: tuple[object, ...]) -> list[AssessmentRow]:
    contents = Contents(connection)
    found = []
    for kind, reporter, type_, key, target, author, name, value, *rest in fetch(
        connection, _ASSESSMENTS.format(condition), bindings
    ):
        count, seen_at, tlp, received_at, frame, position = rest
        found.append(
            AssessmentRow(
                Assessment(kind),
                PartnerId(reporter),
                decode_object_id(type_, key),
                decode_object_id(INDICATOR, target),
                None if author is None else PartnerId(author),
                None if name is None else Observable(name, value),
                count,
                seen_at,
                Tlp(tlp),
                received_at,
                contents.raw(frame, position) or b"{}",
            )
        )
    return found


def sightings(
    connection: apsw.Connection, observables: Collection[Observable]
) -> dict[Observable, list[SightingRow]]:
    ids = observable_ids(connection, observables)
    found: dict[Observable, list[SightingRow]] = defaultdict(list)
    for row in fetch(connection, _SEEN, (row_ids(ids),)) if ids else ():
        row_id, reporter, reports, count, first, last, not_seen_at, is_false_positive, tlp, is_trusted = row
        seen = SightingRow(
            reporter=PartnerId(reporter),
            reports=reports,
            count=count,
            first_seen=first,
            last_seen=last,
            not_seen_at=not_seen_at,
            is_false_positive=bool(is_false_positive),
            tlp=Tlp(tlp),
            is_trusted=bool(is_trusted),
        )
        found[ids[row_id]].append(seen)
    return dict(found)
