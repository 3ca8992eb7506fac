"""What was given up for now: an id that a peer did not have, a body that was refused, an envelope that a peer refused. Nothing of
that is for ever: behind a single path it would never come.

The simulator found what these tests are named for (scenarios hub-drops-circle and dial-behind-crash).
"""

from __future__ import annotations

from typing import Any

import pytest
from gossip_sessions import answer, begin, greet, keys_of, roots
from gossip_words import DIFFERENT, EPOCH, MAIN, NOW, announce, item

from p2pshare.gossip import actions, events
from p2pshare.gossip.link import ANEW_SECONDS, LATER_SECONDS, SIGN_SECONDS
from p2pshare.gossip.messages import Hello, Poll, PutVerdict
from p2pshare.gossip.moment import Moment
from p2pshare.identifiers import Epoch
from p2pshare.limits import HELLO_INTERVAL_SECONDS

ONE = item(1)
REQUESTS = (actions.SendGet, actions.SendHello, actions.SendSync)


def announced_and_gone(dialogue: Any) -> Any:
    """A peer named an envelope, and when it was asked for it the link carried no circle there, say."""
    talk = dialogue()
    talk.open()
    talk.tell(announce(talk.peers[0], ONE))
    take_nothing(talk)
    return talk


def take_nothing(talk: Any) -> None:
    get = talk.expect(actions.SendGet)
    assert get.ids == (ONE.envelope_id,)
    talk.tell(events.BodyGone(get.request, ONE.envelope_id))
    talk.tell(events.Answered(get.request))
    talk.expect_none(actions.SendGet)


def take_refused(talk: Any, reason: str) -> None:
    get = talk.expect(actions.SendGet)
    talk.tell(events.BodyArrived(get.request, ONE.envelope_id))
    talk.tell(events.BodyDecided(get.peer, ONE.envelope_id, PutVerdict.REFUSED, reason))
    talk.tell(events.Answered(get.request))
    talk.expect_none(actions.SendGet)


def hear(talk: Any, *, epoch: Epoch = EPOCH, shards: Any = ()) -> None:
    """A hello of the peer's comes."""
    talk.tell(events.HelloHeard(talk.peers[0], 9, Hello(epoch, int(talk.now), 1, shards)))
    talk.expect(actions.Reply)


def compare(talk: Any, *numbers: int, seconds: float = 10.0, epoch: Epoch = EPOCH) -> None:
    """Within `seconds` the stores are compared, with a peer that holds these."""
    theirs = keys_of(*numbers)
    talk.sleep(seconds)
    hello = talk.expect(actions.SendHello)
    talk.tell(events.Answered(hello.request, Hello(epoch, int(talk.now), 1, roots(theirs))))
    answer(talk, talk.expect(actions.SendSync), theirs)


def test_what_was_gone_is_asked_for_when_the_peer_names_it_anew(dialogue: Any) -> None:
    talk = announced_and_gone(dialogue)
    talk.tell(announce(talk.peers[0], ONE, counts=(1, 1)))  # a repair, after its own comparison
    assert talk.expect(actions.SendGet).ids == (ONE.envelope_id,)


def test_what_was_gone_is_asked_for_after_the_peer_has_started_anew(dialogue: Any) -> None:
    talk = dialogue()
    theirs, other = keys_of(1), Epoch(b"n" * 16)
    answer(talk, begin(talk, roots(theirs)), theirs)
    take_nothing(talk)
    hear(talk, epoch=other, shards=roots(theirs))  # the same roots as before
    compare(talk, 1, epoch=other)
    assert talk.expect(actions.SendGet).ids == (ONE.envelope_id,)


def test_what_was_gone_is_asked_for_when_the_peer_has_another_root(dialogue: Any) -> None:
    talk = announced_and_gone(dialogue)
    hear(talk, shards=roots(keys_of(1)))
    compare(talk, 1, 2, seconds=60)
    assert set(talk.expect(actions.SendGet).ids) == {ONE.envelope_id, item(2).envelope_id}


def test_what_was_gone_is_asked_for_again_in_a_quarter_of_an_hour_where_the_peer_gives_no_sign(
    dialogue: Any,
) -> None:
    """Its link did not carry the circle for a second: nobody heard of it, and its roots are what they were."""
    talk = dialogue()
    theirs = keys_of(1)
    answer(talk, begin(talk, roots(theirs)), theirs)
    take_nothing(talk)
    for _ in range(4):
        talk.sleep(HELLO_INTERVAL_SECONDS)
        for _ in [one for one in talk.waiting if isinstance(one, actions.SendHello)]:
            greet(talk, roots(theirs))
        for one in [one for one in talk.waiting if isinstance(one, actions.SendSync)]:
            talk.waiting.remove(one)
            answer(talk, one, theirs)
    assert talk.expect(actions.SendGet).ids == (ONE.envelope_id,)
    assert talk.now < NOW + 2 * ANEW_SECONDS


def test_a_faulty_body_is_not_asked_for_again_where_the_peer_only_names_it_but_when_it_has_started_anew(
    dialogue: Any,
) -> None:
    talk = dialogue()
    talk.open()
    talk.tell(announce(talk.peers[0], ONE))
    take_refused(talk, "bad-signature")
    talk.tell(announce(talk.peers[0], ONE, counts=(1, 1)))
    talk.expect_none(actions.SendGet)
    hear(talk, epoch=Epoch(b"n" * 16))
    talk.tell(announce(talk.peers[0], ONE, counts=(1, 1)))
    talk.expect(actions.SendGet)


@pytest.mark.parametrize(
    ("reason", "is_asked_again"),
    [("from-the-future", True), ("deferred", True), ("author-unknown", False), ("quota", False)],
)
def test_a_reason_that_passes_with_time_is_over_after_an_hour_and_one_of_ours_when_we_change(
    dialogue: Any, reason: str, is_asked_again: bool
) -> None:
    talk = dialogue()
    talk.open()
    talk.tell(announce(talk.peers[0], ONE))
    take_refused(talk, reason)
    talk.sleep(LATER_SECONDS + ANEW_SECONDS)
    talk.tell(announce(talk.peers[0], ONE, counts=(1, 1)))
    if is_asked_again:
        talk.expect(actions.SendGet)
        return
    talk.expect_none(actions.SendGet)
    talk.tell(events.LinksConfigured((events.LinkConfig(talk.peers[0], frozenset({MAIN}), True, 1),)))
    talk.tell(announce(talk.peers[0], ONE, counts=(1, 1)))
    talk.expect(actions.SendGet)


def test_a_clock_that_was_set_asks_for_what_was_refused_by_the_other_time(dialogue: Any) -> None:
    talk = dialogue()
    talk.open()
    ahead = 100 * 86_400
    talk.tell(events.ClockSet(Moment(talk.now + ahead, talk.now, talk.now + ahead)))
    talk.tell(announce(talk.peers[0], ONE))
    take_refused(talk, "expired")
    talk.tell(events.ClockSet(Moment(talk.now, talk.now - 1, talk.now)))
    talk.tell(announce(talk.peers[0], ONE, counts=(1, 1)))
    talk.expect(actions.SendGet)


def test_a_peer_that_only_dials_is_told_of_a_hole_when_our_roster_may_let_in_what_was_refused(
    dialogue: Any,
) -> None:
    """We cannot compare with it: it pushed an envelope of an author whom we did not know, and would offer it never again."""
    talk = dialogue(is_dialable=False)
    (peer,) = talk.peers
    talk.tell(events.HelloHeard(peer, 1, Hello(EPOCH, NOW, 1)))
    talk.expect(actions.Reply)
    talk.tell(events.PutHeard(peer, ONE.envelope_id))
    talk.tell(events.BodyDecided(peer, ONE.envelope_id, PutVerdict.REFUSED, "author-unknown"))
    talk.tell(events.PollAsked(peer, 2, Poll(EPOCH, 0, 30)))
    talk.tell(events.OutboxRead(peer, ()))
    first = (
        talk.expect(actions.Reply) if any(isinstance(one, actions.Reply) for one in talk.waiting) else None
    )
    since = first.message.to_count if first is not None else 0
    talk.tell(events.LinksConfigured((events.LinkConfig(peer, frozenset({MAIN}), False, 1),), partners=2))
    if first is not None:
        talk.tell(events.PollAsked(peer, 3, Poll(talk.engine._state.epoch, since, 30)))
        talk.tell(events.OutboxRead(peer, ()))
    told = talk.expect(actions.Reply).message
    assert told.from_count > since and told.items == ()


def settle(talk: Any, theirs: Any, seconds: float) -> list[Any]:
    """Let time pass with a peer that holds `theirs` and takes nothing of ours; returns what it was offered."""
    offered: list[Any] = []
    end = talk.now + seconds
    while talk.now < end:
        for one in list(talk.waiting):
            if isinstance(one, actions.SendHello):
                greet(talk, roots(theirs))
            elif isinstance(one, actions.SendSync):
                talk.waiting.remove(one)
                answer(talk, one, theirs)
            elif isinstance(one, actions.SendAnnounce):
                talk.waiting.remove(one)
                offered += [item.envelope_id for item in one.message.items]
                talk.tell(events.Declined(one.request, "whatever"))
        talk.sleep(5)
    return offered


def test_who_hears_of_a_hole_offers_again_what_it_had_offered_in_vain(dialogue: Any) -> None:
    talk = dialogue()
    talk.tell(events.KeysLoaded(DIFFERENT[0].shard, keys_of(1)))
    talk.tell(announce(talk.peers[0], counts=(0, 1)))
    talk.open()
    assert ONE.envelope_id in settle(talk, (), 300)
    assert settle(talk, (), 300) == []
    talk.tell(announce(talk.peers[0], counts=(5, 6)))
    assert ONE.envelope_id in settle(talk, (), 60)


def test_what_a_peer_did_not_take_is_offered_again_in_a_quarter_of_an_hour_where_it_gives_no_sign(
    dialogue: Any,
) -> None:
    """Its disk was full when it asked for the push, say, and it cannot dial us."""
    talk = dialogue()
    talk.tell(events.KeysLoaded(DIFFERENT[0].shard, keys_of(1)))
    talk.open()
    assert ONE.envelope_id in settle(talk, (), 300)
    assert ONE.envelope_id in settle(talk, (), ANEW_SECONDS)


@pytest.mark.parametrize(
    ("reason", "is_asked_again"), [("card-from-the-future", True), ("card-rollback", False)]
)
def test_a_card_that_was_refused_for_a_clock_is_fetched_again(
    dialogue: Any, reason: str, is_asked_again: bool
) -> None:
    talk = dialogue()
    talk.open(card_version=2)
    talk.tell(events.Declined(talk.expect(actions.FetchCard).request, reason))
    talk.sleep(ANEW_SECONDS + 1)
    for _ in [one for one in talk.waiting if isinstance(one, actions.SendHello)]:
        hello = talk.expect(actions.SendHello)
        talk.tell(events.Answered(hello.request, Hello(EPOCH, int(talk.now), 2, ())))
    talk.sleep(HELLO_INTERVAL_SECONDS + 1)
    for _ in [one for one in talk.waiting if isinstance(one, actions.SendHello)]:
        hello = talk.expect(actions.SendHello)
        talk.tell(events.Answered(hello.request, Hello(EPOCH, int(talk.now), 2, ())))
    assert any(isinstance(one, actions.FetchCard) for one in talk.waiting) == is_asked_again


@pytest.mark.parametrize("sign", ["epoch", "hole", "roots"])
def test_signs_that_a_peer_gives_again_and_again_are_followed_every_ten_seconds(
    dialogue: Any, sign: str
) -> None:
    """Each cost it one line, and had us ask for all that it had named and did not have: 64 ids a request, 10,000 in all."""
    talk = announced_and_gone(dialogue)
    theirs, asked, minutes = keys_of(1), 0, 10
    epoch = EPOCH
    for second in range(60 * minutes):
        if sign == "epoch":
            epoch = Epoch(second.to_bytes(16, "big"))
            hear(talk, epoch=epoch, shards=roots(theirs))
        elif sign == "hole":
            talk.tell(announce(talk.peers[0], counts=(10 + 2 * second, 11 + 2 * second)))
        else:
            hear(talk, shards=roots(keys_of(1, 2 + second)))
        talk.sleep(1)
        while work := [one for one in talk.waiting if isinstance(one, REQUESTS)]:
            one = work[0]
            talk.waiting.remove(one)
            if isinstance(one, actions.SendGet):
                asked += 1
                for envelope_id in one.ids:
                    talk.tell(events.BodyGone(one.request, envelope_id))
                talk.tell(events.Answered(one.request))
            elif isinstance(one, actions.SendHello):
                talk.tell(events.Answered(one.request, Hello(epoch, int(talk.now), 1, roots(theirs))))
            else:
                answer(talk, one, theirs)
        talk.waiting.clear()
    assert 2 <= asked <= 60 * minutes / SIGN_SECONDS + 1
