"""A playbook's bytes before they are believed: size, depth, one meaning for every reader, numbers that have a canonical form.

Two readers of one text must see one playbook, or approvals of its hash mean nothing: a key that stands twice and a number that not every
reader keeps are refused. The rules are those of docs/playbooks.md, "The text". Everything here is one pass, without recursion but in
Python's own parser, which meets nothing deeper than PLAYBOOK_DEPTH_MAX.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator
from itertools import islice
from typing import Any, NamedTuple

from p2pshare.errors import AuthorError
from p2pshare.intel.json_text import is_shallow
from p2pshare.intel.playbooks.playbook_problems import (
    KEY_CHARACTERS_MAX,
    PROBLEMS_MAX,
    PlaybookProblem,
    TextPlace,
    problem,
)
from p2pshare.jcs import jcs_bytes
from p2pshare.limits import KIB, MIB

PLAYBOOK_BYTES_MAX = 4 * MIB  # 5,000 steps have 2 MiB
PLAYBOOK_DEPTH_MAX = 64  # CACAO nests eight deep, an extension as deep as it likes
VALUES_MAX = (
    250_000  # brackets and commas: 5,000 steps have 130,000; each value costs its validator six microseconds
)
STRING_CHARACTERS_MAX = 256 * KIB  # a script in Base64 is shorter; a variable of a megabyte is an attack
_SAFE_INTEGER = 2**53 - 1  # RFC 7493 section 2.2: beyond it readers disagree


class TextLimits(NamedTuple):
    """How much a text may have: bytes in all, brackets and commas, characters of one string."""

    bytes: int
    values: int
    string_characters: int


PLAYBOOK_LIMITS = TextLimits(PLAYBOOK_BYTES_MAX, VALUES_MAX, STRING_CHARACTERS_MAX)


class Playbook(NamedTuple):
    """A text that is one JSON object. `raw` is what came, to the byte; `document` is not to be changed."""

    raw: bytes
    document: dict[str, Any]


class _TwiceSaid(dict[str, Any]):
    """An object in whose text keys stand twice."""

    doubled: tuple[str, ...] = ()


class _BadNumber:
    """Stands where a number is that not every reader keeps."""


_BAD_NUMBER = _BadNumber()


def read_playbook(raw: bytes) -> tuple[Playbook | None, list[PlaybookProblem]]:
    """Returns (playbook, []), or (None, problems): its text breaks a rule, and nothing else is said of it."""
    document, faults = read_strictly(raw, PLAYBOOK_LIMITS)
    if faults:
        return None, faults
    if not isinstance(document, dict):
        return None, [problem("not-json", "", "the text is no JSON object")]
    return Playbook(raw, document), []


def read_strictly(raw: bytes, limits: TextLimits) -> tuple[Any, list[PlaybookProblem]]:
    """Returns (what the JSON says, []), or (None, problems) where two readers may read two things, or it is too much."""
    if len(raw) > limits.bytes:
        return None, [problem("too-large", "", f"larger than {limits.bytes} bytes")]
    if not is_shallow(raw, PLAYBOOK_DEPTH_MAX):
        return None, [problem("too-deep", "", f"nests more than {PLAYBOOK_DEPTH_MAX} deep")]
    if sum(map(raw.count, (b"{", b"[", b","))) > limits.values:
        return None, [problem("too-large", "", f"more than {limits.values} brackets and commas")]
    try:
        document = _PARSER.decode(raw.decode("utf-8"))
    except UnicodeDecodeError:
        return None, [problem("not-json", "", "the text is not UTF-8")]
    except json.JSONDecodeError as error:
        return None, [problem("not-json", "", f"no JSON at line {error.lineno}, column {error.colno}")]
    except RecursionError:
        return None, [problem("too-deep", "", f"nests more than {PLAYBOOK_DEPTH_MAX} deep")]
    faults = list(islice(_faults(document, limits.string_characters), PROBLEMS_MAX))
    return (None, faults) if faults else (document, [])


def playbook_of(raw: bytes) -> Playbook:
    """Returns the playbook. Raises AuthorError, its reason the rule that the text breaks first."""
    playbook, faults = read_playbook(raw)
    if playbook is None:
        first = faults[0]
        where = f" at {first.pointer}" if first.pointer else ""
        raise AuthorError(f"no playbook: {first.message}{where}", reason=first.rule)
    return playbook


def _gathered(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) == len(pairs):
        return members
    seen: set[str] = set()
    doubled: dict[str, None] = {}
    for key, _ in pairs:
        if key in seen:
            doubled[key] = None
        seen.add(key)
    marked = _TwiceSaid(members)
    marked.doubled = tuple(doubled)
    return marked


def _integer(digits: str) -> int | _BadNumber:
    if len(digits) > 17:
        return _BAD_NUMBER
    number = int(digits)
    return number if abs(number) <= _SAFE_INTEGER else _BAD_NUMBER


def _fraction(digits: str) -> float | int | _BadNumber:
    number = float(digits)
    if not math.isfinite(number):
        return _BAD_NUMBER
    if not number.is_integer():
        return number
    return int(number) if abs(number) <= _SAFE_INTEGER else _BAD_NUMBER  # 1.0 is 1, as in the canonical form


def _constant(_: str) -> _BadNumber:
    return _BAD_NUMBER


_PARSER = json.JSONDecoder(
    object_pairs_hook=_gathered, parse_int=_integer, parse_float=_fraction, parse_constant=_constant
)


def _faults(document: Any, string_characters_max: int) -> Iterator[PlaybookProblem]:
    """Yields what a text says twice, and what no other reader would keep."""
    waiting: list[tuple[Any, TextPlace | None]] = (
        [(document, None)] if isinstance(document, dict | list) else []
    )
    while waiting:
        value, place = waiting.pop()
        if isinstance(value, _TwiceSaid):
            for name in value.doubled:
                yield problem("duplicate-key", TextPlace(place, name).pointer, "the key stands twice")
        if isinstance(value, dict):
            for name in value:
                if len(name) > KEY_CHARACTERS_MAX:
                    message = f"a key of more than {KEY_CHARACTERS_MAX} characters"
                    yield problem("too-large", _pointer(place), message)
                elif not _is_whole(name):
                    yield problem("not-json", _pointer(place), "a key with half a surrogate pair")
        members = value.items() if isinstance(value, dict) else enumerate(value)
        for key, member in members:
            if isinstance(member, str):
                if len(member) > string_characters_max:
                    message = f"a text of more than {string_characters_max} characters"
                    yield problem("too-large", TextPlace(place, key).pointer, message)
                elif not _is_whole(member):
                    message = "a text with half a surrogate pair"
                    yield problem("not-json", TextPlace(place, key).pointer, message)
            elif isinstance(member, dict | list):
                waiting.append((member, TextPlace(place, key)))
            elif member is _BAD_NUMBER:
                message = "a number that not every reader keeps: beyond 2^53, or no number"
                yield problem("number-not-jcs", TextPlace(place, key).pointer, message)


def _pointer(place: TextPlace | None) -> str:
    return "" if place is None else place.pointer


def _is_whole(text: str) -> bool:
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def playbook_digest(document: dict[str, Any]) -> bytes:
    """Returns the SHA-256 of the canonical form (RFC 8785) without `signatures`: what an approval is of. Who signs it changes nothing,
    nor does white space or the order of keys. Raises OperatorError `extra-missing`."""
    unsigned = {name: value for name, value in document.items() if name != "signatures"}
    return hashlib.sha256(jcs_bytes(unsigned)).digest()
