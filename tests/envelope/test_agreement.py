"""X-Wing and HPKE agree with an independent reading of their specifications; weak points are refused."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import mlkem, x25519
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from p2pshare.envelope.agreement import HintKey, HintPublicKey, KemKey, KemPublicKey
from p2pshare.envelope.hybrid import Secret
from p2pshare.errors import PeerError
from p2pshare.identifiers import PartnerId

PRIME = 2**255 - 19
ORDER_8_U = 325606250916557431795983626356110631294008115727848805560023387167927233504
OTHER_ORDER_8_U = 39382357235489614581723060781553021112529911719440698176882885853963445705823

XWING_VECTOR = Path(__file__).resolve().parent.parent / "vectors" / "xwing.json"

# --- an independent HPKE (RFC 9180, base mode) with X-Wing (draft-connolly-cfrg-xwing-kem) -------------

SUITE_ID = b"HPKE" + bytes.fromhex("647a 0002 0002")


def expand(key: bytes, info: bytes, length: int) -> bytes:
    output, block = b"", b""
    for counter in range(1, -(-length // 48) + 1):
        block = hmac.digest(key, block + info + bytes([counter]), "sha384")
        output += block
    return output[:length]


def labeled_extract(salt: bytes, label: bytes, secret: bytes) -> bytes:
    return hmac.digest(salt or bytes(48), b"HPKE-v1" + SUITE_ID + label + secret, "sha384")


def labeled_expand(key: bytes, label: bytes, info: bytes, length: int) -> bytes:
    return expand(key, length.to_bytes(2, "big") + b"HPKE-v1" + SUITE_ID + label + info, length)


def xwing_decapsulate(seed: bytes, encapsulated: bytes) -> bytes:
    expanded = hashlib.shake_256(seed).digest(96)
    scalar = x25519.X25519PrivateKey.from_private_bytes(expanded[64:])
    lattice_secret = mlkem.MLKEM768PrivateKey.from_seed_bytes(expanded[:64]).decapsulate(encapsulated[:1088])
    curve_secret = scalar.exchange(x25519.X25519PublicKey.from_public_bytes(encapsulated[1088:]))
    public = scalar.public_key().public_bytes_raw()
    label = b"\\.//^\\"
    return hashlib.sha3_256(lattice_secret + curve_secret + encapsulated[1088:] + public + label).digest()


def hpke_open(seed: bytes, wrap: bytes, info: bytes) -> bytes:
    shared = xwing_decapsulate(seed, wrap[:1120])
    context = b"\x00" + labeled_extract(b"", b"psk_id_hash", b"") + labeled_extract(b"", b"info_hash", info)
    secret = labeled_extract(shared, b"secret", b"")
    key = labeled_expand(secret, b"key", context, 32)
    nonce = labeled_expand(secret, b"base_nonce", context, 12)
    return AESGCM(key).decrypt(nonce, wrap[1120:], b"")


def test_p24_xwing_agrees_with_its_specification() -> None:
    """The published vector ties our seed expansion and the independent decapsulation to the specification."""
    vector = json.loads(XWING_VECTOR.read_text(encoding="ascii"))
    seed = bytes.fromhex(vector["seed"])
    public = KemKey.from_secret(Secret(seed)).public.raw
    assert hashlib.sha256(public).hexdigest() == vector["public_sha256"]
    assert xwing_decapsulate(seed, bytes.fromhex(vector["encapsulated"])).hex() == vector["shared"]


def test_a_wrap_opens_with_an_independent_implementation() -> None:
    key = KemKey.generate()
    wrap = key.public.wrap(b"content key and sequence", b"info")
    assert hpke_open(key.secret().reveal(), wrap, b"info") == b"content key and sequence"


def test_a_wrap_opens_for_its_key_and_info_only() -> None:
    key, other = KemKey.generate(), KemKey.generate()
    wrap = key.public.wrap(b"secret", b"info")
    assert key.unwrap(wrap, b"info") == b"secret"
    assert key.unwrap(wrap, b"other info") is None
    assert other.unwrap(wrap, b"info") is None
    assert key.unwrap(wrap[:-1], b"info") is None
    assert key.unwrap(b"", b"info") is None


@pytest.mark.parametrize("u", [0, 1, PRIME - 1, ORDER_8_U, OTHER_ORDER_8_U, PRIME, PRIME + 1, 1 << 255])
def test_low_order_and_non_canonical_x25519_points_are_refused(u: int) -> None:
    raw = u.to_bytes(32, "little")
    with pytest.raises(PeerError) as caught:
        HintPublicKey.from_raw(raw)
    assert caught.value.reason == "bad-key"
    with pytest.raises(PeerError) as caught:
        KemPublicKey.from_raw(KemKey.generate().public.raw[:1184] + raw)
    assert caught.value.reason == "bad-key"


@pytest.mark.parametrize("length", [0, 31, 33])
def test_points_of_another_length_are_refused(length: int) -> None:
    with pytest.raises(PeerError):
        HintPublicKey.from_raw(os.urandom(length))


def test_an_mlkem_key_outside_the_modulus_is_refused() -> None:
    """FIPS 203 section 7.2: coefficients are below 3,329; twelve ones are not."""
    raw = KemKey.generate().public.raw
    with pytest.raises(PeerError) as caught:
        KemPublicKey.from_raw(b"\xff" * 384 + raw[384:])
    assert caught.value.reason == "bad-key"


def test_a_hint_is_the_same_from_both_sides_and_for_nobody_else() -> None:
    author, reader, outsider = HintKey.generate(), HintKey.generate(), HintKey.generate()
    ids = PartnerId(b"a" * 32), PartnerId(b"r" * 32)
    nonce = os.urandom(16)
    hint = author.hint(reader.public, *ids, nonce)
    assert len(hint) == 8
    assert hint == reader.hint(author.public, *ids, nonce)
    assert hint != reader.hint(author.public, *reversed(ids), nonce), "directions differ"
    assert hint != outsider.hint(author.public, *ids, nonce)
    assert hint != author.hint(reader.public, *ids, os.urandom(16)), "two envelopes cannot be linked"
