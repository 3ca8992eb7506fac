"""Each case folder: those beside the repository, where they are, and our own of the same kinds."""

from __future__ import annotations

from pathlib import Path

import pytest
from risk_cases import CaseRun, kind_of

from p2pshare.risk.risk_store import RiskStore
from p2pshare.risk.version_statements import decide

HERE = Path(__file__).parent / "cases"
SHARED = Path(__file__).parents[3] / "shared" / "cases" / "risk"
FOLDERS = [
    folder for top in (HERE, SHARED) if top.is_dir() for folder in sorted(top.iterdir()) if folder.is_dir()
]


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_a_case_comes_out_as_it_says(folder: Path, store: RiskStore) -> None:
    run = CaseRun(folder, store)
    if "rule" in run.expected:
        rows = [line.split("\t") for line in (folder / run.expected["file"]).read_text().splitlines()[1:]]
        wrong = [row for row in rows if decide(row[0], row[1]).state not in row[2].split("|")]
        assert rows and not wrong
    assert not list(run.faults())


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_a_case_comes_out_the_same_in_the_other_order(folder: Path, store: RiskStore) -> None:
    files = [path for path in sorted(folder.iterdir(), reverse=True) if kind_of(path)]
    run = CaseRun(folder, store, files)
    run.expected.pop("told", None)  # what is told depends on what is there by then
    assert not list(run.faults())
