"""A register clock: which entries that change a shared register are in the past of an entry, without walking there.

For each entry it keeps, of each author who has written such entries, the greatest number in its past. By rule 15 (docs/spaces.md)
the entries of an author in a past have no gap, so that number says for all of them; those of a fork have bits besides.

The numbers of all authors stand side by side in one integer, a lane of 16 bits each, whose highest bit stays free. So two clocks are
compared, and their greater numbers taken, in a few operations however many members there are: 256 take half a microsecond.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from p2pshare.identifiers import PartnerId
from p2pshare.limits import ENTRY_NUMBER_MAX
from p2pshare.spaces.vertex import Vertex

_LANE_BITS = 16
_GUARD = 1 << (_LANE_BITS - 1)
_NUMBER = _GUARD - 1
assert ENTRY_NUMBER_MAX <= _NUMBER, "the highest bit of a lane stays free"


class CombinedPast:
    """What several entries have in their pasts together."""

    __slots__ = ("_clock", "_forks", "_lanes")

    def __init__(self, lanes: Mapping[PartnerId, int], clock: int, forks: int) -> None:
        self._lanes = lanes
        self._clock = clock
        self._forks = forks

    def upto(self, author: PartnerId) -> int:
        """Returns the greatest number of an author in it; of one without a fork, all its entries up to that are."""
        lane = self._lanes.get(author)
        return 0 if lane is None else self._clock >> lane & _NUMBER

    def holds(self, vertex: Vertex) -> bool:
        """Returns whether an entry that changes a register is in it."""
        lane = self._lanes.get(vertex.author)
        if lane is None or self._clock >> lane & _NUMBER < vertex.number:
            return False
        return not vertex.fork_bit or bool(self._forks & vertex.fork_bit)


class RegisterClock:
    """The clocks of all entries of a space, added parents first."""

    def __init__(self) -> None:
        self._lanes: dict[PartnerId, int] = {}
        self._guards = 0
        self._upto: dict[Vertex, int] = {}

    def add(self, vertex: Vertex, *, is_register: bool) -> None:
        """Note an entry; `is_register`: it is of a kind that changes a register, whether it has an effect or not."""
        upto = self._upto
        clock = 0
        for parent in vertex.parents:
            clock = self._merged(clock, upto[parent])
        if is_register:
            lane = self._lanes.get(vertex.author)
            if lane is None:
                lane = self._lanes[vertex.author] = _LANE_BITS * len(self._lanes)
                self._guards |= _GUARD << lane
            clock = _with(clock, lane, vertex.number)
        upto[vertex] = clock

    def past_of(self, vertices: Iterable[Vertex]) -> CombinedPast:
        """Returns the pasts of entries that change a register, together: none of them is in it by itself."""
        clock = forks = 0
        for vertex in vertices:
            own = _with(self._upto[vertex], self._lanes[vertex.author], vertex.number - 1)
            clock = self._merged(clock, own)
            forks |= vertex.past.forks
        return CombinedPast(self._lanes, clock, forks)

    def newest(self, vertices: Sequence[Vertex]) -> list[Vertex]:
        """Returns those that are in the past of no other of them, in their order."""
        if len(vertices) < 2:
            return list(vertices)
        past = self.past_of(vertices)
        return [vertex for vertex in vertices if not past.holds(vertex)]

    def _merged(self, one: int, other: int) -> int:
        """Returns the greater number of each lane."""
        if one == other or not one:
            return other
        guards = self._guards
        at_least = (
            (one | guards) - other
        ) & guards  # the guard of a lane survives where `one` is not smaller
        lanes = at_least - (at_least >> (_LANE_BITS - 1))
        return other ^ ((one ^ other) & lanes)


def _with(clock: int, lane: int, number: int) -> int:
    """Returns a clock with another number in a lane."""
    return clock & ~(_NUMBER << lane) | number << lane
