"""Bodies, bounded in size, time and memory on both sides.

The answer to `POST /v1/get` is a sequence of envelopes, each a head (`gossip.messages.body_head`: id and
length) and as many bytes. Length 0 means *gone*: not held, or not for you. The sequence may end before every
id was answered: ask again for the rest.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator

from aiohttp import StreamReader

from p2pshare.errors import PeerError
from p2pshare.gossip.messages import BODY_HEAD_BYTES, body_head, decode_body_head
from p2pshare.identifiers import EnvelopeId
from p2pshare.limits import REQUEST_BYTES_MAX, RESPONSE_BYTES_MAX, SEND_PIECE_BYTES
from p2pshare.peering.faults import Refusal, RequestRefused
from p2pshare.peering.rates import Pace

TRY_AGAIN_SECONDS = 1


class BodyCutOff(Exception):
    """A body ended or stalled before it was whole."""


async def read_exactly(content: StreamReader, length: int, pace: Pace) -> bytes:
    """The `length` bytes of a body that declared them. Raises BodyCutOff."""
    body = bytearray()
    while len(body) < length:
        piece = await read_piece(content, pace)
        if not piece:
            raise BodyCutOff
        body += piece
    return bytes(body)


async def read_at_most(content: StreamReader, bytes_max: int, pace: Pace) -> bytes:
    """A body of unknown length. Raises BodyCutOff, and PeerError `oversized` as soon as it is longer."""
    body = bytearray()
    while not content.at_eof():
        body += await read_piece(content, pace)
        if len(body) > bytes_max:
            raise PeerError("an answer is too large", reason="oversized")
    return bytes(body)


async def read_piece(content: StreamReader, pace: Pace) -> bytes:
    """What has come in of a body; empty at its end. Raises BodyCutOff at the pace's deadline."""
    try:
        async with asyncio.timeout_at(pace.deadline):
            piece = await content.readany()
    except TimeoutError:
        raise BodyCutOff from None
    pace.moved(len(piece))
    return piece


def pieces_of(body: bytes) -> Iterator[bytes]:
    """`body` in pieces of at most SEND_PIECE_BYTES: larger writes stall the event loop under TLS."""
    if len(body) <= SEND_PIECE_BYTES:
        yield body
        return
    view = memoryview(body)
    for start in range(0, len(body), SEND_PIECE_BYTES):
        yield bytes(view[start : start + SEND_PIECE_BYTES])


async def encode_envelopes(
    envelopes: AsyncIterator[tuple[EnvelopeId, bytes | None]],
) -> AsyncGenerator[bytes, None]:
    """The pieces of an answer. It is full at RESPONSE_BYTES_MAX; one larger envelope travels alone."""
    sent = 0
    async for envelope_id, wire in envelopes:
        size = BODY_HEAD_BYTES + len(wire or b"")
        if sent and sent + size > RESPONSE_BYTES_MAX:
            return
        sent += size
        yield body_head(envelope_id, len(wire or b""))
        for piece in pieces_of(wire) if wire else ():
            yield piece


class EnvelopeSplitter:
    """Cuts such an answer back into envelopes, holding no more than one of them and what came in last."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._head: tuple[EnvelopeId, int] | None = None

    @property
    def is_between_envelopes(self) -> bool:
        """Whether the sequence may end here."""
        return self._head is None and not self._buffer

    def feed(self, piece: bytes) -> Iterator[tuple[EnvelopeId, bytes | None]]:
        """What `piece` completes. Raises PeerError `oversized` for a length that no envelope has."""
        self._buffer += piece
        while True:
            if self._head is None:
                if len(self._buffer) < BODY_HEAD_BYTES:
                    return
                self._head = decode_body_head(self._take(BODY_HEAD_BYTES))
            envelope_id, length = self._head
            if len(self._buffer) < length:
                return
            self._head = None
            yield envelope_id, self._take(length) or None

    def _take(self, count: int) -> bytes:
        taken = bytes(self._buffer[:count])
        del self._buffer[:count]
        return taken


class BufferBudget:
    """Memory for request bodies that are being read or worked on. Those within REQUEST_BYTES_MAX are free:
    the cap on connections bounds them."""

    def __init__(self, bytes_max: int, per_owner: int) -> None:
        self._free = bytes_max
        self._per_owner = per_owner
        self._owners: dict[bytes, int] = {}

    def reserve(self, owner: bytes, count: int) -> BufferReservation:
        """Room for `count` bytes of `owner`. Raises RequestRefused (429)."""
        if count <= REQUEST_BYTES_MAX:
            return BufferReservation(None, owner, 0)
        if count > self._free or self._owners.get(owner, 0) >= self._per_owner:
            raise RequestRefused(Refusal(429, "no-room", TRY_AGAIN_SECONDS))
        self._free -= count
        self._owners[owner] = self._owners.get(owner, 0) + 1
        return BufferReservation(self, owner, count)

    def give_back(self, owner: bytes, count: int) -> None:
        """The end of a reservation."""
        self._free += count
        self._owners[owner] -= 1
        if not self._owners[owner]:
            del self._owners[owner]


class BufferReservation:
    """Held with `with`; room is given back at its end."""

    __slots__ = ("_budget", "_count", "_owner")

    def __init__(self, budget: BufferBudget | None, owner: bytes, count: int) -> None:
        self._budget = budget
        self._owner = owner
        self._count = count

    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        if self._budget is not None:
            self._budget.give_back(self._owner, self._count)
