"""YAML text before it is believed: one document of bounded depth and size, without aliases, no key twice.

Aliases are refused, not counted: eight lines of them are a gigabyte when they are followed, and no published rule
needs one. Only plain data is made (PyYAML's safe loader): a tag that names a Python type is an error.
"""

from __future__ import annotations

from typing import Any

import yaml

from p2pshare.intel.json_text import Fault
from p2pshare.limits import RULE_DEPTH_MAX, RULE_NODES_MAX

_Loader: Any = getattr(
    yaml, "CSafeLoader", yaml.SafeLoader
)  # libyaml's is ten times as fast, where it was built
_OPENING = (yaml.SequenceStartEvent, yaml.MappingStartEvent)
_CLOSING = (yaml.SequenceEndEvent, yaml.MappingEndEvent)


def load_mapping(text: str) -> tuple[dict[Any, Any] | None, Fault | None]:
    """Returns (mapping that `text` holds, None), or (None, fault): not-yaml, too-deep, too-many-nodes,
    yaml-alias, duplicate-key, not-a-mapping. The fault's path is `line 3` where there is one."""
    try:
        fault = _find_fault(text)
        if fault is not None:
            return None, fault
        found = yaml.load(text, Loader=_Loader)  # noqa: S506 - a safe loader, chosen above
    except yaml.MarkedYAMLError as error:
        return None, Fault("not-yaml", _line(error.problem_mark or error.context_mark))
    except (yaml.YAMLError, ValueError, OverflowError, TypeError, RecursionError):
        return None, Fault(
            "not-yaml", ""
        )  # characters YAML forbids, the 30th of February, a number of a megabyte
    return (found, None) if isinstance(found, dict) else (None, Fault("not-a-mapping", ""))


def _find_fault(text: str) -> Fault | None:
    """Returns the first fault among the events, which need no memory. Raises yaml.YAMLError."""
    keys: list[set[str] | None] = []  # of each open collection; None for a list
    at_key: list[bool] = []
    nodes = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.AliasEvent):
            return Fault("yaml-alias", _line(event.start_mark))
        if isinstance(event, _CLOSING):
            keys.pop()
            at_key.pop()
        if isinstance(event, yaml.NodeEvent):
            nodes += 1
            if nodes > RULE_NODES_MAX:
                return Fault("too-many-nodes", _line(event.start_mark))
            if keys and keys[-1] is not None:
                if at_key[-1] and isinstance(event, yaml.ScalarEvent):
                    if event.value in keys[-1]:
                        return Fault("duplicate-key", _line(event.start_mark))
                    keys[-1].add(event.value)
                at_key[-1] = not at_key[-1]
        if isinstance(event, _OPENING):
            keys.append(set() if isinstance(event, yaml.MappingStartEvent) else None)
            at_key.append(True)
            if len(keys) > RULE_DEPTH_MAX:
                return Fault("too-deep", _line(event.start_mark))
    return None


def _line(mark: Any) -> str:
    return "" if mark is None else f"line {mark.line + 1}"
