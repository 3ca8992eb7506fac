"""Votes: proposals by round, and who has voted for which (docs/spaces.md, "Takeover and votes").

Whether somebody may propose or vote is for `authority` to say, from the past of the entry; here it is counted. A vote that was
counted stays: each is judged by its own past alone.
"""

from __future__ import annotations

from collections import defaultdict

from p2pshare.identifiers import PartnerId
from p2pshare.spaces.acts import Takeover
from p2pshare.spaces.vertex import Past, Term, Vertex


class Candidacy:
    """A takeover that is right by its past. `voters` may vote for it: who was named and had no fork there."""

    __slots__ = ("_by_author", "_has_doubles", "_votes", "act", "term", "vertex", "voters")

    def __init__(self, vertex: Vertex, act: Takeover, voters: frozenset[PartnerId]) -> None:
        self.vertex = vertex
        self.act = act
        self.voters = voters
        self.term: Term | None = None
        """Set once all votes together are a majority."""
        self._votes = 0
        self._by_author: defaultdict[PartnerId, int] = defaultdict(int)
        self._has_doubles = False

    @property
    def authors(self) -> frozenset[PartnerId]:
        """Who has voted for it, its own author among them."""
        return frozenset((self.vertex.author, *self._by_author))

    def count_ack(self, ack: Vertex) -> None:
        self._votes |= ack.bit
        self._has_doubles |= bool(self._by_author[ack.author])
        self._by_author[ack.author] |= ack.bit

    def has_majority(self, acks: int) -> bool:
        """Returns whether its own vote and those among `acks` (bits) are more than half of the voters."""
        votes = self._votes & acks
        if self._has_doubles:  # a fork may vote on both its branches, and is one voter
            count = sum(1 for bits in self._by_author.values() if bits & votes)
        else:
            count = votes.bit_count()
        return 2 * (1 + count) > len(self.voters)


class Ballot:
    """All proposals and votes of a space."""

    def __init__(self) -> None:
        self._proposals: dict[Vertex, Candidacy] = {}
        self._rounds: defaultdict[int, dict[int, int]] = defaultdict(dict)
        self._of_author: defaultdict[tuple[PartnerId, int], list[Vertex]] = defaultdict(list)
        self._votes: defaultdict[tuple[PartnerId, int], list[tuple[Vertex, Candidacy]]] = defaultdict(list)

    def proposal(self, vertex: Vertex) -> Candidacy | None:
        """Returns the proposal that a takeover makes, or None for one that is not right by its past."""
        return self._proposals.get(vertex)

    def proposals_in(self, epoch: int) -> list[Candidacy]:
        """Returns the proposals of an epoch that are right by their pasts, in the order in which they came."""
        return [one for one in self._proposals.values() if one.act.epoch == epoch]

    def propose(self, vertex: Vertex, act: Takeover, voters: frozenset[PartnerId]) -> Candidacy:
        """Add a takeover that is right by its past: it is the first vote for itself."""
        proposal = Candidacy(vertex, act, voters)
        self._proposals[vertex] = proposal
        rounds = self._rounds[act.epoch]
        rounds[act.round] = rounds.get(act.round, 0) | vertex.bit
        self._of_author[vertex.author, act.epoch].append(vertex)
        self._votes[vertex.author, act.epoch].append((vertex, proposal))
        return proposal

    def vote(self, ack: Vertex, proposal: Candidacy) -> None:
        proposal.count_ack(ack)
        self._votes[ack.author, proposal.act.epoch].append((ack, proposal))

    def next_round(self, epoch: int, past: Past) -> int:
        """Returns the round that a proposal of this epoch with this past must have."""
        rounds = self._rounds[epoch]
        for number in sorted(rounds, reverse=True):
            if rounds[number] & past.leading:
                return number + 1
        return 1

    def proposals_of(self, author: PartnerId, epoch: int, past: Past) -> int:
        """Returns how many proposals of this epoch an author has in a past."""
        return sum(1 for vertex in self._of_author[author, epoch] if past.holds(vertex))

    def has_voted(self, author: PartnerId, proposal: Candidacy, past: Past) -> bool:
        """Returns whether an author has, in this past, a vote for this proposal, or for another one of its epoch in the same or
        a later round."""
        return any(
            (other is proposal or other.act.round >= proposal.act.round) and past.holds(vote)
            for vote, other in self._votes[author, proposal.act.epoch]
        )
