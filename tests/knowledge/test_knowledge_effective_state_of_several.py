"""EffectiveState of several claims: what the loops say is what max and min say, claim by claim."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from p2pshare.intel.instants import SECOND_US
from p2pshare.knowledge.decay import DAY_SECONDS, DECAYS, FILE, FILE_STEPS, STEPS, remaining, steps_for
from p2pshare.knowledge.effective_state import (
    ORIGIN_WITHDRAWN,
    ClaimState,
    EffectiveStatus,
    evaluate,
    evaluate_claim,
)

NOW = 1_800_000_000
DAYS = st.integers(-500, 50).map(lambda days: NOW + days * DAY_SECONDS)
INSTANTS_US = st.builds(lambda at, more_us: at * SECOND_US + more_us, DAYS, st.integers(-1, 1))
CLAIMS = st.builds(
    ClaimState,
    author=st.integers(1, 3),
    is_withdrawn=st.booleans(),
    tlp=st.integers(0, 4),
    pap=st.none() | st.integers(0, 3),
    confidence=st.none() | st.integers(0, 100),
    from_us=INSTANTS_US,
    until_us=st.none() | INSTANTS_US,
    sealed_at=DAYS,
    received_at=DAYS,
    is_replaced=st.booleans(),
    object_key=st.just(b""),
    derivation=st.none(),
    is_fallen=st.booleans(),
    id=st.just(0),
    source=st.none(),
)


def stated(values):
    return [value for value in values if value is not None]


@given(
    st.lists(CLAIMS, min_size=1, max_size=5), st.sampled_from(["ipv4", "domain", "sha256"]), st.none() | DAYS
)
def test_several_claims_are_summed_up_as_max_and_min_say(claims, type_, sighted_at):
    evaluated = [evaluate_claim(claim, steps_for(type_), NOW, sighted_at) for claim in claims]
    live = [
        claim for claim, one in zip(claims, evaluated, strict=True) if one.status == EffectiveStatus.ACTIVE
    ]
    counted = live or claims
    found = evaluate(claims, steps_for(type_), NOW, sighted_at=sighted_at)
    assert found.status == min(one.status for one in evaluated)
    reasons = [one.reason for one in evaluated if one.status == found.status]
    assert found.reason == next((one for one in reasons if one != ORIGIN_WITHDRAWN), reasons[0])
    assert found.score == max(one.score for one in evaluated)
    assert found.due == min(stated(one.due for one in evaluated), default=None)
    assert found.confidence == max(stated(one.confidence for one in counted), default=None)
    assert (found.tlp, found.pap) == (
        max(one.tlp for one in claims),
        max(stated(one.pap for one in claims), default=None),
    )
    assert found.first_seen == min(one.received_at for one in claims)
    assert found.last_seen == max(one.received_at for one in claims)
    assert found.valid_from == min(one.from_us for one in counted) // SECOND_US
    ends = stated(one.until_us for one in counted)
    is_endless = not ends or (bool(live) and len(ends) < len(live))
    assert found.valid_until == (None if is_endless else max(ends) // SECOND_US)
    assert (found.authors, found.claims) == (len({one.author for one in claims}), len(claims))
    assert found.sources == len({one.author for one in counted})


@given(st.sampled_from([*STEPS, "sha256"]), st.integers(-DAY_SECONDS, 500 * DAY_SECONDS))
@example("ipv4", STEPS["ipv4"].seconds[1] - 1)
@example("ipv4", STEPS["ipv4"].seconds[1])
def test_a_new_claim_takes_the_step_that_its_age_asks_for(type_, elapsed):
    steps = STEPS.get(type_, FILE_STEPS)
    percent, after = steps.at(elapsed)
    exact = 100 * remaining(DECAYS.get(type_, FILE), elapsed)
    if after is None:
        assert exact <= 20
    else:
        assert percent - 10 <= exact <= percent and elapsed < after
