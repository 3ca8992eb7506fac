"""The arrival log against a list of everything that ever arrived: a peer is told all of what is behind its cursor, or of a gap."""

from __future__ import annotations

from typing import Any

import pytest
from gossip_network import MAIN, partner
from gossip_words import held, item
from hypothesis import given
from hypothesis import strategies as st

from p2pshare.gossip import actions, arrivals, events
from p2pshare.gossip.arrivals import Arrivals, PollItem
from p2pshare.gossip.messages import AnnounceAnswer
from p2pshare.identifiers import CircleId

KEPT_MAX = 8
PEER, OTHER = partner(1), partner(2)
ELSEWHERE = CircleId.of("elsewhere")

kinds = st.sampled_from(["news", "elsewhere", "held by the peer", "direct", "dropped"])


@pytest.mark.parametrize("limit", [1, 3, 100])
@given(kinds=st.lists(kinds, max_size=40), first=st.integers(0, 5))
def test_whoever_walks_from_any_cursor_meets_all_that_is_news_to_it_or_is_told_of_a_gap(
    kinds: list[str], first: int, limit: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(arrivals, "ARRIVALS_KEPT_MAX", KEPT_MAX)
        log, news, kept = Arrivals(first), [], 0
        for lsn, kind in enumerate(kinds, start=first + 1):
            if kind == "direct":
                log.skip(lsn)
                continue
            one = item(lsn, circle=ELSEWHERE if kind == "elsewhere" else MAIN)
            log.append(PollItem(lsn, one, {PEER} if kind == "held by the peer" else {OTHER}))
            kept += 1
            if kind == "dropped":
                log.drop(one.envelope_id)
            if kind == "news":
                news.append((lsn, one))
    last = first + len(kinds)
    assert len(log) <= KEPT_MAX
    for cursor in range(first, last + 1):
        met, at, is_whole = [], cursor, True
        while True:
            stretch = log.after(at, PEER, {MAIN}, limit)
            assert len(stretch.items) <= limit
            is_whole = is_whole and stretch.is_whole
            met += stretch.items
            if stretch.to_lsn == last:
                break
            assert stretch.to_lsn > at
            at = stretch.to_lsn
        missed = [one for lsn, one in news if lsn > cursor and one not in met]
        assert not (missed and is_whole)
        assert [one for lsn, one in news if lsn > cursor and one in met] == met
        if len(kinds) <= KEPT_MAX:
            assert is_whole


def arrives(talk: Any, number: int) -> None:
    """Another's envelope comes from somebody else."""
    talk.tell(held(number, number, received_from=OTHER, author=partner(3)))


def test_a_peer_behind_which_the_arrival_log_was_cut_sees_a_gap_and_is_compared_with(
    dialogue: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arrivals, "ARRIVALS_KEPT_MAX", KEPT_MAX)
    talk = dialogue()
    talk.open()
    arrives(talk, 1)
    talk.sleep(1)
    first = talk.expect(actions.SendAnnounce)  # its answer is waited for, while much arrives
    for number in range(2, 2 + 2 * KEPT_MAX):
        arrives(talk, number)
    talk.tell(events.Answered(first.request, AnnounceAnswer(first.message.to_count, ())))
    talk.sleep(1)
    arrives(talk, 100)
    talk.sleep(1)
    told = [one for one in talk.waiting if isinstance(one, actions.SendAnnounce)]
    assert told[0].message.from_count > first.message.to_count
    talk.sleep(10)
    talk.expect(actions.SendHello)
