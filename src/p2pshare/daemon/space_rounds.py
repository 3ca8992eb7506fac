"""The rounds of spaces: drives how entries and heads travel (`spaces.space_exchange`) on the real clock.

Each piece is one call of the writer, between which others write; nothing is sealed while a publication in steps has our chain. What is real goes
first: between two pieces of exercises stands one of the real spaces as long as they have any, and exercises take turns, so that a flood in one holds
up neither those nor another.
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
from p2pshare.identifiers import PartnerId, Realm
from p2pshare.limits import DISK_FULL_PAUSE_SECONDS
from p2pshare.node.node import Node
from p2pshare.spaces.exercise_grounds import note_stop, open_exercises
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
        self._begun_exchanges: dict[Realm, SpaceExchange] = {}
        self._due: dict[Realm, float] = {}
        """When each exercise has more to do, by the clock of the rounds."""
        driver.content_was_read = self.wake

    def wake(self) -> None:
        """Look at once whether something is to leave: entries were written here, or came."""
        self._due.clear()
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

    async def wait_for_heads(self, node: Node | None = None) -> None:
        """Wait until what others hold on a node's ground is known, after a start: what was written before and lost here would be written twice."""
        exchange = await self._begun(node or self._node)
        while (seconds := await self._writer(exchange.seconds_before_writing, self._wall())) > 0:
            self._has_read.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(min(seconds, WAIT_SECONDS)):
                    await self._has_read.wait()

    async def may_write(self, node: Node) -> bool:
        """Returns whether entries may be written on a node's ground now (`wait_for_heads`), without waiting for it."""
        exchange = await self._begun(node)
        return await self._writer(exchange.seconds_before_writing, self._wall()) <= 0

    async def _round(self) -> float:
        """Do a piece of the real spaces, and one of an exercise where any is due; returns the seconds until the next is."""
        seconds = await self._piece(self._node)
        played = {node.ground.realm: node for node in await self._writer(open_exercises, self._node)}
        for gone in self._due.keys() - played.keys():
            del self._due[gone]
            self._begun_exchanges.pop(gone, None)
        if not played:
            return seconds
        realm = min(played, key=lambda one: (self._due.get(one, 0.0), one))
        if self._due.get(realm, 0.0) <= self._now():
            try:
                pause = await self._piece(played[realm])
            except Exception as error:  # noqa: BLE001 a bug in one exercise holds up nothing else
                log_failure("entries of an exercise wait", error)
                pause = DISK_FULL_PAUSE_SECONDS
            self._due[realm] = self._now() + min(pause, LOOK_SECONDS)
        next_due = min(self._due.get(one, 0.0) for one in played) - self._now()
        return min(seconds, max(next_due, 0.0))

    async def _piece(self, node: Node) -> float:
        """Do one piece on a node's ground; returns the seconds until the next is due there."""
        exchange = await self._begun(node)
        before = exchange.sealed
        async with self._chain:
            seconds = await self._writer(self._step, node, exchange)
        if exchange.sealed > before:
            self._driver.wake()
        return seconds

    def _wall(self) -> float:
        return self._driver.moment.now

    def _step(self, node: Node, exchange: SpaceExchange) -> float:
        if node.space_exchange is not exchange:  # its exercise was removed while this waited for the writer
            return 0.0
        moment = self._driver.moment
        if not node.ground.is_real:
            note_stop(self._node, node, int(moment.now))
        seconds: float = exchange.step(moment.now, self._driver.roster, self._linked(), moment.is_doubtful)
        return seconds

    async def _begun(self, node: Node) -> SpaceExchange:
        found = self._begun_exchanges.get(node.ground.realm)
        if found is None or found is not node.space_exchange:
            found = await self._writer(exchange_of, node)
            found.steady = self._now
            await self._writer(found.begin, self._wall())
            self._begun_exchanges[node.ground.realm] = found
        return found

    def _linked(self) -> frozenset[PartnerId]:
        states = self._driver.peer_states()
        return frozenset(
            peer
            for peer, state in states.items()
            if state.state in (State.CONNECTED.value, State.RESTING.value)
        )
