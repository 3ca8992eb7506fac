"""Shared parts of the readers of advisories (KEV, CSAF): their JSON before it is believed, and vulnerability objects.

A vulnerability of ours is named by its CVE id and says in `external_references` and in a property of its own
(`x_kev`, `x_csaf`) where it is from. Each source has objects of its own, so that one never overwrites what
another published; the ids are UUIDv5 over author, source and CVE. `created` is a date of the source, so that
it never changes (STIX 2.1 section 3.2), `modified` is when it is published.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from p2pshare.errors import AuthorError
from p2pshare.importers.interface import InputSource
from p2pshare.intel.authoring import identity_id, named_id
from p2pshare.intel.bundle import BundleObject, Reading, repetition
from p2pshare.intel.derivation import PUBLIC_SOURCE_CHARACTERS_MAX, Derivation, with_derivation
from p2pshare.intel.display import is_safe
from p2pshare.intel.instants import SECOND_US, format_instant
from p2pshare.intel.json_text import Fault, is_shallow, refuse_outer_duplicates, refuse_syntax, without_bom
from p2pshare.intel.marking_words import DEFINITION_ID, NO_WORDS, MarkingWords, may_hold_words, words_in
from p2pshare.limits import INPUT_COMMAS_MAX

JsonMembers = dict[str, msgspec.Raw]


def outermost_members(raw: bytes) -> JsonMembers:
    """Returns the members of the JSON object that a file is. Raises AuthorError: encoding, not-utf8,
    not-json, too-deep, too-many-objects, duplicate-key, wrong-type."""
    raw = without_bom(raw)
    if raw.count(b",") > INPUT_COMMAS_MAX:
        raise AuthorError(
            f"more than {INPUT_COMMAS_MAX} values", hint="split the file", reason="too-many-objects"
        )
    if not is_shallow(raw):
        raise AuthorError("the JSON nests too deep", hint="is it the right file?", reason="too-deep")
    try:
        members = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
    except msgspec.ValidationError:
        raise AuthorError(
            "the JSON is no object", hint="is it the right file?", reason="wrong-type"
        ) from None
    except msgspec.DecodeError as error:
        refuse_syntax(raw, error)
    refuse_outer_duplicates(raw, members)
    return members


def elements(raw: bytes, path: str) -> list[bytes]:
    """Returns the elements of a list, each as its bytes. Raises AuthorError wrong-type."""
    try:
        return [bytes(one) for one in msgspec.json.decode(raw, type=list[msgspec.Raw])]
    except msgspec.ValidationError:
        raise AuthorError(f"{path} is no list", hint="is it the right file?", reason="wrong-type") from None


def words_of(raw: bytes, content: Mapping[str, Any], *skipped: str) -> MarkingWords:
    """Returns the marking words in `content`, which was read from `raw`, but for the members that are `skipped`."""
    if not may_hold_words(raw) and DEFINITION_ID not in raw:
        return NO_WORDS
    return words_in({name: value for name, value in content.items() if name not in skipped})


def tell_once(words: MarkingWords, where: str, reading: Reading) -> MarkingWords:
    """Returns `words` for the objects inside, and notes once for all of them that a scheme is spoken of."""
    for spoken in sorted(words.spoken):
        reading.notes.add("marking-spoken-of", f"{where}: {spoken}")
    return words.without_spoken()


def lacking(path: str) -> AuthorError:
    """Returns the error for a document without one of the parts it must have."""
    return AuthorError(
        f"the document lacks {path}", hint="ask its publisher for a valid one", reason="missing-property"
    )


def object_of_ours(
    type_: str, name: str, source: InputSource, created: str, tlp: list[str], public_source: str
) -> dict[str, Any]:
    """Returns the beginning of an object of ours; `name` is what its id is made of, beside the author. Whoever publishes what
    stands in `public_source` says the same, so it is named (docs/intelligence.md, "Derivation")."""
    stix: dict[str, Any] = {
        "type": type_,
        "spec_version": "2.1",
        "id": f"{type_}--{named_id(f'{source.author.text}:{name}')}",
        "created_by_ref": identity_id(source.author),
        "created": created,
        "modified": format_instant(source.now * SECOND_US),
        "object_marking_refs": tlp,
    }
    is_name = is_safe(public_source) and len(public_source) <= PUBLIC_SOURCE_CHARACTERS_MAX
    return with_derivation(stix, Derivation(public_source=public_source)) if is_name else stix


def filled(stix: dict[str, Any]) -> dict[str, Any]:
    """Returns `stix` without the properties that hold nothing, for STIX has no empty texts and lists (section 2)."""
    return {name: value for name, value in stix.items() if value not in ("", [], {})}


def keep(reading: Reading, seen: dict[str, BundleObject], found: BundleObject | Fault, where: str) -> bool:
    """Count one thing read, and keep it unless it is faulty or a repeat. Returns whether it is there now."""
    reading.read += 1
    if isinstance(found, Fault):
        reading.refusals.add(found.reason, f"{where}{found.path}")
        return False
    first = seen.setdefault(found.object_id, found)
    if first is found:
        reading.objects.append(found)
        return True
    reason = repetition(first, found)
    words = first.words.merged(found.words)
    if reason == "repeated" and words != first.words:  # it says the same where a stricter marking stands
        seen[found.object_id] = msgspec.structs.replace(first, words=words)
        reading.objects[reading.objects.index(first)] = seen[found.object_id]
    reading.refusals.add(reason, f"{where} {found.object_id}")
    return reason == "repeated"


def text_of(mapping: object, name: str) -> str:
    """Returns the text under `name`, or empty."""
    value = mapping.get(name) if isinstance(mapping, dict) else None
    return value if isinstance(value, str) else ""


def members_of(mapping: object, name: str) -> list[Any]:
    """Returns the list under `name`, or an empty one."""
    value = mapping.get(name) if isinstance(mapping, dict) else None
    return value if isinstance(value, list) else []
