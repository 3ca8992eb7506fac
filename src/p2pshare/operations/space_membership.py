"""`space join|decline|leave|invite|remove|handover|accept|trust`: who is a member of a space, and who leads it by agreement."""

from __future__ import annotations

from msgspec import Struct

from p2pshare.errors import NotFoundError, RefusedError
from p2pshare.identifiers import PartnerId
from p2pshare.node.node import Node, NodeReading, Progress
from p2pshare.operations.interface import Query, Request
from p2pshare.operations.space_links import Links, links_among, news_of
from p2pshare.operations.space_standing import standing_now
from p2pshare.operations.spaces import (
    TLP_LABELS,
    Called,
    Invited,
    KindName,
    SpaceWritten,
    decided,
    invited_or_held,
    member_called,
    names_here,
    partner_called,
    space_called,
)
from p2pshare.sharing.partners import AddedPartner, add_partner
from p2pshare.spaces.acts import Handover, Inviting, Plain, Removal
from p2pshare.spaces.space_exchange import spaces_of
from p2pshare.spaces.space_store import SpaceReading, SpaceRow

_IN_IT = frozenset({"joined", "invited", "forked"})


class JoinSpace(Request[SpaceWritten], frozen=True, tag="space-join"):
    """Accept our newest invitation into the space of that id, also where its opening is not here yet."""

    id: Called
    only: KindName = ""

    def run(self, node: Node, now: int, progress: Progress) -> SpaceWritten:
        space = invited_or_held(node.store, self.id, self.only)
        return SpaceWritten(space.text, spaces_of(node).join(space, now).entry_id.text)


class DeclineSpace(Request[SpaceWritten], frozen=True, tag="space-decline"):
    """Decline our newest invitation into the space of that id."""

    id: Called
    only: KindName = ""

    def run(self, node: Node, now: int, progress: Progress) -> SpaceWritten:
        space = invited_or_held(node.store, self.id, self.only)
        return SpaceWritten(space.text, spaces_of(node).decline(space, now).entry_id.text)


class LeaveSpace(Request[SpaceWritten], frozen=True, tag="space-leave"):
    """Leave the space of that id. A lead hands over first."""

    id: Called
    only: KindName = ""

    def run(self, node: Node, now: int, progress: Progress) -> SpaceWritten:
        row = space_called(node.store, self.id, self.only)
        status = spaces_of(node).state(row.space).members.get(node.identity.partner_id, "")
        if status == "invited":
            raise RefusedError(
                "we have not joined this space",
                hint="an invitation is declined: `space decline`",
                reason="not-joined",
            )
        if status not in _IN_IT:
            raise RefusedError(
                f"we are no member of this space: {status or 'never invited'}", reason="not-member"
            )
        return decided(node, row, "leave", Plain(), now)


class MembersChanged(Struct, frozen=True, forbid_unknown_fields=True):
    """The entry that was written, and how those who are members now are linked."""

    space: str
    entry: str
    links: Links


class InviteIntoSpace(Request[MembersChanged], frozen=True, tag="space-invite"):
    """Invite the partners of these names into the space of that id: its lead may."""

    id: Called
    names: Invited
    only: KindName = ""

    def run(self, node: Node, now: int, progress: Progress) -> MembersChanged:
        row = space_called(node.store, self.id, self.only)
        invited = sorted({partner_called(node.store, name) for name in self.names})
        _require_some(invited)
        before = _members(node, row)
        entry = decided(node, row, "invite", Inviting(tuple((one, "") for one in invited)), now)
        return _changed(node, row, entry, before | set(invited))


class InvitationPreview(Struct, frozen=True, forbid_unknown_fields=True):
    """What who is invited will be able to read of what is here: so many entries, and the strictest marking among them. `sealed` are others,
    which name their readers. `names` are those who would be invited."""

    names: list[str]
    entries: int
    sealed: int
    tlp_max: str


class PreviewInvitation(Query[InvitationPreview], frozen=True, tag="space-invite-preview"):
    """Show what partners of these names would be able to read of the space of that id."""

    id: Called
    names: Invited
    only: KindName = ""

    def run(self, node: NodeReading, now: int, progress: Progress) -> InvitationPreview:
        row = space_called(node.store, self.id, self.only)
        invited = {partner_called(node.store, name) for name in self.names}
        names = names_here(node.store)
        headers = [header for _, header in SpaceReading(node.store.database).headers(row)]
        read = [header.tlp for header in headers if not header.audience and header.kind != "merge"]
        return InvitationPreview(
            [names.get(one) or one.text for one in sorted(invited)],
            len(read),
            sum(bool(header.audience) for header in headers),
            TLP_LABELS[max(read, default=row.tlp)],
        )


class RemoveFromSpace(Request[MembersChanged], frozen=True, tag="space-remove"):
    """Remove the members of these names from the space of that id: its lead may."""

    id: Called
    names: Invited
    only: KindName = ""

    def run(self, node: Node, now: int, progress: Progress) -> MembersChanged:
        row = space_called(node.store, self.id, self.only)
        state = spaces_of(node).state(row.space)
        names = names_here(node.store)
        removed = sorted({member_called(state.members, names, name) for name in self.names})
        _require_some(removed)
        if node.identity.partner_id in removed and state.lead == node.identity.partner_id:
            raise RefusedError(
                "a lead is not removed by itself", hint="hand over, then leave", reason="is-lead"
            )
        before = _members(node, row)
        entry = decided(node, row, "remove", Removal(tuple(removed)), now)
        return _changed(node, row, entry, before - set(removed))


class PreviewRemoval(Query[Links], frozen=True, tag="space-links-without"):
    """Show how the members of the space of that id would be linked without those of these names."""

    id: Called
    names: Invited
    only: KindName = ""

    def run(self, node: NodeReading, now: int, progress: Progress) -> Links:
        row = space_called(node.store, self.id, self.only)
        standing = standing_now(node.store, row)
        members, names = standing.members, names_here(node.store)
        gone = {member_called(members, names, name) for name in self.names}
        stay = [one for one, status in members.items() if status in _IN_IT and one not in gone]
        return links_among(node.store, node.card.partner_id, stay, news_of(node.store, row.space))


class HandOverSpace(Request[SpaceWritten], frozen=True, tag="space-handover"):
    """Offer the lead of the space of that id to a member, who leads once it accepts: its lead may."""

    id: Called
    to: Called
    only: KindName = ""

    def run(self, node: Node, now: int, progress: Progress) -> SpaceWritten:
        row = space_called(node.store, self.id, self.only)
        state = spaces_of(node).state(row.space)
        member = member_called(state.members, names_here(node.store), self.to)
        if state.members[member] != "joined":
            raise RefusedError(
                f"the lead is offered to a member that has joined; this one is {state.members[member]}",
                hint="`p2pshare space show` has the status of each member",
                reason="not-joined",
            )
        if member == state.lead:
            raise RefusedError("that member is the lead", reason="is-lead")
        return decided(node, row, "handover", Handover(member), now)


class AcceptLead(Request[SpaceWritten], frozen=True, tag="space-accept"):
    """Accept the lead of the space of that id, which its lead has offered to us."""

    id: Called
    only: KindName = ""

    def run(self, node: Node, now: int, progress: Progress) -> SpaceWritten:
        row = space_called(node.store, self.id, self.only)
        return decided(node, row, "accept", Plain(), now)


class MemberCard(Struct, frozen=True, forbid_unknown_fields=True):
    """The card of a member that came beside entries: what a person compares before it is trusted."""

    partner_id: str
    introduced_by: str
    card: bytes


class ShowMemberCard(Query[MemberCard], frozen=True, tag="space-member-card"):
    """Show the card of a member of the space of that id that is no partner."""

    id: Called
    member: Called
    only: KindName = ""

    def run(self, node: NodeReading, now: int, progress: Progress) -> MemberCard:
        row = space_called(node.store, self.id, self.only)
        reading = SpaceReading(node.store.database)
        standing = standing_now(node.store, row)
        member = member_called(standing.members, names_here(node.store), self.member)
        raw, by = reading.introduced_card(member), reading.introduced_by(member)
        if member == node.card.partner_id or any(
            one.partner_id == member for one in node.store.partners.all()
        ):
            raise RefusedError("that member is a partner already, or ourselves", reason="is-partner")
        if raw is None or by is None:
            raise NotFoundError(
                "the card of that member is not here",
                hint="it comes with its first entry; or have it by another way, and `p2pshare partner add`",
                reason="no-card",
            )
        return MemberCard(member.text, names_here(node.store).get(by) or by.text, raw)


class TrustMember(Request[AddedPartner], frozen=True, tag="space-trust"):
    """Make a partner of a member whose card came beside entries, because a person confirmed its fingerprint."""

    id: Called
    member: Called
    fingerprint: str
    alias: str = ""
    has_link: bool = True
    only: KindName = ""

    def run(self, node: Node, now: int, progress: Progress) -> AddedPartner:
        shown = ShowMemberCard(self.id, self.member, self.only).run(node, now, progress)
        added = add_partner(
            node,
            shown.card,
            confirmed_fingerprint=self.fingerprint,
            alias=self.alias,
            has_link=self.has_link,
            now=now,
        )
        spaces_of(node).card_came(PartnerId.parse(shown.partner_id), now)
        return added


def _require_some(members: list[PartnerId]) -> None:
    if not members:
        raise NotFoundError("nobody is named", hint="name one member or more")


def _members(node: Node, row: SpaceRow) -> set[PartnerId]:
    """Returns who is in a space, joined or not."""
    members = spaces_of(node).state(row.space).members
    return {member for member, status in members.items() if status in _IN_IT}


def _changed(node: Node, row: SpaceRow, entry: SpaceWritten, members: set[PartnerId]) -> MembersChanged:
    own, news = node.identity.partner_id, news_of(node.store, row.space)
    return MembersChanged(entry.space, entry.entry, links_among(node.store, own, sorted(members), news))
