"""Heads: what a member holds of a space, told by the last entries of each author; and what another one lacks by them.

::

    heads = [realm, space, [[author, number, id, shown], ...], [[author, card version], ...], [wanted id, ...],
             [id of a wanted body, ...], [partner among the members, ...], asks]               (docs/spaces.md, "Heads")

Whoever holds an entry holds its past, so the last entries of each author name all that is held. Of an author with a fork each branch
has a last one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from p2pshare.envelope.encoding import Reader, pack, refusal
from p2pshare.identifiers import EntryId, PartnerId, Realm
from p2pshare.limits import ENTRY_NUMBER_MAX, SPACE_MEMBERS_MAX
from p2pshare.spaces.entry_graph import EntryGraph, past_of
from p2pshare.spaces.vertex import Vertex

HEADS_LISTED_MAX = 4_096  # in one list: 16 branches of each of 256 members; 320 KiB
BRANCHES_LISTED_MAX = (
    16  # of one author: a liar has as many as it likes; an entry that another cites is found by that
)
WANTED_MAX = 256  # ids in one list: as many as are answered
CARDS_LISTED_MAX = SPACE_MEMBERS_MAX


@dataclass(frozen=True, slots=True, order=True)
class AuthorHead:
    """The last entry of an author, or of one of its branches. `shown`: up to which number a person there was shown its entries."""

    author: PartnerId
    number: int
    entry_id: EntryId
    shown: int = 0


@dataclass(frozen=True, slots=True)
class SpaceHeads:
    """What a member says that it holds of one space, and what it asks for."""

    realm: Realm
    space: EntryId
    heads: tuple[AuthorHead, ...] = ()
    """By author, number and id."""
    cards: tuple[tuple[PartnerId, int], ...] = ()
    """The newest version of the card of each member that it holds."""
    wanted: tuple[EntryId, ...] = ()
    wanted_bodies: tuple[EntryId, ...] = ()
    partners: tuple[PartnerId, ...] = ()
    """The members to which it can hand over itself."""
    asks: bool = False
    """It wants the other's heads in answer, whatever they say."""

    def encode(self) -> bytes:
        return pack(self.told())

    def told(self) -> list[Any]:
        """Returns the array that is encoded."""
        return [
            self.realm,
            self.space,
            [[one.author, one.number, one.entry_id, one.shown] for one in self.heads],
            [[author, version] for author, version in self.cards],
            list(self.wanted),
            list(self.wanted_bodies),
            list(self.partners),
            int(self.asks),
        ]


def decode_heads(raw: bytes) -> SpaceHeads:
    """Returns the heads of one space. Raises PeerError `malformed`, `not-canonical`."""
    reader = Reader(raw)
    heads = read_heads(reader)
    reader.end()
    return heads


def read_heads(reader: Reader) -> SpaceHeads:
    """Returns the heads of one space that come next in what is read. Raises PeerError `malformed`, `not-canonical`."""
    reader.array(8, 8)
    realm = Realm(reader.blob(Realm.length, Realm.length))
    space = EntryId(reader.blob(EntryId.length, EntryId.length))
    heads = []
    for _ in range(reader.array(0, HEADS_LISTED_MAX)):
        reader.array(4, 4)
        author = PartnerId(reader.blob(PartnerId.length, PartnerId.length))
        number = reader.integer(ENTRY_NUMBER_MAX)
        entry_id = EntryId(reader.blob(EntryId.length, EntryId.length))
        heads.append(AuthorHead(author, number, entry_id, reader.integer(ENTRY_NUMBER_MAX)))
    cards = []
    for _ in range(reader.array(0, CARDS_LISTED_MAX)):
        reader.array(2, 2)
        cards.append((PartnerId(reader.blob(PartnerId.length, PartnerId.length)), reader.integer()))
    wanted = [EntryId(one) for one in _ids(reader, WANTED_MAX)]
    wanted_bodies = [EntryId(one) for one in _ids(reader, WANTED_MAX)]
    partners = [PartnerId(one) for one in _ids(reader, SPACE_MEMBERS_MAX)]
    asks = reader.integer(1)
    _ascend([(one.author, one.number, one.entry_id) for one in heads])
    _ascend([author for author, _ in cards])
    if any(not one.number for one in heads):
        raise refusal("malformed", "a head has no number")
    return SpaceHeads(
        realm,
        space,
        tuple(heads),
        tuple(cards),
        tuple(wanted),
        tuple(wanted_bodies),
        tuple(partners),
        bool(asks),
    )


def _ids(reader: Reader, most: int) -> list[bytes]:
    found = [reader.blob(32, 32) for _ in range(reader.array(0, most))]
    _ascend(found)
    return found


def _ascend(keys: Sequence[bytes] | Sequence[tuple[PartnerId, int, EntryId]]) -> None:
    if any(one >= other for one, other in pairwise(keys)):  # type: ignore[operator]
        raise refusal("malformed", "what is listed does not ascend")


# --- what is held here -----------------------------------------------------------------------------


def heads_of(
    graph: EntryGraph, shown: Mapping[PartnerId, int], within: Collection[Vertex] | None = None
) -> tuple[AuthorHead, ...]:
    """Returns the heads of all that is held, or of a part of it that has all parents of what is in it.

    Of an author with several entries under one number, each that it did not cite itself counts as one, the highest
    `BRANCHES_LISTED_MAX` of them.
    """
    last: list[Vertex] = []
    for author in graph.authors():
        if within is None and not graph.has_twins(author):
            last.append(next(graph.by_author(author)))
            continue
        own = [vertex for vertex in graph.by_author(author) if within is None or vertex in within]
        cited = {parent for vertex in own for parent in vertex.parents if parent.author == author}
        ends = [vertex for vertex in own if vertex not in cited]
        ends.sort(key=lambda vertex: (vertex.number, vertex.entry_id), reverse=True)
        last += ends[:BRANCHES_LISTED_MAX]
    found = [
        AuthorHead(
            vertex.author, vertex.number, vertex.entry_id, min(vertex.number, shown.get(vertex.author, 0))
        )
        for vertex in last
    ]
    return tuple(sorted(found)[:HEADS_LISTED_MAX])


# --- what another one holds ------------------------------------------------------------------------


class HeldElsewhere:
    """What a member holds by the heads that it showed, as far as the graph here knows the entries."""

    def __init__(self, graph: EntryGraph, heads: Iterable[AuthorHead]) -> None:
        self._graph = graph
        self._listed: defaultdict[PartnerId, list[AuthorHead]] = defaultdict(list)
        for one in heads:
            self._listed[one.author].append(one)
        self._past: set[Vertex] | None = None

    def unknown(self) -> Iterator[EntryId]:
        """Yields the ids of listed entries that are not here."""
        for listed in self._listed.values():
            for one in listed:
                if one.entry_id not in self._graph:
                    yield one.entry_id

    def holds(self, vertex: Vertex) -> bool:
        """Returns whether the member holds an entry: for certain where the heads of its author are here, else by its number."""
        listed = self._listed.get(vertex.author)
        if not listed:
            return False
        most = max(one.number for one in listed)
        if vertex.number > most:
            return False
        if any(one.entry_id == vertex.entry_id for one in listed):
            return True
        is_known = all(one.entry_id in self._graph for one in listed)
        if is_known and not self._graph.has_twins(vertex.author):
            return True
        if vertex in self._all():
            return True
        if is_known:
            return len(listed) >= BRANCHES_LISTED_MAX  # it could not list more
        return all(vertex.number != one.number for one in listed)  # what is beside what we lack, it may lack

    def lacked(self) -> Iterator[Vertex]:
        """Yields what is here and not there, an author after the other."""
        for author in self._graph.authors():
            listed = self._listed.get(author, ())
            if not self._graph.has_twins(author):
                # the chain of this author here has no branch: what is below its last entry there is there
                most = max((one.number for one in listed), default=0)
                for vertex in self._graph.by_author(author):
                    if vertex.number < most:
                        break
                    if vertex.number > most or not self.holds(vertex):
                        yield vertex
            else:
                yield from (vertex for vertex in self._graph.by_author(author) if not self.holds(vertex))

    def past_of_wanted(self, wanted: Iterable[EntryId], most: int) -> list[Vertex]:
        """Returns wanted entries that are here, with those in their pasts that the member does not hold, at most `most`."""
        found: dict[Vertex, None] = {}
        for entry_id in wanted:
            vertex = self._graph.get(entry_id)
            if vertex is None or vertex in found:
                continue
            found[vertex] = None
            stack = list(vertex.parents)
            while stack and len(found) < most:
                parent = stack.pop()
                if parent not in found and not self.holds(parent):
                    found[parent] = None
                    stack += parent.parents
            if len(found) >= most:
                break
        return list(found)

    def _all(self) -> set[Vertex]:
        if self._past is None:
            known = [self._graph.get(one.entry_id) for listed in self._listed.values() for one in listed]
            self._past = past_of(vertex for vertex in known if vertex is not None)
        return self._past
