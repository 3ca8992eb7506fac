"""Fixtures that every room may use, how property tests draw their examples, and what the suite costs.

The suite draws the same examples each time, so that a commit is green or red and not now and then; `@example` lines,
which keep what once failed, are among them. `--hypothesis-profile explore` draws new ones: `scripts/nightly` hunts so.
No property test fails for a slow machine.

A run of many files ends with those that cost most, and with how much sooner than the last each process was done
(CONTRIBUTING.md, "What the suite may cost").
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import suite_costs
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
    "skipped: age not installed": "the same",
    "skipped: systemd-container not installed": "Debian's packages could not be reached",
    "skipped: only root boots a container": "a runner that is not root",
    "skipped: no overlay can be mounted here": "a runner in a container that may mount nothing",
    "skipped: this Python is not Debian's": "the unit's sandbox hides where others are built",
    "skipped: systemd-analyze not installed": "a container without systemd",
    "skipped: this file system has no access lists": "the runner's disk decides",
    "skipped: no devices here": "a runner that may not make device nodes",
    "skipped: no /dev/shm": "a runner without shared memory",
    "skipped: only root gives files away": "a runner that is not root",
    "skipped: no process may read another here": "Yama's ptrace_scope, or a container's filter",
    "skipped: tinyproxy not installed": "Debian's packages could not be reached",
    "skipped: microsocks not installed": "the same",
    "skipped: iproute2 not installed": "the same",
    "skipped: only root makes a network namespace": "a runner that is not root",
    "skipped: no network namespace can be made here": "a runner in a container that may make none",
    "skipped: only root asks as another user": "a runner that is not root",
    "skipped: the interpreter is not readable for other users here": "the runner's Python lies in somebody's home",
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
def world() -> Iterator[World]:
    """A world of partners with real stores, for one test."""
    from copies import memory_folder
    from whole_nodes import World

    with tempfile.TemporaryDirectory(prefix="p2pshare-world-", dir=memory_folder()) as folder:
        one = World(Path(folder))
        yield one
        one.close()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts the files that take longest first: what is begun last is then short, and no process waits long for another."""
    first = {str(REPOSITORY / "tests" / name): place for place, name in enumerate(suite_costs.LONGEST_FIRST)}
    items.sort(key=lambda item: first.get(str(item.path), len(first)))


def pytest_collection_finish() -> None:
    suite_costs.begin()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Notes what each phase of a test cost. Where CI is set, makes a failure of a skip that is not in SKIPPED_IN_CI."""
    report = yield
    suite_costs.note(report)
    if report.skipped and os.environ.get("CI") and isinstance(report.longrepr, tuple):
        reason = str(report.longrepr[2]).removeprefix("Skipped: ")
        if reason not in SKIPPED_IN_CI:
            report.outcome = "failed"
            report.longrepr = (
                f"{reason!r} is no skip that CI knows: mend it, or add it to SKIPPED_IN_CI with its reason"
            )
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Prints what tests recorded as "told at the end" (the benchmark's figures), and what the suite costs."""
    for report in terminalreporter.getreports("passed"):
        for name, text in report.user_properties:
            if name == "told at the end":
                terminalreporter.section(report.nodeid)
                terminalreporter.write(str(text))
    reports = [one for same in terminalreporter.stats.values() for one in same]
    if told := suite_costs.told([one for one in reports if isinstance(one, pytest.TestReport)]):
        terminalreporter.section("what the suite cost")
        terminalreporter.write(told)
