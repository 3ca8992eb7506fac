"""Direct envelopes: from their author to their recipients alone, and compared between these two.

The simulator found what these tests are named for (scenario clocks, seeds 1 and 2; scenario backups).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from gossip_words import EPOCH, MAIN, NOW, US, item

from p2pshare.gossip import actions, events
from p2pshare.gossip.engine_state import EngineSettings
from p2pshare.gossip.index import key_of
from p2pshare.gossip.long_poll import NAMED_SECONDS
from p2pshare.gossip.messages import (
    AnnounceItem,
    Hello,
    Poll,
    PollAnswer,
    PutAnswer,
    PutVerdict,
    Shard,
    ShardRoot,
    SyncAnswer,
    SyncPart,
)
from p2pshare.gossip.negentropy.key_index import SortedKeys
from p2pshare.gossip.negentropy.negentropy import finish, respond
from p2pshare.identifiers import CircleId, EnvelopeId, Epoch
from p2pshare.limits import HELLO_INTERVAL_SECONDS

DIRECT = item(7)
OUR_EPOCH = Epoch(bytes(16))


def pair_of(talk: Any, number: int = 0) -> CircleId:
    return CircleId.of_pair(US, talk.peers[number])


def talk_of_pairs(dialogue: Any, *, peers: int = 1, is_dialable: bool = True, **more: Any) -> Any:
    talk = dialogue(peers=peers, is_dialable=is_dialable, **more)
    configs = tuple(
        events.LinkConfig(
            peer, frozenset({MAIN}), is_dialable, card_version=1, pair=CircleId.of_pair(US, peer)
        )
        for peer in talk.peers
    )
    talk.waiting.clear()  # hellos of the links without pairs, abandoned now
    talk.tell(events.LinksConfigured(configs))
    return talk


def publish(talk: Any, *recipients: int) -> None:
    to = tuple(talk.peers[one] for one in recipients)
    talk.tell(events.EnvelopeHeld(1, DIRECT, US, None, True, to))


def root(talk: Any, *keys: bytes) -> tuple[ShardRoot, ...]:
    index = SortedKeys(keys)
    return (ShardRoot(Shard(pair_of(talk), 4), len(index), index.root()),) if keys else ()


def greet(talk: Any, shards: tuple[ShardRoot, ...]) -> None:
    hello = talk.expect(actions.SendHello)
    talk.tell(events.Answered(hello.request, Hello(EPOCH, int(talk.now), 1, shards)), after=0.01)


def push(talk: Any, verdict: PutVerdict) -> None:
    put = talk.expect(actions.SendPut)
    assert put.envelope_id == DIRECT.envelope_id
    talk.tell(events.Answered(put.request, PutAnswer(verdict)))


KEY = key_of(NOW, DIRECT.envelope_id)


def test_what_a_recipient_deferred_is_acknowledged_by_its_roots_once_it_is_held(dialogue: Any) -> None:
    talk = talk_of_pairs(dialogue)
    greet(talk, ())
    publish(talk, 0)
    talk.tell(events.OutboxRead(talk.peers[0], (DIRECT,)))
    push(talk, PutVerdict.DEFERRED)
    talk.expect_none(actions.Acknowledge)
    talk.sleep(HELLO_INTERVAL_SECONDS + 10)
    greet(talk, root(talk, KEY))
    assert talk.expect(actions.Acknowledge).ids == (DIRECT.envelope_id,)
    talk.expect_none(actions.SendPut)


def test_a_recipient_that_lost_what_it_had_acknowledged_is_handed_it_again(dialogue: Any) -> None:
    """It was restored from a backup: its root says what it lacks."""
    talk = talk_of_pairs(dialogue)
    greet(talk, ())
    publish(talk, 0)
    talk.tell(events.OutboxRead(talk.peers[0], (DIRECT,)))
    push(talk, PutVerdict.HELD)
    talk.expect(actions.Acknowledge)
    other = key_of(NOW - 5, item(9).envelope_id)
    talk.sleep(HELLO_INTERVAL_SECONDS + 10)
    greet(talk, root(talk, other))
    question = talk.expect(actions.SendSync)
    (part,) = question.message.parts
    answer = finish(respond(SortedKeys([other]), part.message))
    talk.tell(events.Answered(question.request, SyncAnswer((SyncPart(part.shard, answer),))))
    push(talk, PutVerdict.HELD)
    talk.expect_none(actions.SendAnnounce)  # a direct envelope is never announced
    assert talk.expect(actions.SendGet).ids == (item(9).envelope_id,)  # and what it has for us is asked for


def test_equal_roots_acknowledge_only_what_was_in_them(dialogue: Any) -> None:
    """An envelope of the outbox that the engine was not told of yet is in no root."""
    talk = talk_of_pairs(dialogue)
    greet(talk, ())
    later = replace(item(8), created=NOW - 1)
    talk.tell(events.OutboxRead(talk.peers[0], (later,)))
    talk.sleep(HELLO_INTERVAL_SECONDS + 10)
    greet(talk, ())
    talk.expect_none(actions.Acknowledge)


def test_what_waited_in_the_outbox_is_pushed_only_when_a_comparison_finds_it_missing(dialogue: Any) -> None:
    """After a lost answer most of it has arrived: found by the simulator, as bodies that came twice."""
    talk = talk_of_pairs(dialogue)
    talk.tell(events.KeysLoaded(Shard(pair_of(talk), 4), (KEY,)))
    talk.expect(actions.ReadOutbox)  # as soon as it is dialled
    talk.tell(events.OutboxRead(talk.peers[0], (DIRECT,)))
    greet(talk, root(talk, KEY))
    assert talk.expect(actions.Acknowledge).ids == (DIRECT.envelope_id,)
    talk.expect_none(actions.SendPut)


def test_a_pair_is_compared_with_nobody_else(dialogue: Any) -> None:
    talk = talk_of_pairs(dialogue, peers=2)
    greet(talk, ())
    greet(talk, ())
    publish(talk, 0)
    for ticket, number in ((1, 0), (2, 1)):
        talk.tell(events.HelloHeard(talk.peers[number], ticket, Hello(EPOCH, int(talk.now), 1)))
        shards = talk.expect(actions.Reply).message.shards
        assert [one.shard.circle for one in shards] == ([pair_of(talk)] if number == 0 else [])


def test_who_cannot_be_dialled_is_told_of_its_direct_envelopes_by_the_feed_and_says_when_it_has_them(
    dialogue: Any,
) -> None:
    talk = talk_of_pairs(dialogue, is_dialable=False)
    (peer,) = talk.peers
    talk.tell(events.HelloHeard(peer, 1, Hello(EPOCH, NOW, 1)))
    talk.expect(actions.Reply)
    talk.tell(events.PollAsked(peer, 2, Poll(EPOCH, 0, 30)))
    talk.tell(events.OutboxRead(peer, ()))
    talk.expect_none(actions.Reply)
    talk.waiting.clear()
    publish(talk, 0)
    talk.expect(actions.ReadOutbox)
    talk.tell(events.OutboxRead(peer, (DIRECT,)))
    assert talk.expect(actions.Reply).message.direct == (DIRECT.envelope_id,)
    talk.tell(events.PollAsked(peer, 3, Poll(EPOCH, 0, 30, (DIRECT.envelope_id,))))
    assert talk.expect(actions.Acknowledge).ids == (DIRECT.envelope_id,)


def test_what_its_author_has_lost_is_pushed_home_to_it(dialogue: Any) -> None:
    """The peer was restored from a backup; we are a recipient."""
    talk = talk_of_pairs(dialogue)
    (peer,) = talk.peers
    greet(talk, ())
    talk.tell(events.EnvelopeHeld(1, DIRECT, peer, peer, False, ()))
    other = key_of(NOW - 5, item(9).envelope_id)
    talk.sleep(HELLO_INTERVAL_SECONDS + 10)
    greet(talk, root(talk, other))
    question = talk.expect(actions.SendSync)
    (part,) = question.message.parts
    answer = finish(respond(SortedKeys([other]), part.message))
    talk.tell(events.Answered(question.request, SyncAnswer((SyncPart(part.shard, answer),))))
    push(talk, PutVerdict.HELD)
    talk.expect_none(actions.SendAnnounce)


def test_what_came_home_goes_to_its_other_recipients_and_not_back_to_who_brought_it(dialogue: Any) -> None:
    talk = talk_of_pairs(dialogue, peers=2)
    greet(talk, ())
    greet(talk, ())
    bringer, other = talk.peers
    talk.tell(events.EnvelopeHeld(1, DIRECT, US, bringer, True, (bringer, other)))
    put = talk.expect(actions.SendPut)
    assert (put.peer, put.envelope_id) == (other, DIRECT.envelope_id)
    talk.expect_none(actions.SendPut)
    talk.tell(events.HelloHeard(bringer, 1, Hello(EPOCH, int(talk.now), 1)))
    shards = talk.expect(actions.Reply).message.shards
    assert [one.shard.circle for one in shards] == [pair_of(talk)]


# --- delivery status where somebody only dials -------------------------------------------------------


def polled(
    talk: Any, ticket: int, *held: EnvelopeId, waiting: tuple[AnnounceItem, ...] = (), after: float = 0.0
) -> Any:
    """The peer polls, and says that it holds these; `waiting` is the outbox for it."""
    (peer,) = talk.peers
    talk.tell(events.PollAsked(peer, ticket, Poll(OUR_EPOCH, 0, 30, held)), after=after)
    while reads := [one for one in talk.waiting if isinstance(one, actions.ReadOutbox)]:
        talk.waiting.remove(reads[0])
        talk.tell(events.OutboxRead(peer, waiting))


def test_a_direct_envelope_is_named_again_where_the_answer_that_named_it_was_lost(dialogue: Any) -> None:
    talk = talk_of_pairs(dialogue, is_dialable=False)
    (peer,) = talk.peers
    talk.tell(events.HelloHeard(peer, 1, Hello(EPOCH, NOW, 1)))
    talk.waiting.clear()
    publish(talk, 0)
    polled(talk, 2, waiting=(DIRECT,))
    assert talk.expect(actions.Reply).message.direct == (DIRECT.envelope_id,)
    polled(talk, 3, waiting=(DIRECT,), after=5)
    talk.expect_none(actions.Reply)  # it may be fetching it
    polled(talk, 4, waiting=(DIRECT,), after=NAMED_SECONDS)
    replies = [one for one in talk.waiting if isinstance(one, actions.Reply)]
    assert [one.message.direct for one in replies] == [(), (DIRECT.envelope_id,)]


def test_a_word_that_a_direct_envelope_is_held_counts_in_another_life_too(dialogue: Any) -> None:
    """We were started anew between naming it and the word: nothing of it is awaited."""
    talk = talk_of_pairs(dialogue, is_dialable=False)
    talk.tell(events.HelloHeard(talk.peers[0], 1, Hello(EPOCH, NOW, 1)))
    talk.waiting.clear()
    polled(talk, 2, DIRECT.envelope_id, waiting=(DIRECT, item(8)))
    assert talk.expect(actions.Acknowledge).ids == (DIRECT.envelope_id,)
    assert talk.expect(actions.Reply).message.direct == (item(8).envelope_id,)


def test_a_direct_envelope_is_fetched_that_was_named_beside_news(dialogue: Any) -> None:
    talk = talk_of_pairs(dialogue, settings=EngineSettings(is_dialable=False))
    talk.open()
    poll = talk.expect(actions.SendPoll)
    talk.tell(events.Answered(poll.request, PollAnswer(EPOCH, 0, 1, (item(1),), (DIRECT.envelope_id,))))
    fetched = {one for get in talk.waiting if isinstance(get, actions.SendGet) for one in get.ids}
    assert fetched == {item(1).envelope_id, DIRECT.envelope_id}


def test_its_author_is_told_of_a_direct_envelope_that_came_by_a_comparison(dialogue: Any) -> None:
    """Their roots may never be equal: one of us may have refused something else for good."""
    talk = talk_of_pairs(dialogue, settings=EngineSettings(is_dialable=False))
    (peer,) = talk.peers
    talk.open()
    poll = talk.expect(actions.SendPoll)
    talk.tell(events.EnvelopeHeld(1, DIRECT, peer, peer, False, ()))
    talk.tell(events.Answered(poll.request, PollAnswer(EPOCH, 0, 0, (), ())), after=31)
    assert talk.expect(actions.SendPoll).message.held == (DIRECT.envelope_id,)


def test_a_direct_envelope_that_was_gone_is_fetched_when_it_is_named_again(dialogue: Any) -> None:
    talk = talk_of_pairs(dialogue, settings=EngineSettings(is_dialable=False))
    talk.open()
    for _ in range(2):
        poll = talk.expect(actions.SendPoll)
        talk.tell(events.Answered(poll.request, PollAnswer(EPOCH, 0, 0, (), (DIRECT.envelope_id,))))
        get = talk.expect(actions.SendGet)
        talk.tell(events.BodyGone(get.request, DIRECT.envelope_id))
        talk.tell(events.Answered(get.request), after=2)
