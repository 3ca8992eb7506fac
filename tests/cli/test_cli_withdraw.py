"""What the commands say themselves is what the rooms below mean by it."""

from __future__ import annotations

from p2pshare.cli import recall, withdraw
from p2pshare.intel.withdrawing import REASONS
from p2pshare.service.recalling import STATES


def test_the_reasons_and_states_of_the_commands_are_those_of_the_program() -> None:
    assert withdraw.REASONS == REASONS
    assert tuple(recall.WORDS) == STATES
