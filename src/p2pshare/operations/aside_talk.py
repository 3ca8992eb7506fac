"""What a request waits for that other nodes have to answer: a daemon that stops cuts it, for they may say nothing at all."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from p2pshare.errors import DaemonUnreachable
from p2pshare.operations.interface import AsideWork

T = TypeVar("T")


class AsideTalk(AsideWork[T]):
    """Aside work that waits for other nodes, in an event loop of its own: whoever answers late, or never, holds up nobody who cuts it."""

    def __init__(self, talk: Callable[[], Coroutine[Any, Any, T]]) -> None:
        super().__init__(self._talk_to_its_end)
        self._talk = talk
        self._is_cut = False
        self._cut_in: Callable[[], object] | None = None

    def cut(self) -> None:
        """End it now, from any thread: `do` raises DaemonUnreachable `stopping`, unless all was done before."""
        self._is_cut = True
        if self._cut_in is not None:
            with suppress(RuntimeError):  # its loop has ended meanwhile
                self._cut_in()

    def _talk_to_its_end(self) -> T:
        try:
            return asyncio.run(self._watched())
        except asyncio.CancelledError:
            raise daemon_stops() from None

    async def _watched(self) -> T:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None
        self._cut_in = lambda: loop.call_soon_threadsafe(task.cancel)
        if self._is_cut:
            raise daemon_stops()
        return await self._talk()


def daemon_stops() -> DaemonUnreachable:
    """Returns what an asker is told whose request waited for others when the daemon was stopped."""
    return DaemonUnreachable(
        "the daemon stops, and did not wait for the other side",
        hint="ask again once it runs",
        reason="stopping",
    )
