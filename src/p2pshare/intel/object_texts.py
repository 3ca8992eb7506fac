"""Words for people in a STIX object of any type: its texts, its title, its labels. Objects are parsed JSON.

Identifiers, types, references and instants are no texts: every indicator would be found by the word `indicator`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from p2pshare.intel.assessing import EXTENSION, PROPOSAL
from p2pshare.intel.withdrawing import WITHDRAWAL

_NO_TEXT = frozenset({"id", "type", "spec_version", "created", "modified", "valid_from", "valid_until"})
_NO_TEXT_ENDINGS = ("_ref", "_refs")
_TITLES = ("name", "value", "pattern", "abstract", "content", "description", "relationship_type")


def texts_of(value: Any) -> Iterator[str]:
    """Yields every text inside an object, however deep (JSON here is at most JSON_DEPTH_MAX deep)."""
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
    """Returns a title of one line: the object's name, else its words; empty for one without words.

    An object about another one names that one, by the value that is meant where there is one (`intel.assessing`).
    """
    summarise = _SUMMARIES.get(str(stix.get("type")))
    if summarise is not None:
        return f"{summarise(stix)}: {_about(stix)}"
    return next((text for key in _TITLES if isinstance(text := stix.get(key), str) and text.strip()), "")


def _about(stix: Mapping[str, Any]) -> str:
    references = stix.get("object_refs")
    candidates = [
        _extension_of(stix).get("observable_value"),
        stix.get("sighting_of_ref"),
        stix.get("object_ref"),
        *(references if isinstance(references, list) else ()),
    ]
    return next((one for one in candidates if isinstance(one, str) and one), "-")


def _extension_of(stix: Mapping[str, Any]) -> Mapping[str, Any]:
    extensions = stix.get("extensions")
    ours = extensions.get(EXTENSION) if isinstance(extensions, dict) else None
    return ours if isinstance(ours, dict) else {}


def _word(stix: Mapping[str, Any], name: str) -> str:
    word = stix.get(name)
    return word if isinstance(word, str) else "-"


def _sighted(stix: Mapping[str, Any]) -> str:
    count = stix.get("count", 1)
    if count == 0:
        return "looked for and not seen"
    return f"seen {count} times" if isinstance(count, int) and count > 1 else "seen"


def _opinion(stix: Mapping[str, Any]) -> str:
    return "harmless" if _extension_of(stix).get("false_positive") is True else _word(stix, "opinion")


def _proposed(stix: Mapping[str, Any]) -> str:
    proposed = stix.get("proposed")
    return f"proposes {', '.join(proposed) if isinstance(proposed, dict) else 'nothing'}"


# Types that are about another object, and what each says of it.
_SUMMARIES: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "sighting": _sighted,
    "opinion": _opinion,
    PROPOSAL: _proposed,
    WITHDRAWAL: lambda stix: f"taken back, {_word(stix, 'reason')}",
}


def labels_of(stix: Mapping[str, Any]) -> list[str]:
    """Returns `labels`, then `indicator_types`: each once, and nothing that is no text."""
    found: dict[str, None] = {}
    for key in ("labels", "indicator_types"):
        values = stix.get(key)
        if isinstance(values, list):
            found.update((one, None) for one in values if isinstance(one, str))
    return list(found)
