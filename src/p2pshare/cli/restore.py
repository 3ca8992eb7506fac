"""`p2pshare restore`: a home out of a backup, where nothing is yet."""

from __future__ import annotations

import getpass
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from p2pshare.cli import console
from p2pshare.cli.as_owner import as_owner
from p2pshare.cli.command import Command
from p2pshare.cli.completion import complete_file
from p2pshare.cli.options import STANDARD_STREAM, UsageProblem, json_option, open_input, read_input

if TYPE_CHECKING:
    from p2pshare.envelope.age_format import AgeIdentity
    from p2pshare.envelope.keys import Secret


@click.command(cls=Command)
@click.argument("file", shell_complete=complete_file)
@click.option(
    "--passphrase-file",
    metavar="FILE",
    shell_complete=complete_file,
    help="the backup's passphrase is the first line of FILE; without it and --identity it is asked, on a terminal",
)
@click.option(
    "--identity",
    "identity_files",
    metavar="FILE",
    multiple=True,
    shell_complete=complete_file,
    help="the identity of a recipient that the backup is for, as `age-keygen` wrote it; may be repeated",
)
@json_option
@click.pass_obj
def restore(
    home: Path, file: str, passphrase_file: str | None, identity_files: tuple[str, ...], as_json: bool
) -> None:
    """make the home folder out of the backup in FILE, or out of stdin for -

    Nothing may be at the home folder yet. All is checked before it is there. Then start the daemon: partners hand back what they have of this
    node, and readers of the change feed begin again by themselves. Never run the old home beside it.
    """
    from p2pshare.node.keyfile import find_passphrase
    from p2pshare.node.restore import restore_home
    from p2pshare.node.undumpable import make_undumpable
    from p2pshare.operations.crossing import fields_of

    make_undumpable()
    if identity_files and passphrase_file is not None:
        raise UsageProblem(
            "a backup is for a passphrase, or for recipients", hint="give the one that it is for"
        )
    identities = [one for name in identity_files for one in _identities(name)]
    secret = None if identities else _passphrase(file, passphrase_file)
    key_passphrase = find_passphrase(os.environ)
    with console.ProgressLine() as line, open_input(file) as stream, as_owner(home):
        restored, manifest = restore_home(
            home,
            stream.read,
            now=int(time.time()),
            progress=line.show,
            identities=identities,
            passphrase=secret,
            key_passphrase=key_passphrase,
        )
    if as_json:
        console.print_json(fields_of(restored))
        return
    console.print_result(f"home         {console.shown(home)}")
    console.print_result(f"partner id   {manifest.partner_id}")
    console.print_result(f"backup of    {manifest.created}, by p2pshare {console.shown(manifest.program)}")
    console.print_result(f"feed id      {restored.feed_id}")
    console.print_result(f"incarnation  {restored.incarnation}")
    for heading, each in (("comes home", restored.coming_home), ("does not", restored.missing)):
        for one in each:
            count = f"{one.count} " if one.count is not None else ""
            console.print_result(f"{heading:<11}  {count}{console.shown(one.text)}")
    console.say(
        "next: `p2pshare doctor`, then start the daemon; the home that the backup is of must never run again beside this one"
    )


def _identities(name: str) -> list[AgeIdentity]:
    from p2pshare.envelope.age_format import IDENTITY_FILE_BYTES_MAX, parse_identities

    return parse_identities(read_input(name, IDENTITY_FILE_BYTES_MAX))


def _passphrase(file: str, passphrase_file: str | None) -> Secret:
    from p2pshare.envelope.keys import Secret
    from p2pshare.node.keyfile import read_passphrase_file

    if passphrase_file is not None:
        return read_passphrase_file(Path(passphrase_file))
    if file == STANDARD_STREAM or not console.can_ask():
        raise UsageProblem(
            "restore needs --passphrase-file or --identity", hint="without a terminal nothing is asked"
        )
    typed = getpass.getpass("passphrase of the backup: ", stream=sys.stderr)
    return Secret(typed.encode("utf-8", "surrogateescape"))
