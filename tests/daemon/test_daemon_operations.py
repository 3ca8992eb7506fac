"""Operations inside the daemon: what only reads waits for nobody, and what only the daemon knows is told."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from every_operation import requests, told_node
from whole_nodes import READERS, World, quiet

from p2pshare.daemon.control import PeerCredentials
from p2pshare.daemon.run import Running, WriterThread
from p2pshare.node.node import WriterTimes
from p2pshare.operations.crossing import fields_of, read_answer
from p2pshare.operations.interface import Query, Request
from p2pshare.operations.table import OPERATIONS
from p2pshare.operations.warninglists import EvaluateAgain

ASKER = PeerCredentials(os.getuid(), frozenset())
Ask = Callable[[Request[Any]], Any]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    one = World(tmp_path)
    yield one
    one.close()


@pytest.fixture
def busy() -> Iterator[threading.Event]:
    """The writer works until this is set."""
    event = threading.Event()
    yield event
    event.set()


@pytest.fixture
async def asked(world: World, busy: threading.Event) -> AsyncIterator[tuple[Ask, dict[str, Request[Any]]]]:
    """A daemon without a network, whose writer is busy; and a request for each operation."""
    node = told_node(world)
    samples = requests(node, world.found("newcomer"))
    with ThreadPoolExecutor(1) as pool:
        running = Running(node, WriterThread(pool, asyncio.Event()), READERS)
        pool.submit(busy.wait)

        async def ask(request: Request[Any]) -> Any:
            async with asyncio.timeout(5):
                fields = await running._perform(fields_of(request), quiet, ASKER)
            return read_answer(request, fields)

        yield ask, samples
        busy.set()


async def test_no_query_waits_for_the_writer(asked: tuple[Ask, dict[str, Request[Any]]]) -> None:
    ask, samples = asked
    samples.pop("recall-status")  # nothing was withdrawn
    samples.pop("introduce-fetch")  # nobody can be dialled
    samples.pop("invitation-show")  # nobody was invited
    of_exercises = {name for name in OPERATIONS if name.startswith("exercise-")}  # which the writer finds
    queries = [
        request
        for name, request in samples.items()
        if isinstance(request, Query) and name not in of_exercises
    ]
    real = [operation for name, operation in OPERATIONS.items() if name not in of_exercises]
    assert len(queries) == sum(operation.reads_only for operation in real) - 3
    for query in queries:
        await ask(query)


async def test_what_may_write_waits_for_its_turn(
    asked: tuple[Ask, dict[str, Request[Any]]], busy: threading.Event
) -> None:
    ask, _ = asked
    waiting = asyncio.ensure_future(ask(EvaluateAgain()))
    await asyncio.sleep(0.1)
    assert not waiting.done()
    busy.set()
    assert (await waiting).is_finished


async def test_status_tells_what_only_the_daemon_knows(asked: tuple[Ask, dict[str, Request[Any]]]) -> None:
    ask, samples = asked
    status = await ask(samples["status"])
    assert status.running
    assert status.door.requests_seen == 0
    assert status.writer == WriterTimes(), "nothing was asked of the writer"
    # a test beside this one may have dialled a port that is ours by now, and hung up
    assert status.door.handshakes_refused.keys() <= {"hung-up"}


async def test_status_tells_what_the_door_refused_a_moment_ago(world: World, busy: threading.Event) -> None:
    """It is noted in the store first; else a person sees the refusals of a minute ago."""
    busy.set()
    node = told_node(world)
    [bravo] = node.store.partners.all()
    with ThreadPoolExecutor(1) as pool:
        running = Running(node, WriterThread(pool, asyncio.Event()), READERS)
        running._server.tally.refuse(bravo.partner_id, "rate")
        told = await running._perform({"operation": "status"}, quiet, ASKER)
    assert told["refused"] == {"rate": 1}
