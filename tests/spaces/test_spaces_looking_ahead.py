"""Looking ahead: what is foreseen of a vote is what the vote does, and all who ask back one proposal."""

from __future__ import annotations

import random

import pytest
from space_histories import Teller, key_of_partner, partner

from p2pshare.identifiers import EntryId
from p2pshare.spaces.fold import SpaceFold, fold, parents_first
from p2pshare.spaces.looking_ahead import best_proposal, foresee, propose_unsigned

MEMBERS = "LABC"


def folded(told: Teller, without: set[EntryId] | None = None) -> SpaceFold:
    made = SpaceFold()
    for entry in parents_first(told.entries.values()):
        if entry.entry_id not in (without or ()):
            made.add(entry)
    made.state()
    return made


def codes(space: SpaceFold) -> dict[EntryId, str]:
    return {vertex.entry_id: vertex.code for vertex in space.graph.vertices}


def drawn(seed: int) -> tuple[Teller, EntryId, set[EntryId]]:
    """A history with an open proposal by A, what L and others wrote beside it, and votes that complete it: told, the proposal, the votes."""
    draw = random.Random(seed)
    told = Teller(MEMBERS)
    for _ in range(draw.randrange(4)):
        told.note(draw.choice(MEMBERS))
    if draw.random() < 0.4:
        told.invite("L", ["N"])
    before = told.heads()
    proposal = told.take_over("A", 1, 1)
    branch = before
    for _ in range(draw.randrange(1, 6)):
        act = draw.randrange(6)
        if act == 0:
            branch = {told.remove("L", [draw.choice("ABC")], after=branch)}
        elif act == 1:
            branch = {told.invite("L", [draw.choice("XY")], after=branch)}
        elif act == 2:
            branch = {told.close("L", after=branch)}
        elif act == 3:
            branch = {told.hand_over("L", draw.choice("BC"), after=branch)}
        else:
            branch = {told.note(draw.choice("LBC"), after=branch)}
    votes = {told.ack(voter, proposal, after=[proposal, last_of(told, voter)]) for voter in "BC"}
    return told, proposal, votes


def last_of(told: Teller, author: str) -> EntryId:
    own = [one for one in told.entries.values() if one.header.author == partner(author)]
    return max(own, key=lambda one: one.header.number).entry_id


@pytest.mark.parametrize("seed", range(60))
def test_what_is_foreseen_is_what_a_majority_does(seed: int) -> None:
    told, proposal, votes = drawn(seed)
    asked = folded(told, without=votes)
    before = codes(asked)
    foreseen = foresee(asked, proposal)
    after = folded(told)
    if after.state().term != (1, 1, 0):
        return  # a vote of this history is void: its voter saw its own removal. The next test counts the others
    real = {one: code for one, code in codes(after).items() if one not in votes}
    assert foreseen.state.lead == after.state().lead == partner("A")
    assert foreseen.state.members == after.state().members
    assert {vertex.entry_id: code for vertex, code in foreseen.void} == {
        one: code for one, code in real.items() if code and not before[one]
    }
    assert {vertex.entry_id for vertex in foreseen.standing} == {
        one for one, code in real.items() if not code and before[one]
    }


def test_most_histories_are_voted_to_the_end() -> None:
    """Else the test above shows little."""
    won = 0
    changed = 0
    for seed in range(60):
        told, proposal, votes = drawn(seed)
        won += folded(told).state().term == (1, 1, 0)
        seen = foresee(folded(told, without=votes), proposal)
        changed += bool(seen.void) or bool(seen.standing)
    assert won >= 40 and changed >= 20, (won, changed)


@pytest.mark.parametrize("seed", range(10))
def test_all_who_ask_back_one_proposal_whatever_the_order_of_arrival(seed: int) -> None:
    """Of the highest round, most votes, then the first by id."""
    draw = random.Random(seed)
    told = Teller("LABCDE")
    start = told.heads()
    first = {name: told.take_over(name, 1, 1, after=start) for name in "ABC"}
    backed = draw.choice("ABC")
    told.ack("D", first[backed], after=[first[backed], *start])
    answers = set()
    for _ in range(4):
        entries = list(parents_first(told.entries.values()))
        made = SpaceFold()
        waiting = draw.sample(entries, len(entries))
        while waiting:
            entry = next(one for one in waiting if all(parent in made for parent in one.header.parents))
            waiting.remove(entry)
            made.add(entry)
        best = best_proposal(made)
        assert best is not None
        answers.add(best.vertex.entry_id)
    assert answers == {first[backed]}
    higher = told.take_over("E", 1, 2)
    best = best_proposal(folded(told))
    assert best is not None and best.vertex.entry_id == higher, "a higher round comes first"
    ties = Teller("LABC")
    start = ties.heads()
    two = {ties.take_over(name, 1, 1, after=start): partner(name) for name in "BA"}
    best = best_proposal(folded(ties))
    assert best is not None and two[best.vertex.entry_id] == min(two.values())


def test_an_unsigned_proposal_is_what_its_author_would_write() -> None:
    told = Teller("LABC")
    removal = told.remove("L", ["A"])
    told.note("L", after=[removal])
    for left_out, void in (((), "not-member"), ((removal,), "")):
        space = folded(told)
        proposal = propose_unsigned(space, partner("A"), key_of_partner("A"), 1, left_out=left_out)
        space.state()
        assert space.effect_of(proposal) == void
    told.take_over("B", 1, 1)
    space = folded(told)
    proposal = propose_unsigned(space, partner("C"), key_of_partner("C"), 1)
    space.state()
    assert space.effect_of(proposal) == "", "it knows the round that is next"
    with pytest.raises(KeyError):
        foresee(space, told.opening)
    assert fold(told.entries.values()).lead == partner("L"), "and nothing of it is anywhere else"
