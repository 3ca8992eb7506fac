"""Reading, and the pause in it while intake has no room: the part of sockets and tasks in the real driver."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from p2pshare.identifiers import PartnerId
from simulator.virtual_loop import VirtualLoop


@dataclass(frozen=True, slots=True)
class Unread:
    """The next piece of a stream; a body is read when there is room for it, all else at once."""

    is_body: bool
    read: Callable[[], None]


@dataclass(slots=True, eq=False)
class Stream:
    """One request's bytes from `peer`, in their order."""

    peer: PartnerId
    unread: deque[Unread] = field(default_factory=deque)
    is_read: bool = False
    """Whether a task reads it, or waits for room to do so."""


class Reading:
    """All streams of one life. `room` waits until there is room for one more body of a partner (`daemon.intake_queue`)."""

    def __init__(self, loop: VirtualLoop, room: Callable[[PartnerId], Awaitable[None]]) -> None:
        self._loop = loop
        self._room = room

    def add(self, stream: Stream, is_body: bool, read: Callable[[], None]) -> None:
        """Read it now, or behind what came before it in its stream and when there is room."""
        if not (is_body or stream.is_read):
            read()
            return
        stream.unread.append(Unread(is_body, read))
        if not stream.is_read:
            stream.is_read = True
            self._loop.create_task(self._read(stream))

    async def _read(self, stream: Stream) -> None:
        while stream.unread:
            one = stream.unread.popleft()
            if one.is_body:
                await self._room(stream.peer)
            one.read()
        stream.is_read = False
