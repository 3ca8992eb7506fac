"""`p2pshare risk vex`: statements that say whether a product has a vulnerability (VEX), from whoever makes it."""

from __future__ import annotations

from pathlib import Path

import click

from p2pshare.cli.command import Group
from p2pshare.cli.completion import complete_file
from p2pshare.cli.options import json_option
from p2pshare.cli.risk.opening import now_seconds, open_own
from p2pshare.cli.risk.source import print_read


@click.group(cls=Group)
def vex() -> None:
    """read what makers say of their own products: affected, not affected, fixed, under investigation"""


@vex.command("import")
@click.argument("path", metavar="FILE|DIR", shell_complete=complete_file)
@json_option
@click.pass_obj
def import_(home: Path, path: str, as_json: bool) -> int:
    """read a VEX document (CycloneDX or CSAF); what it says of a bill of materials that is not here is told"""
    with open_own(home) as store:
        read = store.add_source("vex", Path(path), now=now_seconds())
    return print_read(read, as_json=as_json)
