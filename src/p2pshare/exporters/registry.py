"""The formats that others read, by name: a new one is a file beside this one and a row here.

A row is all that help and completion read of a format; `load_exporter` imports the file it names.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from p2pshare.exporters.interface import FolderFormat, Format


class Exporter(NamedTuple):
    """A row: the place of a format in the program, and its line in help."""

    path: str
    """`module:name` of a `Format` or a `FolderFormat`."""
    about: str
    """Follows the name in help."""


EXPORTERS: Mapping[str, Exporter] = {
    "ndjson": Exporter("p2pshare.exporters.ndjson:FORMAT", "one JSON object a line, as in v1_indicators"),
    "list": Exporter("p2pshare.exporters.plain_list:FORMAT", "one value a line, for blocking"),
    "stix": Exporter("p2pshare.exporters.stix:FORMAT", "a STIX bundle, each object as its author wrote it"),
    "misp": Exporter("p2pshare.exporters.misp:FORMAT", "MISP events, one for each author and marking"),
    "misp-feed": Exporter("p2pshare.exporters.misp:FEED", "a folder that MISP reads as a feed"),
}


def load_exporter(name: str) -> Format | FolderFormat:
    """Returns the format called `name`. Raises KeyError for one that has no row."""
    from pkgutil import resolve_name  # not for help, which reads the rows only

    found: Format | FolderFormat = resolve_name(EXPORTERS[name].path)
    return found
