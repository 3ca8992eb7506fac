"""Rescue: keep the good objects of a text in which some nest too deep, hold NaN or half a character.

Used only when the parser refused the text as a whole. One pass over its tokens, without recursion; each
faulty object at the level where a bundle's objects stand is replaced by a string with a number, so that the
parser can read the rest, and the number leads back to the fault.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

import msgspec

from p2pshare.errors import AuthorError
from p2pshare.intel.json_text import (
    Fault,
    find_half_surrogate,
    half_surrogate_at,
    is_shallow,
    parse_object,
    refuse_half_surrogate,
    string_end,
)
from p2pshare.limits import JSON_DEPTH_MAX, OBJECT_BYTES_MAX

# A string of few escapes is a token; of any other only the quote is (`string_end` finds the rest).
_TOKEN = re.compile(
    rb'"(?:[^"\\]*+(?:\\.[^"\\]*+){0,100}")?|[\[{]|[\]}]|-?(?:NaN|Infinity)|[^"\[\]{}NI-]++|[NI-]', re.DOTALL
)
TOKENS_MAX = 4_000_000  # a real file of 64 MiB has fewer; a hostile one would take a minute


def has_maskable(raw: bytes) -> bool:
    """Returns whether `raw` may hold a fault other than depth that a parser refuses and `mask_faulty` takes out."""
    return b"NaN" in raw or b"Infinity" in raw or half_surrogate_at(raw) >= 0


def unmask(elements: Iterable[bytes], faults: Mapping[int, Fault]) -> Iterator[bytes | Fault]:
    """Yields the elements, with the faults that `mask_faulty` numbered in their places: a masked element is a
    string that holds its number."""
    for element in elements:
        if faults and element.startswith(b'"') and element[1:-1].isdigit():
            yield faults.get(int(element[1:-1]), Fault("not-an-object", ""))
        else:
            yield element


def mask_faulty(raw: bytes) -> tuple[bytes, dict[int, Fault]]:
    """Returns `raw` with each faulty object replaced by `"n"`, and the fault by n. Raises AuthorError too-deep or
    half-surrogate when the fault is not inside an object of a list, or the text has more than TOKENS_MAX tokens."""
    if raw.count(b"[") + raw.count(b"{") > TOKENS_MAX:
        raise _too_deep()
    level = 1 if raw.lstrip()[:1] == b"[" else 2  # brackets open around an object of the list
    kept: list[bytes] = []
    faults: dict[int, Fault] = {}
    depth = deepest = start = end = tokens = position = 0
    is_faulty = False
    while (match := _TOKEN.match(raw, position)) is not None:
        tokens += 1
        token = match[0]
        position = match.end()
        if token in (b"[", b"{"):
            if depth == level:
                start, deepest, is_faulty = match.start(), 0, False
            depth += 1
            deepest = max(deepest, depth)
        elif token in (b"]", b"}"):
            depth -= 1
            if depth == level and (is_faulty or deepest > JSON_DEPTH_MAX):
                kept += [raw[end:start], b'"%d"' % len(faults)]
                end = position
                faults[len(faults)] = _fault(raw[start:end], deepest)
        elif token[:1] == b'"':
            if token == b'"':
                position = string_end(raw, position)
                token = raw[match.start() : position]
            is_faulty = is_faulty or (b"\\u" in token and half_surrogate_at(token) >= 0)
        elif token.endswith((b"NaN", b"Infinity")) and token[:1] in b"-NI":
            is_faulty = True
        if tokens > TOKENS_MAX:
            break
    if tokens > TOKENS_MAX or not faults:
        half = half_surrogate_at(raw)
        if tokens <= TOKENS_MAX and half >= 0:
            refuse_half_surrogate(raw, half)
        raise _too_deep()
    kept.append(raw[end:])
    return b"".join(kept), faults


def elements_of(frame_json: bytes) -> list[msgspec.Raw]:
    """Returns the objects of a frame, at the positions that `extraction` gives them; faulty ones are masked
    as there. Empty for a text that is no JSON array."""
    try:
        if is_shallow(frame_json):
            return msgspec.json.decode(frame_json, type=list[msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError):
        pass
    try:
        return msgspec.json.decode(mask_faulty(frame_json)[0], type=list[msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError, AuthorError):
        return []


def _too_deep() -> AuthorError:
    return AuthorError(
        f"the JSON nests deeper than {JSON_DEPTH_MAX}, or has numbers that are none",
        hint="no STIX needs that",
        reason="too-deep",
    )


def _fault(piece: bytes, deepest: int) -> Fault:
    if deepest > JSON_DEPTH_MAX:
        return Fault("too-deep", "")
    if len(piece) > OBJECT_BYTES_MAX:
        return Fault("object-too-large", "")
    parsed, fault = parse_object(piece)
    return fault or find_half_surrogate(parsed) or Fault("not-a-number", "")
