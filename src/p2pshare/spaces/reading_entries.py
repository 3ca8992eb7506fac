"""The readers of the payloads `entries` and `heads` (`sharing.payload_kinds` has the contract): what partners hand over of spaces, and what they hold.

A place is (frame, entries of it that were taken). Each slice is some 16 entries, whose signatures are most of what it costs. What is wrong with an
entry or a card is counted by `spaces.spaces` to the author of the envelope, who handed it over; what is wrong with a frame here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from p2pshare.envelope.card_format import decode_card, split_versions
from p2pshare.errors import PeerError
from p2pshare.identifiers import PartnerId
from p2pshare.log.interface import EnvelopeOrigin
from p2pshare.node.node import Node
from p2pshare.sharing.payload_kinds import Place, ReceivedPayload, Steps
from p2pshare.spaces.entry_frames import EntryFrame, decode_entry_frame, decode_heads_frame
from p2pshare.spaces.heads import SpaceHeads
from p2pshare.spaces.space_exchange import SpaceExchange, exchange_of

SLICE_ENTRIES = 16  # taken in in one step: two signatures each, some 10 ms


class EntriesReader:
    """Takes entries in, and the cards beside them where an entry waits for one."""

    def __init__(self, node: Node) -> None:
        self._exchange = exchange_of(node)
        self._exchange.spaces.forget()  # one is made anew where a transaction was undone
        self._now = 0

    def begin(self, now: int, *, is_hurried: bool) -> None:
        self._now = now

    def finish(self) -> None:
        """Do nothing: what is taken in is written at once."""

    def read(
        self, source: EnvelopeOrigin, payload: ReceivedPayload, refused: Counter[str], place: Place
    ) -> Steps:
        number, done = place or (0, 0)
        rows = 0
        for frame_number in range(number, len(payload.frames)):
            try:
                frame = decode_entry_frame(payload.frames[frame_number])
            except PeerError as error:
                refused[error.reason] += 1
                done = 0
                continue
            rows += len(frame.entries)
            for taken in taken_entries(self._exchange, frame, payload.author, self._now, refused, done):
                yield (frame_number, taken)
            done = 0
            yield (frame_number + 1, 0)
        return rows


def taken_entries(
    exchange: SpaceExchange,
    frame: EntryFrame,
    handed_by: PartnerId,
    now: int,
    refused: Counter[str],
    done: int,
) -> Iterator[int]:
    """Take in what is in a frame from the entry `done` on; yields between two slices how many were taken."""
    cards = _by_owner(frame.cards, refused)
    while done < len(frame.entries):
        wires = frame.entries[done : done + SLICE_ENTRIES]
        while not exchange.is_ready(wires, now):
            yield done
        exchange.entries_came(handed_by, wires, cards, now)
        done += len(wires)
        yield done
    exchange.cards_came(handed_by, cards, now)


def heads_taken(
    exchange: SpaceExchange, heads: SpaceHeads, handed_by: PartnerId, now: int, order: tuple[int, int]
) -> Iterator[None]:
    """Note what a partner showed of a space; yields while the space is read for it. Raises PeerError."""
    while not exchange.knows_members(handed_by, heads.space, now):
        yield
    exchange.heads_came(handed_by, heads, now, order)


def _by_owner(cards: tuple[bytes, ...], refused: Counter[str]) -> dict[PartnerId, bytes]:
    """Returns card files by whose they say they are; nothing of it is believed."""
    found = {}
    for raw in cards:
        try:
            found[decode_card(split_versions(raw)[-1]).body.partner_id] = raw
        except (PeerError, IndexError) as error:
            refused[error.reason if isinstance(error, PeerError) else "malformed"] += 1
    return found


class HeadsReader:
    """Notes what partners show that they hold."""

    def __init__(self, node: Node) -> None:
        self._exchange = exchange_of(node)
        self._exchange.spaces.forget()
        self._now = 0

    def begin(self, now: int, *, is_hurried: bool) -> None:
        self._now = now

    def finish(self) -> None:
        """Do nothing: what is noted is written at once."""

    def read(
        self, source: EnvelopeOrigin, payload: ReceivedPayload, refused: Counter[str], place: Place
    ) -> Steps:
        (number,) = place or (0,)
        for frame_number in range(number, len(payload.frames)):
            try:
                heads = decode_heads_frame(payload.frames[frame_number])
                order = (source.incarnation, source.sequence)
                for _ in heads_taken(self._exchange, heads, payload.author, self._now, order):
                    yield (frame_number,)
            except PeerError as error:
                refused[error.reason] += 1
            yield (frame_number + 1,)
        return len(payload.frames)
