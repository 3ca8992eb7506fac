"""`p2pshare playbook`: playbooks in CACAO 2.0, read from files: offline, without a home or a daemon. Nothing in them is ever run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from p2pshare.cli import console
from p2pshare.cli.command import Group
from p2pshare.cli.completion import complete_file
from p2pshare.cli.options import UsageProblem, json_option, open_input
from p2pshare.cli.output import write_output
from p2pshare.errors import AuthorError, RefusedError

if TYPE_CHECKING:
    from p2pshare.intel.playbooks.playbook_diff import PartChange
    from p2pshare.intel.playbooks.playbook_text import Playbook
    from p2pshare.intel.playbooks.workflow import Workflow

SIGNS = {"added": "+", "removed": "-", "changed": "~"}
VALUE_CHARACTERS = 200  # of a changed value on the screen; --json has it whole


@click.group(cls=Group)
def playbook() -> None:
    """check, compare and draw playbooks (CACAO 2.0), offline"""


@playbook.command("lint")
@click.argument("file", metavar="FILE", shell_complete=complete_file)
@json_option
def lint_playbook(file: str, as_json: bool) -> int:
    """say what is wrong with a playbook: each problem with its rule and place"""
    from p2pshare.intel.playbooks.playbook_lint import lint

    report = lint(_bytes_of(file))
    if as_json:
        console.print_json(report)
        return 0 if report.valid else RefusedError.exit_code
    for problem in report.problems:
        place = problem.pointer or "the whole file"
        console.print_result(
            f"{problem.level}: {problem.rule}: {console.shown(place)}: {console.shown(problem.message)}"
        )
    errors = sum(problem.level == "error" for problem in report.problems)
    told = f"{console.counted(errors, 'error')}, {console.counted(len(report.problems) - errors, 'warning')}"
    console.say(f"{console.shown(file)} is {'valid' if report.valid else 'not valid'}: {told}")
    return 0 if report.valid else RefusedError.exit_code


@playbook.command("diff")
@click.argument("before", metavar="FILE", shell_complete=complete_file)
@click.argument("after", metavar="FILE", shell_complete=complete_file)
@json_option
def diff_playbooks(before: str, after: str, as_json: bool) -> None:
    """compare two playbooks, or two versions of one: step by step, definition by definition"""
    from p2pshare.intel.playbooks.playbook_diff import compare

    old, new = _read(before), _read(after)
    changes = compare(old.document, new.document)
    if as_json:
        console.print_json({"before": _heading(old), "after": _heading(new), "changes": changes})
        return
    for change in changes:
        _print_change(change)
    told = console.counted(len(changes), "change") if changes else "both say the same"
    console.say(f"{console.shown(before)}, {console.shown(after)}: {told}")


@playbook.command("show")
@click.argument("file", metavar="FILE", shell_complete=complete_file)
@click.option("--graph", "is_drawn", is_flag=True, help="draw the workflow (SVG): each step and edge once")
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    shell_complete=complete_file,
    help="write the drawing to FILE, not stdout",
)
@json_option
def show_playbook(file: str, is_drawn: bool, output: str | None, as_json: bool) -> None:
    """show a playbook: what it is of, its digest, and each step with what follows it"""
    from p2pshare.intel.playbooks.workflow import Workflow

    if is_drawn and as_json:
        raise UsageProblem("a drawing is no JSON", hint="give --graph or --json")
    if output is not None and not is_drawn:
        raise UsageProblem("-o is for a drawing", hint="add --graph")
    read = _read(file)
    workflow = Workflow(read.document)
    if is_drawn:
        _draw(workflow, str(read.document.get("name", file)), output or "-")
        return
    steps = [_step(workflow, step_id) for step_id in workflow.steps]
    if as_json:
        console.print_json(_heading(read) | {"steps": steps})
        return
    console.print_fields(_heading(read))
    for step in steps:
        console.print_result(
            f"{console.shown(step['type'])}  {console.shown(step['name'])}  ({console.shown(step['id'])})"
        )
        for command in step["commands"]:
            console.print_result(f"    {console.shown(command['type'])}: {console.shown(command['command'])}")
        for following in step["next"]:
            case = f" {console.shown(following['case'])}" if following["case"] else ""
            console.print_result(f"    {following['kind']}{case} -> {console.shown(following['step'])}")


def _draw(workflow: Workflow, title: str, output: str) -> None:
    from p2pshare.intel.playbooks.playbook_drawing import STEPS_DRAWN_MAX, TooManySteps, draw_workflow

    try:
        drawing = draw_workflow(workflow, title)
    except TooManySteps:
        raise AuthorError(
            f"the workflow has more than {STEPS_DRAWN_MAX} steps",
            hint="show it without --graph",
            reason="too-large",
        ) from None
    write_output(output, drawing.encode())


def _bytes_of(file: str) -> bytes:
    """Returns a playbook's bytes, and one more than are read where there are more: the rule `too-large` says so."""
    from p2pshare.intel.playbooks.playbook_text import PLAYBOOK_BYTES_MAX

    with open_input(file) as stream:
        return stream.read(PLAYBOOK_BYTES_MAX + 1)


def _read(file: str) -> Playbook:
    from p2pshare.intel.playbooks.playbook_text import playbook_of

    return playbook_of(_bytes_of(file))


def _heading(read: Playbook) -> dict[str, Any]:
    """Returns which playbook it is, in which version, and the digest that an approval would be of."""
    from p2pshare.intel.playbooks.playbook_text import playbook_digest

    said = {name: read.document.get(name) for name in ("id", "name", "modified")}
    return said | {"sha256": playbook_digest(read.document).hex()}


def _step(workflow: Workflow, step_id: str) -> dict[str, Any]:
    step = workflow.steps[step_id]
    said = step.get("commands")
    commands = [
        {"type": str(one.get("type", "")), "command": str(one.get("command", ""))}
        for one in (said if isinstance(said, list) else ())
        if isinstance(one, dict)
    ]
    following = [
        {"kind": edge.kind, "case": edge.case, "step": edge.target} for edge in workflow.edges[step_id]
    ]
    name, agent, targets = step.get("name"), step.get("agent"), step.get("targets")
    return {
        "id": step_id,
        "type": workflow.kinds[step_id],
        "name": name if isinstance(name, str) else "",
        "agent": agent if isinstance(agent, str) else None,
        "targets": targets if isinstance(targets, list) else [],
        "commands": commands,
        "next": following,
    }


def _print_change(change: PartChange) -> None:
    what = f"{change.section} {change.id}".strip() or "the playbook"
    name = f"  {console.shown(change.name)}" if change.name and change.section else ""
    console.print_result(f"{SIGNS[change.change]} {console.shown(what)}{name}")
    for one in change.properties:
        console.print_result(f"    {SIGNS[one.change]} {console.shown(one.pointer)}")
        if one.change != "added":
            console.print_result(f"        was {_value(one.before)}")
        if one.change != "removed":
            console.print_result(f"        is  {_value(one.after)}")


def _value(value: Any) -> str:
    text = value if isinstance(value, str) else console.json_text(value)
    return console.shown(text if len(text) <= VALUE_CHARACTERS else text[:VALUE_CHARACTERS] + "...")
