"""Restating: what a record of an incident says, as entries that another organisation writes into an incident of its own.

So an export is read back (`incident import`). What others said for themselves, their statuses, duties and claims, nobody can say for
them: it stays in the file. What no entry can hold is refused by a reason, and the rest goes on.
"""

from __future__ import annotations

from typing import NamedTuple

from p2pshare.errors import PeerError
from p2pshare.identifiers import EntryId
from p2pshare.intel.incident_record import IncidentRecord
from p2pshare.intel.refusals import Refusals
from p2pshare.spaces.entry_fields import NO_ENTRY, NOT_STATED
from p2pshare.spaces.incident_entries import (
    READERS,
    IncidentBody,
    IncidentClosing,
    IncidentDetermination,
    IncidentEvent,
    IncidentImpact,
    IncidentLesson,
    IncidentObject,
    IncidentRecurrence,
    IncidentTask,
    TaskOutcome,
    encode_incident,
)

NO_OUTCOME = "pending"  # what a task has without any


class Restated(NamedTuple):
    """Kind and content of an entry; of a task, its outcome besides, which names the entry and so is written after it."""

    kind: str
    content: bytes
    outcome: str = ""

    def outcome_of(self, task: EntryId) -> bytes:
        """Returns the content of the `outcome` of this task, once it has an id."""
        return encode_incident(TaskOutcome(task, self.outcome, ""))


def restated(record: IncidentRecord, refusals: Refusals) -> list[Restated]:
    """Returns the entries that say what a record says, in its order, a closing last. What no entry can hold is counted in `refusals`.

    The lead writes them: the determination and the closing are the lead's.
    """
    found: list[Restated] = []

    def say(kind: str, body: IncidentBody | str, where: str, outcome: str = "") -> None:
        content = body.encode("utf-8", "replace") if isinstance(body, str) else _encoded(body)
        try:
            READERS[kind](content)
        except PeerError as error:
            refusals.add("not-an-entry", f"{kind} {where}: {error}")
            return
        found.append(Restated(kind, content, outcome))

    criticality = () if record.criticality is None else (record.criticality,)
    determination = record.determination or "suspected"
    text = record.determination_text
    say("determination", IncidentDetermination(determination, criticality, record.types, text), "")
    for event in record.events:
        say(
            "event",
            IncidentEvent(
                event.status,
                event.start or NOT_STATED,
                event.start_fidelity,
                event.end or NOT_STATED,
                event.end_fidelity,
                event.types,
                event.text,
            ),
            event.text,
        )
    for impact in record.impacts:
        say(
            "impact",
            IncidentImpact(
                impact.category,
                impact.details,
                impact.start or NOT_STATED,
                impact.end or NOT_STATED,
                () if impact.criticality is None else (impact.criticality,),
                impact.recoverability,
                impact.counts,
                impact.text,
            ),
            impact.category,
        )
    for one in record.objects:
        say("object", IncidentObject(one.type, one.value, one.text, one.stix), f"{one.type} {one.value}")
    for task in record.tasks:
        body = IncidentTask(task.title, task.text, task.due or NOT_STATED, task.types)
        say("task", body, task.title, "" if task.outcome == NO_OUTCOME else task.outcome)
    for note in record.notes:
        say("note", note.text, note.text)
    for lesson in record.lessons:
        say(
            "lesson",
            IncidentLesson(NO_ENTRY, lesson.text, (), lesson.due or NOT_STATED, lesson.link, lesson.status),
            lesson.text,
        )
    for seen in record.recurrences:
        say("recurrence", IncidentRecurrence(seen.type, seen.value, seen.day, seen.text), seen.value)
    if record.closed:
        say("close", IncidentClosing(record.closing_text), "")
    return found


def _encoded(body: IncidentBody) -> bytes:
    try:
        return encode_incident(body)
    except UnicodeEncodeError:  # half a surrogate pair, which JSON escapes can spell and no encoding can hold
        return b""
