"""`p2pshare card`: the signed self-description that partners give one another, and the next version of our own."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from p2pshare.cli import console
from p2pshare.cli.command import Group
from p2pshare.cli.completion import complete_file
from p2pshare.cli.options import (
    EXIT_PARTLY_DONE,
    STANDARD_STREAM,
    Function,
    UsageProblem,
    json_option,
    read_input,
)
from p2pshare.cli.output import write_output
from p2pshare.cli.session import ask
from p2pshare.errors import AuthorError, PeerError, RefusedError
from p2pshare.limits import CARD_CHAIN_BYTES_MAX

if TYPE_CHECKING:
    from p2pshare.envelope.card import Card
    from p2pshare.envelope.keys import SigningKey
    from p2pshare.envelope.unfinished_card import UnfinishedCard
    from p2pshare.operations.interface import Request
    from p2pshare.sharing.own_card import IssuedVersion
    from p2pshare.sharing.revoking import RevocationReason

V = TypeVar("V", bound="IssuedVersion")
_TABLES = ("keys", "not_vouched_newest")
_UNSAID = ("missing", "unfinished", "is_new")
UNSIGNED_NAME = "unsigned.p2pcard"
NOTHING_DUE = "nothing had to be done"


@click.group(cls=Group)
def card() -> None:
    """show and export cards; issue the next version of your own"""


@card.command("export")
@click.argument("file", shell_complete=complete_file)
@click.pass_obj
def export_card(home: Path, file: str) -> None:
    """write your own card to FILE, or to stdout for -"""
    from p2pshare.node.home import CARD_FILE_NAME, require_home

    write_output(file, (require_home(home) / CARD_FILE_NAME).read_bytes())
    if file != STANDARD_STREAM:
        console.say(
            f"card written to {console.shown(file)}; send it to a partner, and tell the fingerprint by another way"
        )


@card.command("show")
@click.argument("file", required=False, shell_complete=complete_file)
@json_option
@click.pass_obj
def show_card(home: Path, file: str | None, as_json: bool) -> None:
    """show your own card, or the card in FILE, once its signatures hold"""
    described = describe_card(read_card(home, file))
    if as_json:
        console.print_json(described)
        return
    keys = described.pop("keys")
    console.print_fields(described)
    _print_keys(keys)


def _unsigned_option(function: Function) -> Function:
    """Add `--unsigned`: where the card goes that others must sign."""
    return click.option(
        "--unsigned",
        metavar="FILE",
        shell_complete=complete_file,
        help="where the card is written when other holders of root keys must sign it first; else"
        f" {UNSIGNED_NAME} in the home folder",
    )(function)


@card.command("renew")
@click.option(
    "--over-newer",
    is_flag=True,
    help="go on from a newer card of yours that partners have and this home, restored from a backup, has not",
)
@click.option(
    "--card",
    "card_file",
    metavar="FILE",
    shell_complete=complete_file,
    help="with --over-newer: that card, out of `p2pshare partner card` at a partner; else the one that partners have shown",
)
@click.option("--yes", is_flag=True, help="ask nothing")
@_unsigned_option
@json_option
@click.pass_obj
def renew_card(
    home: Path, over_newer: bool, card_file: str | None, yes: bool, unsigned: str | None, as_json: bool
) -> int:
    """put new daily keys on the card when the time has come; a running daemon does it by itself"""
    from p2pshare.operations.cards import RenewCard

    if card_file is not None and not over_newer:
        raise UsageProblem("--card is for --over-newer", hint="add it, or leave out --card")
    if not over_newer:
        return _issue(home, RenewCard(), unsigned, as_json)
    return _renew_over(home, card_file, unsigned, as_json=as_json, is_sure=yes)


def _renew_over(
    home: Path, card_file: str | None, unsigned: str | None, *, as_json: bool, is_sure: bool
) -> int:
    """Show the newer card, ask, and go on from it: a thief of the roots could have made it as well."""
    from p2pshare.operations.cards import NewerCard, RenewOverNewer

    raw = b"" if card_file is None else read_input(card_file, CARD_CHAIN_BYTES_MAX)
    newer = ask(home, NewerCard(raw))
    for line in newer.changes:
        console.say(line)
    if not is_sure:
        if not console.can_ask():
            raise UsageProblem(
                "card renew --over-newer needs --yes", hint="without a terminal nothing is asked"
            )
        if not console.ask("did this node make that card?"):
            raise RefusedError("the card was not gone on from", reason="card-unconfirmed")
    return _issue(home, RenewOverNewer(newer.body, raw), unsigned, as_json)


@card.command("rotate")
@_unsigned_option
@json_option
@click.pass_obj
def rotate_card(home: Path, unsigned: str | None, as_json: bool) -> int:
    """put new daily keys on the card now"""
    from p2pshare.operations.cards import RotateCard

    return _issue(home, RotateCard(), unsigned, as_json)


@card.command("revoke")
@click.argument("key")
@click.option(
    "--reason",
    required=True,
    type=click.Choice(["unspecified", "compromised", "lost", "superseded"]),
    help="why; the card says it to everybody",
)
@click.option(
    "--since",
    metavar="TIME",
    default="",
    help="since when somebody else may have the key; now unless given. What partners held before stays a day longer",
)
@click.option(
    "--vouch", metavar="ID", multiple=True, help="an envelope that came home and is yours all the same"
)
@click.option("--dry-run", is_flag=True, help="only tell what would be vouched for")
@_unsigned_option
@json_option
@click.pass_obj
def revoke_key(
    home: Path,
    key: str,
    reason: RevocationReason,
    since: str,
    vouch: tuple[str, ...],
    dry_run: bool,
    unsigned: str | None,
    as_json: bool,
) -> int:
    """say that somebody else may have the sign key whose id begins with KEY, and take its whole set off the card"""
    from p2pshare.operations.cards import RevokeKey

    unchanged = "nothing was changed: without --dry-run the card is issued" if dry_run else NOTHING_DUE
    return _tell(home, ask(home, RevokeKey(key, reason, since, vouch, dry_run)), unsigned, as_json, unchanged)


@card.command("set")
@click.option("--name", help="your organisation's name, as partners see it")
@click.option(
    "--url",
    "urls",
    multiple=True,
    metavar="https://HOST:PORT",
    help="where partners reach this node, in place of all before; may be repeated, the preferred one first",
)
@_unsigned_option
@json_option
@click.pass_obj
def set_card(home: Path, name: str | None, urls: tuple[str, ...], unsigned: str | None, as_json: bool) -> int:
    """change the name or the addresses on the card"""
    from p2pshare.operations.cards import SetCard

    if name is None and not urls:
        raise UsageProblem("nothing to set", hint="give --name, --url, or both")
    code = _issue(home, SetCard(name, urls or None), unsigned, as_json)
    _compare_config(home, name, urls)
    return code


def _compare_config(home: Path, name: str | None, urls: Sequence[str]) -> None:
    """Say what `config.toml` says otherwise: this node is called and listens by that file, which is a person's."""
    from p2pshare.config import load_config
    from p2pshare.node.home import CONFIG_NAME

    config = load_config(home / CONFIG_NAME)
    if name is not None and config.name != name:
        console.say(f"{CONFIG_NAME} has another name: it is what this node calls itself in its own store")
    if urls and config.url not in urls:
        console.say(f"{CONFIG_NAME} has another url: change it, and restart the daemon")


@card.command("threshold")
@click.argument("threshold", type=int)
@click.option(
    "--new-root",
    "new_roots",
    metavar="FILE",
    multiple=True,
    shell_complete=complete_file,
    help="make a root key, keep it in FILE (to be taken elsewhere), and add it to the card",
)
@click.option("--drop-root", "dropped", metavar="KEY", multiple=True, help="take the root key off the card")
@_unsigned_option
@json_option
@click.pass_obj
def set_threshold(
    home: Path,
    threshold: int,
    new_roots: tuple[str, ...],
    dropped: tuple[str, ...],
    unsigned: str | None,
    as_json: bool,
) -> int:
    """change how many root keys must sign your card, and which they are; each partner confirms such a card again"""
    from msgspec import structs

    from p2pshare.envelope.keys import SigningKey
    from p2pshare.node.keyfile import find_passphrase, write_root_file
    from p2pshare.node.undumpable import make_undumpable
    from p2pshare.operations.cards import InstallCard, SetRoots

    make_undumpable()
    partner_id, roots = read_card(home, None).partner_id, [SigningKey.generate() for _ in new_roots]
    for file, root in zip(new_roots, roots, strict=True):
        write_root_file(Path(file), partner_id, root, find_passphrase(os.environ))
    issued = ask(home, SetRoots(threshold, tuple(root.verify_key.raw for root in roots), dropped))
    if issued.unfinished and roots:  # this process has them, and ends
        signed = _signed(issued.unfinished, roots)
        if signed.is_finished:
            issued = ask(home, InstallCard(signed.raw))
        else:
            missing = max(signed.own.missing, signed.before.missing)
            issued = structs.replace(issued, unfinished=signed.raw, missing=missing)
    code = _tell(home, issued, unsigned, as_json)
    for file in new_roots:
        console.say(
            f"{console.shown(file)} has a root key: take it away, and bring it for `p2pshare card sign`"
        )
    if code == 0 and issued.is_new:
        console.say(
            f"{threshold} of {len([key for key in issued.keys if key.kind == 'root'])} root keys must sign each new card from now on;"
            " a partner takes this one when a person there confirms it (`partner add`)"
        )
    return code


@card.command("sign")
@click.argument("file", shell_complete=complete_file)
@click.option(
    "-o",
    "output",
    metavar="FILE",
    required=True,
    shell_complete=complete_file,
    help="where the signed card goes, or - for stdout",
)
@click.option(
    "--roots",
    "root_file",
    metavar="FILE",
    shell_complete=complete_file,
    help="the file with your root keys; else the key file of the home folder",
)
@click.option("--yes", is_flag=True, help="ask nothing")
@json_option
@click.pass_obj
def sign_card_file(
    home: Path, file: str, output: str, root_file: str | None, yes: bool, as_json: bool
) -> int:
    """sign the next version of a card with the root keys that are here; no home folder is needed"""
    from p2pshare.envelope.unfinished_card import read_unfinished
    from p2pshare.node.home import KEY_FILE_NAME
    from p2pshare.node.keyfile import find_passphrase, read_roots
    from p2pshare.sharing.own_card import describe_unfinished

    raw = read_input(file, CARD_CHAIN_BYTES_MAX)
    try:
        unfinished = read_unfinished(raw)
    except PeerError as error:
        raise AuthorError(
            f"{file} is no card that can be signed: {error.message}",
            hint="give what `p2pshare card renew`, or the signer before, wrote",
            reason=error.reason,
        ) from None
    for line in unfinished.changes():
        console.say(line)
    if not yes and console.can_ask() and not console.ask("sign this card?"):
        raise RefusedError("the card was not signed", reason="card-unconfirmed")
    path = Path(root_file) if root_file is not None else home / KEY_FILE_NAME
    signed = _signed(unfinished.raw, read_roots(path, find_passphrase(os.environ)))
    write_output(output, signed.raw)
    issued = describe_unfinished(signed)
    if as_json and output != STANDARD_STREAM:
        console.print_json(_fields_of(issued))
    if signed.is_finished:
        console.say("enough root keys have signed: `p2pshare card install FILE` where the node is")
        return 0
    if issued.missing == describe_unfinished(unfinished).missing:
        console.say("nothing is new: this root key has signed it already, or is none that is asked for")
    console.say(f"{console.counted(issued.missing, 'more root key')} must sign it")
    return EXIT_PARTLY_DONE


def _signed(raw: bytes, roots: Sequence[SigningKey]) -> UnfinishedCard:
    from p2pshare.envelope.unfinished_card import read_unfinished

    return read_unfinished(raw).signed_by(roots)


@card.command("install")
@click.argument("file", shell_complete=complete_file)
@json_option
@click.pass_obj
def install_card(home: Path, file: str, as_json: bool) -> int:
    """use the next version of your own card, which the holders of root keys have signed"""
    from p2pshare.operations.cards import InstallCard

    return _issue(home, InstallCard(read_input(file, CARD_CHAIN_BYTES_MAX)), None, as_json)


def _issue(home: Path, request: Request[V], unsigned: str | None, as_json: bool) -> int:
    """Have the card issued and tell what came of it; returns the exit code."""
    return _tell(home, ask(home, request), unsigned, as_json)


def _tell(
    home: Path,
    issued: IssuedVersion,
    unsigned: str | None,
    as_json: bool,
    unchanged: str = NOTHING_DUE,
) -> int:
    fields = _fields_of(issued)
    if issued.unfinished:
        file = unsigned or str(home / UNSIGNED_NAME)
        write_output(file, issued.unfinished)
        fields["unsigned"] = file
    if as_json:
        console.print_json(fields)
    else:
        console.print_fields({name: value for name, value in fields.items() if name not in _TABLES})
        _print_keys(fields["keys"])
        for one in fields.get("not_vouched_newest", ()):
            title = console.shown(one["title"]) if one["title"] else "without a title, or not read here"
            console.say(f"not vouched for: {one['created']}  {one['envelope_id']}  {title}")
    if issued.unfinished:
        keys = console.counted(issued.missing, "more root key")
        console.say(
            f"nothing has changed yet: {keys} must sign {console.shown(fields['unsigned'])}, with `p2pshare card sign`;"
            " then `p2pshare card install FILE` here"
        )
        return EXIT_PARTLY_DONE
    if not issued.is_new:
        console.say(unchanged)
    return 0


def _print_keys(keys: Sequence[Mapping[str, str]]) -> None:
    console.print_table(
        ("KIND", "KEY", "STATE"), [(key["kind"], key["key_id"], key["state"]) for key in keys]
    )


def _fields_of(issued: IssuedVersion) -> dict[str, Any]:
    """Returns the promised JSON of a version of our card."""
    from p2pshare.operations.crossing import fields_of

    return {name: value for name, value in fields_of(issued).items() if name not in _UNSAID}


def read_card(home: Path, file: str | None) -> Card:
    """Returns the card in `file`, else our own, with signatures and expiry checked. Raises PeerError, AuthorError."""
    from p2pshare.node.home import CARD_FILE_NAME, require_home

    name = file if file is not None else str(require_home(home) / CARD_FILE_NAME)
    return believe_card(read_input(name, CARD_CHAIN_BYTES_MAX), name)


def believe_card(raw: bytes, name: str) -> Card:
    """Returns the card in the bytes of file `name`. Raises PeerError that names the file: the rooms beneath know bytes
    only."""
    from p2pshare.envelope.card import accept_first

    try:
        return accept_first(raw, now_seconds())
    except PeerError as error:
        raise type(error)(
            f"{name} is no card that can be trusted: {error.message}",
            hint=error.hint or "`p2pshare verify FILE` shows each check; ask the partner to send it again",
            reason=error.reason,
        ) from None


def describe_card(card: Card) -> dict[str, Any]:
    """Returns the promised JSON of a card."""
    from p2pshare.envelope.card import fingerprint
    from p2pshare.lookalikes import notes_on
    from p2pshare.operations.crossing import fields_of
    from p2pshare.sharing.own_card import keys_of

    notes = list(notes_on(card.name))
    return {
        "partner_id": card.partner_id.text,
        "name": card.name,
        **({"name_notes": notes} if notes else {}),
        "fingerprint": fingerprint(card.partner_id),
        "version": card.version,
        "urls": list(card.urls),
        "expires": datetime.fromtimestamp(card.expires, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "keys": [fields_of(key) for key in keys_of(card)],
    }


def now_seconds() -> int:
    """Returns the time in unix seconds: the clock is read here, once, for commands that check a card."""
    return int(datetime.now(UTC).timestamp())
