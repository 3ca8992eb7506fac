"""Bodies, bounded in size, time and memory."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable, Iterator

from aiohttp import StreamReader

from p2pshare.http_server.rates import Pace
from p2pshare.http_server.refusals import HttpRefusal, RequestRefused
from p2pshare.limits import REQUEST_BYTES_MAX, SEND_PIECE_BYTES

TRY_AGAIN_SECONDS = 1


class BodyCutOff(Exception):
    """A body ended or stalled before it was whole."""


async def read_exactly(content: StreamReader, length: int, pace: Pace) -> bytes:
    """Returns the `length` bytes of a body that declared them. Raises BodyCutOff."""
    body = bytearray()
    while len(body) < length:
        piece = await read_piece(content, pace)
        if not piece:
            raise BodyCutOff
        body += piece
    return bytes(body)


async def read_piece(content: StreamReader, pace: Pace) -> bytes:
    """Returns the bytes of a body that have come in; empty at its end. Raises BodyCutOff at the pace's deadline."""
    try:
        async with asyncio.timeout_at(pace.deadline):
            piece = await content.readany()
    except TimeoutError:
        raise BodyCutOff from None
    pace.moved(len(piece))
    return piece


def pieces_of(body: bytes) -> Iterator[bytes]:
    """Yields `body` in pieces of at most SEND_PIECE_BYTES: larger writes stall the event loop under TLS."""
    if len(body) <= SEND_PIECE_BYTES:
        yield body
        return
    view = memoryview(body)
    for start in range(0, len(body), SEND_PIECE_BYTES):
        yield bytes(view[start : start + SEND_PIECE_BYTES])


class BufferBudget:
    """Memory for request bodies that are being read or worked on.

    Bodies of at most REQUEST_BYTES_MAX do not count: the cap on connections bounds them.
    """

    def __init__(self, bytes_max: int, per_owner: int) -> None:
        self._free = bytes_max
        self._per_owner = per_owner
        self._owners: dict[Hashable, int] = {}

    def reserve(self, owner: Hashable, count: int) -> BufferReservation:
        """Reserve room for `count` bytes of `owner`. Raises RequestRefused (429)."""
        if count <= REQUEST_BYTES_MAX:
            return BufferReservation(None, owner, 0)
        if count > self._free or self._owners.get(owner, 0) >= self._per_owner:
            raise RequestRefused(HttpRefusal(429, "no-room", TRY_AGAIN_SECONDS))
        self._free -= count
        self._owners[owner] = self._owners.get(owner, 0) + 1
        return BufferReservation(self, owner, count)

    def give_back(self, owner: Hashable, count: int) -> None:
        """Give back the room of a reservation that has ended."""
        self._free += count
        self._owners[owner] -= 1
        if not self._owners[owner]:
            del self._owners[owner]


class BufferReservation:
    """A reservation, held with `with`; its room is given back at the end of the block."""

    __slots__ = ("_budget", "_count", "_owner")

    def __init__(self, budget: BufferBudget | None, owner: Hashable, count: int) -> None:
        self._budget = budget
        self._owner = owner
        self._count = count

    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        if self._budget is not None:
            self._budget.give_back(self._owner, self._count)
