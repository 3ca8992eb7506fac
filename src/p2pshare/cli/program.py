"""The program `p2pshare`: its commands, loaded when they are called, and the one place that turns errors into exit codes.

`--help` at any depth must stay quick: the table below is all it reads, and no command module imports a
driver, aiohttp or cryptography at its top.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
import threading
import traceback
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any

import click

from p2pshare import __version__
from p2pshare.cli import console
from p2pshare.cli.command import Group
from p2pshare.cli.options import UsageProblem
from p2pshare.errors import ShareError

EXIT_INTERRUPTED = 130  # 128 + SIGINT, as shells have it


class Interrupted(ShareError):
    """The person ended the command, with Ctrl-C."""

    exit_code = EXIT_INTERRUPTED
    reason = "interrupted"


COMMANDS = {
    "init": ("p2pshare.cli.init:init", "make a home folder: keys, config file and card"),
    "card": ("p2pshare.cli.card:card", "show and export cards"),
    "passphrase": (
        "p2pshare.cli.passphrase:passphrase",
        "encrypt the key file, or change its passphrase",
    ),
    "partner": (
        "p2pshare.cli.partner:partner",
        "add, accept, confirm, link, list, rename, export and remove partners",
    ),
    "introduce": (
        "p2pshare.cli.introduce:introduce",
        "introduce partners to each other, accept whom one has compared",
    ),
    "invite": ("p2pshare.cli.invite:invite", "print a line that brings a new partner here"),
    "join": ("p2pshare.cli.join:join", "come to a partner by the line of its invitation"),
    "run": ("p2pshare.cli.run:run", "run the daemon in the foreground"),
    "service": (
        "p2pshare.cli.service:service",
        "install, upgrade, show and remove the daemon as a service of systemd",
    ),
    "publish": ("p2pshare.cli.publish:publish", "publish a STIX bundle or a list of values"),
    "warninglist": ("p2pshare.cli.warninglist:warninglist", "import, list, check and set warning lists"),
    "allow": ("p2pshare.cli.allow:allow", "the own allow list: what is harmless here"),
    "lookup": ("p2pshare.cli.lookup:lookup", "look values up in the local store"),
    "sight": ("p2pshare.cli.sight:sight", "tell an author that a value was seen, or is harmless"),
    "opinion": ("p2pshare.cli.opinion:opinion", "agree or disagree with an object"),
    "propose": ("p2pshare.cli.propose:propose", "suggest a change to an object's author"),
    "explain": ("p2pshare.cli.explain:explain", "say who gets or got an object or a value, by which rule"),
    "withdraw": ("p2pshare.cli.withdraw:withdraw", "take back what we published"),
    "share": ("p2pshare.cli.share:share", "give a partner that came later what was shared before"),
    "recall": ("p2pshare.cli.recall:recall", "see who has heard of a withdrawal"),
    "asset": ("p2pshare.cli.risk.asset:asset", "import, list, show and set what is ours; it stays here"),
    "risk": ("p2pshare.cli.risk.risk:risk", "hold what partners say against what is ours, in order"),
    "space": (
        "p2pshare.cli.space:space",
        "what partners write together: open, list, show, write and lead spaces",
    ),
    "incident": (
        "p2pshare.cli.incident:incident",
        "work one case with partners: open, tell, share tasks, hand over, close",
    ),
    "framework": (
        "p2pshare.cli.framework:framework",
        "agree with partners which playbook answers what, and react by it",
    ),
    "lab": (
        "p2pshare.cli.lab:lab",
        "make rules and remedies with partners: write, test, review, promote",
    ),
    "exercise": (
        "p2pshare.cli.exercise:exercise",
        "practise with partners, behind walls: packs, injects, clock, score",
    ),
    "playbook": (
        "p2pshare.cli.playbook:playbook",
        "check, compare, share and approve playbooks (CACAO 2.0)",
    ),
    "training": (
        "p2pshare.cli.training:training",
        "courses: publish, take and attest them, by pseudonym",
    ),
    "search": ("p2pshare.cli.search:search", "find objects by type, author, marking, label, age and words"),
    "show": ("p2pshare.cli.show:show", "show an object with its versions, or an envelope"),
    "status": ("p2pshare.cli.status:status", "one screen about this node"),
    "export": ("p2pshare.cli.export:export", "write active indicators to a file or a pipe"),
    "tail": ("p2pshare.cli.tail:tail", "follow what changes: one line for each value that is added or gone"),
    "consumer": ("p2pshare.cli.consumer:consumer", "keep cursors for those who follow the change feed"),
    "envelope": ("p2pshare.cli.envelope:envelope", "export envelopes as they were received"),
    "verify": ("p2pshare.cli.verify:verify", "check a card, envelope or proof file, offline"),
    "audit": (
        "p2pshare.cli.audit:audit",
        "list who did what at this node, and check that nothing is missing",
    ),
    "doctor": ("p2pshare.cli.doctor:doctor", "look for what is wrong, and say what mends it"),
    "support-bundle": (
        "p2pshare.cli.support_bundle:support_bundle",
        "write what helps a maintainer, without secrets, values or names",
    ),
    "config": ("p2pshare.cli.config:config", "check the config file, and have the daemon take it anew"),
    "backup": ("p2pshare.cli.backup:backup", "write an encrypted backup while the daemon runs"),
    "restore": ("p2pshare.cli.restore:restore", "make a home out of a backup, where nothing is yet"),
}


class LazyGroup(Group):
    """A group whose commands are imported when they are called, not when they are listed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(
    cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(__version__, message="%(prog)s %(version)s")
def program() -> None:
    """share threat intelligence with partners, signed and encrypted, without a central server"""


def run_program(arguments: Sequence[str]) -> int:
    """Run one command; returns its exit code. Every error is translated here, once."""
    try:
        return _run(arguments)
    finally:
        console.forget_exercises()


def _run(arguments: Sequence[str]) -> int:
    console.open_closed_streams()
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGHUP, signal.SIGTERM):
            if signal.getsignal(number) is signal.SIG_DFL:  # `nohup` ignores one
                signal.signal(number, _end)
    problem: ShareError
    try:
        code = _call(arguments)
        console.flush_results()
        return code
    except ShareError as error:
        problem = error
    except click.UsageError as error:
        problem = _usage_problem(error)
    except (KeyboardInterrupt, click.Abort):
        problem = Interrupted("interrupted")
    except BrokenPipeError:
        console.discard(sys.stdout)  # `p2pshare export | head`: quietly, as click does
        return ShareError.exit_code
    except Exception as error:  # the last door: what arrives here is not the person's fault
        if os.environ.get("P2PSHARE_TRACEBACK"):
            raise
        problem = _last_word(error)
    console.complain(problem, as_json=asks_for_json(arguments))
    return problem.exit_code


def _end(number: int, _: object) -> None:
    """End the process so that everything open is closed: what waits to be sealed must not stay on the disk."""
    raise SystemExit(128 + number)


def asks_for_json(arguments: Sequence[str]) -> bool:
    """Returns whether `--json` stands before any `--`. By its word alone: errors are JSON also where the rest cannot be parsed
    or the command has no such option."""
    return "--json" in takewhile(lambda word: word != "--", arguments)


def _call(arguments: Sequence[str]) -> int:
    """Run it without click's own error texts; a command answers with its exit code or nothing."""
    answer: Any = program.main(args=list(arguments), prog_name="p2pshare", standalone_mode=False)
    return answer if isinstance(answer, int) else 0


def _usage_problem(error: click.UsageError) -> UsageProblem:
    message = " ".join(error.format_message().split()).rstrip(
        "."
    )  # click breaks and indents lists of choices
    path = error.ctx.command_path if error.ctx is not None else "p2pshare"
    return UsageProblem(message[:1].lower() + message[1:], hint=f"`{path} --help` shows what is known")


def _last_word(error: Exception) -> ShareError:
    """Returns an operating system's refusal in its words; anything else is a bug, shown by type and place, never by value."""
    if isinstance(error, OSError):
        about = f": {error.filename}" if isinstance(error.filename, str) else ""
        return ShareError(f"{(error.strerror or type(error).__name__).lower()}{about}")
    place = traceback.extract_tb(error.__traceback__)[-1]
    return ShareError(
        f"a bug of p2pshare: {type(error).__name__} in {Path(place.filename).name}, line {place.lineno}",
        hint="please report it; P2PSHARE_TRACEBACK=1 shows the whole way there",
    )
