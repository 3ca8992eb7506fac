"""Playbooks for tests: a valid one that each test spoils, one of any number of steps, and steps by number."""

from __future__ import annotations

import json
from typing import Any

AT = "2026-03-01T08:00:00.000Z"


def step_id(kind: str, number: int) -> str:
    return f"{kind}--{number:08d}-0000-4000-8000-000000000000"


def action(number: int, following: str, **more: Any) -> dict[str, Any]:
    return {
        "type": "action",
        "name": f"Step {number}",
        "commands": [{"type": "manual", "command": "Call __who__:value and write down when."}],
        "agent": step_id("organization", 1),
        "targets": [step_id("sector", 1)],
        "on_completion": following,
    } | more


def playbook_with(workflow: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "type": "playbook",
        "spec_version": "cacao-2.0",
        "id": step_id("playbook", 1),
        "name": "Isolate and tell",
        "created_by": step_id("identity", 1),
        "created": AT,
        "modified": AT,
        "workflow_start": step_id("start", 1),
        "workflow": workflow,
        "playbook_variables": {"__who__": {"type": "string"}},
        "agent_definitions": {step_id("organization", 1): {"type": "organization", "name": "Team"}},
        "target_definitions": {
            step_id("sector", 1): {"type": "sector", "name": "Wards", "sector": "healthcare"}
        },
    } | more


def sound_playbook() -> dict[str, Any]:
    """A start, an if with two branches, a parallel with two, an action behind, and an end; an end for each branch."""
    ends = {step_id("end", number): {"type": "end"} for number in range(1, 6)}
    workflow = {
        step_id("start", 1): {"type": "start", "on_completion": step_id("if-condition", 1)},
        step_id("if-condition", 1): {
            "type": "if-condition",
            "condition": "__who__:value = 'Ada'",
            "on_true": step_id("action", 1),
            "on_false": step_id("action", 2),
            "on_completion": step_id("parallel", 1),
        },
        step_id("action", 1): action(1, step_id("end", 1)),
        step_id("action", 2): action(2, step_id("end", 2)),
        step_id("parallel", 1): {
            "type": "parallel",
            "next_steps": [step_id("action", 3), step_id("action", 4)],
            "on_completion": step_id("action", 5),
        },
        step_id("action", 3): action(3, step_id("end", 3)),
        step_id("action", 4): action(4, step_id("end", 4)),
        step_id("action", 5): action(5, step_id("end", 5)),
    }
    return playbook_with(workflow | ends)


def long_playbook(steps: int) -> dict[str, Any]:
    """A start, `steps - 2` actions one after another, and an end."""
    last = step_id("end", 1)
    workflow: dict[str, Any] = {step_id("start", 1): {"type": "start", "on_completion": step_id("action", 1)}}
    for number in range(1, steps - 1):
        workflow[step_id("action", number)] = action(
            number, step_id("action", number + 1) if number < steps - 2 else last
        )
    return playbook_with(workflow | {last: {"type": "end"}})


def raw(document: dict[str, Any]) -> bytes:
    return json.dumps(document).encode()
