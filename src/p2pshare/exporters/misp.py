"""MISP events (core format): an event for each author and marking, an attribute for each active claim.

Ids are stable: the same author's claims are always in the same event, and an attribute has the UUID of the object that
claims it, so what came from MISP goes back under its own UUID. An object that claims several values gets a UUIDv5 for
each. Everything is for detection; what PAP says goes along as a tag. The comment of each attribute says where it comes from
(`intel.export_origin`), so that MISP's own export of it is known when it is read again, also under other UUIDs.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from typing import Any, NamedTuple

import msgspec

from p2pshare.exporters.interface import FolderFormat, Format, Selection
from p2pshare.identifiers import PartnerId
from p2pshare.importers.misp_types import ADDRESS, ALSO, BESIDE, OBSERVABLE_TYPES
from p2pshare.intel.authoring import identity_id, named_id
from p2pshare.intel.export_origin import ExportOrigin, author_tag, event_info, misp_event_name, origin_uri
from p2pshare.intel.marking import Pap, Tlp
from p2pshare.intel.observable import Observable
from p2pshare.knowledge.interface import ClaimRow
from p2pshare.knowledge.knowledge import KnowledgeReading
from p2pshare.policy.gate import Use, strictest_pap

CLAIMS_PER_LOOKUP = 1_024

# type -> MISP's type and category; anything else is a text, and to be detected by nobody
TYPES: dict[str, tuple[str, str]] = {
    "asn": ("AS", "Network activity"),
    "domain": ("domain", "Network activity"),
    "email": ("email", "Payload delivery"),
    "file-name": ("filename", "Payload delivery"),
    "hassh": ("hassh-md5", "Network activity"),
    "ipv4": ("ip-dst", "Network activity"),
    "ipv4-net": ("ip-dst", "Network activity"),
    "ipv6": ("ip-dst", "Network activity"),
    "ipv6-net": ("ip-dst", "Network activity"),
    "ja3": ("ja3-fingerprint-md5", "Network activity"),
    "mac": ("mac-address", "Network activity"),
    "mutex": ("mutex", "Artifacts dropped"),
    "registry-key": ("regkey", "Persistence mechanism"),
    "url": ("url", "Network activity"),
    "user-agent": ("user-agent", "Network activity"),
    **{
        name: (name, "Payload delivery")
        for name in (
            "md5", "sha1", "sha224", "sha256", "sha384", "sha512", "sha3-256", "sha3-512", "ssdeep", "tlsh", "imphash",
        )
    },
}  # fmt: skip
OTHER = ("other", "Other")
# Whom MISP may pass it on to: 0 own organisation, 1 this community, 3 all communities.
DISTRIBUTIONS: dict[Tlp, str] = {Tlp.CLEAR: "3", Tlp.GREEN: "1"}
OWN_ORGANISATION = "0"
_EVENT_FILE = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\.json")
_FROM_MISP = re.compile(r'misp:(type|category)="([^"]+)"')


class _Claimed(NamedTuple):
    observable: Observable
    claim: ClaimRow


@dataclass
class _Event:
    """The claims of one author under one marking."""

    author: PartnerId
    name: str
    tlp: Tlp
    claimed: list[_Claimed] = field(default_factory=list)

    @property
    def uuid(self) -> str:
        return named_id(misp_event_name(self.author, self.tlp.name))


def render(knowledge: KnowledgeReading, selection: Selection) -> Iterator[bytes]:
    """Yields `{"response": [{"Event": ...}, ...]}`, an event a piece."""
    yield b'{"response":['
    for position, event in enumerate(_events(knowledge, selection)):
        yield (b"," if position else b"") + msgspec.json.encode({"Event": _event(event)})
    yield b"]}\n"


def render_feed(knowledge: KnowledgeReading, selection: Selection) -> Iterator[tuple[str, bytes]]:
    """Yields the files of a MISP feed, by name: an event each, then the hashes of all values, and the manifest last, so
    that a reader that follows it never misses a file."""
    manifest: dict[str, Any] = {}
    hashes: list[str] = []
    for one in _events(knowledge, selection):
        event = _event(one)
        yield f"{one.uuid}.json", msgspec.json.encode({"Event": event})
        told = ("Orgc", "Tag", "info", "date", "analysis", "threat_level_id", "timestamp")
        manifest[one.uuid] = {name: event[name] for name in told}
        for attribute in event["Attribute"]:
            digest = hashlib.md5(attribute["value"].encode(), usedforsecurity=False).hexdigest()
            hashes.append(f"{digest},{one.uuid}\n")
    yield "hashes.csv", "".join(hashes).encode()
    yield "manifest.json", msgspec.json.encode(manifest)


def _events(knowledge: KnowledgeReading, selection: Selection) -> list[_Event]:
    """Returns the events in order of author and marking, the attributes in order of arrival."""
    names = selection.names
    found: dict[tuple[PartnerId, Tlp], _Event] = {}
    values = knowledge.values(
        selection.now_us,
        type=selection.type,
        tlp_max=selection.tlp_max,
        pap_max=strictest_pap(Use.DETECT),
    )
    while batch := [Observable(*pair) for pair in islice(values, CLAIMS_PER_LOOKUP)]:
        claims = knowledge.lookup(batch)
        for observable in batch:
            for claim in claims.get(observable, ()):
                if selection.takes(claim):
                    key = (claim.author, claim.tlp)
                    event = found.setdefault(
                        key, _Event(claim.author, names.get(claim.author, ""), claim.tlp)
                    )
                    event.claimed.append(_Claimed(observable, claim))
    return [found[key] for key in sorted(found, key=lambda key: (key[0].text, key[1]))]


def _event(event: _Event) -> dict[str, Any]:
    newest = max(one.claim.sealed_at for one in event.claimed)
    oldest = min(one.claim.sealed_at for one in event.claimed)
    times_claimed = Counter(one.claim.object_id for one in event.claimed)
    return {
        "uuid": event.uuid,
        "info": event_info(event.name or event.author.text[:8], event.tlp),
        "date": datetime.fromtimestamp(oldest, UTC).date().isoformat(),
        "timestamp": str(newest),
        "analysis": "2",
        "threat_level_id": "4",
        "published": False,
        "distribution": DISTRIBUTIONS.get(event.tlp, OWN_ORGANISATION),
        "Orgc": {"uuid": identity_id(event.author).partition("--")[2], "name": event.name},
        "Tag": [{"name": event.tlp.label.lower()}, {"name": author_tag(event.author)}],
        "Attribute": [
            _attribute(one, is_alone=times_claimed[one.claim.object_id] == 1) for one in event.claimed
        ],
    }


def _attribute(claimed: _Claimed, *, is_alone: bool) -> dict[str, Any]:
    observable, claim = claimed
    type_, category, is_alone_in_misp = _type_of(observable.type, claim.labels)
    uuid = claim.object_id.partition("--")[2].lower()
    if not (is_alone and is_alone_in_misp):
        uuid = named_id(f"misp-attribute:{claim.object_id}:{observable.type}:{observable.value}")
    attribute = {
        "uuid": uuid,
        "type": type_,
        "category": category,
        "value": f"AS{observable.value}" if observable.type == "asn" else observable.value,
        "to_ids": type_ != OTHER[0],
        "timestamp": str(claim.sealed_at),
        "comment": _comment(claim),
        "Tag": [{"name": name} for name in _tags(claim.pap, claim.labels)],
    }
    return {name: value for name, value in attribute.items() if value not in ("", [])}


def _comment(claim: ClaimRow) -> str:
    origin = origin_uri(ExportOrigin(claim.author, claim.object_id, claim.envelope_id))
    return origin if claim.confidence is None else f"confidence {claim.confidence} {origin}"


def _type_of(type_: str, labels: Sequence[str]) -> tuple[str, str, bool]:
    """Returns MISP's type and category: those it had in MISP where it came from there, else the usual ones, and whether it is
    all that its object claims. A half of a pair goes back as a value; beside a file's name it is the only one."""
    usual = TYPES.get(type_, OTHER)
    told = {match[1]: match[2] for label in labels if (match := _FROM_MISP.fullmatch(label))}
    halves = OBSERVABLE_TYPES.get(told.get("type", ""), ())
    if len(halves) > 1:
        return *usual, BESIDE in halves
    kinds = ALSO[ADDRESS] if halves == (ADDRESS,) else frozenset(halves)
    return (told["type"], told.get("category", usual[1]), True) if type_ in kinds else (*usual, True)


def _tags(pap: Pap | None, labels: Sequence[str]) -> list[str]:
    tags = [label for label in labels if _FROM_MISP.fullmatch(label) is None]
    return [pap.label, *tags] if pap is not None else tags


FORMAT = Format(render)
FEED = FolderFormat(render_feed, stale=_EVENT_FILE)
