"""`p2pshare lookup`: claims about a value, from the local store; beside a running daemon or without."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from p2pshare.cli import console
from p2pshare.cli.command import Command
from p2pshare.cli.options import STANDARD_STREAM, json_option, read_input
from p2pshare.cli.session import read_or_ask
from p2pshare.errors import NotFoundError
from p2pshare.limits import INPUT_BYTES_MAX

if TYPE_CHECKING:
    from p2pshare.queries.lookup import Claim, LookedUp, Match, SeenBy, WithdrawalReason
    from p2pshare.queries.searching import HeldVersion


@click.command(cls=Command)
@click.argument("values", nargs=-1, required=True, metavar="VALUE ...|-")
@json_option
@click.pass_obj
def lookup(home: Path, values: tuple[str, ...], as_json: bool) -> int:
    """look values up, defanged or not, also by the network, domain or host that covers them; - reads stdin"""
    from p2pshare.operations.looking import LookUp

    answers = read_or_ask(home, LookUp(tuple(typed_values(values)))).each
    if as_json:
        console.print_json(answers)
    else:
        for answer in answers:
            _print_answer(answer)
    return 0 if any(answer.found for answer in answers) else NotFoundError.exit_code


def typed_values(values: Iterable[str]) -> Iterable[str]:
    """Yields the values that were given; for each `-` the lines of stdin."""
    for value in values:
        if value != STANDARD_STREAM:
            yield value
            continue
        lines = read_input(STANDARD_STREAM, INPUT_BYTES_MAX).decode("utf-8", "replace").splitlines()
        yield from (line.strip() for line in lines if line.strip())


def _print_answer(answer: LookedUp) -> None:
    value = console.shown(answer.value)
    if not answer.found:
        console.say(
            f"{value}: {'not found' if answer.type else 'no address, domain, hash or other known type'}"
        )
        return
    authors = ", ".join(map(console.shown, answer.authors))
    sources = answer.sources
    counted = f"  ({console.counted(sources, 'source')})" if sources and sources < len(answer.authors) else ""
    console.print_result(f"{value}  {answer.type}  {state_of(answer)}  by {authors}{counted}")
    for match in answer.matches:
        if match.match != "exact":
            console.print_result(f"  by its {match.match} {console.shown(match.value)}: {state_of(match)}")
        for mark in match.quarantine:
            console.print_result(f"  quarantined since {mark.since}: {console.shown(mark.reason)}")
        for seen in match.sightings:
            console.print_result(f"  {console.shown(seen.by)}: {seen_as(seen)}")
    for claim in answer.claims:
        console.print_result("  " + "  ".join(map(console.shown, _words_of(claim))))


STATES = {"active": "active", "pending": "not yet valid", "expired": "expired", "replaced": "replaced"}


def state_of(row: LookedUp | Match | Claim) -> str:
    """Returns whether something counts, and why not: `active`, `not yet valid`, `expired (validity)`, `delisted
    (withdrawn)`."""
    word, reason = STATES.get(row.status or "", "delisted"), row.reason
    return f"{word} ({console.shown(reason)})" if reason and reason != word else word


def seen_as(seen: SeenBy) -> str:
    """Returns what one organisation says of it: `seen 3 times, last 2026-11-24T06:00:00Z`, `calls it harmless`."""
    words = ["calls it harmless"] if seen.false_positive else []
    if seen.count:
        words.append(f"seen {console.counted(seen.count, 'time')}, last {seen.last_seen}")
    if seen.not_seen_at:
        words.append(f"looked for in vain {seen.not_seen_at}")
    if seen.introduced_by:
        words.append(console.introduced_words(seen.introduced_by))
    if not seen.trusted:
        words.append("no partner: not counted")
    return "; ".join(words)


def _words_of(claim: Claim) -> Iterable[str]:
    yield claim.author
    if claim.introduced_by:
        yield console.introduced_words(claim.introduced_by)
    yield claim.tlp
    if claim.pap:
        yield claim.pap
    if claim.status != "active":
        yield state_of(claim)
    if claim.withdrawal is not None:
        yield from why_withdrawn(claim.withdrawal)
    if claim.confidence is not None:
        yield f"confidence {claim.confidence}"
    if claim.valid_from:
        yield f"from {claim.valid_from}"
    if claim.valid_until:
        yield f"until {claim.valid_until}"
    if claim.match != "exact":
        yield f"about {claim.listed}"
    yield from descent_of(claim)
    yield claim.object_id


def descent_of(said: Claim | HeldVersion) -> Iterable[str]:
    """Yields whose object it passes on, the public source that it is from, and who has an object of the same id."""
    for origin in said.derived_from:
        yield f"derived from {origin.object_id} by {origin.author}"
    if said.public_source is not None:
        yield f"public source {said.public_source}"
    if said.possible_echo:
        yield f"possible-echo: the same id by {', '.join(said.possible_echo)}"


def why_withdrawn(withdrawal: WithdrawalReason) -> Iterable[str]:
    """Yields `taken back: superseded`, and what stands in its place."""
    yield f"taken back: {withdrawal.reason}"
    if withdrawal.replaced_by:
        yield f"replaced by {withdrawal.replaced_by}"
