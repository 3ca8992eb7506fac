"""Limits of a fold that are too large for a story, made small; and what a whole fold yields between its steps."""

from __future__ import annotations

import pytest
from drawn_spaces import drawn_history
from space_histories import Teller, partner

from p2pshare.spaces import authority, fold
from p2pshare.spaces.canonical import canonical
from p2pshare.spaces.fold import SpaceFold


def effects_of(told: Teller) -> SpaceFold:
    space = SpaceFold()
    for entry in sorted(told.entries.values(), key=lambda entry: entry.header.depth):
        space.add(entry)
    space.state()
    return space


def test_acts_of_a_lead_end_at_their_limit_and_its_other_entries_go_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The opening is the first of them."""
    monkeypatch.setattr(authority, "AUTHORITY_ENTRIES_AS_LEAD_MAX", 3)
    told = Teller("LAB")
    acts = [told.remove("L", [name]) for name in "XYZ"]
    told.ack("A", told.take_over("B", 1, 1))
    vote = told.ack("L", told.take_over("A", 2, 1))
    space = effects_of(told)
    assert [space.effect_of(one) for one in (*acts, vote)] == ["", "", "too-many", ""]
    assert space.state().lead == partner("A")


def test_proposals_end_at_their_limit_in_each_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(authority, "TAKEOVERS_PER_EPOCH_MAX", 2)
    told = Teller("LAB")
    tried = [told.take_over("A", 1, number) for number in (1, 2, 3)]
    won = told.take_over("B", 1, 3)
    told.ack("A", won)
    again = told.take_over("A", 2, 1)
    space = effects_of(told)
    assert [space.effect_of(one) for one in (*tried, won, again)] == ["", "", "too-many", "", ""]


@pytest.mark.parametrize("seed", range(10))
def test_a_fold_in_small_steps_that_is_given_up_and_begun_again_ends_alike(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An entry comes while a fold is under way: those steps are thrown away, and the next ones say the same as ever."""
    told = drawn_history(seed)
    wanted = canonical(effects_of(told).state())
    monkeypatch.setattr(fold, "STEP_ENTRIES", 2)
    space = SpaceFold()
    for number, entry in enumerate(sorted(told.entries.values(), key=lambda entry: entry.header.depth)):
        space.add(entry)
        steps = space.steps()
        for _ in range(number % 7):
            next(steps, None)
        steps.close()
    assert canonical(space.state()) == wanted


def test_the_state_is_that_of_before_until_the_last_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fold, "STEP_ENTRIES", 2)
    told = Teller("LAB")
    told.note("A")
    space = effects_of(told)
    before = space.state()
    told.remove("L", "A")
    space.add(list(told.entries.values())[-1])
    steps = space.steps()
    next(steps)
    assert before.members[partner("A")] == "joined"
    assert space.state().members[partner("A")] == "removed"
