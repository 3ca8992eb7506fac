"""Mending: repair of two faults of JSON files that leave no doubt about what was meant, and are common where
programs print JSON by hand. Each repair is noted with its line; everything else stays an error.

A comma before a closing bracket is left out. A file of one JSON object a line (NDJSON) is read line by line,
and a line that is no object costs itself only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

from p2pshare.intel.json_text import is_shallow, string_end
from p2pshare.intel.refusals import Note, Refusals

# A string of few escapes is a token; of any other only the quote is (`string_end` finds the rest).
_TOKEN = re.compile(rb'"(?:[^"\\]*+(?:\\.[^"\\]*+){0,100}")?|,(?=\s*+[\]}])', re.DOTALL)


def mend(raw: bytes, notes: Refusals) -> list[bytes]:
    """Returns the texts to read in place of `raw`, which is no JSON, and counts the repairs in `notes`; empty
    where nothing can be repaired."""
    lines = _lines_of_objects(raw)
    if lines:
        notes.add_refusal(Note("json-lines", f"{len(lines)} lines"))
        return lines
    mended = bytearray()
    line = count = end = 0
    for place in _trailing_commas(raw):
        line = line or raw.count(b"\n", 0, place) + 1
        count += 1
        mended += raw[end:place]
        end = place + 1
    if not count:
        return []
    notes.add("trailing-comma", f"line {line}", count=count)
    return [bytes(mended + raw[end:])]


def _trailing_commas(raw: bytes) -> Iterator[int]:
    position = 0
    while (match := _TOKEN.search(raw, position)) is not None:
        position = match.end()
        if match[0] == b'"':
            position = string_end(raw, position)
        elif match[0] == b",":
            before = match.start() - 1
            while raw[before : before + 1].isspace():
                before -= 1
            if raw[before : before + 1] not in (b"", b"[", b"{", b",", b":"):  # else it could end nothing
                yield match.start()


def _lines_of_objects(raw: bytes) -> list[bytes]:
    """Returns the lines when each begins like an object and the first is one; else none."""
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
