"""A slice of the campaign: some seeds of every scenario, over all cores. `scripts/simulate --campaign` plays the rest."""

from __future__ import annotations

import os

from simulator.runs import campaign
from simulator.scenario import Scenario

SEEDS_EACH = 5
SEEDS_OF_DEAR = 3
FIRST_SEED = 100  # the planted bugs and the replays use those below
DEAR = {  # runs of these take longest, some as long as five of another
    "backups", "byzantine-body-flood", "byzantine-bogus-announcements", "byzantine-equivocation", "byzantine-flood", "expiry",
    "full", "quiet", "slow-disks", "storm-of-everything", "storms",
}  # fmt: skip
ONCE_FAILED = [  # docs/simulation.md, "What it has found"
    ("backups", 1),
    ("clocks", 1),
    ("dial-out", 23),
    ("full-disks", 106),
    ("rosters", 1),
    ("rosters", 96),
    ("rosters", 156),
    ("storm-of-everything", 10),
]


def test_some_seeds_of_every_scenario_hold_every_invariant(scenarios: dict[str, Scenario]) -> None:
    assert scenarios.keys() >= DEAR
    runs = [
        (scenario, FIRST_SEED + number)
        for number in range(SEEDS_EACH)
        for name, scenario in scenarios.items()
        if not scenario.is_large and (number < SEEDS_OF_DEAR or name not in DEAR)
    ]
    runs += [(scenarios[name], seed) for name, seed in ONCE_FAILED]
    outcomes = list(campaign(runs, workers=os.cpu_count() or 1))
    failed = [f"{one.command}: {one.failures}" for one in outcomes if one.failures]
    assert not failed, "\n".join(failed)
    assert len(outcomes) == len(runs) > 120
    assert all(one.stored for one in outcomes)
