"""Checks of one parsed STIX object: the properties it must have, and their kinds. Literal tables of STIX 2.1.

Required properties are those of the standard, per type; for STIX 2.0 objects (no `spec_version`) those that
2.0 did not have yet are not asked for. Properties that are not in the tables are never looked at: extensions
and custom types pass with their common properties checked.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Annotated, Any, Literal

import msgspec

from p2pshare.intel.instants import parse_instant
from p2pshare.intel.json_text import Fault
from p2pshare.limits import SIGHTING_COUNT_MAX

TYPE_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,249}", re.ASCII)
_UUID = r"--[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"
_ID = re.compile(TYPE_NAME.pattern + _UUID, re.ASCII)
_ID_TAIL = re.compile(_UUID)


def is_id(text: object) -> bool:
    """Returns whether `text` is `type--uuid` (STIX 2.1 section 2.9), any UUID version."""
    return isinstance(text, str) and _ID.fullmatch(text) is not None


is_indicator_id = re.compile("indicator" + _UUID).fullmatch
"""Like `is_id_of`, for the type that nearly every object has."""


def is_id_of(id_: str, type_: str) -> bool:
    """Returns whether `id_` is an id of an object of `type_`."""
    return id_.startswith(type_) and _ID_TAIL.fullmatch(id_, len(type_)) is not None


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_filled(value: object) -> bool:
    return isinstance(value, str) and value != ""


def _is_bool(value: object) -> bool:
    return isinstance(value, bool)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_object(value: object) -> bool:
    return isinstance(value, dict)


def _is_confidence(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 100


def _is_sighting_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= SIGHTING_COUNT_MAX


def _is_instant(value: object) -> bool:
    if not isinstance(value, str):
        return False
    try:
        parse_instant(value)
    except ValueError:
        return False
    return True


def _is_list_of(member: Callable[[object], bool]) -> Callable[[object], bool]:
    return lambda value: isinstance(value, list) and all(member(one) for one in value)


def _is_granular_marking(value: object) -> bool:
    return isinstance(value, dict) and (is_id(value.get("marking_ref")) or _is_text(value.get("lang")))


FieldCheck = Callable[[object], bool]
_TEXTS = _is_list_of(_is_text)
_IDS = _is_list_of(is_id)

# STIX 2.1 section 3.2: wherever these stand, they are of this kind.
COMMON: dict[str, FieldCheck] = {
    "spec_version": _is_text,
    "created": _is_instant,
    "modified": _is_instant,
    "created_by_ref": is_id,
    "revoked": _is_bool,
    "labels": _TEXTS,
    "confidence": _is_confidence,
    "object_marking_refs": _IDS,
    "granular_markings": _is_list_of(_is_granular_marking),
    "extensions": _is_object,
}
VERSIONED: dict[str, FieldCheck] = {"created": _is_instant, "modified": _is_instant}
NAMED: dict[str, FieldCheck] = VERSIONED | {"name": _is_text}

REQUIRED: dict[str, dict[str, FieldCheck]] = {
    # domain objects, section 4
    "attack-pattern": NAMED,
    "campaign": NAMED,
    "course-of-action": NAMED,
    "grouping": VERSIONED | {"context": _is_text, "object_refs": _IDS},
    "identity": NAMED,
    "incident": NAMED,
    "indicator": VERSIONED | {"pattern": _is_filled, "pattern_type": _is_filled, "valid_from": _is_instant},
    "infrastructure": NAMED,
    "intrusion-set": NAMED,
    "location": VERSIONED,
    "malware": VERSIONED | {"is_family": _is_bool},
    "malware-analysis": VERSIONED | {"product": _is_text},
    "note": VERSIONED | {"content": _is_text, "object_refs": _IDS},
    "observed-data": VERSIONED
    | {"first_observed": _is_instant, "last_observed": _is_instant, "number_observed": _is_number},
    "opinion": VERSIONED | {"opinion": _is_text, "object_refs": _IDS},
    "report": NAMED | {"published": _is_instant, "object_refs": _IDS},
    "threat-actor": NAMED,
    "tool": NAMED,
    "vulnerability": NAMED,
    # relationships, section 5
    "relationship": VERSIONED | {"relationship_type": _is_filled, "source_ref": is_id, "target_ref": is_id},
    "sighting": VERSIONED | {"sighting_of_ref": is_id},
    # cyber-observable objects, section 6: no versions
    "autonomous-system": {"number": _is_number},
    "directory": {"path": _is_text},
    "domain-name": {"value": _is_text},
    "email-addr": {"value": _is_text},
    "email-message": {"is_multipart": _is_bool},
    "ipv4-addr": {"value": _is_text},
    "ipv6-addr": {"value": _is_text},
    "mac-addr": {"value": _is_text},
    "mutex": {"name": _is_text},
    "network-traffic": {"protocols": _TEXTS},
    "software": {"name": _is_text},
    "url": {"value": _is_text},
    # meta objects, section 7
    "extension-definition": NAMED | {"schema": _is_text, "version": _is_text},
    "language-content": VERSIONED | {"object_ref": is_id, "contents": _is_object},
    "marking-definition": {"created": _is_instant},
}
# Also these, where present.
OPTIONAL: dict[str, dict[str, FieldCheck]] = {
    "indicator": {"valid_until": _is_instant, "indicator_types": _TEXTS, "pattern_type": _is_text},
    "sighting": {"count": _is_sighting_count, "first_seen": _is_instant, "last_seen": _is_instant},
}
# What is looked at wherever it stands, beyond what the type requires.
BESIDE = {
    type_: {name: fits for name, fits in (COMMON | OPTIONAL.get(type_, {})).items() if name not in required}
    for type_, required in REQUIRED.items()
}
NEW_IN_21 = frozenset({("indicator", "pattern_type"), ("malware", "is_family")})
NOTHING: dict[str, FieldCheck] = {}
IDS = frozenset({is_id, _IDS})


def find_wrong(stix: Mapping[str, Any]) -> Fault | None:
    """Returns the first fault of a parsed object, or None. Never raises.

    Reasons: bad-type, bad-id, missing-property, bad-timestamp, wrong-type.
    """
    type_ = stix.get("type")
    if not isinstance(type_, str) or TYPE_NAME.fullmatch(type_) is None:
        return Fault("bad-type", "/type")
    id_ = stix.get("id")
    if not isinstance(id_, str) or not is_id_of(id_, type_):
        return Fault("bad-id", "/id")
    is_20 = "spec_version" not in stix
    for name, fits in REQUIRED.get(type_, NOTHING).items():
        if name in stix:
            if not fits(stix[name]):
                return _wrong(name, fits)
        elif not (is_20 and (type_, name) in NEW_IN_21):
            return Fault("missing-property", f"/{name}")
    beside = BESIDE.get(type_, COMMON)
    for name, value in stix.items():
        kind = beside.get(name)
        if kind is not None and not kind(value):
            return _wrong(name, kind)
    return None


class PlainIndicator(msgspec.Struct, gc=False):
    """An ordinary indicator with the properties that the tables above look at; its ids and instants are
    checked by `as_plain_indicator`. A property that is not named here is not looked at by the tables either."""

    type: Literal["indicator"]
    id: str
    created: str
    modified: str
    valid_from: str
    pattern: Annotated[str, msgspec.Meta(min_length=1)]
    pattern_type: Annotated[str, msgspec.Meta(min_length=1)]
    spec_version: str = ""
    created_by_ref: str | msgspec.UnsetType = msgspec.UNSET
    revoked: bool = False
    labels: tuple[str, ...] = ()
    confidence: Annotated[int, msgspec.Meta(ge=0, le=100)] = 0
    object_marking_refs: tuple[str, ...] = ()
    granular_markings: tuple[()] = ()
    extensions: dict[str, Any] = {}
    valid_until: str | msgspec.UnsetType = msgspec.UNSET
    indicator_types: tuple[str, ...] = ()


def as_plain_indicator(stix: object) -> PlainIndicator | None:
    """Returns the indicator when `find_wrong` would find no fault in it. Fast path: None decides nothing."""
    try:
        plain = msgspec.convert(stix, PlainIndicator)
    except msgspec.ValidationError:
        return None
    modified, author, until = plain.modified, plain.created_by_ref, plain.valid_until
    is_right = (
        is_indicator_id(plain.id) is not None
        and _is_instant(modified)
        and (plain.created == modified or _is_instant(plain.created))
        and (plain.valid_from == modified or _is_instant(plain.valid_from))
        and (until is msgspec.UNSET or _is_end(until))
        and (author is msgspec.UNSET or _are_ids((author,)))
        and _are_ids(plain.object_marking_refs)
    )
    return plain if is_right else None


_is_end = lru_cache(maxsize=1_024)(_is_instant)
"""Remembered, since many objects end at the same few instants."""


@lru_cache(maxsize=1_024)
def _are_ids(texts: tuple[str, ...]) -> bool:
    """Returns whether all are ids; remembered, since neighbours have the same author and the same markings."""
    return all(map(is_id, texts))


def _wrong(name: str, fits: FieldCheck) -> Fault:
    if fits is _is_instant:
        return Fault("bad-timestamp", f"/{name}")
    return Fault("bad-id" if fits in IDS else "wrong-type", f"/{name}")
