"""The contract of a kind of space: the kinds of entry it adds, and its fold over those that have an effect.

A kind is one file beside this one, and one row in `registry`. It is pure like everything here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

from p2pshare.identifiers import PartnerId
from p2pshare.spaces.vertex import Vertex

Json = None | bool | int | str | list["Json"] | dict[str, "Json"]


class EntryKind(NamedTuple):
    """A row of a kind's table. `read` raises PeerError for content that is not of this kind: then it has no effect."""

    is_deciding: bool
    """All members read it alike: no audience, a canonical map as content."""
    is_lead_only: bool
    """Only an act of the lead has an effect; otherwise any member's."""
    read: Callable[[bytes], object]


class FoldView(Protocol):
    """What a kind's fold may ask about a space besides each entry's effect."""

    def is_redacted(self, vertex: Vertex) -> bool:
        """Returns whether the body of an entry counts as absent."""
        ...

    def has_fork(self, author: PartnerId) -> bool:
        """Returns whether an author has any fork, pardoned or not."""
        ...

    def is_forked(self, author: PartnerId) -> bool:
        """Returns whether an author has a fork that is not pardoned."""
        ...

    def is_named(self, member: PartnerId) -> bool:
        """Returns whether an invitation of a member stands."""
        ...

    def roles(self) -> Mapping[PartnerId, str]:
        """Returns the role that its standing invitation gives to each member that has one."""
        ...


class KindFold(Protocol):
    """What a kind makes of the entries of one space. Entries without effect count as paths between others, and nothing else."""

    def whole(self, vertices: Sequence[Vertex]) -> Iterator[None]:
        """Fold all entries from the beginning, by (depth, id), so parents come before children; yields between small steps."""
        ...

    def add(self, vertex: Vertex) -> bool:
        """Fold one more entry, which is a parent of none. Returns False when only `whole` can say what follows from it."""
        ...

    def canonical(self) -> Json:
        """Returns the `state` of the canonical output (docs/spaces.md, "Canonical output")."""
        ...


class SpaceKind(NamedTuple):
    """A kind of space."""

    name: str
    entry_kinds: Mapping[str, EntryKind]
    lead_role: str
    """The role that takes part in takeovers, but for the lead itself; empty: everybody does."""
    fold: Callable[[FoldView], KindFold]
