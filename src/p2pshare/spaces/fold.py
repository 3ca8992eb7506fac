"""The fold of a space: from its entries to what holds, whole or entry by entry (docs/spaces.md, "The fold").

`fold(entries)` is a function of a set. `SpaceFold` gives the same state while entries come one after another, parents first:

1. What an entry is by its own past is found out once, when it comes (`Authority.judge`).
2. Content that changes nothing else is added to the state there and then.
3. After an authority entry, a fork, or what a kind says it cannot add, all effects are found anew, in small steps (`SpaceFold.steps`);
   until they are done the state is that of before.
4. A fork that comes to light marks its twins' descendants, so then all is judged anew as well.

What has no effect leaves no trace in a state. Sealed content is not read here: it is each node's own layer above.
"""

from __future__ import annotations

from bisect import insort
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from p2pshare.envelope.entry import AUTHORITY_KINDS
from p2pshare.errors import PeerError
from p2pshare.identifiers import EntryId, PartnerId
from p2pshare.spaces.acts import RULES, Opening, decode_act
from p2pshare.spaces.authority import Authority
from p2pshare.spaces.effects import Effects
from p2pshare.spaces.entry_graph import EntryGraph, is_fork
from p2pshare.spaces.interface import EntryKind, KindFold, SpaceKind
from p2pshare.spaces.registry import load_space_kind
from p2pshare.spaces.vertex import SpaceEntry, TermNumber, Vertex, by_order

STEP_ENTRIES = 256  # judged between two yields: some 5 ms
WEIGHT_BYTES = 128  # of what a deciding entry says: as much work as an entry
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

    def __contains__(self, entry_id: EntryId) -> bool:
        return entry_id in self._graph

    def __len__(self) -> int:
        return len(self._graph)

    @property
    def graph(self) -> EntryGraph:
        return self._graph

    def add(self, entry: SpaceEntry) -> None:
        """Add an entry that was taken in, after its parents.

        Raises ValueError for one that cannot have been, PeerError `bad-body` or `unknown-rules` for an opening that says nothing
        that could be folded.
        """
        if not len(self._graph):
            self._open(entry)
        vertex = self._graph.add(entry)
        if is_fork(self._graph.with_number(vertex.author, vertex.number)):
            self._authority = None
        if self._is_stale or self._authority is None or vertex.kind in AUTHORITY_KINDS:
            self._is_stale = True
            return
        self._authority.judge(vertex)
        self._judged += 1
        self._is_stale = not self._add_content(vertex)

    @property
    def entry_kinds(self) -> Mapping[str, EntryKind]:
        """The kinds of entry that the space's own kind adds."""
        return self._entry_kinds

    @property
    def is_kind_known(self) -> bool:
        return self._kind is not None

    @property
    def newest_state(self) -> SpaceState | None:
        """Returns the state as it was last brought up to date; None before the first time."""
        return self._state

    @property
    def is_current(self) -> bool:
        """Returns whether the newest state is that of all entries."""
        return self._state is not None and not self._is_stale

    def lacks_body(self, entry_id: EntryId) -> bool:
        """Returns whether an entry is held without its body."""
        vertex = self._graph.get(entry_id)
        return vertex is not None and vertex.content is None

    def add_body(self, entry_id: EntryId, content: bytes) -> None:
        """Add the content of an entry that was held without. Raises KeyError for one that is not here."""
        vertex = self._graph.get(entry_id)
        if vertex is None:
            raise KeyError(entry_id)
        vertex.content = content
        self._is_stale = True

    def steps(self) -> Iterator[None]:
        """Bring the state up to date; yields between small steps, and entries may be added only before and after."""
        if not self._is_stale:
            return
        graph = self._graph
        if self._authority is None:
            self._authority = Authority(graph, self._entry_kinds, self._lead_role)
            self._judged = 0
        while self._judged < len(graph):
            weight = 0
            while weight < STEP_ENTRIES and self._judged < len(graph):
                vertex = graph.vertices[self._judged]
                self._authority.judge(vertex)
                self._judged += 1
                weight += 1 + vertex.header.body_bytes // WEIGHT_BYTES if vertex.act is not None else 1
            yield
        effects = Effects(graph, self._authority, self._entry_kinds)
        yield from effects.whole()
        ordered: list[Vertex] = []
        yield from _order(graph.vertices, ordered)
        kind = None
        if self._kind is not None:
            kind = self._kind.fold(self)
            yield from kind.whole(ordered)
        heads: set[Vertex] = set()
        yield from self._find_heads(heads)
        self._effects = effects
        self._state = self._gathered(self._authority, effects, ordered, heads, kind)
        self._is_stale = False

    def state(self) -> SpaceState:
        """Returns the state of all entries, brought up to date. Raises ValueError where there is no entry."""
        if not len(self._graph):
            raise ValueError("a space without an opening has no state")
        for _ in self.steps():
            pass
        assert self._state is not None
        return self._state

    def effect_of(self, entry_id: EntryId) -> str:
        """Returns "" for an entry with an effect in the newest state, else the code why it has none. Raises KeyError."""
        vertex = self._graph.get(entry_id)
        if vertex is None:
            raise KeyError(entry_id)
        return vertex.code

    # --- what a kind may ask -----------------------------------------------------------------------

    def is_redacted(self, vertex: Vertex) -> bool:
        return self._effects is not None and vertex.entry_id in self._effects.redacted

    def has_fork(self, author: PartnerId) -> bool:
        return self._authority is not None and self._authority.has_fork(author)

    # --- parts -------------------------------------------------------------------------------------

    def _open(self, entry: SpaceEntry) -> None:
        if entry.header.kind != "open":
            raise ValueError("a space begins with one opening")
        try:
            act = decode_act("open", entry.content or b"")
        except PeerError:
            raise PeerError("an opening does not say what it must", reason="bad-body") from None
        assert isinstance(act, Opening)
        if act.rules != RULES:
            raise PeerError("a space has rules that this program does not know", reason="unknown-rules")
        if entry.header.author not in dict(act.names):
            raise PeerError("an opening does not name its author", reason="bad-body")
        kind = load_space_kind(act.kind)
        if kind is not None:
            self._entry_kinds, self._lead_role, self._kind = dict(kind.entry_kinds), kind.lead_role, kind
        self._act = act

    def _add_content(self, vertex: Vertex) -> bool:
        """Add an entry of no authority kind to a state that is up to date. Returns False when more follows from it."""
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

    def _find_heads(self, heads: set[Vertex]) -> Iterator[None]:
        vertices = self._graph.vertices
        for vertex in vertices:
            vertex.is_covered = False
        yield
        for end in range(len(vertices), 0, -STEP_ENTRIES):
            for vertex in reversed(vertices[max(0, end - STEP_ENTRIES) : end]):
                if vertex.has_effect and not vertex.is_covered:
                    heads.add(vertex)
                if vertex.has_effect or vertex.is_covered:
                    for parent in vertex.parents:
                        parent.is_covered = True
            yield

    def _gathered(
        self,
        authority: Authority,
        effects: Effects,
        ordered: list[Vertex],
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
            members=self._statuses(authority, effects),
            heads=heads,
            timeline=[vertex for vertex in ordered if vertex.has_effect],
            kind=kind,
        )

    def _statuses(self, authority: Authority, effects: Effects) -> dict[PartnerId, str]:
        past, found = effects.everything, {}
        for member in sorted(authority.members):
            invites, ends = authority.sides(member, past)
            if not invites:
                continue
            if authority.is_named(member, past):
                status = "joined" if authority.is_joined(member, past) else "invited"
                found[member] = "forked" if effects.least_fork(member) else status
            else:
                last = max(authority.with_bits(ends), key=by_order)
                found[member] = _STATUS_BY_END[last.kind]
        return found


def _order(vertices: list[Vertex], ordered: list[Vertex]) -> Iterator[None]:
    """Fill `ordered` by (depth, id), which puts parents before children as well; yields between small steps."""
    by_depth: defaultdict[int, list[Vertex]] = defaultdict(list)
    for vertex in vertices:
        by_depth[vertex.depth].append(vertex)
    yield
    done = 0
    for depth in sorted(by_depth):
        ordered += sorted(by_depth[depth], key=lambda vertex: vertex.entry_id)
        if len(ordered) - done > STEP_ENTRIES * 8:
            done = len(ordered)
            yield
