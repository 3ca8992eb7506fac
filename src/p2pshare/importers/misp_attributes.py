"""A MISP attribute, and the sightings of it, as STIX objects (docs/decisions/0030).

An attribute to detect is an indicator; any other is observed data with the thing it saw; a weakness is a
vulnerability; an attribute that STIX has no word for is `x-misp-attribute`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from p2pshare.importers import misp_objects as build
from p2pshare.importers.misp_objects import Common
from p2pshare.importers.misp_text import (
    format_seconds,
    instant_text,
    is_true,
    seconds_of,
    text_of,
    things_in,
    uuid_of,
)
from p2pshare.importers.misp_types import (
    EXPIRATION,
    FALSE_POSITIVE,
    OBSERVABLE_TYPES,
    RULE_TYPES,
    SIGHTING,
    AttributeValue,
    read_value,
)
from p2pshare.intel.authoring import named_id
from p2pshare.intel.observable import InvalidValue, Observable

NOTHING = AttributeValue((), "", "")


class Made(NamedTuple):
    """The object of an attribute, the things it saw, and a word for what was dropped or assumed on the way."""

    stix: dict[str, Any]
    things: list[dict[str, Any]]
    note: str


def make_attribute(thing: Mapping[str, Any], common: Common, *, is_deleted: bool) -> Made:
    """Returns the object for an attribute that has a type and a value. Raises InvalidValue."""
    type_, value, comment = text_of(thing, "type"), text_of(thing, "value"), text_of(thing, "comment")
    first = instant_text(thing, "first_seen") or format_seconds(common.modified)
    is_to_detect = is_true(thing, "to_ids")
    observables, beside, note = _value_of(type_, value, is_to_detect)
    pattern = _pattern_of(type_, value, observables) if is_to_detect else ""
    if pattern:
        return Made(
            build.indicator(
                common,
                pattern,
                pattern_type=RULE_TYPES.get(type_, "stix"),
                name=value if observables else type_,
                description=comment,
                valid_from=first,
                valid_until=_expiration(thing, first),
                is_revoked=is_deleted,
            ),
            [],
            note,
        )
    if is_deleted:
        raise InvalidValue("deleted")
    if type_ == "vulnerability":
        reference = [{"source_name": "cve", "external_id": value}]
        weakness = build.versioned(
            "vulnerability", common, name=value, description=comment, external_references=reference
        )
        return Made(weakness, [], note)
    things = build.things_of(observables, beside, common.marking_refs)
    if not things:
        return Made(_unchanged(thing, common, is_to_detect), [], note)
    last = max(first, instant_text(thing, "last_seen") or first)
    return Made(build.observed(common, things, first=first, last=last, comment=comment), things, note)


def _value_of(type_: str, value: str, is_to_detect: bool) -> AttributeValue:
    """Returns the observables of a value. Raises InvalidValue for a value that is to be detected and cannot
    be; any other is kept as it was written."""
    if type_ not in OBSERVABLE_TYPES:
        return NOTHING
    try:
        return read_value(type_, value)
    except InvalidValue:
        if is_to_detect:
            raise
        return NOTHING


def _unchanged(thing: Mapping[str, Any], common: Common, is_to_detect: bool) -> dict[str, Any]:
    return build.versioned(
        "x-misp-attribute",
        common,
        x_misp_type=text_of(thing, "type"),
        x_misp_category=text_of(thing, "category"),
        x_misp_value=text_of(thing, "value"),
        x_misp_comment=text_of(thing, "comment"),
        x_misp_to_ids=is_to_detect or None,
    )


def _pattern_of(type_: str, value: str, observables: tuple[Observable, ...]) -> str:
    if type_ in RULE_TYPES:
        return value
    return build.pattern_of_all(observables) if observables and build.has_pattern(observables) else ""


def _expiration(thing: Mapping[str, Any], valid_from: str) -> str:
    """Returns the instant until which an indicator counts, where a sighting states one, else empty; STIX 2.1
    section 4.7 wants it later than its begin."""
    ends = [
        format_seconds(seconds)
        for one in things_in(thing, "Sighting")
        if text_of(one, "type") == EXPIRATION and (seconds := seconds_of(one, "date_sighting"))
    ]
    end = min(ends, default="")
    return end if end > valid_from else ""


def make_sighting(
    sighting: Mapping[str, Any], target: str, of: Common, reporter: str | None
) -> dict[str, Any] | None:
    """Returns a sighting of the object `target`, or the opinion that it is a false positive; None where it is neither."""
    kind = text_of(sighting, "type") or SIGHTING
    seen = seconds_of(sighting, "date_sighting")
    if not seen or kind not in (SIGHTING, FALSE_POSITIVE):
        return None
    uuid = uuid_of(sighting) or named_id(f"misp-sighting:{target}:{kind}:{seen}:{reporter}")
    common = Common(uuid, seen, seen, reporter or of.creator, (), of.marking_refs)
    if kind == FALSE_POSITIVE:
        return build.versioned(
            "opinion",
            common,
            opinion="strongly-disagree",
            explanation="false positive",
            object_refs=[target],
        )
    when = format_seconds(seen)
    return build.versioned(
        "sighting",
        common,
        sighting_of_ref=target,
        first_seen=when,
        last_seen=when,
        count=1,
        where_sighted_refs=[reporter] if reporter else [],
    )
