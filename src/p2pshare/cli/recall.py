"""`p2pshare recall`: how far a withdrawal has come."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from p2pshare.cli import console
from p2pshare.cli.command import Group
from p2pshare.cli.options import json_option
from p2pshare.cli.session import ask

if TYPE_CHECKING:
    from p2pshare.sharing.recalling import RecallStatus

WORDS = {
    "acknowledged": "holds the withdrawal",
    "waiting": "waits here: not handed over yet",
    "not-known": "carried by others; no word from this partner",
    "expired": "expired before any word from this partner",
    "not-addressed": "was sent the object, not the withdrawal",
}
WITHOUT_LINK = "carried by others; without a link to this partner no word of it can come"


ECHO_WORDS = {
    "possible-echo": "has the same id and does not say that it is from here: it stays",
    "stands": "passes it on, and counts: it was said again after the withdrawal, or yours counts again",
    "origin-withdrawn": "passes it on: it fell with it",
    "withdrawn": "its author has withdrawn it, too",
}


@click.group(cls=Group)
def recall() -> None:
    """see who has heard that an object was withdrawn"""


@recall.command("status")
@click.argument("object_id", metavar="ID")
@json_option
@click.pass_obj
def recall_status(home: Path, object_id: str, as_json: bool) -> None:
    """show for each recipient of the object ID whether it holds the withdrawal, as far as that is proven"""
    from p2pshare.operations.withdrawing import ShowRecall

    status = ask(home, ShowRecall(object_id))
    if as_json:
        console.print_json(status)
    else:
        _print(status)


def _print(status: RecallStatus) -> None:
    replaced = f", replaced by {console.shown(status.replaced_by)}" if status.replaced_by else ""
    console.say(f"withdrawn {status.withdrawn_at}: {console.shown(status.reason)}{replaced}")
    if status.revived:
        console.warn("a version that was published since counts again")
    rows = ((one.name, one.state, means_of(one.state, has_link=one.has_link)) for one in status.recipients)
    console.print_table(("partner", "state", "means"), rows)
    if status.echoes:
        console.say("said by others as well:")
        echoes = ((one.author, one.object_id, one.state, ECHO_WORDS[one.state]) for one in status.echoes)
        console.print_table(("author", "object", "state", "means"), echoes)


def means_of(state: str, *, has_link: bool) -> str:
    """Returns what the state of a recipient proves, in words."""
    return WITHOUT_LINK if state == "not-known" and not has_link else WORDS[state]
