"""Other programs on the same objects, in the same rounds: what they need to take them in, and to give them back.

Each round runs one peer and, right after it, p2pshare's ingest of exactly the objects that the peer was handed. A peer
that is not there is skipped, one that fails is told with its last lines; neither stops the others.
"""

from __future__ import annotations

import gc
import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from anchors import naive
from ingest import NAIVE_OBJECTS, take_all_in
from material import SEED, Partners, discard, two_authors
from measuring import Report, cpu_seconds
from peers.table import (
    PEERS,
    VENV_VARIABLE,
    Found,
    Peer,
    clean_environment,
    find,
    how_to_install,
    interpreter,
)

from p2pshare.intel.display import clip
from p2pshare.intel.observable import canonical
from p2pshare.sharing.intake import Arrival

PROGRAMS = Path(__file__).with_name("peers")
PEER_SECONDS_MAX = 120
LAST_LINES = 6
QUESTIONS = 200
ABSENT_ADDRESSES = "203.0.113."  # RFC 5737: none of them is generated

Object = dict[str, object]


class PeerFailed(Exception):
    """The peer's program ended with an error, said nothing that counts, or took too long."""


@dataclass(frozen=True)
class Result:
    """What a peer's program printed; see peers/table.py."""

    held: int
    in_cpu_seconds: float
    out_count: int = 0
    out_cpu_seconds: float = 0.0


@dataclass
class Task:
    """One peer with its objects, the same sealed for p2pshare, and what came of the rounds."""

    peer: Peer
    found: Found
    stored: list[Object]
    objects: list[Object]
    sealed_stored: list[Arrival]
    sealed: list[Arrival]
    results: list[Result] = field(default_factory=list)
    ours: list[float] = field(default_factory=list)
    our_lookups: list[float] = field(default_factory=list)

    @property
    def title(self) -> str:
        return f"{self.peer.name} {self.found.version}".strip()

    @property
    def values(self) -> int:
        """How many different ones there are."""
        return len({one["pattern"] for one in self.stored + self.objects})

    @property
    def expected(self) -> int:
        """What the peer has to hold in the end."""
        return self.values if self.peer.merges_values else len(self.stored) + len(self.objects)

    @property
    def has_kept_all(self) -> bool:
        return all(result.held == self.expected for result in self.results)


def measure(report: Report, folder: Path, *, now: int, rounds: int, objects_max: int) -> bool:
    """Whether every peer that was found did what it was asked to."""
    environment = clean_environment()
    present = {peer: find(peer, environment, sys.executable) for peer in PEERS}
    if environment.get(VENV_VARIABLE) and not interpreter(environment):
        print(
            f"  {VENV_VARIABLE}: no bin/python in the folder that it names; name it from the root, as in /opt/peers"
        )
    for peer, found in present.items():
        if not found:
            print(f"  skipped: {peer.name} not installed ({how_to_install(peer)})")
    if not any(present.values()):
        return True
    partners = Partners(folder, now)
    tasks = [_task(peer, found, partners, objects_max) for peer, found in present.items() if found]
    sample, slow = two_authors(NAIVE_OBJECTS)[0], []
    failed: dict[str, str] = {}
    gc.collect()
    gc.freeze()  # as the daemon does after its start: what lies around here is not the ingest's garbage
    for number in range(rounds):
        for task in tasks:
            if task.peer.name in failed:
                continue
            try:
                task.results.append(_run(task, folder / f"{task.peer.name}-{number}", environment))
            except PeerFailed as error:
                failed[task.peer.name] = str(error)
                continue
            _run_ours(task, partners, now)
        slow.append(len(sample) / cpu_seconds(lambda: naive(sample, folder / "naive.sqlite")))
    for task in tasks:
        if task.peer.name not in failed:
            _tell(report, task)
    report.add("stix2 + stix2-patterns + sqlite3", "objects / CPU s", slow)
    for name, lines in failed.items():
        print(f"  FAILED: {name}\n{lines}")
    return not failed and all(task.has_kept_all for task in tasks)


def _task(peer: Peer, found: Found, partners: Partners, objects_max: int) -> Task:
    count = min(peer.objects, objects_max)
    generated = two_authors(count // 2)
    marked = [(number, one) for number, objects in enumerate(generated) for one in objects]
    if peer.paths:
        marked = [(number, one) for number, one in marked if str(one["pattern"])[1:].startswith(peer.paths)]
    before = peer.stored * count // peer.objects
    stored, handed = marked[:before], marked[before:]
    sealed = [_sealed(partners, part) for part in (stored, handed)]
    return Task(peer, found, [one for _, one in stored], [one for _, one in handed], *sealed)


def _sealed(partners: Partners, marked: Sequence[tuple[int, Object]]) -> list[Arrival]:
    arrivals: list[Arrival] = []
    for author in (0, 1):
        own = [one for number, one in marked if number == author]
        arrivals += partners.sealed(author, own, 10_000)
    return arrivals


def _run(task: Task, folder: Path, environment: Mapping[str, str]) -> Result:
    """Runs the peer's program in a folder and a process group of its own.

    Raises PeerFailed.
    """
    folder.mkdir()
    for name, content in (
        ("stored", task.stored),
        ("objects", task.objects),
        ("questions", _questions(task.objects)),
    ):
        (folder / f"{name}.json").write_text(json.dumps(content))
    with subprocess.Popen(
        [task.found.interpreter, str(PROGRAMS / task.peer.program)],
        cwd=folder,
        env={**environment, "HOME": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
    ) as process:
        try:
            output, errors = process.communicate(timeout=PEER_SECONDS_MAX)
        except BaseException as error:  # an interrupt, too: the server it started must not outlive us
            os.killpg(process.pid, signal.SIGKILL)
            if isinstance(error, subprocess.TimeoutExpired):
                raise PeerFailed(f"    took more than {PEER_SECONDS_MAX} s") from error
            raise
    try:
        if process.returncode == 0:
            return Result(**json.loads(output.splitlines()[-1]))
    except (IndexError, TypeError, ValueError):
        errors += "\nit ended without a result"
    last = (errors or output).splitlines()[-LAST_LINES:]
    raise PeerFailed("\n".join(f"    {clip(line, 200)}" for line in last) or f"    exit {process.returncode}")


def _questions(objects: Sequence[Object]) -> list[tuple[str, bool]]:
    """Values asked for one by one: half of them are there."""
    random_ = random.Random(SEED)
    known = [_value(one) for one in random_.choices(objects, k=QUESTIONS // 2)]
    absent = [f"{ABSENT_ADDRESSES}{number}" for number in range(QUESTIONS // 2)]
    return [(value, True) for value in known] + [(value, False) for value in absent]


def _value(one: Object) -> str:
    return str(one["pattern"]).split("= '")[1][:-2]


def _run_ours(task: Task, partners: Partners, now: int) -> None:
    """p2pshare on the same objects, and the same questions where the peer is asked any."""
    node = partners.fresh_receiver()
    take_all_in(node, task.sealed_stored, now)
    task.ours.append(len(task.objects) / cpu_seconds(lambda: take_all_in(node, task.sealed, now)))
    assert sum(node.store.knowledge.observable_counts().values()) == task.values
    if task.peer.paths:
        asked = [
            (canonical("ipv6" if ":" in value else "ipv4", value), is_known)
            for value, is_known in _questions(task.objects)
        ]

        def ask() -> None:
            for observable, is_known in asked:
                assert bool(node.store.knowledge.lookup([observable])) is is_known

        task.our_lookups.append(len(asked) / cpu_seconds(ask))
    discard(node)


def _tell(report: Report, task: Task) -> None:
    count, unit = len(task.objects), "objects / CPU s"
    held = ", ".join(sorted({str(result.held) for result in task.results}))
    kept = "different values" if task.peer.merges_values else "objects"
    agrees = "as it should" if task.has_kept_all else f"DIFFERS: {task.expected} expected"
    beside = f" beside {len(task.stored)} stored" if task.stored else ""
    print(f"  -- {task.title}: {count} objects handed in{beside}, holds {held} {kept}, {agrees}", flush=True)
    theirs = [count / result.in_cpu_seconds for result in task.results]
    report.add(f"{task.title}: {task.peer.way_in}", unit, theirs)
    report.add(f"... p2pshare beside {task.peer.name}: ingest of them", unit, task.ours)
    ratios = [mine / other for mine, other in zip(task.ours, theirs, strict=True)]
    report.add(f"... p2pshare / {task.peer.name}", "times", ratios)
    answers = [one.out_count / one.out_cpu_seconds for one in task.results if one.out_cpu_seconds]
    if answers:
        report.add(f"{task.title}: {task.peer.way_out}", "answers / CPU s", answers)
    if task.our_lookups:
        report.add("... p2pshare: the same look-ups in process", "answers / CPU s", task.our_lookups)
