"""Markdown (CommonMark, with GitHub's tables): the report of an exercise as a text. Whatever others wrote is escaped, as in an incident's."""

from __future__ import annotations

from p2pshare.exporters.exercises.exercise_lines import ReportTable, scores, summary, tables
from p2pshare.exporters.incidents.incident_markdown import escaped
from p2pshare.intel.exercise_record import ExerciseRecord


def render(record: ExerciseRecord) -> bytes:
    """Returns the whole report, in UTF-8. It has no time line: the tables have all of it."""
    lines = [f"# EXERCISE: {escaped(record.name)}", ""]
    lines += [f"- {escaped(name)}: {escaped(value)}" for name, value in summary(record)]
    for table in (scores(record), *tables(record)):
        lines += ["", f"## {table.title}", ""]
        if table.about:
            lines += [escaped(table.about), ""]
        lines += _table(table)
    lines += ["", "EXERCISE: nothing in this report happened."]
    return ("\n".join(lines) + "\n").encode("utf-8")


def _table(table: ReportTable) -> list[str]:
    lines = ["| " + " | ".join(table.columns) + " |", "|" + " --- |" * len(table.columns)]
    return lines + ["| " + " | ".join(escaped(cell) for cell in row) + " |" for row in table.rows]
