"""What an imported playbook can be used for: to run, as a template, or for nothing.

A playbook for people whose actions say what is done and not by whom, or by whom and not with what command, is a template: it is shown and
others derive theirs from it; nobody approves it. It is one only where that is all that is wrong with it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import msgspec

from p2pshare.intel.playbooks.playbook_lint import LintReport, lint
from p2pshare.intel.playbooks.playbook_text import read_playbook
from p2pshare.intel.playbooks.workflow import Workflow

EXECUTABLE, TEMPLATE = "executable", "template"
"""CACAO's and MISP's words for a playbook's abstraction."""
PLAYBOOK, REFUSED = "playbook", "refused"
_STAND_IN = "individual--00000000-0000-4000-8000-000000000000"


class PlaybookStanding(msgspec.Struct, frozen=True):
    """`kind`: `playbook`, `template` or `refused`. `report` says of a template, too, that it is not valid, and why."""

    kind: str
    report: LintReport


def standing_of(raw: bytes) -> PlaybookStanding:
    """Returns what a playbook's text can be used for. Raises OperatorError `extra-missing`."""
    report = lint(raw)
    if report.valid:
        return PlaybookStanding(PLAYBOOK, report)
    playbook, _ = read_playbook(raw)
    is_one = (
        playbook is not None and is_template(playbook.document) and lint(_completed(playbook.document)).valid
    )
    return PlaybookStanding(TEMPLATE if is_one else REFUSED, report)


def is_template(document: Mapping[str, Any]) -> bool:
    """Returns whether an action of the playbook lacks its agent or its commands."""
    workflow = Workflow(document)
    return any(
        workflow.kinds[step_id] == "action" and ("agent" not in step or "commands" not in step)
        for step_id, step in workflow.steps.items()
    )


def _completed(document: Mapping[str, Any]) -> bytes:
    """Returns the playbook with an agent and a command where an action lacks them: what is wrong with it then is something else."""
    workflow = Workflow(document)
    steps = dict(document["workflow"])
    for step_id, step in workflow.steps.items():
        if workflow.kinds[step_id] == "action" and isinstance(steps[step_id], dict):
            command = {"type": "manual", "command": "what the step says"}
            steps[step_id] = {"agent": _STAND_IN, "commands": [command]} | step
    agents = document.get("agent_definitions", {})
    if isinstance(agents, dict):
        agents = {_STAND_IN: {"type": "individual", "name": "Whoever it is"}} | agents
    return json.dumps({**document, "workflow": steps, "agent_definitions": agents}).encode()
