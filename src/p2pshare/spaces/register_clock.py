"""A register clock: which entries that change a shared register are in the past of an entry, without walking there.

For each entry it keeps, of each author who has written such entries, the greatest number in its past. By rule 15 (docs/spaces.md)
the entries of an author in a past have no gap, so that number says for all of them; those of a fork have bits besides.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence

from p2pshare.identifiers import PartnerId
from p2pshare.spaces.vertex import Vertex

_NOTHING = array("I")


class CombinedPast:
    """What several entries have in their pasts together."""

    __slots__ = ("_columns", "_forks", "_numbers")

    def __init__(self, columns: dict[PartnerId, int], numbers: array[int], forks: int) -> None:
        self._columns = columns
        self._numbers = numbers
        self._forks = forks

    def holds(self, vertex: Vertex) -> bool:
        """Returns whether an entry that changes a register is in it."""
        column = self._columns.get(vertex.author)
        if column is None or column >= len(self._numbers) or self._numbers[column] < vertex.number:
            return False
        return not vertex.fork_bit or bool(self._forks & vertex.fork_bit)


class RegisterClock:
    """The clocks of all entries of a space, added parents first."""

    def __init__(self) -> None:
        self._columns: dict[PartnerId, int] = {}
        self._upto: dict[Vertex, array[int]] = {}

    def add(self, vertex: Vertex, *, is_register: bool) -> None:
        """Note an entry; `is_register`: it is of a kind that changes a register, whether it has an effect or not."""
        clock = _merged([self._upto[parent] for parent in vertex.parents])
        if is_register:
            column = self._columns.setdefault(vertex.author, len(self._columns))
            clock = clock[:] + array("I", bytes(4 * max(0, column + 1 - len(clock))))
            clock[column] = vertex.number
        self._upto[vertex] = clock

    def past_of(self, vertices: Iterable[Vertex]) -> CombinedPast:
        """Returns the pasts of entries that change a register, together: none of them is in it by itself."""
        forks, clocks = 0, []
        for vertex in vertices:
            clock = self._upto[vertex][:]
            clock[self._columns[vertex.author]] = vertex.number - 1
            clocks.append(clock)
            forks |= vertex.past.forks
        return CombinedPast(self._columns, _merged(clocks), forks)

    def newest(self, vertices: Sequence[Vertex]) -> list[Vertex]:
        """Returns those that are in the past of no other of them, in their order."""
        if len(vertices) < 2:
            return list(vertices)
        past = self.past_of(vertices)
        return [vertex for vertex in vertices if not past.holds(vertex)]


def _merged(clocks: list[array[int]]) -> array[int]:
    """Returns the greatest number of each column; one of `clocks` itself where it has them all."""
    if not clocks:
        return _NOTHING
    longest = max(clocks, key=len)
    different = [clock for clock in clocks if clock is not longest]
    if not different:
        return longest
    found = longest[:]
    is_longest = True
    for clock in different:
        for column, number in enumerate(clock):
            if number > found[column]:
                found[column] = number
                is_longest = False
    return longest if is_longest else found
