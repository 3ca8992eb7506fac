"""`p2pshare support-bundle`: what helps a maintainer to find a fault, in one file that names nobody."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from p2pshare.cli import console
from p2pshare.cli.command import Command
from p2pshare.cli.completion import complete_file
from p2pshare.cli.options import json_option, read_input
from p2pshare.cli.output import OWN_MODE, open_output
from p2pshare.errors import ShareError
from p2pshare.limits import MIB

if TYPE_CHECKING:
    from p2pshare.queries.status import NodeStatus

LOG_BYTES_MAX = 256 * MIB  # a month of a daemon that complains; more is not read
NO_DATE = (1980, 1, 1, 0, 0, 0)  # the first that a zip can hold: two bundles of one state are one file


@click.command(cls=Command)
@click.argument("file", shell_complete=complete_file)
@click.option(
    "--log",
    "log_file",
    metavar="FILE",
    shell_complete=complete_file,
    help="the daemon's log, or - : `journalctl -u p2pshare | p2pshare support-bundle FILE --log -`",
)
@json_option
@click.pass_obj
def support_bundle(home: Path, file: str, log_file: str | None, as_json: bool) -> None:
    """write to FILE (a zip) what helps a maintainer, without secrets, values or names, and say what is in it

    Partners are pseudonyms; of the log only which lines of the program it has. Nothing is sent: look at it, and hand it on.
    """
    from p2pshare.cli.as_owner import as_owner
    from p2pshare.cli.card import now_seconds
    from p2pshare.cli.doctor import examine
    from p2pshare.node.home import require_home
    from p2pshare.queries.supporting import HOLDS, Seen, bundle

    require_home(home)
    raw = None if log_file is None else read_input(log_file, LOG_BYTES_MAX)
    lines = None if raw is None else _lines(raw)
    with as_owner(home):
        members = bundle(Seen(home, examine(home), _status(home), lines, now_seconds()))
    packed = pack(members)
    with open_output(file, mode=OWN_MODE) as stream:
        stream.write(packed)
    told = [{"name": name, "bytes": len(member), "holds": HOLDS[name]} for name, member in members.items()]
    if as_json:
        console.print_json({"file": file, "bytes": len(packed), "members": told})
        return
    console.say(
        f"{console.shown(file)} has {console.counted(len(packed), 'byte')}; look at it before you hand it on:"
    )
    for one in told:
        console.say(f"  {one['name']:<12} {one['holds']}")


def pack(members: Mapping[str, bytes]) -> bytes:
    """Returns a zip with these files."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, member in members.items():
            archive.writestr(zipfile.ZipInfo(name, NO_DATE), member, zipfile.ZIP_DEFLATED)
    return packed.getvalue()


def _status(home: Path) -> NodeStatus | None:
    """Returns the status, None where this node cannot tell: the doctor says why."""
    from p2pshare.cli.session import ask
    from p2pshare.operations.status import ShowStatus

    with suppress(ShareError, OSError):
        return ask(home, ShowStatus())
    return None


def _lines(raw: bytes) -> Iterator[str]:
    for line in io.BytesIO(raw):
        yield line.decode("utf-8", "replace")
