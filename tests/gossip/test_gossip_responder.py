"""Dialogues about being asked: what a peer is told, what it may cost, and the daily audit from both sides."""

from __future__ import annotations

from typing import Any

import pytest
from gossip_sessions import (
    ASK_FOR_ALL,
    NOTHING,
    SHARD,
    answer,
    ask,
    begin,
    greet,
    key,
    keys_of,
    loaded,
    roots,
)
from gossip_words import EPOCH, NOW, item

from p2pshare.gossip import actions, events
from p2pshare.gossip.engine_state import EngineSettings
from p2pshare.gossip.messages import Hello, Shard, Sync, SyncAnswer, SyncPart
from p2pshare.gossip.negentropy.audit import AuditView
from p2pshare.gossip.negentropy.key_index import SortedKeys
from p2pshare.gossip.negentropy.negentropy_wire import Bound, MessageWriter, RangeMode
from p2pshare.identifiers import CircleId, Epoch
from p2pshare.limits import (
    AUDIT_ANSWER_SECONDS_MIN,
    AUDIT_SECONDS,
    CLOCK_AHEAD_SECONDS_MAX,
    SYNC_FRAME_BYTES_MAX,
    SYNC_STEPS_PER_MINUTE_MAX,
)

# --- the other one asks ------------------------------------------------------------------------------


def test_keys_are_told_for_carried_circles_only_and_absent_looks_like_forbidden(dialogue: Any) -> None:
    talk = dialogue()
    other = Shard(CircleId.of("other"), 4)
    talk.tell(events.KeysLoaded(other, (key(1),)))
    for ticket, shard in enumerate((other, Shard(CircleId.of("nothing"), 4))):
        ask(talk, ticket, ASK_FOR_ALL, shard=shard)
        assert talk.expect(actions.Reply).message == SyncAnswer((SyncPart(shard, ASK_FOR_ALL),))
    talk.tell(events.HelloHeard(talk.peers[0], 9, Hello(EPOCH, NOW, 1)))
    assert talk.expect(actions.Reply).message.shards == ()


@pytest.mark.parametrize(
    ("clock", "is_refused"),
    [
        (NOW, False),
        (NOW - 2 * 3_600, True),
        (NOW - 3_600, False),
        (NOW + CLOCK_AHEAD_SECONDS_MAX, False),
        (NOW + CLOCK_AHEAD_SECONDS_MAX + 1, True),
    ],
)
def test_a_clock_with_which_the_two_sets_would_not_be_the_same_is_refused(
    dialogue: Any, clock: int, is_refused: bool
) -> None:
    talk = loaded(dialogue, 1)
    ask(talk, 1, ASK_FOR_ALL, clock=clock)
    if is_refused:
        assert talk.expect(actions.ReplyRefused).reason == "clock-skew"
    else:
        talk.expect(actions.Reply)


def test_a_malformed_question_is_refused_with_its_reason(dialogue: Any) -> None:
    talk = loaded(dialogue, 1)
    ask(talk, 1, b"\x61\x00\x00\x07")
    assert talk.expect(actions.ReplyRefused).reason.startswith("sync-")
    ask(talk, 2, ASK_FOR_ALL)
    talk.expect(actions.Reply)


def test_a_second_question_of_a_peer_waits_until_the_first_is_answered(dialogue: Any) -> None:
    talk = loaded(dialogue, *range(1, 500))
    engine, peer = talk.engine, talk.peers[0]
    message = Sync(NOW, b"", (SyncPart(SHARD, ASK_FOR_ALL),))
    first = engine.handle(events.SyncAsked(peer, 1, message), talk.now)
    second = engine.handle(events.SyncAsked(peer, 2, message), talk.now)
    assert not [one for one in first if isinstance(one, actions.Reply)]
    assert [type(one) for one in second] == [actions.ReplyBusy]
    talk.work()
    assert talk.expect(actions.Reply).ticket == 1


def test_what_one_peer_may_cost_in_a_minute_is_bounded(dialogue: Any) -> None:
    talk = loaded(dialogue, *range(1, 200), peers=2)
    for ticket in range(SYNC_STEPS_PER_MINUTE_MAX + 10):
        ask(talk, ticket, ASK_FOR_ALL)
        if any(isinstance(one, actions.ReplyBusy) for one in talk.waiting):
            break
    assert talk.expect(actions.ReplyBusy).retry_after_seconds <= 60
    other = Sync(NOW, b"", (SyncPart(SHARD, ASK_FOR_ALL),))
    talk.waiting.clear()
    talk.tell(events.SyncAsked(talk.peers[1], 99_999, other))
    assert talk.expect(actions.Reply).ticket == 99_999
    talk.now += 61
    ask(talk, 100_000, ASK_FOR_ALL, clock=int(talk.now))
    assert talk.expect(actions.Reply).ticket == 100_000


def test_an_answer_to_a_dear_question_is_cut_by_work_and_covers_the_rest(dialogue: Any) -> None:
    """250,000 fingerprints asked in one frame: the answer says how far it came, and the next question goes on."""
    numbers = range(1, 60_000)
    talk = loaded(dialogue, *numbers)
    index = SortedKeys(keys_of(*numbers))
    writer = MessageWriter()
    for rank in range(4, len(index), 4):
        if len(writer.raw) > SYNC_FRAME_BYTES_MAX - 100:
            break
        writer.add(
            Bound.between(index.key_at(rank - 1), index.key_at(rank)),
            RangeMode.FINGERPRINT,
            index.fingerprint(rank - 4, rank),
        )
    ask(talk, 1, bytes(writer.raw))
    raw = talk.expect(actions.Reply).message.parts[0].message
    assert len(raw) > 1 and raw[-18:-16] == b"\x00\x01"  # to the end: one fingerprint


@pytest.mark.parametrize(("theirs", "goes_on"), [(b"\xff" * 16, True), (bytes(15) + b"\x01", False)])
def test_of_two_sessions_at_once_that_of_the_lower_epoch_goes_on(
    dialogue: Any, theirs: bytes, goes_on: bool
) -> None:
    talk = loaded(dialogue, 1, epoch=Epoch(bytes(15) + b"\x02"))
    begin(talk)
    talk.tell(events.HelloHeard(talk.peers[0], 5, Hello(Epoch(theirs), NOW, 1)))
    ask(talk, 7, ASK_FOR_ALL, clock=int(talk.now))
    assert talk.engine.sizes()["sessions"] == goes_on
    talk.expect(actions.Reply)


def test_a_link_that_is_taken_away_while_its_question_is_answered_is_refused(dialogue: Any) -> None:
    talk = loaded(dialogue, *range(1, 500))
    engine = talk.engine
    engine.handle(
        events.SyncAsked(talk.peers[0], 1, Sync(NOW, b"", (SyncPart(SHARD, ASK_FOR_ALL),))), talk.now
    )
    talk.tell(events.LinksConfigured(()))
    assert talk.expect(actions.ReplyRefused).ticket == 1
    talk.expect_none(actions.Reply)


# --- the audit ---------------------------------------------------------------------------------------


def audited(dialogue: Any, *numbers: int) -> Any:
    return loaded(dialogue, *numbers, settings=EngineSettings(audit_seconds=1_000.0))


def test_once_a_day_everything_is_compared_under_a_key_of_that_day(dialogue: Any) -> None:
    """Roots that are equal, of sets that are not: only the key tells."""
    talk = audited(dialogue, 1, 2)
    same = roots(keys_of(1, 2))
    talk.open(shards=same)
    nonces = []
    for _ in range(300):
        talk.sleep(600)
        for one in list(talk.waiting):
            if isinstance(one, actions.SendHello):
                greet(talk, same)
        for one in [one for one in talk.waiting if isinstance(one, actions.SendSync)]:
            talk.waiting.remove(one)
            nonces.append(one.message.nonce)
            answer(talk, one, keys_of(1, 3))
        for fetch in [one for one in talk.waiting if isinstance(one, actions.SendGet)]:
            talk.waiting.remove(fetch)
            assert fetch.ids == (item(3).envelope_id,)
            talk.tell(events.BodyGone(fetch.request, fetch.ids[0]))
            talk.tell(events.Answered(fetch.request))
    days = 300 * 600 / AUDIT_SECONDS
    assert days - 1 <= len(nonces) <= 2 * days + 2
    assert all(len(nonce) == 32 for nonce in nonces) and len(set(nonces)) == len(nonces)


def test_an_audit_is_answered_and_a_second_key_within_the_hour_is_refused(dialogue: Any) -> None:
    talk = loaded(dialogue, 1, 2)
    index = SortedKeys(keys_of(1, 2))
    for ticket in (1, 2):  # the same key may ask as often as a session needs
        ask(
            talk, ticket, b"\x61\x00\x00\x01" + AuditView(index, b"n" * 32).fingerprint(0, 2), nonce=b"n" * 32
        )
        assert talk.expect(actions.Reply).message.parts[0].message == NOTHING
    ask(talk, 3, ASK_FOR_ALL, nonce=b"m" * 32)
    assert talk.expect(actions.ReplyRefused).reason == "audit-too-soon"
    talk.now += AUDIT_ANSWER_SECONDS_MIN
    ask(talk, 4, ASK_FOR_ALL, nonce=b"m" * 32, clock=int(talk.now))
    talk.expect(actions.Reply)
