"""Admission: the envelopes that may come in, and those that may go out on a link; the same rule for both sides.

A direct envelope travels from its author to a recipient, and back from a recipient to its author, who may have lost it. A
relayed one travels on every link that carries its circle. Nothing else moves, so a filter that could be forgotten does not
exist.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from p2pshare.envelope.envelope import Mode
from p2pshare.identifiers import CircleId, PartnerId
from p2pshare.partners.roster import Roster, RosterEntry


@dataclass(frozen=True)
class Admit:
    """The envelope may be verified further and stored."""


@dataclass(frozen=True)
class RefuseEntry:
    """The envelope must not come in; `reason` is counted."""

    reason: str


def admit(
    *,
    mode: Mode,
    circle: CircleId,
    author: PartnerId,
    received_from: PartnerId | None,
    roster: Roster,
    now: int,
) -> Admit | RefuseEntry:
    """Returns Admit when an envelope of `author`, handed over by the partner `received_from`, may come in at `now` (unix seconds),
    else RefuseEntry: author-unknown, author-frozen, author-suspended, direct-from-another, circle-not-on-link.

    Believes nothing but the TLS identity of `received_from`; signatures are checked after this, at more cost.
    """
    is_own = author == roster.own_id
    entry = roster.get(author)
    if entry is None and not is_own:
        return RefuseEntry("author-unknown")
    if entry is not None and entry.is_frozen:
        return RefuseEntry("author-frozen")
    if entry is not None and entry.is_suspended(now):
        return RefuseEntry("author-suspended")
    link = roster.get(received_from) if received_from is not None else None
    if mode is Mode.DIRECT:
        is_home = is_own and link is not None and link.has_link
        return Admit() if received_from == author or is_home else RefuseEntry("direct-from-another")
    if link is None or not carries(link, circle):
        return RefuseEntry("circle-not-on-link")
    return Admit()


def carries(link: RosterEntry, circle: CircleId) -> bool:
    """Returns whether relayed envelopes of `circle` may pass this link."""
    return link.has_link and circle in link.circles


def may_leave(
    *,
    mode: Mode,
    circle: CircleId,
    link: RosterEntry,
    is_own: bool,
    is_home: bool,
    direct_recipients: Collection[PartnerId] = (),
) -> bool:
    """Returns whether an envelope we hold may be offered or handed to the partner at the end of `link`.

    `is_own` where we are its author, `is_home` where that partner is. `direct_recipients` are the partners that our own was
    sealed for; it only matters for direct envelopes, which their author hands to those, and those to their author.
    """
    return not why_kept(
        mode=mode,
        circle=circle,
        link=link,
        is_own=is_own,
        is_home=is_home,
        direct_recipients=direct_recipients,
    )


def why_kept(
    *,
    mode: Mode,
    circle: CircleId,
    link: RosterEntry,
    is_own: bool,
    is_home: bool,
    direct_recipients: Collection[PartnerId] = (),
) -> str:
    """Returns the reason why an envelope must not leave on `link`: `no-link`, `direct-from-another`,
    `not-a-recipient` or `circle-not-on-link`; empty when it may. Arguments as for `may_leave`."""
    if not link.has_link:
        return "no-link"
    if mode is not Mode.DIRECT:
        return "" if carries(link, circle) else "circle-not-on-link"
    if is_home:
        return ""
    if not is_own:
        return "direct-from-another"
    return "" if link.partner_id in direct_recipients else "not-a-recipient"
