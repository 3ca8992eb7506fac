"""CSV (RFC 4180): the time line, the tasks and the indicators of an incident, a row each, for spreadsheets.

A cell that a spreadsheet would compute (it begins with `=`, `+`, `-`, `@`, a tab or a carriage return) begins with an apostrophe instead.
"""

from __future__ import annotations

import csv
import io

from p2pshare.exporters.incidents.incident_lines import instant, timeline_rows
from p2pshare.intel.display import safe
from p2pshare.intel.incident_record import IncidentRecord

COLUMNS = ("when", "stated", "kind", "by", "text", "state", "due")
_COMPUTED = ("=", "+", "-", "@", "\t", "\r")


def render(record: IncidentRecord) -> bytes:
    """Returns the table, in UTF-8 with a head."""
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for row in timeline_rows(record):
        stated = "yes" if row.stated else "no"
        writer.writerow(_cells(instant(row.at), stated, row.kind, row.author, row.text, "", ""))
    for task in record.tasks:
        text = f"{task.title}: {task.text}" if task.text else task.title
        by, due = record.name_of(task.owner), instant(task.due)
        writer.writerow(_cells(instant(task.created), "no", "task", by, text, task.outcome, due))
    for one in record.objects:
        text = f"{one.type} {one.value}" + (f": {one.text}" if one.text else "")
        writer.writerow(
            _cells(instant(one.created), "no", "indicator", record.name_of(one.author), text, "", "")
        )
    for lesson in record.lessons:
        by, due = record.name_of(lesson.owner), instant(lesson.due)
        writer.writerow(_cells(instant(lesson.created), "no", "lesson", by, lesson.text, lesson.status, due))
    return stream.getvalue().encode("utf-8")


def _cells(*cells: str) -> list[str]:
    return [_cell(cell) for cell in cells]


def _cell(text: str) -> str:
    shown = "\n".join(safe(line) for line in text.splitlines())
    return f"'{shown}" if text.startswith(_COMPUTED) or shown.startswith(_COMPUTED) else shown
