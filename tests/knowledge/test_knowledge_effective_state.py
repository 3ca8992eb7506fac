"""EffectiveState: each rule of knowledge/effective_state.py with the mistake it forbids."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from p2pshare.intel.instants import SECOND_US
from p2pshare.knowledge.decay import DAY_SECONDS, steps_for
from p2pshare.knowledge.effective_state import GONE, ClaimState, EffectiveStatus, evaluate

NOW = 1_800_000_000
STEPS = steps_for("ipv4")


def claim(author=1, *, withdrawn=False, tlp=1, confidence=80, begins=0, ends=None, sealed=0, **more):
    """A claim; `begins`, `ends` and `sealed` in seconds from NOW."""
    until_us = None if ends is None else (NOW + ends) * SECOND_US
    return ClaimState(
        author,
        withdrawn,
        tlp,
        None,
        confidence,
        (NOW + begins) * SECOND_US,
        until_us,
        NOW + sealed,
        NOW,
        **more,
    )


states = st.builds(
    claim,
    st.integers(1, 3),
    withdrawn=st.booleans(),
    tlp=st.integers(0, 4),
    confidence=st.none() | st.integers(0, 100),
    begins=st.integers(-50, 5).map(lambda days: days * DAY_SECONDS),
    ends=st.none() | st.integers(-50, 50).map(lambda days: days * DAY_SECONDS),
    sealed=st.integers(-50, 1).map(lambda days: days * DAY_SECONDS),
)


@given(st.lists(states, max_size=4), st.integers(0, 60 * DAY_SECONDS), st.none() | st.just("warning-list"))
def test_nothing_changes_before_it_is_due(claims, later, quarantined):
    now = evaluate(claims, STEPS, NOW, quarantined=quarantined)
    then = NOW + later
    if now.due is None or then < now.due:
        assert evaluate(claims, STEPS, then, quarantined=quarantined) == now
    assert now.due is None or now.due > NOW


@given(st.lists(states, min_size=1, max_size=4), st.permutations(range(4)))
def test_the_order_of_claims_moves_nothing(claims, order):
    shuffled = [claims[n] for n in order if n < len(claims)]
    assert evaluate(shuffled, STEPS, NOW)[:1] + evaluate(shuffled, STEPS, NOW)[2:] == (
        evaluate(claims, STEPS, NOW)[:1] + evaluate(claims, STEPS, NOW)[2:]
    )


@given(st.lists(states, min_size=1, max_size=4))
def test_a_score_is_never_more_than_what_somebody_claims(claims):
    standing = evaluate(claims, STEPS, NOW)
    assert 0 <= standing.score <= max(50 if one.confidence is None else one.confidence for one in claims)
    assert standing.status == EffectiveStatus.ACTIVE or standing.score == 0


def test_an_address_fades_and_is_over_after_thirty_two_days():
    told = [evaluate([claim()], STEPS, NOW + day * DAY_SECONDS) for day in (0, 3, 4, 31, 32)]
    assert [one.score for one in told] == [80, 80, 72, 24, 0]
    assert [one.status for one in told] == [EffectiveStatus.ACTIVE] * 4 + [EffectiveStatus.EXPIRED]
    assert told[-1].reason == "decay"


def test_what_is_due_first_is_told():
    """An end before the next step, a step before the end, a beginning."""
    day = DAY_SECONDS
    assert evaluate([claim(ends=day)], STEPS, NOW).due == NOW + day
    assert evaluate([claim(ends=9 * day)], STEPS, NOW).due == NOW + 4 * day
    assert evaluate([claim(), claim(begins=day)], STEPS, NOW).due == NOW + day
    assert evaluate([claim(withdrawn=True)], STEPS, NOW).due is None


def test_a_sighting_starts_the_clock_again_but_moves_no_end_and_lifts_no_withdrawal():
    then = NOW + 40 * DAY_SECONDS
    assert evaluate([claim()], STEPS, then).status == EffectiveStatus.EXPIRED
    assert evaluate([claim()], STEPS, then, sighted_at=then).score == 80
    ended, withdrawn = claim(ends=DAY_SECONDS), claim(withdrawn=True)
    assert evaluate([ended], STEPS, then, sighted_at=then).reason == "validity"
    assert evaluate([withdrawn], STEPS, then, sighted_at=then).reason == "withdrawn"


def test_an_author_whose_clock_runs_ahead_gains_and_loses_nothing():
    assert evaluate([claim(sealed=500)], STEPS, NOW).score == 80


def test_what_is_quarantined_is_not_active_whatever_is_claimed():
    standing = evaluate([claim(), claim(2)], STEPS, NOW, quarantined="warning-list")
    assert (standing.status, standing.reason, standing.score) == (EffectiveStatus.DELISTED, "warning-list", 0)


def test_a_replaced_claim_is_told_from_a_withdrawn_one():
    assert evaluate([claim(withdrawn=True, is_replaced=True)], STEPS, NOW).status == EffectiveStatus.REPLACED
    assert evaluate([claim(withdrawn=True)], STEPS, NOW).status == EffectiveStatus.DELISTED
    assert evaluate([], STEPS, NOW) == GONE
