"""Notices: what goes round is one version of a card or one vouch page, under an id of its own."""

from __future__ import annotations

import pytest
from envelope_forge import NOW, request
from hypothesis import given
from hypothesis import strategies as st

from p2pshare.envelope.card_format import DecodedCard, Revocation
from p2pshare.envelope.keys import Identity, generate_operational_keys, reissue_card
from p2pshare.envelope.notice import read_notice
from p2pshare.envelope.sealing import seal
from p2pshare.envelope.vouch import VouchPage, vouch
from p2pshare.errors import PeerError
from p2pshare.identifiers import CircleId, EnvelopeId

SINCE = NOW - 60


@pytest.fixture(scope="module")
def revoked(alpha: Identity) -> tuple[Identity, bytes]:
    """Alpha with a new card that revokes a key, and a page of what is vouched for under it."""
    key_id = alpha.operational.sign.key_id
    made = vouch(alpha.partner_id, key_id, {CircleId.of("main"): [EnvelopeId(bytes(32))]})
    fresh = generate_operational_keys(alpha.partner_id, NOW + 5)
    revocation = Revocation(key_id, SINCE, 1, made.root)
    [(_, page)] = made.pages()
    return reissue_card(alpha, NOW + 5, operational=fresh, revoked=[revocation]), page


def test_a_card_and_a_page_are_notices_of_their_author_in_its_time(
    alpha: Identity, revoked: tuple[Identity, bytes]
) -> None:
    renewed, page = revoked
    card, vouched = read_notice(renewed.card.version_raw), read_notice(page)
    assert isinstance(card.content, DecodedCard)
    assert isinstance(vouched.content, VouchPage)
    assert card.author == vouched.author == alpha.partner_id
    assert (card.created(renewed.card), vouched.created(renewed.card)) == (NOW + 5, SINCE)
    assert len({card.notice_id, vouched.notice_id, read_notice(alpha.card.raw).notice_id}) == 3


def test_a_page_has_no_time_by_a_card_that_does_not_stand_for_it(
    alpha: Identity, bravo: Identity, revoked: tuple[Identity, bytes]
) -> None:
    for card in (alpha.card, bravo.card):
        with pytest.raises(PeerError) as caught:
            read_notice(revoked[1]).created(card)
        assert caught.value.reason == "bad-vouch"


def test_nothing_else_goes_round(alpha: Identity, bravo: Identity, revoked: tuple[Identity, bytes]) -> None:
    renewed, page = revoked
    envelope = seal(alpha, request([bravo.card])).wire
    for raw in (b"", renewed.card.raw, envelope, page[:7], renewed.card.version_raw + b"\x00"):
        with pytest.raises(PeerError) as caught:
            read_notice(raw)
        assert caught.value.reason == "malformed"


@given(
    st.binary(max_size=64),
    st.sampled_from([b"", b"\x94\xc4\x04p2pc", b"\x9b\xc4\x04p2pw", b"\x93\xc4\x04p2pv"]),
)
def test_any_bytes_are_refused_plainly(raw: bytes, head: bytes) -> None:
    with pytest.raises(PeerError):
        read_notice(head + raw)
