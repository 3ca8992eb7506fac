"""What guest and host say to one another, and which part of a card file from anybody is worth a look."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.hashes import SHA384
from cryptography.x509 import load_der_x509_certificate
from envelope_forge import NOW, body_of, next_body
from hypothesis import example, given
from hypothesis import strategies as st

from p2pshare.envelope import card as card_rules
from p2pshare.envelope.card import Card, CardFork, accept_update, news_in
from p2pshare.envelope.card_format import encode_versions, sign_card, split_versions
from p2pshare.envelope.encoding import INTEGER_MAX, pack
from p2pshare.envelope.keys import Identity, reissue_card
from p2pshare.envelope.knock import (
    CARD_GIVEN_BEGINS,
    CARD_HANDED_BEGINS,
    CARD_MESSAGE_BYTES_MAX,
    CardAsked,
    CardHanded,
    KnockGreeting,
    PlaceAsked,
    check_place,
    decode_card_given,
    decode_greeting,
    decode_knock,
    encode_card_given,
    encode_greeting,
    encode_knock,
    place_asked,
)
from p2pshare.errors import PeerError
from p2pshare.limits import CARD_CHAIN_BYTES_MAX

# --- messages ---------------------------------------------------------------------------------------


@given(st.binary(min_size=32, max_size=32), st.integers(1, INTEGER_MAX))
def test_a_greeting_comes_back(nonce: bytes, version: int) -> None:
    raw = encode_greeting(KnockGreeting(nonce, version))
    assert raw == pack([1, nonce, version])
    assert decode_greeting(raw) == KnockGreeting(nonce, version)


@given(st.binary(min_size=1, max_size=300))
@example(bytes(CARD_CHAIN_BYTES_MAX))
def test_messages_with_a_card_file_come_back_and_begin_as_the_frame_reader_expects(card_file: bytes) -> None:
    handed, given_out = encode_knock(CardHanded(card_file)), encode_card_given(card_file)
    assert handed.startswith(CARD_HANDED_BEGINS) and given_out.startswith(CARD_GIVEN_BEGINS)
    assert decode_knock(handed) == CardHanded(card_file)
    assert decode_card_given(given_out) == card_file
    if len(card_file) == CARD_CHAIN_BYTES_MAX:
        assert len(handed) == len(given_out) == CARD_MESSAGE_BYTES_MAX == 4_194_311


def test_a_card_is_asked_for_in_two_bytes() -> None:
    assert encode_knock(CardAsked()) == b"\x91\x03"
    assert decode_knock(b"\x91\x03") == CardAsked()


def test_who_asks_for_a_place_says_so_in_one_form_and_signs_it_for_one_host_and_one_conversation(
    alpha: Identity, bravo: Identity
) -> None:
    key, nonce = alpha.operational.tls, bytes(range(32))
    place = place_asked(
        alpha.partner_id, "Alpha", "https://a.example", key, host=bravo.partner_id, nonce=nonce
    )
    raw = encode_knock(place)
    assert raw == pack(
        [4, bytes(alpha.partner_id), "Alpha", "https://a.example", key.certificate, place.signature]
    )
    assert decode_knock(raw) == place
    check_place(place, host=bravo.partner_id, nonce=nonce)
    signed = load_der_x509_certificate(key.certificate).public_key()
    said = hashlib.sha384(
        pack([4, bytes(alpha.partner_id), "Alpha", "https://a.example", key.certificate])
    ).digest()
    signed.verify(place.signature, b"p2pshare/v1/knock\0" + bravo.partner_id + nonce + said, ECDSA(SHA384()))
    for wrong in ({"host": alpha.partner_id, "nonce": nonce}, {"host": bravo.partner_id, "nonce": bytes(32)}):
        with pytest.raises(PeerError) as caught:
            check_place(place, **wrong)
        assert caught.value.reason == "bad-signature"


@given(st.data())
def test_no_changed_byte_of_who_asks_for_a_place_is_believed(data: st.DataObject) -> None:
    raw = bytearray(encode_knock(PLACE))
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(PeerError) as caught:
        place = decode_knock(bytes(raw))
        assert isinstance(place, PlaceAsked)
        check_place(place, host=HOST, nonce=bytes(32))
    assert caught.value.reason in ("malformed", "not-canonical", "bad-certificate", "bad-signature")


@pytest.mark.parametrize(
    ("decode", "raw"),
    [
        (decode_greeting, pack([1, bytes(31), 1])),
        (decode_greeting, pack([1, bytes(32), 0])),
        (decode_greeting, pack([2, bytes(32), 1])),
        (decode_greeting, pack([1, bytes(32), 1, 1])),
        (decode_greeting, pack([1, bytes(32), 1]) + b"x"),
        (decode_knock, pack([2])),
        (decode_knock, pack([2, b""])),
        (decode_knock, pack([2, "text"])),
        (decode_knock, pack([2, b"x", b"y"])),
        (decode_knock, pack([2, b"x"]) + b"y"),
        (decode_knock, pack([3, b"x"])),
        (decode_knock, pack([1, bytes(32), 1])),
        (decode_knock, pack([4, bytes(32)])),
        (decode_knock, pack([5])),
        (decode_knock, pack([])),
        (decode_knock, pack({1: 2})),
        (decode_card_given, pack([2, b"x"])),
        (decode_card_given, pack([3])),
        (decode_card_given, pack([3, b""])),
        (decode_card_given, pack([3, b"x"]) + b"y"),
    ],
)
def test_what_is_no_message_is_malformed(decode: Callable[[bytes], Any], raw: bytes) -> None:
    with pytest.raises(PeerError) as caught:
        decode(raw)
    assert caught.value.reason == "malformed"


@given(st.binary(max_size=80))
def test_any_bytes_are_a_message_or_a_refusal(raw: bytes) -> None:
    for decode in (decode_greeting, decode_knock, decode_card_given):
        try:
            decode(raw)
        except PeerError as error:
            assert error.reason in ("malformed", "not-canonical")


# --- what is new in a card file ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def lives(alpha: Identity) -> list[Identity]:
    """alpha with versions 1 to 4 of its card."""
    made = [alpha]
    for number in range(2, 5):
        made.append(reissue_card(made[-1], NOW + number, name=f"Alpha {number}"))
    return made


def sifted(known: Card, raw: bytes) -> Card:
    """The card after `raw`, through the sieve."""
    news = news_in(known, raw)
    return accept_update(known, news, NOW + 10) if news else known


def test_through_the_sieve_comes_what_an_update_would_have_taken(lives: list[Identity]) -> None:
    for known in lives:
        for offered in lives:
            newer = offered if offered.card.version > known.card.version else known
            assert sifted(known.card, offered.card.raw).raw == newer.card.raw


def test_only_what_is_beyond_the_known_version_is_looked_at(lives: list[Identity]) -> None:
    versions = split_versions(lives[3].card.raw)
    assert news_in(lives[1].card, lives[3].card.raw) == encode_versions(versions[2:])
    assert news_in(lives[2].card, lives[3].card.raw) == versions[3]
    assert news_in(lives[2].card, versions[3]) == versions[3]
    assert news_in(lives[3].card, lives[1].card.raw) == b""
    assert news_in(lives[3].card, versions[2]) == b""


def test_a_fork_is_found_at_its_first_version_also_behind_the_known_one(lives: list[Identity]) -> None:
    forked = reissue_card(reissue_card(lives[0], NOW + 5, name="Another"), NOW + 6, name="And on")
    for known in lives[1:]:
        news = news_in(known.card, forked.card.raw)
        assert news == split_versions(forked.card.raw)[1]
        with pytest.raises(CardFork):
            accept_update(known.card, news, NOW + 10)
    longer = reissue_card(reissue_card(forked, NOW + 7, name="x"), NOW + 8, name="y")
    with pytest.raises(CardFork):
        sifted(lives[3].card, longer.card.raw)


def counting_decoder(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The lengths of the versions that are decoded from now on."""
    decoded: list[int] = []
    decode = card_rules.decode_card
    monkeypatch.setattr(card_rules, "decode_card", lambda raw: decoded.append(len(raw)) or decode(raw))
    monkeypatch.setattr(card_rules, "decode_versions", lambda raw: pytest.fail("a whole file is decoded"))
    return decoded


def test_a_forged_file_costs_one_version_however_many_are_in_it(
    lives: list[Identity], mallory: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = lives[3].card
    forged = [
        sign_card(next_body(known, version=5 + number, name=f"Mallory {number}"), mallory.roots)
        for number in range(3)
    ]
    decoded = counting_decoder(monkeypatch)
    for raw, reason in (
        (encode_versions(forged), "card-signature"),
        (encode_versions([*split_versions(known.raw), *forged]), "card-signature"),
        (sign_card(replace(body_of(known), name="Not Alpha"), mallory.roots), "card-signature"),
        (encode_versions([b"x"] * 250 + [split_versions(known.raw)[-1]]), "malformed"),
        (mallory.card.raw, "card-other-partner"),
        (b"", "malformed"),
        (b"\x93\xc4\x04p2pv\x01\xdc\xff\xff", "malformed"),
    ):
        decoded.clear()
        with pytest.raises(PeerError) as caught:
            news_in(known, raw)
        assert caught.value.reason == reason
        assert len(decoded) <= 2, "the newest, and the one that differs"


def test_the_newest_card_behind_garbage_costs_one_version_more(
    lives: list[Identity], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is public, and its roots have signed it: whoever wraps it into a file of 4 MiB must not have all of that decoded."""
    newer = lives[3].card
    decoded = counting_decoder(monkeypatch)
    with pytest.raises(PeerError) as caught:
        news_in(
            lives[2].card, encode_versions([bytes(70_000), bytes(70_000), bytes(70_000), newer.version_raw])
        )
    assert caught.value.reason == "malformed"
    assert len(decoded) == 2


@given(st.data())
def test_a_file_with_a_few_bytes_changed_never_gives_another_card(data: st.DataObject) -> None:
    alpha, newer = PAIR
    raw = bytearray(newer.card.raw)
    for _ in range(data.draw(st.integers(1, 3))):
        raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        after = sifted(alpha.card, bytes(raw))
    except PeerError:
        return
    assert after.raw in (alpha.card.raw, newer.card.raw)


def _pair() -> tuple[Identity, Identity]:
    from p2pshare.envelope.keys import create_identity

    alpha = create_identity("Alpha CERT", [], NOW)
    return alpha, reissue_card(alpha, NOW + 1, name="Alpha Two")


PAIR = _pair()
HOST = PAIR[0].partner_id
PLACE = place_asked(
    PAIR[0].partner_id,
    "Alpha CERT",
    "https://a.example:1",
    PAIR[0].operational.tls,
    host=HOST,
    nonce=bytes(32),
)
