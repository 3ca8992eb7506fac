"""`p2pshare audit`: who did what at this node."""

from __future__ import annotations

import os
import time
from pathlib import Path

import click

from p2pshare.cli import console
from p2pshare.cli.command import Group
from p2pshare.cli.options import json_option
from p2pshare.cli.search import instant_of
from p2pshare.cli.session import ask
from p2pshare.errors import OperatorError

LISTED = 1_000  # records of one listing, where nothing else is asked for


@click.group(cls=Group)
def audit() -> None:
    """list who did what at this node, and check that nothing is missing"""


@audit.command("list")
@click.option("--since", metavar="WHEN", help="2026-11-24, 2026-11-24T06:00:00Z, or 12h, 7d, 4w ago")
@click.option(
    "--action", metavar="ACTION", default="", help="only this: publish, withdraw, partner-add, export, ..."
)
@click.option(
    "--limit",
    metavar="N",
    type=click.IntRange(1, 20_000),
    default=LISTED,
    show_default=True,
    help="the newest N at most",
)
@json_option
@click.pass_obj
def list_audit(home: Path, since: str | None, action: str, limit: int, as_json: bool) -> None:
    """the newest records: when, who, what, to what, and what came of it"""
    from p2pshare.audit_log import AuditReading
    from p2pshare.operations.auditing import ListAudit
    from p2pshare.operations.crossing import checked

    begin = 0 if since is None else max(0, instant_of(since, int(time.time())))
    query = checked(ListAudit(begin, action, limit))
    listed = query.read(AuditReading(home)) if _may_read(home) else ask(home, query)
    if as_json:
        console.print_json(listed.each)
    else:
        rows = ((one.at, one.user or "-", one.action, one.result, one.subject) for one in listed.each)
        console.print_table(("at", "user", "action", "result", "subject"), rows)
        if action and not listed.each:
            console.say(
                f"no record here has the action '{console.shown(action)}'; docs/operations/audit.md has the words"
            )
        if listed.is_cut:
            console.say(f"older ones are left out: --limit shows more than {limit}")
        if listed.ends:
            console.say(f"the log ends with {listed.ends}")
    for fault in listed.faults:
        console.warn(f"the audit log is not whole: {fault}")


@audit.command("check")
@click.option(
    "--at",
    "place",
    metavar="NUMBER:DIGEST",
    default="",
    help="a place that the journal has: the log must have it, too",
)
@json_option
@click.pass_obj
def check_audit(home: Path, place: str, as_json: bool) -> None:
    """whether every record follows the one before it; exit code 1 where one does not"""
    from p2pshare.audit_log import AuditReading
    from p2pshare.operations.auditing import CheckAudit
    from p2pshare.operations.crossing import checked

    query = checked(CheckAudit(place))
    found = query.read(AuditReading(home)) if _may_read(home) else ask(home, query)
    if as_json:
        console.print_json(found)
    else:
        console.print_result(f"records  {found.records}")
        console.print_result(f"ends     {found.ends or '-'}")
    if found.faults:
        raise OperatorError(
            f"the audit log is not whole: {found.faults[0]}",
            hint="docs/operations/audit.md says what that means; the journal has a line for each record",
            reason="audit-not-whole",
        )


def _may_read(home: Path) -> bool:
    """Returns whether the files can be read here; else the daemon is asked, which reads them for members of its group."""
    from p2pshare.audit_log import audit_folder
    from p2pshare.node.home import require_home

    folder = audit_folder(require_home(home))
    return not folder.exists() or os.access(folder, os.R_OK | os.X_OK)
