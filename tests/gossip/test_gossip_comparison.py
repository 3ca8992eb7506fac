"""Dialogues about comparing: when a comparison begins, what it finds, and how a liar ends it."""

from __future__ import annotations

from typing import Any

from gossip_words import DIFFERENT, EPOCH, MAIN, NOW, announce, item
from p2pshare.gossip import actions, events
from p2pshare.gossip.index import key_of
from p2pshare.gossip.messages import (
    Hello,
    IdsPage,
    IdsRequest,
    Shard,
)
from p2pshare.identifiers import CircleId, EnvelopeId
from p2pshare.limits import IDS_PAGE_MAX, WANT_ENTRIES_PER_PEER_MAX


def test_a_gap_in_the_announcements_and_a_new_epoch_lead_to_a_comparison(dialogue: Any) -> None:
    talk = dialogue()
    talk.open()
    peer = talk.peers[0]
    talk.sleep(20)
    talk.waiting.clear()
    talk.tell(announce(peer, item(1), lsns=(3, 4)))
    talk.sleep(1)
    talk.expect_none(actions.SendHello)  # the first word is no gap
    talk.tell(announce(peer, item(2), lsns=(7, 8)))
    talk.sleep(1)
    hello = talk.expect(actions.SendHello)
    talk.tell(events.Answered(hello.request, Hello(EPOCH, 8, NOW, 1, DIFFERENT)))
    assert talk.expect(actions.SendIdsRequest).message == IdsRequest(Shard(MAIN, 4), b"", IDS_PAGE_MAX)


def compare(talk: Any, *keys: bytes, has_more: bool = False) -> None:
    """Opens with different roots and answers the first page."""
    talk.open(shards=DIFFERENT)
    talk.sleep(1)
    hello = talk.expect(actions.SendHello)
    talk.tell(events.Answered(hello.request, Hello(EPOCH, 1, NOW, 1, DIFFERENT)))
    request = talk.expect(actions.SendIdsRequest)
    talk.tell(events.Answered(request.request, IdsPage(tuple(sorted(keys)), has_more)))


def test_a_comparison_wants_what_we_lack_and_announces_what_they_lack(dialogue: Any) -> None:
    talk = dialogue()
    ours, both, theirs = (key_of(NOW - number, item(number).envelope_id) for number in (1, 2, 3))
    talk.tell(events.KeysLoaded(Shard(MAIN, 4), tuple(sorted((ours, both)))))
    compare(talk, both, theirs)
    assert talk.expect(actions.SendGet).ids == (item(3).envelope_id,)
    repair = talk.expect(actions.SendAnnounce).message
    assert [one.envelope_id for one in repair.items] == [item(1).envelope_id]
    assert repair.from_lsn == repair.to_lsn


def test_a_comparison_proves_delivery_of_our_own(dialogue: Any) -> None:
    talk = dialogue()
    key = key_of(NOW, item(1).envelope_id)
    talk.tell(events.KeysLoaded(Shard(MAIN, 4), (key,)))
    talk.tell(events.FirstHopsLoaded((item(1),)))
    compare(talk, key)
    assert talk.expect(actions.Acknowledge).ids == (item(1).envelope_id,)


def test_equal_roots_prove_delivery_without_a_comparison(dialogue: Any) -> None:
    talk = dialogue()
    talk.tell(events.KeysLoaded(Shard(MAIN, 4), (key_of(NOW, item(1).envelope_id),)))
    talk.tell(events.FirstHopsLoaded((item(1),)))
    mine = talk.waiting[0].message if isinstance(talk.waiting[0], actions.SendHello) else None
    assert mine is not None and mine.shards == ()  # the hello left before the keys were loaded
    talk.tell(events.HelloHeard(talk.peers[0], 9, Hello(EPOCH, 0, NOW, 1)))
    shards = talk.expect(actions.Reply).message.shards
    talk.open(shards=shards)
    assert talk.expect(actions.Acknowledge).ids == (item(1).envelope_id,)
    talk.sleep(30)
    talk.expect_none(actions.SendIdsRequest)


def test_a_page_that_runs_backwards_ends_the_comparison_and_is_noted(dialogue: Any) -> None:
    talk = dialogue()
    compare(talk, *(key_of(NOW - number, item(number).envelope_id) for number in range(5)), has_more=True)
    request = talk.expect(actions.SendIdsRequest)
    assert request.message.after == key_of(NOW, item(0).envelope_id)
    talk.tell(events.Answered(request.request, IdsPage((key_of(NOW - 9, item(9).envelope_id),), False)))
    assert talk.engine.faults(talk.peers[0]) == {"page-runs-backwards": 1}
    talk.expect_none(actions.SendIdsRequest)


def test_an_endless_list_ends_where_the_want_table_is_full(dialogue: Any) -> None:
    talk = dialogue()
    number, pages = 0, 0
    compare(talk, has_more=False)
    talk.sleep(200)
    hello = talk.expect(actions.SendHello)
    talk.tell(events.Answered(hello.request, Hello(EPOCH, 1, NOW, 1, DIFFERENT)))
    while any(isinstance(one, actions.SendIdsRequest) for one in talk.waiting):
        request = talk.expect(actions.SendIdsRequest)
        keys = tuple(
            key_of(NOW, EnvelopeId((number + more).to_bytes(32, "big")))
            for more in range(1, IDS_PAGE_MAX + 1)
        )
        number += IDS_PAGE_MAX
        pages += 1
        talk.tell(events.Answered(request.request, IdsPage(keys, True)))
    assert pages <= WANT_ENTRIES_PER_PEER_MAX / IDS_PAGE_MAX + 1


def test_ids_are_listed_for_carried_circles_only_and_absent_looks_like_forbidden(dialogue: Any) -> None:
    talk = dialogue()
    other = Shard(CircleId.of("other"), 4)
    talk.tell(events.KeysLoaded(other, (key_of(NOW, item(1).envelope_id),)))
    for ticket, shard in enumerate((other, Shard(CircleId.of("nothing"), 4))):
        talk.tell(events.IdsAsked(talk.peers[0], ticket, IdsRequest(shard, b"", 10)))
        assert talk.expect(actions.Reply).message == IdsPage((), False)
    talk.tell(events.HelloHeard(talk.peers[0], 9, Hello(EPOCH, 0, NOW, 1)))
    assert talk.expect(actions.Reply).message.shards == ()
