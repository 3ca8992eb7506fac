"""When to knock: at once, when our card is another, each day; sooner again where a knock reached nobody, or a person may be opening."""

from __future__ import annotations

import itertools

import pytest

from p2pshare.daemon.knocks import (
    HANDED_OVER,
    KNOCK_SECONDS,
    NOTHING_NEW,
    PLACE_SECONDS,
    REOPENED_SECONDS,
    RETRY_SECONDS_MIN,
    Knocks,
    reason_of,
)
from p2pshare.identifiers import PartnerId
from p2pshare.partners.interface import (
    NOT_ACCEPTED_YET,
    OTHER_CERTIFICATE,
    REMOVED_BY_PARTNER,
    ClosedDoor,
)

BRAVO, CHARLIE = PartnerId(bytes([2]) * 32), PartnerId(bytes([3]) * 32)
NOW = 1_800_000_000


@pytest.fixture
def knocks() -> Knocks:
    return Knocks({})


def knock(knocks: Knocks, at: float, *, outcome: str = HANDED_OVER, was_heard: bool = True) -> None:
    reason = knocks.doors[BRAVO].reason
    assert knocks.begin(BRAVO, 1, at)
    assert knocks.ended(BRAVO, reason, outcome, was_heard=was_heard, now=NOW + int(at), at=at)


def test_the_reason_of_a_closed_door() -> None:
    assert reason_of("certificate-refused", has_met=False) == NOT_ACCEPTED_YET
    assert reason_of("certificate-refused", has_met=True) == REMOVED_BY_PARTNER
    assert reason_of("other-certificate", has_met=True) == OTHER_CERTIFICATE
    assert {reason_of(fault, has_met=True) for fault in ("tls", "timeout", "unreachable", "")} == {""}


def test_a_knock_is_due_at_once_then_each_day(knocks: Knocks) -> None:
    assert knocks.closed(BRAVO, REMOVED_BY_PARTNER, NOW)
    assert not knocks.closed(BRAVO, REMOVED_BY_PARTNER, NOW + 5)
    knock(knocks, 7.0)
    assert knocks.doors[BRAVO] == ClosedDoor(REMOVED_BY_PARTNER, NOW, NOW + 7, HANDED_OVER)
    assert not knocks.begin(BRAVO, 1, 7.0 + KNOCK_SECONDS - 1)
    knock(knocks, 7.0 + KNOCK_SECONDS)
    assert not knocks.begin(BRAVO, 1, 8.0 + KNOCK_SECONDS)


def test_a_door_that_never_let_us_in_is_knocked_at_often_while_a_person_may_be_opening_it(
    knocks: Knocks,
) -> None:
    knocks.closed(BRAVO, NOT_ACCEPTED_YET, NOW)
    knocked = []
    for second in range(0, 2 * 86_400, 10):
        if knocks.begin(BRAVO, 1, float(second)):
            knocks.ended(
                BRAVO, NOT_ACCEPTED_YET, HANDED_OVER, was_heard=True, now=NOW + second, at=float(second)
            )
            knocked.append(second)
    pauses = [(at, later - at) for at, later in itertools.pairwise(knocked)]
    assert {pause for at, pause in pauses if at < 600} == {30}
    assert {pause for at, pause in pauses if 600 <= at < 3_600} == {60}
    assert {pause for at, pause in pauses if 3_600 <= at < 86_400} == {600}
    assert {pause for at, pause in pauses if at >= 86_400} == {3_600}


def test_a_place_is_asked_for_at_once_with_another_card_and_each_hour(knocks: Knocks) -> None:
    knocks.closed(BRAVO, NOT_ACCEPTED_YET, NOW)
    assert knocks.begin(BRAVO, 1, 0.0)
    assert knocks.asks_place(BRAVO, 1, 0.0)
    assert knocks.asks_place(BRAVO, 1, 0.0), "one that did not reach the host is made up for"
    knocks.place_asked(BRAVO, NOT_ACCEPTED_YET, 1, 0.0)
    assert not knocks.asks_place(BRAVO, 1, PLACE_SECONDS - 1)
    assert knocks.asks_place(BRAVO, 2, 1.0)
    assert knocks.asks_place(BRAVO, 1, PLACE_SECONDS)
    knocks.closed(BRAVO, OTHER_CERTIFICATE, NOW)
    assert knocks.begin(BRAVO, 1, PLACE_SECONDS)
    assert not knocks.asks_place(BRAVO, 1, PLACE_SECONDS), "whoever answers there is nobody to ask"


def test_another_card_of_ours_is_told_at_once(knocks: Knocks) -> None:
    knocks.closed(BRAVO, REMOVED_BY_PARTNER, NOW)
    knock(knocks, 0.0)
    assert not knocks.begin(BRAVO, 1, 1.0)
    assert knocks.begin(BRAVO, 2, 1.0)


def test_one_knock_at_a_time(knocks: Knocks) -> None:
    knocks.closed(BRAVO, REMOVED_BY_PARTNER, NOW)
    knocks.closed(CHARLIE, REMOVED_BY_PARTNER, NOW)
    assert knocks.begin(BRAVO, 1, 0.0)
    assert not knocks.begin(BRAVO, 2, KNOCK_SECONDS)
    assert knocks.begin(CHARLIE, 1, 0.0)


def test_a_knock_that_reached_nobody_is_tried_again_after_a_pause_that_doubles_up_to_a_day(
    knocks: Knocks,
) -> None:
    knocks.closed(BRAVO, NOT_ACCEPTED_YET, NOW)
    at, pauses = 0.0, []
    for number in range(20):
        knock(knocks, at, outcome="timeout", was_heard=False)
        pause = min(RETRY_SECONDS_MIN * 2**number, KNOCK_SECONDS)
        assert not knocks.begin(BRAVO, 1, at + pause - 1)
        pauses.append(pause)
        at += pause
    assert pauses[0] == 60 and pauses[-1] == KNOCK_SECONDS
    knock(knocks, at)
    knock(knocks, at + KNOCK_SECONDS, outcome="timeout", was_heard=False)
    assert knocks.begin(BRAVO, 1, at + KNOCK_SECONDS + 60), "it begins anew with a minute"


def test_who_makes_a_door_look_closed_in_two_ways_in_turn_gains_two_knocks_a_day(knocks: Knocks) -> None:
    """Somebody on the way shows another certificate and lets the next connection through, again and again."""
    due = 0
    for number in range(400):
        knocks.closed(BRAVO, (OTHER_CERTIFICATE, REMOVED_BY_PARTNER)[number % 2], NOW + number)
        if knocks.begin(BRAVO, 1, float(number)):
            due += 1
            reason = knocks.doors[BRAVO].reason
            knocks.ended(BRAVO, reason, NOTHING_NEW, was_heard=True, now=NOW, at=float(number))
    assert due == 2
    assert knocks.doors[BRAVO].since == NOW, "it is closed since then, whatever it looks like"


def test_a_door_that_opens_or_whose_partner_leaves_is_forgotten(knocks: Knocks) -> None:
    for peer in (BRAVO, CHARLIE):
        knocks.closed(peer, NOT_ACCEPTED_YET, NOW)
        assert knocks.begin(peer, 1, 0.0)
    assert knocks.opened(BRAVO) and not knocks.opened(BRAVO)
    assert knocks.keep({BRAVO}) and not knocks.keep({BRAVO})
    for peer in (BRAVO, CHARLIE):
        assert not knocks.ended(peer, NOT_ACCEPTED_YET, HANDED_OVER, was_heard=True, now=NOW, at=1.0)
    assert knocks.doors == {}
    knocks.closed(CHARLIE, NOT_ACCEPTED_YET, NOW)
    assert knocks.begin(CHARLIE, 1, 1.0), "a partner that was added again is new"


def test_a_door_that_closes_again_is_knocked_at_again_and_not_all_the_time(knocks: Knocks) -> None:
    """A partner that revokes twice in a day must not wait for tomorrow; nor may somebody on the way have us knock each second."""
    knocked = []
    for second in range(100):
        knocks.closed(BRAVO, OTHER_CERTIFICATE, NOW + second)
        if knocks.begin(BRAVO, 1, float(second)):
            knocks.ended(BRAVO, OTHER_CERTIFICATE, NOTHING_NEW, was_heard=True, now=NOW, at=float(second))
            knocked.append(second)
        knocks.opened(BRAVO)
    assert knocked == list(range(0, 100, int(REOPENED_SECONDS)))


def test_what_an_earlier_life_noted_is_kept_and_knocked_at_once() -> None:
    before = ClosedDoor(REMOVED_BY_PARTNER, NOW - 5_000, NOW - 10, HANDED_OVER)
    knocks = Knocks({BRAVO: before})
    assert not knocks.closed(BRAVO, REMOVED_BY_PARTNER, NOW)
    assert knocks.doors[BRAVO] == before
    assert knocks.begin(BRAVO, 1, 0.0)
