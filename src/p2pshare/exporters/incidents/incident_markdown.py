"""Markdown (CommonMark, with GitHub's tables): an incident for people, and the reports that a duty asks for.

Whatever others wrote is escaped: no text begins a heading, a link, an image or an HTML tag, breaks out of its cell, or moves a terminal.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from p2pshare.exporters.incidents import incident_lines
from p2pshare.exporters.incidents.incident_lines import IncidentTable, summary, tables
from p2pshare.intel.display import safe
from p2pshare.intel.duty_templates import DutyRule, DutyTemplate
from p2pshare.intel.incident_record import IncidentRecord

TO_WRITE = "_(to be written)_"
# Marks inside a line, and what makes a link of plain text: `://`, `www.`, `@`.
_MARKS = re.compile(r"[\\`*_\[\]<>|~&$@]|:(?=//)|(?<=[wW]{3})\.")
_LINES = re.compile(r"\r\n|\r|\n")


def render(record: IncidentRecord) -> bytes:
    """Returns the whole incident."""
    lines = [f"# {escaped(record.title)}", ""]
    lines += _pairs(summary(record))
    for table in tables(record):
        lines += ["", f"## {table.title}", "", *_table(table)]
    return ("\n".join(lines) + "\n").encode("utf-8")


def sitrep(
    record: IncidentRecord,
    duties: Iterable[Mapping[str, Any]] = (),
    *,
    report: tuple[DutyTemplate, DutyRule] | None = None,
    organisation: str = "",
) -> bytes:
    """Returns a situation report, or the report that a duty asks for, filled in as far as the incident says it.

    `duties` as `spaces.incident_telling.duties_shown` gives them, those of one organisation; `organisation` its name.
    """
    if report is None:
        return _situation(record, duties)
    template, rule = report
    lines = [f"# {escaped(rule.title)}", ""]
    lines += _pairs(
        [
            ("Incident", f"{record.title} ({record.incident[:10]})"),
            ("Organisation", organisation),
            ("Marking", record.tlp),
            ("Duty", f"{template.title}; {rule.article}"),
            ("Act", f"{template.source.act} ({template.source.published})"),
        ]
    )
    stands = [duty for duty in duties if duty["template"] == template.template]
    for duty in stands:
        if duty["stage"] == rule.stage:
            lines += _pairs(
                [("Runs from", _told(duty, "from_at")), ("Due", _told(duty, "due")), ("State", duty["state"])]
            )
    for ask in rule.asks:
        lines += ["", f"## {escaped(ask.ask)}", "", *_filled(record, ask.fill, stands, rule)]
    return ("\n".join(lines) + "\n").encode("utf-8")


def _told(duty: Mapping[str, Any], key: str) -> str:
    """Returns an instant of a duty, in UTC, with the zone by which its period was counted."""
    return f"{duty[key]} (zone {duty['zone']})" if duty[key] else "not stated"


def _filled(record: IncidentRecord, fill: str, duties: list[Mapping[str, Any]], rule: DutyRule) -> list[str]:
    match fill:
        case "aware":
            stated = {duty["from"]: _told(duty, "from_at") for duty in duties if duty["from_at"]}
            return _pairs(stated.items()) if stated else ["not stated: `p2pshare incident aware`"]
        case "what":
            return [
                *_pairs(
                    [
                        ("Determination", record.determination or "not yet"),
                        ("Types", ", ".join(record.types) or "not stated"),
                        ("Status", record.status),
                    ]
                ),
                "",
                TO_WRITE,
            ]
        case "impacts":
            return _table_or_none(incident_lines.impacts(record))
        case "indicators":
            return _table_or_none(incident_lines.indicators(record))
        case "timeline":
            return _table_or_none(incident_lines.timeline(record))
        case "tasks":
            return _table_or_none(incident_lines.tasks(record))
        case "lessons":
            return _table_or_none(incident_lines.lessons(record))
        case "members":
            return _pairs([("Members", ", ".join(record.name_of(one.partner_id) for one in record.members))])
        case _:
            return [TO_WRITE]


def _situation(record: IncidentRecord, duties: Iterable[Mapping[str, Any]]) -> bytes:
    open_tasks = [task for task in record.tasks if task.outcome in ("pending", "ongoing", "unknown")]
    lines = [f"# Situation: {escaped(record.title)}", ""]
    lines += _pairs(summary(record))
    lines += _pairs(
        [
            ("Tasks", f"{len(record.tasks)}, of which {len(open_tasks)} open"),
            ("Indicators", str(len(record.objects))),
            ("Lessons", str(len(record.lessons))),
        ]
    )
    running = [duty for duty in duties if duty["state"] in ("running", "overdue")]
    if running:
        rows = [
            (str(one["template"]), str(one["duty"]), _told(one, "due"), str(one["state"])) for one in running
        ]
        lines += ["", "## Duties", "", *_table(IncidentTable("", ("under", "duty", "due", "state"), rows))]
    for table in (
        incident_lines.impacts(record),
        incident_lines.tasks(record),
        incident_lines.timeline(record),
    ):
        if table.rows:
            lines += ["", f"## {table.title}", "", *_table(table)]
    return ("\n".join(lines) + "\n").encode("utf-8")


def _pairs(pairs: Iterable[tuple[str, str]]) -> list[str]:
    return [f"- {name}: {escaped(value)}" for name, value in pairs]


def _table_or_none(table: IncidentTable) -> list[str]:
    return _table(table) if table.rows else ["none stated"]


def _table(table: IncidentTable) -> list[str]:
    lines = ["| " + " | ".join(table.columns) + " |", "|" + " --- |" * len(table.columns)]
    lines += ["| " + " | ".join(escaped(cell) for cell in row) + " |" for row in table.rows]
    return lines


def escaped(text: str) -> str:
    """Returns a text of one line, as Markdown that shows exactly its characters and links nowhere; what a terminal would obey is
    spelled out. It must not stand at the beginning of a line."""
    line = safe(" ".join(_LINES.split(text)))
    return _MARKS.sub(r"\\\g<0>", line)
