"""MISP events and feeds (core format) to STIX 2.1 objects. Nothing is dropped silently.

Read are events, attributes (also those inside objects), objects, references, sightings, event reports and
proposals: each is one object, or one refusal with its place. Rules:

1. Only an attribute with `to_ids` becomes an indicator; everything else is a thing that was seen, and claims nothing.
2. `deleted` travels: an attribute that was to be detected becomes a revoked indicator, so that earlier copies end.
3. A marking only tightens, from the event to its parts, wherever it stands and however it is spelled; an event that
   stays in its organisation or in a sharing group leaves only when a person says so with --tlp, a part of it that
   says so itself never.
4. A report or group names no object that is marked stricter than itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from p2pshare.errors import AuthorError
from p2pshare.importers import misp_objects as build
from p2pshare.importers.interface import InputSource, ObjectFormat
from p2pshare.importers.misp_attributes import make_attribute, make_sighting
from p2pshare.importers.misp_objects import Common, marking_refs
from p2pshare.importers.misp_text import (
    MispMembers,
    containers_of,
    elements_of,
    format_seconds,
    instant_seconds,
    is_true,
    label_tags,
    object_members,
    plain,
    seconds_of,
    tag_names,
    text_of,
    things_in,
    uuid_of,
)
from p2pshare.importers.misp_types import (
    EXPIRATION,
    INHERIT,
    OBSERVABLE_TYPES,
    OWN_ORGANISATION,
    SHARING_GROUP,
    TagMarking,
    inherited,
    marking_of_tags,
    tightened,
)
from p2pshare.intel.authoring import named_id
from p2pshare.intel.bundle import BundleObject, Reading, object_of, repetition
from p2pshare.intel.json_text import Fault, parse_object
from p2pshare.intel.marking import TLP_IDS
from p2pshare.intel.marking_words import (
    DEFINITION_ID,
    NO_WORDS,
    MarkingWords,
    may_hold_words,
    words_in,
    words_of_members,
)
from p2pshare.intel.observable import InvalidValue
from p2pshare.intel.refusals import Refusal
from p2pshare.limits import OBJECT_BYTES_MAX, OBJECTS_PER_BUNDLE_MAX, REPORT_REFS_MAX

_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_PLAIN = (
    "uuid", "info", "date", "timestamp", "publish_timestamp", "distribution", "threat_level_id", "analysis", "Orgc", "Org", "Tag", "name", "meta-category", "comment", "deleted", "first_seen", "last_seen",
)  # fmt: skip
# Parts that have a marking of their own, and what is not handed on.
_EVENT_PARTS = frozenset({"Attribute", "Object", "EventReport", "ShadowAttribute", "RelatedEvent"})
_OBJECT_PARTS = frozenset({"Attribute", "ObjectReference", "ShadowAttribute"})
_ATTRIBUTE_PARTS = frozenset({"ShadowAttribute", "data"})
_VALUES = frozenset({"value", "value1", "value2"})  # of an observable: an adversary wrote them


def read_misp(raw: bytes, source: InputSource) -> Reading:
    """Returns the objects of a MISP file. Raises AuthorError when nothing in it can be read: the reasons of
    `misp_text`, and too-many-objects."""
    gathering = _Gathering()
    for where, members in containers_of(raw, gathering.reading.notes):
        if isinstance(members, str):
            gathering.refuse(members, where)
        else:
            _EventReader(gathering, members, where, source).read()
    return gathering.reading


@dataclass
class _Gathering:
    """Objects, each id and version once, and refusals."""

    reading: Reading = field(default_factory=Reading)
    first_by_version: dict[tuple[str, str], BundleObject] = field(default_factory=dict)

    def refuse(self, reason: str, where: str, example: str = "") -> None:
        self._count()
        self.reading.refusals.add_refusal(Refusal(reason, where, example))

    def _count(self) -> None:
        self.reading.read += 1
        if self.reading.read > OBJECTS_PER_BUNDLE_MAX:
            raise AuthorError(
                f"more than {OBJECTS_PER_BUNDLE_MAX} attributes and objects",
                hint="split the event",
                reason="too-many-objects",
            )

    def add(self, stix: Mapping[str, Any], where: str, *, is_added: bool = False) -> bool:
        """Returns whether an object of this id and version is held now; a fault or a repeat is refused."""
        found = object_of(stix, is_added=is_added)
        if isinstance(found, Fault):
            self.refuse(found.reason, f"{where}{found.path}")
            return False
        first = self.first_by_version.setdefault((found.object_id, found.modified), found)
        if first is found:
            self.reading.objects.append(found)
            if not is_added:
                self._count()
        elif not is_added:
            self.refuse(repetition(first, found), where, found.object_id)
        return True


@dataclass(frozen=True)
class _Inherited:
    """Properties that the parts of an event, or of an object in it, have from it unless they state their own."""

    tags: TagMarking
    distribution: str
    modified: int
    is_deleted: bool = False
    refusal: str = ""


class _EventReader:
    """Reader of one event, or of one collection of attributes or objects without an event around it."""

    def __init__(self, gathering: _Gathering, members: MispMembers, where: str, source: InputSource) -> None:
        self._gathering = gathering
        self._members = members
        self._where = where
        self._stated = source.tlp
        self._event = plain(members, *_PLAIN)
        self._ids_by_uuid: dict[str, str] = {}
        self._levels: dict[str, int] = {}
        self._references: list[tuple[str, Common, Mapping[str, Any]]] = []
        info, day = text_of(self._event, "info"), text_of(self._event, "date")
        self._is_event = bool(info or day or uuid_of(self._event))
        self._uuid = uuid_of(self._event) or named_id(f"misp-event:{info}:{day}:{source.name}")
        begun = instant_seconds(f"{day}T00:00:00Z") if _DAY.fullmatch(day) else 0
        modified = (
            seconds_of(self._event, "timestamp") or seconds_of(self._event, "publish_timestamp") or begun
        )
        if self._is_event and not modified:
            gathering.reading.notes.add("time-assumed", where)
        distribution = text_of(self._event, "distribution")
        stays = distribution in (OWN_ORGANISATION, SHARING_GROUP) and source.tlp is None
        self._inherited = _Inherited(
            self._marking(self._event, words_of_members(members, _EVENT_PARTS), where),
            distribution,
            modified or source.now,
            refusal="event-distribution" if stays else "",
        )
        self._begun = min(begun or self._inherited.modified, self._inherited.modified)
        self._creator = self._identity(self._event.get("Orgc") or self._event.get("Org"))

    def read(self) -> None:
        """Read the event and everything in it."""
        ids = self._attributes(self._members, self._where, self._inherited)
        for position, raw in enumerate(elements_of(self._members, "Object")):
            ids += self._object(raw, f"{self._where}/Object/{position}")
        self._relate()
        self._proposals(elements_of(self._members, "ShadowAttribute"), self._where)
        if self._is_event:
            self._report(ids)
        for position, raw in enumerate(elements_of(self._members, "EventReport")):
            self._note(raw, f"{self._where}/EventReport/{position}")

    def _identity(self, organisation: object) -> str | None:
        """Returns the id of an organisation, whose identity is added beside the objects that name it; None
        where it has no name."""
        if not isinstance(organisation, dict):
            return None
        name = text_of(organisation, "name")
        uuid = uuid_of(organisation) or (named_id(f"misp-organisation:{name}") if name else "")
        if not uuid:
            return None
        stix = build.identity(uuid, name or uuid, self._inherited.modified)
        return str(stix["id"]) if self._gathering.add(stix, f"{self._where}/Orgc", is_added=True) else None

    def _marking(self, thing: Mapping[str, Any], words: MarkingWords, where: str) -> TagMarking:
        """Returns the marking of a thing by itself: its tags, and other words of marking in it."""
        for spoken in sorted(words.spoken):
            self._gathering.reading.notes.add("marking-spoken-of", f"{where}: {spoken}")
        return tightened(marking_of_tags(tag_names(thing)), words)

    def _words_in(self, raw: bytes, thing: Mapping[str, Any], skipped: frozenset[str]) -> MarkingWords:
        if not may_hold_words(raw) and DEFINITION_ID not in raw:
            return NO_WORDS
        return words_in({name: value for name, value in thing.items() if name not in skipped})

    def _common(
        self,
        thing: Mapping[str, Any],
        outer: _Inherited,
        key: str,
        labels: tuple[str, ...],
        marking: TagMarking,
    ) -> Common:
        modified = seconds_of(thing, "timestamp") or outer.modified
        return Common(
            uuid=uuid_of(thing) or named_id(f"misp:{self._uuid}:{key}"),
            created=min(self._begun, modified),
            modified=modified,
            creator=self._creator,
            labels=(*labels, *label_tags(thing)),
            marking_refs=marking_refs(inherited(outer.tags, marking), self._stated),
        )

    def _withheld(self, thing: Mapping[str, Any], outer: _Inherited) -> str:
        """Returns the reason why a part may not leave, or "" when it may."""
        own = text_of(thing, "distribution") or INHERIT
        is_narrower = own in (OWN_ORGANISATION, SHARING_GROUP) and own != outer.distribution
        return outer.refusal or ("distribution" if is_narrower else "")

    def _attributes(self, members: MispMembers, where: str, outer: _Inherited) -> list[str]:
        found = []
        for position, raw in enumerate(elements_of(members, "Attribute")):
            id_ = self._attribute(raw, f"{where}/Attribute/{position}", outer)
            if id_:
                found.append(id_)
        return found

    def _parse(self, raw: bytes, where: str) -> dict[str, Any] | None:
        if len(raw) > OBJECT_BYTES_MAX:
            self._gathering.refuse("object-too-large", where)
            return None
        thing, fault = parse_object(raw)
        if thing is None:
            self._gathering.refuse(
                fault.reason if fault else "not-json", f"{where}{fault.path if fault else ''}"
            )
        return thing

    def _attribute(self, raw: bytes, where: str, outer: _Inherited) -> str | None:
        """Returns the id of the object that an attribute became, or None when it was refused."""
        thing = self._parse(raw, where)
        if thing is None:
            return None
        self._proposals(thing.get("ShadowAttribute"), where)
        type_, value = text_of(thing, "type"), text_of(thing, "value")
        reason = self._withheld(thing, outer) or ("" if type_ and value else "missing-property")
        if reason:
            self._gathering.refuse(reason, where, value)
            return None
        labels = (f'misp:type="{type_}"', f'misp:category="{text_of(thing, "category")}"')
        skipped = _ATTRIBUTE_PARTS | _VALUES if type_ in OBSERVABLE_TYPES else _ATTRIBUTE_PARTS
        marking = self._marking(thing, self._words_in(raw, thing, skipped), where)
        common = self._common(thing, outer, f"{type_}:{labels[1]}:{value}", labels, marking)
        is_deleted = outer.is_deleted or is_true(thing, "deleted")
        try:
            made = make_attribute(thing, common, is_deleted=is_deleted)
        except InvalidValue as invalid:
            self._gathering.refuse(invalid.reason, where, value)
            return None
        if not self._keep(made.stix, common, where):
            return None
        for one in made.things:
            self._gathering.add(one, where, is_added=True)
        if made.things and not is_true(thing, "to_ids"):
            self._gathering.reading.notes.add("not-for-detection", f"{where} {value}")
        for note in filter(None, (made.note, "data-dropped" if thing.get("data") else "")):
            self._gathering.reading.notes.add(note, f"{where} {value}")
        self._sightings(thing, made.stix["id"], common, where)
        return str(made.stix["id"])

    def _keep(self, stix: Mapping[str, Any], common: Common, where: str) -> bool:
        if not self._gathering.add(stix, where):
            return False
        self._ids_by_uuid[common.uuid] = stix["id"]
        self._levels[stix["id"]] = _level(common.marking_refs)
        return True

    def _object(self, raw: bytes, where: str) -> list[str]:
        """Returns the ids of an object and of the attributes in it."""
        try:
            members = object_members(raw)
        except AuthorError as error:
            self._gathering.refuse(error.reason, where)
            return []
        thing = plain(members, *_PLAIN)
        name = text_of(thing, "name")
        labels = (f'misp:name="{name}"', f'misp:meta-category="{text_of(thing, "meta-category")}"')
        marking = self._marking(thing, words_of_members(members, _OBJECT_PARTS), where)
        common = self._common(thing, self._inherited, f"object:{where}", labels, marking)
        is_deleted = is_true(thing, "deleted")
        outer = _Inherited(
            inherited(self._inherited.tags, marking),
            text_of(thing, "distribution").replace(INHERIT, "") or self._inherited.distribution,
            common.modified,
            is_deleted,
            self._withheld(thing, self._inherited),
        )
        ids = self._attributes(members, where, outer)
        named = [id_ for id_ in ids if self._levels[id_] <= _level(common.marking_refs)]
        reason = outer.refusal or ("deleted" if is_deleted else "" if named else "empty-object")
        if reason:
            self._gathering.refuse(reason, where, name)
            return ids
        stix = build.versioned(
            "grouping",
            common,
            name=name,
            description=text_of(thing, "comment"),
            context="unspecified",
            object_refs=named,
        )
        if self._keep(stix, common, where):
            ids.append(stix["id"])
            for position, reference in enumerate(elements_of(members, "ObjectReference")):
                parsed = self._parse(reference, f"{where}/ObjectReference/{position}")
                if parsed is not None:
                    self._references.append((f"{where}/ObjectReference/{position}", common, parsed))
        return ids

    def _relate(self) -> None:
        """Add the references between objects, once all that they may name has been read."""
        for where, owner, reference in self._references:
            target = self._ids_by_uuid.get(text_of(reference, "referenced_uuid").lower())
            kind = text_of(reference, "relationship_type")
            if target is None or not kind or is_true(reference, "deleted"):
                self._gathering.refuse("dangling-reference", where, kind)
                continue
            common = Common(
                uuid_of(reference) or named_id(f"misp:{self._uuid}:{where}"),
                owner.created,
                seconds_of(reference, "timestamp") or owner.modified,
                owner.creator,
                (),
                owner.marking_refs,
            )
            relationship = build.versioned(
                "relationship",
                common,
                relationship_type=kind,
                source_ref=f"grouping--{owner.uuid}",
                target_ref=target,
                description=text_of(reference, "comment"),
            )
            self._gathering.add(relationship, where)

    def _sightings(self, thing: Mapping[str, Any], target: str, of: Common, where: str) -> None:
        """Add the sightings of an attribute. An expiration stands in the indicator already."""
        for position, sighting in enumerate(things_in(thing, "Sighting")):
            if text_of(sighting, "type") == EXPIRATION:
                continue
            place = f"{where}/Sighting/{position}"
            reporter = self._identity(sighting.get("Organisation"))
            stix = make_sighting(sighting, target, of, reporter)
            if stix is None:
                self._gathering.refuse("bad-sighting", place)
            else:
                self._gathering.add(stix, place)

    def _proposals(self, proposals: object, where: str) -> None:
        """Refuse proposals: they wait for the event's author, so they are nobody's statement yet."""
        for position, _ in enumerate(proposals if isinstance(proposals, list) else ()):
            self._gathering.refuse("proposal", f"{where}/ShadowAttribute/{position}")

    def _report(self, ids: list[str]) -> None:
        """Add a report that stands for the event itself."""
        if self._inherited.refusal:
            self._gathering.refuse(self._inherited.refusal, self._where, text_of(self._event, "info"))
            return
        labels = [
            f'misp:{name}="{text}"'
            for name, text in (
                ("threat-level", text_of(self._event, "threat_level_id")),
                ("analysis", text_of(self._event, "analysis")),
            )
            if text
        ]
        event = {**self._event, "uuid": self._uuid}
        common = self._common(event, self._inherited, "", tuple(labels), self._inherited.tags)
        named = [id_ for id_ in dict.fromkeys(ids) if self._levels[id_] <= _level(common.marking_refs)]
        if len(named) > REPORT_REFS_MAX:
            self._gathering.reading.notes.add(
                "references-dropped", self._where, count=len(named) - REPORT_REFS_MAX
            )
        refs = named[:REPORT_REFS_MAX] or ([self._creator] if self._creator else [])
        if not refs:
            self._gathering.refuse("empty-event", self._where, text_of(self._event, "info"))
            return
        published = seconds_of(self._event, "publish_timestamp") or common.modified
        stix = build.versioned(
            "report",
            common,
            name=text_of(self._event, "info") or self._uuid,
            published=format_seconds(published),
            object_refs=refs,
        )
        self._keep(stix, common, self._where)

    def _note(self, raw: bytes, where: str) -> None:
        """Add an event report, which is in words, as a note on the event."""
        thing = self._parse(raw, where)
        if thing is None:
            return
        content = text_of(thing, "content")
        reason = self._withheld(thing, self._inherited) or ("" if content else "missing-property")
        reason = reason or ("deleted" if is_true(thing, "deleted") else "")
        about = self._ids_by_uuid.get(self._uuid)
        if reason or about is None:
            self._gathering.refuse(reason or "empty-event", where, text_of(thing, "name"))
            return
        marking = self._marking(thing, self._words_in(raw, thing, frozenset()), where)
        common = self._common(thing, self._inherited, f"note:{where}", (), marking)
        stix = build.versioned(
            "note", common, abstract=text_of(thing, "name"), content=content, object_refs=[about]
        )
        self._keep(stix, common, where)


def _level(marking_refs: tuple[str, ...]) -> int:
    """Returns the strictest TLP level, -1 (below all levels) where there is none."""
    return max((TLP_IDS[ref] for ref in marking_refs if ref in TLP_IDS), default=-1)


FORMAT = ObjectFormat(read_misp)
