"""explain and preview say what the exchange does: the same answers as the real path, for every envelope and partner."""

from __future__ import annotations

import pytest
from whole_nodes import NOW, World, befriend, send, take_in

from p2pshare.envelope.envelope import Mode
from p2pshare.errors import NotFoundError
from p2pshare.identifiers import EnvelopeId
from p2pshare.intel.marking import Tlp
from p2pshare.node.node import Node
from p2pshare.queries.explaining import RULES, Preview, explain, preview
from p2pshare.sharing.exchange import Exchange
from p2pshare.sharing.intake import Arrival


@pytest.fixture
def nodes(world: World) -> dict[str, Node]:
    """alpha has links to bravo and charlie, and trusts delta without one; bravo has sent it something."""
    found = {name: world.found(name) for name in ("alpha", "bravo", "charlie", "delta")}
    for name in ("bravo", "charlie", "delta"):
        befriend(found["alpha"], found[name], has_link=name != "delta")
        befriend(found[name], found["alpha"])
    befriend(found["bravo"], found["charlie"])
    send(found["alpha"], ["green.example"], to=[], tlp=Tlp.GREEN)
    send(found["alpha"], ["amber.example"], to=["bravo"], tlp=Tlp.AMBER)
    send(found["alpha"], ["red.example"], to=["bravo"], tlp=Tlp.RED)
    send(found["bravo"], ["relayed.example"], to=["alpha"], tlp=Tlp.AMBER)
    send(found["bravo"], ["straight.example"], to=["alpha"], tlp=Tlp.RED)
    send(found["bravo"], ["sealed.example"], to=["charlie"], tlp=Tlp.AMBER)
    bravo = found["bravo"]
    wires = [bravo.store.log.wire(entry.envelope_id) for entry in bravo.store.log.entries(0, 10)]
    arrivals = [Arrival(wire, bravo.identity.partner_id) for wire in wires if wire is not None]
    assert len(take_in(found["alpha"], arrivals, NOW)) == 3
    return found


def about(node: Node, value: str, partner: str) -> tuple[str, str, str]:
    [told] = explain(node, value, partner, NOW).envelopes
    return told.rule, told.got, told.can_read


def test_each_envelope_and_partner_has_the_answer_of_the_exchange(nodes: dict[str, Node]) -> None:
    alpha = nodes["alpha"]
    exchange = Exchange(alpha)
    for name in ("bravo", "charlie", "delta"):
        peer = nodes[name].identity.partner_id
        for entry in alpha.store.log.entries(0, 100):
            [told] = explain(alpha, entry.envelope_id.text, name, NOW).envelopes
            if entry.author != peer:
                assert told.leaves is (exchange.wire(peer, entry.envelope_id) is not None)
            assert told.because == RULES[told.rule]


def test_own_content_is_told_with_its_rule_and_its_readers(nodes: dict[str, Node]) -> None:
    alpha = nodes["alpha"]
    assert about(alpha, "green.example", "bravo") == ("circle-on-link", "unknown", "yes")
    assert about(alpha, "green.example", "delta") == ("no-link", "unknown", "yes")
    assert about(alpha, "amber.example", "charlie") == ("circle-on-link", "unknown", "no")
    assert about(alpha, "red.example", "bravo") == ("direct-recipient", "not-yet", "yes")
    assert about(alpha, "red.example", "charlie") == ("not-a-recipient", "no", "no")
    red = next(entry for entry in alpha.store.log.entries(0, 9) if entry.mode == Mode.DIRECT and entry.is_own)
    alpha.store.log.acknowledge(red.envelope_id, nodes["bravo"].identity.partner_id)
    assert about(alpha, "red.example", "bravo") == ("direct-recipient", "yes", "yes")


def test_a_relayed_envelope_that_its_recipient_acknowledged_has_arrived(nodes: dict[str, Node]) -> None:
    alpha, bravo = nodes["alpha"], nodes["bravo"].identity.partner_id
    [told] = explain(alpha, "amber.example", "bravo", NOW).envelopes
    envelope_id = EnvelopeId.parse(told.envelope_id)
    assert alpha.store.log.audience(envelope_id) == {bravo: False}
    alpha.store.log.acknowledge(envelope_id, bravo)
    assert about(alpha, "amber.example", "bravo") == ("circle-on-link", "yes", "yes")
    alpha.store.partners.remove(bravo)
    assert alpha.store.log.audience(envelope_id) == {bravo: True}


def test_what_another_sealed_is_carried_or_not_and_its_readers_are_unknown(nodes: dict[str, Node]) -> None:
    alpha = nodes["alpha"]
    assert about(alpha, "relayed.example", "charlie") == ("circle-on-link", "unknown", "unknown")
    assert about(alpha, "relayed.example", "bravo") == ("author", "yes", "yes")
    assert about(alpha, "straight.example", "charlie") == ("direct-from-another", "no", "unknown")


def test_addressing_says_what_publishing_would_say(nodes: dict[str, Node]) -> None:
    alpha = nodes["alpha"]
    allowed = explain(alpha, "red.example", "bravo", NOW).addressing
    assert (allowed.allowed, allowed.tlp) == (True, "TLP:RED")
    refused = explain(alpha, "red.example", "delta", NOW).addressing
    assert (refused.allowed, refused.reason) == (False, "no-direct-link")
    late = nodes["bravo"].identity.card.expires
    assert explain(alpha, "green.example", "bravo", late).addressing.reason == "card-expired"


def test_what_has_expired_no_longer_goes_and_what_is_unknown_is_not_found(nodes: dict[str, Node]) -> None:
    alpha = nodes["alpha"]
    alpha.store.log.expire(NOW + 100 * 86_400)
    assert about(alpha, "green.example", "bravo")[0] == "expired"
    for asked, partner in (("nowhere.example", "bravo"), ("no value", "bravo"), ("green.example", "nobody")):
        with pytest.raises(NotFoundError):
            explain(alpha, asked, partner, NOW)


def handed(node: Node, peer: Node) -> set[str]:
    """What the exchange hands a peer, of everything that is held."""
    entries = [one for one in node.store.log.entries(0, 100) if one.author != peer.identity.partner_id]
    ids = [one.envelope_id for one in entries]
    wires = Exchange(node).wires(peer.identity.partner_id, ids)
    return {envelope_id.text for envelope_id, wire in wires if wire is not None}


def listed(told: Preview) -> set[str]:
    return {one.envelope_id for one in told.leaving}


def test_a_preview_is_what_the_partner_is_handed_when_its_link_is_enabled(nodes: dict[str, Node]) -> None:
    alpha, delta = nodes["alpha"], nodes["delta"]
    before = preview(alpha, "delta", with_list=True)
    assert (before.has_link, handed(alpha, delta)) == (False, set())
    befriend(alpha, delta)
    assert handed(alpha, delta) == listed(before) != set()
    for name in ("bravo", "charlie"):
        told = preview(alpha, name, with_list=True)
        assert listed(told) == handed(alpha, nodes[name])
        assert len(told.leaving) == told.envelopes == sum(told.by_mode.values())


def test_a_preview_counts_by_marking_circle_and_mode_and_why_the_rest_stays(nodes: dict[str, Node]) -> None:
    told = preview(nodes["alpha"], "charlie", with_list=False)
    assert told.by_marking == {"TLP:AMBER": 2, "TLP:GREEN": 1, "unread": 1}
    assert (told.by_circle, told.by_mode) == ({"main": 4}, {"relay": 4})
    assert told.kept == {"direct-from-another": 1, "not-a-recipient": 1}
    assert (told.own, told.leaving) == (2, [])
