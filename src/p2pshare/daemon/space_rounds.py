"""The rounds of spaces: drives how entries and heads travel (`spaces.space_exchange`) on the real clock.

It holds no rule of its own. Each piece is one call of the writer, between which others write; nothing is sealed while a publication in
steps has our chain.
"""

from __future__ import annotations

import asyncio
import logging
import traceback
from contextlib import suppress

from p2pshare.daemon.clock import Clock
from p2pshare.daemon.driver import Driver
from p2pshare.daemon.intake_queue import StoreWriter
from p2pshare.errors import ShareError
from p2pshare.gossip.states import State
from p2pshare.identifiers import PartnerId
from p2pshare.limits import DISK_FULL_PAUSE_SECONDS
from p2pshare.node.node import Node
from p2pshare.spaces.space_exchange import SpaceExchange, exchange_of

log = logging.getLogger(__name__)

LOOK_SECONDS = 5.0  # at most between two looks at who is connected
WAIT_SECONDS = 1.0  # at most between two looks whether members have answered after a start


def log_failure(what: str, error: Exception) -> None:
    """Tell the log what is not done, and why: the reason of a ShareError; of a bug where it is, in lines of code and never values."""
    if isinstance(error, ShareError):
        log.error("%s: %s", what, error.reason)
    else:
        place = "".join(traceback.format_tb(error.__traceback__))
        log.error("%s: %s\n%s", what, type(error).__name__, place)


class SpaceRounds:
    """The rounds of one daemon's life; `chain` is held while our own chain of envelopes may change."""

    def __init__(self, node: Node, writer: StoreWriter, driver: Driver, chain: asyncio.Lock) -> None:
        self._node = node
        self._writer = writer
        self._driver = driver
        self._chain = chain
        self._now = Clock()
        self._is_woken = asyncio.Event()
        self._has_read = asyncio.Event()
        self._exchange: SpaceExchange | None = None
        driver.content_was_read = self.wake

    def wake(self) -> None:
        """Look at once whether something is to leave: entries were written here, or came."""
        self._is_woken.set()
        self._has_read.set()

    async def run(self) -> None:
        """Go round until cancelled."""
        while True:
            self._is_woken.clear()
            try:
                seconds = await self._round()
            except Exception as error:  # noqa: BLE001 the daemon outlives a bug in one space
                log_failure("entries of spaces wait", error)
                seconds = DISK_FULL_PAUSE_SECONDS
            if seconds > 0:
                with suppress(TimeoutError):
                    async with asyncio.timeout(min(seconds, LOOK_SECONDS)):
                        await self._is_woken.wait()

    async def wait_for_heads(self) -> None:
        """Wait until what others hold is known, after a start: what was written before and lost here would be written twice."""
        exchange = await self._begun()
        while (seconds := await self._writer(exchange.seconds_before_writing, self._wall())) > 0:
            self._has_read.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(min(seconds, WAIT_SECONDS)):
                    await self._has_read.wait()

    async def _round(self) -> float:
        """Do one piece; returns the seconds until the next is due."""
        exchange = await self._begun()
        before = exchange.sealed
        async with self._chain:
            moment = self._driver.moment
            seconds = await self._writer(
                exchange.step, moment.now, self._driver.roster, self._linked(), moment.is_doubtful
            )
        if exchange.sealed > before:
            self._driver.wake()
        return seconds

    def _wall(self) -> float:
        return self._driver.moment.now

    async def _begun(self) -> SpaceExchange:
        if self._exchange is None:
            exchange = await self._writer(exchange_of, self._node)
            exchange.steady = self._now
            await self._writer(exchange.begin, self._wall())
            self._exchange = exchange
        return self._exchange

    def _linked(self) -> frozenset[PartnerId]:
        states = self._driver.peer_states()
        return frozenset(
            peer
            for peer, state in states.items()
            if state.state in (State.CONNECTED.value, State.RESTING.value)
        )
