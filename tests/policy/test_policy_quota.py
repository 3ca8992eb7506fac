"""The quota of an author: whatever is sent in whatever order, no more is let in, and the last part is for small ones."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pshare.envelope.envelope import Mode
from p2pshare.identifiers import CircleId, PartnerId
from p2pshare.limits import KIB, MIB, QUOTA_ALARM_PERCENT, QUOTA_RESERVE_PARTS, QUOTA_SMALL_BYTES_MAX
from p2pshare.policy.quota import Quota, counted_under, nearly_full

ALPHA, BRAVO = PartnerId(b"a" * 32), PartnerId(b"b" * 32)
MAIN, OTHER = CircleId.of("main"), CircleId.of("other")
LIMIT = 32 * MIB
RESERVE = LIMIT // QUOTA_RESERVE_PARTS

arrivals = st.lists(
    st.tuples(
        st.sampled_from([ALPHA, BRAVO]),
        st.sampled_from([MAIN, OTHER]),
        st.sampled_from([1, 7 * KIB, QUOTA_SMALL_BYTES_MAX, QUOTA_SMALL_BYTES_MAX + 1, 3 * MIB, 16 * MIB]),
    ),
    max_size=40,
)


@given(arrivals=arrivals, already=st.dictionaries(st.just((ALPHA, MAIN)), st.integers(0, 2 * LIMIT)))
def test_no_order_of_arrivals_carries_more_than_the_quota(arrivals, already):
    quota, carried = Quota(LIMIT, already), dict(already)
    for author, circle, size in arrivals:
        before = carried.get((author, circle), 0)
        has_room = quota.has_room(author, circle, size)
        room = LIMIT - (0 if size <= QUOTA_SMALL_BYTES_MAX else RESERVE)
        assert has_room == (before + size <= room)
        if has_room:
            quota.add(author, circle, size)
            carried[author, circle] = before + size
            assert carried[author, circle] <= LIMIT


@pytest.mark.parametrize(
    ("size", "reserve"), [(QUOTA_SMALL_BYTES_MAX, 0), (QUOTA_SMALL_BYTES_MAX + 1, RESERVE)]
)
@pytest.mark.parametrize("over", [-1, 0, 1])
def test_at_below_and_above_the_quota(size, reserve, over):
    carried = LIMIT - reserve - size + over
    assert Quota(LIMIT, {(ALPHA, MAIN): carried}).has_room(ALPHA, MAIN, size) == (over <= 0)


def test_who_has_filled_its_quota_takes_nobody_elses_room():
    quota = Quota(LIMIT, {(ALPHA, MAIN): LIMIT})
    assert not quota.has_room(ALPHA, MAIN, 1)
    assert quota.has_room(BRAVO, MAIN, MIB) and quota.has_room(ALPHA, OTHER, MIB)


@pytest.mark.parametrize("over", [-1, 0, 1])
def test_nearly_full_is_told_before_it_is_full(over):
    size = LIMIT * QUOTA_ALARM_PERCENT // 100 + 1 + over  # 80 % of it is no whole number of bytes
    about = nearly_full(LIMIT, {(ALPHA, MAIN): size, (BRAVO, MAIN): 1})
    assert about == ([(ALPHA, MAIN, size)] if over >= 0 else [])


def test_a_relayed_envelope_takes_from_its_circle_and_direct_ones_from_one_place_whatever_they_name():
    assert counted_under(Mode.RELAY, MAIN) == MAIN
    assert counted_under(Mode.DIRECT, MAIN) == counted_under(Mode.DIRECT, OTHER) not in (MAIN, OTHER)
