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
from typing import Any, TypeVar

from simulator.event_queue import EventQueue

T = TypeVar("T")


class VirtualLoop(asyncio.AbstractEventLoop):
    """The loop of one world. Tasks of a life that has ended are never woken again: they vanish with it."""

    def __init__(self, event_queue: EventQueue) -> None:
        self._event_queue = event_queue

    @contextmanager
    def running(self) -> Iterator[None]:
        """Make it the running loop inside the block, as for a callback of its own."""
        before = events._get_running_loop()
        events._set_running_loop(self)
        try:
            yield
        finally:
            events._set_running_loop(before)

    def call_soon(
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        """Call it at this instant, behind what is planned for it already."""
        handle = asyncio.Handle(callback, args, self, context)

        def run() -> None:
            if not handle.cancelled():
                with self.running():
                    handle._run()

        self._event_queue.after(0.0, run)
        return handle

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(self, coro: Coroutine[Any, Any, T], **options: Any) -> asyncio.Task[T]:  # type: ignore[override]
        return asyncio.Task(coro, loop=self, **options)

    def sleep(self, seconds: float) -> asyncio.Future[None]:
        """Returns a future that is done after so many virtual seconds."""
        done: asyncio.Future[None] = self.create_future()
        self._event_queue.after(seconds, lambda: None if done.done() else done.set_result(None))
        return done

    def time(self) -> float:
        return self._event_queue.now

    def get_debug(self) -> bool:
        return False

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Raise what a callback raised: nothing here may fail unseen. A task that vanishes with its life says so, and is none."""
        error = context.get("exception")
        if error is not None and "handle" in context:
            raise error
