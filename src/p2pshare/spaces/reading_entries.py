"""The readers of the payloads `entries` and `heads` (`sharing.payload_kinds` has the contract): what partners hand over of spaces, and what they hold.

A place is (frame, entries of it that were taken). Each slice is some 16 entries, whose signatures are most of what it costs. What is wrong with an
entry or a card is counted by `spaces.spaces` to the author of the envelope, who handed it over; what is wrong with a frame here.
"""

from __future__ import annotations

from collections import Counter

from p2pshare.envelope.card_format import decode_card, split_versions
from p2pshare.errors import PeerError
from p2pshare.identifiers import PartnerId
from p2pshare.log.interface import EnvelopeOrigin
from p2pshare.node.node import Node
from p2pshare.sharing.payload_kinds import Place, ReceivedPayload, Steps
from p2pshare.spaces.entry_frames import decode_entry_frame, decode_heads_frame
from p2pshare.spaces.space_exchange import exchange_of

SLICE_ENTRIES = 16  # taken in in one step: two signatures each, some 10 ms


class EntriesReader:
    """Takes entries in, and the cards beside them where an entry waits for one."""

    def __init__(self, node: Node) -> None:
        self._exchange = exchange_of(node)
        self._exchange.spaces.forget()  # one is made anew where a transaction was undone
        self._now = 0

    def begin(self, now: int) -> None:
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
            cards = _by_owner(frame.cards, refused)
            rows += len(frame.entries)
            while done < len(frame.entries):
                wires = frame.entries[done : done + SLICE_ENTRIES]
                while not self._exchange.is_ready(wires, self._now):
                    yield (frame_number, done)
                self._exchange.entries_came(payload.author, wires, cards, self._now)
                done += len(wires)
                yield (frame_number, done)
            self._exchange.cards_came(payload.author, cards, self._now)
            done = 0
            yield (frame_number + 1, 0)
        return rows


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

    def begin(self, now: int) -> None:
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
                while not self._exchange.knows_members(payload.author, heads.space, self._now):
                    yield (frame_number,)
                order = (source.incarnation, source.sequence)
                self._exchange.heads_came(payload.author, heads, self._now, order)
            except PeerError as error:
                refused[error.reason] += 1
            yield (frame_number + 1,)
        return len(payload.frames)
