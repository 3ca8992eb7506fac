"""`p2pshare show`: one object with all its versions, one envelope with what is in it, or one publication over its
envelopes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from p2pshare.cli import console
from p2pshare.cli.command import Command
from p2pshare.cli.lookup import descent_of, why_withdrawn
from p2pshare.cli.options import STANDARD_STREAM, UsageProblem, json_option
from p2pshare.cli.output import write_output
from p2pshare.cli.session import read_or_ask

if TYPE_CHECKING:
    from p2pshare.queries.searching import HeldVersion

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
    "publication",
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
    """show an object (TYPE--UUID) with every version held, an envelope or a publication; exit code 3 when it is not here"""
    from p2pshare.identifiers import EnvelopeId, PublicationId

    if raw and as_json:
        raise UsageProblem("--raw writes the object's own bytes", hint="give --raw or --json")
    kind: type[EnvelopeId | PublicationId] = (
        PublicationId if len(identifier) == 2 * PublicationId.length else EnvelopeId
    )
    try:
        shown = kind.parse(identifier)
    except ValueError:
        _show_object(home, identifier, number, is_raw=raw, is_json=as_json)
        return
    if raw or number is not None:
        raise UsageProblem(
            "--raw and --version are for objects",
            hint="`p2pshare envelope export ID FILE` writes the envelope",
        )
    if isinstance(shown, PublicationId):
        _show_publication(home, shown.text, is_json=as_json)
    else:
        _show_envelope(home, shown.text, is_json=as_json)


def _show_object(home: Path, object_id: str, number: int | None, *, is_raw: bool, is_json: bool) -> None:
    from p2pshare.operations.searching import ShowObject, ShowRaw

    if is_raw:
        raw = read_or_ask(home, ShowRaw(object_id, number)).raw
        if raw is None:
            raise UsageProblem(
                "which version?",
                hint=f"`p2pshare show {console.shown(object_id)}` numbers them; give one with --version",
            )
        write_output(STANDARD_STREAM, raw)
        return
    shown = read_or_ask(home, ShowObject(object_id, number))
    if is_json:
        console.print_json(shown)
        return
    for version in shown.versions:
        _print_version(shown.id, version)
    for fork in shown.forks:
        console.warn(
            f"fork: {console.shown(fork.author)} wrote {fork.times + 1} different contents as the version of {fork.modified}"
        )


def _print_version(object_id: str, version: HeldVersion) -> None:
    words = [f"version {version.number}", version.tlp, *([version.pap] if version.pap else [])]
    words.append("current" if version.is_current else "replaced")
    words += ["withdrawn"] if version.is_revoked else []
    words += ["origin-withdrawn"] if version.is_fallen else []
    words += why_withdrawn(version.withdrawal) if version.withdrawal else []
    words += ["forked"] if version.is_fork else []
    words += descent_of(version)
    words += [f"by {version.author}", f"modified {version.modified}", f"received {version.received_at}"]
    console.print_result(f"{console.shown(object_id)}  " + "  ".join(map(console.shown, words)))
    console.print_result(f"  in envelope {version.envelope_id}")
    for line in console.json_text(version.object, indent=2).split("\n"):
        console.print_result(f"  {line}")


def _show_envelope(home: Path, text: str, *, is_json: bool) -> None:
    from p2pshare.operations.crossing import fields_of
    from p2pshare.operations.searching import ShowEnvelope

    shown = read_or_ask(home, ShowEnvelope(text))
    if is_json:
        console.print_json(shown)
        return
    fields = fields_of(shown)
    console.print_fields({"envelope": shown.envelope_id} | {name: fields[name] for name in ENVELOPE_FIELDS})
    for one in shown.objects:
        console.print_result("  " + "  ".join(map(console.shown, (one.id, one.modified, one.title))))


def _show_publication(home: Path, text: str, *, is_json: bool) -> None:
    from p2pshare.operations.searching import ShowPublication

    each = read_or_ask(home, ShowPublication(text)).each
    if is_json:
        console.print_json(each)
        return
    for one in each:
        console.print_fields(
            {
                "publication": one.publication,
                "author": one.author,
                "parts": f"{one.parts_held} of {one.parts} held",
                "values": one.values,
            }
        )
        for title in one.titles:
            console.print_result(f"  {console.shown(title)}")
        for part in one.envelopes:
            received = console.shown(str(part.received_at))
            console.print_result(
                f"  part {part.part}  {part.envelope_id}  {part.size} bytes  received {received}"
            )
