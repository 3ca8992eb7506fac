"""What a person reads in a STIX object of any type: its texts, its title, its labels. Objects are parsed JSON.

Identifiers, types, references and instants are no text: everything named `indicator` would be found by that word.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_NO_TEXT = frozenset({"id", "type", "spec_version", "created", "modified", "valid_from", "valid_until"})
_NO_TEXT_ENDINGS = ("_ref", "_refs")
_TITLES = ("name", "value", "pattern", "abstract", "content", "description", "opinion", "relationship_type")


def texts_of(value: Any) -> Iterator[str]:
    """Every text inside an object, however deep (JSON here is at most JSON_DEPTH_MAX deep)."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for one in value:
            yield from texts_of(one)
    elif isinstance(value, Mapping):
        for key, one in value.items():
            if key not in _NO_TEXT and not key.endswith(_NO_TEXT_ENDINGS):
                yield from texts_of(one)


def title_of(stix: Mapping[str, Any]) -> str:
    """What to call an object in one line: its name, else what it says; empty for one without words."""
    return next((text for key in _TITLES if isinstance(text := stix.get(key), str) and text.strip()), "")


def labels_of(stix: Mapping[str, Any]) -> list[str]:
    """`labels`, then `indicator_types`: each once, and nothing that is no text."""
    found: dict[str, None] = {}
    for key in ("labels", "indicator_types"):
        values = stix.get(key)
        if isinstance(values, list):
            found.update((one, None) for one in values if isinstance(one, str))
    return list(found)
