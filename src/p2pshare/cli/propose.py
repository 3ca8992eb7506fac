"""`p2pshare propose`: suggest a change of an object to its author, who accepts by publishing a new version."""

from __future__ import annotations

from pathlib import Path

import click

from p2pshare.cli import console
from p2pshare.cli.command import Command
from p2pshare.cli.options import UsageProblem, json_option
from p2pshare.cli.session import ask, connect
from p2pshare.cli.sight import print_said


@click.command(cls=Command)
@click.argument("object_id", metavar="ID", required=False)
@click.option("--confidence", type=click.IntRange(0, 100), help="the confidence it should have")
@click.option("--valid-until", metavar="INSTANT", default="", help="when it should end: 2027-01-31T00:00:00Z")
@click.option("--label", "labels", metavar="TEXT", multiple=True, help="a label; may be given again")
@click.option("--note", metavar="TEXT", default="", help="anything else; the author reads it")
@click.option("--list", "is_listing", is_flag=True, help="show what others propose about your objects")
@json_option
@click.pass_obj
def propose(
    home: Path,
    object_id: str | None,
    confidence: int | None,
    valid_until: str,
    labels: tuple[str, ...],
    note: str,
    is_listing: bool,
    as_json: bool,
) -> int:
    """suggest to its author how the object ID (or VALUE) should change"""
    if is_listing:
        if object_id is not None or confidence is not None or valid_until or labels or note:
            raise UsageProblem("--list shows all proposals", hint="leave the rest out")
        _list(home, as_json)
        return 0
    if object_id is None:
        raise UsageProblem("propose needs an ID, or --list", hint="`p2pshare propose --help` shows both")
    from p2pshare.operations.assessing import Propose

    with connect(home) as session:
        said = session.run(Propose(object_id, confidence, valid_until or None, labels, note))
    return print_said(said, session, as_json=as_json)


def _list(home: Path, as_json: bool) -> None:
    from p2pshare.operations.assessing import ListProposals

    listed = ask(home, ListProposals()).each
    if as_json:
        console.print_json(listed)
        return
    rows = ((one.received_at, one.by, one.value or one.object_id, _words_of(one.proposed)) for one in listed)
    console.print_table(("received_at", "by", "about", "proposed"), rows)


def _words_of(proposed: dict[str, object]) -> str:
    return ", ".join(f"{name}: {value}" for name, value in proposed.items())
