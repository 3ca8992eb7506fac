"""MISP JSON as text: the wrappers around events taken off, and members read whose type nobody promises.

Read are `{"Event": ...}`, `{"response": ...}`, lists of either, a bare event, and the answers to searches for
attributes or objects. Depth is checked before any parser runs; an outer key that stands twice refuses the file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

import msgspec

from p2pshare.errors import AuthorError
from p2pshare.importers.misp_types import is_marking_tag
from p2pshare.intel.instants import SECOND_US, format_instant, parse_instant
from p2pshare.intel.json_mending import mend
from p2pshare.intel.json_text import is_shallow, refuse_outer_duplicates, refuse_syntax, without_bom
from p2pshare.intel.refusals import Refusals
from p2pshare.limits import INPUT_BYTES_MAX, INPUT_COMMAS_MAX, JSON_DEPTH_MAX

MispMembers = Mapping[str, msgspec.Raw]
EVENT_KEYS = frozenset({"Attribute", "Object", "Orgc", "Org", "threat_level_id", "EventReport"})
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.ASCII)
WRAPPERS_MAX = 4  # `{"response": [{"Event": {}}]}` has three


def containers_of(raw: bytes, notes: Refusals) -> Iterator[tuple[str, MispMembers | str]]:
    """Yields (place, members) of each event, or of each collection of attributes or objects; a reason in
    place of members for an element that is none of them. Repairs (`json_mending`) are counted in `notes`.

    Raises AuthorError: input-too-large, encoding, not-utf8, not-json, too-deep, duplicate-key, not-misp.
    """
    if len(raw) > INPUT_BYTES_MAX or raw.count(b",") > INPUT_COMMAS_MAX:
        raise AuthorError(
            f"the input is larger than {INPUT_BYTES_MAX} bytes or {INPUT_COMMAS_MAX} commas",
            hint="split it",
            reason="input-too-large",
        )
    raw = without_bom(raw)
    if not is_shallow(raw):
        raise AuthorError(
            f"the JSON nests deeper than {JSON_DEPTH_MAX}", hint="no MISP event needs that", reason="too-deep"
        )
    found = _containers(raw, notes)
    if found and all(isinstance(members, str) for _, members in found):
        raise AuthorError(
            "the JSON is not MISP",
            hint='an event has `"Event"`, or `"info"` and `"Attribute"`',
            reason="not-misp",
        )
    yield from found


def _containers(raw: bytes, notes: Refusals) -> list[tuple[str, MispMembers | str]]:
    try:
        return list(_unwrap(raw, "", WRAPPERS_MAX))
    except msgspec.DecodeError as error:
        texts = mend(raw, notes)
        with suppress(msgspec.DecodeError):
            if len(texts) == 1:
                return list(_unwrap(texts[0], "", WRAPPERS_MAX))
        if len(texts) < 2:
            refuse_syntax(raw, error)
    return [one for position, text in enumerate(texts) for one in _unwrap_line(text, f"/{position}")]


def _unwrap_line(text: bytes, where: str) -> list[tuple[str, MispMembers | str]]:
    try:
        return list(_unwrap(text, where, WRAPPERS_MAX))
    except msgspec.DecodeError:
        return [(where, "not-json")]


def _unwrap(raw: bytes, where: str, wrappers: int) -> Iterator[tuple[str, MispMembers | str]]:
    start = raw.lstrip()[:1]
    if start == b"[" and wrappers:
        for position, element in enumerate(msgspec.json.decode(raw, type=list[msgspec.Raw])):
            yield from _unwrap(bytes(element), f"{where}/{position}", wrappers - 1)
        return
    if start != b"{":
        msgspec.json.decode(raw)
        yield where, "not-misp"
        return
    members = object_members(raw)
    for wrapper in ("response", "Event"):
        if wrapper in members and wrappers:
            beside = {f"../{name}": member for name, member in members.items() if name != wrapper}
            for place, found in _unwrap(bytes(members[wrapper]), f"{where}/{wrapper}", wrappers - 1):
                yield place, (found if isinstance(found, str) else {**beside, **found})
            return
    is_misp = (
        where.endswith("/Event") or not EVENT_KEYS.isdisjoint(members) or {"info", "date"} <= set(members)
    )
    yield where, (members if is_misp else "not-misp")


def object_members(raw: bytes) -> MispMembers:
    """Returns the members of an object; none of what is no object. Raises AuthorError duplicate-key: one of
    two lists under one name would vanish."""
    if raw.lstrip()[:1] != b"{":
        return {}
    members = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
    refuse_outer_duplicates(raw, members)
    return members


def elements_of(members: MispMembers, name: str) -> list[bytes]:
    """Returns the elements of a list, or the one that stands without its list; none where there is neither."""
    raw = bytes(members.get(name, b"")).strip()
    if raw[:1] == b"{":
        return [raw]
    if raw[:1] != b"[":
        return []
    return [bytes(element) for element in msgspec.json.decode(raw, type=list[msgspec.Raw])]


def plain(members: MispMembers, *names: str) -> dict[str, Any]:
    """Returns these members parsed, those that are there and can be."""
    found = {}
    for name in names:
        with suppress(KeyError, msgspec.DecodeError):
            found[name] = msgspec.json.decode(members[name])
    return found


def text_of(thing: Mapping[str, Any], name: str) -> str:
    """Returns a member as text, or empty: MISP writes numbers as strings, and as numbers."""
    value = thing.get(name)
    if isinstance(value, str):
        return value.strip()
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else ""


def is_true(thing: Mapping[str, Any], name: str) -> bool:
    """Returns whether a member says yes: `true`, `1` or `"1"`."""
    value = thing.get(name)
    return value is True or value == 1 or (isinstance(value, str) and value.strip().lower() in ("1", "true"))


def seconds_of(thing: Mapping[str, Any], name: str) -> int:
    """Returns a time in seconds since 1970, or 0 where there is none that a calendar has."""
    digits = text_of(thing, name)
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 11):
        return 0
    seconds = int(digits)
    return seconds if seconds < 200_000_000_000 else 0


def things_in(thing: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    """Returns the objects in a list; none where there is none."""
    value = thing.get(name)
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def uuid_of(thing: Mapping[str, Any]) -> str:
    """Returns the UUID of a thing in lower case, or "" where it has none that is one."""
    uuid = text_of(thing, "uuid").lower()
    return uuid if _UUID.fullmatch(uuid) else ""


def tag_names(thing: Mapping[str, Any]) -> tuple[str, ...]:
    tags = thing.get("Tag")
    return (
        tuple(name for tag in tags if isinstance(tag, dict) and (name := text_of(tag, "name")))
        if isinstance(tags, list)
        else ()
    )


def label_tags(thing: Mapping[str, Any]) -> tuple[str, ...]:
    """Returns the tags that say something to others: those that mark became markings, and local ones stay where they are."""
    return tuple(
        name
        for tag in things_in(thing, "Tag")
        if (name := text_of(tag, "name"))
        and not is_marking_tag(name)
        and not is_true(tag, "local")
        and tag.get("exportable") is not False
    )


def instant_seconds(text: str) -> int:
    try:
        return parse_instant(text) // SECOND_US
    except ValueError:
        return 0


def instant_text(thing: Mapping[str, Any], name: str) -> str:
    """Returns an instant as STIX writes it, to the second, from one as MISP does (RFC 3339 with an offset);
    "" where there is none."""
    seconds = instant_seconds(text_of(thing, name))
    return format_seconds(seconds) if seconds > 0 else ""


def format_seconds(seconds: int) -> str:
    """Returns seconds since 1970 as STIX 2.1 section 3.2 writes them."""
    return (format_instant(seconds * SECOND_US) or "").replace("Z", ".000Z")
