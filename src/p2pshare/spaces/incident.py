"""The kind `incident`: several organisations work one case, and no entry blocks another's work (docs/incidents.md).

What anybody adds is a union. Few registers are shared, and each has one rule, over what has an effect:

0. A step of a playbook is one task, whoever wrote it and how often: its id follows from incident, playbook and step.
1. A task's owner: its newest assignment, else the claim that is first by (depth, id). A claim stands until a release of its author, or an
   assignment, has it in its past. Several organisations at once are a conflict, which is shown.
2. A task's outcome: the lead's newest, else what the newest of each claimant say alike. Who says otherwise beside or after the lead disputes it.
3. The determination: the newest of the lead. Of an organisation's own status, and of each of its duties' events, its own newest.
4. A lesson: the newest change by its author, its owner or the lead.
5. Closed, late, after: `spaces.closing`; a reopening counts when it is the lead's, or its author has said its own status before.

*Newest* is what is in the past of no other; of several the last by (depth, id), with the conflict shown. What follows from entries is
found out when it is asked for, so one more entry costs no more than its place in a list.
"""

from __future__ import annotations

from bisect import insort
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeVar

from p2pshare.identifiers import EntryId, PartnerId
from p2pshare.spaces.closing import Closing
from p2pshare.spaces.entry_fields import EntryBodies
from p2pshare.spaces.incident_entries import (
    READERS,
    DutyStatement,
    IncidentAnswer,
    IncidentBody,
    IncidentDetermination,
    IncidentDuplicate,
    IncidentEvent,
    IncidentImpact,
    IncidentLesson,
    IncidentObject,
    IncidentOpinion,
    IncidentQuestion,
    IncidentReaction,
    IncidentRecurrence,
    IncidentTask,
    OwnStatus,
    TaskAssignment,
    TaskClaim,
    TaskOutcome,
    step_task_id,
)
from p2pshare.spaces.interface import EntryKind, FoldView, Json, SpaceKind
from p2pshare.spaces.register_clock import RegisterClock
from p2pshare.spaces.vertex import Vertex, by_order, precedes

STEP_ENTRIES = 256  # folded between two yields: some 3 ms

CONTENT_KINDS = ("note", "event", "impact", "object", "opinion", "ask", "answer", "recurrence")
LEAD_ONLY = ("assign", "determination", "close", "duplicate")
REGISTER_KINDS = frozenset(READERS) - frozenset(CONTENT_KINDS)
"""Those that change a shared register: the deciding ones."""

B = TypeVar("B", bound=IncidentBody)


class HeldTask(NamedTuple):
    """A task, and what follows for it. `claims` are all, each with whether it stands; `owner` None: nobody's.

    `vertex` is the entry whose words it has; `differs`: another entry of the same step says something else.
    """

    id: EntryId
    vertex: Vertex
    task: IncidentTask
    differs: bool
    owner: PartnerId | None
    in_conflict: bool
    claims: list[tuple[Vertex, bool]]
    assignments: list[Vertex]
    """The newest ones."""
    outcome: str
    disputed: bool
    outcomes: list[tuple[Vertex, TaskOutcome]]
    """The newest of each who may say one."""


class HeldLesson(NamedTuple):
    """A lesson as it was last changed. `in_conflict`: several changed it beside each other."""

    vertex: Vertex
    lesson: IncidentLesson
    in_conflict: bool


class HeldDetermination(NamedTuple):
    """What the lead made of the incident. `in_conflict`: leads beside each other did."""

    vertex: Vertex
    determination: IncidentDetermination
    in_conflict: bool


class IncidentFold:
    """An incident: the entries with an effect by kind, and what follows from them."""

    def __init__(self, view: FoldView) -> None:
        self._view = view
        self._closing = Closing(view, self._reopens)
        self._begin()

    def _begin(self) -> None:
        self._clock = RegisterClock()
        self._said = EntryBodies(READERS).said
        self._own_statuses: defaultdict[PartnerId, list[Vertex]] = defaultdict(list)
        self.by_kind: dict[str, list[Vertex]] = {kind: [] for kind in READERS}
        """Entries with an effect, by (depth, id)."""
        self._tasks: defaultdict[EntryId, list[Vertex]] = defaultdict(list)
        self._by_task: dict[str, defaultdict[EntryId, list[Vertex]]] = {
            kind: defaultdict(list) for kind in ("claim", "release", "assign", "outcome")
        }
        self._answers: defaultdict[EntryId, list[Vertex]] = defaultdict(list)
        self._lesson_changes: defaultdict[EntryId, list[Vertex]] = defaultdict(list)
        self.after: list[Vertex] = []
        self.late: list[Vertex] = []

    # --- from entries ------------------------------------------------------------------------------

    def whole(self, vertices: Sequence[Vertex]) -> Iterator[None]:
        self._begin()
        yield from self._first_own_statuses(vertices)
        yield from self._closing.whole(vertices)
        for start in range(0, len(vertices), STEP_ENTRIES):
            for vertex in vertices[start : start + STEP_ENTRIES]:
                self._place(vertex)
            yield

    def add(self, vertex: Vertex) -> bool:
        if vertex.kind in ("close", "reopen"):
            return False
        self._closing.add(vertex)
        self._place(vertex)
        return True

    def _first_own_statuses(self, vertices: Sequence[Vertex]) -> Iterator[None]:
        """Find who is affected, which closing asks before anything else is placed."""
        for start in range(0, len(vertices), STEP_ENTRIES * 8):
            for vertex in vertices[start : start + STEP_ENTRIES * 8]:
                if vertex.kind == "own-status" and vertex.has_effect:
                    self._own_statuses[vertex.author].append(vertex)
            yield

    def _reopens(self, vertex: Vertex) -> bool:
        """Returns whether a reopening counts: its author was the lead there, or had said its own status."""
        return vertex.term is not None or any(
            precedes(own, vertex) for own in self._own_statuses.get(vertex.author, ())
        )

    def _place(self, vertex: Vertex) -> None:
        kind = vertex.kind
        self._clock.add(vertex, is_register=kind in REGISTER_KINDS)
        placed = self.by_kind.get(kind)
        if placed is None or not vertex.has_effect:
            return
        insort(placed, vertex, key=by_order)
        if kind == "task":
            insort(self._tasks[self._task_id(vertex)], vertex, key=by_order)
        elif kind in self._by_task:
            insort(self._by_task[kind][self._task_named(vertex)], vertex, key=by_order)
        elif kind == "lesson":
            lesson = self._said(vertex, IncidentLesson)
            if lesson.lesson:
                insort(self._lesson_changes[EntryId(lesson.lesson)], vertex, key=by_order)
        elif kind == "answer" and (answer := self.content(vertex, IncidentAnswer)) is not None:
            insort(self._answers[answer.ask], vertex, key=by_order)
        if kind not in ("close", "reopen"):
            side = self._closing.side_of(vertex)
            if side:
                insort(self.after if side == "after" else self.late, vertex, key=by_order)

    def _task_id(self, vertex: Vertex) -> EntryId:
        said = self._said(vertex, IncidentTask)
        if not said.step:
            return vertex.entry_id
        return step_task_id(vertex.header.space, said.step[0].playbook, said.step[0].step)

    def _task_named(self, vertex: Vertex) -> EntryId:
        match vertex.kind:
            case "assign":
                return self._said(vertex, TaskAssignment).task
            case "outcome":
                return self._said(vertex, TaskOutcome).task
            case _:
                return self._said(vertex, TaskClaim).task

    # --- what is asked -----------------------------------------------------------------------------

    @property
    def is_closed(self) -> bool:
        return self._closing.is_closed

    @property
    def closes(self) -> list[Vertex]:
        """Returns the closes that hold, by (depth, id)."""
        return sorted(self._closing.closes, key=by_order)

    def side_of(self, vertex: Vertex) -> str:
        """Returns how an entry stands to the closes that hold: "", `late` or `after`."""
        return "" if vertex.kind in ("close", "reopen") else self._closing.side_of(vertex)

    def is_redacted(self, vertex: Vertex) -> bool:
        return self._view.is_redacted(vertex)

    def content(self, vertex: Vertex, body: type[B]) -> B | None:
        """Returns what content says that all members may read; None where it is sealed, redacted or not held."""
        if vertex.header.audience or vertex.content is None or self._view.is_redacted(vertex):
            return None
        said = READERS[vertex.kind](vertex.content)
        assert isinstance(said, body)
        return said

    def note(self, vertex: Vertex) -> str | None:
        """Returns the text of a note, as `content` does for other kinds."""
        if vertex.header.audience or vertex.content is None or self._view.is_redacted(vertex):
            return None
        return str(READERS["note"](vertex.content))

    @property
    def status(self) -> str:
        """Returns the word of STIX for the whole: `closed`, `open`, or `new` while nothing but its opening was written."""
        if self.is_closed:
            return "closed"
        return "open" if any(self.by_kind.values()) else "new"

    def determination(self) -> HeldDetermination | None:
        newest = self._clock.newest(self.by_kind["determination"])
        if not newest:
            return None
        said = [self._said(vertex, IncidentDetermination) for vertex in newest]
        return HeldDetermination(newest[-1], said[-1], len(set(said)) > 1)

    def own_statuses(self) -> dict[PartnerId, tuple[Vertex, OwnStatus]]:
        """Returns the newest status that each affected organisation says of itself, by id."""
        return {
            author: (newest[-1], self._said(newest[-1], OwnStatus))
            for author, newest in self._newest_by_author(self.by_kind["own-status"])
        }

    def duty_statements(self) -> list[tuple[Vertex, DutyStatement]]:
        """Returns the newest statement of each organisation about each event, by author, template, event and stage.

        Of several beside each other, which only a fork makes, the one with the earliest time: a duty never looks later than it is.
        """
        about: defaultdict[tuple[PartnerId, str, str, str], list[Vertex]] = defaultdict(list)
        for vertex in self.by_kind["duty"]:
            said = self._said(vertex, DutyStatement)
            about[vertex.author, said.template, said.event, said.stage].append(vertex)
        found = []
        for key in sorted(about):
            newest = self._clock.newest(about[key])
            counted = [(self._said(vertex, DutyStatement).at, vertex.entry_id, vertex) for vertex in newest]
            vertex = min(counted)[2]
            found.append((vertex, self._said(vertex, DutyStatement)))
        return found

    def task_ids(self) -> list[EntryId]:
        """Returns the ids of the tasks, by (depth, id) of the first entry of each."""
        return sorted(self._tasks, key=lambda task: by_order(self._tasks[task][0]))

    def tasks(self) -> list[HeldTask]:
        return [self.task(task_id) for task_id in self.task_ids()]

    def reactions(self) -> list[tuple[Vertex, IncidentReaction]]:
        """Returns by which playbooks members began to work, each that said so, by (depth, id)."""
        return [(vertex, self._said(vertex, IncidentReaction)) for vertex in self.by_kind["react"]]

    def lessons(self) -> list[HeldLesson]:
        """Returns each lesson as it stands, in the order in which they were first written."""
        found = []
        for first in self.by_kind["lesson"]:
            lesson = self._said(first, IncidentLesson)
            if lesson.lesson:
                continue
            owners = {first.author, *lesson.owner}
            changes = [
                vertex
                for vertex in self._lesson_changes.get(first.entry_id, ())
                if vertex.term is not None or vertex.author in owners
            ]
            newest = self._clock.newest(sorted([first, *changes], key=by_order))
            said = [self._said(vertex, IncidentLesson)._replace(lesson=b"") for vertex in newest]
            found.append(HeldLesson(first, said[-1], len(set(said)) > 1))
        return found

    def answers(self, question: Vertex) -> list[Vertex]:
        """Returns the answers to a question that all members may read, and those whose text is gone are not among them."""
        return self._answers.get(question.entry_id, [])

    # --- tasks -------------------------------------------------------------------------------------

    def task(self, task_id: EntryId) -> HeldTask:
        """Returns a task, and what follows for it."""
        clock, entries = self._clock, self._tasks[task_id]
        vertex = next((one for one in entries if one.term is not None), entries[0])
        task = self._said(vertex, IncidentTask)
        claims, releases, assigns = (
            self._by_task[kind].get(task_id, []) for kind in ("claim", "release", "assign")
        )
        settled = clock.past_of(assigns)
        released = {author: clock.past_of(own) for author, own in _by_author(releases)}
        newest = clock.newest(assigns)

        def is_released(author: PartnerId, taken: Vertex) -> bool:
            return author in released and released[author].holds(taken)

        stated = [(one, not settled.holds(one) and not is_released(one.author, one)) for one in claims]
        given = [
            (one, member)
            for one in newest
            for member in self._said(one, TaskAssignment).to
            if not is_released(member, one)
        ]
        candidates = [member for _, member in reversed(given)]
        candidates += [one.author for one, stands in stated if stands]
        outcome, disputed, outcomes = self._outcome(task_id, claims, assigns, is_owned=bool(candidates))
        return HeldTask(
            task_id,
            vertex,
            task,
            any(self._said(one, IncidentTask) != task for one in entries),
            candidates[0] if candidates else None,
            len(set(candidates)) > 1,
            stated,
            newest,
            outcome,
            disputed,
            outcomes,
        )

    def _outcome(
        self, task_id: EntryId, claims: list[Vertex], assigns: list[Vertex], *, is_owned: bool
    ) -> tuple[str, bool, list[tuple[Vertex, TaskOutcome]]]:
        """Returns what came of a task, whether that is disputed, and the newest outcome of each who may say one."""
        clock = self._clock
        may_say = self._may_say(claims, assigns)
        counted = [one for one in self._by_task["outcome"].get(task_id, ()) if may_say(one)]
        latest = [one for _, own in self._newest_by_author(counted) for one in own]
        latest.sort(key=by_order)
        outcomes = [(one, self._said(one, TaskOutcome)) for one in latest]
        of_leads = [one for one in counted if one.term is not None]
        decided = clock.newest(of_leads)
        seen = clock.past_of(of_leads)
        open_words = {said.outcome for one, said in outcomes if one.term is None and not seen.holds(one)} | {
            self._said(one, TaskOutcome).outcome for one in decided
        }
        if decided:
            return self._said(decided[-1], TaskOutcome).outcome, len(open_words) > 1, outcomes
        if not open_words:
            return "ongoing" if is_owned else "pending", False, outcomes
        return (open_words.pop(), False, outcomes) if len(open_words) == 1 else ("unknown", True, outcomes)

    def _may_say(self, claims: list[Vertex], assigns: list[Vertex]) -> Callable[[Vertex], bool]:
        """Returns who may say what came of a task: the lead, and who claimed it or was given it before."""
        claimed: defaultdict[PartnerId, list[Vertex]] = defaultdict(list)
        for one in claims:
            claimed[one.author].append(one)
        given: defaultdict[PartnerId, int] = defaultdict(int)
        for one in assigns:
            for member in self._said(one, TaskAssignment).to:
                given[member] |= one.bit

        def may_say(outcome: Vertex) -> bool:
            author = outcome.author
            if outcome.term is not None or outcome.past.leading & given.get(author, 0):
                return True
            return any(precedes(one, outcome) for one in claimed.get(author, ()))

        return may_say

    def _newest_by_author(self, vertices: Iterable[Vertex]) -> Iterator[tuple[PartnerId, list[Vertex]]]:
        for author, own in _by_author(vertices):
            yield author, self._clock.newest(own)

    # --- canonical output --------------------------------------------------------------------------

    def canonical(self) -> Json:
        held = self.determination()
        types: list[Json] = [] if held is None else [*held.determination.types]
        return {
            "after": _ids(self.after),
            "closed": self.is_closed,
            "closes": _ids(self.closes),
            "criticality": _first(held.determination.criticality) if held else None,
            "determination": held.determination.determination if held else None,
            "determination_conflict": held is not None and held.in_conflict,
            "duplicates": [self._duplicate(vertex) for vertex in self.by_kind["duplicate"]],
            "duties": [_duty(vertex, said) for vertex, said in self.duty_statements()],
            "events": [self._event(vertex) for vertex in self.by_kind["event"]],
            "impacts": [self._impact(vertex) for vertex in self.by_kind["impact"]],
            "late": _ids(self.late),
            "lessons": [_lesson(held_lesson) for held_lesson in self.lessons()],
            "notes": [self._shown(vertex, {"text": self.note(vertex)}) for vertex in self.by_kind["note"]],
            "objects": [self._object(vertex) for vertex in self.by_kind["object"]],
            "opinions": [self._opinion(vertex) for vertex in self.by_kind["opinion"]],
            "own_status": [
                {"author": author.text, "id": vertex.entry_id.text, "status": said.status, "text": said.text}
                for author, (vertex, said) in sorted(self.own_statuses().items())
            ],
            "reactions": [
                {
                    "author": vertex.author.text,
                    "framework": said.framework.text,
                    "id": vertex.entry_id.text,
                    "modified": said.modified,
                    "name": said.name,
                    "playbook": said.playbook,
                    "sha256": said.digest.hex(),
                }
                for vertex, said in self.reactions()
            ],
            "questions": [self._question(vertex) for vertex in self.by_kind["ask"]],
            "recurrences": [self._recurrence(vertex) for vertex in self.by_kind["recurrence"]],
            "status": self.status,
            "tasks": [self._task_shown(held_task) for held_task in self.tasks()],
            "types": types,
        }

    def _shown(self, vertex: Vertex, said: Mapping[str, Json]) -> Json:
        """Returns an entry of content, with what it says; None each where not all members may read it, or nobody."""
        return {
            "id": vertex.entry_id.text,
            "redacted": self._view.is_redacted(vertex),
            "sealed": bool(vertex.header.audience),
            **said,
        }

    def _event(self, vertex: Vertex) -> Json:
        said = self.content(vertex, IncidentEvent)
        return self._shown(
            vertex,
            {
                "end": None if said is None else _stated(said.end),
                "end_fidelity": None if said is None else said.end_fidelity or None,
                "start": None if said is None else _stated(said.start),
                "start_fidelity": None if said is None else said.start_fidelity or None,
                "status": None if said is None else said.status,
                "text": None if said is None else said.text,
                "types": None if said is None else [*said.types],
            },
        )

    def _impact(self, vertex: Vertex) -> Json:
        said = self.content(vertex, IncidentImpact)
        return self._shown(
            vertex,
            {
                "category": None if said is None else said.category,
                "counts": None if said is None else dict(said.counts),
                "criticality": None if said is None else _first(said.criticality),
                "details": None if said is None else dict(said.details),
                "end": None if said is None else _stated(said.end),
                "recoverability": None if said is None else said.recoverability or None,
                "start": None if said is None else _stated(said.start),
                "text": None if said is None else said.text,
            },
        )

    def _object(self, vertex: Vertex) -> Json:
        said = self.content(vertex, IncidentObject)
        return self._shown(
            vertex,
            {
                "has_stix": None if said is None else bool(said.stix),
                "text": None if said is None else said.text,
                "type": None if said is None else said.type,
                "value": None if said is None else said.value,
            },
        )

    def _opinion(self, vertex: Vertex) -> Json:
        said = self.content(vertex, IncidentOpinion)
        return self._shown(
            vertex,
            {
                "about": None if said is None or not said.about else EntryId(said.about).text,
                "determination": None if said is None else said.determination or None,
                "opinion": None if said is None else said.opinion,
                "text": None if said is None else said.text,
            },
        )

    def _question(self, vertex: Vertex) -> Json:
        said = self.content(vertex, IncidentQuestion)
        answers: list[Json] = []
        for answer in self.answers(vertex):
            told = self.content(answer, IncidentAnswer)
            if told is not None:
                answers.append({"id": answer.entry_id.text, "text": told.text})
        return self._shown(
            vertex,
            {
                "answers": answers,
                "text": None if said is None else said.text,
                "to": None if said is None else [member.text for member in said.to],
            },
        )

    def _recurrence(self, vertex: Vertex) -> Json:
        said = self.content(vertex, IncidentRecurrence)
        return self._shown(
            vertex,
            {
                "day": None if said is None else said.day,
                "text": None if said is None else said.text,
                "type": None if said is None else said.type,
                "value": None if said is None else said.value,
            },
        )

    def _duplicate(self, vertex: Vertex) -> Json:
        said = self._said(vertex, IncidentDuplicate)
        return {"id": vertex.entry_id.text, "space": said.space.text, "text": said.text}

    def _task_shown(self, held: HeldTask) -> Json:
        claims: list[Json] = [
            {"author": one.author.text, "id": one.entry_id.text, "stands": stands}
            for one, stands in held.claims
        ]
        outcomes: list[Json] = [
            {"author": one.author.text, "id": one.entry_id.text, "outcome": said.outcome, "text": said.text}
            for one, said in held.outcomes
        ]
        return {
            "assignments": _ids(held.assignments),
            "claims": claims,
            "conflict": held.in_conflict,
            "differs": held.differs,
            "disputed": held.disputed,
            "due": _stated(held.task.due),
            "id": held.id.text,
            "outcome": held.outcome,
            "outcomes": outcomes,
            "owner": None if held.owner is None else held.owner.text,
            "step": _step(held.task),
            "text": held.task.text,
            "title": held.task.title,
            "types": [*held.task.types],
        }


def _by_author(vertices: Iterable[Vertex]) -> Iterator[tuple[PartnerId, list[Vertex]]]:
    by_author: defaultdict[PartnerId, list[Vertex]] = defaultdict(list)
    for vertex in vertices:
        by_author[vertex.author].append(vertex)
    yield from sorted(by_author.items())


def _step(task: IncidentTask) -> Json:
    if not task.step:
        return None
    [step] = task.step
    return {"place": step.place, "playbook": step.playbook.hex(), "step": step.step}


def _lesson(held: HeldLesson) -> Json:
    lesson = held.lesson
    return {
        "author": held.vertex.author.text,
        "conflict": held.in_conflict,
        "due": _stated(lesson.due),
        "id": held.vertex.entry_id.text,
        "link": lesson.link or None,
        "owner": lesson.owner[0].text if lesson.owner else None,
        "status": lesson.status,
        "text": lesson.text,
    }


def _duty(vertex: Vertex, said: DutyStatement) -> Json:
    return {
        "at": said.at,
        "author": vertex.author.text,
        "event": said.event,
        "id": vertex.entry_id.text,
        "stage": said.stage or None,
        "template": said.template,
        "text": said.text,
        "zone": said.zone,
    }


def _ids(vertices: Iterable[Vertex]) -> Json:
    return [vertex.entry_id.text for vertex in vertices]


def _stated(time: int) -> int | None:
    return time or None


def _first(values: tuple[int, ...]) -> int | None:
    return values[0] if values else None


KIND = SpaceKind(
    name="incident",
    entry_kinds={
        kind: EntryKind(is_deciding=kind in REGISTER_KINDS, is_lead_only=kind in LEAD_ONLY, read=read)
        for kind, read in READERS.items()
    },
    lead_role="",
    fold=IncidentFold,
)
