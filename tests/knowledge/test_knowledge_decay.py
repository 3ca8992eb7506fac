"""Decay: old claims count less, never more than at first, and no clock that runs wrong zeroes or revives one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pshare.knowledge.decay import (
    DAY_SECONDS,
    DECAYS,
    FILE,
    FILE_STEPS,
    Decay,
    remaining,
    seconds_until,
    steps_for,
    steps_of,
)

decays = st.builds(Decay, st.integers(1, 2_000), st.floats(0.2, 5.0))
seconds = st.integers(-(10**9), 10**9)


@given(decays, seconds, seconds)
def test_it_only_falls_and_stays_between_all_and_nothing(decay, one, other):
    early, late = sorted((one, other))
    assert 1.0 >= remaining(decay, early) >= remaining(decay, late) >= 0.0


@given(decays, st.integers(-(10**9), 0))
def test_a_clock_that_runs_ahead_takes_nothing_away(decay, elapsed):
    assert remaining(decay, elapsed) == 1.0
    assert steps_of(decay).at(elapsed)[0] == 100


@given(decays, st.integers(1, 99))
def test_the_instant_of_a_share_is_when_it_is_reached(decay, percent):
    instant = seconds_until(decay, percent)
    assert remaining(decay, instant) <= percent / 100 + 1e-9
    assert remaining(decay, instant - 1) >= percent / 100 - 1e-9


@given(decays, st.integers(0, 10**9))
def test_a_step_is_the_next_tenth_above_what_remains(decay, elapsed):
    percent, after = steps_of(decay).at(elapsed)
    share = 100 * remaining(decay, elapsed)
    if after is None:
        assert percent == 0
        assert share <= 20 + 1e-6
    else:
        assert percent - 10 - 1e-3 <= share <= percent + 1e-3
        assert after > elapsed


@pytest.mark.parametrize(
    ("name", "days"), [("ipv4", 32), ("url", 32), ("domain", 188), ("sha256", 376), ("mutex", 376)]
)
def test_a_fifth_remains_after_the_days_of_its_type(name, days):
    decay = DECAYS.get(name, FILE)
    assert remaining(decay, days * DAY_SECONDS) == pytest.approx(0.2)
    steps = steps_for(name)
    assert steps.over_seconds == days * DAY_SECONDS
    assert steps.at(steps.over_seconds - 1)[1] == steps.over_seconds
    assert steps.at(steps.over_seconds) == (0, None)


def test_every_step_is_taken_once():
    assert FILE_STEPS.percents == (100, 90, 80, 70, 60, 50, 40, 30)
    assert list(FILE_STEPS.seconds) == sorted(set(FILE_STEPS.seconds))
    assert FILE_STEPS.first_seconds == FILE_STEPS.at(0)[1]
