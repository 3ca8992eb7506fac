"""A peer's own words: reason codes it invents are counted without filling memory; and ours: a peer can read what we say."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from gossip_network import partner
from gossip_words import EPOCH, NOW, item

from p2pshare.gossip import actions, events
from p2pshare.gossip.messages import Hello
from p2pshare.gossip.protocol import HELLO
from p2pshare.identifiers import CircleId
from p2pshare.limits import FAULT_REASONS_PER_LINK_MAX


def test_a_new_reason_with_each_refusal_does_not_fill_memory(dialogue: Any) -> None:
    talk = dialogue()
    talk.open()
    peer, state = talk.peers[0], talk.engine._state
    for number in range(10 * FAULT_REASONS_PER_LINK_MAX):
        state.note(peer, f"word-{number}")
    faults = talk.engine.faults(peer)
    assert len(faults) == FAULT_REASONS_PER_LINK_MAX + 1
    assert sum(faults.values()) == 10 * FAULT_REASONS_PER_LINK_MAX, "each was counted"
    assert faults["other"] == 9 * FAULT_REASONS_PER_LINK_MAX


CIRCLES = [CircleId.of(name) for name in ("first", "second", "third")]


@pytest.mark.parametrize("order", [*itertools.permutations(range(3))], ids=str)
def test_a_hello_can_be_read_in_whatever_order_shards_were_met(dialogue: Any, order: tuple[int, ...]) -> None:
    """Found by sabotage: roots out of order are malformed, so the link would be down for as long as we live."""
    talk = dialogue(circles=frozenset(CIRCLES))
    talk.expect(actions.SendHello)
    for lsn, number in enumerate(order, start=1):
        talk.tell(events.EnvelopeHeld(lsn, item(lsn, circle=CIRCLES[number]), partner(9), partner(9)))
    talk.tell(events.HelloHeard(talk.peers[0], 1, Hello(EPOCH, NOW, 1)))
    hello = talk.expect(actions.Reply).message
    assert len(hello.shards) == 3
    assert HELLO.answer.decode(HELLO.answer.encode(hello)) == hello
