"""Dialogues about comparing: when a session begins, what it finds, and how a liar ends it."""

from __future__ import annotations

import random
from typing import Any

import pytest
from gossip_sessions import (
    ASK_FOR_ALL,
    NOTHING,
    SHARD,
    answer,
    begin,
    greet,
    key,
    keys_of,
    loaded,
    roots,
)
from gossip_words import DIFFERENT, EPOCH, MAIN, NOW, announce, item

from p2pshare.gossip import actions, events
from p2pshare.gossip.index import key_of
from p2pshare.gossip.link import ANEW_SECONDS
from p2pshare.gossip.messages import Hello, Shard, Sync, SyncAnswer, SyncPart
from p2pshare.gossip.negentropy.negentropy_wire import END, Bound, MessageWriter, RangeMode
from p2pshare.identifiers import EnvelopeId
from p2pshare.limits import (
    CLOCK_AHEAD_SECONDS_MAX,
    SYNC_SESSION_SECONDS_MAX,
    WANT_ENTRIES_PER_PEER_MAX,
)

# --- when --------------------------------------------------------------------------------------------


def test_a_gap_in_the_announcements_and_a_new_epoch_lead_to_a_comparison(dialogue: Any) -> None:
    talk = dialogue()
    talk.open()
    peer = talk.peers[0]
    talk.sleep(20)
    talk.waiting.clear()
    talk.tell(announce(peer, item(1), counts=(3, 4)))
    talk.sleep(1)
    talk.expect_none(actions.SendHello)  # the first word is no gap
    talk.tell(announce(peer, item(2), counts=(7, 8)))
    talk.sleep(1)
    for fetch in [one for one in talk.waiting if isinstance(one, actions.SendGet)]:
        for envelope_id in fetch.ids:
            talk.tell(events.BodyGone(fetch.request, envelope_id))
        talk.tell(events.Answered(fetch.request))
    greet(talk, DIFFERENT)
    assert talk.expect(actions.SendSync).message == Sync(int(talk.now), b"", (SyncPart(SHARD, ASK_FOR_ALL),))


def test_equal_roots_prove_delivery_without_a_question(dialogue: Any) -> None:
    talk = loaded(dialogue, 1)
    talk.tell(events.FirstHopsLoaded((item(1),)))
    talk.open(shards=roots(keys_of(1)))
    assert talk.expect(actions.Acknowledge).ids == (item(1).envelope_id,)
    talk.sleep(3_000)
    talk.expect_none(actions.SendSync)


def test_the_roots_of_a_hello_we_hear_prove_delivery_too_and_put_off_our_own(dialogue: Any) -> None:
    talk = loaded(dialogue, 1)
    talk.tell(events.FirstHopsLoaded((item(1),)))
    talk.open()
    talk.sleep(5)
    greet(talk, ())
    talk.tell(events.HelloHeard(talk.peers[0], 9, Hello(EPOCH, int(talk.now), 1, roots(keys_of(1)))))
    assert talk.expect(actions.Acknowledge).ids == (item(1).envelope_id,)


def test_roots_that_differ_while_bodies_are_under_way_wait_for_them(dialogue: Any) -> None:
    """Else the session would find what is coming anyway."""
    talk = dialogue()
    talk.open()
    talk.sleep(20)
    talk.tell(announce(talk.peers[0], item(1), counts=(0, 1)))
    fetch = talk.expect(actions.SendGet)
    talk.waiting.clear()
    talk.tell(announce(talk.peers[0], counts=(7, 8)))  # a gap: a comparison is due
    talk.sleep(1)
    greet(talk, DIFFERENT)
    talk.expect_none(actions.SendSync)
    talk.tell(events.BodyGone(fetch.request, item(1).envelope_id))
    talk.tell(events.Answered(fetch.request))
    talk.sleep(10)
    greet(talk, DIFFERENT)
    talk.expect(actions.SendSync)


def test_traffic_that_never_ends_puts_a_comparison_off_but_not_for_ever(dialogue: Any) -> None:
    talk = dialogue()
    talk.open()
    talk.sleep(20)
    talk.tell(announce(talk.peers[0], item(1), counts=(0, 1)))  # fetched, and never answered
    talk.tell(announce(talk.peers[0], counts=(7, 8)))
    for _ in range(60):
        talk.sleep(5)
        if any(isinstance(one, actions.SendHello) for one in talk.waiting):
            greet(talk, DIFFERENT)
    talk.expect(actions.SendSync)


# --- what is found -----------------------------------------------------------------------------------


def test_a_session_wants_what_we_lack_and_announces_what_they_lack(dialogue: Any) -> None:
    talk = loaded(dialogue, 1, 2)
    answer(talk, begin(talk), keys_of(2, 3))
    assert talk.expect(actions.SendGet).ids == (item(3).envelope_id,)
    repair = talk.expect(actions.SendAnnounce).message
    assert [(one.envelope_id, one.created) for one in repair.items] == [(item(1).envelope_id, NOW)]
    assert repair.from_count == repair.to_count


def test_a_session_proves_delivery_of_our_own_and_of_no_other(dialogue: Any) -> None:
    talk = loaded(dialogue, 1, 2)
    talk.tell(events.FirstHopsLoaded((item(1), item(2))))
    answer(talk, begin(talk), keys_of(1))
    assert talk.expect(actions.Acknowledge).ids == (item(1).envelope_id,)
    talk.expect_none(actions.Acknowledge)


@pytest.mark.parametrize(("ours", "theirs"), [(3_000, 3_000), (3_000, 0), (0, 3_000), (50, 3_000)])
def test_a_session_finds_every_difference_of_large_sets(dialogue: Any, ours: int, theirs: int) -> None:
    numbers = random.Random(ours + theirs).sample(range(1, 20_000), k=ours + theirs)
    mine, their = numbers[:ours], numbers[ours:]
    if ours and theirs:
        their = mine[: ours // 2] + their
    talk = loaded(dialogue, *mine)
    question = begin(talk)
    wanted: set[EnvelopeId] = set()
    offered: set[EnvelopeId] = set()
    while True:
        answer(talk, question, keys_of(*their))
        for fetch in [one for one in talk.waiting if isinstance(one, actions.SendGet)]:
            talk.waiting.remove(fetch)
            wanted.update(fetch.ids)
            for one in fetch.ids:
                talk.tell(events.BodyGone(fetch.request, one))
            talk.tell(events.Answered(fetch.request))
        while repairs := [one for one in talk.waiting if isinstance(one, actions.SendAnnounce)]:
            talk.waiting.remove(repairs[0])
            offered.update(one.envelope_id for one in repairs[0].message.items)
            talk.tell(events.Declined(repairs[0].request, "whatever"))
        while fetches := [one for one in talk.waiting if isinstance(one, actions.SendGet)]:
            talk.waiting.remove(fetches[0])
            wanted.update(fetches[0].ids)
            for one in fetches[0].ids:
                talk.tell(events.BodyGone(fetches[0].request, one))
            talk.tell(events.Answered(fetches[0].request))
        more = [one for one in talk.waiting if isinstance(one, actions.SendSync)]
        if not more:
            break
        question = more[0]
        talk.waiting.remove(question)
    assert wanted == {item(one).envelope_id for one in set(their) - set(mine)}
    assert offered == {item(one).envelope_id for one in set(mine) - set(their)}


def test_where_only_unavailable_ones_are_left_they_are_asked_for_every_quarter_of_an_hour_and_no_more(
    dialogue: Any,
) -> None:
    talk = dialogue()
    theirs = keys_of(1)
    answer(talk, begin(talk, roots(theirs)), theirs)
    asked, fetched = 0, 0
    for _ in range(400):
        for one in list(talk.waiting):
            if isinstance(one, actions.SendHello):
                greet(talk, roots(theirs))
            elif isinstance(one, actions.SendGet):
                talk.waiting.remove(one)
                fetched += 1
                talk.tell(events.BodyGone(one.request, item(1).envelope_id))
                talk.tell(events.Answered(one.request))
            elif isinstance(one, actions.SendSync):
                talk.waiting.remove(one)
                answer(talk, one, theirs)
                asked += not one.message.nonce
        talk.sleep(30)
    rounds = 400 * 30 / ANEW_SECONDS
    assert rounds / 2 < fetched <= rounds + 1
    # one finds what is gone, one that nothing else is left; from then on this pair of roots is known for a while
    assert asked <= 2 * fetched


def test_a_changed_roster_asks_for_unavailable_ones_again(dialogue: Any) -> None:
    talk = dialogue()
    theirs = keys_of(1)
    answer(talk, begin(talk, roots(theirs)), theirs)
    fetch = talk.expect(actions.SendGet)
    talk.tell(events.BodyGone(fetch.request, item(1).envelope_id))
    talk.tell(events.Answered(fetch.request))
    talk.tell(events.LinksConfigured((events.LinkConfig(talk.peers[0], frozenset({MAIN}), card_version=1),)))
    talk.sleep(1_000)
    greet(talk, roots(theirs))
    answer(talk, talk.expect(actions.SendSync), theirs)
    assert talk.expect(actions.SendGet).ids == (item(1).envelope_id,)


def test_what_came_meanwhile_by_another_way_is_not_fetched(dialogue: Any) -> None:
    talk = dialogue()
    question = begin(talk)
    talk.tell(events.EnvelopeHeld(1, item(1), talk.peers[0], talk.peers[0]))
    answer(talk, question, keys_of(1))
    talk.expect_none(actions.SendGet)


# --- liars and bad clocks ----------------------------------------------------------------------------


def test_an_answer_for_other_shards_ends_the_session_and_is_noted(dialogue: Any) -> None:
    talk = dialogue()
    question = begin(talk)
    other = SyncAnswer((SyncPart(Shard(MAIN, 5), NOTHING),))
    talk.tell(events.Answered(question.request, other))
    assert talk.engine.faults(talk.peers[0]) == {"sync-other-shards": 1}
    talk.expect_none(actions.SendSync)


def test_a_malformed_message_ends_the_session_and_nothing_of_it_is_believed(dialogue: Any) -> None:
    talk = dialogue()
    question = begin(talk)
    writer = MessageWriter()
    writer.add(Bound.at(key(5)), RangeMode.IDS, item(1).envelope_id)
    raw = bytes(writer.raw) + b"\xff\xff"
    talk.tell(events.Answered(question.request, SyncAnswer((SyncPart(SHARD, raw),))))
    assert sum(talk.engine.faults(talk.peers[0]).values()) == 1
    talk.expect_none(actions.SendGet)
    assert talk.engine.sizes()["sessions"] == 0


def test_an_endless_list_ends_where_the_want_table_is_full(dialogue: Any) -> None:
    talk = dialogue()
    question, rounds, number = begin(talk), 0, 0
    while True:
        writer = MessageWriter()
        ids = b"".join((number + more).to_bytes(32, "big") for more in range(4_000))
        number += 4_000
        writer.add(Bound.at(key_of(NOW + rounds, EnvelopeId(bytes(32)))), RangeMode.IDS, ids)
        writer.add(END, RangeMode.FINGERPRINT, b"f" * 16)
        talk.tell(events.Answered(question.request, SyncAnswer((SyncPart(SHARD, bytes(writer.raw)),))))
        rounds += 1
        more = [one for one in talk.waiting if isinstance(one, actions.SendSync)]
        if not more:
            break
        question = more[0]
        talk.waiting.remove(question)
    assert rounds <= WANT_ENTRIES_PER_PEER_MAX / 4_000 + 1
    assert talk.engine.sizes()["want"] <= WANT_ENTRIES_PER_PEER_MAX


def test_a_session_that_drags_on_is_ended(dialogue: Any) -> None:
    talk = dialogue()
    question = begin(talk)
    talk.sleep(SYNC_SESSION_SECONDS_MAX + 1)
    writer = MessageWriter()
    writer.add(END, RangeMode.FINGERPRINT, b"f" * 16)
    talk.tell(events.Answered(question.request, SyncAnswer((SyncPart(SHARD, bytes(writer.raw)),))))
    assert talk.engine.faults(talk.peers[0]) == {"sync-takes-too-long": 1}
    assert talk.engine.sizes()["sessions"] == 0


def test_a_peer_that_is_always_busy_keeps_no_session(dialogue: Any) -> None:
    talk = dialogue()
    question = begin(talk)
    for _ in range(30):
        talk.tell(events.Busy(question.request, 1.0))
        talk.sleep(2)
        more = [one for one in talk.waiting if isinstance(one, actions.SendSync)]
        if not more:
            break
        question = more[0]
        talk.waiting.remove(question)
    assert talk.engine.sizes()["sessions"] == 0


@pytest.mark.parametrize("ahead", [2 * 3_600, CLOCK_AHEAD_SECONDS_MAX - 10])
def test_with_a_peer_whose_clock_is_ahead_both_cut_at_its_hour(dialogue: Any, ahead: int) -> None:
    """What it has expired already, and we have not, is no difference."""
    expired_there = key(1, NOW + ahead - 91 * 86_400)
    talk = dialogue()
    talk.tell(events.KeysLoaded(SHARD, tuple(sorted((expired_there, key(2))))))
    talk.open(shards=DIFFERENT)
    talk.sleep(1)
    greet(talk, DIFFERENT, clock=int(talk.now) + ahead)
    question = talk.expect(actions.SendSync)
    assert question.message.clock == int(talk.now) + ahead
    answer(talk, question, [key(2)])
    talk.expect_none(actions.SendAnnounce)


def test_a_peer_whose_clock_is_years_ahead_cannot_make_us_compare_nothing(dialogue: Any) -> None:
    talk = loaded(dialogue, 1)
    talk.open(shards=DIFFERENT)
    talk.sleep(1)
    greet(talk, DIFFERENT, clock=int(talk.now) + 400 * 86_400)
    assert talk.expect(actions.SendSync).message.clock == int(talk.now)
