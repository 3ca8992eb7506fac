"""Each story of authority, in several orders of arrival, at once and entry by entry: every node says the same."""

from __future__ import annotations

import random

import pytest
from space_stories import STORIES, Check, Story

from p2pshare.spaces.canonical import canonical
from p2pshare.spaces.fold import SpaceFold, fold
from p2pshare.spaces.notebook import NotebookFold

CASES = [(story, number) for story in STORIES for number in range(len(story.checks))]


@pytest.mark.parametrize(
    ("story", "number"), CASES, ids=[f"{story.name} [{number + 1}]" for story, number in CASES]
)
def test_a_story_is_told_as_written(story: Story, number: int) -> None:
    check = story.checks[number]
    entries = [story.teller.entries[one] for one in check.known]
    whole = SpaceFold()
    for entry in sorted(entries, key=lambda entry: (entry.header.depth, entry.entry_id)):
        whole.add(entry)
    state = whole.state()
    assert (state.lead, state.term, state.members) == (check.lead, check.term, check.members)
    void = {one: code for one in check.known if (code := whole.effect_of(one))}
    assert void == check.void
    assert isinstance(state.kind, NotebookFold)
    assert state.kind.is_closed == check.is_closed
    assert {vertex.entry_id for vertex in state.kind.late} == check.late
    assert {vertex.entry_id for vertex in state.kind.after} == check.after


@pytest.mark.parametrize("story", STORIES, ids=[story.name for story in STORIES])
def test_a_story_is_the_same_in_any_order_and_entry_by_entry(story: Story) -> None:
    for check in story.checks:
        wanted = canonical(fold(story.teller.entries[one] for one in check.known))
        for seed in range(10):
            assert canonical(told_in_order(story, check, random.Random(seed))) == wanted


def told_in_order(story: Story, check: Check, draw: random.Random):
    """The state after entries came one by one in a drawn order, looked at now and then on the way."""
    waiting = dict.fromkeys(sorted(check.known))
    one_by_one = SpaceFold()
    while waiting:
        ready = [
            one
            for one in waiting
            if all(parent in one_by_one for parent in story.teller.entries[one].header.parents)
        ]
        one = draw.choice(ready)
        del waiting[one]
        one_by_one.add(story.teller.entries[one])
        if draw.random() < 0.5:
            one_by_one.state()
    return one_by_one.state()
