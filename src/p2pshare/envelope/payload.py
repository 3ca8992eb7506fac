"""The payload of an envelope: a small header and frames (docs/envelope.md, "Payload").

::

    payload = [ {0 type, 1 created, 2 marking, 3 objects, 4 publication, 5 [number, of]}, [frame (bin), ...] ]

The map has one form, whatever the type; the content of a frame depends on the type. Those of most types, STIX among
them, are each one independent zstd frame (RFC 8878), inflated one by one against a budget, so that a whole payload is
never in memory at once. Padding is laid around the payload here too, because both sides must agree on every byte of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import zstandard

from p2pshare.envelope.encoding import Reader, pack, refusal
from p2pshare.identifiers import PublicationId
from p2pshare.limits import (
    ENVELOPE_BYTES_MAX,
    INFLATED_BYTES_MAX,
    PADDING_FLOOR_BYTES,
    PAYLOAD_FRAMES_MAX,
    PUBLICATION_PARTS_MAX,
    ZSTD_WINDOW_BYTES_MAX,
)

HEADER_TEXT_BYTES_MAX = 32
ZSTD_LEVEL = 3  # 92 bytes per indicator; level 10 gains 6 % and costs five times the CPU
_ZSTD_MAGIC = (0xFD2FB528).to_bytes(4, "little")  # RFC 8878 section 3.1.1; skippable frames have another
_LENGTH_BYTES = 4


@dataclass(frozen=True, slots=True)
class PartPlace:
    """The place of an envelope among those of its publication, from 1. Raises ValueError for a place that cannot be."""

    number: int
    of: int

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.of <= PUBLICATION_PARTS_MAX:
            raise ValueError(f"no part of a publication: {self.number} of {self.of}")


ALONE = PartPlace(1, 1)
"""The place of a publication that fits one envelope."""


@dataclass(frozen=True, slots=True)
class PayloadHeader:
    """The header of a payload. `type` is its kind, as "stix"; `marking` the most restrictive TLP inside, as text.

    `created` is unix seconds, `objects` the number of objects that the frames hold.
    """

    type: str
    created: int
    marking: str
    objects: int
    publication: PublicationId
    part: PartPlace


def encode_payload(header: PayloadHeader, frames: Sequence[bytes]) -> bytes:
    """Returns the payload of frames that are already in the form of their type."""
    fields = {
        0: header.type,
        1: header.created,
        2: header.marking,
        3: header.objects,
        4: header.publication,
        5: [header.part.number, header.part.of],
    }
    return pack([fields, list(frames)])


def decode_payload(raw: bytes) -> tuple[PayloadHeader, tuple[bytes, ...]]:
    """Returns the header and the frames, not inflated. Raises PeerError `malformed`, `not-canonical`."""
    reader = Reader(raw)
    reader.array(2, 2)
    reader.map(6)
    reader.key(0)
    kind = reader.text(1, HEADER_TEXT_BYTES_MAX)
    reader.key(1)
    created = reader.integer()
    reader.key(2)
    marking = reader.text(0, HEADER_TEXT_BYTES_MAX)
    reader.key(3)
    objects = reader.integer()
    reader.key(4)
    publication = PublicationId(reader.blob(PublicationId.length, PublicationId.length))
    reader.key(5)
    reader.array(2, 2)
    number, of = reader.integer(PUBLICATION_PARTS_MAX), reader.integer(PUBLICATION_PARTS_MAX)
    if not 1 <= number <= of:
        raise refusal("malformed", "a payload is no part of its publication")
    frames = tuple(reader.blob(1, ENVELOPE_BYTES_MAX) for _ in range(reader.array(0, PAYLOAD_FRAMES_MAX)))
    reader.end()
    if not (kind + marking).isascii() or not (kind + marking).isprintable():
        raise refusal("malformed", "a payload's type or marking is not plain ASCII")
    return PayloadHeader(kind, created, marking, objects, publication, PartPlace(number, of)), frames


def compress_frame(json_array: bytes) -> bytes:
    """Returns one zstd frame that declares its size (a new compressor each time: they are not for two threads)."""
    return zstandard.ZstdCompressor(level=ZSTD_LEVEL, write_content_size=True).compress(json_array)


def stated_bytes(frame: bytes) -> int:
    """Returns the number of bytes that `frame` declares; nothing is inflated.

    To be charged to a budget before inflating: a frame that fails only at its end has cost as much as a good one.
    Raises PeerError `bad-frame`, `inflated-too-large`.
    """
    if frame[:4] != _ZSTD_MAGIC:
        raise refusal("bad-frame", "a frame is not zstd")
    try:
        stated = zstandard.get_frame_parameters(frame)
    except zstandard.ZstdError:
        raise refusal("bad-frame", "a zstd frame's head is damaged") from None
    if stated.content_size in (zstandard.CONTENTSIZE_UNKNOWN, zstandard.CONTENTSIZE_ERROR):
        raise refusal("bad-frame", "a zstd frame does not declare its size")
    if stated.window_size > max(ZSTD_WINDOW_BYTES_MAX, 1024):
        raise refusal("inflated-too-large", "a zstd frame would inflate beyond the limit")
    if stated.dict_id != 0:
        raise refusal("bad-frame", "a zstd frame asks for a dictionary")
    return int(stated.content_size)


def inflate_frame(frame: bytes, *, budget_bytes: int = INFLATED_BYTES_MAX) -> bytes:
    """Returns the JSON array in `frame`, never more than `budget_bytes`.

    The frame's own statements are read before anything is inflated: the library's output limit is ignored
    for a frame that declares its size (32 KB became 1 GiB). Raises PeerError `bad-frame`, `inflated-too-large`.
    """
    size = stated_bytes(frame)
    if size > budget_bytes:
        raise refusal("inflated-too-large", "a zstd frame would inflate beyond the limit")
    inflater = zstandard.ZstdDecompressor(max_window_size=ZSTD_WINDOW_BYTES_MAX)
    try:
        inflated = inflater.decompress(frame, allow_extra_data=False)
    except zstandard.ZstdError:
        raise refusal("bad-frame", "a zstd frame is damaged or more follows it") from None
    if len(inflated) != size:
        raise refusal("bad-frame", "a zstd frame lies about its size")
    return inflated


# --- padding ---------------------------------------------------------------------------------------


def padded_size(length: int) -> int:
    """Returns the Padme size of a length in bytes (Nikitin et al., PURBs, PETS 2019).

    It is at most 12 % larger, and O(log log n) bits of the length leak.
    """
    if length <= PADDING_FLOOR_BYTES:
        return PADDING_FLOOR_BYTES
    exponent = length.bit_length() - 1
    mask = (1 << (exponent - exponent.bit_length())) - 1
    return (length + mask) & ~mask


def pad(payload: bytes) -> bytes:
    """Returns u32 length (big endian) || payload || zeros up to the next Padme size."""
    length = _LENGTH_BYTES + len(payload)
    return len(payload).to_bytes(_LENGTH_BYTES, "big") + payload + bytes(padded_size(length) - length)


def unpad(padded: bytes) -> bytes:
    """Returns the payload; length, size and every zero are checked, so a payload has one padded form.

    Raises PeerError `bad-padding`.
    """
    end = _LENGTH_BYTES + int.from_bytes(padded[:_LENGTH_BYTES], "big")
    if len(padded) < PADDING_FLOOR_BYTES or end > len(padded) or padded_size(end) != len(padded):
        raise refusal("bad-padding", "the padded length does not fit")
    if padded.count(0, end) != len(padded) - end:
        raise refusal("bad-padding", "the padding is not zero")
    return padded[_LENGTH_BYTES:end]
