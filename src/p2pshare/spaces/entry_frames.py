"""Frames of the payloads `entries`, `heads` and `exercise`: how entries, the cards beside them and heads stand in an envelope (docs/spaces.md, "How entries travel").

::

    frame of `entries` = zstd of [ [card file, ...], [entry, ...] ]          parents before children
    frame of `heads`   = zstd of the heads of one space
    frame of `exercise` = zstd of [ realm, 0, what is in a frame of `entries` ], or of [ realm, 1, the heads of one space ]

Nothing of what is inside is believed here, and nothing is inflated beyond what a frame may hold.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from p2pshare.envelope.encoding import Reader, pack, refusal
from p2pshare.envelope.entry import REAL
from p2pshare.envelope.payload import compress_frame, inflate_frame
from p2pshare.identifiers import Realm
from p2pshare.limits import ENTRY_BYTES_MAX, FRAME_BYTES_MAX, INTRODUCED_CARD_BYTES_MAX, KIB
from p2pshare.spaces.heads import SpaceHeads, decode_heads, read_heads

FRAME_ENTRIES_MAX = 1_024  # as many as an envelope states
FRAME_CARDS_MAX = 64
FRAME_BYTES_TARGET = 1_024 * KIB  # inflated at once by whoever reads
HEADS_BYTES_MAX = 512 * KIB  # the longest list has 320 KiB
_ENTRIES, _HEADS = 0, 1  # what a frame of an exercise holds


@dataclass(frozen=True, slots=True)
class EntryFrame:
    """What one frame holds: card files with all their versions, and entries as they came."""

    cards: tuple[bytes, ...]
    entries: tuple[bytes, ...]


def encode_entry_frame(cards: Sequence[bytes], entries: Sequence[bytes]) -> bytes:
    """Returns the compressed frame of these."""
    return compress_frame(pack([list(cards), list(entries)]))


def frames_of(
    cards: Sequence[bytes],
    entries: Iterable[bytes],
    encode: Callable[[Sequence[bytes], Sequence[bytes]], bytes] = encode_entry_frame,
) -> Iterator[bytes]:
    """Yields frames of some `FRAME_BYTES_TARGET` each, the cards in the first."""
    waiting, size = list(cards), sum(map(len, cards))
    piece: list[bytes] = []
    for wire in entries:
        if piece and (size + len(wire) > FRAME_BYTES_TARGET or len(piece) >= FRAME_ENTRIES_MAX):
            yield encode(waiting, piece)
            waiting, piece, size = [], [], 0
        piece.append(wire)
        size += len(wire)
    if piece or waiting:
        yield encode(waiting, piece)


def decode_entry_frame(frame: bytes) -> EntryFrame:
    """Returns what is in a frame. Raises PeerError `bad-frame`, `inflated-too-large`, `malformed`, `not-canonical`."""
    reader = Reader(inflate_frame(frame, budget_bytes=FRAME_BYTES_MAX))
    found = _read_entries(reader)
    reader.end()
    return found


def _read_entries(reader: Reader) -> EntryFrame:
    reader.array(2, 2)
    cards = tuple(reader.blob(1, INTRODUCED_CARD_BYTES_MAX) for _ in range(reader.array(0, FRAME_CARDS_MAX)))
    entries = tuple(reader.blob(1, ENTRY_BYTES_MAX) for _ in range(reader.array(0, FRAME_ENTRIES_MAX)))
    if not cards and not entries:
        raise refusal("malformed", "a frame holds neither cards nor entries")
    return EntryFrame(cards, entries)


def encode_exercise_entries(realm: Realm, cards: Sequence[bytes], entries: Sequence[bytes]) -> bytes:
    """Returns the compressed frame of these, of an exercise."""
    return compress_frame(pack([realm, _ENTRIES, [list(cards), list(entries)]]))


def encode_exercise_heads(heads: SpaceHeads) -> bytes:
    """Returns the compressed frame of the heads of a space of an exercise."""
    return compress_frame(pack([heads.realm, _HEADS, heads.told()]))


@dataclass(frozen=True, slots=True)
class ExerciseFrame:
    """What one frame of an exercise holds."""

    realm: Realm
    content: EntryFrame | SpaceHeads


def decode_exercise_frame(frame: bytes) -> ExerciseFrame:
    """Returns what is in a frame of an exercise.

    Raises PeerError `bad-frame`, `inflated-too-large`, `malformed`, `not-canonical`; `wrong-realm` for the real one, or heads of another.
    """
    reader = Reader(inflate_frame(frame, budget_bytes=FRAME_BYTES_MAX))
    reader.array(3, 3)
    realm = Realm(reader.blob(Realm.length, Realm.length))
    content = read_heads(reader) if reader.integer(_HEADS) == _HEADS else _read_entries(reader)
    reader.end()
    if realm == REAL or (isinstance(content, SpaceHeads) and content.realm != realm):
        raise refusal("wrong-realm", "a frame of an exercise is of another realm than it says")
    return ExerciseFrame(realm, content)


def encode_heads_frame(heads: SpaceHeads) -> bytes:
    return compress_frame(heads.encode())


def decode_heads_frame(frame: bytes) -> SpaceHeads:
    """Returns the heads in a frame. Raises PeerError `bad-frame`, `inflated-too-large`, `malformed`, `not-canonical`."""
    return decode_heads(inflate_frame(frame, budget_bytes=HEADS_BYTES_MAX))
