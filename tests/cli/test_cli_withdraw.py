"""What the commands say themselves is what the rooms below mean by it."""

from __future__ import annotations

from p2pshare.cli import recall, withdraw
from p2pshare.intel.withdrawing import REASONS
from p2pshare.sharing.recalling import STATES


def test_the_reasons_and_states_of_the_commands_are_those_of_the_program() -> None:
    assert withdraw.REASONS == REASONS
    assert tuple(recall.WORDS) == STATES


def test_a_partner_behind_relays_is_not_shown_as_one_that_stays_silent() -> None:
    assert recall.means_of("not-known", has_link=False) == recall.WITHOUT_LINK
    assert recall.means_of("not-known", has_link=True) == recall.WORDS["not-known"]
    assert recall.means_of("acknowledged", has_link=False) == recall.WORDS["acknowledged"]
