"""Two checkouts beside each other, round by round: this one, another one, and the other one once more.

The third is the measure of the second: how far a checkout differs from itself on this machine at this hour. Each measures
itself with its own scripts/benchmark in a process of its own, so the two may differ in everything but these names:
`material.Partners`, `measuring.Report`, `ingest.measure`, `reading.measure` and the command line.

A figure holds when the median of its ratios (this / other, turned so that more is better) is at least RATIO_MIN, or lies
within the spread of the other one against itself.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from material import two_authors

REPOSITORY = Path(__file__).resolve().parent.parent.parent
ROUNDS_MIN = 9  # below that a median says little on a machine that others share
RATIO_MIN = 0.97
BUNDLE_OBJECTS = 100_000
PUBLISHING = "publish a STIX bundle of 100,000, command without a daemon"
MORE_IS_BETTER = ("/ CPU s", "/ s")  # ends of units; of all others less is better

ROUND = """
import json, sys, tempfile, time
from pathlib import Path
sys.path.insert(0, "scripts/benchmark")
import ingest, reading
from material import Partners
from measuring import Report
report, now = Report(), int(time.time())
with tempfile.TemporaryDirectory(dir=".", prefix=".bench-") as name:
    folder = Path(name)
    partners = Partners(folder, now)
    ingest.measure(report, partners, folder, now=now, rounds=3)
    reading.measure(report, partners, now=now, rounds=3, per_author=10_000)
print(json.dumps({one.name: [one.unit, one.median] for one in report.series}))
"""


def measure(other: Path, rounds: int) -> bool:
    """Prints a line for each figure; returns whether all of them hold."""
    if rounds < ROUNDS_MIN:
        print(f"  fewer than {ROUNDS_MIN} rounds: look, do not quote")
    with tempfile.TemporaryDirectory(dir=REPOSITORY, prefix=".bench-") as name:
        bundle = Path(name) / "bundle.json"
        bundle.write_text(
            json.dumps({"type": "bundle", "id": _BUNDLE_ID, "objects": _objects()}, separators=(",", ":"))
        )
        runs: list[tuple[Figures, Figures, Figures]] = []
        for number in range(rounds):
            # the order turns: who comes first in a round may find another machine than who comes last
            order = ("this", "other", "again") if number % 2 else ("again", "other", "this")
            found = {who: _round(REPOSITORY if who == "this" else other, bundle) for who in order}
            runs.append((found["this"], found["other"], found["again"]))
            print(f"  round {number + 1} of {rounds}", flush=True)
    print(f"  {'':<62} {'ratio':>6}  {'the other one against itself'}")
    lines = [_line(name, unit, runs) for name, (unit, _) in runs[0][0].items() if name in runs[0][1]]
    return all(lines)


Figures = Mapping[str, tuple[str, float]]
"""Name of a figure -> its unit and what it was."""

_BUNDLE_ID = "bundle--0d5f0d4e-6a26-4c1b-8a52-0a9d3b1c2f11"


def _objects() -> list[dict[str, object]]:
    identity = {
        "type": "identity",
        "spec_version": "2.1",
        "id": "identity--2f7f0d1e-3b7a-4f7c-9c55-6d2a0e1b8a77",
        "created": "2026-01-01T00:00:00.000Z",
        "modified": "2026-01-01T00:00:00.000Z",
        "name": "Benchmark",
        "object_marking_refs": two_authors(1)[0][0]["object_marking_refs"],
    }
    # whole indicators, so many of them, are more than one input may be (limits.INPUT_BYTES_MAX)
    left_out = {"description", "external_references", "kill_chain_phases"}
    indicators = two_authors(BUNDLE_OBJECTS - 1)[0]
    return [identity, *({key: one[key] for key in one.keys() - left_out} for one in indicators)]


def _round(checkout: Path, bundle: Path) -> Figures:
    done = subprocess.run(
        [_python(checkout), "-c", ROUND], cwd=checkout, stdout=subprocess.PIPE, text=True, check=True
    )
    found = {
        name: (unit, figure) for name, (unit, figure) in json.loads(done.stdout.splitlines()[-1]).items()
    }
    return found | {PUBLISHING: ("CPU s", _publishing(checkout, bundle))}


def _publishing(checkout: Path, bundle: Path) -> float:
    """CPU seconds of `publish` for one partner, start of the command included."""
    with tempfile.TemporaryDirectory(dir=REPOSITORY, prefix=".bench-") as name:
        folder = Path(name)
        for partner in ("alpha", "bravo"):
            _command(checkout, folder / partner, "init", "--name", partner, "--url", "https://127.0.0.1:9")
            _command(checkout, folder / partner, "card", "export", str(folder / f"{partner}.p2pcard"))
        shown = json.loads(_command(checkout, folder / "bravo", "card", "show", "--json"))
        card = str(folder / "bravo.p2pcard")
        _command(checkout, folder / "alpha", "partner", "add", card, "--fingerprint", shown["fingerprint"])
        before = _cpu_of_children()
        _command(checkout, folder / "alpha", "publish", str(bundle), "--yes", "--share-listed", "--json")
        return _cpu_of_children() - before


def _command(checkout: Path, home: Path, *words: str) -> str:
    program = str(Path(_python(checkout)).with_name("p2pshare"))
    done = subprocess.run(
        [program, "--home", str(home), *words],
        capture_output=True,
        text=True,
        check=False,
        env=_environment(),
    )
    if done.returncode not in (0, 6):  # 6: something of the bundle was refused, in both alike
        sys.exit(f"bench: {' '.join(words[:2])} in {checkout} ended with {done.returncode}: {done.stderr}")
    return done.stdout


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("P2PSHARE_")}


def _cpu_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _python(checkout: Path) -> str:
    python = checkout / ".venv" / "bin" / "python"
    if not python.exists():
        sys.exit(f"bench: {checkout} has no .venv; hint: run its scripts/setup")
    return str(python)


def _line(name: str, unit: str, runs: Sequence[tuple[Figures, Figures, Figures]]) -> bool:
    is_more_better = unit.endswith(MORE_IS_BETTER)

    def ratio(one: Figures, two: Figures) -> float:
        high, low = (one, two) if is_more_better else (two, one)
        return high[name][1] / low[name][1]

    median = statistics.median(ratio(this, other) for this, other, _ in runs)
    itself = sorted(ratio(again, other) for _, other, again in runs)
    holds = median >= RATIO_MIN or median >= itself[0]
    if name.startswith("anchor"):
        word, holds = "    ", True  # others' programs: they tell how steady the machine was
    else:
        word = "met " if holds else "MISS"
    print(f"  {word} {name:<57} {median:>6.3f}  {itself[0]:.3f} to {itself[-1]:.3f}")
    return holds
