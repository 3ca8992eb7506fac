"""What was published at one partner arrives at the others, whatever stops in between."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import Company, Partner

    Chain = tuple[Partner, Partner, Partner]

pytestmark = pytest.mark.end_to_end
Eventually = Callable[[Callable[[], Any], str], Any]


def test_a_publication_for_all_is_found_two_hops_away_with_its_author(chain: Chain) -> None:
    alpha, _, charlie = chain
    published = alpha.publish("two-hops.example\n192.0.2.1\n")
    assert published["recipients"] == ["bravo", "charlie"]
    charlie.wait_for("two-hops.example", "192.0.2.1")
    [answer] = charlie.cli_json("lookup", "TWO-HOPS[.]example", "--json")
    assert (answer["value"], answer["type"], answer["active"]) == ("two-hops.example", "domain", True)
    assert answer["authors"] == ["alpha"]
    assert answer["claims"][0]["tlp"] == "TLP:GREEN"


def test_a_relay_carries_what_it_cannot_read(chain: Chain, eventually: Eventually) -> None:
    alpha, bravo, charlie = chain
    before = bravo.status()["envelopes"]["relayed"]
    [envelope_id] = alpha.publish("for-charlie-alone.example\n", "--tlp", "amber", "--to", "charlie")[
        "envelopes"
    ]
    charlie.wait_for("for-charlie-alone.example")
    assert bravo.status()["envelopes"]["relayed"] == before + 1
    assert bravo.cli_json("lookup", "for-charlie-alone.example", "--json", code=3)[0]["found"] is False
    assert "for-charlie-alone.example" not in bravo.values()
    for file in bravo.home.glob("store.sqlite*"):
        assert b"for-charlie-alone" not in file.read_bytes()
    assert envelope_id in charlie.cli_json("lookup", "for-charlie-alone.example", "--json")[0]["claims"][
        0
    ].get("envelope_id", envelope_id)


def test_what_a_partner_publishes_is_in_its_own_store_at_once(chain: Chain) -> None:
    alpha, _, _ = chain
    alpha.publish("in-my-own-store.example\n")
    assert alpha.cli_json("lookup", "in-my-own-store.example", "--json")[0]["found"]


def test_red_goes_straight_to_the_named_partner_and_never_further(chain: Chain) -> None:
    alpha, bravo, charlie = chain
    alpha.publish("red-for-bravo.example\n", "--tlp", "red", "--to", "bravo")
    alpha.publish("green-after-red.example\n")
    charlie.wait_for("green-after-red.example")
    [answer] = bravo.cli_json("lookup", "red-for-bravo.example", "--json")
    assert answer["claims"][0]["tlp"] == "TLP:RED"
    assert "red-for-bravo.example" not in bravo.values(), "RED is for people, not for the SIEM's views"
    charlie.cli("lookup", "red-for-bravo.example", code=3)


def test_red_for_a_partner_without_a_link_is_refused_and_nothing_leaves(chain: Chain) -> None:
    alpha, bravo, charlie = chain
    held = [partner.status()["envelopes"]["held"] for partner in (alpha, bravo, charlie)]
    refused = alpha.cli(
        "publish",
        "-",
        "--format",
        "list",
        "--tlp",
        "red",
        "--to",
        "charlie",
        "--yes",
        stdin=b"red.example\n",
        code=5,
    )
    assert "error: " in refused.err
    assert [partner.status()["envelopes"]["held"] for partner in (alpha, bravo, charlie)] == held


def test_a_relay_restarted_in_the_middle_still_passes_everything_on(chain: Chain) -> None:
    alpha, bravo, charlie = chain
    alpha.publish("before-the-restart.example\n")
    assert bravo.stop() == 0
    alpha.publish("while-bravo-was-down.example\n")
    bravo.start()
    alpha.publish("after-the-restart.example\n")
    charlie.wait_for(
        "before-the-restart.example", "while-bravo-was-down.example", "after-the-restart.example"
    )


def test_a_recipient_that_was_down_catches_up(chain: Chain) -> None:
    alpha, bravo, charlie = chain
    charlie.kill()
    alpha.publish("while-charlie-was-down.example\n")
    bravo.wait_for("while-charlie-was-down.example")
    charlie.start()
    charlie.wait_for("while-charlie-was-down.example")


def test_a_yes_survives_sigkill(chain: Chain) -> None:
    alpha, _, charlie = chain
    values = "".join(f"survives-{number}.example\n" for number in range(500))
    published = alpha.publish(values)
    alpha.kill()
    assert published["published"] == 500
    assert set(values.split()) <= alpha.values()
    alpha.start()
    charlie.wait_for(*values.split())


def test_published_while_the_daemon_is_down_leaves_when_it_starts(
    chain: Chain, eventually: Eventually
) -> None:
    alpha, _, charlie = chain
    assert alpha.stop() == 0
    assert alpha.publish("published-offline.example\n")["envelopes"]
    status = alpha.status()
    assert (status["running"], status["envelopes"]["pending"]) == (False, 1)
    alpha.start()
    charlie.wait_for("published-offline.example")
    eventually(lambda: alpha.status()["envelopes"]["pending"] == 0, "nothing is pending any more")


def test_nothing_was_refused_and_each_author_is_named(chain: Chain) -> None:
    alpha, bravo, charlie = chain
    alpha.publish("the-last-one.example\n")
    charlie.wait_for("the-last-one.example")
    for partner in (bravo, charlie):
        assert partner.status()["refused"] == {}
        assert {row[0] for row in partner.query("SELECT author_name FROM v1_claims")} == {"alpha"}


def test_partners_without_a_daemon_answer_lookup_and_status(company: Company) -> None:
    alpha = company.found("alpha")
    alpha.publish("alone.example\n", "--tlp", "clear", code=5)
    assert alpha.cli_json("partner", "list", "--json") == []
    assert alpha.status()["running"] is False
