"""Each planted bug is spoken against by the story that is there for it, and by none before it is planted."""

from __future__ import annotations

import random

import pytest
from drawn_spaces import orders
from planted_space_bugs import PLANTED
from space_stories import STORIES, Story

from p2pshare.spaces.fold import SpaceFold

ORDERS = 5


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_bug_is_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    bug = PLANTED[name]
    stories = [story for story in STORIES if story.name.startswith(bug.found_by)]
    assert stories and not any(told_otherwise(story) for story in stories)
    bug.plant(monkeypatch)
    assert any(told_otherwise(story) for story in stories)


def told_otherwise(story: Story) -> bool:
    """Whether any check of a story does not hold, in any of a few orders."""
    for check in story.checks:
        for seed in range(ORDERS):
            space = SpaceFold()
            try:
                for entry in orders(
                    {one: story.teller.entries[one] for one in check.known}, random.Random(seed)
                ):
                    space.add(entry)
                state = space.state()
            except Exception:
                return True
            void = {one: code for one in check.known if (code := space.effect_of(one))}
            if (state.lead, state.term, state.members, void) != (
                check.lead,
                check.term,
                check.members,
                check.void,
            ):
                return True
    return False
