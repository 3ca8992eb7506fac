"""`p2pshare lookup`: what is known about a value, from the local store; beside a running daemon or without."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import click

from p2pshare.cli import voice
from p2pshare.cli.options import STANDARD_STREAM, json_option, read_input
from p2pshare.cli.session import connect, is_running, open_store_for_reading
from p2pshare.errors import NotFoundError, StoreError
from p2pshare.limits import INPUT_BYTES_MAX


@click.command()
@click.argument("values", nargs=-1, required=True, metavar="VALUE ...|-")
@json_option
@click.pass_obj
def lookup(home: Path, values: tuple[str, ...], as_json: bool) -> int:
    """look values up, defanged or not; - reads them from stdin, one a line; exit code 3 when none is found"""
    answers = _answers(home, list(_wanted(values)))
    if as_json:
        voice.print_json(answers)
    else:
        for answer in answers:
            _print_answer(answer)
    return 0 if any(answer["found"] for answer in answers) else NotFoundError.exit_code


def _answers(home: Path, values: list[str]) -> list[dict[str, Any]]:
    """From the store; from the daemon for members of its group, who may not open the store's file."""
    from p2pshare.service.lookup import look_up

    try:
        with open_store_for_reading(home) as store:
            return look_up(store, values, int(time.time()))
    except StoreError:
        if not is_running(home):
            raise
    with connect(home) as session:
        answers: list[dict[str, Any]] = session.run("lookup", {"values": values}, voice.no_progress)[
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
    state = "active" if answer["active"] else "not active"
    authors = ", ".join(map(voice.shown, answer["authors"]))
    voice.print_result(f"{value}  {answer['type']}  {state}  by {authors}")
    for claim in answer["claims"]:
        parts = [claim["author"], claim["tlp"]]
        parts += [f"confidence {claim['confidence']}"] if claim["confidence"] is not None else []
        parts += [f"from {claim['valid_from']}"] if claim["valid_from"] else []
        parts += [f"until {claim['valid_until']}"] if claim["valid_until"] else []
        voice.print_result("  " + "  ".join(map(voice.shown, (*parts, claim["object_id"]))))
