"""The first weeks of `scripts/live-two-years`: with three daemons, a move, and a disk that dies (docs/operations/years.md)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.end_to_end


def test_weeks_pass_with_a_move_and_a_restore_and_nothing_is_lost(repository: Path) -> None:
    paths = ["src", "tests/end_to_end", "tests/support"]
    done = subprocess.run(
        [sys.executable, str(repository / "scripts" / "live_two_years.py"), "--weeks", "3"],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(str(repository / path) for path in paths)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == 69:
        pytest.skip("skipped: faketime not installed")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 weeks in" in done.stdout and "6 published, 3 withdrawn" in done.stdout
