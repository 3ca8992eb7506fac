"""`p2pshare risk rank`: every finding in the order in which it should be dealt with, and why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from p2pshare.cli import console
from p2pshare.cli.command import Command
from p2pshare.cli.options import json_option
from p2pshare.cli.risk import pages
from p2pshare.cli.risk.listing import format_options, write_listing
from p2pshare.cli.risk.opening import day_of, now_seconds, open_own, table_option
from p2pshare.errors import NotFoundError

LIMIT = 5_000  # findings of one answer: each takes some 4 KiB with its reasons, and a large hospital has two million
COLUMNS = (
    "outcome",
    "due",
    "asset",
    "component",
    "version",
    "vulnerability",
    "state",
    "match",
    "partners",
    "epss",
    "cvss",
)


@click.command(cls=Command)
@click.option(
    "--why",
    is_flag=True,
    help="each input with its value, where it is from, of which day, and whether it was checked",
)
@table_option
@click.option("--asset", "name", metavar="ASSET", default="", help="of one asset alone")
@click.option(
    "--all", "with_all", is_flag=True, help="what is not affected, fixed, under investigation or decided, too"
)
@click.option(
    "--limit",
    type=click.IntRange(min=0),
    metavar="N",
    default=LIMIT,
    show_default=True,
    help="the first N; 0: all, however much memory that takes",
)
@format_options
@json_option
@click.pass_obj
def rank(
    home: Path,
    why: bool,
    table: str,
    name: str,
    with_all: bool,
    limit: int,
    format_name: str,
    output: str,
    as_json: bool,
) -> int:
    """show what has a known vulnerability, the most urgent first; exit code 3 when nothing does"""
    found = findings(home, table=table, name=name, with_all=with_all, limit=limit, why=why)
    if len(found) == limit:
        console.say(f"the first {limit}; --limit shows more")
    is_written = write_listing(
        found,
        "json" if as_json else format_name,
        output,
        columns=COLUMNS,
        cells_of=cells_of,
        title=f"Findings by {table}",
        parts=html_parts,
    )
    if not is_written:
        _print(found, why=why)
    return 0 if found else NotFoundError.exit_code


def findings(
    home: Path,
    *,
    table: str,
    name: str = "",
    with_all: bool = False,
    limit: int = 0,
    why: bool = False,
    with_candidates: bool = True,
) -> list[dict[str, Any]]:
    """Returns findings as JSON has them, in their order, candidates last. Raises NotFoundError for an asset that is none."""
    with open_own(home) as store:
        ranked = store.rank(
            table=table,
            now=now_seconds(),
            with_all=with_all,
            asset=name,
            limit=limit or None,
            with_candidates=with_candidates,
        )
        found = [one.as_json() for one in ranked]
    return found if why else [one | {"why": []} for one in found]


def component_words(component: dict[str, Any]) -> str:
    """Returns what a component is called."""
    names = (component.get(key) for key in ("name", "purl", "cpe", "model", "ref"))
    return str(next(filter(None, names), ""))


def range_words(finding: dict[str, Any]) -> str:
    """Returns the outcome, or both ends of what it may be where an input is not known: `scheduled to immediate`."""
    worst, best = finding["outcome_range"]
    return str(worst) if worst == best else f"{best} to {worst}"


def cells_of(finding: dict[str, Any]) -> list[object]:
    """Returns a finding as one row under COLUMNS."""
    component = finding["component"]
    return [
        range_words(finding),
        day_text(finding["due"]),
        finding["asset"],
        component_words(component),
        component.get("version"),
        finding["vulnerability"],
        finding["state"],
        finding["match"],
        partners_of(finding),
        finding["epss"],
        finding["cvss"],
    ]


def day_text(due: object) -> str | None:
    """Returns a day, however the finding has it."""
    return day_of(due) if isinstance(due, int) else None if due is None else str(due)


def partners_of(finding: dict[str, Any]) -> object:
    """Returns how many partners reported it."""
    evidence = finding["partner_evidence"]
    return evidence.get("organisations") if isinstance(evidence, dict) else evidence


def is_candidate(finding: dict[str, Any]) -> bool:
    """Returns whether a name was proposed, and nobody has confirmed it."""
    return bool(finding["match"] == "candidate-name")


def _print(found: Sequence[dict[str, Any]], *, why: bool) -> None:
    due = [one for one in found if not is_candidate(one)]
    proposed = [one for one in found if is_candidate(one)]
    if not why:
        console.print_table(COLUMNS, map(cells_of, due))
    else:
        for one in due:
            _print_why(one)
    if proposed:
        console.say(
            "by name only, until somebody confirms it (`p2pshare risk alias list`); the worst it could be:"
        )
        for one in proposed:
            if why:
                _print_why(one)
            else:
                words = (
                    one["asset"],
                    component_words(one["component"]),
                    one["vulnerability"],
                    range_words(one),
                )
                console.print_result("  " + "  ".join(map(console.shown, words)))
    if not found:
        console.say(
            "nothing that is known here affects an asset of ours; `p2pshare risk source list` shows what was read"
        )


def _print_why(finding: dict[str, Any]) -> None:
    console.print_result("  ".join(console.shown(cell) for cell in cells_of(finding)[:8]))
    if finding["because"]:
        console.print_result(f"  because {console.shown(finding['because'])}")
    for line in why_lines(finding):
        console.print_result(f"  {console.shown(line)}")


def why_lines(finding: dict[str, Any]) -> Iterator[str]:
    """Yields each input in words, and each document that says something else."""
    for one in finding["why"] or ():
        value = "" if one["value"] is None else f" {one['value']}"
        if one["status"] == "not-checked":
            yield f"{one['input']}: not checked"
            continue
        stated = f", {one['source']}" if one["source"] else ""
        dated = f" of {one['as_of']}" if one["as_of"] else ""
        stale = ", stale" if one["status"] == "stale" else ""
        yield f"{one['input']}:{value}{stated}{dated}{stale}"
    if finding["unknown"]:
        yield f"what would settle the outcome: {', '.join(finding['unknown'])}"
    for one in finding["disagreement"] or ():
        yield f"{one['publisher']} says {one['state']} ({one['document']}, {one['date']})"


def html_parts(found: Sequence[dict[str, Any]]) -> list[str]:
    """Returns findings as tables: those that are due, and those that are proposed."""
    due = [one for one in found if not is_candidate(one)]
    proposed = [one for one in found if is_candidate(one)]
    parts = [pages.table(COLUMNS, map(cells_of, due))]
    if proposed:
        parts.append(pages.heading("By name only, until somebody confirms it"))
        parts.append(pages.table(COLUMNS, map(cells_of, proposed)))
    return parts
