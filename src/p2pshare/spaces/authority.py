"""Authority: who leads a space and who is a member, as a function of a set of entries (docs/spaces.md, "Authority").

The rules, with the words of that page:

1. What an entry is by its own past stays: a term, a vote, an act written as lead, void. `Authority.judge` finds it out once, parents
   before children, and nothing that comes later or stands beside it changes it.
2. A lead act counts while its term is at the top, and what the next term had in its past counts on (`Authority.is_lead_act`).
3. An invitation counts that has all ends of that membership in its past: a removal beats an invitation beside it.
4. Votes are counted over those who were named in the proposal's past, whether they joined or not.

Everything asked about a past is asked of its `Past`: two with the same authority entries have the same answers, which are kept.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from p2pshare.envelope.entry import AUTHORITY_KINDS, DECIDING_IN_EVERY_SPACE
from p2pshare.errors import PeerError
from p2pshare.identifiers import KeyId, PartnerId
from p2pshare.limits import (
    AUTHORITY_ENTRIES_AS_LEAD_MAX,
    AUTHORITY_ENTRIES_MAX,
    SPACE_MEMBERS_MAX,
    TAKEOVERS_PER_EPOCH_MAX,
)
from p2pshare.spaces.acts import (
    NOTHING_GOOD,
    Ack,
    Handover,
    Inviting,
    Known,
    Opening,
    Rekey,
    Removal,
    Takeover,
    decode_act,
)
from p2pshare.spaces.entry_graph import EntryGraph, is_fork
from p2pshare.spaces.interface import EntryKind
from p2pshare.spaces.vertex import (
    ACKS,
    LEADING,
    MEMBERSHIP,
    NO_PAST,
    Past,
    Term,
    TermNumber,
    Vertex,
    by_order,
    precedes,
)
from p2pshare.spaces.votes import Ballot, Candidacy

_COLUMN_BY_KIND = {
    "open": MEMBERSHIP,
    "invite": MEMBERSHIP,
    "join": MEMBERSHIP,
    "decline": MEMBERSHIP,
    "leave": MEMBERSHIP,
    "remove": MEMBERSHIP,
    "rekey": MEMBERSHIP,
    "handover": LEADING,
    "accept": LEADING,
    "takeover": LEADING,
    "redact": LEADING,
    "ack": ACKS,
}
LEAD_ONLY_KINDS = frozenset({"invite", "remove", "handover"})
FIRST_TERM: TermNumber = (0, 0, 0)
STEP_FLAGS = 16_384  # entries made ready between two yields: some 2 ms
STEP_FORKS = 2_048  # as long
FORKS_KEPT_MAX = 4_096  # answers about forks: of 10,000 entries each they are 5 MB


class Membership:
    """What was ever said about the membership of one partner, as bits of the membership column: by leads (`invites`, `removes`),
    and by itself (`joins`, `ends`)."""

    __slots__ = ("ends", "invites", "joins", "name_bit", "removes")

    def __init__(self, name_bit: int) -> None:
        self.name_bit = name_bit
        self.invites = 0
        self.removes = 0
        self.ends = 0
        self.joins = 0


class Sides(NamedTuple):
    """The invitations, and the ends of either kind, of one membership that count in a past."""

    invites: int
    ends: int


NO_MEMBERSHIP = Membership(0)


class Forks:
    """The forks of one author. Each of their entries has a bit, those of the least number first."""

    __slots__ = ("_first", "_mask", "_masks", "_numbers", "_twins")

    def __init__(self, first_bit: int) -> None:
        self._first = first_bit
        self._mask = 0
        self._numbers: list[int] = []
        """By bit, from the first."""
        self._masks: dict[int, int] = {}
        self._twins: dict[int, list[Vertex]] = {}

    def add(self, twins: list[Vertex]) -> None:
        """Add the entries of the next number."""
        number, first = twins[0].number, len(self._numbers)
        for place, twin in enumerate(twins):
            twin.fork_bit = 1 << (self._first + first + place)
        self._numbers += [number] * len(twins)
        self._masks[number] = ((1 << len(twins)) - 1) << first
        self._mask |= self._masks[number]
        self._twins[number] = twins

    def within(self, past: Past) -> int:
        """Returns which of these entries are in a past, as bits from the author's first."""
        return (past.forks >> self._first) & self._mask

    def least(self, seen: int, pardons: list[int]) -> int:
        """Returns the least number that is a fork among the entries that are `seen`, and of which no pardon has all; or 0."""
        rest = seen & ~pardons[0] if pardons else seen
        while rest:
            number = self._numbers[(rest & -rest).bit_length() - 1]
            mask = self._masks[number]
            rest &= ~mask
            here = seen & mask
            if not here & (here - 1) or any(not here & ~pardon for pardon in pardons):
                continue
            if is_fork([twin for twin in self._twins[number] if here & (twin.fork_bit >> self._first)]):
                return number
        return 0


class Authority:
    """What authority follows from the entries of a graph that were judged, each once, parents before children; first `begin`.

    `entry_kinds` is the table of the space's kind, `lead_role` the role that takes part in takeovers (empty: everybody). Forks must be
    known before their first entry is judged: a fork that comes to light later makes a new one of these.
    """

    def __init__(self, graph: EntryGraph, entry_kinds: Mapping[str, EntryKind], lead_role: str) -> None:
        self._graph = graph
        self._entry_kinds = entry_kinds
        self._lead_role = lead_role
        self._ballot = Ballot()
        self._terms: list[Term] = []
        self._followers: defaultdict[Term, list[tuple[Term, Past]]] = defaultdict(list)
        """Of a term, those whose past has it at the top, with that past."""
        self._won: list[tuple[Candidacy, Term]] = []
        self.members: dict[PartnerId, Membership] = {}
        self._by_bit: list[Vertex] = []
        self._known: Known = {}
        self._acts_in_term: defaultdict[Term, int] = defaultdict(int)
        self._acts_by_key: defaultdict[tuple[PartnerId, KeyId], int] = defaultdict(int)
        self._settled: dict[Term, int] = {}
        self._handovers: defaultdict[tuple[Term, PartnerId], list[Vertex]] = defaultdict(list)
        self._rekeys: defaultdict[PartnerId, list[tuple[Vertex, Rekey]]] = defaultdict(list)
        self._written: dict[tuple[PartnerId, bool], list[int]] = {}
        self._bits = [0, 0, 0, 0]
        self._fork_bits = 0
        self._forks: dict[PartnerId, Forks] = {}
        self._pasts: dict[tuple[int, int, int, int], Past] = {}
        self._names = 0
        self._acts: dict[tuple[int, tuple[Term, ...]], int] = {}
        self._voters: dict[tuple[int, int, tuple[Term, ...]], frozenset[PartnerId]] = {}
        self._least_forks: dict[tuple[PartnerId, int, int], int] = {}

    # --- judging, parents before children ----------------------------------------------------------

    def begin(self, count: int) -> Iterator[None]:
        """Make ready to judge the first `count` entries; yields between small steps."""
        vertices, forks = self._graph.vertices, list(self._graph.forks())
        for start in range(0, count, STEP_FLAGS):
            for vertex in vertices[
                start : min(start + STEP_FLAGS, count)
            ]:  # what an earlier one of these gave them
                vertex.bit = vertex.column = vertex.fork_bit = 0
            yield
        for number, twins in enumerate(forks):
            author = twins[0].author
            if author not in self._forks:
                self._forks[author] = Forks(self._fork_bits)
            if twins[-1].place >= count:  # what came meanwhile is of the next fold
                twins = [twin for twin in twins if twin.place < count]
            self._forks[author].add(twins)
            self._fork_bits += len(twins)
            if number % STEP_FORKS == STEP_FORKS - 1:
                yield

    def judge(self, vertex: Vertex) -> None:
        """Find out all that an entry is by its own past. Raises ValueError for a deciding entry without its body."""
        past = self._joined_past([parent.upto for parent in vertex.parents])
        vertex.past, vertex.act, vertex.void = past, None, ""
        term = past.term
        vertex.term = term if term is not None and term.author == vertex.author else None
        kind = vertex.kind
        if kind in AUTHORITY_KINDS:
            self._judge_authority(vertex)
        else:
            self._judge_other(vertex)
            vertex.upto = self._with(vertex, past.names, past.tops)

    def _judge_other(self, vertex: Vertex) -> None:
        row = self._entry_kinds.get(vertex.kind)
        if vertex.kind in DECIDING_IN_EVERY_SPACE:
            self._read(vertex)
        elif row is not None and row.is_deciding:
            vertex.void = "" if _reads(row, vertex) else "bad-body"
            if row.is_lead_only and not vertex.void:
                if vertex.term is None:
                    vertex.void = "not-lead"
                else:
                    self._give_bit(vertex, LEADING)  # whether it was in a later term's past is asked of it

    def _judge_authority(self, vertex: Vertex) -> None:
        past, tops, names = vertex.past, vertex.past.tops, vertex.past.names
        self._give_bit(vertex, _COLUMN_BY_KIND[vertex.kind])
        self._read(vertex)
        is_over = self._count_written(vertex)
        if is_over and not vertex.void:
            vertex.void = "too-many"
        if not vertex.void:
            match vertex.act:
                case Opening():
                    names = self._open(vertex, vertex.act)
                    tops = (self._begin_term(vertex, FIRST_TERM),)
                case Inviting():
                    names = self._invite(vertex, vertex.act)
                case Removal():
                    self._remove(vertex, vertex.act)
                case Handover():
                    self._hand_over(vertex, vertex.act)
                case Takeover():
                    tops = self._take_over(vertex, vertex.act)
                case Ack():
                    tops = self._ack(vertex, vertex.act)
                case Rekey():
                    self._rekey(vertex, vertex.act)
                case _ if vertex.kind == "join":
                    self._membership(vertex.author).joins |= vertex.bit
                case _ if vertex.kind in ("leave", "decline"):
                    if vertex.term is None:  # a lead hands over first
                        self._membership(vertex.author).ends |= vertex.bit
                case _ if vertex.kind == "accept":
                    tops = self._accept(vertex)
        vertex.upto = self._with(vertex, names, tops or past.tops)

    def _read(self, vertex: Vertex) -> None:
        if vertex.content is None:
            raise ValueError("a deciding entry was taken in without its body")
        try:
            vertex.act = decode_act(vertex.kind, vertex.content, self._known)
        except PeerError:
            vertex.void = "bad-body"
            return
        if isinstance(vertex.act, Opening) and vertex.author not in dict(vertex.act.names):
            vertex.void = "bad-body"

    def _count_written(self, vertex: Vertex) -> bool:
        """Count an authority entry for its author, and return whether its past has as many as there may be."""
        is_as_lead = vertex.term is not None or vertex.kind == "open"
        most = AUTHORITY_ENTRIES_AS_LEAD_MAX if is_as_lead else AUTHORITY_ENTRIES_MAX
        written = self._written.setdefault((vertex.author, is_as_lead), [0, 0, 0, 0])
        past = vertex.past
        count = 0
        if written[0] >= most:
            count = (
                (written[MEMBERSHIP] & past.membership).bit_count()
                + (written[LEADING] & past.leading).bit_count()
                + (written[ACKS] & past.acks).bit_count()
            )
        written[0] += 1
        written[vertex.column] |= vertex.bit
        return count >= most

    def _open(self, vertex: Vertex, act: Opening) -> int:
        names = 0
        for member, _ in act.names:
            membership = self._membership(member)
            membership.invites |= vertex.bit
            names |= membership.name_bit
        return names

    def _invite(self, vertex: Vertex, act: Inviting) -> int:
        names = vertex.past.names
        if vertex.term is None:
            vertex.void = "not-lead"
            return names
        memberships = [self._membership(member) for member, _ in act.names]
        for membership in memberships:
            names |= membership.name_bit
        if names.bit_count() > SPACE_MEMBERS_MAX:
            vertex.void = "members-full"
            return vertex.past.names
        for membership in memberships:
            membership.invites |= vertex.bit
        self._note_act(vertex)
        return names

    def _remove(self, vertex: Vertex, act: Removal) -> None:
        if vertex.term is None:
            vertex.void = "not-lead"
            return
        for member in act.members:
            if member != vertex.author:  # the lead itself is never removed by its own past
                self._membership(member).removes |= vertex.bit
        self._note_act(vertex)

    def _note_act(self, vertex: Vertex) -> None:
        assert vertex.term is not None
        self._acts_in_term[vertex.term] |= vertex.bit
        self._acts_by_key[vertex.author, vertex.key_id] |= vertex.bit

    def _hand_over(self, vertex: Vertex, act: Handover) -> None:
        if vertex.term is None:
            vertex.void = "not-lead"
            return
        self._handovers[vertex.term, act.to].append(vertex)

    def _accept(self, vertex: Vertex) -> tuple[Term, ...]:
        past = vertex.past
        term = past.term
        is_offered = term is not None and any(
            past.holds(handover) and self.is_lead_act(handover, past)
            for handover in self._handovers.get((term, vertex.author), ())
        )
        if term is None or not is_offered or not self.is_joined(vertex.author, past, is_named=True):
            vertex.void = "not-handed"
            return past.tops
        epoch, round_, hop = term.number
        return (self._begin_term(vertex, (epoch, round_, hop + 1)),)

    def _rekey(self, vertex: Vertex, act: Rekey) -> None:
        for key_id, good in act.last_good.items():
            last = self._graph.get(good)
            is_own = (
                last is not None
                and last.author == vertex.author
                and last.place < vertex.place
                and precedes(last, vertex)
            )
            if key_id == vertex.key_id or not (is_own or good == NOTHING_GOOD):
                vertex.void = "bad-rekey"
                return
        self._rekeys[vertex.author].append((vertex, act))

    # --- takeover ----------------------------------------------------------------------------------

    def _take_over(self, vertex: Vertex, act: Takeover) -> tuple[Term, ...]:
        past = vertex.past
        vertex.void = self._fault_of_takeover(vertex, act)
        if vertex.void:
            return past.tops
        proposal = self._ballot.propose(vertex, act, self.voters(past))
        return self._won_by(vertex, proposal)

    def _fault_of_takeover(self, vertex: Vertex, act: Takeover) -> str:
        past, author = vertex.past, vertex.author
        if not self.is_joined(author, past, is_named=True) or not self._has_lead_role(author, past):
            return "not-member"
        if vertex.term is not None:
            return "is-lead"
        if self.least_fork(author, past):
            return "forked"
        if act.epoch != past.tops[0].number[0] + 1 or act.round != self._ballot.next_round(act.epoch, past):
            return "wrong-round"
        if self._ballot.proposals_of(author, act.epoch, past) >= TAKEOVERS_PER_EPOCH_MAX:
            return "too-many"
        return ""

    def _ack(self, vertex: Vertex, act: Ack) -> tuple[Term, ...]:
        past = vertex.past
        named = self._graph.get(act.takeover)
        proposal = self._ballot.proposal(named) if named is not None else None
        if named is None or proposal is None or not past.holds(named):
            vertex.void = "no-proposal"
        elif vertex.author not in proposal.voters or not self.is_joined(vertex.author, past):
            vertex.void = "not-member"
        elif past.tops[0].number[0] >= proposal.act.epoch:
            vertex.void = "settled"
        elif self._ballot.has_voted(vertex.author, proposal, past):
            vertex.void = "voted"
        else:
            self._ballot.vote(vertex, proposal)
            return self._won_by(vertex, proposal)
        return past.tops

    def _won_by(self, vote: Vertex, proposal: Candidacy) -> tuple[Term, ...]:
        """Returns the top terms of the past of `vote` and of itself. A majority anywhere makes the proposal a term."""
        if proposal.term is None and proposal.has_majority(-1):
            number = (proposal.act.epoch, proposal.act.round, 0)
            proposal.term = self._begin_term(proposal.vertex, number)
            self._won.append((proposal, proposal.term))
        acks = vote.past.acks | (vote.bit if vote.column == ACKS else 0)
        if proposal.term is not None and proposal.has_majority(acks):
            return (proposal.term,)
        return vote.past.tops

    def _has_lead_role(self, member: PartnerId, past: Past) -> bool:
        return not self._lead_role or self.role(member, past) == self._lead_role

    # --- looking ahead -----------------------------------------------------------------------------

    def open_proposals(self) -> list[Candidacy]:
        """Returns the proposals that a majority may still make the lead: those of the next epoch."""
        return self._ballot.proposals_in(self.everything().tops[0].number[0] + 1)

    def proposal(self, takeover: Vertex) -> Candidacy | None:
        """Returns the proposal that a takeover makes, with its votes; None for one that is not right by its past."""
        return self._ballot.proposal(takeover)

    def has_voted(self, member: PartnerId, proposal: Candidacy) -> bool:
        """Returns whether a vote of `member` for this proposal would be void, for it has voted for it, or for another one of its
        epoch in the same or a later round."""
        return self._ballot.has_voted(member, proposal, self.everything())

    def next_takeover(self, parents: Iterable[Vertex]) -> tuple[int, int]:
        """Returns the epoch and the round that a takeover behind these entries must have."""
        past = self._joined_past([parent.upto for parent in parents])
        epoch = past.tops[0].number[0] + 1
        return epoch, self._ballot.next_round(epoch, past)

    def win(self, takeover: Vertex) -> None:
        """Take a proposal for a term, as if it had its majority. Raises KeyError for one that is not right by its past."""
        proposal = self._ballot.proposal(takeover)
        if proposal is None:
            raise KeyError(takeover.entry_id)
        if proposal.term is None:
            proposal.term = self._begin_term(takeover, (proposal.act.epoch, proposal.act.round, 0))

    # --- questions about a past --------------------------------------------------------------------

    def is_lead_act(self, vertex: Vertex, past: Past) -> bool:
        """Returns whether an entry in `past`, of a kind for the lead alone, has an effect there."""
        return self.fault_of_lead_act(vertex, past) == ""

    def fault_of_lead_act(self, vertex: Vertex, past: Past) -> str:
        """Returns "" for an act of the lead, else `not-lead`, `cut` or `disowned`."""
        term = vertex.term
        if term is None:
            return "not-lead"
        is_in_line = False
        if term in past.tops:
            if not self._is_disowned_act(vertex, past):
                return ""
            is_in_line = True
        line = 0
        for top in past.tops:
            line |= top.line
        for follower, its_past in self._followers.get(term, ()):
            if follower.bit & line and its_past.holds(vertex):
                if not self._is_disowned_act(vertex, its_past):
                    return ""
                is_in_line = True
        return "disowned" if is_in_line else "cut"

    def _is_disowned_act(self, vertex: Vertex, past: Past) -> bool:
        return any(
            vertex.key_id in act.last_good and past.holds(rekey) and not precedes(vertex, rekey)
            for rekey, act in self._rekeys.get(vertex.author, ())
        )

    def is_disowned(self, vertex: Vertex) -> bool:
        """Returns whether any rekey voids an entry that is no authority entry and not the lead's alone."""
        for _, act in self._rekeys.get(vertex.author, ()):
            good = act.last_good.get(vertex.key_id)
            if good is None:
                continue
            last = self._graph.get(good)
            if last is None or not (last is vertex or precedes(vertex, last)):
                return True
        return False

    def acts(self, past: Past) -> int:
        """Returns the invitations and removals that count in a past, as bits; the opening among them."""
        key = (past.membership, past.tops)
        found = self._acts.get(key)
        if found is None:
            found = self._graph.opening.bit
            for term in past.tops:
                found |= self._acts_under(term, past) | self._settled[term]
            self._acts[key] = found
        return found

    def _acts_under(self, term: Term, past: Past) -> int:
        """Returns the acts in a past that were written under a term, without those that a rekey there disowns."""
        acts = self._acts_in_term[term] & past.membership
        for rekey, act in self._rekeys.get(term.author, ()):
            if past.holds(rekey):
                for key_id in act.last_good:
                    acts &= ~self._acts_by_key[term.author, key_id] | rekey.past.membership
        return acts

    def sides(self, member: PartnerId, past: Past) -> Sides:
        said, acts = self.members.get(member, NO_MEMBERSHIP), self.acts(past)
        return Sides(said.invites & acts, (said.removes & acts) | (said.ends & past.membership))

    def has_one_after(self, invites: int, ends: int) -> bool:
        """Returns whether any of these invitations has all of these ends in its past.

        Those in the past of another know no more than it, so only the last ones are looked at.
        """
        return any(not ends & ~last.past.membership for last in self._last_ones(invites))

    def _last_ones(self, invites: int) -> Iterator[Vertex]:
        """Yields the invitations of these that are in the past of no other."""
        while invites:
            last = self._by_bit[invites.bit_length() - 1]
            yield last
            invites &= ~(last.past.membership | last.bit)

    def is_named(self, member: PartnerId, past: Past) -> bool:
        return self.has_one_after(*self.sides(member, past))

    def is_joined(self, member: PartnerId, past: Past, *, is_named: bool = False) -> bool:
        """Returns whether a partner has joined; with `is_named`, whether it is a member besides."""
        if is_named and not self.is_named(member, past):
            return False
        if member == self._graph.opening.author:
            return True
        invites, ends = self.sides(member, past)
        joins = self.members.get(member, NO_MEMBERSHIP).joins & past.membership
        return any(self.has_one_after(invites & join.past.membership, ends) for join in self.with_bits(joins))

    def with_bits(self, bits: int) -> Iterator[Vertex]:
        """Yields the entries that have these bits in the membership column, the last first."""
        while bits:
            vertex = self._by_bit[bits.bit_length() - 1]
            bits ^= vertex.bit
            yield vertex

    def role(self, member: PartnerId, past: Past) -> str:
        """Returns the role that a member's standing invitation gives it, the one with the greatest (depth, id)."""
        invites, ends = self.sides(member, past)
        standing = [one for one in self.with_bits(invites) if not ends & ~one.past.membership]
        act = max(standing, key=by_order).act
        assert isinstance(act, Opening | Inviting)
        return dict(act.names)[member]

    def least_fork(self, member: PartnerId, past: Past) -> int:
        """Returns the least number of a fork of `member` in a past that no invitation there pardons, or 0."""
        forks = self._forks.get(member)
        seen = 0 if forks is None else forks.within(past)
        if forks is None or not seen:
            return 0
        invites = self.sides(member, past).invites
        key = (member, seen, invites)
        found = self._least_forks.get(key)
        if found is None:
            if len(self._least_forks) >= FORKS_KEPT_MAX:
                self._least_forks.clear()
            pardons = [forks.within(last.past) for last in self._last_ones(invites)]
            found = self._least_forks[key] = forks.least(seen, pardons)
        return found

    def authors_with_forks(self) -> Iterable[PartnerId]:
        return self._forks.keys()

    def has_fork(self, member: PartnerId) -> bool:
        """Returns whether an author has any fork, pardoned or not."""
        return member in self._forks

    def voters(self, past: Past) -> frozenset[PartnerId]:
        """Returns who may vote for a proposal with this past: named, whether joined or not, and without a fork. Where a role takes part in
        takeovers, who has it but for the lead: two of them must do, or a lead that is lost could not be replaced (docs/spaces.md)."""
        key = (past.membership, past.forks, past.tops)
        found = self._voters.get(key)
        if found is None:
            leads = {term.author for term in past.tops} if self._lead_role else ()
            found = frozenset(
                member
                for member in self.members
                if member not in leads
                and self.is_named(member, past)
                and not self.least_fork(member, past)
                and self._has_lead_role(member, past)
            )
            self._voters[key] = found
        return found

    def everything(self) -> Past:
        """Returns the past of an entry that would follow all that were judged."""
        best = max(term.number for term in self._terms)
        tops = [term for term in self._terms if term.number == best]
        _, membership, leading, acks = ((1 << count) - 1 for count in self._bits)
        return Past(membership, leading, acks, (1 << self._fork_bits) - 1, self._names, _by_id(tops))

    # --- pasts and bits ----------------------------------------------------------------------------

    def _membership(self, member: PartnerId) -> Membership:
        found = self.members.get(member)
        if found is None:
            found = self.members[member] = Membership(1 << len(self.members))
        return found

    def _begin_term(self, vertex: Vertex, number: TermNumber) -> Term:
        term = Term(vertex, number, vertex.past.tops, 1 << len(self._terms))
        self._terms.append(term)
        settled = 0
        for before in vertex.past.tops:
            self._followers[before].append((term, vertex.past))
            settled |= self._acts_under(before, vertex.past) | self._settled[before]
        self._settled[term] = settled
        return term

    def _give_bit(self, vertex: Vertex, column: int) -> None:
        vertex.column, vertex.bit = column, 1 << self._bits[column]
        self._bits[column] += 1
        if column == MEMBERSHIP:
            self._by_bit.append(vertex)

    def _with(self, vertex: Vertex, names: int, tops: tuple[Term, ...]) -> Past:
        """Returns the past of an entry and itself: what its children inherit."""
        past = vertex.past
        if not vertex.bit and not vertex.fork_bit:
            return past
        bits = [0, 0, 0, 0]
        bits[vertex.column] = vertex.bit
        self._names |= names
        return Past(
            past.membership | bits[MEMBERSHIP],
            past.leading | bits[LEADING],
            past.acks | bits[ACKS],
            past.forks | vertex.fork_bit,
            names,
            tops,
        )

    def _joined_past(self, pasts: list[Past]) -> Past:
        """Returns the past of a child of parents that have these; the same object for the same entries, mostly."""
        if not pasts:
            return NO_PAST
        first = pasts[0]
        membership, leading, acks, forks = first.membership, first.leading, first.acks, first.forks
        is_same = True
        for past in pasts:
            if past is not first:
                is_same = False
                membership |= past.membership
                leading |= past.leading
                acks |= past.acks
                forks |= past.forks
        if is_same:
            return first
        for past in pasts:
            if (past.membership, past.leading, past.acks, past.forks) == (membership, leading, acks, forks):
                return past
        key = (membership, leading, acks, forks)
        found = self._pasts.get(key)
        if found is None:
            found = self._pasts[key] = Past(*key, 0, ())
            for past in pasts:
                found.names |= past.names
            found.tops = self._tops_of(pasts, found)
        return found

    def _tops_of(self, pasts: Iterable[Past], whole: Past) -> tuple[Term, ...]:
        """Returns the top terms of several pasts together: theirs, or a proposal whose votes are a majority only together."""
        terms = {term for past in pasts for term in past.tops}
        best = max(term.number for term in terms)
        for proposal, term in self._won:
            if (
                term.number >= best
                and term not in terms
                and whole.holds(proposal.vertex)
                and proposal.has_majority(whole.acks)
            ):
                terms.add(term)
                best = term.number
        tops = _by_id(term for term in terms if term.number == best)
        return next((past.tops for past in pasts if past.tops == tops), tops)  # the same object, mostly


def _by_id(terms: Iterable[Term]) -> tuple[Term, ...]:
    return tuple(sorted(terms, key=lambda term: term.entry_id))


def _reads(row: EntryKind, vertex: Vertex) -> bool:
    if vertex.content is None:
        raise ValueError("a deciding entry was taken in without its body")
    try:
        row.read(vertex.content)
    except PeerError:
        return False
    return True
