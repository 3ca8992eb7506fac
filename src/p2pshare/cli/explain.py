"""`p2pshare explain`: the partners that get or got something, by which rule, and why not."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from p2pshare.cli import console
from p2pshare.cli.command import Command
from p2pshare.cli.options import json_option
from p2pshare.cli.session import ask

if TYPE_CHECKING:
    from p2pshare.queries.explaining import ExplainedEnvelope

GOT = {
    "yes": "has it",
    "no": "never gets it from here",
    "not-yet": "is awaited",
    "unknown": "may have it: nobody tells",
}
READS = {"yes": "can read it", "no": "carries it unread", "unknown": "only its author knows who can read it"}


@click.command(cls=Command)
@click.argument("asked", metavar="ID|VALUE")
@click.option("--partner", metavar="NAME", required=True, help="the partner's alias or id")
@json_option
@click.pass_obj
def explain(home: Path, asked: str, partner: str, as_json: bool) -> None:
    """say for each envelope with ID or VALUE whether the partner gets it, got it and can read it, and why"""
    from p2pshare.operations.explaining import Explain

    answer = ask(home, Explain(asked, partner))
    if as_json:
        console.print_json(answer)
        return
    name = console.shown(answer.partner)
    if answer.introduced_by:
        console.print_result(f"{name}: {console.introduced_words(answer.introduced_by)}")
    for envelope in answer.envelopes:
        _print_envelope(envelope, name)
    addressing = answer.addressing
    if addressing is not None:
        word = "could" if addressing.allowed else "could not"
        because = console.shown(addressing.because)
        console.print_result(f"{addressing.tlp} {word} be addressed to {name} now: {because}")


def _print_envelope(envelope: ExplainedEnvelope, partner: str) -> None:
    about = [envelope.tlp] if envelope.tlp else []
    introducers = envelope.author_introduced_by
    by = f"by {envelope.author}" + (f" ({console.introduced_words(introducers)})" if introducers else "")
    head = (envelope.envelope_id, by, envelope.mode, envelope.circle, *about)
    console.print_result("  ".join(map(console.shown, head)))
    verdict = "goes to" if envelope.leaves else "does not go to"
    console.print_result(f"  {verdict} {partner} ({envelope.rule}): {envelope.because}")
    console.print_result(f"  {partner} {has_and_reads(envelope.got, envelope.can_read)}")
    if envelope.distrusted:
        console.print_result("  counts for nothing here: its author is distrusted")
    for origin in envelope.derived_from or ():
        console.print_result(
            f"  derived from {console.shown(origin.object_id)} by {console.shown(origin.author)}"
        )
    if envelope.possible_echo:
        others = ", ".join(map(console.shown, envelope.possible_echo))
        console.print_result(f"  possible-echo: the same id by {others}")


def has_and_reads(got: str, can_read: str) -> str:
    """Returns whether the partner has it and can read it, in words."""
    if got == "no" and can_read == "no":
        return f"{GOT['no']}, and could not read it"
    return f"{GOT[got]}; {READS[can_read]}"
