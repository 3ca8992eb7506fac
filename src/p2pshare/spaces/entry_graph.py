"""The graph of one space: entries, their parents, and the questions about pasts that everything else asks.

Entries come parents first. What rules 13 to 16 of docs/spaces.md ask of a new one stands here (`EntryGraph.refusal_of`); they follow from
the entry and its past, so every node answers alike.

By rule 15 the entries of one author in a past are numbered without a gap from 1. So of an author without a fork the past
of its entry n holds exactly its entries below n, which is why `vertex.precedes` searches nothing; the entries of a fork have bits of
their own in `authority`.

No question searches twice what it has searched for an author before: of one without twins only what is deeper than its last entry; of
one with twins the greatest number in the past of each entry is kept (`_greatest`), 2 bytes an entry.
"""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from heapq import heappop, heappush

from p2pshare.envelope.entry import EntryHeader
from p2pshare.identifiers import EntryId, PartnerId
from p2pshare.limits import SPACE_BODIES_BYTES_MAX, SPACE_ENTRIES_MAX
from p2pshare.spaces.parts import PART, PARTS_MAX
from p2pshare.spaces.vertex import SpaceEntry, Vertex


class EntryGraph:
    """All entries of one space that a node holds, parents first. Raises ValueError for what cannot have been taken in."""

    def __init__(self) -> None:
        self.vertices: list[Vertex] = []
        self._by_id: dict[EntryId, Vertex] = {}
        self._by_number: defaultdict[PartnerId, defaultdict[int, list[Vertex]]] = defaultdict(
            lambda: defaultdict(list)
        )
        self._body_bytes = 0
        self._twins: set[PartnerId] = set()
        self._forks: dict[PartnerId, set[int]] = {}
        self._greatest: dict[PartnerId, array[int]] = {}
        self._full: set[Vertex] = set()

    def __contains__(self, entry_id: EntryId) -> bool:
        return entry_id in self._by_id

    def __len__(self) -> int:
        return len(self.vertices)

    def get(self, entry_id: EntryId) -> Vertex | None:
        return self._by_id.get(entry_id)

    @property
    def opening(self) -> Vertex:
        return self.vertices[0]

    def add(self, entry: SpaceEntry) -> Vertex:
        """Add an entry whose parents are all here. Raises ValueError for another, a second opening, or one that is here."""
        header = entry.header
        if entry.entry_id in self._by_id:
            raise ValueError("an entry comes twice")
        if bool(self.vertices) != bool(header.parents):
            raise ValueError("a space begins with one opening")
        try:
            parents = tuple(self._by_id[one] for one in header.parents)
        except KeyError:
            raise ValueError("an entry comes before its parents") from None
        vertex = Vertex(entry, parents, len(self.vertices))
        self.vertices.append(vertex)
        self._by_id[entry.entry_id] = vertex
        twins = self._by_number[header.author][header.number]
        twins.append(vertex)
        if len(twins) > 1:
            self._twins.add(header.author)
        if is_fork(twins):
            self._forks.setdefault(header.author, set()).add(header.number)
        self._body_bytes += header.body_bytes
        return vertex

    def authors(self) -> Iterable[PartnerId]:
        return self._by_number.keys()

    def by_author(self, author: PartnerId) -> Iterator[Vertex]:
        """Yields the entries of an author, the highest number first."""
        numbers: Mapping[int, list[Vertex]] = self._by_number.get(author, {})
        for number in sorted(numbers, reverse=True):
            yield from numbers[number]

    def has_twins(self, author: PartnerId) -> bool:
        """Returns whether an author has several entries under one number, if only joins."""
        return author in self._twins

    def with_number(self, author: PartnerId, number: int) -> list[Vertex]:
        """Returns the entries of an author under one number: several are a fork, unless all are joins."""
        return self._by_number[author][number]

    def forks(self) -> Iterator[list[Vertex]]:
        """Yields the entries of each fork, those of one author by number."""
        for author, numbers in self._forks.items():
            for number in sorted(numbers):
                yield self._by_number[author][number]

    def parts_before(self, vertex: Vertex) -> list[Vertex]:
        """Returns the entries `part` that stand directly before an entry in the numbers of its author, with merges between: the whole that it
        names. None of a part, and none beyond a number that is used twice."""
        found: list[Vertex] = []
        number = vertex.number - 1
        while vertex.kind != PART and number > 0 and len(found) < PARTS_MAX:
            before = self.with_number(vertex.author, number)
            if len(before) != 1 or before[0].kind not in (PART, "merge"):
                break
            if before[0].kind == PART:
                found.append(before[0])
            number -= 1
        return found

    # --- what is taken in: rules 13 to 16 ----------------------------------------------------------

    def refusal_of(self, header: EntryHeader) -> str:
        """Returns the code of the first of rules 13 to 16 that an entry breaks, or "". All its parents must be here.

        Rule 13 in so far as the entry names this space; that no parent was refused is the caller's to know.
        """
        opening = self.opening
        if header.space != opening.entry_id or header.realm != opening.header.realm:
            return "bad-parent"
        parents = [self._by_id[one] for one in header.parents]
        if header.depth != 1 + max(parent.depth for parent in parents):
            return "wrong-depth"
        if not self._follows(header, parents):
            return "broken-chain"
        if header.tlp < opening.header.tlp:
            return "looser-than-space"
        if self._is_past_full(parents):
            return "space-full"
        return ""

    def _follows(self, header: EntryHeader, parents: list[Vertex]) -> bool:
        """Returns whether the greatest number of its author in its past is one less than its own (rule 15)."""
        return self.last_number(header.author, parents) == header.number - 1

    def last_number(self, author: PartnerId, parents: list[Vertex]) -> int:
        """Returns the greatest number of an author in the past of a child of `parents`; 0: it has written nothing there."""
        if author not in self._by_number:
            return 0
        if author in self._twins:
            return max(self._greatest_number(author, parent) for parent in parents)
        # its entries are a chain, so the deepest one is the last: what is no deeper is never looked at
        heap = [(-parent.depth, parent.place, parent) for parent in parents]
        heap.sort()
        seen = set(parents)
        while heap:
            vertex = heappop(heap)[2]
            if vertex.author == author:
                return vertex.number
            for parent in vertex.parents:
                if parent not in seen:
                    seen.add(parent)
                    heappush(heap, (-parent.depth, parent.place, parent))
        return 0

    def _greatest_number(self, author: PartnerId, vertex: Vertex) -> int:
        """Returns the greatest number of an author up to and with `vertex`."""
        kept = self._greatest.setdefault(author, array("H"))
        for one in self.vertices[len(kept) : vertex.place + 1]:
            number = one.number if one.author == author else 0
            for parent in one.parents:
                before = kept[parent.place]
                if before > number:
                    number = before
            kept.append(number)
        return kept[vertex.place]

    def _is_past_full(self, parents: list[Vertex]) -> bool:
        if len(self.vertices) < SPACE_ENTRIES_MAX and self._body_bytes < SPACE_BODIES_BYTES_MAX:
            return False  # a past is a part of what is here
        if not self._full.isdisjoint(parents):
            return True
        count = size = 0
        for vertex in past_of(parents):
            count += 1
            size += vertex.header.body_bytes
        is_full = count >= SPACE_ENTRIES_MAX or size >= SPACE_BODIES_BYTES_MAX
        if is_full and len(parents) == 1:
            self._full.add(parents[0])  # whoever cites it is not counted again
        return is_full


def is_fork(twins: list[Vertex]) -> bool:
    """Returns whether entries of one author under one number are a fork: an invitation may be answered twice."""
    return len(twins) > 1 and any(vertex.kind != "join" for vertex in twins)


def past_of(parents: Iterable[Vertex]) -> set[Vertex]:
    """Returns all that a child of `parents` has in its past."""
    found = set(parents)
    stack = list(found)
    while stack:
        for parent in stack.pop().parents:
            if parent not in found:
                found.add(parent)
                stack.append(parent)
    return found
