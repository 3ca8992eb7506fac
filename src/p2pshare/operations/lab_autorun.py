"""`autorun` in the section `[lab]`: which rule of a lab is to be tried here next, though nobody asked.

Only Sigma, only what another wrote, only on samples that a lab names, and each text with each set of samples once. What a person has tried here
already, or this node in an earlier life, counts as tried until the samples change.
"""

from __future__ import annotations

from typing import NamedTuple

from p2pshare.identifiers import EntryId
from p2pshare.node.node import Node
from p2pshare.operations.labs import EVENT_KINDS, LAB
from p2pshare.spaces.lab import HeldRule, LabFold
from p2pshare.spaces.space_exchange import spaces_of
from p2pshare.spaces.space_store import SpaceReading

AGAIN_SECONDS = 60  # until what was not here yet is looked for again, doubled each time ...
AGAIN_SECONDS_MAX = 3_600  # ... up to an hour

_Samples = frozenset[tuple[str, bytes]]


class DueRun(NamedTuple):
    """A text of a rule that is to be tried: in which lab, and its SHA-256."""

    lab: EntryId
    digest: bytes


class AutorunRounds:
    """What is to be tried, and what was. One for the life of a daemon."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._tried: dict[DueRun, _Samples] = {}
        self._again: dict[DueRun, tuple[int, int]] = {}
        """Of what was not here yet: when it is looked for again (unix seconds), and how long that was."""

    def next_due(self, now: int) -> DueRun | None:
        """Returns what is to be tried next, which counts as tried from now on, whatever comes of it: a rule that is killed is not started again."""
        spaces = spaces_of(self._node)
        for row in SpaceReading(self._node.store.database).all():
            if row.kind != LAB or not spaces.caught_up(row.space, now):
                continue
            state = spaces.state(row.space)
            fold = state.kind
            if not isinstance(fold, LabFold) or fold.is_closed:
                continue
            if state.members.get(self._node.identity.partner_id) != "joined":
                continue
            for rule in fold.rules():
                due = DueRun(row.space, rule.current.said.digest)
                if self._is_due(due, fold, rule, now):
                    return due
        return None

    def come_back(self, due: DueRun, now: int) -> None:
        """Look for what could not be tried, because its text or the content of its samples is not here yet, again after a while."""
        self._tried.pop(due, None)
        _, pause = self._again.get(due, (0, AGAIN_SECONDS // 2))
        pause = min(2 * pause, AGAIN_SECONDS_MAX)
        self._again[due] = now + pause, pause

    def _is_due(self, due: DueRun, fold: LabFold, rule: HeldRule, now: int) -> bool:
        own, current = self._node.identity.partner_id, rule.current
        if current.said.language != "sigma" or current.vertex.author == own or rule.is_deprecated:
            return False
        again_at = self._again.get(due, (0, 0))[0]
        if now < again_at <= now + AGAIN_SECONDS_MAX:  # further ahead it was set by a clock that was wrong
            return False
        samples = frozenset(
            (one.said.label, one.said.digest)
            for one in fold.sample_set(rule.rule)
            if one.said.kind in EVENT_KINDS
        )
        before = self._tried.get(due)
        if before is None and any(vertex.author == own for vertex, _ in current.standing.runs):
            before = self._tried[due] = samples
        if not samples or samples == before:
            return False
        self._tried[due] = samples
        return True
