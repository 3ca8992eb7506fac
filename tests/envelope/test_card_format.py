"""P2 for cards: every single-byte flip and every truncation is refused; each field at its limits."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from envelope_forge import NOW, body_of, certificate, uris
from hypothesis import given
from hypothesis import strategies as st

from p2pshare.envelope.card import accept_first
from p2pshare.envelope.card_format import (
    CARD_MAGIC,
    VERSIONS_MAGIC,
    CardBody,
    OperationalKey,
    Revocation,
    decode_card,
    decode_versions,
    encode_body,
    encode_versions,
    is_good_url,
    sign_card,
)
from p2pshare.envelope.certificate import TlsKey, check_certificate
from p2pshare.envelope.encoding import pack
from p2pshare.envelope.keys import HintKey, Identity, KemKey, SigningKey, reissue_card
from p2pshare.errors import PeerError
from p2pshare.identifiers import KeyId, PartnerId


def is_refused(raw: bytes) -> bool:
    try:
        accept_first(raw, NOW)
    except PeerError:
        return True
    return False


def reason_of(body: CardBody, identity: Identity) -> str:
    with pytest.raises(PeerError) as caught:
        decode_card(sign_card(body, identity.roots))
    return caught.value.reason


def test_p2_every_single_byte_flip_of_a_card_is_refused(alpha: Identity) -> None:
    raw = alpha.card.raw
    accepted = []
    for at in range(len(raw)):
        flipped = bytearray(raw)
        flipped[at] ^= 1 << (at % 8)
        if not is_refused(bytes(flipped)):
            accepted.append(at)
    assert accepted == []


def test_p2_every_truncation_of_a_card_is_refused(alpha: Identity) -> None:
    raw = alpha.card.raw
    assert [size for size in range(len(raw)) if not is_refused(raw[:size])] == []
    assert is_refused(raw + b"\x00")


def test_p2_flips_and_truncations_of_a_chain_are_refused(alpha: Identity) -> None:
    """Every place outside the keys and signatures, whose every byte is covered above, and a sample of those."""
    raw = reissue_card(alpha, NOW, name="Alpha Two").card.raw
    places = {*range(64), *range(len(alpha.card.raw), len(alpha.card.raw) + 128), *range(0, len(raw), 97)}
    for at in places:
        flipped = bytearray(raw)
        flipped[at] ^= 1 << (at % 8)
        assert is_refused(bytes(flipped)), at
    assert all(is_refused(raw[:size]) for size in range(0, len(raw), 13))


@given(st.binary(max_size=400))
def test_any_bytes_are_refused_plainly(raw: bytes) -> None:
    assert is_refused(raw)
    assert is_refused(pack([CARD_MAGIC, 1, raw, []]))
    assert is_refused(pack([VERSIONS_MAGIC, 1, [raw, raw]]))


def test_a_format_of_the_future_is_named_as_such(alpha: Identity) -> None:
    body_raw = encode_body(body_of(alpha.card))
    with pytest.raises(PeerError) as caught:
        decode_card(pack([CARD_MAGIC, 2, body_raw, []]))
    assert caught.value.reason == "unknown-version"


def test_oversized_files_are_refused_before_they_are_read() -> None:
    for size in (128 * 1024 + 1, 4 * 1024 * 1024 + 1):
        with pytest.raises(PeerError) as caught:
            decode_card(b"\x94" * size)
        assert caught.value.reason == "oversized"


def test_a_chain_of_one_or_with_a_hole_is_refused(alpha: Identity) -> None:
    second = reissue_card(alpha, NOW)
    third = reissue_card(second, NOW)
    assert len(decode_versions(third.card.raw)) == 3
    for cards in (
        [alpha.card.raw],
        [alpha.card.raw, third.card.version_raw],
        [second.card.version_raw, alpha.card.raw],
    ):
        with pytest.raises(PeerError) as caught:
            decode_versions(pack([VERSIONS_MAGIC, 1, cards]))
        assert caught.value.reason == "malformed"
    assert encode_versions([alpha.card.raw]) == alpha.card.raw


def test_fields_that_contradict_one_another_are_refused(alpha: Identity) -> None:
    body = body_of(alpha.card)
    contradictions = [
        replace(body, version=0),
        replace(body, version=1, previous=b"\x01" * 32),
        replace(body, version=2),
        replace(body, threshold=0),
        replace(body, threshold=2),
        replace(body, expires=body.not_before),
        replace(body, name="bell\x07"),
        replace(body, urls=("https://a.example",) * 2),
        replace(body, urls=("ftp://a.example",)),
        replace(body, urls=tuple(f"https://a{n}.example" for n in range(9))),
        replace(body, tls_certificates=()),
        replace(body, tls_certificates=body.tls_certificates * 2),
        replace(body, tls_certificates=body.tls_certificates * 3),
        replace(body, sign_keys=()),
        replace(body, sign_keys=body.sign_keys * 2),
        replace(body, kem_keys=body.kem_keys * 2),
        replace(body, hint_keys=()),
        replace(body, roots=()),
        replace(body, revoked=(Revocation(KeyId(bytes(16)), NOW, 0),) * 2),
        replace(body, revoked=(Revocation(KeyId(bytes(16)), NOW, 4),)),
        replace(body, revoked=(Revocation(KeyId(bytes(16)), NOW, 1, bytes(31)),)),
    ]
    assert {reason_of(changed, alpha) for changed in contradictions} == {"malformed"}


def test_key_lists_begin_with_the_newest_and_have_a_life(alpha: Identity) -> None:
    body = body_of(alpha.card)
    (key,) = body.sign_keys
    newer = OperationalKey(SigningKey.generate().verify_key, NOW + 1, NOW + 2)
    assert decode_card(sign_card(replace(body, sign_keys=(newer, key)), alpha.roots)).body.sign_keys == (
        newer,
        key,
    )
    assert reason_of(replace(body, sign_keys=(key, newer)), alpha) == "malformed"
    assert reason_of(replace(body, sign_keys=(replace(key, expires=key.not_before),)), alpha) == "malformed"


@pytest.mark.parametrize(("purpose", "maximum"), [("sign_keys", 8), ("kem_keys", 2), ("hint_keys", 8)])
def test_key_lists_at_their_limit(alpha: Identity, purpose: str, maximum: int) -> None:
    make = {
        "sign_keys": lambda: SigningKey.generate().verify_key,
        "kem_keys": lambda: KemKey.generate().public,
        "hint_keys": lambda: HintKey.generate().public,
    }[purpose]
    keys = tuple(OperationalKey(make(), NOW, NOW + 1) for _ in range(maximum + 1))
    body = body_of(alpha.card)
    assert decode_card(sign_card(replace(body, **{purpose: keys[:-1]}), alpha.roots)).body.version == 1
    assert reason_of(replace(body, **{purpose: keys}), alpha) == "malformed"


def test_roots_and_revocations_at_their_limit(alpha: Identity) -> None:
    roots = sorted((SigningKey.generate() for _ in range(9)), key=lambda key: key.verify_key.raw)
    body = body_of(alpha.card)
    eight = replace(body, roots=tuple(key.verify_key for key in roots[:8]), threshold=8)
    assert len(decode_card(sign_card(eight, roots[:8])).signatures) == 8
    nine = replace(body, roots=tuple(key.verify_key for key in roots))
    assert reason_of(nine, alpha) == "malformed"
    revoked = tuple(Revocation(KeyId(bytes(15) + bytes([number])), NOW, 3) for number in range(65))
    assert len(decode_card(sign_card(replace(body, revoked=revoked[:64]), alpha.roots)).body.revoked) == 64
    assert reason_of(replace(body, revoked=revoked), alpha) == "malformed"


def test_names_at_their_limit(alpha: Identity) -> None:
    body = body_of(alpha.card)
    for name in ("x", "é" * 128, "日本 CERT (テスト) — Zürich"):
        assert decode_card(sign_card(replace(body, name=name), alpha.roots)).body.name == name
    assert reason_of(replace(body, name="x" * 257), alpha) == "malformed"


@pytest.mark.parametrize("name", ["\u3164", "\u2800\u2800", "\u115f\u3164\u1160", "\ufe0f"])
def test_a_name_that_cannot_be_seen_is_refused_and_one_that_can_is_for_a_person_to_judge(
    alpha: Identity, name: str
) -> None:
    body = body_of(alpha.card)
    assert reason_of(replace(body, name=name), alpha) == "malformed"
    for seen in (f"A{name}", "\u0410CME"):
        assert decode_card(sign_card(replace(body, name=seen), alpha.roots)).body.name == seen


@pytest.mark.parametrize(
    "url",
    ["https://a.example", "https://192.0.2.1:8443", "https://[2001:db8::1]:443/", "https://a.example/p2p/v1"],
)
def test_good_addresses(url: str) -> None:
    assert is_good_url(url)


@pytest.mark.parametrize(
    "url",
    ["", "https://", "HTTPS://a.example", "https://a b", "https://a.example\n", "https://ä.example", "//a"],
)
def test_bad_addresses(url: str) -> None:
    assert not is_good_url(url)


OTHER = PartnerId(bytes(range(32)))


def with_serial(of: PartnerId, serial: bytes) -> bytes:
    """A good certificate but for its serial number, a DER integer of one byte, which no builder would write."""
    key = ec.generate_private_key(ec.SECP256R1())
    body = x509.load_der_x509_certificate(certificate(of, key=key)).tbs_certificate_bytes
    version = bytes.fromhex("a003020102")
    body = body.replace(version + bytes.fromhex("020107"), version + b"\x02\x01" + serial, 1)
    signature = key.sign(body, ec.ECDSA(hashes.SHA256()))
    return sequence(
        body, sequence(bytes.fromhex("06082a8648ce3d040302")), b"\x03" + sized(b"\x00" + signature)
    )


def sized(content: bytes) -> bytes:
    """The length and the content of a DER value of at most 64 KiB."""
    size = len(content)
    if size < 0x80:
        return bytes([size]) + content
    return (b"\x81" + bytes([size]) if size < 0x100 else b"\x82" + size.to_bytes(2, "big")) + content


def sequence(*values: bytes) -> bytes:
    return b"\x30" + sized(b"".join(values))


def refused(der: bytes, partner_id: PartnerId = OTHER) -> bool:
    try:
        check_certificate(der, partner_id)
    except PeerError as error:
        assert error.reason == "bad-certificate"
        return True
    return False


def test_certificates_that_could_mint_others_are_refused(alpha: Identity) -> None:
    body = body_of(alpha.card)
    good = certificate(alpha.partner_id)
    assert decode_card(
        sign_card(replace(body, tls_certificates=(good,)), alpha.roots)
    ).body.tls_certificates == (good,)
    for der in (
        certificate(alpha.partner_id, is_ca=True),
        certificate(alpha.partner_id, is_ca=None),
        good + b"\x00",
        good[:-1],
        b"0",
        b"\x30\x80" * 40,
    ):
        assert reason_of(replace(body, tls_certificates=(der,)), alpha) == "bad-certificate"


def test_nobody_can_list_the_certificate_of_another(alpha: Identity, bravo: Identity) -> None:
    """Everybody who connects to bravo has its certificate; on alpha's card it shut bravo out."""
    body = body_of(alpha.card)
    own, others = alpha.operational.tls.certificate, bravo.operational.tls.certificate
    assert reason_of(replace(body, tls_certificates=(own, others)), alpha) == "bad-certificate"
    assert reason_of(replace(body, tls_certificates=(others,)), alpha) == "bad-certificate"


@pytest.mark.parametrize(
    "names",
    [
        [],
        uris("p2pshare:"),
        uris(OTHER.text),
        uris(f"p2pshare:{OTHER.text[:-1]}"),
        uris(f"p2pshare:{OTHER.text.upper()}"),
        uris(f"P2PSHARE:{OTHER.text}"),
        uris(f"p2pshare:{OTHER.text} "),
        uris(f"p2pshare:{'0' * 64}"),
        uris(f"p2pshare:{OTHER.text}", f"p2pshare:{OTHER.text}"),
        uris(f"p2pshare:{OTHER.text}", f"p2pshare:{'0' * 64}"),
        [x509.DNSName(f"p2pshare:{OTHER.text}")],
        [*uris(f"p2pshare:{OTHER.text}"), x509.DNSName("a.example")],
    ],
)
def test_a_certificate_names_its_partner_once_and_nobody_else(names: list[x509.GeneralName]) -> None:
    assert not refused(certificate(OTHER))
    assert refused(certificate(OTHER, names=names))


def test_a_certificate_is_signed_with_its_own_key() -> None:
    """Whoever lists a certificate has its key: a copy with another name in it cannot be signed. A broken signature passed."""
    key, thief = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    good = certificate(OTHER, key=key)
    assert not refused(good)
    assert refused(good[:-1] + bytes([good[-1] ^ 1]))
    assert refused(certificate(OTHER, key=key, signer=thief)), "the public key of another"
    assert refused(certificate(OTHER, issuer="another")), "the issuer is not the subject"


def test_a_certificate_is_signed_with_a_hash_that_holds() -> None:
    for good in (hashes.SHA256(), hashes.SHA384(), hashes.SHA512()):
        assert not refused(certificate(OTHER, hash_algorithm=good))
    for other in (hashes.SHA224(), hashes.SHA3_256()):
        assert refused(certificate(OTHER, hash_algorithm=other))


def test_a_certificate_that_confuses_the_parser_is_refused(alpha: Identity) -> None:
    """Found by mutation: an unknown version raises a bare Exception."""
    der = alpha.operational.tls.certificate
    version = der.index(bytes.fromhex("a003020102")) + 4
    assert refused(der[:version] + b"C" + der[version + 1 :], alpha.partner_id)
    assert refused(certificate(OTHER, key=ec.generate_private_key(ec.SECP521R1())))


@pytest.mark.parametrize("serial", [b"\x00", b"\x80", b"\xff"])
@pytest.mark.filterwarnings("ignore:Parsed a serial number")
def test_a_serial_number_that_is_not_positive_is_refused(serial: bytes) -> None:
    """The parser only warns, and a warning is an error here but not in the daemon: it must not do the check's work."""
    assert not refused(with_serial(OTHER, b"\x01"))
    assert refused(with_serial(OTHER, serial))


@given(st.data())
def test_any_change_of_a_certificate_is_refused(alpha: Identity, data: st.DataObject) -> None:
    """It is signed: no bit can be changed, whatever the parser makes of it."""
    good = alpha.operational.tls.certificate
    der = bytearray(good)
    for _ in range(data.draw(st.integers(1, 4))):
        der[data.draw(st.integers(0, len(der) - 1))] = data.draw(st.integers(0, 255))
    assert refused(bytes(der), alpha.partner_id) == (bytes(der) != good)


def test_a_tls_key_comes_back_and_another_certificate_does_not_fit() -> None:
    key, other = TlsKey.generate(OTHER, NOW, 1), TlsKey.generate(OTHER, NOW, 1)
    assert not refused(key.certificate)
    assert TlsKey.from_secret(key.secret(), key.certificate) == key
    with pytest.raises(ValueError, match="another key"):
        TlsKey.from_secret(key.secret(), other.certificate)
