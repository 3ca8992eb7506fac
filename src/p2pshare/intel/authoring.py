"""Authoring: STIX 2.1 objects of our own, deterministic so that saying a thing twice is one object.

The id of an indicator is a UUIDv5 (RFC 9562 section 5.5) over author, type and canonical value: the same author
publishing the same value again makes a new version of the same object. JSON is compact, in a fixed order.
"""

from __future__ import annotations

import calendar
import functools
import hashlib
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import msgspec

from p2pshare.errors import AuthorError
from p2pshare.identifiers import PartnerId
from p2pshare.intel.instants import SECOND_US, format_instant
from p2pshare.intel.marking import TLP2_IDS, Tlp
from p2pshare.intel.observable import Observable

NAMESPACE = UUID(
    "59458688-a44c-56bf-be45-8391df96be62"
)  # uuid5(NAMESPACE_URL, "https://p2pshare/intel/v1"); never changed

# type -> the property a pattern compares; what stands here is read back by `pattern` to the same observable.
PATTERN_PATHS: dict[str, str] = {
    "ipv4": "ipv4-addr:value",
    "ipv6": "ipv6-addr:value",
    "ipv4-net": "ipv4-addr:value",
    "ipv6-net": "ipv6-addr:value",
    "domain": "domain-name:value",
    "url": "url:value",
    "email": "email-addr:value",
    "md5": "file:hashes.MD5",
    "sha1": "file:hashes.'SHA-1'",
    "sha224": "file:hashes.'SHA-224'",
    "sha256": "file:hashes.'SHA-256'",
    "sha384": "file:hashes.'SHA-384'",
    "sha512": "file:hashes.'SHA-512'",
    "sha3-256": "file:hashes.'SHA3-256'",
    "sha3-512": "file:hashes.'SHA3-512'",
    "ssdeep": "file:hashes.SSDEEP",
    "tlsh": "file:hashes.TLSH",
    "imphash": "file:hashes.IMPHASH",
    "file-name": "file:name",
    "mutex": "mutex:name",
    "registry-key": "windows-registry-key:key",
    "user-agent": "network-traffic:extensions.'http-request-ext'.request_header.'User-Agent'",
    "asn": "autonomous-system:number",
    "mac": "mac-addr:value",
}
NUMBER_TYPES = frozenset({"asn"})


@functools.lru_cache(maxsize=64)
def _format_seconds(seconds: int) -> str | None:
    """Returns an instant as STIX writes it; remembered, since the values of one list share theirs."""
    return format_instant(seconds * SECOND_US)


def pattern_of(observable: Observable) -> str:
    """Returns the STIX pattern that equals `observable`. Raises AuthorError no-pattern for a type that STIX
    cannot compare."""
    path = PATTERN_PATHS.get(observable.type)
    if path is None:
        raise AuthorError(
            f"STIX has no pattern for a {observable.type}",
            hint="it can be looked up, not published as an indicator",
            reason="no-pattern",
        )
    if observable.type in NUMBER_TYPES:
        return f"[{path} = {observable.value}]"
    escaped = observable.value.replace("\\", "\\\\").replace("'", "\\'")
    return f"[{path} = '{escaped}']"


@functools.lru_cache(maxsize=16)
def identity_id(author: PartnerId) -> str:
    """Returns the id of the identity object that stands for `author`."""
    return f"identity--{named_id(f'identity:{author.text}')}"


def named_id(name: str) -> str:
    """Returns `str(uuid.uuid5(NAMESPACE, name))` (RFC 9562 section 5.5) at a fifth of its cost: one is made
    for each value of a list, and the library's goes through an object of its own."""
    digest = bytearray(hashlib.sha1(NAMESPACE.bytes + name.encode(), usedforsecurity=False).digest()[:16])
    digest[6] = digest[6] & 0x0F | 0x50
    digest[8] = digest[8] & 0x3F | 0x80
    text = digest.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


MARKING_STEP_US = (
    1_000  # between the versions of our identity under two markings: what STIX tools keep of an instant
)


def identity_object(author: PartnerId, name: str, *, created: int, tlp: Tlp) -> bytes:
    """Returns the identity of `author` as JSON; `created` in seconds since 1970. Each marking is a version of its own, a millisecond
    after the looser one: what is published under two markings at once would else be a fork of whoever publishes it."""
    return _encode(
        {
            "type": "identity",
            "spec_version": "2.1",
            "id": identity_id(author),
            "created": _format_seconds(created),
            "modified": format_instant(created * SECOND_US + int(tlp) * MARKING_STEP_US),
            "name": name,
            "identity_class": "organization",
            "object_marking_refs": [TLP2_IDS[tlp]],
        }
    )


def indicator_id(author: PartnerId, observable: Observable, incident: str = "") -> str:
    """Returns the id of `author`'s indicator for `observable`. One stated in an incident, the id of its space, is an object of its
    own: who takes it back there says nothing of what was published elsewhere."""
    name = f"{author.text}:{observable.type}:{observable.value}"
    return f"indicator--{named_id(f'incident:{incident}:{name}' if incident else name)}"


def incident_label(incident: str) -> str:
    """Returns the label of an indicator that was stated in an incident, the id of its space."""
    return f"incident:{incident}"


def indicator_object(
    observable: Observable,
    *,
    author: PartnerId,
    created: int,
    tlp: Tlp,
    modified: int | None = None,
    confidence: int | None = None,
    labels: Sequence[str] = (),
    object_id: str = "",
) -> bytes:
    """Returns an indicator as JSON. `created` and `modified` (default: `created`) in seconds since 1970;
    `created` must be that of the first version. `object_id` is its `indicator_id`, where that is known.
    Raises AuthorError no-pattern."""
    instant = _format_seconds(created)
    stix: dict[str, Any] = {
        "type": "indicator",
        "spec_version": "2.1",
        "id": object_id or indicator_id(author, observable),
        "created_by_ref": identity_id(author),
        "created": instant,
        "modified": instant if modified is None else _format_seconds(modified),
        "pattern": pattern_of(observable),
        "pattern_type": "stix",
        "pattern_version": "2.1",
        "valid_from": instant,
        "object_marking_refs": [TLP2_IDS[tlp]],
    }
    if confidence is not None:
        stix["confidence"] = confidence
    if labels:
        stix["labels"] = list(labels)
    return _encode(stix)


def vulnerability_id(author: PartnerId, cve: str) -> str:
    """Returns the id of `author`'s vulnerability of that canonical CVE id."""
    return f"vulnerability--{named_id(f'{author.text}:cve:{cve}')}"


def vulnerability_object(cve: str, *, author: PartnerId, now: int, tlp: Tlp) -> bytes:
    """Returns a vulnerability named by its canonical CVE id, as JSON. It is no indicator: a CVE id is no
    pattern to detect.

    `created` never changes (STIX 2.1 section 3.2), so it is the beginning of the year in the id, or `now`
    when that is yet to come; `modified` is `now`, in seconds since 1970.
    """
    year = int(cve.split("-")[1])
    begun = calendar.timegm((year, 1, 1, 0, 0, 0)) if 1970 <= year <= 9999 else 0
    return _encode(
        {
            "type": "vulnerability",
            "spec_version": "2.1",
            "id": vulnerability_id(author, cve),
            "created_by_ref": identity_id(author),
            "created": _format_seconds(min(begun, now)),
            "modified": _format_seconds(now),
            "name": cve,
            "external_references": [{"source_name": "cve", "external_id": cve}],
            "object_marking_refs": [TLP2_IDS[tlp]],
        }
    )


def _encode(stix: dict[str, Any]) -> bytes:
    return msgspec.json.encode(stix)
