"""Writing: the next entry of an author, after all that it knows (docs/spaces.md, "What is taken in", Writing).

It cites all heads that have an effect, so that its past says what its author knew, and the author's own last entry; an invitation of a
forked member also what that wrote twice, which pardons it. Where that is more than 16, merges come first, each citing the one before, until one has them all in its past.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from itertools import islice

from p2pshare.envelope.entry import EntryDraft, EntryHeader, VerifiedEntry
from p2pshare.errors import PeerError
from p2pshare.identifiers import EntryId, PartnerId
from p2pshare.limits import ENTRY_PARENTS_MAX
from p2pshare.spaces.acts import Inviting, Plain, decode_act
from p2pshare.spaces.entry_graph import past_of
from p2pshare.spaces.fold import SpaceFold
from p2pshare.spaces.vertex import SpaceEntry, Vertex

PARDONED_BRANCHES_MAX = (
    240  # ends of a fork that one invitation cites, by 16 merges: more would hold up the writer
)

BRANCHES_CITED_MAX = (
    16  # heads of a forked member that an entry cites: as many as its heads tell of an author
)

Sign = Callable[[EntryDraft, bytes], VerifiedEntry]
"""Makes the signed entry of a draft and its content (`envelope.entry.sign_entry` with the author's key)."""


@dataclass(frozen=True, slots=True)
class SpaceStatement:
    """What an author wants to say; where it stands in the graph is found out."""

    kind: str
    content: bytes
    tlp: int
    audience: tuple[PartnerId, ...] = ()


def write(
    space: SpaceFold,
    author: PartnerId,
    said: SpaceStatement,
    created: int,
    sign: Sign,
    *,
    left_out: Collection[EntryId] = (),
) -> list[VerifiedEntry]:
    """Sign what `author` says at `created` (unix seconds), and add it to the space. Returns it, last, behind the merges it needed.

    `left_out`: entries that it has not in its past, nor what follows them; for a vote beside a removal of everybody. Raises PeerError
    `in-own-past` where an entry of the author has one of them in its past: rule 15 asks for all of those; `too-many-branches` for the
    invitation of a member whose fork is too wide to be pardoned.
    """
    opening = space.graph.opening
    row = space.entry_kinds.get(said.kind)
    parents = to_cite(space, author, left_out, is_all=row is not None and row.is_lead_only)
    if said.kind == "invite":
        parents += sorted(_to_pardon(space, said.content) - past_of(parents), key=_entry_id)
    written: list[VerifiedEntry] = []

    def put(said: SpaceStatement, cited: list[Vertex]) -> Vertex:
        draft = EntryDraft(
            realm=opening.header.realm,
            space=opening.entry_id,
            author=author,
            number=1 + space.graph.last_number(author, cited),
            parents=tuple(sorted(vertex.entry_id for vertex in cited)),
            depth=1 + max(vertex.depth for vertex in cited),
            created=created,
            kind=said.kind,
            tlp=said.tlp,
            audience=said.audience,
        )
        entry = sign(draft, said.content)
        space.add(SpaceEntry.of(entry))
        written.append(entry)
        vertex = space.graph.get(entry.entry_id)
        assert vertex is not None
        return vertex

    while len(parents) > ENTRY_PARENTS_MAX:
        merge = SpaceStatement("merge", Plain().encode(), opening.header.tlp)
        parents = [put(merge, parents[:ENTRY_PARENTS_MAX]), *parents[ENTRY_PARENTS_MAX:]]
    put(said, parents)
    return written


def to_cite(
    space: SpaceFold, author: PartnerId, left_out: Collection[EntryId] = (), *, is_all: bool = False
) -> list[Vertex]:
    """Returns what the next entry of `author` has as parents, once merges have joined them: its own last entry first, which a merge
    has in its past from the beginning. `left_out` as in `write`; `is_all`: every branch of a forked member, for what the lead decides settles what it
    knew. Raises PeerError `in-own-past`.
    """
    left = _followers(space, left_out) if left_out else frozenset()
    heads = _heads_without(space, left) if left else space.state().heads
    if not is_all:
        heads = _without_many_branches(space, author, heads)
    own = _own_last(space, author)
    if not left.isdisjoint(own):
        raise PeerError("an entry of its author follows what it would leave out", reason="in-own-past")
    parents = sorted(own | {head for head in heads if head not in _covered(own, heads)}, key=_entry_id)
    return sorted(parents, key=lambda vertex: vertex not in own)


def write_join(
    space: SpaceFold, author: PartnerId, invitation: EntryId, created: int, sign: Sign
) -> VerifiedEntry:
    """Sign the `join` of `author`, which cites its invitation, and add it to the space. Raises KeyError without that.

    Besides it cites what its author wrote and the invitation has not in its past: who was removed while nobody could tell it, wrote on,
    and is invited again, would else count a number twice, which is a fork.
    """
    cited = space.graph.get(invitation)
    if cited is None:
        raise KeyError(invitation)
    opening = space.graph.opening
    own = sorted(_own_last(space, author) - past_of([cited]), key=lambda vertex: -vertex.number)
    parents = [cited, *own[: ENTRY_PARENTS_MAX - 1]]
    draft = join_draft(cited.header, invitation, author, created)
    draft = replace(
        draft,
        space=opening.entry_id,
        tlp=opening.header.tlp,
        number=1 + space.graph.last_number(author, parents),
        parents=tuple(sorted(vertex.entry_id for vertex in parents)),
        depth=1 + max(vertex.depth for vertex in parents),
    )
    entry = sign(draft, Plain().encode())
    space.add(SpaceEntry.of(entry))
    return entry


def join_draft(
    invitation: EntryHeader, invitation_id: EntryId, author: PartnerId, created: int, *, kind: str = "join"
) -> EntryDraft:
    """Returns the draft of a `join`, or `decline`, where the invitation's own past is not here, and `author` wrote nothing in it."""
    return EntryDraft(
        realm=invitation.realm,
        space=invitation_id if invitation.kind == "open" else invitation.space,
        author=author,
        number=1,
        parents=(invitation_id,),
        depth=invitation.depth + 1,
        created=created,
        kind=kind,
        tlp=invitation.tlp,
    )


def _to_pardon(space: SpaceFold, invitation: bytes) -> set[Vertex]:
    """Returns the ends of what forked members that an invitation names wrote twice. It pardons what it has in its past, and as long as that
    has no effect no other entry cites it. Raises PeerError `bad-body`, `too-many-branches`.
    """
    act, members = decode_act("invite", invitation), space.state().members
    named = (
        {one for one, _ in act.names if members.get(one) == "forked"} if isinstance(act, Inviting) else set()
    )
    twins = {twin for fork in space.graph.forks() if fork[0].author in named for twin in fork}
    ends = twins - past_of(parent for twin in twins for parent in twin.parents)
    if len(ends) > PARDONED_BRANCHES_MAX:
        raise PeerError("a member has forked into too many branches", reason="too-many-branches")
    return ends


def _followers(space: SpaceFold, entry_ids: Collection[EntryId]) -> frozenset[Vertex]:
    """Returns these entries and all that have one of them in their past."""
    found: set[Vertex] = set()
    for vertex in space.graph.vertices:  # parents before children
        if vertex.entry_id in entry_ids or not found.isdisjoint(vertex.parents):
            found.add(vertex)
    return frozenset(found)


def _heads_without(space: SpaceFold, left: Collection[Vertex]) -> set[Vertex]:
    """Returns the heads of what has an effect, as they are without the entries in `left`."""
    kept = [vertex for vertex in space.state().timeline if vertex not in left]
    return set(kept) - past_of(parent for vertex in kept for parent in vertex.parents)


def _without_many_branches(space: SpaceFold, author: PartnerId, heads: set[Vertex]) -> set[Vertex]:
    """Returns these heads with at most `BRANCHES_CITED_MAX` of each other member that is forked, those with the highest numbers; in place of the
    rest, what others wrote that only the rest had in its past.

    What deciding entries of a fork say counts, cited or not. To cite all of ten thousand that stand beside each other would cost hundreds of merges.
    """
    by_author: defaultdict[PartnerId, list[Vertex]] = defaultdict(list)
    members = space.state().members
    for head in heads:
        if head.author != author and members.get(head.author) == "forked":
            by_author[head.author].append(head)
    dropped = [
        head
        for branches in by_author.values()
        for head in sorted(branches, key=lambda one: (one.number, one.entry_id))[:-BRANCHES_CITED_MAX]
    ]
    if not dropped:
        return heads
    kept = heads.difference(dropped)
    covered = kept | past_of(parent for head in kept for parent in head.parents)
    behind: set[Vertex] = set()
    stack, seen = list(dropped), set(dropped)
    while stack:
        for parent in stack.pop().parents:
            if parent in seen or parent in covered:
                continue
            seen.add(parent)
            if parent.has_effect and parent.author not in by_author:
                behind.add(parent)
            else:
                stack.append(parent)
    return kept | (behind - past_of(parent for one in behind for parent in one.parents))


def _own_last(space: SpaceFold, author: PartnerId) -> set[Vertex]:
    """Returns the entries of an author that no other entry of it has in its past: one, or one for each branch of a fork."""
    last: set[Vertex] = set()
    older: set[Vertex] = set()
    if not space.graph.has_twins(author):
        return set(islice(space.graph.by_author(author), 1))
    for vertex in space.graph.by_author(author):
        if vertex not in older:
            last.add(vertex)
            older |= past_of(vertex.parents)
    return last


def _covered(own: set[Vertex], heads: set[Vertex]) -> set[Vertex]:
    """Returns the heads that an own entry has in its past: those are cited by citing that one. One with an effect has none."""
    own = {vertex for vertex in own if not vertex.has_effect}
    return heads & past_of(parent for vertex in own for parent in vertex.parents)


def _entry_id(vertex: Vertex) -> EntryId:
    return vertex.entry_id
