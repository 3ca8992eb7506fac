"""Playbooks in what others write: plain CACAO JSON, base64 of it, a MISP event or object, a STIX bundle or object. Pure.

What comes out is the playbook's text as it was carried, byte for byte. Rules:

1. A file is JSON, or base64 of one CACAO playbook: base64 is taken off once, and never from what it held.
2. In JSON a playbook is the whole file, an element of a list, or what a MISP object `security-playbook` or a STIX extension for security
   playbooks carries, wherever that stands.
3. Where a carrier has the content twice, both are the same bytes, or it is refused: nobody can say which one others read.
4. Two playbooks of one id and `modified` that differ are both refused; one that stands there again is noted.
5. A bad playbook costs none that stands beside it. What is not read is counted in a note.

One pass, without recursion: what a file costs is bounded by its bytes and by its brackets and commas.
"""

from __future__ import annotations

import binascii
import codecs
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from p2pshare.intel.playbooks.playbook_carriers import MISP_OBJECT, STIX_CONTENTS, STIX_EXTENSION
from p2pshare.intel.playbooks.playbook_problems import PROBLEMS_MAX, PlaybookProblem, TextPlace
from p2pshare.intel.playbooks.playbook_text import (
    PLAYBOOK_BYTES_MAX,
    PLAYBOOK_LIMITS,
    Playbook,
    TextLimits,
    read_playbook,
    read_strictly,
)
from p2pshare.limits import MIB

CONTAINER_BYTES_MAX = (
    12 * MIB
)  # the largest playbook in base64 twice, as MISP and STIX have it, and its event
CONTAINER_LIMITS = TextLimits(CONTAINER_BYTES_MAX, PLAYBOOK_LIMITS.values, CONTAINER_BYTES_MAX)
CARRIED_MAX = 100  # playbooks of one file: a national collection has some dozens
CONTAINER_ERRORS = ("no-playbook", "no-content", "not-base64", "wrong-type", "two-contents", "too-many")
CONTAINER_NOTES = ("left", "repeated", "says-otherwise", "other-standard", "deleted", "revoked")
CACAO, BASE64, MISP, STIX = "cacao", "base64", "misp", "stix"
"""The forms in which a playbook is carried."""

_FILE, _TEXT = "playbook-file", "playbook-base64"
_WHOLE = re.compile(rb"[A-Za-z0-9+/_-]+={0,2}")
_SAY_NOTHING = ("bundle", "extension-definition", "marking-definition")  # of STIX: what belongs to others
_TRUE = (True, 1, "1", "true", "True")
_DECODER = json.JSONDecoder(parse_int=str, parse_float=str)  # of what is here no number is looked at
_Contents = list[tuple[TextPlace, str]]


class CarriedPlaybook(NamedTuple):
    """One playbook, whose `raw` is what was carried. `form` is one of the four, `pointer` the carrier in the file."""

    playbook: Playbook
    form: str
    pointer: str


class PlaybooksRead(NamedTuple):
    """What a file has: the playbooks that are good texts, what was refused (level `error`), and what else was found (`note`)."""

    playbooks: list[CarriedPlaybook]
    problems: list[PlaybookProblem]
    notes: list[PlaybookProblem]


class _Carrier(NamedTuple):
    """What says that it has a playbook. `said`: what it says of it beside, by the playbook's property."""

    form: str
    place: TextPlace | None
    contents: _Contents
    said: Mapping[str, Any]


def read_container(raw: bytes) -> PlaybooksRead:
    """Returns the playbooks of a file, at most CONTAINER_BYTES_MAX bytes. Never raises for what stands in it: the rules of the text are
    those of docs/playbooks.md, "The text"; beside them CONTAINER_ERRORS."""
    read = _Reading()
    if len(raw) > CONTAINER_BYTES_MAX:
        read.refuse("too-large", None, f"larger than {CONTAINER_BYTES_MAX} bytes")
        return read.result()
    text = raw.removeprefix(codecs.BOM_UTF8)
    if text.lstrip()[:1] in (b"{", b"["):
        _read_json(read, raw, text)
    else:
        _read_base64(read, text)
    return read.result()


def _read_base64(read: _Reading, text: bytes) -> None:
    joined = b"".join(text.split())
    if _WHOLE.fullmatch(joined) is None:
        read.refuse("not-json", None, "neither JSON nor base64")
        return
    content = read.decoded(None, joined)
    if content is not None:
        read.take(content, BASE64, None, {})


def _read_json(read: _Reading, raw: bytes, text: bytes) -> None:
    document, faults = read_strictly(text, CONTAINER_LIMITS)
    if faults:
        # A number that is in no playbook breaks no playbook; where not all faults are told, one may be another.
        if len(faults) == PROBLEMS_MAX or any(fault.rule != "number-not-jcs" for fault in faults):
            read.problems += faults
            return
        document = _DECODER.decode(text.decode())
    if _is_playbook(document):
        read.take(raw, CACAO, None, {})
        return
    if isinstance(document, list) and any(map(_is_playbook, document)):
        _read_elements(read, text.decode(), document)
        return
    for carrier in _carriers(read, document):
        if read.is_full(carrier.place):
            return
        _open(read, carrier)


def _read_elements(read: _Reading, text: str, elements: list[Any]) -> None:
    """Take the playbooks of a list, each with the bytes between its brackets."""
    position = text.index("[") + 1
    for number, element in enumerate(elements):
        place = TextPlace(None, number)
        position = _past_space(text, position)
        _, end = _DECODER.raw_decode(text, position)
        if _is_playbook(element):
            if read.is_full(place):
                return
            read.take(text[position:end].encode(), CACAO, place, {})
        else:
            read.left["element"] = read.left.get("element", 0) + 1
        position = _past_space(text, end) + 1


def _past_space(text: str, position: int) -> int:
    while text[position] in " \t\n\r":
        position += 1
    return position


def _is_playbook(value: Any) -> bool:
    return isinstance(value, dict) and (value.get("type") == "playbook" or "workflow_start" in value)


def _carriers(read: _Reading, document: Any) -> Iterator[_Carrier]:
    """Yields what carries a playbook, in the order of the text; counts what does not."""
    waiting: list[tuple[Any, TextPlace | None]] = [(document, None)]
    while waiting:
        value, place = waiting.pop()
        if isinstance(value, dict):
            extensions = value.get("extensions")
            if value.get("name") == MISP_OBJECT and ("Attribute" in value or "template_uuid" in value):
                yield from _misp_carrier(read, value, place)
                continue
            if value.get("x_misp_name") == MISP_OBJECT:
                yield from _misp_carrier(read, value, place, "x_misp_attributes")
                continue
            if isinstance(extensions, dict) and STIX_EXTENSION in extensions:
                yield from _stix_carrier(
                    read, value, TextPlace(TextPlace(place, "extensions"), STIX_EXTENSION)
                )
                continue
            if (kind := _kind_of(value)) is not None:
                read.left[kind] = read.left.get(kind, 0) + 1
        members = list(value.items() if isinstance(value, dict) else enumerate(value))
        waiting += [
            (member, TextPlace(place, key))
            for key, member in reversed(members)
            if isinstance(member, dict | list)
        ]


def _kind_of(value: dict[str, Any]) -> str | None:
    """Returns what a thing that carries no playbook is, for the note that counts it."""
    if _is_playbook(value):
        return "playbook inside of something else"
    if isinstance(value.get("Attribute"), list) and "meta-category" in value:
        return "MISP object"
    if "category" in value and "value" in value:
        return "MISP attribute"
    if "id" in value and isinstance(value.get("type"), str) and value["type"] not in _SAY_NOTHING:
        return "STIX object"
    return None


def _misp_carrier(
    read: _Reading, value: dict[str, Any], place: TextPlace | None, member: str = "Attribute"
) -> Iterator[_Carrier]:
    """Yields what a MISP object carries; in STIX, as misp-stix writes one that it has no type for, its attributes have another name."""
    if value.get("deleted") in _TRUE:
        read.note("deleted", place, "MISP says that it was deleted")
        return
    attributes = value.get(member, [])
    if not isinstance(attributes, list):
        read.refuse("wrong-type", TextPlace(place, member), "must be a list")
        return
    contents: _Contents = []
    said: dict[str, Any] = {}
    for number, attribute in enumerate(attributes):
        here = TextPlace(TextPlace(place, member), number)
        if not isinstance(attribute, dict):
            read.refuse("wrong-type", here, "must be an object")
            return
        if attribute.get("deleted") in _TRUE:
            continue
        relation = attribute.get("object_relation")
        name = "data" if relation == _FILE else "value"
        one = attribute.get(name)
        if relation in (_FILE, _TEXT):
            if one is None and relation == _FILE:
                continue  # exported without attachments
            if not isinstance(one, str):
                read.refuse("wrong-type", TextPlace(here, name), "must be a text")
                return
            contents.append((TextPlace(here, name), one))
        elif isinstance(relation, str) and relation in _SAID_BY_MISP:
            said[_SAID_BY_MISP[relation]] = one
    yield _Carrier(MISP, place, contents, said)


def _stix_carrier(read: _Reading, value: dict[str, Any], place: TextPlace) -> Iterator[_Carrier]:
    extension = value["extensions"][STIX_EXTENSION]
    if not isinstance(extension, dict):
        read.refuse("wrong-type", place, "must be an object")
        return
    contents: _Contents = []
    for name in STIX_CONTENTS:
        if name in extension:
            if not isinstance(extension[name], str):
                read.refuse("wrong-type", TextPlace(place, name), "must be a text")
                return
            contents.append((TextPlace(place, name), extension[name]))
    if value.get("revoked") is True:
        read.note("revoked", place, "the course of action was revoked")
    said = {property_: extension.get(name) for name, property_ in _SAID_BY_STIX.items()}
    yield _Carrier(STIX, place, contents, said)


_SAID_BY_MISP = {"playbook-id": "id", "playbook-standard": "spec_version"}
_SAID_BY_STIX = {"playbook_id": "id", "playbook_standard": "spec_version"}


def _open(read: _Reading, carrier: _Carrier) -> None:
    """Take what a carrier has."""
    standard = carrier.said.get("spec_version")
    if isinstance(standard, str) and standard and "cacao" not in standard.lower():
        read.note("other-standard", carrier.place, "its playbook is of another standard than CACAO")
        return
    if not carrier.contents:
        read.refuse("no-content", carrier.place, "it has no playbook: neither as a file nor in base64")
        return
    first: bytes | None = None
    for place, text in carrier.contents:
        content = read.decoded(place, text.encode())
        if content is None:
            return
        if first is not None and content != first:
            read.refuse(
                "two-contents", place, "it has two playbooks that differ: nobody can say which is read"
            )
            return
        first = content
    if first is not None:
        read.take(first, carrier.form, carrier.place, carrier.said)


class _Reading:
    """What was found so far. `left` counts by kind what carries no playbook."""

    def __init__(self) -> None:
        self.playbooks: list[CarriedPlaybook] = []
        self.problems: list[PlaybookProblem] = []
        self.notes: list[PlaybookProblem] = []
        self.left: dict[str, int] = {}
        self._versions: dict[tuple[str, str], CarriedPlaybook | None] = {}
        self._carriers = 0

    def result(self) -> PlaybooksRead:
        if self.left:
            counted = ", ".join(f"{number} {kind}" for kind, number in self.left.items())
            self.note("left", None, f"not read: {counted}")
        if not self.playbooks and not self.problems:
            self.refuse("no-playbook", None, "neither a CACAO playbook nor anything that carries one")
        return PlaybooksRead(self.playbooks, self.problems, self.notes)

    def is_full(self, place: TextPlace | None) -> bool:
        """Count one more that says it has a playbook; returns whether it is one too many, and says so."""
        self._carriers += 1
        if self._carriers > CARRIED_MAX:
            self.refuse(
                "too-many", place, f"more than {CARRIED_MAX} playbooks: those from here on are not read"
            )
            return True
        return False

    def refuse(self, rule: str, place: TextPlace | None, message: str) -> None:
        self.problems.append(PlaybookProblem("error", "" if place is None else place.pointer, rule, message))

    def note(self, rule: str, place: TextPlace | None, message: str) -> None:
        assert rule in CONTAINER_NOTES, rule
        self.notes.append(PlaybookProblem("note", "" if place is None else place.pointer, rule, message))

    def decoded(self, place: TextPlace | None, text: bytes) -> bytes | None:
        """Returns what a text in base64 holds; says so where it is none, or more than a playbook."""
        joined = b"".join(text.split()).translate(bytes.maketrans(b"-_", b"+/"))
        if len(joined) // 4 * 3 > PLAYBOOK_BYTES_MAX + 2:
            self.refuse("too-large", place, f"holds more than {PLAYBOOK_BYTES_MAX} bytes")
            return None
        try:
            return binascii.a2b_base64(joined + b"=" * (-len(joined) % 4), strict_mode=True)
        except binascii.Error:
            self.refuse("not-base64", place, "no base64")
            return None

    def take(self, raw: bytes, form: str, place: TextPlace | None, said: Mapping[str, Any]) -> None:
        """Keep a playbook that is a good text, and the only one of its version here."""
        playbook, faults = read_playbook(raw)
        if playbook is not None and not _is_playbook(playbook.document):
            faults = [PlaybookProblem("error", "", "no-playbook", "what it holds is no CACAO playbook")]
        if playbook is None or faults:
            self._refuse_inner(faults, place)
            return
        document = playbook.document
        if isinstance(said.get("id"), str) and said["id"] != document.get("id"):
            self.note("says-otherwise", place, "it names another id than the playbook it has")
        carried = CarriedPlaybook(playbook, form, "" if place is None else place.pointer)
        version = (str(document.get("id")), str(document.get("modified")))
        if version not in self._versions:
            self._versions[version] = carried
            self.playbooks.append(carried)
            return
        first = self._versions[version]
        if first is not None and first.playbook.raw == raw:
            self.note("repeated", place, "the same playbook stood before")
            return
        self.refuse(
            "two-contents", place, "another playbook here has this id and modified, and says something else"
        )
        if first is not None:
            self.playbooks = [one for one in self.playbooks if one is not first]
            self._versions[version] = None
            message = "another playbook here has this id and modified, and says something else"
            self.problems.append(PlaybookProblem("error", first.pointer, "two-contents", message))

    def _refuse_inner(self, faults: list[PlaybookProblem], place: TextPlace | None) -> None:
        """Tell what is wrong with a playbook at the place of its carrier, the only one that the file has."""
        if place is None:
            self.problems += faults
            return
        for fault in faults:
            inner = f" at {fault.pointer}" if fault.pointer else ""
            self.refuse(fault.rule, place, f"in the playbook{inner}: {fault.message}")
