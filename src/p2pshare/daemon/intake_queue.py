"""The queue before intake: bodies wait while the writer commits, and those that waited share the next commit.

So a commit costs its fsync once for all that came meanwhile. One task makes all commits: arrivals are told in the
order of their numbers. Whose body is next, and who may hand over another, is `gossip.intake_schedule`'s to say.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

from p2pshare.errors import DiskFull, StoreError
from p2pshare.gossip.events import BodyDecided
from p2pshare.gossip.intake_schedule import INTAKE_LIMITS, IntakeLimits, IntakeSchedule, WaitingBody
from p2pshare.gossip.moment import Moment
from p2pshare.identifiers import PartnerId
from p2pshare.sharing.exchange import Exchange, Outcome, ReceivedBody

log = logging.getLogger(__name__)

T = TypeVar("T")

_Waiting = tuple[ReceivedBody, asyncio.Future[BodyDecided]]


class StoreWriter(Protocol):
    """A function that runs another one in the thread that owns the store's writing side, in the order asked for."""

    async def __call__(self, function: Callable[..., T], *arguments: object) -> T: ...

    def is_wanted(self) -> bool:
        """Returns whether somebody waits for the thread; any thread may ask."""
        ...


class IntakeQueue:
    """The queue of one daemon's life. `report` gets each outcome, in the event loop, before anybody who waits for a
    verdict goes on."""

    def __init__(
        self,
        exchange: Exchange,
        writer: StoreWriter,
        *,
        moment: Callable[[], Moment],
        report: Callable[[Outcome], Awaitable[None]],
        report_failure: Callable[[ReceivedBody, StoreError], None],
        limits: IntakeLimits = INTAKE_LIMITS,
    ) -> None:
        self._exchange = exchange
        self._writer = writer
        self._moment = moment
        self._report = report
        self._report_failure = report_failure
        self._schedule: IntakeSchedule[_Waiting] = IntakeSchedule(limits)
        self._is_news_due = False
        self._is_sweep_due = False
        self._is_closing = False
        self._is_committing = False
        self._work = asyncio.Event()
        self._room = asyncio.Event()

    @property
    def is_committing(self) -> bool:
        """Returns whether bodies are being taken in, and somebody waits for their verdicts."""
        return self._is_committing

    async def room(self, received_from: PartnerId) -> None:
        """Wait until there is room for one more body of `received_from`."""
        while not self._schedule.has_room(received_from):
            self._room.clear()
            await self._room.wait()

    def put(self, body: ReceivedBody) -> asyncio.Future[BodyDecided]:
        """Queue a body; returns the future of its verdict, set once the engine was told. It fails with StoreError."""
        done: asyncio.Future[BodyDecided] = asyncio.get_running_loop().create_future()
        done.add_done_callback(_retrieve)
        self._schedule.put(body.received_from, body.weight, (body, done))
        self._work.set()
        return done

    def look_for_news(self) -> None:
        """Have the next commit report what was published here."""
        self._is_news_due = True
        self._work.set()

    def sweep(self) -> None:
        """Have the next commit drop what has expired and take in what was deferred and is due."""
        self._is_sweep_due = True
        self._work.set()

    def close(self) -> None:
        """Take no more: `run` ends once all that waits is committed."""
        self._is_closing = True
        self._work.set()

    async def run(self) -> None:
        """Commit until closed."""
        while True:
            await self._work.wait()
            self._work.clear()
            while len(self._schedule) or self._is_news_due or self._is_sweep_due:
                await self._commit()
            if self._is_closing:
                return

    async def _commit(self) -> None:
        batch = self._schedule.take()
        self._room.set()
        is_sweep, self._is_sweep_due, self._is_news_due = self._is_sweep_due, False, False
        moment = self._moment()
        now = int(moment.now)
        try:
            if is_sweep:
                swept = await self._writer(self._exchange.sweep, now, moment)
                self._is_sweep_due |= swept.is_more_due
                await self._report(swept)
            self._is_committing = bool(batch)
            bodies = [one.item[0] for one in batch]
            outcome = await self._writer(self._exchange.commit, bodies, now, moment)
            await self._report(outcome)
        except StoreError as error:
            log.error("nothing of %d envelopes could be stored: %s", len(batch), error.reason)
            self._fail(batch, error)
            return
        except Exception as error:  # noqa: BLE001 a bug in one batch must not end intake for good
            log.error("nothing of %d envelopes could be stored: %s", len(batch), type(error).__name__)
            self._fail(batch, StoreError("intake failed", reason="internal"))
            return
        finally:
            self._is_committing = False
        for one, decided in zip(batch, outcome.decided, strict=True):
            _, done = one.item
            if not done.done():
                done.set_result(decided)

    def _fail(self, batch: list[WaitingBody[_Waiting]], error: StoreError) -> None:
        for one in batch:
            body, done = one.item
            self._report_failure(body, error)
            if not done.done():
                done.set_exception(DiskFull(error.message) if isinstance(error, DiskFull) else error)


def _retrieve(done: asyncio.Future[BodyDecided]) -> None:
    """Look at the future's exception: nobody may be waiting for the answer any more, and that is no error."""
    if not done.cancelled():
        done.exception()
