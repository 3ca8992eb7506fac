"""`p2pshare risk decide`: what a person decides about a vulnerability, with a reason and an end."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from p2pshare.cli import console
from p2pshare.cli.command import Command
from p2pshare.cli.options import UsageProblem, json_option
from p2pshare.cli.risk.opening import by_option, day_of, now_seconds, open_own, parse_end, person
from p2pshare.errors import NotFoundError

if TYPE_CHECKING:
    from p2pshare.risk.responses import DecisionRow


@click.command(cls=Command)
@click.argument("vulnerability", metavar="[CVE]", required=False)
@click.option("--accept", "kind", flag_value="accept", help="we live with it")
@click.option("--mitigate", "kind", flag_value="mitigate", help="something else makes it harmless enough")
@click.option("--transfer", "kind", flag_value="transfer", help="somebody else answers for it")
@click.option("--avoid", "kind", flag_value="avoid", help="it is switched off, or goes")
@click.option(
    "--until",
    metavar="DAY",
    help="until the end of DAY (2027-01-31), or for so long (90d); then it comes back",
)
@click.option("--because", metavar="TEXT", default="", help="why: who reads it next year must understand it")
@click.option("--asset", metavar="ASSET", default="", help="for this asset alone; else for all that have it")
@by_option
@click.option("--list", "is_listing", is_flag=True, help="list what was decided")
@json_option
@click.pass_obj
def decide(
    home: Path,
    vulnerability: str | None,
    kind: str | None,
    until: str | None,
    because: str,
    asset: str,
    by: str,
    is_listing: bool,
    as_json: bool,
) -> int:
    """decide about CVE: accept, mitigate, transfer or avoid; it leaves the plan until the decision ends, and comes back"""
    from p2pshare.risk.responses import DecisionSaid, decisions, record_decision

    now = now_seconds()
    if is_listing:
        if vulnerability or kind:
            raise UsageProblem("--list lists all", hint="leave the rest out")
        with open_own(home) as store:
            rows = decisions(store.file, now)
        if as_json:
            console.print_json([fields_of_decision(row) for row in rows])
        else:
            console.print_table(
                ("vulnerability", "asset", "decision", "until", "by", "because"), map(_cells, rows)
            )
        return 0 if rows else NotFoundError.exit_code
    if not vulnerability or kind is None or not because.strip():
        raise UsageProblem(
            "which vulnerability, what is decided, and why?",
            hint='as `p2pshare risk decide CVE --accept --until 90d --because "..."`',
        )
    end = None if until is None else parse_end(until, now)
    with open_own(home) as store:
        row = record_decision(
            store.file, DecisionSaid(vulnerability, kind, by or person(), because, end, asset), now
        )
    if as_json:
        console.print_json(fields_of_decision(row))
        return 0
    console.print_result("  ".join(console.shown(cell) for cell in _cells(row)))
    if end is None:
        console.warn("it never comes back by itself: give --until")
    return 0


def fields_of_decision(row: DecisionRow) -> dict[str, Any]:
    """Returns a decision as JSON has it."""
    return row._asdict() | {"decided_at": day_of(row.decided_at), "until": day_of(row.until)}


def _cells(row: DecisionRow) -> list[object]:
    until = "-" if row.until is None else f"{day_of(row.until)}{' (over)' if row.is_over else ''}"
    return [row.vulnerability, row.asset or "all", row.kind, until, row.decided_by, row.because]
