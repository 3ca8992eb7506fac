"""CEF: one change an event, in ArcSight's Common Event Format, version 0 (Micro Focus, "ArcSight Common Event Format", 2021).

A header escapes `\\` and `|`, an extension `\\`, `=` and line ends; other characters that are not printable are written out, as for a terminal.
"""

from __future__ import annotations

from p2pshare import __version__
from p2pshare.exporters.changes.change_formats import ChangeFormat
from p2pshare.intel.display import safe
from p2pshare.intel.instants import parse_instant
from p2pshare.knowledge.changes import Change, FeedCursor

# The key of the value: CEF has names for these; any other type stands in cs1, as all do.
_KEYS = {
    "ipv4": "dst",
    "ipv6": "c6a3",
    "url": "request",
    "domain": "dhost",
    "sha256": "fileHash",
    "sha1": "fileHash",
    "md5": "fileHash",
}
_NAMES = {"add": "indicator added", "update": "indicator changed", "remove": "indicator removed"}
SEVERITY_MAX = 10


def line(cursor: FeedCursor, change: Change) -> bytes:
    """Returns the event of a change, with its line's end. The severity is a tenth of the score; 0 of what is removed."""
    extension = [
        ("rt", str(parse_instant(change.at) // 1_000)),
        ("externalId", cursor.text),
        ("cs1Label", change.type),
        ("cs1", change.value),
    ]
    if change.type in _KEYS:
        extension.append((_KEYS[change.type], change.value))
    if change.type == "ipv6":
        extension.append(("c6a3Label", "Destination IPv6 Address"))
    for number, (label, text) in enumerate(
        (
            ("tlp", change.tlp),
            ("pap", change.pap),
            ("validFrom", change.valid_from),
            ("validUntil", change.valid_until),
        ),
        2,
    ):
        if text is not None:
            extension += [(f"cs{number}Label", label), (f"cs{number}", text)]
    for number, (label, count) in enumerate(
        (("confidence", change.confidence), ("authors", change.authors), ("sources", change.sources)), 1
    ):
        if count is not None:
            extension += [(f"cn{number}Label", label), (f"cn{number}", str(count))]
    if change.reason is not None:
        extension.append(("reason", change.reason))
    severity = 0 if change.op == "remove" else min((change.score or 0) // 10, SEVERITY_MAX)
    return _event(change.op, _NAMES[change.op], severity, extension)


def reset(beginning: FeedCursor, end: FeedCursor) -> bytes:
    """Returns the event that tells to begin again."""
    until = [("externalId", beginning.text), ("cs6Label", "until"), ("cs6", end.text)]
    return _event("reset", "begin again: drop what is not told once more", 0, until)


def _event(op: str, name: str, severity: int, extension: list[tuple[str, str]]) -> bytes:
    header = "|".join(map(_header, ("CEF:0", "p2pshare", "p2pshare", __version__, op, name, str(severity))))
    return f"{header}|{' '.join(f'{key}={_extension(text)}' for key, text in extension)}\n".encode()


def _header(text: str) -> str:
    return safe(text).replace("\\", "\\\\").replace("|", "\\|")


def _extension(text: str) -> str:
    return safe(text).replace("\\", "\\\\").replace("=", "\\=")


FORMAT = ChangeFormat(line, reset)
