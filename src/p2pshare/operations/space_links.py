"""How the members of a space are linked, as far as this node knows: who would part them, and who is cut off already.

Entries go from partner to partner among the members. This node knows its own partners; of the others only what they told in their
heads. Whose partners are not known is named as such: it may be linked with anybody.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct

from p2pshare.identifiers import EntryId, PartnerId
from p2pshare.node.store import StoreReading
from p2pshare.spaces.heads import SpaceHeads
from p2pshare.spaces.seen import EntryPlace, HeldUpTo, MembersNews, NoNews
from p2pshare.spaces.space_store import SpaceReading, SpaceRow
from p2pshare.topology.graph import blocks, components, cut_nodes


class Links(Struct, frozen=True, forbid_unknown_fields=True):
    """By names, else ids. `parted_by`: each of them is the only way between others. `cut_off`: the pieces that we are not in, of
    members whose partners are known. `not_known`: members that are no partner of ours and never said who theirs are."""

    parted_by: list[str]
    cut_off: list[list[str]]
    not_known: list[str]

    @property
    def is_whole(self) -> bool:
        return not (self.parted_by or self.cut_off)


class _StoredNews:
    """What members of a space told in their heads, and what was handed to them, as it was stored."""

    def __init__(self, reading: SpaceReading, row: SpaceRow) -> None:
        told = {member: one.heads for member, one in reading.heads_shown(row).items()}
        self._partners = {member: frozenset(heads.partners) for member, heads in told.items()}
        self._held = {member: _held(heads) for member, heads in told.items()}
        self._handed = reading.handed(row)

    def heads_of(self, member: PartnerId) -> Mapping[PartnerId, HeldUpTo] | None:
        return self._held.get(member)

    def partners_of(self, member: PartnerId) -> frozenset[PartnerId] | None:
        return self._partners.get(member)

    def was_sent(self, member: PartnerId, entry: EntryPlace) -> bool:
        return entry.number <= self._handed.get(member, {}).get(entry.author, 0)


def _held(heads: SpaceHeads) -> dict[PartnerId, HeldUpTo]:
    """Returns by author up to which number a member holds everything: of a fork what is above the least is told of one branch alone."""
    held: dict[PartnerId, HeldUpTo] = {}
    for one in heads.heads:
        known = held.get(one.author)
        if known is None or one.number < known.number:
            held[one.author] = HeldUpTo(one.number, one.entry_id, one.shown)
    return held


def news_of(store: StoreReading, space: EntryId | None) -> MembersNews:
    """Returns what members of a space told about themselves; nothing where it is not open yet."""
    reading = SpaceReading(store.database)
    row = None if space is None else reading.find(space)
    return NoNews() if row is None else _StoredNews(reading, row)


def links_among(
    store: StoreReading, own: PartnerId, members: Sequence[PartnerId], news: MembersNews
) -> Links:
    """Returns how these members, ourselves (`own`) among them or not, are linked."""
    rows = store.partners.all()
    names = store.partners.names() | {row.partner_id: row.alias for row in rows}
    told: dict[PartnerId, frozenset[PartnerId]] = {
        own: frozenset(row.partner_id for row in rows if row.has_link)
    }
    for member in members:
        partners = news.partners_of(member) if member != own else None
        if partners is not None:
            told[member] = partners
    among = sorted(set(members))
    linked = {
        frozenset((one, other))
        for one in among
        for other in told.get(one, ())
        if other != one and other in set(among)
    }
    known = [member for member in among if member in told or any(member in link for link in linked)]
    place = {member: number for number, member in enumerate(known)}
    neighbours: list[set[int]] = [set() for _ in known]
    for one, other in map(tuple, linked):
        neighbours[place[one]].add(place[other])
        neighbours[place[other]].add(place[one])

    def called(numbers: Sequence[int]) -> list[str]:
        return sorted(names.get(known[number]) or known[number].text for number in numbers)

    pieces = components(neighbours)
    ours = next(
        (piece for piece in pieces if own in {known[number] for number in piece}), pieces[:1] and pieces[0]
    )
    return Links(
        parted_by=called(cut_nodes(blocks(neighbours))),
        cut_off=[called(piece) for piece in pieces if piece is not ours],
        not_known=sorted(names.get(one) or one.text for one in among if one not in told and one not in place),
    )
