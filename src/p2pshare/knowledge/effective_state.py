"""Effective state: what an observable counts for now, computed from its claims. Pure; the one place of these rules.

1. A claim is *live* when its author has not withdrawn it, nothing that it stems from is withdrawn (`derivations`), it has begun,
   it has not ended, and it has not decayed.
2. Its decay starts when its author sealed it, or when it begins, whichever is later, and again at the last
   positive sighting. The author's end is an upper bound that no sighting moves.
3. An observable is active when a claim is live and nothing quarantines it.
4. Without a live claim, the claim that lasts longest gives the status: still to begin, else ended by time,
   else replaced, else withdrawn.
5. Confidence, beginning, end and sources are of the live claims, of all claims when none is live; the marking is the
   strictest of all. A claim that is not handed in here (its marking is not for this exit) moves nothing.
6. Authors are counted as they are, sources by `sources`: who repeats another is none.

Instants are whole unix seconds, for an evaluation at one second holds until the next.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import IntEnum
from typing import NamedTuple

from p2pshare.intel.instants import SECOND_US
from p2pshare.knowledge.decay import CONFIDENCE_DEFAULT, DecaySteps


class EffectiveStatus(IntEnum):
    """Status of an observable or a claim. GONE: no claim that may be shown is left."""

    ACTIVE = 0
    PENDING = 1
    EXPIRED = 2
    REPLACED = 3
    DELISTED = 4
    GONE = 5


WITHDRAWN, REPLACED, VALIDITY, DECAY = "withdrawn", "replaced", "validity", "decay"
ORIGIN_WITHDRAWN = "origin-withdrawn"


class ClaimState(NamedTuple):
    """A current claim, reduced to what its effective state depends on. `sealed_at` and `received_at` in unix seconds.

    `object_key` and `derivation` (the row in that table) tell sources apart; `is_fallen`: an origin is withdrawn. `id` is its
    row, and `source` the author as whose statement it counted until now, None: its own.
    """

    author: int
    is_withdrawn: bool
    tlp: int
    pap: int | None
    confidence: int | None
    from_us: int
    until_us: int | None
    sealed_at: int
    received_at: int
    is_replaced: bool = False
    object_key: bytes | str = b""
    derivation: int | None = None
    is_fallen: bool = False
    id: int = 0
    source: int | None = None


class EffectiveState(NamedTuple):
    """Effective state of an observable. Instants in unix seconds; `due` is the second from which time alone
    may have changed it, or None."""

    status: int
    reason: str | None
    score: int
    confidence: int | None
    tlp: int | None
    pap: int | None
    first_seen: int | None
    last_seen: int | None
    valid_from: int | None
    valid_until: int | None
    authors: int
    claims: int
    sources: int
    due: int | None


GONE = EffectiveState(EffectiveStatus.GONE, None, 0, None, None, None, None, None, None, None, 0, 0, 0, None)
SourcesOf = Callable[[Sequence[ClaimState], Sequence[ClaimState]], Sequence[int]]
"""Tells for each of all claims, by those that decide, the author as whose statement it counts (`sources.sources_of`)."""


_ACTIVE = int(EffectiveStatus.ACTIVE)  # an enumeration's member costs a look-up each time


class _Evaluated(NamedTuple):
    status: int
    reason: str | None
    score: int
    due: int | None


def evaluate(
    claims: Sequence[ClaimState],
    steps: DecaySteps,
    now: int,
    *,
    sighted_at: int | None = None,
    quarantined: str | None = None,
    sources_of: SourcesOf | None = None,
) -> EffectiveState:
    """Returns the effective state at `now`, unix seconds, of an observable that ages by `steps`.
    `quarantined` is the reason why it may not be acted upon, None when nothing forbids it. Without `sources_of` each author is
    a source of its own."""
    if not claims:
        return GONE
    evaluated = [evaluate_claim(claim, steps, now, sighted_at) for claim in claims]
    word, due, score = evaluated[0], evaluated[0].due, evaluated[0].score
    if len(claims) == 1:
        summary = _only(claims[0])
    else:
        for one in evaluated:
            if one.status < word.status or (
                one.status == word.status and word.reason == ORIGIN_WITHDRAWN
            ):  # the origin's own word comes first
                word = one
            if one.score > score:
                score = one.score
            if one.due is not None and (due is None or one.due < due):
                due = one.due
        live = [claim for claim, one in zip(claims, evaluated, strict=True) if one.status == _ACTIVE]
        summary = _sum_up(claims, live, sources_of)
    if quarantined is not None:
        return EffectiveState(EffectiveStatus.DELISTED, quarantined, 0, *summary, due)
    return EffectiveState(word.status, word.reason, score, *summary, due)


_Summary = tuple[int | None, int, int | None, int, int, int, int | None, int, int, int]
"""The fields of an EffectiveState from `confidence` to `sources`."""


def _only(claim: ClaimState) -> _Summary:
    """Returns the summary of one claim, which is nearly every observable's."""
    ends = None if claim.until_us is None else claim.until_us // SECOND_US
    received = claim.received_at
    return (
        claim.confidence,
        claim.tlp,
        claim.pap,
        received,
        received,
        claim.from_us // SECOND_US,
        ends,
        1,
        1,
        1,
    )


def _sum_up(
    claims: Sequence[ClaimState], live: Sequence[ClaimState], sources_of: SourcesOf | None
) -> _Summary:
    """Returns the summary of several claims. Plain loops: values that several partners claim are evaluated at
    intake, and there are two claims, seldom more."""
    _, _, tlp, pap, _, _, _, _, first, *_ = claims[0]
    authors, last = set(), first
    for author, _, own_tlp, own_pap, _, _, _, _, received, _, _, _, _, _, _ in claims:
        authors.add(author)
        if own_tlp > tlp:
            tlp = own_tlp
        if own_pap is not None and (pap is None or own_pap > pap):
            pap = own_pap
        if received < first:
            first = received
        if received > last:
            last = received
    decisive = live or claims
    confidence, begins, ends = _life(decisive, is_live=bool(live))
    if sources_of is not None:
        counted = {
            source
            for source, claim in zip(sources_of(claims, decisive), claims, strict=True)
            if claim in decisive
        }
    elif len(decisive) == len(claims):
        counted = authors
    else:
        counted = {claim.author for claim in decisive}
    return confidence, tlp, pap, first, last, begins, ends, len(authors), len(claims), len(counted)


def _life(claims: Sequence[ClaimState], *, is_live: bool) -> tuple[int | None, int, int | None]:
    """Returns the highest confidence, and the seconds from the first beginning to the last end, None for no end."""
    _, _, _, _, confidence, begins, ends, *_ = claims[0]
    is_endless = False
    for _, _, _, _, own_confidence, from_us, until_us, _, _, _, _, _, _, _, _ in claims:
        if own_confidence is not None and (confidence is None or own_confidence > confidence):
            confidence = own_confidence
        if from_us < begins:
            begins = from_us
        if until_us is None:
            is_endless = is_live  # of what is over, only an end that is stated tells anything
        elif ends is None or until_us > ends:
            ends = until_us
    return confidence, begins // SECOND_US, None if ends is None or is_endless else ends // SECOND_US


def evaluate_claim(claim: ClaimState, steps: DecaySteps, now: int, sighted_at: int | None) -> _Evaluated:
    """Returns the state of one claim at `now`, unix seconds."""
    _, is_withdrawn, _, _, confidence, from_us, until_us, start, _, is_replaced, _, _, is_fallen, _, _ = claim
    if is_withdrawn:
        if is_replaced:
            return _Evaluated(EffectiveStatus.REPLACED, REPLACED, 0, None)
        return _Evaluated(EffectiveStatus.DELISTED, WITHDRAWN, 0, None)
    if is_fallen:
        return _Evaluated(EffectiveStatus.DELISTED, ORIGIN_WITHDRAWN, 0, None)
    begins = -(-from_us // SECOND_US)
    ends = None if until_us is None else -(-until_us // SECOND_US)
    if ends is not None and ends <= now:
        return _Evaluated(EffectiveStatus.EXPIRED, VALIDITY, 0, None)
    if begins > now:
        return _Evaluated(EffectiveStatus.PENDING, None, 0, begins)
    if begins > start:
        start = begins
    if sighted_at is not None and sighted_at > start:
        start = sighted_at
    percent, after = steps.at(now - start)
    if after is None:
        return _Evaluated(EffectiveStatus.EXPIRED, DECAY, 0, None)
    due = start + after
    if ends is not None and ends < due:
        due = ends
    base = CONFIDENCE_DEFAULT if confidence is None else confidence
    return _Evaluated(_ACTIVE, None, -(-base * percent // 100), due)
