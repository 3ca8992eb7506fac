"""Invitations as they stand at a node, and what each event makes of one (docs/invitations.md, "States"). Pure: times are handed in.

An invitation is used up by sixteen beginnings, or by the one guest that joins. Whoever comes by it later is noted, and never waits.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from p2pshare.errors import PeerError, RefusedError
from p2pshare.identifiers import PartnerId

BEGINNINGS_MAX = 16  # each is a chance of 2^-66 to make words: a line whose connections break is read again
PINNED_MAX = 32  # invitations at once: as many certificates more in the door's table
KEPT_SECONDS = 7 * 86_400  # after its end, for the alarm: a week in which a person looks
KEPT_MAX = 256  # rows in all

INVITATION_USED = "invitation-used"
INVITATION_EXPIRED = "invitation-expired"


class InvitationState(StrEnum):
    """How far an invitation has come. Of a joining: what the person has said, here or there."""

    OPEN = "open"
    WAITING = "waiting"
    CONFIRMED = "confirmed"
    REFUSED = "refused"


@dataclass(frozen=True)
class JoinedGuest:
    """Who has joined: its card file, the words of that meeting, the network address it came from, and when (unix seconds)."""

    partner_id: PartnerId
    card: bytes
    words: str
    address: str
    joined_at: int


@dataclass(frozen=True)
class Invitation:
    """An invitation that we gave out: `name` is what we will call the partner, `certificate` (DER) what its guest shows.

    `later` is the first partner that came by it after another had joined, `later_at` when, `later_count` how often.
    """

    name: str
    certificate: bytes
    created: int
    expires: int
    state: InvitationState = InvitationState.OPEN
    begun: int = 0
    guest: JoinedGuest | None = None
    later: PartnerId | None = None
    later_at: int = 0
    later_count: int = 0

    @property
    def may_change(self) -> bool:
        """Returns whether anybody may still join, or a person has still to say yes or no."""
        return self.state in (InvitationState.OPEN, InvitationState.WAITING)

    @property
    def is_worn_out(self) -> bool:
        """Returns whether it was begun so often that nobody can join any more, though nobody has."""
        return self.state == InvitationState.OPEN and self.begun >= BEGINNINGS_MAX

    def beginning(self, now: int) -> Invitation:
        """Returns the invitation after a guest's first message. Raises PeerError `invitation-expired`, `invitation-used`."""
        if now >= self.expires:
            raise PeerError("an invitation has ended", reason=INVITATION_EXPIRED)
        if self.state == InvitationState.REFUSED or self.begun >= BEGINNINGS_MAX:
            raise PeerError("an invitation is used up", reason=INVITATION_USED)
        return replace(self, begun=self.begun + 1)

    def joined(self, guest: JoinedGuest) -> Invitation:
        """Returns the invitation after a guest whose third message holds. One that is not `guest`'s after it is one whose first
        guest it is not (`is_of`): it is noted as a later one."""
        now = guest.joined_at
        if self.guest is None and self.state == InvitationState.OPEN:
            return replace(self, state=InvitationState.WAITING, guest=guest)
        if not self.is_of(guest.partner_id):
            first = self.later or guest.partner_id
            since = self.later_at or now
            return replace(self, later=first, later_at=since, later_count=self.later_count + 1)
        return replace(self, guest=guest) if self.state == InvitationState.WAITING else self

    def without_later(self) -> Invitation:
        """Returns the invitation after a person refused who had come later: whoever comes now is noted anew."""
        return replace(self, later=None, later_at=0, later_count=0)

    def is_of(self, partner_id: PartnerId) -> bool:
        return self.guest is not None and self.guest.partner_id == partner_id

    def decided(self, *, is_confirmed: bool) -> Invitation:
        """Returns the invitation after the person's yes or no. Raises RefusedError `not-waiting`."""
        if self.state != InvitationState.WAITING:
            raise RefusedError(f"the invitation of '{self.name}' waits for nobody", reason="not-waiting")
        return replace(self, state=InvitationState.CONFIRMED if is_confirmed else InvitationState.REFUSED)


@dataclass(frozen=True)
class Joining:
    """A host by whose invitation we joined. `alias` is what we will call it, empty to make one of its card; `secret` is the line's,
    `here` and `there` what the persons have said: `waiting`, `confirmed` or `refused`."""

    host: PartnerId
    alias: str
    card: bytes
    words: str
    address: str
    secret: bytes
    expires: int
    joined_at: int
    here: InvitationState = InvitationState.WAITING
    there: InvitationState = InvitationState.WAITING

    def is_followed(self, now: int) -> bool:
        """Returns whether we still ask the host what its person says."""
        return (
            self.there == InvitationState.WAITING
            and self.here != InvitationState.REFUSED
            and now < self.expires
        )


ASK_SECONDS_MIN, ASK_SECONDS_MAX = 2, 300  # between two questions; the host lets 30 a minute in
ASK_SHARE = 10  # of the time that has gone by since


def ask_pause(seconds: float) -> float:
    """Returns how long to wait before the next question, `seconds` after we joined."""
    return min(max(seconds / ASK_SHARE, ASK_SECONDS_MIN), ASK_SECONDS_MAX)
