"""The formats in which rules of a lab are exported, by name: a new one is a file beside this one and a row here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from p2pshare.intel.refusals import Refusals

if TYPE_CHECKING:
    from p2pshare.intel.rule_record import RuleRecord

    RuleWriter = Callable[[Sequence[RuleRecord], Refusals], bytes]
    """Returns the file with the rules; those that it cannot hold it refuses, each with a reason."""


class RuleExporter(NamedTuple):
    """A row: the place of a format in the program, the languages that it holds, and its line in help."""

    path: str
    languages: tuple[str, ...]
    about: str


RULE_EXPORTERS: Mapping[str, RuleExporter] = {
    "sigma": RuleExporter("p2pshare.exporters.labs.rule_texts:sigma", ("sigma",), "Sigma rules, one file"),
    "yara": RuleExporter("p2pshare.exporters.labs.rule_texts:yara", ("yara",), "YARA rules, one file"),
    "suricata": RuleExporter(
        "p2pshare.exporters.labs.rule_texts:suricata", ("suricata",), "Suricata rules, one file"
    ),
    "zip": RuleExporter(
        "p2pshare.exporters.labs.rule_archive:render",
        ("sigma", "snort", "suricata", "yara"),
        "each rule as its author wrote it, and a list of authors and licences",
    ),
    "splunk": RuleExporter(
        "p2pshare.exporters.labs.rule_backends:splunk", ("sigma",), "Sigma rules as Splunk searches"
    ),
    "elastic": RuleExporter(
        "p2pshare.exporters.labs.rule_backends:elastic", ("sigma",), "Sigma rules as Lucene queries"
    ),
}


def load_rule_exporter(name: str) -> RuleWriter:
    """Returns the format called `name`. Raises KeyError for one that has no row."""
    from pkgutil import resolve_name  # not for help, which reads the rows only

    found: RuleWriter = resolve_name(RULE_EXPORTERS[name].path)
    return found
