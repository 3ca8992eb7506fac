"""Bundle: bytes of STIX (2.1, or 2.0) to checked objects, each with its own bytes as they were written.

Read are a bundle, a bare object, a JSON list of objects, and anything with an `objects` list (a TAXII page). The
bundle itself is only a parcel: its id and properties are not kept, but a marking on it is one on each object in it.
Steps, in this order:

1. size and encoding                                       whole file refused
2. depth, before any parser                                the object refused, or the file when it is not inside one
3. JSON of the outer text                                  whole file refused, with line and column
4. each object: size, JSON, duplicate keys, NaN, half of
   a surrogate pair                                        the object refused
5. each object: what its type must have                    the object refused
6. each indicator: a pattern that is one, an end that is
   later than its begin                                    the object refused
7. the same id and version twice                           the later one refused: `repeated` or `duplicate-id`

read = len(objects) + refusals.total, always.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import msgspec

from p2pshare.errors import AuthorError
from p2pshare.intel.checks import as_plain_indicator, find_wrong
from p2pshare.intel.instants import parse_instant
from p2pshare.intel.json_mending import mend
from p2pshare.intel.json_rescue import has_maskable, mask_faulty, unmask
from p2pshare.intel.json_text import (
    Fault,
    has_too_many_brackets,
    is_shallow,
    parse_object,
    refuse_outer_duplicates,
    refuse_syntax,
    says_nothing_twice,
    without_bom,
)
from p2pshare.intel.marking_words import (
    DEFINITION_ID,
    NO_WORDS,
    QUIET,
    Look,
    MarkingWords,
    definitions_named,
    look_at,
    words_of_bytes,
    words_of_members,
    words_of_object,
)
from p2pshare.intel.pattern import comparisons_of
from p2pshare.intel.pattern_syntax import is_pattern
from p2pshare.intel.refusals import Refusals, every_refusal
from p2pshare.limits import (
    FRAME_BYTES_MAX,
    FRAME_OBJECTS_MAX,
    INPUT_BYTES_MAX,
    INPUT_COMMAS_MAX,
    OBJECT_BYTES_MAX,
    OBJECTS_PER_BUNDLE_MAX,
)


class BundleObject(msgspec.Struct, frozen=True, gc=False):
    """A checked object. `raw` is its JSON as written; `modified` is empty where the type has none."""

    raw: bytes
    object_id: str
    type: str
    modified: str
    created_by: str | None
    marking_refs: tuple[str, ...]
    granular_refs: tuple[str, ...]
    definition: Mapping[str, Any] | None
    """The parsed object, for marking definitions only."""
    is_added: bool = False
    """True for an object that a reader made beside those it read, so that one of them can be understood: not
    counted as read."""
    words: MarkingWords = NO_WORDS
    """Marking words in it and around it, beside these references."""
    names: tuple[str, ...] = ()
    """Ids of other objects that it names, but for its creator and its markings."""


_OWN_REFERENCES = frozenset({"created_by_ref", "object_marking_refs"})

_decode = msgspec.json.Decoder().decode


@dataclass
class Reading:
    """Result of reading a file: `read` = objects that were not added + refusals.total. `notes` counts what
    was dropped from, or assumed about, objects that were taken."""

    objects: list[BundleObject] = field(default_factory=list)
    refusals: Refusals = field(default_factory=every_refusal)
    notes: Refusals = field(default_factory=Refusals)
    read: int = 0


def read_stix(raw: bytes) -> Reading:
    """Returns the checked objects of a STIX file. Raises AuthorError when nothing in it can be read:
    input-too-large, encoding, not-utf8, not-json, too-deep, duplicate-key, not-stix, too-many-objects."""
    if len(raw) > INPUT_BYTES_MAX:
        raise AuthorError(
            f"the input is larger than {INPUT_BYTES_MAX} bytes", hint="split it", reason="input-too-large"
        )
    raw = without_bom(raw)
    if raw.count(b",") > INPUT_COMMAS_MAX:
        raise _too_many()
    reading = Reading()
    place_by_version: dict[tuple[str, str], int] = {}
    for position, (piece, around, look) in enumerate(_looked_at(_pieces(raw, reading.notes))):
        reading.read += 1
        if reading.read > OBJECTS_PER_BUNDLE_MAX:
            raise _too_many()
        found = piece if isinstance(piece, Fault) else check_object(piece, around=around, look=look)
        if isinstance(found, Fault):
            reading.refusals.add(found.reason, f"objects[{position}]{found.path}")
            continue
        place = place_by_version.setdefault((found.object_id, found.modified), len(reading.objects))
        if place == len(reading.objects):
            reading.objects.append(found)
            continue
        first = reading.objects[place]
        reason = repetition(first, found)
        if reason == "repeated" and found.words != first.words:  # it says the same inside another bundle
            words = first.words.merged(found.words)
            reading.objects[place] = msgspec.structs.replace(first, words=words)
        reading.refusals.add(reason, f"objects[{position}] {found.object_id}")
    return reading


def object_of(
    stix: Mapping[str, Any], *, is_added: bool = False, around: MarkingWords = NO_WORDS
) -> BundleObject | Fault:
    """Returns an object that one of our readers made, checked like one that was read, or its fault."""
    try:
        return check_object(msgspec.json.encode(stix), is_added=is_added, around=around)
    except UnicodeEncodeError:  # half a surrogate pair, which JSON escapes can spell and no encoding can hold
        return Fault("not-utf8", "")


def check_object(
    piece: bytes, *, is_added: bool = False, around: MarkingWords = NO_WORDS, look: Look | None = None
) -> BundleObject | Fault:
    """Returns one object that passed steps 4 to 6, or its first fault. `look`: what is known of its bytes."""
    if len(piece) > OBJECT_BYTES_MAX:
        return Fault("object-too-large", "")
    if has_too_many_brackets(piece):
        return Fault("too-many-brackets", "")
    plain = _check_plainly(piece, is_added, around, look)
    if plain is not None:
        return plain
    stix, fault = parse_object(piece)
    if stix is None:
        return fault or Fault("not-json", "")
    if stix.get("type") == "bundle":
        return Fault("nested-bundle", "")
    fault = find_wrong(stix)
    if fault is None and stix["type"] == "indicator" and not stix.get("revoked"):
        fault = _why_never(
            stix["pattern"], stix.get("pattern_type", "stix"), stix["valid_from"], stix.get("valid_until")
        )
    if fault is not None:
        return fault
    marking_refs = tuple(stix.get("object_marking_refs", ()))
    granular_refs = tuple(
        one["marking_ref"] for one in stix.get("granular_markings", ()) if "marking_ref" in one
    )
    return BundleObject(
        raw=piece,
        object_id=stix["id"],
        type=stix["type"],
        modified=stix.get("modified", ""),
        created_by=stix.get("created_by_ref"),
        marking_refs=marking_refs,
        granular_refs=granular_refs,
        definition=stix if stix["type"] == "marking-definition" else None,
        is_added=is_added,
        words=around.merged(
            _words_of(piece, stix, (*marking_refs, *granular_refs), tuple(stix.get("labels", ())), look)
        ),
        names=() if stix["type"] == "indicator" else tuple(_names_in(stix)),
    )


def _why_never(pattern: str, pattern_type: str, valid_from: str, valid_until: str | None) -> Fault | None:
    """Returns why an indicator whose instants are instants would never tell anybody anything, or None: no tool reads
    its pattern (STIX 2.1 section 9), or it is over before it begins (section 4.7). One that is revoked takes back what was
    published before there was this rule, so it is not asked."""
    if pattern_type == "stix" and not comparisons_of(pattern) and not is_pattern(pattern):
        return Fault("bad-pattern", "/pattern")
    if valid_until is not None and parse_instant(valid_until) <= parse_instant(valid_from):
        return Fault("already-over", "/valid_until")
    return None


def _words_of(
    piece: bytes, stix: Mapping[str, Any], refs: tuple[str, ...], labels: tuple[str, ...], look: Look | None
) -> MarkingWords:
    """Returns the marking words of an object, beside its references to markings."""
    if look is QUIET and piece.count(DEFINITION_ID) == definitions_named(refs):
        return NO_WORDS
    words = words_of_bytes(piece, definitions_named(refs), labels, look or look_at(piece))
    return words_of_object(stix) if isinstance(words, int) else words


def _names_in(stix: Mapping[str, Any]) -> Iterator[str]:
    """Yields the ids in properties that are called references (STIX 2.1 section 3.1)."""
    for name in stix:
        if name.endswith("_ref") and name not in _OWN_REFERENCES and isinstance(stix[name], str):
            yield stix[name]
        elif name.endswith("_refs") and name not in _OWN_REFERENCES and isinstance(stix[name], list):
            yield from (one for one in stix[name] if isinstance(one, str))


def _check_plainly(
    piece: bytes, is_added: bool, around: MarkingWords, look: Look | None
) -> BundleObject | None:
    """Returns the object when it is an ordinary indicator, as nearly every object is, and passes steps 4 to
    6. Fast path: None decides nothing."""
    try:
        stix = _decode(piece)
        if type(stix) is not dict or stix.get("type") != "indicator" or not says_nothing_twice(piece, stix):
            return None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    plain = as_plain_indicator(stix)
    if plain is None:
        return None
    until = None if plain.valid_until is msgspec.UNSET else plain.valid_until
    if not plain.revoked and _why_never(plain.pattern, plain.pattern_type, plain.valid_from, until):
        return None
    return BundleObject(
        piece,
        plain.id,
        plain.type,
        plain.modified,
        plain.created_by_ref or None,
        plain.object_marking_refs,
        (),
        None,
        is_added,
        around.merged(_words_of(piece, stix, plain.object_marking_refs, plain.labels, look)),
    )


def repetition(first: BundleObject, later: BundleObject) -> str:
    """Returns `repeated` when both have the same content, `duplicate-id` when not: then only the author can mend it."""
    if first.raw == later.raw or parse_object(first.raw) == parse_object(later.raw):
        return "repeated"
    return "duplicate-id"


_Piece = tuple[bytes | Fault, MarkingWords]
_RUN_OBJECTS = 64


def _looked_at(pieces: Iterator[_Piece]) -> Iterator[tuple[bytes | Fault, MarkingWords, Look]]:
    """Yields the pieces, and what a look at their bytes tells: at many of them at once, for that is faster."""
    while run := list(islice(pieces, _RUN_OBJECTS)):
        look = look_at(b"\n".join([piece for piece, _ in run if isinstance(piece, bytes)]))
        yield from ((piece, around, look) for piece, around in run)


def _pieces(raw: bytes, notes: Refusals) -> Iterator[_Piece]:
    """Returns the bytes of each object of a text that is JSON or can be repaired (`json_mending`), or the fault of one."""
    try:
        return _pieces_of(raw, notes)
    except AuthorError as error:
        texts = mend(raw, notes) if error.reason == "not-json" else []
        if not texts:
            raise
        if len(texts) == 1:
            return _pieces_of(texts[0], notes)
        return (piece for text in texts for piece in _pieces_of_line(text, notes))


def _pieces_of_line(text: bytes, notes: Refusals) -> Iterator[_Piece]:
    try:
        return _pieces_of(text, notes)
    except AuthorError as error:
        return iter([(Fault(error.reason, ""), NO_WORDS)])


def _pieces_of(raw: bytes, notes: Refusals) -> Iterator[_Piece]:
    """Returns the bytes of each object that passed steps 2 and 3, or the fault of one."""
    faults: Mapping[int, Fault] = {}
    text = raw
    if not is_shallow(raw):
        text, faults = mask_faulty(raw)
    try:
        elements, around = _elements(text)
    except msgspec.DecodeError as error:
        if faults or not has_maskable(raw):
            refuse_syntax(text, error)
        text, faults = mask_faulty(raw)
        try:
            elements, around = _elements(text)
        except msgspec.DecodeError as second:
            refuse_syntax(text, second)
    if len(elements) > OBJECTS_PER_BUNDLE_MAX:
        raise _too_many()
    for spoken in sorted(around.spoken):
        notes.add("marking-spoken-of", f"the bundle: {spoken}")
    around = around.without_spoken()
    return ((piece, around) for piece in unmask(map(bytes, elements), faults))


def _too_many() -> AuthorError:
    return AuthorError(
        f"more than {OBJECTS_PER_BUNDLE_MAX} objects", hint="split the bundle", reason="too-many-objects"
    )


def _elements(raw: bytes) -> tuple[list[msgspec.Raw], MarkingWords]:
    """Returns the bytes of each object. Raises AuthorError for JSON that is not STIX, msgspec.DecodeError for
    what is not JSON."""
    if raw.lstrip()[:1] == b"[":
        return msgspec.json.decode(raw, type=list[msgspec.Raw]), NO_WORDS
    if raw.lstrip()[:1] != b"{":
        msgspec.json.decode(raw)
        raise _not_stix({})
    members = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
    refuse_outer_duplicates(raw, members)
    objects = memoryview(members.get("objects", b""))
    type_ = bytes(members.get("type", b""))
    if type_ == b'"bundle"' or (not type_ and objects):
        if not objects:
            return [], NO_WORDS
        if bytes(objects[:1]) != b"[":
            raise AuthorError("`objects` is not a list", hint="is it a STIX bundle?", reason="not-stix")
        around = words_of_members(members, frozenset({"objects"}))
        return msgspec.json.decode(objects, type=list[msgspec.Raw]), around
    if not type_ or "id" not in members:
        raise _not_stix(members)
    return [msgspec.Raw(raw.strip())], NO_WORDS


def _not_stix(members: Mapping[str, object]) -> AuthorError:
    is_misp = "Event" in members or "response" in members
    hint = "it looks like MISP: --format misp" if is_misp else "STIX, MISP, KEV or CSAF 2.0 is expected"
    return AuthorError("the JSON is not STIX", hint=hint, reason="not-stix")


def frames(
    objects: Iterator[BundleObject] | list[BundleObject], objects_max: int = FRAME_OBJECTS_MAX
) -> Iterator[bytes]:
    """JSON arrays of the objects' own bytes, of at most `objects_max` objects and FRAME_BYTES_MAX bytes each."""
    pieces: list[bytes] = []
    size = 2
    for one in objects:
        if pieces and (len(pieces) >= objects_max or size + len(one.raw) + 1 > FRAME_BYTES_MAX):
            yield b"[" + b",".join(pieces) + b"]"
            pieces, size = [], 2
        pieces.append(one.raw)
        size += len(one.raw) + 1
    if pieces:
        yield b"[" + b",".join(pieces) + b"]"
