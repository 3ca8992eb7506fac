"""Publishing by the command line. A STIX bundle: CPU of the command and of the daemon together, from the file to COMMIT; beside
it, in the same rounds, what a partner needs to take the same objects in, and what Python needs to read the file. A list: the
memory of each process at its peak.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from material import SEED, Partners, discard, indicator, take_in_and_read, values
from measuring import Report, cpu_seconds

from p2pshare.cli.session import is_running
from p2pshare.envelope.card import fingerprint
from p2pshare.node.init import found_home
from p2pshare.node.node import close_node, open_node
from p2pshare.sharing.partners import add_partner

PATIENCE_SECONDS = 60
MEMORY_MIB_MAX = 300  # of each process, at any size
BESIDE = ("description", "kill_chain_phases", "external_references")
"""Left out of each object: 100,000 of them would be larger than one file may be."""


def measure(report: Report, partners: Partners, folder: Path, *, now: int, rounds: int, objects: int) -> None:
    random_ = random.Random(SEED)
    made = [indicator(type_, value, random_) for type_, value in values(objects, SEED)]
    for one in made:
        for name in BESIDE:
            del one[name]
    file = folder / "bundle.json"
    bundle = {"type": "bundle", "id": f"bundle--{uuid.UUID(int=1, version=4)}", "objects": made}
    file.write_text(json.dumps(bundle, separators=(",", ":")))
    rows: dict[str, list[float]] = {"alone": [], "daemon": [], "taken in": [], "read": []}
    for number in range(rounds):
        home = make_home(folder / f"publishing-{number}", now)
        rows["alone"].append(_publish(home, file, objects))
        home = make_home(folder / f"publishing-{number}-daemon", now)
        with _daemon(home) as pid:
            before = _cpu_of(pid)
            rows["daemon"].append(_publish(home, file, objects) + _cpu_of(pid) - before)
        node, arrivals = partners.fresh_receiver(), partners.sealed(0, made, 10_000)
        rows["taken in"].append(cpu_seconds(lambda: [take_in_and_read(node, [one], now) for one in arrivals]))  # noqa: B023
        discard(node)
        rows["read"].append(cpu_seconds(lambda: json.loads(file.read_bytes())))
    for what, name in (
        ("alone", "publish, without a daemon, CPU"),
        ("daemon", "publish, command and daemon, CPU"),
        ("taken in", "anchor: the same taken in from a partner, CPU"),
        ("read", "anchor: the file read by Python's json, CPU"),
    ):
        report.add(name, "us an object", [seconds / objects * 1e6 for seconds in rows[what]])


def measure_memory(report: Report, folder: Path, *, now: int, values: int) -> None:
    """The most that each process holds (VmHWM) while a list of so many values is published."""
    file = folder / "values.txt"
    write_list(file, values)
    home = make_home(folder / "list-alone", now)
    alone, seconds = _publish_list(home, file, values)
    home = make_home(folder / "list-daemon", now)
    with _daemon(home) as pid:
        command, with_daemon = _publish_list(home, file, values)
        daemon = _resident(pid, "VmHWM")
    for name, mib in (
        ("without a daemon", alone),
        ("the command beside a daemon", command),
        ("the daemon", daemon),
    ):
        name = f"publish, {values:,} values: memory, {name}"
        report.add(name, "MiB", [mib])
        report.gate(name, mib, MEMORY_MIB_MAX, is_at_least=False)
    report.add("the same list, without a daemon / with one, wall", "s", [seconds, with_daemon])


def write_list(file: Path, values: int) -> None:
    """Write a list of so many domains."""
    with file.open("w") as lines:
        lines.writelines(f"host-{number}.example-{number % 977}.net\n" for number in range(values))


def _publish_list(home: Path, file: Path, values: int) -> tuple[float, float]:
    """The command's peak in MiB, and how long it took in seconds."""
    began = time.monotonic()
    out = file.with_suffix(".answer")
    peak = 0.0
    with (
        out.open("wb") as answer,
        subprocess.Popen(
            [
                *program_of(home),
                "publish",
                str(file),
                "--format",
                "list",
                "--tlp",
                "green",
                "--yes",
                "--json",
            ],
            stdout=answer,
            stderr=subprocess.DEVNULL,
        ) as process,
    ):
        while (
            process.poll() is None
        ):  # its usage when it has ended would count this process, which it was forked from
            with suppress(LookupError, OSError):
                peak = _resident(process.pid, "VmHWM")
            time.sleep(0.02)
    assert process.returncode == 0 and json.loads(out.read_bytes())["published"] == values
    return peak, time.monotonic() - began


def _resident(pid: int, field: str) -> float:
    """MiB, from proc_pid_status(5)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) / 1024
    raise LookupError(field)


def make_home(folder: Path, now: int) -> Path:
    """A home that trusts one partner."""
    for name in ("author", "partner"):
        found_home(folder / name, name=name, url="", listen="", passphrase=None, now=now)
    author, partner = open_node(folder / "author"), open_node(folder / "partner")
    card = partner.identity.card
    told = fingerprint(card.partner_id)
    add_partner(author, card.raw, confirmed_fingerprint=told, alias="", has_link=True, now=now)
    close_node(author)
    close_node(partner)
    return folder / "author"


def _publish(home: Path, file: Path, objects: int) -> float:
    """CPU seconds of the command, its start included."""
    before = os.times()
    done = subprocess.run(
        [*program_of(home), "publish", str(file), "--format", "stix", "--yes", "--json"],
        capture_output=True,
        check=True,
    )
    after = os.times()
    assert json.loads(done.stdout)["published"] == objects
    return after.children_user + after.children_system - before.children_user - before.children_system


@contextmanager
def _daemon(home: Path) -> Iterator[int]:
    with subprocess.Popen([*program_of(home), "run"], stderr=subprocess.DEVNULL) as process:
        try:
            deadline = time.monotonic() + PATIENCE_SECONDS
            while not is_running(home):
                assert time.monotonic() < deadline and process.poll() is None, "the daemon did not start"
                time.sleep(0.05)
            yield process.pid
        finally:
            process.terminate()


def program_of(home: Path) -> list[str]:
    return [sys.executable, "-m", "p2pshare", "--home", str(home)]


def _cpu_of(pid: int) -> float:
    """CPU seconds of a process so far, by proc_pid_stat(5)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
