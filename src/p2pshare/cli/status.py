"""`p2pshare status`: one screen about this node."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from p2pshare.cli import voice
from p2pshare.cli.command import Command
from p2pshare.cli.options import json_option
from p2pshare.cli.session import ask

if TYPE_CHECKING:
    from p2pshare.service.overview import NodeStatus


@click.command(cls=Command)
@json_option
@click.pass_obj
def status(home: Path, as_json: bool) -> None:
    """show this node, its partners and what it holds"""
    from p2pshare.operations.looking import ShowStatus

    answer = ask(home, ShowStatus())
    if as_json:
        voice.print_json(answer)
    else:
        _print_status(answer)


def _print_status(answer: NodeStatus) -> None:
    running = "running" if answer.running else "not running"
    voice.print_result(f"{voice.shown(answer.name)}  {answer.partner_id}  daemon {running}")
    held = answer.envelopes
    voice.print_result(
        f"envelopes    held {held.held}  opened {held.opened}  relayed {held.relayed}  pending {held.pending}"
    )
    voice.print_result(f"observables  {_counts(answer.observables)}")
    voice.print_result(f"refused      {_counts(answer.refused)}")
    if answer.partners:
        voice.print_partners(answer.partners)
    else:
        voice.print_result("partners     none")
    for alarm in answer.alarms:
        voice.print_result(voice.shown(f"alarm {alarm.word}: {alarm.message}"))
        voice.print_result(voice.shown(f"  {alarm.hint}"))
    for warning in answer.warnings:
        voice.say(f"warning: {voice.shown(warning)}")


def _counts(counts: Mapping[str, int]) -> str:
    return "  ".join(f"{voice.shown(name)} {count}" for name, count in sorted(counts.items())) or "none"
