"""`p2pshare share`: what was said before a partner came."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from p2pshare.cli import console
from p2pshare.cli.command import Group
from p2pshare.cli.options import json_option
from p2pshare.cli.publish import NOT_PREPARED, discard_prepared, seal_on
from p2pshare.cli.search import instant_of
from p2pshare.cli.session import Session, connect, report_when_it_leaves
from p2pshare.errors import RefusedError, ShareError

if TYPE_CHECKING:
    from p2pshare.operations.history import Forwarded, HistoryCount


@click.group(cls=Group)
def share() -> None:
    """give a partner that came later what was shared before"""


@share.command("history")
@click.argument("name")
@click.option(
    "--since", metavar="WHEN", help="created since: 2026-11-24, 2026-11-24T06:00:00Z, or 12h, 7d, 4w ago"
)
@click.option("--dry-run", is_flag=True, help="count what it would be given; nothing leaves")
@click.option("--yes", is_flag=True, help="do not ask")
@json_option
@click.pass_obj
def share_history(home: Path, name: str, since: str | None, dry_run: bool, yes: bool, as_json: bool) -> int:
    """seal what we published anew for the partner NAME, and hand on what others did

    Ours as marking and audience allow; of others TLP:CLEAR and TLP:GREEN, as their authors signed it. What is said later
    about what was handed on follows it by itself.
    """
    begin = 0 if since is None else max(0, instant_of(since, int(time.time())))
    asks = not (dry_run or yes) and console.can_ask()
    with connect(home) as session:
        counted, envelopes = _sealed(session, name, begin, is_dry_run=dry_run, asks=asks)
        forwarded = counted.forwarded
        if forwarded and not dry_run:
            handed_on = _forward(session, name, begin)
            forwarded = handed_on.forwarded
            envelopes += handed_on.envelopes
    answer: dict[str, Any] = {
        "own": counted.own,
        "forwarded": forwarded,
        "refused": [{"reason": one.reason, "count": one.count} for one in counted.refused],
        "envelopes": envelopes,
    }
    if as_json:
        console.print_json(answer)
    else:
        _print(counted, forwarded)
        if dry_run:
            console.say("dry run: nothing has left")
        for envelope_id in envelopes:
            console.print_result(envelope_id)
    report_when_it_leaves(session, envelopes)
    return 0


def _sealed(
    session: Session, name: str, since: int, *, is_dry_run: bool, asks: bool
) -> tuple[HistoryCount, list[str]]:
    """Returns what was counted, and the ids of the envelopes in which ours is sealed. Asks once, and again only where something
    else would leave by the time of the answer."""
    from msgspec.structs import replace

    from p2pshare.operations.publishing import Seal

    shown: HistoryCount | None = None
    while True:
        counted = _count(session, name, since, is_dry_run=is_dry_run)
        seen = replace(counted, token="", done=0, of=0)
        is_asked = asks and (counted.own or counted.forwarded) and seen != shown
        if is_asked:
            shown = seen
            _ask(session, counted)
        if not counted.token:
            return counted, []
        try:
            sealed = session.run(Seal(counted.token))
        except ShareError as error:
            if error.reason != NOT_PREPARED or not is_asked:
                raise
            continue
        return counted, sealed.envelopes if sealed.is_finished else seal_on(session, sealed.publication)


def _count(session: Session, name: str, since: int, *, is_dry_run: bool) -> HistoryCount:
    from p2pshare.operations.history import CountHistory

    token = ""
    try:
        with console.ProgressLine() as line:
            while True:
                counted = session.run(CountHistory(name, since, is_dry_run, token))
                if counted.is_finished:
                    return counted
                token = counted.token
                line.show("looked at", counted.done, counted.of)
    except BaseException:
        if token:
            discard_prepared(session, token)
        raise


def _ask(session: Session, counted: HistoryCount) -> None:
    """Show what would leave, and ask. Raises RefusedError on a no."""
    try:
        _print(counted, counted.forwarded)
        if not console.ask("share it?"):
            raise RefusedError("nothing was shared", reason="not-confirmed")
    except (RefusedError, KeyboardInterrupt):
        if counted.token:
            discard_prepared(session, counted.token)
        raise


def _forward(session: Session, name: str, since: int) -> Forwarded:
    """Hand on until all of it has been looked at; the daemon goes on where this ends too early."""
    from p2pshare.operations.history import BeginForwarding, ForwardOn

    done = session.run(BeginForwarding(name, since))
    with console.ProgressLine() as line:
        while not done.is_finished:
            done = session.run(ForwardOn(name))
            line.show("handed on", done.done, done.of)
    return done


def _print(counted: HistoryCount, forwarded: int) -> None:
    markings = f", {', '.join(counted.markings)}" if counted.markings else ""
    console.say(
        f"{console.counted(counted.own, 'object')} of ours{markings}; {console.counted(forwarded, 'envelope')} of others, handed on"
    )
    for one in counted.refused:
        console.say(f"left out: {one.count} {one.reason}")
