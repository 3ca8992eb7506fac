"""Taking in: what becomes of an entry that somebody handed over, in one space (docs/spaces.md, "What is taken in").

The caller has decoded and verified it (rules 1 to 7, 10 to 12). Here are, in the order of that page: 5 and 6 for the kinds of this
space, 9 in so far as it is held or its author may not be believed, 13 to 17. What waits for parents is tried again when they come.

Of an author that was removed, left or forked at most 100 content entries are held that nobody else has cited. More are left aside
(`later`) until another entry needs them: a liar fills its own branch, and nothing else.

An id is refused for good only by what follows from its signed header: what is wrong with a body may be the fault of who passed it
on, and then another copy may come.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from p2pshare.envelope.card_format import CardBody
from p2pshare.envelope.entry import (
    CONTENT_IN_EVERY_SPACE,
    DECIDING_IN_EVERY_SPACE,
    DecodedEntry,
    EntryHeader,
    VerifiedEntry,
    check_audience,
    key_of,
)
from p2pshare.envelope.hybrid import VerifyKey
from p2pshare.errors import PeerError
from p2pshare.identifiers import EntryId, PartnerId
from p2pshare.limits import SPACE_UNCITED_MAX, SPACE_WAITING_MAX
from p2pshare.spaces.acts import Rekey, decode_act
from p2pshare.spaces.fold import SpaceFold
from p2pshare.spaces.vertex import ScreenOrder, SpaceEntry, Vertex

_NOT_BELIEVED = frozenset({"forked", "removed", "left", "declined"})
REFUSED_KEPT_MAX = 4_096  # ids refused for good that are remembered: a forgotten one is found wrong again


@dataclass(frozen=True, slots=True)
class Held:
    """An entry is in the graph now, or its body that was missing is."""

    entry: VerifiedEntry


@dataclass(frozen=True, slots=True)
class Awaited:
    """An entry waits until these parents come."""

    entry_id: EntryId
    parents: tuple[EntryId, ...]


@dataclass(frozen=True, slots=True)
class TurnedAway:
    """An entry is not taken in. `reason` is a code of the page; `held` and `later` are no fault of its author."""

    entry_id: EntryId
    reason: str


IntakeOutcome = Held | Awaited | TurnedAway


def key_for(decoded: DecodedEntry, versions: Sequence[CardBody]) -> VerifyKey | None:
    """Returns the key that must have signed an entry, by the versions of its author's card that are at hand, oldest first (rules 10
    and 11); None: it waits for one. Raises PeerError `key-time`, `body-mismatch`."""
    if decoded.header.kind == "rekey" and versions:
        revoked = {one.key_id for one in versions[-1].revoked}
        try:
            act = decode_act("rekey", VerifiedEntry(decoded).content())
        except PeerError as error:
            if error.reason == "body-mismatch":
                raise
        else:
            assert isinstance(act, Rekey)
            if not revoked.issuperset(act.last_good):
                return None
    return key_of(decoded.header, versions)


class SpaceIntake:
    """What is taken into one space, and what waits. `space` has its opening already."""

    def __init__(self, space: SpaceFold, *, waiting_max: int = SPACE_WAITING_MAX) -> None:
        self._space = space
        self._waiting_max = waiting_max
        self._waiting: dict[EntryId, VerifiedEntry] = {}
        self._ahead: defaultdict[PartnerId, list[ScreenOrder]] = defaultdict(list)
        """What waits of each author, in order."""
        self._children: defaultdict[EntryId, set[EntryId]] = defaultdict(set)
        self._lost: list[IntakeOutcome] = []
        self._refused: dict[EntryId, str] = {}
        self._cited: set[EntryId] = set()
        self._uncited: Counter[PartnerId] = Counter()
        for vertex in space.graph.vertices:
            self._note_cited(vertex)

    def put_back(self, entry: SpaceEntry) -> Vertex:
        """Add an entry that was taken in before, after its parents; returns it. Raises as `SpaceFold.add`."""
        vertex = self._space.add(entry)
        self._note_cited(vertex)
        return vertex

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def wanted(self) -> Iterator[EntryId]:
        """Yields what entries wait for, and what is neither held nor waits itself."""
        for parent in self._children:
            if parent not in self._space and parent not in self._waiting:
                yield parent

    def take_in(self, entry: VerifiedEntry) -> list[IntakeOutcome]:
        """Take an entry in, and what has waited for it. Returns what became of each, this one first; so of one that was
        waiting and had to make room."""
        outcomes = [self._try(entry)]
        settled = [entry.entry_id] if not isinstance(outcomes[0], Awaited) else []
        while settled:
            for child in sorted(self._children.pop(settled.pop(), ())):
                waited = self._waiting.get(child)
                if waited is None:
                    continue
                outcome = self._try(waited)
                if not isinstance(outcome, Awaited):
                    del self._waiting[child]
                    self._note_waits_no_more(waited)
                    outcomes.append(outcome)
                    settled.append(child)
        outcomes += self._lost
        self._lost.clear()
        return outcomes

    def refusal_of(self, header: EntryHeader) -> str:
        """Returns the code of the first of rules 5, 6 and 13 to 16 that a header breaks here, or "". All its parents must be here."""
        try:
            self._check_audience(header)
        except PeerError as error:
            return error.reason
        return self._space.graph.refusal_of(header)

    def awaited(self, entry_id: EntryId) -> VerifiedEntry | None:
        """Returns the copy of an entry that waits for parents."""
        return self._waiting.get(entry_id)

    def _try(self, entry: VerifiedEntry) -> IntakeOutcome:
        entry_id, header = entry.entry_id, entry.header
        try:
            self._check_audience(header)
        except PeerError as error:
            return TurnedAway(entry_id, error.reason)
        if entry_id in self._space:
            return self._complete(entry)
        if entry_id in self._refused:
            return TurnedAway(entry_id, self._refused[entry_id])
        if any(parent in self._refused for parent in header.parents):
            return self._refuse(entry_id, "bad-parent")
        missing = tuple(parent for parent in header.parents if parent not in self._space)
        if missing:
            return self._await(entry, missing)
        reason = self._space.graph.refusal_of(header)
        if reason:
            return self._refuse(entry_id, reason)
        is_deciding = self._is_deciding(header.kind)
        if is_deciding and not entry.body_fits():
            return TurnedAway(entry_id, "body-mismatch")
        if not is_deciding and self._is_left_aside(entry):
            return TurnedAway(entry_id, "later")
        self._note_cited(self._space.add(SpaceEntry.of(entry)))
        return Held(entry)

    def _is_left_aside(self, entry: VerifiedEntry) -> bool:
        """Returns whether content is of an author that is not believed, who has much that nobody cites, and nothing waits for
        it. By the newest state that is at hand: the next one may be a moment away."""
        author, state = entry.header.author, self._space.newest_state
        return (
            self._uncited[author] >= SPACE_UNCITED_MAX
            and state is not None
            and state.members.get(author) in _NOT_BELIEVED
            and entry.entry_id not in self._children
        )

    def _note_cited(self, vertex: Vertex) -> None:
        """Note an entry as cited by nobody else, and what it cites of others, with all that was before, as cited."""
        if not self._is_deciding(vertex.kind):
            self._uncited[vertex.author] += 1
        stack = [parent for parent in vertex.parents if parent.author != vertex.author]
        while stack:
            cited = stack.pop()
            if cited.entry_id in self._cited:
                continue
            self._cited.add(cited.entry_id)
            if not self._is_deciding(cited.kind):
                self._uncited[cited.author] -= 1
            stack += cited.parents

    def _complete(self, entry: VerifiedEntry) -> IntakeOutcome:
        """Add the body of an entry that is held without."""
        if self._space.lacks_body(entry.entry_id) and entry.body_fits():
            self._space.add_body(entry.entry_id, entry.content())
            return Held(entry)
        return TurnedAway(entry.entry_id, "held")

    def _refuse(self, entry_id: EntryId, reason: str) -> TurnedAway:
        if len(self._refused) >= REFUSED_KEPT_MAX:
            del self._refused[next(iter(self._refused))]
        self._refused[entry_id] = reason
        return TurnedAway(entry_id, reason)

    def _await(self, entry: VerifiedEntry, missing: tuple[EntryId, ...]) -> IntakeOutcome:
        """Keep an entry until its parents come. Where too many wait, the author with most loses what is farthest ahead.

        A copy whose body fits stays: whoever passes on another cannot spoil it."""
        known = self._waiting.get(entry.entry_id)
        if known is None:
            insort(self._ahead[entry.header.author], (entry.header.depth, entry.entry_id))
        if known is None or not known.body_fits():
            self._waiting[entry.entry_id] = entry
        for parent in missing:
            self._children[parent].add(entry.entry_id)
        if len(self._waiting) > self._waiting_max:
            lost = self._farthest_ahead()
            self.forget(lost)
            if lost == entry.entry_id:
                return TurnedAway(lost, "later")
            self._lost.append(TurnedAway(lost, "later"))
        return Awaited(entry.entry_id, missing)

    def _farthest_ahead(self) -> EntryId:
        _, most = max(self._ahead.items(), key=lambda item: (len(item[1]), item[0]))
        return most[-1][1]

    def forget(self, entry_id: EntryId) -> None:
        """Let an entry wait no more; nothing where it does not."""
        entry = self._waiting.pop(entry_id, None)
        if entry is None:
            return
        self._note_waits_no_more(entry)
        for parent in entry.header.parents:
            children = self._children.get(parent)
            if children is not None:
                children.discard(entry_id)
                if not children:
                    del self._children[parent]

    def _note_waits_no_more(self, entry: VerifiedEntry) -> None:
        author = entry.header.author
        ahead = self._ahead[author]
        del ahead[bisect_left(ahead, (entry.header.depth, entry.entry_id))]
        if not ahead:
            del self._ahead[author]

    def _check_audience(self, header: EntryHeader) -> None:
        row = self._space.entry_kinds.get(header.kind)
        if header.kind not in DECIDING_IN_EVERY_SPACE | CONTENT_IN_EVERY_SPACE and self._space.is_kind_known:
            check_audience(header, is_deciding=row is not None and row.is_deciding)

    def _is_deciding(self, kind: str) -> bool:
        row = self._space.entry_kinds.get(kind)
        return kind in DECIDING_IN_EVERY_SPACE or (row is not None and row.is_deciding)
