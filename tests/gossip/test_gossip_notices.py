"""Dialogues about notices: a class of their own, keys that go when a newer card comes, and chains that miss versions."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from gossip_words import EPOCH, MAIN, NOW, US, announce, item

from p2pshare.gossip import actions, events
from p2pshare.gossip.index import Index, key_of
from p2pshare.gossip.messages import (
    AnnounceItem,
    Hello,
    PutVerdict,
    Shard,
    decode_announce,
    encode_announce,
)
from p2pshare.identifiers import CircleId, PartnerId
from p2pshare.limits import NOTICE_CARRIED_SECONDS, NOTICE_CLASS

NOTICES = Shard(MAIN, NOTICE_CLASS)
AUTHOR = PartnerId(b"a" * 32)


def notice(number: int, created: int = NOW) -> AnnounceItem:
    return replace(item(number, created=created), ttl_class=NOTICE_CLASS)


def held(number: int, lsn: int, received_from: PartnerId | None = None) -> events.EnvelopeHeld:
    return events.EnvelopeHeld(lsn, notice(number), AUTHOR, received_from)


def test_a_notice_is_asked_for_and_passed_on_like_an_envelope(dialogue: Any) -> None:
    talk = dialogue(2)
    talk.open()
    message = announce(talk.peers[0], notice(1))
    assert decode_announce(encode_announce(message.message)) == message.message
    talk.tell(message)
    get = talk.expect(actions.SendGet)
    assert (get.peer, get.ids) == (talk.peers[0], (notice(1).envelope_id,))
    talk.tell(events.BodyArrived(get.request, notice(1).envelope_id))
    talk.tell(held(1, 1, talk.peers[0]))
    talk.tell(events.BodyDecided(talk.peers[0], notice(1).envelope_id, PutVerdict.HELD))
    talk.sleep(1)
    assert {one.peer for one in talk.waiting if isinstance(one, actions.SendAnnounce)} == {talk.peers[1]}


def test_what_a_newer_card_pushed_out_is_neither_announced_nor_compared(dialogue: Any) -> None:
    talk = dialogue()
    talk.tell(held(1, 1))
    talk.tell(events.ItemsDropped((notice(1), notice(9))))  # 9 was never held: nothing is wrong with that
    talk.tell(held(2, 2))
    talk.open()
    talk.sleep(1)
    assert talk.expect(actions.SendAnnounce).message.items == (notice(2),)
    talk.tell(events.HelloHeard(talk.peers[0], 1, Hello(EPOCH, NOW, 1)))
    both, fresh = Index(), Index()
    for index, numbers in ((both, (1, 2)), (fresh, (2,))):
        for number in numbers:
            index.add(NOTICES, key_of(NOW, notice(number).envelope_id))
    said = talk.expect(actions.Reply).message.shards
    assert said == fresh.roots([MAIN], NOW) != both.roots([MAIN], NOW)


def test_a_notice_is_carried_as_long_as_its_class_and_no_longer() -> None:
    index = Index()
    index.add(NOTICES, key_of(NOW, notice(1).envelope_id))
    assert index.roots([MAIN], NOW + NOTICE_CARRIED_SECONDS)
    assert not index.roots([MAIN], NOW + NOTICE_CARRIED_SECONDS + 3_600)
    assert index.expire(NOW + NOTICE_CARRIED_SECONDS + 3_600) == 0  # an hour longer, like any key
    assert index.expire(NOW + NOTICE_CARRIED_SECONDS + 7_200) == 1


def test_missing_versions_are_asked_of_who_has_the_newest_and_not_twice_a_minute(dialogue: Any) -> None:
    talk = dialogue()
    missing = events.ChainMissing(talk.peers[0], AUTHOR, MAIN)
    talk.tell(missing)
    talk.expect_none(actions.FetchChain)  # there is no link yet
    talk.open()
    talk.tell(missing)
    fetch = talk.expect(actions.FetchChain)
    assert (fetch.peer, fetch.partner, fetch.circle) == (talk.peers[0], AUTHOR, MAIN)
    talk.tell(events.Answered(fetch.request))
    talk.tell(missing)
    talk.expect_none(actions.FetchChain)
    talk.tell(missing, after=61)
    talk.expect(actions.FetchChain)
    talk.tell(events.ChainMissing(US, AUTHOR, CircleId(bytes(16))))  # of nobody we are linked with
    talk.expect_none(actions.FetchChain)


def test_what_was_refused_before_a_card_came_is_looked_for_at_once_when_it_has_come(dialogue: Any) -> None:
    """A page that came before its card is refused. The card has the roster read again, and then the page is lacking: between two
    comparisons that find nothing there may be a quarter of an hour."""
    for is_refused in (True, False):
        talk = dialogue()
        talk.open()
        talk.sleep(5)
        for _ in range(6):  # nothing is found, and the pause doubles
            talk.waiting = [one for one in talk.waiting if not isinstance(one, actions.SendHello)]
            talk.sleep(300)
            for hello in [one for one in talk.waiting if isinstance(one, actions.SendHello)]:
                talk.waiting.remove(hello)
                talk.tell(events.Answered(hello.request, Hello(EPOCH, int(talk.now), 1)), after=0.01)
        peer = talk.peers[0]
        if is_refused:
            talk.tell(announce(peer, notice(1, int(talk.now))))
            get = talk.expect(actions.SendGet)
            [wanted] = get.ids
            talk.tell(events.BodyArrived(get.request, wanted))
            talk.tell(events.BodyDecided(peer, wanted, PutVerdict.REFUSED, "bad-vouch"))
            talk.tell(events.Answered(get.request))
        talk.expect_none(actions.SendHello)
        talk.tell(events.LinksConfigured((events.LinkConfig(peer, frozenset({MAIN}), True, 1),)))
        talk.sleep(1)
        if is_refused:
            talk.expect(actions.SendHello)
        else:
            talk.expect_none(actions.SendHello)  # or every change of the roster would be a hello to everybody


def test_what_was_deferred_and_then_refused_may_be_asked_for_again(dialogue: Any) -> None:
    """Its key was revoked meanwhile, and the page that lists it comes later: until a restart it was never asked for again."""
    talk = dialogue()
    talk.open()
    peer = talk.peers[0]
    wanted = item(1, created=int(talk.now))
    talk.tell(announce(peer, wanted))
    get = talk.expect(actions.SendGet)
    talk.tell(events.BodyArrived(get.request, wanted.envelope_id))
    talk.tell(events.BodyDecided(peer, wanted.envelope_id, PutVerdict.DEFERRED))
    talk.tell(events.Answered(get.request))
    talk.tell(announce(peer, wanted, ticket=2))
    talk.expect_none(actions.SendGet)
    talk.tell(events.DeferralsEnded((wanted.envelope_id,)))
    talk.tell(announce(peer, wanted, ticket=3))
    assert talk.expect(actions.SendGet).ids == (wanted.envelope_id,)


def test_a_card_that_was_being_fetched_when_the_link_fell_is_fetched_again(dialogue: Any) -> None:
    """It counted as asked for, and nobody asked again before the next version."""
    talk = dialogue()
    talk.open(card_version=2)
    fetch = talk.expect(actions.FetchCard)
    talk.tell(announce(talk.peers[0], item(1, created=int(talk.now))))
    talk.tell(events.Failed(talk.expect(actions.SendGet).request, "unreachable"))
    assert fetch.request in {one.request for one in talk.waiting if isinstance(one, actions.Abandon)}
    talk.sleep(2)
    talk.open(card_version=2)
    talk.expect(actions.FetchCard)
