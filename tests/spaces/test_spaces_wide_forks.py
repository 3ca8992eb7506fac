"""A liar that writes thousands of deciding entries beside each other makes nobody write hundreds of merges to cite them."""

from __future__ import annotations

import random

import pytest
from space_histories import Teller, partner

from p2pshare.identifiers import EntryId
from p2pshare.spaces.entry_graph import past_of
from p2pshare.spaces.fold import SpaceFold
from p2pshare.spaces.vertex import Vertex
from p2pshare.spaces.writing import BRANCHES_CITED_MAX, to_cite


def folded(told: Teller) -> SpaceFold:
    space = SpaceFold()
    for entry in sorted(told.entries.values(), key=lambda entry: entry.header.depth):
        space.add(entry)
    space.state()
    return space


def cited(space: SpaceFold, author: str, *, is_all: bool = False) -> tuple[list[Vertex], set[EntryId]]:
    """What the next entry cites, and the ids of all that it has in its past then."""
    parents = to_cite(space, partner(author), is_all=is_all)
    return parents, {one.entry_id for one in past_of(parents)}


def test_ten_thousand_twins_cost_the_next_writer_one_merge_and_the_lead_what_it_decides() -> None:
    told = Teller("LAM")
    base = told.note("A", "honest")
    for _ in range(2_000):
        told.reopen("M", after=[base])
    space = folded(told)
    assert space.state().members[partner("M")] == "forked"
    parents, past = cited(space, "A")
    assert len(parents) <= BRANCHES_CITED_MAX + 1 and base in past
    everything, _ = cited(space, "L", is_all=True)
    assert len(everything) > 1_000, "a close settles what it knew, and knows all of it"


@pytest.mark.parametrize("seed", range(40))
def test_what_honest_members_wrote_stays_in_the_past_though_a_liar_stands_on_it(seed: int) -> None:
    draw = random.Random(seed)
    told = Teller("LABM")
    honest = [told.note("A", "first")]
    liars = [told.merge("M", after=honest)]
    for number in range(60):
        everything = [*honest, *liars]
        some = draw.sample(everything, min(len(everything), draw.randint(1, 4)))
        if draw.random() < 0.3:
            member = draw.choice("LAB")
            own = [one for one in honest if told.entries[one].header.author == partner(member)]
            honest.append(told.note(member, str(number), after={*some, *own}))
        else:
            liars.append(told.merge("M", after={*some, draw.choice(liars)}))
    space = folded(told)
    standing = {one for one in honest if space.effect_of(one) == ""}
    parents, past = cited(space, "L")
    assert standing <= past
    assert sum(one.author == partner("M") for one in parents) <= BRANCHES_CITED_MAX
    assert cited(space, "L", is_all=True)[1] >= past
