"""STIX objects for the content of a MISP event, deterministic: the same event gives the same objects, byte for byte.

An id is MISP's UUID under the STIX type; a thing without one gets a UUIDv5 of its content. An attribute to
detect is an indicator; any other is observed data with the thing it saw; an attribute that STIX has no word
for is `x-misp-attribute`, as other converters write it. Reasons and losers stand in docs/decisions/0030.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from p2pshare.importers.misp_text import format_seconds
from p2pshare.importers.misp_types import TagMarking
from p2pshare.intel.authoring import PATTERN_PATHS, named_id, pattern_of
from p2pshare.intel.marking import TLP2_IDS, Pap, Tlp
from p2pshare.intel.observable import Observable

PAP_IDS: dict[Pap, str] = {
    Pap.CLEAR: "marking-definition--ad15a0cd-55b6-4588-a14c-a66105329b92",
    Pap.GREEN: "marking-definition--c43594d1-4b11-4c59-93ab-1c9b14d53ce9",
    Pap.AMBER: "marking-definition--60f8932b-e51e-4458-b265-a2e8be9a80ab",
    Pap.RED: "marking-definition--740d36e5-7714-4c30-961a-3ae632ceee0e",
}
# hash type -> its key in `hashes`, STIX 2.1 section 10.6 and what others write where it has none
HASH_NAMES: dict[str, str] = {
    "md5": "MD5",
    "sha1": "SHA-1",
    "sha224": "SHA-224",
    "sha256": "SHA-256",
    "sha384": "SHA-384",
    "sha512": "SHA-512",
    "sha3-256": "SHA3-256",
    "sha3-512": "SHA3-512",
    "ssdeep": "SSDEEP",
    "tlsh": "TLSH",
    "imphash": "IMPHASH",
}
# type -> the cyber-observable object of STIX 2.1 section 6 that holds it, and the property
OBSERVED: dict[str, tuple[str, str]] = {
    "ipv4": ("ipv4-addr", "value"),
    "ipv4-net": ("ipv4-addr", "value"),
    "ipv6": ("ipv6-addr", "value"),
    "ipv6-net": ("ipv6-addr", "value"),
    "domain": ("domain-name", "value"),
    "url": ("url", "value"),
    "email": ("email-addr", "value"),
    "file-name": ("file", "name"),
    "mutex": ("mutex", "name"),
    "registry-key": ("windows-registry-key", "key"),
    "asn": ("autonomous-system", "number"),
    "mac": ("mac-addr", "value"),
}


@dataclass(frozen=True)
class Common:
    """Properties that every object made from one MISP thing shares. Instants in seconds since 1970."""

    uuid: str
    created: int
    modified: int
    creator: str | None
    labels: tuple[str, ...]
    marking_refs: tuple[str, ...]


def marking_refs(marking: TagMarking, stated: Tlp | None) -> tuple[str, ...]:
    """Returns a marking as references. Words beside the tags make its level stricter, or that which the person `stated`; they
    give none. Two levels, and tags that nobody understands, stay side by side: the gate refuses them
    (`intel.marking`)."""
    levels, least = marking.levels, marking.at_least
    if least is not None and len(levels) < 2:
        given = next(iter(levels), stated)
        levels = frozenset({least}) if given is not None and least > given else levels
    refs = [TLP2_IDS[level] for level in sorted(levels)]
    refs += [PAP_IDS[marking.pap]] if marking.pap is not None else []
    refs += [f"marking-definition--{named_id(f'misp-tag:{tag}')}" for tag in marking.unknown]
    return tuple(dict.fromkeys(refs))


def versioned(type_: str, common: Common, **properties: Any) -> dict[str, Any]:
    """Returns a versioned object of `type_` with the common properties and those of `properties` that are not empty."""
    stix: dict[str, Any] = {
        "type": type_,
        "spec_version": "2.1",
        "id": f"{type_}--{common.uuid}",
        "created_by_ref": common.creator,
        "created": format_seconds(common.created),
        "modified": format_seconds(common.modified),
        **properties,
        "labels": list(common.labels),
        "object_marking_refs": list(common.marking_refs),
    }
    return {name: value for name, value in stix.items() if value not in (None, "", [], {})}


def has_pattern(observables: Sequence[Observable]) -> bool:
    """Returns whether STIX can compare all of them."""
    return all(one.type in PATTERN_PATHS for one in observables)


def indicator(
    common: Common,
    pattern: str,
    *,
    pattern_type: str,
    name: str,
    description: str,
    valid_from: str,
    valid_until: str,
    is_revoked: bool,
) -> dict[str, Any]:
    """Returns an indicator for an attribute that is to be detected. `valid_from` and `valid_until` are RFC
    3339 text; an empty `valid_until` is left out."""
    return versioned(
        "indicator",
        common,
        name=name,
        description=description,
        pattern=pattern,
        pattern_type=pattern_type,
        pattern_version="2.1" if pattern_type == "stix" else "",
        valid_from=valid_from,
        valid_until=valid_until,
        revoked=is_revoked or None,
    )


def pattern_of_all(observables: Sequence[Observable]) -> str:
    """Returns the pattern that each of them alone matches: seen apart, each half of a pair is what the author warns of."""
    return " OR ".join(pattern_of(one) for one in observables)


def observed(
    common: Common, things: Sequence[Mapping[str, Any]], *, first: str, last: str, comment: str
) -> dict[str, Any]:
    """Returns observed data for an attribute that somebody saw, and nobody said to detect."""
    return versioned(
        "observed-data",
        common,
        first_observed=first,
        last_observed=last,
        number_observed=1,
        object_refs=[thing["id"] for thing in things],
        x_misp_comment=comment,
    )


def things_of(
    observables: Sequence[Observable], beside: str, marking: Sequence[str]
) -> list[dict[str, Any]] | None:
    """Returns the cyber-observable objects of an attribute, or None where STIX has none. Their ids name their
    content, so that two attributes with the same thing under one marking share it and none can contradict another."""
    things = []
    for one in observables:
        thing: dict[str, Any] = {"spec_version": "2.1"}
        if one.type in HASH_NAMES:
            thing |= {"type": "file", "hashes": {HASH_NAMES[one.type]: one.value}}
            thing |= {"name": beside} if beside else {}
        elif one.type in OBSERVED:
            type_, property_ = OBSERVED[one.type]
            thing |= {"type": type_, property_: int(one.value) if one.type == "asn" else one.value}
        else:
            return None
        if marking:
            thing["object_marking_refs"] = list(marking)
        digest = msgspec.json.encode(thing, order="sorted").decode()
        things.append({**thing, "id": f"{thing['type']}--{named_id(f'thing:{digest}')}"})
    return things


def identity(uuid: str, name: str, modified: int) -> dict[str, Any]:
    """Returns the identity of the organisation that made an event; `modified` in seconds since 1970. It
    carries no marking: it travels where it is named."""
    common = Common(uuid, 0, modified, None, (), ())
    return versioned("identity", common, name=name, identity_class="organization")
