"""A stolen home, and its owner's answer: real daemons, three in a line, and the thief's in its owner's place."""

from __future__ import annotations

import copy
import shutil
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from p2pshare.envelope.card_format import Revocation
from p2pshare.envelope.keys import generate_operational_keys, reissue_card
from p2pshare.envelope.vouch import vouch
from p2pshare.identifiers import CircleId, EnvelopeId
from p2pshare.node.keyfile import read_identity, write_card_file, write_key_file
from p2pshare.node.node import close_node, open_node
from p2pshare.sharing.notices import hold_pages

if TYPE_CHECKING:
    from conftest import Company, Partner

pytestmark = [
    pytest.mark.end_to_end,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="skipped: no /proc here"),
]
Eventually = Callable[[Callable[[], Any], str], Any]
IN_EFFECT = "SELECT value FROM v1_claims"


def revoke(owner: Partner, stand_for: list[str]) -> None:
    """What a command will do: new keys, and a card that revokes the old ones but for some envelopes. Nothing runs here."""
    keys, card = owner.home / "identity.p2pkey", owner.home / "card.p2pcard"
    identity, now = read_identity(keys, card), int(time.time())
    key_id = identity.operational.sign.key_id
    made = vouch(
        identity.partner_id, key_id, {CircleId.of("main"): [EnvelopeId.parse(one) for one in stand_for]}
    )
    fresh = generate_operational_keys(identity.partner_id, now)
    since = now - 3_600  # before anything that was published here
    renewed = reissue_card(
        identity, now, operational=fresh, revoked=[Revocation(key_id, since, 1, made.root)]
    )
    write_key_file(keys, renewed)
    write_card_file(card, renewed.card)
    node = open_node(owner.home)
    try:
        hold_pages(node, made)
    finally:
        close_node(node)


def test_a_thief_of_a_home_gets_nothing_into_effect_after_the_revocation(
    company: Company, eventually: Eventually
) -> None:
    alpha, bravo, charlie = company.chain()
    [good] = alpha.publish("good.example\n", "--to", "bravo", "--to", "charlie")["envelopes"]
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

    revoke(alpha, [good])
    bravo.trust(alpha)  # a new certificate is made known by hand as yet; charlie is told nothing
    alpha.start()
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
