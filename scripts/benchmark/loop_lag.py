"""How late the event loop runs while the writer thread takes in a bundle."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from material import Partners, discard, indicator, take_in_and_read, values
from measuring import Report, percentile

from p2pshare.sharing.intake import Arrival


def measure(report: Report, partners: Partners, *, now: int, objects: int) -> None:
    import random

    random_ = random.Random(5)
    arrivals: list[Arrival] = []
    for number in range(objects // 10_000):
        chosen = [indicator(type_, value, random_) for type_, value in values(10_000, 500 + number)]
        arrivals += partners.sealed(0, chosen, 10_000)
    node = partners.fresh_receiver()
    gc.collect()
    gc.freeze()  # as the daemon does after its start
    with ThreadPoolExecutor(1) as pool:
        lags, seconds = asyncio.run(_watch(pool, node, arrivals, now))
    gc.unfreeze()
    discard(node)
    report.add(f"loop lag while {objects} are taken in, p50", "ms", [percentile(lags, 0.5) * 1e3])
    report.add(f"loop lag while {objects} are taken in, p99", "ms", [percentile(lags, 0.99) * 1e3])
    report.add("ingest in the writer thread meanwhile, wall", "indicators / s", [objects / seconds])
    report.gate("loop lag p99 during ingest (ms)", percentile(lags, 0.99) * 1e3, 20, is_at_least=False)


async def _watch(
    pool: ThreadPoolExecutor, node: object, arrivals: Sequence[Arrival], now: int
) -> tuple[list[float], float]:
    loop = asyncio.get_running_loop()
    start = time.perf_counter()

    async def take_in_one_by_one() -> None:
        for arrival in arrivals:
            await loop.run_in_executor(pool, take_in_and_read, node, [arrival], now)

    work = asyncio.create_task(take_in_one_by_one())
    lags: list[float] = []
    while not work.done():
        before = time.perf_counter()
        await asyncio.sleep(0.001)
        lags.append(max(0.0, time.perf_counter() - before - 0.001))
    await work
    return lags, time.perf_counter() - start
