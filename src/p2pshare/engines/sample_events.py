"""Events of samples, as rules of Sigma name their fields.

- A Windows event (`{"Event": {"System": ..., "EventData": ...}}`, as evtx is written in JSON) gives the bare names of System, EventData and
  UserData, each also without its spaces, attributes as Provider_Name, and `timestamp` from TimeCreated.
- Other JSON gives its dotted names.
- A list of plain values is one text with line breaks. `_all` is every value, a line each.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

FULLTEXT = "_all"
TIMESTAMP = "timestamp"
DEPTH_MAX = 32  # of an event; Windows' have 5
FIELDS_MAX = 10_000  # of one event
_WINDOWS_PARTS = ("System", "EventData", "UserData")
_ATTRIBUTES = "#attributes"
_TEXT = "#text"

EventFields = Mapping[str, str | int | float]
"""Name in small letters -> value."""


class BadSample(Exception):
    """A sample of which nothing can be said; the text says why."""


def events_of(kind: str, content: bytes) -> Iterator[list[EventFields] | BadSample]:
    """Yields the events of each sample that a content is: one, or a line each of `event-jsonl`; BadSample for one that is not readable."""
    if kind == "event-jsonl":
        for line in content.splitlines():
            if line.strip():
                yield _read(line)
    else:
        yield _read(content)


def _read(content: bytes) -> list[EventFields] | BadSample:
    try:
        return [fields_of(event) for event in _documents(content.decode("utf-8-sig"))]
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError, ValueError) as error:
        return BadSample(f"is no JSON: {error}"[:200])
    except BadSample as fault:
        return fault


def _documents(text: str) -> Iterator[Mapping[str, Any]]:
    """Yields the objects of a text: one, those of an array, or documents one after another."""
    decoder, at = json.JSONDecoder(), 0
    while True:
        while at < len(text) and text[at] in " \t\r\n":
            at += 1
        if at == len(text):
            return
        found, at = decoder.raw_decode(text, at)
        for one in found if isinstance(found, list) else [found]:
            if not isinstance(one, dict):
                raise BadSample("holds something that is no event")
            yield one


def fields_of(event: Mapping[str, Any]) -> EventFields:
    """Returns the fields of an event. Raises BadSample for one that is too deep or too wide."""
    fields: dict[str, str | int | float] = {}
    windows = event.get("Event")
    if isinstance(windows, dict) and any(isinstance(windows.get(part), dict) for part in _WINDOWS_PARTS):
        for part in _WINDOWS_PARTS:
            if isinstance(windows.get(part), dict):
                for name, value in _leaves(windows[part], "", "_"):
                    _put(fields, name, value)
                    if " " in name:
                        _put(fields, name.replace(" ", ""), value)
        created = fields.get("timecreated_systemtime")
        if created is not None:
            fields[TIMESTAMP] = created
    else:
        for name, value in _leaves(event, "", "."):
            _put(fields, name, value)
            if " " in name:
                _put(fields, name.replace(" ", ""), value)
    fields[FULLTEXT] = "\n".join(str(value) for value in fields.values())
    return fields


def _put(fields: dict[str, str | int | float], name: str, value: str | int | float) -> None:
    if len(fields) >= FIELDS_MAX:
        raise BadSample(f"has an event of more than {FIELDS_MAX} fields")
    fields.setdefault(name.lower(), value)


def _leaves(value: Mapping[str, Any], before: str, joint: str) -> Iterator[tuple[str, str | int | float]]:
    """Yields (name, plain value) below an object, in the order of the text; without recursion."""
    stack: list[tuple[str, Any, int]] = [(before, value, 0)]
    while stack:
        name, here, depth = stack.pop()
        if depth > DEPTH_MAX:
            raise BadSample(f"has an event that nests more than {DEPTH_MAX} deep")
        if isinstance(here, dict):
            for key, below in reversed(here.items()):
                is_own = key in (_ATTRIBUTES, _TEXT)
                stack.append((name if is_own else f"{name}{joint}{key}" if name else key, below, depth + 1))
        elif isinstance(here, list):
            plain = [one for one in here if not isinstance(one, (dict, list)) and one is not None]
            if plain:
                yield name, "\n".join(str(_plain(one)) for one in plain)
            stack += [(name, one, depth + 1) for one in reversed(here) if isinstance(one, (dict, list))]
        elif here is not None and name:
            yield name, _plain(here)


def _plain(value: Any) -> str | int | float:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        return str(value)
    if isinstance(value, str):  # half a surrogate pair is no text that a table takes
        return value if value.isascii() else value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, (int, float)):
        return value
    raise BadSample("holds a value that is none of JSON")
