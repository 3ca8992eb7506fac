"""A slice of the campaign: a seed or two of every scenario, over all cores. `scripts/nightly` plays new ones, and
`scripts/simulate --campaign` the rest."""

from __future__ import annotations

import os

from simulator.runs import campaign
from simulator.scenario import Scenario

SEEDS_EACH = 2
SEEDS_OF_DEAR = 1
FIRST_SEED = 100  # the planted bugs and the replays use those below
DEAR = {  # runs of these take longest, some as long as five of another
    "backups", "byzantine-bogus-announcements", "byzantine-equivocation", "byzantine-flood", "cards", "expiry", "quiet",
    "storm-of-everything", "storms", "tree",
}  # fmt: skip
DEAREST = {
    "archives", "byzantine-body-flood", "deferred", "full", "full-outboxes", "hub-drops-circle", "nasty-mix", "set-back-behind",
    "slow-disks",
}  # fmt: skip
ONCE_FAILED = [  # docs/simulation.md, "What it has found"
    ("backups", 1),
    ("byzantine-body-flood", 2080),
    ("clocks", 1),
    ("dial-out", 23),
    ("full-disks", 106),
    ("rosters", 1),
    ("rosters", 96),
    ("rosters", 156),
    ("set-back-behind", 1),
    ("storm-of-everything", 10),
]


def seeds_of(name: str) -> int:
    return SEEDS_OF_DEAR if name in DEAR | DEAREST else SEEDS_EACH


def dearness(one: tuple[str, Scenario]) -> int:
    name, _ = one
    return 0 if name in DEAREST else 1 if name in DEAR else 2


def test_some_seeds_of_every_scenario_hold_every_invariant(scenarios: dict[str, Scenario]) -> None:
    assert scenarios.keys() >= DEAR | DEAREST
    runs = [  # the dearest first: the others fill up what time they leave
        (scenario, FIRST_SEED + number)
        for name, scenario in sorted(scenarios.items(), key=dearness)
        for number in range(seeds_of(name))
        if not scenario.is_large
    ]
    runs += [(scenarios[name], seed) for name, seed in ONCE_FAILED]
    outcomes = list(campaign(runs, workers=os.cpu_count() or 1))
    failed = [f"{one.command}: {one.failures}" for one in outcomes if one.failures]
    assert not failed, "\n".join(failed)
    assert len(outcomes) == len(runs) > 80
    assert all(one.stored for one in outcomes)
    assert sum(one.judged for one in outcomes if one.scenario == "expiry") > 0
