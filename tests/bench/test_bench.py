"""`scripts/bench --quick` runs, its own checks against a plain dictionary hold, and the test run prints what it measured.

No figure is asserted: other tests run beside it. Nor is a missed gate a failure; it is named (docs/performance.md).
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path


def test_the_benchmark_runs_its_checks_hold_and_its_figures_are_told(
    repository: Path, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    results = tmp_path / "results.json"
    done = subprocess.run(
        [sys.executable, "scripts/benchmark/run.py", "--quick", "--rounds", "1", "--json", str(results)],
        cwd=repository,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=550,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4_000:]
    record_property("told at the end", done.stdout)
    measured, lines = json.loads(results.read_text()), done.stdout.splitlines()
    assert measured["gates"] and len(measured["series"]) >= 20
    for name, series in measured["series"].items():
        assert name in done.stdout
        assert 0 <= series["min"] <= series["median"] <= series["max"] < math.inf, name
    for name, gate in measured["gates"].items():
        line = next(line for line in lines if name in line and line.startswith(("  met ", "  MISS ")))
        assert line.startswith("  met ") == gate["is_met"], line
