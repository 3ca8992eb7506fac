"""Sightings, false positives and proposals between three real daemons: a chain in which bravo only relays."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import Partner

    Chain = tuple[Partner, Partner, Partner]

pytestmark = pytest.mark.end_to_end
Eventually = Callable[[Callable[[], Any], str], Any]


def test_the_author_hears_of_it_through_a_relay_that_does_not(chain: Chain, eventually: Eventually) -> None:
    alpha, bravo, charlie = chain
    alpha.publish("seen-at-charlie.example\n")
    charlie.wait_for("seen-at-charlie.example")
    bravo.wait_for("seen-at-charlie.example")
    said = charlie.cli_json("sight", "seen-at-charlie[.]example", "--count", "3", "--json", code=0)
    assert (said["objects"], said["recipients"], said["refused"]) == (1, ["alpha"], [])
    seen = "SELECT reporter_name, count, false_positive FROM v1_sightings WHERE value = 'seen-at-charlie.example'"
    eventually(lambda: alpha.query(seen) == [("charlie", 3, 0)], "alpha hears of the sighting")
    assert bravo.query(seen) == []


def test_two_false_positives_take_a_value_out_of_the_authors_siem(
    chain: Chain, eventually: Eventually
) -> None:
    alpha, bravo, charlie = chain
    alpha.publish("harmless.example\n")
    state = "SELECT active, status, reason FROM v1_indicators WHERE value = 'harmless.example'"
    reports = "SELECT count(*) FROM v1_sightings WHERE value = 'harmless.example'"
    for partner, heard in ((bravo, [(1,)]), (charlie, [(2,)])):
        partner.wait_for("harmless.example")
        assert alpha.query(state) == [(1, "active", None)]
        partner.cli("sight", "harmless.example", "--false-positive")
        eventually(lambda heard=heard: alpha.query(reports) == heard, "alpha hears of it")
    assert alpha.query(state) == [(0, "delisted", "false-positive")]
    assert alpha.query("SELECT op, reason FROM v1_changes WHERE value = 'harmless.example'") == [
        ("remove", "false-positive")
    ]


def test_a_proposal_is_listed_at_the_author(chain: Chain, eventually: Eventually) -> None:
    alpha, bravo, _ = chain
    alpha.publish("doubtful.example\n")
    bravo.wait_for("doubtful.example")
    bravo.cli("propose", "doubtful.example", "--confidence", "10", "--note", "\x1b[31mred")
    bravo.cli("opinion", "doubtful.example", "disagree", "--note", "why")
    listed = eventually(lambda: alpha.cli_json("propose", "--list", "--json"), "alpha hears of the proposal")
    assert (listed[0]["value"], listed[0]["by"]) == ("doubtful.example", "bravo")
    assert listed[0]["proposed"] == {"confidence": 10, "note": "\x1b[31mred"}
    assert "\x1b" not in alpha.cli("propose", "--list").out
    alpha.cli("propose", code=2)
    bravo.cli("sight", "nobody-claims.example", code=3)
