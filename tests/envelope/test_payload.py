"""Payloads, zstd bombs and padding."""

from __future__ import annotations

import tracemalloc

import pytest
import zstandard
from envelope_forge import NOW
from hypothesis import example, given, settings
from hypothesis import strategies as st
from plain_payload import plain_payload

from p2pshare.envelope.encoding import pack
from p2pshare.envelope.payload import (
    PartPlace,
    PayloadHeader,
    compress_frame,
    decode_payload,
    encode_payload,
    inflate_frame,
    pad,
    padded_size,
    unpad,
)
from p2pshare.errors import PeerError
from p2pshare.identifiers import PublicationId
from p2pshare.limits import INFLATED_BYTES_MAX, PAYLOAD_FRAMES_MAX, PUBLICATION_PARTS_MAX

PUBLICATION = PublicationId(bytes(range(16)))
HEADER = PayloadHeader("stix", NOW, "TLP:AMBER", 2, PUBLICATION, PartPlace(2, 3))
FIELDS = {0: "stix", 1: NOW, 2: "TLP:RED", 3: 1, 4: bytes(16), 5: [1, 1]}


def inflate_reason(frame: bytes, budget: int = INFLATED_BYTES_MAX) -> str:
    with pytest.raises(PeerError) as caught:
        inflate_frame(frame, budget_bytes=budget)
    return caught.value.reason


@given(st.lists(st.binary(min_size=1, max_size=300), max_size=20))
def test_a_payload_comes_back(frames: list[bytes]) -> None:
    assert decode_payload(encode_payload(HEADER, frames)) == (HEADER, tuple(frames))


@given(st.binary(max_size=200))
def test_any_bytes_are_a_payload_in_its_one_form_or_refused(raw: bytes) -> None:
    try:
        header, frames = decode_payload(raw)
    except PeerError:
        return
    assert encode_payload(header, frames) == raw


@pytest.mark.parametrize(
    "value",
    [
        [{0: "stix", 1: NOW, 2: "TLP:RED"}, []],
        [{0: "stix", 1: NOW, 2: "TLP:RED", 3: 1}, []],
        [{0: "stix", 1: NOW, 2: "TLP:RED", 3: 1, 4: bytes(16)}, []],
        [{0: "stix", 1: NOW, 2: "TLP:RED", 3: 1, 5: [1, 1]}, []],
        [FIELDS | {6: 0}, []],
        [FIELDS | {0: ""}, []],
        [FIELDS | {2: "TLP:RED\x1b"}, []],
        [FIELDS | {0: "stíx"}, []],
        [FIELDS | {0: "x" * 33}, []],
        [FIELDS | {4: bytes(15)}, []],
        [FIELDS | {4: bytes(17)}, []],
        [FIELDS | {4: "x" * 16}, []],
        [FIELDS | {5: [0, 1]}, []],
        [FIELDS | {5: [2, 1]}, []],
        [FIELDS | {5: [1, PUBLICATION_PARTS_MAX + 1]}, []],
        [FIELDS | {5: [1]}, []],
        [FIELDS | {5: [1, 1, 1]}, []],
        [FIELDS | {5: {0: 1, 1: 1}}, []],
        [FIELDS | {5: 1}, []],
        [FIELDS, [b""]],
        [FIELDS, ["text"]],
        [FIELDS, [], 0],
        {0: "stix"},
    ],
)
def test_a_payload_outside_the_format_is_refused(value: object) -> None:
    with pytest.raises(PeerError) as caught:
        decode_payload(pack(value))
    assert caught.value.reason == "malformed"
    assert plain_payload(pack(value)) is None


@pytest.mark.parametrize(
    "part", [PartPlace(1, 1), PartPlace(1, PUBLICATION_PARTS_MAX), PartPlace(*[PUBLICATION_PARTS_MAX] * 2)]
)
def test_a_part_at_its_limits_comes_back(part: PartPlace) -> None:
    header = PayloadHeader("stix", NOW, "", 0, PUBLICATION, part)
    assert decode_payload(encode_payload(header, []))[0].part == part


@pytest.mark.parametrize("place", [(0, 0), (0, 1), (2, 1), (-1, 1), (1, PUBLICATION_PARTS_MAX + 1)])
def test_an_author_cannot_write_a_place_that_is_none(place: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="no part"):
        PartPlace(*place)


@st.composite
def nearly_payloads(draw: st.DrawFn) -> bytes:
    """Payloads in which now and then a field is another, of another type, or missing, or a byte is."""
    odd = st.one_of(
        st.integers(0, 70_000), st.binary(max_size=18), st.text(max_size=34), st.just([]), st.just({})
    )

    def often(right: st.SearchStrategy[object]) -> object:
        return draw(odd if draw(st.integers(0, 15)) == 0 else right)

    number = st.integers(0, 3) | st.integers(65_530, 65_540)
    fields = {
        0: often(st.just("stix") | st.text(st.characters(max_codepoint=255), max_size=33)),
        1: often(st.integers(0, 2**54)),
        2: often(st.just("TLP:GREEN")),
        3: often(st.integers(0, 300)),
        4: often(st.binary(min_size=16, max_size=16)),
        5: often(st.lists(number, min_size=2, max_size=2)),
    }
    if draw(st.integers(0, 15)) == 0:
        fields.pop(draw(st.integers(0, 5)))
    frames = often(st.lists(st.binary(min_size=1, max_size=3), max_size=2))
    raw = bytearray(pack([fields, frames]))
    if draw(st.integers(0, 3)) == 0:
        raw[draw(st.integers(0, len(raw) - 1))] = draw(st.integers(0, 255))
    return bytes(raw)


@given(nearly_payloads())
@example(pack([FIELDS, []]))
@example(pack([FIELDS, []]).replace(b"\x05\x92\x01\x01", b"\x05\x92\xcc\x01\x01"))
@example(pack([FIELDS | {5: [1, 65_535]}, []]))
@example(pack([FIELDS | {5: [1, 65_536]}, []]))
def test_a_decoder_written_from_the_page_alone_agrees(raw: bytes) -> None:
    plain = plain_payload(raw)
    try:
        header, frames = decode_payload(raw)
    except PeerError:
        assert plain is None
        return
    place = (header.part.number, header.part.of)
    assert plain == (
        header.type, header.created, header.marking, header.objects, header.publication, place, frames
    )  # fmt: skip


def test_the_two_decoders_meet_both_answers() -> None:
    """Else the comparison above compares nothing."""
    answers: set[bool] = set()

    @settings(max_examples=1_000)  # which are drawn follows from what else the process has imported
    @given(nearly_payloads())
    def look(raw: bytes) -> None:
        answers.add(plain_payload(raw) is None)

    look()
    assert answers == {True, False}


def test_the_number_of_frames_at_its_limit() -> None:
    assert len(decode_payload(encode_payload(HEADER, [b"x"] * PAYLOAD_FRAMES_MAX))[1]) == PAYLOAD_FRAMES_MAX
    with pytest.raises(PeerError):
        decode_payload(encode_payload(HEADER, [b"x"] * (PAYLOAD_FRAMES_MAX + 1)))


@given(st.binary(max_size=5000))
def test_a_frame_comes_back(text: bytes) -> None:
    assert inflate_frame(compress_frame(text), budget_bytes=5000) == text


def test_the_budget_at_its_limit() -> None:
    frame = compress_frame(bytes(1000))
    assert inflate_frame(frame, budget_bytes=1000) == bytes(1000)
    assert inflate_reason(frame, 999) == "inflated-too-large"


def test_a_bomb_that_declares_its_size_costs_no_memory() -> None:
    bomb = compress_frame(bytes(INFLATED_BYTES_MAX + 1))
    assert len(bomb) < 16_384
    tracemalloc.start()
    try:
        assert inflate_reason(bomb) == "inflated-too-large"
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_a_bomb_that_hides_or_lies_about_its_size_is_refused() -> None:
    hidden = zstandard.ZstdCompressor(write_content_size=False).compress(bytes(1 << 20))
    assert inflate_reason(hidden) == "bad-frame"
    honest = compress_frame(bytes(1 << 20))
    assert zstandard.get_frame_parameters(honest).content_size == 1 << 20
    at = honest.index((1 << 20).to_bytes(4, "little"))
    liar = honest[:at] + (1000).to_bytes(4, "little") + honest[at + 4 :]
    assert zstandard.get_frame_parameters(liar).content_size == 1000
    assert inflate_reason(liar) == "bad-frame"


def test_a_window_beyond_the_limit_is_refused() -> None:
    for log, is_good in ((23, True), (24, False)):
        parameters = zstandard.ZstdCompressionParameters(window_log=log, write_content_size=True)
        frame = zstandard.ZstdCompressor(compression_params=parameters).compress(bytes(20 << 20))
        assert zstandard.get_frame_parameters(frame).window_size == 1 << log
        if is_good:
            assert len(inflate_frame(frame, budget_bytes=20 << 20)) == 20 << 20
        else:
            assert inflate_reason(frame) == "inflated-too-large"


def test_a_second_frame_a_skippable_frame_and_a_dictionary_are_refused() -> None:
    frame = compress_frame(b"[]")
    assert inflate_reason(frame + frame) == "bad-frame"
    assert inflate_reason(frame + b"\x00") == "bad-frame"
    skippable = (0x184D2A50).to_bytes(4, "little") + (4).to_bytes(4, "little") + b"skip"
    assert inflate_reason(skippable) == "bad-frame"
    assert inflate_reason(skippable + frame) == "bad-frame"
    dictionary = zstandard.train_dictionary(1024, [bytes([n % 7]) * 50 + b"sample" * n for n in range(200)])
    assert inflate_reason(zstandard.ZstdCompressor(dict_data=dictionary).compress(b"[]")) == "bad-frame"


def test_every_truncation_and_flip_of_a_frame_is_refused_or_bounded() -> None:
    frame = compress_frame(b'[{"type":"indicator"}]' * 40)
    assert all(inflate_reason(frame[:size]) == "bad-frame" for size in range(len(frame)))
    for at in range(len(frame)):
        flipped = bytearray(frame)
        flipped[at] ^= 1 << (at % 8)
        try:
            assert len(inflate_frame(bytes(flipped), budget_bytes=4096)) <= 4096
        except PeerError as error:
            assert error.reason in {"bad-frame", "inflated-too-large"}


@given(st.binary(max_size=3000))
def test_padding_comes_back(payload: bytes) -> None:
    padded = pad(payload)
    assert unpad(padded) == payload
    assert len(padded) == padded_size(len(padded)) == padded_size(4 + len(payload))


@given(st.integers(0, 1 << 24))
def test_padme_adds_at_most_twelve_percent(length: int) -> None:
    size = padded_size(length)
    assert length <= size
    assert size == 256 if length <= 256 else size <= length * 1.12
    assert padded_size(size) == size


def test_padme_agrees_with_the_paper() -> None:
    """Nikitin et al., PETS 2019, algorithm 1, worked out by hand."""
    assert [padded_size(n) for n in (256, 257, 300, 512, 513, 1000, 65_537, 1_000_000)] == [
        256,
        272,
        304,
        512,
        544,
        1024,
        67_584,
        1_015_808,
    ]


@given(st.binary(min_size=0, max_size=600))
def test_any_bytes_are_padding_in_its_one_form_or_refused(raw: bytes) -> None:
    try:
        payload = unpad(raw)
    except PeerError as error:
        assert error.reason == "bad-padding"
        return
    assert pad(payload) == raw
