"""A store of the test's own, and the extra that it needs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from p2pshare.risk.risk_store import RiskStore, open_risk


@pytest.fixture
def store(tmp_path: Path) -> Iterator[RiskStore]:
    store = open_risk(tmp_path / "risk.sqlite")
    yield store
    store.close()
