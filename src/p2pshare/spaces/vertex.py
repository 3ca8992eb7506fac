"""An entry in the graph of its space, and its past as far as authority is concerned.

A `Past` holds the entries of authority kinds and of forks, as bits of integers. Most entries are content and share the `Past` of
their parents, one object. It has columns, so that a thousand votes do not make long what is asked about members; and it
knows its top terms.
"""

from __future__ import annotations

from dataclasses import dataclass

from msgspec import Struct

from p2pshare.envelope.entry import EntryHeader, VerifiedEntry
from p2pshare.identifiers import EntryId, KeyId, PartnerId
from p2pshare.spaces.acts import Act

NO_COLUMN, MEMBERSHIP, LEADING, ACKS = 0, 1, 2, 3


class Past(Struct, eq=False, gc=False):
    """The entries that have a bit, by column. `tops` are the terms with the greatest number, by id; `names` has a bit for each partner that
    leads have named in it.

    Liars have tens of thousands of these made, and nothing in one leads back to it: so the garbage collector need not look at them.
    """

    membership: int
    leading: int
    acks: int
    forks: int
    names: int
    tops: tuple[Term, ...]

    def holds(self, vertex: Vertex) -> bool:
        """Returns whether an entry with a bit is in it."""
        match vertex.column:
            case 1:
                return bool(self.membership & vertex.bit)
            case 2:
                return bool(self.leading & vertex.bit)
            case 3:
                return bool(self.acks & vertex.bit)
            case _:
                return False  # not judged yet, so in no past

    @property
    def term(self) -> Term | None:
        """Returns the one term at its top, or None where there are several (contested) or none (no entries)."""
        return self.tops[0] if len(self.tops) == 1 else None


NO_PAST = Past(0, 0, 0, 0, 0, ())
"""Of the opening."""

ScreenOrder = tuple[int, EntryId]
"""(depth, id): the order of a screen."""


@dataclass(frozen=True, slots=True)
class SpaceEntry:
    """An entry as a fold reads it: verified, and taken in."""

    entry_id: EntryId
    header: EntryHeader
    content: bytes | None
    """The body without its random bytes; None where it is not held, or was dropped. Deciding entries always have it."""

    @classmethod
    def of(cls, entry: VerifiedEntry) -> SpaceEntry:
        return cls(entry.entry_id, entry.header, entry.content() if entry.body_fits() else None)

    def without_content(self) -> SpaceEntry:
        return SpaceEntry(self.entry_id, self.header, None)


class Vertex:
    """An entry in the graph, and what has been found out about it. Two are the same when they are one object."""

    __slots__ = (
        "act",
        "author",
        "bit",
        "code",
        "column",
        "content",
        "depth",
        "entry_id",
        "fork_bit",
        "has_body",
        "header",
        "is_covered",
        "is_readable",
        "is_seen",
        "key_id",
        "kind",
        "number",
        "parents",
        "past",
        "place",
        "term",
        "upto",
        "void",
    )

    def __init__(self, entry: SpaceEntry, parents: tuple[Vertex, ...], place: int) -> None:
        header = entry.header
        self.entry_id = entry.entry_id
        self.header = header
        self.content = entry.content
        """Kept of the kinds that a fold reads (`SpaceFold.add`)."""
        self.has_body = entry.content is not None
        self.is_readable: bool | None = None
        """Whether content says what its kind must; None until somebody has looked."""
        self.author: PartnerId = header.author
        self.key_id: KeyId = header.key_id
        self.number = header.number
        self.depth = header.depth
        self.kind = header.kind
        self.parents = parents
        self.place = place
        """Its place among all, parents before children."""
        # by `authority`:
        self.act: Act | None = None
        self.column = 0
        self.bit = 0
        self.fork_bit = 0
        self.past: Past = NO_PAST
        self.upto: Past = NO_PAST
        self.term: Term | None = None
        self.void = ""
        # by `effects`:
        self.code = ""
        self.is_seen = False
        self.is_covered = False

    @property
    def has_effect(self) -> bool:
        return not self.code

    def __repr__(self) -> str:
        return f"Vertex({self.entry_id.short} {self.kind})"


TermNumber = tuple[int, int, int]
"""(epoch, round, hop): votes raise the first two, handovers the last."""


def by_order(vertex: Vertex) -> ScreenOrder:
    return vertex.depth, vertex.entry_id


class Term:
    """An entry that made its author the lead, wherever it is in the past. `before` are the top terms of its own past. It names its entry and
    leads to no past: see `Past`."""

    __slots__ = ("author", "bit", "entry_id", "line", "number")

    def __init__(self, vertex: Vertex, number: TermNumber, before: tuple[Term, ...], bit: int) -> None:
        self.entry_id = vertex.entry_id
        self.author: PartnerId = vertex.author
        self.number = number
        self.bit = bit
        self.line = bit
        """The bits of all terms that led to it, its own among them."""
        for term in before:
            self.line |= term.line


def precedes(one: Vertex, other: Vertex) -> bool:
    """Returns whether `one` is in the past of `other`, both of one author.

    Its numbers have no gap in any of its pasts (rule 15), so only twins must be told apart. Those of a fork have bits from the
    beginning; two joins are none, and have theirs once they are judged.
    """
    if one.number >= other.number:
        return False
    if one.fork_bit:
        return bool(other.past.forks & one.fork_bit)
    return one.kind != "join" or other.past.holds(one)
