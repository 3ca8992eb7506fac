"""Detection rules of other languages (Sigma, YARA) as STIX indicators of ours.

The pattern is the rule's own text. The rule's author, and the licence under which it may be passed on, travel
beside it as `x_rule_author` and `x_rule_license`; `created_by_ref` is the partner who publishes it. `created`
and `valid_from` are the rule's own date, so that they never change (STIX 2.1 section 3.2); a rule without one
is created when it is published. `modified` is always when it is published: authors forget to move their own.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from p2pshare.importers.interface import InputSource
from p2pshare.intel.authoring import identity_id, named_id
from p2pshare.intel.instants import SECOND_US, format_instant
from p2pshare.intel.json_text import Fault
from p2pshare.intel.marking import TLP2_IDS, Tlp
from p2pshare.limits import LABELS_MAX

_DATE = re.compile(r"(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})(?!\d)", re.ASCII)
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)


@dataclass(frozen=True)
class Rule:
    """A rule as it describes itself. `text` is its pattern, byte for byte; `own_id` its UUID where that is
    unique to it, `external_id` whatever else it goes by; `tlp` the words by which it is marked."""

    language: str
    text: str
    name: str
    own_id: str = ""
    external_id: str = ""
    description: str = ""
    date: str = ""
    author: str = ""
    licence: str = ""
    references: Sequence[str] = ()
    labels: Sequence[str] = ()
    tlp: Sequence[str] = field(default_factory=tuple)


def indicator_of(rule: Rule, source: InputSource) -> dict[str, Any] | Fault:
    """Returns the rule as a STIX indicator; a Fault unknown-marking where the rule is marked in words that
    are no TLP level."""
    levels = [Tlp.from_label(word) for word in rule.tlp]
    if None in levels:
        return Fault("unknown-marking", "")
    created = instant_of(rule.date, source.now)
    own_id = rule.own_id.lower() if is_uuid(rule.own_id) else ""
    stix: dict[str, Any] = {
        "type": "indicator",
        "spec_version": "2.1",
        "id": f"indicator--{own_id or named_id(f'{source.author.text}:{rule.language}:{rule.name}')}",
        "created_by_ref": identity_id(source.author),
        "created": created,
        "modified": format_instant(source.now * SECOND_US),
        "name": rule.name,
        "description": rule.description,
        "pattern": rule.text,
        "pattern_type": rule.language,
        "valid_from": created,
        "labels": list(dict.fromkeys(rule.labels))[:LABELS_MAX],
        "external_references": [
            *(
                {"source_name": rule.language, "external_id": id_}
                for id_ in (rule.own_id, rule.external_id)
                if id_
            ),
            *({"source_name": "reference", "url": url} for url in rule.references),
        ],
        "object_marking_refs": marking_refs(source.tlp, *levels),
        "x_rule_author": rule.author,
        "x_rule_license": rule.licence,
    }
    return {name: value for name, value in stix.items() if value not in ("", [])}


def marking_refs(*levels: Tlp | None) -> list[str]:
    """Returns the strictest of the levels as a reference, or nothing where there is none."""
    given = [level for level in levels if level is not None]
    return [TLP2_IDS[max(given)]] if given else []


def instant_of(text: str, now: int) -> str:
    """Returns the day in `text` (2024-05-01, 2024/5/1) as an instant; `now`, in seconds since 1970, where
    there is none, or one that is yet to come."""
    match = _DATE.match(text.strip())
    seconds = now
    if match is not None:
        year, month, day = map(int, match.groups())
        if year >= 1970 and 1 <= month <= 12 and 1 <= day <= 31:
            seconds = calendar.timegm((year, month, day, 0, 0, 0))
    return format_instant(min(seconds, now) * SECOND_US) or ""


def is_uuid(text: str) -> bool:
    return _UUID.fullmatch(text.lower()) is not None


def texts_of(value: object) -> list[str]:
    """Returns the texts in what may be a text or a list of them; numbers and dates as they print."""
    members: Iterable[object] = value if isinstance(value, list) else [value]
    return [str(one) for one in members if isinstance(one, str | int | float) and str(one).strip()]
