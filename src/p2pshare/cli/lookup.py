"""`p2pshare lookup`: what is known about a value, from the local store; beside a running daemon or without."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from p2pshare.cli import voice
from p2pshare.cli.command import Command
from p2pshare.cli.options import STANDARD_STREAM, json_option, read_input
from p2pshare.cli.session import read_or_ask
from p2pshare.errors import NotFoundError
from p2pshare.limits import INPUT_BYTES_MAX

if TYPE_CHECKING:
    from p2pshare.node.store import StoreReading


@click.command(cls=Command)
@click.argument("values", nargs=-1, required=True, metavar="VALUE ...|-")
@json_option
@click.pass_obj
def lookup(home: Path, values: tuple[str, ...], as_json: bool) -> int:
    """look values up, defanged or not, also by the network, domain or host that covers them; - reads stdin"""
    answers = _answers(home, list(_wanted(values)))
    if as_json:
        voice.print_json(answers)
    else:
        for answer in answers:
            _print_answer(answer)
    return 0 if any(answer["found"] for answer in answers) else NotFoundError.exit_code


def _answers(home: Path, values: list[str]) -> list[dict[str, Any]]:
    from p2pshare.service.lookup import look_up

    def read(store: StoreReading) -> dict[str, Any]:
        return {"answers": look_up(store, values, int(time.time()))}

    answers: list[dict[str, Any]] = read_or_ask(home, "lookup", {"values": values}, read, voice.no_progress)[
        "answers"
    ]
    return answers


def _wanted(values: Iterable[str]) -> Iterable[str]:
    for value in values:
        if value != STANDARD_STREAM:
            yield value
            continue
        lines = read_input(STANDARD_STREAM, INPUT_BYTES_MAX).decode("utf-8", "replace").splitlines()
        yield from (line.strip() for line in lines if line.strip())


def _print_answer(answer: Mapping[str, Any]) -> None:
    value = voice.shown(answer["value"])
    if not answer["found"]:
        voice.say(
            f"{value}: {'not found' if answer['type'] else 'no address, domain, hash or other known type'}"
        )
        return
    authors = ", ".join(map(voice.shown, answer["authors"]))
    voice.print_result(f"{value}  {answer['type']}  {state_of(answer)}  by {authors}")
    for match in answer["matches"]:
        if match["match"] != "exact":
            listed = voice.shown(match["value"])
            voice.print_result(f"  by its {match['match']} {listed}: {state_of(match)}")
        for one in match["quarantine"]:
            voice.print_result(f"  quarantined since {one['since']}: {voice.shown(one['reason'])}")
        for one in match["sightings"]:
            voice.print_result(f"  {voice.shown(one['by'])}: {seen_as(one)}")
    for claim in answer["claims"]:
        voice.print_result("  " + "  ".join(map(voice.shown, _words_of(claim))))


STATES = {"active": "active", "pending": "not yet valid", "expired": "expired", "replaced": "replaced"}


def state_of(standing: Mapping[str, Any]) -> str:
    """Whether something counts, and why not: `active`, `not yet valid`, `expired (validity)`, `delisted (withdrawn)`."""
    word = STATES.get(standing["status"], "delisted")
    reason = standing["reason"]
    return f"{word} ({voice.shown(reason)})" if reason and reason != word else word


def seen_as(seen: Mapping[str, Any]) -> str:
    """What one organisation says of it: `seen 3 times, last 2026-11-24T06:00:00Z`, `calls it harmless`."""
    words = ["calls it harmless"] if seen["false_positive"] else []
    if seen["count"]:
        words.append(f"seen {voice.counted(seen['count'], 'time')}, last {seen['last_seen']}")
    if seen["not_seen_at"]:
        words.append(f"looked for in vain {seen['not_seen_at']}")
    if not seen["trusted"]:
        words.append("no partner: not counted")
    return "; ".join(words)


def _words_of(claim: Mapping[str, Any]) -> Iterable[str]:
    yield claim["author"]
    yield claim["tlp"]
    if claim["pap"]:
        yield claim["pap"]
    if claim["status"] != "active":
        yield state_of(claim)
    if claim["withdrawal"]:
        yield f"taken back: {claim['withdrawal']['reason']}"
    if claim["withdrawal"] and claim["withdrawal"]["replaced_by"]:
        yield f"replaced by {claim['withdrawal']['replaced_by']}"
    if claim["confidence"] is not None:
        yield f"confidence {claim['confidence']}"
    if claim["valid_from"]:
        yield f"from {claim['valid_from']}"
    if claim["valid_until"]:
        yield f"until {claim['valid_until']}"
    if claim["match"] != "exact":
        yield f"about {claim['listed']}"
    yield claim["object_id"]
