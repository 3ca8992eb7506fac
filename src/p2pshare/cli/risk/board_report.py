"""`p2pshare risk report`: one page for those who decide about money: what is due, what is late, where it goes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from p2pshare.cli.command import Command
from p2pshare.cli.completion import complete_file
from p2pshare.cli.options import STANDARD_STREAM
from p2pshare.cli.output import write_output
from p2pshare.cli.risk import pages
from p2pshare.cli.risk.opening import day_of, now_seconds, open_own, table_option
from p2pshare.cli.risk.plan import html_table, work_of

DAY_SECONDS = 86_400
TREND_DAYS = 92  # of the trend: a quarter
TREND_ROWS = 14  # of them shown, a week apart at most


@click.command(cls=Command)
@table_option
@click.option(
    "-o",
    "output",
    metavar="FILE",
    default=STANDARD_STREAM,
    help="write to FILE; else stdout",
    shell_complete=complete_file,
)
@click.pass_obj
def report(home: Path, table: str, output: str) -> None:
    """write a page to print (HTML): what is due and late, the trend, what was accepted until when, and what was not checked"""
    from p2pshare.risk.responses import count_day, days_since, decisions

    now = now_seconds()
    work = work_of(home, table=table)
    with open_own(home) as store:
        count_day(store.file, table, now)
        sources = store.sources(now=now)
        decided = [row for row in decisions(store.file, now) if not row.is_over]
        waiting = len(store.aliases(status="proposed"))
        trend = days_since(store.file, now // DAY_SECONDS - TREND_DAYS, table)
        assets = len(store.assets())
    late = [one for one in work if one["is_late"]]
    parts = [
        pages.paragraph(
            f"{day_of(now)}, by the table {table}. {assets} assets, {len(work)} pieces of work in the plan, {len(late)} of them late."
        )
    ]
    today = [(one.outcome, one.findings, one.late) for one in trend if one.day == now // DAY_SECONDS]
    parts += [pages.heading("What is due"), pages.table(("outcome", "findings", "late"), today)]
    if late:
        parts += [pages.heading("What is late"), html_table(late)]
    parts += [pages.heading("The plan"), html_table(work)]
    parts += [pages.heading("Trend"), pages.table(("day", "findings", "late"), _trend(trend))]
    parts.append(pages.heading("What was decided otherwise, and until when"))
    cells = (
        (row.vulnerability, row.asset or "all", row.kind, day_of(row.until), row.decided_by, row.because)
        for row in decided
    )
    parts.append(pages.table(("vulnerability", "asset", "decision", "until", "by", "because"), cells))
    parts.append(pages.heading("What it is based on"))
    listed = ((row.kind, row.status, row.as_of, row.kept) for row in sources)
    parts.append(pages.table(("source", "status", "as of", "kept"), listed))
    if waiting:
        parts.append(
            pages.paragraph(
                f"{waiting} names of products wait for somebody to confirm them: what they mean is not in the plan."
            )
        )
    parts.append(
        pages.paragraph(
            "An outcome is what the decision table says of the inputs that are known; unknown ones are taken at their worst.",
            "foot",
        )
    )
    write_output(output, pages.page("Risk report", parts).encode())


def _trend(trend: list[Any]) -> list[tuple[object, ...]]:
    """Returns (day, findings, late) of some days, newest last."""
    days: dict[int, list[int]] = {}
    for one in trend:
        summed = days.setdefault(one.day, [0, 0])
        summed[0] += one.findings
        summed[1] += one.late
    shown = sorted(days)
    step = max(1, len(shown) // TREND_ROWS)
    kept = [day for number, day in enumerate(reversed(shown)) if number % step == 0]
    return [(day_of(day * DAY_SECONDS), *days[day]) for day in reversed(kept)]
