"""`p2pshare envelope`: an envelope as it was received, to prove or check who wrote it."""

from __future__ import annotations

from pathlib import Path

import click

from p2pshare.cli import console
from p2pshare.cli.command import Group
from p2pshare.cli.completion import complete_file
from p2pshare.cli.options import STANDARD_STREAM
from p2pshare.cli.output import write_output
from p2pshare.cli.session import open_store_for_reading
from p2pshare.errors import AuthorError, NotFoundError


@click.group(cls=Group)
def envelope() -> None:
    """export envelopes as they were received"""


@envelope.command("export")
@click.argument("envelope_id", metavar="ID")
@click.argument("file", shell_complete=complete_file)
@click.pass_obj
def export_envelope(home: Path, envelope_id: str, file: str) -> None:
    """write the envelope ID to FILE, or to stdout for -; still sealed, and `p2pshare verify FILE` checks it"""
    from p2pshare.identifiers import EnvelopeId

    try:
        wanted = EnvelopeId.parse(envelope_id)
    except ValueError:
        raise AuthorError(
            "that is no envelope id",
            hint="64 hexadecimal digits, as `publish` prints them",
            reason="bad-argument",
        ) from None
    with open_store_for_reading(home) as store:
        wire = store.log.wire(wanted)
    if wire is None:
        raise NotFoundError(
            f"no envelope {wanted.short} is held here", hint="it never came, or it has expired"
        )
    write_output(file, wire)
    if file != STANDARD_STREAM:
        console.say(f"envelope written to {console.shown(file)}")
