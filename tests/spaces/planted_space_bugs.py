"""Bugs to be planted into the rules of authority, each a mistake that somebody could make one day.

A bug is a function that patches; the product has no switch for it. With each stands the story that must speak against it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import pytest

from p2pshare.errors import PeerError
from p2pshare.spaces.acts import Ack, Removal, decode_act
from p2pshare.spaces.authority import Authority, Forks
from p2pshare.spaces.effects import Effects
from p2pshare.spaces.vertex import Past, Term, Vertex
from p2pshare.spaces.votes import Ballot, Candidacy

Patch = pytest.MonkeyPatch


@dataclass(frozen=True)
class PlantedSpaceBug:
    """`plant` patches; one of the stories that begin with `found_by` must be told otherwise then."""

    plant: Callable[[Patch], None]
    found_by: str


# --- those of the design -------------------------------------------------------------------------------


def lowest_round_wins(patch: Patch) -> None:
    real = Authority._begin_term
    patch.setattr(
        Authority,
        "_begin_term",
        lambda self, vertex, number: real(self, vertex, (number[0], -number[1], number[2])),
    )


def forks_taken_out_of_old_votes(patch: Patch) -> None:
    real = Authority._ack

    def ack(self: Authority, vertex: Vertex, act: Ack) -> tuple[Term, ...]:
        if self.has_fork(vertex.author):
            vertex.void = "forked"
            return vertex.past.tops
        return real(self, vertex, act)

    patch.setattr(Authority, "_ack", ack)


def joined_only_voters(patch: Patch) -> None:
    real = Authority.voters
    patch.setattr(
        Authority,
        "voters",
        lambda self, past: frozenset(one for one in real(self, past) if self.is_joined(one, past)),
    )


def votes_cut_by_removals(patch: Patch) -> None:
    real = Authority._ack

    def removes(vertex: Vertex) -> tuple[Any, ...]:
        with suppress(PeerError):
            act = decode_act("remove", vertex.content or b"") if vertex.kind == "remove" else None
            return act.members if isinstance(act, Removal) else ()
        return ()

    def ack(self: Authority, vertex: Vertex, act: Ack) -> tuple[Term, ...]:
        if any(vertex.author in removes(other) for other in self._graph.vertices):
            vertex.void = "cut"
            return vertex.past.tops
        return real(self, vertex, act)

    patch.setattr(Authority, "_ack", ack)


def accept_raises_the_epoch(patch: Patch) -> None:
    real = Authority._begin_term

    def begin(self: Authority, vertex: Vertex, number: tuple[int, int, int]) -> Term:
        return real(self, vertex, (number[0] + 1, 0, 0) if vertex.kind == "accept" else number)

    patch.setattr(Authority, "_begin_term", begin)


def cut_by_arrival(patch: Patch) -> None:
    """What was there when the next term came counts on, not what that term had seen."""
    patch.setattr(Authority, "_acts_under", lambda self, term, past: self._acts_in_term[term])


# --- those of single rules -----------------------------------------------------------------------------


def a_second_vote_counts(patch: Patch) -> None:
    patch.setattr(Ballot, "has_voted", lambda self, author, proposal, past: False)


def an_earlier_round_may_be_voted_for(patch: Patch) -> None:
    def has_voted(self: Ballot, author: Any, proposal: Candidacy, past: Past) -> bool:
        return any(
            other.act.round == proposal.act.round and past.holds(vote)
            for vote, other in self._votes[author, proposal.act.epoch]
        )

    patch.setattr(Ballot, "has_voted", has_voted)


def a_vote_binds_for_good(patch: Patch) -> None:
    def has_voted(self: Ballot, author: Any, proposal: Candidacy, past: Past) -> bool:
        return any(past.holds(vote) for vote, _ in self._votes[author, proposal.act.epoch])

    patch.setattr(Ballot, "has_voted", has_voted)


def votes_after_a_settled_term_count(patch: Patch) -> None:
    real = Authority._ack

    def ack(self: Authority, vertex: Vertex, act: Ack) -> tuple[Term, ...]:
        tops = real(self, vertex, act)
        if vertex.void != "settled":
            return tops
        vertex.void = ""
        named = self._graph.get(act.takeover)
        proposal = self._ballot.proposal(named) if named is not None else None
        assert proposal is not None
        self._ballot.vote(vertex, proposal)
        return self._won_by(vertex, proposal)

    patch.setattr(Authority, "_ack", ack)


def any_round_will_do(patch: Patch) -> None:
    """What is proposed is taken as it is."""
    real = Authority._fault_of_takeover

    def fault(self: Authority, vertex: Vertex, act: Any) -> str:
        found = real(self, vertex, act)
        return "" if found == "wrong-round" else found

    patch.setattr(Authority, "_fault_of_takeover", fault)


def an_ack_counts_for_another_proposal(patch: Patch) -> None:
    """Where it has seen several, for one that it does not name."""
    real = Authority._ack

    def ack(self: Authority, vertex: Vertex, act: Ack) -> tuple[Term, ...]:
        others = [one.entry_id for one in self._ballot._proposals if vertex.past.holds(one)]
        return real(self, vertex, Ack(next((one for one in others if one != act.takeover), act.takeover)))

    patch.setattr(Authority, "_ack", ack)


def an_ack_need_not_have_seen_the_proposal(patch: Patch) -> None:
    real = Past.holds
    patch.setattr(Past, "holds", lambda self, vertex: vertex.kind == "takeover" or real(self, vertex))


def forks_may_vote_twice(patch: Patch) -> None:
    def has_majority(self: Candidacy, acks: int) -> bool:
        return 2 * (1 + (self._votes & acks).bit_count()) > len(self.voters)

    patch.setattr(Candidacy, "has_majority", has_majority)


def half_is_a_majority(patch: Patch) -> None:
    real = Candidacy.has_majority

    def has_majority(self: Candidacy, acks: int) -> bool:
        return real(self, acks) or 2 * (1 + (self._votes & acks).bit_count()) == len(self.voters)

    patch.setattr(Candidacy, "has_majority", has_majority)


def invitations_beat_removals(patch: Patch) -> None:
    real = Authority.has_one_after

    def has_one_after(self: Authority, invites: int, ends: int) -> bool:
        newest = invites.bit_length() > ends.bit_length()
        return bool(invites) and (newest or real(self, invites, ends))

    patch.setattr(Authority, "has_one_after", has_one_after)


def forks_are_not_pardoned(patch: Patch) -> None:
    real = Forks.least
    patch.setattr(Forks, "least", lambda self, seen, pardons: real(self, seen, []))


def a_pardon_is_for_good(patch: Patch) -> None:
    real = Forks.least
    patch.setattr(
        Forks, "least", lambda self, seen, pardons: 0 if any(pardons) else real(self, seen, pardons)
    )


def every_member_may_hand_over(patch: Patch) -> None:
    real = Authority._accept

    def accept(self: Authority, vertex: Vertex) -> tuple[Term, ...]:
        tops = real(self, vertex)
        if vertex.void == "not-handed" and any(
            one.kind == "handover" and vertex.past.holds(one) and (one.content or b"").endswith(vertex.author)
            for one in self._graph.vertices[: vertex.place]
        ):
            vertex.void = ""
            epoch, round_, hop = vertex.past.tops[0].number
            return (self._begin_term(vertex, (epoch, round_, hop + 1)),)
        return tops

    patch.setattr(Authority, "_accept", accept)


def a_rekey_reaches_settled_terms(patch: Patch) -> None:
    """The letter of the design: what is beside a rekey is void, whichever term came between."""
    real = Authority.acts

    def acts(self: Authority, past: Past) -> int:
        found = real(self, past)
        for author, rekeys in self._rekeys.items():
            for rekey, act in rekeys:
                if past.holds(rekey):
                    for key_id in act.last_good:
                        found &= ~self._acts_by_key[author, key_id] | rekey.past.membership
        return found

    patch.setattr(Authority, "acts", acts)


def content_of_a_fork_counts_at_once(patch: Patch) -> None:
    real = Effects._code

    def code(self: Effects, vertex: Vertex, after: int) -> str:
        found = real(self, vertex, after)
        return "" if found == "unconfirmed" else found

    patch.setattr(Effects, "_code", code)


PLANTED: Mapping[str, PlantedSpaceBug] = MappingProxyType(
    {
        "lowest round wins": PlantedSpaceBug(lowest_round_wins, "2:"),
        "forks taken out of old votes": PlantedSpaceBug(forks_taken_out_of_old_votes, "1:"),
        "joined-only voters": PlantedSpaceBug(joined_only_voters, "3:"),
        "votes cut by removals": PlantedSpaceBug(votes_cut_by_removals, "4:"),
        "accept raises epoch": PlantedSpaceBug(accept_raises_the_epoch, "5:"),
        "cut by arrival": PlantedSpaceBug(cut_by_arrival, "4:"),
        "a second vote counts": PlantedSpaceBug(a_second_vote_counts, "a second vote in the same round"),
        "an earlier round may be voted for": PlantedSpaceBug(
            an_earlier_round_may_be_voted_for, "a vote for an earlier round"
        ),
        "a vote binds for good": PlantedSpaceBug(a_vote_binds_for_good, "2:"),
        "votes after a settled term count": PlantedSpaceBug(
            votes_after_a_settled_term_count, "a vote with a term of that epoch"
        ),
        "any round will do": PlantedSpaceBug(any_round_will_do, "11:"),
        "an ack counts for another proposal": PlantedSpaceBug(an_ack_counts_for_another_proposal, "12:"),
        "an ack need not have seen the proposal": PlantedSpaceBug(
            an_ack_need_not_have_seen_the_proposal, "an ack counts for nothing"
        ),
        "forks may vote twice": PlantedSpaceBug(forks_may_vote_twice, "an author with a fork beside"),
        "half is a majority": PlantedSpaceBug(half_is_a_majority, "two members need both"),
        "invitations beat removals": PlantedSpaceBug(invitations_beat_removals, "a lead with a fork"),
        "forks are not pardoned": PlantedSpaceBug(forks_are_not_pardoned, "9:"),
        "a pardon is for good": PlantedSpaceBug(a_pardon_is_for_good, "a fork after a pardon"),
        "every member may hand over": PlantedSpaceBug(every_member_may_hand_over, "a handover by a member"),
        "a rekey reaches settled terms": PlantedSpaceBug(
            a_rekey_reaches_settled_terms, "the rekey of a lead that was replaced"
        ),
        "content of a fork counts at once": PlantedSpaceBug(content_of_a_fork_counts_at_once, "9:"),
    }
)
