"""`invite` and `join`: a line that brings a partner to the door, and the other side of it. A person's yes is `partner accept`
(`operations.pending`)."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import Any

from msgspec import Struct

from p2pshare.envelope.invitation import NONCE_BYTES, InvitationLine, JoinRefused
from p2pshare.errors import AuthorError, PeerError, RefusedError
from p2pshare.identifiers import PartnerId
from p2pshare.node.node import Node, NodeReading, Progress
from p2pshare.node.proxy_login import proxy_of
from p2pshare.operations.aside_talk import AsideTalk
from p2pshare.operations.interface import AsideWork, LongRequest, Query, Request
from p2pshare.partners.invited import InvitationState
from p2pshare.peering.joining import Met, Own, join
from p2pshare.peering.proxies import Proxy
from p2pshare.sharing import inviting
from p2pshare.sharing.inviting import InvitationMade, InvitationStatus
from p2pshare.sharing.pending import check_alias

CONFIRMED = "confirmed"
WAITING = "waiting"
"""The states of who joined: both persons have said yes, or one of them has not yet."""


class HostJoined(Struct, frozen=True, forbid_unknown_fields=True):
    """The host that was joined: the six words to compare, and whether both persons have said yes."""

    partner_id: str
    name: str
    words: str
    state: str


class Invite(Request[InvitationMade], frozen=True, tag="invite"):
    """Make an invitation for whom we will call `name`."""

    name: str

    def run(self, node: Node, now: int, progress: Progress) -> InvitationMade:
        return inviting.invite(node, self.name, now)


class Join(LongRequest[HostJoined], frozen=True, tag="join"):
    """Come to a host by the line of its invitation. Without an `alias` one is made from its card."""

    line: str
    alias: str = ""

    def steps(self, node: Node, now: int) -> Iterator[HostJoined | AsideWork[Any] | None]:
        line = inviting.read_line(node, self.line, now)
        check_alias(node, line.host, self.alias)
        own = Own(node.card.raw, node.identity.operational.sign, secrets.token_bytes(NONCE_BYTES))
        seconds, proxy = node.config.gossip.connect_timeout_seconds, proxy_of(node.config)
        meeting = AsideTalk(lambda: _meet(line, own, now, seconds, proxy))
        yield meeting
        met = meeting.result
        joining = inviting.note_joined(node, line, met.card, met.words, self.alias, met.state, now)
        if joining.there == InvitationState.REFUSED:
            raise RefusedError(
                "the other side has refused",
                hint="ask them for another invitation",
                reason="invitation-refused",
            )
        is_confirmed = joining.here == joining.there == InvitationState.CONFIRMED
        yield HostJoined(line.host.text, met.card.name, met.words, CONFIRMED if is_confirmed else WAITING)


async def _meet(line: InvitationLine, own: Own, now: int, connect_seconds: float, proxy: Proxy | None) -> Met:
    """Returns the host, once it was met. Raises RefusedError for what a person has to know, PeerError."""
    try:
        return await join(line, own, now, connect_seconds=connect_seconds, proxy=proxy)
    except PeerError as error:
        message, hint = EXPLAINED.get(error.reason, (error.message, ASK_ANEW))
        message = f"{message} ({line.address})"
        if isinstance(error, JoinRefused) or error.reason in EXPLAINED:
            raise RefusedError(message, hint=hint, reason=error.reason) from None
        raise PeerError(message, hint=ANSWERS_NOT, reason=error.reason) from None


ASK_ANEW = "nothing was believed and nothing was added; ask the partner for another invitation"
ANSWERS_NOT = (
    "is the partner's daemon running, and does its address lead there from here? join by the same line again"
)
EXPLAINED = {
    "invitation-used": (
        "this invitation is used up: somebody else has joined by it, or tried too often",
        "tell the partner, by telephone: whoever joined has read a line that was for you; they refuse it and invite you anew",
    ),
    "invitation-unknown": (
        "the host knows no such invitation: the line was changed, has ended, or was replaced by a newer one",
        ASK_ANEW,
    ),
    "invitation-expired": ("the invitation has ended", ASK_ANEW),
    "not-the-inviter": (
        "somebody else answers at the address in this invitation: it was told nothing of us",
        "compare the line with the partner by telephone; the address may lead elsewhere, or somebody is in between",
    ),
}
"""Reason -> what it means for who joins, and what to do."""


class ShowInvitation(Query[InvitationStatus], frozen=True, tag="invitation-show"):
    """Show how an invitation stands: ours for a `name`, or the one by which we joined the partner with an id; one of the two."""

    name: str = ""
    host: str = ""

    def run(self, node: NodeReading, now: int, progress: Progress) -> InvitationStatus:
        if self.host:
            try:
                return inviting.joining_status(node, PartnerId.parse(self.host), now)
            except ValueError:
                raise AuthorError("a partner's id has 64 hexadecimal digits", reason="bad-id") from None
        return inviting.invitation_status(node, self.name, now)
