"""Suggested links: links to add to a circle so that it is in one piece, no single partner splits it, and no
partner has too few peers.

Greedy, one link at a time, each chosen on the graph with the links before it: not always the fewest links, but each
does some good, and a person can stop after any of them. Two partners who can only dial out are never joined.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from p2pshare.limits import ECLIPSE_ORGANISATIONS_MIN, ECLIPSE_PEERS_MIN, TOPOLOGY_MENDS_MAX
from p2pshare.topology.graph import blocks, components, cut_nodes


class Aim(Enum):
    """Aim of a link, in the order in which they are sought."""

    ONE_PIECE = "one-piece"
    NO_SINGLE_PARTNER = "no-single-partner"
    ENOUGH_PEERS = "enough-peers"


@dataclass(frozen=True, slots=True)
class Mend:
    """A suggested link. `is_enough`: with it, and those before it, its aim is reached."""

    between: tuple[int, int]
    aim: Aim
    is_enough: bool


@dataclass(frozen=True)
class Ground:
    """A circle as a graph: the neighbours of each partner, whether it can be dialled, and its organisation
    (any word that tells them apart)."""

    neighbours: Sequence[set[int]]
    has_address: Sequence[bool]
    organisations: Sequence[str]

    def may_join(self, one: int, other: int) -> bool:
        return (
            one != other
            and other not in self.neighbours[one]
            and (self.has_address[one] or self.has_address[other])
        )


def find_mends(ground: Ground) -> list[Mend]:
    """Returns at most TOPOLOGY_MENDS_MAX links to add, in the order in which to add them; none when all is well."""
    grown = Ground([set(others) for others in ground.neighbours], ground.has_address, ground.organisations)
    mends: list[Mend] = []
    for aim, next_link in _SEARCHES.items():
        while len(mends) < TOPOLOGY_MENDS_MAX and (link := next_link(grown)) is not None:
            grown.neighbours[link[0]].add(link[1])
            grown.neighbours[link[1]].add(link[0])
            mends.append(Mend((min(link), max(link)), aim, is_enough=_is_reached(aim, grown)))
    return mends


def lonely(ground: Ground) -> list[int]:
    """Returns partners who could be eclipsed: fewer than 3 peers, or peers of fewer than 2 organisations
    (docs/gossip.md).

    Where a partner cannot be joined with so many, all of them are enough.
    """
    of_each = Counter(ground.organisations)
    dialled = Counter(one for one, has in zip(ground.organisations, ground.has_address, strict=True) if has)
    dialled_count = dialled.total()
    found = []
    for node, peers in enumerate(ground.neighbours):
        possible, owners = dialled_count, len(dialled)
        if ground.has_address[node]:
            possible = len(ground.neighbours) - 1
            owners = len(of_each) - (of_each[ground.organisations[node]] == 1)
        has_peers = len(peers) >= min(ECLIPSE_PEERS_MIN, possible)
        if not has_peers or _owners(ground, node) < min(ECLIPSE_ORGANISATIONS_MIN, owners):
            found.append(node)
    return found


def _owners(ground: Ground, node: int) -> int:
    """Returns the number of organisations that the peers of `node` belong to."""
    return len({ground.organisations[peer] for peer in ground.neighbours[node]})


def _is_reached(aim: Aim, ground: Ground) -> bool:
    match aim:
        case Aim.ONE_PIECE:
            return len(components(ground.neighbours)) == 1
        case Aim.NO_SINGLE_PARTNER:
            return not cut_nodes(blocks(ground.neighbours))
        case Aim.ENOUGH_PEERS:
            return not lonely(ground)


def _towards_one_piece(ground: Ground) -> tuple[int, int] | None:
    """Returns a link between two components, the one in which most can be dialled first: it can be joined with any other."""
    pieces = components(ground.neighbours)
    pieces.sort(key=lambda piece: -sum(ground.has_address[node] for node in piece))
    return _best_link(ground, pieces[0], pieces[1:])


def _towards_no_cut(ground: Ground) -> tuple[int, int] | None:
    """Returns a link between two blocks at the ends of the tree of blocks, half of the ends apart: all blocks
    between them become one.

    Where no other end may be joined, with any partner outside the block: it takes in the blocks on the way all the same.
    """
    found = blocks(ground.neighbours)
    cuts = set(cut_nodes(found))
    ends = [block for block in found if len(cuts.intersection(block)) == 1]
    inner = [[node for node in block if node not in cuts] for block in ends]
    for at, block in enumerate(ends):
        turned = inner[at:] + inner[:at]
        half = len(ends) // 2
        outside = set(range(len(ground.neighbours))).difference(block)
        link = _best_link(ground, inner[at], [*turned[half:], *turned[1:half], outside])
        if link is not None:
            return link
    return None


def _towards_enough_peers(ground: Ground) -> tuple[int, int] | None:
    """Returns a link for the first lonely partner: with another lonely one where there is one, of another
    organisation where that lacks."""
    wanting = dict.fromkeys(lonely(ground))
    for node in wanting:
        known = {ground.organisations[peer] for peer in ground.neighbours[node]}
        others = [other for other in range(len(ground.neighbours)) if ground.may_join(node, other)]
        if len(known) < ECLIPSE_ORGANISATIONS_MIN:
            others = [other for other in others if ground.organisations[other] not in known] or others
        if others:
            return node, min(
                others, key=lambda other: (other not in wanting, len(ground.neighbours[other]), other)
            )
    return None


_SEARCHES: Mapping[Aim, Callable[[Ground], tuple[int, int] | None]] = {
    Aim.ONE_PIECE: _towards_one_piece,
    Aim.NO_SINGLE_PARTNER: _towards_no_cut,
    Aim.ENOUGH_PEERS: _towards_enough_peers,
}


def _best_link(
    ground: Ground, ours: Iterable[int], theirs: Iterable[Iterable[int]]
) -> tuple[int, int] | None:
    """Returns a link from `ours` to the first of `theirs` that may be joined with it: between the partners
    with the fewest peers."""
    mine = _fewest(ground, ours)
    for group in theirs:
        pairs = [
            (one, other) for one in mine for other in _fewest(ground, group) if ground.may_join(one, other)
        ]
        if pairs:
            return min(pairs, key=lambda pair: (sum(len(ground.neighbours[end]) for end in pair), pair))
    return None


def _fewest(ground: Ground, nodes: Iterable[int]) -> set[int]:
    """Returns the node with the fewest peers of all, and the one with the fewest of those that can be dialled."""
    nodes = list(nodes)
    groups = (nodes, [node for node in nodes if ground.has_address[node]])
    return {min(group, key=lambda node: (len(ground.neighbours[node]), node)) for group in groups if group}
