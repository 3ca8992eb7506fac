"""Two whole nodes over mutual TLS on loopback: how long until a partner can look up what was published."""

from __future__ import annotations

import asyncio
import json
import random
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from material import indicator, take_in_and_read, values
from measuring import Report, percentile

from p2pshare.daemon.driver import Driver
from p2pshare.daemon.reading_pauses import ReadingPauses
from p2pshare.daemon.run import WriterThread
from p2pshare.envelope.card import fingerprint
from p2pshare.envelope.payload import compress_frame
from p2pshare.intel.marking import Tlp
from p2pshare.intel.observable import Observable
from p2pshare.node.init import found_home
from p2pshare.node.node import Node, close_node, open_node
from p2pshare.operations.payload_readers import load_readers
from p2pshare.peering.server import PeerServer
from p2pshare.sharing.drafting import DraftPart
from p2pshare.sharing.intake import Arrival
from p2pshare.sharing.partners import add_partner
from p2pshare.sharing.publishing import PreparedPart, prepare, seal

READERS = load_readers()

PATIENCE_SECONDS = 40


def quiet(what: str, done: int, of: int) -> None:
    """Progress that nobody watches."""


class Whole:
    """A node with its driver, its door and its writer thread."""

    def __init__(self, folder: Path, name: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        url = f"https://127.0.0.1:{self.port}"
        found_home(folder / name, name=name, url=url, listen="", passphrase=None, now=int(time.time()))
        self.pool = ThreadPoolExecutor(1)
        self.node: Node = self.pool.submit(open_node, folder / name).result()

    async def write(self, function: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self.pool, lambda: function(*arguments, **named))

    async def trust(self, other: Whole) -> None:
        card = other.node.identity.card
        await self.write(
            add_partner,
            self.node,
            card.raw,
            confirmed_fingerprint=fingerprint(card.partner_id),
            alias="",
            has_link=True,
            now=int(time.time()),
        )

    async def start(self) -> None:
        self.driver = Driver(self.node, WriterThread(self.pool, asyncio.Event()), READERS, seed=1)
        self._server = PeerServer(self.driver, self.driver.gate)
        await self.driver.start()
        await self._server.start("127.0.0.1", self.port)

    @property
    def requests_seen(self) -> int:
        return self._server.requests_seen

    async def end(self) -> None:
        await self._server.stop()
        await self.driver.stop()
        await self.write(close_node, self.node)
        self.pool.shutdown()

    async def publish(self, objects: list[dict[str, object]]) -> None:
        frames = tuple(
            compress_frame(json.dumps(objects[start : start + 1_000]).encode())
            for start in range(0, len(objects), 1_000)
        )
        part = DraftPart(Tlp.GREEN, frames, len(objects))
        kept: list[PreparedPart] = []
        how = {"names": [], "ttl_class": 4, "now": int(time.time()), "progress": quiet}
        prepared = await self.write(prepare, self.node, [part], keep=kept.append, **how)
        await self.write(seal, self.node, prepared.terms, kept, how["now"], quiet)
        self.driver.wake()


async def _until_visible(node: Node, observable: Observable) -> None:
    deadline = time.perf_counter() + PATIENCE_SECONDS
    while observable not in node.store.knowledge.lookup([observable]):
        assert time.perf_counter() < deadline, "the partner never got it"
        await asyncio.sleep(0.001)


async def _lag(stop: asyncio.Event, lags: list[float]) -> None:
    """How late the loop wakes a task that asked for one millisecond."""
    while not stop.is_set():
        start = time.perf_counter()
        await asyncio.sleep(0.001)
        lags.append(max(0.0, time.perf_counter() - start - 0.001))


class AtOnce(ReadingPauses):
    """No pauses."""

    def begin(self, lsn: int, content_bytes: int, now: float) -> None:
        pass


async def _catch_up(report: Report, folder: Path, bundles: int) -> None:
    """A partner that starts with nothing, over TLS; and the same envelopes handed to another one in its process. Both read
    at once: the drawn pause, of up to 15 s, would be all that is measured."""
    random_ = random.Random(4)
    alpha, bravo, charlie = (Whole(folder, name) for name in ("holder", "late", "in-process"))
    for other in (bravo, charlie):
        await alpha.trust(other)
        await other.trust(alpha)
    await alpha.start()
    for number in range(bundles):
        chosen = values(10_000, 2_000 + number)
        await alpha.publish([indicator(type_, value, random_) for type_, value in chosen])
    wires = [alpha.node.store.log.wire(one.envelope_id) for one in alpha.node.store.log.entries(0, bundles)]
    start = time.perf_counter()
    await bravo.start()
    bravo.driver._reading_pauses = AtOnce(random_)
    while (counts := bravo.node.store.log.counts()).held < bundles or counts.unread:
        assert time.perf_counter() - start < bundles * PATIENCE_SECONDS, "the partner never got it"
        await asyncio.sleep(0.005)
    over_tls = time.perf_counter() - start
    arrivals = [Arrival(wire, alpha.node.identity.partner_id) for wire in wires if wire is not None]
    start = time.perf_counter()
    for arrival in arrivals:
        await charlie.write(take_in_and_read, charlie.node, [arrival], int(time.time()))
    in_process = time.perf_counter() - start
    assert charlie.node.store.log.counts().held == bundles
    for whole in (alpha, bravo):
        await whole.end()
    await charlie.write(close_node, charlie.node)
    report.add(
        "a partner that starts with nothing, over TLS, wall", "indicators / s", [bundles * 10_000 / over_tls]
    )
    report.add("the same handed over in its process, wall", "indicators / s", [bundles * 10_000 / in_process])
    report.gate("over mutual TLS / in process, wall", in_process / over_tls, 0.7)


async def _measure(report: Report, folder: Path, publications: int, bundles: int) -> None:
    random_ = random.Random(3)
    alpha, bravo = Whole(folder, "publisher"), Whole(folder, "partner")
    await alpha.trust(bravo)
    await bravo.trust(alpha)
    await alpha.start()
    await bravo.start()
    latencies: list[float] = []
    for type_, value in values(publications + 1, 99):
        start = time.perf_counter()
        await alpha.publish([indicator(type_, value, random_)])
        await _until_visible(bravo.node, Observable(type_, value))
        latencies.append((time.perf_counter() - start) * 1e3)
    latencies = latencies[1:]  # the first one waits for the link
    stop, lags = asyncio.Event(), []
    watcher = asyncio.create_task(_lag(stop, lags))
    start = time.perf_counter()
    for number in range(bundles):
        chosen = values(10_000, 1_000 + number)
        await alpha.publish([indicator(type_, value, random_) for type_, value in chosen])
        await _until_visible(bravo.node, Observable(*chosen[-1]))
    seconds = time.perf_counter() - start
    stop.set()
    await watcher
    await alpha.end()
    await bravo.end()
    await _catch_up(report, folder, max(2, bundles))
    report.add("one indicator: publish -> visible at a partner, p50", "ms", [percentile(latencies, 0.5)])
    report.add("one indicator: publish -> visible at a partner, p99", "ms", [percentile(latencies, 0.99)])
    report.add("10k bundles, one after the other: publish to visible", "s each", [seconds / bundles])
    report.add("loop lag meanwhile, p99", "ms", [percentile(lags, 0.99) * 1e3])
    report.gate("publish -> visible p50 (ms)", percentile(latencies, 0.5), 50, is_at_least=False)
    report.gate("publish -> visible p99 (ms)", percentile(latencies, 0.99), 250, is_at_least=False)


def measure(report: Report, folder: Path, *, publications: int, bundles: int) -> None:
    asyncio.run(_measure(report, folder, publications, bundles))
