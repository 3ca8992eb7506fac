"""Blocks of a campaign: whole seeds, one after another, each with a line of its own."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from p2pshare.errors import ConfigError
from simulator.scenario import Scenario


@pytest.fixture(scope="module")
def simulate() -> ModuleType:
    path = Path(__file__).parent.parent.parent / "scripts" / "simulate.py"
    spec = importlib.util.spec_from_file_location("simulate", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_blocks_that_follow_one_another_play_each_seed_once(
    simulate: ModuleType, scenarios: dict[str, Scenario]
) -> None:
    small = [one for one in scenarios.values() if not one.is_large]
    first_seed, played = 0, []
    for runs in (10, 100, 1):
        block = simulate.planned_runs(small, first_seed, runs)
        assert len(block) >= runs
        played += [(one.name, seed) for one, seed in block]
        first_seed = block[-1][1] + 1
    assert sorted(played) == sorted(
        (one.name, seed) for one in small for seed in range(first_seed) if seed % one.every == 0
    )


def test_a_line_goes_above_the_end_of_the_table_and_nowhere_else(
    simulate: ModuleType, tmp_path: Path
) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"| seeds |\n|---|\n{simulate.BLOCKS_END}\n\nmore\n")
    for line in ("| 1 |", "| 2 |"):
        simulate._append(page, line)
    assert page.read_text() == f"| seeds |\n|---|\n| 1 |\n| 2 |\n{simulate.BLOCKS_END}\n\nmore\n"
    page.write_text("another page\n")
    with pytest.raises(ConfigError, match="page"):
        simulate._append(page, "| 3 |")
    assert page.read_text() == "another page\n"


def test_the_page_of_the_simulator_has_such_a_table(simulate: ModuleType, repository: Path) -> None:
    assert (repository / "docs" / "simulation.md").read_text("utf-8").count(simulate.BLOCKS_END) == 1


def test_figures_of_another_set_of_scenarios_have_another_hash(
    simulate: ModuleType, scenarios: dict[str, Scenario]
) -> None:
    small = [one for one in scenarios.values() if not one.is_large]
    changed = [replace(small[0], seconds=small[0].seconds + 1), *small[1:]]
    assert simulate.set_hash(small) == simulate.set_hash(small[::-1]) != simulate.set_hash(changed)
