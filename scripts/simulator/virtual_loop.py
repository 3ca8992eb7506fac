"""An event loop of asyncio on virtual time, as much of it as `daemon.intake_queue` and a stream of bodies need.

So what runs here is the product's own queue, with its events, futures and tasks: a wake-up that is lost in it is lost here, too.
Callbacks run from the event queue, each in its turn; nothing waits for real.
"""

from __future__ import annotations

import asyncio
from asyncio import events
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from contextvars import Context
from typing import Any, TypeVar, cast

from simulator.event_queue import EventQueue

T = TypeVar("T")


class VirtualLoop:
    """The loop of one world. Tasks of a life that has ended are never woken again: they vanish with it."""

    def __init__(self, event_queue: EventQueue) -> None:
        self._event_queue = event_queue
        self._loop = cast(asyncio.AbstractEventLoop, self)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Make it the running loop inside the block, as for a callback of its own."""
        before = events._get_running_loop()
        events._set_running_loop(self._loop)
        try:
            yield
        finally:
            events._set_running_loop(before)

    def call_soon(
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        """Call it at this instant, behind what is planned for it already."""
        handle = asyncio.Handle(callback, args, self._loop, context)

        def run() -> None:
            if not handle.cancelled():
                with self.running():
                    handle._run()

        self._event_queue.after(0.0, run)
        return handle

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self._loop)

    def create_task(self, coro: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        return asyncio.Task(coro, loop=self._loop)

    def get_debug(self) -> bool:
        return False

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Raise what a callback raised: nothing here may fail unseen. A task that vanishes with its life says so, and is none."""
        error = context.get("exception")
        if error is not None and "handle" in context:
            raise error
