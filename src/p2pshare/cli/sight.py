"""`p2pshare sight`: tell the author of a value that it was seen, was looked for in vain, or is harmless."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from p2pshare.cli import console
from p2pshare.cli.command import Command
from p2pshare.cli.options import EXIT_PARTLY_DONE, UsageProblem, exercise_option, json_option
from p2pshare.cli.session import Session, connect, report_when_it_leaves
from p2pshare.limits import SIGHTING_COUNT_MAX

if TYPE_CHECKING:
    from p2pshare.operations.assessing import Assessed


def to_option(function: Any) -> Any:
    """Add `--to`: the partners and groups that hear of it instead of the object's author."""
    return click.option(
        "--to", "names", metavar="NAME|GROUP", multiple=True, help="who hears of it; else the author alone"
    )(function)


@click.command(cls=Command)
@click.argument("what", metavar="VALUE|ID")
@click.option(
    "--count",
    type=click.IntRange(0, SIGHTING_COUNT_MAX),
    default=1,
    show_default=True,
    help="how often it was seen; 0: looked for and not seen",
)
@click.option("--false-positive", is_flag=True, help="it is harmless: acting on it does harm")
@to_option
@exercise_option
@json_option
@click.pass_obj
def sight(
    home: Path, what: str, count: int, false_positive: bool, names: tuple[str, ...], as_json: bool
) -> int:
    """tell the author that VALUE, or what the object ID names, was seen here or is a false positive"""
    from p2pshare.operations.assessing import Sight

    if false_positive and count != 1:
        raise UsageProblem("a false positive has no count", hint="give --count or --false-positive")
    with connect(home) as session:
        said = session.run(Sight(what, count, false_positive, names))
    return print_said(said, session, as_json=as_json)


def print_said(said: Assessed, session: Session, *, as_json: bool) -> int:
    """Print which partners hear of it and which do not; returns the exit code."""
    if as_json:
        console.print_json(said)
    else:
        for one in said.refused:
            console.warn(f"{console.shown(one.author)} is not told: {one.reason}")
        recipients = ", ".join(map(console.shown, said.recipients))
        console.say(f"{console.counted(said.objects, 'object')} for {recipients}")
        for envelope_id in said.envelopes:
            console.print_result(envelope_id)
    report_when_it_leaves(session, said.envelopes)
    return EXIT_PARTLY_DONE if said.refused else 0
