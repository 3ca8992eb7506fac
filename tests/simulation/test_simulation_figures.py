"""What spreading costs, beside flooding on the same graph. Virtual seconds: the machine has no say in them."""

from __future__ import annotations

import statistics
from dataclasses import replace

import pytest

from simulator.disks import Foundry
from simulator.faults import FAULTS
from simulator.flooding import flood_spreads, spreads
from simulator.scenario import Scenario, Span
from simulator.world import World


@pytest.mark.usefixtures("cheap")
def test_forty_partners_get_each_body_once_in_less_than_three_times_the_time_of_flooding(
    scenarios: dict[str, Scenario], foundry: Foundry
) -> None:
    world = World(replace(scenarios["five-hundred"], simulated_nodes=Span(40, 40)), 1, foundry, faults=FAULTS)
    try:
        world.run()
        assert world.missing() == []
        ours, floods = spreads(world), flood_spreads(world)
    finally:
        world.close()
    assert len(ours) == len(floods) == len(world.oracle.published)
    assert ours[0].redundancy <= 1.01 < 3 < floods[0].redundancy
    ratio = statistics.median(one.seconds for one in ours) / statistics.median(one.seconds for one in floods)
    assert ratio < 3.0


@pytest.mark.usefixtures("cheap")
def test_being_in_sync_costs_less_than_a_hundred_bytes_a_minute(
    scenarios: dict[str, Scenario], foundry: Foundry
) -> None:
    world = World(scenarios["quiet"], 7, foundry, faults=FAULTS)
    try:
        world.run()
    finally:
        world.close()
    assert world.quiet.bodies == 0
    assert 0 < world.quiet.bytes_per_minute <= 100
    assert world.quiet.requests_per_minute < 1
