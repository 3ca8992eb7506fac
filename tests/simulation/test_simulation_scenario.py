"""Scenario files: what is misspelt is refused, and what there is covers every fault and every lie."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from p2pshare.errors import ConfigError
from p2pshare.gossip.intake_schedule import INTAKE_LIMITS
from simulator.byzantine import BEHAVIOURS
from simulator.disks import Foundry
from simulator.faults import FAULTS
from simulator.scenario import ByzantineRule, Fault, Scenario, Span, load_scenario
from simulator.topology import edges_of
from simulator.world import World


@pytest.mark.parametrize(
    "text",
    [
        'title = "x"\nsittes = 3',
        'title = "x"\n[traffic]\nenvelopes = [3, 2]',
        'title = "x"\n[[faults]]\nkind = "crash"\ntime = 3',
        'title = "x"\nfaults = ["crash"]',
        "simulated_nodes = 3",
        "title = ",
    ],
)
def test_a_scenario_with_a_mistake_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "wrong.toml"
    path.write_text(text)
    with pytest.raises(ConfigError):
        load_scenario(path)


def test_a_number_is_a_span_of_itself(tmp_path: Path) -> None:
    path = tmp_path / "small.toml"
    path.write_text('title = "x"\nsimulated_nodes = 3\n[network_conditions]\nlatency_seconds = [0.1, 0.2]')
    scenario = load_scenario(path)
    assert (scenario.name, scenario.simulated_nodes) == ("small", Span(3, 3))
    assert scenario.network_conditions.latency_seconds == Span(0.1, 0.2)


def test_every_fault_and_every_lie_is_played_somewhere(scenarios: dict[str, Scenario]) -> None:
    small = [scenario for scenario in scenarios.values() if not scenario.is_large]
    assert {fault.kind for scenario in small for fault in scenario.faults} == set(FAULTS)
    assert {rule.lie for scenario in small for rule in scenario.byzantine_partners} == set(BEHAVIOURS)


def test_what_is_measured_is_measured_with_the_products_own_bounds(scenarios: dict[str, Scenario]) -> None:
    """And what is played in campaigns with smaller ones, which a few bodies fill; but archives, whose bodies are many."""
    for scenario in scenarios.values():
        is_many = scenario.is_large or scenario.archive is not None
        assert (scenario.intake.limits == INTAKE_LIMITS) == is_many, scenario.name


def test_a_key_of_an_older_file_is_read_under_its_name_of_today_and_told(tmp_path: Path) -> None:
    path = tmp_path / "older.toml"
    path.write_text(
        """
        title = "x"
        sites = 3
        [[circles]]
        name = "energy"
        sites = [0, 1]
        [weather]
        loss = 0.1
        [[faults]]
        kind = "crash"
        site = 2
        [[liars]]
        lie = "replay"
        """
    )
    told: list[str] = []
    scenario = load_scenario(path, told.append)
    assert scenario.simulated_nodes == Span(3, 3)
    assert scenario.circles[0].simulated_nodes == (0, 1)
    assert scenario.network_conditions.loss == 0.1
    assert scenario.faults[0].node == 2
    assert scenario.byzantine_partners[0].lie == "replay"
    assert len(told) == 5
    with pytest.raises(ConfigError, match="older name"):
        load_scenario(path)


def test_an_older_name_beside_that_of_today_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "both.toml"
    path.write_text('title = "x"\nsites = 3\nsimulated_nodes = 3')
    with pytest.raises(ConfigError, match="older name"):
        load_scenario(path, lambda text: None)


def test_topologies_with_one_path_have_as_many_links_as_that_takes(scenarios: dict[str, Scenario]) -> None:
    for topology in ("chain", "star", "tree"):
        edges = edges_of(replace(scenarios["quiet"], topology=topology), 9, Random(4))
        assert len(set(edges)) == 8
        reached = {0}
        for _ in range(8):
            reached |= {one for edge in edges if edge & reached for one in edge}
        assert reached == set(range(9))


def test_an_unknown_fault_or_lie_or_topology_is_refused(
    tmp_path: Path, scenarios: dict[str, Scenario], foundry: Foundry
) -> None:
    path = tmp_path / "wrong.toml"
    path.write_text('title = "x"\ntopology = "starr"')
    with pytest.raises(ConfigError, match="starr"):
        load_scenario(path)
    for wrong in (
        replace(scenarios["quiet"], faults=(Fault("crush"),)),
        replace(scenarios["quiet"], byzantine_partners=(ByzantineRule("crush"),)),
    ):
        with pytest.raises(ConfigError, match="crush"):
            World(wrong, 1, foundry, faults=FAULTS)
