"""`p2pshare risk plan`: the findings as work in order: what is done where, until when, by whom."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from p2pshare.cli import console
from p2pshare.cli.command import Command
from p2pshare.cli.options import json_option
from p2pshare.cli.risk import pages
from p2pshare.cli.risk.answers import PlaybooksForOutcomes
from p2pshare.cli.risk.listing import format_options, write_listing
from p2pshare.cli.risk.measure import fields_of_measure
from p2pshare.cli.risk.opening import DEFAULT_TABLE, day_of, now_seconds, open_own, table_option
from p2pshare.cli.risk.rank import component_words, day_text, findings
from p2pshare.errors import NotFoundError

COLUMNS = ("due", "outcome", "work", "version", "vulnerability", "assets", "owner", "measures", "remedy")
UNOWNED = "nobody"
FINDINGS_MAX = (
    5_000  # the most urgent ones, of which a plan is made: more than anybody does before they are mended
)


@click.command(cls=Command)
@table_option
@click.option("--owner", metavar="TEXT", default="", help="the work of this owner alone")
@format_options
@json_option
@click.pass_obj
def plan(home: Path, table: str, owner: str, format_name: str, output: str, as_json: bool) -> int:
    """show what is to be done, what is due first at the top: one line for a product and a vulnerability, with its assets and
    owners; exit code 3 when nothing is"""
    work = work_of(home, table=table)
    if owner:
        work = [one for one in work if owner in one["owners"]]
    is_written = write_listing(
        work,
        "json" if as_json else format_name,
        output,
        columns=COLUMNS,
        cells_of=cells_of,
        title="Plan",
        parts=lambda work: [html_table(work)],
    )
    if not is_written:
        _print(work)
    return 0 if work else NotFoundError.exit_code


def work_of(home: Path, *, table: str = DEFAULT_TABLE) -> list[dict[str, Any]]:
    """Returns the work in its order: {work, due, is_late, outcome, vulnerability, component, state, assets, owners, remedies,
    measures, playbook}. Candidates are none; what was decided is not in it."""
    from p2pshare.risk.responses import measures

    now = now_seconds()
    grouped: dict[tuple[str, str, str], list[dict[str, Any]]] = defaultdict(list)
    found = findings(home, table=table, with_candidates=False, limit=FINDINGS_MAX)
    if len(found) == FINDINGS_MAX:
        console.say(f"made of the {FINDINGS_MAX} most urgent findings: there are more")
    for finding in found:
        component = finding["component"]
        key = finding["vulnerability"], component_words(component), str(component.get("version") or "")
        grouped[key].append(finding)
    with open_own(home) as store:
        owners = {row.name: row.owner for row in store.assets()}
        planned = [fields_of_measure(row) for row in measures(store.file)]
        work = [_work(key, found, owners, planned, now) for key, found in grouped.items()]
    if work:
        playbooks = PlaybooksForOutcomes(home)
        work = [one | {"playbook": playbooks.of(one["outcome"])} for one in work]
    # what is due first; without a day by outcome, as ranked: the sort is stable
    work.sort(key=lambda one: (one["due"] is None, one["due"] or ""))
    return [{"work": number} | one for number, one in enumerate(work, 1)]


def _work(
    key: tuple[str, str, str],
    found: Sequence[dict[str, Any]],
    owners: Mapping[str, str],
    planned: Iterable[dict[str, Any]],
    now: int,
) -> dict[str, Any]:
    vulnerability, name, version = key
    assets = list(dict.fromkeys(str(one["asset"]) for one in found))
    due = min((day for one in found if (day := day_text(one["due"]))), default=None)
    own = [one for one in planned if one["vulnerability"] == vulnerability and one["asset"] in ("", *assets)]
    return {
        "due": due,
        "is_late": due is not None and due < str(day_of(now)),
        "outcome": found[0]["outcome"],
        "outcome_range": found[0]["outcome_range"],
        "vulnerability": vulnerability,
        "component": name,
        "version": version,
        "states": sorted({str(one["state"]) for one in found}),
        "assets": assets,
        "owners": sorted({owners.get(asset) or UNOWNED for asset in assets}),
        "remedies": list(dict.fromkeys(one["remedy"] for one in found if one["remedy"])),
        "measures": own,
        "playbook": None,
    }


def cells_of(work: dict[str, Any]) -> list[object]:
    """Returns a piece of work as one row under COLUMNS."""
    due = f"{work['due']} (late)" if work["is_late"] else work["due"]
    measures = "; ".join(f"{one['kind']} {one['status']}" for one in work["measures"])
    assets, owners = ", ".join(work["assets"]), ", ".join(work["owners"])
    remedy = "; ".join(work["remedies"])
    return [
        due,
        work["outcome"],
        work["component"],
        work["version"],
        work["vulnerability"],
        assets,
        owners,
        measures,
        remedy,
    ]


def html_table(work: Sequence[dict[str, Any]]) -> str:
    """Returns the plan as a table; what is late is bold."""
    return pages.table(COLUMNS, map(cells_of, work), (one["is_late"] for one in work))


def _print(work: Sequence[dict[str, Any]]) -> None:
    for one in work:
        due, outcome, component, version, vulnerability, assets, owner, measures, remedy = cells_of(one)
        words = (due or "no day", outcome, component, version, vulnerability)
        console.print_result(f"{one['work']:>3}. " + "  ".join(console.shown(word) for word in words if word))
        console.print_result(f"     on {console.shown(assets)}  ({console.shown(owner)})")
        if one["states"] == ["possible"]:
            console.print_result("     possible: somebody must look whether it is affected")
        if remedy:
            console.print_result(f"     {console.shown(remedy)}")
        if one["playbook"] is not None:
            told = one["playbook"]
            approved = (
                f"{told['missing']} of {told['needed']} approvals missing"
                if told["missing"]
                else told["state"]
            )
            console.print_result(
                f"     playbook: {console.shown(told['name'] or told['playbook'])} ({approved})"
            )
        if measures:
            console.print_result(f"     measures: {console.shown(measures)}")
    if not work:
        console.say(
            "nothing is to be done by what is known here; `p2pshare risk alias list` shows names that wait for you"
        )
