"""`scripts/bench --flood`: a second of two of its cases runs and is told; the figure itself is taken by hand."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

BENCH = """
import sys
sys.path.insert(0, {folder!r})
sys.argv = ["bench", "--flood"]
import run, under_flood
run.FLOOD_SECONDS, under_flood.CASES = 1, under_flood.CASES[2:]
under_flood.PER_SECOND, under_flood.PARTNERS, under_flood.ONE_WAY_SECONDS = 50, 2, 0.01
sys.exit(run.main())
"""


def test_a_case_runs_and_is_told(repository: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", BENCH.format(folder=str(repository / "scripts" / "benchmark"))],
        cwd=repository,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4_000:]
    for case in ("strangers say a TLS hello", "partners never seen before"):
        assert case in done.stdout
    assert done.stdout.count("came in: ") == 2
