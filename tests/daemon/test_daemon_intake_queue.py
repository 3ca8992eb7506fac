"""The queue before intake: whoever floods it waits behind itself, and nobody loses a verdict."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from p2pshare.daemon.intake_queue import IntakeQueue
from p2pshare.errors import StoreError
from p2pshare.gossip.events import BodyDecided
from p2pshare.gossip.intake_schedule import INTAKE_LIMITS, IntakeLimits
from p2pshare.gossip.messages import PutVerdict
from p2pshare.identifiers import EnvelopeId, PartnerId
from p2pshare.limits import MIB
from p2pshare.sharing.exchange import Outcome, ReceivedBody

MALLORY, HONEST = PartnerId(b"m" * 32), PartnerId(b"h" * 32)


class OneAtATime:
    """An exchange whose every commit has room for `each` bodies; notes who was decided, in order."""

    def __init__(self, each: int) -> None:
        self._each = each
        self.decided: list[PartnerId] = []
        self.commits = 0

    def commit(
        self, bodies: Sequence[ReceivedBody], now: int, *, content_bytes_max: int | None = None
    ) -> Outcome:
        self.commits += 1
        taken = bodies[: self._each]
        self.decided += [body.received_from for body in taken]
        verdicts = [BodyDecided(body.received_from, body.envelope_id, PutVerdict.HELD, "") for body in taken]
        return Outcome((), tuple(verdicts))


async def at_once(function: Callable[..., Any], *arguments: object) -> Any:
    await asyncio.sleep(0)
    return function(*arguments)


async def nothing_to_do(outcome: Outcome) -> None:
    """Nobody is told."""


def queue_of(exchange: OneAtATime, limits: IntakeLimits = INTAKE_LIMITS) -> IntakeQueue:
    def no_failure(body: ReceivedBody, error: StoreError) -> None:
        raise AssertionError(error)

    return IntakeQueue(
        exchange,  # type: ignore[arg-type] # only `commit` is asked for
        at_once,
        now=lambda: 0.0,
        report=nothing_to_do,
        report_failure=no_failure,
        limits=limits,
    )


def body(received_from: PartnerId, number: int, size: int = 100) -> ReceivedBody:
    return ReceivedBody(received_from, EnvelopeId(number.to_bytes(32, "big")), bytes(size))


def run(work: Coroutine[Any, Any, None]) -> None:
    async def within() -> None:
        async with asyncio.timeout(10):
            await work

    asyncio.run(within())


def test_a_flood_of_one_partner_does_not_stand_before_another() -> None:
    async def work() -> None:
        exchange = OneAtATime(each=INTAKE_LIMITS.batch_bodies)
        queue = queue_of(exchange)
        flood = [queue.put(body(MALLORY, number)) for number in range(1000)]
        late = queue.put(body(HONEST, 5000))
        task = asyncio.create_task(queue.run())
        assert (await late).verdict is PutVerdict.HELD
        assert exchange.commits == 1
        queue.close()
        await task
        assert exchange.decided[:2] == [MALLORY, HONEST]
        assert all(one.result().verdict is PutVerdict.HELD for one in flood)

    run(work())


def test_what_a_commit_had_no_room_for_keeps_its_order_and_gets_its_verdict() -> None:
    async def work() -> None:
        exchange = OneAtATime(each=1)
        queue = queue_of(exchange)
        waiting = [queue.put(body(MALLORY, number)) for number in range(5)]
        waiting += [queue.put(body(HONEST, number + 10)) for number in range(2)]
        queue.close()
        await queue.run()
        numbers = [int.from_bytes(one.result().envelope_id, "big") for one in waiting]
        assert numbers == [0, 1, 2, 3, 4, 10, 11]
        assert exchange.commits == 7
        assert exchange.decided.index(HONEST) <= 2

    run(work())


def test_only_the_partner_that_filled_its_share_waits_for_room() -> None:
    async def work() -> None:
        queue = queue_of(OneAtATime(each=INTAKE_LIMITS.batch_bodies))
        for number in range(INTAKE_LIMITS.waiting_bytes_per_partner // MIB):
            await queue.room(MALLORY)
            queue.put(body(MALLORY, number, MIB))
        full = asyncio.create_task(queue.room(MALLORY))
        await queue.room(HONEST)
        assert not full.done()
        queue.close()
        await queue.run()
        await full

    run(work())


def test_all_partners_together_wait_when_all_room_is_taken() -> None:
    async def work() -> None:
        queue = queue_of(OneAtATime(each=INTAKE_LIMITS.batch_bodies), IntakeLimits(waiting_bytes=2 * MIB))
        queue.put(body(MALLORY, 1, 2 * MIB))
        other = asyncio.create_task(queue.room(HONEST))
        await asyncio.sleep(0)
        assert not other.done()
        queue.close()
        await queue.run()
        await other

    run(work())
