"""`p2pshare invite`: one line that brings a new partner to this node, and the six words that two people compare."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from p2pshare.cli import console
from p2pshare.cli.command import Command
from p2pshare.cli.options import json_option
from p2pshare.cli.session import ask_running
from p2pshare.errors import RefusedError

if TYPE_CHECKING:
    from p2pshare.operations.pending import AcceptedPartner

INVITE_ANEW = "the line is used up, and somebody else may have read it: agree on another way to send one, and invite anew"
LOOK_SECONDS = 1.0  # between two looks whether the other side has come: a person waits


@click.command(cls=Command)
@click.argument("name")
@click.option(
    "--no-wait", is_flag=True, help="end when the line is printed; `partner accept` says yes to who joins"
)
@json_option
@click.pass_obj
def invite(home: Path, name: str, no_wait: bool, as_json: bool) -> None:
    """print one line that brings a new partner here; NAME is what you will call it

    The line is good for one partner, once, within a day, and needs the running daemon on both sides: `p2pshare join` reads it there. On a
    terminal this waits for the partner and shows six words, which both of you compare. Inviting NAME again ends an older line. Exit code 5 when
    the words differ.
    """
    from p2pshare.operations.inviting import Invite

    invited = ask_running(home, Invite(name))
    if as_json:
        console.print_json(invited)
        return
    console.print_result(invited.line)
    console.say(
        f"send this line to {console.shown(name)}, by a way that nobody else reads: it brings one partner here, until {invited.expires}"
    )
    if no_wait or not console.can_ask():
        console.say("`p2pshare partner pending` shows who has joined, `p2pshare partner accept` says yes")
        return
    console.say(
        "waiting for them to run `p2pshare join`; Ctrl-C ends the waiting, the line stays good, and `p2pshare partner pending` shows who has joined"
    )
    wait_for_guest(home, name)


def wait_for_guest(home: Path, name: str) -> None:
    """Wait until somebody has joined, and ask. Raises RefusedError on a no, or when the invitation ended."""
    from p2pshare.operations.inviting import ShowInvitation

    while (standing := ask_running(home, ShowInvitation(name))).here == "open":
        time.sleep(LOOK_SECONDS)
    if standing.here == "waiting":
        show_waiting(home, standing.partner_id, standing.words)
        decide(home, standing.partner_id, standing.words, INVITE_ANEW)
    elif standing.here == "ended":
        raise RefusedError(
            f"the invitation of {name} has ended, and nobody had joined",
            hint="invite anew",
            reason="invitation-expired",
        )
    else:
        console.say(f"the invitation of {console.shown(name)} was {standing.here} meanwhile")


def show_waiting(home: Path, partner_id: str, words: str) -> None:
    """Show who waits: its name and what is to be said of it, its fingerprint, and the six words."""
    from p2pshare.operations.pending import ListPending

    for one in ask_running(home, ListPending()).each:
        if one.partner_id == partner_id:
            console.say(f"name         {console.shown(one.name)}, as it calls itself")
            for note in one.notes:
                console.say(f"careful      {console.shown(note)}")
            console.say(f"fingerprint  {one.fingerprint}")
    console.say(f"six words    {words}")


def decide(home: Path, partner_id: str, words: str, what_next: str) -> AcceptedPartner | None:
    """Ask whether both sides read the same six words; returns who was accepted, None where that is left for later. Raises
    RefusedError on a no, with the hint `what_next`: then who waits is refused."""
    from p2pshare.operations.pending import AcceptPending, RefusePending

    answer = console.ask_text(
        "call them: do they read you the same six words? [yes/no, Enter: later]"
    ).lower()
    if answer in ("y", "yes"):
        accepted = ask_running(home, AcceptPending(partner_id, words))
        console.say(f"{console.shown(accepted.alias)} is a partner of this node")
        return accepted
    if answer in ("n", "no"):
        ask_running(home, RefusePending(partner_id))
        raise RefusedError("the words differ: nobody was added here", hint=what_next, reason="words-differ")
    console.say(
        f'left for later: `p2pshare partner accept {partner_id[:16]} --words "..."`, or `partner refuse`'
    )
    return None
