"""What a run tells of its own cost: the dearest files first, whoever ran them, and who was done long before the last."""

from __future__ import annotations

from pathlib import Path

import pytest
import suite_costs


def report(file: int, cpu: float, stop: float, worker: str) -> pytest.TestReport:
    made = pytest.TestReport(
        nodeid=f"tests/test_{file}.py::test",
        location=("", None, ""),
        keywords={},
        outcome="passed",
        longrepr=None,
        when="call",
        duration=2 * cpu,
        stop=stop,
    )
    made.cpu_seconds, made.worker_id = cpu, worker  # type: ignore[attr-defined]
    return made


def test_what_is_begun_first_is_there(repository: Path) -> None:
    for name in suite_costs.LONGEST_FIRST:
        assert (repository / "tests" / name).is_file(), name


def test_the_dearest_files_are_told_and_how_long_before_the_last_each_process_was_done() -> None:
    reports = [report(number, number, number, f"gw{number % 2}") for number in range(suite_costs.FILES_MIN)]
    told = suite_costs.told([*reports, report(7, 100, 3, "gw1")]).splitlines()
    assert told[0].startswith("290 CPU s in 20 files")
    files = [line.split()[-1] for line in told[1 : 1 + suite_costs.SHOWN]]
    assert files == [f"tests/test_{number}.py" for number in (7, *range(19, 10, -1))]
    assert told[1].split()[:2] == ["107.0", "214.0"]
    assert told[1 + suite_costs.SHOWN :] == [
        "  done 1 s before the last: tests/test_18.py",
        "  done 0 s before the last: tests/test_19.py",
    ]


def test_of_a_few_files_nothing_is_told() -> None:
    assert suite_costs.told([report(1, 1, 1, "")]) == ""
