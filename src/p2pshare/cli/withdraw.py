"""`p2pshare withdraw`: take back what we published; everybody it was sent to is told. Asks once, as `publish` does."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from p2pshare.cli import console
from p2pshare.cli.command import Command
from p2pshare.cli.options import EXIT_PARTLY_DONE, exercise_option, json_option
from p2pshare.cli.session import connect, report_when_it_leaves
from p2pshare.errors import RefusedError

if TYPE_CHECKING:
    from p2pshare.operations.withdrawing import Withdrawn

# intel.withdrawing.REASONS; a test compares, so that --help imports nothing
REASONS = ("false-positive", "superseded", "mistake", "expired", "legal")


@click.command(cls=Command)
@click.argument("what", metavar="ID|VALUE")
@click.option("--reason", type=click.Choice(REASONS), required=True, help="why; partners read it")
@click.option(
    "--replaced-by", metavar="ID", default="", help="the object that stands in its place; published before"
)
@click.option(
    "--to", "names", metavar="NAME|GROUP", multiple=True, help="who else shall hear of it; may be given again"
)
@click.option("--dry-run", is_flag=True, help="show what would be taken back and who is told; nothing leaves")
@click.option("--yes", is_flag=True, help="do not ask")
@exercise_option
@json_option
@click.pass_obj
def withdraw(
    home: Path,
    what: str,
    reason: str,
    replaced_by: str,
    names: tuple[str, ...],
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> int:
    """take back the object ID, or each object of ours that claims VALUE, with everybody who was sent it"""
    from msgspec.structs import replace

    from p2pshare.operations.withdrawing import Withdraw

    request = Withdraw(what, reason, replaced_by or None, names, dry_run)
    with connect(home) as session:
        if not (dry_run or yes) and console.can_ask():
            _ask(session.run(replace(request, dry_run=True)))
        with console.ProgressLine() as line:
            done = session.run(request, line.show)
    if as_json:
        console.print_json(done)
    else:
        _print(done, is_dry_run=dry_run)
    report_when_it_leaves(session, done.envelopes)
    return EXIT_PARTLY_DONE if done.objects and done.skipped else 0


def _ask(preview: Withdrawn) -> None:
    """Show what would be taken back and ask. Raises RefusedError on a no."""
    if not preview.objects:
        return
    for object_id in preview.objects:
        console.say(f"withdraws {console.shown(object_id)}")
    _print_audience(preview)
    if not console.ask("withdraw?"):
        raise RefusedError("nothing was withdrawn", reason="not-confirmed")


def _print(done: Withdrawn, *, is_dry_run: bool) -> None:
    for object_id in done.already:
        console.say(f"already withdrawn: {console.shown(object_id)}")
    if not done.objects:
        return
    _print_audience(done)
    for object_id in done.objects:
        word = "would be withdrawn" if is_dry_run else "withdrawn"
        console.print_result(f"{console.shown(object_id)}  {word}")


def _print_audience(answer: Withdrawn) -> None:
    markings = ", ".join(map(console.shown, answer.markings))
    recipients = ", ".join(map(console.shown, answer.recipients))
    console.say(f"{console.counted(len(answer.objects), 'object')}, {markings}, for {recipients}")
    for left_out in answer.skipped:
        console.warn(f"{left_out.name} is not told: {left_out.reason}")
