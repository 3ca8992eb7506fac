"""A playbook as the ordered tasks of an incident. Nothing is run: what is no `manual` command is shown, marked "not run here".

1. The steps of one sequence come in breadth first order along `on_completion`, `on_success` and `on_failure`. A step that branches is one
   task, and what its branches hold comes below it, before the sequence goes on.
2. An if or switch is "choose", a while "repeat until", a parallel "at once"; a playbook-action names the other playbook. Start and end
   steps are no tasks. What only an exception leads to comes last.
3. A step that two branches share is one task, where it comes first.
4. The same playbook gives the same tasks, whoever asks: no clock, no name that a node gave, nothing of another playbook is in them.

One pass without recursion; a text is made no longer than an entry holds, whatever its variables stand for.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, NamedTuple

from p2pshare.errors import AuthorError
from p2pshare.intel.playbooks.variables import filled, references
from p2pshare.intel.playbooks.workflow import BRANCHING, Workflow, WorkflowEdge

TASKS_MAX = 500  # people do them, and ours have some 30; each is an entry of 6 KiB or more that all members keep and fold
TASK_TITLE_BYTES_MAX = 256  # what an entry `task` holds (docs/incidents.md)
TASK_TEXT_BYTES_MAX = 4_096
VALUE_CHARACTERS_MAX = 256  # of a variable where it is filled in: a number, a name, a path
NAME_CHARACTERS_MAX = 120  # of an agent, a target or another task where it is named
NAMES_TOLD_MAX = 32  # agents, targets, variables or ways of one step

DO, CHOOSE, AT_ONCE, REPEAT, PLAYBOOK = "do", "choose", "at-once", "repeat-until", "playbook"
TASK_KINDS: Mapping[str, str] = {
    "action": DO,
    "playbook-action": PLAYBOOK,
    "if-condition": CHOOSE,
    "switch-condition": CHOOSE,
    "while-condition": REPEAT,
    "parallel": AT_ONCE,
}
NOT_RUN_HERE = "not run here"
EXCEPTION = "exception"
_SEQUENCE = frozenset({"on_completion", "on_success", "on_failure"})
_PREFIXES = {
    CHOOSE: "Choose: ",
    AT_ONCE: "At once: ",
    REPEAT: "Repeat until no longer: ",
    PLAYBOOK: "Playbook: ",
}
_BRANCHES = {"next_steps": "at once", "on_false": "if false"}
_MANUAL = "manual"
_UNITS = (("day", 86_400_000), ("hour", 3_600_000), ("minute", 60_000), ("second", 1_000))


class PlaybookTask(NamedTuple):
    """One step as a task. Its texts are UNTRUSTED: an author of playbooks wrote them."""

    step: str
    place: int
    """1 for the first."""
    kind: str
    """A word of TASK_KINDS."""
    title: str
    text: str
    below: int
    """The place of the task in one of whose branches it is; 0: in none."""
    branch: str
    """Which branch: `if true`, `if false`, `case X`, `at once`, `while true`; `exception` for what only that leads to; else ""."""
    is_at_once: bool
    """Whether a parallel has it done beside others."""
    not_run: tuple[str, ...]
    """The types of those of its commands that are for a machine: ssh, http-api, bash, ..."""
    playbook: str
    """The id of the other playbook that a playbook-action names, else ""."""


class _Placed(NamedTuple):
    """A step, and the way by which it is first come to."""

    step: str
    below: str | None
    branch: str
    is_at_once: bool
    by: WorkflowEdge | None


def tasks_of(document: Mapping[str, Any]) -> list[PlaybookTask]:
    """Returns the tasks in the order in which they are done. Raises AuthorError `too-many-tasks`, `no-tasks`."""
    workflow = Workflow(document)
    placed: list[_Placed] = []
    for one in _ordered(workflow):
        if workflow.kinds[one.step] in TASK_KINDS:
            placed.append(one)
            if len(placed) > TASKS_MAX:
                raise AuthorError(
                    f"the playbook has more than {TASKS_MAX} steps to be done, and an incident holds no more of one",
                    hint="divide it into playbooks that name each other (playbook-action)",
                    reason="too-many-tasks",
                )
    if not placed:
        raise AuthorError(
            "the playbook has no step that anybody does", hint="`p2pshare playbook lint`", reason="no-tasks"
        )
    words = _Words(document, workflow, placed)
    return [words.task(one) for one in placed]


# --- order -------------------------------------------------------------------------------------------


def _ordered(workflow: Workflow) -> Iterator[_Placed]:
    """Yields every step that is come to, once, in the order of this page's head."""
    roots = ((workflow.start, ""), (workflow.exception, EXCEPTION))
    heads = [
        _Placed(step, None, branch, is_at_once=False, by=None)
        for step, branch in roots
        if step in workflow.kinds and step is not None
    ]
    claimed: set[str] = set()
    waiting: list[tuple[bool, Iterator[_Placed]]] = [(True, iter(heads))]
    while waiting:
        are_heads, steps = waiting[-1]
        one = next(steps, None)
        if one is None:
            waiting.pop()
        elif are_heads:
            if one.step not in claimed:
                waiting.append((False, iter(_sequence(workflow, one, claimed))))
        else:
            yield one
            if workflow.kinds[one.step] in BRANCHING:
                waiting.append((True, _heads(workflow, one)))


def _sequence(workflow: Workflow, head: _Placed, claimed: set[str]) -> list[_Placed]:
    """Returns what follows a step in its own branch, breadth first, and claims all of it before what branches off."""
    claimed.add(head.step)
    found = [head]
    for one in found:  # which grows meanwhile
        for edge in workflow.followed(one.step):
            if edge.kind in _SEQUENCE and edge.target not in claimed:
                claimed.add(edge.target)
                found.append(head._replace(step=edge.target, by=edge))
    return found


def _heads(workflow: Workflow, parting: _Placed) -> Iterator[_Placed]:
    """Yields the first step of each branch."""
    is_parallel = workflow.kinds[parting.step] == "parallel"
    for edge in workflow.followed(parting.step):
        if edge.kind not in _SEQUENCE:
            branch = _branch_of(workflow, edge)
            yield _Placed(edge.target, parting.step, branch, parting.is_at_once or is_parallel, edge)


def _branch_of(workflow: Workflow, edge: WorkflowEdge) -> str:
    if edge.kind == "cases":
        return f"case {edge.case[:NAME_CHARACTERS_MAX]}"
    if edge.kind == "on_true":
        return "while true" if workflow.kinds[edge.source] == "while-condition" else "if true"
    return _BRANCHES[edge.kind]


# --- words -------------------------------------------------------------------------------------------


class _Words:
    """What the tasks of one playbook say."""

    def __init__(self, document: Mapping[str, Any], workflow: Workflow, placed: Iterable[_Placed]) -> None:
        self._workflow = workflow
        self._placed = {one.step: one for one in placed}
        self._places = {step: place for place, step in enumerate(self._placed, 1)}
        self._agents = _members(document.get("agent_definitions"))
        self._targets = _members(document.get("target_definitions"))
        self._variables = _members(document.get("playbook_variables"))

    def task(self, placed: _Placed) -> PlaybookTask:
        step = self._workflow.steps[placed.step]
        kind = TASK_KINDS[self._workflow.kinds[placed.step]]
        commands = [one for one in _items(step.get("commands")) if isinstance(one, dict)]
        not_run = tuple(dict.fromkeys(_said(one, "type")[:64] for one in commands if not _is_manual(one)))
        return PlaybookTask(
            placed.step,
            self._places[placed.step],
            kind,
            _cut(_PREFIXES.get(kind, "") + self._name(placed.step), TASK_TITLE_BYTES_MAX),
            _cut("\n".join(self._lines(placed, step, kind, commands)), TASK_TEXT_BYTES_MAX),
            0 if placed.below is None else self._places[placed.below],
            placed.branch,
            placed.is_at_once,
            not_run[:NAMES_TOLD_MAX],
            _said(step, "playbook_id")[:NAME_CHARACTERS_MAX] if kind == PLAYBOOK else "",
        )

    def _name(self, step_id: str) -> str:
        return _said(self._workflow.steps[step_id], "name") or step_id

    def _lines(
        self, placed: _Placed, step: Mapping[str, Any], kind: str, commands: list[dict[str, Any]]
    ) -> Iterator[str]:
        """Yields the lines of a task's text until it is as long as an entry holds."""
        unset: dict[str, None] = {}
        length = 0
        for line in self._all_lines(placed, step, kind, commands, unset):
            yield line
            length += len(line) + 1
            if length > TASK_TEXT_BYTES_MAX:
                return
        for name in islice(unset, NAMES_TOLD_MAX):
            about = _said(_members(self._variable(step, name)), "description")[:NAME_CHARACTERS_MAX]
            yield f"Not set: {name}{': ' + about if about else ''}"

    def _all_lines(
        self,
        placed: _Placed,
        step: Mapping[str, Any],
        kind: str,
        commands: list[dict[str, Any]],
        unset: dict[str, None],
    ) -> Iterator[str]:
        def fill(text: str) -> str:
            return filled(text, lambda name: self._value(step, name, unset), TASK_TEXT_BYTES_MAX + 1)

        yield from self._where(placed)
        if description := _said(step, "description"):
            yield fill(description)
        for command in commands:
            text = fill(_command(command))
            yield text if _is_manual(command) else f"{_said(command, 'type')} ({NOT_RUN_HERE}): {text}"
        if kind in (CHOOSE, REPEAT):
            yield from self._condition(step, kind)
        yield from self._ways(placed.step)
        if kind == PLAYBOOK:
            version = _said(step, "playbook_version")
            yield f"Playbook {_said(step, 'playbook_id')}{' of ' + version if version else ''}"
        if agent := _said(step, "agent"):
            yield from self._who("By", agent, self._agents, fill)
        for target in islice(_items(step.get("targets")), NAMES_TOLD_MAX):
            if isinstance(target, str):
                yield from self._who("On", target, self._targets, fill)
        noted = [one for one in _items(step.get("out_args")) if isinstance(one, str)]
        for name in noted[:NAMES_TOLD_MAX]:
            about = _said(_members(self._variable(step, name)), "description")
            yield f"Note down: {name[:NAME_CHARACTERS_MAX]}{': ' + about if about else ''}"
        if delay := _duration(step.get("delay")):
            yield f"Wait first: {delay}"
        if timeout := _duration(step.get("timeout")):
            yield f"Time for it: {timeout}"

    def _where(self, placed: _Placed) -> Iterator[str]:
        if placed.below is not None:
            yield f"Below task {self._places[placed.below]}, {placed.branch}"
        elif placed.branch:
            yield "Only where something does not go as the playbook says"
        edge = placed.by
        if edge is None or edge.kind not in ("on_success", "on_failure"):
            return
        source = self._workflow.steps[edge.source]
        if source.get("on_success") != source.get("on_failure") and edge.source in self._places:
            yield f"When task {self._places[edge.source]} has {'failed' if edge.kind == 'on_failure' else 'succeeded'}"

    def _condition(self, step: Mapping[str, Any], kind: str) -> Iterator[str]:
        said = _said(step, "condition") or _said(step, "switch")
        if not said:
            return
        yield f"{'As long as' if kind == REPEAT else 'Asks'}: {said}"
        for name in islice(dict.fromkeys(references(said)), NAMES_TOLD_MAX):
            variable = _members(self._variable(step, name))
            about, value = _said(variable, "description"), _text(variable.get("value"))
            if about:
                yield f"{name}: {about[:NAME_CHARACTERS_MAX]}{' (at first ' + value + ')' if value else ''}"

    def _ways(self, step_id: str) -> Iterator[str]:
        """Yields where each branch of a step begins, and where it goes on with a task that stands elsewhere."""
        told = 0
        for edge in self._workflow.followed(step_id):
            target = self._placed.get(edge.target)
            if edge.kind in _SEQUENCE:
                if target is None or target.by == edge:
                    continue
                way = f"Goes on with task {self._places[edge.target]}"
            else:
                place = self._places.get(edge.target)
                first = "nothing" if place is None else f"task {place}, {self._name(edge.target)}"
                way = f"{_branch_of(self._workflow, edge).capitalize()}: {first[:NAME_CHARACTERS_MAX]}"
            told += 1
            if told > NAMES_TOLD_MAX:
                yield "and more, which the playbook has"
                return
            yield way

    def _who(self, verb: str, said: str, known: Mapping[str, Any], fill: Any) -> Iterator[str]:
        """Yields who or what an agent or target is, and how it is reached."""
        definition = known.get(said)
        if not isinstance(definition, dict):
            yield f"{verb}: {fill(said)[:NAME_CHARACTERS_MAX]}"
            return
        yield f"{verb}: {fill(_said(definition, 'name') or said)[:NAME_CHARACTERS_MAX]}"
        contact = _members(definition.get("contact"))
        for way in ("phone", "email"):
            for name, value in islice(_members(contact.get(way)).items(), NAMES_TOLD_MAX):
                yield f"  {way} {name[:NAME_CHARACTERS_MAX]}: {fill(_text(value))}"
        if details := _said(contact, "contact_details"):
            yield f"  {fill(details)}"

    def _variable(self, step: Mapping[str, Any], name: str) -> Any:
        return _members(step.get("step_variables")).get(name) or self._variables.get(name)

    def _value(self, step: Mapping[str, Any], name: str, unset: dict[str, None]) -> str:
        value = _text(_members(self._variable(step, name)).get("value"))
        if not value:
            unset[name] = None
            return name
        return value


def _is_manual(command: Mapping[str, Any]) -> bool:
    return command.get("type") == _MANUAL


def _command(command: Mapping[str, Any]) -> str:
    """Returns what a command says; a text in Base64 as it reads."""
    said = _said(command, "command")
    coded = _said(command, "command_b64")
    if said or not coded:
        return said
    try:
        return base64.b64decode(coded[: 2 * TASK_TEXT_BYTES_MAX], validate=True).decode("utf-8", "replace")
    except (binascii.Error, ValueError):
        return "(in Base64 that cannot be read)"


def _duration(milliseconds: Any) -> str:
    if not isinstance(milliseconds, int) or isinstance(milliseconds, bool) or milliseconds < 1_000:
        return ""
    for unit, length in _UNITS:
        if milliseconds >= length and milliseconds % length == 0:
            number = milliseconds // length
            return f"{number} {unit}{'' if number == 1 else 's'}"
    return f"{milliseconds // 1_000} seconds"


def _members(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _said(step: Mapping[str, Any], name: str) -> str:
    value = step.get(name)
    return value if isinstance(value, str) else ""


def _text(value: Any) -> str:
    """Returns a variable's value as people read it, no longer than it is filled in."""
    if isinstance(value, str):
        return value[:VALUE_CHARACTERS_MAX]
    return str(value)[:VALUE_CHARACTERS_MAX] if isinstance(value, int | float) else ""


def _cut(text: str, bytes_max: int) -> str:
    """Returns the beginning of a text that has at most so many bytes in UTF-8; what is left out is marked."""
    raw = text.encode("utf-8", "replace")
    if len(raw) <= bytes_max:
        return raw.decode("utf-8")
    mark = "…"
    return raw[: bytes_max - len(mark.encode())].decode("utf-8", "ignore") + mark
