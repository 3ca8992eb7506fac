"""`p2pshare card`: the signed self-description that partners give one another."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from p2pshare.cli import console
from p2pshare.cli.command import Group
from p2pshare.cli.completion import complete_file
from p2pshare.cli.options import STANDARD_STREAM, json_option, read_input
from p2pshare.cli.output import write_output
from p2pshare.errors import PeerError
from p2pshare.limits import CARD_CHAIN_BYTES_MAX

if TYPE_CHECKING:
    from p2pshare.envelope.card import Card


@click.group(cls=Group)
def card() -> None:
    """show and export cards"""


@card.command("export")
@click.argument("file", shell_complete=complete_file)
@click.pass_obj
def export_card(home: Path, file: str) -> None:
    """write your own card to FILE, or to stdout for -"""
    from p2pshare.node.node import CARD_FILE_NAME, require_home

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
    else:
        console.print_fields(described)


def read_card(home: Path, file: str | None) -> Card:
    """Returns the card in `file`, else our own, with signatures and expiry checked. Raises PeerError, AuthorError."""
    from p2pshare.node.node import CARD_FILE_NAME, require_home

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

    notes = list(notes_on(card.name))
    return {
        "partner_id": card.partner_id.text,
        "name": card.name,
        **({"name_notes": notes} if notes else {}),
        "fingerprint": fingerprint(card.partner_id),
        "version": card.version,
        "urls": list(card.urls),
        "expires": datetime.fromtimestamp(card.expires, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }


def now_seconds() -> int:
    """Returns the time in unix seconds: the clock is read here, once, for commands that check a card."""
    return int(datetime.now(UTC).timestamp())
