"""`p2pshare introduce`: a member list in the place of telephone calls. Accepting takes a person, for each or for all."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from p2pshare.cli import console
from p2pshare.cli.command import Group
from p2pshare.cli.completion import complete_file
from p2pshare.cli.options import EXIT_PARTLY_DONE, STANDARD_STREAM, UsageProblem, json_option, read_input
from p2pshare.cli.output import write_output
from p2pshare.cli.session import Session, ask, connect
from p2pshare.errors import AuthorError, NotFoundError, RefusedError, ShareError
from p2pshare.limits import INTRODUCTION_BYTES_MAX, MIB

if TYPE_CHECKING:
    from p2pshare.operations.introducing import OfferIntroductions
    from p2pshare.sharing.introducing import OfferedList, OfferedMember

BATCH_MEMBERS = 32  # accepted in one request: some 100 ms of the writer
BATCH_BYTES = 4 * MIB
FILE_SUFFIX = ".p2pintro"


@click.group(cls=Group)
def introduce() -> None:
    """member lists: introduce partners to each other, and accept those whom a partner has compared"""


@introduce.command("export")
@click.argument("file", shell_complete=complete_file)
@click.option("--circle", metavar="NAME", default="", show_default="the first one", help="whose members")
@click.option(
    "--only", "only", metavar="NAME", multiple=True, help="the cards of these alone; the list is the same"
)
@json_option
@click.pass_obj
def export_introductions(home: Path, file: str, circle: str, only: tuple[str, ...], as_json: bool) -> None:
    """write the list of those whom you compared, with their cards, to FILE or -"""
    from p2pshare.operations.introducing import ExportIntroductions

    made = ask(home, ExportIntroductions(circle, only))
    if as_json and file == STANDARD_STREAM:
        raise UsageProblem("--json and a file on stdout do not go together", hint="name a file")
    write_output(file, made.file)
    if as_json:
        told = {"circle": made.circle, "number": made.number, "expires": made.expires}
        console.print_json(told | {"members": made.members, "left_out": made.left_out})
        return
    members = console.counted(len(made.members), "member")
    console.say(f"list {made.number} of circle {console.shown(made.circle)}: {members}, until {made.expires}")
    if made.left_out:
        names = ", ".join(map(console.shown, made.left_out))
        console.warn(f"no room for the cards of {names}: write them to a second file with --only")
    console.say("give it to those who have compared your fingerprint: `p2pshare introduce accept FILE`")
    console.say("linked partners may name you instead of the file")


@introduce.command("accept")
@click.argument("source", metavar="FILE|PARTNER", shell_complete=complete_file)
@click.option(
    "--circle", metavar="NAME", default="", show_default="the first one", help="whose list of PARTNER"
)
@click.option("--yes", "accepts_all", is_flag=True, help="accept all that can be accepted, without asking")
@click.option(
    "--only", "only", metavar="NAME", multiple=True, help="accept these alone (name or id), without asking"
)
@json_option
@click.pass_obj
def accept_introductions(
    home: Path, source: str, circle: str, accepts_all: bool, only: tuple[str, ...], as_json: bool
) -> int:
    """accept partners from a list in FILE, or from the newest one of a linked PARTNER"""
    from p2pshare.operations.introducing import AcceptIntroductions, OfferIntroductions

    if not (accepts_all or only or console.can_ask()):
        raise UsageProblem(
            "introduce accept needs --yes or --only where nobody can be asked",
            hint="`--yes` accepts all, `--only NAME` one",
        )
    with connect(home) as session, console.ProgressLine() as line:
        raw = _read_source(session, source, circle, line)
        offered = _offered(session, OfferIntroductions(raw), source)
        if not as_json:
            _show(offered)
        chosen = _chosen(offered, accepts_all, only)
        list_raw, batches = _batches(raw, chosen)
        accepted: list[str] = []
        refused = [
            {"name": one.name, "reason": one.reason} for one in offered.members if one.verdict == "refused"
        ]
        refused += [{"name": one.name, "reason": one.reason} for one in offered.strays]
        for ids, cards in batches:
            line.show("accepted", len(accepted), len(chosen))
            answer = session.run(AcceptIntroductions(list_raw, cards, ids))
            accepted += answer.accepted
            refused += [{"name": one.name, "reason": one.reason} for one in answer.refused]
    ids_chosen = {one.partner_id for one in chosen}
    held = [
        {"name": one.name, "reason": one.reason or "not-accepted"}
        for one in offered.members
        if one.verdict != "refused" and one.partner_id not in ids_chosen
    ]
    if as_json:
        console.print_json({"accepted": accepted, "held": held, "refused": refused})
    else:
        _say_result(offered, accepted, refused)
    if not refused:
        return 0
    return EXIT_PARTLY_DONE if accepted or held else RefusedError.exit_code


def _read_source(session: Session, source: str, circle: str, line: console.ProgressLine) -> bytes:
    """Returns the file, or what the partner of that name gives out. Raises AuthorError where it may be either."""
    from p2pshare.operations.introducing import FetchIntroductions
    from p2pshare.operations.partners import ListPartners

    is_path = source == STANDARD_STREAM or "/" in source or source.endswith(FILE_SUFFIX)
    is_partner = not is_path and any(
        source in (one.alias, one.partner_id) for one in session.run(ListPartners()).each
    )
    if is_partner and Path(source).exists() and not Path(source).is_dir():
        raise AuthorError(
            f"'{source}' is a partner, and a file here",
            hint=f"write ./{source} for the file",
            reason="ambiguous",
        )
    if is_partner:
        return session.run(FetchIntroductions(source, circle), line.show).file
    return read_input(source, INTRODUCTION_BYTES_MAX)


def _offered(session: Session, request: OfferIntroductions, source: str) -> OfferedList:
    """Returns what a list offers. Raises ShareError that says which list cannot be taken, and whence another one comes."""
    try:
        return session.run(request)
    except ShareError as error:
        error.message = f"the member list of {source} is not taken: {error.message}"
        error.hint = error.hint or ANOTHER_LIST
        raise


ANOTHER_LIST = "ask who introduces for the newest one, which `p2pshare introduce export FILE` writes there"


def _show(offered: OfferedList) -> None:
    """Say what is on the list, a member a line; refused and held ones with the reason."""
    console.say(
        f"{console.shown(offered.introducer)} introduces {console.counted(len(offered.members), 'member')} of circle "
        f"{console.shown(offered.circle)}, until {offered.expires}; nobody here has compared their fingerprints"
    )
    for one in offered.members:
        note = "" if one.verdict == "new" else f"  {one.verdict}: {one.reason}"
        console.say(f"  {console.shown_name(one.name)}  {one.fingerprint}{note}")
    for stray in offered.strays:
        console.say(f"  {console.shown(stray.name)}  refused: {stray.reason}")


def _chosen(offered: OfferedList, accepts_all: bool, only: Sequence[str]) -> list[OfferedMember]:
    """Returns the members that the person accepts. One that is introduced already gets one more introducer."""
    able = [one for one in offered.members if one.verdict == "new" or one.reason == "already-introduced"]
    if only:
        for name in only:
            if not any(name in (one.name, one.partner_id) for one in offered.members):
                raise NotFoundError(
                    f"nobody on the list is called '{name}'", hint="the name as it is shown, or the id"
                )
        return [one for one in able if one.name in only or one.partner_id in only]
    new = [one for one in able if one.verdict == "new"]
    if accepts_all or not new:
        return able
    if console.ask(f"accept all {len(new)} of them?"):
        return able
    known = [one for one in able if one.verdict != "new"]
    return known + [one for one in new if console.ask(f"accept {console.shown_name(one.name)}?")]


def _batches(
    raw: bytes, chosen: Sequence[OfferedMember]
) -> tuple[bytes, Iterable[tuple[tuple[str, ...], tuple[bytes, ...]]]]:
    """Returns the list, and (ids, their card files) of a few members each."""
    from p2pshare.envelope.member_list import by_owner, read_file

    file = read_file(raw)
    cards = {owner.text: card for owner, card in by_owner(file.cards)[0].items()}
    batches: list[tuple[tuple[str, ...], tuple[bytes, ...]]] = []
    ids: list[str] = []
    size = 0
    for one in chosen:
        size += len(cards.get(one.partner_id, b""))
        if ids and (len(ids) >= BATCH_MEMBERS or size > BATCH_BYTES):
            batches.append((tuple(ids), tuple(cards[it] for it in ids if it in cards)))
            ids, size = [], len(cards.get(one.partner_id, b""))
        ids.append(one.partner_id)
    if ids:
        batches.append((tuple(ids), tuple(cards[it] for it in ids if it in cards)))
    return file.list_raw, batches


def _say_result(offered: OfferedList, accepted: Sequence[str], refused: Sequence[dict[str, str]]) -> None:
    introducer = console.shown(offered.introducer)
    for name in accepted:
        console.print_result(f"{console.shown(name)}  introduced by {introducer}, fingerprint not compared")
    console.say(
        f"accepted {len(accepted)}: they get CLEAR and GREEN from now on; `p2pshare partner confirm NAME` after comparing"
        " a fingerprint, `p2pshare partner link NAME` for a link"
    )
    for one in refused:
        console.say(f"refused {console.shown(one['name'])}: {one['reason']}")


@introduce.command("list")
@json_option
@click.pass_obj
def list_introductions(home: Path, as_json: bool) -> None:
    """list the member lists that are held, and who is a partner by them, suspended, or waits for you"""
    from p2pshare.operations.introducing import ListIntroductions

    lists = ask(home, ListIntroductions()).each
    if as_json:
        console.print_json(lists)
        return
    if not lists:
        console.say("no member lists yet; `p2pshare introduce accept FILE|PARTNER` takes one in")
        return
    for one in lists:
        by = "your own list" if one.is_own else f"by {console.shown(one.introducer)}"
        console.print_result(
            f"{console.shown(one.circle)}  {by}  number {one.number}  {console.counted(one.members, 'member')}  until {one.expires}"
        )
        for word, names in (
            ("introduced", one.accepted),
            ("suspended", one.suspended),
            ("waiting", one.waiting),
        ):
            if names:
                console.print_result(f"  {word}: {', '.join(map(console.shown, names))}")
        if one.trouble:
            console.print_result(f"  a newer list was refused: {console.shown(one.trouble)}")
