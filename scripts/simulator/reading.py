"""Reading, and the pause in it while intake has no room: the part of sockets and tasks in the real driver."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from p2pshare.identifiers import PartnerId


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


class Reading:
    """All streams of one life that have something unread."""

    def __init__(self, has_room: Callable[[PartnerId], bool]) -> None:
        self._has_room = has_room
        self._streams: dict[Stream, None] = {}

    def add(self, stream: Stream, is_body: bool, read: Callable[[], None]) -> None:
        """Read it now, or behind what came before it in its stream and when there is room."""
        stream.unread.append(Unread(is_body, read))
        self._streams[stream] = None
        self.go_on()

    def go_on(self) -> None:
        """Read what there is room for, from one stream after the other."""
        while readable := [stream for stream in self._streams if self._may_read(stream)]:
            for stream in readable:
                if self._may_read(stream):
                    stream.unread.popleft().read()
                if not stream.unread:
                    del self._streams[stream]

    def _may_read(self, stream: Stream) -> bool:
        return not stream.unread[0].is_body or self._has_room(stream.peer)
