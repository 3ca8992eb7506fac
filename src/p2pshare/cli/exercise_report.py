"""`p2pshare exercise report`: what an exercise comes to, as a text or as a page to print (docs/exercise-packs.md, "Report")."""

from __future__ import annotations

from pathlib import Path

import click

from p2pshare.cli.options import owner_output_option
from p2pshare.cli.output import OWN_MODE, open_output
from p2pshare.cli.session import read_or_ask
from p2pshare.exporters.exercises.exercise_formats import EXERCISE_REPORTERS

BY_ENDING = {".html": "html", ".htm": "html"}


def register(group: click.Group) -> None:
    """Add `report` to the group of exercises, as one of its own commands."""
    group.command("report")(
        click.argument("exercise_id", metavar="ID")(
            click.option(
                "--format",
                "format_",
                type=click.Choice(tuple(EXERCISE_REPORTERS)),
                default=None,
                help="else html for a FILE that ends so, markdown for any other",
            )(owner_output_option(click.pass_obj(report)))
        )
    )


def report(home: Path, exercise_id: str, format_: str | None, file: str) -> None:
    """write the report of ID: scores, the time line, who was slowest at what and why, what to improve

    While it runs the report says so. What was expected stands in a player's once the exercise has ended.
    """
    from p2pshare.exporters.exercises.exercise_formats import load_exercise_reporter
    from p2pshare.operations.exercise_reporting import ReportExercise

    record = read_or_ask(home, ReportExercise()).record
    render = load_exercise_reporter(format_ or BY_ENDING.get(Path(file).suffix.lower(), "markdown"))
    with open_output(file, mode=OWN_MODE) as stream:
        stream.write(render(record))
