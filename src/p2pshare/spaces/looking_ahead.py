"""Looking ahead: which proposal to back, and what a takeover would change, before anybody votes for it (docs/spaces.md, "Taking over").

A takeover moves the lead, and cuts off what the old lead has written beside it. Who is to vote sees that first: a fold of its own goes
on as if the proposal had its majority, and is compared with what holds now. Nothing here is signed or stored.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from p2pshare.envelope.entry import (
    BODY_SALT_BYTES,
    DecodedEntry,
    EntryDraft,
    VerifiedEntry,
    complete_header,
    encode_header,
    entry_id_of,
)
from p2pshare.envelope.sizes import SIGNATURE_BYTES
from p2pshare.identifiers import EntryId, KeyId, PartnerId
from p2pshare.spaces.acts import Takeover
from p2pshare.spaces.fold import SpaceFold, SpaceState
from p2pshare.spaces.vertex import Vertex
from p2pshare.spaces.votes import Candidacy
from p2pshare.spaces.writing import Sign, SpaceStatement, to_cite, write


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What a takeover with its majority would change. Entries are those of the fold that went on."""

    state: SpaceState
    void: list[tuple[Vertex, str]]
    """What has an effect now and would have none, and the code why, by (depth, id)."""
    standing: list[Vertex]
    """What has no effect now and would have one, by (depth, id)."""


def best_proposal(space: SpaceFold) -> Candidacy | None:
    """Returns the open proposal to back: of the highest round that with most votes, then the first in the members' list.

    All who ask so at once come to one answer, though nobody told them which.
    """
    proposals = space.open_proposals()
    if not proposals:
        return None
    highest = max(one.act.round for one in proposals)
    return min(
        (one for one in proposals if one.act.round == highest),
        key=lambda one: (-len(one.authors), one.vertex.author, one.vertex.entry_id),
    )


def next_takeover(space: SpaceFold, author: PartnerId, left_out: Collection[EntryId] = ()) -> Takeover:
    """Returns what `author` proposes next: the epoch after that of the lead, one round above the proposals, both by what it will have
    in its past (`left_out` as in `spaces.writing.write`). Raises PeerError `in-own-past`."""
    return Takeover(*space.next_takeover(to_cite(space, author, left_out)))


def foresee(space: SpaceFold, takeover: EntryId) -> Foreseen:
    """Returns what would change if a proposal that is held had its majority. Changes `space`, which nobody else may have.

    Raises KeyError for one that is not here or is void by its past.
    """
    space.state()
    before = {vertex.entry_id: vertex.code for vertex in space.graph.vertices}
    space.win(takeover)
    state = space.state()
    changed = sorted(
        (vertex for vertex in space.graph.vertices if bool(before[vertex.entry_id]) != bool(vertex.code)),
        key=lambda vertex: (vertex.depth, vertex.entry_id),
    )
    return Foreseen(
        state,
        [(vertex, vertex.code) for vertex in changed if vertex.code],
        [vertex for vertex in changed if not vertex.code],
    )


def propose_unsigned(
    space: SpaceFold,
    author: PartnerId,
    key_id: KeyId,
    created: int,
    *,
    left_out: Collection[EntryId] = (),
) -> EntryId:
    """Add to `space`, which nobody else may have, the takeover that its author would write, and return its id.

    Raises PeerError `in-own-past`.
    """
    proposal = next_takeover(space, author, left_out)
    said = SpaceStatement("takeover", proposal.encode(), space.graph.opening.header.tlp)
    return write(space, author, said, created, _unsigned(key_id), left_out=left_out)[-1].entry_id


def _unsigned(key_id: KeyId) -> Sign:
    """Returns what stands in for signing: the entry has the form of a signed one, and nobody else would take it in."""

    def sign(draft: EntryDraft, content: bytes) -> VerifiedEntry:
        body = bytes(BODY_SALT_BYTES) + content
        header = complete_header(draft, body, key_id)
        raw = encode_header(header)
        return VerifiedEntry(DecodedEntry(header, raw, body, bytes(SIGNATURE_BYTES), entry_id_of(raw)))

    return sign
