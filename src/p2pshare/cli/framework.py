"""`p2pshare framework`: how partners agree to react. The verbs of every space under their own word, and those of frameworks.

Approving stands with the playbooks (`cli.playbook`); here it is said which playbook answers what, who works by it, and `react` makes the tasks of an
incident of it. Nothing of a playbook is run.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from p2pshare.cli import console
from p2pshare.cli.command import Command
from p2pshare.cli.completion import complete_file
from p2pshare.cli.options import UsageProblem, json_option, read_input
from p2pshare.cli.session import read_or_ask
from p2pshare.cli.space import open_space
from p2pshare.cli.space_verbs import answer, confirm, space_group, write

if TYPE_CHECKING:
    from p2pshare.intel.playbooks.framework_manifest import FrameworkEntry, FrameworkManifest
    from p2pshare.operations.framework_reacting import Reacted
    from p2pshare.operations.frameworks import FrameworkEntryShown, FrameworkShown

STATES = {
    "in-force": "in force",
    "approving": "not enough approve it",
    "forked": "two contents of one version",
    "missing": "not here",
}


def _print_state(output: Mapping[str, Any], called: Callable[[str | None], str]) -> None:
    """Print what a framework comes to, for `space show`."""
    state = output["state"]
    console.print_fields(
        {
            "playbooks": len({one["playbook"] for one in state["playbooks"]}),
            "approvals": len(state["approvals"]),
            "adopted by": [
                called(one["author"]) for one in state["adoptions"] if one["manifest"] == state["manifest"]
            ],
        }
    )


framework = space_group(
    "framework",
    "framework",
    {"framework": _print_state},
    "agree with partners which playbook answers what, and react by it",
)


def _only_one(home: Path) -> str:
    """Returns the only framework that is held here. Raises NotFoundError, AmbiguousId."""
    from p2pshare.operations.frameworks import ShowFramework

    return read_or_ask(home, ShowFramework()).framework


framework.choose = _only_one


@framework.command("new", cls=Command)
@click.option("--title", metavar="TITLE", required=True, help="what all members read above it")
@click.option(
    "--tlp", metavar="LEVEL", required=True, help="its playbooks are marked so, and so are tasks made of them"
)
@click.option("--invite", "names", metavar="NAME", multiple=True, help="a partner's alias or id; repeat it")
@click.option("--yes", is_flag=True, help="do not ask")
@json_option
@click.pass_obj
def new(home: Path, title: str, tlp: str, names: tuple[str, ...], yes: bool, as_json: bool) -> None:
    """open a framework with the partners that are named"""
    from p2pshare.intel.marking import Tlp

    if Tlp.parse(tlp) > Tlp.AMBER:
        console.say(
            "its playbooks name their readers: whoever is invited later reads those that are imported then"
        )
    open_space(home, "framework", title, tlp, names, yes=yes, as_json=as_json)


@framework.command("add")
@click.argument("space_id", metavar="ID")
@click.option(
    "--file",
    metavar="FILE",
    shell_complete=complete_file,
    help="entries of a framework in a file; `hospitals` is the one that comes with the program",
)
@click.option("--playbook", "called", metavar="ID", help="the playbook that answers")
@click.option("--type", "types", metavar="TYPE", multiple=True, help="a type of incident; repeat it")
@click.option("--attack", metavar="T1486", multiple=True, help="a technique or tactic of ATT&CK; repeat it")
@click.option("--risk", metavar="OUTCOME", multiple=True, help="an outcome of `risk rank`; repeat it")
@click.option(
    "--quorum", type=click.IntRange(1, 256), help="how many members approve it; with --file: of each entry"
)
@click.option("--least", metavar="MODIFIED", help="the oldest version that will do; else the newest here")
@click.option("--duties", metavar="TEMPLATE", multiple=True, help="a law whose clocks run: nis2; repeat it")
@click.option("--csf", metavar="OUTCOME", multiple=True, help="an outcome of NIST CSF 2.0; repeat it")
@json_option
@click.pass_obj
def add(
    home: Path,
    space_id: str,
    file: str | None,
    called: str | None,
    types: tuple[str, ...],
    attack: tuple[str, ...],
    risk: tuple[str, ...],
    quorum: int | None,
    least: str | None,
    duties: tuple[str, ...],
    csf: tuple[str, ...],
    as_json: bool,
) -> None:
    """say which playbook answers what, how many must approve it and whose clocks run: the lead may; an entry for the same playbook is replaced"""
    import msgspec

    from p2pshare.intel.playbooks.framework_manifest import FrameworkManifest, manifest_bytes, read_manifest
    from p2pshare.operations.frameworks import ShowFramework, WriteManifest

    shown = read_or_ask(home, ShowFramework(space_id))
    if (file is None) == (called is None):
        raise UsageProblem("what is added?", hint="--playbook ID --type TYPE --quorum N, or --file FILE")
    before = read_manifest(shown.manifest, "the framework") if shown.manifest else None
    if file is not None:
        read = _from_file(file)
        entries = [
            one if quorum is None else msgspec.structs.replace(one, quorum=quorum) for one in read.entries
        ]
        name = read.framework
    else:
        assert called is not None
        if quorum is None or not (types or attack or risk):
            raise UsageProblem(
                "an entry says what it answers and how many approve",
                hint="--type, --attack or --risk, and --quorum",
            )
        entries = [_entry(home, shown, called, types, attack, risk, quorum, least, duties, csf)]
        name = "framework"
    replaced = {one.playbook for one in entries}
    kept = [] if before is None else [one for one in before.entries if one.playbook not in replaced]
    manifest = FrameworkManifest(
        name if before is None else before.framework,
        shown.title,
        1 if before is None else before.version + 1,
        (*kept, *entries),
    )
    written = write(home, WriteManifest(shown.framework, manifest_bytes(manifest)))
    answer(written, f"{written.entry}  version {manifest.version}", as_json=as_json)
    if not as_json and manifest.version > 1:
        console.say("who adopted the version before adopts this one anew: `p2pshare framework adopt`")


def _from_file(file: str) -> FrameworkManifest:
    from p2pshare.intel.playbooks.framework_manifest import MANIFEST_BYTES_MAX, read_manifest
    from p2pshare.node.shipped import shipped_frameworks

    ours = {} if Path(file).exists() else shipped_frameworks()
    return read_manifest(ours[file] if file in ours else read_input(file, MANIFEST_BYTES_MAX), file)


def _entry(
    home: Path,
    shown: FrameworkShown,
    called: str,
    types: tuple[str, ...],
    attack: tuple[str, ...],
    risk: tuple[str, ...],
    quorum: int,
    least: str | None,
    duties: tuple[str, ...],
    csf: tuple[str, ...],
) -> FrameworkEntry:
    import msgspec

    from p2pshare.intel.playbooks.framework_manifest import FrameworkEntry
    from p2pshare.node.duty_files import duty_template_digests, load_duty_templates
    from p2pshare.operations.frameworks import ShowPlaybook

    listed = read_or_ask(home, ShowPlaybook(called, "", shown.framework)).listed
    templates, digests = load_duty_templates(home), duty_template_digests(home)
    unknown = [one for one in duties if one not in templates]
    if unknown:
        raise UsageProblem(
            f"there is no template {console.shown(unknown[0])}", hint=f"there are: {', '.join(templates)}"
        )
    said = {
        "trigger": {"types": types, "attack": attack, "risk": risk},
        "playbook": listed.playbook,
        "least": least or listed.version,
        "quorum": quorum,
        "duties": [
            {"template": one, "version": templates[one].version, "sha256": digests[one]} for one in duties
        ],
        "csf": csf,
    }
    try:
        return msgspec.convert(said, FrameworkEntry)
    except msgspec.ValidationError as error:
        raise UsageProblem(
            f"that is no entry: {error}",
            hint="--type ransomware, --attack T1486, --risk immediate, --csf RS.MA-01, --least 2026-11-30T08:00:00.000Z",
        ) from None


@framework.command("adopt")
@click.argument("space_id", metavar="ID")
@click.option("--yes", is_flag=True, help="do not ask")
@json_option
@click.pass_obj
def adopt(home: Path, space_id: str, yes: bool, as_json: bool) -> None:
    """adopt ID as it is now: from then on `react` works by it here"""
    from p2pshare.operations.frameworks import AdoptFramework, ShowFramework

    shown = read_or_ask(home, ShowFramework(space_id))
    confirm("adopt it for our organisation?", yes=yes, tell=lambda: _print_status(shown))
    exactly = hashlib.sha256(shown.manifest).hexdigest() if shown.manifest else ""
    written = write(home, AdoptFramework(space_id, exactly))
    answer(written, f"{written.entry}  adopted", as_json=as_json)


@framework.command("status", cls=Command)
@click.argument("space_id", metavar="[ID]", required=False)
@json_option
@click.pass_obj
def status(home: Path, space_id: str | None, as_json: bool) -> None:
    """show who approves which playbook, and who adopted it: of ID, else of the only framework"""
    from p2pshare.operations.frameworks import ShowFramework

    shown = read_or_ask(home, ShowFramework(space_id or ""))
    if as_json:
        console.print_json(_told(shown))
        return
    _print_status(shown)


def _told(shown: FrameworkShown) -> dict[str, Any]:
    from msgspec import to_builtins

    told: dict[str, Any] = to_builtins(shown)
    del told["manifest"]
    for entry in told["entries"]:
        entry["review"] = _instant(entry["review"])
        for approval in entry["approvals"]:
            approval["at"] = _instant(approval["at"])
    return told


def _instant(at: int | None) -> str | None:
    from p2pshare.intel.instants import SECOND_US, format_instant

    return format_instant(at * SECOND_US) if at else None


def _print_status(shown: FrameworkShown) -> None:
    """Print a matrix: a line for each playbook, a column for each member."""
    version = "says nothing yet" if shown.version is None else str(shown.version)
    console.print_fields(
        {
            "framework": shown.framework,
            "title": shown.title,
            "version": version + (" (its leads say two things: one adds it anew)" if shown.conflict else ""),
            "adopted by": shown.adopted_by,
        }
    )
    if not shown.entries:
        return
    console.print_result("")
    rows = [_row(one, shown) for one in shown.entries]
    heading = (
        "playbook",
        "version",
        "hash",
        "approved",
        *(name[:16] for name in shown.members),
        "state",
        "name",
    )
    console.print_table(heading, rows)
    for one in shown.entries:
        console.print_result(
            f"  {one.playbook.removeprefix('playbook--')[:8]} answers {', '.join(map(console.shown, one.trigger))}"
        )


def _row(one: FrameworkEntryShown, shown: FrameworkShown) -> tuple[object, ...]:
    by = {approval.by for approval in one.approvals}
    state = STATES[one.state]
    if one.forked and one.state != "forked":
        state += ", another version is forked"
    if one.review is not None and one.review < time.time():
        state += ", review is past"
    return (
        one.playbook.removeprefix("playbook--")[:8],
        one.version or "",
        (one.hash or "")[:10],
        f"{len(one.approvals)} of {one.needed}",
        *(
            "+".join(
                word
                for word, holds in (("approved", name in by), ("adopted", name in one.adopted_by))
                if holds
            )
            or "-"
            for name in shown.members
        ),
        state,
        one.name,
    )


# --- reacting ----------------------------------------------------------------------------------------


@framework.command("react", cls=Command)
@click.argument("incident_id", metavar="INCIDENT")
@click.option("--playbook", "called", metavar="ID", default="", help="by this one, where several answer")
@click.option("--framework", "space_id", metavar="ID", default="", help="by this one, where several have it")
@click.option("--aware", metavar="TIME", help="when we became aware: the clocks run from then")
@click.option("--zone", metavar="ZONE", default="UTC", show_default=True, help="in which dates count")
@click.option("--yes", is_flag=True, help="do not ask")
@json_option
@click.pass_obj
def react(
    home: Path,
    incident_id: str,
    called: str,
    space_id: str,
    aware: str | None,
    zone: str,
    yes: bool,
    as_json: bool,
) -> None:
    """make the tasks of INCIDENT of the playbook that answers it, and let the clocks of its duties run; nothing is run by a machine"""
    from msgspec.structs import replace

    from p2pshare.intel.duty_templates import read_time
    from p2pshare.operations.framework_reacting import React

    at = 0 if aware is None else read_time(aware, zone)
    if at is None or (aware is not None and at <= 0):
        raise UsageProblem(
            f"'{console.shown(aware)}' is no time that can be told",
            hint="write 2027-02-12T09:00:00Z, or say --zone Europe/Berlin",
        )
    request = React(incident_id, called, space_id, at, zone, dry_run=True)
    would = write(home, request)

    def tell() -> None:
        console.say(f"{console.shown(would.name)}, version {would.version}, sha256 {would.hash[:16]}")
        console.say(f"approved by {', '.join(map(console.shown, would.approvals)) or 'nobody now'}")
        new = sum(one.is_new for one in would.tasks)
        console.say(
            f"{console.counted(new, 'task')} for {', '.join(map(console.shown, would.readers)) or 'nobody else'}"
        )
        if would.outsiders:
            console.say(
                f"in the incident and not in the framework: {', '.join(map(console.shown, would.outsiders))}"
            )

        for note in would.notes:
            console.warn(note)

    confirm("react so?", yes=yes, tell=tell)
    done = write(
        home,
        replace(request, playbook=would.playbook, framework=would.framework, hash=would.hash, dry_run=False),
    )
    if as_json:
        from msgspec import to_builtins

        console.print_json(to_builtins(done))
        return
    _print_reaction(done)


def _print_reaction(done: Reacted) -> None:
    console.print_fields(
        {
            "playbook": f"{done.playbook}  {done.name}",
            "version": done.version,
            "sha256": done.hash,
            "approved by": done.approvals,
            "tasks": f"{len(done.tasks)}, {sum(one.is_new for one in done.tasks)} of them new; marked {done.tlp}",
        }
    )
    depth: dict[str, int] = {}
    for one in done.tasks:
        depth[one.task] = 0 if one.below is None else depth[one.below] + 1
        where = f"  [{console.shown(one.branch)}]" if one.branch else ""
        note = f"  ({', '.join(map(console.shown, one.not_run))}: not run here)" if one.not_run else ""
        other = f"  ({console.shown(one.playbook_state)})" if one.playbook else ""
        console.print_result(
            f"{one.place:>3}. {'  ' * min(depth[one.task], 8)}{console.shown(one.title)}{where}{note}{other}"
        )
    rows = [
        (one["template"], one["stage"], one["from"], one["from_at"] or "", one["due"] or "", one["state"])
        for one in done.duties
    ]
    if rows:
        console.print_result("")
        console.print_table(("under", "stage", "from", "at", "due", "state"), rows)
    for note in done.notes:
        console.warn(note)
    if done.duties and all(one["from_at"] is None for one in done.duties):
        console.say(
            f"no clock runs yet: `p2pshare incident aware {done.incident[:10]} --at TIME` says when we became aware"
        )
    console.say(f"`p2pshare incident show {done.incident[:10]}` has them; `incident task claim` takes one")
