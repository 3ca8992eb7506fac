"""Elastic Common Schema 8: one change a line, a document of `threat.indicator` (https://www.elastic.co/guide/en/ecs/current/ecs-threat.html).

ECS has no word for a removal: it is `event.action`, with the reason in `event.reason`. The cursor is `event.id`: a document that comes twice
replaces itself where an ingest uses it as `_id`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from p2pshare.exporters.changes.change_formats import ChangeFormat
from p2pshare.intel.display import escaped_json
from p2pshare.knowledge.changes import Change, FeedCursor

ECS_VERSION = "8.17.0"
_encode = msgspec.json.Encoder().encode


def _hash(name: str) -> Callable[[str], dict[str, Any]]:
    return lambda value: {"file": {"hash": {name: value}}}


# type -> (ECS's word for the kind of indicator, the field that holds the value)
_FIELDS: Mapping[str, tuple[str, Callable[[str], dict[str, Any]]]] = {
    "ipv4": ("ipv4-addr", lambda value: {"ip": value}),
    "ipv6": ("ipv6-addr", lambda value: {"ip": value}),
    "ipv4-net": ("ipv4-addr", lambda value: {}),
    "ipv6-net": ("ipv6-addr", lambda value: {}),
    "domain": ("domain-name", lambda value: {"url": {"domain": value}}),
    "url": ("url", lambda value: {"url": {"full": value}}),
    "email": ("email-addr", lambda value: {"email": {"address": value}}),
    "md5": ("file", _hash("md5")),
    "sha1": ("file", _hash("sha1")),
    "sha256": ("file", _hash("sha256")),
    "sha512": ("file", _hash("sha512")),
    "ssdeep": ("file", _hash("ssdeep")),
    "tlsh": ("file", _hash("tlsh")),
    "file-name": ("file", lambda value: {"file": {"name": value}}),
    "registry-key": ("windows-registry-key", lambda value: {"registry": {"key": value}}),
    "asn": (
        "autonomous-system",
        lambda value: {"as": {"number": int(value)}},
    ),
    "mac": ("mac-addr", lambda value: {}),
}
_OTHER: tuple[str, Callable[[str], dict[str, Any]]] = ("artifact", lambda value: {})

# STIX 2.1, Appendix A: the scale of None, Low, Med, High, from which values are taken here
_CONFIDENCES = ((70, "High"), (30, "Medium"), (1, "Low"), (0, "None"))


def line(cursor: FeedCursor, change: Change) -> bytes:
    """Returns the document of a change, with its line's end."""
    kind, field = _FIELDS.get(change.type, _OTHER)
    indicator: dict[str, Any] = {"type": kind, "name": change.value} | field(change.value)
    indicator["modified_at"] = change.at
    indicator["sightings"] = change.sources
    if change.confidence is not None:
        indicator["confidence"] = next(word for least, word in _CONFIDENCES if change.confidence >= least)
    if change.tlp is not None:
        indicator["marking"] = {"tlp": change.tlp.removeprefix("TLP:"), "tlp_version": "2.0"}
    return _document(
        cursor, change.op, change.at, change.reason, {"threat": {"indicator": indicator}} | _own(change)
    )


def reset(beginning: FeedCursor, end: FeedCursor) -> bytes:
    """Returns the document that tells to begin again: it has no indicator."""
    return _document(beginning, "reset", None, None, {"p2pshare": {"until": end.text}})


def _own(change: Change) -> dict[str, Any]:
    own = {
        "type": change.type,
        "score": change.score,
        "pap": change.pap,
        "valid_from": change.valid_from,
        "valid_until": change.valid_until,
        "authors": change.authors,
    }
    return {"p2pshare": {name: value for name, value in own.items() if value is not None}}


def _document(cursor: FeedCursor, op: str, at: str | None, reason: str | None, rest: dict[str, Any]) -> bytes:
    event: dict[str, Any] = {
        "kind": "enrichment",
        "category": ["threat"],
        "type": ["indicator"],
        "dataset": "p2pshare.changes",
        "action": op,
        "id": cursor.text,
    }
    if reason is not None:
        event["reason"] = reason
    head: dict[str, Any] = {"ecs": {"version": ECS_VERSION}, "event": event}
    return escaped_json(_encode(({"@timestamp": at} if at else {}) | head | rest)) + b"\n"


FORMAT = ChangeFormat(line, reset)
