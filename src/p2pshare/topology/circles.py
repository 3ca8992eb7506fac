"""Links of each circle, from the partners' own lists, with the partners and links whose loss would split it
and links to add.

Rules:

1. A link carries a circle where both ends configured it (docs/gossip.md, "Words"). One list alone makes no
   link, so nobody can invent one for others.
2. A link that only one end configured is reported, with what the other side lacks; but only where the other
   side takes part in the circle at all.
3. Nothing is guessed about a partner whose list is missing: it is named, and left out of every count.
4. Of two partners who can only dial out, neither can reach the other: a link that both configured is
   reported, and is none.
5. An organisation is known by the name on its cards, in any case of letters.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from p2pshare.identifiers import PartnerId
from p2pshare.limits import TOPOLOGY_EXACT_PARTNERS_MAX
from p2pshare.topology.graph import blocks, components, cut_links, cut_nodes, longest_way
from p2pshare.topology.suggested_links import Ground, Mend, find_mends, lonely


@dataclass(frozen=True, slots=True)
class ListedPartner:
    """A partner as another one's list has it; `circles` are those that the owner's link to it carries."""

    partner_id: PartnerId
    name: str
    has_link: bool
    circles: tuple[str, ...]


@dataclass(frozen=True)
class PartnerList:
    """Links and circles that one partner configured, as it exported them. `has_address`: it can be dialled;
    `made_at` in unix seconds."""

    owner: PartnerId
    name: str
    has_address: bool
    circles: tuple[str, ...]
    made_at: int
    partners: tuple[ListedPartner, ...]


@dataclass(frozen=True, slots=True)
class OneSided:
    """A link with `other` for the circle that `owner` configured, and that is none: `lacks` is the reason.

    not-a-partner: `other` does not list `owner`; no-link: it does, without a link; other-circles: with a link
    that does not carry this circle; no-address: both sides configured it, and neither can be dialled.
    """

    owner: PartnerId
    other: PartnerId
    lacks: str


@dataclass(frozen=True)
class CircleReport:
    """Report on one circle. Partners in numbers are places in `partners`, which is in the order of names.
    `pieces` are its connected components, `lonely` the partners with too few peers, `mends` the suggested links."""

    name: str
    partners: tuple[PartnerId, ...]
    links: int
    pieces: tuple[tuple[int, ...], ...]
    cut_partners: tuple[int, ...]
    cut_links: tuple[tuple[int, int], ...]
    diameters: tuple[int, ...]
    """Of each component, in links; of one with more than TOPOLOGY_EXACT_PARTNERS_MAX partners it is at least that."""

    dial_out_only: tuple[int, ...]
    lonely: tuple[int, ...]
    one_sided: tuple[OneSided, ...]
    missing: tuple[PartnerId, ...]
    """Partners that somebody lists for this circle, and of which no list was given."""

    mends: tuple[Mend, ...]

    @property
    def is_well(self) -> bool:
        """Returns whether it is in one piece whichever partner is lost, with no partner lonely, nothing
        one-sided, and more than one partner."""
        is_whole = len(self.partners) > 1 and len(self.pieces) == 1
        return is_whole and not (self.cut_partners or self.lonely or self.one_sided)


def examine(lists: Iterable[PartnerList]) -> list[CircleReport]:
    """Returns a report on each circle that somebody takes part in, in the order of names. One list for each partner."""
    by_owner = {one.owner: one for one in lists}
    carried = {owner: _carried(one) for owner, one in by_owner.items()}
    circles = {name for one in by_owner.values() for name in one.circles}
    circles.update(name for links in carried.values() for names in links.values() for name in names)
    return [_examine(name, by_owner, carried) for name in sorted(circles)]


Carried = Mapping[PartnerId, frozenset[str]]


def _carried(one: PartnerList) -> Carried:
    """Returns the circles that each link of this partner carries: none for a partner without a link."""
    return {entry.partner_id: frozenset(entry.circles if entry.has_link else ()) for entry in one.partners}


def _examine(
    circle: str, lists: Mapping[PartnerId, PartnerList], carried: Mapping[PartnerId, Carried]
) -> CircleReport:
    members = sorted(
        (owner for owner, one in lists.items() if _takes_part(circle, one, carried[owner])),
        key=lambda owner: (lists[owner].name.casefold(), owner),
    )
    place = {owner: number for number, owner in enumerate(members)}
    neighbours: list[set[int]] = [set() for _ in members]
    one_sided: list[OneSided] = []
    missing: set[PartnerId] = set()
    for owner in members:
        for other in (other for other, circles in carried[owner].items() if circle in circles):
            if other not in lists:
                missing.add(other)
            elif other in place:
                lacks = _lacks(circle, lists[owner], lists[other], carried[other])
                if not lacks:
                    neighbours[place[owner]].add(place[other])
                elif lacks != "no-address" or owner < other:
                    one_sided.append(OneSided(owner, other, lacks))
    ground = Ground(
        neighbours,
        [lists[owner].has_address for owner in members],
        [lists[owner].name.casefold() for owner in members],
    )
    return _report(circle, members, ground, one_sided, sorted(missing))


def _takes_part(circle: str, one: PartnerList, carried: Carried) -> bool:
    return circle in one.circles or any(circle in circles for circles in carried.values())


def _lacks(circle: str, owner: PartnerList, other: PartnerList, carried_back: Carried) -> str:
    """Returns the reason why an end of `owner` is no link with `other`; empty for a link (rules 1, 2 and 4)."""
    back = carried_back.get(owner.owner)
    if back is None:
        return "not-a-partner"
    if circle not in back:
        return "other-circles" if back else "no-link"
    return "" if owner.has_address or other.has_address else "no-address"


def _report(
    circle: str,
    members: Sequence[PartnerId],
    ground: Ground,
    one_sided: Sequence[OneSided],
    missing: Sequence[PartnerId],
) -> CircleReport:
    neighbours = ground.neighbours
    pieces = components(neighbours)
    found = blocks(neighbours)
    return CircleReport(
        name=circle,
        partners=tuple(members),
        links=sum(map(len, neighbours)) // 2,
        pieces=tuple(map(tuple, pieces)),
        cut_partners=tuple(cut_nodes(found)),
        cut_links=tuple(cut_links(found)),
        diameters=tuple(
            longest_way(neighbours, piece, exact_max=TOPOLOGY_EXACT_PARTNERS_MAX) for piece in pieces
        ),
        dial_out_only=tuple(node for node, has_address in enumerate(ground.has_address) if not has_address),
        lonely=tuple(lonely(ground)),
        one_sided=tuple(one_sided),
        missing=tuple(missing),
        mends=tuple(find_mends(ground)) if len(members) > 1 else (),
    )
