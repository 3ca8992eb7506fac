"""`p2pshare partner`: the cards that are trusted. Adding one needs its fingerprint, confirmed by another way."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from p2pshare.cli import console
from p2pshare.cli.card import believe_card, read_card
from p2pshare.cli.command import Group
from p2pshare.cli.completion import complete_file
from p2pshare.cli.options import STANDARD_STREAM, UsageProblem, json_option, read_input
from p2pshare.cli.output import write_output
from p2pshare.cli.session import Session, ask, connect
from p2pshare.errors import NotFoundError, RefusedError
from p2pshare.limits import CARD_CHAIN_BYTES_MAX

if TYPE_CHECKING:
    from p2pshare.operations.pending import PendingPartner
    from p2pshare.sharing.distrusting import DistrustedPartner

EXIT_NOTHING_PENDING = 3
ID_DIGITS_SHOWN = 16


@click.group(cls=Group)
def partner() -> None:
    """add, accept, confirm, link, list, rename, export and remove partners"""


@partner.command("add")
@click.argument("file", shell_complete=complete_file)
@click.option("--fingerprint", metavar="FP", help="the partner's fingerprint, as they told it to you")
@click.option(
    "--alias", metavar="NAME", default="", help="your name for the partner; else made from the card"
)
@click.option("--no-link", is_flag=True, help="trust and seal for it, but never connect: relays reach it")
@json_option
@click.pass_obj
def add_partner(
    home: Path, file: str, fingerprint: str | None, alias: str, no_link: bool, as_json: bool
) -> None:
    """trust the card in FILE"""
    from p2pshare.operations.partners import AddPartner

    raw = read_input(file, CARD_CHAIN_BYTES_MAX)
    believe_card(raw, file)
    confirmed = fingerprint if fingerprint is not None else _confirm(home, file)
    added = ask(home, AddPartner(raw, confirmed, alias, has_link=not no_link))
    if as_json:
        console.print_json(added)
        return
    console.print_result(
        f"{console.shown(added.alias)}  {added.partner_id}  {console.shown_name(added.name)}"
    )
    console.say(f"safety number, the same on both sides: {added.safety_number}")


def _confirm(home: Path, file: str, command: str = "partner add") -> str:
    """Show the card's fingerprint and ask. Raises UsageProblem without a terminal, RefusedError on a no."""
    from p2pshare.envelope.card import fingerprint, safety_number

    if not console.can_ask():
        raise UsageProblem(
            f"{command} needs --fingerprint",
            hint="ask the partner for it by telephone; it is never taken from the card alone",
        )
    own, card = read_card(home, None), read_card(home, file)
    console.say(f"name           {console.shown_name(card.name)}")
    console.say(f"fingerprint    {fingerprint(card.partner_id)}")
    console.say(f"safety number  {safety_number(own.partner_id, card.partner_id)}")
    if not console.ask("does the partner read you the same fingerprint or safety number?"):
        raise RefusedError(
            "the card was not confirmed, nothing was changed", reason="fingerprint-unconfirmed"
        )
    return fingerprint(card.partner_id)


@partner.command("pending")
@json_option
@click.pass_obj
def list_pending(home: Path, as_json: bool) -> int:
    """list who waits to be a partner: they knocked here, or joined by an invitation

    Nothing that they say of themselves is believed. Exit code 3 when nobody waits.
    """
    from p2pshare.operations.pending import ListPending

    found = ask(home, ListPending()).each
    if as_json:
        console.print_json(found)
    else:
        for one in found:
            _print_pending(one)
    if not found:
        console.say("nobody waits to be a partner")
        return EXIT_NOTHING_PENDING
    return 0


def _print_pending(one: PendingPartner) -> None:
    console.print_result(f"{one.partner_id[:ID_DIGITS_SHOWN]}  {console.shown(one.name)}, as it calls itself")
    for note in one.notes:
        console.print_result(f"  careful        {console.shown(note)}")
    console.print_result(f"  fingerprint    {one.fingerprint}")
    if one.words:
        console.print_result("  words          it joined by an invitation: compare the six words")
    console.print_result(f"  safety number  {one.safety_number}")
    console.print_result(f"  came from      {console.shown(one.address)}")
    console.print_result(
        f"  would be at    {console.shown(one.url) if one.url else 'nowhere: it only dials'}"
    )
    knocks = console.counted(one.knocks, "knock")
    console.print_result(f"  since          {one.since}, {knocks}")


@partner.command("accept")
@click.argument("partner_id", metavar="ID")
@click.option(
    "--words", metavar="WORDS", default="", help="the six words of an invitation, as the partner told them"
)
@click.option(
    "--fingerprint", metavar="FP", default="", help="the fingerprint, as the partner told it to you"
)
@click.option(
    "--alias", metavar="NAME", default="", help="your name for the partner; else made from the card"
)
@json_option
@click.pass_obj
def accept_partner(
    home: Path, partner_id: str, words: str, fingerprint: str, alias: str, as_json: bool
) -> None:
    """make who waits under ID a partner, once its words or its fingerprint were compared by another way

    ID is as `partner pending` shows it, or its beginning. Without either a person is asked. Exit code 5 when what was compared is wrong,
    3 when nobody waits under ID.
    """
    from p2pshare.operations.pending import AcceptPending
    from p2pshare.sharing.pending import PARTNER

    if words and fingerprint:
        raise UsageProblem("--words and --fingerprint are two ways", hint="give the one that you compared")
    if not words and not fingerprint:
        fingerprint, words = _compare_pending(home, partner_id)
    accepted = ask(home, AcceptPending(partner_id, words, fingerprint, alias))
    if as_json:
        console.print_json(accepted)
        return
    console.print_result(f"{accepted.state}  {accepted.partner_id}  {console.shown_name(accepted.name)}")
    if accepted.state != PARTNER:
        console.say(
            "it is a partner as soon as its card comes, with its next knock: at once, or within a few minutes"
        )


def _compare_pending(home: Path, typed: str) -> tuple[str, str]:
    """Show who waits under an id and ask; returns the fingerprint that a person confirmed, or the words that were typed. Raises
    UsageProblem without a terminal, RefusedError on a no."""
    from p2pshare.identifiers import PartnerId
    from p2pshare.operations.pending import ListPending
    from p2pshare.sharing.pending import named_id

    if not console.can_ask():
        raise UsageProblem(
            "partner accept needs --words or --fingerprint",
            hint="ask the partner for it by telephone; it is never taken from what a knock says",
        )
    found = ask(home, ListPending()).each
    partner_id = named_id(typed, (PartnerId.parse(one.partner_id) for one in found)).text
    rows = [one for one in found if one.partner_id == partner_id]
    for one in rows:
        _print_pending(one)
    if all(one.words for one in rows):
        return "", console.ask_text("the six words, as the partner reads them to you:")
    if not console.ask("does the partner read you the same fingerprint or safety number?"):
        raise RefusedError("it was not confirmed, nobody was accepted", reason="fingerprint-unconfirmed")
    return rows[0].fingerprint, ""


@partner.command("refuse")
@click.argument("partner_id", metavar="ID")
@json_option
@click.pass_obj
def refuse_partner(home: Path, partner_id: str, as_json: bool) -> None:
    """take who waits under ID off the list, and show it no more; `partner accept` undoes it

    Exit code 3 when nobody waits under ID.
    """
    from p2pshare.operations.pending import RefusePending

    refused = ask(home, RefusePending(partner_id))
    if as_json:
        console.print_json(refused)
        return
    calls_itself = f", which calls itself {console.shown_name(refused.name)}" if refused.name else ""
    console.say(f"refused {refused.partner_id}{calls_itself}")


@partner.command("rename")
@click.argument("old")
@click.argument("new")
@json_option
@click.pass_obj
def rename_partner(home: Path, old: str, new: str, as_json: bool) -> None:
    """call the partner OLD, an alias or id, NEW from now on: here, and for the SIEM

    Its own name on its card stays as it is, and nobody else hears of it.
    """
    from p2pshare.operations.partners import RenamePartner

    renamed = ask(home, RenamePartner(old, new))
    if as_json:
        console.print_json(renamed)
        return
    console.say(f"{console.shown(old)} is called {console.shown(renamed.alias)} from now on")


@partner.command("list")
@json_option
@click.pass_obj
def list_partners(home: Path, as_json: bool) -> None:
    """list the partners and the state of their links"""
    from p2pshare.operations.partners import ListPartners

    partners = ask(home, ListPartners()).each
    if as_json:
        console.print_json(partners)
        return
    if not partners:
        console.say(
            "no partners yet; `p2pshare invite NAME` or `p2pshare join` meets one, `p2pshare partner add FILE --fingerprint FP` takes its card"
        )
        return
    console.print_partners(partners)


@partner.command("export")
@click.argument("file", shell_complete=complete_file)
@click.pass_obj
def export_partners(home: Path, file: str) -> None:
    """write whom we are linked with, and for which circles, to FILE or - : for `doctor topology`"""
    from p2pshare.cli.doctor import read_own_list
    from p2pshare.node.home import require_home
    from p2pshare.topology.partner_lists import encode_list

    own = read_own_list(require_home(home))
    write_output(file, encode_list(own))
    if file != STANDARD_STREAM:
        partners = console.counted(len(own.partners), "partner")
        console.say(
            f"{console.shown(file)} names {partners} and what each link carries: give it to who may know that"
        )


@partner.command("distrust")
@click.argument("name")
@json_option
@click.pass_obj
def distrust_partner(home: Path, name: str, as_json: bool) -> None:
    """take what a partner says out of effect here, called by alias or id, also one that was removed; `trust` brings it back

    Its link stays, and what it seals is carried for others. Votes in spaces stay as they are.
    """
    from p2pshare.operations.partners import DistrustPartner

    _tell_trust(ask(home, DistrustPartner(name)), as_json=as_json)


@partner.command("trust")
@click.argument("name")
@json_option
@click.pass_obj
def trust_partner(home: Path, name: str, as_json: bool) -> None:
    """bring what a partner says back into effect, after `distrust`"""
    from p2pshare.operations.partners import TrustPartner

    _tell_trust(ask(home, TrustPartner(name)), as_json=as_json)


def _tell_trust(answer: DistrustedPartner, *, as_json: bool) -> None:
    if as_json:
        console.print_json(answer)
        return
    name = console.shown(answer.alias or answer.partner_id)
    if answer.distrusted:
        console.say(
            f"{name} is distrusted: nothing that it says counts here; `p2pshare partner trust` takes it back"
        )
    else:
        console.say(f"{name} is believed again; what came meanwhile is read as it stands in line")


@partner.command("remove")
@click.argument("name")
@json_option
@click.pass_obj
def remove_partner(home: Path, name: str, as_json: bool) -> None:
    """stop trusting a partner, called by alias or id; its connections end at once"""
    from p2pshare.operations.partners import RemovePartner

    removed = ask(home, RemovePartner(name))
    if as_json:
        console.print_json(removed)
        return
    console.say(f"removed {console.shown(removed.alias)}; what it wrote stays in the store")


@partner.command("card")
@click.argument("name")
@click.argument("file", shell_complete=complete_file)
@click.pass_obj
def write_partner_card(home: Path, name: str, file: str) -> None:
    """write the newest card that is held of a partner to FILE or - : for one that lost it, and goes on from it"""
    from p2pshare.operations.partners import PartnerCard

    write_output(file, ask(home, PartnerCard(name)).card)


@partner.command("unfreeze")
@click.argument("name")
@click.argument("file", shell_complete=complete_file)
@click.option("--fingerprint", metavar="FP", help="the partner's fingerprint, as they told it to you")
@json_option
@click.pass_obj
def unfreeze_partner(home: Path, name: str, file: str, fingerprint: str | None, as_json: bool) -> None:
    """believe a partner again that signed two cards of one version, by the card in FILE, with which it goes on

    Call it first: a partner whose root keys were stolen looks the same. The card of FILE takes the place of what is known of it.
    """
    from p2pshare.operations.partners import UnfreezePartner

    raw = read_input(file, CARD_CHAIN_BYTES_MAX)
    believe_card(raw, file)
    confirmed = fingerprint if fingerprint is not None else _confirm(home, file, "partner unfreeze")
    trusted = ask(home, UnfreezePartner(name, raw, confirmed))
    if as_json:
        console.print_json(trusted)
        return
    console.say(
        f"{console.shown(trusted.alias)} is believed again, by version {trusted.card_version} of its card"
    )


@partner.command("confirm")
@click.argument("name")
@click.option(
    "--fingerprint", metavar="FP", default="", help="the partner's fingerprint, as they told it to you"
)
@click.option("--safety-number", metavar="N", default="", help="the 60 digits, as the partner reads them")
@json_option
@click.pass_obj
def confirm_partner(home: Path, name: str, fingerprint: str, safety_number: str, as_json: bool) -> None:
    """note that you compared the fingerprint of a partner whom another one introduced"""
    from p2pshare.operations.partners import ConfirmPartner

    if fingerprint and safety_number:
        raise UsageProblem("--fingerprint or --safety-number, not both", hint="one is enough")
    with connect(home) as session:
        if not (fingerprint or safety_number):
            fingerprint = _confirm_introduced(session, home, name)
        confirmed = session.run(ConfirmPartner(name, fingerprint, safety_number))
    if as_json:
        console.print_json(confirmed)
        return
    word = "is compared from now on" if confirmed.is_new else "was compared before"
    console.say(f"{console.shown(confirmed.alias)} {word}")


def _confirm_introduced(session: Session, home: Path, name: str) -> str:
    """Show fingerprint and safety number of a partner and ask. Raises UsageProblem, NotFoundError, RefusedError."""
    from p2pshare.envelope.card import parse_fingerprint, safety_number
    from p2pshare.operations.partners import ListPartners

    if not console.can_ask():
        raise UsageProblem(
            "partner confirm needs --fingerprint or --safety-number",
            hint="ask the partner for it by telephone; it is never taken from a card or a list alone",
        )
    found = [one for one in session.run(ListPartners()).each if name in (one.alias, one.partner_id)]
    if not found:
        raise NotFoundError(f"no partner is called '{name}'", hint="see `p2pshare partner list`")
    one, own = found[0], read_card(home, None)
    console.say(f"name           {console.shown_name(one.name)}")
    console.say(f"fingerprint    {one.fingerprint}")
    console.say(f"safety number  {safety_number(own.partner_id, parse_fingerprint(one.fingerprint))}")
    if not console.ask("does the partner read you the same fingerprint or safety number?"):
        raise RefusedError("nothing was confirmed", reason="fingerprint-unconfirmed")
    return one.fingerprint


@partner.command("link")
@click.argument("name")
@click.option("--off", "is_off", is_flag=True, help="end the link; the partner stays one")
@json_option
@click.pass_obj
def link_partner(home: Path, name: str, is_off: bool, as_json: bool) -> None:
    """link a partner that has no link: one that was introduced, or added with --no-link"""
    from p2pshare.operations.partners import LinkPartner

    linked = ask(home, LinkPartner(name, has_link=not is_off))
    if as_json:
        console.print_json(linked)
        return
    console.say(f"{console.shown(linked.alias)}: {'linked' if linked.has_link else 'no link'}")


@partner.command("preview")
@click.argument("name")
@json_option
@click.pass_obj
def preview_partner(home: Path, name: str, as_json: bool) -> None:
    """what a partner would be handed over a link with the circles it has: counts, and with --json the list"""
    from p2pshare.operations.crossing import fields_of
    from p2pshare.operations.partners import PreviewPartner

    answer = ask(home, PreviewPartner(name, with_list=as_json))
    if as_json:
        console.print_json(answer)
        return
    fields = fields_of(answer)
    shown = {
        name: fields[name]
        for name in ("partner", "has_link", "circles", "envelopes", "bytes", "own", "handed_on")
    }
    counted = {
        name: [f"{key}: {count}" for key, count in fields[name].items()]
        for name in ("by_marking", "by_circle", "by_mode", "can_read", "kept")
    }
    console.print_fields(shown | counted)
    if answer.can_read.get("no") or answer.can_read.get("unknown"):
        console.say(
            f"what it is handed it carries; `p2pshare share history {console.shown(answer.partner)} --dry-run` counts what it could be given to read"
        )
