# ruff: noqa: S608 - statements are put together from this program's own text only
"""Assessments that partners made of objects: sightings and false positives become facts about observables,
the rest is kept.

Rules:

1. An assessment counts once, when its object is stored first: another version or content of it changes nothing.
2. It is about the object of the author it names; where it names none, about the object of that id if one
   author alone has one. An assessment of an object that is not held yet waits, and applies when that arrives: the newest
   WAITING_MAX of each organisation do.
3. Organisations are counted, not messages: one row for each (observable, reporter), whose latest word holds.
   The same object of two organisations is one voice; so are an introducer and those whom it alone introduced; and one that says it stems from another is none: kept, and never counted.
4. Only partners of the roster that are not frozen, and we ourselves, start a claim's decay again or count
   towards a false positive; a partner that leaves the roster stops counting.
5. No sighting is later than the moment it reached us: a wrong clock keeps nothing alive.
6. What its reporter does not stand for any more (a thief of its key said it) does not count: what is left of that reporter's is summed
   up anew, observable after observable (`recount_on`), from what it said about the objects that claim it now.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

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
from p2pshare.knowledge.object_keys import INDICATOR, EncodedId, decode_object_id, encode_object_id
from p2pshare.knowledge.state_table import evaluated_at, mark

FALSE_POSITIVE_SOURCE = "false-positive"
FALSE_POSITIVE_REPORTS = Setting("false_positive_reports", int)
"""The number of organisations that make a false positive; 0: none do."""
RECOUNTED_OBSERVABLES = 2_000  # summed up anew in one step ...
RECOUNTED_ASSESSMENTS = 20_000  # ... or of so many assessments: some 100 ms that other writers wait
WAITING_MAX = 64  # of one organisation about one object that is not held yet, the newest: the others are kept, and wait no more
RESTATED = 3  # `is_waiting` of what says that it stems from another assessment: it neither waits nor counts
_COUNT_MAX = 2**53 - 1  # what JSON readers keep exactly
_COUNTED = (Assessment.SIGHTING, Assessment.FALSE_POSITIVE)

_IS_TRUSTED = """(
    {0} IN (SELECT p.organisation FROM partner p WHERE NOT p.is_frozen)
    OR {0} = (SELECT g.id FROM organisation g JOIN setting w ON w.name = 'own_id' AND w.value = g.partner_id)
)"""
# The observables an assessment is about. `target_author` NULL: the id must be one author's alone.
_OBSERVABLES = """
SELECT DISTINCT c.observable FROM claim c INDEXED BY claim_current
WHERE c.object_key = :target AND c.status < 2
AND c.author = CASE WHEN :author IS NULL
    THEN (
        SELECT min(d.author) FROM claim d INDEXED BY claim_current WHERE d.object_key = :target AND d.status < 2
        HAVING min(d.author) = max(d.author)
    )
    ELSE (SELECT a.id FROM organisation a WHERE a.partner_id = :author) END
AND (:type IS NULL OR c.observable = (
    SELECT o.id FROM observable o WHERE o.value = :value AND o.type = (SELECT t.id FROM observable_type t WHERE t.name = :type)
))
"""
_SUM_UP = f"""
INSERT INTO sighting VALUES (
    :observable, :reporter, :reports, :count, :first, :last, :not_seen, coalesce(:is_false_positive, 0), :tlp, :received_at,
    (SELECT o.object_key FROM object o WHERE o.id = :said_by)
)
ON CONFLICT DO UPDATE SET
    reports = reports + excluded.reports,
    count = min(count + excluded.count, {_COUNT_MAX}),
    first_seen = min(coalesce(first_seen, excluded.first_seen), coalesce(excluded.first_seen, first_seen)),
    last_seen = max(coalesce(last_seen, excluded.last_seen), coalesce(excluded.last_seen, last_seen)),
    not_seen_at = max(coalesce(not_seen_at, excluded.not_seen_at), coalesce(excluded.not_seen_at, not_seen_at)),
    is_false_positive = coalesce(:is_false_positive, is_false_positive),
    tlp = max(tlp, excluded.tlp),
    received_at = excluded.received_at,
    word = coalesce(excluded.word, word)
"""
_SIGHTED = f"""
UPDATE effective_state SET sighted_at = max(coalesce(sighted_at, 0), :last)
WHERE observable = :observable AND {_IS_TRUSTED.format(":reporter")}
"""
_ASSESSED = f"""
SELECT a.object, a.kind, a.reporter, a.target, a.target_author, a.type, a.value, a.count, a.seen_at, a.tlp, a.received_at
FROM {MANY} k CROSS JOIN assessment a ON a.object = k.value ORDER BY a.object
"""
# Each version of the target that comes looks at all that wait for it.
_WAIT_NO_LONGER = """
UPDATE assessment SET is_waiting = 2 WHERE object IN (
    SELECT object FROM assessment INDEXED BY assessment_waiting WHERE target = ? AND reporter = ? AND is_waiting = 1
    ORDER BY object DESC LIMIT -1 OFFSET ?
)
"""
_APPLIED = f"UPDATE assessment SET is_waiting = 0 WHERE object IN (SELECT value FROM {MANY})"
_SET_OUT = f"""
UPDATE assessment SET is_out = ?, is_waiting = CASE
    WHEN is_waiting = {RESTATED} THEN {RESTATED} WHEN ?1 = 0 AND kind IN (1, 2) THEN 1 ELSE 0 END
WHERE object IN (SELECT value FROM {MANY}) AND is_out != ?1
RETURNING object, kind, is_waiting, target, reporter
"""
# Those that wait no more and were never counted, as many as there is room for among those that are in effect.
_PUSHED_OUT = """
SELECT object FROM assessment INDEXED BY assessment_target
WHERE target = ?1 AND reporter = ?2 AND is_out = 0 AND is_waiting = 2 ORDER BY object DESC LIMIT max(0, ?3 - (
    SELECT count(*) FROM assessment INDEXED BY assessment_target
    WHERE target = ?1 AND reporter = ?2 AND is_out = 0 AND is_waiting < 2 AND kind IN (1, 2)
))
"""
_WAITING = f"UPDATE assessment SET is_waiting = 1 WHERE object IN (SELECT value FROM {MANY})"
_ROWS_IN_FRAME = """
SELECT o.id FROM {keys} k CROSS JOIN object o INDEXED BY object_{index}
ON o.object_key = k.value AND o.author = ? AND o.status {of} WHERE o.frame = ?
"""
_WHERE_NOW = (("current", "< 2"), ("superseded", "= 2"), ("out", "= 3"))
# What a reporter says about an observable: about the objects that claim it, in effect, and not about another value of theirs.
_SAID_ABOUT = """
SELECT a.object, a.kind, a.count, a.seen_at, a.tlp, a.received_at
FROM (
    SELECT DISTINCT c.object_key AS target, c.author AS author FROM claim c INDEXED BY claim_observable
    WHERE c.observable = :observable AND c.status < 2 AND c.is_aside = 0
) t
CROSS JOIN assessment a INDEXED BY assessment_target ON a.target = t.target AND a.reporter = :reporter
WHERE a.is_out = 0 AND a.is_waiting = 0 AND a.kind IN (1, 2)
AND (a.type IS NULL OR EXISTS (
    SELECT 1 FROM observable o JOIN observable_type y ON y.id = o.type
    WHERE o.id = :observable AND o.value = a.value AND y.name = a.type
))
AND CASE WHEN a.target_author IS NULL
    THEN NOT EXISTS (
        SELECT 1 FROM claim d INDEXED BY claim_current
        WHERE d.object_key = t.target AND d.status < 2 AND d.author != t.author
    )
    ELSE a.target_author = (SELECT g.partner_id FROM organisation g WHERE g.id = t.author) END
ORDER BY a.object
"""
_PUT = """
INSERT OR REPLACE INTO sighting VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, (SELECT o.object_key FROM object o WHERE o.id = ?))
"""
_SIGHTED_ANEW = f"""
UPDATE effective_state SET sighted_at = (
    SELECT max(g.last_seen) FROM sighting g WHERE g.observable = effective_state.observable AND {_IS_TRUSTED.format("g.reporter")}
) WHERE observable IN (SELECT value FROM {MANY})
"""
# Of each: those that say so, the different objects by which they do, and the different voices. Who was introduced by one partner alone
# is no voice of its own (docs/introductions.md).
_FALSE_POSITIVES = f"""
FROM {MANY} k
LEFT JOIN sighting g ON g.observable = k.value AND g.is_false_positive AND {_IS_TRUSTED.format("g.reporter")}
LEFT JOIN partner v ON v.organisation = g.reporter
"""
_REPORTS = f"""
SELECT k.value, count(g.reporter), count(DISTINCT coalesce(g.word, g.reporter)), count(DISTINCT coalesce(v.voice, g.reporter))
{_FALSE_POSITIVES} GROUP BY k.value
"""
_REPORTS_EACH = f"SELECT coalesce(g.word, g.reporter), coalesce(v.voice, g.reporter) {_FALSE_POSITIVES}"


@dataclass(frozen=True, slots=True)
class ArrivedAssessment:
    """An assessment whose object has just got its row."""

    object: int
    reporter: int
    facts: AssessmentFacts
    tlp: Tlp
    received_at: int
    is_restated: bool = False
    """It says that it stems from another object: it is nobody's own word, and counts nothing."""

    @property
    def is_counted(self) -> bool:
        return self.facts.kind in _COUNTED and not self.is_restated


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
            RESTATED if one.is_restated else facts.kind in _COUNTED,
        )
        connection.execute("INSERT INTO assessment VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0)", row)
    counted = [one for one in arrived if one.is_counted]
    _apply(connection, [one.object for one in counted])
    about = {(claim_key(encode_object_id(one.facts.target)), one.reporter) for one in counted}
    connection.executemany(_WAIT_NO_LONGER, ((*one, WAITING_MAX) for one in about))


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


@dataclass(slots=True)
class _Summary:
    """What one organisation says about one target in several assessments, in the order of their rows."""

    reporter: int
    about: tuple[bytes | str, bytes | None, str | None, str | None]
    """Target, its author, and type and value of the one observable that is meant."""
    rows: list[int] = field(default_factory=list)
    count: int = 0
    first: int | None = None
    last: int | None = None
    not_seen: int | None = None
    is_false_positive: bool | None = None
    """The latest word; None where none says it."""
    said_by: int = 0
    """The row of the latest word."""
    tlp: int = 0
    received_at: int = 0

    def take(self, row_id: int, kind: int, count: int, seen_at: int, tlp: int, received_at: int) -> None:
        is_false_positive = kind == Assessment.FALSE_POSITIVE
        self.rows.append(row_id)
        if is_false_positive or count > 0:
            self.is_false_positive, self.said_by = is_false_positive, row_id
        if not is_false_positive and count > 0:
            self.count = min(self.count + count, _COUNT_MAX)
            self.first = seen_at if self.first is None else min(self.first, seen_at)
            self.last = seen_at if self.last is None else max(self.last, seen_at)
        elif not is_false_positive:
            self.not_seen = seen_at if self.not_seen is None else max(self.not_seen, seen_at)
        self.tlp, self.received_at = max(self.tlp, tlp), received_at


def _apply(connection: apsw.Connection, assessments: Sequence[int]) -> None:
    """Apply the assessments whose target is held. What one organisation says about one target is summed up first: a thousand
    sightings of an indicator with a thousand values change a thousand rows, not a million."""
    changed: set[int] = set()
    for summary in sorted(_summaries(connection, assessments), key=lambda one: one.said_by):
        target, author, type_, value = summary.about
        wanted = {"target": target, "author": author, "type": type_, "value": value}
        observables = [one for (one,) in fetch(connection, _OBSERVABLES, wanted)]
        if not observables:
            continue
        connection.execute(_APPLIED, (row_ids(summary.rows),))
        said = {
            "reporter": summary.reporter,
            "reports": len(summary.rows),
            "count": summary.count,
            "first": summary.first,
            "last": summary.last,
            "not_seen": summary.not_seen,
            "is_false_positive": summary.is_false_positive,
            "said_by": summary.said_by,
            "tlp": summary.tlp,
            "received_at": summary.received_at,
        }
        connection.executemany(_SUM_UP, (said | {"observable": one} for one in observables))
        if summary.last is not None:
            sighted = {"last": summary.last, "reporter": summary.reporter}
            connection.executemany(_SIGHTED, (sighted | {"observable": one} for one in observables))
        changed.update(observables)
    mark(connection, changed)
    recount(connection, changed)


def _summaries(connection: apsw.Connection, assessments: Sequence[int]) -> Collection[_Summary]:
    summaries: dict[tuple[object, ...], _Summary] = {}
    if assessments:
        for row_id, kind, reporter, *about, count, seen_at, tlp, received_at in fetch(
            connection, _ASSESSED, (row_ids(assessments),)
        ):
            key = (reporter, *about)
            if key not in summaries:
                target, author, type_, value = about
                summaries[key] = _Summary(reporter, (target, author, type_, value))
            summaries[key].take(row_id, kind, count, seen_at, tlp, received_at)
    return summaries.values()


def set_out(
    connection: apsw.Connection, author: int, frame: int, keys: Collection[EncodedId], *, is_out: bool
) -> None:
    """Take the assessments with these ids that have their rows from `frame` out of effect, or back. What goes out leaves the sums
    with `recount_on`; what comes back is applied as if it came now."""
    ids: list[int] = []
    for table, bound in key_tables({key for _, key in keys}):
        for index, of in _WHERE_NOW:
            statement = _ROWS_IN_FRAME.format(keys=table, index=index, of=of)
            ids += [row_id for (row_id,) in fetch(connection, statement, (bound, author, frame))]
    if not ids:
        return
    changed = fetch(connection, _SET_OUT, (is_out, row_ids(sorted(ids))))
    counted = [row for row in changed if row[1] in _COUNTED and row[2] != RESTATED]
    if not counted:
        return
    about = {(target, reporter) for *_, target, reporter in counted}
    if is_out:
        _wait_again(connection, about)
        begin = "INSERT INTO recounting VALUES (?, 0) ON CONFLICT DO UPDATE SET place = 0"
        connection.execute(begin, (author,))
    else:
        _apply(connection, sorted(row_id for row_id, *_ in counted))
        connection.executemany(_WAIT_NO_LONGER, ((*one, WAITING_MAX) for one in about))


def _wait_again(connection: apsw.Connection, about: Iterable[tuple[bytes | str, int]]) -> None:
    """Have those wait (or count) again, for each (target, reporter), whose place was taken by what is out now."""
    for target, reporter in about:
        found = fetch(connection, _PUSHED_OUT, (target, reporter, WAITING_MAX))
        if found:
            ids = sorted(row_id for (row_id,) in found)
            connection.execute(_WAITING, (row_ids(ids),))
            _apply(connection, ids)


def is_recounting(connection: apsw.Connection) -> bool:
    """Returns whether what some organisation says is being summed up anew."""
    return bool(fetch(connection, "SELECT 1 FROM recounting LIMIT 1"))


def recount_on(connection: apsw.Connection) -> None:
    """Take a step of summing up anew what an organisation says about each observable."""
    for reporter, place in fetch(connection, "SELECT reporter, place FROM recounting LIMIT 1"):
        wanted = fetch(
            connection,
            """SELECT observable FROM sighting INDEXED BY sighting_of WHERE reporter = ? AND observable > ?
            ORDER BY observable LIMIT ?""",
            (reporter, place, RECOUNTED_OBSERVABLES),
        )
        done: list[int] = []
        said = 0
        for (observable,) in wanted:
            said += _sum_up_anew(connection, observable, reporter)
            done.append(observable)
            if said >= RECOUNTED_ASSESSMENTS:
                break
        if done:
            connection.execute(_SIGHTED_ANEW, (row_ids(done),))
            mark(connection, done)
            recount(connection, done)
            connection.execute("UPDATE recounting SET place = ? WHERE reporter = ?", (done[-1], reporter))
        if len(done) == len(wanted) < RECOUNTED_OBSERVABLES:
            connection.execute("DELETE FROM recounting WHERE reporter = ?", (reporter,))


def _sum_up_anew(connection: apsw.Connection, observable: int, reporter: int) -> int:
    """Put the one row anew; returns how many assessments it is made of."""
    summary = _Summary(reporter, (b"", None, None, None))
    for row in fetch(connection, _SAID_ABOUT, {"observable": observable, "reporter": reporter}):
        summary.take(*row)
    if not summary.rows:
        connection.execute(
            "DELETE FROM sighting WHERE observable = ? AND reporter = ?", (observable, reporter)
        )
        return 0
    row = (summary.count, summary.first, summary.last, summary.not_seen, bool(summary.is_false_positive))
    rest = (summary.tlp, summary.received_at)
    connection.execute(_PUT, (observable, reporter, len(summary.rows), *row, *rest, summary.said_by))
    return len(summary.rows)


def recount(connection: apsw.Connection, observables: Collection[int]) -> None:
    """Quarantine those that enough organisations call a false positive, and lift it from the others."""
    if not observables:
        return
    needed = get_setting(connection, FALSE_POSITIVE_REPORTS) or 0
    now = evaluated_at(connection)
    for observable, said, words, voices in fetch(connection, _REPORTS, (row_ids(observables),)):
        reports = min(words, voices)
        if said > max(words, voices):  # both are shared: which go together decides
            reports = most_apart(fetch(connection, _REPORTS_EACH, (row_ids([observable]),)))
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


def most_apart(said: Iterable[tuple[object, object]]) -> int:
    """Returns the most of these (object, voice) of which no two have an object or a voice in common: a matching, found by
    augmenting paths (Kuhn). As many as a partner has partners at the most."""
    voices_of: dict[object, list[object]] = defaultdict(list)
    for word, voice in said:
        voices_of[word].append(voice)
    word_of: dict[object, object] = {}
    for start in voices_of:
        came_from: dict[object, object] = {}  # voice -> the word from which it was reached
        pending: list[object] = [start]
        free: object | None = None
        while pending and free is None:
            word = pending.pop()
            for voice in voices_of[word]:
                if voice in came_from:
                    continue
                came_from[voice] = word
                if voice not in word_of:
                    free = voice
                    break
                pending.append(word_of[voice])
        while free is not None:  # each word on the way moves on to the voice behind it
            word = came_from[free]
            before = next((voice for voice, its in word_of.items() if its == word), None)
            word_of[free] = word
            free = before
            if before is not None:
                del word_of[before]
    return len(word_of)


_ASSESSMENTS = """
SELECT s.kind, a.partner_id, t.name, o.object_key, s.target, s.target_author, s.type, s.value, s.count, s.seen_at, o.tlp,
    s.received_at, o.frame, o.position
FROM assessment s JOIN organisation a ON a.id = s.reporter
JOIN object o ON o.id = s.object JOIN object_type t ON t.id = o.type
WHERE {} AND s.is_out = 0 ORDER BY s.object DESC LIMIT ?
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
