"""Two playbooks side by side: what each step, definition and variable has in one and not, or otherwise, in the other."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from p2pshare.intel.playbooks.playbook_problems import inside

ADDED, REMOVED, CHANGED = "added", "removed", "changed"
# Dictionaries by id or name, in the order in which they are told; what else stands at the top is compared whole.
SECTIONS = (
    "workflow",
    "playbook_variables",
    "agent_definitions",
    "target_definitions",
    "authentication_info_definitions",
    "extension_definitions",
    "data_marking_definitions",
)
_NOT_CONTENT = ("signatures",)  # they say who stands behind it, not what it says


class PropertyChange(msgspec.Struct, frozen=True):
    """One property. `before` is None where it is added, `after` where it is removed: the change says which, for null is a value too."""

    pointer: str
    change: str
    before: Any
    after: Any


class PartChange(msgspec.Struct, frozen=True):
    """One step, definition or variable, or the playbook itself (`section` and `id` empty). `name` is what people call it."""

    section: str
    id: str
    name: str
    change: str
    properties: list[PropertyChange]


def compare(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[PartChange]:
    """Returns every change from one playbook's document to another's: nothing where both say the same."""
    whole = [
        change
        for name in _both(before, after)
        if name not in SECTIONS and name not in _NOT_CONTENT
        for change in _property(before, after, name, "")
    ]
    name = str(after.get("name") or before.get("name") or "")
    changes = [PartChange("", "", name, CHANGED, whole)] if whole else []
    for section in SECTIONS:
        old, new = before.get(section), after.get(section)
        changes += _section(
            section, old if isinstance(old, dict) else {}, new if isinstance(new, dict) else {}
        )
    return changes


def _section(section: str, old: dict[str, Any], new: dict[str, Any]) -> Iterator[PartChange]:
    for part in _both(old, new):
        pointer = inside(inside("", section), part)
        before, after = _object(old.get(part)), _object(new.get(part))
        changed = [
            change for name in _both(before, after) for change in _property(before, after, name, pointer)
        ]
        if part not in new:
            change = REMOVED
        elif part not in old:
            change = ADDED
        elif changed:
            change = CHANGED
        else:
            continue
        name = after.get("name") or before.get("name")
        yield PartChange(section, part, name if isinstance(name, str) else "", change, changed)


def _property(
    before: Mapping[str, Any], after: Mapping[str, Any], name: str, pointer: str
) -> Iterator[PropertyChange]:
    if name not in after:
        yield PropertyChange(inside(pointer, name), REMOVED, before[name], None)
    elif name not in before:
        yield PropertyChange(inside(pointer, name), ADDED, None, after[name])
    elif _written(before[name]) != _written(after[name]):
        yield PropertyChange(inside(pointer, name), CHANGED, before[name], after[name])


def _both(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    return [*before, *(name for name in after if name not in before)]


def _object(value: Any) -> dict[str, Any]:
    """Returns a part's properties; what is no object, which no schema admits, as one property without a name."""
    if isinstance(value, dict):
        return value
    return {} if value is None else {"": value}


def _written(value: Any) -> str:
    """Returns a text that equal values share: in Python True and 1 are equal, in JSON they are not."""
    return json.dumps(value, sort_keys=True)
