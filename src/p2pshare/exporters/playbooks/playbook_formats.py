"""The formats in which a playbook is exported, by name: a new one is a file beside this one and a row here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from p2pshare.exporters.playbooks.playbook_record import PlaybookRecord


class PlaybookExporter(NamedTuple):
    """A row: the place of a format in the program, and its line in help."""

    path: str
    """`module:name` of a function from a `PlaybookRecord` to the bytes of the file."""
    about: str


PLAYBOOK_EXPORTERS: Mapping[str, PlaybookExporter] = {
    "cacao": PlaybookExporter(
        "p2pshare.exporters.playbooks.playbook_record:cacao_text", "CACAO 2.0, which the roaster reads"
    ),
    "misp": PlaybookExporter(
        "p2pshare.exporters.playbooks.playbook_misp:render", "a MISP event with a security-playbook"
    ),
    "stix": PlaybookExporter(
        "p2pshare.exporters.playbooks.playbook_stix:render", "a STIX bundle with a course of action"
    ),
    "soarca": PlaybookExporter(
        "p2pshare.exporters.playbooks.playbook_soarca:render", "CACAO 2.0 for SOARCA, which leaves steps out"
    ),
}


def load_playbook_exporter(name: str) -> Callable[[PlaybookRecord], bytes]:
    """Returns the format called `name`. Raises KeyError for one that has no row."""
    from pkgutil import resolve_name  # not for help, which reads the rows only

    found: Callable[[PlaybookRecord], bytes] = resolve_name(PLAYBOOK_EXPORTERS[name].path)
    return found
