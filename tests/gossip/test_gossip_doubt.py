"""What ends a doubt of our own clock before its hour (docs/gossip.md, "Clocks"; decision 0122)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pshare.gossip import events
from p2pshare.gossip.messages import Hello
from p2pshare.gossip.moment import Moment, is_confirmed
from p2pshare.identifiers import Epoch
from p2pshare.limits import CLOCK_NEAR_SECONDS

DAY = 86_400
EPOCH = Epoch(b"e" * 16)
near = st.integers(-CLOCK_NEAR_SECONDS + 1, CLOCK_NEAR_SECONDS - 1)
far = st.integers(CLOCK_NEAR_SECONDS, 10**12) | st.integers(-(10**12), -CLOCK_NEAR_SECONDS)
anything = st.none() | st.integers(-(10**18), 10**18)


@given(st.lists(anything, max_size=20), st.lists(far | st.none(), max_size=20))
def test_liars_who_are_no_more_than_half_have_no_wrong_clock_believed(
    liars: list[int | None], honest: list[int | None]
) -> None:
    """Our clock is wrong: whoever is honest tells another time, or has not been heard."""
    if len(liars) <= len(honest):
        assert not is_confirmed([*liars, *honest])


@given(st.lists(anything, max_size=20), st.lists(near, max_size=20))
def test_liars_who_are_fewer_than_half_keep_no_right_clock_in_doubt(
    liars: list[int | None], honest: list[int]
) -> None:
    if len(liars) < len(honest):
        assert is_confirmed([*liars, *honest])


@given(st.lists(anything, max_size=12), st.randoms(use_true_random=False))
def test_it_does_not_count_who_spoke_first(told: list[int | None], random: Any) -> None:
    shuffled = list(told)
    random.shuffle(shuffled)
    assert is_confirmed(shuffled) == is_confirmed(told)


@given(st.lists(anything, min_size=1, max_size=12), near, st.data())
def test_one_more_who_agrees_never_brings_a_doubt_back(
    told: list[int | None], offset: int, data: st.DataObject
) -> None:
    place = data.draw(st.integers(0, len(told) - 1))
    if is_confirmed(told):
        assert is_confirmed([*told[:place], offset, *told[place + 1 :]])


@pytest.mark.parametrize(("linked", "needed"), [(1, 1), (2, 2), (3, 2), (4, 3), (5, 3), (20, 11)])
def test_so_many_of_the_linked_partners_must_agree(linked: int, needed: int) -> None:
    silent: list[int | None] = [None] * (linked - needed)
    assert is_confirmed([0] * needed + silent)
    assert not is_confirmed([0] * (needed - 1) + [None, *silent])
    assert not is_confirmed([0] * (needed - 1) + [CLOCK_NEAR_SECONDS, *silent])


def test_who_has_no_partner_waits_for_the_hour() -> None:
    assert not is_confirmed([])


def test_what_was_told_before_the_clock_jumped_confirms_nothing(dialogue: Any) -> None:
    """The first jump is told by nobody's word of before; each new doubt begins anew, and one partner's second hello is no second voice."""
    talk = dialogue(3)

    def tell(number: int, clock: float) -> bool:
        talk.tell(events.HelloHeard(talk.peers[number], number, Hello(EPOCH, int(clock), 1)))
        return bool(talk.engine.is_clock_confirmed)

    assert not tell(0, talk.now)
    assert tell(1, talk.now)
    ahead = 100 * DAY
    talk.tell(events.ClockSet(Moment(talk.now + ahead, talk.now, talk.now + ahead)))
    assert not talk.engine.is_clock_confirmed
    assert not tell(0, talk.now), "an honest one, by whose clock ours is wrong"
    assert not tell(1, talk.now + ahead), "a liar"
    assert not tell(1, talk.now + ahead), "and again"
    assert tell(2, talk.now + ahead), "more than half say so"
    talk.tell(events.ClockSet(Moment(talk.now, talk.now - 1, talk.now)))
    assert not talk.engine.is_clock_confirmed, "the clock jumped back"
    tell(0, talk.now)
    assert tell(1, talk.now)
    kept = tuple(events.LinkConfig(peer, frozenset(), True, 1) for peer in talk.peers)
    talk.tell(events.LinksConfigured(kept[:1]))
    assert talk.engine.is_clock_confirmed, "of who is linked, all"
    talk.tell(events.LinksConfigured(kept))
    assert not talk.engine.is_clock_confirmed, "who is linked anew has said nothing yet"
