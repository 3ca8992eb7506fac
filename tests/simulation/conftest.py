"""One foundry of stores, and cheap signatures, for all tests of the simulator."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from simulator.disks import Foundry
from simulator.identities import cheap_signatures
from simulator.scenario import Scenario, load_scenarios
from simulator.world import memory_folder


@pytest.fixture(scope="session")
def scenarios() -> dict[str, Scenario]:
    return load_scenarios(Path(__file__).parent.parent / "scenarios")


@pytest.fixture(scope="session")
def foundry() -> Iterator[Foundry]:
    with tempfile.TemporaryDirectory(prefix="p2pshare-foundry-", dir=memory_folder()) as folder:
        yield Foundry(Path(folder))


@pytest.fixture
def cheap() -> Iterator[None]:
    with cheap_signatures():
        yield
