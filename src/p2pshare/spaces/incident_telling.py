"""Telling an incident: from its fold to the record that exports read, and to what `incident show` prints (docs/incidents.md, "Showing").

Pure: who is called how, what was read by whom and how the duties stand is handed in. Sealed texts are told where their body is held
and the caller wants them, since only who is in the audience holds it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, TypeVar

from p2pshare.errors import PeerError
from p2pshare.identifiers import PartnerId
from p2pshare.intel.duty_templates import DutyStanding, DutyTemplate, duty_of
from p2pshare.intel.incident_record import (
    IncidentRecord,
    ToldAnswer,
    ToldDuty,
    ToldEvent,
    ToldImpact,
    ToldLesson,
    ToldMember,
    ToldNote,
    ToldObject,
    ToldQuestion,
    ToldRecurrence,
    ToldStatus,
    ToldTask,
)
from p2pshare.intel.instants import SECOND_US, format_instant
from p2pshare.intel.marking import Tlp
from p2pshare.spaces.entry_fields import TIME_MAX
from p2pshare.spaces.fold import SpaceState
from p2pshare.spaces.incident import CONTENT_KINDS, IncidentFold
from p2pshare.spaces.incident_entries import (
    READERS,
    DutyStatement,
    IncidentAnswer,
    IncidentBody,
    IncidentClosing,
    IncidentDetermination,
    IncidentDuplicate,
    IncidentEvent,
    IncidentImpact,
    IncidentLesson,
    IncidentObject,
    IncidentOpinion,
    IncidentQuestion,
    IncidentRecurrence,
    IncidentTask,
    OwnStatus,
    TaskAssignment,
    TaskClaim,
    TaskOutcome,
)
from p2pshare.spaces.parts import CONTENT_MISSING
from p2pshare.spaces.vertex import Vertex, by_order

ATTACHMENT = "artifact"
"""The type (a word of STIX) of an object whose value is the SHA-256 of a file that travels in parts; its text is the file's name."""

CLOCK_BADGE_SECONDS = (
    300  # an entry that says it was written so long before a parent of it: two clocks differ
)

CalledNames = Mapping[PartnerId, str]
B = TypeVar("B", bound=IncidentBody)

_LABELS = {int(level): level.label for level in Tlp}
_WITHOUT_BODY: Mapping[str, str] = {
    "join": "joined",
    "decline": "declined",
    "leave": "left",
    "accept": "took the lead over",
    "takeover": "proposes to take the lead",
    "ack": "votes for a takeover",
    "handover": "offers the lead",
    "invite": "invites",
    "remove": "removes members",
    "rekey": "changed a stolen key",
    "redact": "redacted an entry",
    "merge": "brought branches together",
    "part": "a part of something larger",
}


class Telling:
    """An incident as one node tells it. `state` is of kind `incident`; `is_sealed_told`: texts for a few are told as well;
    `missing`: the SHA-256 of attachments of which parts are not held."""

    def __init__(
        self,
        state: SpaceState,
        names: CalledNames,
        *,
        is_sealed_told: bool = False,
        missing: Collection[str] = (),
    ) -> None:
        assert isinstance(state.kind, IncidentFold)
        self._state = state
        self._fold: IncidentFold = state.kind
        self._names = names
        self._is_sealed_told = is_sealed_told
        self._missing = missing

    # --- the record --------------------------------------------------------------------------------

    def record(self) -> IncidentRecord:
        """Returns the incident as exports have it."""
        state, fold = self._state, self._fold
        opening = state.opening
        held = fold.determination()
        closes = fold.closes
        withheld = sum(
            self.text_of(vertex) is None for kind in CONTENT_KINDS for vertex in fold.by_kind[kind]
        )
        return IncidentRecord(
            incident=opening.entry_id.text,
            title=state.act.title,
            tlp=_LABELS[opening.header.tlp],
            opened=_bounded(opening.header.created),
            changed=max(_bounded(vertex.header.created) for vertex in state.timeline),
            lead=state.lead,
            members=tuple(
                ToldMember(member, self._names.get(member, ""), status)
                for member, status in sorted(state.members.items())
            ),
            status=fold.status,
            determination=held.determination.determination if held else None,
            determination_text=held.determination.text if held else "",
            criticality=_first(held.determination.criticality) if held else None,
            types=held.determination.types if held else (),
            closed=fold.is_closed,
            closing_text=self._closing_text(closes[-1]) if closes else "",
            late=len(fold.late),
            after=len(fold.after),
            withheld=withheld,
            notes=tuple(self._notes()),
            events=tuple(self._events()),
            impacts=tuple(self._impacts()),
            objects=tuple(self._objects()),
            tasks=tuple(self._tasks()),
            lessons=tuple(self._lessons()),
            duties=tuple(self.stated_duties()),
            statuses=tuple(
                ToldStatus(status=said.status, text=said.text, **_told(vertex))
                for _, (vertex, said) in sorted(fold.own_statuses().items())
            ),
            questions=tuple(self._questions()),
            recurrences=tuple(self._recurrences()),
        )

    def _closing_text(self, vertex: Vertex) -> str:
        said = self._body(vertex, IncidentClosing)
        return said.text if said is not None else ""

    def _body(self, vertex: Vertex, body: type[B]) -> B | None:
        """Returns what an entry says, where it may be told here."""
        said = self._raw(vertex)
        return said if isinstance(said, body) else None

    def _raw(self, vertex: Vertex) -> object | None:
        if vertex.content is None or self._fold.is_redacted(vertex):
            return None
        if vertex.header.audience and not self._is_sealed_told:
            return None
        try:
            return READERS[vertex.kind](vertex.content)
        except Exception:  # noqa: BLE001 - a sealed body was judged by nobody: whatever it is, it is no text to tell
            return None

    def _bodies(self, kind: str, body: type[B]) -> Iterable[tuple[Vertex, B]]:
        for vertex in self._fold.by_kind[kind]:
            said = self._body(vertex, body)
            if said is not None:
                yield vertex, said

    def _notes(self) -> Iterable[ToldNote]:
        for vertex in self._fold.by_kind["note"]:
            said = self._raw(vertex)
            if isinstance(said, str):
                yield ToldNote(text=said, **_told(vertex))

    def _events(self) -> Iterable[ToldEvent]:
        for vertex, said in self._bodies("event", IncidentEvent):
            yield ToldEvent(
                status=said.status,
                start=said.start or None,
                start_fidelity=said.start_fidelity,
                end=said.end or None,
                end_fidelity=said.end_fidelity,
                types=said.types,
                text=said.text,
                **_told(vertex),
            )

    def _impacts(self) -> Iterable[ToldImpact]:
        for vertex, said in self._bodies("impact", IncidentImpact):
            yield ToldImpact(
                category=said.category,
                details=said.details,
                start=said.start or None,
                end=said.end or None,
                criticality=_first(said.criticality),
                recoverability=said.recoverability,
                counts=said.counts,
                text=said.text,
                **_told(vertex),
            )

    def _objects(self) -> Iterable[ToldObject]:
        for vertex, said in self._bodies("object", IncidentObject):
            yield ToldObject(
                type=said.type, value=said.value, text=said.text, stix=said.stix, **_told(vertex)
            )

    def _tasks(self) -> Iterable[ToldTask]:
        for held in self._fold.tasks():
            yield ToldTask(
                title=held.task.title,
                text=held.task.text,
                due=held.task.due or None,
                types=held.task.types,
                owner=held.owner,
                outcome=held.outcome,
                in_conflict=held.in_conflict,
                disputed=held.disputed,
                **_told(held.vertex),
            )

    def _lessons(self) -> Iterable[ToldLesson]:
        for held in self._fold.lessons():
            lesson = held.lesson
            yield ToldLesson(
                text=lesson.text,
                owner=lesson.owner[0] if lesson.owner else None,
                due=lesson.due or None,
                link=lesson.link,
                status=lesson.status,
                **_told(held.vertex),
            )

    def stated_duties(self) -> Iterable[ToldDuty]:
        """Yields what organisations stated for their duties."""
        for vertex, said in self._fold.duty_statements():
            yield ToldDuty(
                event=said.event,
                stage=said.stage,
                template=said.template,
                at=said.at,
                zone=said.zone,
                text=said.text,
                **_told(vertex),
            )

    def _questions(self) -> Iterable[ToldQuestion]:
        for vertex, said in self._bodies("ask", IncidentQuestion):
            answers = ((answer, self._body(answer, IncidentAnswer)) for answer in self._fold.answers(vertex))
            yield ToldQuestion(
                text=said.text,
                answers=tuple(
                    ToldAnswer(text=told.text, **_told(answer))
                    for answer, told in answers
                    if told is not None
                ),
                **_told(vertex),
            )

    def _recurrences(self) -> Iterable[ToldRecurrence]:
        """Yields each value once a day, as it was first told: several members may see the same."""
        seen: set[tuple[str, str, int]] = set()
        for vertex, said in self._bodies("recurrence", IncidentRecurrence):
            if (key := (said.type, said.value, said.day)) not in seen:
                seen.add(key)
                yield ToldRecurrence(
                    type=said.type, value=said.value, day=said.day, text=said.text, **_told(vertex)
                )

    # --- show --------------------------------------------------------------------------------------

    def shown(
        self,
        duties: Iterable[Mapping[str, Any]] = (),
        *,
        introduced_by: Mapping[PartnerId, str] | None = None,
        seen_up_to: Mapping[PartnerId, Mapping[str, int]] | None = None,
        is_by_graph: bool = False,
    ) -> dict[str, Any]:
        """Returns what `incident show --json` prints. `is_by_graph`: the time line in the order of the graph, not of stated times."""
        state, fold, record = self._state, self._fold, self.record()
        introduced, seen = introduced_by or {}, seen_up_to or {}
        entries = [vertex for vertex in state.timeline if vertex.kind != "merge"]
        if not is_by_graph:
            entries.sort(key=self._at)
        return {
            "incident": record.incident,
            "title": record.title,
            "tlp": record.tlp,
            "status": record.status,
            "determination": record.determination,
            "criticality": record.criticality,
            "types": [*record.types],
            "lead": None if state.lead is None else state.lead.text,
            "members": [
                {
                    "name": one.name or None,
                    "partner_id": one.partner_id.text,
                    "status": one.status,
                    "own_status": next(
                        (said.status for said in record.statuses if said.author == one.partner_id), None
                    ),
                    "introduced_by": introduced.get(one.partner_id),
                    "seen_up_to": dict(seen[one.partner_id]) if one.partner_id in seen else None,
                }
                for one in record.members
            ],
            "timeline": [self._listed(vertex) for vertex in entries],
            "tasks": [
                {
                    "task": held.vertex.entry_id.text,
                    "title": held.task.title,
                    "text": held.task.text,
                    "owner": None if held.owner is None else held.owner.text,
                    "claims": [
                        {"entry": one.entry_id.text, "author": one.author.text, "stands": stands}
                        for one, stands in held.claims
                    ],
                    "outcome": held.outcome,
                    "outcomes": [
                        {"entry": one.entry_id.text, "author": one.author.text, "outcome": said.outcome}
                        for one, said in held.outcomes
                    ],
                    "due": _instant(held.task.due),
                    "conflict": held.in_conflict,
                    "disputed": held.disputed,
                }
                for held in fold.tasks()
            ],
            "observables": [
                {"entry": one.id, "type": one.type, "value": one.value, "text": one.text}
                for one in record.objects
            ],
            "impacts": [
                {
                    "entry": one.id,
                    "category": one.category,
                    "details": dict(one.details),
                    "counts": dict(one.counts),
                    "start": _instant(one.start),
                    "end": _instant(one.end),
                    "criticality": one.criticality,
                    "recoverability": one.recoverability or None,
                    "text": one.text,
                }
                for one in record.impacts
            ],
            "lessons": [
                {
                    "lesson": one.id,
                    "text": one.text,
                    "owner": None if one.owner is None else one.owner.text,
                    "due": _instant(one.due),
                    "link": one.link or None,
                    "status": one.status,
                }
                for one in record.lessons
            ],
            "questions": [
                {
                    "entry": one.id,
                    "author": None if one.author is None else one.author.text,
                    "text": one.text,
                    "answers": [
                        {
                            "entry": answer.id,
                            "author": answer.author.text if answer.author else None,
                            "text": answer.text,
                        }
                        for answer in one.answers
                    ],
                }
                for one in record.questions
            ],
            "recurrences": [
                {"entry": one.id, "type": one.type, "value": one.value, "day": _instant(one.day)}
                for one in record.recurrences
            ],
            "duties": [dict(duty) for duty in duties],
            "late": [vertex.entry_id.text for vertex in fold.late],
            "after": [vertex.entry_id.text for vertex in fold.after],
            "contested": state.lead is None,
            "heads": sorted(vertex.entry_id.text for vertex in state.heads),
        }

    def _listed(self, vertex: Vertex) -> dict[str, Any]:
        created = vertex.header.created
        return {
            "entry": vertex.entry_id.text,
            "kind": vertex.kind,
            "author": vertex.author.text,
            "at": _instant(self.stated_at(vertex)) or _instant(created),
            "claimed_at": _instant(created),
            "text": self.text_of(vertex),
            "badges": self.badges(vertex),
        }

    def stated_at(self, vertex: Vertex) -> int:
        """Returns the time that an entry states for what it tells; 0 where it states none."""
        if vertex.kind == "event" and (event := self._body(vertex, IncidentEvent)) is not None:
            return event.start or event.end
        if vertex.kind == "impact" and (impact := self._body(vertex, IncidentImpact)) is not None:
            return impact.start or impact.end
        return 0

    def _at(self, vertex: Vertex) -> tuple[int, tuple[int, bytes]]:
        """The order of the time line: by stated begin; what states none stands where its author says that it wrote it."""
        return self.stated_at(vertex) or vertex.header.created, by_order(vertex)

    def badges(self, vertex: Vertex) -> list[str]:
        """Returns words on what is unusual about an entry."""
        found = []
        if (side := self._fold.side_of(vertex)) and vertex.kind in self._fold.by_kind:
            found.append("after-close" if side == "after" else "late")
        if vertex.header.audience:
            found.append("sealed")
        if self._fold.is_redacted(vertex):
            found.append("redacted")
        elif (vertex.content is None and not vertex.header.audience) or (
            vertex.kind == "object" and self._is_attachment_missing(vertex)
        ):
            found.append(CONTENT_MISSING)
        if any(
            vertex.header.created + CLOCK_BADGE_SECONDS < parent.header.created for parent in vertex.parents
        ):
            found.append("clock")
        said = self._raw(vertex) if vertex.kind in ("event", "impact") else None
        if isinstance(said, IncidentEvent | IncidentImpact) and said.start and 0 < said.end < said.start:
            found.append("ends-before-start")
        if self._state.members.get(vertex.author) in ("removed", "left", "forked"):
            found.append(f"author-{self._state.members[vertex.author]}")
        return found

    def _is_attachment_missing(self, vertex: Vertex) -> bool:
        held = readable_object(vertex, self._fold)
        return held is not None and held.type == ATTACHMENT and held.value in self._missing

    def text_of(self, vertex: Vertex) -> str | None:
        """Returns an entry as one text; None where it may not be told."""
        if vertex.kind == "open":
            return f"opened: {self._state.act.title}"
        if vertex.kind in _WITHOUT_BODY:
            return _WITHOUT_BODY[vertex.kind]
        if vertex.kind not in READERS:
            return None
        said = self._raw(vertex)
        return None if said is None else self._in_words(vertex, said)

    def _in_words(self, vertex: Vertex, said: object) -> str:
        match said:
            case str():
                return said
            case IncidentEvent():
                return _line(said.status, ", ".join(said.types), said.text)
            case IncidentImpact():
                details = ", ".join(f"{key} {value}" for key, value in said.details)
                return _line(f"impact on {said.category}", details, said.text)
            case IncidentObject():
                return _line(f"{said.type} {said.value}", said.text)
            case IncidentOpinion():
                return _line(said.opinion, said.determination, said.text)
            case IncidentQuestion():
                asked = ", ".join(self._called(member) for member in said.to)
                return _line(f"asks {asked or 'everybody'}", said.text)
            case IncidentAnswer():
                return _line("answers", said.text)
            case IncidentRecurrence():
                return _line(f"seen again: {said.type} {said.value}", said.text)
            case IncidentTask():
                return _line(f"task: {said.title}", said.text)
            case TaskClaim():
                return f"{'claims' if vertex.kind == 'claim' else 'releases'} task {said.task.short}"
            case TaskAssignment():
                given = ", ".join(self._called(member) for member in said.to) or "nobody"
                return f"gives task {said.task.short} to {given}"
            case TaskOutcome():
                return _line(f"task {said.task.short}: {said.outcome}", said.text)
            case OwnStatus():
                return _line(f"own status: {said.status}", said.text)
            case IncidentDetermination():
                scale = f"criticality {said.criticality[0]}" if said.criticality else ""
                return _line(f"determination: {said.determination}", scale, ", ".join(said.types), said.text)
            case DutyStatement():
                stage = f":{said.stage}" if said.stage else ""
                return _line(f"{said.template}: {said.event}{stage} at {_instant(said.at)}", said.text)
            case IncidentLesson():
                return _line(f"lesson ({said.status})", said.text)
            case IncidentClosing():
                return _line("closed" if vertex.kind == "close" else "reopened", said.text)
            case IncidentDuplicate():
                return _line(f"the same as {said.space.short}", said.text)
            case _:
                return ""

    def _called(self, member: PartnerId) -> str:
        return self._names.get(member) or member.short


def readable_object(vertex: Vertex, fold: IncidentFold) -> IncidentObject | None:
    """Returns what an entry `object` says, also one that is sealed for us; None where that may not be read, or reads as nothing."""
    if vertex.content is None or fold.is_redacted(vertex):
        return None
    try:
        said = READERS["object"](vertex.content)
    except PeerError:
        return None
    return said if isinstance(said, IncidentObject) else None


def duties_shown(
    stated: Iterable[ToldDuty], templates: Mapping[str, DutyTemplate], now: int, holidays: Iterable[str] = ()
) -> list[dict[str, Any]]:
    """Returns how the duties of each organisation stand that stated an event under a template, as `incident show` has them.

    A template that is not known here has no duties: its statements stay in the time line.
    """
    by_owner: dict[tuple[PartnerId, str], list[ToldDuty]] = {}
    for duty in stated:
        if duty.author is not None:
            by_owner.setdefault((duty.author, duty.template), []).append(duty)
    shown = []
    for (author, name), own in sorted(by_owner.items()):
        template = templates.get(name)
        if template is None:
            continue
        by_event = {f"{one.event}:{one.stage}" if one.stage else one.event: one for one in own}
        events = {event: one.at for event, one in by_event.items()}
        for rule in template.duties:
            begin = by_event.get(rule.event)
            zone = "UTC" if begin is None else begin.zone  # of the statement from which it runs
            standing = duty_of(name, rule, events, zone, now, frozenset(holidays))
            shown.append(
                {
                    "organisation": author.text,
                    **_standing(standing),
                    "zone": None if begin is None else zone,
                }
            )
    return shown


def _standing(one: DutyStanding) -> dict[str, Any]:
    return {
        "duty": one.duty,
        "template": one.template,
        "stage": one.stage,
        "from": one.event,
        "from_at": _instant(one.runs_from),
        "due": _instant(one.due),
        "state": one.state,
        "submitted_at": _instant(one.submitted_at),
        "note": one.note or None,
    }


def _told(vertex: Vertex) -> dict[str, Any]:
    header = vertex.header
    return {
        "id": vertex.entry_id.text,
        "author": vertex.author,
        "created": _bounded(header.created),
        "tlp": _LABELS[header.tlp],
    }


def _bounded(at: int) -> int:
    """Returns a time as RFC 3339 can write it: what an author claims may be any number."""
    return min(at, TIME_MAX)


def _instant(at: int | None) -> str | None:
    return format_instant(_bounded(at) * SECOND_US) if at else None


def _line(*parts: str) -> str:
    return "; ".join(part for part in parts if part)


def _first(values: tuple[int, ...]) -> int | None:
    return values[0] if values else None
