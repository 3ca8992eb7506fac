"""Playbooks: each rule by a sound playbook that is spoilt in one place; graphs against a naive reading; what hostile ones cost."""

from __future__ import annotations

import json
import re
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from playbooks_made import action, long_playbook, playbook_with, raw, sound_playbook, step_id

from p2pshare.errors import AuthorError
from p2pshare.intel.playbooks.playbook_diff import compare
from p2pshare.intel.playbooks.playbook_drawing import STEPS_DRAWN_MAX, TooManySteps, draw_workflow
from p2pshare.intel.playbooks.playbook_lint import lint
from p2pshare.intel.playbooks.playbook_problems import ERRORS, WARNINGS
from p2pshare.intel.playbooks.playbook_text import playbook_digest, playbook_of
from p2pshare.intel.playbooks.variables import references
from p2pshare.intel.playbooks.workflow import Workflow, workflow_problems
from p2pshare.limits import MIB

Document = dict[str, Any]
START, IF, PARALLEL = step_id("start", 1), step_id("if-condition", 1), step_id("parallel", 1)
A1, A2, A3, A4, A5 = (step_id("action", number) for number in range(1, 6))
E1, E5 = step_id("end", 1), step_id("end", 5)
NOWHERE = step_id("action", 99)
OWN_TLP = step_id("marking-tlp", 1)
OWN_MARKING = {
    "type": "marking-tlp",
    "id": OWN_TLP,
    "created_by": step_id("identity", 1),
    "created": "2026-03-01T08:00:00.000Z",
    "tlpv2_level": "TLP:GREEN",
}


def told(document: Document) -> list[tuple[str, str, str]]:
    return [(one.level, one.rule, one.pointer) for one in lint(raw(document)).problems]


def at(step: str, place: str = "") -> str:
    return f"/workflow/{step}" + (f"/{place}" if place else "")


def deep(levels: int, value: Any) -> Document:
    """`value` below so many keys, each almost as long as a key may be."""
    for number in range(levels):
        value = {f"{number:02}" + "k" * 240: value}
    return {"x": value}


def put(step: str, **values: Any) -> Callable[[Document], None]:
    def spoil(document: Document) -> None:
        document["workflow"].setdefault(step, {}).update(values)

    return spoil


def drop(step: str, name: str) -> Callable[[Document], None]:
    return lambda document: document["workflow"][step].pop(name)


def top(**values: Any) -> Callable[[Document], None]:
    return lambda document: document.update(values)


def both(*steps: Callable[[Document], Any]) -> Callable[[Document], None]:
    def spoil(document: Document) -> None:
        for step in steps:
            step(document)

    return spoil


def move(old: str, new: str) -> Callable[[Document], None]:
    """Gives a step another id, wherever it stands."""

    def spoil(document: Document) -> None:
        changed = json.loads(json.dumps(document).replace(old, new))
        document.clear()
        document.update(changed)

    return spoil


# What is done to a sound playbook, and what must then be told: nothing else may be.
SPOILT: list[tuple[Callable[[Document], Any], list[tuple[str, str, str]]]] = [
    (drop(A1, "agent"), [("error", "schema", at(A1))]),
    (put(A1, timeout="long"), [("error", "schema", at(A1, "timeout"))]),
    (put(A1, timeout="__who__:value"), []),
    (top(spec_version="1.1"), [("error", "schema", "/spec_version")]),
    (top(workflow_start=A5), [("error", "start-type", "/workflow_start")]),
    (top(workflow_start=NOWHERE), [("error", "reference-missing", "/workflow_start")]),
    (
        put(step_id("start", 2), type="start", on_completion=A5),
        [("error", "start-second", at(step_id("start", 2)))],
    ),
    (move(A1, step_id("playbook-action", 1)), [("error", "step-id-type", at(step_id("playbook-action", 1)))]),
    (
        put(IF, on_false=NOWHERE),
        [
            ("error", "reference-missing", at(IF, "on_false")),
            ("error", "unreachable", at(A2)),
            ("error", "unreachable", at(step_id("end", 2))),
        ],
    ),
    (top(workflow_exception=NOWHERE), [("error", "reference-missing", "/workflow_exception")]),
    (top(workflow_exception=E5), []),
    (
        both(put(A5, on_completion=START), lambda one: one["workflow"].pop(E5)),
        [("error", "reference-start", at(A5, "on_completion"))],
    ),
    (put(A5, on_success=E5), [("error", "next-both", at(A5))]),
    (both(drop(A1, "on_completion"), put(A1, on_success=E1)), [("warning", "no-completion", at(A1))]),
    (both(drop(A5, "on_completion"), lambda one: one["workflow"].pop(E5)), [("error", "no-next", at(A5))]),
    (put(step_id("action", 6), **action(6, E5)), [("error", "unreachable", at(step_id("action", 6)))]),
    (
        put(A5, on_completion=A5),
        [("error", "loop", at(A5, "on_completion")), ("error", "unreachable", at(E5))],
    ),
    (
        both(put(A1, on_completion=IF), lambda one: one["workflow"].pop(E1)),
        [("error", "loop", at(IF, "on_true"))],
    ),
    (
        both(put(A3, on_completion=A4), lambda one: one["workflow"].pop(step_id("end", 3))),
        [("error", "branches-meet", at(A3, "on_completion"))],
    ),
    (
        top(playbook_variables={"__who__": {"type": "string", "value": "__boss__:value"}}),
        [("error", "variable-undeclared", "/playbook_variables/__who__/value")],
    ),
    (
        both(put(A4, on_completion=A3), lambda one: one["workflow"].pop(step_id("end", 4))),
        [("error", "branches-meet", at(A4, "on_completion"))],
    ),
    (
        both(put(A4, on_completion=A5), lambda one: one["workflow"].pop(step_id("end", 4))),
        [("error", "branches-meet", at(A4, "on_completion"))],
    ),
    (
        both(put(A2, on_completion=A1), lambda one: one["workflow"].pop(step_id("end", 2))),
        [("warning", "branches-meet", at(A2, "on_completion"))],
    ),
    (
        both(put(A2, on_completion=E1), lambda one: one["workflow"].pop(step_id("end", 2))),
        [("warning", "branch-end-shared", at(A2, "on_completion"))],
    ),
    (put(A1, agent=step_id("group", 7)), [("error", "agent-missing", at(A1, "agent"))]),
    (put(A1, agent="__who__:value"), []),
    (
        put(A1, targets=[step_id("sector", 1), step_id("sector", 7)]),
        [("error", "target-missing", at(A1, "targets/1"))],
    ),
    (
        top(
            agent_definitions={
                step_id("organization", 1): {"type": "organization", "name": "Team"},
                step_id("ssh", 2): {
                    "type": "ssh",
                    "name": "Host",
                    "address": {"ipv4": ["192.0.2.7"]},
                    "authentication_info": step_id("user-auth", 1),
                },
            }
        ),
        [("error", "authentication-missing", f"/agent_definitions/{step_id('ssh', 2)}/authentication_info")],
    ),
    (
        put(A1, name="Ask __boss__:value"),
        [("error", "variable-undeclared", at(A1, "name"))],
    ),
    (put(A1, in_args=["__boss__"]), [("error", "variable-undeclared", at(A1, "in_args/0"))]),
    (
        both(put(A1, step_variables={"__boss__": {"type": "string"}}), put(A2, name="Ask __boss__:value")),
        [("warning", "variable-out-of-scope", at(A2, "name"))],
    ),
    (
        drop(IF, "on_completion"),
        [
            ("error", "unreachable", at(step))
            for step in (PARALLEL, A3, A4, A5, *(step_id("end", n) for n in (3, 4, 5)))
        ]
        + [("warning", "no-completion", at(IF))],
    ),
    (
        put(A1, step_extensions={step_id("extension-definition", 1): {"much": "more"}}),
        [("warning", "extension-undefined", at(A1, f"step_extensions/{step_id('extension-definition', 1)}"))],
    ),
    (top(markings=[step_id("marking-tlp", 1)]), [("warning", "marking-undefined", "/markings/0")]),
    (
        top(data_marking_definitions={OWN_TLP: OWN_MARKING}),
        [("warning", "marking-own", f"/data_marking_definitions/{OWN_TLP}")],
    ),
]


def test_a_sound_playbook_has_no_problem() -> None:
    assert told(sound_playbook()) == []


@pytest.mark.parametrize("number", range(len(SPOILT)))
def test_one_fault_is_told_once_and_nothing_else_is(number: int) -> None:
    spoil, wanted = SPOILT[number]
    document = sound_playbook()
    spoil(document)
    assert told(document) == wanted


SOUND = raw(sound_playbook())
TEXTS = [
    (b"", "not-json", ""),
    (b"[]", "not-json", ""),
    (SOUND[:-1], "not-json", ""),
    (b"\xff" + SOUND, "not-json", ""),
    (SOUND.replace(b"Isolate and tell", b"\\ud800"), "not-json", "/name"),
    (b" " * (4 * 2**20) + b"{}", "too-large", ""),
    (SOUND.replace(b"Isolate and tell", b"x" * 2**20), "too-large", "/name"),
    (SOUND.replace(b'{"__who__"', b'{"__' + b"x" * 2**20 + b'__"'), "too-large", "/playbook_variables"),
    (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "too-deep", ""),
    (b"[" * 100_000, "too-deep", ""),
    (b"{" + b'"a":[],' * 300_000 + b'"b":1}', "too-large", ""),
    (SOUND.replace(b'"name": "Isolate', b'"type": "playbook", "name": "Isolate'), "duplicate-key", "/type"),
    (SOUND.replace(b'"type": "end"', b'"type": "end", "type": "end"', 1), "duplicate-key", f"{at(E1)}/type"),
    (
        SOUND.replace(b'"name": "Isolate', b'"priority": 9007199254740993, "name": "Isolate'),
        "number-not-jcs",
        "/priority",
    ),
    (SOUND.replace(b'"name": "Isolate', b'"priority": NaN, "name": "Isolate'), "number-not-jcs", "/priority"),
    (
        SOUND.replace(b'"name": "Isolate', b'"priority": 1e999, "name": "Isolate'),
        "number-not-jcs",
        "/priority",
    ),
    (
        SOUND.replace(b'"name": "Isolate', b'"priority": 1' + b"0" * 5_000 + b', "name": "Isolate'),
        "number-not-jcs",
        "/priority",
    ),
]


@pytest.mark.parametrize("number", range(len(TEXTS)))
def test_a_text_that_two_readers_read_differently_is_refused_before_anything_else(number: int) -> None:
    text, rule, pointer = TEXTS[number]
    assert [(one.rule, one.pointer) for one in lint(text).problems] in (
        [(rule, pointer)],
        [(rule, pointer)] * 2,
    )
    with pytest.raises(AuthorError) as refused:
        playbook_of(text)
    assert refused.value.reason == rule


def test_each_rule_of_the_page_is_told_somewhere_here_and_each_of_here_stands_on_the_page(
    repository: Path,
) -> None:
    shown = {(level, rule) for _, wanted in SPOILT for level, rule, _ in wanted}
    shown |= {("error", rule) for _, rule, _ in TEXTS}
    assert shown == {("error", rule) for rule in ERRORS} | {("warning", rule) for rule in WARNINGS}
    page = (repository / "docs" / "playbooks.md").read_text()
    rows = re.findall(r"^\| `([a-z-]+)` \| (error|warning)[ |]", page, re.MULTILINE)
    assert {(level, rule) for rule, level in rows} == shown


def test_a_playbook_without_variables_agents_or_a_workflow_that_is_one_is_told_and_crashes_nothing() -> None:
    for value in (None, [], 3, "x", {"a": None}, {"a": {"type": 3, "cases": 4, "next_steps": {"x": 1}}}):
        for name in ("workflow", "playbook_variables", "agent_definitions", "target_definitions", "markings"):
            lint(raw(sound_playbook() | {name: value}))


edges_drawn = st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), max_size=14, unique=True)


@given(edges_drawn)
def test_circles_and_what_nothing_leads_to_are_those_of_a_naive_reading(drawn: list[tuple[int, int]]) -> None:
    """Actions 0 to 7, each with two ways on at most; action 0 follows the start."""
    ways: dict[int, list[int]] = {number: [] for number in range(8)}
    for source, target in drawn:
        if len(ways[source]) < 2:
            ways[source].append(target)
    names = [step_id("action", number) for number in range(8)]
    workflow: Document = {START: {"type": "start", "on_completion": names[0]}}
    for number, targets in ways.items():
        following = dict(zip(("on_success", "on_failure"), (names[one] for one in targets), strict=False))
        workflow[names[number]] = {"type": "action", **following}
    reach = {number: set(targets) for number, targets in ways.items()}
    for _ in range(8):
        for number in reach:
            reach[number] |= set().union(*(reach[one] for one in reach[number]), set())
    circles = {
        frozenset(two for two in reach[one] if one in reach[two]) for one in reach if one in reach[one]
    }
    problems = list(workflow_problems(Workflow(playbook_with(workflow))))
    looping = [one.pointer.split("/")[2:4] for one in problems if one.rule == "loop"]
    assert len(looping) == len(circles)
    for source, place in looping:
        target = workflow[source][place]
        assert any({names.index(source), names.index(target)} <= circle for circle in circles)
    lost = {at(names[number]) for number in range(8)} - {at(names[one]) for one in reach[0] | {0}}
    assert {one.pointer for one in problems if one.rule == "unreachable"} == lost


def nested_ifs(depth: int) -> Document:
    """An if in an if in an if; each innermost branch ends where the outermost ends."""
    workflow: Document = {START: {"type": "start", "on_completion": step_id("if-condition", 1)}}
    for number in range(1, depth + 1):
        inner = step_id("if-condition", number + 1) if number < depth else step_id("action", 1)
        workflow[step_id("if-condition", number)] = {
            "type": "if-condition",
            "condition": "x",
            "on_true": inner,
            "on_false": step_id("action", number + 1),
            "on_completion": E5,
        }
        workflow[step_id("action", number + 1)] = action(number + 1, E5)
    workflow[step_id("action", 1)] = action(1, E5)
    return playbook_with(workflow | {E5: {"type": "end"}})


@pytest.mark.parametrize(
    "document",
    [
        {"k" * 400_000: [[]] * 2_000},
        deep(60, [[]] * 8_000),
        {"type": "playbook", "x": deep(60, [" __a__:value"] * 8_000)},
        {"type": "playbook", "x": deep(60, {"x_extensions": {str(number): 1 for number in range(8_000)}})},
    ],
    ids=["a long key", "deep lists", "deep variables", "deep extensions"],
)
def test_places_of_thousands_of_values_below_long_keys_fill_no_memory(document: Document) -> None:
    text = json.dumps(document).encode()
    tracemalloc.start()
    try:
        report = lint(text)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert not report.valid
    assert peak < 60 * MIB


def test_branches_a_thousand_deep_in_each_other_are_told_without_recursion() -> None:
    problems = list(workflow_problems(Workflow(nested_ifs(2_000))))
    assert [(one.rule, one.level) for one in problems] == [("branch-end-shared", "warning")]


def test_variables_are_found_wherever_they_stand_in_a_text() -> None:
    assert list(references("a __b__:value, x__c__:value and __d-e__:value__f__:value")) == [
        "__b__",
        "__c__",
        "__d-e__",
        "__f__",
    ]
    assert list(references("____:value __1__:value __x:value :value" + "_" * 100_000)) == []


def test_the_digest_is_of_what_it_says_and_not_of_who_signs_or_how_it_is_written() -> None:
    document = sound_playbook()
    digest = playbook_digest(playbook_of(raw(document)).document)
    turned = json.dumps(dict(reversed(document.items())), indent=3).encode()
    assert playbook_digest(playbook_of(turned).document) == digest
    assert playbook_digest(document | {"signatures": [{"type": "jss"}]}) == digest
    assert playbook_digest(document | {"priority": 1}) == playbook_digest(
        playbook_of(raw(document | {"priority": 1.0})).document
    )
    document["workflow"][A1]["commands"][0]["command"] += "."
    assert playbook_digest(document) != digest


def test_a_diff_tells_each_change_at_its_place_and_nothing_of_equal_ones() -> None:
    before, after = sound_playbook(), sound_playbook()
    assert compare(before, after) == []
    after["workflow"][A1]["name"] = "Another"
    after["workflow"][A1].pop("targets")
    after["workflow"][step_id("action", 6)] = action(6, E5)
    after["agent_definitions"].pop(step_id("organization", 1))
    after["modified"] = "2026-03-02T08:00:00.000Z"
    after["revoked"] = True
    changes = compare(before, after)
    assert [(one.section, one.id, one.change) for one in changes] == [
        ("", "", "changed"),
        ("workflow", A1, "changed"),
        ("workflow", step_id("action", 6), "added"),
        ("agent_definitions", step_id("organization", 1), "removed"),
    ]
    assert [(one.pointer, one.change) for one in changes[1].properties] == [
        (at(A1, "name"), "changed"),
        (at(A1, "targets"), "removed"),
    ]
    assert compare({"priority": 1}, {"priority": True}) != []  # equal in Python, not in JSON


SVG = "{http://www.w3.org/2000/svg}"


def drawn_of(document: Document) -> tuple[list[str], list[tuple[str, str, str]]]:
    root = ElementTree.fromstring(draw_workflow(Workflow(document), "T"))
    groups = root.findall(f"{SVG}g")
    steps = [group.attrib["data-step"] for group in groups if "data-step" in group.attrib]
    edges = [
        (group.attrib["data-from"], group.attrib["data-kind"], group.attrib["data-to"])
        for group in groups
        if "data-from" in group.attrib
    ]
    return steps, edges


def test_a_drawing_has_each_step_and_edge_once_with_its_kind() -> None:
    for document in (sound_playbook(), long_playbook(100), nested_ifs(33)):
        workflow = Workflow(document)
        steps, edges = drawn_of(document)
        assert steps == list(workflow.steps)
        wanted = [(edge.source, edge.kind, edge.target) for one in workflow.edges.values() for edge in one]
        assert sorted(edges) == sorted(wanted)


def test_boxes_of_a_drawing_do_not_cover_each_other() -> None:
    root = ElementTree.fromstring(draw_workflow(Workflow(nested_ifs(33)), "T"))
    boxes = [
        tuple(int(rect.attrib[name]) for name in ("x", "y", "width", "height"))
        for rect in root.iter(f"{SVG}rect")
    ]
    assert len(boxes) == 69
    for number, (x, y, width, height) in enumerate(boxes):
        for x2, y2, _, _ in boxes[:number]:
            assert abs(x - x2) >= width or abs(y - y2) >= height


def test_a_drawing_shows_loops_and_missing_steps_and_escapes_what_an_author_wrote() -> None:
    hostile = "</text><script>alert(1)</script>\x00\x1b\u202e\u2028\ud800" + "x" * 500
    document = sound_playbook()
    document["workflow"][A1] |= {"name": hostile, "on_completion": A1}
    document["workflow"]['a"><script>'] = {"type": "<b>", "name": hostile, "on_completion": NOWHERE}
    text = draw_workflow(Workflow(document), hostile)
    root = ElementTree.fromstring(text)
    assert not list(root.iter(f"{SVG}script")) and "<script" not in text
    assert not set(text) & set("\x00\x1b\u202e\u2028\ud800")
    steps, edges = drawn_of(document)
    assert len(steps) == len(document["workflow"]) + 1
    assert (A1, "on_completion", A1) in edges and NOWHERE in steps


def test_a_workflow_that_nobody_can_look_at_is_not_drawn() -> None:
    with pytest.raises(TooManySteps):
        draw_workflow(Workflow(long_playbook(STEPS_DRAWN_MAX + 1)), "T")


@pytest.mark.parametrize("name", ["exposed-vulnerability", "phishing", "ransomware-in-a-hospital"])
def test_our_own_playbooks_are_clean_and_have_what_a_hospital_needs_at_night(
    name: str, repository: Path
) -> None:
    text = (repository / "config" / "playbooks" / f"{name}.json").read_bytes()
    assert lint(text).problems == []
    document = json.loads(text)
    steps = document["workflow"].values()
    actions = [step for step in steps if step["type"] == "action"]
    assert len(actions) >= 15
    assert {command["type"] for step in actions for command in step["commands"]} == {"manual"}
    assert {"if-condition", "while-condition", "parallel", "switch-condition"} <= {
        step["type"] for step in steps
    }
    contacts = [agent["contact"]["phone"] for agent in document["agent_definitions"].values()]
    assert sum("out_of_hours" in phone for phone in contacts) >= 3
    assert any("fall-back" in step["name"].lower() for step in actions)
    used = {name for step in actions for name in references(json.dumps(step))}
    assert used and used <= set(document["playbook_variables"])
    activities = {command["playbook_activity"] for step in actions for command in step["commands"]}
    assert activities == set(document["playbook_activities"])
