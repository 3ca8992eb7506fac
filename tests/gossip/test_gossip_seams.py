"""Seams at which a mistake loses one envelope now and then, and a comparison brings it back: each is asked for by itself.

The bugs that these find are planted in tests/simulation/test_simulation_planted_bugs.py.
"""

from __future__ import annotations

from typing import Any

import pytest
from gossip_sessions import ASK_FOR_ALL, NOTHING, SHARD, answer, ask, begin, greet, key
from gossip_words import DIFFERENT, MAIN, NOW, announce, held, item
from hypothesis import given
from hypothesis import strategies as st

from p2pshare.gossip import actions, events
from p2pshare.gossip.arrivals import Arrivals, PollItem
from p2pshare.gossip.index import HOUR_SECONDS, Index
from p2pshare.gossip.messages import AnnounceAnswer, Hello, PutAnswer, PutVerdict
from p2pshare.gossip.negentropy.negentropy_wire import RangeMode, read_ranges, split_ids
from p2pshare.identifiers import EnvelopeId, Epoch, PartnerId
from p2pshare.limits import EXPIRED_KEY_KEEP_SECONDS, LINK_UP_JITTER_SECONDS_MAX, TTL_SECONDS_BY_CLASS

LIFE_SECONDS = TTL_SECONDS_BY_CLASS[SHARD.ttl_class]
HOUR = NOW // HOUR_SECONDS * HOUR_SECONDS
PEER, OTHER = PartnerId(b"p" * 32), PartnerId(b"o" * 32)


# --- a pause that was asked for ----------------------------------------------------------------------


def test_a_push_that_was_answered_429_leaves_again_after_the_pause(dialogue: Any) -> None:
    talk = dialogue()
    talk.open()
    talk.tell(held(1))
    put = talk.expect(actions.SendPut)
    talk.tell(events.Busy(put.request, 3.0))
    talk.expect_none(actions.SendPut)
    talk.sleep(3.1)
    again = talk.expect(actions.SendPut)
    assert again.envelope_id == put.envelope_id
    talk.tell(events.Answered(again.request, PutAnswer(PutVerdict.HELD)))
    assert talk.expect(actions.Acknowledge).ids == (put.envelope_id,)


def test_an_announcement_that_was_answered_429_leaves_again_after_the_pause(dialogue: Any) -> None:
    talk = dialogue()
    talk.open()
    talk.tell(held(1, received_from=OTHER, author=OTHER))
    talk.sleep(1)
    told = talk.expect(actions.SendAnnounce)
    talk.tell(events.Busy(told.request, 3.0))
    talk.sleep(3.1)
    again = talk.expect(actions.SendAnnounce)
    assert again.message == told.message
    talk.tell(events.Answered(again.request, AnnounceAnswer(again.message.to_count)))
    talk.sleep(60)
    talk.expect_none(actions.SendAnnounce)


def test_a_question_of_a_comparison_that_was_answered_429_is_asked_again(dialogue: Any) -> None:
    talk = dialogue()
    talk.tell(events.KeysLoaded(SHARD, (key(1),)))
    question = begin(talk)
    talk.tell(events.Busy(question.request, 3.0))
    talk.expect_none(actions.SendSync)
    talk.sleep(3.1)
    again = talk.expect(actions.SendSync)
    assert again.message == question.message
    answer(talk, again, (key(2),))
    assert talk.expect(actions.SendGet).ids == (item(2).envelope_id,)


# --- a restart of the other side ---------------------------------------------------------------------


@pytest.mark.parametrize("has_announced", [True, False])
def test_a_peer_that_has_restarted_is_compared_with_within_seconds(
    dialogue: Any, has_announced: bool
) -> None:
    """Also where no request of ours failed meanwhile, so that the link never fell."""
    talk = dialogue()
    talk.open()
    talk.sleep(10)
    if has_announced:
        talk.tell(announce(talk.peers[0], item(1)))
        get = talk.expect(actions.SendGet)
        talk.tell(events.BodyArrived(get.request, item(1).envelope_id))
        talk.tell(held(1, received_from=talk.peers[0], author=OTHER))
        talk.tell(events.Answered(get.request))
    talk.waiting.clear()
    talk.tell(events.HelloHeard(talk.peers[0], 7, Hello(Epoch(b"r" * 16), int(talk.now), 1, DIFFERENT)))
    talk.expect(actions.Reply)
    talk.sleep(LINK_UP_JITTER_SECONDS_MAX)
    greet(talk, DIFFERENT)
    talk.expect(actions.SendSync)


# --- hours -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ahead", [-1, 0, 1])
def test_who_answers_cuts_at_the_hour_of_the_question(dialogue: Any, ahead: int) -> None:
    """Three keys expire in three hours that follow one another; which of them count is for the question to say."""
    talk = dialogue()
    talk.now = float(HOUR + 10)
    created = [HOUR + hour * HOUR_SECONDS - LIFE_SECONDS + 60 for hour in (-1, 0, 1)]
    talk.tell(events.KeysLoaded(SHARD, tuple(key(number, at) for number, at in enumerate(created))))
    ask(talk, 1, ASK_FOR_ALL, clock=HOUR + ahead * HOUR_SECONDS + 10)
    message = talk.expect(actions.Reply).message.parts[0].message
    found = {
        one for each in read_ranges(message) if each.mode is RangeMode.IDS for one in split_ids(each.payload)
    }
    assert found == {item(number).envelope_id for number in range(ahead + 1, 3)}
    assert message != NOTHING


def test_a_key_stays_in_the_index_for_an_hour_after_its_envelope_expired() -> None:
    index = Index()
    created = HOUR - LIFE_SECONDS
    index.add(SHARD, key(1, created))
    index.expire(created + LIFE_SECONDS + EXPIRED_KEY_KEEP_SECONDS)
    assert key(1, created) in index[SHARD]
    index.expire(created + LIFE_SECONDS + EXPIRED_KEY_KEEP_SECONDS + HOUR_SECONDS)
    assert key(1, created) not in index[SHARD]


# --- a page that is full -----------------------------------------------------------------------------


@given(st.lists(st.sampled_from(["new", "skipped", "held", "dropped"]), max_size=40), st.integers(1, 7))
def test_announcements_of_any_length_tell_each_arrival_once_and_in_order(
    kinds: list[str], limit: int
) -> None:
    arrivals, due = Arrivals(0), []
    for lsn, kind in enumerate(kinds, start=1):
        if kind == "skipped":
            arrivals.skip(lsn)
            continue
        arrivals.append(PollItem(lsn, item(lsn), {PEER} if kind == "held" else set()))
        if kind == "dropped":
            arrivals.drop(item(lsn).envelope_id)
        if kind == "new":
            due.append(item(lsn).envelope_id)
    told: list[EnvelopeId] = []
    cursor = 0
    while cursor < arrivals.last_lsn:
        stretch = arrivals.after(cursor, PEER, {MAIN}, limit)
        assert stretch.is_whole
        assert len(stretch.items) <= limit
        told += [one.envelope_id for one in stretch.items]
        assert stretch.to_lsn > cursor
        cursor = stretch.to_lsn
    assert told == due
