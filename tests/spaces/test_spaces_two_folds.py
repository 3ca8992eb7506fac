"""The fold says what the second, naive one says (naive_fold.py, written from docs/spaces.md alone): each effect, and every byte.

Over the histories of both: those drawn here, and the wild ones that came with the second fold. Few seeds here;
`scripts/attack-spaces` runs as many as one has time for.
"""

from __future__ import annotations

import gc
import random

import pytest
from drawn_spaces import drawn_history, orders
from space_campaign import difference, differs_from_naive, plain_of
from space_stories import STORIES, Story

from p2pshare.spaces.fold import SpaceFold
from p2pshare.spaces.vertex import Term, Vertex

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


def test_a_fold_that_is_let_go_leaves_nothing_to_the_garbage_collector() -> None:
    """Pasts are not looked at by the collector, so nothing may lead from one back to itself: it would stay for ever."""

    def alive() -> int:
        gc.collect()
        return sum(1 for one in gc.get_objects() if isinstance(one, Term | Vertex))

    before = alive()
    for seed in range(8):
        space = SpaceFold()
        for entry in drawn_history(seed).entries.values():
            space.add(entry)
        space.state()
    assert alive() > before
    del space, entry
    assert alive() == before
