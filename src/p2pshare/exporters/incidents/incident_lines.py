"""The lines of an incident, the same for every format that people read: what is told under which title, each cell a text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from p2pshare.intel.incident_record import IncidentRecord, Told
from p2pshare.intel.instants import SECOND_US, format_instant


class IncidentTable(NamedTuple):
    """A title, the names of the columns, and rows of as many cells."""

    title: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]


def summary(record: IncidentRecord) -> Iterator[tuple[str, str]]:
    """Yields what stands at the top, as pairs."""
    yield "Incident", record.incident
    yield "Marking", record.tlp
    yield "Status", _status(record)
    yield "Determination", record.determination or "not yet"
    if record.criticality is not None:
        yield "Criticality", f"{record.criticality} of 100"
    if record.types:
        yield "Types", ", ".join(record.types)
    yield "Opened", instant(record.opened)
    yield "Last entry", instant(record.changed)
    yield "Lead", record.name_of(record.lead) or "contested"
    if record.withheld:
        yield "Not in here", f"{record.withheld} entries whose text is sealed, redacted or not held"


def _status(record: IncidentRecord) -> str:
    if not record.closed:
        return record.status
    late = f" (+{record.late} late; reopen to deal with them)" if record.late else ""
    after = f", {record.after} after it" if record.after else ""
    return f"closed{late}{after}"


def tables(record: IncidentRecord) -> Iterator[IncidentTable]:
    """Yields each table that has rows."""
    for table in (
        _members(record),
        timeline(record),
        impacts(record),
        tasks(record),
        indicators(record),
        _questions(record),
        lessons(record),
        _recurrences(record),
        _duties(record),
    ):
        if table.rows:
            yield table


def instant(at: int | None) -> str:
    """Returns a time as RFC 3339 in UTC; "" for none."""
    return format_instant(at * SECOND_US) or "" if at is not None else ""


def _members(record: IncidentRecord) -> IncidentTable:
    own = {one.author: one.status for one in record.statuses}
    rows = [
        (record.name_of(one.partner_id), one.status, own.get(one.partner_id, "")) for one in record.members
    ]
    return IncidentTable("Members", ("who", "in the incident", "own status"), rows)


class TimelineRow(NamedTuple):
    """A line of the time line. `stated`: whether its time is that of what it tells, not of the writing."""

    at: int
    stated: bool
    kind: str
    author: str
    text: str


def timeline_rows(record: IncidentRecord) -> list[TimelineRow]:
    """Returns events, impacts, notes and values seen again by their stated time, else by when they were written."""
    rows: list[TimelineRow] = []

    def put(kind: str, told: Told, stated: int | None, text: str) -> None:
        at = told.created if stated is None else stated
        rows.append(TimelineRow(at, stated is not None, kind, record.name_of(told.author), text))

    for event in record.events:
        span = f" until {instant(event.end)}" if event.end is not None else ""
        types = f" ({', '.join(event.types)})" if event.types else ""
        put("event", event, event.start or event.end, f"{event.status}{types}{span}: {event.text}")
    for impact in record.impacts:
        put("impact", impact, impact.start or impact.end, f"{impact.category}: {impact.text}")
    for note in record.notes:
        put("note", note, None, note.text)
    for seen in record.recurrences:
        put("recurrence", seen, None, f"seen again: {seen.type} {seen.value}")
    rows.sort(key=lambda row: row.at)  # stable: as they stand in the incident where times are equal
    return rows


def timeline(record: IncidentRecord) -> IncidentTable:
    rows = [
        (instant(row.at) + ("" if row.stated else " (written)"), row.kind, row.author, row.text)
        for row in timeline_rows(record)
    ]
    return IncidentTable("Time line", ("when", "what", "by", "text"), rows)


def impacts(record: IncidentRecord) -> IncidentTable:
    rows = [
        (
            one.category,
            ", ".join(
                f"{key} {value}" for key, value in (*one.details, *((k, str(n)) for k, n in one.counts))
            ),
            "" if one.criticality is None else f"{one.criticality} of 100",
            one.recoverability,
            one.text,
        )
        for one in record.impacts
    ]
    return IncidentTable("Impacts", ("on", "details", "criticality", "recoverability", "text"), rows)


def tasks(record: IncidentRecord) -> IncidentTable:
    rows = [
        (
            one.title,
            record.name_of(one.owner) + (" (several claim it)" if one.in_conflict else ""),
            one.outcome + (" (disputed)" if one.disputed else ""),
            instant(one.due),
            one.text,
        )
        for one in record.tasks
    ]
    return IncidentTable("Tasks", ("task", "owner", "outcome", "due", "text"), rows)


def indicators(record: IncidentRecord) -> IncidentTable:
    rows = [(one.type, one.value, record.name_of(one.author), one.text) for one in record.objects]
    return IncidentTable("Indicators", ("type", "value", "by", "text"), rows)


def _questions(record: IncidentRecord) -> IncidentTable:
    rows = [
        (record.name_of(one.author), one.text, " / ".join(answer.text for answer in one.answers))
        for one in record.questions
    ]
    return IncidentTable("Questions", ("asked by", "question", "answers"), rows)


def lessons(record: IncidentRecord) -> IncidentTable:
    rows = [
        (one.text, record.name_of(one.owner), instant(one.due), one.status, one.link)
        for one in record.lessons
    ]
    return IncidentTable("Lessons", ("lesson", "owner", "due", "status", "link"), rows)


def _recurrences(record: IncidentRecord) -> IncidentTable:
    rows = [
        (instant(one.day)[:10], one.type, one.value, record.name_of(one.author)) for one in record.recurrences
    ]
    return IncidentTable("Seen again", ("day", "type", "value", "by"), rows)


def _duties(record: IncidentRecord) -> IncidentTable:
    rows = [
        (
            record.name_of(one.author),
            one.template,
            f"{one.event}:{one.stage}" if one.stage else one.event,
            instant(one.at),
            one.zone,
        )
        for one in record.duties
    ]
    return IncidentTable("Stated for duties", ("by", "under", "event", "when", "zone"), rows)
