"""The simulator finds what it is for: each planted bug, by the invariant that names it, within a few seeds."""

from __future__ import annotations

import inspect
import logging

import pytest

from gossip import test_gossip_seams
from gossip.conftest import Dialogue
from simulation.planted_bugs import BUGS, SEAM_BUGS, PlantedBug
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
        for seed in range(bug.first_seed, bug.first_seed + SEEDS_MAX):
            found = play(scenarios[bug.scenario], seed, foundry).failures
            if set(found) & set(bug.found_by):
                return
    finally:
        logging.disable(logging.NOTSET)
    pytest.fail(f"{bug.plant.__name__} was not found in {SEEDS_MAX} seeds of {bug.scenario}")


@pytest.mark.parametrize("name", SEAM_BUGS)
def test_a_bug_at_a_seam_fails_the_test_that_is_there_for_it(name: str) -> None:
    """And without the bug it passes."""
    with pytest.MonkeyPatch.context() as patch:
        SEAM_BUGS[name](patch)
        failed = seam_fails(name)
    assert failed
    assert not seam_fails(name)


def seam_fails(name: str) -> bool:
    function = getattr(test_gossip_seams, name)
    marks = getattr(function, "pytestmark", [])
    cases = [{}]
    for mark in marks:
        if mark.name == "parametrize":
            cases = [{mark.args[0]: value} for value in mark.args[1]]
    if "dialogue" in inspect.signature(function).parameters:
        cases = [{"dialogue": Dialogue, **case} for case in cases]
    try:
        for case in cases:
            function(**case)
    except AssertionError:
        return True
    return False
