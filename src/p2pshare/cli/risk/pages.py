"""Pages for paper and for other programs: HTML that loads nothing, and CSV that a spreadsheet does not run."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from html import escape

from p2pshare.intel.display import safe, spreadsheet_cell

STYLE = """
body { font: 10pt/1.4 sans-serif; margin: 2em; color: #111 }
h1 { font-size: 16pt } h2 { font-size: 12pt; margin-top: 1.6em }
table { border-collapse: collapse; width: 100% } td, th { border-bottom: 1px solid #999; padding: .2em .5em; text-align: left;
vertical-align: top } th { border-bottom: 2px solid #111 } tr { break-inside: avoid }
.late { font-weight: bold } .foot { color: #555; margin-top: 2em }
@media print { body { margin: 0 } }
""".strip()


def page(title: str, parts: Iterable[str]) -> str:
    """Returns a whole page. `parts` are HTML already; nothing on it is loaded from anywhere, and no script runs."""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        f"<title>{text(title)}</title>\n<style>\n{STYLE}\n</style>\n</head>\n<body>\n<h1>{text(title)}</h1>\n"
        + "\n".join(parts)
        + "\n</body>\n</html>\n"
    )


def text(value: object) -> str:
    """Returns a value as it may stand in HTML; absent is a dash."""
    return "-" if value is None or value == "" else escape(safe(str(value)))


def heading(words: str) -> str:
    return f"<h2>{text(words)}</h2>"


def paragraph(words: str, kind: str = "") -> str:
    return f'<p class="{kind}">{text(words)}</p>' if kind else f"<p>{text(words)}</p>"


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], late: Iterable[bool] = ()) -> str:
    """Returns a table; `late` marks rows."""
    head = "".join(f"<th>{text(column)}</th>" for column in columns)
    marks = iter(late)
    body = "\n".join(
        f"<tr{' class=late' if next(marks, False) else ''}>"
        + "".join(f"<td>{text(cell)}</td>" for cell in row)
        + "</tr>"
        for row in rows
    )
    return f"<table>\n<tr>{head}</tr>\n{body}\n</table>"


def csv_text(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Returns CSV (RFC 4180). A cell that a spreadsheet would take for a formula begins with an apostrophe."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow(["" if value is None else spreadsheet_cell(str(value)) for value in row])
    return out.getvalue()
