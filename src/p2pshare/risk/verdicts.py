"""What statements come to, for one component and one vulnerability: pure.

1. Of one document: the worst of its statements; but one that names exactly our version goes before one about a range.
   Where a fix of one branch is below our version and one of another branch above it, a person must look.
2. Of all documents: what is only proposed by name counts where nothing else speaks. The product's own vendor who says "not
   affected" is believed against third parties; otherwise the worst holds.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

from p2pshare.risk.fitting import Fit, Within
from p2pshare.risk.words import FoundBy, RiskState


class StatementSays(NamedTuple):
    """What one statement comes to. `is_exact`: it names our version alone. `is_below`, `is_above`: of a fix."""

    state: RiskState
    found_by: FoundBy
    is_exact: bool
    is_below: bool
    is_above: bool
    justification: str
    because: str


class Verdict(NamedTuple):
    """What one document comes to."""

    state: RiskState
    found_by: FoundBy
    is_own_vendor: bool
    justification: str
    because: str


class RiskVerdict(NamedTuple):
    """What all documents come to."""

    state: RiskState
    found_by: FoundBy
    disagree: bool


class _Saying(Protocol):
    def __call__(
        self, state: RiskState, because: str = ..., *, below: bool = ..., above: bool = ...
    ) -> StatementSays: ...


def say(fit: Fit, status: str, *, affects_below: bool, justification: str) -> StatementSays | None:
    """Returns what a statement of `status` about a product says of a component that fits so; None where it says nothing."""

    def said(
        state: RiskState, because: str = fit.because, *, below: bool = False, above: bool = False
    ) -> StatementSays:
        return StatementSays(
            state,
            fit.found_by,
            fit.is_exact and fit.within is Within.YES,
            below,
            above,
            justification,
            because,
        )

    if status == "fixed":
        return _say_fixed(fit, said, affects_below=affects_below)
    if fit.within is Within.NO:
        return None
    is_sure = fit.within is Within.YES
    if status == "affected":
        return said(RiskState.AFFECTED if is_sure else RiskState.POSSIBLE)
    if status == "not_affected":
        return said(RiskState.NOT_AFFECTED if is_sure else RiskState.POSSIBLE)
    if status == "under_investigation":
        return said(RiskState.UNDER_INVESTIGATION)
    return said(RiskState.POSSIBLE)


def _say_fixed(fit: Fit, said: _Saying, *, affects_below: bool) -> StatementSays | None:
    if fit.within is Within.YES:
        return said(RiskState.FIXED)
    if fit.order is not None and fit.order > 0:
        return said(RiskState.FIXED, "later than the version that is fixed", above=True)
    if not affects_below:
        return None
    if fit.order is not None and fit.order < 0:
        return said(RiskState.AFFECTED, "below the version that is fixed", below=True)
    return said(
        RiskState.POSSIBLE, fit.because or "whether it is below the version that is fixed is not known"
    )


def of_document(said: Sequence[StatementSays], *, is_own_vendor: bool) -> Verdict:
    """Returns what a document comes to; `said` holds at least one."""
    sure = [one for one in said if one.found_by > FoundBy.CANDIDATE_NAME] or list(said)
    exact = [one for one in sure if one.is_exact] or sure
    worst = max(exact, key=lambda one: (one.state, one.found_by, one.because, one.justification))
    state, because = worst.state, worst.because
    if worst.is_below and any(one.is_above for one in exact):
        state, because = RiskState.POSSIBLE, "later than one fix, and earlier than the fix of another branch"
    return Verdict(state, worst.found_by, is_own_vendor, worst.justification, because)


def of_all(verdicts: Iterable[Verdict]) -> RiskVerdict:
    """Returns what all documents come to; there is at least one."""
    every = list(verdicts)
    sure = [one for one in every if one.found_by > FoundBy.CANDIDATE_NAME] or every
    disagree = len({_side(one.state) for one in sure}) > 1
    own = [one for one in sure if one.is_own_vendor]
    if own and max(own).state is RiskState.NOT_AFFECTED:
        return RiskVerdict(RiskState.NOT_AFFECTED, max(own, key=lambda one: one.found_by).found_by, disagree)
    worst = max(one.state for one in sure)
    return RiskVerdict(worst, max(one.found_by for one in sure if one.state is worst), disagree)


def _side(state: RiskState) -> bool | None:
    """Returns True for what has to be seen to, False for what has not, None for what is not decided yet."""
    if state is RiskState.UNDER_INVESTIGATION:
        return None
    return state >= RiskState.POSSIBLE
