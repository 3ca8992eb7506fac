"""Fixtures that every room may use, and how property tests draw their examples.

The suite draws the same examples each time, so that a commit is green or red and not now and then; `@example` lines,
which keep what once failed, are among them. `--hypothesis-profile explore` draws new ones: `scripts/nightly` hunts so.
No property test fails for a slow machine.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from whole_nodes import World

settings.register_profile("same", deadline=None, derandomize=True)
settings.register_profile("explore", settings.get_profile("default"), deadline=None)  # new draws in CI, too
settings.load_profile("same")

REPOSITORY = Path(__file__).resolve().parent.parent

SKIPPED_IN_CI = {
    "skipped: mandoc not installed": "Debian's packages could not be reached",
    "skipped: man not installed": "the same",
    "skipped: faketime not installed": "the same",
    "skipped: systemd-analyze not installed": "a container without systemd",
    "skipped: this file system has no access lists": "the runner's disk decides",
    "skipped: no devices here": "a runner that may not make device nodes",
    "skipped: no /dev/shm": "a runner without shared memory",
    "skipped: only root gives files away": "a runner that is not root",
    "skipped: no process may read another here": "Yama's ptrace_scope, or a container's filter",
}
"""What may be skipped where CI is set, and why; any other skip fails there: a test that is no longer run must be seen."""


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


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A world of partners with real stores, for one test."""
    from whole_nodes import World

    one = World(tmp_path)
    yield one
    one.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Where CI is set, makes a failure of a skip that is not in SKIPPED_IN_CI."""
    report = yield
    if report.skipped and os.environ.get("CI") and isinstance(report.longrepr, tuple):
        reason = str(report.longrepr[2]).removeprefix("Skipped: ")
        if reason not in SKIPPED_IN_CI:
            report.outcome = "failed"
            report.longrepr = (
                f"{reason!r} is no skip that CI knows: mend it, or add it to SKIPPED_IN_CI with its reason"
            )
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Prints what tests recorded as "told at the end": the benchmark's figures."""
    for report in terminalreporter.getreports("passed"):
        for name, text in report.user_properties:
            if name == "told at the end":
                terminalreporter.section(report.nodeid)
                terminalreporter.write(str(text))
