"""Four partners for the tests of `envelope/`; `envelope_forge` stands beside the vectors it also makes."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "vectors"))

from envelope_forge import NOW

from p2pshare.envelope.keys import Identity, create_identity


@pytest.fixture(scope="session")
def alpha() -> Identity:
    return create_identity("Alpha CERT", ["https://alpha.example:8443"], NOW)


@pytest.fixture(scope="session")
def bravo() -> Identity:
    return create_identity("Bravo CSIRT", ["https://bravo.example:8443"], NOW)


@pytest.fixture(scope="session")
def charlie() -> Identity:
    return create_identity("Charlie SOC", ["https://charlie.example:8443"], NOW)


@pytest.fixture(scope="session")
def mallory() -> Identity:
    return create_identity("Mallory", ["https://mallory.example:8443"], NOW)


@pytest.fixture(scope="session")
def board() -> Identity:
    """A partner with three roots, two of which must sign."""
    return create_identity("Board of Three", ["https://board.example:8443"], NOW, roots=3, threshold=2)
