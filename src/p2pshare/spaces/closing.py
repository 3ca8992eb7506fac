"""Closing: whether a space is closed, and how each entry stands to that, for the kinds that its lead closes (docs/spaces.md, "The kind").

Closed is a space by a close that has every reopening in its past, so of two beside each other the reopening wins. What is in the past of
such a close was before it, what has one in its past comes after it, and the rest is late; nothing is lost, and no clock is asked.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence

from p2pshare.identifiers import PartnerId
from p2pshare.spaces.interface import FoldView
from p2pshare.spaces.vertex import Vertex

STEP_ENTRIES = 1_024  # looked at between two yields: some 2 ms


class Closing:
    """The closes that hold. `counts` says which entries reopen: not every reopening that has an effect needs to."""

    def __init__(self, view: FoldView, counts: Callable[[Vertex], bool] = lambda vertex: True) -> None:
        self._view = view
        self._counts = counts
        self.closes: set[Vertex] = set()
        self._is_after: set[Vertex] = set()
        self._before: set[Vertex] = set()

    @property
    def is_closed(self) -> bool:
        return bool(self.closes)

    def whole(self, vertices: Sequence[Vertex]) -> Iterator[None]:
        """Find out all of it for all entries, parents before children; yields between small steps."""
        self.closes, self._is_after, self._before = set(), set(), set()
        if not any(vertex.kind == "close" and vertex.has_effect for vertex in vertices):
            return
        yield from self._find_closes(vertices)
        if not self.closes:
            return
        yield from self._find_before(vertices)
        for start in range(0, len(vertices), STEP_ENTRIES):
            for vertex in vertices[start : start + STEP_ENTRIES]:
                self.add(vertex)
            yield

    def add(self, vertex: Vertex) -> None:
        """Note an entry that is a parent of none, and neither closes nor reopens."""
        if self.closes and any(
            parent in self.closes or parent in self._is_after for parent in vertex.parents
        ):
            self._is_after.add(vertex)

    def side_of(self, vertex: Vertex) -> str:
        """Returns "" for what was before every close, or the space is open; else `after` or `late`."""
        if not self.closes or vertex in self._before:
            return ""
        return "after" if vertex in self._is_after else "late"

    def _find_closes(self, vertices: Sequence[Vertex]) -> Iterator[None]:
        """Find the closes that have every reopening in their past."""
        needed: dict[Vertex, int] = {}
        for vertex in self._last_reopenings(vertices):
            needed[vertex] = 1 << len(needed)
        yield
        everyone = (1 << len(needed)) - 1
        seen: dict[Vertex, int] = {}
        for start in range(0, len(vertices), STEP_ENTRIES):
            for vertex in vertices[start : start + STEP_ENTRIES]:
                bits = 0
                for parent in vertex.parents:
                    bits |= seen[parent]
                if vertex.kind == "close" and vertex.has_effect and bits == everyone:
                    self.closes.add(vertex)
                seen[vertex] = bits | needed.get(vertex, 0)
            yield

    def _last_reopenings(self, vertices: Sequence[Vertex]) -> Iterator[Vertex]:
        """Yields those that have all others in their past: of an author the last one, where it has no fork."""
        by_author: defaultdict[PartnerId, list[Vertex]] = defaultdict(list)
        for vertex in vertices:
            if vertex.kind == "reopen" and vertex.has_effect and self._counts(vertex):
                by_author[vertex.author].append(vertex)
        for author, reopenings in by_author.items():
            if self._view.has_fork(author):
                yield from reopenings
            else:
                yield max(reopenings, key=lambda vertex: vertex.number)

    def _find_before(self, vertices: Sequence[Vertex]) -> Iterator[None]:
        """Find what is in the past of any close that holds."""
        for end in range(len(vertices), 0, -STEP_ENTRIES):
            for vertex in reversed(vertices[max(0, end - STEP_ENTRIES) : end]):
                if vertex in self._before or vertex in self.closes:
                    self._before.update(vertex.parents)
            yield
