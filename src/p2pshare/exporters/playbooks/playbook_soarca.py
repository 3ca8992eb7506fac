"""CACAO 2.0 for SOARCA (COSSAS), and what SOARCA leaves out without a word.

The text is that of every reader: SOARCA reads plain CACAO JSON. It runs `action`, `playbook-action`, `if-condition` and
`while-condition`; each other step that is no start and no end it passes over, and goes on (`pkg/core/decomposer`). A command is run
for each target of its step by the capability that the agent is called after (`pkg/core/executors/action`). Nothing is refused here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from p2pshare.exporters.playbooks.playbook_record import PlaybookRecord, cacao_text
from p2pshare.intel.playbooks.playbook_problems import PlaybookProblem, inside
from p2pshare.intel.playbooks.workflow import Workflow, step_pointer

SOARCA_RULES = (
    "soarca-parallel",
    "soarca-switch",
    "soarca-agent",
    "soarca-no-target",
    "soarca-on-failure",
    "soarca-exception",
)
_AGENT_WORD = (
    "soarca"  # its agents are of the type `soarca`, `soarca-manual`; a fin is called `soarca-fin-...`
)


def render(record: PlaybookRecord) -> bytes:
    """Returns the playbook as `cacao_text` does."""
    return cacao_text(record)


def soarca_warnings(document: Mapping[str, Any]) -> list[PlaybookProblem]:
    """Returns a warning for each part that SOARCA passes over or cannot run, in the order of the text."""
    return list(_warnings(document, Workflow(document)))


def _warnings(document: Mapping[str, Any], workflow: Workflow) -> Iterator[PlaybookProblem]:
    if workflow.exception:
        yield _warning("soarca-exception", "/workflow_exception", "SOARCA never runs it")
    said = document.get("agent_definitions")
    agents: Mapping[str, Any] = said if isinstance(said, dict) else {}
    for agent_id, agent in agents.items():
        if not _is_soarcas(agent):
            message = "no agent of SOARCA: a command for it ends the run, or is never run"
            yield _warning("soarca-agent", inside("/agent_definitions", agent_id), message)
    for step_id, step in workflow.steps.items():
        kind = workflow.kinds[step_id]
        if kind == "parallel":
            yield _warning("soarca-parallel", step_pointer(step_id), "SOARCA runs none of its branches")
        elif kind == "switch-condition":
            yield _warning("soarca-switch", step_pointer(step_id), "SOARCA runs none of its cases")
        elif kind == "action" and not step.get("targets"):
            message = "SOARCA runs a command for each target: this one it never runs"
            yield _warning("soarca-no-target", step_pointer(step_id), message)
        if "on_failure" in step and ("on_completion" in step or "on_success" in step):
            message = "SOARCA ends the run where a step fails, and never goes on there"
            yield _warning("soarca-on-failure", step_pointer(step_id, "on_failure"), message)


def _is_soarcas(agent: Any) -> bool:
    names = (agent.get("type"), agent.get("name")) if isinstance(agent, dict) else ()
    return any(
        isinstance(name, str) and (name == _AGENT_WORD or name.startswith(f"{_AGENT_WORD}-"))
        for name in names
    )


def _warning(rule: str, pointer: str, message: str) -> PlaybookProblem:
    assert rule in SOARCA_RULES, rule
    return PlaybookProblem("warning", pointer, rule, message)
