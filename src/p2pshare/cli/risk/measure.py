"""`p2pshare risk measure`: what is done about a vulnerability, and who has looked whether it is in place."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from p2pshare.cli import console
from p2pshare.cli.command import Group
from p2pshare.cli.options import json_option
from p2pshare.cli.risk.opening import by_option, day_of, now_seconds, open_own, parse_end, person

if TYPE_CHECKING:
    from p2pshare.risk.responses import MeasureRow

KINDS = ("patch", "config", "segment", "detection-rule", "playbook")


@click.group(cls=Group)
def measure() -> None:
    """plan measures, and note who verified them with which evidence"""


@measure.command("add")
@click.argument("vulnerability", metavar="CVE")
@click.option("--kind", type=click.Choice(KINDS), required=True, help="what it is")
@click.option("--text", metavar="TEXT", required=True, help="what is done")
@click.option("--asset", metavar="ASSET", default="", help="on this asset alone; else on all that have it")
@click.option("--owner", metavar="TEXT", default="", help="who does it")
@click.option("--due", metavar="DAY", help="until when")
@click.option(
    "--reference", metavar="ID", default="", help="of D3FEND, an ATT&CK mitigation or a course of action"
)
@click.option("--in-place", is_flag=True, help="it is done already")
@json_option
@click.pass_obj
def add(
    home: Path,
    vulnerability: str,
    kind: str,
    text: str,
    asset: str,
    owner: str,
    due: str | None,
    reference: str,
    in_place: bool,
    as_json: bool,
) -> None:
    """note a measure against CVE; it stands in the plan beside the work"""
    from p2pshare.risk.responses import MeasureSaid, add_measure

    now = now_seconds()
    end = None if due is None else parse_end(due, now)
    with open_own(home) as store:
        row = add_measure(
            store.file, MeasureSaid(vulnerability, kind, text, asset, owner, reference, end, in_place), now
        )
    _print([row], as_json=as_json, alone=True)


@measure.command("verify")
@click.argument("number", metavar="NUMBER", type=click.IntRange(min=1))
@click.option("--evidence", metavar="TEXT", required=True, help="what was looked at, and what was seen")
@by_option
@json_option
@click.pass_obj
def verify(home: Path, number: int, evidence: str, by: str, as_json: bool) -> None:
    """note that somebody looked, and the measure NUMBER is in place"""
    from p2pshare.risk.responses import verify_measure

    with open_own(home) as store:
        row = verify_measure(store.file, number, by=by or person(), evidence=evidence, now=now_seconds())
    _print([row], as_json=as_json, alone=True)


@measure.command("list")
@json_option
@click.pass_obj
def list_(home: Path, as_json: bool) -> None:
    """list the measures with their numbers"""
    from p2pshare.risk.responses import measures

    with open_own(home) as store:
        rows = measures(store.file)
    _print(rows, as_json=as_json, alone=False)


def fields_of_measure(row: MeasureRow) -> dict[str, Any]:
    """Returns a measure as JSON has it; days in ISO 8601."""
    days = {name: day_of(getattr(row, name)) for name in ("due", "added_at", "verified_at")}
    return row._asdict() | days


def _print(rows: list[MeasureRow], *, as_json: bool, alone: bool) -> None:
    fields = [fields_of_measure(row) for row in rows]
    if as_json:
        console.print_json(fields[0] if alone else fields)
        return
    names = ("id", "vulnerability", "asset", "kind", "status", "owner", "due", "text")
    console.print_table(names, [[one[name] for name in names] for one in fields])
