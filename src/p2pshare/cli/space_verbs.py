"""The verbs that every kind of space has, each in one place: a kind's own group is made by `space_group` with its own word.

`p2pshare incident join ID` is `p2pshare space join ID` for spaces of the kind `incident` alone; any other is not found there. A kind adds its
own verbs to the group, and how its state is shown.

Who writes needs the daemon (exit code 4): its folds are at hand, and it is the one that sends. What cannot be taken back is asked for, and
without a terminal needs `--yes` (exit code 2).
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from p2pshare.cli import console
from p2pshare.cli.command import Command, Group, home_folder
from p2pshare.cli.completion import complete_file
from p2pshare.cli.options import (
    EXERCISE_OPTION,
    EXIT_PARTLY_DONE,
    STANDARD_STREAM,
    UsageProblem,
    json_option,
    open_input,
    owner_output_option,
)
from p2pshare.cli.output import OWN_MODE, open_output
from p2pshare.cli.session import connect, is_running, open_store_for_reading, read_or_ask
from p2pshare.errors import DaemonUnreachable, NotFoundError, RefusedError, ShareError

if TYPE_CHECKING:
    from p2pshare.operations.interface import A, Request
    from p2pshare.operations.space_links import Links
    from p2pshare.operations.space_takeover import EntryChanged, Voted, VotePreview
    from p2pshare.operations.spaces import MemberShown, SpaceShown
    from p2pshare.spaces.space_file import SpaceFileReport

EXIT_BAD = 1
CANDIDATES_TOLD_MAX = 5  # in one hint
PROBLEMS_SHOWN_MAX = 20  # of a file; the counts have them all

StatePrinter = Callable[[Mapping[str, Any], Callable[[str | None], str]], None]
"""Prints the canonical output of a space as a person reads its `state`; the second calls a member by its name here."""


class SpaceVerb(Command):
    """A verb of spaces, which knows `--exercise` where its group is played."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Returns the verb's parameters, and `--exercise` where its group is played."""
        params = super().get_params(ctx)
        return [*params[:-1], EXERCISE_OPTION, *params[-1:]] if _is_played(ctx) else params


class SpaceCommand(SpaceVerb):
    """A verb whose first argument is the id of a space. Where its group knows which one is meant without, that may be left out."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the id of the only one that may be meant in front, where an argument is missing."""
        around: click.Context | None = ctx.parent
        while around is not None and not isinstance(around.command, SpaceGroup):
            around = around.parent
        choose = None if around is None else around.command.choose  # type: ignore[attr-defined]
        if (
            choose is not None
            and not ctx.resilient_parsing
            and not {*args} & {*self.get_help_option_names(ctx)}
        ):
            given, _, _ = self.make_parser(ctx).parse_args(list(args))
            if self._lacks_one(given):
                if given.get("exercise"):
                    with ctx.scope(cleanup=False):
                        console.begin_exercise(given["exercise"])
                home = home_folder(given["home"]) if given.get("home") else ctx.obj
                with ctx.scope(cleanup=False):  # what it asks is of the exercise that is named
                    args = [choose(home), *args]
        return super().parse_args(ctx, args)

    def _lacks_one(self, given: Mapping[str, Any]) -> bool:
        """Returns whether the last argument that has to be there is not: what is given stands one place too far in front."""
        wanted = [one for one in self.params if isinstance(one, click.Argument) and one.required]
        found = [given.get(str(one.name)) for one in wanted]
        is_there = [isinstance(one, str) or (isinstance(one, tuple) and one != ()) for one in found]
        if not wanted or wanted[0].name not in _IDS:
            return False
        is_list_without_id = wanted[-1].nargs == -1 and is_there[0] and not _ID.fullmatch(str(found[0]))
        return is_list_without_id or not is_there[-1]


def _is_played(ctx: click.Context) -> bool:
    around: click.Context | None = ctx
    while around is not None and not isinstance(around.command, SpaceGroup):
        around = around.parent
    return around is not None and around.command.is_played  # type: ignore[attr-defined]


_ID = re.compile(r"[0-9a-fA-F]{6,64}")  # what may be one: a value that looks so stands behind one
_IDS = ("space_id", "incident_id", "lab_id")


class SpaceSubgroup(Group):
    """A group of such verbs within one: `incident task`."""

    command_class = SpaceCommand


class SpaceGroup(SpaceSubgroup):
    """The commands of one kind of space, under its own word; `only` empty: of any kind. `choose` gives the id of the one that is meant where
    none is named; None: one has to be."""

    def __init__(self, word: str, only: str, printers: Mapping[str, StatePrinter], about: str) -> None:
        super().__init__(word, help=about)
        self.only = only
        self.printers = printers
        self.choose: Callable[[Path], str] | None = None
        self.is_played = False
        """Whether its verbs are for exercises as well: each then knows `--exercise`."""


def space_group(word: str, only: str, printers: Mapping[str, StatePrinter], about: str) -> SpaceGroup:
    """Returns a group with all shared verbs. `printers` by kind; `only` is the kind that the group is for."""
    group = SpaceGroup(word, only, printers, about)
    for verb in VERBS:
        group.add_command(verb)
    return group


def _worn(context: click.Context) -> SpaceGroup:
    """Returns the group under which a verb was typed."""
    assert context.parent is not None
    group = context.parent.command
    assert isinstance(group, SpaceGroup)
    return group


# --- what verbs share --------------------------------------------------------------------------------


def only_one_open(word: str, found: Sequence[tuple[str, str]], opens: str = "open") -> str:
    """Returns the id of the only one of its kind that is open here and in which we may write; `found` are ids and titles, and of several a person says
    which. `opens`: the verb that opens one. Raises NotFoundError, AmbiguousId with the candidates."""
    from p2pshare.operations.spaces import AmbiguousId

    told = [f"{space[:10]} {console.shown(title)}" for space, title in found]
    if len(found) == 1:
        console.say(f"{word} {told[0]}")
        return found[0][0]
    if not found:
        raise NotFoundError(
            f"no {word} is open here",
            hint=f"`p2pshare {word} {opens}` opens one; `{word} list` has the invitations, `{word} join ID` accepts one",
        )
    if console.can_ask():
        for (space, _), title in zip(found, told, strict=True):
            if console.ask(f"{title}?"):
                return space
    more = ", ..." if len(told) > CANDIDATES_TOLD_MAX else ""
    raise AmbiguousId(
        f"{len(found)} {word}s are open here: say which one is meant",
        hint=f"its id comes first: {', '.join(told[:CANDIDATES_TOLD_MAX])}{more}",
    )


def write(home: Path, request: Request[A]) -> A:
    """Have the daemon do it. Raises DaemonUnreachable without one."""
    with connect(home) as session:
        if not session.is_daemon:
            raise DaemonUnreachable("spaces are written by the daemon", hint="start it with `p2pshare run`")
        return session.run(request)


def confirm(question: str, *, yes: bool, tell: Callable[[], None] | None = None) -> None:
    """Ask before what cannot be taken back, after `tell` said what it does. Raises UsageProblem where nobody can be asked,
    RefusedError on a no."""
    if yes:
        return
    if not console.can_ask():
        raise UsageProblem(f"nobody can be asked: {question}", hint="say --yes, or run it on a terminal")
    if tell is not None:
        tell()
    if not console.ask(question):
        raise RefusedError("nothing was done", reason="not-confirmed")


def answer(written: Any, text: str, *, as_json: bool) -> None:
    """Print what a verb has written."""
    from msgspec.structs import asdict

    if as_json:
        console.print_json(asdict(written))
    else:
        console.print_result(text)


def say_links(links: Links, whose: str) -> None:
    """Say who parts the members, and who is cut off."""
    if links.parted_by:
        console.say(
            f"the loss of one of these parts {whose}: {_listed(links.parted_by)}; members that add each other as partners mend it"
        )
    for piece in links.cut_off:
        console.warn(
            f"cut off from us: {', '.join(piece)}: nobody whom our entries reach is a partner of theirs"
        )
    if links.not_known:
        console.say(f"whose partners are not known: {_listed(links.not_known)}")


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(console.shown, names))


def _id_argument(function: Any) -> Any:
    return click.argument("space_id", metavar="ID")(function)


def _yes_option(function: Any) -> Any:
    return click.option("--yes", is_flag=True, help="do not ask")(function)


def _leave_out_option(function: Any) -> Any:
    return click.option(
        "--leave-out",
        "left_out",
        metavar="ENTRY",
        multiple=True,
        help="vote as one who has seen neither this entry nor what follows it; repeat it",
    )(function)


# --- looking -----------------------------------------------------------------------------------------


@click.command("list", cls=Command)
@json_option
@click.pass_context
def list_(context: click.Context, as_json: bool) -> None:
    """list those that are held here, and the invitations"""
    from p2pshare.operations.spaces import ListSpaces

    listed = read_or_ask(context.obj, ListSpaces(_worn(context).only)).each
    if as_json:
        console.print_json(listed)
        return
    rows = (
        (
            one.space[:10],
            one.kind,
            one.tlp,
            one.entries,
            one.waiting,
            one.status,
            "contested" if one.contested else _short(one.lead),
            _short(one.opener),
            one.title,
        )
        for one in listed
    )
    heading = ("space", "kind", "tlp", "entries", "waiting", "we", "lead", "opened by", "title")
    console.print_table(heading, rows)


@click.command(cls=SpaceCommand)
@_id_argument
@click.option(
    "--canonical", is_flag=True, help="the output that is the same at all who hold the same entries"
)
@click.option(
    "--shown", "mark", is_flag=True, help="with --json: a person is shown it, and members are told so"
)
@json_option
@click.pass_context
def show(context: click.Context, space_id: str, canonical: bool, mark: bool, as_json: bool) -> None:
    """show members, lead and content of ID; what a person was shown here, members are told"""
    from msgspec import to_builtins

    from p2pshare.operations.spaces import ShowSpace

    home, group = context.obj, _worn(context)
    shown = read_or_ask(home, ShowSpace(space_id, group.only))
    if canonical:
        # the bytes themselves for a file or a pipe; a terminal would obey some of what others wrote
        console.print_result(console.shown(shown.canonical) if sys.stdout.isatty() else shown.canonical)
        return
    output: dict[str, Any] = json.loads(shown.canonical)
    if as_json:
        for member in output["members"]:
            member |= to_builtins(shown.members[member["id"]])
        console.print_json(output | {"waiting": shown.waiting, "links": to_builtins(shown.links)})
    else:
        _print_space(output, shown, group.printers)
    if mark or not as_json:
        mark_shown(home, output["space"], shown.numbers)


def mark_shown(home: Path, space: str, numbers: Mapping[str, int]) -> None:
    """Note that a person was shown it. Only a running daemon does: looking alone neither waits for a lock nor fails for it."""
    from p2pshare.operations.spaces import MarkShown

    with suppress(ShareError):
        if numbers and is_running(home):
            write(home, MarkShown(space, dict(numbers)))


def _short(name: str | None) -> str:
    """Returns a name as it is, and an id by its first ten digits."""
    if name is None:
        return ""
    return name[:10] if len(name) == 64 and set(name) <= set("0123456789abcdef") else name


def _print_space(output: Mapping[str, Any], shown: SpaceShown, printers: Mapping[str, StatePrinter]) -> None:
    def called(member: str | None) -> str:
        if member is None:
            return "contested"
        known = shown.members.get(member)
        return member[:10] if known is None or known.name is None else known.name

    console.print_fields(
        {
            "space": output["space"],
            "title": output["title"],
            "kind": output["kind"],
            "tlp": output["tlp"],
            "lead": called(output["lead"])
            if output["members"]
            else "not known: this program does not know the rules of the space",
            "members": [
                f"{called(one['id'])} ({_about_member(one['status'], shown.members[one['id']])})"
                for one in output["members"]
            ],
            "entries": len(output["timeline"]),
            "waiting": shown.waiting,
        }
    )
    printer = printers.get(output["kind"])
    if output["state"] is not None and printer is not None:
        printer(output, called)
    elif output["state"] is not None:
        console.say(f"`p2pshare {console.shown(output['kind'])} show` shows what is in it")
    say_links(shown.links, "its members")


def _about_member(status: str, member: MemberShown) -> str:
    if member.card == "introduced":
        return f"{status}, introduced by {member.introduced_by}, fingerprint not compared"
    return f"{status}, card not here" if member.card == "none" else status


@click.command(cls=SpaceCommand)
@_id_argument
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="the newest N")
@json_option
@click.pass_context
def seen(context: click.Context, space_id: str, limit: int, as_json: bool) -> None:
    """say of each entry of ID who has it: shown to a person there, held, sent, or not known"""
    from p2pshare.operations.space_entries import SeenInSpace
    from p2pshare.spaces.seen import HELD, NOT_KNOWN, SENT, SHOWN

    told = read_or_ask(context.obj, SeenInSpace(space_id, limit, _worn(context).only))
    if as_json:
        console.print_json(told)
        return

    def named(words: Mapping[str, str], word: str) -> str:
        return ", ".join(told.names.get(one, one[:10]) for one in words if words[one] == word)

    rows = (
        (
            one.id[:10],
            told.names.get(one.author, one.author[:10]),
            one.kind,
            one.here,
            *(named(one.members, word) for word in (SHOWN, HELD, SENT, NOT_KNOWN)),
        )
        for one in told.entries
    )
    console.print_table(("entry", "author", "kind", "here", "shown", "held", "sent", "not known"), rows)
    if told.total > len(told.entries):
        console.say(f"the newest {len(told.entries)} of {told.total}; --limit shows more")


# --- members -----------------------------------------------------------------------------------------


@click.command(cls=SpaceVerb)
@_id_argument
@json_option
@click.pass_context
def join(context: click.Context, space_id: str, as_json: bool) -> None:
    """accept the invitation into ID"""
    from p2pshare.operations.space_membership import JoinSpace

    written = write(context.obj, JoinSpace(space_id, _worn(context).only))
    answer(written, f"{written.entry}  joined", as_json=as_json)


@click.command(cls=SpaceVerb)
@_id_argument
@json_option
@click.pass_context
def decline(context: click.Context, space_id: str, as_json: bool) -> None:
    """decline the invitation into ID"""
    from p2pshare.operations.space_membership import DeclineSpace

    written = write(context.obj, DeclineSpace(space_id, _worn(context).only))
    answer(written, f"{written.entry}  declined", as_json=as_json)


@click.command(cls=SpaceCommand)
@_id_argument
@_yes_option
@json_option
@click.pass_context
def leave(context: click.Context, space_id: str, yes: bool, as_json: bool) -> None:
    """leave ID; its lead hands over first"""
    from p2pshare.operations.space_membership import LeaveSpace

    confirm("only its lead can let us in again: leave?", yes=yes)
    written = write(context.obj, LeaveSpace(space_id, _worn(context).only))
    answer(written, f"{written.entry}  left", as_json=as_json)


@click.command(cls=SpaceCommand)
@_id_argument
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@_yes_option
@json_option
@click.pass_context
def invite(context: click.Context, space_id: str, names: tuple[str, ...], yes: bool, as_json: bool) -> None:
    """invite partners into ID, after saying what they will read of it; its lead may

    On a terminal it asks.
    """
    from p2pshare.operations.space_membership import InviteIntoSpace, PreviewInvitation

    preview = read_or_ask(context.obj, PreviewInvitation(space_id, names, _worn(context).only))
    if not as_json or console.can_ask():
        of_some = f"; {preview.sealed} more name their readers" if preview.sealed else ""
        console.say(
            f"{_listed(preview.names)} will read what is here: {preview.entries} entries, the strictest {preview.tlp_max}{of_some}"
        )
    if console.can_ask():
        confirm("who is invited stays named: invite?", yes=yes)
    written = write(context.obj, InviteIntoSpace(space_id, names, _worn(context).only))
    answer(written, f"{written.entry}  invited", as_json=as_json)
    say_links(written.links, "its members")


@click.command(cls=SpaceCommand)
@_id_argument
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@_yes_option
@json_option
@click.pass_context
def remove(context: click.Context, space_id: str, names: tuple[str, ...], yes: bool, as_json: bool) -> None:
    """remove members from ID; its lead may"""
    from p2pshare.operations.space_membership import PreviewRemoval, RemoveFromSpace

    home, only = context.obj, _worn(context).only

    def tell() -> None:
        console.say(f"what {_listed(names)} wrote stays, and they keep what they have")
        say_links(read_or_ask(home, PreviewRemoval(space_id, names, only)), "those who stay")

    confirm("remove?", yes=yes, tell=tell)
    written = write(home, RemoveFromSpace(space_id, names, only))
    answer(written, f"{written.entry}  removed", as_json=as_json)
    say_links(written.links, "those who stay")


@click.command(cls=SpaceCommand)
@_id_argument
@click.argument("member")
@json_option
@click.pass_context
def handover(context: click.Context, space_id: str, member: str, as_json: bool) -> None:
    """offer the lead of ID to MEMBER, who leads once it accepts; its lead may"""
    from p2pshare.operations.space_membership import HandOverSpace

    written = write(context.obj, HandOverSpace(space_id, member, _worn(context).only))
    answer(written, f"{written.entry}  offered", as_json=as_json)


@click.command(cls=SpaceCommand)
@_id_argument
@json_option
@click.pass_context
def accept(context: click.Context, space_id: str, as_json: bool) -> None:
    """accept the lead of ID, which was offered to us"""
    from p2pshare.operations.space_membership import AcceptLead

    written = write(context.obj, AcceptLead(space_id, _worn(context).only))
    answer(written, f"{written.entry}  accepted", as_json=as_json)


@click.command(cls=SpaceCommand)
@_id_argument
@click.argument("member")
@click.option("--fingerprint", metavar="FP", help="the member's fingerprint, as they told it to you")
@click.option("--alias", metavar="NAME", default="", help="your name for it; else made from the card")
@click.option("--no-link", is_flag=True, help="trust and seal for it, but never connect")
@json_option
@click.pass_context
def trust(
    context: click.Context,
    space_id: str,
    member: str,
    fingerprint: str | None,
    alias: str,
    no_link: bool,
    as_json: bool,
) -> None:
    """make a partner of MEMBER of ID, whose card came beside entries: compare its fingerprint first"""
    from p2pshare.operations.space_membership import TrustMember

    home, only = context.obj, _worn(context).only
    confirmed = fingerprint if fingerprint is not None else _compare(home, space_id, member, only)
    added = write(home, TrustMember(space_id, member, confirmed, alias, not no_link, only))
    if as_json:
        console.print_json(added)
        return
    console.print_result(
        f"{console.shown(added.alias)}  {added.partner_id}  {console.shown_name(added.name)}"
    )
    console.say(f"safety number, the same on both sides: {added.safety_number}")


def _compare(home: Path, space_id: str, member: str, only: str) -> str:
    """Show the fingerprint of a member's card and ask. Raises UsageProblem without a terminal, RefusedError on a no."""
    from p2pshare.cli.card import read_card
    from p2pshare.envelope.card import believe_chain, fingerprint, safety_number
    from p2pshare.operations.space_membership import ShowMemberCard

    if not console.can_ask():
        raise UsageProblem(
            "trust needs --fingerprint",
            hint="ask the member for it by telephone; it is never taken from the card alone",
        )
    told = read_or_ask(home, ShowMemberCard(space_id, member, only))
    card, own = believe_chain(told.card), read_card(home, None)
    console.say(f"introduced by  {console.shown(told.introduced_by)}")
    console.say(f"name           {console.shown_name(card.name)}")
    console.say(f"fingerprint    {fingerprint(card.partner_id)}")
    console.say(f"safety number  {safety_number(own.partner_id, card.partner_id)}")
    if not console.ask("does the member read you the same fingerprint or safety number?"):
        raise RefusedError("the card was not confirmed, nothing was added", reason="fingerprint-unconfirmed")
    return fingerprint(card.partner_id)


# --- the lead by a vote ------------------------------------------------------------------------------


@click.command(cls=SpaceCommand)
@_id_argument
@_leave_out_option
@click.option("--dry-run", is_flag=True, help="show what it would do and void; nothing is written")
@_yes_option
@json_option
@click.pass_context
def takeover(
    context: click.Context, space_id: str, left_out: tuple[str, ...], dry_run: bool, yes: bool, as_json: bool
) -> None:
    """take over ID, whose lead is silent or not trusted: back the proposal that is open, else propose ourselves

    More than half of all who are named must vote for it, those who have not joined and the lead among them.
    """
    from p2pshare.operations.space_takeover import PreviewTakeover, TakeOver

    home, only = context.obj, _worn(context).only
    preview = PreviewTakeover(space_id, left_out=left_out, only=only)
    if dry_run:
        _print_preview(read_or_ask(home, preview), as_json=as_json)
        return
    confirm("vote?", yes=yes, tell=lambda: _print_preview(read_or_ask(home, preview), is_talk=True))
    _print_vote(write(home, TakeOver(space_id, left_out, only)), as_json=as_json)


@click.command(cls=SpaceCommand)
@_id_argument
@click.argument("proposal", required=False, default="")
@_leave_out_option
@click.option("--dry-run", is_flag=True, help="show what that takeover would void; nothing is written")
@_yes_option
@json_option
@click.pass_context
def ack(
    context: click.Context,
    space_id: str,
    proposal: str,
    left_out: tuple[str, ...],
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """vote for the takeover PROPOSAL of ID; without it for the one that `takeover` would back"""
    from p2pshare.operations.space_takeover import AckTakeover, PreviewTakeover

    home, only = context.obj, _worn(context).only
    preview = PreviewTakeover(space_id, proposal, is_ack=True, left_out=left_out, only=only)
    if dry_run:
        _print_preview(read_or_ask(home, preview), as_json=as_json)
        return
    confirm("vote?", yes=yes, tell=lambda: _print_preview(read_or_ask(home, preview), is_talk=True))
    _print_vote(write(home, AckTakeover(space_id, proposal, left_out, only)), as_json=as_json)


def _print_preview(preview: VotePreview, *, as_json: bool = False, is_talk: bool = False) -> None:
    if as_json:
        console.print_json(preview)
        return
    put = console.say if is_talk else console.print_result
    does = {
        "propose": "proposes ourselves",
        "back": f"backs the proposal of {console.shown(_short(preview.proposer))}",
        "wait": "would do nothing yet: our vote of this round is given, and a higher one is proposed after ten minutes",
    }
    put(f"{does[preview.does]}, epoch {preview.epoch}, round {preview.round}")
    votes = _listed(map(_short, preview.votes)) or "none"
    put(f"votes now: {votes}; after ours {preview.needed} of {preview.voters} voters are missing")
    put(f"the lead is {_lead(preview.lead)}, and would be {_lead(preview.lead_then)}")
    for name, status in preview.members_then.items():
        put(f"then {console.shown(_short(name))} would be {console.shown(status)}")
    _print_changes("void", preview.void, preview.void_count, put)
    _print_changes("stand again", preview.standing, preview.standing_count, put)


def _print_changes(
    what: str, changes: Sequence[EntryChanged], count: int, put: Callable[[str], None]
) -> None:
    put(f"entries that would {'be ' * (what == 'void')}{what}: {count}")
    for one in changes[:PROBLEMS_SHOWN_MAX]:
        put(
            f"  {one.id[:10]}  {console.shown(one.kind)} of {console.shown(_short(one.author))}  {one.reason}".rstrip()
        )
    if count > PROBLEMS_SHOWN_MAX:
        put("  ...")


def _lead(name: str | None) -> str:
    return "contested" if name is None else console.shown(_short(name))


def _print_vote(voted: Voted, *, as_json: bool) -> None:
    text = f"{voted.entry}  {'proposed' if voted.does == 'propose' else 'voted'}"
    answer(voted, text, as_json=as_json)
    missing = f"{console.counted(voted.needed, 'vote')} more needed; " if voted.needed else ""
    console.say(f"{missing}the lead is {_lead(voted.lead)}")


# --- single entries, and the whole -------------------------------------------------------------------


@click.command(cls=SpaceCommand)
@_id_argument
@click.argument("entry")
@_yes_option
@json_option
@click.pass_context
def redact(context: click.Context, space_id: str, entry: str, yes: bool, as_json: bool) -> None:
    """redact ENTRY of ID, for all members: its author or the lead may; nobody can bring it back"""
    from p2pshare.operations.space_entries import RedactEntry

    confirm("its text leaves this node and all that follow, for good: redact?", yes=yes)
    written = write(context.obj, RedactEntry(space_id, entry, _worn(context).only))
    answer(written, f"{written.entry}  redacted", as_json=as_json)


@click.command(cls=SpaceCommand)
@_id_argument
@click.option(
    "--last-good",
    metavar="ENTRY|none",
    default="",
    help="the last entry under that key that is ours; none: nothing is",
)
@click.option("--key", metavar="KEY", default="", help="the revoked key, where there are several")
@_yes_option
@json_option
@click.pass_context
def rekey(context: click.Context, space_id: str, last_good: str, key: str, yes: bool, as_json: bool) -> None:
    """disown what a thief wrote in ID with a key that our card revokes: all after the last entry that is ours"""
    from p2pshare.operations.space_entries import RekeySpace

    confirm("what stands after that entry under that key is void for all members: rekey?", yes=yes)
    written = write(context.obj, RekeySpace(space_id, last_good, key, _worn(context).only))
    answer(written, f"{written.entry}  disowned", as_json=as_json)


@click.command(cls=Command)
@_id_argument
@owner_output_option
@json_option
@click.pass_context
def export(context: click.Context, space_id: str, file: str, as_json: bool) -> None:
    """write all that is held of ID into one file, with the cards of its authors, for `verify` or to keep"""
    from p2pshare.intel.marking import Tlp
    from p2pshare.node.beside import NodeBeside
    from p2pshare.operations.space_export import export_space

    home = context.obj
    if file == STANDARD_STREAM and (sys.stdout.isatty() or as_json):
        raise UsageProblem("the file is not written here", hint="say -o FILE")
    with open_store_for_reading(home) as store:
        made = export_space(NodeBeside(home, store), space_id, _worn(context).only)
        with open_output(file, mode=OWN_MODE) as stream:
            for piece in made.pieces:
                stream.write(piece)
    label = Tlp(made.tlp_max).label
    if as_json:
        console.print_json(
            {
                "space": made.space.text,
                "file": file,
                "entries": made.entries,
                "without_body": made.without_body,
                "cards": made.cards,
                "without_card": [one.text for one in made.without_card],
                "tlp": label,
                "sealed": made.sealed,
            }
        )
    if file != STANDARD_STREAM:
        console.say(
            f"{console.counted(made.entries, 'entry').replace('entrys', 'entries')}, {console.counted(made.cards, 'card')},"
            f" the strictest marking in it is {label}: {console.shown(file)}"
        )
    if made.sealed:
        console.warn(f"{made.sealed} of them are for some of its members alone: hand the file to nobody else")
    for one in made.without_card:
        console.warn(f"no card of {one.short} is here: what it wrote cannot be checked by the file alone")


@click.command(cls=Command)
@click.argument("file", shell_complete=complete_file)
@json_option
@click.pass_context
def verify(context: click.Context, file: str, as_json: bool) -> int:
    """check a file that `export` wrote, offline and without a home: every entry, who leads, who is a member

    Exit code 1 when something is wrong with it, 6 when cards of authors are missing.
    """
    from p2pshare.spaces.space_file import examine

    with open_input(file) as stream, console.ProgressLine() as line:
        report = examine(stream, lambda done, of: line.show("entries checked", done, of))
    told = _described(report)
    if report.realm is not None and any(report.realm):
        console.begin_exercise(report.realm.text)
    only = _worn(context).only
    if only and told.get("kind") not in (None, only):
        console.warn(f"it is of the kind {told['kind']}")
    if as_json:
        console.print_json(told)
    else:
        _print_report(told)
        console.say(f"{told['verdict']}: {console.shown(file)}")
        console.say(
            "hint: a name is what the card says of itself; compare the fingerprint, which follows from the id"
        )
    return {"good": 0, "bad": EXIT_BAD, "incomplete": EXIT_PARTLY_DONE}[report.verdict]


def _described(report: SpaceFileReport) -> dict[str, Any]:
    """Returns the keys of `--json`."""
    import hashlib
    from collections import Counter

    names = {member.text: name for member, name in report.names.items()}
    told: dict[str, Any] = {
        "space": None if report.space is None else report.space.text,
        "realm": None if report.realm is None else report.realm.text,
        "verdict": report.verdict,
        "fault": report.fault,
        "cards": len(report.names),
        "bad_cards": report.bad_cards,
        "entries": report.entries,
        "held": report.held,
        "without_body": report.without_body,
        "refused": dict(sorted(Counter(one.reason for one in report.problems).items())),
        "problems": [
            {
                "number": one.number,
                "entry": None if one.entry_id is None else one.entry_id.text,
                "reason": one.reason,
            }
            for one in report.problems[:PROBLEMS_SHOWN_MAX]
        ],
    }
    if report.output:
        output = json.loads(report.output)
        told |= {key: output[key] for key in ("kind", "title", "tlp", "lead", "contested", "heads")}
        told["members"] = [one | {"name": names.get(one["id"])} for one in output["members"]]
        told["canonical_sha256"] = hashlib.sha256(report.output).hexdigest()
    return told


def _print_report(told: Mapping[str, Any]) -> None:
    names = {one["id"]: one["name"] or one["id"][:10] for one in told.get("members", ())}
    shown = {key: told[key] for key in ("space", "kind", "title", "tlp") if key in told}
    if "members" in told:
        lead = "contested" if told["contested"] else names.get(told["lead"], told["lead"])
        shown["lead"] = lead or "not known: this program does not know the rules of the space"
        shown["members"] = [f"{names[one['id']]} ({one['status']})" for one in told["members"]]
        shown["heads"] = [one[:10] for one in told["heads"]]
        shown["sha256"] = told["canonical_sha256"]
    counts = {
        key.replace("_", " "): told[key] for key in ("cards", "bad_cards", "entries", "held", "without_body")
    }
    console.print_fields(shown | counts)
    if told["fault"]:
        console.print_result(f"the file: {console.shown(told['fault'])}")
    for reason, count in told["refused"].items():
        console.print_result(f"refused: {count} {console.shown(reason)}")
    for one in told["problems"]:
        place = f"entry {one['number']} of the file ({(one['entry'] or 'no id')[:10]})"
        console.print_result(f"  {place}: {console.shown(one['reason'])}")


@click.command(cls=Command)
@_id_argument
@click.option("--take-again", is_flag=True, help="let one that was purged come in again")
@_yes_option
@json_option
@click.pass_context
def purge(context: click.Context, space_id: str, take_again: bool, yes: bool, as_json: bool) -> None:
    """take ID off this node, for good: nothing of it is taken in any more; other members keep what they have"""
    from msgspec.structs import asdict

    from p2pshare.operations.spaces import PurgeSpace, TakeSpaceAgain

    home, only = context.obj, _worn(context).only
    if take_again:
        again = write(home, TakeSpaceAgain(space_id))
        answer(again, f"{again.space}  taken again when a partner hands it over", as_json=as_json)
        return
    confirm("it leaves this node for good, and members are not told (`leave` tells them): purge?", yes=yes)
    with console.ProgressLine() as line:
        purged = write(home, PurgeSpace(space_id, only))
        most = purged.left
        while purged.left:
            line.show("entries purged", most - purged.left, most)
            purged = write(home, PurgeSpace(purged.space, only))
    if as_json:
        console.print_json(asdict(purged))
    else:
        console.print_result(f"{purged.space}  purged")
    if not purged.is_overwritten:
        console.warn("a program reads the store: older pages are in store.sqlite-wal until it ends")
    console.say("copies of the store, backups and files of `export`, are yours to delete")


VERBS: tuple[click.Command, ...] = (
    list_,
    show,
    seen,
    join,
    decline,
    leave,
    invite,
    remove,
    handover,
    accept,
    takeover,
    ack,
    trust,
    redact,
    rekey,
    export,
    verify,
    purge,
)
"""What looks, who is a member and who leads by agreement, who leads by a vote, and what is done to entries and the whole."""
