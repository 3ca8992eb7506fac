"""What a person decides and does about findings, what changed, and the one answer that may leave: functions over the file.

A decision hides a finding until it ends (`ranking`). A measure hides nothing: what is in place is an input of the next decision,
and what was mended is gone when the inventory says so. Instants are seconds, handed in.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

import apsw

from p2pshare.errors import AuthorError, NotFoundError
from p2pshare.risk.risk_file import RiskFile
from p2pshare.risk.words import RiskState

DECISIONS = ("mitigate", "accept", "transfer", "avoid")
MEASURES = ("patch", "config", "segment", "detection-rule", "playbook")
PLANNED, IN_PLACE, VERIFIED = "planned", "in-place", "verified"
TEXT_CHARACTERS_MAX = 2_000  # of a reason, a measure, evidence: a page; it is printed in reports
DAY_SECONDS = 86_400
DAY_SECONDS = 86_400
ANSWER_HOLDS_SECONDS = (
    DAY_SECONDS  # the same answer for a day: two answers of one day would tell what changed between them
)
BUCKETS = ((100, "100+"), (10, "10-99"), (1, "1-9"))
NO, YES, UNKNOWN = "no", "yes", "unknown"
CHANGES_MAX = 10_000  # shown of one `risk diff`


class DecisionSaid(NamedTuple):
    """What a person decides about a vulnerability: for one asset, or for all where `asset` is empty."""

    vulnerability: str
    kind: str
    decided_by: str
    because: str
    until: int | None
    asset: str = ""


class DecisionRow(NamedTuple):
    """A decision as it is kept. `is_over`: its end has passed, and the finding is back."""

    id: int
    vulnerability: str
    asset: str
    kind: str
    decided_by: str
    because: str
    decided_at: int
    until: int | None
    is_over: bool


class MeasureSaid(NamedTuple):
    """What is done about a vulnerability, on one asset or on all where `asset` is empty."""

    vulnerability: str
    kind: str
    text: str
    asset: str = ""
    owner: str = ""
    reference: str = ""
    due: int | None = None
    is_in_place: bool = False


class MeasureRow(NamedTuple):
    """A measure as it is kept."""

    id: int
    vulnerability: str
    asset: str
    kind: str
    status: str
    text: str
    reference: str
    evidence: str
    owner: str
    due: int | None
    added_at: int
    verified_at: int | None
    verified_by: str


class HitChange(NamedTuple):
    """A change of what a component has: `before` and `after` are states, '' for none. `assets`: where it is now."""

    at: int
    vulnerability: str
    component: str
    version: str
    assets: tuple[str, ...]
    before: str
    after: str


class DayCount(NamedTuple):
    """How much was due on a day (days since 1970) by outcome, and how much of it was late."""

    day: int
    outcome: str
    findings: int
    late: int


class ExposureAnswer(NamedTuple):
    """The answer about one vulnerability: yes, no or unknown (no document held here says which products have it), a bucket
    where it is yes, and when it was found (seconds)."""

    vulnerability: str
    exposed: str
    bucket: str
    answered_at: int


# --- decisions ---------------------------------------------------------------------------------------


def record_decision(store: RiskFile, said: DecisionSaid, now: int) -> DecisionRow:
    """Keep a decision; it takes the place of an older one about the same. Raises AuthorError, NotFoundError."""
    if said.kind not in DECISIONS:
        raise AuthorError("no such decision", hint=f"one of {', '.join(DECISIONS)}", reason="unknown-word")
    if said.until is not None and said.until <= now:
        raise AuthorError(
            "the decision ends before it begins", hint="give a later --until", reason="bad-time"
        )
    because, by = _text("the reason", said.because), _text("the name", said.decided_by)
    with store.transaction() as connection:
        vulnerability = _vulnerability(connection, said.vulnerability)
        asset = _asset(connection, said.asset)
        connection.execute(
            "DELETE FROM decision WHERE vulnerability = ? AND asset IS ? AND component IS NULL",
            (vulnerability, asset),
        )
        connection.execute(
            """INSERT INTO decision (vulnerability, asset, kind, decided_by, because, decided_at, until)
            VALUES (?, ?, ?, ?, ?, ?, ?)""",
            (vulnerability, asset, said.kind, by, because, now, said.until),
        )
        made = connection.last_insert_rowid()
    return next(row for row in decisions(store, now) if row.id == made)


def decisions(store: RiskFile, now: int) -> list[DecisionRow]:
    """Returns all decisions, those that end first at the beginning, those without an end last."""
    rows = store.fetch(
        """SELECT d.id, v.name, coalesce(a.name, ''), d.kind, d.decided_by, d.because, d.decided_at, d.until,
        d.until IS NOT NULL AND d.until <= ? FROM decision d JOIN vulnerability v ON v.id = d.vulnerability
        LEFT JOIN asset a ON a.id = d.asset ORDER BY d.until IS NULL, d.until, v.name, d.id""",
        (now,),
    )
    return [DecisionRow(*row)._replace(is_over=bool(row[8])) for row in rows]


# --- measures ----------------------------------------------------------------------------------------


def add_measure(store: RiskFile, said: MeasureSaid, now: int) -> MeasureRow:
    """Keep a measure, planned or already in place. Raises AuthorError, NotFoundError."""
    if said.kind not in MEASURES:
        raise AuthorError("no such measure", hint=f"one of {', '.join(MEASURES)}", reason="unknown-word")
    text = _text("the measure", said.text)
    with store.transaction() as connection:
        connection.execute(
            """INSERT INTO measure (vulnerability, asset, kind, status, text, reference, owner, due, added_at)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)""",
            (
                _vulnerability(connection, said.vulnerability),
                _asset(connection, said.asset),
                said.kind,
                IN_PLACE if said.is_in_place else PLANNED,
                text,
                said.reference[:TEXT_CHARACTERS_MAX],
                said.owner[:TEXT_CHARACTERS_MAX],
                said.due,
                now,
            ),
        )
        made = connection.last_insert_rowid()
    return _measure(store, made)


def verify_measure(store: RiskFile, measure: int, *, by: str, evidence: str, now: int) -> MeasureRow:
    """Note that somebody has looked and found the measure in place. Raises AuthorError, NotFoundError."""
    seen = _text("the evidence", evidence)
    _measure(store, measure)
    with store.transaction() as connection:
        connection.execute(
            "UPDATE measure SET status = ?, evidence = ?, verified_at = ?, verified_by = ? WHERE id = ?",
            (VERIFIED, seen, now, _text("the name", by), measure),
        )
    return _measure(store, measure)


def measures(store: RiskFile) -> list[MeasureRow]:
    """Returns all measures, oldest first."""
    rows = store.fetch(
        """SELECT m.id, coalesce(v.name, ''), coalesce(a.name, ''), m.kind, m.status, m.text, m.reference, m.evidence,
        m.owner, m.due, m.added_at, m.verified_at, m.verified_by FROM measure m
        LEFT JOIN vulnerability v ON v.id = m.vulnerability LEFT JOIN asset a ON a.id = m.asset ORDER BY m.id"""
    )
    return [MeasureRow(*row) for row in rows]


def _measure(store: RiskFile, wanted: int) -> MeasureRow:
    for row in measures(store):
        if row.id == wanted:
            return row
    raise NotFoundError(
        f"there is no measure {wanted}", hint="`p2pshare risk measure list` shows their numbers"
    )


# --- what changed ------------------------------------------------------------------------------------


def changes_since(store: RiskFile, since: int) -> list[HitChange]:
    """Returns what came, went or changed its state since then, oldest first, CHANGES_MAX at most."""
    rows = store.fetch(
        f"""SELECT h.changed_at, v.name, c.vendor, c.product, c.model, c.purl, c.cpe, c.version, h.before, h.after,
        (SELECT json_group_array(DISTINCT a.name) FROM asset_component p JOIN asset a ON a.id = p.asset
            WHERE p.component = h.component AND a.retired_at IS NULL AND h.asset_component IN (0, p.id))
        FROM hit_change h JOIN vulnerability v ON v.id = h.vulnerability LEFT JOIN component c ON c.id = h.component
        WHERE h.changed_at >= ? ORDER BY h.id LIMIT {CHANGES_MAX}""",  # noqa: S608 - a number of ours
        (since,),
    )
    return [HitChange(*_change(*row)) for row in rows]


def _change(
    at: int,
    vulnerability: str,
    vendor: str | None,
    product: str | None,
    model: str | None,
    purl: str | None,
    cpe: str | None,
    version: str | None,
    before: int | None,
    after: int | None,
    assets: str,
) -> tuple[int, str, str, str, tuple[str, ...], str, str]:
    named = " ".join(filter(None, (vendor, product or model))) or purl or cpe or "(gone)"
    return at, vulnerability, named, version or "", tuple(json.loads(assets)), _state(before), _state(after)


def _state(number: int | None) -> str:
    return "" if number is None else RiskState(number).word


def days_since(store: RiskFile, day: int, deciding: str) -> list[DayCount]:
    """Returns what was due on each day from then on, by outcome."""
    rows = store.fetch(
        """SELECT d.day, o.name, d.findings, d.late FROM daily_count d
        JOIN outcome o ON o.deciding = d.deciding AND o.number = d.outcome
        WHERE d.day >= ? AND d.deciding = ? ORDER BY d.day, d.outcome DESC""",
        (day, deciding),
    )
    return [DayCount(*row) for row in rows]


def count_day(store: RiskFile, deciding: str, now: int) -> None:
    """Keep how much is due today by outcome, and how much of it is late, in place of what was counted today before."""
    with store.transaction() as connection:
        connection.execute(
            "DELETE FROM daily_count WHERE day = ? AND deciding = ?", (now // DAY_SECONDS, deciding)
        )
        connection.execute(
            """INSERT INTO daily_count (day, deciding, outcome, findings, late)
            SELECT ?1 / 86400, f.deciding, f.worst, count(*),
                count(*) FILTER (WHERE o.days IS NOT NULL AND f.first_seen / 86400 + o.days < ?1 / 86400)
            FROM finding f JOIN outcome o ON o.deciding = f.deciding AND o.number = f.worst
            WHERE f.deciding = ?2 AND f.state >= 4 AND f.match > 0 AND NOT EXISTS (
                SELECT 1 FROM decision d WHERE d.vulnerability = f.vulnerability AND d.kind <> 'mitigate'
                AND (d.until IS NULL OR d.until > ?1) AND (d.asset IS NULL OR d.asset = f.asset)
                AND (d.component IS NULL OR d.component = f.component)
            ) GROUP BY f.deciding, f.worst""",
            (now, deciding),
        )


# --- the answer that may leave -------------------------------------------------------------------------


def bucket_of(assets: int) -> str:
    """Returns `1-9`, `10-99` or `100+`; '' for none."""
    return next((bucket for least, bucket in BUCKETS if assets >= least), "")


def answer_exposure(
    store: RiskFile, names: Sequence[str], *, space: str, now: int
) -> Iterator[ExposureAnswer]:
    """Yields an answer for each name. One that was given within a day is given again, whatever is so now; with a `space`, which
    will be told, a new answer is kept for that. Assets that have it or may have it count, candidates do not."""
    for name in names:
        stored = store.fetch(
            """SELECT e.answer, e.answered_at FROM exposure_answer e WHERE e.vulnerability = ? AND e.answered_at > ?
            ORDER BY e.answered_at LIMIT 1""",
            (name, now - ANSWER_HOLDS_SECONDS),
        )
        if stored:
            exposed, bucket = json.loads(str(stored[0][0]))
            yield ExposureAnswer(name, exposed, bucket, int(str(stored[0][1])))
            continue
        answer = _answer(store, name, now)
        if space and answer.exposed != UNKNOWN:
            with store.transaction() as connection:
                connection.execute(
                    "INSERT INTO exposure_answer (space, vulnerability, answered_at, answer) VALUES (?, ?, ?, ?)",
                    (space, name, now, json.dumps([answer.exposed, answer.bucket])),
                )
        yield answer


def _answer(store: RiskFile, name: str, now: int) -> ExposureAnswer:
    ((is_spoken_of,),) = store.fetch(
        """SELECT EXISTS (SELECT 1 FROM statement s JOIN vulnerability v ON v.id = s.vulnerability WHERE v.name = ?)""",
        (name,),
    )
    if not is_spoken_of:
        return ExposureAnswer(name, UNKNOWN, "", now)
    ((assets,),) = store.fetch(
        """SELECT count(DISTINCT e.asset) FROM exposed e JOIN vulnerability v ON v.id = e.vulnerability
        WHERE v.name = ? AND e.state >= 4 AND e.match > 0""",
        (name,),
    )
    bucket = bucket_of(int(str(assets)))
    return ExposureAnswer(name, YES if bucket else NO, bucket, now)


def assets_with(store: RiskFile, names: Collection[str]) -> dict[str, int]:
    """Returns of each vulnerability on how many assets it is, or may be; candidates do not count. For this machine alone."""
    found = {}
    for name in sorted(names):
        ((assets,),) = store.fetch(
            """SELECT count(DISTINCT e.asset) FROM exposed e JOIN vulnerability v ON v.id = e.vulnerability
            WHERE v.name = ? AND e.state >= 4 AND e.match > 0""",
            (name,),
        )
        found[name] = int(str(assets))
    return found


# --- what is named -----------------------------------------------------------------------------------


def _vulnerability(connection: apsw.Connection, name: str) -> int:
    wanted = name.strip().upper() if name.strip()[:4].upper() == "CVE-" else name.strip()
    for (found,) in connection.execute(
        """SELECT id FROM vulnerability WHERE name = ?1
        UNION ALL SELECT vulnerability FROM vulnerability_name WHERE name = ?1 LIMIT 1""",
        (wanted,),
    ):
        return int(found)
    raise NotFoundError(
        "no source here knows that vulnerability", hint="`p2pshare risk rank --all` lists what is known"
    )


def _asset(connection: apsw.Connection, name: str) -> int | None:
    if not name:
        return None
    for (found,) in connection.execute("SELECT id FROM asset WHERE name = ?", (name,)):
        return int(found)
    raise NotFoundError("there is no asset of that name", hint="see `p2pshare asset list`")


def _text(what: str, text: str) -> str:
    text = text.strip()
    if not text or len(text) > TEXT_CHARACTERS_MAX:
        raise AuthorError(
            f"{what} is empty or too long", hint=f"1 to {TEXT_CHARACTERS_MAX} characters", reason="bad-text"
        )
    return text
