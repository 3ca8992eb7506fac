"""`warninglist` and `allow`: lists of what is no indicator, and the own allow list.

A list's name and entries come from files that others wrote: the reader has made sure they are safe to show, or clips
them.
"""

from __future__ import annotations

from typing import TypeVar

from msgspec import UNSET, Struct, UnsetType, structs

from p2pshare.errors import AuthorError, OperatorError
from p2pshare.intel.display import is_safe
from p2pshare.intel.instants import SECOND_US, format_instant
from p2pshare.intel.observable import Observable
from p2pshare.limits import ALLOW_REASON_CHARACTERS_MAX
from p2pshare.node.node import Node, NodeReading, Progress
from p2pshare.operations.interface import Counted, Query, Request, Several, counted
from p2pshare.queries.lookup import value_or_reason
from p2pshare.sharing.quarantining import EvaluationStep, evaluate_again
from p2pshare.warninglists.warning_index import AllowedRow, ListRow
from p2pshare.warninglists.warning_lists import ListAction, allowed_of, parse_warning_list

_Index = TypeVar("_Index")


def index_of(index: _Index | None) -> _Index:
    """Returns the node's index. Raises OperatorError where there is none (the simulator)."""
    if index is None:
        raise OperatorError("this node keeps no warning lists")
    return index


class KeptList(Struct, frozen=True, forbid_unknown_fields=True):
    """A list as it is kept: `entries` match something, `refused_entries` could not be read."""

    name: str
    version: int
    kind: str
    origin: str
    action: str
    enabled: bool
    entries: int
    refused_entries: int
    imported_at: str | None


class ImportedList(KeptList, frozen=True):
    """A list as it was read: read = kept + merged + refused."""

    read: int
    kept: int
    merged: int
    refused: list[Counted]
    notes: list[Counted]


def _describe(row: ListRow) -> KeptList:
    return KeptList(
        name=row.name,
        version=row.version,
        kind=row.kind.value,
        origin=row.origin,
        action=row.action.value,
        enabled=row.is_enabled,
        entries=row.entries,
        refused_entries=row.refused,
        imported_at=format_instant(row.imported_at * SECOND_US) if row.imported_at else None,
    )


class ImportList(Request[ImportedList], frozen=True, tag="warninglist-import"):
    """Put the list of a `list.json` in the place of the one of its name. Without an `action` the old one's stays."""

    raw: bytes
    action: ListAction | None = None

    def run(self, node: Node, now: int, progress: Progress) -> ImportedList:
        new = parse_warning_list(self.raw)
        row = index_of(node.warning_index).replace(new, self.action, now)
        return ImportedList(
            **structs.asdict(_describe(row)),
            read=new.read,
            kept=new.kept,
            merged=new.merged,
            refused=counted(new.refusals),
            notes=counted(new.notes),
        )


class ListLists(Query[Several[KeptList]], frozen=True, tag="warninglist-list"):
    """List the lists, in order of name."""

    def run(self, node: NodeReading, now: int, progress: Progress) -> Several[KeptList]:
        return Several(list(map(_describe, index_of(node.warning_index).lists())))


class SetList(Request[KeptList], frozen=True, tag="warninglist-set"):
    """Change what a list does; None leaves it."""

    name: str
    action: ListAction | None = None
    enabled: bool | None = None

    def run(self, node: Node, now: int, progress: Progress) -> KeptList:
        index = index_of(node.warning_index)
        return _describe(index.set_list(self.name, action=self.action, is_enabled=self.enabled))


class ListEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """A list that knows a value, what that does, and by which of the list's entries."""

    list: str
    action: str
    entry: str


class CheckedValue(Struct, frozen=True, forbid_unknown_fields=True):
    """The lists that know a value; `reason` when it is none."""

    value: str
    type: str | None
    on: list[ListEntry]
    reason: str | UnsetType = UNSET


class CheckValues(Query[Several[CheckedValue]], frozen=True, tag="warninglist-check"):
    """Tell which lists know each value, in order."""

    values: tuple[str, ...]

    def run(self, node: NodeReading, now: int, progress: Progress) -> Several[CheckedValue]:
        recognised = [value_or_reason(text) for text in self.values]
        index = index_of(node.warning_index)
        hits = index.hits((one.type, one.value) for one in recognised if isinstance(one, Observable))
        answers = []
        for text, one in zip(self.values, recognised, strict=True):
            if isinstance(one, Observable):
                known = hits.get((one.type, one.value), ())
                on = [ListEntry(hit.list_name, hit.action.value, hit.entry) for hit in known]
                answers.append(CheckedValue(one.value, one.type, on))
            else:
                answers.append(CheckedValue(text, None, [], one))
        return Several(answers)


class EvaluateAgain(Request[EvaluationStep], frozen=True, tag="warninglist-evaluate"):
    """Do one step over the store, under lists that changed."""

    def run(self, node: Node, now: int, progress: Progress) -> EvaluationStep:
        return evaluate_again(node, now)


class AllowedValue(Struct, frozen=True, forbid_unknown_fields=True):
    """An entry of the own allow list."""

    value: str
    type: str
    reason: str
    added_at: str | None


class NewlyAllowed(AllowedValue, frozen=True):
    """The entry as it stands now; `is_new` False: only its words changed."""

    is_new: bool


class NoLongerAllowed(Struct, frozen=True, forbid_unknown_fields=True):
    """A value that was taken off the own allow list."""

    value: str
    type: str


def _describe_allowed(row: AllowedRow) -> AllowedValue:
    added_at = format_instant(row.added_at * SECOND_US)
    return AllowedValue(row.allowed.text, row.allowed.type, row.reason, added_at)


class Allow(Request[NewlyAllowed], frozen=True, tag="allow-add"):
    """Add to the own allow list, or change the words."""

    value: str
    reason: str = ""

    def run(self, node: Node, now: int, progress: Progress) -> NewlyAllowed:
        if len(self.reason) > ALLOW_REASON_CHARACTERS_MAX or not is_safe(self.reason):
            raise AuthorError(
                "the reason cannot be kept",
                hint=f"printable text of at most {ALLOW_REASON_CHARACTERS_MAX} characters",
                reason="bad-argument",
            )
        row = AllowedRow(allowed_of(self.value), self.reason, now)
        is_new = index_of(node.warning_index).allow(row.allowed, row.reason, now)
        return NewlyAllowed(**structs.asdict(_describe_allowed(row)), is_new=is_new)


class Disallow(Request[NoLongerAllowed], frozen=True, tag="allow-remove"):
    """Take a value off the own allow list."""

    value: str

    def run(self, node: Node, now: int, progress: Progress) -> NoLongerAllowed:
        allowed = allowed_of(self.value)
        index_of(node.warning_index).disallow(allowed, now)
        return NoLongerAllowed(allowed.text, allowed.type)


class ListAllowed(Query[Several[AllowedValue]], frozen=True, tag="allow-list"):
    """List the own allow list, in order of type and value."""

    def run(self, node: NodeReading, now: int, progress: Progress) -> Several[AllowedValue]:
        return Several(list(map(_describe_allowed, index_of(node.warning_index).allowed())))
