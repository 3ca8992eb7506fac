"""When member lists are fetched: at the start, by the hour, by the minute after a fault or while the one that is held counts no more."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest

from p2pshare.daemon import member_lists
from p2pshare.daemon.member_lists import (
    LIST_AGAIN_SECONDS,
    LIST_SECONDS,
    LOOK_SECONDS,
    REVIEW_SECONDS,
    MemberListRounds,
)
from p2pshare.errors import PeerError
from p2pshare.gossip.moment import Moment
from p2pshare.identifiers import CircleId, PartnerId
from p2pshare.peering.faults import PeerUnreachable

HUB, CIRCLE = PartnerId(bytes([2]) * 32), CircleId.of("main")
NOW = 1_800_000_000


class Hub:
    """A partner that is asked for its list at `asked`, and answers with `answers`; and what this node holds of it."""

    def __init__(self) -> None:
        self.time, self.asked, self.reviewed = 0.0, list[float](), list[float]()
        self.answers: Callable[[], bytes] = lambda: b"list"
        self.is_void, self.is_linked = False, True
        self.moment = Moment.certain(NOW)
        self.rounds = MemberListRounds(self, self, _call, _call)  # type: ignore[arg-type]  # of both it needs only what is here

    # what the rounds ask of the store
    def introducers(self, _: int) -> list[tuple[PartnerId, CircleId, bool]]:
        return [(HUB, CIRCLE, self.is_void)]

    def review(self, _: int) -> bool:
        self.reviewed.append(self.time)
        return False

    def take_members(self, *_: Any) -> bool:
        return False

    # and of the line to the partner
    def client_of(self, peer: PartnerId) -> Hub:
        assert peer == HUB
        return self

    def is_connected(self, _: PartnerId) -> bool:
        return self.is_linked

    def roster_changed(self) -> None:
        raise AssertionError("nothing changed")

    async def members(self, circle: CircleId) -> bytes:
        assert circle == CIRCLE
        self.asked.append(self.time)
        return self.answers()

    def live(self, seconds: float) -> list[float]:
        """Returns when it was asked in so many seconds from now on, as the daemon looks."""
        self.asked, end = [], self.time + seconds
        while self.time < end:
            with pytest.raises(StopIteration):
                self.rounds.look().send(None)  # nothing in it waits for a loop
            self.time += LOOK_SECONDS
        return self.asked


async def _call(function: Callable[..., Any], *arguments: Any) -> Any:
    return function(*arguments)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Hub:
    made = Hub()

    class Loop:
        @staticmethod
        def time() -> float:
            return made.time

    monkeypatch.setattr(member_lists.asyncio, "get_running_loop", Loop)
    return made


def gaps(times: list[float]) -> set[float]:
    return {after - before for before, after in itertools.pairwise(times)}


def test_a_list_is_fetched_at_the_start_and_by_the_hour(hub: Hub) -> None:
    asked = hub.live(10 * LIST_SECONDS)
    assert asked[0] == 0 and gaps(asked) == {LIST_SECONDS}


def test_one_that_counts_no_more_is_asked_for_by_the_minute_until_there_is_another(hub: Hub) -> None:
    hub.live(60)
    hub.is_void = True
    asked = hub.live(600)
    assert gaps(asked) == {LIST_AGAIN_SECONDS} and len(asked) == 10
    hub.is_void = False
    assert hub.live(3 * LIST_SECONDS)[0] - asked[-1] == LIST_SECONDS


def test_an_introducer_that_is_not_reached_is_asked_again_in_a_minute_and_one_that_has_none_in_an_hour(
    hub: Hub,
) -> None:
    def unreachable() -> bytes:
        raise PeerUnreachable("gone", reason="unreachable")

    def none() -> bytes:
        raise PeerError("it has none", reason="not-found")

    hub.answers = unreachable
    assert gaps(hub.live(600)) == {LIST_AGAIN_SECONDS}
    hub.answers = none
    assert gaps(hub.live(10 * LIST_SECONDS)) == {LIST_SECONDS}


def test_one_that_is_away_is_asked_when_it_comes(hub: Hub) -> None:
    hub.is_linked = False
    assert hub.live(2 * LIST_SECONDS) == []
    hub.is_linked, came = True, hub.time
    assert hub.live(60) == [came]


def test_time_alone_is_looked_at_each_minute(hub: Hub) -> None:
    hub.live(600)
    assert gaps(hub.reviewed) == {REVIEW_SECONDS}
