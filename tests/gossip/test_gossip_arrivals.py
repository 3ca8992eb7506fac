"""Dialogues of polling: news over a connection that only one side can open."""

from __future__ import annotations

from typing import Any

from gossip_words import EPOCH, MAIN, NOW, held, item

from p2pshare.gossip import actions, events
from p2pshare.gossip.engine_state import EngineSettings
from p2pshare.gossip.messages import Hello, Poll, PollAnswer, PutVerdict
from p2pshare.identifiers import CircleId, Epoch
from p2pshare.limits import POLL_PAUSE_SECONDS, POLL_WAIT_SECONDS_MAX, WANT_ENTRIES_PER_PEER_MAX

OURS = Epoch(bytes(16))


def listening(dialogue: Any) -> Any:
    """A partner whose peer can only dial out, and has said hello."""
    talk = dialogue(is_dialable=False)
    talk.tell(events.HelloHeard(talk.peers[0], 1, Hello(EPOCH, NOW, 1)))
    talk.expect(actions.Reply)
    return talk


def ask(talk: Any, ticket: int, *, since: int = 0, epoch: Epoch = OURS, wait: int = 30) -> None:
    talk.tell(events.PollAsked(talk.peers[0], ticket, Poll(epoch, since, wait)))
    talk.tell(events.OutboxRead(talk.peers[0], ()))


def asking(dialogue: Any) -> Any:
    """A partner that nobody can dial; its question is under way."""
    talk = dialogue(settings=EngineSettings(is_dialable=False))
    talk.open()
    return talk


# --- the one who answers -----------------------------------------------------------------------------


def test_a_question_waits_for_news_and_is_answered_when_there_is_some(dialogue: Any) -> None:
    talk = listening(dialogue)
    ask(talk, 2)
    talk.sleep(10)
    talk.expect_none(actions.Reply)
    talk.tell(held(1))
    talk.sleep(1)
    answer = talk.expect(actions.Reply)
    assert answer.ticket == 2
    assert answer.message == PollAnswer(OURS, 0, 1, (item(1),))


def test_without_news_the_answer_comes_when_its_time_is_over(dialogue: Any) -> None:
    talk = listening(dialogue)
    ask(talk, 2, wait=20)
    talk.sleep(21)
    assert talk.expect(actions.Reply).message == PollAnswer(OURS, 0, 0, ())


def test_a_lost_answer_is_given_again_because_the_question_says_how_far_it_came(dialogue: Any) -> None:
    talk = listening(dialogue)
    talk.tell(held(1))
    for ticket in (2, 3):
        ask(talk, ticket)
        assert talk.expect(actions.Reply).message.items == (item(1),)
    ask(talk, 4, since=1)
    talk.expect_none(actions.Reply)


def test_a_second_question_answers_the_first(dialogue: Any) -> None:
    """A partner holds no more than one of our handlers."""
    talk = listening(dialogue)
    ask(talk, 2)
    ask(talk, 3)
    assert talk.expect(actions.Reply).ticket == 2
    talk.expect_none(actions.Reply)


def test_who_asks_after_another_life_of_our_store_is_told_of_the_gap(dialogue: Any) -> None:
    talk = listening(dialogue)
    talk.tell(held(1))
    ask(talk, 2, since=1_000, wait=0)
    talk.sleep(1)
    assert talk.expect(actions.Reply).message == PollAnswer(OURS, 1_001, 1_001, ())
    ask(talk, 3, since=0, epoch=Epoch(b"o" * 16), wait=0)
    talk.sleep(1)
    assert talk.expect(actions.Reply).message == PollAnswer(OURS, 1, 1, ())


def test_a_question_that_waits_when_its_link_is_taken_away_is_refused(dialogue: Any) -> None:
    talk = listening(dialogue)
    ask(talk, 2)
    talk.tell(events.LinksConfigured(()))
    assert talk.expect(actions.ReplyRefused).ticket == 2


def test_waiting_for_the_store_does_not_wake_the_engine_again_and_again(dialogue: Any) -> None:
    talk = listening(dialogue)
    talk.tell(
        events.PollAsked(talk.peers[0], 2, Poll(OURS, 0, 0))
    )  # due at once, and the outbox is being read
    talk.expect(actions.ReadOutbox)
    wakeup = talk.engine.next_wakeup()
    assert wakeup is None or wakeup > talk.now
    talk.tell(events.OutboxRead(talk.peers[0], ()))
    assert talk.expect(actions.Reply).ticket == 2


# --- the one who asks --------------------------------------------------------------------------------


def test_who_can_be_dialled_never_asks(dialogue: Any) -> None:
    talk = dialogue()
    talk.open()
    talk.sleep(100)
    talk.expect_none(actions.SendPoll)


def test_news_are_fetched_and_the_next_question_begins_behind_them(dialogue: Any) -> None:
    talk = asking(dialogue)
    question = talk.expect(actions.SendPoll)
    assert question.message == Poll(Epoch(bytes(16)), 0, POLL_WAIT_SECONDS_MAX)
    talk.tell(events.Answered(question.request, PollAnswer(EPOCH, 0, 5, (item(1),))))
    assert talk.expect(actions.SendGet).ids == (item(1).envelope_id,)
    assert talk.expect(actions.SendPoll).message == Poll(EPOCH, 5, POLL_WAIT_SECONDS_MAX)


def test_a_direct_envelope_is_fetched_once_and_reported_once_it_is_held(dialogue: Any) -> None:
    talk = asking(dialogue)
    (peer,) = talk.peers
    question = talk.expect(actions.SendPoll)
    direct = item(3).envelope_id
    talk.tell(events.Answered(question.request, PollAnswer(EPOCH, 0, 0, (), (direct,))))
    fetch = talk.expect(actions.SendGet)
    again = talk.expect(actions.SendPoll)
    talk.tell(events.Answered(again.request, PollAnswer(EPOCH, 0, 0, (), (direct,))), after=1)
    talk.expect_none(actions.SendGet)
    talk.tell(events.BodyArrived(fetch.request, direct))
    talk.tell(events.BodyDecided(peer, direct, PutVerdict.HELD))
    talk.tell(events.Answered(fetch.request))
    talk.sleep(40)
    reports = [one.message.held for one in talk.waiting if isinstance(one, actions.SendPoll)]
    if not any(reports):  # the question under way left before
        question = talk.expect(actions.SendPoll)
        talk.tell(events.Answered(question.request, PollAnswer(EPOCH, 0, 0, ())), after=31)
        reports = [talk.expect(actions.SendPoll).message.held]
    assert reports[-1] == (direct,)


def test_a_peer_that_answers_at_once_with_nothing_is_not_asked_in_a_loop(dialogue: Any) -> None:
    talk = asking(dialogue)
    for _ in range(5):
        question = talk.expect(actions.SendPoll)
        talk.tell(events.Answered(question.request, PollAnswer(EPOCH, 0, 0, ())), after=0.01)
        talk.expect_none(actions.SendPoll)
        talk.sleep(POLL_PAUSE_SECONDS + 0.1)


def test_a_gap_in_the_feed_leads_to_a_comparison(dialogue: Any) -> None:
    talk = asking(dialogue)
    talk.sleep(40)
    question = talk.expect(actions.SendPoll)
    talk.tell(events.Answered(question.request, PollAnswer(EPOCH, 0, 3, ())), after=1)
    talk.waiting = [one for one in talk.waiting if not isinstance(one, actions.SendHello)]
    question = talk.expect(actions.SendPoll)
    talk.tell(events.Answered(question.request, PollAnswer(EPOCH, 9_000, 9_000, ())), after=1)
    talk.sleep(1)
    talk.expect(actions.SendHello)


def test_items_of_a_circle_that_the_link_does_not_carry_are_noted_and_not_fetched(dialogue: Any) -> None:
    talk = asking(dialogue)
    question = talk.expect(actions.SendPoll)
    foreign = item(1, circle=CircleId.of("other"))
    talk.tell(events.Answered(question.request, PollAnswer(EPOCH, 0, 1, (foreign,))))
    talk.expect_none(actions.SendGet)
    assert talk.engine.faults(talk.peers[0]) == {"circle-not-on-link": 1}
    assert foreign.circle != MAIN


def test_a_feed_that_never_ends_fills_no_more_than_its_share_of_the_want_table(dialogue: Any) -> None:
    talk = asking(dialogue)
    for batch in range(WANT_ENTRIES_PER_PEER_MAX // 500 + 5):
        questions = [one for one in talk.waiting if isinstance(one, actions.SendPoll)]
        if not questions:
            talk.sleep(POLL_PAUSE_SECONDS)
            continue
        talk.waiting.remove(questions[0])
        items = tuple(item(1 + batch * 500 + one) for one in range(500))
        talk.tell(events.Answered(questions[0].request, PollAnswer(EPOCH, 0, batch, items)))
    assert talk.engine.sizes()["want"] <= WANT_ENTRIES_PER_PEER_MAX


def test_what_a_partner_without_an_address_wrote_is_taken_while_nobody_else_can_be_dialled(
    dialogue: Any,
) -> None:
    """Found by the simulator: scenario dial-out, seed 23."""
    talk = listening(dialogue)
    ask(talk, 2)
    author = talk.peers[0]
    talk.tell(events.EnvelopeHeld(1, item(1), author, author))
    talk.sleep(1)
    talk.expect_none(actions.Reply)  # its own is no news to it
