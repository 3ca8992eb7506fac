"""One HTML page to print: the report of an exercise with its time line drawn, one style sheet inside, no script, and nothing that is fetched.

Whatever others wrote is escaped for element content, the only place where it stands, in the drawing as well. The page forbids itself everything
else, so that a text that got through could still load and run nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from p2pshare.exporters.exercises.exercise_drawing import draw_time_line
from p2pshare.exporters.exercises.exercise_lines import ReportTable, scores, summary, tables
from p2pshare.intel.display import safe
from p2pshare.intel.exercise_record import ExerciseRecord

_STYLE = """
body { font: 10.5pt/1.4 system-ui, sans-serif; margin: 2rem auto; max-width: 62rem; color: #111; background: #fff; }
h1 { font-size: 1.5rem; margin-bottom: .5rem; } h2 { font-size: 1.15rem; margin: 1.5rem 0 .4rem; break-after: avoid; }
p { margin: .3rem 0; } .about { color: #444; break-after: avoid; } .marking { font-weight: bold; letter-spacing: .08em; }
table { border-collapse: collapse; width: 100%; } tr { break-inside: avoid; }
th, td { border: 1px solid #999; padding: .2rem .45rem; text-align: left; vertical-align: top; }
td { overflow-wrap: anywhere; min-width: 3.4rem; } td:first-child { min-width: 5rem; } td.short { white-space: nowrap; }
th { background: #eee; } thead { display: table-header-group; } .facts th { width: 9rem; }
.success { background: #e3f3e6; } .partial { background: #fdf1d8; } .failed { background: #fbe0e0; font-weight: bold; }
svg { width: 100%; height: auto; break-inside: avoid; } svg text { font: 11px system-ui, sans-serif; fill: #111; }
svg .small { font-size: 10px; fill: #444; } svg .axis { stroke: #bbb; } svg .release { stroke: #888; stroke-dasharray: 2 3; }
svg .lane { fill: #f6f6f6; } svg .now { stroke: #111; stroke-width: 1.5; } svg .white { fill: #fff; stroke: #111; }
svg .ok { fill: #1b7f3b; stroke: #1b7f3b; } svg .half { fill: #b36b00; stroke: #b36b00; } svg .bad { fill: none; stroke: #b00020; stroke-width: 2; }
svg .open { fill: #fff; stroke: #666; } svg .bar { stroke-width: 3; fill: none; } svg .late { stroke-dasharray: 4 2; }
@page { size: A4; margin: 14mm; } @media print { body { margin: 0; max-width: none; font-size: 9pt; }
 th, td, svg rect, .success, .partial, .failed { -webkit-print-color-adjust: exact; print-color-adjust: exact; } }
"""
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
SHORT_CHARACTERS_MAX = 14  # seven columns of them are as wide as the page
_MARKS = ("success", "partial", "failed")


def render(record: ExerciseRecord) -> bytes:
    """Returns the page, in UTF-8."""
    pieces = [
        "<!DOCTYPE html>\n",
        '<html lang="en"><head><meta charset="utf-8">\n',
        f'<meta http-equiv="Content-Security-Policy" content="{escape(_POLICY)}">\n',
        '<meta name="referrer" content="no-referrer">\n',
        f"<title>EXERCISE: {_text(record.name)}</title>\n<style>{_STYLE}</style></head>\n<body>\n",
        f'<p class="marking">EXERCISE</p>\n<h1>{_text(record.name)}</h1>\n',
        _facts(summary(record)),
        _section(scores(record)),
        "<h2>Time line</h2>\n",
        '<p class="about">Each bar begins with the release of an inject and ends with what was done about it; a cross stands where nothing came in time.</p>\n',
        draw_time_line(record, _plain),
    ]
    pieces += [_section(table) for table in tables(record)]
    pieces += ['<p class="marking">EXERCISE: nothing in this report happened.</p>\n</body></html>\n']
    return "".join(pieces).encode("utf-8")


def _facts(pairs: Iterable[tuple[str, str]]) -> str:
    rows = "".join(f"<tr><th>{_text(name)}</th><td>{_text(value)}</td></tr>\n" for name, value in pairs)
    return f'<table class="facts"><tbody>\n{rows}</tbody></table>\n'


def _section(table: ReportTable) -> str:
    head = "".join(f"<th>{_text(column)}</th>" for column in table.columns)
    about = f'<p class="about">{_text(table.about)}</p>\n' if table.about else ""
    body = "".join(f"<tr{_mark(table, row)}>{_cells(row)}</tr>\n" for row in table.rows)
    return f"<h2>{_text(table.title)}</h2>\n{about}<table><thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody></table>\n"


def _cells(row: tuple[str, ...]) -> str:
    return "".join(f"<td{_keep(cell)}>{_text(cell)}</td>" for cell in row)


def _keep(cell: str) -> str:
    """Returns the class of a cell that is not broken into lines: names and times, which would be at each hyphen."""
    return (
        ' class="short"' if len(cell) <= SHORT_CHARACTERS_MAX and cell.isascii() and "\n" not in cell else ""
    )


def _mark(table: ReportTable, row: tuple[str, ...]) -> str:
    result = row[table.result] if table.result is not None else ""
    return f' class="{result}"' if result in _MARKS else ""


def _text(text: str) -> str:
    """Returns a text as element content; its line breaks stay, other control characters are spelled out."""
    return "<br>".join(escape(safe(line)) for line in text.splitlines())


def _plain(text: str) -> str:
    """Returns a text as element content of one line, as a drawing has it."""
    return escape(safe(" ".join(text.splitlines())))
