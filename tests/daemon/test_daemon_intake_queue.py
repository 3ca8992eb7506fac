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
from p2pshare.gossip.moment import Moment
from p2pshare.identifiers import EnvelopeId, PartnerId
from p2pshare.limits import MIB
from p2pshare.sharing.exchange import Outcome, ReceivedBody

MALLORY, HONEST = PartnerId(b"m" * 32), PartnerId(b"h" * 32)


class Commits:
    """An exchange that holds everything, and notes whose bodies it took in, in order."""

    def __init__(self) -> None:
        self.decided: list[PartnerId] = []
        self.commits = 0

    def commit(self, bodies: Sequence[ReceivedBody], now: int, moment: Moment) -> Outcome:
        self.commits += 1
        self.decided += [body.received_from for body in bodies]
        verdicts = [BodyDecided(body.received_from, body.envelope_id, PutVerdict.HELD, "") for body in bodies]
        return Outcome((), tuple(verdicts))


async def at_once(function: Callable[..., Any], *arguments: object) -> Any:
    await asyncio.sleep(0)
    return function(*arguments)


async def nothing_to_do(outcome: Outcome) -> None:
    """Nobody is told."""


def queue_of(exchange: Commits, limits: IntakeLimits = INTAKE_LIMITS) -> IntakeQueue:
    def no_failure(body: ReceivedBody, error: StoreError) -> None:
        raise AssertionError(error)

    return IntakeQueue(
        exchange,  # type: ignore[arg-type] # only `commit` is asked for
        at_once,
        moment=lambda: Moment.certain(0.0),
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
        exchange = Commits()
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


def test_each_body_gets_its_own_verdict_in_the_order_of_its_partner() -> None:
    async def work() -> None:
        exchange = Commits()
        queue = queue_of(exchange, IntakeLimits(batch_bodies=2))
        waiting = [queue.put(body(MALLORY, number)) for number in range(5)]
        waiting += [queue.put(body(HONEST, number + 10)) for number in range(2)]
        queue.close()
        await queue.run()
        numbers = [int.from_bytes(one.result().envelope_id, "big") for one in waiting]
        assert numbers == [0, 1, 2, 3, 4, 10, 11]
        assert exchange.commits == 4
        assert exchange.decided.index(HONEST) == 1

    run(work())


def test_only_the_partner_that_filled_its_share_waits_for_room() -> None:
    async def work() -> None:
        queue = queue_of(Commits())
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
        queue = queue_of(Commits(), IntakeLimits(waiting_bytes=2 * MIB))
        queue.put(body(MALLORY, 1, 2 * MIB))
        other = asyncio.create_task(queue.room(HONEST))
        await asyncio.sleep(0)
        assert not other.done()
        queue.close()
        await queue.run()
        await other

    run(work())


def test_it_says_that_bodies_are_taken_in_while_they_are_and_not_after_a_failure() -> None:
    async def work() -> None:
        exchange, told, failed = Commits(), list[bool](), list[ReceivedBody]()

        async def write(function: Callable[..., Any], *arguments: object) -> Any:
            told.append(queue.is_committing)
            if len(told) == 2:
                raise StoreError("no disk")
            return function(*arguments)

        queue = IntakeQueue(
            exchange,  # type: ignore[arg-type] # only `commit` is asked for
            write,  # type: ignore[arg-type] # nobody waits for it
            moment=lambda: Moment.certain(0.0),
            report=nothing_to_do,
            report_failure=lambda body, error: failed.append(body),
        )
        for number in range(2):
            queue.put(body(HONEST, number))
            task = asyncio.create_task(queue.run())
            await asyncio.sleep(0.01)
            assert not queue.is_committing
            task.cancel()
        assert told == [True, True]
        assert len(failed) == 1

    run(work())
