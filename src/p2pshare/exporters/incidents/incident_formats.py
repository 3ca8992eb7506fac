"""The formats in which an incident is exported, by name: a new one is a file beside this one and a row here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from p2pshare.intel.incident_record import IncidentRecord


class IncidentExporter(NamedTuple):
    """A row: the place of a format in the program, and its line in help."""

    path: str
    """`module:name` of a function from an `IncidentRecord` to the bytes of the file."""
    about: str


INCIDENT_EXPORTERS: Mapping[str, IncidentExporter] = {
    "stix": IncidentExporter(
        "p2pshare.intel.incident_suite:incident_bundle", "a STIX 2.1 bundle, which `import` reads back"
    ),
    "markdown": IncidentExporter(
        "p2pshare.exporters.incidents.incident_markdown:render", "a text for people"
    ),
    "html": IncidentExporter("p2pshare.exporters.incidents.incident_page:render", "one page to print"),
    "csv": IncidentExporter("p2pshare.exporters.incidents.incident_table:render", "the time line as a table"),
    "veris": IncidentExporter("p2pshare.exporters.incidents.incident_veris:render", "VERIS 1.4 as JSON"),
}


def load_incident_exporter(name: str) -> Callable[[IncidentRecord], bytes]:
    """Returns the format called `name`. Raises KeyError for one that has no row."""
    from pkgutil import resolve_name  # not for help, which reads the rows only

    found: Callable[[IncidentRecord], bytes] = resolve_name(INCIDENT_EXPORTERS[name].path)
    return found
