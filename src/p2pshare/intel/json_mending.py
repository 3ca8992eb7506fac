"""Mending: two faults of JSON files that leave no doubt about what was meant, and are common where programs print JSON
by hand. What was mended is noted with its line; everything else stays an error.

A comma before a closing bracket is left out. A file of one JSON object a line (NDJSON) is read line by line, and a
line that is none costs itself.
"""

from __future__ import annotations

import re

import msgspec

from p2pshare.intel.json_text import is_shallow
from p2pshare.intel.refusals import Note, Refusals

# A string that nothing closes is taken up to the end: tried again at each escaped quote it would cost the square.
_COMMA = re.compile(rb'("(?:[^"\\]|\\.)*+"?)|,(?=\s*+[\]}])', re.DOTALL)


def mend(raw: bytes, notes: Refusals) -> list[bytes]:
    """The texts to read in place of `raw`, which is no JSON; empty where there is nothing to mend."""
    lines = _lines_of_objects(raw)
    if lines:
        notes.add_refusal(Note("json-lines", f"{len(lines)} lines"))
        return lines
    places: list[int] = []

    def without(match: re.Match[bytes]) -> bytes:
        if match[1] is not None:
            return match[1]
        before = match.start() - 1
        while raw[before : before + 1].isspace():
            before -= 1
        if raw[before : before + 1] in (b"", b"[", b"{", b",", b":"):
            return b","  # nothing stands before it that it could end
        places.append(match.start())
        return b""

    mended = _COMMA.sub(without, raw)
    for place in places[:1]:
        line = raw.count(b"\n", 0, place) + 1
        notes.add("trailing-comma", f"line {line}", count=len(places))
    return [mended] if places else []


def _lines_of_objects(raw: bytes) -> list[bytes]:
    """The lines, where each begins like an object and the first is one; else none."""
    lines = [line for line in raw.splitlines() if line.strip()]
    if len(lines) < 2 or any(not line.lstrip().startswith(b"{") for line in lines):
        return []
    try:
        if is_shallow(lines[0]):
            msgspec.json.decode(lines[0], type=dict[str, msgspec.Raw])
            return lines
    except (msgspec.DecodeError, UnicodeDecodeError):
        pass
    return []
