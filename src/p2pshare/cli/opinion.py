"""`p2pshare opinion`: agree or disagree with what an object says; its author hears of it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from p2pshare.cli.command import Command
from p2pshare.cli.options import json_option
from p2pshare.cli.session import connect
from p2pshare.cli.sight import print_said, to_option


@click.command(cls=Command)
@click.argument("object_id", metavar="ID")
@click.argument("agreement", metavar="agree|disagree", type=click.Choice(["agree", "disagree"]))
@click.option("--note", metavar="TEXT", default="", help="why; the author reads it")
@to_option
@json_option
@click.pass_obj
def opinion(
    home: Path,
    object_id: str,
    agreement: Literal["agree", "disagree"],
    note: str,
    names: tuple[str, ...],
    as_json: bool,
) -> int:
    """say that you agree or disagree with the object ID (or VALUE)"""
    from p2pshare.operations.assessing import Opine

    with connect(home) as session:
        said = session.run(Opine(object_id, agreement, note, names))
    return print_said(said, session, as_json=as_json)
