"""NDJSON: one change a line, a JSON object with its cursor and the columns of `v1_changes` (docs/siem.md)."""

from __future__ import annotations

import msgspec

from p2pshare.exporters.changes.change_formats import ChangeFormat
from p2pshare.intel.display import escaped_json
from p2pshare.knowledge.changes import Change, FeedCursor

_encode = msgspec.json.Encoder().encode


def line(cursor: FeedCursor, change: Change) -> bytes:
    """Returns the object of a change, with its line's end."""
    told = {
        "cursor": cursor.text,
        "op": change.op,
        "type": change.type,
        "value": change.value,
        "score": change.score,
        "confidence": change.confidence,
        "tlp": change.tlp,
        "pap": change.pap,
        "valid_from": change.valid_from,
        "valid_until": change.valid_until,
        "authors": change.authors,
        "sources": change.sources,
        "reason": change.reason,
        "at": change.at,
    }
    return escaped_json(_encode(told)) + b"\n"


def reset(beginning: FeedCursor, end: FeedCursor) -> bytes:
    """Returns the object that tells to begin again."""
    return _encode({"cursor": beginning.text, "op": "reset", "until": end.text}) + b"\n"


FORMAT = ChangeFormat(line, reset)
