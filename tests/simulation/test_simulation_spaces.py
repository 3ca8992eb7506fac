"""Members of a space on virtual time: a slice of the worlds that scripts/simulate-spaces plays by the thousand.

Whatever befell them, members that can reach each other end with the same entries and the same fold; what must not go somewhere never
does. Each planted bug of travel is found by the invariant that is there for it.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from simulation.planted_travel_bugs import PLANTED
from simulator.space_runs import measure, play

SEEDS = range(10)
ONCE_FAILED: tuple[int, ...] = ()
"""Seeds that once failed: every run of the tests plays them."""
SCRIPTS = Path(__file__).parents[2] / "scripts"


@pytest.mark.parametrize("seed", [*SEEDS, *ONCE_FAILED])
def test_a_world_ends_as_it_must(seed: int) -> None:
    assert play(seed).failures == {}


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_bug_of_travel_is_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    bug = PLANTED[name]
    bug.plant(monkeypatch)
    assert any(bug.found_by in play(seed, faults=bug.faults).failures for seed in bug.seeds)


@pytest.mark.parametrize("name", PLANTED)
def test_nothing_speaks_against_its_worlds_before_a_bug_is_planted(name: str) -> None:
    bug = PLANTED[name]
    seeds = bug.seeds if bug.faults is not None else set(bug.seeds) - {*SEEDS}
    assert [play(seed, faults=bug.faults).failures for seed in seeds] == [{}] * len(seeds)


def test_a_seed_is_one_world_whatever_the_hash_seed() -> None:
    """In another process, with another order of sets."""
    said = "from simulator.space_runs import play; print(play(3).digest)"
    digests = {
        subprocess.run(
            [sys.executable, "-c", said],
            capture_output=True,
            text=True,
            check=True,
            cwd=SCRIPTS,
            env={"PYTHONHASHSEED": hash_seed, "PYTHONPATH": f"{SCRIPTS}:{SCRIPTS.parent / 'src'}"},
        ).stdout
        for hash_seed in ("1",)
    }
    assert digests == {f"{play(3).digest}\n"}


def test_without_faults_entries_arrive_at_once_and_heads_are_few() -> None:
    figures = measure(0)
    arrivals = sorted(figures.arrivals)
    assert len(arrivals) > 100 and arrivals[len(arrivals) // 2] < 5
    assert figures.heads_busiest <= 1
