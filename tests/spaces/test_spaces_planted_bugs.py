"""Each planted bug is spoken against by the story that is there for it, and by none before it is planted."""

from __future__ import annotations

import random

import pytest
from drawn_spaces import Attack, Settled, orders, settled_and_attacked
from space_campaign import moved
from space_stories import STORIES, Story

from p2pshare.spaces.fold import SpaceFold
from spaces.planted_space_bugs import PLANTED

ORDERS = 5


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_bug_is_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    bug = PLANTED[name]
    stories = [story for story in STORIES if story.name.startswith(bug.found_by)]
    assert stories and not any(told_otherwise(story) for story in stories)
    bug.plant(monkeypatch)
    assert any(told_otherwise(story) for story in stories)


FOUND_BY_ATTACKS = ("forks taken out of old votes", "votes cut by removals", "every member may hand over")


@pytest.fixture(scope="module")
def attacks() -> list[tuple[Settled, Attack]]:
    """Drawn before anything is planted: histories ask the fold who leads."""
    return [settled_and_attacked(seed) for seed in range(60)]


@pytest.mark.parametrize("name", FOUND_BY_ATTACKS)
def test_attacks_after_the_fact_find_planted_bugs_too(
    name: str, attacks: list[tuple[Settled, Attack]], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not any(moved(*one) for one in attacks)
    PLANTED[name].plant(monkeypatch)
    assert any(moved(*one) for one in attacks)


def told_otherwise(story: Story) -> bool:
    """Whether any check of a story does not hold, in any of a few orders."""
    for check in story.checks:
        for seed in range(ORDERS):
            space = SpaceFold()
            known = {one: story.teller.entries[one] for one in check.known}
            for entry in orders(known, random.Random(seed)):
                space.add(entry)
            state = space.state()
            void = {one: code for one in check.known if (code := space.effect_of(one))}
            if (state.lead, state.term, state.members, void) != (
                check.lead,
                check.term,
                check.members,
                check.void,
            ):
                return True
    return False
