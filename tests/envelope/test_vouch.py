"""Vouch pages: one page is checked against the card alone, and nothing in it can be changed, moved or made up."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import msgpack
import pytest
from envelope_forge import NOW
from hypothesis import given, settings
from hypothesis import strategies as st

from p2pshare.envelope import vouch as vouch_module
from p2pshare.envelope.card import Card
from p2pshare.envelope.card_format import NOTHING_VOUCHED, Revocation
from p2pshare.envelope.encoding import pack
from p2pshare.envelope.keys import Identity, generate_operational_keys, reissue_card
from p2pshare.envelope.vouch import Scope, Vouch, VouchPage, check_page, decode_page, vouch
from p2pshare.errors import AuthorError, PeerError
from p2pshare.identifiers import CircleId, EnvelopeId, KeyId, PartnerId
from p2pshare.limits import VOUCH_PAGE_BYTES_MAX

MAIN = CircleId.of("main")
BRAVO = PartnerId(b"b" * 32)
Fields = list[int | bytes]


def ids(count: int, label: str = "") -> list[EnvelopeId]:
    return [EnvelopeId(hashlib.sha256(f"{label} {number}".encode()).digest()) for number in range(count)]


def vouched(alpha: Identity, listed: dict[Scope, list[EnvelopeId]]) -> tuple[Card, Vouch]:
    """The card that revokes alpha's key, and what is vouched for under it."""
    key_id = alpha.operational.sign.key_id
    made = vouch(alpha.partner_id, key_id, listed)
    fresh = generate_operational_keys(alpha.partner_id, NOW)
    renewed = reissue_card(
        alpha, NOW, operational=fresh, revoked=[Revocation(key_id, NOW - 60, 1, made.root)]
    )
    return renewed.card, made


def believed(raw: bytes, card: Card) -> VouchPage:
    page = decode_page(raw)
    check_page(page, card)
    return page


def reason_of(raw: bytes, card: Card) -> str:
    with pytest.raises(PeerError) as caught:
        believed(raw, card)
    return caught.value.reason


def is_refused(raw: bytes, card: Card) -> bool:
    try:
        believed(raw, card)
    except PeerError:
        return True
    return False


@pytest.fixture(scope="module")
def page(alpha: Identity) -> tuple[Card, bytes]:
    card, made = vouched(alpha, {MAIN: ids(3)})
    [(_, raw)] = made.pages()
    return card, raw


def fields_of(raw: bytes) -> Fields:
    """The elements of a page, as any decoder reads them."""
    return msgpack.unpackb(raw)


# --- what is vouched for ---------------------------------------------------------------------------

listings = st.dictionaries(
    st.integers(0, 70).map(lambda number: CircleId.of(str(number)))
    | st.integers(0, 70).map(lambda number: PartnerId(bytes([number]) * 32)),
    st.lists(st.integers(0, 40).map(lambda number: EnvelopeId(bytes([number]) * 32)), max_size=12),
    max_size=70,
)


@settings(max_examples=30)
@given(listings)
def test_every_envelope_stands_on_one_page_of_its_scope_and_no_other_does(
    alpha: Identity, listed: dict[Scope, list[EnvelopeId]]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vouch_module, "VOUCH_PAGE_IDS_MAX", 3)
        made = vouch(alpha.partner_id, alpha.operational.sign.key_id, listed)
        found: dict[Scope, list[EnvelopeId]] = {}
        for scope, raw in made.pages():
            page = decode_page(raw)
            assert (page.scope, page.root) == (scope, made.root)
            assert page.number == len(found.get(scope, [])) // 3, "in order, each full but the last"
            found[scope] = [*found.get(scope, []), *page.ids]
        assert found == {scope: sorted(set(some)) for scope, some in listed.items() if some}


def test_with_nothing_to_vouch_for_the_root_is_zeros_and_there_is_no_page(alpha: Identity) -> None:
    for listed in ({}, {MAIN: []}):
        made = vouch(alpha.partner_id, alpha.operational.sign.key_id, listed)
        assert (made.root, list(made.pages())) == (NOTHING_VOUCHED, [])


@pytest.mark.parametrize("count", [1, 63, 64, 65])
def test_nobody_counts_circles_and_partners(alpha: Identity, count: int) -> None:
    listed: dict[Scope, list[EnvelopeId]] = {CircleId.of(str(number)): ids(1) for number in range(count)}
    sizes = {len(raw) for _, raw in vouched(alpha, listed)[1].pages()}
    [(_, other)] = vouched(alpha, {MAIN: ids(1)})[1].pages()
    assert sizes == {len(other) + (64 * 32 if count > 64 else 0)}


def test_the_same_envelopes_twice_look_like_others(alpha: Identity) -> None:
    """The salt: whoever guesses what another circle is told finds nothing to compare it with."""
    one, other = (vouched(alpha, {MAIN: ids(3), BRAVO: ids(3)})[1] for _ in range(2))
    shelves = [
        {raw[-2048:][at : at + 32] for at in range(0, 2048, 32)} for _, raw in (*one.pages(), *other.pages())
    ]
    assert shelves[0] == shelves[1]
    assert not shelves[0] & shelves[2]


def test_pages_shelves_and_roots_at_their_limits(alpha: Identity, monkeypatch: pytest.MonkeyPatch) -> None:
    card, made = vouched(alpha, {MAIN: ids(4_001)})
    pages = [believed(raw, card) for _, raw in made.pages()]
    assert [len(page.ids) for page in pages] == [2_000, 2_000, 1]
    monkeypatch.setattr(vouch_module, "VOUCH_PAGE_IDS_MAX", 1)
    _, made = vouched(alpha, {MAIN: ids(512), BRAVO: ids(1)})
    assert len(list(made.pages())) == 513
    with pytest.raises(AuthorError) as caught:
        vouched(alpha, {MAIN: ids(513)})
    assert caught.value.reason == "oversized"
    most: dict[Scope, list[EnvelopeId]] = {CircleId.of(str(number)): ids(1) for number in range(2_048)}
    card, made = vouched(alpha, most)
    assert not is_refused(next(raw for _, raw in made.pages()), card)
    with pytest.raises(AuthorError):
        vouched(alpha, most | {BRAVO: ids(1)})


def test_the_largest_page_fits(alpha: Identity) -> None:
    lists = bytes(2_000 * 32), bytes(512 * 32), bytes(2_048 * 32)
    full = pack([b"p2pw", 1, bytes(32), bytes(16), 1, bytes(32), bytes(16), 511, *lists])
    assert len(full) <= VOUCH_PAGE_BYTES_MAX
    with pytest.raises(PeerError) as caught:
        decode_page(full + bytes(VOUCH_PAGE_BYTES_MAX))
    assert caught.value.reason == "oversized"


# --- what is not -----------------------------------------------------------------------------------


def test_every_bit_flip_and_every_truncation_of_a_page_is_refused(page: tuple[Card, bytes]) -> None:
    card, raw = page
    assert not is_refused(raw, card)
    accepted = []
    for at in range(len(raw)):
        for bit in range(8):
            flipped = bytearray(raw)
            flipped[at] ^= 1 << bit
            if not is_refused(bytes(flipped), card):
                accepted.append((at, bit))
    assert accepted == []
    assert [size for size in range(len(raw)) if not is_refused(raw[:size], card)] == []
    assert is_refused(raw + b"\x00", card)


def test_a_thief_cannot_vouch(alpha: Identity, page: tuple[Card, bytes]) -> None:
    """Its pages fit one another perfectly; the root is not on a card that the roots signed."""
    card, _ = page
    evil = vouch(alpha.partner_id, alpha.operational.sign.key_id, {MAIN: ids(1, "evil")})
    assert {reason_of(raw, card) for _, raw in evil.pages()} == {"bad-vouch"}


def test_a_page_is_of_one_author_key_and_card(
    alpha: Identity, bravo: Identity, page: tuple[Card, bytes]
) -> None:
    card, raw = page
    assert reason_of(raw, alpha.card) == "bad-vouch", "which does not revoke the key"
    assert reason_of(raw, bravo.card) == "bad-vouch"
    decoded = decode_page(raw)
    for changed in (
        replace(decoded, author=bravo.partner_id),
        replace(decoded, key_id=KeyId(bytes(16))),
        replace(decoded, root=NOTHING_VOUCHED),
    ):
        with pytest.raises(PeerError) as caught:
            check_page(changed, card)
        assert caught.value.reason == "bad-vouch"


def test_a_page_counts_for_its_scope_alone(alpha: Identity) -> None:
    """A direct envelope that is vouched for is not in a circle, and page 1 of one is not page 0 of another."""
    card, made = vouched(alpha, {MAIN: ids(3), BRAVO: ids(3)})
    for _, raw in made.pages():
        fields = fields_of(raw)
        assert pack(fields) == raw
        for place, value in ((4, 1 - int(fields[4])), (5, CircleId.of("other")), (5, bytes(32)), (7, 1)):
            assert is_refused(pack([*fields[:place], value, *fields[place + 1 :]]), card)


def test_lists_out_of_order_twice_or_not_filled_are_refused(page: tuple[Card, bytes]) -> None:
    """Each is refused for its form, whatever its hashes: one set has one page."""
    card, raw = page
    fields = fields_of(raw)
    entries = [bytes(fields[8])[at : at + 32] for at in range(0, 96, 32)]
    shelves = [bytes(fields[10])[at : at + 32] for at in range(0, 2_048, 32)]
    for changed in (entries[::-1], [entries[0], entries[0]], [*entries, entries[2]]):
        assert refused_whatever_its_hashes(fields, 8, changed, card)
    for changed in (shelves[::-1], shelves[1:], [*shelves, b"\xff" * 32], [*shelves[:-1], shelves[-2]]):
        assert refused_whatever_its_hashes(fields, 10, changed, card)


def refused_whatever_its_hashes(fields: Fields, place: int, entries: list[bytes], card: Card) -> bool:
    """Whether a page is refused as `bad-vouch` while the root of its card is that of the page itself."""
    changed = [*fields[:place], b"".join(entries), *fields[place + 1 :]]
    if place == 8:
        digest = hashlib.sha384(b"p2pshare/v1/vouch-page\0" + bytes(4) + bytes(changed[8])).digest()[:32]
        changed[9] = digest
        shelf = hashlib.sha384(
            b"p2pshare/v1/vouch-shelf\0" + bytes(fields[6]) + bytes(4) + bytes(fields[5]) + digest
        ).digest()[:32]
        kept = [bytes(fields[10])[at : at + 32] for at in range(0, 2_048, 32)]
        changed[10] = b"".join(sorted([*kept[1:], shelf]))
    root = hashlib.sha384(b"p2pshare/v1/vouch\0" + bytes(changed[10])).digest()[:32]
    trusting = replace(card, revoked=(replace(card.revoked[0], vouch_root=root),))
    return reason_of(pack(changed), trusting) == "bad-vouch"


def test_a_page_before_the_last_is_full(alpha: Identity, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(vouch_module, "VOUCH_PAGE_IDS_MAX", 2)
        card, made = vouched(alpha, {MAIN: ids(3)})
        raws = [raw for _, raw in made.pages()]
        assert not any(is_refused(raw, card) for raw in raws)
    assert reason_of(raws[0], card) == "bad-vouch"
    assert not is_refused(raws[1], card)


@given(st.binary(max_size=400))
def test_any_bytes_are_refused_plainly(raw: bytes) -> None:
    for hostile in (raw, pack([b"p2pw", 1, raw]), pack([b"p2pw", 1, *[raw] * 9])):
        with pytest.raises(PeerError):
            decode_page(hostile)


@settings(max_examples=200)
@given(st.data())
def test_any_mutation_of_a_page_is_refused(page: tuple[Card, bytes], data: st.DataObject) -> None:
    card, raw = page
    changed = bytearray(raw)
    for _ in range(data.draw(st.integers(1, 6))):
        changed[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    assert is_refused(bytes(changed), card) == (bytes(changed) != raw)


def test_a_page_of_a_later_format_is_named_as_such(page: tuple[Card, bytes]) -> None:
    card, raw = page
    fields = fields_of(raw)
    assert reason_of(pack([fields[0], 2, *fields[2:]]), card) == "unknown-version"
