"""`scripts/bench --siege`: five seconds of it run, nothing is lost and the counts add up; the figures are taken by hand."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_nothing_is_lost_and_every_request_is_accounted_for(repository: Path) -> None:
    """The benchmark raises where an honest envelope is not held and read, and where what came in is not what became of it."""
    done = subprocess.run(
        [sys.executable, "scripts/benchmark/run.py", "--siege", "5"],
        cwd=repository,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4_000:]
    for told in ("fresh: held", "replay: already_held", "garbage: refused malformed", "hello: answered"):
        assert told in done.stdout, done.stdout
    assert done.stdout.count("publish -> held") == 4
    assert "an honest partner's p99 under siege / alone" in done.stdout
