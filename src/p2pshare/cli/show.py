"""`p2pshare show`: one object with all its versions, or one envelope with what is in it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from p2pshare.cli import voice
from p2pshare.cli.command import Command
from p2pshare.cli.options import STANDARD_STREAM, UsageProblem, json_option
from p2pshare.cli.output import write_output
from p2pshare.cli.session import read_or_ask

if TYPE_CHECKING:
    from p2pshare.node.store import StoreReading

ENVELOPE_FIELDS = (
    "author",
    "circle",
    "mode",
    "created",
    "expires",
    "size",
    "from",
    "received_at",
    "opened",
    "carried",
)


@click.command(cls=Command)
@click.argument("identifier", metavar="ID")
@click.option("--raw", is_flag=True, help="write the object's bytes as its author sealed them, nothing else")
@click.option(
    "--version", "number", type=click.IntRange(min=1), metavar="N", help="only the version of this number"
)
@json_option
@click.pass_obj
def show(home: Path, identifier: str, raw: bool, number: int | None, as_json: bool) -> None:
    """show an object (TYPE--UUID) with every version held, or an envelope; exit code 3 when it is not here"""
    from p2pshare.identifiers import EnvelopeId

    if raw and as_json:
        raise UsageProblem("--raw writes the object's own bytes", hint="give --raw or --json")
    try:
        envelope_id = EnvelopeId.parse(identifier)
    except ValueError:
        _show_object(home, identifier, number, is_raw=raw, is_json=as_json)
        return
    if raw or number is not None:
        raise UsageProblem(
            "--raw and --version are for objects",
            hint="`p2pshare envelope export ID FILE` writes the envelope",
        )
    _show_envelope(home, envelope_id.text, is_json=as_json)


def _show_object(home: Path, object_id: str, number: int | None, *, is_raw: bool, is_json: bool) -> None:
    from p2pshare.service.operations_looking import raw_object_in, show_object_in

    asked = {"id": object_id, "number": number or 0}
    if is_raw:
        told = read_or_ask(
            home, "show-raw", asked, lambda store: raw_object_in(store, asked), voice.no_progress
        )
        if told["raw"] is None:
            raise UsageProblem(
                "which version?",
                hint=f"`p2pshare show {voice.shown(object_id)}` numbers them; give one with --version",
            )
        write_output(STANDARD_STREAM, told["raw"])
        return
    shown = read_or_ask(
        home, "show-object", asked, lambda store: show_object_in(store, asked), voice.no_progress
    )
    if is_json:
        voice.print_json(shown)
        return
    for version in shown["versions"]:
        _print_version(shown["id"], version)
    for fork in shown["forks"]:
        voice.warn(
            f"fork: {voice.shown(fork['author'])} wrote {fork['times'] + 1} different contents as the version of {fork['modified']}"
        )


def _print_version(object_id: str, version: Mapping[str, Any]) -> None:
    words = [f"version {version['number']}", version["tlp"], *([version["pap"]] if version["pap"] else [])]
    words.append("current" if version["is_current"] else "replaced")
    words += ["withdrawn"] if version["is_revoked"] else []
    if version["withdrawal"]:
        words.append(f"taken back: {version['withdrawal']['reason']}")
        replaced_by = version["withdrawal"]["replaced_by"]
        words += [f"replaced by {replaced_by}"] if replaced_by else []
    words += ["forked"] if version["is_fork"] else []
    words += [
        f"by {version['author']}",
        f"modified {version['modified']}",
        f"received {version['received_at']}",
    ]
    voice.print_result(f"{voice.shown(object_id)}  " + "  ".join(map(voice.shown, words)))
    voice.print_result(f"  in envelope {version['envelope_id']}")
    for line in voice.json_text(version["object"], indent=2).split("\n"):
        voice.print_result(f"  {line}")


def _show_envelope(home: Path, text: str, *, is_json: bool) -> None:
    from p2pshare.config import CONFIG_NAME, load_config
    from p2pshare.service.operations_looking import show_envelope_in

    def read(store: StoreReading) -> dict[str, Any]:
        return show_envelope_in(store, load_config(home / CONFIG_NAME).gossip.circles, asked)

    asked = {"id": text}
    shown = read_or_ask(home, "show-envelope", asked, read, voice.no_progress)
    if is_json:
        voice.print_json(shown)
        return
    voice.print_fields({"envelope": shown["envelope_id"]} | {name: shown[name] for name in ENVELOPE_FIELDS})
    for one in shown["objects"]:
        voice.print_result("  " + "  ".join(map(voice.shown, (one["id"], one["modified"], one["title"]))))
