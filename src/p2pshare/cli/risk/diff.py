"""`p2pshare risk diff`: what has changed since a day: what came, what went, what ended."""

from __future__ import annotations

from pathlib import Path

import click

from p2pshare.cli import console
from p2pshare.cli.command import Command
from p2pshare.cli.options import json_option
from p2pshare.cli.risk.decide import fields_of_decision
from p2pshare.cli.risk.opening import day_of, now_seconds, open_own, parse_begin
from p2pshare.errors import NotFoundError


@click.command(cls=Command)
@click.option(
    "--since",
    metavar="DAY",
    default="7d",
    show_default=True,
    help="a day (2026-11-01), or so long ago (7d, 3m)",
)
@json_option
@click.pass_obj
def diff(home: Path, since: str, as_json: bool) -> int:
    """show what has changed since DAY, oldest first, and decisions that ended; exit code 3 when nothing has"""
    from p2pshare.risk.responses import changes_since, decisions

    now = now_seconds()
    begin = parse_begin(since, now)
    with open_own(home) as store:
        changes = changes_since(store.file, begin)
        over = [row for row in decisions(store.file, now) if row.is_over and (row.until or 0) >= begin]
    if as_json:
        told = [one._asdict() | {"at": day_of(one.at), "assets": list(one.assets)} for one in changes]
        console.print_json(
            {
                "since": day_of(begin),
                "changes": told,
                "decisions_over": [fields_of_decision(row) for row in over],
            }
        )
    else:
        for one in changes:
            words = (day_of(one.at), one.vulnerability, one.component, one.version, ", ".join(one.assets))
            became = f"{one.before or 'new'} -> {one.after or 'gone'}"
            console.print_result("  ".join(map(console.shown, words)) + f"  {became}")
        for row in over:
            ended = (day_of(row.until), row.vulnerability, row.asset or "all", row.because)
            console.print_result(
                "  ".join(map(console.shown, ended)) + f"  the decision to {row.kind} is over"
            )
    if not changes and not over:
        console.say(f"nothing has changed since {day_of(begin)}")
        return NotFoundError.exit_code
    return 0
