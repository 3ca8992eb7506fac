"""A world of partners for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from whole_nodes import World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    one = World(tmp_path)
    yield one
    one.close()
