"""Frames of the payloads `entries` and `heads`: how entries, the cards beside them and heads stand in an envelope (docs/spaces.md, "How entries travel").

::

    frame of `entries` = zstd of [ [card file, ...], [entry, ...] ]          parents before children
    frame of `heads`   = zstd of the heads of one space

Nothing of what is inside is believed here, and nothing is inflated beyond what a frame may hold.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from p2pshare.envelope.encoding import Reader, pack, refusal
from p2pshare.envelope.payload import compress_frame, inflate_frame
from p2pshare.limits import ENTRY_BYTES_MAX, FRAME_BYTES_MAX, INTRODUCED_CARD_BYTES_MAX, KIB
from p2pshare.spaces.heads import SpaceHeads, decode_heads

FRAME_ENTRIES_MAX = 1_024  # as many as an envelope states
FRAME_CARDS_MAX = 64
FRAME_BYTES_TARGET = 1_024 * KIB  # inflated at once by whoever reads
HEADS_BYTES_MAX = 512 * KIB  # the longest list has 320 KiB


@dataclass(frozen=True, slots=True)
class EntryFrame:
    """What one frame holds: card files with all their versions, and entries as they came."""

    cards: tuple[bytes, ...]
    entries: tuple[bytes, ...]


def encode_entry_frame(cards: Sequence[bytes], entries: Sequence[bytes]) -> bytes:
    """Returns the compressed frame of these."""
    return compress_frame(pack([list(cards), list(entries)]))


def frames_of(cards: Sequence[bytes], entries: Iterable[bytes]) -> Iterator[bytes]:
    """Yields frames of some `FRAME_BYTES_TARGET` each, the cards in the first."""
    waiting, size = list(cards), sum(map(len, cards))
    piece: list[bytes] = []
    for wire in entries:
        if piece and (size + len(wire) > FRAME_BYTES_TARGET or len(piece) >= FRAME_ENTRIES_MAX):
            yield encode_entry_frame(waiting, piece)
            waiting, piece, size = [], [], 0
        piece.append(wire)
        size += len(wire)
    if piece or waiting:
        yield encode_entry_frame(waiting, piece)


def decode_entry_frame(frame: bytes) -> EntryFrame:
    """Returns what is in a frame. Raises PeerError `bad-frame`, `inflated-too-large`, `malformed`, `not-canonical`."""
    reader = Reader(inflate_frame(frame, budget_bytes=FRAME_BYTES_MAX))
    reader.array(2, 2)
    cards = tuple(reader.blob(1, INTRODUCED_CARD_BYTES_MAX) for _ in range(reader.array(0, FRAME_CARDS_MAX)))
    entries = tuple(reader.blob(1, ENTRY_BYTES_MAX) for _ in range(reader.array(0, FRAME_ENTRIES_MAX)))
    reader.end()
    if not cards and not entries:
        raise refusal("malformed", "a frame holds neither cards nor entries")
    return EntryFrame(cards, entries)


def encode_heads_frame(heads: SpaceHeads) -> bytes:
    return compress_frame(heads.encode())


def decode_heads_frame(frame: bytes) -> SpaceHeads:
    """Returns the heads in a frame. Raises PeerError `bad-frame`, `inflated-too-large`, `malformed`, `not-canonical`."""
    return decode_heads(inflate_frame(frame, budget_bytes=HEADS_BYTES_MAX))
