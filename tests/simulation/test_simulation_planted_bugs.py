"""The simulator finds what it is for: each planted bug, by the invariant that names it, within a few seeds."""

from __future__ import annotations

import logging

import pytest

from simulation.planted_bugs import BUGS, PlantedBug
from simulator.disks import Foundry
from simulator.runs import play
from simulator.scenario import Scenario

SEEDS_MAX = 20


@pytest.mark.usefixtures("cheap")
@pytest.mark.parametrize("bug", BUGS.values(), ids=BUGS.keys())
def test_a_planted_bug_is_found(
    bug: PlantedBug, scenarios: dict[str, Scenario], foundry: Foundry, monkeypatch: pytest.MonkeyPatch
) -> None:
    bug.plant(monkeypatch)
    logging.disable(logging.CRITICAL)
    try:
        for seed in range(SEEDS_MAX):
            found = play(scenarios[bug.scenario], seed, foundry).failures
            if set(found) & set(bug.found_by):
                return
    finally:
        logging.disable(logging.NOTSET)
    pytest.fail(f"{bug.plant.__name__} was not found in {SEEDS_MAX} seeds of {bug.scenario}")
