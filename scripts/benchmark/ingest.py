"""Ingest end to end (verify, open, decode, canonicalise, dedup, store) beside its anchors."""

from __future__ import annotations

import gc
import time
from collections.abc import Sequence
from pathlib import Path

from anchors import Recording, naive, replay
from material import Partners, discard, expected, take_in_and_read, two_authors
from measuring import Report, cpu_seconds

from p2pshare.gossip.intake_schedule import INTAKE_LIMITS
from p2pshare.node.node import Node
from p2pshare.sharing.intake import Arrival, IntakeStatus

ENVELOPES_OF_ONE = 400  # objects measured where each has an envelope of its own
NAIVE_OBJECTS = 200


def take_all_in(node: Node, arrivals: Sequence[Arrival], now: int) -> None:
    """As the daemon's queue would: what waits shares a transaction."""
    for start in range(0, len(arrivals), INTAKE_LIMITS.batch_bodies):
        verdicts = take_in_and_read(node, arrivals[start : start + INTAKE_LIMITS.batch_bodies], now)
        assert all(verdict.status is IntakeStatus.HELD for verdict in verdicts), verdicts


def check(node: Node, authors: Sequence[Sequence[dict[str, object]]]) -> None:
    """The store says what a plain dictionary says."""
    wanted = expected(authors)
    found = node.store.knowledge.lookup(list(wanted))
    assert {one: len(claims) for one, claims in found.items()} == wanted
    assert sum(node.store.knowledge.observable_counts().values()) == len(wanted)


def measure(report: Report, partners: Partners, folder: Path, *, now: int, rounds: int) -> None:
    authors = two_authors(10_000)
    one_each = [objects[:ENVELOPES_OF_ONE] for objects in authors]
    sealed = {
        "10k": ([partners.sealed(n, objects, 10_000) for n, objects in enumerate(authors)], authors),
        "100": ([partners.sealed(n, objects, 100) for n, objects in enumerate(authors)], authors),
        "1": ([partners.sealed(n, objects, 1) for n, objects in enumerate(one_each)], one_each),
    }
    recorded = partners.fresh_receiver()
    with Recording(recorded) as recording:
        for arrivals in sealed["10k"][0]:
            take_all_in(recorded, arrivals, now)
    batches = recording.batches()
    discard(recorded)
    sample = authors[0][:NAIVE_OBJECTS]
    rates: dict[str, list[float]] = {name: [] for name in ("10k", "wall", "100", "1", "ceiling", "naive")}
    gc.collect()
    gc.freeze()  # as the daemon does after its start: what lies around here is not the ingest's garbage
    for number in range(rounds):
        for name, (arrivals, objects) in sealed.items():
            node = partners.fresh_receiver()
            count = sum(map(len, objects))
            start = time.perf_counter()
            seconds = cpu_seconds(
                lambda node=node, arrivals=arrivals: [take_all_in(node, one, now) for one in arrivals]
            )
            rates[name].append(count / seconds)
            if name == "10k":
                rates["wall"].append(count / (time.perf_counter() - start))
            if number == 0:
                check(node, objects)
            discard(node)
        node = partners.fresh_receiver()
        rates["ceiling"].append(20_000 / cpu_seconds(lambda node=node: replay(node, batches)))
        discard(node)
        rates["naive"].append(len(sample) / cpu_seconds(lambda: naive(sample, folder / "naive.sqlite")))
    unit = "indicators / CPU s"
    whole = report.add("ingest, envelopes of 10,000", unit, rates["10k"])
    report.add("ingest, envelopes of 10,000, wall clock", "indicators / s", rates["wall"])
    hundred = report.add("ingest, envelopes of 100", unit, rates["100"])
    report.add("ingest, envelopes of 1", unit, rates["1"])
    ceiling = report.add("anchor: the same SQL with ready tuples", unit, rates["ceiling"])
    slow = report.add("anchor: stix2 + stix2-patterns + sqlite3", unit, rates["naive"])
    report.gate("ingest of 10k / SQL replay", whole.median / ceiling.median, 0.25)
    report.gate("ingest of 10k / naive stack", whole.median / slow.median, 50)
    report.gate("envelopes of 100 / of 10k, per indicator", hundred.median / whole.median, 0.4)
