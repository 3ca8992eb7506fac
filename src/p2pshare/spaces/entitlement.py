"""Entitlement: which entries of a space may be handed to whom, by what holds here (docs/spaces.md, "Who may have what").

1. A member that has joined, forked or not: all.
2. Who is invited: the opening, and the invitations that name it.
3. Who was removed, declined or left: besides, that end; and where it had joined before, all that the end has in its past, so that it
   can be told.
4. Others: nothing.

A body goes, moreover, only to who is in its audience, and never when it was redacted. Asked of a state that is up to date: an end that
was taken in and not folded yet would be overlooked.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Set

from p2pshare.identifiers import PartnerId
from p2pshare.spaces.acts import Inviting, Opening, Removal
from p2pshare.spaces.entry_graph import past_of
from p2pshare.spaces.fold import SpaceFold
from p2pshare.spaces.vertex import Vertex


class Entitlement:
    """Who may have what in one space, as of one state. Raises ValueError where that is not up to date."""

    def __init__(self, fold: SpaceFold) -> None:
        state = fold.newest_state
        if state is None or not fold.is_current:
            raise ValueError("who may have what is asked of a state that is up to date")
        self._fold = fold
        self._opening = state.opening
        self._invitations: defaultdict[PartnerId, list[Vertex]] = defaultdict(list)
        self._ends: defaultdict[PartnerId, list[Vertex]] = defaultdict(list)
        self._joins: defaultdict[PartnerId, list[Vertex]] = defaultdict(list)
        for vertex in fold.graph.vertices:
            if vertex.has_effect:
                self._note(vertex)
        self.members: dict[PartnerId, str] = dict(state.members)
        self.lead = state.lead
        self._parts: dict[PartnerId, frozenset[Vertex]] = {}

    def _note(self, vertex: Vertex) -> None:
        match vertex.kind, vertex.act:
            case _, Opening() | Inviting():
                assert isinstance(vertex.act, Opening | Inviting)
                for member, _ in vertex.act.names:
                    self._invitations[member].append(vertex)
            case _, Removal():
                assert isinstance(vertex.act, Removal)
                for member in vertex.act.members:
                    self._ends[member].append(vertex)
            case (("leave" | "decline"), _):
                self._ends[vertex.author].append(vertex)
            case "join", _:
                self._joins[vertex.author].append(vertex)

    def has_all(self, member: PartnerId) -> bool:
        """Returns whether a member has joined, and its membership goes on."""
        status = self.members.get(member)
        has_joined = member == self._opening.author or member in self._joins
        return status == "joined" or (status == "forked" and has_joined)

    def was_invited_by(self, member: PartnerId, author: PartnerId) -> bool:
        """Returns whether `author` wrote any invitation of a member that holds, the opening among them."""
        return any(vertex.author == author for vertex in self._invitations.get(member, ()))

    def may_have(self, member: PartnerId, vertex: Vertex) -> bool:
        """Returns whether a partner may have an entry, at least its header."""
        return self.has_all(member) or vertex in self.part_of(member)

    def may_have_body(self, member: PartnerId, vertex: Vertex) -> bool:
        """Returns whether a partner may have the body of an entry that it may have."""
        audience = vertex.header.audience
        if audience and member not in audience and member != vertex.author:
            return False
        return not self._fold.is_redacted(vertex)

    def part_of(self, member: PartnerId) -> Set[Vertex]:
        """Returns what a partner may have that has not joined, or not any more: nothing where it was never named."""
        found = self._parts.get(member)
        if found is None:
            found = self._parts[member] = frozenset(self._part_of(member))
        return found

    def _part_of(self, member: PartnerId) -> set[Vertex]:
        invitations = self._invitations.get(member)
        if not invitations or member not in self.members:
            return set()
        found = {self._opening, *invitations}
        joins = self._joins.get(member, [])
        for end in self._ends.get(member, ()):
            found.add(end)
            before = past_of(end.parents)
            if member == self._opening.author or any(join in before for join in joins):
                found |= before
        return found
