"""What is taken into a graph: rules 13 to 16 at their limits, and nothing that cannot have been taken in."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from drawn_spaces import drawn_history, orders
from space_histories import Teller, partner

from p2pshare.envelope.entry import EntryHeader
from p2pshare.identifiers import EntryId
from p2pshare.spaces import entry_graph
from p2pshare.spaces.entry_graph import EntryGraph
from p2pshare.spaces.fold import SpaceFold


def graph_of(told: Teller) -> EntryGraph:
    graph = EntryGraph()
    for entry in told.entries.values():
        graph.add(entry)
    return graph


def next_header(
    told: Teller, author: str = "A", after: list[EntryId] | None = None, **changes: object
) -> EntryHeader:
    """The header of an honest note that would come next, with changes."""
    note = Teller.note(told, author, after=after)
    return replace(told.entries.pop(note).header, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("seed", range(20))
def test_what_a_history_tells_is_taken_in_in_any_order(seed: int) -> None:
    told = drawn_history(seed)
    graph = EntryGraph()
    for entry in orders(told.entries, random.Random(seed)):
        if entry.header.parents:
            assert graph.refusal_of(entry.header) == ""
        graph.add(entry)


def test_a_number_too_many_or_too_few_is_a_broken_chain_wherever_the_last_one_is() -> None:
    told = Teller("LAB")
    told.note("A")
    for _ in range(50):
        told.note("B")
    honest = next_header(told)
    graph = graph_of(told)
    assert graph.refusal_of(honest) == ""
    for number in (1, honest.number - 1, honest.number + 1):
        assert graph.refusal_of(replace(honest, number=number)) == "broken-chain"
    stranger = replace(honest, author=partner("X"), number=1)
    assert graph.refusal_of(stranger) == ""
    assert graph.refusal_of(replace(stranger, number=2)) == "broken-chain"


def test_a_branch_goes_on_from_its_own_last_number() -> None:
    told = Teller("LA")
    before = told.heads()
    one = told.note("A", "one", after=before)
    other = told.note("A", "other", after=before)
    longer = told.note("A", "longer", after=[one])
    graph = graph_of(told)
    honest = next_header(told)
    assert honest.number == 4 and graph.refusal_of(honest) == ""
    for parents, number in ((other, 3), (longer, 4)):
        header = replace(
            honest, parents=(parents,), depth=1 + told.entries[parents].header.depth, number=number
        )
        assert graph.refusal_of(header) == ""
        assert graph.refusal_of(replace(header, number=number + 1)) == "broken-chain"


def test_a_full_past_is_refused_and_a_smaller_one_beside_it_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    told = Teller("LA")
    for _ in range(8):
        told.note("A")
    graph = graph_of(told)
    last = next_header(told)
    monkeypatch.setattr(entry_graph, "SPACE_ENTRIES_MAX", 11)
    assert graph.refusal_of(last) == "", "ten entries are in its past"
    monkeypatch.setattr(entry_graph, "SPACE_ENTRIES_MAX", 10)
    assert graph.refusal_of(last) == "space-full"
    beside = replace(next_header(told, "L"), parents=(told.opening,), depth=2, number=2)
    assert graph.refusal_of(beside) == ""


def test_bodies_fill_a_space_by_what_headers_say(monkeypatch: pytest.MonkeyPatch) -> None:
    told = Teller("LA")
    told.note("A", "a" * 1_000)
    graph = graph_of(told)
    total = sum(entry.header.body_bytes for entry in told.entries.values())
    monkeypatch.setattr(entry_graph, "SPACE_BODIES_BYTES_MAX", total + 1)
    assert graph.refusal_of(next_header(told)) == ""
    monkeypatch.setattr(entry_graph, "SPACE_BODIES_BYTES_MAX", total)
    assert graph.refusal_of(next_header(told)) == "space-full"


def test_what_cannot_have_been_taken_in_is_a_mistake_of_the_caller() -> None:
    told = Teller("LA")
    opening, join = list(told.entries.values())
    with pytest.raises(ValueError, match="before its parents"):
        graph = EntryGraph()
        graph.add(opening)
        graph.add(replace(join, header=replace(join.header, parents=(EntryId(bytes(32)),))))
    with pytest.raises(ValueError, match="twice"):
        graph_of(told).add(join)
    with pytest.raises(ValueError, match="one opening"):
        EntryGraph().add(join)
    with pytest.raises(ValueError, match="one opening"):
        graph_of(told).add(next(iter(Teller("LB").entries.values())))
    space = SpaceFold()
    with pytest.raises(ValueError, match="without an opening"):
        space.state()
    with pytest.raises(ValueError, match="one opening"):
        space.add(join)


def test_a_deciding_entry_without_its_body_is_never_judged() -> None:
    told = Teller("LA")
    opening, join = list(told.entries.values())
    space = SpaceFold()
    space.add(opening)
    space.add(replace(join, content=None))
    with pytest.raises(ValueError, match="without its body"):
        space.state()


def test_a_graph_made_to_be_slow_is_searched_once_for_each_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sixteen parents each and the author's last one at the far end: every entry is looked at once, none twice; what is behind the
    author's last one never."""
    told = Teller("LAB")
    row = sorted(told.heads())
    for _ in range(20):
        row = [told.note("C", after=row, number=number) for number in range(2, 18)]
    graph = graph_of(told)
    looked_at: list[object] = []
    real = entry_graph.heappush
    monkeypatch.setattr(
        entry_graph, "heappush", lambda heap, one: (looked_at.append(one), real(heap, one))[1]
    )
    assert graph.refusal_of(next_header(told)) == "" and 300 < len(looked_at) < len(graph)
    own = told.note("A", after=row)
    last = told.note("B", after=[own])
    for one in (own, last):
        graph.add(told.entries[one])
    looked_at.clear()
    assert graph.refusal_of(next_header(told, after=[last])) == "" and len(looked_at) == 1


@pytest.mark.parametrize("seed", range(20))
def test_the_last_number_of_an_author_is_the_greatest_in_a_past(seed: int) -> None:
    told, draw = drawn_history(seed), random.Random(seed)
    graph = EntryGraph()
    for entry in orders(told.entries, draw):
        graph.add(entry)
        parents = draw.sample(graph.vertices, min(len(graph), 3))
        for author in list(graph.authors()):
            past = entry_graph.past_of(parents)
            greatest = max((one.number for one in past if one.author == author), default=0)
            assert graph.last_number(author, parents) == greatest
