"""Quarantining: an observable on a blocking list (or the own allow list) may be stored, but not acted upon.

1. At intake such an observable is stored and quarantined in one transaction (`Watch`).
2. When lists change, the store is evaluated again in steps of bounded size; it remembers how far that is (setting
   `guard_state`), so a step may be the command's, the daemon's, or that of the next start.

Exports read quarantine from the store and so follow both without asking.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from p2pshare.database.settings import Setting
from p2pshare.intel.extraction import ObjectFacts
from p2pshare.intel.observable import Observable
from p2pshare.knowledge.knowledge import Knowledge
from p2pshare.limits import GUARD_STEP_OBSERVABLES
from p2pshare.node.node import Node
from p2pshare.warninglists.warning_found import Pair
from p2pshare.warninglists.warning_index import Hit, WarningIndex

GUARD_STATE = Setting("guard_state", str)  # see _State
ALL = -1  # the cursor behind the last row
WARNING_LIST, ALLOW_LIST = "warning-list", "allow-list"  # sources of quarantine that are ours


# --- coming in ---


class Watch:
    """A watch over one transaction: objects are looked at while they are stored, and quarantined afterwards where lists
    block them."""

    def __init__(self, knowledge: Knowledge, index: WarningIndex | None) -> None:
        self._knowledge = knowledge
        self._index = index
        self._blocked: dict[Pair, list[Hit]] = {}

    def look(self, objects: Sequence[ObjectFacts]) -> None:
        if self._index is not None:
            pairs = [(claim.type, claim.value) for one in objects for claim in one.claims]
            self._blocked |= self._index.hits(pairs, is_blocking_only=True)

    def finish(self, now: int) -> None:
        """Quarantine what was found, inside the transaction that stored it."""
        put_marks(self._knowledge, marks_of(self._blocked), now)


class Mark(NamedTuple):
    """Quarantine to be noted: the source of ours that says so, its words, and the observables."""

    source: str
    reason: str
    observables: list[Observable]


def put_marks(knowledge: Knowledge, marks: Iterable[Mark], now: int) -> int:
    """Quarantine what `marks` are about, as far as it is held; returns how many marks are new."""
    return sum(knowledge.quarantine(mark.observables, mark.source, mark.reason, now) for mark in marks)


def marks_of(blocked: Mapping[Pair, Sequence[Hit]]) -> list[Mark]:
    """Returns marks for each observable under each source that blocks it."""
    by_reason: dict[tuple[str, str], list[Observable]] = defaultdict(list)
    for pair, hits in blocked.items():
        for source, words in _by_source(hits).items():
            by_reason[source, words].append(Observable(*pair))
    return [Mark(source, reason, observables) for (source, reason), observables in by_reason.items()]


def _by_source(hits: Iterable[Hit]) -> dict[str, str]:
    """Returns source of quarantine -> its words: the first blocking list's name, or why the operator allowed it."""
    words: dict[str, str] = {}
    for hit in hits:
        if hit.is_own:
            words[ALLOW_LIST] = hit.words
        else:
            words.setdefault(WARNING_LIST, hit.words)
    return words


# --- staying: what is stored, under lists that changed ---


class EvaluationStep(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Progress of the evaluation: rows `done` of about `of`; the marks made and released by all evaluations ever."""

    done: int
    of: int
    is_finished: bool
    quarantined: int = 0
    released: int = 0


class _State(NamedTuple):
    """The state that the store remembers: the lists' `changes` that were evaluated, up to which row (-1: all), and the
    sums."""

    changes: int = -1
    cursor: int = 0
    quarantined: int = 0
    released: int = 0


def evaluate_again(node: Node, now: int) -> EvaluationStep:
    """Do one step of bounded size over what is stored; nothing when the present lists were evaluated already. `now` in
    unix seconds."""
    index = node.warning_index
    if index is None:
        return EvaluationStep(0, 0, is_finished=True)
    state, changes = _state(node), index.changes()
    if state.changes != changes:
        state = state._replace(changes=changes, cursor=0)
    if state.cursor == ALL:
        return EvaluationStep(0, 0, True, state.quarantined, state.released)
    last = node.store.knowledge.last_observable()
    with node.store.transaction():
        rows = node.store.knowledge.observables_after(state.cursor, GUARD_STEP_OBSERVABLES)
        made, taken = _evaluate(node, index, [observable for _, observable in rows], now)
        is_finished = len(rows) < GUARD_STEP_OBSERVABLES
        cursor = ALL if is_finished else rows[-1][0]
        state = _State(changes, cursor, state.quarantined + made, state.released + taken)
        node.store.database.put_setting(GUARD_STATE, json.dumps(state))
    return EvaluationStep(
        last if is_finished else cursor, last, is_finished, state.quarantined, state.released
    )


def _state(node: Node) -> _State:
    text = node.store.database.setting(GUARD_STATE)
    return _State() if text is None else _State(*json.loads(text))


def _evaluate(
    node: Node, index: WarningIndex, observables: Sequence[Observable], now: int
) -> tuple[int, int]:
    """Quarantine and release among these observables; returns (marks made, marks taken away)."""
    pairs = [(one.type, one.value) for one in observables]
    blocked = index.hits(pairs, is_blocking_only=True)
    wanted = {
        source: {Observable(*pair) for pair, hits in blocked.items() if source in _by_source(hits)}
        for source in (WARNING_LIST, ALLOW_LIST)
    }
    held = node.store.knowledge.quarantined(observables).keys()
    released = sum(node.store.knowledge.release(held - keep, source) for source, keep in wanted.items())
    return put_marks(node.store.knowledge, marks_of(blocked), now), released
