"""Effects: which entries of a space count, and why the others do not (docs/spaces.md, "Effect").

`Effects.whole` goes over all entries: once against the graph, for what only descendants know (a removal that has an entry in its
past lets it stand), and once with it. An entry that comes after all others needs neither (`Effects.of_newest`).

Entries may come while it goes over the others: it knows the first `count` of the graph alone, whichever of its methods is asked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from p2pshare.envelope.entry import AUTHORITY_KINDS, DECIDING_IN_EVERY_SPACE
from p2pshare.errors import PeerError
from p2pshare.identifiers import EntryId, PartnerId
from p2pshare.spaces.acts import Redaction
from p2pshare.spaces.authority import LEAD_ONLY_KINDS, Authority, Sides
from p2pshare.spaces.entry_graph import EntryGraph
from p2pshare.spaces.interface import EntryKind
from p2pshare.spaces.vertex import MEMBERSHIP, Past, Vertex

STEP_ENTRIES = 512  # looked at between two yields: some 2 ms
STEP_FLAGS = 16_384  # of which a flag is put down between two yields: as long


class Effects:
    """The effect of each entry, kept in `Vertex.code`: "" or why it has none."""

    def __init__(
        self, graph: EntryGraph, authority: Authority, entry_kinds: Mapping[str, EntryKind], count: int
    ) -> None:
        self._graph = graph
        self._count = count
        self._authority = authority
        self._entry_kinds = entry_kinds
        self._everything: Past = authority.everything()
        self._sides: dict[PartnerId, Sides] = {}
        self._least_forks: dict[PartnerId, int] = {}
        self.redacted: set[EntryId] = set()
        self.redactions_of_absent: set[EntryId] = set()
        """What redactions name that is not here: when it comes they have an effect."""

    @property
    def everything(self) -> Past:
        return self._everything

    def least_fork(self, author: PartnerId) -> int:
        """Returns the least number of a fork of this author that is not pardoned, or 0."""
        return self._least_forks.get(author, 0)

    # --- all of them -------------------------------------------------------------------------------

    def whole(self) -> Iterator[None]:
        """Find the effect of every entry; yields between small steps."""
        self.find_forks()
        marks = self._marks()
        yield
        after: list[int] = []
        count, vertices = self._count, self._graph.vertices
        if marks or self._least_forks:
            after = [0] * count
            yield from self._descend(after, marks)
        for start in range(0, count, STEP_ENTRIES):
            redacted = len(self.redacted)
            for vertex in vertices[start : min(start + STEP_ENTRIES, count)]:
                if vertex.kind == "redact":
                    vertex.code = self._code(vertex, after[vertex.place] if after else 0)
                    self._note_redaction(vertex)
                    if len(self.redacted) - redacted > STEP_ENTRIES:
                        redacted = len(self.redacted)
                        yield
            yield
        for start in range(0, count, STEP_ENTRIES):
            for vertex in vertices[start : min(start + STEP_ENTRIES, count)]:
                if vertex.kind != "redact":
                    vertex.code = self._code(vertex, after[vertex.place] if after else 0)
            yield

    def find_forks(self) -> None:
        for author in self._authority.authors_with_forks():
            least = self._authority.least_fork(author, self._everything)
            if least:
                self._least_forks[author] = least

    def _marks(self) -> int:
        """Returns the entries about which must be known what is in their past: invitations and ends. Not the opening: it has none."""
        marks = self._authority.acts(self._everything)
        for said in self._authority.members.values():
            marks |= said.ends
        return marks & ~self._graph.opening.bit

    def _descend(self, after: list[int], marks: int) -> Iterator[None]:
        """Fill in for each entry the marked ones that have it in their past, and whether an author without a fork has
        written after it."""
        forked, vertices, count = self._least_forks, self._graph.vertices, self._count
        for start in range(0, count, STEP_FLAGS):
            for vertex in vertices[start : min(start + STEP_FLAGS, count)]:
                vertex.is_seen = False
            yield
        for end in range(count, 0, -STEP_ENTRIES):
            for vertex in reversed(vertices[max(0, end - STEP_ENTRIES) : end]):
                bits = after[vertex.place]
                if vertex.column == MEMBERSHIP:
                    bits |= vertex.bit & marks
                is_seen = vertex.is_seen or vertex.author not in forked
                if bits or forked:
                    for parent in vertex.parents:
                        after[parent.place] |= bits
                        if is_seen:
                            parent.is_seen = True
            yield

    def _note_redaction(self, vertex: Vertex) -> None:
        assert vertex.void or isinstance(vertex.act, Redaction)
        if isinstance(vertex.act, Redaction) and not vertex.void:
            if vertex.code == "":
                self._redact(vertex.act.entry)
            elif self._find(vertex.act.entry) is None:
                self.redactions_of_absent.add(vertex.act.entry)

    def _redact(self, entry_id: EntryId) -> None:
        """Note an entry as redacted, and with it the parts of what it names."""
        named = self._find(entry_id)
        if named is not None and entry_id not in self.redacted:
            self.redacted.update(part.entry_id for part in self._graph.parts_before(named))
        self.redacted.add(entry_id)

    def _find(self, entry_id: EntryId) -> Vertex | None:
        found = self._graph.get(entry_id)
        return found if found is not None and found.place < self._count else None

    # --- one more ----------------------------------------------------------------------------------

    def of_newest(self, vertex: Vertex) -> bool:
        """Find the effect of an entry of no authority kind that is a parent of none and part of no fork, all others being known.

        Returns False when it changes the effect of others, so that only `whole` can say.
        """
        if vertex.entry_id in self.redactions_of_absent:
            return False
        self._count = vertex.place + 1
        if self._least_forks and vertex.author not in self._least_forks and self._confirms(vertex):
            return False
        vertex.is_seen = False
        if vertex.column:
            self._everything = self._authority.everything()
        vertex.code = self._code(vertex, 0)
        return True

    def of_one(self, vertex: Vertex) -> str:
        """Returns the effect of an entry that is a parent of none and part of no fork; those of others need not be known."""
        self.find_forks()
        return self._code(vertex, 0)

    def _confirms(self, vertex: Vertex) -> bool:
        """Mark the past of an entry as seen, and return whether something in it waited for that."""
        waited = False
        stack = [parent for parent in vertex.parents if not parent.is_seen]
        while stack:
            seen = stack.pop()
            seen.is_seen = True
            waited |= seen.code == "unconfirmed"
            stack += [parent for parent in seen.parents if not parent.is_seen]
        return waited

    # --- codes -------------------------------------------------------------------------------------

    def _side(self, member: PartnerId) -> Sides:
        found = self._sides.get(member)
        if found is None:
            found = self._sides[member] = self._authority.sides(member, self._everything)
        return found

    def _code(self, vertex: Vertex, after: int) -> str:
        """Returns the effect of an entry; `after` are the marks that have it in their past."""
        if vertex.void:
            return vertex.void
        kind = vertex.kind
        row = self._entry_kinds.get(kind)
        if kind in LEAD_ONLY_KINDS or (row is not None and row.is_lead_only):
            return self._authority.fault_of_lead_act(vertex, self._everything)
        if kind in AUTHORITY_KINDS:
            return self._code_of_authority(vertex, after)
        code = self._code_of_member(vertex, after)
        if code:
            return code
        if self._authority.is_disowned(vertex):
            return "disowned"
        if kind in DECIDING_IN_EVERY_SPACE or (row is not None and row.is_deciding):
            return ""
        least = self._least_forks.get(vertex.author)
        if least is not None and vertex.number >= least and not vertex.is_seen:
            return "unconfirmed"
        if row is None or vertex.header.audience or vertex.content is None:
            return ""
        if vertex.entry_id in self.redacted:
            return ""
        if vertex.is_readable is None:
            vertex.is_readable = _is_readable(row, vertex.content)
        return "" if vertex.is_readable else "bad-body"

    def _code_of_authority(self, vertex: Vertex, after: int) -> str:
        match vertex.kind:
            case "join":
                return self._code_of_member(vertex, after)
            case "leave" | "decline":
                if not self._side(vertex.author).invites:
                    return "not-member"
                return "is-lead" if vertex.term is not None else ""
            case "redact":
                return self._code_of_redaction(vertex, after)
            case _:
                return ""  # the opening; what was not void by its own past counts for good

    def _code_of_redaction(self, vertex: Vertex, after: int) -> str:
        assert isinstance(vertex.act, Redaction)
        named = self._find(vertex.act.entry)
        if named is None or self._is_deciding(named):
            return "no-entry"
        code = self._authority.fault_of_lead_act(vertex, self._everything)
        if code and named.author == vertex.author:
            return self._code_of_member(vertex, after)
        return code

    def _is_deciding(self, vertex: Vertex) -> bool:
        row = self._entry_kinds.get(vertex.kind)
        return vertex.kind in DECIDING_IN_EVERY_SPACE or (row is not None and row.is_deciding)

    def _code_of_member(self, vertex: Vertex, after: int) -> str:
        """Returns "" for what a member wrote while it was one, else `not-member` or `cut`."""
        author, past, authority = vertex.author, vertex.past.membership, self._authority
        if vertex.kind != "join" and author != self._graph.opening.author:
            said = authority.members.get(author)
            if said is None or not said.joins & past:
                return "not-member"
        invites, ends = self._side(author)
        near = invites & (past | after)
        if not near:
            return "not-member"
        return "" if authority.has_one_after(near, ends & ~after) else "cut"


def _is_readable(row: EntryKind, content: bytes) -> bool:
    try:
        row.read(content)
    except PeerError:
        return False
    return True
