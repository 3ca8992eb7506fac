"""The row of a new observable, made on the way in, is the one that the rules of standing give."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from p2pshare.intel.instants import SECOND_US
from p2pshare.knowledge.decay import DAY_SECONDS, steps_for
from p2pshare.knowledge.effective_state import ClaimState, EffectiveState, EffectiveStatus, evaluate
from p2pshare.knowledge.state_table import ADD, _fresh_row

NOW = 1_800_000_000
SPANS_US = st.builds(
    lambda days, more_us: days * DAY_SECONDS * SECOND_US + more_us, st.integers(-50, 50), st.integers(-1, 1)
)


@given(
    st.sampled_from([0, 1]),
    st.integers(0, 4),
    st.none() | st.integers(0, 100),
    SPANS_US,
    SPANS_US,
    st.none() | SPANS_US,
    st.none() | st.integers(0, 3),
    st.integers(-50, 1).map(lambda days: NOW + days * DAY_SECONDS),
    st.sampled_from(["ipv4", "domain", "sha256"]),
)
@example(0, 1, 80, 0, 0, None, None, NOW, "ipv4")
@example(0, 4, 80, 0, 0, None, None, NOW, "ipv4")
@example(1, 1, 80, 0, 0, None, None, NOW, "ipv4")
@example(0, 1, 80, 0, 1, None, None, NOW, "ipv4")
@example(0, 1, 80, 0, 0, 1, None, NOW, "ipv4")
@example(0, 1, 80, -SECOND_US, 0, SECOND_US, None, NOW, "ipv4")
def test_a_fresh_row_is_what_judging_says(
    status, tlp, confidence, modified_after_us, from_after_us, until_after_us, pap, sealed_at, type_
):
    modified_us = NOW * SECOND_US + modified_after_us
    claim = (
        1,
        7,
        1,
        b"",
        9,
        0,
        status,
        tlp,
        confidence,
        None,
        modified_us,
        from_after_us,
        until_after_us,
        pap,
        0,
        None,
        0,
        None,
    )
    steps = steps_for(type_)
    row = _fresh_row(7, 5, claim, steps.first_seconds, {9: (sealed_at, NOW)}, NOW, 3)
    until_us = None if until_after_us is None else modified_us + until_after_us
    state = ClaimState(
        1, bool(status), tlp, pap, confidence, modified_us + from_after_us, until_us, sealed_at, NOW
    )
    evaluated = evaluate([state], steps, NOW)
    start = max(sealed_at, -(-(modified_us + from_after_us) // SECOND_US))
    is_ordinary = (
        evaluated.status == EffectiveStatus.ACTIVE and tlp <= 3 and start + steps.first_seconds > NOW
    )
    assert (row is not None) == is_ordinary
    if row is not None:
        row_id, seq, op, *columns, at, due = row
        assert (row_id, seq, op, at) == (7, 5, ADD, NOW)
        assert EffectiveState(columns[0], None, *columns[1:], due) == evaluated
