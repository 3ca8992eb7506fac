"""Both signatures must hold, weak keys are refused, and a secret does not slip out."""

from __future__ import annotations

import copy
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pshare.envelope.hybrid import Secret, SigningKey, VerifyKey
from p2pshare.envelope.sizes import SIGNATURE_BYTES, VERIFY_KEY_BYTES
from p2pshare.errors import PeerError

PRIME = 2**255 - 19
ORDER_8_Y = 2707385501144840649318225287225658788936804267575313519463743609750303402022
CONTEXT = b"test\x00"


@pytest.fixture(scope="module")
def key() -> SigningKey:
    return SigningKey.generate()


def refuses(key: VerifyKey, context: bytes, message: bytes, signature: bytes) -> bool:
    with pytest.raises(PeerError) as caught:
        key.verify(context, message, signature)
    return caught.value.reason == "bad-signature"


def test_a_signature_holds_for_its_message_and_context_only(key: SigningKey) -> None:
    signature = key.sign(CONTEXT, b"message")
    assert len(signature) == SIGNATURE_BYTES == 4691
    assert key.verify_key.verify(CONTEXT, b"message", signature) is None
    assert refuses(key.verify_key, CONTEXT, b"another message", signature)
    assert refuses(key.verify_key, b"other\x00", b"message", signature)
    assert refuses(SigningKey.generate().verify_key, CONTEXT, b"message", signature)


def test_one_good_half_is_not_enough(key: SigningKey) -> None:
    good, other = key.sign(CONTEXT, b"message"), SigningKey.generate().sign(CONTEXT, b"message")
    assert refuses(key.verify_key, CONTEXT, b"message", good[:64] + other[64:])
    assert refuses(key.verify_key, CONTEXT, b"message", other[:64] + good[64:])


@pytest.mark.parametrize("length", [0, 64, SIGNATURE_BYTES - 1, SIGNATURE_BYTES + 1])
def test_signatures_of_another_length_are_refused(key: SigningKey, length: int) -> None:
    signature = (key.sign(CONTEXT, b"message") + b"\x00")[:length]
    assert refuses(key.verify_key, CONTEXT, b"message", signature)


@pytest.mark.parametrize("sign_bit", [0, 1 << 255])
@pytest.mark.parametrize("y", [0, 1, PRIME - 1, ORDER_8_Y, PRIME - ORDER_8_Y, PRIME, PRIME + 1])
def test_low_order_and_non_canonical_ed25519_points_are_refused(
    key: SigningKey, y: int, sign_bit: int
) -> None:
    raw = (y | sign_bit).to_bytes(32, "little") + key.verify_key.raw[32:]
    with pytest.raises(PeerError) as caught:
        VerifyKey.from_raw(raw)
    assert caught.value.reason == "bad-key"


@given(st.binary(max_size=100) | st.binary(min_size=VERIFY_KEY_BYTES, max_size=VERIFY_KEY_BYTES))
def test_any_bytes_are_a_key_or_refused(raw: bytes) -> None:
    try:
        assert VerifyKey.from_raw(raw).raw == raw
    except PeerError as error:
        assert error.reason == "bad-key"


def test_the_same_seeds_give_the_same_key(key: SigningKey) -> None:
    assert SigningKey.from_secret(key.secret()).verify_key == key.verify_key


def test_a_secret_does_not_print_pickle_copy_or_compare(key: SigningKey) -> None:
    secret = Secret(b"do not show this")
    for text in (repr(secret), str(secret), f"{secret}", f"{secret:>30}", repr(key), repr([secret])):
        assert "do not show" not in text
        assert "646f206e6f74" not in text
    for leak in (pickle.dumps, copy.copy, copy.deepcopy, hash):
        with pytest.raises(TypeError):
            leak(secret)
    assert secret != Secret(b"do not show this")
