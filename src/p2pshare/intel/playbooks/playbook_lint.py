"""All that is wrong with a playbook, by rule and place (docs/playbooks.md): the text, the schemas, the workflow, what it refers to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from p2pshare.intel.playbooks.playbook_problems import PROBLEMS_MAX, PlaybookProblem
from p2pshare.intel.playbooks.playbook_references import reference_problems
from p2pshare.intel.playbooks.playbook_schema import schema_problems
from p2pshare.intel.playbooks.playbook_text import Playbook, read_playbook
from p2pshare.intel.playbooks.workflow import Workflow, mistyped_steps, step_pointer, workflow_problems


class LintReport(msgspec.Struct, frozen=True):
    """What is said of a playbook. `valid`: no problem is an error. Errors come first, each level in the order it was found,
    the first PROBLEMS_MAX of it."""

    valid: bool
    problems: list[PlaybookProblem]


def lint(raw: bytes) -> LintReport:
    """Returns what is wrong with a playbook's text. Raises OperatorError `extra-missing`."""
    playbook, faults = read_playbook(raw)
    return _report(faults if playbook is None else _problems(playbook))


def _problems(playbook: Playbook) -> Iterator[PlaybookProblem]:
    workflow = Workflow(playbook.document)
    # A step whose id promises another type is held against that type's schema: what it says there is no second fault.
    mistyped = [step_pointer(step_id) for step_id in mistyped_steps(workflow)]
    begun = tuple(f"{pointer}/" for pointer in mistyped)
    for found in schema_problems(playbook.document):
        if found.pointer not in mistyped and not found.pointer.startswith(begun):
            yield found
    yield from workflow_problems(workflow)
    yield from reference_problems(playbook.document, workflow)


def _report(found: Iterable[PlaybookProblem]) -> LintReport:
    told: dict[str, list[PlaybookProblem]] = {"error": [], "warning": []}
    for one in found:
        if len(told[one.level]) < PROBLEMS_MAX:
            told[one.level].append(one)
        elif one.level == "error":
            break
    return LintReport(not told["error"], [*told["error"], *told["warning"]])
