"""P2 for envelopes: every single-byte flip, every truncation and every false length is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest
from envelope_forge import NOW, forge, request, sign_parts
from hypothesis import given
from hypothesis import strategies as st

from p2pshare.envelope.encoding import INTEGER_MAX, pack
from p2pshare.envelope.envelope import (
    ENVELOPE_MAGIC,
    Core,
    Mode,
    decode_core,
    decode_envelope,
    encode_core,
    encode_envelope,
    slots_for,
)
from p2pshare.envelope.keys import Identity
from p2pshare.envelope.sealing import seal
from p2pshare.envelope.verification import verify_envelope
from p2pshare.errors import PeerError
from p2pshare.identifiers import CircleId, KeyId, PartnerId
from p2pshare.limits import CORE_BYTES_MAX, ENVELOPE_BYTES_MAX, TTL_SECONDS_BY_CLASS


def reason_of(wire: bytes) -> str:
    with pytest.raises(PeerError) as caught:
        decode_envelope(wire)
    return caught.value.reason


def is_refused(wire: bytes, author: Identity) -> bool:
    try:
        verify_envelope(decode_envelope(wire), author.card, NOW)
    except PeerError:
        return True
    return False


@pytest.fixture(scope="module")
def sample(alpha: Identity, bravo: Identity) -> bytes:
    wire = seal(alpha, request([bravo.card])).wire
    assert not is_refused(wire, alpha)
    return wire


def test_p2_every_single_byte_flip_of_an_envelope_is_refused(sample: bytes, alpha: Identity) -> None:
    accepted = []
    for at in range(len(sample)):
        flipped = bytearray(sample)
        flipped[at] ^= 1 << (at % 8)
        if not is_refused(bytes(flipped), alpha):
            accepted.append(at)
    assert accepted == []


def test_p2_every_other_value_of_every_byte_of_the_header_is_refused(sample: bytes, alpha: Identity) -> None:
    header_bytes = 16 + len(decode_envelope(sample).core_raw)
    accepted = []
    for at in range(0, header_bytes, 3):
        for value in range(256):
            changed = sample[:at] + bytes([value]) + sample[at + 1 :]
            if changed != sample and not is_refused(changed, alpha):
                accepted.append((at, value))
    assert accepted == []


def test_p2_every_truncation_of_an_envelope_is_refused(sample: bytes, alpha: Identity) -> None:
    assert [size for size in range(len(sample)) if not is_refused(sample[:size], alpha)] == []
    assert is_refused(sample + b"\x00", alpha)


def test_a_truncated_part_correctly_signed_is_refused(sample: bytes, alpha: Identity) -> None:
    """The author himself may not say one length and send another."""
    parts = decode_envelope(sample)
    for wraps, body in (
        (parts.wraps[:-1], parts.body),
        (parts.wraps, parts.body[:-1]),
        (parts.wraps * 2, parts.body),
    ):
        assert reason_of(sign_parts(alpha, parts.core_raw, wraps, body)) == "bad-lengths"


@given(st.binary(max_size=300))
def test_any_bytes_are_refused_plainly(raw: bytes) -> None:
    assert reason_of(raw) in {"malformed", "not-canonical", "unknown-version"}
    assert reason_of(pack([ENVELOPE_MAGIC, 1, raw, raw, raw, raw])) in {"malformed", "not-canonical"}


numbers = st.integers(1, INTEGER_MAX)
cores = st.builds(
    Core,
    suite=st.just(1),
    author=st.binary(min_size=32, max_size=32).map(PartnerId),
    key_id=st.binary(min_size=16, max_size=16).map(KeyId),
    incarnation=numbers,
    sequence=numbers,
    previous=st.binary(min_size=32, max_size=32),
    circle=st.binary(min_size=16, max_size=16).map(CircleId),
    mode=st.sampled_from(Mode),
    created=st.integers(0, INTEGER_MAX),
    ttl_class=st.sampled_from(sorted(TTL_SECONDS_BY_CLASS)),
    nonce=st.binary(min_size=16, max_size=16),
    commitment=st.binary(min_size=32, max_size=32),
    slots=st.integers(0, 1024),
    body_bytes=st.integers(0, ENVELOPE_BYTES_MAX),
)


@given(cores)
def test_a_header_comes_back(core: Core) -> None:
    raw = encode_core(core)
    assert decode_core(raw) == core
    assert len(raw) <= CORE_BYTES_MAX
    assert core.expires == core.created + TTL_SECONDS_BY_CLASS[core.ttl_class]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"suite": 0}, "unknown-suite"),
        ({"suite": 2}, "unknown-suite"),
        ({"incarnation": 0}, "malformed"),
        ({"sequence": 0}, "malformed"),
        ({"sequence": INTEGER_MAX + 1}, "malformed"),
        ({"mode": 2}, "malformed"),
        ({"ttl_class": 0}, "malformed"),
        ({"ttl_class": 7}, "malformed"),
        ({"nonce": bytes(15)}, "malformed"),
        ({"commitment": bytes(33)}, "malformed"),
        ({"previous": b""}, "malformed"),
        ({"slots": 0}, "bad-lengths"),
        ({"slots": 3}, "bad-lengths"),
        ({"slots": 2}, "bad-lengths"),
        ({"slots": 1040}, "bad-lengths"),
        ({"body_bytes": 271}, "bad-lengths"),
        ({"body_bytes": ENVELOPE_BYTES_MAX + 1}, "malformed"),
    ],
)
def test_a_signed_header_outside_the_format_is_refused(
    alpha: Identity, bravo: Identity, changes: dict[str, int], reason: str
) -> None:
    assert reason_of(forge(alpha, [bravo.card], **changes)) == reason


def test_a_signed_header_in_another_encoding_is_refused(alpha: Identity, bravo: Identity) -> None:
    """Same meaning, other bytes: it would give a second id to one statement."""

    def forged(change) -> str:
        return reason_of(forge(alpha, [bravo.card], encode=lambda core: change(encode_core(core))))

    assert forged(lambda raw: raw.replace(b"\x8e\x00\x01", b"\x8e\x00\xcc\x01", 1)) == "not-canonical"
    assert (
        forged(lambda raw: raw.replace(b"\x8e\x00\x01\x01\xc4\x20", b"\x8e\x00\x01\x01\xc5\x00\x20", 1))
        == "not-canonical"
    )
    assert forged(lambda raw: b"\xde\x00\x0e" + raw[1:]) == "malformed", "the map's head in a longer form"
    assert forged(lambda raw: b"\x8f" + raw[1:] + b"\x0e\x00") == "malformed", "a field more"
    assert forged(lambda raw: b"\x8d" + raw[1:-5]) == "malformed", "a field less"
    assert forged(lambda raw: b"\x8e" + raw[3:] + raw[1:3]) == "malformed", "another order"
    assert forged(lambda raw: b"\x8e\x00\x01\x00\x01" + raw[3:]) == "malformed", "a key twice"
    assert forged(lambda raw: raw + bytes(CORE_BYTES_MAX)) == "malformed", "over 4 KiB"


def test_unsorted_rows_are_refused(alpha: Identity, bravo: Identity, charlie: Identity) -> None:
    parts = decode_envelope(forge(alpha, [bravo.card, charlie.card]))
    wraps = parts.wraps[8:16] + parts.wraps[:8] + parts.wraps[16:]
    assert reason_of(sign_parts(alpha, parts.core_raw, wraps, parts.body)) == "bad-lengths"


def test_an_unpadded_body_is_refused(alpha: Identity, bravo: Identity) -> None:
    for size in (255, 257, 1025):
        assert reason_of(forge(alpha, [bravo.card], padded=bytes(size))) == "bad-lengths"


def test_formats_of_the_future_and_other_files_are_refused(sample: bytes, alpha: Identity) -> None:
    parts = decode_envelope(sample)
    wire = pack([ENVELOPE_MAGIC, 2, parts.core_raw, parts.wraps, parts.body, parts.signatures])
    assert reason_of(wire) == "unknown-version"
    assert reason_of(alpha.card.raw) == "malformed"


def test_size_limit_of_the_wire() -> None:
    assert reason_of(bytes(ENVELOPE_BYTES_MAX)) == "malformed"
    assert reason_of(bytes(ENVELOPE_BYTES_MAX + 1)) == "oversized"


def test_p5_signatures_are_outside_the_id(alpha: Identity, bravo: Identity) -> None:
    """ML-DSA is randomised: the same statement signed again is the same envelope, not a second one."""
    first = decode_envelope(seal(alpha, request([bravo.card])).wire)
    again = decode_envelope(sign_parts(alpha, first.core_raw, first.wraps, first.body))
    assert again.wire != first.wire
    assert again.envelope_id == first.envelope_id
    assert verify_envelope(again, alpha.card, NOW).envelope_id == first.envelope_id


def test_p5_any_change_of_what_is_signed_is_another_id(alpha: Identity, bravo: Identity) -> None:
    parts = decode_envelope(seal(alpha, request([bravo.card])).wire)
    one_more = replace(parts.core, sequence=2)
    changed = [
        (encode_core(one_more), parts.wraps, parts.body),
        (parts.core_raw, parts.wraps[:-1] + bytes([parts.wraps[-1] ^ 1]), parts.body),
        (parts.core_raw, parts.wraps, parts.body[:-1] + bytes([parts.body[-1] ^ 1])),
    ]
    ids = {decode_envelope(encode_envelope(*three, parts.signatures)).envelope_id for three in changed}
    assert len({*ids, parts.envelope_id}) == 4


@pytest.mark.parametrize(
    ("recipients", "slots"),
    [(1, 1), (2, 2), (3, 4), (5, 8), (9, 16), (16, 16), (17, 32), (33, 48), (1024, 1024)],
)
def test_slots_hide_the_number_of_recipients(recipients: int, slots: int) -> None:
    assert slots_for(recipients) == slots
    assert slots_for(slots) == slots
