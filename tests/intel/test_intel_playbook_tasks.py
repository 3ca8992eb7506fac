"""A playbook as ordered tasks: what comes first, what stands below what, and that nothing in it costs more than its bytes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from playbooks_made import action, long_playbook, playbook_with, sound_playbook, step_id

from p2pshare.errors import AuthorError
from p2pshare.intel.playbooks.playbook_tasks import (
    NOT_RUN_HERE,
    TASK_TEXT_BYTES_MAX,
    TASK_TITLE_BYTES_MAX,
    TASKS_MAX,
    PlaybookTask,
    tasks_of,
)

OURS = sorted((Path(__file__).parents[2] / "config" / "playbooks").glob("*.json"))


def titles(tasks: list[PlaybookTask]) -> list[str]:
    return [one.title for one in tasks]


def with_action(**more: Any) -> PlaybookTask:
    """Returns the one task of a playbook whose only action says so."""
    workflow = {
        step_id("start", 1): {"type": "start", "on_completion": step_id("action", 1)},
        step_id("action", 1): action(1, step_id("end", 1), **more),
        step_id("end", 1): {"type": "end"},
    }
    [task] = tasks_of(playbook_with(workflow))
    return task


def test_a_branching_step_is_one_task_with_its_branches_below_it_before_what_follows() -> None:
    tasks = tasks_of(sound_playbook())
    assert [(one.place, one.kind, one.below, one.branch, one.is_at_once) for one in tasks] == [
        (1, "choose", 0, "", False),
        (2, "do", 1, "if true", False),
        (3, "do", 1, "if false", False),
        (4, "at-once", 0, "", False),
        (5, "do", 4, "at once", True),
        (6, "do", 4, "at once", True),
        (7, "do", 0, "", False),
    ]
    assert "If true: task 2, Step 1\nIf false: task 3, Step 2" in tasks[0].text
    assert tasks[1].text.startswith("Below task 1, if true\n")


def test_a_sequence_is_breadth_first_and_says_what_a_failure_leads_to() -> None:
    workflow = {
        step_id("start", 1): {"type": "start", "on_completion": step_id("action", 1)},
        step_id("action", 1): {key: value for key, value in action(1, "").items() if key != "on_completion"}
        | {"on_success": step_id("action", 2), "on_failure": step_id("action", 3)},
        step_id("action", 2): action(2, step_id("action", 4)),
        step_id("action", 3): action(3, step_id("action", 4)),
        step_id("action", 4): action(4, step_id("end", 1)),
        step_id("end", 1): {"type": "end"},
    }
    tasks = tasks_of(playbook_with(workflow))
    assert titles(tasks) == ["Step 1", "Step 2", "Step 3", "Step 4"]
    assert tasks[1].text.startswith("When task 1 has succeeded\n")
    assert tasks[2].text.startswith("When task 1 has failed\n")
    assert "Goes on with task 4" in tasks[2].text


def test_a_while_is_repeat_until_a_playbook_action_names_the_other_and_an_exception_comes_last() -> None:
    workflow = {
        step_id("start", 1): {"type": "start", "on_completion": step_id("while-condition", 1)},
        step_id("while-condition", 1): {
            "type": "while-condition",
            "name": "Still spreading?",
            "condition": "__who__:value = 'Ada'",
            "on_true": step_id("action", 1),
            "on_completion": step_id("playbook-action", 1),
        },
        step_id("action", 1): action(1, step_id("end", 1)),
        step_id("playbook-action", 1): {
            "type": "playbook-action",
            "name": "Tell the press",
            "playbook_id": step_id("playbook", 7),
            "on_completion": step_id("end", 2),
        },
        step_id("action", 9): action(9, step_id("end", 3)),
    } | {step_id("end", number): {"type": "end"} for number in (1, 2, 3)}
    tasks = tasks_of(playbook_with(workflow, workflow_exception=step_id("action", 9)))
    assert titles(tasks) == [
        "Repeat until no longer: Still spreading?",
        "Step 1",
        "Playbook: Tell the press",
        "Step 9",
    ]
    assert [one.branch for one in tasks] == ["", "while true", "", "exception"]
    assert tasks[2].playbook == step_id("playbook", 7)
    assert "As long as: __who__:value = 'Ada'" in tasks[0].text, "a condition is asked, not filled in"


def test_what_is_for_a_machine_is_shown_and_marked_and_variables_are_filled_in() -> None:
    task = with_action(
        commands=[
            {"type": "manual", "command": "Call __who__:value at __number__:value."},
            {"type": "ssh", "command": "iptables -A INPUT -s __bad__:value"},
            {"type": "bash", "command_b64": "cm0gLXJmIC8="},
            {"type": "http-api", "command_b64": "!"},
        ],
        step_variables={
            "__number__": {"type": "string", "value": "112"},
            "__bad__": {"type": "string", "value": "__who__:value"},
        },
        timeout=900_000,
        delay=3_600_000,
    )
    assert "Call __who__ at 112." in task.text
    assert "Not set: __who__" in task.text
    assert f"ssh ({NOT_RUN_HERE}): iptables -A INPUT -s __who__:value" in task.text, "filled in once"
    assert f"bash ({NOT_RUN_HERE}): rm -rf /" in task.text
    assert "in Base64 that cannot be read" in task.text
    assert task.not_run == ("ssh", "bash", "http-api")
    assert "Time for it: 15 minutes" in task.text and "Wait first: 1 hour" in task.text
    assert "By: Team" in task.text and "On: Wards" in task.text


def test_variables_that_stand_for_much_make_no_task_longer_than_an_entry_holds() -> None:
    much = {"type": "string", "value": "x" * 250_000}
    task = with_action(
        name="n" * 1_000,
        commands=[{"type": "manual", "command": "__m__:value" * 20_000}] * 50,
        step_variables={"__m__": much},
    )
    assert len(task.text.encode()) <= TASK_TEXT_BYTES_MAX
    assert len(task.title.encode()) <= TASK_TITLE_BYTES_MAX
    assert task.text.endswith("…")


def test_more_steps_than_an_incident_holds_are_refused_and_said_why() -> None:
    assert len(tasks_of(long_playbook(TASKS_MAX + 2))) == TASKS_MAX
    with pytest.raises(AuthorError, match=str(TASKS_MAX)) as caught:
        tasks_of(long_playbook(5_000))
    assert caught.value.reason == "too-many-tasks"
    assert "playbook-action" in caught.value.hint
    with pytest.raises(AuthorError) as nothing:
        tasks_of(playbook_with({step_id("start", 1): {"type": "start"}}))
    assert nothing.value.reason == "no-tasks"


def test_a_step_that_branches_share_and_a_circle_are_told_once() -> None:
    playbook = sound_playbook()
    playbook["workflow"][step_id("action", 2)]["on_completion"] = step_id("action", 1)
    playbook["workflow"][step_id("action", 5)]["on_completion"] = step_id("if-condition", 1)
    tasks = tasks_of(playbook)
    assert sorted(one.step for one in tasks) == sorted({one.step for one in tasks})
    assert len(tasks) == 7
    assert "Goes on with task 2" in tasks[2].text


def test_branches_in_each_other_cost_no_stack() -> None:
    deep = TASKS_MAX
    workflow: dict[str, Any] = {
        step_id("start", 1): {"type": "start", "on_completion": step_id("if-condition", 1)}
    }
    for number in range(1, deep + 1):
        workflow[step_id("if-condition", number)] = {
            "type": "if-condition",
            "condition": "x",
            "on_true": step_id("if-condition", number + 1) if number < deep else step_id("end", 1),
        }
    workflow[step_id("end", 1)] = {"type": "end"}
    tasks = tasks_of(playbook_with(workflow))
    assert [one.below for one in tasks] == list(range(deep))


@pytest.mark.parametrize("file", OURS, ids=lambda file: file.stem)
def test_our_own_playbooks_become_tasks_that_people_do(file: Path) -> None:
    document = json.loads(file.read_text())
    tasks = tasks_of(document)
    done = [step for step in document["workflow"].values() if step["type"] not in ("start", "end")]
    assert len(tasks) == len(done) >= 25
    assert not any(one.not_run for one in tasks)
    assert all(one.below < one.place for one in tasks)
    assert all(not one.text.endswith("…") for one in tasks), "none is cut"


WILD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
NAMES = st.sampled_from([step_id(kind, 1) for kind in ("action", "if-condition", "parallel", "end", "start")])
STEPS = st.fixed_dictionaries(
    {
        "type": st.sampled_from(["action", "if-condition", "parallel", "while-condition", "switch-condition"])
        | WILD
    },
    optional={
        "on_completion": NAMES | WILD,
        "on_success": NAMES,
        "on_failure": NAMES,
        "on_true": NAMES | WILD,
        "next_steps": st.lists(NAMES | WILD, max_size=3) | WILD,
        "cases": st.dictionaries(st.text(max_size=3), NAMES | WILD, max_size=3) | WILD,
        "commands": st.lists(
            st.dictionaries(st.sampled_from(["type", "command", "command_b64"]), WILD), max_size=2
        ),
        "agent": WILD,
        "targets": WILD,
        "out_args": WILD,
        "delay": WILD,
        "step_variables": WILD,
        "name": WILD,
    },
)


@given(st.dictionaries(NAMES, STEPS, max_size=5), WILD, WILD, WILD)
@settings(max_examples=150, deadline=None)
def test_whatever_a_document_says_it_becomes_tasks_or_is_refused(
    workflow: dict[str, Any], agents: Any, variables: Any, exception: Any
) -> None:
    document = playbook_with(workflow, agent_definitions=agents, playbook_variables=variables)
    document["workflow_start"], document["workflow_exception"] = next(iter(workflow), None), exception
    try:
        tasks = tasks_of(document)
    except AuthorError as error:
        assert error.reason == "no-tasks"
        return
    assert len({one.step for one in tasks}) == len(tasks) <= len(workflow)
    assert all(one.below < one.place for one in tasks)
