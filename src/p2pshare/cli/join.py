"""`p2pshare join`: come to a partner by the line of its invitation, which is read from the terminal or stdin, never from an argument."""

from __future__ import annotations

import time
from pathlib import Path

import click

from p2pshare.cli import console
from p2pshare.cli.command import Command
from p2pshare.cli.invite import LOOK_SECONDS, decide, show_waiting
from p2pshare.cli.options import STANDARD_STREAM, UsageProblem, json_option, read_input
from p2pshare.cli.session import ask_running
from p2pshare.errors import AuthorError, RefusedError

LINE_BYTES_MAX = 4_096  # more than any line has, with what a mail program put around it
TELL_THEM = "tell the partner to say no as well: somebody else may have read the line, or stands between you; then join by another one"
LINES_MAX = 16  # into which a mail program may have wrapped it


@click.command(cls=Command)
@click.argument("source", metavar="[-]", nargs=-1)
@click.option(
    "--alias", metavar="NAME", default="", help="your name for the partner; else made from its card"
)
@click.option("--no-wait", is_flag=True, help="do not wait until the other side has said yes")
@json_option
@click.pass_obj
def join(home: Path, source: tuple[str, ...], alias: str, no_wait: bool, as_json: bool) -> None:
    """come to a partner by the line that its `p2pshare invite` printed

    The line is typed or pasted at the terminal, or read from stdin; as an argument each user of this machine could read it. Both sides show six
    words: compare them, by telephone. Exit code 5 when they differ, or the invitation is used up, has ended, or somebody else answers.
    """
    from p2pshare.operations.inviting import CONFIRMED, Join

    if source not in ((), (STANDARD_STREAM,)):
        raise UsageProblem(
            "join takes no line as an argument: every user of this machine sees arguments, and the shell keeps them",
            hint="run `p2pshare join` and paste the line, or pipe it into `p2pshare join -`; what stood in an argument may have been read:"
            " ask for another line",
        )
    may_ask = not source and console.can_ask()  # what is read from stdin to its end leaves nobody to ask
    line = _ask_line() if may_ask else _piped_line()
    joined = ask_running(home, Join(line, alias))
    if as_json:
        console.print_json(joined)
        return
    console.print_result(f"{joined.partner_id}  {console.shown_name(joined.name)}")
    if joined.state == CONFIRMED:
        console.say("both sides have said yes: it is a partner of this node")
        return
    show_waiting(home, joined.partner_id, joined.words)
    if not may_ask:
        console.say(
            f'compare the six words, then: `p2pshare partner accept {joined.partner_id[:16]} --words "..."`, with what they read to you'
        )
        return
    if decide(home, joined.partner_id, joined.words, TELL_THEM) is not None and not no_wait:
        _wait_for_host(home, joined.partner_id)


def _piped_line() -> str:
    return read_input(STANDARD_STREAM, LINE_BYTES_MAX).decode("ascii", "replace")


def _ask_line() -> str:
    """Ask for the line, and for the rest of it while it is not whole: a mail program may have wrapped it."""
    from p2pshare.envelope.invitation import decode_line
    from p2pshare.errors import ShareError

    text = console.ask_text("the line of the invitation:")
    for _ in range(LINES_MAX):
        try:
            decode_line(text)
        except AuthorError:
            more = console.ask_text("it is not whole; the rest of it (Enter to end):")
            if not more:
                return text
            text += more
        except ShareError:
            return text
        else:
            return text
    return text


def _wait_for_host(home: Path, host: str) -> None:
    """Wait until the person at the host has said yes. Raises RefusedError on a no."""
    from p2pshare.operations.inviting import ShowInvitation

    console.say(
        "waiting for the other side's yes; Ctrl-C ends the waiting, and the daemon connects once it was said"
    )
    while (standing := ask_running(home, ShowInvitation(host=host))).there == "waiting":
        if standing.is_over:
            raise RefusedError(
                "the invitation has ended before the other side said yes",
                hint="they may still say it: `p2pshare status` shows when they let us in",
                reason="invitation-expired",
            )
        time.sleep(LOOK_SECONDS)
    if standing.there == "refused":
        raise RefusedError(
            "the other side has said no",
            hint="`p2pshare partner remove` takes it off the list here; ask them what they read, and for another line",
            reason="invitation-refused",
        )
    console.say("the other side has said yes, too")
