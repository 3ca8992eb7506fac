"""A peer's own words: reason codes it invents are counted without filling memory."""

from __future__ import annotations

from typing import Any

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
