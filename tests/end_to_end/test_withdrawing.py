"""Withdrawing with real daemons: two authors of one address, a partner who was down for all of it, and nothing comes back."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import Company, Partner

    Chain = tuple[Partner, Partner, Partner]

pytestmark = pytest.mark.end_to_end
Eventually = Callable[[Callable[[], Any], str], Any]
NOT_FALSE = ("--reason", "false-positive", "--yes")


def claims(partner: Partner, value: str) -> set[tuple[str, int]]:
    """(author, whether it was taken back) as the SIEM's view has it."""
    found = partner.query(f"SELECT author_name, revoked FROM v1_claims WHERE value = '{value}'")
    return {(name.lower(), revoked) for name, revoked in found}


def is_active(partner: Partner, value: str) -> list[Any]:
    return [row[0] for row in partner.query(f"SELECT active FROM v1_indicators WHERE value = '{value}'")]


def test_each_authors_withdrawal_removes_its_own_claim_at_all_three(
    chain: Chain, eventually: Eventually
) -> None:
    value = "twice.example"
    alpha, _, charlie = chain
    alpha.publish(f"{value}\n")
    charlie.publish(f"{value}\n")
    for one in chain:
        eventually(lambda one=one: len(claims(one, value)) == 2, f"{one.name} has two claims")
    preview = alpha.cli_json("withdraw", value, "--reason", "mistake", "--dry-run", "--json")
    assert (preview["recipients"], preview["envelopes"]) == (["bravo", "charlie"], [])
    done = alpha.cli_json("withdraw", value, *NOT_FALSE, "--json")
    for one in chain:
        eventually(lambda one=one: ("alpha", 1) in claims(one, value), f"{one.name} has alpha's withdrawal")
        assert claims(one, value) == {("alpha", 1), ("charlie", 0)}
        assert is_active(one, value) == [1]
    [object_id] = done["objects"]
    [answer] = charlie.cli_json("lookup", value, "--json")
    told = {claim["object_id"]: claim["withdrawal"] for claim in answer["claims"]}
    assert told[object_id] == {"reason": "false-positive", "replaced_by": None}
    charlie.cli("withdraw", value, *NOT_FALSE)
    for one in chain:
        eventually(lambda one=one: is_active(one, value) == [0], f"{one.name} has both withdrawals")
        assert value not in one.cli("export", "--format", "list").out
    eventually(
        lambda: recalled(alpha, object_id)["bravo"] == "acknowledged", "bravo's acknowledgement at alpha"
    )
    assert recalled(alpha, object_id)["charlie"] in ("not-known", "acknowledged")  # no link: mostly not known


def recalled(partner: Partner, object_id: str) -> dict[str, str]:
    told = partner.cli_json("recall", "status", object_id, "--json")
    return {one["name"]: one["state"] for one in told["recipients"]}


def test_publishing_what_was_received_goes_round_once(chain: Chain, eventually: Eventually) -> None:
    alpha, bravo, charlie = chain
    before = {one.name: envelopes(one) for one in chain}
    alpha.publish("round.example\n")
    for one in (bravo, charlie):
        one.wait_for("round.example")
        one.publish(one.cli("export", "--format", "list", "--type", "domain").out, code=0)
    for one in chain:
        eventually(lambda one=one: len(claims(one, "round.example")) == 3, f"{one.name} has three claims")
    alpha.publish("after-the-round.example\n")
    for one in chain:
        one.wait_for("after-the-round.example")
        assert (
            envelopes(one) == before[one.name] + 4
        )  # each publication is one envelope, and nothing else moved


def envelopes(partner: Partner) -> int:
    return int(partner.status()["envelopes"]["held"])


def test_a_partner_who_was_down_for_the_whole_exchange_ends_with_the_same_view(
    company: Company, eventually: Eventually
) -> None:
    alpha, bravo, charlie = company.chain()
    charlie.stop()
    alpha.publish("gone.example\nstays.example\n")
    bravo.wait_for("gone.example")
    alpha.cli("withdraw", "gone.example", *NOT_FALSE)
    eventually(lambda: claims(bravo, "gone.example") == {("alpha", 1)}, "bravo has the withdrawal")
    bravo.publish("gone.example\n")
    alpha.stop()
    charlie.start()
    expected = {("alpha", 1), ("bravo", 0)}
    eventually(lambda: claims(charlie, "gone.example") == expected, "charlie has all of it")
    assert claims(bravo, "gone.example") == expected
    assert claims(charlie, "stays.example") == {("alpha", 0)}
    charlie.kill()
    charlie.start()
    assert claims(charlie, "gone.example") == expected


def test_the_command_without_a_daemon_and_its_refusals(company: Company) -> None:
    alpha, bravo = company.linked("alpha", "bravo")
    alpha.publish("one.example\ntwo.example\n")
    alpha.cli("withdraw", "one.example", code=2)
    alpha.cli("withdraw", "one.example", "--reason", "because", code=2)
    alpha.cli("withdraw", "unknown.example", *NOT_FALSE, code=3)
    alpha.cli("withdraw", "no value at all", *NOT_FALSE, code=1)
    [two] = [one["claims"][0]["object_id"] for one in alpha.cli_json("lookup", "two.example", "--json")]
    said = alpha.cli("withdraw", "one.example", *NOT_FALSE, "--replaced-by", two)
    assert said.out.endswith("  withdrawn\n")
    assert "1 object, TLP:GREEN, for bravo" in said.err
    assert "no daemon is running" in said.err
    again = alpha.cli("withdraw", "one.example", *NOT_FALSE)
    assert (again.out, "already withdrawn" in again.err) == ("", True)
    object_id = said.out.split()[0]
    shown = alpha.cli("recall", "status", object_id)
    assert shown.out.split()[:2] == ["bravo", "waiting"]
    assert f"false-positive, replaced by {two}" in shown.err
    alpha.cli("recall", "status", two, code=3)
    old = alpha.cli("show", object_id, "--raw").out.encode()
    refused = alpha.cli("publish", "-", "--format", "stix", "--yes", stdin=old, code=1)
    assert "refused: 1 withdrawn" in refused.err
    assert "later `modified`" in refused.err
    bravo.cli("withdraw", "one.example", *NOT_FALSE, code=3)
    told = json.loads(alpha.cli("recall", "status", object_id, "--json").out)
    assert (told["reason"], told["replaced_by"], told["revived"]) == ("false-positive", two, False)
