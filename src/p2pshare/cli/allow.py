"""`p2pshare allow`: the own allow list. What stands on it is quarantined here, whoever claims it; nobody is told."""

from __future__ import annotations

from pathlib import Path

import click

from p2pshare.cli import console
from p2pshare.cli.command import Command
from p2pshare.cli.options import UsageProblem, json_option
from p2pshare.cli.session import ask, connect
from p2pshare.cli.warninglist import evaluating, print_evaluated


@click.command(cls=Command)
@click.argument("value", required=False)
@click.option("--reason", metavar="TEXT", default="", help="why it is harmless; stays on this machine")
@click.option("--remove", is_flag=True, help="take VALUE off the list: claims about it count again")
@click.option("--list", "is_listing", is_flag=True, help="show what is on the list")
@json_option
@click.pass_obj
def allow(home: Path, value: str | None, reason: str, remove: bool, is_listing: bool, as_json: bool) -> None:
    """call VALUE harmless here: an address, a network, a domain (*.example.org with all below it), a hash ..."""
    if is_listing:
        if value is not None or reason or remove:
            raise UsageProblem("--list shows the whole list", hint="leave the rest out")
        _list(home, as_json)
        return
    if value is None:
        raise UsageProblem("allow needs a VALUE, or --list", hint="`p2pshare allow --help` shows both")
    from msgspec.structs import asdict

    from p2pshare.operations.warninglists import Allow, Disallow

    with connect(home) as session, evaluating(session) as evaluated:
        done = session.run(Disallow(value)) if remove else session.run(Allow(value, reason))
    if as_json:
        console.print_json(asdict(done) | evaluated)
        return
    state = "no longer allowed" if remove else "allowed"
    console.print_result(f"{console.shown(done.value)}  {done.type}  {state}")
    print_evaluated(evaluated)


def _list(home: Path, as_json: bool) -> None:
    from p2pshare.operations.warninglists import ListAllowed

    allowed = ask(home, ListAllowed()).each
    if as_json:
        console.print_json(allowed)
        return
    rows = ((one.value, one.type, one.added_at, one.reason) for one in allowed)
    console.print_table(("value", "type", "added_at", "reason"), rows)
