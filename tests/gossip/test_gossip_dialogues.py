"""Dialogues: one engine, and a test that plays its driver, its store and its partners."""

from __future__ import annotations

from typing import Any

import pytest
from gossip_words import DIFFERENT, EPOCH, MAIN, NOW, US, announce, held, item

from p2pshare.gossip import actions, events
from p2pshare.gossip.messages import (
    AnnounceAnswer,
    Hello,
    PutAnswer,
    PutVerdict,
)
from p2pshare.gossip.states import State
from p2pshare.identifiers import CircleId, PartnerId
from p2pshare.limits import KIB, UNAVAILABLE_PER_LINK_MAX, WANT_ENTRIES_PER_PEER_MAX


def test_how_an_envelope_passes_through_a_relay(dialogue: Any) -> None:
    """The protocol in one dialogue: announce, get, intake, and only then announced on, to the other partner."""
    talk = dialogue(peers=2)
    talk.open()
    one, two = talk.peers
    talk.tell(announce(one, item(1)))
    assert talk.expect(actions.Reply).message == AnnounceAnswer(1, ())
    get = talk.expect(actions.SendGet)
    assert (get.peer, get.ids) == (one, (item(1).envelope_id,))
    talk.tell(events.BodyArrived(get.request, item(1).envelope_id), after=0.02)
    talk.tell(events.Answered(get.request))
    talk.sleep(1)
    talk.expect_none(actions.SendAnnounce)  # received is not held
    talk.tell(held(1, received_from=one, author=PartnerId(b"a" * 32)))
    talk.tell(events.BodyDecided(one, item(1).envelope_id, PutVerdict.HELD))
    talk.sleep(1)
    told = talk.expect(actions.SendAnnounce)
    assert (told.peer, told.message.items) == (two, (item(1),))
    talk.expect_none(actions.SendAnnounce)  # not to whom it came from
    talk.expect_none(actions.SendPut)  # a relay never pushes


def test_the_author_pushes_what_is_small_and_announces_what_is_large(dialogue: Any) -> None:
    for size, kind, other in (
        (64 * KIB, actions.SendPut, actions.SendAnnounce),
        (64 * KIB + 1, actions.SendAnnounce, actions.SendPut),
    ):
        talk = dialogue()
        talk.open()
        talk.tell(events.EnvelopeHeld(1, item(1, size=size), US, None, is_own=True))
        talk.expect(kind)
        talk.expect_none(other)


def test_the_author_pushes_to_eight_and_announces_to_the_rest(dialogue: Any) -> None:
    talk = dialogue(peers=11)
    talk.open()
    talk.tell(held(1))
    pushed = {talk.expect(actions.SendPut).peer for _ in range(8)}
    told = {talk.expect(actions.SendAnnounce).peer for _ in range(3)}
    assert pushed | told == set(talk.peers)
    talk.expect_none(actions.SendPut)


def test_an_acknowledged_push_is_noted_and_a_refused_one_is_not(dialogue: Any) -> None:
    talk = dialogue()
    talk.open()
    talk.tell(held(1))
    put = talk.expect(actions.SendPut)
    talk.tell(events.Answered(put.request, PutAnswer(PutVerdict.HELD)))
    assert talk.expect(actions.Acknowledge).ids == (item(1).envelope_id,)
    talk.tell(held(2, lsn=2))
    put = talk.expect(actions.SendPut)
    talk.tell(events.Answered(put.request, PutAnswer(PutVerdict.REFUSED, "author-unknown")))
    talk.expect_none(actions.Acknowledge)


def test_who_fetched_from_the_author_announces_it_back_as_the_acknowledgement(dialogue: Any) -> None:
    talk = dialogue()
    talk.open()
    author = talk.peers[0]
    talk.tell(announce(author, item(1)))
    get = talk.expect(actions.SendGet)
    talk.tell(events.BodyArrived(get.request, item(1).envelope_id))
    talk.tell(held(1, received_from=author, author=author))
    talk.sleep(1)
    assert talk.expect(actions.SendAnnounce).peer == author
    other = dialogue()
    other.open()
    other.tell(events.EnvelopeHeld(1, item(1, size=100_000), US, None, is_own=True))
    other.tell(announce(other.peers[0], item(1, size=100_000)))
    assert other.expect(actions.Acknowledge).ids == (item(1).envelope_id,)


def test_exactly_one_fetch_is_in_flight_for_an_id_and_the_next_announcer_follows_a_slow_one(
    dialogue: Any,
) -> None:
    talk = dialogue(peers=2)
    talk.open()
    one, two = talk.peers
    talk.tell(announce(one, item(1)))
    talk.tell(announce(two, item(1)))
    first = talk.expect(actions.SendGet)
    talk.expect_none(actions.SendGet)
    talk.sleep(0.2)
    talk.expect_none(actions.SendGet)
    talk.sleep(0.2)
    second = talk.expect(actions.SendGet)
    assert {first.peer, second.peer} == {one, two}
    assert talk.expect(actions.Abandon).request == first.request


def test_a_slow_sole_announcer_is_waited_for_and_not_blamed(dialogue: Any) -> None:
    talk = dialogue()
    talk.open()
    talk.tell(announce(talk.peers[0], item(1)))
    talk.expect(actions.SendGet)
    talk.sleep(50)
    talk.expect_none(actions.Abandon)
    talk.expect_none(actions.SendGet)
    assert talk.engine.faults(talk.peers[0]) == {}


def test_a_peer_that_fails_is_tried_with_growing_pauses_and_at_once_when_it_speaks(dialogue: Any) -> None:
    talk = dialogue()
    pauses = []
    for _ in range(12):
        hello = talk.expect(actions.SendHello)
        talk.tell(events.Failed(hello.request, "unreachable"))
        began = talk.now
        while not any(isinstance(action, actions.SendHello) for action in talk.waiting):
            talk.now = talk.engine.next_wakeup()
            talk.tell(events.Tick())
        pauses.append(talk.now - began)
    assert all(pause <= min(300, 2**number) for number, pause in enumerate(pauses))
    assert max(pauses) > 30
    talk.tell(events.Failed(talk.expect(actions.SendHello).request, "unreachable"))
    talk.tell(events.Heard(talk.peers[0]))
    talk.sleep(1.01)
    talk.expect(actions.SendHello)


def test_429_halves_the_batch_and_is_no_failure(dialogue: Any) -> None:
    talk = dialogue()
    talk.open()
    talk.tell(announce(talk.peers[0], *(item(number) for number in range(100))))
    assert len(talk.expect(actions.SendGet).ids) == 64
    get = talk.expect(actions.SendGet)
    talk.tell(events.Busy(get.request, 3.0))
    assert talk.engine.state(talk.peers[0]) is State.RESTING
    talk.sleep(2.9)
    talk.expect_none(actions.SendGet)
    talk.sleep(0.2)
    assert len(talk.expect(actions.SendGet).ids) == 32
    assert talk.engine.faults(talk.peers[0]) == {}


def test_a_body_that_is_gone_or_refused_is_not_asked_for_again_from_the_same_peer_but_from_another(
    dialogue: Any,
) -> None:
    talk = dialogue(peers=2)
    talk.open()
    one, two = talk.peers
    talk.tell(announce(one, item(1)))
    get = talk.expect(actions.SendGet)
    talk.tell(events.BodyArrived(get.request, item(1).envelope_id))
    talk.tell(events.BodyDecided(one, item(1).envelope_id, PutVerdict.REFUSED, "bad-signature"))
    talk.tell(events.Answered(get.request))
    assert talk.engine.faults(one) == {"bad-signature": 1}
    talk.tell(announce(one, item(1)))
    talk.expect_none(actions.SendGet)
    talk.tell(announce(two, item(1)))
    assert talk.expect(actions.SendGet).peer == two


def test_a_forged_copy_that_is_in_intake_cannot_suppress_the_true_one(dialogue: Any) -> None:
    """An id is known only once it is held: a bad push of it leaves the announcement of another peer alive."""
    talk = dialogue(peers=2)
    talk.open()
    liar, honest = talk.peers
    talk.tell(events.PutHeard(liar, item(1).envelope_id))
    talk.tell(announce(honest, item(1)))
    talk.expect_none(actions.SendGet)  # a body of it is in intake
    talk.tell(events.BodyDecided(liar, item(1).envelope_id, PutVerdict.REFUSED, "bad-signature"))
    assert talk.expect(actions.SendGet).peer == honest


def test_an_unknown_author_is_no_fault_of_who_handed_it_over_and_is_asked_for_again_when_the_roster_changes(
    dialogue: Any,
) -> None:
    talk = dialogue()
    talk.open()
    peer = talk.peers[0]
    talk.tell(announce(peer, item(1)))
    get = talk.expect(actions.SendGet)
    talk.tell(events.BodyArrived(get.request, item(1).envelope_id))
    talk.tell(events.BodyDecided(peer, item(1).envelope_id, PutVerdict.REFUSED, "author-unknown"))
    talk.tell(events.Answered(get.request))
    assert talk.engine.faults(peer) == {}
    talk.tell(announce(peer, item(1)))
    talk.expect_none(actions.SendGet)
    talk.tell(events.LinksConfigured((events.LinkConfig(peer, frozenset({MAIN}), card_version=1),)))
    talk.tell(announce(peer, item(1)))
    talk.expect(actions.SendGet)


def test_a_peer_cannot_make_us_ask_for_another_circle_or_for_what_is_expired_or_far_ahead(
    dialogue: Any,
) -> None:
    talk = dialogue()
    talk.open()
    day = 86_400
    talk.tell(
        announce(
            talk.peers[0],
            item(1, circle=CircleId.of("other")),
            item(2, created=NOW - 90 * day - 1),
            item(3, created=NOW + day + 60),
        )
    )
    talk.expect(actions.Reply)
    talk.expect_none(actions.SendGet)
    assert talk.engine.faults(talk.peers[0]) == {"circle-not-on-link": 1}


def test_a_flood_of_inventions_is_answered_429_and_another_peers_announcement_still_counts(
    dialogue: Any,
) -> None:
    talk = dialogue(peers=2)
    talk.open()
    liar, honest = talk.peers
    number, replies = 0, []
    while not any(isinstance(one, actions.ReplyBusy) for one in replies):
        replies = talk.engine.handle(
            announce(liar, *(item(number + more) for more in range(512)), ticket=number), talk.now
        )
        number += 512
        assert number <= WANT_ENTRIES_PER_PEER_MAX + 1_024
    talk.tell(announce(honest, item(1_000_000), ticket=1_000_000))
    assert talk.expect(actions.Reply).ticket == 1_000_000
    assert talk.expect(actions.SendGet).peer == honest


def test_what_is_unavailable_is_bounded_and_an_alarm_is_given(dialogue: Any) -> None:
    talk = dialogue()
    talk.open()
    peer = talk.peers[0]
    for number in range(UNAVAILABLE_PER_LINK_MAX + 1):
        talk.engine.handle(
            events.BodyDecided(peer, item(number).envelope_id, PutVerdict.REFUSED, "bad-signature"), talk.now
        )
    assert talk.engine.faults(peer)["too-many-unavailable"] == 1


def test_a_stranger_is_refused_and_costs_nothing(dialogue: Any) -> None:
    talk = dialogue()
    stranger = PartnerId(b"s" * 32)
    talk.tell(announce(stranger, item(1), ticket=7))
    assert talk.expect(actions.ReplyRefused).ticket == 7
    talk.expect_none(actions.SendGet)


def test_a_removed_peer_is_forgotten_and_its_requests_are_cancelled(dialogue: Any) -> None:
    talk = dialogue()
    talk.open()
    talk.tell(announce(talk.peers[0], item(1)))
    get = talk.expect(actions.SendGet)
    talk.tell(events.LinksConfigured(()))
    assert talk.expect(actions.Abandon).request == get.request
    talk.tell(events.Answered(get.request))
    talk.tell(held(2))
    talk.expect_none(actions.SendPut)
    assert talk.engine.next_wakeup() is None


def test_a_link_that_loses_a_circle_starts_anew_and_drops_what_was_promised(dialogue: Any) -> None:
    talk = dialogue()
    talk.open()
    for number in range(10):
        talk.tell(held(number, lsn=number + 1))
    peer = talk.peers[0]
    talk.waiting.clear()
    talk.tell(events.LinksConfigured((events.LinkConfig(peer, frozenset({CircleId.of("other")})),)))
    talk.open()
    talk.sleep(60)
    talk.expect_none(actions.SendPut)
    talk.expect_none(actions.SendAnnounce)


def test_a_peer_that_cannot_be_dialled_is_never_asked_and_gets_its_answers(dialogue: Any) -> None:
    talk = dialogue(is_dialable=False)
    peer = talk.peers[0]
    talk.tell(held(1))
    talk.sleep(600)
    assert talk.waiting == []
    talk.tell(events.HelloHeard(peer, 1, Hello(EPOCH, NOW, 1)))
    assert talk.engine.state(peer) is State.CONNECTED
    assert talk.expect(actions.Reply).message.shards[0].count == 1
    talk.tell(announce(peer, item(2), ticket=2))
    assert talk.expect(actions.Reply).message.want == (item(2).envelope_id,)
    talk.sleep(3_000)
    assert talk.engine.state(peer) is State.WAITING
    assert talk.waiting == []


def test_a_newer_card_is_fetched_once_for_each_version(dialogue: Any) -> None:
    talk = dialogue()
    talk.open(shards=DIFFERENT, card_version=3)
    card = talk.expect(actions.FetchCard)
    talk.tell(events.Declined(card.request, "card-roots-changed"))
    talk.sleep(2)
    talk.tell(events.Answered(talk.expect(actions.SendHello).request, Hello(EPOCH, NOW, 3, DIFFERENT)))
    talk.expect_none(actions.FetchCard)
    talk.sleep(400)
    talk.tell(events.Answered(talk.expect(actions.SendHello).request, Hello(EPOCH, NOW, 4)))
    talk.expect(actions.FetchCard)


def test_an_offline_peer_costs_a_number(dialogue: Any) -> None:
    """Ten thousand publications while it is away: nothing is kept for it but where it stands among the arrivals."""
    talk = dialogue()
    talk.tell(events.Failed(talk.expect(actions.SendHello).request, "unreachable"))
    for number in range(10_000):
        talk.engine.handle(held(number, lsn=number + 1), talk.now)
    link = talk.engine._state.links[talk.peers[0]]
    assert (len(link.pushes), len(link.pending), link.cursor) == (0, 0, 0)
    assert len(talk.engine._state.arrivals) <= 8_192


def test_a_deferred_envelope_is_not_asked_for_again(dialogue: Any) -> None:
    talk = dialogue(peers=2)
    talk.open()
    one, two = talk.peers
    talk.tell(events.PutHeard(one, item(1).envelope_id))
    talk.tell(events.BodyDecided(one, item(1).envelope_id, PutVerdict.DEFERRED, "deferred"))
    talk.tell(announce(two, item(1)))
    talk.expect_none(actions.SendGet)


# --- who is pushed to --------------------------------------------------------------------------------


def test_our_own_that_comes_back_after_a_restore_is_not_pushed_as_if_it_were_new(dialogue: Any) -> None:
    """Found by the simulator: everybody was handed again what everybody has."""
    talk = dialogue(peers=3)
    talk.open()
    received_from = talk.peers[0]
    talk.tell(events.EnvelopeHeld(1, item(1), US, received_from, is_own=True))
    talk.sleep(1)
    talk.expect_none(actions.SendPut)
    assert {one.peer for one in talk.waiting if isinstance(one, actions.SendAnnounce)} == set(talk.peers[1:])


@pytest.mark.parametrize(("partners", "is_pushed"), [(15, False), (16, True)])
def test_what_its_author_pushed_is_pushed_once_more_only_where_partners_are_many_and_links_are_few(
    dialogue: Any, partners: int, is_pushed: bool
) -> None:
    talk = dialogue(peers=2)
    configs = tuple(events.LinkConfig(peer, frozenset({MAIN}), card_version=1) for peer in talk.peers)
    talk.tell(events.LinksConfigured(configs, partners))
    talk.open()
    author = talk.peers[0]
    talk.tell(events.EnvelopeHeld(1, item(1), author, author))
    pushed = {one.peer for one in talk.waiting if isinstance(one, actions.SendPut)}
    assert pushed == ({talk.peers[1]} if is_pushed else set())
    talk.waiting.clear()
    talk.tell(events.EnvelopeHeld(2, item(2), US, author))  # from further away: announced
    talk.expect_none(actions.SendPut)


def test_what_comes_from_its_author_is_announced_after_half_a_round_trip(dialogue: Any) -> None:
    """The author's own pushes are under way for as long: announced sooner, it would be fetched here in vain."""
    talk = dialogue(peers=2)
    for _ in talk.peers:
        hello = talk.expect(actions.SendHello)
        talk.tell(events.Answered(hello.request, Hello(EPOCH, int(talk.now), 1)), after=0.4)
    author = talk.peers[0]
    talk.tell(events.EnvelopeHeld(1, item(1), author, author))
    talk.sleep(0.15)
    talk.expect_none(actions.SendAnnounce)
    talk.sleep(0.5)
    talk.expect(actions.SendAnnounce)


def test_a_push_that_waits_is_given_up_when_its_peer_announces_the_envelope(dialogue: Any) -> None:
    talk = dialogue()
    talk.open()
    (peer,) = talk.peers
    for number in range(1, 8):
        talk.tell(held(number, lsn=number))
    talk.tell(announce(peer, item(7)))
    sent = []
    while puts := [one for one in talk.waiting if isinstance(one, actions.SendPut)]:
        talk.waiting.remove(puts[0])
        sent.append(puts[0].envelope_id)
        talk.tell(events.Answered(puts[0].request, PutAnswer(PutVerdict.HELD)))
    assert sent == [item(number).envelope_id for number in range(1, 7)]


def test_a_new_card_of_ours_is_told_at_once_to_whom_we_can_ask_and_in_every_answer(dialogue: Any) -> None:
    """A thief of the old keys acts until the partners have the new ones: five minutes to the next hello are too long."""
    talk = dialogue()
    talk.open()
    talk.sleep(1)
    talk.expect_none(actions.SendHello)
    talk.tell(events.OwnCardChanged(2))
    hello = talk.expect(actions.SendHello)
    assert hello.message.card_version == 2
    talk.tell(events.HelloHeard(talk.peers[0], 7, Hello(EPOCH, int(talk.now), 1, ())))
    assert talk.expect(actions.Reply).message.card_version == 2


def test_a_card_whose_fetch_failed_is_asked_for_at_the_next_hello(dialogue: Any) -> None:
    """Its owner shows a new certificate once everybody has the card: who has it not would refuse that for good."""
    talk = dialogue()
    talk.open(card_version=2)
    card = talk.expect(actions.FetchCard)
    talk.tell(events.Failed(card.request, "unreachable"))
    talk.sleep(5)
    talk.open(card_version=2)
    talk.expect(actions.FetchCard)
