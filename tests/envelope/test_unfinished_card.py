"""Cards signed on several machines: whatever the order, nobody can change one on its way, and none counts too early."""

from __future__ import annotations

from dataclasses import replace

import pytest
from envelope_forge import NOW, body_of
from envelope_forge import next_body as body_after
from hypothesis import given, settings
from hypothesis import strategies as st

from p2pshare.envelope.card import Card, accept_first, accept_update
from p2pshare.envelope.card_format import NO_PREVIOUS, encode_versions, partner_id_of, sign_card
from p2pshare.envelope.keys import Identity, SigningKey, create_identity, next_body
from p2pshare.envelope.unfinished_card import SignatureCount, UnfinishedCard, begin_card, read_unfinished
from p2pshare.errors import AuthorError, PeerError


@pytest.fixture(scope="module")
def five() -> Identity:
    """A partner with five roots, three of which must sign."""
    return create_identity("Board of Five", ["https://board.example:8443"], NOW, roots=5, threshold=3)


def renamed(identity: Identity) -> UnfinishedCard:
    return begin_card(identity.card, next_body(identity, NOW, name="Board Renamed"))


def reason_of(card: Card, raw: bytes) -> str:
    with pytest.raises(PeerError) as caught:
        accept_update(card, raw, NOW)
    return caught.value.reason


@settings(max_examples=30)
@given(st.lists(st.sets(st.integers(0, 4), max_size=3), max_size=5))
def test_whatever_the_order_it_counts_when_enough_have_signed_and_not_before(
    five: Identity, turns: list[set[int]]
) -> None:
    card, signed = renamed(five), set[int]()
    for turn in turns:
        card = read_unfinished(card.raw).signed_by([five.roots[number] for number in sorted(turn)])
        signed |= turn
    count = SignatureCount(len(signed), 3)
    assert (card.own, card.before) == (count, count)
    assert card.is_finished == (len(signed) >= 3)
    if card.is_finished:
        assert accept_update(five.card, card.raw, NOW).name == "Board Renamed"
        assert accept_first(card.raw, NOW).version == 2
    else:
        assert reason_of(five.card, card.raw) == ("card-threshold" if signed else "malformed")


def test_a_later_card_needs_the_old_roots_and_the_new_ones(five: Identity) -> None:
    fresh = [SigningKey.generate() for _ in range(2)]
    roots = (five.roots[0].verify_key, *(key.verify_key for key in fresh))
    card = begin_card(five.card, body_after(five.card, roots=roots, threshold=2))
    card = card.signed_by(five.roots[:3])
    assert (card.own, card.before) == (SignatureCount(1, 2), SignatureCount(3, 3))
    assert reason_of(five.card, card.raw) == "card-threshold"
    card = read_unfinished(card.raw).signed_by(fresh[:1])
    assert card.is_finished
    assert accept_update(five.card, card.raw, NOW).threshold == 2


def test_a_first_card_may_be_signed_so_too(five: Identity) -> None:
    card = begin_card(None, body_of(five.card))
    assert (card.own, card.before) == (SignatureCount(0, 3), SignatureCount(0, 0))
    card = card.signed_by(five.roots[:2]).signed_by(five.roots[4:])
    assert accept_first(card.raw, NOW).partner_id == five.partner_id
    with pytest.raises(PeerError) as caught:
        begin_card(None, body_after(five.card))
    assert caught.value.reason == "card-gap"


def test_once_anybody_has_signed_nothing_can_be_changed(five: Identity) -> None:
    card = renamed(five).signed_by(five.roots[:1])
    at = card.raw.rindex(b"Board Renamed")
    evil = card.raw[:at] + b"Mallory Corp." + card.raw[at + 13 :]
    with pytest.raises(PeerError) as caught:
        read_unfinished(evil)
    assert caught.value.reason == "bad-signature"
    for place in range(0, len(card.raw), 211):
        flipped = bytearray(card.raw)
        flipped[place] ^= 1
        with pytest.raises(PeerError):
            read_unfinished(bytes(flipped))


def test_roots_of_nobody_do_not_sign_and_nothing_is_signed_beside_them(
    five: Identity, mallory: Identity
) -> None:
    card = renamed(five)
    with pytest.raises(AuthorError) as caught:
        card.signed_by([five.roots[0], *mallory.roots])
    assert caught.value.reason == "not-a-root"
    assert card.own == SignatureCount(0, 3)


def test_what_does_not_follow_is_not_signed(five: Identity, mallory: Identity) -> None:
    for body, reason in (
        (body_after(five.card, previous=bytes(31) + b"x"), "card-gap"),
        (body_after(five.card, version=4), "malformed"),
        (
            body_after(
                five.card,
                partner_id=mallory.partner_id,
                tls_certificates=mallory.card.tls_certificates,
            ),
            "card-other-partner",
        ),
    ):
        with pytest.raises(PeerError) as caught:
            begin_card(five.card, body)
        assert caught.value.reason == reason
    stolen = replace(body_of(five.card), roots=mallory.card.roots, threshold=1)
    assert partner_id_of(stolen.roots, 1) != five.partner_id
    with pytest.raises(PeerError) as caught:
        begin_card(None, stolen)
    assert caught.value.reason == "card-identity"


def test_an_unfinished_version_is_the_newest_and_no_history(five: Identity) -> None:
    """Else three lines of a file would make a card whose second version nobody signed."""
    second = renamed(five)
    first, unsigned = five.card.raw, second._versions[-1].raw
    third = sign_card(replace(second.body, version=3, previous=second._versions[-1].body_digest), five.roots)
    with pytest.raises(PeerError) as caught:
        read_unfinished(encode_versions([first, unsigned, third]))
    assert caught.value.reason == "malformed"
    partly = second.signed_by(five.roots[:1])._versions[-1].raw
    with pytest.raises(PeerError) as caught:
        read_unfinished(encode_versions([first, partly, third]))
    assert caught.value.reason == "card-threshold"
    assert second.body.previous != NO_PREVIOUS
