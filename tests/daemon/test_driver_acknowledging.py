"""A first comparison may tell that a partner holds all that we ever sent: noting it must not keep others from writing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from whole_nodes import READERS, World, befriend, send

from p2pshare.daemon import driver as driver_module
from p2pshare.daemon.driver import Driver
from p2pshare.daemon.run import WriterThread
from p2pshare.intel.marking import Tlp


class Noting(WriterThread):
    """Notes what it was asked for, in order."""

    names: list[str]

    async def call(self, name: str, function: Callable[..., Any], *arguments: Any) -> Any:
        self.names.append(name)
        return await super().call(name, function, *arguments)


async def test_all_that_we_ever_sent_is_acknowledged_a_part_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(driver_module, "ACKNOWLEDGED_AT_ONCE", 2)
    world = World(tmp_path)
    alpha, bravo = world.found("alpha"), world.found("bravo")
    befriend(alpha, bravo)
    peer = bravo.identity.partner_id
    ids = [send(alpha, [f"n{n}.example"], to=["bravo"], tlp=Tlp.RED).envelopes[0] for n in range(5)]
    with ThreadPoolExecutor(1) as pool:
        writer = Noting(pool, asyncio.Event())
        writer.names = []
        driver = Driver(alpha, writer, READERS)
        noting = asyncio.ensure_future(driver._acknowledge(peer, ids))
        await asyncio.sleep(0)
        await writer(alpha.store.log.last_lsn)
        await noting
        assert sorted(writer.names) == ["EnvelopeReading.last_lsn"] + ["Exchange.acknowledge"] * 3
        assert writer.names.index("EnvelopeReading.last_lsn") < 3, "it waited for a part, not for all"
    assert alpha.store.log.outbox(peer) == []
    world.close()
