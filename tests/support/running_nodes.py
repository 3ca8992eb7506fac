"""Running nodes in one process: real keys, real TLS on loopback, real SQLite; only the command line is missing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from free_port import free_port
from whole_nodes import READERS, send

from p2pshare.daemon.driver import Driver
from p2pshare.daemon.run import WriterThread
from p2pshare.identifiers import CircleId, EnvelopeId
from p2pshare.intel.marking import Tlp
from p2pshare.intel.observable import detect
from p2pshare.node.init import found_home
from p2pshare.node.node import Node, close_node, open_node
from p2pshare.peering.server import PeerServer
from p2pshare.sharing.partners import load_roster

PATIENCE_SECONDS = 20.0


class Partner:
    """A node, its driver and its door; `start` and `stop` as often as a test likes."""

    def __init__(self, folder: Path, name: str) -> None:
        self.home, self.port = folder / name, free_port()
        now = int(time.time())
        found_home(
            self.home, name=name, url=f"https://127.0.0.1:{self.port}", listen="", passphrase=None, now=now
        )
        path = self.home / "config.toml"
        path.write_text(path.read_text().replace("reconcile_seconds = 60", "reconcile_seconds = 1"))
        self.pool = ThreadPoolExecutor(1)
        self.node: Node = self.pool.submit(open_node, self.home).result()
        self.driver: Driver | None = None
        self.server: PeerServer | None = None

    async def write(self, function: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(
            self.pool, lambda: function(*arguments, **named)
        )

    async def start(self) -> None:
        self.driver = Driver(self.node, WriterThread(self.pool, asyncio.Event()), READERS, seed=1)
        self.server = PeerServer(self.driver, self.driver.gate, guests=self.driver)
        await self.driver.start()
        await self.server.start("127.0.0.1", self.port)

    async def stop(self) -> None:
        if self.server is not None and self.driver is not None:
            await self.server.stop()
            await self.driver.stop()
        self.server = self.driver = None

    async def end(self) -> None:
        await self.stop()
        await self.write(close_node, self.node)
        self.pool.shutdown()

    async def publish(self, *values: str, to: list[str], tlp: Tlp = Tlp.GREEN) -> list[EnvelopeId]:
        report = await self.write(send, self.node, list(values), to=to, tlp=tlp, now=int(time.time()))
        assert report.envelopes
        if self.driver is not None:
            self.driver.wake()
        return list(report.envelopes)

    def held(self) -> int:
        return self.node.store.log.counts().held

    def knows(self, value: str) -> bool:
        return bool(self.node.store.knowledge.lookup([detect(value)]))

    def card_name(self, other: Partner) -> str:
        """The name on the newest card of `other` that this one believes."""
        entry = load_roster(self.node).get(other.node.identity.partner_id)
        assert entry is not None
        return entry.card.name

    def card_version(self, other: Partner) -> int:
        entry = load_roster(self.node).get(other.node.identity.partner_id)
        assert entry is not None
        return entry.card.version

    def notices(self, circle: str = "main") -> set[bytes]:
        """The ids of the notices that go round a circle from here."""
        return {bytes(one) for _, one in self.node.store.notices.keys(CircleId.of(circle))}

    def pending(self) -> int:
        return self.node.store.log.counts().pending


async def eventually(happened: Callable[[], Any], what: str, seconds: float = PATIENCE_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, f"{what}: not within {seconds} s"
        await asyncio.sleep(0.02)
