"""`p2pshare opinion`: agree or disagree with what an object says; its author hears of it."""

from __future__ import annotations

from pathlib import Path

import click

from p2pshare.cli import voice
from p2pshare.cli.command import Command
from p2pshare.cli.options import json_option
from p2pshare.cli.session import connect
from p2pshare.cli.sight import print_said, to_option


@click.command(cls=Command)
@click.argument("object_id", metavar="ID")
@click.argument("word", metavar="agree|disagree", type=click.Choice(["agree", "disagree"]))
@click.option("--note", metavar="TEXT", default="", help="why; the author reads it")
@to_option
@json_option
@click.pass_obj
def opinion(home: Path, object_id: str, word: str, note: str, names: tuple[str, ...], as_json: bool) -> int:
    """say that you agree or disagree with the object ID (or VALUE)"""
    arguments = {"what": object_id, "opinion": word, "note": note, "to": list(names)}
    with connect(home) as session:
        said = session.run("opinion", arguments, voice.no_progress)
    return print_said(said, session, as_json=as_json)
