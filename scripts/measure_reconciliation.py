"""Measure the index and the reconciliation of two large stores. CPU time of this thread, bytes as sent."""

from __future__ import annotations

import argparse
import gc
import random
import time
import tracemalloc
from collections.abc import Callable, Generator
from typing import Any

from p2pshare.gossip.negentropy.audit import AuditView
from p2pshare.gossip.negentropy.key_index import SortedKeys, key_of
from p2pshare.gossip.negentropy.negentropy import Initiator, KeySource, finish, respond

START, QUARTER_SECONDS = 1_700_000_000, 90 * 86_400


def random_keys(count: int, seed: int, start: int = START, seconds: int = QUARTER_SECONDS) -> list[bytes]:
    source = random.Random(seed)
    return sorted(key_of(start + source.randrange(seconds), source.randbytes(32)) for _ in range(count))


def milliseconds(work: Callable[[], object], repeats: int = 20) -> str:
    taken = []
    for _ in range(repeats):
        began = time.thread_time()
        work()
        taken.append(1_000 * (time.thread_time() - began))
    return f"{sorted(taken)[repeats // 2]:.2f} ms (median of {repeats}), {max(taken):.2f} ms (longest)"


class Stopwatch:
    """Runs generators step by step and remembers every step's time."""

    def __init__(self) -> None:
        self.steps: list[float] = []

    def run(self, work: Generator[None, None, Any]) -> Any:
        while True:
            began = time.thread_time()
            try:
                next(work)
            except StopIteration as end:
                return end.value
            finally:
                self.steps.append(time.thread_time() - began)


def session(name: str, client: KeySource, server: KeySource, **options: Any) -> None:
    watch, sent = Stopwatch(), 0
    initiator = Initiator(client, **options)
    message: bytes | None = initiator.begin()
    while message is not None:
        answer = watch.run(respond(server, message))
        sent += len(message) + len(answer)
        message = watch.run(initiator.receive(answer))
    found = len(initiator.have) + len(initiator.need)
    each = f"{sent / found:8.1f} B each" if found else " " * 15
    print(
        f"{name:28} {found:9,} found  {initiator.rounds:3} rounds  {sent:12,} B  {each}"
        f"  {sum(watch.steps):6.2f} s CPU both  longest step {1_000 * max(watch.steps):5.1f} ms",
        flush=True,
    )


def measure_index(keys: list[bytes]) -> SortedKeys:
    tracemalloc.start()
    index = SortedKeys(keys)
    held_bytes = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    began = time.thread_time()
    index = SortedKeys(keys)
    print(
        f"load         {len(keys) / (time.thread_time() - began):,.0f} keys/s, {held_bytes / len(keys):.1f} B a key"
    )
    print("root         " + milliseconds(index.root))
    first = Initiator(index, lists_own_ids=True).begin()
    print(
        "in-sync      " + milliseconds(lambda: finish(respond(index, first))) + ", responder, 16 fingerprints"
    )
    grown = SortedKeys(keys)
    for name, more in (
        ("scattered", random.Random(2).sample(random_keys(100_000, 2), 100_000)),
        ("newest", random_keys(100_000, 3, START + QUARTER_SECONDS, 3_600)),
    ):
        began = time.thread_time()
        for key in more:
            grown.add(key)
        print(f"add          {len(more) / (time.thread_time() - began):,.0f} keys/s, {name}")
    return index


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keys", type=int, default=1_000_000)
    count = parser.parse_args().keys
    keys = random_keys(count, 1)
    gc.collect()
    gc.freeze()
    index = measure_index(keys)
    newest = SortedKeys(keys + random_keys(1_000, 4, START + QUARTER_SECONDS, 3_600))
    session("in sync", index, index)
    session("newest 1,000 to get", index, newest)
    session("newest 1,000 to give", newest, index)
    session("newest 1,000, as reference", index, newest, lists_own_ids=True)
    for scattered in (10, 100, 1_000, 10_000, 50_000, 300_000):
        chosen = set(random.Random(scattered).sample(range(count), min(scattered, count)))
        fewer = SortedKeys(key for number, key in enumerate(keys) if number not in chosen)
        session(f"scattered {scattered:,}", fewer, index, differences_max=count)
        if scattered == 1_000:
            session(f"scattered {scattered:,}, as reference", fewer, index, lists_own_ids=True)
    session("empty store, one session", SortedKeys(), index)
    session("empty store, to the end", SortedKeys(), index, differences_max=count)
    watch = Stopwatch()
    views = [AuditView(side, b"k" * 32) for side in (index, newest)]
    for view in views:
        watch.run((lambda warm: (yield from warm))(view.warm()))
    print(
        f"audit: {sum(watch.steps) / 2:.2f} s to warm a side, longest step {1_000 * max(watch.steps):.1f} ms"
    )
    session("audit, newest 1,000 to get", *views)


if __name__ == "__main__":
    main()
