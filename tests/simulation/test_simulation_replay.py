"""A run can be repeated, bit for bit: in this process, in another one, and with real signatures."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from simulator.disks import Foundry
from simulator.identities import cheap_signatures
from simulator.runs import play
from simulator.scenario import Scenario

SCRIPT = Path(__file__).parent.parent.parent / "scripts" / "simulate.py"


def replayed(name: str, seed: int, hash_seed: int) -> str:
    """The trace of a run in a process of its own."""
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--scenario", name, "--seed", str(seed)],
        env=os.environ | {"PYTHONHASHSEED": str(hash_seed)},
        capture_output=True,
        text=True,
        check=True,
    )
    found = re.match(r"trace ([0-9a-f]+),", done.stdout)
    assert found is not None, done.stdout
    return found.group(1)


@pytest.mark.usefixtures("cheap")
def test_one_seed_gives_one_trace_and_another_seed_another(
    scenarios: dict[str, Scenario], foundry: Foundry
) -> None:
    traces = [play(scenarios["loss"], seed, foundry).digest for seed in (1, 1, 2)]
    assert traces[0] == traces[1] != traces[2]


@pytest.mark.parametrize("name", ["claims", "cards"])
def test_another_process_with_another_hash_seed_gives_the_same_trace(
    scenarios: dict[str, Scenario], foundry: Foundry, name: str
) -> None:
    with cheap_signatures():
        here = play(scenarios[name], 3, foundry).digest
    assert [replayed(name, 3, 1), replayed(name, 3, 2)] == [here, here]


def test_real_signatures_give_the_same_trace(scenarios: dict[str, Scenario], foundry: Foundry) -> None:
    with cheap_signatures():
        cheap = play(scenarios["loss"], 5, foundry).digest
    real = play(scenarios["loss"], 5, foundry)
    assert real.digest == cheap
    assert real.failures == {}
