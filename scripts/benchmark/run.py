"""Runs the measurements and prints them; see scripts/bench for how to call it and docs/performance.md for why."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import against
import apsw
import beside_peers
import folding_spaces
import growth
import ingest
import loop_lag
import publishing
import ranking_risk
import reading
import reading_playbooks
import running_rules
import spreading
import under_attack
import under_flood
import under_siege
from material import Partners
from measuring import Report

REPOSITORY = Path(__file__).resolve().parent.parent.parent
PEER_ROUNDS = 3
FLOOD_SECONDS = 60.0


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench", description="measure this checkout")
    size = parser.add_mutually_exclusive_group()
    size.add_argument(
        "--quick",
        action="store_true",
        help="half a minute (the default): each figure, few rounds, small stores",
    )
    size.add_argument("--full", action="store_true", help="more rounds, larger stores, the growth curve")
    parser.add_argument(
        "--largest", type=int, default=1_000_000, help="end of the growth curve (with --full)"
    )
    size.add_argument("--peers", action="store_true", help="other programs on the same objects, nothing else")
    size.add_argument(
        "--flood", action="store_true", help="a thousand strangers a second at the door, nothing else"
    )
    size.add_argument(
        "--siege",
        type=float,
        nargs="?",
        const=under_siege.SIEGE_SECONDS,
        metavar="SECONDS",
        help="a day of a partner's attack in so many seconds (1200), nothing else; fewer are a part of the day",
    )
    size.add_argument("--spaces", action="store_true", help="folds of spaces, nothing else")
    size.add_argument("--risk", action="store_true", help="an inventory ranked, nothing else")
    size.add_argument(
        "--playbooks", action="store_true", help="playbooks checked, drawn and read, nothing else"
    )
    size.add_argument("--labs", action="store_true", help="rules of labs on samples, nothing else")
    parser.add_argument(
        "--shipped", action="store_true", help="with --siege: the limits of one partner as they are shipped"
    )
    size.add_argument(
        "--against",
        type=Path,
        metavar="DIR",
        help="another checkout, set up: both in turn, and what became slower",
    )
    parser.add_argument(
        "--rounds",
        type=int,
        help=f"of each figure (3, with --full 7, with --against at least {against.ROUNDS_MIN})",
    )
    parser.add_argument(
        "--objects", type=int, default=20_000, help="at most so many for one peer, 100 or more (with --peers)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there too")
    arguments = parser.parse_args()
    if arguments.objects < 100:
        parser.error("--objects: a peer is handed 100 or more")
    if arguments.rounds is not None and arguments.rounds < 1:
        parser.error("--rounds: at least one")
    report, start = Report(), time.perf_counter()
    environment = _environment()
    print("  ".join(f"{name} {value}" for name, value in environment.items()))
    if arguments.against is not None:
        rounds = against.ROUNDS_MIN if arguments.rounds is None else arguments.rounds
        return 0 if against.measure(arguments.against.resolve(), rounds) else 1
    print(f"  {'':<52} {'min':>9} {'median':>9} {'max':>9}")
    with tempfile.TemporaryDirectory(dir=REPOSITORY, prefix=".bench-") as name:  # the disk, not a tmpfs
        is_well = True
        if arguments.peers:
            is_well = _beside_peers(report, Path(name), arguments.objects)
        elif arguments.flood:
            under_flood.measure(report, seconds=FLOOD_SECONDS)
        elif arguments.siege is not None:
            under_siege.measure(report, Path(name), seconds=arguments.siege, is_shipped=arguments.shipped)
        elif arguments.spaces:
            folding_spaces.measure(report, rounds=5, has_slow_graphs=True)
        elif arguments.risk:
            ranking_risk.measure(report, Path(name) / "risk")
        elif arguments.playbooks:
            reading_playbooks.measure(report, rounds=5)
        elif arguments.labs:
            running_rules.measure(report, Path(name) / "labs", rounds=5, hellos=2_000)
        else:
            rounds = arguments.rounds or (7 if arguments.full else 3)
            _run(report, Path(name), rounds=rounds, is_full=arguments.full, largest=arguments.largest)
    if report.gates:
        print("gates (must):")
    for gate in report.gates:
        print(gate.line())
    print(f"{time.perf_counter() - start:.0f} s, load now {os.getloadavg()[0]:.1f}")
    if arguments.json:
        arguments.json.write_text(
            json.dumps({"environment": environment, **report.to_json()}, indent=1) + "\n"
        )
    return 0 if is_well else 1


def _run(report: Report, folder: Path, *, rounds: int, is_full: bool, largest: int) -> None:
    now = int(time.time())
    partners = Partners(folder, now)
    ingest.measure(report, partners, folder, now=now, rounds=rounds)
    reading.measure(report, partners, now=now, rounds=rounds, per_author=200_000 if is_full else 20_000)
    reading.peak_memory(report, folder / "child")
    publishing.measure(
        report,
        partners,
        folder,
        now=now,
        rounds=5 if is_full else 1,
        objects=100_000 if is_full else 10_000,
    )
    publishing.measure_memory(report, folder, now=now, values=1_400_000 if is_full else 20_000)
    loop_lag.measure(report, partners, now=now, objects=100_000 if is_full else 10_000)
    spreading.measure(report, folder, publications=200 if is_full else 40, bundles=10 if is_full else 1)
    under_attack.measure(
        report, folder, keys=1_000_000 if is_full else 200_000, hellos=600 if is_full else 150
    )
    folding_spaces.measure(report, rounds=5 if is_full else 1, has_slow_graphs=is_full)
    if is_full:
        growth.measure(report, partners, now=now, largest=largest)


def _beside_peers(report: Report, folder: Path, objects_max: int) -> bool:
    return beside_peers.measure(
        report, folder, now=int(time.time()), rounds=PEER_ROUNDS, objects_max=objects_max
    )


def _environment() -> dict[str, str]:
    return {
        "python": platform.python_version(),
        "sqlite": apsw.sqlite_lib_version(),
        "cores": str(os.cpu_count()),
        "load": f"{os.getloadavg()[0]:.1f}",
    }


if __name__ == "__main__":
    sys.exit(main())
