"""CSV (RFC 4180): one change a row, with a head. No cell is a formula to a spreadsheet."""

from __future__ import annotations

import csv
import io

from p2pshare.exporters.changes.change_formats import ChangeFormat
from p2pshare.intel.display import spreadsheet_cell
from p2pshare.knowledge.changes import Change, FeedCursor

COLUMNS = (
    "cursor", "op", "type", "value", "score", "confidence", "tlp", "pap", "valid_from", "valid_until", "authors", "sources", "reason", "at",
    "until",
)  # fmt: skip


def line(cursor: FeedCursor, change: Change) -> bytes:
    """Returns the row of a change, with its line's end."""
    return _row(
        cursor.text, change.op, change.type, change.value, change.score, change.confidence, change.tlp, change.pap, change.valid_from,
        change.valid_until, change.authors, change.sources, change.reason, change.at, None,
    )  # fmt: skip


def reset(beginning: FeedCursor, end: FeedCursor) -> bytes:
    """Returns the row that tells to begin again; `until` is in no other."""
    return _row(beginning.text, "reset", *[None] * (len(COLUMNS) - 3), end.text)


def _row(*cells: str | int | None) -> bytes:
    stream = io.StringIO(newline="")
    csv.writer(stream, lineterminator="\r\n").writerow(
        "" if cell is None else spreadsheet_cell(str(cell)) for cell in cells
    )
    return stream.getvalue().encode()


FORMAT = ChangeFormat(line, reset, _row(*COLUMNS))
