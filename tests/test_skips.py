"""In CI a skip is a failure unless it is one of a fixed list: a test that nobody runs any more is seen."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import SKIPPED_IN_CI


@pytest.mark.parametrize(
    ("reason", "variables", "outcome"),
    [
        ("skipped: a program that nobody named", {"CI": "true"}, "1 failed"),
        ("skipped: a program that nobody named", {}, "1 skipped"),
        (next(iter(SKIPPED_IN_CI)), {"CI": "true"}, "1 skipped"),
    ],
)
def test_a_new_skip_fails_in_ci_alone(
    repository: Path, tmp_path: Path, reason: str, variables: dict[str, str], outcome: str
) -> None:
    for name in ("conftest.py", "support/suite_costs.py"):
        shutil.copy(repository / "tests" / name, tmp_path)
    (tmp_path / "test_it.py").write_text(f"import pytest\n\ndef test_it():\n    pytest.skip({reason!r})\n")
    environment = {name: value for name, value in os.environ.items() if name != "CI"} | variables
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-c", os.devnull, "test_it.py"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert outcome in done.stdout, done.stdout
