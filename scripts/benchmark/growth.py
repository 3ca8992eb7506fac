"""How ingest fares as the store grows: rates and bytes written at 0, 100k, 1 M (and 10 M) observables."""

from __future__ import annotations

import random
import time
from pathlib import Path

from material import REPEATED, Partners, discard, indicator, take_in_and_read, values
from measuring import Report

STEP = 10_000


def measure(report: Report, partners: Partners, *, now: int, largest: int) -> None:
    """Grows one store to `largest` claims; at each size two bundles, without and with repeated values."""
    node = partners.fresh_receiver()
    random_ = random.Random(11)
    held: list[tuple[str, str]] = []
    base: dict[float, float] = {}
    size = 0
    for target in [one for one in (0, 100_000, 1_000_000, 10_000_000) if one <= largest]:
        while size < target:
            chosen = values(STEP, 10_000 + size)
            _take(partners, node, chosen, random_, now)
            held += random_.sample(chosen, 200)
            size += STEP
        for repeats in (0.0, REPEATED):
            again = random_.sample(held, min(len(held), round(STEP * repeats)))
            chosen = (again + values(STEP, 20_000_000 + size + round(repeats * 10)))[:STEP]
            seconds, written = _take(partners, node, chosen, random_, now)
            size += STEP
            rate = STEP / seconds
            base.setdefault(repeats, rate)
            name = f"at {target:>9} held, {repeats:.0%} repeats"
            report.add(f"ingest {name}", "indicators / CPU s", [rate])
            report.add(f"written {name}", "bytes / indicator", [written / STEP])
            if target == largest:
                report.gate(f"rate {name} / at empty", rate / base[repeats], 0.35 if repeats else 0.7)
    discard(node)


def _take(
    partners: Partners, node: object, chosen: list[tuple[str, str]], random_: random.Random, now: int
) -> tuple[float, int]:
    objects = [indicator(type_, value, random_) for type_, value in chosen]
    arrivals = partners.sealed(0, objects, STEP)
    before, start = _written(), time.process_time()
    take_in_and_read(node, arrivals, now)  # type: ignore[arg-type]
    node.store.database.checkpoint()  # type: ignore[attr-defined]
    return time.process_time() - start, _written() - before


def _written() -> int:
    """Bytes this process has caused to be written to the disk."""
    for line in Path("/proc/self/io").read_text().splitlines():
        if line.startswith("write_bytes:"):
            return int(line.split()[1])
    return 0
