"""Recipes: what an author puts into envelopes to make them expensive, in numbers and words that a search can change.

A recipe is one to three envelopes of one author, taken in one after the other; each holds lumps, and a lump is many
objects of one kind that differ in a rule. The same recipe always gives the same bytes.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from itertools import islice

import zstandard

from p2pshare.intel.assessing import EXTENSION as ASSESSMENT_EXTENSION
from p2pshare.intel.derivation import EXTENSION as DERIVATION_EXTENSION
from p2pshare.intel.instants import SECOND_US, format_instant
from p2pshare.intel.withdrawing import WITHDRAWAL
from p2pshare.limits import FRAME_OBJECTS_MAX, KIB, MIB, PAYLOAD_FRAMES_MAX

KINDS = (
    "indicator", "sighting", "false-positive", "opinion", "note", "proposal", "withdrawal", "report", "relationship",
    "marking", "unknown", "raw",
)  # fmt: skip
SHAPES = ("plain", "in", "or", "observations", "or-other", "opaque", "steps", "escapes")
VALUE_TYPES = ("mutex", "domain", "below", "url", "ipv4", "email", "file-name", "sha256")
FILLERS = (
    "text", "spaces", "brackets", "deep", "numbers", "objects", "keys", "escapes", "quotes", "words", "disguised", "nan",
    "half", "duplicates", "references", "strings", "schemes",
)  # fmt: skip
LABELS = ("counted", "same", "marking")
RENDERED_BYTES_MAX = (
    6 * MIB
)  # of one envelope: ratios hardly grow beyond, and a step of the search stays short
CREATED = 1_790_000_000

_PATHS = {
    "mutex": "mutex:name",
    "domain": "domain-name:value",
    "below": "domain-name:value",
    "url": "url:value",
    "ipv4": "ipv4-addr:value",
    "email": "email-addr:value",
    "file-name": "file:name",
    "sha256": "file:hashes.'SHA-256'",
}


_TYPES = {"below": "domain"}


@dataclass(frozen=True)
class Objects:
    """Many objects of one kind. Number i of them has the id `id_base + i * id_step`, and so on: a step of 0 is always the
    same."""

    kind: str = "indicator"
    count: int = 1
    id_base: int = 0
    id_step: int = 1
    is_text_id: bool = False
    """Whether ids are in capitals, which the store keeps as text."""
    version_base: int = 0
    version_step: int = 0
    is_distinct: bool = False
    """Whether a property that nobody reads makes each another content: a fork where id and version are the same."""
    values: int = 1
    """Of each pattern."""
    value_base: int = 0
    value_step: int = 1
    value_bytes: int = 8
    value_type: str = "mutex"
    is_random: bool = False
    """Whether values are hashes, which do not compress, and not counted."""
    shape: str = "plain"
    valid_step: int = 0
    """Seconds between the beginnings of two objects' validity."""
    is_ending: bool = False
    is_revoked: bool = False
    labels: int = 0
    label_characters: int = 8
    label_kind: str = "counted"
    marking_refs: int = 1
    target_base: int = 0
    target_step: int = 1
    targets: int = 1
    names_value: str = ""
    """Which value of its target an assessment is about: "" all, "first" one, "none" one that it has not."""
    is_replacing: bool = False
    """Whether each other withdrawal names another object as its successor."""
    origins: int = 0
    """How many of the author's indicators each object says it stems from (docs/intelligence.md, "Derivation")."""
    origin_base: int = 0
    origin_step: int = 1
    """Of number i the first is `origin_base + i * origin_step`; what is one below the own id makes a chain."""
    public_source: str = ""
    """Which public source each names: "" none, "same" one for all, "counted" one of its own."""
    filler: str = ""
    filler_bytes: int = 0


@dataclass(frozen=True)
class Sealed:
    """One envelope: its lumps in turn, and how they are packed."""

    lumps: tuple[Objects, ...]
    frame_objects: int = FRAME_OBJECTS_MAX
    level: int = 6
    is_earlier: bool = False
    """Whether it stands before the others in its author's chain, though it comes after them."""
    times: int = 1
    """How many such envelopes there are, ..."""
    shifts: str = "ids"
    """... and what goes on from one to the next: "ids", "values", "both" of these, "versions" or nothing."""
    padding_bytes: int = 0
    """Of text that does not compress, in an object of its own: where bounds follow from compressed bytes it buys room."""


Recipe = tuple[Sealed, ...]


def scaled(recipe: Recipe, factor: float) -> Recipe:
    """Returns the recipe with so many times the objects, or fillers where there are few objects."""

    def lump(one: Objects) -> Objects:
        if one.count >= 32:
            return replace(one, count=max(1, int(one.count * factor)))
        if one.filler_bytes:
            return replace(one, filler_bytes=max(1, int(one.filler_bytes * factor)))
        return replace(one, values=max(1, int(one.values * factor))) if one.values > 1_000 else one

    return tuple(replace(sealed, lumps=tuple(map(lump, sealed.lumps))) for sealed in recipe)


def written(recipe: Recipe) -> str:
    """Returns the recipe as the Python that makes it, without what is usual."""

    def one(made: object) -> str:
        said = []
        for field in fields(made):  # type: ignore[arg-type]
            value = getattr(made, field.name)
            if field.name == "lumps":
                said.append("(" + " ".join(one(lump) + "," for lump in value) + ")")
            elif value != field.default:
                said.append(f"{field.name}={value!r}")
        return f"{type(made).__name__}({', '.join(said)})"

    return "(" + " ".join(one(sealed) + "," for sealed in recipe) + ")"


def kinds_of(recipe: Recipe) -> str:
    """Returns a short name of what is in a recipe, by which those of one kind are told."""
    words = []
    for sealed in recipe:
        said = []
        for lump in sealed.lumps:
            word = lump.kind
            if lump.kind == "indicator":
                word += f":{lump.shape}" + ("*" if lump.values > 16 else "")
            if lump.filler and lump.filler_bytes > KIB // 4:
                word += f"+{lump.filler}"
            if lump.labels > 4:
                word += "+labels"
            if lump.origins or lump.public_source:
                word += "+derived"
            if lump.id_step == 0:
                word += "=same"
            said.append(word)
        words.append(
            "&".join(sorted(set(said))) + "<" * sealed.is_earlier + f" x{sealed.times}" * (sealed.times > 1)
        )
    return " | ".join(words)


def frames_of(sealed: Sealed, author: str) -> tuple[list[bytes], int, int]:
    """Returns the frames of an envelope, its number of objects, and the bytes that they inflate to."""
    room = RENDERED_BYTES_MAX
    frames: list[bytes] = []
    objects = inflated = 0
    compressor = zstandard.ZstdCompressor(level=sealed.level, write_content_size=True)
    texts = _texts(sealed, author)
    if sealed.padding_bytes:
        text = base64.b64encode(hashlib.shake_256(b"padding").digest(sealed.padding_bytes)).decode()
        padding = Objects("note", id_base=1 << 40)
        filler = f',"x":"{text}"'
        raw = f"[{_note(padding, 0, author, filler)}]".encode()
        frames.append(compressor.compress(raw))
        objects, inflated = 1, len(raw)
    while len(frames) < PAYLOAD_FRAMES_MAX and room > 0:
        pieces: list[str] = []
        for text in islice(texts, sealed.frame_objects):
            room -= len(text)
            if room <= 0 and (pieces or frames):
                break
            pieces.append(text)
            if sum(map(len, pieces[-1:])) and sum(map(len, pieces)) > 4 * MIB:
                break
        if not pieces:
            break
        raw = ("[" + ",".join(pieces) + "]").encode("utf-8", "surrogatepass")
        frames.append(compressor.compress(raw))
        objects += len(pieces)
        inflated += len(raw)
    return frames, objects, inflated


def values_of(recipe: Recipe, count: int, characters_max: int = 256 * KIB) -> list[tuple[str, str]]:
    """Returns (type, text) of values that the indicators of a recipe name, each once, those named most often first."""
    found: dict[tuple[str, str], int] = {}
    for sealed in recipe:
        for lump in sealed.lumps:
            if lump.kind != "indicator" or lump.shape in ("or-other", "opaque", "steps"):
                continue
            weight = lump.count if lump.value_step == 0 else 1
            several = lump.values if lump.value_step == 0 or lump.shape != "plain" else lump.count
            for number in range(min(several, count)):
                pair = (_TYPES.get(lump.value_type, lump.value_type), _value(lump, lump.value_base + number))
                found[pair] = found.get(pair, 0) + weight
    chosen: list[tuple[str, str]] = []
    for pair in sorted(found, key=lambda one: -found[one]):
        characters_max -= len(pair[1])
        if len(chosen) < count and characters_max > 0:
            chosen.append(pair)
    return chosen


def shifted(sealed: Sealed, number: int) -> Sealed:
    """Returns envelope `number` of those that a recipe says together."""
    lumps = []
    for lump in sealed.lumps:
        further = number * lump.count
        if sealed.shifts in ("ids", "both"):
            lump = replace(lump, id_base=lump.id_base + further)
        if sealed.shifts in ("values", "both"):
            lump = replace(lump, value_base=lump.value_base + further * lump.values)
        if sealed.shifts == "versions":
            lump = replace(lump, version_base=lump.version_base + further)
        lumps.append(lump)
    return replace(sealed, lumps=tuple(lumps))


# --- the text of objects ---


def _texts(sealed: Sealed, author: str) -> Iterator[str]:
    for lump in sealed.lumps:
        make = _MAKERS[lump.kind]
        filler = f',"x":{_filler(lump)}' if lump.filler else ""
        for number in range(lump.count):
            yield make(lump, number, author, filler)


def _id(type_: str, number: int, lump: Objects) -> str:
    uuid = f"00000000-0000-4000-8000-{number % 16**12:012x}"
    return f"{type_}--{uuid.replace('0000-4', 'ABCD-4').upper() if lump.is_text_id else uuid}"


def _instant(seconds: int) -> str:
    return format_instant((CREATED + seconds) * SECOND_US)


def _head(type_: str, lump: Objects, number: int, filler: str) -> str:
    version = _instant(lump.version_base + number * lump.version_step)
    refs = "".join(
        f'"marking-definition--00000000-0000-4000-8000-{one:012x}",' for one in range(1, lump.marking_refs)
    )
    said = [
        f'{{"type":"{type_}","spec_version":"2.1","id":"{_id(type_, lump.id_base + number * lump.id_step, lump)}"',
        f'"created":"{_instant(0)}","modified":"{version}"',
    ]
    if lump.marking_refs:
        said.append(
            f'"object_marking_refs":[{refs}"marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb"]'
        )
    if lump.labels:
        said.append(f'"labels":[{",".join(_labels(lump, number))}]')
    if lump.is_distinct:
        said.append(f'"x_n":{lump.value_base + number}')
    if lump.is_revoked:
        said.append('"revoked":true')
    return ",".join(said) + filler


def _labels(lump: Objects, number: int) -> Iterator[str]:
    for place in range(lump.labels):
        one = number if lump.label_kind == "counted" else 0
        word = "tlp:amber " if lump.label_kind == "marking" else "l"
        yield f'"{word}{place}-{one}'.ljust(lump.label_characters + 1, "x") + '"'


def _derivation(lump: Objects, number: int, author: str) -> str:
    """Returns the extension by which an object says what it stems from, as a property; nothing where it says nothing."""
    said = ['"extension_type":"property-extension"']
    first = lump.origin_base + number * lump.origin_step
    if lump.origins:
        ids = [_id("indicator", first + one, lump) for one in range(lump.origins)]
        said.append(
            '"derived_from":[' + ",".join([f'{{"author":"{author}","object":"{one}"}}' for one in ids]) + "]"
        )
    if lump.public_source:
        word = number if lump.public_source == "counted" else 0
        said.append(f'"public_source":"http://s{word}.example/"')
    return f',"extensions":{{"{DERIVATION_EXTENSION}":{{{",".join(said)}}}}}' if len(said) > 1 else ""


def _value(lump: Objects, number: int) -> str:
    word = f"{number:x}"
    if lump.is_random:
        word = hashlib.shake_256(str(number).encode()).hexdigest(min(max(lump.value_bytes, 8), 4096) // 2)
    room = lump.value_bytes
    match lump.value_type:
        case "ipv4":
            return f"198.{18 + number // 65536 % 2}.{number // 256 % 256}.{number % 256}"
        case "domain":
            return ".".join([word[:60], *["a"] * min(room // 2, 100), "example"])
        case "below":  # each has parents of its own
            return ".".join([*["a"] * min(room // 2, 100), word[:60], "example"])
        case "email":
            return f"{word[:60]}@{'a.' * min(room // 2, 100)}example"
        case "url":
            return f"http://a.example/{word}{'%C3%A9/' * ((room - len(word)) // 7)}"
        case "sha256":
            return hashlib.sha256(str(number).encode()).hexdigest() if lump.is_random else f"{number:064x}"
        case _:
            return word.ljust(room, "x")


def _pattern(lump: Objects, number: int) -> str:
    path = _PATHS[lump.value_type]
    first = lump.value_base + number * lump.values * lump.value_step
    if lump.shape == "or-other":
        return "[" + " OR ".join(["a:b=1"] * lump.values) + "]"
    if lump.shape == "steps":
        return "[a:b" + ".c" * lump.values + "=1]"
    if lump.shape == "escapes":
        return f"[{path}='{_value(lump, first)}" + "\\\\\\\\" * lump.values + "']"
    literals = [f"'{_value(lump, one)}'" for one in range(first, first + lump.values)]
    match lump.shape:
        case "plain":
            return f"[{path} = {literals[0]}]"
        case "in":
            return f"[{path} IN ({','.join(literals)})]"
        case "or":
            return "[" + " OR ".join([f"{path}={one}" for one in literals]) + "]"
        case "observations":
            return " OR ".join([f"[{path}={one}]" for one in literals])
        case _:
            return f"[{path} IN ({','.join(literals)})] AND"


def _indicator(lump: Objects, number: int, author: str, filler: str) -> str:
    begin = number * lump.valid_step
    end = f',"valid_until":"{_instant(begin + 86_400)}"' if lump.is_ending else ""
    return (
        f"{_head('indicator', lump, number, filler)},"
        f'"pattern":"{_pattern(lump, number)}","pattern_type":"stix","valid_from":"{_instant(begin)}"{end}'
        f"{_derivation(lump, number, author)}}}"
    )


def _target(lump: Objects, number: int) -> str:
    return _id("indicator", lump.target_base + number * lump.target_step, lump)


def _targets(lump: Objects, number: int) -> str:
    first = lump.target_base + number * lump.target_step
    return ",".join([f'"{_id("indicator", first + one, lump)}"' for one in range(lump.targets)])


def _assessed(lump: Objects, number: int, author: str, more: str = "") -> str:
    said = f'"extension_type":"property-extension","author":"{author}"{more}'
    if lump.names_value:
        value = _value(lump, lump.value_base + number * lump.value_step)
        if lump.names_value == "none":
            value = "none" + value
        said += f',"observable_type":"{_TYPES.get(lump.value_type, lump.value_type)}","observable_value":"{value}"'
    return f',"extensions":{{"{ASSESSMENT_EXTENSION}":{{{said}}}}}}}'


def _sighting(lump: Objects, number: int, author: str, filler: str) -> str:
    head = f'{_head("sighting", lump, number, filler)},"sighting_of_ref":"{_target(lump, number)}","count":1'
    return head + _assessed(lump, number, author)


def _false_positive(lump: Objects, number: int, author: str, filler: str) -> str:
    head = _head("opinion", lump, number, filler)
    refs = f',"opinion":"strongly-disagree","object_refs":["{_target(lump, number)}"]'
    return head + refs + _assessed(lump, number, author, ',"false_positive":true')


def _opinion(lump: Objects, number: int, author: str, filler: str) -> str:
    refs = f',"opinion":"agree","object_refs":[{_targets(lump, number)}]'
    return _head("opinion", lump, number, filler) + refs + _assessed(lump, number, author)


def _note(lump: Objects, number: int, author: str, filler: str) -> str:
    refs = f',"content":"n","object_refs":[{_targets(lump, number)}]'
    return _head("note", lump, number, filler) + refs + _assessed(lump, number, author)


def _proposal(lump: Objects, number: int, author: str, filler: str) -> str:
    refs = f',"object_ref":"{_target(lump, number)}","proposed":{{}}'
    return _head("p2pshare-proposal", lump, number, filler) + refs + _assessed(lump, number, author)


def _withdrawal(lump: Objects, number: int, author: str, filler: str) -> str:
    version = lump.version_base + number * lump.version_step
    reach = f'"up_to_incarnation":1,"up_to_sequence":{1 + version}'
    if lump.is_replacing and number % 2:
        reach += f',"replaced_by_ref":"{_target(lump, number + 1)}"'
    return (
        f'{_head(WITHDRAWAL, lump, number, filler)},"object_ref":"{_target(lump, number)}",{reach},'
        f'"up_to":"{_instant(version)}","reason":"mistake"}}'
    )


def _report(lump: Objects, number: int, author: str, filler: str) -> str:
    refs = f'"object_refs":[{_targets(lump, number)}]'
    return f'{_head("report", lump, number, filler)},"name":"r","published":"{_instant(0)}",{refs}{_derivation(lump, number, author)}}}'


def _relationship(lump: Objects, number: int, author: str, filler: str) -> str:
    refs = f'"source_ref":"{_target(lump, number)}","target_ref":"{_target(lump, number)}"'
    return f'{_head("relationship", lump, number, filler)},"relationship_type":"r",{refs}}}'


def _marking(lump: Objects, number: int, author: str, filler: str) -> str:
    meaning = f'"definition_type":"statement","definition":{{"statement":"s{number}"}}'
    return f"{_head('marking-definition', lump, number, filler)},{meaning}}}"


def _unknown(lump: Objects, number: int, author: str, filler: str) -> str:
    type_ = f"x-{lump.value_base + number * lump.value_step:x}".ljust(min(lump.value_bytes, 240), "x")
    return _head(type_, lump, number, filler) + _derivation(lump, number, author) + "}"


def _raw(lump: Objects, number: int, author: str, filler: str) -> str:
    return _filler(lump)


_MAKERS = {
    "indicator": _indicator,
    "sighting": _sighting,
    "false-positive": _false_positive,
    "opinion": _opinion,
    "note": _note,
    "proposal": _proposal,
    "withdrawal": _withdrawal,
    "report": _report,
    "relationship": _relationship,
    "marking": _marking,
    "unknown": _unknown,
    "raw": _raw,
}


def _list_of(piece: str, size: int) -> str:
    return "[" + ",".join([piece] * max(1, size // (len(piece) + 1))) + "]"


def _filler(lump: Objects) -> str:
    """Returns JSON, or nearly JSON, of about `filler_bytes`."""
    size = lump.filler_bytes
    match lump.filler:
        case "text":
            return '"' + "a" * size + '"'
        case "spaces":
            return "[" + " " * size + "]"
        case "brackets":
            return _list_of("[" * 50 + "]" * 50, size)
        case "deep":
            return "[" * (size // 2) + "]" * (size // 2)
        case "numbers":
            return _list_of("1", size)
        case "objects":
            return _list_of("{}", size)
        case "keys":
            return "{" + ",".join([f'"{one:x}":1' for one in range(max(1, size // 8))]) + "}"
        case "escapes":
            return '"' + "\\u0041" * (size // 6) + '"'
        case "quotes":
            return '"' + '\\"' * (size // 2) + '"'
        case "words":
            return _list_of('"tlp:red"', size)
        case "schemes":
            return '"' + "tlp " * (size // 4) + '"'
        case "disguised":
            return _list_of('"\u03c4lp"', size)
        case "nan":
            return _list_of("NaN", size)
        case "half":
            return _list_of('"\\ud800"', size)
        case "duplicates":
            return _list_of('{"a":1,"a":1}', size)
        case "references":
            return _list_of('"marking-definition--00000000-0000-4000-8000-000000000000"', size)
        case "strings":
            return _list_of('""', size)
        case _:
            return json.dumps("x" * size)


def lumps_of(recipe: Sequence[Sealed]) -> Iterator[Objects]:
    for sealed in recipe:
        yield from sealed.lumps
