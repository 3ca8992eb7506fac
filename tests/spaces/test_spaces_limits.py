"""Limits of a fold that are too large for a story, made small; and what a whole fold yields between its steps."""

from __future__ import annotations

import random

import pytest
from drawn_spaces import drawn_history, orders
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


@pytest.mark.parametrize("seed", range(30))
def test_a_fold_in_small_steps_between_which_entries_come_ends_alike(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each state on the way is that of the entries that were there when its fold began, and of content that came since."""
    told = drawn_history(seed)
    wanted = canonical(effects_of(told).state())
    monkeypatch.setattr(fold, "STEP_ENTRIES", 2)
    draw = random.Random(seed)
    space = SpaceFold()
    ended = 0
    for entry in orders(told.entries, draw):
        space.add(entry)
        for _ in range(draw.randint(0, 12)):
            if not space.step():
                ended += 1
                break
        if draw.random() < 0.1:
            known = {vertex.entry_id: told.entries[vertex.entry_id] for vertex in space.graph.vertices}
            assert canonical(space.state()) == canonical(fold.fold(known.values()))
    assert ended and canonical(space.state()) == wanted


@pytest.mark.parametrize("seed", range(30))
def test_a_fold_that_ends_while_entries_come_is_that_of_a_set(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the last step is done and content alone came meanwhile, the state is of all; else it is of those of the first step."""
    told = drawn_history(seed)
    monkeypatch.setattr(fold, "STEP_ENTRIES", 2)
    draw = random.Random(seed)
    entries = list(orders(told.entries, draw))
    begin = draw.randint(1, len(entries) - 1)
    space = SpaceFold()
    for entry in entries[:begin]:
        space.add(entry)
    rest = entries[begin:]
    while space.step():
        if rest:
            space.add(rest.pop(0))
    state = space.newest_state
    assert state is not None
    here = entries[: len(space)]
    sizes = range(begin, len(here) + 1) if space.is_stale else [len(here)]
    assert any(canonical(state) == canonical(fold.fold(here[:size])) for size in sizes)


@pytest.mark.parametrize("seed", range(30))
def test_the_effect_of_the_newest_is_found_without_a_fold(seed: int) -> None:
    told = drawn_history(seed)
    space, whole = SpaceFold(), SpaceFold()
    for entry in orders(told.entries, random.Random(seed)):
        space.add(entry)
        whole.add(entry)
        whole.state()
        assert space.effect_of_newest() == whole.effect_of(entry.entry_id)
        if seed % 2:
            space.state()


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
