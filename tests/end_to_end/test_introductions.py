"""A hub that has compared three partners introduces them to each other: real daemons, and every word as a person types it.

alpha, bravo, charlie - hub. Only the hub has compared anybody; the tests run in order, on one circle.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from introduced_circle import Circle
from page_commands import run_page

if TYPE_CHECKING:
    from conftest import Company, Partner

pytestmark = pytest.mark.end_to_end
Eventually = Callable[[Callable[[], Any], str], Any]
Four = tuple["Partner", "Partner", "Partner", "Partner"]


@pytest.fixture(scope="module")
def four(shared_company: Company) -> Four:
    hub, *others = (shared_company.found(name) for name in ("hub", "alpha", "bravo", "charlie"))
    for one in others:
        one.trust(hub)
        hub.trust(one)
    for one in (hub, *others):
        one.start()
    alpha, bravo, charlie = others
    return hub, alpha, bravo, charlie


def test_a_circle_of_six_is_set_up_in_one_command_each(company: Company, tmp_path: Path) -> None:
    """Without daemons: the list comes as a file. `scripts/introduce-twenty` does the same with twenty daemons."""
    said: list[str] = []
    circle = Circle(company, 6, say=said.append)
    circle.compare()
    circle.introduce(tmp_path)
    circle.exchange()
    assert "5 commands, 4 acceptances in each" in said[-2]


def partner_row(partner: Partner, alias: str) -> Any:
    return next(one for one in partner.cli_json("partner", "list", "--json") if one["alias"] == alias)


def test_a_green_of_a_partners_partner_is_unknown_and_publish_says_whose_cards_are_missing(
    four: Four, eventually: Eventually
) -> None:
    hub, alpha, bravo, _ = four
    alpha.publish("before.example\n")
    eventually(lambda: hub.values(), "the hub hears alpha")
    eventually(lambda: bravo.status()["refused"].get("author-unknown"), "bravo does not know the author")
    answer = bravo.publish("from-bravo.example\n")
    assert answer["recipients"] == ["hub"]
    missing = {one["partner_id"]: one["name"] for one in answer["missing_cards"]["named"]}
    assert missing.get(alpha.partner_id) == "ALPHA", answer
    assert answer["missing_cards"]["count"] >= 1


def test_a_list_is_accepted_in_one_command_from_the_linked_partner_and_from_a_file(
    four: Four, tmp_path: Path, eventually: Eventually
) -> None:
    hub, alpha, bravo, charlie = four
    assert "no member list" in alpha.cli("introduce", "accept", "hub", "--yes", code=3).err
    file = tmp_path / "circle.p2pintro"
    made = hub.cli_json("introduce", "export", str(file), "--json")
    assert (made["members"], made["left_out"]) == (["alpha", "bravo", "charlie"], [])
    again = hub.cli_json("introduce", "export", str(tmp_path / "again.p2pintro"), "--json")
    assert again["number"] == made["number"], "nothing changed: the same list"
    told = alpha.cli_json("introduce", "accept", "hub", "--yes", "--json")
    assert sorted(told["accepted"]) == ["bravo", "charlie"], told
    assert told["refused"] == []
    assert (
        told["held"] == [{"name": "alpha", "reason": "own-card"}] or told["held"][0]["reason"] == "own-card"
    )
    for one in (bravo, charlie):
        assert len(one.cli_json("introduce", "accept", str(file), "--yes", "--json")["accepted"]) == 2
    row = partner_row(alpha, "bravo")
    assert (row["standing"], row["introduced_by"], row["has_link"]) == ("introduced", ["hub"], False)
    assert "bravo: introduced by hub, fingerprint not compared" in alpha.cli("status").out
    assert "bravo: introduced by hub, fingerprint not compared" in alpha.cli("partner", "list").out
    # what alpha sealed before is for the hub alone; what it seals now is for all three
    assert alpha.publish("after.example\n")["recipients"] == ["bravo", "charlie", "hub"]
    for one in (bravo, charlie):
        one.wait_for("after.example")
    assert "introduced by hub, fingerprint not compared" in bravo.cli("lookup", "after.example").out
    assert bravo.cli_json("lookup", "after.example", "--json")[0]["claims"][0]["introduced_by"] == ["hub"]
    explained = bravo.cli("explain", "after.example", "--partner", "charlie").out
    assert "charlie: introduced by hub, fingerprint not compared" in explained
    assert "by alpha (introduced by hub, fingerprint not compared)" in explained


def test_amber_needs_a_comparison_and_an_introduced_partner_introduces_nobody(
    four: Four, tmp_path: Path
) -> None:
    _, alpha, bravo, charlie = four
    refused = alpha.cli(
        "publish", "-", "--format", "list", "--tlp", "amber", "--to", "bravo", "--yes", "--json",
        stdin=b"amber.example\n", code=5,
    )  # fmt: skip
    assert json.loads(refused.err)["error"]["reason"] == "not-compared"
    file = tmp_path / "of-bravo.p2pintro"
    bravo.cli("introduce", "export", str(file))
    refused = alpha.cli("introduce", "accept", str(file), "--yes", "--json", code=1)
    assert json.loads(refused.err)["error"]["reason"] == "introducer-not-compared"
    assert alpha.status()["refused"]["introducer-not-compared"] == 1
    wrong = alpha.cli("partner", "confirm", "bravo", "--fingerprint", charlie.fingerprint, "--json", code=5)
    assert json.loads(wrong.err)["error"]["reason"] == "fingerprint-mismatch"
    number = bravo.cli_json("card", "show", "--json")
    assert number["partner_id"] == bravo.partner_id
    confirmed = alpha.cli_json("partner", "confirm", "bravo", "--fingerprint", bravo.fingerprint, "--json")
    assert confirmed == {"alias": "bravo", "partner_id": bravo.partner_id, "is_new": True}
    assert alpha.publish("amber.example\n", "--tlp", "amber", "--to", "bravo")["recipients"] == ["bravo"]
    bravo.wait_for("amber.example")
    assert partner_row(alpha, "bravo")["standing"] == "compared"


def test_the_commands_of_the_onboarding_page_do_what_it_says(
    four: Four, tmp_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch, eventually: Eventually
) -> None:
    hub, _, bravo, charlie = four
    monkeypatch.chdir(tmp_path)
    machines = {"hub": hub, "bravo": bravo, "charlie": charlie}
    run_page(
        repository / "docs" / "onboarding.md",
        lambda machine, words: machines[machine].cli(*words),
        {},
        {"CHARLIES": charlie.fingerprint},
        "Introductions",
    )
    assert partner_row(bravo, "charlie")["standing"] == "compared"
    eventually(lambda: partner_row(bravo, "charlie")["state"] == "connected", "they are linked")


def test_who_leaves_is_suspended_without_a_person(four: Four, eventually: Eventually) -> None:
    """The hub removes charlie: its list takes charlie out by itself, and whoever accepted the list follows when it starts."""
    hub, alpha, _, charlie = four
    charlie.publish("of-charlie.example\n")
    alpha.wait_for("of-charlie.example")
    hub.cli("partner", "remove", "charlie")
    alpha.stop()
    alpha.start()
    eventually(lambda: partner_row(alpha, "charlie")["standing"] == "suspended", "alpha follows the list")
    row = partner_row(alpha, "charlie")
    assert (row["suspended"], row["state"]) == ("not-listed", "suspended")
    words = {one["word"] for one in alpha.status()["alarms"]}
    assert "introduction-suspended" in words
    assert "of-charlie.example" in alpha.values(), "claims stay until a person says"
    answer = alpha.publish("without-charlie.example\n")
    assert "charlie" not in answer["recipients"]
    assert {"name": "charlie", "reason": "partner-suspended"} in answer["skipped"]
    (mine,) = alpha.cli_json("introduce", "list", "--json")
    assert (mine["suspended"], mine["accepted"]) == (["charlie"], [])
