"""One playbook on its way out: what every format carries of it, to the byte, and what it says of itself.

1. Where nothing has to be put in or taken out, the text leaves as it is held, byte for byte.
2. Else it is written anew, each value as it was, in its order: the digest of an approval is that of before.
3. Signatures that the text had already stay; those of valid approvals follow them, each once.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, NamedTuple

from p2pshare.errors import AuthorError
from p2pshare.intel.instants import parse_instant
from p2pshare.intel.marking import Tlp
from p2pshare.intel.playbooks.playbook_text import Playbook

_UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_HEADING = {
    "id": re.compile(rf"playbook--{_UUID}", re.ASCII),
    "created_by": re.compile(rf"identity--{_UUID}", re.ASCII),
    "created": re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z", re.ASCII),
    "modified": re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z", re.ASCII),
}

_LEVELS = {"marking-tlp": "tlpv2_level", "marking-iep": "tlp"}


class PlaybookRecord(NamedTuple):
    """A playbook to export. `signatures`: the jss of each valid approval of exactly this content; `tlp`: the marking of
    where it is held, for the stricter of that and its own counts; `author`: what whoever made it is called."""

    playbook: Playbook
    signatures: tuple[Mapping[str, Any], ...] = ()
    is_unsigned: bool = False
    tlp: Tlp | None = None
    author: str = ""


class PlaybookHeading(NamedTuple):
    """What every format says beside the playbook. `changed_us`: when it or its newest signature was made, in microseconds."""

    playbook_id: str
    name: str
    created_by: str
    created: str
    modified: str
    changed_us: int
    tlp: Tlp | None


def cacao_text(record: PlaybookRecord) -> bytes:
    """Returns the playbook as CACAO 2.0, with its signatures or without any."""
    document = record.playbook.document
    own = document.get("signatures")
    kept = [] if record.is_unsigned or not isinstance(own, list) else list(own)
    if not record.is_unsigned:
        known = {_written(one) for one in kept}
        for signature in record.signatures:
            if _written(signature) not in known:
                known.add(_written(signature))
                kept.append(dict(signature))
    if kept == own or (not kept and "signatures" not in document):
        return record.playbook.raw
    told = {name: value for name, value in document.items() if name != "signatures"}
    if kept:  # the schema wants one at least
        told["signatures"] = kept
    return json.dumps(told, ensure_ascii=False, indent=2, allow_nan=False).encode() + b"\n"


def heading_of(record: PlaybookRecord) -> PlaybookHeading:
    """Returns what a format says of the playbook outside of it. Raises AuthorError `schema` where that is not what CACAO asks for."""
    document = record.playbook.document
    name = document.get("name")
    if not isinstance(name, str) or not name:
        raise _no_heading("name")
    for property_, shape in _HEADING.items():
        said = document.get(property_)
        if not isinstance(said, str) or shape.fullmatch(said) is None:
            raise _no_heading(property_)
    instants = [_instant_us(document, "modified")]
    _instant_us(document, "created")
    for signature in () if record.is_unsigned else record.signatures:
        with suppress(ValueError):
            instants.append(parse_instant(str(signature.get("modified"))))
    return PlaybookHeading(
        document["id"],
        name,
        document["created_by"],
        document["created"],
        document["modified"],
        max(instants),
        _strictest(document, record.tlp),
    )


def texts_of(document: Mapping[str, Any], name: str) -> list[str]:
    """Returns the texts of a list, those that are."""
    said = document.get(name)
    return [one for one in said if isinstance(one, str) and one] if isinstance(said, list) else []


def score_of(document: Mapping[str, Any], name: str) -> int | None:
    """Returns `priority`, `severity` or `impact` where it is said, from 0 to 100."""
    said = document.get(name)
    return said if isinstance(said, int) and not isinstance(said, bool) and 0 <= said <= 100 else None


def _strictest(document: Mapping[str, Any], held: Tlp | None) -> Tlp | None:
    """Returns the strictest level of the playbook's markings and of where it is held. A marking that is not read is RED: what nobody
    can read may not be handed on."""
    found: list[Tlp] = [] if held is None else [held]
    definitions = document.get("data_marking_definitions")
    for name in texts_of(document, "markings"):
        definition = definitions.get(name) if isinstance(definitions, dict) else None
        kind = definition.get("type") if isinstance(definition, dict) else None
        if isinstance(definition, dict) and isinstance(kind, str) and kind in _LEVELS:
            level = definition.get(_LEVELS[kind])
            read = Tlp.from_label(level) if isinstance(level, str) else None
            found.append(Tlp.RED if read is None else read)
        elif kind != "marking-statement":  # a copyright or the like: it says nothing of whom it may reach
            found.append(Tlp.RED)
    return max(found, default=None)


def _instant_us(document: Mapping[str, Any], property_: str) -> int:
    try:
        return parse_instant(document[property_])
    except ValueError:
        raise _no_heading(property_) from None


def _written(signature: Mapping[str, Any]) -> str:
    return json.dumps(signature, sort_keys=True)


def _no_heading(property_: str) -> AuthorError:
    return AuthorError(
        f"the playbook's {property_} is not what CACAO 2.0 asks for",
        hint="p2pshare playbook lint FILE says what is wrong with it",
        reason="schema",
    )
