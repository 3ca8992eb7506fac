"""The queue before intake: bodies wait while the writer commits, and what waited shares the next commit.

So a commit costs its fsync once for all that came meanwhile, and nobody waits for a commit to fill up. One
task makes all commits: arrivals are told in the order of their numbers. Partners take turns, one body each, and
a commit ends early where its content grows large: whoever floods us waits behind itself, not before others.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Protocol, TypeVar

from p2pshare.errors import DiskFull, StoreError
from p2pshare.gossip.events import BodyJudged
from p2pshare.identifiers import PartnerId
from p2pshare.limits import (
    INTAKE_BATCH_BYTES,
    INTAKE_BATCH_CONTENT_BYTES,
    INTAKE_BATCH_ENVELOPES,
    INTAKE_WAITING_BYTES_MAX,
    INTAKE_WAITING_BYTES_PER_PARTNER_MAX,
)
from p2pshare.service.exchange import Body, Exchange, Outcome

log = logging.getLogger(__name__)

T = TypeVar("T")

Waiting = tuple[Body, asyncio.Future[BodyJudged]]


class Writer(Protocol):
    """Runs a function in the thread that owns the store's writing side, in the order asked for."""

    async def __call__(self, function: Callable[..., T], *arguments: object) -> T: ...


class IntakeQueue:
    """`tell` hears each outcome, in the event loop, before anybody who waits for a verdict goes on."""

    def __init__(
        self,
        exchange: Exchange,
        writer: Writer,
        *,
        now: Callable[[], float],
        tell: Callable[[Outcome], Awaitable[None]],
        tell_failure: Callable[[Body, StoreError], None],
    ) -> None:
        self._exchange = exchange
        self._writer = writer
        self._now = now
        self._tell = tell
        self._tell_failure = tell_failure
        self._waiting: dict[
            PartnerId, deque[Waiting]
        ] = {}  # whose turn it is stands first; no deque is empty
        self._waiting_bytes: Counter[PartnerId] = Counter()
        self._is_news_due = False
        self._is_sweep_due = False
        self._is_closing = False
        self._work = asyncio.Event()
        self._room = asyncio.Event()

    async def room(self, bearer: PartnerId) -> None:
        """Returns when there is room for one more body of `bearer`."""
        while not self._has_room(bearer):
            self._room.clear()
            await self._room.wait()

    def _has_room(self, bearer: PartnerId) -> bool:
        return (
            self._waiting_bytes[bearer] < INTAKE_WAITING_BYTES_PER_PARTNER_MAX
            and self._waiting_bytes.total() < INTAKE_WAITING_BYTES_MAX
        )

    def put(self, body: Body) -> asyncio.Future[BodyJudged]:
        """The future is the verdict, once it was told. It fails with StoreError."""
        done: asyncio.Future[BodyJudged] = asyncio.get_running_loop().create_future()
        done.add_done_callback(_retrieve)
        self._waiting.setdefault(body.bearer, deque()).append((body, done))
        self._waiting_bytes[body.bearer] += len(body.wire)
        self._work.set()
        return done

    def look_for_news(self) -> None:
        """Something was published here."""
        self._is_news_due = True
        self._work.set()

    def sweep(self) -> None:
        """It is time to drop what has expired and to take in what was deferred."""
        self._is_sweep_due = True
        self._work.set()

    def close(self) -> None:
        """No more comes: `run` ends once all that waits is committed."""
        self._is_closing = True
        self._work.set()

    async def run(self) -> None:
        """Commits until closed."""
        while True:
            await self._work.wait()
            self._work.clear()
            while self._waiting or self._is_news_due or self._is_sweep_due:
                await self._commit()
            if self._is_closing:
                return

    async def _commit(self) -> None:
        batch = self._take()
        is_sweep, self._is_sweep_due, self._is_news_due = self._is_sweep_due, False, False
        now = int(self._now())
        try:
            if is_sweep:
                await self._tell(await self._writer(self._exchange.sweep, now))
            outcome = await self._writer(
                partial(self._exchange.commit, content_bytes_max=INTAKE_BATCH_CONTENT_BYTES),
                [body for body, _ in batch],
                now,
            )
            await self._tell(outcome)
        except StoreError as error:
            log.error("nothing of %d envelopes could be stored: %s", len(batch), error.reason)
            self._fail(batch, error)
            return
        except Exception as error:  # noqa: BLE001 a bug in one batch must not end intake for good
            log.error("nothing of %d envelopes could be stored: %s", len(batch), type(error).__name__)
            self._fail(batch, StoreError("intake failed", reason="internal"))
            return
        for (_, done), judged in zip(batch, outcome.judged, strict=False):
            if not done.done():
                done.set_result(judged)
        self._put_back(batch[len(outcome.judged) :])

    def _put_back(self, left: list[Waiting]) -> None:
        """What the last commit had no room for is next, in its order; so who was judged waits for its turn."""
        turns = dict.fromkeys([*(body.bearer for body, _ in left), *self._waiting])
        for one in reversed(left):
            self._waiting.setdefault(one[0].bearer, deque()).appendleft(one)
            self._waiting_bytes[one[0].bearer] += len(one[0].wire)
        self._waiting = {bearer: self._waiting[bearer] for bearer in turns}

    def _fail(self, batch: list[Waiting], error: StoreError) -> None:
        for body, done in batch:
            self._tell_failure(body, error)
            if not done.done():
                done.set_exception(DiskFull(error.message) if isinstance(error, DiskFull) else error)

    def _take(self) -> list[Waiting]:
        """The next batch: partners in turn, each one's bodies in order of arrival."""
        batch: list[Waiting] = []
        total = 0
        while self._waiting and len(batch) < INTAKE_BATCH_ENVELOPES and total < INTAKE_BATCH_BYTES:
            bearer = next(iter(self._waiting))
            own = self._waiting.pop(bearer)
            batch.append(own.popleft())
            size = len(batch[-1][0].wire)
            total += size
            self._waiting_bytes[bearer] -= size
            if own:
                self._waiting[bearer] = own  # at the end: the others' turn
        self._room.set()
        return batch


def _retrieve(done: asyncio.Future[BodyJudged]) -> None:
    """Nobody may be waiting for the answer any more; that is no error."""
    if not done.cancelled():
        done.exception()
