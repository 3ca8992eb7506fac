"""`p2pshare risk alias`: which product of an advisory is which device of ours, confirmed or rejected once by a person."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from p2pshare.cli import console
from p2pshare.cli.command import Group
from p2pshare.cli.options import UsageProblem, json_option
from p2pshare.cli.risk.opening import by_option, now_seconds, open_own, person
from p2pshare.errors import NotFoundError

if TYPE_CHECKING:
    from p2pshare.risk.risk_store import AliasRow

STATUSES = ("proposed", "confirmed", "rejected")


@click.group(cls=Group)
def alias() -> None:
    """list, confirm and reject proposals: an advisory's name for a product, and a device of ours"""


@alias.command("list")
@click.option("--status", type=click.Choice(STATUSES), help="only these; else all")
@json_option
@click.pass_obj
def list_(home: Path, status: str | None, as_json: bool) -> None:
    """list what was proposed, with the evidence for it and what each document would mean for our versions"""
    with open_own(home) as store:
        rows = store.aliases(status=status)
    _print(rows, as_json=as_json)


def _print(rows: list[AliasRow], *, as_json: bool) -> None:
    fields = [row.as_json() for row in rows]
    if as_json:
        console.print_json(fields)
        return
    for one in fields:
        ours, theirs = _words(one["own"]), _words(one["theirs"])
        console.print_result(
            f"{one['alias']}  {one['status']}  {console.shown(ours)}  =  {console.shown(theirs)}"
        )
        console.print_result(f"  assets: {', '.join(map(console.shown, one['assets'])) or 'none'}")
        for evidence in one["evidence"]:
            console.print_result(f"  {console.shown(evidence)}")
        for version in one["versions"]:
            words = f"{version['document']}: {version['statement']} -> {version['decision']}"
            console.print_result(f"  {console.shown(words)}")


def _words(model: dict[str, Any]) -> str:
    return " ".join(str(value) for value in model.values() if value)


def _decided(function: Any) -> Any:
    """Add which proposals are meant: by their ids, or all of one model of ours."""
    function = click.argument("aliases", nargs=-1, metavar="[ALIAS ...]")(function)
    function = click.option(
        "--vendor", metavar="VENDOR", default="", help="with --product: every proposal of this model of ours"
    )(function)
    return click.option(
        "--product", metavar="PRODUCT", default="", help="with --vendor: every proposal of this model of ours"
    )(function)


@alias.command("confirm")
@_decided
@by_option
@json_option
@click.pass_obj
def confirm(home: Path, aliases: tuple[str, ...], vendor: str, product: str, by: str, as_json: bool) -> None:
    """say that both are the same: from now on that is exact, for all advisories, old and new"""
    _decide(home, aliases, vendor, product, "confirmed", by, as_json=as_json)


@alias.command("reject")
@_decided
@by_option
@json_option
@click.pass_obj
def reject(home: Path, aliases: tuple[str, ...], vendor: str, product: str, by: str, as_json: bool) -> None:
    """say that they are not the same: it is never proposed again"""
    _decide(home, aliases, vendor, product, "rejected", by, as_json=as_json)


def _decide(
    home: Path, aliases: tuple[str, ...], vendor: str, product: str, status: str, by: str, *, as_json: bool
) -> None:
    if bool(aliases) == bool(vendor or product) or bool(vendor) != bool(product):
        raise UsageProblem(
            "which proposals?", hint="give their ids, or --vendor and --product of a model of ours"
        )
    with open_own(home) as store:
        rows = store.decide_aliases(
            aliases, vendor=vendor, product=product, status=status, by=by or person(), now=now_seconds()
        )
    if not rows:
        raise NotFoundError("no such proposal", hint="see `p2pshare risk alias list`")
    _print(rows, as_json=as_json)
