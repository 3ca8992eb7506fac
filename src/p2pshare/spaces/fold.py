"""The fold of a space: from its entries to what holds, whole or entry by entry (docs/spaces.md, "The fold").

`fold(entries)` is a function of a set. `SpaceFold` gives the same state while entries come one after another, parents first:

1. What an entry is by its own past is found out once, when it comes (`Authority.judge`).
2. Content that changes nothing else is added to the state there and then.
3. After an authority entry, a fork, or what a kind says it cannot add, all effects are found anew, in small steps (`SpaceFold.step`);
   until they are done the state is that of before.
4. Entries may come between the steps: those are of the entries that were there at the first one, and what came is added behind the
   last. So a space in which much is written is folded as often as any other.
5. A fork that comes to light marks its twins' descendants, so then all is judged anew as well.

A space of other rules than ours has a graph and no fold. What has no effect leaves no trace in a state. Sealed content is not read here: it is each node's own layer above.
"""

from __future__ import annotations

from bisect import insort
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from p2pshare.envelope.entry import AUTHORITY_KINDS, DECIDING_IN_EVERY_SPACE
from p2pshare.errors import PeerError, RefusedError
from p2pshare.identifiers import EntryId, PartnerId
from p2pshare.spaces.acts import RULES, Opening, decode_act
from p2pshare.spaces.authority import NO_MEMBERSHIP, Authority
from p2pshare.spaces.effects import Effects
from p2pshare.spaces.entry_graph import EntryGraph, is_fork
from p2pshare.spaces.interface import EntryKind, KindFold, SpaceKind
from p2pshare.spaces.registry import load_space_kind
from p2pshare.spaces.vertex import SpaceEntry, TermNumber, Vertex, by_order
from p2pshare.spaces.votes import Candidacy

STEP_ENTRIES = 256  # judged between two yields: some 5 ms
STEP_LISTED = 8_192  # put into a list between two yields: some 3 ms
STEP_FLAGS = 16_384  # of which a flag is put down between two yields: as long
STEP_MEMBERS = 32  # whose status is found between two yields: some 3 ms where all have left 63 times
WEIGHT_BYTES = 128  # of what a deciding entry says: as much work as an entry
WEIGHT_VOTERS = 4  # members that are looked at for a proposal: as much work as an entry
_STATUS_BY_END = {"remove": "removed", "leave": "left", "decline": "declined"}


@dataclass(slots=True)
class SpaceState:
    """What holds in a space. Its lists and sets are those of the fold, which goes on changing them: read, and let go."""

    opening: Vertex
    act: Opening
    lead: PartnerId | None
    """None while it is contested."""
    term: TermNumber
    members: dict[PartnerId, str]
    """By id: joined, invited, forked, removed, left or declined."""
    heads: set[Vertex]
    timeline: list[Vertex]
    """What has an effect, by (depth, id)."""
    kind: KindFold | None
    """What the space's kind makes of it; None where that is not known."""


def fold(entries: Iterable[SpaceEntry]) -> SpaceState:
    """Returns the state of a set of entries, in any order, each with all its parents.

    Raises ValueError for a set that cannot have been taken in, PeerError as `SpaceFold.add`.
    """
    whole = SpaceFold()
    for entry in parents_first(entries):
        whole.add(entry)
    return whole.state()


def parents_first(entries: Iterable[SpaceEntry]) -> Iterator[SpaceEntry]:
    """Yields entries so that none comes before a parent: by depth, which grows from parent to child (rule 14)."""
    by_depth: defaultdict[int, list[SpaceEntry]] = defaultdict(list)
    for entry in entries:
        by_depth[entry.header.depth].append(entry)
    for depth in sorted(by_depth):
        yield from by_depth[depth]


class SpaceFold:
    """The fold of one space, kept up to date."""

    def __init__(self) -> None:
        self._graph = EntryGraph()
        self._entry_kinds: dict[str, EntryKind] = {}
        self._lead_role = ""
        self._kind: SpaceKind | None = None
        self._act: Opening | None = None
        self._authority: Authority | None = None
        self._effects: Effects | None = None
        self._judged = 0
        self._state: SpaceState | None = None
        self._is_stale = True
        self._whole: Iterator[None] | None = None
        self._has_new_body = False

    def __contains__(self, entry_id: EntryId) -> bool:
        return entry_id in self._graph

    def __len__(self) -> int:
        return len(self._graph)

    @property
    def graph(self) -> EntryGraph:
        return self._graph

    def add(self, entry: SpaceEntry) -> Vertex:
        """Add an entry that was taken in, after its parents; returns it.

        Raises ValueError for one that cannot have been, PeerError `bad-body` for an opening that says nothing that could be folded.
        """
        if not len(self._graph):
            self._open(entry)
        vertex = self._graph.add(entry)
        if not self._reads(vertex.kind):
            vertex.content = None
        if is_fork(self._graph.with_number(vertex.author, vertex.number)):
            self._authority = None
        if self._whole is not None or not self.are_rules_known:
            return vertex  # it is added behind the last step, or there is none
        if self._is_stale or self._authority is None or vertex.kind in AUTHORITY_KINDS:
            self._is_stale = True
        else:
            self._is_stale = not self._add_next(self._authority)
        return vertex

    @property
    def act(self) -> Opening:
        """Returns what the opening says. Raises RefusedError `damaged` where it is not here: it was changed on the disk."""
        if self._act is None:
            raise RefusedError("the opening of this space was changed on this disk", reason="damaged")
        return self._act

    @property
    def entry_kinds(self) -> Mapping[str, EntryKind]:
        """The kinds of entry that the space's own kind adds."""
        return self._entry_kinds

    @property
    def is_kind_known(self) -> bool:
        return self._kind is not None

    @property
    def are_rules_known(self) -> bool:
        return self._act is not None and self._act.rules == RULES

    @property
    def is_stale(self) -> bool:
        """Returns whether the state is not of all that is here."""
        return self._is_stale

    @property
    def is_under_way(self) -> bool:
        """Returns whether a whole fold has been begun and not ended."""
        return self._whole is not None

    @property
    def newest_state(self) -> SpaceState | None:
        """Returns the state as it was last brought up to date; None before the first time."""
        return self._state

    @property
    def is_current(self) -> bool:
        """Returns whether the newest state is that of all entries."""
        return self._state is not None and not self._is_stale and self._whole is None

    def lacks_body(self, entry_id: EntryId) -> bool:
        """Returns whether an entry is held without its body."""
        vertex = self._graph.get(entry_id)
        return vertex is not None and not vertex.has_body

    def add_body(self, entry_id: EntryId, content: bytes) -> None:
        """Add the content of an entry that was held without. Raises KeyError for one that is not here."""
        vertex = self._graph.get(entry_id)
        if vertex is None:
            raise KeyError(entry_id)
        vertex.has_body = True
        if self._reads(vertex.kind):
            vertex.content, vertex.is_readable = content, None
            self._is_stale = self._has_new_body = True

    def step(self) -> bool:
        """Do the next small step of bringing the state up to date; entries may be added before and after.

        Returns False when a whole fold has come to its end, or nothing is left to do. What came meanwhile may need the next one
        (`is_stale`). Raises PeerError `unknown-rules`.
        """
        if not self.are_rules_known:
            raise PeerError("a space has rules that this program does not know", reason="unknown-rules")
        if self._whole is None:
            if not self._is_stale:
                return False
            self._whole = self._steps_of_whole()
        try:
            next(self._whole)
        except StopIteration:
            self._whole = None
            return False
        except BaseException:
            self._whole = None
            raise
        return True

    def steps(self) -> Iterator[None]:
        """Bring the state up to date; yields between small steps. Raises as `step`."""
        while self._is_stale or self._whole is not None:
            self.step()
            yield

    def state(self) -> SpaceState:
        """Returns the state of all entries, brought up to date. Raises ValueError where there is no entry, PeerError as `step`."""
        if not len(self._graph):
            raise ValueError("a space without an opening has no state")
        for _ in self.steps():
            pass
        if self._state is None:
            self.step()  # raises: of these rules there is no state
        assert self._state is not None
        return self._state

    def effect_of(self, entry_id: EntryId) -> str:
        """Returns "" for an entry with an effect in the newest state, else the code why it has none. Raises KeyError."""
        vertex = self._graph.get(entry_id)
        if vertex is None:
            raise KeyError(entry_id)
        return vertex.code

    # --- what is looked at before somebody writes ---------------------------------------------------

    def open_proposals(self) -> list[Candidacy]:
        """Returns the proposals that a majority may still make the lead, in the order in which they came."""
        self.state()
        assert self._authority is not None
        return self._authority.open_proposals()

    def has_voted(self, member: PartnerId, proposal: Candidacy) -> bool:
        """Returns whether a vote of `member` for an open proposal would be void because of another vote of its."""
        self.state()
        assert self._authority is not None
        return self._authority.has_voted(member, proposal)

    def vote_of(self, takeover: EntryId) -> tuple[Candidacy | None, PartnerId | None]:
        """Returns a proposal with its votes, and who leads (None: contested), by all that is here; effects are not found for it."""
        authority = self._authority
        if authority is None or self._judged < len(self._graph):
            self.state()
            authority = self._authority
        vertex = self._graph.get(takeover)
        assert authority is not None
        term = authority.everything().term
        return (None if vertex is None else authority.proposal(vertex)), None if term is None else term.author

    def next_takeover(self, parents: Iterable[Vertex]) -> tuple[int, int]:
        """Returns the epoch and the round that a takeover with these entries, at least one, in its past must have."""
        self.state()
        assert self._authority is not None
        return self._authority.next_takeover(parents)

    def win(self, takeover: EntryId) -> None:
        """Go on as if a proposal had its majority, in a fold that is kept for nothing else (`spaces.looking_ahead`). Raises KeyError
        for an entry that is not here, or that is void by its past."""
        self.state()
        vertex = self._graph.get(takeover)
        if vertex is None or self._authority is None:
            raise KeyError(takeover)
        self._authority.win(vertex)
        self._is_stale = True

    # --- bodies that are to be dropped --------------------------------------------------------------

    def is_dropped(self, entry_id: EntryId) -> bool:
        """Returns whether the body of an entry counts as absent, by the newest state."""
        return self._effects is not None and entry_id in self._effects.redacted

    def redacted_bodies(self) -> list[EntryId]:
        """Returns the entries that are redacted by the newest state, and whose body is still held."""
        redacted = self._effects.redacted if self._effects is not None else ()
        return sorted(one for one in redacted if one in self._graph and not self.lacks_body(one))

    def drop_body(self, entry_id: EntryId) -> None:
        """Forget a body that a redaction with effect names: it counts as absent already. Raises KeyError for an entry that is not here."""
        vertex = self._graph.get(entry_id)
        if vertex is None:
            raise KeyError(entry_id)
        vertex.content, vertex.has_body = None, False

    def is_redacted(self, vertex: Vertex) -> bool:
        """Returns whether the body of an entry counts as absent, by the newest state."""
        return self._effects is not None and vertex.entry_id in self._effects.redacted

    def has_named(self, member: PartnerId) -> bool:
        """Returns whether a lead has ever named a partner, by what is here; what is judged for that is not judged again."""
        if not self.are_rules_known:
            return False
        state, authority = self._state, self._authority
        if state is None or self._whole is not None:
            state = self.state()  # begun already, and at most once in a while
        elif authority is not None:
            for vertex in self._graph.vertices[self._judged :]:
                authority.judge(vertex)
                self._judged += 1
            return authority.members.get(member, NO_MEMBERSHIP).invites != 0
        return member in state.members

    def effect_of_newest(self) -> str:
        """Returns the effect of the entry that was added last, as its author's own node asks before it is stored: a parent of none.

        Where the state was up to date before it, others are not looked at. Raises as `step`.
        """
        vertex, authority = self._graph.vertices[-1], self._authority
        if not self._is_stale:
            return vertex.code
        if authority is None or self._whole is not None or self._judged < vertex.place:
            self.state()
            return vertex.code
        if self._judged == vertex.place:
            authority.judge(vertex)
            self._judged += 1
        vertex.code = Effects(self._graph, authority, self._entry_kinds, len(self._graph)).of_one(vertex)
        return vertex.code

    # --- parts -------------------------------------------------------------------------------------

    def _open(self, entry: SpaceEntry) -> None:
        if entry.header.kind != "open":
            raise ValueError("a space begins with one opening")
        try:
            act = decode_act("open", entry.content or b"")
        except PeerError:
            raise PeerError("an opening does not say what it must", reason="bad-body") from None
        assert isinstance(act, Opening)
        if entry.header.author not in dict(act.names):
            raise PeerError("an opening does not name its author", reason="bad-body")
        kind = load_space_kind(act.kind) if act.rules == RULES else None
        if kind is not None:
            self._entry_kinds, self._lead_role, self._kind = dict(kind.entry_kinds), kind.lead_role, kind
        self._act = act
        self._is_stale = act.rules == RULES

    def _reads(self, kind: str) -> bool:
        """Returns whether a fold reads the content of entries of a kind; that of others is in the store, and not in memory."""
        return kind in DECIDING_IN_EVERY_SPACE or kind in self._entry_kinds

    def _steps_of_whole(self) -> Iterator[None]:
        """Fold what is here at the first step, and add what came before the last; yields between small steps."""
        graph, count = self._graph, len(self._graph)
        self._has_new_body = False
        authority = self._authority
        if authority is None:
            authority = self._authority = Authority(graph, self._entry_kinds, self._lead_role)
            self._judged = 0
            yield from authority.begin(count)
        while self._judged < count:
            weight = 0
            while weight < STEP_ENTRIES and self._judged < count:
                vertex = graph.vertices[self._judged]
                authority.judge(vertex)
                self._judged += 1
                weight += _weight(vertex, authority, self._entry_kinds)
            yield
        effects = Effects(graph, authority, self._entry_kinds, count)
        yield from effects.whole()
        ordered: list[Vertex] = []
        yield from _order(graph.vertices, count, ordered)
        kind = None
        if self._kind is not None:
            kind = self._kind.fold(_View(authority, effects))
            yield from kind.whole(ordered)
        heads: set[Vertex] = set()
        yield from self._find_heads(heads, count)
        timeline: list[Vertex] = []
        for start in range(0, count, STEP_LISTED):
            timeline += [vertex for vertex in ordered[start : start + STEP_LISTED] if vertex.has_effect]
            yield
        members: dict[PartnerId, str] = {}
        yield from self._find_statuses(authority, effects, members)
        self._effects = effects
        self._state = self._gathered(effects, timeline, members, heads, kind)
        yield from self._add_what_came(authority)

    def _add_what_came(self, authority: Authority) -> Iterator[None]:
        """Add to the new state what was taken in while it was made, as far as it follows simply; yields between small steps."""
        self._is_stale = True
        while True:
            for _ in range(STEP_ENTRIES):
                if self._has_new_body or self._authority is not authority:
                    return
                if self._judged == len(self._graph):
                    self._is_stale = False
                    return
                kind = self._graph.vertices[self._judged].kind
                if kind in AUTHORITY_KINDS or not self._add_next(authority):
                    return
            yield

    def _add_next(self, authority: Authority) -> bool:
        """Judge the next entry, which is of no authority kind, and add it to a state that is of all before it. Returns False when
        more follows from it."""
        vertex = self._graph.vertices[self._judged]
        authority.judge(vertex)
        self._judged += 1
        state, effects = self._state, self._effects
        if state is None or effects is None or not effects.of_newest(vertex):
            return False
        if state.kind is not None and not state.kind.add(vertex):
            return False
        if vertex.has_effect:
            insort(state.timeline, vertex, key=by_order)
            self._cover(state.heads, vertex)
            state.heads.add(vertex)
        return True

    def _cover(self, heads: set[Vertex], vertex: Vertex) -> None:
        """Take what is in the past of an entry with an effect out of the heads. What was covered before covers its past."""
        stack = [parent for parent in vertex.parents if not parent.is_covered]
        while stack:
            covered = stack.pop()
            covered.is_covered = True
            heads.discard(covered)
            stack += [parent for parent in covered.parents if not parent.is_covered]

    def _find_heads(self, heads: set[Vertex], count: int) -> Iterator[None]:
        vertices = self._graph.vertices
        for start in range(0, count, STEP_FLAGS):
            for vertex in vertices[start : min(start + STEP_FLAGS, count)]:
                vertex.is_covered = False
            yield
        for end in range(count, 0, -STEP_ENTRIES):
            for vertex in reversed(vertices[max(0, end - STEP_ENTRIES) : end]):
                if vertex.has_effect and not vertex.is_covered:
                    heads.add(vertex)
                if vertex.has_effect or vertex.is_covered:
                    for parent in vertex.parents:
                        parent.is_covered = True
            yield

    def _gathered(
        self,
        effects: Effects,
        timeline: list[Vertex],
        members: dict[PartnerId, str],
        heads: set[Vertex],
        kind: KindFold | None,
    ) -> SpaceState:
        past = effects.everything
        assert self._act is not None
        return SpaceState(
            opening=self._graph.opening,
            act=self._act,
            lead=past.term.author if past.term is not None else None,
            term=past.tops[0].number,
            members=members,
            heads=heads,
            timeline=timeline,
            kind=kind,
        )

    def _find_statuses(
        self, authority: Authority, effects: Effects, found: dict[PartnerId, str]
    ) -> Iterator[None]:
        past = effects.everything
        for number, member in enumerate(sorted(authority.members)):
            if number % STEP_MEMBERS == STEP_MEMBERS - 1:
                yield
            invites, ends = authority.sides(member, past)
            if not invites:
                continue
            if authority.is_named(member, past):
                status = "joined" if authority.is_joined(member, past) else "invited"
                found[member] = "forked" if effects.least_fork(member) else status
            else:
                last = max(authority.with_bits(ends), key=by_order)
                found[member] = _STATUS_BY_END[last.kind]


def _weight(vertex: Vertex, authority: Authority, entry_kinds: Mapping[str, EntryKind]) -> int:
    """Returns to how many entries of content the judging of one comes."""
    row = entry_kinds.get(vertex.kind)
    if vertex.act is None and (row is None or not row.is_deciding):
        return 1
    voters = len(authority.members) // WEIGHT_VOTERS if vertex.kind == "takeover" else 0
    return 1 + vertex.header.body_bytes // WEIGHT_BYTES + voters


class _View:
    """What a kind may ask of the fold that made it (`FoldView`)."""

    def __init__(self, authority: Authority, effects: Effects) -> None:
        self._authority = authority
        self._effects = effects

    def is_redacted(self, vertex: Vertex) -> bool:
        return vertex.entry_id in self._effects.redacted

    def has_fork(self, author: PartnerId) -> bool:
        return self._authority.has_fork(author)

    def is_forked(self, author: PartnerId) -> bool:
        return self._effects.least_fork(author) != 0

    def is_named(self, member: PartnerId) -> bool:
        return self._authority.is_named(member, self._effects.everything)

    def roles(self) -> Mapping[PartnerId, str]:
        authority, everything = self._authority, self._effects.everything
        return {
            member: authority.role(member, everything)
            for member in authority.members
            if authority.is_named(member, everything)
        }


def _order(vertices: list[Vertex], count: int, ordered: list[Vertex]) -> Iterator[None]:
    """Fill `ordered` with the first `count` by (depth, id), which puts parents before children as well; yields between small steps."""
    by_depth: defaultdict[int, list[Vertex]] = defaultdict(list)
    for start in range(0, count, STEP_LISTED):
        for vertex in vertices[start : min(start + STEP_LISTED, count)]:
            by_depth[vertex.depth].append(vertex)
        yield
    done = 0
    depths = sorted(by_depth)
    yield
    for depth in depths:
        ordered += sorted(by_depth[depth], key=lambda vertex: vertex.entry_id)
        if len(ordered) - done > STEP_ENTRIES * 8:
            done = len(ordered)
            yield
