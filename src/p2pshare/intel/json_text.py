"""JSON text before it is believed: depth, encoding, duplicate keys, numbers and characters that JSON does not have.

`is_shallow` runs before any parser, without recursion and at the speed of a few passes of C code over the bytes.
`parse_object` looks at one object (bounded by OBJECT_BYTES_MAX) and answers with a reason and a JSON pointer.
RFC 8259; duplicate keys are refused because two readers may believe different ones (RFC 7493 section 2.3).
"""

from __future__ import annotations

import codecs
import json
import re
from array import array
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from typing import Any, NoReturn

import msgspec

from p2pshare.errors import AuthorError
from p2pshare.intel.runs import run_end
from p2pshare.limits import JSON_DEPTH_MAX, MIB, OBJECT_BRACKETS_MAX

_ALL_BUT_STRUCTURE = bytes(sorted(set(range(256)) - set(b'"[]{}')))
_STEPS = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")  # +1 and -1 as signed bytes
_ESCAPE = re.compile(rb"\\.", re.DOTALL)
_ORDINARY_DEPTH = 8  # STIX nests no deeper, but for a few extensions
_CHUNK_BYTES = MIB
_SMALL_BYTES = 4_096  # of structure: a fortieth of that many objects' text, and soon counted
BRACKETS_MAX = (
    4_000_000  # a real file of 64 MiB has fewer than one million; more of them is an attack on time
)
_POSITION = re.compile(r"\(byte (\d+)\)")
# Up to the first \uD800-\uDFFF that is not the first of a pair, or its second: RFC 8259 section 8.2.
_WHOLE_CHARACTERS = re.compile(
    rb"(?:[^\\]++|\\[^u]|\\u(?![dD][89a-fA-F])|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}){1,1000}",
    re.DOTALL,
)
_STRING_PIECES = re.compile(rb'(?:[^"\\]++|\\.){1,1000}', re.DOTALL)
_SURROGATE = re.compile("[\ud800-\udfff]")
_OTHER_ENCODINGS = (
    (codecs.BOM_UTF32_LE, "UTF-32"),
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)


@dataclass(frozen=True)
class Fault:
    """A fault of an object: a reason code, and the JSON pointer (RFC 6901) of its place."""

    reason: str
    path: str


def without_bom(raw: bytes) -> bytes:
    """Returns `raw`, which must be UTF-8, without its byte order mark. Raises AuthorError: encoding, not-utf8."""
    for mark, name in _OTHER_ENCODINGS:
        if raw.startswith(mark):
            raise AuthorError(f"the text is {name}", hint="save it as UTF-8", reason="encoding")
    if raw[:4].count(0) >= 2:
        raise AuthorError("the text is not UTF-8", hint="save it as UTF-8", reason="encoding")
    raw = raw.removeprefix(codecs.BOM_UTF8)
    decoder = codecs.getincrementaldecoder("utf-8")()
    for start in range(0, len(raw), _CHUNK_BYTES):
        try:
            decoder.decode(raw[start : start + _CHUNK_BYTES], final=start + _CHUNK_BYTES >= len(raw))
        except UnicodeDecodeError:
            raise AuthorError("the text is not UTF-8", hint="save it as UTF-8", reason="not-utf8") from None
    return raw


def is_shallow(raw: bytes, depth_max: int = JSON_DEPTH_MAX) -> bool:
    """Returns whether arrays and objects in `raw` nest at most `depth_max` deep, and are at most BRACKETS_MAX
    brackets. For text that is not JSON the answer holds up to the place where a parser stops."""
    backslashes = raw.count(b"\\") if b"\\" in raw else 0  # to find none is much cheaper than to count none
    if backslashes * 16 > len(raw):  # hostile density: replacing costs the same however many there are
        raw = raw.replace(b"\\\\", b"").replace(b'\\"', b"")
    elif backslashes:
        raw = _ESCAPE.sub(b"", raw)
    # The quotes that are left delimit strings.
    # Two neighbouring quotes open and close (or close and open) nothing that matters: dropping them keeps parity.
    structure = raw.translate(_STEPS, _ALL_BUT_STRUCTURE)
    is_worth_it = depth_max >= _ORDINARY_DEPTH and _SMALL_BYTES < len(structure) <= BRACKETS_MAX
    if is_worth_it and _nests_ordinarily().fullmatch(structure) is not None:
        return True
    structure = structure.replace(b'""', b"")
    if b'"' in structure:
        structure = _outside_strings(structure)
    if len(structure) > BRACKETS_MAX:
        return False
    return (
        _collapses(structure, min(depth_max, _ORDINARY_DEPTH))
        or max(accumulate(array("b", structure)), default=0) <= depth_max
    )


@cache
def _nests_ordinarily() -> Any:
    """Returns the expression for steps and strings that nest at most _ORDINARY_DEPTH deep, for RE2: three times as fast as
    what is done without it. Fast path: what it does not match is counted. Loaded when it is first needed."""
    import re2

    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.never_capture = True
    string = rb'"[^"]*"'
    inside = rb"(?:" + string + rb")*"
    for _ in range(_ORDINARY_DEPTH):
        inside = rb"(?:" + string + rb"|\x01" + inside + rb"\xff)*"
    return re2.compile(inside, options)


def _collapses(structure: bytes, depth: int) -> bool:
    """Returns whether the brackets all close within `depth`: each pass removes the innermost pairs, and so one
    level. Four times as fast as counting; a few passes, for hostile text makes each of them cost the whole of it."""
    for _ in range(depth):
        if not structure:
            break
        structure = structure.replace(b"\x01\xff", b"")
    return not structure


def _outside_strings(structure: bytes) -> bytes:
    """Returns the steps that stand outside strings; in chunks, because each string costs a small object."""
    kept: list[bytes] = []
    is_inside = 0
    for start in range(0, len(structure), _CHUNK_BYTES):
        pieces = structure[start : start + _CHUNK_BYTES].split(b'"')
        kept.append(b"".join(pieces[is_inside::2]))
        is_inside = (is_inside + len(pieces) - 1) % 2
    return b"".join(kept)


def refuse_syntax(raw: bytes, error: msgspec.DecodeError) -> NoReturn:
    """Raise AuthorError not-json with line, column and a hint for the error the parser found in `raw`."""
    match = _POSITION.search(str(error))
    position = int(match[1]) if match else len(raw)
    half = half_surrogate_at(raw)
    if 0 <= half <= position:
        refuse_half_surrogate(raw, half)
    is_cut = match is None and raw.strip() != b""
    hint = "the text ends too early: was it cut off?" if is_cut else "check it with a JSON tool"
    if not raw.strip():
        hint = "the text is empty"
    raise AuthorError(f"not JSON: {_place(raw, position)}", hint=hint, reason="not-json")


def half_surrogate_at(raw: bytes) -> int:
    """Returns the position in JSON text of the first escape that is half of a surrogate pair; -1 when there is none."""
    end = run_end(_WHOLE_CHARACTERS, raw, 0)
    is_cut = (
        len(raw) < end + 12 and b'"' not in raw[end:]
    )  # a pair has 12 bytes; its rest is missing, not wrong
    return end if raw.startswith(b"\\u", end) and not is_cut else -1


def string_end(raw: bytes, start: int) -> int:
    """Returns the position behind the JSON string whose first character stands at `start`: behind its closing quote.

    A string that nothing closes goes on to the end of `raw`: tried again at each escaped quote it would cost the square.
    """
    end = run_end(_STRING_PIECES, raw, start)
    return end + 1 if raw.startswith(b'"', end) else end


def find_half_surrogate(value: Any, path: str = "") -> Fault | None:
    """Returns the fault of the first text in parsed JSON that holds half of a surrogate pair, which no UTF-8
    can hold; None when there is none. `value` is shallow, so recursion is bounded."""
    if isinstance(value, str):
        return Fault("half-surrogate", path) if _SURROGATE.search(value) else None
    if isinstance(value, list):
        members: Iterable[tuple[object, Any]] = enumerate(value)
    else:
        members = value.items() if isinstance(value, dict) else ()
    for key, member in members:
        if _SURROGATE.search(str(key)):
            return Fault("half-surrogate", path)
        fault = find_half_surrogate(member, _inside(path, key))
        if fault is not None:
            return fault
    return None


def refuse_half_surrogate(raw: bytes, position: int) -> NoReturn:
    """Raise AuthorError half-surrogate with line and column."""
    raise AuthorError(
        f"half a character at {_place(raw, position)}: one escape of a surrogate pair without the other",
        hint="take it out, or write the whole character",
        reason="half-surrogate",
    )


def _place(raw: bytes, position: int) -> str:
    line = raw.count(b"\n", 0, position) + 1
    column = len(raw[raw.rfind(b"\n", 0, position) + 1 : position].decode(errors="replace")) + 1
    return f"line {line}, column {column}"


def _inside(path: str, key: object) -> str:
    """Returns the JSON pointer (RFC 6901) of a member."""
    return f"{path}/{str(key).replace('~', '~0').replace('/', '~1')}"


def refuse_outer_duplicates(raw: bytes, members: Mapping[str, msgspec.Raw]) -> None:
    """Raise AuthorError duplicate-key when the outer object names a key twice: the parser keeps only the
    last, and a whole `objects` list would vanish. Each member must stand where the text says it stands."""
    decoder = msgspec.json.Decoder(str)
    position = raw.index(b"{") + 1
    for _ in members:
        start = raw.index(b'"', position)
        end = start + 1
        while raw[end : end + 1] != b'"':
            end += 2 if raw[end : end + 1] == b"\\" else 1
        value = bytes(members[decoder.decode(raw[start : end + 1])])
        position = raw.index(b":", end) + 1
        while raw[position : position + 1].isspace():
            position += 1
        if not raw.startswith(value, position):
            break
        position += len(value)
    else:
        if raw[position:].strip() == b"}":
            return
    raise AuthorError(
        "a key stands twice in the outermost object", hint="merge its lists", reason="duplicate-key"
    )


class _Pairs(list[tuple[str, Any]]):
    """Members of an object as written, duplicates and all."""


class _NotANumber:
    """Placeholder for NaN or an infinity."""


class _Faulty(ValueError):
    """Raised for a key that stands twice, or a number that JSON does not have."""


def has_too_many_brackets(raw: bytes) -> bool:
    """Returns whether `raw`, an object's text, may hold more lists and objects than are read: those in its strings count,
    too. Each takes fifty times the memory that it takes in the text."""
    return raw.count(b"[") + raw.count(b"{") > OBJECT_BRACKETS_MAX


def parse_object(raw: bytes) -> tuple[dict[str, Any] | None, Fault | None]:
    """Returns (object, None), or (None, fault): too-many-brackets, not-json, not-an-object, duplicate-key, not-a-number."""
    if has_too_many_brackets(raw):
        return None, Fault("too-many-brackets", "")
    try:
        parsed = _STRICT.decode(raw.decode("utf-8", "surrogatepass"))
    except _Faulty:
        try:
            return None, _locate(raw)
        except (ValueError, RecursionError):
            return None, Fault("not-json", "")
    except (ValueError, RecursionError):
        return None, Fault("not-json", "")
    if not isinstance(parsed, dict):
        return None, Fault("not-an-object", "")
    return parsed, None


def says_nothing_twice(raw: bytes, decoded: Any) -> bool:
    """Returns whether no key stands twice in an object of the JSON text `raw`, of which msgspec kept
    `decoded`: written out anew that is the same text, but for white space. Fast path: False decides nothing."""
    text = msgspec.json.encode(decoded)
    return text == raw or text == msgspec.json.format(raw, indent=-1)


def _gather(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise _Faulty
    return members


def _refuse_constant(_: str) -> NoReturn:
    raise _Faulty


def _parse_int(digits: str) -> int | float:
    """Returns an int of up to 20 digits, beyond that a float, which is all any reader keeps: Python refuses
    integers of more than 4,300 digits."""
    return int(digits) if len(digits) <= 20 else float(digits)


_STRICT = json.JSONDecoder(object_pairs_hook=_gather, parse_constant=_refuse_constant, parse_int=_parse_int)


def _locate(raw: bytes) -> Fault:
    """Returns the first duplicate key or non-number, with its path. `raw` is shallow, so recursion is bounded."""
    tree = json.loads(
        raw,
        object_pairs_hook=_Pairs,
        parse_constant=lambda _: _NotANumber(),
        parse_int=_parse_int,
    )
    return _walk(tree, "") or Fault("not-json", "")


def _walk(value: Any, path: str) -> Fault | None:
    if isinstance(value, _NotANumber):
        return Fault("not-a-number", path)
    if isinstance(value, _Pairs):
        seen: set[str] = set()
        for key, member in value:
            place = _inside(path, key)
            if key in seen:
                return Fault("duplicate-key", place)
            seen.add(key)
            fault = _walk(member, place)
            if fault is not None:
                return fault
    elif isinstance(value, list):
        for position, member in enumerate(value):
            fault = _walk(member, f"{path}/{position}")
            if fault is not None:
                return fault
    return None
