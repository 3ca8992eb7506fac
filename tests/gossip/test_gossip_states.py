"""The table of states, and that the drawing in docs/gossip.md shows it and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from p2pshare.gossip.events import LinkConfig
from p2pshare.gossip.link import Link
from p2pshare.gossip.states import TRANSITIONS, Cause, State
from p2pshare.identifiers import PartnerId


def test_the_documentation_shows_the_table(repository: Path) -> None:
    text = (repository / "docs" / "gossip.md").read_text()
    rows = re.findall(r"^\| `([a-z]+)` \| ([^|]+) \| `([a-z]+)` \|$", text, re.MULTILINE)
    assert rows == [(state.value, cause.value, after.value) for (state, cause), after in TRANSITIONS.items()]


def test_every_state_is_reached_and_left() -> None:
    assert set(TRANSITIONS.values()) == set(State)
    assert {state for state, _ in TRANSITIONS} == set(State)
    assert {cause for _, cause in TRANSITIONS} == set(Cause)


def test_what_is_not_in_the_table_is_a_bug_that_raises() -> None:
    link = Link(LinkConfig(PartnerId(bytes(32)), frozenset()))
    with pytest.raises(KeyError):
        link.move(Cause.RESTED)
