"""`p2pshare verify`: a file's kind and the checks it passes. No network, no daemon; cards need no home either."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from p2pshare.cli import console
from p2pshare.cli.command import Command
from p2pshare.cli.completion import complete_file
from p2pshare.cli.options import EXIT_PARTLY_DONE, UsageProblem, json_option, read_input
from p2pshare.limits import ENVELOPE_BYTES_MAX

if TYPE_CHECKING:
    from p2pshare.envelope.card import Card
    from p2pshare.envelope.envelope import Core
    from p2pshare.envelope.inspection import Inspection
    from p2pshare.identifiers import EnvelopeId, PartnerId

EXIT_BAD = 1


@click.command(cls=Command)
@click.argument("file", shell_complete=complete_file)
@json_option
@click.pass_obj
def verify(home: Path, file: str, as_json: bool) -> int:
    """check the card, envelope or proof in FILE, offline, and show each check

    Exit code 1 when a check failed, 6 when one could not be made (the author's card is not held here).
    """
    from p2pshare.cli.card import now_seconds
    from p2pshare.envelope.attestation import is_attestation
    from p2pshare.envelope.inspection import inspect

    raw = read_input(file, ENVELOPE_BYTES_MAX)
    if is_attestation(raw):
        raise UsageProblem(
            f"{file} is an attestation of training",
            hint="`p2pshare training verify FILE CARD-FILE` verifies it",
        )
    report = inspect(raw, now_seconds(), _card_finder(home), partial(_is_listed, home))
    described = _describe(report)
    if as_json:
        console.print_json(described)
    else:
        console.print_fields({"kind": report.kind, "identifier": report.identifier} | report.facts)
        for check in report.checks:
            console.print_result(
                f"check {check.number:<7} {check.name}: {check.verdict.value} {check.reason}".rstrip()
            )
        console.say(f"{described['verdict']}: {console.shown(file)}")
        if report.kind == "proof" and report.is_complete:
            console.say(
                f"proven: whoever has the keys of {report.identifier} signed {report.facts['claims']}"
            )
            console.say("hint: the name is what the card says of itself; compare the fingerprint")
    return {"good": 0, "bad": EXIT_BAD, "incomplete": EXIT_PARTLY_DONE}[described["verdict"]]


def _describe(report: Inspection) -> dict[str, Any]:
    verdict = "good" if report.is_complete else "incomplete" if report.is_sound else "bad"
    checks = [
        {"number": check.number, "name": check.name, "verdict": check.verdict.value, "reason": check.reason}
        for check in report.checks
    ]
    return (
        {"kind": report.kind, "identifier": report.identifier, "verdict": verdict}
        | report.facts
        | {"checks": checks}
    )


def _card_finder(home: Path) -> Callable[[PartnerId], Card | None]:
    """Returns a function that finds a trusted card: our own, or that of a partner in the store of `home`, if there is a
    home."""

    def find(partner_id: PartnerId) -> Card | None:
        from p2pshare.cli.session import open_store_for_reading
        from p2pshare.envelope.card import believe_chain
        from p2pshare.node.home import CARD_FILE_NAME, CONFIG_NAME

        if not (home / CONFIG_NAME).exists():
            return None
        with open_store_for_reading(home) as store:
            held = [row.card for row in store.partners.all() if row.partner_id == partner_id]
        cards = map(believe_chain, [*held, (home / CARD_FILE_NAME).read_bytes()])
        return next((card for card in cards if card.partner_id == partner_id), None)

    return find


def _is_listed(home: Path, core: Core, envelope_id: EnvelopeId) -> bool:
    """Returns whether a vouch page in the store of `home` lists the envelope: its author stands for it, though its key was
    revoked."""
    from p2pshare.cli.session import open_store_for_reading
    from p2pshare.node.home import CONFIG_NAME

    if not (home / CONFIG_NAME).exists():
        return False
    with open_store_for_reading(home) as store:
        return bool(store.notices.is_vouched(core.author, core.key_id, [envelope_id]))
