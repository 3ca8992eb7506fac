"""Fixtures that every room may use, and how property tests draw their examples.

The suite draws the same examples each time, so that a commit is green or red and not now and then; `@example` lines,
which keep what once failed, are among them. `--hypothesis-profile explore` draws new ones: `scripts/nightly` hunts so.
No property test fails for a slow machine.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("same", deadline=None, derandomize=True)
settings.register_profile("explore", settings.get_profile("default"), deadline=None)  # new draws in CI, too
settings.load_profile("same")

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def repository() -> Path:
    """The checkout's top folder."""
    return REPOSITORY


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real third-party inputs that stand beside the checkout; the test is skipped where they are not."""
    folder = Path(os.environ.get("P2PSHARE_SHARED_DATA", REPOSITORY.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip("skipped: ../shared/data not present")
    return folder


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Prints what tests recorded as "told at the end": the benchmark's figures."""
    for report in terminalreporter.getreports("passed"):
        for name, text in report.user_properties:
            if name == "told at the end":
                terminalreporter.section(report.nodeid)
                terminalreporter.write(str(text))
