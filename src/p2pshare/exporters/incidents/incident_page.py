"""One HTML page to print: an incident with one style sheet inside, no script, and nothing that is fetched from anywhere.

Whatever others wrote is escaped for element content, the only place where it stands. The page forbids itself everything else, so that
a text that got through could still load and run nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from p2pshare.exporters.incidents.incident_lines import summary, tables
from p2pshare.intel.display import safe
from p2pshare.intel.incident_record import IncidentRecord

_STYLE = """
body { font: 11pt/1.4 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; color: #111; background: #fff; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 1.6rem; page-break-after: avoid; }
table { border-collapse: collapse; width: 100%; } tr { page-break-inside: avoid; }
th, td { border: 1px solid #999; padding: .25rem .5rem; text-align: left; vertical-align: top; overflow-wrap: anywhere; }
th { background: #eee; } thead { display: table-header-group; } .marking { font-weight: bold; }
@page { margin: 18mm; } @media print { body { margin: 0; max-width: none; } }
"""
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


def render(record: IncidentRecord) -> bytes:
    """Returns the page, in UTF-8."""
    pieces = [
        "<!DOCTYPE html>\n",
        '<html lang="en"><head><meta charset="utf-8">\n',
        f'<meta http-equiv="Content-Security-Policy" content="{escape(_POLICY)}">\n',
        '<meta name="referrer" content="no-referrer">\n',
        f"<title>{_text(record.title)}</title>\n<style>{_STYLE}</style></head>\n<body>\n",
        f'<p class="marking">{_text(record.tlp)}</p>\n<h1>{_text(record.title)}</h1>\n',
        _table(("", ""), summary(record)),
    ]
    for table in tables(record):
        pieces += [f"<h2>{_text(table.title)}</h2>\n", _table(table.columns, table.rows)]
    pieces += [f'<p class="marking">{_text(record.tlp)}</p>\n</body></html>\n']
    return "".join(pieces).encode("utf-8")


def _table(columns: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    head = "".join(f"<th>{_text(column)}</th>" for column in columns)
    body = "".join("<tr>" + "".join(f"<td>{_text(cell)}</td>" for cell in row) + "</tr>\n" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody></table>\n"


def _text(text: str) -> str:
    """Returns a text as element content; its line breaks stay, other control characters are spelled out."""
    return "<br>".join(escape(safe(line)) for line in text.splitlines())
