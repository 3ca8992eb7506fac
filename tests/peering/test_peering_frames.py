"""The frame reader of the guests' door, under any bytes in any pieces: a message, or a refusal, and no more memory than came."""

from __future__ import annotations

import asyncio
import itertools

from hypothesis import example, given
from hypothesis import strategies as st

from p2pshare.envelope.knock import CARD_HANDED_BEGINS, CARD_MESSAGE_BYTES_MAX
from p2pshare.errors import PeerError
from p2pshare.peering import frames
from p2pshare.peering.frames import GUEST_MESSAGE_BYTES_MAX, read_message

LENGTHS = st.one_of(
    st.integers(0, 40),
    st.sampled_from(
        [
            GUEST_MESSAGE_BYTES_MAX,
            GUEST_MESSAGE_BYTES_MAX + 1,
            CARD_MESSAGE_BYTES_MAX,
            CARD_MESSAGE_BYTES_MAX + 1,
            (1 << 32) - 1,
        ]
    ),
)


def told_by_the_page(raw: bytes, card_begins: bytes) -> bytes | str:
    """The message or the reason, as docs/card.md says it, with all bytes at hand."""
    length = int.from_bytes(raw[:4], "big")
    if len(raw) < 4:
        return "cut-off"
    if length == 0:
        return "malformed"
    if length > GUEST_MESSAGE_BYTES_MAX:
        if len(raw) < 4 + len(card_begins):
            return "cut-off"
        if not card_begins or raw[4:6] != card_begins or length > CARD_MESSAGE_BYTES_MAX:
            return "oversized"
    return raw[4 : 4 + length] if len(raw) >= 4 + length else "cut-off"


async def fed(raw: bytes, cuts: list[int], card_begins: bytes) -> bytes | str:
    reader = asyncio.StreamReader(frames.READ_BUFFER_BYTES)
    reading = asyncio.create_task(read_message(reader, card_begins))
    places = sorted({min(cut, len(raw)) for cut in cuts} | {0, len(raw)})
    for start, end in itertools.pairwise(places):
        reader.feed_data(raw[start:end])
        await asyncio.sleep(0)
    reader.feed_eof()
    try:
        return await reading
    except PeerError as error:
        return error.reason


@given(
    st.one_of(
        st.binary(max_size=60),
        st.tuples(LENGTHS, st.sampled_from([b"\x92\x02", b"\x92\x03", b""]), st.binary(max_size=40)).map(
            lambda parts: parts[0].to_bytes(4, "big") + parts[1] + parts[2]
        ),
        st.binary(min_size=1, max_size=60).map(lambda message: len(message).to_bytes(4, "big") + message),
    ),
    st.lists(st.integers(0, 70), max_size=6),
    st.sampled_from([CARD_HANDED_BEGINS, b""]),
)
@example(
    CARD_MESSAGE_BYTES_MAX.to_bytes(4, "big") + b"\x92\x02" + bytes(CARD_MESSAGE_BYTES_MAX - 2),
    [5],
    b"\x92\x02",
)
@example(GUEST_MESSAGE_BYTES_MAX.to_bytes(4, "big") + bytes(GUEST_MESSAGE_BYTES_MAX), [], b"")
def test_any_bytes_in_any_pieces_are_a_message_or_a_refusal(
    raw: bytes, cuts: list[int], card_begins: bytes
) -> None:
    assert asyncio.run(fed(raw, cuts, card_begins)) == told_by_the_page(raw, card_begins)
