"""Pending partners: nothing of a knock is believed, a person compares a fingerprint, and only the card of that id counts after it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path

import pytest
from whole_nodes import NOW, World, befriend

from p2pshare.envelope.card import fingerprint
from p2pshare.envelope.card_format import CardBody, encode_versions, sign_card, split_versions
from p2pshare.envelope.keys import Identity, create_identity, reissue_card
from p2pshare.envelope.knock import place_asked
from p2pshare.errors import AuthorError, NotFoundError, PeerError, RefusedError
from p2pshare.identifiers import PartnerId
from p2pshare.node.node import Node
from p2pshare.operations.partners import RenamePartner
from p2pshare.operations.pending import AcceptPending, ListPending, PendingPartner, RefusePending
from p2pshare.sharing.exchange import Exchange
from p2pshare.sharing.partners import load_roster, remove_partner
from p2pshare.sharing.pending import hear_place, named_id, note_place

NONCE = bytes(range(32))


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.close()


@pytest.fixture
def alpha(world: World) -> Node:
    return world.found("alpha")


@pytest.fixture(scope="module")
def guest() -> Identity:
    return create_identity("Guest CERT", ["https://guest.example:8443"], NOW)


@pytest.fixture(scope="module")
def mallory() -> Identity:
    return create_identity("Mallory", [], NOW)


def knock(node: Node, who: Identity, name: str = "", url: str = "https://guest.example:8443") -> bool:
    key, host = who.operational.tls, node.card.partner_id
    place = place_asked(who.partner_id, name or who.card.name, url, key, host=host, nonce=NONCE)
    if not hear_place(node, place, NONCE):
        return False
    note_place(node, place, "10.0.0.1", "10.0.0.0/24", random.choice, NOW)
    return True


def pending(node: Node) -> list[PendingPartner]:
    return ListPending().run(node, NOW, lambda *_: None).each


def accept(node: Node, who: str, **compared: str) -> str:
    return AcceptPending(who, **compared).run(node, NOW, lambda *_: None).state


def refuse(node: Node, who: str) -> None:
    RefusePending(who).run(node, NOW, lambda *_: None)


def deliver(node: Node, raw: bytes) -> bool:
    """As a guest's `[2, card file]` is taken."""
    exchange = Exchange(node)
    author, news = exchange.sift_card(raw, None, NOW)
    return bool(news) and exchange.apply_card(author, news, NOW)


def test_who_knocks_is_shown_as_it_calls_itself_and_is_no_partner(alpha: Node, guest: Identity) -> None:
    assert knock(alpha, guest)
    [shown] = pending(alpha)
    assert (shown.partner_id, shown.name, shown.url, shown.address, shown.knocks, shown.source, shown.notes) == (
        guest.partner_id.text, "Guest CERT", "https://guest.example:8443", "10.0.0.1", 1, "knock", [],
    )  # fmt: skip
    assert shown.fingerprint == fingerprint(guest.partner_id)
    assert len(load_roster(alpha)) == 0
    with pytest.raises(PeerError, match="stranger"):
        deliver(alpha, guest.card.raw)


def test_a_yes_to_the_right_fingerprint_lets_that_card_and_no_other_in(
    alpha: Node, guest: Identity, mallory: Identity
) -> None:
    knock(alpha, guest)
    for wrong in (fingerprint(mallory.partner_id), fingerprint(alpha.card.partner_id)):
        with pytest.raises(RefusedError) as caught:
            accept(alpha, guest.partner_id.text, fingerprint=wrong)
        assert (caught.value.exit_code, caught.value.reason) == (5, "fingerprint-mismatch")
    with pytest.raises(RefusedError) as caught:
        accept(alpha, guest.partner_id.text, words="one two three four five six")
    assert (caught.value.exit_code, caught.value.reason) == (5, "no-words")
    with pytest.raises(AuthorError):
        accept(alpha, guest.partner_id.text, fingerprint="no fingerprint")
    assert alpha.store.pending.accepted() == []
    assert accept(alpha, guest.partner_id.text[:8], fingerprint=fingerprint(guest.partner_id)) == "accepted"
    assert pending(alpha) == [] and len(load_roster(alpha)) == 0
    with pytest.raises(PeerError, match="stranger"):
        deliver(alpha, mallory.card.raw)
    assert deliver(alpha, guest.card.raw)
    [partner] = load_roster(alpha)
    assert (partner.partner_id, partner.has_link, partner.alias) == (guest.partner_id, True, "guest-cert")
    assert alpha.store.pending.decisions() == {} and alpha.store.pending.all() == []
    assert not knock(alpha, guest), "a partner does not wait"


@pytest.mark.parametrize("how", ["other-roots", "cut", "behind", "in-front", "expired"])
def test_a_forged_card_of_an_accepted_id_makes_no_partner(
    alpha: Node, guest: Identity, mallory: Identity, how: str
) -> None:
    knock(alpha, guest)
    accept(alpha, guest.partner_id.text, fingerprint=fingerprint(guest.partner_id))
    second = reissue_card(guest, NOW, name="Guest Two").card
    first = guest.card.version_raw
    body = CardBody(**{one.name: getattr(guest.card, one.name) for one in fields(CardBody)})
    other_roots = replace(body, roots=mallory.card.roots)
    raw, reason = {
        "other-roots": (sign_card(other_roots, mallory.roots), "card-identity"),
        "cut": (second.version_raw, "card-gap"),
        "behind": (encode_versions([first, bytes(50_000), second.version_raw]), "malformed"),
        "in-front": (encode_versions([mallory.card.version_raw, second.version_raw]), "card-other-partner"),
        "expired": (create_identity("Old", [], NOW - 500 * 86_400).card.raw, "author-unknown"),
    }[how]  # fmt: skip
    with pytest.raises(PeerError) as caught:
        deliver(alpha, raw)
    assert caught.value.reason == reason
    assert len(load_roster(alpha)) == 0
    assert deliver(alpha, second.raw), "and the true one is not kept out by it"


def test_what_is_behind_a_forged_version_is_not_looked_at(
    alpha: Node, guest: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Anybody who holds our card may hand over 4 MiB under an id that was accepted."""
    knock(alpha, guest)
    accept(alpha, guest.partner_id.text, fingerprint=fingerprint(guest.partner_id))
    newest = reissue_card(guest, NOW, name="Guest Two").card
    raw = encode_versions([guest.card.version_raw, *[bytes(16_000)] * 200, newest.version_raw])
    from p2pshare.envelope import card as card_rules

    looked_at: list[int] = []
    decode = card_rules.decode_card
    monkeypatch.setattr(card_rules, "decode_card", lambda one: looked_at.append(len(one)) or decode(one))
    with pytest.raises(PeerError):
        deliver(alpha, raw)
    assert len(looked_at) <= 3, f"of {len(split_versions(raw))} versions"


def test_who_was_refused_is_not_shown_again_until_a_person_changes_its_mind(
    alpha: Node, guest: Identity
) -> None:
    knock(alpha, guest)
    refuse(alpha, guest.partner_id.text)
    assert pending(alpha) == [] and not knock(alpha, guest) and pending(alpha) == []
    with pytest.raises(PeerError, match="stranger"):
        deliver(alpha, guest.card.raw)
    accept(alpha, guest.partner_id.text, fingerprint=fingerprint(guest.partner_id), alias="guest")
    assert deliver(alpha, guest.card.raw)
    assert [one.alias for one in load_roster(alpha)] == ["guest"]


def test_a_yes_can_be_taken_back_before_the_card_comes(alpha: Node, guest: Identity) -> None:
    knock(alpha, guest)
    accept(alpha, guest.partner_id.text, fingerprint=fingerprint(guest.partner_id))
    refuse(alpha, guest.partner_id.text)
    with pytest.raises(PeerError, match="stranger"):
        deliver(alpha, guest.card.raw)


def test_nobody_waits_under_an_id_that_did_not_knock(alpha: Node, guest: Identity) -> None:
    for typed in (guest.partner_id.text, "", "00", "zz", "--", guest.partner_id.text[:7], "\u3164" * 8):
        with pytest.raises(NotFoundError):
            accept(alpha, typed, fingerprint=fingerprint(guest.partner_id))
        with pytest.raises(NotFoundError):
            refuse(alpha, typed)
    knock(alpha, guest)
    with pytest.raises(NotFoundError):
        refuse(alpha, guest.partner_id.text[:7])
    twin = PartnerId(guest.partner_id[:10] + bytes(22))
    with pytest.raises(AuthorError) as caught:
        named_id(guest.partner_id.text[:12], [guest.partner_id, twin])
    assert caught.value.reason == "ambiguous"


def test_a_name_is_taken_for_the_partner_only_where_it_is_free(
    alpha: Node, guest: Identity, world: World
) -> None:
    bravo = world.found("bravo")
    befriend(alpha, bravo)
    knock(alpha, guest)
    confirmed = fingerprint(guest.partner_id)
    for alias, reason in (("bravo", "alias-taken"), ("no good", "input"), ("-", "input")):
        with pytest.raises(AuthorError) as caught:
            accept(alpha, guest.partner_id.text, fingerprint=confirmed, alias=alias)
        assert caught.value.reason == reason
    accept(alpha, guest.partner_id.text, fingerprint=confirmed, alias="later")
    RenamePartner("bravo", "later").run(alpha, NOW, lambda *_: None)
    assert deliver(alpha, guest.card.raw), "nobody is there to ask: it gets another name"
    assert sorted(one.alias for one in load_roster(alpha)) == ["later", f"partner-{guest.partner_id.short}"]


@pytest.mark.parametrize(
    "name",
    [
        "bravo",
        "BRAVO",
        "Br\u0430vo",
        "br\u00e1vo",
        "b-r-a-v-o",
        "bra\u200bvo",
        "\uff42\uff52\uff41\uff56\uff4f",
        "brav0",
    ],
)
def test_a_name_that_imitates_a_partner_is_shown_as_such(
    alpha: Node, guest: Identity, world: World, name: str
) -> None:
    befriend(alpha, world.found("bravo"))
    knock(alpha, guest, name)
    [shown] = pending(alpha)
    assert "its name reads like that of your partner 'bravo', whose fingerprint is another" in shown.notes
    assert shown.name == name


def test_one_that_calls_itself_as_we_do_or_was_removed_is_shown_as_such(
    alpha: Node, guest: Identity, world: World
) -> None:
    knock(alpha, guest, "ALPHA")
    bravo = world.found("bravo")
    befriend(alpha, bravo)
    remove_partner(alpha, "bravo")
    knock(alpha, bravo.identity)
    notes = {one.name: one.notes for one in pending(alpha)}
    assert notes["ALPHA"] == ["its name reads like that of this node itself, whose fingerprint is another"]
    assert notes["bravo"] == ["was your partner 'bravo', and was removed"]
    knock(alpha, guest, "Bravo")
    [shown] = [one for one in pending(alpha) if one.name == "Bravo"]
    assert "reads like that of 'bravo', who was your partner and was removed" in shown.notes[0]


def test_our_own_id_and_replayed_words_are_refused(alpha: Node, guest: Identity) -> None:
    with pytest.raises(PeerError) as caught:
        knock(alpha, alpha.identity)
    assert caught.value.reason == "own-card"
    place = place_asked(
        guest.partner_id, "G", "", guest.operational.tls, host=alpha.card.partner_id, nonce=bytes(32)
    )
    with pytest.raises(PeerError) as caught:
        hear_place(alpha, place, NONCE)
    assert caught.value.reason == "bad-signature"
    assert pending(alpha) == []


def test_a_partner_is_called_otherwise_wherever_its_name_is_read(alpha: Node, world: World) -> None:
    bravo = world.found("bravo")
    befriend(alpha, bravo)
    befriend(alpha, world.found("charlie"))
    renamed = RenamePartner("bravo", "Hospital.B").run(alpha, NOW, lambda *_: None)
    assert renamed.alias == "Hospital.B" and renamed.name == "bravo"
    assert alpha.store.partners.names()[bravo.card.partner_id] == "Hospital.B"
    RenamePartner(bravo.card.partner_id.text, "Hospital.B").run(alpha, NOW, lambda *_: None)
    for new, reason in (("charlie", "alias-taken"), ("no good", "input"), ("", "input"), ("x" * 65, "input")):
        with pytest.raises(AuthorError) as caught:
            RenamePartner("Hospital.B", new).run(alpha, NOW, lambda *_: None)
        assert caught.value.reason == reason
    with pytest.raises(NotFoundError):
        RenamePartner("bravo", "b").run(alpha, NOW, lambda *_: None)


def test_a_partner_in_a_group_keeps_its_name_until_the_group_lets_it_go(alpha: Node, world: World) -> None:
    befriend(alpha, world.found("bravo"))
    alpha.config.groups["hospitals"] = ("bravo",)
    with pytest.raises(RefusedError) as caught:
        RenamePartner("bravo", "b").run(alpha, NOW, lambda *_: None)
    assert caught.value.reason == "alias-in-group"
    assert [one.alias for one in load_roster(alpha)] == ["bravo"]


@pytest.mark.parametrize(("claimed", "is_seen"), [("Guest CERT", True), ("Clinic Seven", False)])
def test_the_name_of_a_card_counts_only_if_a_person_has_seen_it(
    alpha: Node, guest: Identity, claimed: str, is_seen: bool
) -> None:
    """Whoever knocks says one name, and its card, which comes after the yes and when nobody looks, another."""
    knock(alpha, guest, claimed)
    accept(alpha, guest.partner_id.text, fingerprint=fingerprint(guest.partner_id))
    assert deliver(alpha, guest.card.raw)
    [entry] = load_roster(alpha)
    assert entry.alias == ("guest-cert" if is_seen else f"partner-{guest.partner_id.short}")


def test_who_knocked_comes_into_no_group_by_its_name(alpha: Node, guest: Identity) -> None:
    """A group of the configuration waits for somebody of that name; what is AMBER may go to groups."""
    alpha.config.groups["ministries"] = ("guest-cert",)
    knock(alpha, guest)
    accept(alpha, guest.partner_id.text, fingerprint=fingerprint(guest.partner_id))
    assert deliver(alpha, guest.card.raw)
    [entry] = load_roster(alpha)
    assert entry.alias == f"partner-{guest.partner_id.short}"
