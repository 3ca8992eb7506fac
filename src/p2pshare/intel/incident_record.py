"""An incident as it is told to others: what its entries come to, in words, without the graph behind them.

The one value between a space and the formats of incidents: `spaces.incident_telling` makes it of a fold, the exporters write it,
`intel.incident_suite` reads it back. Times are unix seconds, or None where nobody stated them; ids are those of entries.
"""

from __future__ import annotations

from typing import Any

import msgspec

from p2pshare.identifiers import PartnerId


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What every part has: the id of its entry, who wrote it and when (its claim), and its TLP label."""

    id: str = ""
    author: PartnerId | None = None
    created: int = 0
    tlp: str = ""


class ToldNote(Told, frozen=True, kw_only=True):
    """A note."""

    text: str


class ToldEvent(Told, frozen=True, kw_only=True):
    """Something that happened, or may."""

    status: str
    start: int | None = None
    start_fidelity: str = ""
    end: int | None = None
    end_fidelity: str = ""
    types: tuple[str, ...] = ()
    text: str = ""


class ToldImpact(Told, frozen=True, kw_only=True):
    """One category of harm; `details` and `counts` with ascending keys."""

    category: str
    details: tuple[tuple[str, str], ...]
    start: int | None = None
    end: int | None = None
    criticality: int | None = None
    recoverability: str = ""
    counts: tuple[tuple[str, int], ...] = ()
    text: str = ""


class ToldObject(Told, frozen=True, kw_only=True):
    """An observable, a rule or a vulnerability; `stix` its object as its author wrote it, or b""."""

    type: str
    value: str
    text: str = ""
    stix: bytes = b""


class ToldTask(Told, frozen=True, kw_only=True):
    """Work to be done, and how it stands."""

    title: str
    text: str = ""
    due: int | None = None
    types: tuple[str, ...] = ()
    owner: PartnerId | None = None
    outcome: str = "pending"
    in_conflict: bool = False
    disputed: bool = False


class ToldLesson(Told, frozen=True, kw_only=True):
    """What is to be done so that it does not happen again."""

    text: str
    owner: PartnerId | None = None
    due: int | None = None
    link: str = ""
    status: str = "open"


class ToldDuty(Told, frozen=True, kw_only=True):
    """What an organisation stated about an event from which its duties run."""

    event: str
    stage: str = ""
    template: str
    at: int
    zone: str
    text: str = ""


class ToldStatus(Told, frozen=True, kw_only=True):
    """What an organisation says of itself."""

    status: str
    text: str = ""


class ToldAnswer(Told, frozen=True, kw_only=True):
    """An answer."""

    text: str


class ToldQuestion(Told, frozen=True, kw_only=True):
    """A question, with its answers."""

    text: str
    answers: tuple[ToldAnswer, ...] = ()


class ToldRecurrence(Told, frozen=True, kw_only=True):
    """A value of the incident was seen again; `day` is the first second of its day in UTC."""

    type: str
    value: str
    day: int
    text: str = ""


class ToldMember(msgspec.Struct, frozen=True):
    """A member of the space, by the name it has here."""

    partner_id: PartnerId
    name: str
    status: str


class IncidentRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A whole incident. `late`, `after`: how many entries were written beside and after what closed it."""

    incident: str
    title: str
    tlp: str
    opened: int
    changed: int
    """Time of the newest entry, by its author's claim."""
    lead: PartnerId | None = None
    members: tuple[ToldMember, ...] = ()
    status: str = "new"
    determination: str | None = None
    determination_text: str = ""
    criticality: int | None = None
    types: tuple[str, ...] = ()
    closed: bool = False
    closing_text: str = ""
    late: int = 0
    after: int = 0
    withheld: int = 0
    """Entries whose text is not in here: sealed, redacted, or not held."""
    notes: tuple[ToldNote, ...] = ()
    events: tuple[ToldEvent, ...] = ()
    impacts: tuple[ToldImpact, ...] = ()
    objects: tuple[ToldObject, ...] = ()
    tasks: tuple[ToldTask, ...] = ()
    lessons: tuple[ToldLesson, ...] = ()
    duties: tuple[ToldDuty, ...] = ()
    statuses: tuple[ToldStatus, ...] = ()
    questions: tuple[ToldQuestion, ...] = ()
    recurrences: tuple[ToldRecurrence, ...] = ()

    def name_of(self, member: PartnerId | None) -> str:
        """Returns the name that a member has here, else the beginning of its id; "" for nobody."""
        if member is None:
            return ""
        return next((one.name for one in self.members if one.partner_id == member and one.name), member.short)


STATED_PARTS = ("notes", "events", "impacts", "objects", "tasks", "lessons", "recurrences")
"""Parts that another organisation can state anew under its own name."""
_OF_ONE_INCIDENT = frozenset({"id", "author", "created", "tlp", "owner", "in_conflict", "disputed"})


def what_is_said(record: IncidentRecord) -> dict[str, Any]:
    """Returns what a record says whoever says it: equal for an incident and for one that its export was read into."""
    said: dict[str, Any] = {
        "title": record.title,
        "determination": record.determination or "suspected",
        "criticality": record.criticality,
        "types": record.types,
        "closed": record.closed,
    }
    for part in STATED_PARTS:
        said[part] = [
            {key: value for key, value in msgspec.structs.asdict(one).items() if key not in _OF_ONE_INCIDENT}
            for one in getattr(record, part)
        ]
    return said
