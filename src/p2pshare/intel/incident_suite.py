"""The STIX incident suite: an incident as a STIX bundle, and back (docs/incidents.md, "STIX").

The suite is a draft of the STIX common objects, "Incident Core Extension Version 2.0 for STIX 2.1": the property extension of `incident`,
and the object types `event`, `impact` and `task`. Its prose and its schemas disagree, and STIX 2.2 takes its words into the core. All
three are read: `events` or `event_refs`, `tasks` or `task_refs`, an impact's extension under its category with or without `-ext`,
`economic` for `monetary`, counts as a dictionary or as a list, and each property in an extension or on the object. Written
is what the prose says, with words that all know, and extension names that end as STIX 2.1 wants them to. What STIX has no
property for stands in an extension of ours.

Nothing is dropped in silence: each object is taken, or counted under a reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import uuid5

import msgspec

from p2pshare.errors import AuthorError
from p2pshare.identifiers import PartnerId
from p2pshare.intel.authoring import NAMESPACE, identity_id, identity_object, named_id, pattern_of
from p2pshare.intel.display import escaped_json
from p2pshare.intel.incident_record import (
    IncidentRecord,
    Told,
    ToldEvent,
    ToldImpact,
    ToldLesson,
    ToldNote,
    ToldObject,
    ToldRecurrence,
    ToldTask,
)
from p2pshare.intel.incident_words import (
    DETERMINATION_ALSO,
    DETERMINATIONS,
    ENUMERATED_DETAILS,
    EVENT_STATUSES,
    FIDELITIES,
    IMPACT_ALSO,
    IMPACT_DETAILS,
    LESSON_STATUSES,
    NUMBER_DETAILS,
    RECOVERABILITIES,
    TASK_OUTCOMES,
    as_word,
)
from p2pshare.intel.instants import SECOND_US, format_instant, parse_instant
from p2pshare.intel.marking import TLP2_IDS, Tlp
from p2pshare.intel.observable import InvalidValue, Observable, canonical
from p2pshare.intel.pattern import comparisons_of
from p2pshare.intel.refusals import Refusals

INCIDENT_CORE = "extension-definition--ef765651-680c-498d-9894-99799f2fa126"
EVENT_CORE = "extension-definition--4ca6de00-5b0d-45ef-a1dc-ea7279ea910e"
TASK_CORE = "extension-definition--2074a052-8be4-4932-849e-f5e7798e0030"
IMPACT_CORE = "extension-definition--7cc33dd6-f6a1-489b-98ea-522d351d71b9"
OWN_EXTENSION = f"extension-definition--{uuid5(NAMESPACE, 'extension:incident')}"
"""Of ours: what STIX has no property for."""

TYPES_MAX = 16  # read of one list of words: an entry holds so many
COUNTS_MAX = 32  # read of one impact's counts: the same
DETAIL_CHARACTERS_MAX = 256
TITLE_CHARACTERS_MAX = 256
TIME_MAX = 253_402_300_799  # unix seconds: the end of the year 9999

Stix = dict[str, Any]


# --- out -----------------------------------------------------------------------------------------------


def incident_bundle(record: IncidentRecord) -> bytes:
    """Returns an incident as a STIX 2.1 bundle. What is not in the record (sealed, redacted) is not in the bundle."""
    objects: list[Stix] = [*_identities(record)]
    incident = _common(record, "incident", record.incident, None, record.opened, record.tlp)
    incident["modified"] = _version(max(record.changed, record.opened))
    incident["name"] = record.title
    events = [_event(record, one) for one in record.events]
    impacts = [_impact(record, one) for one in record.impacts]
    tasks = [_task(record, one) for one in record.tasks]
    core: Stix = {
        "extension_type": "property-extension",
        "determination": record.determination or "suspected",
        "investigation_status": record.status,
    }
    if record.criticality is not None:
        core["criticality"] = record.criticality
    if record.types:
        core["incident_types"] = [*record.types]
    if events:
        core["events"] = [{"event_ref": one["id"]} for one in events]
    if impacts:
        core["impact_refs"] = [one["id"] for one in impacts]
    if tasks:
        core["tasks"] = [{"task_ref": one["id"]} for one in tasks]
    own: Stix = {"extension_type": "property-extension", "space": record.incident}
    own |= _statements(record)
    incident["extensions"] = {INCIDENT_CORE: core, OWN_EXTENSION: own}
    objects.append(incident)
    objects += [*events, *impacts, *tasks]
    objects += [_note(record, one, incident["id"]) for one in record.notes]
    objects += [_lesson(record, one, incident["id"]) for one in record.lessons]
    objects += [_recurrence(record, one, incident["id"]) for one in record.recurrences]
    objects += _owners(record, tasks)
    objects += _indicators(record, own)
    unique = {one["id"]: one for one in objects}
    bundle = {
        "type": "bundle",
        "id": f"bundle--{named_id(f'incident-export:{record.incident}:{record.changed}')}",
        "objects": [*unique.values()],
    }
    return escaped_json(msgspec.json.encode(bundle))


def _identities(record: IncidentRecord) -> Iterable[Stix]:
    tlp = Tlp.parse(record.tlp)
    for member in record.members:
        name = member.name or member.partner_id.text
        stix = msgspec.json.decode(identity_object(member.partner_id, name, created=record.opened, tlp=tlp))
        yield stix | {"created": _version(record.opened), "modified": _version(record.opened)}


def _version(at: int) -> str:
    """Returns an instant of `created` or `modified`, which STIX 2.1 section 3.2 wants to the millisecond."""
    return (format_instant(at * SECOND_US) or "").replace("Z", ".000Z")


def _common(
    record: IncidentRecord, type_: str, name: str, author: PartnerId | None, created: int, tlp: str
) -> Stix:
    """Returns the common properties of an object; its id follows from the entry's."""
    at = _version(created)
    common: Stix = {
        "type": type_,
        "spec_version": "2.1",
        "id": f"{type_}--{named_id(f'incident-{type_}:{name}')}",
        "created": at,
        "modified": at,
        "object_marking_refs": [TLP2_IDS[Tlp.parse(tlp or record.tlp)]],
    }
    author = author or record.lead
    if author is not None:
        common["created_by_ref"] = identity_id(author)
    return common


def _of(record: IncidentRecord, type_: str, told: Told) -> Stix:
    return _common(record, type_, told.id, told.author, told.created, told.tlp)


def _put_time(stix: Stix, key: str, at: int | None, fidelity: str = "") -> None:
    if at is not None:
        stix[key] = format_instant(at * SECOND_US)
        if fidelity:
            stix[f"{key}_fidelity"] = fidelity


def _put_span(stix: Stix, start: int | None, end: int | None, start_fidelity: str, end_fidelity: str) -> Stix:
    """Put in a begin and an end. STIX lets no end stand that is not later: ours keeps it, and it is returned."""
    _put_time(stix, "start_time", start, start_fidelity)
    if start is not None and end is not None and end <= start:
        return {"end": end, "end_fidelity": end_fidelity}
    _put_time(stix, "end_time", end, end_fidelity)
    return {}


def _extended(stix: Stix, core: str, own: Stix) -> Stix:
    stix["extensions"] = {core: {"extension_type": "new-sdo"}}
    if own:
        stix["extensions"][OWN_EXTENSION] = {"extension_type": "property-extension", **own}
    return stix


def _event(record: IncidentRecord, event: ToldEvent) -> Stix:
    stix = _of(record, "event", event)
    stix["status"] = event.status
    own = _put_span(stix, event.start, event.end, event.start_fidelity, event.end_fidelity)
    if event.types:
        stix["event_types"] = [*event.types]
    if event.text:
        stix["description"] = event.text
    return _extended(stix, EVENT_CORE, own)


def _impact(record: IncidentRecord, impact: ToldImpact) -> Stix:
    stix = _of(record, "impact", impact)
    stix["impact_category"] = impact.category
    own = _put_span(stix, impact.start, impact.end, "", "")
    if impact.criticality is not None:
        stix["criticality"] = impact.criticality
    if impact.recoverability:
        stix["recoverability"] = impact.recoverability
    if impact.counts:
        stix["impacted_entity_counts"] = dict(impact.counts)
    if impact.text:
        stix["description"] = impact.text
    _extended(stix, IMPACT_CORE, own)
    stix["extensions"][f"{impact.category}-ext"] = {
        key: _number(value) if key in NUMBER_DETAILS else value for key, value in impact.details
    }
    return stix


def _number(text: str) -> int | float | str:
    """Returns a decimal text as a number where that is written back the same way; else the text."""
    for kind in (int, float):
        try:
            number = kind(text)
        except ValueError:
            continue
        if str(number) == text and number not in (float("inf"), float("-inf")):
            return number
    return text


def _task(record: IncidentRecord, task: ToldTask) -> Stix:
    stix = _of(record, "task", task)
    stix["name"] = task.title
    stix["outcome"] = task.outcome
    if task.text:
        stix["description"] = task.text
    if task.types:
        stix["task_types"] = [*task.types]
    return _extended(stix, TASK_CORE, {} if task.due is None else {"due": task.due})


def _note(record: IncidentRecord, note: ToldNote, incident_id: str) -> Stix:
    return _of(record, "note", note) | {"content": note.text, "object_refs": [incident_id]}


def _lesson(record: IncidentRecord, lesson: ToldLesson, incident_id: str) -> Stix:
    own: Stix = {
        "extension_type": "property-extension",
        "kind": "lesson",
        "status": lesson.status,
        "link": lesson.link,
    }
    if lesson.due is not None:
        own["due"] = lesson.due
    if lesson.owner is not None:
        own["owner_ref"] = identity_id(lesson.owner)
    stix = _of(record, "note", lesson) | {"content": lesson.text, "object_refs": [incident_id]}
    return stix | {"abstract": "lesson", "extensions": {OWN_EXTENSION: own}}


def _recurrence(record: IncidentRecord, seen: ToldRecurrence, incident_id: str) -> Stix:
    own = {
        "extension_type": "property-extension",
        "kind": "recurrence",
        "observable_type": seen.type,
        "value": seen.value,
        "day": seen.day,
        "text": seen.text,
    }
    content = f"seen again: {seen.type} {seen.value}"
    stix = _of(record, "note", seen) | {"content": content, "object_refs": [incident_id]}
    return stix | {"abstract": "recurrence", "extensions": {OWN_EXTENSION: own}}


def _owners(record: IncidentRecord, tasks: list[Stix]) -> Iterable[Stix]:
    for task, stix in zip(record.tasks, tasks, strict=True):
        if task.owner is not None:
            relation = _common(record, "relationship", f"owner:{task.id}", None, record.changed, task.tlp)
            relation["relationship_type"] = "assigned"
            relation["source_ref"], relation["target_ref"] = identity_id(task.owner), stix["id"]
            yield relation


def _indicators(record: IncidentRecord, own: Stix) -> Iterable[Stix]:
    """Yields the object of each value, an indicator where its author wrote none, and notes in `own` which is whose."""
    named: list[Stix] = []
    for one in record.objects:
        stix = _written(one) or _indicator(record, one)
        listed: Stix = {"type": one.type, "value": one.value, "text": one.text}
        if one.stix:
            listed["is_verbatim"] = True
        if stix is not None:
            listed["object_ref"] = stix["id"]
            yield stix
        named.append(listed)
    if named:
        own["objects"] = named


def _written(told: ToldObject) -> Stix | None:
    if not told.stix:
        return None
    try:
        stix = msgspec.json.decode(told.stix)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return stix if isinstance(stix, dict) and isinstance(stix.get("id"), str) else None


def _indicator(record: IncidentRecord, told: ToldObject) -> Stix | None:
    try:
        pattern = pattern_of(Observable(told.type, told.value))
    except AuthorError:
        return None
    stix = _of(record, "indicator", told)
    stix |= {"pattern": pattern, "pattern_type": "stix", "valid_from": stix["created"]}
    if told.text:
        stix["description"] = told.text
    return stix


def _statements(record: IncidentRecord) -> Stix:
    """Returns what members said for themselves, which nobody can state anew for them."""
    found: Stix = {
        "own_status": [
            {"by_ref": identity_id(one.author), "status": one.status, "text": one.text}
            for one in record.statuses
            if one.author is not None
        ],
        "duties": [
            {
                "by_ref": identity_id(one.author),
                "template": one.template,
                "event": one.event,
                "stage": one.stage,
                "at": format_instant(one.at * SECOND_US),
                "zone": one.zone,
            }
            for one in record.duties
            if one.author is not None
        ],
        "questions": [
            {"text": one.text, "answers": [answer.text for answer in one.answers]} for one in record.questions
        ],
    }
    return {key: value for key, value in found.items() if value}


# --- in ------------------------------------------------------------------------------------------------


class SuiteReading(msgspec.Struct):
    """What was read of a bundle. `record` has no members and no authors: what is read is stated anew, by who reads it. `taken` counts
    objects that it is made of, `refusals` those that it is not, by reason; `notes` what was changed or left out inside one that was taken."""

    record: IncidentRecord
    taken: int
    refusals: Refusals
    notes: Refusals


COMPANIONS = frozenset({"identity", "marking-definition", "extension-definition", "relationship"})
"""Objects that say who, how marked and what belongs together: what they say is in others, or not stated anew."""


def read_incident(objects: Iterable[Mapping[str, Any]]) -> SuiteReading:
    """Returns the first incident of checked STIX objects, with what belongs to it. Raises AuthorError `no-incident`."""
    parts = _Parts()
    everything = list(objects)
    incidents = [one for one in everything if one.get("type") == "incident"]
    if not incidents:
        raise AuthorError(
            "there is no incident in this file",
            hint="`publish` takes indicators; `incident import` needs a STIX object of type incident",
            reason="no-incident",
        )
    incident = incidents[0]
    core, own = _properties(incident, INCIDENT_CORE), _own(incident)
    named = {
        one["object_ref"] for one in _dicts(own.get("objects")) if isinstance(one.get("object_ref"), str)
    }
    for other in incidents[1:]:
        parts.refusals.add("other-incident", _id(other))
    ranks = {id_: rank for rank, id_ in enumerate(_order_of(core))}
    everything.sort(key=lambda one: ranks.get(_id(one), len(ranks)))  # stable: else in the order of the file
    for one in everything:
        if one is not incident and one.get("type") != "incident" and _id(one) not in named:
            parts.take(one)
    parts.take_objects(own, {_id(one): one for one in everything})
    determination = str(core.get("determination", "suspected"))
    determination = DETERMINATION_ALSO.get(determination, determination)
    if determination not in DETERMINATIONS:
        parts.notes.add("unknown-word", f"determination {determination}")
        determination = "suspected"
    record = IncidentRecord(
        incident="",
        title=parts.clipped(str(incident.get("name") or "incident"), TITLE_CHARACTERS_MAX, "name"),
        tlp="",
        opened=_instant(incident.get("created")) or 0,
        changed=_instant(incident.get("modified")) or 0,
        status=str(core.get("investigation_status", "new")),
        determination=determination,
        determination_text=str(incident.get("description") or ""),
        criticality=parts.scale(core.get("criticality")),
        types=parts.words(core.get("incident_types")),
        closed=core.get("investigation_status") == "closed",
        notes=tuple(parts.told_notes),
        events=tuple(parts.events),
        impacts=tuple(parts.impacts),
        objects=tuple(parts.objects),
        tasks=tuple(parts.tasks),
        lessons=tuple(parts.lessons),
        recurrences=tuple(parts.recurrences),
    )
    return SuiteReading(record, parts.taken + 1, parts.refusals, parts.notes)


def _order_of(core: Mapping[str, Any]) -> Iterable[str]:
    """Yields the ids of what belongs to an incident, in its order: either half of the draft."""
    for lists, ref in (("events", "event_ref"), ("tasks", "task_ref")):
        for one in _dicts(core.get(lists)):
            if isinstance(one.get(ref), str):
                yield one[ref]
    for refs in ("event_refs", "task_refs", "impact_refs"):
        yield from (one for one in _list(core.get(refs)) if isinstance(one, str))


class _Parts:
    """The parts of one incident, as they are read."""

    def __init__(self) -> None:
        self.told_notes: list[ToldNote] = []
        self.events: list[ToldEvent] = []
        self.impacts: list[ToldImpact] = []
        self.objects: list[ToldObject] = []
        self.tasks: list[ToldTask] = []
        self.lessons: list[ToldLesson] = []
        self.recurrences: list[ToldRecurrence] = []
        self.taken = 0
        self.refusals = Refusals()
        self.notes = Refusals()

    def take(self, stix: Mapping[str, Any]) -> None:
        match stix.get("type"):
            case "event":
                self._event(stix)
            case "impact":
                self._impact(stix)
            case "task":
                self._task(stix)
            case "note":
                self._note(stix)
            case "indicator":
                self._indicator(stix)
            case type_ if type_ in COMPANIONS:
                self.taken += 1
            case type_:
                self.refusals.add("not-of-incidents", f"{type_} {_id(stix)}")

    def _event(self, stix: Mapping[str, Any]) -> None:
        said, own = _properties(stix, EVENT_CORE), _own(stix)
        status = str(said.get("status", "undetermined"))
        if status not in EVENT_STATUSES:
            self.notes.add("unknown-word", f"status {status}")
            status = "undetermined"
        start, end, end_fidelity = self._span(said, own)
        text = _joined(said.get("name"), said.get("description"))
        self.taken += 1
        self.events.append(
            ToldEvent(
                status=status,
                start=start,
                start_fidelity=self._fidelity(said.get("start_time_fidelity")) if start is not None else "",
                end=end,
                end_fidelity=end_fidelity if end is not None else "",
                types=self.words(said.get("event_types")),
                text=text,
            )
        )

    def _span(self, said: Mapping[str, Any], own: Mapping[str, Any]) -> tuple[int | None, int | None, str]:
        start, end = self._time(said.get("start_time")), self._time(said.get("end_time"))
        if end is None and _is_time(own.get("end")):
            return start, own["end"], self._fidelity(own.get("end_fidelity"))
        return start, end, self._fidelity(said.get("end_time_fidelity"))

    def _impact(self, stix: Mapping[str, Any]) -> None:
        said, own = _properties(stix, IMPACT_CORE), _own(stix)
        written = str(said.get("impact_category", "")).removesuffix("-ext")
        category = IMPACT_ALSO.get(written, written)
        if category not in IMPACT_DETAILS:
            self.refusals.add("unknown-impact", f"{written} {_id(stix)}")
            return
        details = self._details(stix, written, category)
        needed, _ = IMPACT_DETAILS[category]
        if needed not in details:
            self.refusals.add("impact-without-detail", f"{needed} {_id(stix)}")
            return
        start, end, _ = self._span(said, own)
        recoverability = str(said.get("recoverability") or "")
        if recoverability not in ("", *RECOVERABILITIES):
            self.notes.add("unknown-word", f"recoverability {recoverability}")
            recoverability = ""
        self.taken += 1
        self.impacts.append(
            ToldImpact(
                category=category,
                details=tuple(sorted(details.items())),
                start=start,
                end=end,
                criticality=self.scale(said.get("criticality")),
                recoverability=recoverability,
                counts=self._counts(said.get("impacted_entity_counts")),
                text=str(said.get("description") or ""),
            )
        )

    def _details(self, stix: Mapping[str, Any], written: str, category: str) -> dict[str, str]:
        """Returns the properties of an impact's category, from whichever extension has them, or from the object."""
        extensions = _dict(stix.get("extensions"))
        found: dict[str, Any] = {}
        for place in (category, f"{category}-ext", written, f"{written}-ext"):
            found |= _dict(extensions.get(place))
        needed, also = IMPACT_DETAILS[category]
        details = {}
        for key in (needed, *also):
            value = found.get(key, stix.get(key))
            if isinstance(value, bool) or not isinstance(value, str | int | float):
                continue
            text = str(value)[:DETAIL_CHARACTERS_MAX]
            if text not in ENUMERATED_DETAILS.get(key, (text,)):
                self.notes.add("unknown-word", f"{key} {text}")
            elif text:
                details[key] = text
        return details

    def _counts(self, value: Any) -> tuple[tuple[str, int], ...]:
        """Returns counts by what is counted: a dictionary in the prose, a list of pairs in the schemas."""
        found: dict[str, int] = {}
        pairs: list[tuple[Any, Any]] = [*value.items()] if isinstance(value, dict) else []
        for one in _dicts(value):
            words = [other for other in one.values() if isinstance(other, str)]
            numbers = [other for other in one.values() if isinstance(other, int) and other is not True]
            if words and numbers:
                pairs.append((words[0], numbers[0]))
        for key, number in pairs:
            word = as_word(str(key))
            if not word or isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < 2**53:
                self.notes.add("bad-count", str(key))
            elif len(found) < COUNTS_MAX:
                found[word] = number
        return tuple(sorted(found.items()))

    def _task(self, stix: Mapping[str, Any]) -> None:
        said, own = _properties(stix, TASK_CORE), _own(stix)
        outcome = str(said.get("outcome", "unknown"))
        if outcome not in TASK_OUTCOMES:
            self.notes.add("unknown-word", f"outcome {outcome}")
            outcome = "unknown"
        title = str(said.get("name") or "") or str(said.get("description") or "task")
        self.taken += 1
        self.tasks.append(
            ToldTask(
                title=self.clipped(title, TITLE_CHARACTERS_MAX, "task"),
                text=str(said.get("description") or ""),
                due=own["due"] if _is_time(own.get("due")) else None,
                types=self.words(said.get("task_types")),
                outcome=outcome,
            )
        )

    def _note(self, stix: Mapping[str, Any]) -> None:
        own, text = _own(stix), str(stix.get("content") or "")
        if not text:
            self.refusals.add("empty-note", _id(stix))
            return
        self.taken += 1
        status = own.get("status")
        if own.get("kind") == "lesson" and status in LESSON_STATUSES:
            self.lessons.append(
                ToldLesson(
                    text=text,
                    due=own["due"] if _is_time(own.get("due")) else None,
                    link=self.clipped(str(own.get("link") or ""), TITLE_CHARACTERS_MAX, "link"),
                    status=str(status),
                )
            )
        elif own.get("kind") == "recurrence" and _is_time(own.get("day")) and own["day"] % 86_400 == 0:
            type_, value = as_word(str(own.get("observable_type"))), str(own.get("value") or "-")
            self.recurrences.append(
                ToldRecurrence(type=type_, value=value, day=own["day"], text=str(own.get("text") or ""))
            )
        else:
            self.told_notes.append(ToldNote(text=text))

    def _indicator(self, stix: Mapping[str, Any]) -> None:
        """Take the values of an indicator that another tool wrote, each with the object."""
        raw = msgspec.json.encode(stix)
        text = _joined(stix.get("name"), stix.get("description"))
        values = []
        for type_, value in comparisons_of(str(stix.get("pattern", ""))):
            try:
                values.append(canonical(type_, value))
            except InvalidValue as error:
                self.notes.add(error.reason, f"{type_} {value}")
        if not values:
            self.refusals.add("no-value", _id(stix))
            return
        self.taken += 1
        self.objects += [
            ToldObject(type=one.type, value=one.value, text=text, stix=raw) for one in dict.fromkeys(values)
        ]

    def take_objects(self, own: Mapping[str, Any], by_id: Mapping[str, Mapping[str, Any]]) -> None:
        """Take the values that our own extension lists, as it has them; the objects it names are theirs."""
        refs = set()
        for one in _dicts(own.get("objects")):
            type_, value = as_word(str(one.get("type") or "")), str(one.get("value") or "")
            if not type_ or not value:
                self.notes.add("bad-value", type_)
                continue
            ref = one.get("object_ref")
            stix = by_id.get(ref) if isinstance(ref, str) else None
            if stix is not None:
                refs.add(_id(stix))
            raw = msgspec.json.encode(stix) if stix is not None and one.get("is_verbatim") is True else b""
            self.objects.append(
                ToldObject(type=type_, value=value, text=str(one.get("text") or ""), stix=raw)
            )
        self.taken += len(refs)

    # --- values ------------------------------------------------------------------------------------

    def words(self, value: Any) -> tuple[str, ...]:
        found = {as_word(one) for one in _list(value) if isinstance(one, str)} - {""}
        if len(found) > TYPES_MAX:
            self.notes.add("too-many-words", count=len(found) - TYPES_MAX)
        return tuple(sorted(found)[:TYPES_MAX])

    def scale(self, value: Any) -> int | None:
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 100:
            self.notes.add("bad-scale", str(value))
            return None
        return value

    def clipped(self, text: str, most: int, what: str) -> str:
        kept = text
        while len(kept.encode("utf-8", "replace")) > most:
            kept = kept[: len(kept) - max(1, (len(kept.encode("utf-8", "replace")) - most) // 4)]
        if kept != text:
            self.notes.add("clipped", what)
        return kept

    def _time(self, value: Any) -> int | None:
        if value is None:
            return None
        at = _instant(value)
        if at is None:
            self.notes.add("bad-time", str(value))
        return at

    def _fidelity(self, value: Any) -> str:
        if value in (None, ""):
            return ""
        if value not in FIDELITIES:
            self.notes.add("unknown-word", f"fidelity {value}")
            return ""
        return str(value)


def _properties(stix: Mapping[str, Any], extension: str) -> dict[str, Any]:
    """Returns the properties of an object, with those of an extension over them."""
    return {**stix, **_dict(_dict(stix.get("extensions")).get(extension))}


def _own(stix: Mapping[str, Any]) -> dict[str, Any]:
    return _dict(_dict(stix.get("extensions")).get(OWN_EXTENSION))


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [one for one in _list(value) if isinstance(one, dict)]


def _id(stix: Mapping[str, Any]) -> str:
    return str(stix.get("id", ""))


def _joined(name: Any, description: Any) -> str:
    return ": ".join(one for one in (name, description) if isinstance(one, str) and one)


def _is_time(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value <= TIME_MAX


def _instant(value: Any) -> int | None:
    """Returns an RFC 3339 instant in whole unix seconds; None for what is none, or before 1970."""
    if not isinstance(value, str):
        return None
    try:
        seconds = parse_instant(value) // SECOND_US
    except ValueError:
        return None
    return seconds if 0 < seconds <= TIME_MAX else None
