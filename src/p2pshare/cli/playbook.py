"""`p2pshare playbook`: playbooks in CACAO 2.0, as files (offline, without a home or a daemon), and as partners hold and approve them in a
framework. Nothing in them is ever run.

A playbook is called by a FILE, or by an ID: the beginning of its UUID. A word is a file where one of that name is there, or where it looks like a
path or ends in .json.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from p2pshare.cli import console
from p2pshare.cli.command import Group
from p2pshare.cli.completion import complete_file
from p2pshare.cli.options import (
    EXIT_PARTLY_DONE,
    STANDARD_STREAM,
    UsageProblem,
    json_option,
    open_input,
    read_input,
)
from p2pshare.cli.output import write_output
from p2pshare.cli.session import read_or_ask
from p2pshare.cli.space_verbs import answer, confirm, mark_shown, write
from p2pshare.errors import AuthorError, RefusedError

if TYPE_CHECKING:
    from p2pshare.intel.playbooks.playbook_diff import PartChange
    from p2pshare.intel.playbooks.playbook_problems import PlaybookProblem
    from p2pshare.intel.playbooks.playbook_text import Playbook
    from p2pshare.intel.playbooks.workflow import Workflow
    from p2pshare.operations.frameworks import PlaybookListed, PlaybookShown

SIGNS = {"added": "+", "removed": "-", "changed": "~"}
VALUE_CHARACTERS = 200  # of a changed value on the screen; --json has it whole


@click.group(cls=Group)
def playbook() -> None:
    """check, compare, draw, share and approve playbooks (CACAO 2.0); none is ever run"""


def _version_option(function: Any) -> Any:
    return click.option(
        "--version",
        metavar="MODIFIED",
        default="",
        help="of which version: its `modified`, or the beginning of its hash",
    )(function)


def _framework_option(function: Any) -> Any:
    return click.option(
        "--framework", metavar="ID", default="", help="the framework that has it, where several do"
    )(function)


def _output_option(function: Any) -> Any:
    return click.option(
        "-o",
        "output",
        metavar="FILE",
        default=STANDARD_STREAM,
        show_default="stdout",
        shell_complete=complete_file,
        help="where to; a file appears whole or not at all",
    )(function)


# --- files -------------------------------------------------------------------------------------------


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


@playbook.command("new")
@click.argument("name")
@_output_option
@click.pass_obj
def new_one(home: Path, name: str, output: str) -> None:
    """write a playbook called NAME to begin with: one step, valid, made by us"""
    from p2pshare.intel.playbooks.playbook_making import new_playbook

    write_output(output, new_playbook(name, **_made(home)))


@playbook.command("derive")
@click.argument("called", metavar="FILE|ID", shell_complete=complete_file)
@_version_option
@_framework_option
@_output_option
@json_option
@click.pass_obj
def derive_one(home: Path, called: str, version: str, framework: str, output: str, as_json: bool) -> None:
    """write a playbook of our own that says what another says, and names it as the one it is derived from

    With --json what was written is told: the file is then to be named by -o.
    """
    from p2pshare.intel.playbooks.playbook_making import derive
    from p2pshare.intel.playbooks.playbook_text import playbook_of

    _refuse_two_on_stdout(output, as_json=as_json)
    found = _read(called) if _is_file(called) else _held(home, called, version, framework).playbook
    raw = derive(found, **_made(home))
    write_output(output, raw)
    if as_json:
        own = _heading(playbook_of(raw))
        console.print_json(own | {"derived_from": found.document["id"], "bytes": len(raw)})


def _refuse_two_on_stdout(output: str, *, as_json: bool) -> None:
    if as_json and output == STANDARD_STREAM:
        raise UsageProblem("stdout has room for the file or for JSON", hint="-o FILE")


@playbook.command("export")
@click.argument("called", metavar="FILE|ID", shell_complete=complete_file)
@_version_option
@_framework_option
@click.option(
    "--unsigned", "is_unsigned", is_flag=True, help="without any signature, as the roaster wants it"
)
@click.option("--as-misp", "format_", flag_value="misp", help="a MISP event with a security-playbook")
@click.option("--as-stix", "format_", flag_value="stix", help="a STIX bundle with a course of action")
@click.option(
    "--for", "reader", type=click.Choice(["soarca"]), help="say what this reader leaves out, and write CACAO"
)
@_output_option
@json_option
@click.pass_obj
def export_one(
    home: Path,
    called: str,
    version: str,
    framework: str,
    is_unsigned: bool,
    format_: str | None,
    reader: str | None,
    output: str,
    as_json: bool,
) -> None:
    """write a playbook for others: CACAO JSON with the signatures of who approves it, or another format

    With --json what was written is told: the file is then to be named by -o.
    """
    from p2pshare.exporters.playbooks.playbook_formats import load_playbook_exporter
    from p2pshare.exporters.playbooks.playbook_record import PlaybookRecord
    from p2pshare.intel.marking import Tlp
    from p2pshare.intel.playbooks.playbook_text import playbook_of

    if format_ is not None and reader is not None:
        raise UsageProblem(f"--for {reader} writes CACAO", hint="leave out --as-misp and --as-stix")
    _refuse_two_on_stdout(output, as_json=as_json)
    format_name = format_ or reader or "cacao"
    warnings: list[PlaybookProblem] = []
    signatures: tuple[dict[str, Any], ...] = ()
    tlp: Tlp | None = None
    if _is_file(called):
        found = _read(called)
    else:
        held = _held(home, called, version, framework)
        found, tlp = held.playbook, Tlp.parse(held.shown.tlp)
        signatures = tuple(playbook_of(one).document for one in held.shown.signatures)
    if reader is not None:
        from p2pshare.exporters.playbooks.playbook_soarca import soarca_warnings

        warnings = soarca_warnings(found.document)
        for one in warnings:
            console.warn(f"{one.rule}: {console.shown(one.pointer)}: {console.shown(one.message)}")
    raw = load_playbook_exporter(format_name)(PlaybookRecord(found, signatures, is_unsigned, tlp))
    write_output(output, raw)
    if as_json:
        from msgspec import to_builtins

        said = _heading(found) | {"format": format_name, "signatures": 0 if is_unsigned else len(signatures)}
        console.print_json(said | {"bytes": len(raw), "warnings": to_builtins(warnings)})
    if tlp is not None:
        console.say(f"the framework it is from is {tlp.label}")


# --- in a framework ----------------------------------------------------------------------------------


@playbook.command("import")
@click.argument("file", metavar="FILE", shell_complete=complete_file)
@_framework_option
@click.option("--review", metavar="DATE", help="when we look at it again: 2027-06-30")
@json_option
@click.pass_obj
def import_playbooks(home: Path, file: str, framework: str, review: str | None, as_json: bool) -> int:
    """put the playbooks of FILE into a framework, byte for byte: CACAO JSON, base64 of it, a MISP event, a STIX bundle"""
    import msgspec

    from p2pshare.importers.playbook_containers import CONTAINER_BYTES_MAX, read_container
    from p2pshare.operations.frameworks import ImportPlaybook

    until = _day(review)
    read = read_container(read_input(file, CONTAINER_BYTES_MAX))
    refused: list[dict[str, Any]] = [
        {"reason": one.rule, "pointer": one.pointer, "message": one.message} for one in read.problems
    ]
    space = _framework(home, framework) if read.playbooks else ""
    written = []
    for one in read.playbooks:
        try:
            written.append(write(home, ImportPlaybook(space, one.playbook.raw, until)))
        except RefusedError as error:
            refused.append(
                {"reason": error.reason, "pointer": one.pointer, "message": error.message, "hint": error.hint}
            )
    for fault in refused:
        hint = f" ({fault['hint']})" if fault.get("hint") else ""
        console.say(
            f"refused: {fault['reason']}: {console.shown(fault['pointer'] or file)}: {console.shown(fault['message'])}{hint}"
        )
    for note in read.notes:
        console.say(
            f"noted: {note.rule}: {console.shown(note.pointer or file)}: {console.shown(note.message)}"
        )
    if not written:
        first = refused[0] if refused else {"reason": "no-playbook", "message": "there is no playbook in it"}
        raise RefusedError(
            f"nothing was imported: {first['message']}",
            hint=first.get("hint") or "`p2pshare playbook lint` says all that is wrong",
            reason=first["reason"],
        )
    if as_json:
        told = [msgspec.to_builtins(one) for one in written]
        console.print_json({"imported": told, "refused": refused, "notes": msgspec.to_builtins(read.notes)})
    else:
        for imported in written:
            what = "imported" if imported.is_new else "was there"
            kind = ", a template: derive from it, nobody approves it" if imported.template else ""
            console.print_result(
                f"{imported.playbook}  {imported.version}  {what}{kind}  {console.shown(imported.name)}"
            )
            console.print_result(f"sha256 {imported.hash}")
    return EXIT_PARTLY_DONE if refused else 0


@playbook.command("list")
@_framework_option
@json_option
@click.pass_obj
def list_playbooks(home: Path, framework: str, as_json: bool) -> None:
    """list the playbooks that are held here, each version with its hash, its owner and who approves it"""
    from p2pshare.operations.frameworks import ListPlaybooks

    listed = read_or_ask(home, ListPlaybooks(framework)).each
    if as_json:
        console.print_json(listed)
        return
    rows = [
        (
            one.playbook.removeprefix("playbook--")[:8],
            one.version,
            one.hash[:10],
            one.owner[:16],
            _standing(one),
            _due(one.review),
            one.name,
        )
        for one in listed
    ]
    console.print_table(("playbook", "version", "hash", "owner", "approved", "review", "name"), rows)


@playbook.command("approve")
@click.argument("called", metavar="ID")
@_version_option
@_framework_option
@click.option("--yes", is_flag=True, help="do not ask")
@json_option
@click.pass_obj
def approve(home: Path, called: str, version: str, framework: str, yes: bool, as_json: bool) -> None:
    """approve one exact content of ID for our organisation: of --version, else the newest that was shown here"""
    _approve(home, called, version, framework, yes=yes, as_json=as_json, is_revoked=False)


@playbook.command("revoke-approval")
@click.argument("called", metavar="ID")
@_version_option
@_framework_option
@click.option("--yes", is_flag=True, help="do not ask")
@json_option
@click.pass_obj
def revoke_approval(home: Path, called: str, version: str, framework: str, yes: bool, as_json: bool) -> None:
    """take our approval of ID back; what is worked by it already keeps its version"""
    _approve(home, called, version, framework, yes=yes, as_json=as_json, is_revoked=True)


def _approve(
    home: Path, called: str, version: str, framework: str, *, yes: bool, as_json: bool, is_revoked: bool
) -> None:
    from msgspec.structs import replace

    from p2pshare.operations.frameworks import ApprovePlaybook

    request = ApprovePlaybook(called, version, framework, is_revoked=is_revoked, dry_run=True)
    would = write(home, request)

    def tell() -> None:
        console.say(f"{console.shown(would.name)}, version {console.shown(would.version)}")
        console.say(f"sha256 {would.hash}")

    what = "take our approval back?" if is_revoked else "approve exactly this?"
    confirm(what, yes=yes, tell=tell)
    written = write(home, replace(request, version=would.hash, dry_run=False))
    done = "taken back" if is_revoked else "approved" if written.is_new else "was approved"
    answer(written, f"{written.entry}  {done}\nsha256 {written.hash}", as_json=as_json)


# --- shown and compared ------------------------------------------------------------------------------


@playbook.command("diff")
@click.argument("one", metavar="FILE|ID", shell_complete=complete_file)
@click.argument("before", metavar="FILE|VERSION", shell_complete=complete_file)
@click.argument("after", metavar="[VERSION]", required=False)
@_framework_option
@json_option
@click.pass_obj
def diff_playbooks(
    home: Path, one: str, before: str, after: str | None, framework: str, as_json: bool
) -> None:
    """compare two files, or two versions of the playbook ID (their `modified`, or the beginning of their hash): step by step, definition by
    definition"""
    from p2pshare.intel.playbooks.playbook_diff import compare

    if after is None:
        old, new, names = _read(one), _read(before), (one, before)
    else:
        old, new = (_held(home, one, which, framework).playbook for which in (before, after))
        names = (before, after)
    changes = compare(old.document, new.document)
    if as_json:
        console.print_json({"before": _heading(old), "after": _heading(new), "changes": changes})
        return
    for change in changes:
        _print_change(change)
    told = console.counted(len(changes), "change") if changes else "both say the same"
    console.say(f"{console.shown(names[0])}, {console.shown(names[1])}: {told}")


@playbook.command("show")
@click.argument("called", metavar="FILE|ID", shell_complete=complete_file)
@_version_option
@_framework_option
@click.option("--graph", "is_drawn", is_flag=True, help="draw the workflow (SVG): each step and edge once")
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    shell_complete=complete_file,
    help="write the drawing to FILE, not stdout",
)
@json_option
@click.pass_obj
def show_playbook(
    home: Path,
    called: str,
    version: str,
    framework: str,
    is_drawn: bool,
    output: str | None,
    as_json: bool,
) -> None:
    """show a playbook: what it is of, its digest, and each step with what follows it; of ID who approves it, and which versions there are"""
    from p2pshare.intel.playbooks.workflow import Workflow

    if is_drawn and as_json:
        raise UsageProblem("a drawing is no JSON", hint="give --graph or --json")
    if output is not None and not is_drawn:
        raise UsageProblem("-o is for a drawing", hint="add --graph")
    held = None if _is_file(called) else _held(home, called, version, framework)
    read = _read(called) if held is None else held.playbook
    workflow = Workflow(read.document)
    if is_drawn:
        _draw(workflow, str(read.document.get("name", called)), output or "-")
        return
    steps = [_step(workflow, step_id) for step_id in workflow.steps]
    standing = {} if held is None else held.told()
    if as_json:
        console.print_json(_heading(read) | standing | {"steps": steps})
        return
    console.print_fields(_heading(read))
    if held is not None:
        _print_standing(held)
        mark_shown(home, held.shown.listed.framework, {held.shown.author: held.shown.number})
    for step in steps:
        console.print_result(
            f"{console.shown(step['type'])}  {console.shown(step['name'])}  ({console.shown(step['id'])})"
        )
        for command in step["commands"]:
            console.print_result(f"    {console.shown(command['type'])}: {console.shown(command['command'])}")
        for following in step["next"]:
            case = f" {console.shown(following['case'])}" if following["case"] else ""
            console.print_result(f"    {following['kind']}{case} -> {console.shown(following['step'])}")


class _HeldPlaybook(NamedTuple):
    """A version as it is held in a framework."""

    playbook: Playbook
    shown: PlaybookShown

    def told(self) -> dict[str, Any]:
        """Returns what `show --json` says beside the steps."""
        from msgspec import to_builtins

        listed = to_builtins(self.shown.listed)
        versions = [
            {"version": one.version, "hash": one.hash, "forked": one.forked} for one in self.shown.versions
        ]
        names = (
            "framework",
            "owner",
            "review",
            "template",
            "forked",
            "approvals",
            "needed",
            "in_force",
            "adopted_by",
        )
        return {name: listed[name] for name in names} | {"versions": versions}


def _held(home: Path, called: str, version: str, framework: str) -> _HeldPlaybook:
    from p2pshare.intel.playbooks.playbook_text import playbook_of
    from p2pshare.operations.frameworks import ShowPlaybook

    shown = read_or_ask(home, ShowPlaybook(called, version, framework))
    return _HeldPlaybook(playbook_of(shown.raw), shown)


def _is_file(called: str) -> bool:
    return called == STANDARD_STREAM or "/" in called or called.endswith(".json") or Path(called).is_file()


def _framework(home: Path, called: str) -> str:
    """Returns the id of the framework that is meant. Raises NotFoundError, AmbiguousId."""
    from p2pshare.operations.frameworks import ShowFramework

    return read_or_ask(home, ShowFramework(called)).framework


def _made(home: Path) -> dict[str, str]:
    """Returns id, author and time of a playbook that we make."""
    import time
    import uuid

    from p2pshare.envelope.card import believe_chain
    from p2pshare.intel.authoring import identity_id
    from p2pshare.intel.playbooks.playbook_making import cacao_instant
    from p2pshare.node.home import CARD_FILE_NAME, require_home

    card = believe_chain((require_home(home) / CARD_FILE_NAME).read_bytes())
    return {
        "playbook_id": f"playbook--{uuid.uuid4()}",
        "created_by": identity_id(card.partner_id),
        "at": cacao_instant(time.time_ns() // 1_000),
    }


def _day(text: str | None) -> int:
    """Returns the last second of a day in UTC, 0 for none. Raises UsageProblem."""
    from p2pshare.intel.duty_templates import read_time

    if text is None:
        return 0
    at = read_time(text, "UTC") if len(text) == 10 else None
    if at is None or at <= 0:
        raise UsageProblem(f"'{console.shown(text)}' is no day", hint="--review 2027-06-30")
    return at + 86_399


def _due(review: int | None) -> str:
    import time

    from p2pshare.intel.instants import SECOND_US, format_instant

    if review is None:
        return ""
    day = (format_instant(review * SECOND_US) or "")[:10]
    return f"{day} (past)" if review < time.time() else day


def _standing(one: PlaybookListed) -> str:
    if one.template:
        return "template"
    of = "" if one.needed is None else f" of {one.needed}"
    words = [
        f"{len(one.approvals)}{of}",
        *(["in force"] if one.in_force else []),
        *(["forked"] if one.forked else []),
    ]
    return ", ".join(words)


def _print_standing(held: _HeldPlaybook) -> None:
    one = held.shown.listed
    console.print_fields(
        {
            "owner": one.owner,
            "review": _due(one.review) or "no day",
            "approved by": [by.by for by in one.approvals],
            "needed": one.needed if one.needed is not None else "not in the framework",
            "state": _standing(one),
            "adopted by": one.adopted_by,
            "versions": [f"{other.version} {other.hash[:10]}" for other in held.shown.versions],
        }
    )


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
