"""The formats that people publish, by name: a new one is a file beside this one and a row here.

A row is all that help, completion and detection by a file's name or JSON read of a format; `load_importer` imports the file it
names. Detection asks in the order of the rows (`detection.detect_format`): signs without doubt stand above guesses.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from p2pshare.importers.interface import InputFormat


class Importer(NamedTuple):
    """A row: the place of a format in the program, its line in help, and the signs of a file in it."""

    path: str
    """`module:name` of an `ObjectFormat` or a `ValueFormat`."""
    about: str
    """Follows the name in help."""
    endings: tuple[str, ...] = ()
    """Ends of the names of such files, in lower case."""
    json_keys: tuple[str, ...] = ()
    """Keys of its outermost object that no other format in JSON has there; none for what is no JSON."""


# fmt: off
IMPORTERS: Mapping[str, Importer] = {
    "stix": Importer("p2pshare.importers.stix:FORMAT", "a STIX bundle", (".json", ".stix", ".stix2"), ("objects", "spec_version")),
    "misp": Importer("p2pshare.importers.misp:FORMAT", "MISP events", (), ("Event", "response", "Attribute", "Object", "Orgc", "threat_level_id")),
    "sigma": Importer("p2pshare.importers.sigma:FORMAT", "Sigma rules", (".yml", ".yaml")),
    "yara": Importer("p2pshare.importers.yara:FORMAT", "YARA rules", (".yar", ".yara")),
    "kev": Importer("p2pshare.importers.kev:FORMAT", "CISA's catalogue of exploited vulnerabilities", (), ("catalogVersion",)),
    "csaf": Importer("p2pshare.importers.csaf:FORMAT", "a CSAF advisory", (), ("document", "product_tree")),
    "csv": Importer("p2pshare.importers.tables:FORMAT", "a table", (".csv", ".tsv")),
    "list": Importer("p2pshare.importers.values:FORMAT", "a value a line"),
    "text": Importer("p2pshare.importers.reports:FORMAT", "a report", (".md", ".markdown", ".adoc", ".asciidoc")),
}
# fmt: on


def load_importer(name: str) -> InputFormat:
    """Returns the format called `name`. Raises KeyError for one that has no row."""
    from pkgutil import resolve_name  # not for help, which reads the rows only

    found: InputFormat = resolve_name(IMPORTERS[name].path)
    return found
