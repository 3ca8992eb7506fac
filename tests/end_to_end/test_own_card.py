"""Our own card, with real daemons: renewed in time without a person, rotated under traffic, and nobody is locked out."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from p2pshare.envelope.card import Card, believe_chain
from p2pshare.node.keyfile import read_identity, write_key_file

if TYPE_CHECKING:
    from conftest import Company, Partner

pytestmark = [
    pytest.mark.end_to_end,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="skipped: no /proc here"),
]
Eventually = Callable[[Callable[[], Any], str], Any]
DAYS = 86_400


def link(left: Partner, right: Partner) -> None:
    left.trust(right)
    right.trust(left)


def own_card(partner: Partner) -> Card:
    return believe_chain((partner.home / "card.p2pcard").read_bytes())


def version_at(partner: Partner, other: Partner) -> int:
    """The version of the other's card that the partner has."""
    [row] = [one for one in partner.cli_json("partner", "list", "--json") if one["alias"] == other.name]
    return int(row["card_version"])


def test_a_rotation_under_traffic_reaches_the_neighbour_at_once_and_locks_nobody_out(
    company: Company, eventually: Eventually
) -> None:
    alpha, bravo = company.pair()
    alpha.publish("before.example\n")
    bravo.wait_for("before.example")
    answer = alpha.cli_json("card", "rotate", "--json")
    eventually(lambda: version_at(bravo, alpha) == 2, "bravo has the new card, though nothing else happens")
    assert list(answer) == ["version", "expires", "keys", "signed"]
    assert (answer["version"], answer["signed"]) == (2, True)
    states = {(key["kind"], key["state"]) for key in answer["keys"]}
    assert states == {("root", "current")} | {
        (kind, state) for kind in ("sign", "kem", "hint", "tls") for state in ("current", "older")
    }
    alpha.cli("card", "rotate")
    alpha.publish("straight-after.example\n")
    bravo.wait_for("straight-after.example")  # refused at first, perhaps, and asked for again
    eventually(lambda: "another certificate of ours is shown" in alpha.log(), "the new certificate is shown")
    bravo.publish("back.example\n")
    alpha.wait_for("back.example")
    alpha.publish("with-the-new.example\n")
    bravo.wait_for("with-the-new.example")
    alpha.stop()
    alpha.start()  # the key file and the card belong together, and bravo's version was noted
    alpha.publish("after-a-restart.example\n")
    bravo.wait_for("after-a-restart.example")


def found_before(company: Company, name: str, days: int, monkeypatch: pytest.MonkeyPatch) -> Partner:
    """A partner whose home was made so many days ago: the daemons' clocks, and that of TLS, are right."""
    with monkeypatch.context() as earlier:
        earlier.setattr("p2pshare.cli.card.now_seconds", lambda: int(time.time()) - days * DAYS)
        return company.found(name)


def test_a_daemon_renews_its_keys_at_day_30_without_a_person(
    company: Company, eventually: Eventually, monkeypatch: pytest.MonkeyPatch
) -> None:
    alpha, bravo = found_before(company, "alpha", 30, monkeypatch), company.found("bravo")
    young = found_before(company, "young", 29, monkeypatch)
    link(alpha, bravo)
    link(young, bravo)
    for partner in (alpha, bravo, young):
        partner.start()
    eventually(lambda: own_card(alpha).version == 2, "alpha renews")
    eventually(lambda: version_at(bravo, alpha) == 2, "bravo has the new card")
    eventually(lambda: "another certificate of ours is shown" in alpha.log(), "the new certificate is shown")
    alpha.publish("renewed.example\n")
    bravo.wait_for("renewed.example")
    bravo.publish("and-back.example\n")
    alpha.wait_for("and-back.example")
    assert own_card(young).version == 1


def test_partners_go_on_from_day_0_to_day_95_without_a_person(
    company: Company, eventually: Eventually
) -> None:
    """By faketime, the clock of TLS too: the first certificates end on the way, so who speaks at day 95 shows newer ones. Both were off
    meanwhile, and doubt their clocks until they hear one another's (docs/gossip.md, "Clocks")."""
    alpha, bravo = company.linked("alpha", "bravo")
    for day, version in ((0, 1), (31, 2), (95, 3)):
        for partner in (alpha, bravo):
            partner.start(faketime=f"+{day * 86_400}" if day else "")  # seconds, so nobody notes that it ran
        for one, other in ((alpha, bravo), (bravo, alpha)):
            what = f"day {day}: {one.name} has version {version}, and {other.name} has it"
            eventually(partial(has_version, one, other, version), what)
            one.publish(f"day-{day}-{one.name}.example\n")
            other.wait_for(f"day-{day}-{one.name}.example")
        for partner in (alpha, bravo):
            partner.stop()


def has_version(one: Partner, other: Partner, version: int) -> bool:
    return own_card(one).version == version == version_at(other, one)


def test_a_daemon_that_cannot_renew_says_so_and_goes_on(
    company: Company, eventually: Eventually, monkeypatch: pytest.MonkeyPatch
) -> None:
    alpha, bravo = found_before(company, "alpha", 61, monkeypatch), company.found("bravo")
    link(alpha, bravo)
    identity = read_identity(alpha.home / "identity.p2pkey", alpha.home / "card.p2pcard")
    write_key_file(alpha.home / "identity.p2pkey", replace(identity, roots=()))
    alpha.start()
    bravo.start()
    eventually(lambda: "were not renewed" in alpha.log(), "alpha says so")
    assert "keys-not-renewed" in [alarm["word"] for alarm in alpha.status()["alarms"]]
    alpha.publish("still-working.example\n")
    bravo.wait_for("still-working.example")


def test_a_partner_that_was_down_through_the_rotation_is_shown_the_certificate_it_knows(
    company: Company, eventually: Eventually
) -> None:
    alpha, bravo = company.pair()
    bravo.stop()
    alpha.cli("card", "rotate")
    alpha.cli("card", "set", "--name", "ALPHA TWO")
    bravo.start()
    eventually(lambda: version_at(bravo, alpha) == 3, "bravo has the new card")
    eventually(lambda: "another certificate of ours is shown" in alpha.log(), "then the new one is shown")
    alpha.publish("still-linked.example\n")
    bravo.wait_for("still-linked.example")


def test_after_a_revocation_the_partner_that_has_the_card_is_linked_as_before(
    company: Company, eventually: Eventually
) -> None:
    """The stolen certificate is shown no more; a partner that does not hear of it over a line that stands knocks, or is knocked at."""
    alpha, bravo = company.pair()
    alpha.publish("before.example\n")
    bravo.wait_for("before.example")
    [stolen] = [
        key["key_id"]
        for key in alpha.cli_json("card", "show", "--json")["keys"]
        if (key["kind"], key["state"]) == ("sign", "current")
    ]
    answer = alpha.cli_json("card", "revoke", stolen, "--reason", "compromised", "--json")
    assert (answer["version"], answer["vouched"], answer["not_vouched"]) == (2, 1, 0)
    assert [key["state"] for key in answer["keys"] if key["key_id"] == stolen] == ["revoked"]
    eventually(lambda: version_at(bravo, alpha) == 2, "bravo has the card")
    alpha.publish("after.example\n")
    bravo.wait_for("after.example")
    bravo.publish("back.example\n")
    alpha.wait_for("back.example")


@pytest.mark.parametrize("who_dials", ["both", "who changed", "the other"])
def test_a_partner_that_was_down_through_a_revocation_is_linked_again_without_a_person(
    company: Company, eventually: Eventually, who_dials: str
) -> None:
    """Neither knows a certificate that the other shows. They come together as guests: one hands its card over, or is asked for it."""
    alpha = company.found("alpha", is_dialable=who_dials != "who changed")
    bravo = company.found("bravo", is_dialable=who_dials != "the other")
    link(alpha, bravo)
    for partner in (alpha, bravo):
        partner.start()
    alpha.publish("before.example\n")
    bravo.wait_for("before.example")
    bravo.publish("before-too.example\n")
    alpha.wait_for("before-too.example")
    bravo.stop()
    stolen = own_card(alpha).sign_keys[0].key.key_id.text
    alpha.cli("card", "revoke", stolen, "--reason", "compromised")
    if who_dials == "both":
        alpha.stop()
        alpha.start()
    bravo.start()
    eventually(lambda: version_at(bravo, alpha) == 2, "bravo has the card")
    alpha.publish("after.example\n")
    bravo.wait_for("after.example")
    bravo.publish("back.example\n")
    alpha.wait_for("back.example")
    guests = {
        partner.name: partial(lambda one: one.status()["door"]["guests"], partner)
        for partner in (alpha, bravo)
    }
    # a guest is counted when it has hung up, and its card counts before
    if who_dials == "who changed":
        eventually(lambda: "card-taken" in guests["bravo"](), "bravo has counted its guest")
        assert not guests["alpha"]()
        assert "knocked at" in alpha.log() and "card-handed-over" in alpha.log()
    if who_dials == "the other":
        eventually(lambda: "card-given" in guests["alpha"](), "alpha has counted its guest")
        assert not guests["bravo"]()
        assert "other-certificate: card-taken" in bravo.log()


def test_a_partner_that_removed_this_node_is_told_in_status_log_and_alarm(
    company: Company, eventually: Eventually
) -> None:
    alpha, bravo = company.pair()
    alpha.publish("before.example\n")
    bravo.wait_for("before.example")
    bravo.cli("partner", "remove", "alpha")

    def row() -> Any:
        [found] = alpha.status()["partners"]
        return found

    eventually(lambda: row()["last_error"] == "removed-by-partner", "alpha says so")
    eventually(lambda: row()["knock"] == "card-handed-over", "it has knocked")
    assert row()["knocked"].startswith("20")
    assert "knocked at bravo: 20" in alpha.cli("status").out
    assert "removed by partner" in alpha.cli("partner", "list").out
    assert "removed-by-partner: card-handed-over" in alpha.log()
    assert bravo.status()["door"]["guests"]["author-unknown"] == 1, "and then it asks for a place"
    assert bravo.status()["refused"]["guest-author-unknown"] == 1
    alpha.stop()
    alpha.start(clock_ahead_seconds=1_000)
    eventually(lambda: [one["word"] for one in alpha.status()["alarms"]] == ["not-let-in"], "an alarm")
