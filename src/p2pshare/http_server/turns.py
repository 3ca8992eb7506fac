"""Turns: of whose requests the server works on at once, while several callers ask.

Rates bound what a caller may ask in a second; they do not keep its requests out of another's way. A caller that is alone has all
of the server that its rates let it have. While another caller asks as well, each has one request worked on at a time, and after
it rests as long as that took: so whoever asks one thing finds at most one request of each other caller before its own, and
half of the time none, however many wait behind their connections. What waits is not refused, and nothing of its body is read.

How long a rest is follows from how long the caller itself waited for its answer; it tells it nothing that the answer did not.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Generic

from p2pshare.http_server.interface import Caller

CROWDED_SECONDS = 2.0  # after another caller's request, for which turns are kept
AT_ONCE_MAX = 1  # requests of a caller that are worked on while others ask
RESTS = 1.0  # for each second of work
REST_SECONDS_MIN = 1e-6  # less is over: no timer tells it apart
REST_SECONDS_MAX = 0.25  # a disk that took long once is no reason to make anybody wait as long again
CALLERS_MAX = 4_096  # of whom it is known when they asked last; more than any node has partners


@dataclass(slots=True, eq=False)
class _Asking:
    """A caller of late: its requests that are worked on, those that wait in order, and until when it rests."""

    asked_at: float = 0.0
    working: int = 0
    rests_until: float = 0.0
    waiting: deque[asyncio.Future[None]] = field(default_factory=deque)
    timer: asyncio.TimerHandle | None = None


class CallerTurns(Generic[Caller]):
    """The turns of one server's callers; all from one event loop."""

    def __init__(self) -> None:
        self._asking: OrderedDict[Caller, _Asking] = OrderedDict()
        """Whoever asked last stands last."""

    def forget(self, caller: Caller) -> None:
        """Forget a caller; its requests that are under way end by themselves."""
        self._asking.pop(caller, None)

    @asynccontextmanager
    async def turn(self, caller: Caller) -> AsyncIterator[None]:
        """Wait for a turn of `caller`, behind its requests that came before, and hold it."""
        loop = asyncio.get_running_loop()
        own = self._note(caller, loop.time())
        own.waiting.append(loop.create_future())
        mine = own.waiting[-1]
        self._let_go_on(caller, own)
        try:
            await mine
        except asyncio.CancelledError:
            if mine.done() and not mine.cancelled():  # hung up in the moment in which its turn came
                own.working -= 1
            self._let_go_on(caller, own)
            raise
        began = loop.time()
        try:
            yield
        finally:
            own.working -= 1
            now = loop.time()
            own.rests_until = now + min((now - began) * RESTS, REST_SECONDS_MAX)
            self._let_go_on(caller, own)

    def _note(self, caller: Caller, now: float) -> _Asking:
        own = self._asking.setdefault(caller, _Asking())
        own.asked_at = now
        self._asking.move_to_end(caller)
        if len(self._asking) > CALLERS_MAX:
            idle = (one for one, state in self._asking.items() if not (state.working or state.waiting))
            oldest = next(idle, None)
            if oldest is not None:
                del self._asking[oldest]
        return own

    def _let_go_on(self, caller: Caller, own: _Asking) -> None:
        """Give turns to those of `caller` that wait, in order, as far as there are any; see to it that this is done again."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        is_crowded = self._is_crowded(caller, now)
        rest = own.rests_until - now if is_crowded else 0.0
        while own.waiting and (not is_crowded or (own.working < AT_ONCE_MAX and rest <= REST_SECONDS_MIN)):
            next_one = own.waiting.popleft()
            if not next_one.done():  # else it has hung up
                own.working += 1
                next_one.set_result(None)
        if own.waiting and own.working == 0 and own.timer is None:
            own.timer = loop.call_later(rest, self._has_rested, caller, own)

    def _has_rested(self, caller: Caller, own: _Asking) -> None:
        own.timer = None
        self._let_go_on(caller, own)

    def _is_crowded(self, caller: Caller, now: float) -> bool:
        """Returns whether another one asked within CROWDED_SECONDS."""
        for other in reversed(self._asking):
            if other != caller:
                return now - self._asking[other].asked_at < CROWDED_SECONDS
        return False
