"""A stolen home, and its owner's answer: real daemons, three in a line, and the thief's in its owner's place."""

from __future__ import annotations

import copy
import shutil
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from p2pshare.envelope.card import believe_chain

if TYPE_CHECKING:
    from conftest import Company

pytestmark = [
    pytest.mark.end_to_end,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="skipped: no /proc here"),
]
Eventually = Callable[[Callable[[], Any], str], Any]
IN_EFFECT = "SELECT value FROM v1_claims"


@pytest.mark.parametrize(
    ("thiefs_clock", "since"),
    [(0, 0), (-2 * 3_600, 0), (0, 3_600)],
    ids=["before since", "dated back", "between since and the arrival of the card"],
)
def test_a_thief_of_a_home_gets_nothing_into_effect_after_the_revocation(
    company: Company, eventually: Eventually, thiefs_clock: int, since: int
) -> None:
    alpha, bravo, charlie = company.chain()
    alpha.publish("good.example\n", "--to", "bravo", "--to", "charlie")
    for partner in (bravo, charlie):
        partner.wait_for("good.example")
    alpha.stop()
    thief = copy.copy(alpha)
    thief.home = alpha.home.parent / "thief"
    thief.name = "thief"
    shutil.copytree(alpha.home, thief.home)
    company.partners.append(thief)
    thief.start(clock_ahead_seconds=thiefs_clock)
    thief.publish("evil.example\n", "--to", "bravo", "--to", "charlie")
    for partner in (bravo, charlie):
        partner.wait_for("evil.example")
    thief.stop()

    stolen = believe_chain((alpha.home / "card.p2pcard").read_bytes()).sign_keys[0].key.key_id.text
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - since))
    answer = alpha.cli_json("card", "revoke", stolen, "--reason", "compromised", "--since", at, "--json")
    assert (answer["signed"], answer["vouched"]) == (True, 1)
    alpha.start()  # bravo knows no certificate that it shows: a knock makes it known; charlie is told nothing
    for partner in (bravo, charlie):
        eventually(
            lambda one=partner: {value for (value,) in one.query(IN_EFFECT)} == {"good.example"},  # type: ignore[misc]
            f"at {partner.name} only what alpha stands for is in effect",
        )
        gone = partner.query("SELECT op FROM v1_changes WHERE value = 'evil.example'")
        assert gone == [("remove",)]
    alpha.publish("after.example\n", "--to", "charlie")
    charlie.wait_for("after.example")
    alpha.stop()

    thief.start()  # it still has the port, the certificate and the keys of yesterday
    thief.publish("more.example\n", "--to", "bravo", "--to", "charlie")
    eventually(lambda: bravo.status()["door"]["handshakes_refused"], "bravo does not know that certificate")
    time.sleep(3)
    for partner in (bravo, charlie):
        assert "more.example" not in partner.values()
    guests = bravo.status()["door"]["guests"]
    assert guests.get("nothing-new", 0) >= 1, "the thief has knocked with the card of yesterday"
    assert guests.get("card-taken", 0) <= 1, "its owner's"


def test_while_pages_are_withheld_nothing_of_the_thiefs_time_is_in_effect_and_then_what_they_list(
    company: Company, eventually: Eventually
) -> None:
    alpha, bravo = company.pair()
    alpha.publish("good.example\n", "--to", "bravo")
    bravo.wait_for("good.example")
    alpha.stop()
    stolen = believe_chain((alpha.home / "card.p2pcard").read_bytes()).sign_keys[0].key.key_id.text
    an_hour_ago = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 3_600))
    alpha.cli("card", "revoke", stolen, "--reason", "compromised", "--since", an_hour_ago)
    pages, withheld = alpha.home / "vouch", alpha.home / "withheld"
    pages.rename(withheld)
    bravo.trust(alpha)
    alpha.start()
    eventually(lambda: bravo.query(IN_EFFECT) == [], "what was sealed since then is out without its pages")
    alpha.stop()
    withheld.rename(pages)
    alpha.start()
    eventually(lambda: bravo.query(IN_EFFECT) == [("good.example",)], "and in effect again with them")


def test_what_a_thief_withdrew_and_called_false_counts_again_after_the_revocation(
    company: Company, eventually: Eventually
) -> None:
    """Two daemons, and the thief's in the place of one of them."""
    alpha, bravo = company.linked("alpha", "bravo")
    for partner in (alpha, bravo):
        partner.configure("false_positive_reports", "1")
        partner.start()
    alpha.publish("kept.example\ntaken-back.example\n", "--to", "bravo")
    bravo.publish("of-bravo.example\n", "--to", "alpha")
    bravo.wait_for("kept.example", "taken-back.example")
    alpha.wait_for("of-bravo.example")
    alpha.stop()
    thief = copy.copy(alpha)
    thief.home = alpha.home.parent / "thief"
    thief.name = "thief"
    shutil.copytree(alpha.home, thief.home)
    company.partners.append(thief)
    alpha.cli("withdraw", "taken-back.example", "--reason", "mistake", "--yes")

    thief.start()
    for value in ("kept.example", "taken-back.example"):
        thief.cli("withdraw", value, "--reason", "legal", "--yes")
    thief.cli("sight", "of-bravo.example", "--false-positive")
    state = "SELECT value, status, reason FROM v1_indicators ORDER BY value"
    eventually(
        lambda: (
            bravo.query(state)
            == [
                ("kept.example", "delisted", "withdrawn"),
                ("of-bravo.example", "delisted", "false-positive"),
                ("taken-back.example", "delisted", "withdrawn"),
            ]
        ),
        "bravo believes the thief",
    )
    thief.stop()

    stolen = believe_chain((alpha.home / "card.p2pcard").read_bytes()).sign_keys[0].key.key_id.text
    answer = alpha.cli_json("card", "revoke", stolen, "--reason", "compromised", "--json")
    assert answer["signed"]
    bravo.trust(alpha)  # a new certificate is made known by hand as yet
    alpha.start()
    owners = [
        ("kept.example", "active", None),
        ("of-bravo.example", "active", None),
        ("taken-back.example", "delisted", "withdrawn"),
    ]
    eventually(lambda: bravo.query(state) == owners, "what alpha stands for counts, and nothing else")
    assert bravo.query("SELECT count(*) FROM v1_sightings") == [(0,)]
    last = bravo.query("SELECT op FROM v1_changes WHERE value IN ('kept.example', 'of-bravo.example')")
    assert last == [("add",), ("add",)]
    eventually(lambda: alpha.query(state) == owners, "the same at alpha, to which the thief's came home")
