"""One value, one form: every other spelling is refused, and hostile nesting costs nothing."""

from __future__ import annotations

import tracemalloc

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pshare.envelope.encoding import INTEGER_MAX, Reader, pack
from p2pshare.errors import PeerError


def refused(raw: bytes, read) -> str:
    with pytest.raises(PeerError) as caught:
        reader = Reader(raw)
        read(reader)
        reader.end()
    return caught.value.reason


@given(st.integers(0, INTEGER_MAX))
def test_integers_come_back(value: int) -> None:
    reader = Reader(pack(value))
    assert reader.integer() == value
    reader.end()


@given(st.binary(max_size=70_000))
def test_blobs_come_back(value: bytes) -> None:
    reader = Reader(pack(value))
    assert reader.blob(0, 1 << 20) == value
    reader.end()


@given(st.text(max_size=300))
def test_texts_come_back(value: str) -> None:
    reader = Reader(pack(value))
    assert reader.text(0, 1 << 20) == value
    reader.end()


@given(st.integers(0, 70_000))
def test_array_heads_come_back(count: int) -> None:
    head = msgpack.Packer().pack_array_header(count)
    assert Reader(head).array(0, 1 << 20) == count


@given(st.binary(min_size=1, max_size=12))
def test_whatever_is_read_as_a_number_was_its_one_form(raw: bytes) -> None:
    reader = Reader(raw)
    try:
        value = reader.integer()
        reader.end()
    except PeerError:
        return
    assert pack(value) == raw


@given(st.binary(min_size=1, max_size=40))
def test_whatever_is_read_as_a_blob_or_text_was_its_one_form(raw: bytes) -> None:
    for read in (lambda reader: reader.blob(0, 100), lambda reader: reader.text(0, 100)):
        reader = Reader(raw)
        try:
            value = read(reader)
            reader.end()
        except PeerError:
            continue
        assert pack(value) == raw


@pytest.mark.parametrize("longer", ["cc01", "cd0001", "ce00000001", "cf0000000000000001"])
def test_longer_forms_of_one_are_refused(longer: str) -> None:
    assert refused(bytes.fromhex(longer), lambda reader: reader.integer()) == "not-canonical"


@pytest.mark.parametrize(
    "other", ["d001", "d10001", "ca3f800000", "cb3ff0000000000000", "c3", "ff", "a131", "c40101"]
)
def test_other_types_that_mean_one_are_refused(other: str) -> None:
    assert refused(bytes.fromhex(other), lambda reader: reader.integer()) == "malformed"


def test_integer_limits() -> None:
    assert Reader(pack(INTEGER_MAX)).integer() == INTEGER_MAX
    assert refused(pack(INTEGER_MAX + 1), lambda reader: reader.integer()) == "malformed"
    assert Reader(pack(7)).integer(high=7) == 7
    assert refused(pack(8), lambda reader: reader.integer(high=7)) == "malformed"


def test_duplicate_and_reordered_map_keys_are_refused() -> None:
    def read_two(reader: Reader) -> None:
        reader.map(2)
        for number in (0, 1):
            reader.key(number)
            reader.integer()

    Reader(b"\x82\x00\x05\x01\x06")
    assert refused(b"\x82\x00\x05\x00\x06", read_two) == "malformed"
    assert refused(b"\x82\x01\x06\x00\x05", read_two) == "malformed"
    assert refused(b"\xde\x00\x02\x00\x05\x01\x06", read_two) == "malformed"


def test_bytes_after_the_end_are_refused() -> None:
    assert refused(b"\x05\x00", lambda reader: reader.integer()) == "malformed"


def test_a_text_that_is_not_utf8_is_refused() -> None:
    assert refused(b"\xa2\xc3\x28", lambda reader: reader.text(0, 10)) == "malformed"


@pytest.mark.parametrize("byte", [b"\x80", b"\x90", b"\x91", b"\x96"])
def test_sixteen_mebibytes_of_empty_containers_cost_nothing(byte: bytes) -> None:
    from p2pshare.envelope.card import decode_card
    from p2pshare.envelope.envelope import decode_envelope
    from p2pshare.envelope.payload import decode_payload

    hostile = byte * (16 * 1024 * 1024)
    tracemalloc.start()
    try:
        for decode in (decode_envelope, decode_card, decode_payload):
            with pytest.raises(PeerError):
                decode(hostile)
        assert tracemalloc.get_traced_memory()[1] < 1024 * 1024
    finally:
        tracemalloc.stop()
