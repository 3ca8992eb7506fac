"""What fails at night is kept, and the ordinary run of the tests replays it.

Shown with a planted property in a copy of the frame: the ordinary run does not find what is wrong with it, a night does,
and what the night leaves behind makes the ordinary run fail until somebody mends it.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import pytest
from drawn import Drawn
from hypothesis import example, given, settings
from hypothesis import strategies as st

from simulator.runs import Outcome

# Wrong for one number in twenty, unless it stands in forgiven.txt: where the ordinary run looks, all is well.
PLANTED = """
import zlib
from pathlib import Path
from hypothesis import example, given, strategies as st

@given(st.integers(0, 2**32 - 1))
def test_planted(number):
    with Path("drawn.txt").open("a") as file:
        print(number, file=file)
    forgiven = set(Path("forgiven.txt").read_text().split())
    assert zlib.crc32(number.to_bytes(4)) % 20 != 7 or forgiven & {"all", str(number)}
"""


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def nightly(repository: Path) -> ModuleType:
    return load(repository / "scripts" / "nightly.py")


@pytest.fixture
def frame(repository: Path, tmp_path: Path) -> Path:
    """A checkout with nothing but the frame of the tests and the planted property."""
    for folder in ("scripts", "tests/support"):
        (tmp_path / folder).mkdir(parents=True)
    shutil.copy(repository / "pyproject.toml", tmp_path)
    shutil.copy(repository / "scripts" / "nightly.py", tmp_path / "scripts")
    for name in ("conftest.py", "support/drawn.py", "support/suite_costs.py"):
        shutil.copy(repository / "tests" / name, tmp_path / "tests" / name)
    (tmp_path / "tests" / "test_planted.py").write_text(PLANTED)
    (tmp_path / "forgiven.txt").write_text("all")
    return tmp_path


def run(frame: Path, *words: str, is_ci: bool = False) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "CI"}
    return subprocess.run(
        [sys.executable, *words],
        cwd=frame,
        env=environment | ({"CI": "true"} if is_ci else {}),
        capture_output=True,
        text=True,
        check=False,
    )


def drawn_by(frame: Path, *options: str) -> Sequence[str]:
    """What the planted property draws in CI."""
    (frame / "drawn.txt").unlink(missing_ok=True)
    run(frame, "-m", "pytest", *options, is_ci=True)
    return (frame / "drawn.txt").read_text().split()


def test_an_example_that_failed_at_night_fails_in_every_run_from_then_on(frame: Path) -> None:
    ordinary = ("-m", "pytest", "-q")
    (frame / "forgiven.txt").write_text("\n".join(drawn_by(frame)))
    assert run(frame, *ordinary).returncode == 0

    night = run(frame, "scripts/nightly.py", "--minutes", "2", "properties")
    assert night.returncode == 1, night.stdout
    assert re.search(r"^nightly: properties: FAILED in \d+ rounds?;", night.stdout, re.MULTILINE)
    patch = re.search(r"`git apply (\S+)`", night.stdout)
    assert patch is not None, night.stdout
    applied = subprocess.run(
        ["git", "apply", patch[1]], cwd=frame, capture_output=True, text=True, check=False
    )
    assert applied.returncode == 0, applied.stderr

    shutil.rmtree(frame / ".hypothesis")  # another machine: nothing but what is committed
    for is_ci in (False, True):
        after = run(frame, *ordinary, is_ci=is_ci)
        assert after.returncode == 1
        assert "Failing explicit example: test_planted(" in after.stdout, after.stdout

    planted = frame / "tests" / "test_planted.py"
    planted.write_text(planted.read_text().replace("!= 7", "< 20"))
    assert run(frame, *ordinary).returncode == 0


def test_the_ordinary_run_draws_the_same_examples_and_a_night_others(frame: Path) -> None:
    """In CI, too, where Hypothesis would have every profile draw the same."""
    assert drawn_by(frame) == drawn_by(frame)
    explore = ("--hypothesis-profile", "explore", "--hypothesis-seed")
    assert set(drawn_by(frame, *explore, "1")) != set(drawn_by(frame, *explore, "2"))


def test_what_a_property_draws_by_itself_is_kept_as_well() -> None:
    seen: list[tuple[int, bytes]] = []

    @settings(max_examples=1, database=None, derandomize=True)
    @example(data=Drawn(3, b"kept"))
    @given(data=st.data())
    def draws_twice(data: st.DataObject) -> None:
        seen.append((data.draw(st.integers(0, 5)), data.draw(st.binary(), label="body")))

    draws_twice()
    assert seen[0] == (3, b"kept")
    assert len(seen) > 1


def test_a_kept_example_of_a_property_that_draws_more_today_is_not_passed_over() -> None:
    data = Drawn(3)
    assert data.draw(st.integers()) == 3
    with pytest.raises(IndexError, match=r"Drawn\(3\) has no value left for text"):
        data.draw(st.text())


@pytest.mark.parametrize(
    ("seconds", "round_takes", "rounds"), [(100, 30, 3), (100, 120, 1), (0, 1, 1), (100, 50, 2)]
)
def test_a_night_ends_when_another_round_would_not_fit(
    seconds: float, round_takes: float, rounds: int, nightly: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr(nightly.time, "monotonic", lambda: now[0])
    seeds: list[int] = []

    def play(seed: int) -> bool:
        seeds.append(seed)
        now[0] += round_takes
        return True

    assert nightly.repeat(play, seconds) == (rounds, True)
    assert len(set(seeds)) == rounds
    assert min(seeds) >= nightly.FIRST_SEED


def test_a_night_ends_with_the_round_that_fails(nightly: ModuleType) -> None:
    assert nightly.repeat(lambda seed: False, 1000) == (1, False)


def test_a_run_of_the_simulator_that_fails_says_how_to_keep_it(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    simulate = load(repository / "scripts" / "simulate.py")
    failures = {"quiet_is_quiet": ["a body moved"]}
    simulate._report_failures(Outcome("loss", 1234567, "", failures, None, 1, 0, 0.0, 0.0, 0.0, 1, 0))
    said = capsys.readouterr().out
    assert "again: scripts/simulate --scenario loss --seed 1234567" in said
    kept = re.search(r"^keep:  \('loss', 1234567\) in (\w+) of (\S+):", said, re.MULTILINE)
    assert kept is not None, said
    assert f"\n{kept[1]} = [" in (repository / kept[2]).read_text()
