"""Turns at the door: however much one caller asks, another finds at most one of its requests before its own.

Time is virtual: the loop's clock jumps to the next timer, so nothing here depends on how fast the machine is."""

from __future__ import annotations

import asyncio
import random
import selectors
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest

from p2pshare.http_server.turns import (
    AT_ONCE_MAX,
    CALLERS_MAX,
    CROWDED_SECONDS,
    REST_SECONDS_MAX,
    CallerTurns,
)

CONNECTIONS = 4  # of one caller
WORK_SECONDS = 0.008


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock jumps over every wait."""

    def __init__(self) -> None:
        super().__init__(_NoWait(self))
        self.seconds = 0.0

    def time(self) -> float:
        return self.seconds


class _NoWait(selectors.DefaultSelector):  # type: ignore[misc, valid-type] # what it is depends on the system
    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> Any:
        assert timeout is not None, "everything waits for good"
        if timeout:
            self._loop.seconds += timeout
        return super().select(0)


def run(work: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(work)


class Server:
    """A writer that one request holds at a time, first come first served; notes whose requests it served, in order."""

    def __init__(self) -> None:
        self.turns: CallerTurns[str] = CallerTurns()
        self.served: list[str] = []
        self.working = dict[str, int]()
        self.most = dict[str, int]()
        self._writer = asyncio.Lock()

    async def ask(self, caller: str, seconds: float = WORK_SECONDS) -> int:
        """Returns how many requests were served between asking and being served."""
        before = len(self.served)
        async with self.turns.turn(caller):
            self.working[caller] = self.working.get(caller, 0) + 1
            self.most[caller] = max(self.most.get(caller, 0), self.working[caller])
            async with self._writer:
                await asyncio.sleep(seconds)
                self.served.append(caller)
            self.working[caller] -= 1
            return len(self.served) - 1 - before


async def flood(server: Server, caller: str, end: float) -> None:
    """Ask on every connection, each time at once."""

    async def on_one() -> None:
        while asyncio.get_running_loop().time() < end:
            await server.ask(caller)

    await asyncio.gather(*(on_one() for _ in range(CONNECTIONS)))


@pytest.mark.parametrize("seed", range(5))
def test_of_a_flood_at_most_one_request_stands_before_anothers(seed: int) -> None:
    async def work() -> None:
        server, chance = Server(), random.Random(seed)
        attacks = [asyncio.create_task(flood(server, name, 60.0)) for name in ("mallory", "mike")]
        await asyncio.sleep(CROWDED_SECONDS)
        before = []
        while asyncio.get_running_loop().time() < 50.0:
            await asyncio.sleep(chance.uniform(0.0, 0.4))
            before.append(await server.ask("honest"))
        await asyncio.gather(*attacks)
        assert len(before) > 100
        assert max(before) <= 2, "one of each attacker"
        assert 0 in before, "and at times none: they rest"

    run(work())


def test_one_that_is_alone_has_all_its_connections_and_never_rests() -> None:
    async def work() -> None:
        server = Server()
        await flood(server, "alone", 10.0)
        assert server.most == {"alone": CONNECTIONS}
        assert len(server.served) >= 10.0 / WORK_SECONDS

    run(work())


def test_turns_end_some_time_after_the_last_request_of_another() -> None:
    async def work() -> None:
        server = Server()
        await server.ask("honest")
        attack = asyncio.create_task(flood(server, "mallory", 10.0))
        await asyncio.sleep(CROWDED_SECONDS - 0.5)
        assert server.most["mallory"] == AT_ONCE_MAX
        await asyncio.sleep(1.0)
        assert server.most["mallory"] == CONNECTIONS
        await attack

    run(work())


def test_a_request_that_took_long_is_followed_by_a_rest_that_is_bounded() -> None:
    async def work() -> None:
        server = Server()
        clock = asyncio.get_running_loop().time
        await server.ask("slow", 100.0)
        await server.ask("other", 0.0)
        began = clock()
        await server.ask("slow", 0.0)
        assert clock() - began <= REST_SECONDS_MAX

    run(work())


def test_one_that_hangs_up_while_it_waits_leaves_its_turn_to_the_next() -> None:
    async def work() -> None:
        server, ended = Server(), asyncio.Event()
        await server.ask("other")

        async def until(event: Callable[[], Awaitable[object]], then: Callable[[], None]) -> None:
            async with server.turns.turn("mallory"):
                await event()
            then()

        served: list[str] = []
        first = asyncio.create_task(until(ended.wait, lambda: served.append("first")))
        await asyncio.sleep(0.001)
        waiting = [
            asyncio.create_task(until(ended.wait, lambda n=n: served.append(n)))  # type: ignore[misc]
            for n in ("second", "third")
        ]
        await asyncio.sleep(0.001)
        waiting[0].cancel()
        ended.set()
        await asyncio.gather(first, waiting[1])
        assert served == ["first", "third"]

    run(work())


def test_callers_that_asked_long_ago_are_forgotten_and_no_request_with_them() -> None:
    async def work() -> None:
        turns: CallerTurns[str] = CallerTurns()
        for number in range(CALLERS_MAX + 100):
            async with turns.turn(str(number)):
                pass
        assert len(turns._asking) == CALLERS_MAX
        turns.forget(str(CALLERS_MAX))
        async with turns.turn(str(CALLERS_MAX)):
            pass

    run(work())
