"""Undirected graphs as lists of neighbours, and the nodes and links that cut them; each function is linear
unless it says otherwise.

`neighbours[n]` are the nodes that n is joined with, each once, never n itself; n is in `neighbours[m]` when m
is in `neighbours[n]`. Nothing recurses, so a chain of ten thousand nodes is as safe as a star.

A *block* is a largest set of nodes that stays in one piece whichever of its nodes is lost (Hopcroft and Tarjan,
"Efficient algorithms for graph manipulation", 1973). From the blocks everything else follows: a node that is in
several of them is one whose loss splits the graph, and a block of two nodes is a link whose loss splits it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence

Neighbours = Sequence[Collection[int]]


def distances(neighbours: Neighbours, start: int) -> dict[int, int]:
    """Returns the number of links to each node of the component of `start`, nearest first."""
    found = {start: 0}
    edge = [start]
    while edge:
        further: dict[int, None] = {}
        for node in edge:
            further.update((other, None) for other in neighbours[node] if other not in found)
        found.update(dict.fromkeys(further, found[edge[0]] + 1))
        edge = list(further)
    return found


def components(neighbours: Neighbours) -> list[list[int]]:
    """Returns the connected components, in the order of their smallest nodes; nodes ascending."""
    seen: set[int] = set()
    pieces = []
    for start in range(len(neighbours)):
        if start not in seen:
            pieces.append(sorted(distances(neighbours, start)))
            seen.update(pieces[-1])
    return pieces


def blocks(neighbours: Neighbours) -> list[list[int]]:
    """Returns the blocks, in the order in which a depth-first walk leaves them; a node without links is one of its own."""
    met = [-1] * len(neighbours)
    found: list[list[int]] = []
    for root in range(len(neighbours)):
        if met[root] < 0:
            inside = list(_blocks_from(neighbours, root, met))
            found += inside or [[root]]
    return found


def _blocks_from(neighbours: Neighbours, root: int, met: list[int]) -> Iterator[list[int]]:
    """Yields the blocks of the component of `root`. `met[n]` is the number under which node n was met, -1 for not yet.

    `lowest[n]` is that of the earliest node that a link from n or from beneath n leads to. When that is not
    before the parent, everything met from n on, and not yet in a block, is a block with the parent.
    """
    lowest: dict[int, int] = {}
    waiting: list[int] = []  # met, and in no block with its parent yet
    path: list[tuple[int, int, Iterator[int]]] = []

    def enter(node: int) -> None:
        met[node] = lowest[node] = len(lowest)
        path.append((len(waiting), node, iter(neighbours[node])))
        waiting.append(node)

    enter(root)
    while path:
        place, node, rest = path[-1]
        parent = path[-2][1] if len(path) > 1 else -1
        for other in rest:
            if met[other] < 0:
                enter(other)
                break
            lowest[node] = min(lowest[node], met[other])
        else:
            path.pop()
            if parent >= 0:
                lowest[parent] = min(lowest[parent], lowest[node])
                if lowest[node] >= met[parent]:
                    yield [parent, *waiting[place:]]
                    del waiting[place:]


def cut_nodes(found: Sequence[Collection[int]]) -> list[int]:
    """Returns the nodes whose loss splits the graph that has these blocks, ascending."""
    times = Counter(node for block in found for node in block)
    return sorted(node for node, count in times.items() if count > 1)


def cut_links(found: Sequence[Collection[int]]) -> list[tuple[int, int]]:
    """Returns the links whose loss splits the graph that has these blocks, ascending."""
    return sorted((min(block), max(block)) for block in found if len(block) == 2)


def longest_way(neighbours: Neighbours, piece: Sequence[int], *, exact_max: int) -> int:
    """Returns the diameter of the component `piece`: the number of links between the two of its nodes that
    are furthest apart.

    Exact for at most `exact_max` nodes (a walk from each). In larger components the longest of two walks, of
    which the second begins where the first ended: never too long, exact in trees.
    """
    if len(piece) <= exact_max:
        return max(_reach(neighbours, node)[1] for node in piece)
    furthest, _ = _reach(neighbours, piece[0])
    return _reach(neighbours, furthest)[1]


def _reach(neighbours: Neighbours, start: int) -> tuple[int, int]:
    """Returns the node that is furthest from `start`, and its distance."""
    return list(distances(neighbours, start).items())[-1]
