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


def test_a_thief_of_a_home_gets_nothing_into_effect_after_the_revocation(
    company: Company, eventually: Eventually
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
    thief.start()
    thief.publish("evil.example\n", "--to", "bravo", "--to", "charlie")
    for partner in (bravo, charlie):
        partner.wait_for("evil.example")
    thief.stop()

    stolen = believe_chain((alpha.home / "card.p2pcard").read_bytes()).sign_keys[0].key.key_id.text
    answer = alpha.cli_json("card", "revoke", stolen, "--reason", "compromised", "--json")
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
    assert guests.get("nothing-new") == 1, "the thief has knocked with the card of yesterday"
    assert guests.get("card-taken", 0) <= 1, "its owner's"
