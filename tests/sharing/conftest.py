"""Three nodes that know each other, as most tests of this room need them; a test with others makes its own."""

from __future__ import annotations

import itertools

import pytest
from stolen_key import Theft
from whole_nodes import World, befriend

from p2pshare.node.node import Node


@pytest.fixture
def three(world: World) -> tuple[Node, Node, Node]:
    """alpha, bravo and charlie, who all know each other."""
    alpha, bravo, charlie = (world.found(name) for name in ("alpha", "bravo", "charlie"))
    for one, other in itertools.permutations((alpha, bravo, charlie), 2):
        befriend(one, other)
    return alpha, bravo, charlie


@pytest.fixture
def theft(world: World) -> Theft:
    """alpha, whose key is stolen, and bravo, linked with it."""
    alpha, bravo = world.found("alpha"), world.found("bravo")
    befriend(alpha, bravo)
    befriend(bravo, alpha)
    return Theft(alpha, bravo)
