"""Scenario files: what is misspelt is refused, and what there is covers every fault and every lie."""

from __future__ import annotations

from pathlib import Path

import pytest

from p2pshare.errors import ConfigError
from p2pshare.gossip.intake_schedule import INTAKE_LIMITS
from simulator.byzantine import BEHAVIOURS
from simulator.faults import FAULTS
from simulator.scenario import Scenario, Span, load_scenario


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
    """And what is played in campaigns with smaller ones, which a few bodies fill."""
    for scenario in scenarios.values():
        assert (scenario.intake.limits == INTAKE_LIMITS) == scenario.is_large, scenario.name
