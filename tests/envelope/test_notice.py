"""Notices: what goes round a circle is one version of a card or one vouch page, under an id of its own."""

from __future__ import annotations

import pytest
from envelope_forge import NOW, request
from hypothesis import given
from hypothesis import strategies as st

from p2pshare.envelope.card_format import DecodedCard, Revocation
from p2pshare.envelope.keys import Identity, generate_operational_keys, reissue_card
from p2pshare.envelope.notice import circle_of_page, is_notice, notice_of, read_notice
from p2pshare.envelope.sealing import seal
from p2pshare.envelope.vouch import VouchPage, vouch
from p2pshare.errors import PeerError
from p2pshare.identifiers import CircleId, EnvelopeId
from p2pshare.limits import NOTICE_BYTES_MAX

MAIN = CircleId.of("main")
SINCE = NOW - 60


def refused(raw: bytes) -> str:
    with pytest.raises(PeerError) as caught:
        read_notice(raw)
    return caught.value.reason


@pytest.fixture(scope="module")
def revoked(alpha: Identity, bravo: Identity) -> tuple[Identity, bytes, bytes]:
    """Alpha with a new card that revokes a key, and the pages of what is vouched for under it: in main, and for bravo."""
    key_id = alpha.operational.sign.key_id
    ids = [EnvelopeId(bytes(32))]
    made = vouch(alpha.partner_id, key_id, {MAIN: ids, bravo.partner_id: ids})
    fresh = generate_operational_keys(alpha.partner_id, NOW + 5)
    revocation = Revocation(key_id, SINCE, 1, made.root)
    pages = dict(made.pages())
    renewed = reissue_card(alpha, NOW + 5, operational=fresh, revoked=[revocation])
    return renewed, pages[MAIN], pages[bravo.partner_id]


def test_a_card_and_a_page_are_notices_of_their_author_in_its_time(
    alpha: Identity, revoked: tuple[Identity, bytes, bytes]
) -> None:
    renewed, page, _ = revoked
    card, vouched = (read_notice(notice_of(MAIN, one)) for one in (renewed.card.version_raw, page))
    assert isinstance(card.content, DecodedCard)
    assert isinstance(vouched.content, VouchPage)
    assert card.author == vouched.author == alpha.partner_id
    assert card.circle == vouched.circle == MAIN
    assert (card.created(renewed.card), vouched.created(renewed.card)) == (NOW + 5, SINCE)
    old = read_notice(notice_of(MAIN, alpha.card.raw))
    elsewhere = read_notice(notice_of(CircleId.of("other"), alpha.card.raw))
    assert len({card.notice_id, vouched.notice_id, old.notice_id, elsewhere.notice_id}) == 4


def test_a_page_has_no_time_by_a_card_that_does_not_stand_for_it(
    alpha: Identity, bravo: Identity, revoked: tuple[Identity, bytes, bytes]
) -> None:
    for card in (alpha.card, bravo.card):
        with pytest.raises(PeerError) as caught:
            read_notice(notice_of(MAIN, revoked[1])).created(card)
        assert caught.value.reason == "bad-vouch"


def test_a_page_goes_round_nowhere_but_in_its_own_circle_or_between_its_pair(
    alpha: Identity, bravo: Identity, charlie: Identity, revoked: tuple[Identity, bytes, bytes]
) -> None:
    _, of_circle, of_partner = revoked
    pair = circle_of_page(alpha.partner_id, bravo.partner_id)
    assert read_notice(notice_of(pair, of_partner)).circle == CircleId.of_pair(
        alpha.partner_id, bravo.partner_id
    )
    others = [CircleId.of("other"), CircleId.of_pair(alpha.partner_id, charlie.partner_id)]
    for circle, page in [(pair, of_circle), (MAIN, of_partner), *((one, of_partner) for one in others)]:
        assert refused(notice_of(circle, page)) == "wrong-circle"


def test_nothing_else_goes_round(
    alpha: Identity, bravo: Identity, revoked: tuple[Identity, bytes, bytes]
) -> None:
    renewed, page, _ = revoked
    envelope = seal(alpha, request([bravo.card])).wire
    for content in (b"", renewed.card.raw, envelope, page[:7], renewed.card.version_raw + b"\x00"):
        assert refused(notice_of(MAIN, content)) == "malformed"
    good = notice_of(MAIN, page)
    for raw in (b"", page, renewed.card.version_raw, envelope, good + b"\x00", good[:-1]):
        assert refused(raw) == "malformed"
    assert refused(good[:8].replace(b"\x01", b"\x02") + good[8:]) == "unknown-version"
    assert refused(good + bytes(NOTICE_BYTES_MAX)) == "oversized"
    assert is_notice(good) and not any(map(is_notice, (envelope, page, renewed.card.version_raw)))


@given(
    st.binary(max_size=64),
    st.sampled_from([b"", b"\x94\xc4\x04p2pc", b"\x9b\xc4\x04p2pw", b"\x94\xc4\x04p2pn\x01"]),
)
def test_any_bytes_are_refused_plainly(raw: bytes, head: bytes) -> None:
    with pytest.raises(PeerError):
        read_notice(head + raw)
    with pytest.raises(PeerError):
        read_notice(notice_of(MAIN, head + raw))
