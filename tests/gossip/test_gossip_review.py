"""What a partner tried against the others: each test is one attack of a review, and fails without its defence."""

from __future__ import annotations

from typing import Any

from gossip_sessions import ASK_FOR_ALL, SHARD, ask, begin, greet, loaded
from gossip_words import DIFFERENT, EPOCH, MAIN, NOW, US, announce, item

from p2pshare.gossip import actions, events
from p2pshare.gossip.engine_state import EngineSettings
from p2pshare.gossip.index import key_of
from p2pshare.gossip.messages import Hello, Poll, SyncAnswer, SyncPart
from p2pshare.gossip.negentropy.negentropy_wire import Bound, MessageWriter, RangeMode
from p2pshare.identifiers import CircleId, EnvelopeId, Epoch
from p2pshare.limits import (
    ANNOUNCE_ITEMS_MAX,
    AUDIT_KEPT_SECONDS,
    MIB,
    ROUND_TRIP_SECONDS_MAX,
    SYNC_FRAME_BYTES_MAX,
    SYNC_SESSION_STEPS_MAX,
    WANT_ENTRIES_MAX,
)


def test_a_partner_that_answers_hellos_slowly_delays_nobody_elses_news(dialogue: Any) -> None:
    talk = dialogue(peers=3)
    slow, author, honest = talk.peers
    for hello in [one for one in talk.waiting if isinstance(one, actions.SendHello) and one.peer != slow]:
        talk.tell(events.Answered(hello.request, Hello(EPOCH, int(talk.now), 1)))
    (hello,) = [one for one in talk.waiting if isinstance(one, actions.SendHello) and one.peer == slow]
    talk.tell(events.Answered(hello.request, Hello(EPOCH, int(talk.now), 1)), after=69)
    talk.tell(events.EnvelopeHeld(1, item(1), author, author))
    talk.sleep(ROUND_TRIP_SECONDS_MAX + 0.1)
    assert honest in {one.peer for one in talk.waiting if isinstance(one, actions.SendAnnounce)}


def test_a_size_that_is_claimed_too_large_keeps_nothing_away_once_another_names_the_true_one(
    dialogue: Any,
) -> None:
    talk = dialogue(peers=2)
    talk.open()
    liar, honest = talk.peers
    talk.tell(announce(liar, item(1, size=16 * MIB)))
    assert talk.expect(actions.SendGet).peer == liar
    talk.tell(announce(honest, item(1, size=300), ticket=2))
    talk.sleep(2)
    assert talk.expect(actions.SendGet).peer == honest


def test_how_much_arrives_in_other_circles_and_directly_is_told_to_nobody(dialogue: Any) -> None:
    talk = dialogue()
    talk.open()
    (peer,) = talk.peers

    def told_in_a_hello() -> Hello:
        talk.tell(events.HelloHeard(peer, 1, Hello(EPOCH, int(talk.now), 1)))
        return talk.expect(actions.Reply).message

    before = told_in_a_hello()
    other = item(1, circle=CircleId.of("other"))
    for lsn in range(1, 50):
        talk.tell(events.EnvelopeHeld(lsn, other, US))
    assert told_in_a_hello() == before
    talk.tell(events.EnvelopeHeld(50, item(2), US, US))
    talk.sleep(1)
    told = talk.expect(actions.SendAnnounce).message
    assert (told.from_count, told.to_count) == (0, 1)


def test_a_session_whose_answers_cost_too_much_is_ended_and_noted(dialogue: Any) -> None:
    numbers = range(1, 5_000)
    talk = loaded(dialogue, *numbers)
    question = begin(talk)
    writer = MessageWriter()
    created = NOW - 60_000
    while len(writer.raw) < SYNC_FRAME_BYTES_MAX - 100:
        created += 1
        writer.add(Bound.at(key_of(created, EnvelopeId(bytes(32)))), RangeMode.FINGERPRINT, b"f" * 16)
    for _ in range(SYNC_SESSION_STEPS_MAX):
        talk.tell(events.Answered(question.request, SyncAnswer((SyncPart(SHARD, bytes(writer.raw)),))))
        more = [one for one in talk.waiting if isinstance(one, actions.SendSync)]
        if not more:
            break
        question = more[0]
        talk.waiting.remove(question)
    assert talk.engine.faults(talk.peers[0]) == {"sync-costs-too-much": 1}
    assert talk.engine.sizes()["sessions"] == 0


def test_two_partners_that_audit_for_ever_leave_room_for_the_audits_of_others(dialogue: Any) -> None:
    talk = loaded(dialogue, 1, peers=3)
    answered = 0
    for second in range(0, 4 * 3_600, 300):
        for number in (0, 1):  # staggered, each goes on with its own key
            if (second // 300) % 2 == number:
                talk.peers[0], talk.peers[number] = talk.peers[number], talk.peers[0]
                ask(talk, second, ASK_FOR_ALL, nonce=bytes([number]) * 32, clock=int(talk.now))
                talk.peers[0], talk.peers[number] = talk.peers[number], talk.peers[0]
        talk.waiting.clear()
        talk.peers[0], talk.peers[2] = talk.peers[2], talk.peers[0]
        ask(talk, second + 1, ASK_FOR_ALL, nonce=second.to_bytes(32, "big"), clock=int(talk.now))
        talk.peers[0], talk.peers[2] = talk.peers[2], talk.peers[0]
        answered += any(isinstance(one, actions.Reply) for one in talk.waiting)
        talk.waiting.clear()
        talk.now += 300.4
    assert AUDIT_KEPT_SECONDS < 3_600
    assert answered >= 3


def test_two_that_cannot_be_dialled_do_not_keep_the_engine_awake(dialogue: Any) -> None:
    talk = dialogue(is_dialable=False, settings=EngineSettings(is_dialable=False))
    talk.tell(events.HelloHeard(talk.peers[0], 1, Hello(EPOCH, NOW, 1)))
    wakeup = talk.engine.next_wakeup()
    assert wakeup is None or wakeup > talk.now


def test_some_partners_together_do_not_take_the_room_of_another(dialogue: Any) -> None:
    talk = dialogue(peers=6)
    talk.open()
    for number, liar in enumerate(talk.peers[:5]):
        for batch in range(WANT_ENTRIES_MAX // ANNOUNCE_ITEMS_MAX):
            first = 1_000_000 * (number + 1) + batch * ANNOUNCE_ITEMS_MAX
            items = tuple(item(first + one) for one in range(ANNOUNCE_ITEMS_MAX))
            talk.tell(announce(liar, *items, ticket=batch))
            if any(isinstance(one, actions.ReplyBusy) for one in talk.waiting):
                talk.waiting.clear()
                break
    talk.waiting.clear()
    talk.tell(announce(talk.peers[5], item(1), ticket=7))
    assert talk.expect(actions.Reply).ticket == 7


def test_who_says_it_holds_what_it_was_never_offered_is_not_believed(dialogue: Any) -> None:
    talk = dialogue(is_dialable=False)
    (peer,) = talk.peers
    other = item(1, circle=CircleId.of("other"))
    talk.tell(events.FirstHopsLoaded((other,)))
    talk.tell(events.HelloHeard(peer, 1, Hello(EPOCH, NOW, 1)))
    ids = (other.envelope_id, *(item(number).envelope_id for number in range(2, 100)))
    talk.tell(events.PollAsked(peer, 2, Poll(Epoch(bytes(16)), 0, 0, ids)))
    talk.expect_none(actions.Acknowledge)
    talk.tell(announce(peer, item(1), ticket=3))  # under a circle that it is not in
    talk.expect_none(actions.Acknowledge)
    assert other.circle != MAIN


def test_a_question_that_is_refused_does_not_end_our_own_session(dialogue: Any) -> None:
    talk = loaded(dialogue, 1, epoch=Epoch(b"\xff" * 16))
    talk.open(shards=DIFFERENT)
    talk.sleep(1)
    greet(talk, DIFFERENT)
    talk.expect(actions.SendSync)
    ask(talk, 5, ASK_FOR_ALL, clock=NOW - 10 * 3_600)
    talk.expect(actions.ReplyRefused)
    assert talk.engine.sizes()["sessions"] == 1
