"""`p2pshare status`: one screen about this node."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from p2pshare.cli import voice
from p2pshare.cli.command import Command
from p2pshare.cli.options import json_option
from p2pshare.cli.session import connect


@click.command(cls=Command)
@json_option
@click.pass_obj
def status(home: Path, as_json: bool) -> None:
    """show this node, its partners and what it holds"""
    with connect(home) as session:
        answer = session.run("status", {}, voice.no_progress)
        answer["running"] = session.is_daemon
    if as_json:
        voice.print_json(answer)
    else:
        _print_status(answer)


def _print_status(answer: Mapping[str, Any]) -> None:
    running = "running" if answer["running"] else "not running"
    voice.print_result(f"{voice.shown(answer['name'])}  {answer['partner_id']}  daemon {running}")
    envelopes = answer["envelopes"]
    voice.print_result("envelopes    " + "  ".join(f"{key} {envelopes[key]}" for key in envelopes))
    voice.print_result(f"observables  {_counts(answer['observables'])}")
    voice.print_result(f"refused      {_counts(answer['refused'])}")
    if answer["partners"]:
        voice.print_partners(answer["partners"])
    else:
        voice.print_result("partners     none")
    for alarm in answer["alarms"]:
        voice.print_result(voice.shown(f"alarm {alarm['word']}: {alarm['message']}"))
        voice.print_result(voice.shown(f"  {alarm['hint']}"))
    for warning in answer["warnings"]:
        voice.say(f"warning: {voice.shown(warning)}")


def _counts(counts: Mapping[str, int]) -> str:
    return "  ".join(f"{voice.shown(name)} {count}" for name, count in sorted(counts.items())) or "none"
