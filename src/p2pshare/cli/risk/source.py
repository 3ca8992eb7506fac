"""`p2pshare risk source`: what others say of vulnerabilities, read from files that a person fetched."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from p2pshare.cli import console
from p2pshare.cli.command import Group
from p2pshare.cli.completion import complete_file
from p2pshare.cli.options import EXIT_PARTLY_DONE, json_option
from p2pshare.cli.risk.asset import print_places
from p2pshare.cli.risk.opening import as_told, day_of, now_seconds, open_own

if TYPE_CHECKING:
    from p2pshare.risk.statements import SourceRead

KINDS = ("kev", "epss", "vulnrichment", "osv", "csaf")


@click.group(cls=Group)
def source() -> None:
    """read what catalogues and vendors say, and see how old it is"""


@source.command("add")
@click.argument("kind", type=click.Choice(KINDS))
@click.argument("path", metavar="FILE|DIR", shell_complete=complete_file)
@json_option
@click.pass_obj
def add(home: Path, kind: str, path: str, as_json: bool) -> int:
    """read KEV (JSON or CSV), EPSS (CSV, also .gz), CVE records with SSVC points, OSV or CSAF documents; DIR: each file in it"""
    with open_own(home) as store:
        read = store.add_source(kind, Path(path), now=now_seconds())
    return print_read(read, as_json=as_json)


def print_read(read: SourceRead, *, as_json: bool) -> int:
    """Print what was read of a source; returns the exit code."""
    refused, told = as_told(read.refused), as_told(read.told)
    if as_json:
        fields = {"source": read.source, "read": read.read, "kept": read.kept, "refused": refused}
        console.print_json(fields | {"told": told, "as_of": read.as_of})
    else:
        print_places("refused", refused)
        print_places("note", told)
        as_of = f"as of {console.shown(read.as_of)}" if read.as_of else "of no day"
        console.print_result(f"{console.shown(read.source)}  {read.read} read  {read.kept} kept  {as_of}")
    return EXIT_PARTLY_DONE if refused else 0


@source.command("list")
@json_option
@click.pass_obj
def list_(home: Path, as_json: bool) -> None:
    """list the sources with the day each one names: checked, stale, or not checked at all"""
    with open_own(home) as store:
        rows = store.sources(now=now_seconds())
    if as_json:
        console.print_json([row._asdict() | {"read_at": day_of(row.read_at)} for row in rows])
        return
    heading = ("source", "status", "as of", "read", "kept", "refused", "read here")
    cells = (
        (row.kind, row.status, row.as_of, row.read, row.kept, row.refused, day_of(row.read_at))
        for row in rows
    )
    console.print_table(heading, cells)
