"""Warning lists and the own allow list, as the commands that keep them ask and are answered.

Every answer is what `--json` prints. A list's name and entries come from files that others wrote: the reader has
made sure they are safe to show, or clips them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from p2pshare.errors import AuthorError, OperatorError
from p2pshare.intel.display import clip, is_safe
from p2pshare.intel.instants import SECOND_US, format_instant
from p2pshare.intel.observable import Observable, detect
from p2pshare.intel.warning_lists import Action, allowed_of, parse_warning_list
from p2pshare.limits import ALLOW_REASON_CHARACTERS_MAX
from p2pshare.node.node import Node
from p2pshare.warninglists.warning_index import AllowedRow, ListRow, WarningIndex


def index_of(node: Node) -> WarningIndex:
    """The node's index. Raises OperatorError where there is none (the simulator)."""
    if node.warning_index is None:
        raise OperatorError("this node keeps no warning lists")
    return node.warning_index


def import_list(index: WarningIndex, raw: bytes, action: str, now: int) -> dict[str, Any]:
    """Puts the list of a `list.json` in the place of the one of its name. Raises AuthorError with nothing changed."""
    new = parse_warning_list(raw)
    row = index.replace(new, _action(action), now)
    return _describe_list(row) | {
        "read": new.read,
        "kept": new.kept,
        "merged": new.merged,
        "refused": new.refusals.to_json(),
        "notes": new.notes.to_json(),
    }


def describe_lists(index: WarningIndex) -> list[dict[str, Any]]:
    """All lists, in order of name."""
    return [_describe_list(row) for row in index.lists()]


def set_list(index: WarningIndex, name: str, action: str, enabled: str) -> dict[str, Any]:
    """Changes what a list does; empty leaves it. Raises NotFoundError, AuthorError."""
    if enabled not in ("", "yes", "no"):
        raise AuthorError(f"'{clip(enabled)}' is neither yes nor no", reason="bad-argument")
    is_enabled = None if not enabled else enabled == "yes"
    return _describe_list(index.set_list(name, action=_action(action), is_enabled=is_enabled))


def _action(text: str) -> Action | None:
    try:
        return Action(text) if text else None
    except ValueError:
        raise AuthorError(
            f"'{clip(text)}' is no action of a list",
            hint=f"one of {', '.join(action.value for action in Action)}",
            reason="bad-argument",
        ) from None


def _describe_list(row: ListRow) -> dict[str, Any]:
    return {
        "name": row.name,
        "version": row.version,
        "kind": row.kind.value,
        "origin": row.origin,
        "action": row.action.value,
        "enabled": row.is_enabled,
        "entries": row.entries,
        "refused_entries": row.refused,
        "imported_at": format_instant(row.imported_at * SECOND_US) if row.imported_at else None,
    }


def check_values(index: WarningIndex, values: Sequence[str]) -> list[dict[str, Any]]:
    """One answer a value, in order: `{value, type, on: [{list, action, entry}]}`; `reason` when it is no value."""
    recognised = [_recognise(text) for text in values]
    hits = index.hits((one.type, one.value) for one in recognised if isinstance(one, Observable))
    answers: list[dict[str, Any]] = []
    for text, one in zip(values, recognised, strict=True):
        if not isinstance(one, Observable):
            answers.append({"value": text, "type": None, "on": [], "reason": one})
            continue
        on = [
            {"list": hit.list_name, "action": hit.action.value, "entry": hit.entry}
            for hit in hits.get((one.type, one.value), ())
        ]
        answers.append({"value": one.value, "type": one.type, "on": on})
    return answers


def _recognise(text: str) -> Observable | str:
    """The observable, or the reason why it is none."""
    try:
        return detect(text)
    except AuthorError as error:
        return error.reason


def allow(index: WarningIndex, value: str, reason: str, now: int) -> dict[str, Any]:
    """Adds to the own allow list, or changes the words. Raises AuthorError."""
    if len(reason) > ALLOW_REASON_CHARACTERS_MAX or not is_safe(reason):
        raise AuthorError(
            "the reason cannot be kept",
            hint=f"printable text of at most {ALLOW_REASON_CHARACTERS_MAX} characters",
            reason="bad-argument",
        )
    allowed = allowed_of(value)
    is_new = index.allow(allowed, reason, now)
    return _describe_allowed(AllowedRow(allowed, reason, now)) | {"is_new": is_new}


def disallow(index: WarningIndex, value: str, now: int) -> dict[str, Any]:
    """Takes a value off the own allow list. Raises NotFoundError, AuthorError."""
    allowed = allowed_of(value)
    index.disallow(allowed, now)
    return {"value": allowed.text, "type": allowed.type}


def describe_allowed(index: WarningIndex) -> list[dict[str, Any]]:
    """The own allow list, in order of type and value."""
    return [_describe_allowed(row) for row in index.allowed()]


def _describe_allowed(row: AllowedRow) -> dict[str, Any]:
    return {
        "value": row.allowed.text,
        "type": row.allowed.type,
        "reason": row.reason,
        "added_at": format_instant(row.added_at * SECOND_US),
    }
