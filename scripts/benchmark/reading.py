"""Look-ups, exports, bytes and memory of a store that holds a large bundle."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import apsw
from ingest import check, take_all_in
from material import SEED, Partners, discard, indicator, two_authors
from measuring import Report, percentile

from p2pshare.intel.marking import Pap, Tlp
from p2pshare.intel.observable import Observable, detect
from p2pshare.knowledge.coverage import covers_of
from p2pshare.node.node import Node
from p2pshare.queries.lookup import look_up

COVERS = 1_000
ROW_TABLES = ("observable", "observable_value", "claim", "claim_%", "label_set", "object", "object_%")


def measure(report: Report, partners: Partners, *, now: int, rounds: int, per_author: int) -> None:
    authors = two_authors(per_author)
    node = partners.fresh_receiver()
    for number, objects in enumerate(authors):
        take_all_in(node, partners.sealed(number, objects, 10_000), now)
    check(node, authors)
    observables = sum(node.store.knowledge.observable_counts().values())
    print(f"  -- a store with {2 * per_author} claims on {observables} observables", flush=True)
    _lookups(report, node, rounds)
    _covering_lookups(report, partners, node, now)
    _exports(report, node, now, rounds)
    _bytes(report, node, 2 * per_author + COVERS)
    discard(node)


def _lookups(report: Report, node: Node, rounds: int) -> None:
    known = [Observable(*row) for row in node.store.database.fetch("SELECT type, value FROM v1_indicators")]
    random_ = random.Random(SEED)
    asked = [
        one if random_.random() < 0.5 else Observable("domain", f"absent-{random_.getrandbits(60)}.example")
        for one in random_.choices(known, k=10_000)
    ]
    singles: list[float] = []
    batches: list[float] = []
    for _ in range(rounds):
        for one in asked[:2_000]:
            start = time.perf_counter()
            node.store.knowledge.lookup([one])
            singles.append(time.perf_counter() - start)
        start = time.perf_counter()
        found = node.store.knowledge.lookup(asked)
        batches.append(time.perf_counter() - start)
        assert len(found) == len(set(asked) & set(known))
    micro = [figure * 1e6 for figure in singles]
    report.add("exact look-up, one value, p50", "us", [percentile(micro, 0.5)])
    report.add("exact look-up, one value, p99", "us", [percentile(micro, 0.99)])
    report.add("exact look-up, 10,000 values at once", "ms", [figure * 1e3 for figure in batches])
    report.gate("exact look-up p50 (us)", percentile(micro, 0.5), 50, is_at_least=False)
    report.gate("exact look-up p99 (us)", percentile(micro, 0.99), 1_000, is_at_least=False)


def _covering_lookups(report: Report, partners: Partners, node: Node, now: int) -> None:
    """Addresses in a listed network and hosts below a listed domain, one by one: found, and told as `p2pshare lookup` does."""
    random_ = random.Random(SEED)
    networks = [f"100.{64 + n // 256}.{n % 256}.0/{random_.choice([24, 25, 28])}" for n in range(COVERS)]
    objects = [indicator("ipv4-net", network, random_) for network in networks]
    take_all_in(node, partners.sealed(0, objects, 10_000), now)
    sql = "SELECT value FROM v1_indicators WHERE type = 'domain' LIMIT ?"
    domains = [value for (value,) in node.store.database.fetch(sql, (COVERS,))]
    asked = {
        "address in a network": [network.partition("/")[0] for network in networks],
        "host below a domain": [f"www.{n}.{domain}" for n, domain in enumerate(domains)],
    }
    lengths = node.store.knowledge.network_lengths()
    for what, texts in asked.items():
        found, told = [], []
        for text in texts:
            start = time.perf_counter()
            covers = covers_of(detect(text), lengths)
            claims = node.store.knowledge.lookup([cover.observable for cover in covers])
            found.append((time.perf_counter() - start) * 1e6)
            start = time.perf_counter()
            (answer,) = look_up(node.store, [text], now)
            told.append((time.perf_counter() - start) * 1e6)
            assert claims and answer.found, text
        report.add(f"look-up, {what}, p50", "us", [percentile(found, 0.5)])
        report.add(f"... {what}: evaluated and told, p50", "us", [percentile(told, 0.5)])
        report.gate(f"look-up, {what}, p50 (us)", percentile(found, 0.5), 200, is_at_least=False)


def _exports(report: Report, node: Node, now: int, rounds: int) -> None:
    rates: dict[str, list[float]] = {"scan": [], "list": [], "ndjson": [], "view": []}
    now_us = now * 1_000_000
    for _ in range(rounds):
        with closing(apsw.Connection(str(_path(node)), flags=apsw.SQLITE_OPEN_READONLY)) as connection:
            start = time.perf_counter()
            rows = len(connection.execute("SELECT id, type, value FROM observable").fetchall())
            rates["scan"].append(rows / (time.perf_counter() - start))
        start = time.perf_counter()
        listed = sum(
            1 for _ in node.store.knowledge.values(now_us, tlp_max=Tlp.AMBER_STRICT, pap_max=Pap.GREEN)
        )
        rates["list"].append(listed / (time.perf_counter() - start))
        start = time.perf_counter()
        lines = sum(
            piece.count("\n")
            for piece in node.store.knowledge.indicator_lines(now_us, tlp_max=Tlp.AMBER_STRICT)
        )
        rates["ndjson"].append(lines / (time.perf_counter() - start))
        viewed, seconds = _viewed(node)
        rates["view"].append(viewed / seconds)
        assert listed == lines == viewed
    scan = report.add("anchor: SQL scan of the values", "rows / s", rates["scan"])
    plain = report.add("export, plain list", "rows / s", rates["list"])
    ndjson = report.add("export, NDJSON", "rows / s", rates["ndjson"])
    report.add("v1_indicators read by the interpreter's sqlite3", "rows / s", rates["view"])
    report.gate("plain list / SQL scan", plain.median / scan.median, 0.15)
    report.gate("NDJSON / SQL scan", ndjson.median / scan.median, 0.1)


# In a process of its own: two copies of SQLite in one drop each other's locks (https://sqlite.org/howtocorrupt.html, 2.2.1).
_VIEWER = """
import sqlite3, sys, time
connection = sqlite3.connect(f"file:{sys.argv[1]}?mode=ro", uri=True)
start = time.perf_counter()
print(len(connection.execute("SELECT * FROM v1_indicators WHERE active").fetchall()), time.perf_counter() - start)
"""


def _viewed(node: Node) -> tuple[int, float]:
    """Returns how many rows the interpreter's SQLite reads from v1_indicators, and in how many seconds."""
    done = subprocess.run(
        [sys.executable, "-c", _VIEWER, str(_path(node))], capture_output=True, text=True, check=True
    )
    count, seconds = done.stdout.split()
    return int(count), float(seconds)


ROWS = ("observable", "claim", "object", "label", "effective_state")
"""How the names of tables that grow with indicators begin, and those of their indexes."""


def _bytes(report: Report, node: Node, claims: int) -> None:
    node.store.database.checkpoint()
    with closing(apsw.Connection(str(_path(node)), flags=apsw.SQLITE_OPEN_READONLY)) as connection:
        sizes = dict(connection.execute("SELECT name, sum(pgsize) FROM dbstat GROUP BY name"))
    rows = sum(size for name, size in sizes.items() if name.startswith(ROWS))
    assert "effective_state" in sizes, (
        "each prefix of ROWS is a table: a name that changed would count nothing"
    )
    frames = sizes["frame"]
    report.add("store, rows and their indexes", "bytes / indicator", [rows / claims])
    report.add("store, the same and the frames", "bytes / indicator", [(rows + frames) / claims])
    report.add(
        "store, all of it with the envelopes as received", "bytes / indicator", [sum(sizes.values()) / claims]
    )
    report.gate("store bytes an indicator without frames", rows / claims, 180, is_at_least=False)
    report.gate("store bytes an indicator with frames", (rows + frames) / claims, 330, is_at_least=False)


def _path(node: Node) -> Path:
    return node.store.database.path


def peak_memory(report: Report, folder: Path) -> None:
    """A bundle of 100,000, in a process of its own: the peak is the process's."""
    child = Path(__file__).with_name("peak_memory.py")
    done = subprocess.run(
        [sys.executable, str(child), str(folder)], capture_output=True, text=True, check=True
    )
    report.add("peak memory above base, bundle of 100,000", "MiB", [float(done.stdout)])
    report.gate("peak memory above base for a 100k bundle (MiB)", float(done.stdout), 64, is_at_least=False)
