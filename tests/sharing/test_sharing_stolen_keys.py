"""What the thief of a partner's sign key, or of nothing but its certificate, can do to it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from whole_nodes import (
    NOW,
    READERS,
    World,
    befriend,
    draft,
    seal_unchecked,
    seen_by_daemon,
    send,
    take_in,
    wire_of,
)

from p2pshare.envelope import card_format
from p2pshare.envelope.card import fingerprint
from p2pshare.envelope.card_format import CardBody, Revocation, encode_versions, sign_card
from p2pshare.envelope.certificate import check_leaf
from p2pshare.envelope.keys import Identity, generate_operational_keys, reissue_card
from p2pshare.errors import PeerError
from p2pshare.http_server.tls import pin_of
from p2pshare.node.node import Node, note_config
from p2pshare.peering.tls import TlsGate
from p2pshare.queries.lookup import look_up
from p2pshare.queries.status import status
from p2pshare.sharing import intake
from p2pshare.sharing.intake import Arrival, IntakeStatus, IntakeVerdict, retry_deferred
from p2pshare.sharing.partners import (
    add_partner,
    apply_card_update,
    contested_certificates,
    load_roster,
)
from p2pshare.sharing.reading import read_all

DAY = 86_400
HIGHEST = 2**53 - 1


@pytest.fixture
def pair(world: World) -> tuple[Node, Node]:
    alpha, bravo = world.found("alpha"), world.found("bravo")
    befriend(alpha, bravo)
    befriend(bravo, alpha)
    return alpha, bravo


def bear(node: Node, wire: bytes, received_from: Node, now: int) -> IntakeVerdict:
    [verdict] = take_in(node, [Arrival(wire, received_from.identity.partner_id)], now)
    return verdict


def stolen(alpha: Node, bravo: Node, incarnation: int, now: int) -> bytes:
    """An envelope that the thief of alpha's sign key seals."""
    return seal_unchecked(alpha, draft(alpha, ["evil.example"], now=now), bravo, now, incarnation=incarnation)


# --- incarnations ----------------------------------------------------------------------------------


def test_one_envelope_with_the_highest_number_does_not_end_an_identity(
    world: World, pair: tuple[Node, Node]
) -> None:
    """It was taken in by everybody and came home: from the next start on alpha could not seal at all, also after a
    revocation."""
    alpha, bravo = pair
    evil = stolen(alpha, bravo, HIGHEST, NOW)
    for node, by in ((bravo, alpha), (alpha, bravo)):
        verdict = bear(node, evil, by, NOW)
        assert (verdict.status, verdict.reason) == (IntakeStatus.REFUSED, "incarnation-ahead")
    alpha = world.reopen("alpha")
    good = wire_of(alpha, send(alpha, ["good.example"], to=["bravo"], now=NOW + 30).envelopes[0])
    assert bear(bravo, good, alpha, NOW + 31).status is IntakeStatus.HELD


@pytest.mark.parametrize("ahead", [DAY - 1, DAY, DAY + 1, 2 * DAY - 1, 2 * DAY])
def test_a_thief_just_below_a_limit_does_not_mute_the_owner(
    world: World, pair: tuple[Node, Node], ahead: int
) -> None:
    """With one limit for reader and author the owner would have had to go beyond it."""
    alpha, bravo = pair
    evil = stolen(alpha, bravo, NOW + ahead, NOW)
    assert bear(bravo, evil, alpha, NOW).status is bear(alpha, evil, bravo, NOW).status is IntakeStatus.HELD
    for start in range(3):
        alpha = world.reopen("alpha")
        good = send(alpha, [f"good{start}.example"], to=["bravo"], now=NOW).envelopes[0]
        assert bear(bravo, wire_of(alpha, good), alpha, NOW).status is IntakeStatus.HELD
    assert not bravo.store.log.sequence_forks()


@pytest.mark.parametrize("is_revoked", [False, True])
def test_what_a_revoked_key_signed_moves_our_numbers_no_more(
    world: World, pair: tuple[Node, Node], is_revoked: bool
) -> None:
    alpha, bravo = pair
    bear(alpha, stolen(alpha, bravo, NOW + DAY, NOW), bravo, NOW)
    key_id, now = alpha.identity.operational.sign.key_id, NOW + 20
    renewed = reissue_card(
        alpha.identity,
        now,
        operational=generate_operational_keys(alpha.identity.partner_id, now),
        revoked=[Revocation(key_id, NOW, 1)] if is_revoked else [],
    )
    alpha = replace(world.reopen("alpha"), identity=renewed)
    note_config(alpha)
    assert apply_card_update(bravo, renewed.partner_id, renewed.card.raw, now)
    good = send(alpha, ["good.example"], to=["bravo"], now=now).envelopes[0]
    assert alpha.store.log.author_state(now).incarnation == (now if is_revoked else NOW + DAY + 1)
    assert bear(bravo, wire_of(alpha, good), alpha, now).status is IntakeStatus.HELD


# --- revoked keys ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("root", "reason"), [(bytes(32), "revoked-key"), (b"r" * 32, "not-vouched")])
def test_a_thief_who_dates_back_gets_nothing_in_after_the_revocation(
    pair: tuple[Node, Node], root: bytes, reason: str
) -> None:
    """Under incarnations that were never used, created before the theft, 20 days after it: 50 of 50 were taken in."""
    alpha, bravo = pair
    since = NOW + 20 * DAY
    renewed = reissue_card(
        alpha.identity,
        since + 10,
        operational=generate_operational_keys(alpha.identity.partner_id, since + 10),
        revoked=[Revocation(alpha.identity.operational.sign.key_id, since, 1, root)],
    )
    evil = [
        seal_unchecked(
            alpha,
            draft(alpha, [f"evil{number}.example"], now=created),
            bravo,
            created,
            incarnation=NOW - number,
            ttl_class=6,
        )
        for number, created in enumerate([NOW, since - 1, since, since + 50] * 3)
    ]
    assert apply_card_update(bravo, renewed.partner_id, renewed.card.raw, since + 20)
    assert {bear(bravo, wire, alpha, since + 100).reason for wire in evil} == {reason}
    assert bravo.store.log.counts().held == 0


def test_what_waits_to_be_read_when_the_revocation_comes_is_asked_again(pair: tuple[Node, Node]) -> None:
    """It was held, and its reader came after the card: a deferred envelope, too, is verified anew."""
    alpha, bravo = pair
    evil = seal_unchecked(alpha, draft(alpha, ["evil.example"], now=NOW + 500), bravo, NOW + 500)
    late = seal_unchecked(alpha, draft(alpha, ["late.example"], now=NOW + 2_000), bravo, NOW + 2_000, ahead=2)
    arrivals = [Arrival(wire, alpha.identity.partner_id) for wire in (evil, late)]
    verdicts = intake.take_in(bravo, arrivals, NOW + 500)
    assert [one.status for one in verdicts] == [IntakeStatus.HELD, IntakeStatus.DEFERRED]
    renewed = revoking(alpha)
    assert apply_card_update(bravo, renewed.partner_id, renewed.card.raw, NOW + 600)
    read_all(bravo, READERS, NOW + 600)
    assert [one.reason for one in retry_deferred(bravo, NOW + 2_000)] == ["revoked-key"]
    assert not look_up(bravo.store, ["evil.example"], NOW + 600)[0].found


# --- certificates ----------------------------------------------------------------------------------


def card_with(node: Node, certificates: tuple[bytes, ...]) -> bytes:
    """The card file of the node with a next version, properly signed, that has these TLS certificates."""
    card = node.identity.card
    fields = {name: getattr(card, name) for name in CardBody.__dataclass_fields__}
    body = replace(
        CardBody(**fields),
        version=card.version + 1,
        previous=card.body_digest,
        tls_certificates=certificates,
    )
    return encode_versions([card.raw, sign_card(body, node.identity.roots)])


def certificate_of(node: Node) -> bytes:
    return node.identity.operational.tls.certificate


def add(node: Node, other: Node, card: bytes) -> None:
    add_partner(
        node,
        card,
        confirmed_fingerprint=fingerprint(other.identity.partner_id),
        alias="",
        has_link=True,
        now=NOW,
    )


def revoking(node: Node) -> Identity:
    """The node's identity after all its daily keys were replaced and its sign key revoked."""
    return reissue_card(
        node.identity,
        NOW + 5,
        operational=generate_operational_keys(node.identity.partner_id, NOW + 5),
        revoked=[Revocation(node.identity.operational.sign.key_id, NOW, 1)],
    )


@pytest.mark.parametrize("victim", ["carol", "bravo"])
def test_a_partner_cannot_list_the_certificate_of_another(world: World, victim: str) -> None:
    """Mallory is added first, with a certificate that everybody sees who connects to its owner. `bravo` is ourselves."""
    nodes = {name: world.found(name) for name in ("bravo", "mallory", "carol")}
    bravo, mallory, carol = nodes.values()
    card = card_with(mallory, (certificate_of(nodes[victim]), certificate_of(mallory)))
    with pytest.raises(PeerError) as caught:
        add(bravo, mallory, card)
    assert caught.value.reason == "bad-certificate"
    befriend(bravo, mallory)
    with pytest.raises(PeerError) as caught:
        apply_card_update(bravo, mallory.identity.partner_id, card, NOW)
    assert caught.value.reason == "bad-certificate"
    befriend(bravo, carol)
    assert {entry.alias for entry in load_roster(bravo)} == {"carol", "mallory"}


def test_a_squatter_of_the_next_certificate_does_not_keep_a_revocation_away(world: World) -> None:
    """Whoever connects to carol sees her new certificate before her new card has gone round."""
    zed, mallory, carol = (world.found(name) for name in ("zed", "mallory", "carol"))
    befriend(zed, carol)
    befriend(zed, mallory)
    renewed = revoking(carol)
    squatted = card_with(mallory, (renewed.operational.tls.certificate, certificate_of(mallory)))
    with pytest.raises(PeerError) as caught:
        apply_card_update(zed, mallory.identity.partner_id, squatted, NOW + 6)
    assert caught.value.reason == "bad-certificate"
    check_revoked(zed, mallory, carol, renewed)


def test_even_where_two_cards_have_one_certificate_keys_and_revocations_apply(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second check alone: the first one, of the names in certificates, is switched off."""
    monkeypatch.setattr(card_format, "check_certificate", lambda der, partner_id: check_leaf(der))
    zed, mallory, carol = (world.found(name) for name in ("zed", "mallory", "carol"))
    befriend(zed, carol)
    renewed = revoking(carol)
    new = renewed.operational.tls.certificate
    add(zed, mallory, card_with(mallory, (new, certificate_of(mallory))))
    check_revoked(zed, mallory, carol, renewed)
    assert contested_certificates(zed.store) == [(carol.identity.partner_id, mallory.identity.partner_id)]
    [alarm] = status(seen_by_daemon(zed), NOW + 60).alarms
    assert (alarm.word, alarm.partner) == ("certificate-conflict", "carol")
    assert "mallory" in alarm.message
    gate = TlsGate(zed.identity.operational.tls)
    for entry in load_roster(zed):
        gate.add(entry.partner_id, entry.card.tls_certificates)
    owners = [gate.partner_of(pin_of(one)) for one in (new, certificate_of(carol), certificate_of(mallory))]
    assert owners == [None, None, mallory.identity.partner_id], "carol's old one left her card with its key"


def check_revoked(zed: Node, mallory: Node, carol: Node, renewed: Identity) -> None:
    """Zed learns of carol's new keys, and takes nothing that the old one signs from then on."""
    evil = seal_unchecked(carol, draft(carol, ["evil.example"], now=NOW + 50), zed, NOW + 50)
    assert apply_card_update(zed, carol.identity.partner_id, renewed.card.raw, NOW + 7)
    assert bear(zed, evil, mallory, NOW + 60).reason == "revoked-key"
    good = seal_unchecked(
        replace(carol, identity=renewed), draft(carol, ["good.example"], now=NOW + 50), zed, NOW + 50
    )
    assert bear(zed, good, mallory, NOW + 60).status is IntakeStatus.HELD
