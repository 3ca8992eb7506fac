"""`p2pshare doctor`: find what is wrong, and what mends it, with this node or with how partners are linked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from p2pshare.cli import console
from p2pshare.cli.as_owner import as_owner
from p2pshare.cli.command import Group
from p2pshare.cli.completion import complete_file
from p2pshare.cli.options import EXIT_PARTLY_DONE, STANDARD_STREAM, UsageProblem, json_option, read_input
from p2pshare.cli.output import write_output
from p2pshare.errors import AuthorError, ShareError
from p2pshare.limits import PARTNER_LIST_BYTES_MAX

if TYPE_CHECKING:
    from p2pshare.queries.doctor_words import Finding
    from p2pshare.topology.circles import PartnerList

EXIT_UNWELL = 1
NAMES_SHOWN_MAX = 20  # on one line; --json has them all

THEN = {
    "one-piece": "then '{circle}' is in one piece",
    "no-single-partner": "then no single partner splits '{circle}'",
    "enough-peers": "then everybody in '{circle}' has enough peers",
}
LACKS = {
    "not-a-partner": "{other} does not list {partner}: {other} runs `p2pshare partner add`",
    "no-link": "{other} trusts {partner} without a link: {other} adds the card again, without --no-link",
    "other-circles": "the link of {other} does not carry '{circle}': both sides name it in gossip.circles",
    "no-address": "both can only dial out: link each with somebody who can be dialled",
}


@click.group(cls=Group, invoke_without_command=True)
@json_option
@click.pass_context
def doctor(context: click.Context, as_json: bool) -> int:
    """look for what is wrong with this node, and say what mends it; see also the commands below

    Root looks as the user whose the home is. Exit code 1 when something fails; warnings alone are 0.
    """
    if context.invoked_subcommand is not None:
        return 0
    from p2pshare.queries.doctor_words import FAIL

    findings = examine(context.obj)
    if as_json:
        console.print_json([finding.told() for finding in findings])
    else:
        for finding in findings:
            line = f"{finding.level:<7} {finding.check:<13} {finding.message}"
            console.print_result(console.shown(line))
            if finding.mend and finding.level != "ok":
                console.print_result(console.shown(f"        {'':<13} {finding.mend}"))
    return EXIT_UNWELL if any(finding.level == FAIL for finding in findings) else 0


def examine(home: Path) -> list[Finding]:
    """Returns all findings about the node in `home`, beside a running daemon or without one."""
    from p2pshare.cli.card import now_seconds
    from p2pshare.cli.installation import held_ports
    from p2pshare.cli.session import ask, is_running
    from p2pshare.node.home import require_home
    from p2pshare.operations.incident_alarms import EVERY_ALARM
    from p2pshare.operations.reachability import AskDialBack, examine_reachability
    from p2pshare.operations.space_alarms import examine_spaces
    from p2pshare.operations.status import ShowStatus
    from p2pshare.queries.doctor import examine_node

    require_home(home)
    live, is_answered = None, False
    with as_owner(home):
        with suppress(ShareError):  # a user who may not ask it sees what files tell
            is_answered = is_running(home)
            live = ask(home, ShowStatus()) if is_answered else None
        return examine_node(
            home,
            is_running=is_answered or _is_listening(home),
            now=now_seconds(),
            live=live,
            alarm_functions=EVERY_ALARM,
            held_ports=held_ports(home),
            looks_above={
                "spaces": examine_spaces,
                "reachable": lambda _: examine_reachability(
                    ask(home, AskDialBack()) if is_answered else None
                ),
            },
        )


def _is_listening(home: Path) -> bool:
    """Returns whether a daemon is there that does not answer this user."""
    from p2pshare.cli.session import is_running

    try:
        return is_running(home)
    except ShareError:
        return True


@doctor.command("topology")
@click.argument("files", metavar="FILE...", nargs=-1, shell_complete=complete_file)
@click.option("--without-own", is_flag=True, help="leave this node's own list out")
@json_option
@click.pass_obj
def topology(home: Path, files: Sequence[str], without_own: bool, as_json: bool) -> int:
    """examine how partners are linked, from the lists they exported (`partner export`) and our own

    Exit code 1 when something is to be mended, 6 when nothing is, but lists of partners are missing.
    """
    from p2pshare.node.home import CONFIG_NAME
    from p2pshare.topology.partner_lists import newest_of_each
    from p2pshare.topology.report import examine_lists

    lists = [read_list(file) for file in files]
    if not without_own and (home / CONFIG_NAME).exists():
        lists.append(read_own_list(home))
    if not lists:
        raise UsageProblem("there is no list to examine", hint="give files that `partner export` wrote")
    answer = examine_lists(*newest_of_each(lists))
    if as_json:
        console.print_json(answer)
    else:
        _print_topology(answer)
    if not answer["well"]:
        return EXIT_UNWELL
    return 0 if answer["complete"] else EXIT_PARTLY_DONE


@doctor.command("proof")
@click.argument("name", metavar="PARTNER")
@click.argument("file", shell_complete=complete_file)
@click.option(
    "--kind", type=click.Choice(["card", "envelope"]), help="of which fork; else whichever there is"
)
@click.pass_obj
def write_proof(home: Path, name: str, file: str, kind: str | None) -> None:
    """write the proof that PARTNER signed two different things under one number, for `p2pshare verify`"""
    from p2pshare.cli.session import open_store_for_reading
    from p2pshare.node.home import CARD_FILE_NAME
    from p2pshare.queries.proofs import KINDS, proof_about

    with open_store_for_reading(home) as store:
        own_card = (home / CARD_FILE_NAME).read_bytes()
        raw = proof_about(store, own_card, name, (kind,) if kind else KINDS)
    write_output(file, raw)
    if file != STANDARD_STREAM:
        console.say(
            f"proof written to {console.shown(file)}; `p2pshare verify` checks it, at anybody's and offline"
        )


def read_list(file: str) -> PartnerList:
    """Returns the partner list in `file`. Raises AuthorError that names the file."""
    from p2pshare.topology.partner_lists import decode_list

    try:
        return decode_list(read_input(file, PARTNER_LIST_BYTES_MAX))
    except AuthorError as error:
        if file in error.message:
            raise
        raise AuthorError(f"{file}: {error.message}", hint=error.hint, reason=error.reason) from None


def read_own_list(home: Path) -> PartnerList:
    """Returns this node's own list, from its store, beside a running daemon or without one."""
    from p2pshare.cli.card import now_seconds
    from p2pshare.cli.session import open_store_for_reading
    from p2pshare.config import load_config
    from p2pshare.envelope.card import believe_chain
    from p2pshare.node.home import CARD_FILE_NAME, CONFIG_NAME
    from p2pshare.topology.partner_lists import own_list

    with open_store_for_reading(home) as store:
        card = believe_chain((home / CARD_FILE_NAME).read_bytes())
        return own_list(store.partners.all(), load_config(home / CONFIG_NAME), card, now_seconds())


def _print_topology(answer: Mapping[str, Any]) -> None:
    for name in answer["replaced"]:
        console.say(f"note: an older list of {console.shown(name)} was left aside")
    for circle in answer["circles"]:
        _print_circle(circle)
    if not answer["complete"]:
        console.say("note: nothing is said about links with partners whose list is missing")


def _print_circle(circle: Mapping[str, Any]) -> None:
    pieces = len(circle["components"])
    shape = "in one piece" if pieces == 1 else f"in {pieces} pieces"
    if circle["diameter"] is not None:
        bound = "" if circle["diameter_is_exact"] else "at least "
        shape += f", {bound}{console.counted(circle['diameter'], 'hop')} from end to end"
    counted = (
        f"{console.counted(len(circle['partners']), 'partner')}, {console.counted(circle['links'], 'link')}"
    )
    state = "well" if circle["well"] else "to be mended"
    console.print_result(f"{console.shown(circle['name'])}: {counted}, {shape}: {state}")
    if pieces > 1:
        for number, piece in enumerate(circle["components"][:NAMES_SHOWN_MAX], 1):
            _print_names(f"piece {number}", piece)
    _print_names("the loss of one of these splits it", circle["cut_partners"])
    _print_names("so does the loss of a link", [" - ".join(link) for link in circle["cut_links"]])
    _print_names("fewer than 3 peers, or of one organisation", circle["few_peers"])
    _print_names("only dial out", circle["dial_out_only"])
    _print_names("no list from", circle["missing"])
    if len(circle["partners"]) == 1:
        console.print_result("  nobody else takes part: is the circle's name spelt as the others spell it?")
    for one in circle["one_sided"][:NAMES_SHOWN_MAX]:
        lacks = LACKS[one["reason"]].format(circle=circle["name"], **one)
        console.print_result(
            console.shown(f"  one-sided: {one['partner']} has a link to {one['other']}; {lacks}")
        )
    _print_rest(len(circle["one_sided"]))
    for mend in circle["mends"]:
        then = THEN[mend["for"]].format(circle=circle["name"]) if mend["enough"] else ""
        link = "add a link between {} and {}".format(*mend["between"])
        console.print_result(console.shown(f"  mend: {link}{': ' if then else ''}{then}"))


def _print_names(what: str, names: Sequence[str]) -> None:
    if names:
        more = f" and {len(names) - NAMES_SHOWN_MAX} more" if len(names) > NAMES_SHOWN_MAX else ""
        console.print_result(f"  {what}: {', '.join(map(console.shown, names[:NAMES_SHOWN_MAX]))}{more}")


def _print_rest(count: int) -> None:
    if count > NAMES_SHOWN_MAX:
        console.print_result(f"  ... and {count - NAMES_SHOWN_MAX} more of these; --json has them all")
