"""Assessments of another partner's object: a sighting, a false positive, an opinion, a note, or a proposal to change it.

A sighting and an opinion are STIX 2.1 sections 5.2 and 4.14. Facts that STIX has no property for stand in our
extension (section 7.3): the author whose object is meant (two authors may use one id), and the observable in
it that is meant. A false positive is an opinion `strongly-disagree` with that mark, never a sighting: a
reader that does not know the extension must not read "seen" (misp-stix chose the same). A proposal is an
object type of the extension, so that a program that does not know it carries it on.

Assessments are immutable: another statement is another object.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any
from uuid import uuid5

import msgspec

from p2pshare.identifiers import PartnerId
from p2pshare.intel.authoring import NAMESPACE, identity_id
from p2pshare.intel.checks import is_id
from p2pshare.intel.instants import SECOND_US, format_instant, parse_instant
from p2pshare.intel.marking import TLP2_IDS, Tlp
from p2pshare.intel.observable import Observable
from p2pshare.limits import VALUE_BYTES_MAX

EXTENSION = f"extension-definition--{uuid5(NAMESPACE, 'extension:assessment')}"
PROPOSAL = "p2pshare-proposal"
FALSE_POSITIVE = "strongly-disagree"
OPINIONS = ("strongly-disagree", "disagree", "neutral", "agree", "strongly-agree")
"""The opinion enumeration of STIX 2.1 section 10.16."""


class Assessment(IntEnum):
    """Kind of an assessment."""

    SIGHTING = 1
    FALSE_POSITIVE = 2
    OPINION = 3
    NOTE = 4
    PROPOSAL = 5


class AssessmentFacts(msgspec.Struct, frozen=True, gc=False):
    """Content of one assessment. `author` is the partner whose object is meant, `observable` the value in it
    that is meant; None where the assessment does not say.

    `count` 0: looked for and not seen. `seen_us`: the time, in microseconds since 1970, by the reporter's clock.
    """

    kind: Assessment
    target: str
    author: PartnerId | None
    observable: Observable | None
    count: int
    seen_us: int


@dataclass(frozen=True)
class Target:
    """The object that is assessed: its id, its author, and the one value that is meant, None for all of it."""

    object_id: str
    author: PartnerId
    observable: Observable | None = None


def read_assessment(stix: Mapping[str, Any]) -> AssessmentFacts | None:
    """Returns the content of a checked object that is an assessment, None for any other. Never raises; a part
    of our extension that cannot be read counts as absent."""
    type_ = stix["type"]
    kind, target = _KINDS.get(type_), _target_of(stix)
    if kind is None or not isinstance(target, str):
        return None
    extension = _extension_of(stix)
    if type_ == "opinion" and stix["opinion"] == FALSE_POSITIVE and extension.get("false_positive") is True:
        kind = Assessment.FALSE_POSITIVE
    seen = (stix.get("last_seen") or stix.get("first_seen")) if kind is Assessment.SIGHTING else None
    author, observable = _author_of(extension), _observable_of(extension)
    return AssessmentFacts(
        kind, target, author, observable, stix.get("count", 1), parse_instant(seen or stix["created"])
    )


_KINDS = {
    "sighting": Assessment.SIGHTING,
    "opinion": Assessment.OPINION,
    "note": Assessment.NOTE,
    PROPOSAL: Assessment.PROPOSAL,
}
TYPES = frozenset(_KINDS)


def _target_of(stix: Mapping[str, Any]) -> Any:
    """Returns the id of the one object that is meant, None where there is none: an opinion about several is
    nobody's to apply."""
    if stix["type"] == "sighting":
        return stix["sighting_of_ref"]
    if stix["type"] == PROPOSAL:
        reference = stix.get("object_ref")
        return reference if is_id(reference) and _is_dated(stix) else None
    references = stix["object_refs"]
    return references[0] if len(references) == 1 else None


def _is_dated(stix: Mapping[str, Any]) -> bool:
    """Returns whether the object has `created`: `checks` requires nothing of a type that is not the standard's."""
    return isinstance(stix.get("created"), str)


def _extension_of(stix: Mapping[str, Any]) -> Mapping[str, Any]:
    extensions = stix.get("extensions")
    ours = extensions.get(EXTENSION) if isinstance(extensions, dict) else None
    return ours if isinstance(ours, dict) else {}


def _author_of(extension: Mapping[str, Any]) -> PartnerId | None:
    try:
        return PartnerId.parse(extension["author"])
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def _observable_of(extension: Mapping[str, Any]) -> Observable | None:
    type_, value = extension.get("observable_type"), extension.get("observable_value")
    if not isinstance(type_, str) or not isinstance(value, str) or len(value.encode()) > VALUE_BYTES_MAX:
        return None
    return Observable(type_, value)


def sighting_object(target: Target, *, reporter: PartnerId, count: int, now: int, tlp: Tlp) -> bytes:
    """Returns a STIX sighting as JSON: `reporter` has seen the target `count` times (0: looked and did not)
    at `now`, unix seconds."""
    instant = format_instant(now * SECOND_US)
    more = {"last_seen": instant, "count": count, "sighting_of_ref": target.object_id}
    return _object("sighting", target, reporter, now, tlp, more, {"extension_type": "property-extension"})


def false_positive_object(target: Target, *, reporter: PartnerId, now: int, tlp: Tlp) -> bytes:
    """Returns a STIX opinion as JSON, by which `reporter` calls the target a false positive: acting on it
    harms what is harmless. `now` in unix seconds."""
    more = {"opinion": FALSE_POSITIVE, "object_refs": [target.object_id]}
    extension = {"extension_type": "property-extension", "false_positive": True}
    return _object("opinion", target, reporter, now, tlp, more, extension)


def opinion_object(
    target: Target, *, reporter: PartnerId, opinion: str, text: str, now: int, tlp: Tlp
) -> bytes:
    """Returns a STIX opinion as JSON. `opinion` is one of OPINIONS; `text` is its explanation, or empty;
    `now` in unix seconds."""
    more: dict[str, Any] = {"opinion": opinion, "object_refs": [target.object_id]}
    if text:
        more["explanation"] = text
    return _object("opinion", target, reporter, now, tlp, more, {"extension_type": "property-extension"})


@dataclass(frozen=True)
class Proposal:
    """Changes that the author is asked to make; a field that is None or empty stays as it is."""

    confidence: int | None = None
    valid_until: str | None = None
    labels: Sequence[str] = ()
    note: str = ""

    def to_json(self) -> dict[str, Any]:
        fields = {
            "confidence": self.confidence,
            "valid_until": self.valid_until,
            "labels": list(self.labels) or None,
            "note": self.note or None,
        }
        return {name: value for name, value in fields.items() if value is not None}


def proposal_object(target: Target, proposal: Proposal, *, reporter: PartnerId, now: int, tlp: Tlp) -> bytes:
    """Returns a proposal as JSON; the object's author accepts it by publishing a new version. `now` in unix seconds."""
    more = {"object_ref": target.object_id, "proposed": proposal.to_json()}
    return _object(PROPOSAL, target, reporter, now, tlp, more, {"extension_type": "new-sdo"})


def _object(
    type_: str,
    target: Target,
    reporter: PartnerId,
    now: int,
    tlp: Tlp,
    more: Mapping[str, Any],
    extension: Mapping[str, Any],
) -> bytes:
    instant = format_instant(now * SECOND_US)
    ours = dict(extension) | {"author": target.author.text}
    if target.observable is not None:
        ours |= {"observable_type": target.observable.type, "observable_value": target.observable.value}
    content = msgspec.json.encode({"about": ours, "said": dict(more)}).decode()
    return msgspec.json.encode(
        {
            "type": type_,
            "spec_version": "2.1",
            "id": f"{type_}--{uuid5(NAMESPACE, f'{type_}:{reporter.text}:{now}:{content}')}",
            "created_by_ref": identity_id(reporter),
            "created": instant,
            "modified": instant,
            "object_marking_refs": [TLP2_IDS[tlp]],
        }
        | dict(more)
        | {"extensions": {EXTENSION: ours}}
    )
