"""What a playbook refers to beside its steps: agents, targets, credentials, variables, markings, extensions. Linear."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from itertools import chain
from typing import Any

from p2pshare.intel.marking import TLP2_IDS, Tlp
from p2pshare.intel.playbooks.playbook_problems import PlaybookProblem, TextPlace, inside, problem, warning
from p2pshare.intel.playbooks.variables import is_reference, references
from p2pshare.intel.playbooks.workflow import Workflow, step_pointer

_DEFINITIONS = ("agent_definitions", "target_definitions")
_OUTSIDE_STEPS_SKIPPED = ("workflow", "signatures")
_EXTENSIONS = "_extensions"  # step_extensions, agent_target_extensions and the like end so


def reference_problems(document: Mapping[str, Any], workflow: Workflow) -> Iterator[PlaybookProblem]:
    """Yields what is referred to and not there."""
    for step_id, step in workflow.steps.items():
        yield from _who_and_on_what(document, step_id, step)
    yield from _credentials(document)
    yield from _variables(document, workflow)
    yield from _markings(document)
    yield from _extensions(document)


def _members(document: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = document.get(name)
    return value if isinstance(value, dict) else {}


def _who_and_on_what(
    document: Mapping[str, Any], step_id: str, step: Mapping[str, Any]
) -> Iterator[PlaybookProblem]:
    agent = step.get("agent")
    if _lacks(agent, _members(document, "agent_definitions")):
        yield problem("agent-missing", step_pointer(step_id, "agent"), "no agent of agent_definitions")
    targets = step.get("targets")
    for number, target in enumerate(targets if isinstance(targets, list) else ()):
        if _lacks(target, _members(document, "target_definitions")):
            pointer = step_pointer(step_id, f"targets/{number}")
            yield problem("target-missing", pointer, "no target of target_definitions")


def _credentials(document: Mapping[str, Any]) -> Iterator[PlaybookProblem]:
    known = _members(document, "authentication_info_definitions")
    for section in _DEFINITIONS:
        for name, definition in _members(document, section).items():
            if isinstance(definition, dict) and _lacks(definition.get("authentication_info"), known):
                pointer = inside(inside(f"/{section}", name), "authentication_info")
                yield problem("authentication-missing", pointer, "none of authentication_info_definitions")


def _lacks(name: Any, known: Collection[str]) -> bool:
    """Returns whether `name` is a name, but neither known nor a variable's; values of other types are the schema's."""
    return isinstance(name, str) and name not in known and not is_reference(name)


def _variables(document: Mapping[str, Any], workflow: Workflow) -> Iterator[PlaybookProblem]:
    everywhere = _members(document, "playbook_variables")
    somewhere = {name for step in workflow.steps.values() for name in _members(step, "step_variables")}
    for step_id, step in workflow.steps.items():
        own = _members(step, "step_variables")
        begin = step_pointer(step_id)
        for place, name in chain(_uses(step), _arguments(step)):
            if name not in everywhere and name not in own:
                yield _out_of_reach(begin + place.pointer, name, somewhere)
    for section, value in document.items():
        if section in _OUTSIDE_STEPS_SKIPPED:
            continue
        # A definition sees the variables of each step that uses it.
        seen: Collection[str] = somewhere if section in _DEFINITIONS else ()
        for place, name in _uses({section: value}):
            if name not in everywhere and name not in seen:
                yield _out_of_reach(place.pointer, name, somewhere)


def _out_of_reach(pointer: str, name: str, somewhere: Collection[str]) -> PlaybookProblem:
    if name in somewhere:
        return warning("variable-out-of-scope", pointer, f"{name} is a variable of another step")
    return problem("variable-undeclared", pointer, f"{name} is declared nowhere")


def _uses(value: Mapping[str, Any]) -> Iterator[tuple[TextPlace, str]]:
    """Yields (place, name) of each variable that a text below refers to, once for each text."""
    waiting: list[tuple[Any, TextPlace | None]] = [(value, None)]
    while waiting:
        one, place = waiting.pop()
        if isinstance(one, str):
            if place is not None:
                yield from ((place, name) for name in dict.fromkeys(references(one)))
        elif isinstance(one, dict | list):
            members = one.items() if isinstance(one, dict) else enumerate(one)
            for key, member in members:
                if isinstance(member, dict | list) or (isinstance(member, str) and ":value" in member):
                    waiting.append((member, TextPlace(place, key)))


def _arguments(step: Mapping[str, Any]) -> Iterator[tuple[TextPlace, str]]:
    """Yields (place, name) of what a step takes and gives, written without `:value`. What another playbook gives is its own."""
    names = ("in_args",) if step.get("type") == "playbook-action" else ("in_args", "out_args")
    for property_ in names:
        arguments = step.get(property_)
        for number, name in enumerate(arguments if isinstance(arguments, list) else ()):
            if isinstance(name, str) and not name.endswith(":value"):
                yield TextPlace(TextPlace(None, property_), number), name


def _markings(document: Mapping[str, Any]) -> Iterator[PlaybookProblem]:
    known = _members(document, "data_marking_definitions")
    markings = document.get("markings")
    for number, marking in enumerate(markings if isinstance(markings, list) else ()):
        if isinstance(marking, str) and marking not in known:
            yield warning("marking-undefined", f"/markings/{number}", "none of data_marking_definitions")
    for name, definition in known.items():
        level = definition.get("tlpv2_level") if isinstance(definition, dict) else None
        tlp = Tlp.from_label(level) if isinstance(level, str) else None
        if tlp is not None and name != f"marking-tlp--{TLP2_IDS[tlp].partition('--')[2]}":
            pointer = inside("/data_marking_definitions", name)
            yield warning(
                "marking-own",
                pointer,
                f"a marking of one's own for {tlp.label}: CACAO has one for all, and the roaster opens no other",
            )


def _extensions(document: Mapping[str, Any]) -> Iterator[PlaybookProblem]:
    known = _members(document, "extension_definitions")
    waiting: list[tuple[Any, TextPlace | None]] = [(document, None)]
    while waiting:
        value, around = waiting.pop()
        members = value.items() if isinstance(value, dict) else enumerate(value)
        for key, member in members:
            if not isinstance(member, dict | list):
                continue
            place = TextPlace(around, key)
            if isinstance(member, dict) and isinstance(key, str) and key.endswith(_EXTENSIONS):
                for name in member:
                    if name not in known:
                        pointer = TextPlace(place, name).pointer
                        yield warning("extension-undefined", pointer, "none of extension_definitions")
            else:
                waiting.append((member, place))
