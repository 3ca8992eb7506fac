"""The fold says what the second, naive one says (naive_fold.py, written from docs/spaces.md alone): each effect, and every byte.

Over the histories of both: those drawn here, and the wild ones that came with the second fold. Few seeds here;
`scripts/attack-spaces` runs as many as one has time for.
"""

from __future__ import annotations

import random

import pytest
from drawn_spaces import orders
from space_campaign import difference, differs_from_naive, plain_of
from space_stories import STORIES, Story

SEEDS = 100


@pytest.mark.parametrize("story", STORIES, ids=[story.name for story in STORIES])
def test_both_folds_tell_a_story_alike(story: Story) -> None:
    for check in story.checks:
        entries = {one: story.teller.entries[one] for one in check.known}
        plain = [plain_of(entry) for entry in entries.values()]
        assert difference(orders(entries, random.Random(1)), plain) == ""


@pytest.mark.parametrize("seed", range(SEEDS))
def test_both_folds_agree_on_a_history(seed: int) -> None:
    assert differs_from_naive(seed) == ""
