"""Partners: nobody is trusted without a confirmed fingerprint, and a card chain can neither go back nor fork."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest
from whole_nodes import NOW, World, befriend

from p2pshare.envelope.card import fingerprint
from p2pshare.envelope.card_format import CardBody, encode_versions, sign_card, split_versions
from p2pshare.envelope.keys import SigningKey, reissue_card
from p2pshare.errors import AuthorError, NotFoundError, PeerError, RefusedError, ShareError
from p2pshare.identifiers import PartnerId
from p2pshare.node.node import Node
from p2pshare.queries.status import KEYS_WARNING_DAYS, status
from p2pshare.sharing.partners import (
    add_partner,
    apply_card_update,
    find_partner,
    freeze_partner,
    load_roster,
    remove_partner,
    sift_card,
)


def add(node: Node, raw: bytes, confirmed: str, alias: str = "", now: int = NOW) -> str:
    added = add_partner(node, raw, confirmed_fingerprint=confirmed, alias=alias, has_link=True, now=now)
    return added.alias


@pytest.fixture
def alpha(world: World) -> Node:
    return world.found("alpha")


@pytest.fixture
def bravo(world: World) -> Node:
    return world.found("bravo")


def test_card_under_another_fingerprint_is_refused(world: World, alpha: Node, bravo: Node) -> None:
    mallory = world.found("mallory")
    with pytest.raises(RefusedError) as caught:
        add(alpha, mallory.identity.card.raw, fingerprint(bravo.identity.partner_id))
    assert caught.value.reason == "fingerprint-mismatch"
    assert len(load_roster(alpha)) == 0


def test_mistyped_fingerprint_is_told_apart_from_a_wrong_one(alpha: Node, bravo: Node) -> None:
    good = fingerprint(bravo.identity.partner_id)
    typo = ("B" if good[0] != "B" else "C") + good[1:]
    with pytest.raises(AuthorError) as caught:
        add(alpha, bravo.identity.card.raw, typo)
    assert caught.value.reason == "bad-fingerprint"


def test_every_byte_cut_from_a_card_is_refused(alpha: Node, bravo: Node) -> None:
    raw, confirmed = bravo.identity.card.raw, fingerprint(bravo.identity.partner_id)
    for length in (0, 1, len(raw) // 2, len(raw) - 1):
        with pytest.raises(ShareError):
            add(alpha, raw[:length], confirmed)
    assert len(load_roster(alpha)) == 0


def test_own_card_taken_alias_and_unknown_names_are_refused(world: World, alpha: Node, bravo: Node) -> None:
    with pytest.raises(RefusedError, match="your own card"):
        add(alpha, alpha.identity.card.raw, fingerprint(alpha.identity.partner_id))
    befriend(alpha, bravo)
    charlie = world.found("charlie")
    confirmed = fingerprint(charlie.identity.partner_id)
    for alias in ("bravo", "no good", "-x", "a" * 65):
        with pytest.raises(AuthorError):
            add(alpha, charlie.identity.card.raw, confirmed, alias)
    assert add(alpha, charlie.identity.card.raw, confirmed, "Clinic.North") == "Clinic.North"
    with pytest.raises(NotFoundError):
        find_partner(alpha, "delta")


def test_expired_card_is_refused_at_first_contact(alpha: Node, bravo: Node) -> None:
    late = bravo.identity.card.expires
    with pytest.raises(PeerError) as caught:
        add(alpha, bravo.identity.card.raw, fingerprint(bravo.identity.partner_id), now=late)
    assert caught.value.reason == "card-expired"


def test_expired_partner_stays_in_the_roster_and_is_not_sealed_for(alpha: Node, bravo: Node) -> None:
    befriend(alpha, bravo)
    entry = load_roster(alpha).by_name("bravo")
    assert entry is not None
    assert entry.is_usable(NOW)
    assert not entry.is_usable(bravo.identity.card.expires)


def test_adding_again_changes_nothing_but_alias_and_link(alpha: Node, bravo: Node) -> None:
    befriend(alpha, bravo)
    befriend(alpha, bravo, has_link=False)
    roster = load_roster(alpha)
    assert [(entry.alias, entry.has_link) for entry in roster] == [("bravo", False)]


def test_newer_card_applies_older_is_refused_and_a_fork_freezes(alpha: Node, bravo: Node) -> None:
    """P8 and rule 9 of trust.md, against the store."""
    befriend(alpha, bravo)
    partner_id = bravo.identity.partner_id
    second = reissue_card(bravo.identity, NOW + 10, name="Bravo two")
    assert apply_card_update(alpha, partner_id, second.card.raw, NOW + 10)
    assert not apply_card_update(alpha, partner_id, second.card.raw, NOW + 10)
    with pytest.raises(PeerError) as caught:
        apply_card_update(alpha, partner_id, bravo.identity.card.raw, NOW + 10)
    assert caught.value.reason == "card-rollback"
    forked = reissue_card(bravo.identity, NOW + 20, name="Bravo too")
    with pytest.raises(PeerError) as caught:
        apply_card_update(alpha, partner_id, forked.card.raw, NOW + 20)
    assert caught.value.reason == "card-fork"
    entry = load_roster(alpha).get(partner_id)
    assert entry is not None and entry.is_frozen and entry.card.name == "Bravo two"
    assert len(alpha.store.partners.card_forks()) == 1


def test_card_of_another_partner_does_not_update(world: World, alpha: Node, bravo: Node) -> None:
    befriend(alpha, bravo)
    charlie = world.found("charlie")
    with pytest.raises(PeerError):
        apply_card_update(alpha, bravo.identity.partner_id, charlie.identity.card.raw, NOW)
    with pytest.raises(PeerError):
        apply_card_update(alpha, charlie.identity.partner_id, charlie.identity.card.raw, NOW)


def test_what_a_guest_hands_over_is_sifted_before_the_writer_is_asked(
    world: World, alpha: Node, bravo: Node
) -> None:
    befriend(alpha, bravo)
    bravo_id, first = bravo.identity.partner_id, bravo.identity
    second = reissue_card(first, NOW + 10, name="Bravo two")
    third = reissue_card(second, NOW + 11, name="Bravo three")
    assert sift_card(alpha, third.card.raw, expected=None, now=NOW + 20) == (
        bravo_id,
        encode_versions(split_versions(third.card.raw)[1:]),
    )
    assert sift_card(alpha, first.card.raw, expected=bravo_id, now=NOW) == (bravo_id, b"")
    fork = reissue_card(first, NOW + 12, name="Bravo too")
    assert apply_card_update(alpha, bravo_id, second.card.raw, NOW + 20)
    assert sift_card(alpha, fork.card.raw, expected=None, now=NOW + 20) == (bravo_id, fork.card.version_raw)
    body = CardBody(**{one.name: getattr(third.card, one.name) for one in fields(CardBody)})
    roots = (SigningKey.generate(), *third.roots)
    keys = sorted((root.verify_key for root in roots), key=lambda key: key.raw)
    rotated = sign_card(replace(body, roots=tuple(keys)), roots)
    charlie = world.found("charlie").identity

    def refused(raw: bytes, expected: PartnerId | None = None, now: int = NOW + 20) -> str:
        before = alpha.store.partners.all()
        with pytest.raises(PeerError) as caught:
            sift_card(alpha, raw, expected=expected, now=now)
        assert alpha.store.partners.all() == before
        return caught.value.reason

    assert refused(charlie.card.raw) == "author-unknown"
    assert refused(charlie.card.raw, bravo_id) == "card-other-partner"
    assert refused(reissue_card(alpha.identity, NOW + 10, name="x").card.raw) == "own-card"
    assert refused(rotated) == "card-roots-changed"
    assert refused(third.card.raw, now=NOW - 1_000) == "card-from-the-future"
    assert refused(b"") == "malformed"
    freeze_partner(alpha.store, bravo_id, evidence=(b"a", b"b"), now=NOW)
    assert refused(third.card.raw) == "author-frozen"


def test_removed_partner_may_be_added_again_but_not_with_an_older_card(alpha: Node, bravo: Node) -> None:
    befriend(alpha, bravo)
    second = reissue_card(bravo.identity, NOW + 10, name="Bravo two")
    apply_card_update(alpha, bravo.identity.partner_id, second.card.raw, NOW + 10)
    remove_partner(alpha, "bravo")
    assert load_roster(alpha).get(bravo.identity.partner_id) is None
    with pytest.raises(PeerError) as caught:
        add(alpha, bravo.identity.card.raw, fingerprint(bravo.identity.partner_id), now=NOW + 10)
    assert caught.value.reason == "card-rollback"
    assert "version 1, and 2 was known" in caught.value.message
    assert "newest card" in caught.value.hint
    newest = replace(bravo, identity=second)
    befriend(alpha, newest, now=NOW + 10)
    assert load_roster(alpha).by_name("bravo-two") is not None


def test_status_warns_before_the_keys_end_and_not_long_before(alpha: Node) -> None:
    end = alpha.identity.card.sign_keys[0].expires
    early = status(alpha, now=end - (KEYS_WARNING_DAYS + 1) * 86_400)
    late = status(alpha, now=end - KEYS_WARNING_DAYS * 86_400 + 1)
    over = status(alpha, now=end + 5 * 86_400)
    assert early.warnings == []
    assert f"end in {KEYS_WARNING_DAYS - 1} days" in late.warnings[0]
    assert "end in 0 days" in over.warnings[0]
