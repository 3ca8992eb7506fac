"""The formats in which changes are told, by name: a new one is a file beside this one and a row here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from p2pshare.knowledge.changes import Change, FeedCursor


@dataclass(frozen=True)
class ChangeFormat:
    """How a change is written: one line, with its end. `reset` tells to begin again at the first cursor, and what has not been told
    again up to the second is to be dropped. `head` stands before all lines."""

    line: Callable[[FeedCursor, Change], bytes]
    reset: Callable[[FeedCursor, FeedCursor], bytes]
    head: bytes = b""


class ChangeExporter(NamedTuple):
    """A row: the place of a format in the program, and its line in help."""

    path: str
    """`module:name` of a `ChangeFormat`."""
    about: str


CHANGE_EXPORTERS: Mapping[str, ChangeExporter] = {
    "ndjson": ChangeExporter("p2pshare.exporters.changes.change_lines:FORMAT", "one JSON object a line"),
    "ecs": ChangeExporter(
        "p2pshare.exporters.changes.change_ecs:FORMAT", "Elastic Common Schema, one JSON object a line"
    ),
    "cef": ChangeExporter("p2pshare.exporters.changes.change_cef:FORMAT", "ArcSight CEF, one event a line"),
    "csv": ChangeExporter("p2pshare.exporters.changes.change_table:FORMAT", "a table with a head"),
}


def load_change_exporter(name: str) -> ChangeFormat:
    """Returns the format called `name`. Raises KeyError for one that has no row."""
    from pkgutil import resolve_name  # not for help, which reads the rows only

    found: ChangeFormat = resolve_name(CHANGE_EXPORTERS[name].path)
    return found
