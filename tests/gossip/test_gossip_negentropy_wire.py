"""Bytes of Negentropy messages: what is written, and everything that is refused, with its reason."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pshare.errors import PeerError
from p2pshare.gossip.negentropy.key_index import key_of
from p2pshare.gossip.negentropy.negentropy_wire import (
    END,
    START,
    Bound,
    MessageWriter,
    RangeMode,
    encode_varint,
    read_ranges,
    read_version,
    split_ids,
)

ID = bytes(range(32))
MARK = bytes(16)


@pytest.mark.parametrize(
    ("number", "written"),
    [(0, "00"), (127, "7f"), (128, "8100"), (16_384, "818000"), (2**64 - 1, "81ffffffffffffffff7f")],
)
def test_numbers_are_written_most_significant_digit_first(number: int, written: str) -> None:
    assert encode_varint(number).hex() == written


@pytest.mark.parametrize(
    ("before", "after", "bound"),
    [
        (key_of(5, ID), key_of(6, bytes(32)), Bound(key_of(6, bytes(32)), 0)),
        (key_of(5, b"a" * 32), key_of(5, b"b" * 32), Bound(key_of(5, b"b" + bytes(31)), 1)),
        (key_of(5, bytes(32)), key_of(5, bytes(31) + b"\x01"), Bound(key_of(5, bytes(31) + b"\x01"), 32)),
    ],
)
def test_the_shortest_bound_lies_between_two_keys(before: bytes, after: bytes, bound: Bound) -> None:
    assert Bound.between(before, after) == bound
    assert before < bound.key <= after


keys = st.builds(key_of, st.integers(0, 2**64 - 2), st.binary(min_size=32, max_size=32))


@given(st.lists(st.tuples(keys, st.sampled_from(RangeMode)), unique=True, max_size=30), st.booleans())
def test_what_is_written_is_read_back(parts: list[tuple[bytes, RangeMode]], ends: bool) -> None:
    ordered = {key: mode for key, mode in sorted(parts) if key > START.key}
    bounds = [Bound.at(key) for key in ordered] + [END] * ends
    modes = [*ordered.values(), RangeMode.FINGERPRINT][: len(bounds)]
    writer, expected = MessageWriter(), []
    for number, (bound, mode) in enumerate(zip(bounds, modes, strict=True)):
        payload = {
            RangeMode.SKIP: b"",
            RangeMode.FINGERPRINT: MARK,
            RangeMode.IDS: number.to_bytes(32, "big"),
        }[mode]
        writer.add(bound, mode, payload)
        expected.append((bound, mode, payload))
    assert list(read_ranges(bytes(writer.raw))) == expected
    assert read_version(bytes(writer.raw)) == 0x61


REFUSED = {
    "no version": ("", "sync-malformed"),
    "no version of Negentropy": ("5f", "sync-malformed"),
    "a bound without its length": ("6105", "sync-malformed"),
    "a prefix cut short": ("610502aa", "sync-malformed"),
    "a range without a mode": ("610500", "sync-malformed"),
    "a fingerprint cut short": ("6105000100", "sync-malformed"),
    "an unknown mode": ("61050003", "sync-malformed"),
    "a mode in two bytes": ("6105008000", "sync-malformed"),
    "a count without ids": ("6105000201", "sync-malformed"),
    "a count of 2^63 ids": ("610500028180808080808080808000", "sync-malformed"),
    "a number with leading zeros": ("61800500" + "00", "sync-malformed"),
    "a number over 64 bits": ("61ffffffffffffffffff7f0000", "sync-malformed"),
    "a number without an end": ("61" + "ff" * 40, "sync-malformed"),
    "a prefix of 33 bytes": ("610521" + "aa" * 33 + "00", "sync-malformed"),
    "a prefix behind the end": ("610001aa00", "sync-malformed"),
    "a created beyond the end": ("6181ffffffffffffffff7f000005" + "0000", "sync-malformed"),
    "a bound at the start": ("61010000", "sync-order"),
    "a bound twice": ("610500000100" + "00", "sync-order"),
    "an id prefix that descends": ("610501bb000101aa00", "sync-order"),
    "a range after the end": ("610000000500" + "00", "sync-order"),
    "two ends and more": ("61" + "000000" * 3, "sync-order"),
    "an id twice in a list": ("61000002" + "02" + "aa" * 64, "sync-duplicate-id"),
    "an id in two lists": ("610500" + "0201" + "aa" * 32 + "0000" + "0201" + "aa" * 32, "sync-duplicate-id"),
}


@pytest.mark.parametrize(("raw", "reason"), REFUSED.values(), ids=REFUSED)
def test_what_no_honest_peer_writes_is_refused(raw: str, reason: str) -> None:
    with pytest.raises(PeerError) as refusal:
        read_version(bytes.fromhex(raw))
        list(read_ranges(bytes.fromhex(raw)))
    assert refusal.value.reason == reason


def test_the_reference_may_end_a_full_frame_with_an_empty_range() -> None:
    raw = bytes.fromhex("61" + "00000201" + "aa" * 32 + "000001" + "00" * 16)
    assert [part.upper for part in read_ranges(raw)] == [END, END]


@given(st.binary(max_size=400))
def test_random_bytes_are_read_or_refused(raw: bytes) -> None:
    try:
        parts = list(read_ranges(b"\x61" + raw))
    except PeerError as refusal:
        assert refusal.reason in {"sync-malformed", "sync-order", "sync-duplicate-id"}
        return
    ids = [own for part in parts if part.mode is RangeMode.IDS for own in split_ids(part.payload)]
    assert len(set(ids)) == len(ids)
    assert sorted(part.upper.key for part in parts) == [part.upper.key for part in parts]
