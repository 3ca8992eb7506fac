"""The daemon's clocks: what a wall clock that is set does to them, and what it never does."""

from __future__ import annotations

import pytest

from p2pshare.daemon.clock import ABSENT_SECONDS_MAX, JUMP_SECONDS, Clock
from p2pshare.gossip.moment import Moment
from p2pshare.limits import CLOCK_DOUBT_SECONDS

DAY = 86_400.0
START = 1_800_000_000.0


class Times:
    """Two clocks that a test sets."""

    def __init__(self) -> None:
        self.monotonic = 5_000.0
        self.ahead = START - 5_000.0
        self.clock = Clock(lambda: self.monotonic + self.ahead, lambda: self.monotonic)

    def pass_(self, seconds: float) -> Moment:
        self.monotonic += seconds
        return self.clock.moment()

    def jump(self, seconds: float) -> Moment:
        self.ahead += seconds
        return self.clock.moment()


@pytest.mark.parametrize("seconds", [100 * DAY, 2 * 3_600.0, -2 * 3_600.0, -100 * DAY])
def test_a_jump_for_a_minute_is_followed_there_and_back_and_moves_no_interval(seconds: float) -> None:
    times = Times()
    times.pass_(100)
    moment = times.jump(seconds)
    assert moment.now == START + 100 + seconds
    assert (moment.earliest, moment.latest) == (min(START + 100, moment.now), max(START + 100, moment.now))
    times.pass_(60)
    moment = times.jump(-seconds)
    assert moment.now == START + 160
    assert moment.latest == moment.now, "it is back where it was: nothing further ahead is believed"
    assert moment.earliest <= START + 100, "nothing expires that had not expired when it jumped first"
    assert times.clock() == START + 160


@pytest.mark.parametrize("seconds", [100 * DAY, -100 * DAY])
def test_nothing_expires_by_the_clock_in_the_hour_after_a_jump_and_from_then_on_it_does(
    seconds: float,
) -> None:
    times = Times()
    times.jump(seconds)
    for _ in range(int(CLOCK_DOUBT_SECONDS // 60) - 1):
        moment = times.pass_(60)
        assert moment.is_doubtful and moment.earliest <= START
    moment = times.pass_(120)
    assert moment == Moment.certain(moment.now)
    assert moment.now == START + seconds + CLOCK_DOUBT_SECONDS + 60


def test_a_clock_that_is_set_again_and_again_expires_nothing_until_it_has_stood_for_an_hour() -> None:
    times = Times()
    for number in range(400):
        times.jump(7_200.0 if number % 2 else -7_200.0)
        moment = times.pass_(600)
    assert moment.earliest <= START + 7_200, "it is in doubt all the time"
    for _ in range(7):
        moment = times.pass_(600)
    assert not moment.is_doubtful


def test_in_a_doubt_that_never_ends_nothing_is_later_than_what_was_believed_meanwhile() -> None:
    """A machine that pauses every half hour jumps ahead each time: its first jump held everything for ever."""
    times = Times()
    for _ in range(4):
        times.jump(600.0)
        moment = times.pass_(1_800)
    assert moment.earliest == START
    times.clock.believe(START + 600)
    assert times.clock.moment().earliest == START + 600
    times.clock.believe(START)
    assert times.clock.moment().earliest == START + 600, "it is taken back by no older word"
    assert times.jump(-100 * DAY).earliest < START, "but by the clock, when it goes back"


def test_a_small_step_is_no_jump_until_they_come_to_a_minute() -> None:
    times = Times()
    for _ in range(2):
        assert not times.jump(JUMP_SECONDS / 2).is_doubtful
    assert times.jump(1.0).is_doubtful


@pytest.mark.parametrize(
    ("noted_ago", "is_doubtful", "is_told"),
    [
        (60, False, False),
        (ABSENT_SECONDS_MAX - 1, False, False),
        (100 * DAY, True, False),  # it was off, or its clock was set ahead: nobody can tell
        (-100 * DAY, True, True),  # it was set back, for certain
    ],
)
def test_a_life_that_begins_far_from_where_the_last_one_was_doubts_its_clock(
    noted_ago: float, is_doubtful: bool, is_told: bool
) -> None:
    times = Times()
    times.clock.follow_absence(int(START - noted_ago))
    moment = times.clock.moment()
    assert moment.is_doubtful is is_doubtful
    assert moment.earliest == min(START, START - noted_ago) if is_doubtful else moment.earliest == START
    assert (times.clock.jumped_at is not None) is is_told
    assert not times.pass_(CLOCK_DOUBT_SECONDS + 1).is_doubtful


def test_a_change_is_told_once() -> None:
    times = Times()
    assert times.clock.look() is None
    times.jump(DAY)
    assert times.clock.look() is not None
    assert times.clock.look() is None
    times.pass_(CLOCK_DOUBT_SECONDS)
    end = times.clock.look()
    assert end is not None and not end.is_doubtful
    assert times.clock.look() is None


def test_a_doubt_that_partners_end_is_over_at_once_and_the_next_jump_begins_another() -> None:
    times = Times()
    times.clock.end_doubt()
    assert not times.clock.is_doubted and times.clock.look() is None, "there was none"
    times.jump(100 * DAY)
    assert times.clock.is_doubted and times.clock.look() is not None
    times.pass_(5)
    times.clock.end_doubt()
    end = times.clock.look()
    assert end == Moment.certain(START + 100 * DAY + 5)
    assert times.clock.look() is None, "it is told once"
    assert times.jump(-100 * DAY).is_doubtful, "partners confirmed the clock as it was, and no other"
    assert times.clock.moment().earliest == START + 5
