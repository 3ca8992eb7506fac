"""Our own card: renewed in time, taken up by who works with it, and a certificate that locks nobody out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from whole_nodes import NOW, World, befriend, quiet, send, take_in, wire_of

from p2pshare.envelope.card import accept_update
from p2pshare.envelope.certificate import ends_at
from p2pshare.envelope.keys import SigningKey
from p2pshare.errors import RefusedError
from p2pshare.node.node import Node
from p2pshare.operations.cards import InstallCard, RenewCard, RotateCard, SetCard, SetRoots
from p2pshare.sharing.intake import Arrival, IntakeStatus
from p2pshare.sharing.own_card import needs_renewal, shown_by, shown_tls_key
from p2pshare.sharing.partners import apply_card_update

DAY = 86_400


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.close()


@pytest.fixture
def pair(world: World) -> tuple[Node, Node]:
    alpha, bravo = world.found("alpha"), world.found("bravo")
    befriend(alpha, bravo)
    befriend(bravo, alpha)
    return alpha, bravo


def test_keys_are_renewed_at_day_30_of_90_and_not_before(pair: tuple[Node, Node]) -> None:
    alpha, _ = pair
    early = RenewCard().run(alpha, NOW + 30 * DAY - 1, quiet)
    assert (early.version, early.is_new, early.signed) == (1, False, True)
    due = RenewCard().run(alpha, NOW + 30 * DAY, quiet)
    assert (due.version, due.is_new, due.signed) == (2, True, True)
    assert not needs_renewal(alpha.card, NOW + 60 * DAY - 1)
    assert alpha.card.version == 2


def test_a_card_that_ends_sooner_than_its_keys_is_renewed_with_them(pair: tuple[Node, Node]) -> None:
    alpha, _ = pair
    assert needs_renewal(alpha.card, alpha.card.expires - 1)


def test_what_is_sealed_after_a_rotation_is_believed_by_who_has_the_card_and_read_by_us_from_before(
    pair: tuple[Node, Node],
) -> None:
    alpha, bravo = pair
    [before] = send(bravo, ["before.example"], to=["alpha"]).envelopes
    RotateCard().run(alpha, NOW + 5, quiet)
    [after] = send(alpha, ["after.example"], to=["bravo"], now=NOW + 10).envelopes
    arrival = Arrival(wire_of(alpha, after), alpha.identity.partner_id)
    [verdict] = take_in(bravo, [arrival], NOW + 11)
    assert verdict.status is IntakeStatus.REFUSED, "bravo has not heard of the key yet"
    assert apply_card_update(bravo, alpha.identity.partner_id, alpha.card.raw, NOW + 12)
    [verdict] = take_in(bravo, [arrival], NOW + 13)
    assert verdict.status is IntakeStatus.HELD
    take_in(alpha, [Arrival(wire_of(bravo, before), bravo.identity.partner_id)], NOW + 14)
    assert alpha.store.log.counts().opened == 2, "a retired key opens what was sealed for it"


def test_a_reopened_node_has_the_rotated_card_and_keys(world: World, pair: tuple[Node, Node]) -> None:
    alpha, _ = pair
    RotateCard().run(alpha, NOW + 5, quiet)
    SetCard("Alpha Two", ("https://two.example:8443",)).run(alpha, NOW + 6, quiet)
    again = world.reopen("alpha")
    assert again.card == alpha.card
    assert (again.identity.operational, again.identity.retired) == (
        alpha.identity.operational,
        alpha.identity.retired,
    )
    assert alpha.identity.roots == (), "who works with the keys holds no root"
    assert (again.card.version, again.card.name, again.card.urls) == (
        3,
        "Alpha Two",
        ("https://two.example:8443",),
    )


def test_an_installed_file_of_somebody_else_or_of_other_keys_changes_nothing(
    world: World, pair: tuple[Node, Node]
) -> None:
    alpha, bravo = pair
    for raw, reason in ((bravo.card.raw, "card-other-partner"), (b"no card", "malformed")):
        with pytest.raises(RefusedError) as caught:
            InstallCard(raw).run(alpha, NOW, quiet)
        assert caught.value.reason == reason
    assert not InstallCard(alpha.card.raw).run(alpha, NOW, quiet).is_new
    twin = alpha.identity
    RotateCard().run(alpha, NOW + 5, quiet)
    rotated = alpha.card.raw
    alpha.identity = twin  # as a copy of the home has it that the rotation never reached
    with pytest.raises(RefusedError) as caught:
        InstallCard(rotated).run(alpha, NOW + 6, quiet)
    assert caught.value.reason == "card-keys-missing"
    assert alpha.identity is twin


# --- the certificate ---


def test_the_old_certificate_is_shown_until_every_linked_partner_has_fetched_the_new_card(
    world: World, pair: tuple[Node, Node]
) -> None:
    """A partner pins what it knows: shown another one it would refuse us, and never fetch the card that names it."""
    alpha, bravo = pair
    carol, zoe = world.found("carol"), world.found("zoe")
    befriend(alpha, carol)
    befriend(alpha, zoe, has_link=False)
    old = alpha.identity.operational.tls.certificate
    RotateCard().run(alpha, NOW + 5, quiet)
    new = alpha.identity.operational.tls.certificate
    assert shown_by(alpha, NOW + 5).certificate == old != new
    alpha.store.partners.note_card_fetches({bravo.identity.partner_id: 2})
    alpha.store.partners.note_card_fetches({carol.identity.partner_id: 1})
    assert shown_by(alpha, NOW + 5).certificate == old
    alpha.store.partners.note_card_fetches({carol.identity.partner_id: 2})
    alpha.store.partners.note_card_fetches({carol.identity.partner_id: 1})  # an answer that came late
    assert shown_by(alpha, NOW + 5).certificate == new


def test_the_old_certificate_is_shown_at_most_until_a_day_before_it_ends(pair: tuple[Node, Node]) -> None:
    alpha, _ = pair
    old = alpha.identity.operational.tls.certificate
    RotateCard().run(alpha, NOW + 5, quiet)
    ends = ends_at(old)
    assert shown_by(alpha, ends - DAY - 1).certificate == old
    assert shown_by(alpha, ends - DAY).certificate != old


def test_a_partner_that_missed_two_rotations_still_meets_a_certificate_that_it_knows(
    pair: tuple[Node, Node],
) -> None:
    alpha, _ = pair
    old, known = alpha.identity.operational.tls.certificate, alpha.card
    for number in (1, 2):
        RotateCard().run(alpha, NOW + number, quiet)
        assert shown_by(alpha, NOW + number).certificate == old
    assert old in known.tls_certificates
    caught_up = accept_update(known, alpha.card.raw, NOW + 3)
    assert old in caught_up.tls_certificates, "and so it does once it has caught up"


def test_a_change_of_the_name_alone_moves_no_certificate(pair: tuple[Node, Node]) -> None:
    alpha, bravo = pair
    RotateCard().run(alpha, NOW + 1, quiet)
    alpha.store.partners.note_card_fetches({bravo.identity.partner_id: 2})
    new = shown_by(alpha, NOW + 1)
    SetCard("Alpha Two").run(alpha, NOW + 2, quiet)
    assert shown_by(alpha, NOW + 2) == new, "who has version 2 knows it, whatever version 3 says besides"


def test_a_node_without_links_shows_the_newest(pair: tuple[Node, Node]) -> None:
    alpha, _ = pair
    RotateCard().run(alpha, NOW + 1, quiet)
    assert shown_tls_key(alpha.identity, [], {}, NOW + 1) == alpha.identity.operational.tls


def test_after_a_change_of_roots_the_old_certificate_is_shown_until_it_ends(pair: tuple[Node, Node]) -> None:
    """Who has fetched such a card does not believe it until a person there says so."""
    alpha, bravo = pair
    old = alpha.identity.operational.tls.certificate
    fresh = SigningKey.generate().verify_key.raw
    SetRoots(1, add=(fresh,)).run(alpha, NOW + 1, quiet)
    RotateCard().run(alpha, NOW + 2, quiet)
    alpha.store.partners.note_card_fetches({bravo.identity.partner_id: alpha.card.version})
    assert shown_by(alpha, NOW + 3).certificate == old
    assert shown_by(alpha, ends_at(old)).certificate == alpha.identity.operational.tls.certificate
