"""`space takeover` and `ack`: the lead by a vote, where it is silent or not trusted (docs/spaces.md, "Taking over").

Whoever asks for a takeover backs the proposal that is open and can be backed; else it proposes itself, in a higher round only after
those that are open had ten minutes. So members that ask at once come to one lead. Before anybody votes it is shown what that would void.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated

from msgspec import Meta, Struct

from p2pshare.errors import NotFoundError, PeerError, RefusedError
from p2pshare.identifiers import EntryId, PartnerId
from p2pshare.node.node import Node, NodeReading, Progress
from p2pshare.node.store import StoreReading
from p2pshare.operations.interface import Query, Request
from p2pshare.operations.space_standing import Standing, standing_of
from p2pshare.operations.spaces import (
    Called,
    KindName,
    decided,
    entry_called,
    names_here,
    space_called,
    who_may,
)
from p2pshare.spaces.acts import Ack, Removal, decode_act
from p2pshare.spaces.fold import SpaceFold
from p2pshare.spaces.looking_ahead import best_proposal, foresee, propose_unsigned
from p2pshare.spaces.space_exchange import spaces_of
from p2pshare.spaces.space_store import SpaceReading, SpaceRow
from p2pshare.spaces.vertex import SpaceEntry, Vertex
from p2pshare.spaces.votes import Candidacy

HIGHER_ROUND_SECONDS = 600  # between a round and the next: members that are awake have seen it by then
CHANGES_SHOWN_MAX = 100  # of a list on one screen; the count is whole

PROPOSE, BACK, WAIT = "propose", "back", "wait"

LeftOutEntries = Annotated[tuple[Called, ...], Meta(max_length=64)]


class EntryChanged(Struct, frozen=True, forbid_unknown_fields=True):
    """An entry whose effect would change; `reason` is the code why it would have none, empty where it would have one."""

    id: str
    author: str
    kind: str
    created: int
    reason: str


class VotePreview(Struct, frozen=True, forbid_unknown_fields=True):
    """What a takeover would do here now: `propose` ourselves, `back` the proposal of another, or `wait` until a higher round may be
    proposed; and what would change once it had its majority. `needed`: votes that would still be missing after ours."""

    space: str
    does: str
    proposal: str | None
    proposer: str
    epoch: int
    round: int
    voters: int
    votes: list[str]
    needed: int
    lead: str | None
    lead_then: str | None
    members_then: dict[str, str]
    """Name -> status, of those whose status would be another."""
    void: list[EntryChanged]
    void_count: int
    standing: list[EntryChanged]
    standing_count: int


class Voted(Struct, frozen=True, forbid_unknown_fields=True):
    """The vote that was written, for which proposal (its own id where we proposed), who has voted for it and how many votes are
    missing; and who leads now."""

    space: str
    entry: str
    does: str
    proposal: str
    votes: list[str]
    needed: int
    lead: str | None


class PreviewTakeover(Query[VotePreview], frozen=True, tag="space-takeover-preview"):
    """Show what `space-takeover` would do in the space of that id, or `space-ack` of the proposal that is named, and what that would change."""

    id: Called
    proposal: Called = ""
    is_ack: bool = False
    left_out: LeftOutEntries = ()
    only: KindName = ""

    def run(self, node: NodeReading, now: int, progress: Progress) -> VotePreview:
        row = space_called(node.store, self.id, self.only)
        reading, own = SpaceReading(node.store.database), node.card.partner_id
        fold = SpaceFold()
        for entry in reading.entries(row):
            fold.add(SpaceEntry.of(entry))
        if not fold.are_rules_known:
            raise RefusedError(
                "this program does not know the rules of the space",
                hint="a newer one may",
                reason="unknown-rules",
            )
        left_out = _left_out(node.store, row, self.left_out)
        does, chosen = _plan(reading, fold, own, now)
        if self.is_ack:
            does, chosen = BACK, _wanted(node.store, row, fold, self.proposal)
        before = fold.state()
        lead, members = before.lead, dict(before.members)
        if does == PROPOSE:
            key_id = node.card.sign_keys[-1].key.key_id
            try:
                takeover = propose_unsigned(fold, own, key_id, now, left_out=left_out)
                fold.state()
            except PeerError as error:
                raise _not_possible(error.reason) from None
            void = fold.effect_of(takeover)
            if void:
                raise _not_possible(void)
            # it is open no more where our own vote is enough: of two white members
            chosen, _ = fold.vote_of(takeover)
        assert chosen is not None
        return _preview(row, fold, chosen, does, lead, members, own, names_here(node.store))


class TakeOver(Request[Voted], frozen=True, tag="space-takeover"):
    """Take over the space of that id: back the proposal that is open, else propose ourselves. `left_out`: entries that it has not in its
    past, nor what follows them."""

    id: Called
    left_out: LeftOutEntries = ()
    only: KindName = ""

    def run(self, node: Node, now: int, progress: Progress) -> Voted:
        row = space_called(node.store, self.id, self.only)
        spaces, own = spaces_of(node), node.identity.partner_id
        left_out = _left_out(node.store, row, self.left_out)
        does, chosen = _plan(SpaceReading(node.store.database), spaces.fold_of(row.space), own, now)
        if does == BACK:
            assert chosen is not None
            return _back(node, row, chosen.vertex.entry_id, now, left_out)
        if does == WAIT:
            raise RefusedError(
                "our vote of this round is given, and the others had no ten minutes to give theirs",
                hint="ask the other members for `space ack`; after ten minutes a higher round is proposed",
                reason="voted",
            )
        try:
            entry = spaces.take_over(row.space, now, left_out=left_out)
        except RefusedError as error:
            raise _hinted(node, row, error) from None
        return _voted(node, row, PROPOSE, entry.entry_id, entry.entry_id)


class AckTakeover(Request[Voted], frozen=True, tag="space-ack"):
    """Vote for the takeover that is named in the space of that id; else for the one that `space-takeover` would back."""

    id: Called
    proposal: Called = ""
    left_out: LeftOutEntries = ()
    only: KindName = ""

    def run(self, node: Node, now: int, progress: Progress) -> Voted:
        row = space_called(node.store, self.id, self.only)
        chosen = _wanted(node.store, row, spaces_of(node).fold_of(row.space), self.proposal)
        left_out = _left_out(node.store, row, self.left_out)
        return _back(node, row, chosen.vertex.entry_id, now, left_out)


def _plan(reading: SpaceReading, fold: SpaceFold, own: PartnerId, now: int) -> tuple[str, Candidacy | None]:
    """Returns what a takeover does at `now`, and the proposal to back, or for which ours waits."""
    best = best_proposal(fold)
    if best is None:
        return PROPOSE, None
    if own in best.voters and not fold.has_voted(own, best):
        return BACK, best
    came = [
        reading.received_at(one.vertex.entry_id)
        for one in fold.open_proposals()
        if one.act.round == best.act.round
    ]
    return (PROPOSE if now - min(came, default=0) >= HIGHER_ROUND_SECONDS else WAIT), best


def _wanted(store: StoreReading, row: SpaceRow, fold: SpaceFold, digits: str) -> Candidacy:
    """Returns the open proposal that is named, else the one to back. Raises NotFoundError, AmbiguousId, RefusedError `no-proposal`."""
    if not digits:
        best = best_proposal(fold)
        if best is None:
            raise NotFoundError(
                "no takeover of this space is open to a vote", hint="`p2pshare space takeover` proposes one"
            )
        return best
    entry_id = entry_called(store, row, digits)
    for one in fold.open_proposals():
        if one.vertex.entry_id == entry_id:
            return one
    raise RefusedError(
        "that is no takeover that is open to a vote",
        hint="`p2pshare space ack` without it votes for the one to back",
        reason="no-proposal",
    )


def _left_out(store: StoreReading, row: SpaceRow, digits: Iterable[str]) -> tuple[EntryId, ...]:
    return tuple(entry_called(store, row, one) for one in digits)


def _back(node: Node, row: SpaceRow, proposal: EntryId, now: int, left_out: tuple[EntryId, ...]) -> Voted:
    try:
        said = decided(node, row, "ack", Ack(proposal), now, left_out)
    except RefusedError as error:
        raise _hinted(node, row, error) from None
    return _voted(node, row, BACK, EntryId.parse(said.entry), proposal)


def _hinted(node: Node, row: SpaceRow, error: RefusedError) -> RefusedError:
    """Returns the refusal, with the removals to leave out where the lead has removed us beside the vote."""
    standing, own = standing_of(node.store, row), node.identity.partner_id
    removals = [] if standing is None else _removals_of(node.store, standing, own)
    if error.reason in ("not-member", "cut") and removals:
        options = " ".join(f"--leave-out {one}" for one in removals)
        return RefusedError(
            error.message,
            hint=f"the lead has removed us; `{options}` votes as one who has not seen that",
            reason=error.reason,
        )
    return who_may(node, row, error)


def _removals_of(store: StoreReading, standing: Standing, member: PartnerId) -> list[str]:
    """Returns the beginnings of the ids of what removed a member that is removed."""
    reading = SpaceReading(store.database)
    if standing.status_of(member) != "removed":
        return []
    found = []
    for one in standing.output["timeline"]:
        entry = reading.entry(EntryId.parse(one["id"])) if one["kind"] == "remove" else None
        act = (
            None if entry is None else decode_act("remove", entry.content())
        )  # it has an effect, so it reads
        if isinstance(act, Removal) and member in act.members:
            found.append(one["id"][:10])
    return found


def _not_possible(reason: str) -> RefusedError:
    return RefusedError(
        f"our takeover would be void ({reason})",
        hint="a member that has joined, is not the lead and has no fork may propose itself; `--leave-out` leaves a removal of ours out",
        reason=reason,
    )


def _voted(node: Node, row: SpaceRow, does: str, entry: EntryId, proposal: EntryId) -> Voted:
    names = names_here(node.store)
    found, lead = spaces_of(node).fold_of(row.space).vote_of(proposal)
    assert found is not None
    votes = [_called(one, names) for one in sorted(found.authors)]
    leads = None if lead is None else _called(lead, names)
    return Voted(row.space.text, entry.text, does, proposal.text, votes, _needed(found), leads)


def _needed(proposal: Candidacy) -> int:
    """Returns how many votes are missing to more than half of the voters."""
    return max(0, len(proposal.voters) // 2 + 1 - len(proposal.authors))


def _preview(
    row: SpaceRow,
    fold: SpaceFold,
    chosen: Candidacy,
    does: str,
    lead: PartnerId | None,
    members: Mapping[PartnerId, str],
    own: PartnerId,
    names: Mapping[PartnerId, str],
) -> VotePreview:
    is_ours = does == PROPOSE
    votes = chosen.authors | ({own} if does == BACK else frozenset())
    missing = max(0, len(chosen.voters) // 2 + 1 - len(votes))
    foreseen = foresee(fold, chosen.vertex.entry_id)
    then = foreseen.state
    return VotePreview(
        space=row.space.text,
        does=does,
        proposal=None if is_ours else chosen.vertex.entry_id.text,
        proposer=_called(chosen.vertex.author, names),
        epoch=chosen.act.epoch,
        round=chosen.act.round,
        voters=len(chosen.voters),
        votes=[] if is_ours else [_called(one, names) for one in sorted(chosen.authors)],
        needed=missing,
        lead=None if lead is None else _called(lead, names),
        lead_then=None if then.lead is None else _called(then.lead, names),
        members_then={
            _called(one, names): then.members.get(one, "none")
            for one in sorted({*members, *then.members})
            if members.get(one) != then.members.get(one)
        },
        void=[_changed(vertex, names, code) for vertex, code in foreseen.void[:CHANGES_SHOWN_MAX]],
        void_count=len(foreseen.void),
        standing=[_changed(vertex, names, "") for vertex in foreseen.standing[:CHANGES_SHOWN_MAX]],
        standing_count=len(foreseen.standing),
    )


def _changed(vertex: Vertex, names: Mapping[PartnerId, str], reason: str) -> EntryChanged:
    return EntryChanged(
        vertex.entry_id.text, _called(vertex.author, names), vertex.kind, vertex.header.created, reason
    )


def _called(member: PartnerId, names: Mapping[PartnerId, str]) -> str:
    return names.get(member) or member.text
