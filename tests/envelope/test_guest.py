"""Guest keys: both sides make the same certificate, nobody else does, and TLS takes it."""

from __future__ import annotations

import hashlib
import ssl
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from envelope_forge import NOW, body_of
from hypothesis import example, given
from hypothesis import strategies as st

from p2pshare.envelope.card_format import decode_card, sign_card
from p2pshare.envelope.certificate import check_certificate
from p2pshare.envelope.guest import (
    CERTIFICATE_TIME_MAX,
    INVITATION_SECONDS,
    KNOCK_SECONDS,
    invitation_key,
    knock_key,
)
from p2pshare.envelope.keys import Identity, Secret, TlsKey, reissue_card
from p2pshare.errors import PeerError
from p2pshare.http_server.tls import hardened_context, load_own_key
from p2pshare.identifiers import PartnerId

HOST = PartnerId(bytes(range(32)))
YEAR_2050 = 2_524_608_000


def written_out(seed: bytes, not_before: int, not_after: int) -> bytes:
    """The certificate as docs/card.md writes it, without any library for certificates."""
    key = Ed25519PrivateKey.from_private_bytes(seed)
    public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    name = bytes.fromhex("30193117301506035504030c0e7032707368617265206775657374")
    times = _time(not_before) + _time(not_after)
    ed25519 = bytes.fromhex("300506032b6570")
    tbs = (
        bytes.fromhex("a003020102 020101") + ed25519 + name
        + b"\x30" + bytes([len(times)]) + times
        + name + bytes.fromhex("302a300506032b6570032100") + public
        + bytes.fromhex("a35e305c 300c0603551d130101ff04023000 300e0603551d0f0101ff040403020780")
        + bytes.fromhex("301d0603551d250416301406082b0601050507030106082b06010505070302 301d0603551d0e04160414")
        + hashlib.sha1(public, usedforsecurity=False).digest()
    )  # fmt: skip
    tbs = b"\x30\x81" + bytes([len(tbs)]) + tbs
    whole = tbs + ed25519 + b"\x03\x41\x00" + key.sign(tbs)
    return b"\x30\x82" + len(whole).to_bytes(2, "big") + whole


def _time(at: int) -> bytes:
    moment = datetime.fromtimestamp(at, UTC)
    if at < YEAR_2050:
        return b"\x17\x0d" + moment.strftime("%y%m%d%H%M%SZ").encode()
    return b"\x18\x0f" + moment.strftime("%Y%m%d%H%M%SZ").encode()


def derived(known: bytes, info: bytes) -> bytes:
    return HKDF(hashes.SHA384(), 32, salt=None, info=info).derive(known)


@given(
    st.binary(min_size=16, max_size=16),
    st.binary(min_size=32, max_size=32).map(PartnerId),
    st.integers(INVITATION_SECONDS, YEAR_2050 * 2),
)
@example(bytes(16), HOST, YEAR_2050)
@example(bytes(16), HOST, YEAR_2050 - 1)
@example(bytes(16), HOST, YEAR_2050 + INVITATION_SECONDS)
@example(bytes(16), HOST, CERTIFICATE_TIME_MAX)
def test_an_invitations_certificate_is_the_one_that_the_page_writes_out(
    secret: bytes, host: PartnerId, expires: int
) -> None:
    made = invitation_key(Secret(secret), host, expires).certificate
    seed = derived(secret, b"p2pshare/v1/invite-key" + host)
    assert made == written_out(seed, expires - INVITATION_SECONDS, expires)
    assert len(made) == 322 + 2 * (expires >= YEAR_2050) + 2 * (expires - INVITATION_SECONDS >= YEAR_2050)


def test_who_holds_any_version_of_a_card_knocks_with_one_key(alpha: Identity, bravo: Identity) -> None:
    made = knock_key(alpha.card.raw).certificate
    body_digest = hashlib.sha384(decode_card(alpha.card.raw).body_raw).digest()
    seed = derived(body_digest, b"p2pshare/v1/knock-key")
    assert made == written_out(seed, NOW, NOW + KNOCK_SECONDS)
    later = reissue_card(alpha, NOW + 60, name="Alpha Two")
    assert knock_key(later.card.raw).certificate == made
    assert knock_key(bravo.card.raw).certificate != made
    with pytest.raises(PeerError) as caught:
        knock_key(later.card.version_raw)
    assert caught.value.reason == "card-gap"


def test_another_secret_host_or_end_is_another_certificate() -> None:
    expires = NOW + 86_400
    made = {
        invitation_key(Secret(secret), host, end).certificate
        for secret, host, end in (
            (bytes(16), HOST, expires),
            (bytes(15) + b"\x01", HOST, expires),
            (bytes(16), PartnerId(bytes(32)), expires),
            (bytes(16), HOST, expires + 1),
        )
    }
    assert len(made) == 4


@pytest.mark.parametrize("length", [0, 15, 17, 32])
def test_a_secret_of_another_length_is_none(length: int) -> None:
    with pytest.raises(ValueError, match="16 bytes"):
        invitation_key(Secret(bytes(length)), HOST, NOW)


@pytest.mark.parametrize("begin", [CERTIFICATE_TIME_MAX, (1 << 53) - 1 - 400 * 86_400])
def test_a_time_that_cannot_be_written_is_refused(alpha: Identity, begin: int) -> None:
    """Version 1 of a card may begin whenever it says: only the newest must be in its time."""
    raw = sign_card(replace(body_of(alpha.card), not_before=begin, expires=begin + 1), alpha.roots)
    for make in (lambda: knock_key(raw), lambda: invitation_key(Secret(bytes(16)), HOST, begin + 1)):
        with pytest.raises(PeerError) as caught:
            make()
        assert caught.value.reason == "malformed"
    with pytest.raises(PeerError):
        invitation_key(Secret(bytes(16)), HOST, INVITATION_SECONDS - 1)


def test_a_guests_certificate_is_on_no_card(alpha: Identity) -> None:
    with pytest.raises(PeerError) as caught:
        check_certificate(knock_key(alpha.card.raw).certificate, alpha.partner_id)
    assert caught.value.reason == "bad-certificate"


@pytest.mark.parametrize("is_pinned", [True, False])
def test_a_door_that_derived_the_certificate_lets_its_holder_in_and_nobody_else(
    alpha: Identity, is_pinned: bool
) -> None:
    """As the door will be: strict, with the exact certificate as the only anchor."""
    now = int(datetime.now(UTC).timestamp())
    host = TlsKey.generate(alpha.partner_id, now, 1)
    expected = invitation_key(Secret(bytes(16)), alpha.partner_id, now + 3_600)
    shown = expected if is_pinned else invitation_key(Secret(bytes(15) + b"x"), alpha.partner_id, now + 3_600)
    server, client = (
        strict_context(protocol, key, anchor)
        for protocol, key, anchor in (
            (ssl.PROTOCOL_TLS_SERVER, host, expected),
            (ssl.PROTOCOL_TLS_CLIENT, shown, host),
        )
    )
    if is_pinned:
        assert seen_by_server(server, client) == expected.certificate
    else:
        with pytest.raises(ssl.SSLCertVerificationError):
            seen_by_server(server, client)


def strict_context(protocol: int, own: TlsKey, anchor: TlsKey) -> ssl.SSLContext:
    context = hardened_context(protocol)
    context.check_hostname, context.verify_mode = False, ssl.CERT_REQUIRED
    context.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN
    context.load_verify_locations(cadata=anchor.certificate)
    load_own_key(context, own.certificate, own.secret().reveal())
    return context


def seen_by_server(server: ssl.SSLContext, client: ssl.SSLContext) -> bytes | None:
    """Both ends of a handshake in memory; returns the certificate that the server has verified."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        client.wrap_bio(to_client, to_server),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    for _ in range(10):
        for end in ends:
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
    return ends[1].getpeercert(binary_form=True)
