"""Inviting, and joining by an invitation: what both sides note, and what comes of a person's yes (docs/invitations.md).

Whoever joined waits (`sharing.pending`): it is no partner, gets no envelope, and is believed nothing but its keys, until a person has
compared the six words, or the fingerprint.
"""

from __future__ import annotations

import secrets
from dataclasses import replace

from msgspec import Struct

from p2pshare.config import ALIAS_PATTERN, url_address
from p2pshare.envelope.card import (
    Card,
    accept_update,
    believe_stranger,
    decode_card,
    fingerprint,
    split_versions,
)
from p2pshare.envelope.card_format import CardBody
from p2pshare.envelope.guest import INVITATION_SECRET_BYTES
from p2pshare.envelope.invitation import (
    INVITED_SECONDS,
    GuestIntroduced,
    InvitationLine,
    JoinState,
    Meeting,
    check_commitment,
    check_guest,
    decode_line,
    encode_line,
)
from p2pshare.envelope.keys import Secret
from p2pshare.envelope.six_words import same_words
from p2pshare.errors import AuthorError, ConfigError, NotFoundError, PeerError, RefusedError
from p2pshare.identifiers import PartnerId
from p2pshare.intel.instants import SECOND_US, format_instant
from p2pshare.node.node import Node, NodeReading
from p2pshare.node.store import StoreReading
from p2pshare.partners.invited import (
    INVITATION_EXPIRED,
    INVITATION_USED,
    PINNED_MAX,
    Invitation,
    InvitationState,
    JoinedGuest,
    Joining,
)
from p2pshare.sharing.partners import add_partner, load_roster, newest_card
from p2pshare.sharing.pending import PARTNER, Accepted, Comparison, Waiting, check_alias, check_fingerprint

INVITATION = "invitation"
"""The word of this source of those who wait."""

STATES = {
    InvitationState.OPEN: JoinState.WAITING,
    InvitationState.WAITING: JoinState.WAITING,
    InvitationState.CONFIRMED: JoinState.CONFIRMED,
    InvitationState.REFUSED: JoinState.REFUSED,
}


class InvitationMade(Struct, frozen=True, forbid_unknown_fields=True):
    """An invitation that was just made; `partner` is the name that its guest will have here."""

    line: str
    partner: str
    expires: str | None


# --- the host ---------------------------------------------------------------------------------------


def invite(node: Node, name: str, now: int) -> InvitationMade:
    """Make an invitation for whom we will call `name`, in place of an open one for the same name.

    Raises AuthorError (`alias-taken`, an unusable name), RefusedError (`no-address`, `too-many-invitations`, `already-joined`).
    """
    check_alias(node, node.identity.partner_id, _usable(name), TAKEN_HERE)
    line = InvitationLine(
        node.identity.partner_id,
        Secret(secrets.token_bytes(INVITATION_SECRET_BYTES)),
        now + INVITED_SECONDS,
        _own_address(node.card),
    )
    store = node.store
    with store.transaction():
        store.invitations.forget_old(now)
        pinned = pinned_invitations(store, now)
        before = [one for one in store.invitations.given_out() if one.name == name]
        if any(one in pinned and one.state == InvitationState.WAITING for one in before):
            raise RefusedError(
                f"somebody has joined by the invitation of '{name}' and waits for your yes or no",
                hint="`p2pshare partner pending` shows who; `partner accept` or `partner refuse` first",
                reason="already-joined",
            )
        given_up = [one for one in before if one.state != InvitationState.CONFIRMED or one.later is not None]
        for one in (*given_up, *_to_make_room([one for one in pinned if one not in given_up])):
            store.invitations.drop(one)
        store.invitations.put(Invitation(name, line.key().certificate, now, line.expires))
    return InvitationMade(encode_line(line), name, format_instant(line.expires * SECOND_US))


TAKEN_HERE = (
    "invite under another name; `p2pshare partner list` says whose it is, and `partner rename` makes it free"
)


def _usable(name: str) -> str:
    if not name or not ALIAS_PATTERN.fullmatch(name):
        raise AuthorError(
            f"'{name}' is no usable name for a partner",
            hint="letters, digits, dot, dash and underscore, at most 64",
            reason="bad-alias",
        )
    return name


def _own_address(card: Card) -> str:
    """Returns host:port of the preferred url on our card. Raises RefusedError `no-address`."""
    for url in card.urls[:1]:
        try:
            host, port = url_address(url)
        except ConfigError:
            break
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    raise RefusedError(
        "nobody can come to a node that has no address",
        hint="let the partner invite you, or give this node one with `p2pshare card set --url https://HOST:PORT`",
        reason="no-address",
    )


def _to_make_room(pinned: list[Invitation]) -> list[Invitation]:
    """Returns the invitation that is given up for one more, if one has to be. Raises RefusedError `too-many-invitations`."""
    if len(pinned) < PINNED_MAX:
        return []
    over = [one for one in pinned if not one.may_change]
    if not over:
        raise RefusedError(
            f"{PINNED_MAX} invitations are open",
            hint="accept or refuse who waits, or invite one of those names again: its older line ends",
            reason="too-many-invitations",
        )
    return over[: len(pinned) - PINNED_MAX + 1]


def pinned_invitations(store: StoreReading, now: int) -> list[Invitation]:
    """Returns the invitations whose guests the door lets in at `now` (unix seconds). In any thread."""
    return [one for one in store.invitations.given_out() if now < one.expires]


def begin_join(node: Node, certificate: bytes, now: int) -> None:
    """Count a guest's first message. Raises PeerError `invitation-used`, `invitation-expired`."""
    node.store.invitations.put(_pinned(node, certificate).beginning(now))


def believe_guest(node: NodeReading, meeting: Meeting, said: GuestIntroduced, now: int) -> Card:
    """Returns the card of a guest whose third message holds. In any thread. Raises PeerError with the reason."""
    check_commitment(meeting)
    claimed = decode_card(split_versions(said.card_file)[-1]).body.partner_id
    known = newest_card(node, claimed)
    if known is None:
        card = believe_stranger(said.card_file, claimed, now)
    else:
        card = accept_update(known, said.card_file, now)
    check_guest(meeting, card, said.signature, now)
    return card


def admit_guest(node: Node, meeting: Meeting, card: Card, address: str, now: int) -> JoinState:
    """Note a guest that `believe_guest` let pass, who came from `address`: it waits from now on. Returns what it is to be told.

    Raises PeerError `invitation-used` for anybody but the first, who is noted for the alarm.
    """
    before = _pinned(node, meeting.guest_certificate)
    if now >= before.expires:
        raise PeerError("an invitation has ended", reason=INVITATION_EXPIRED)
    guest = JoinedGuest(card.partner_id, card.raw, meeting.words(), address, now)
    after = before.joined(guest)
    node.store.invitations.put(after)
    if not after.is_of(card.partner_id):
        raise PeerError("somebody else has joined by this invitation", reason=INVITATION_USED)
    return _told(node, after)


def told_state(node: NodeReading, certificate: bytes) -> JoinState:
    """Returns what a guest is told that asks how it stands. In any thread. Raises PeerError `invitation-used` for one that was dropped."""
    return _told(node, _pinned(node, certificate))


def _told(node: NodeReading, invitation: Invitation) -> JoinState:
    """Returns what its guest is told of an invitation: whom a person removed after the yes is no partner any more."""
    guest, state = invitation.guest, STATES[invitation.state]
    if state == JoinState.CONFIRMED and guest is not None and load_roster(node).get(guest.partner_id) is None:
        return JoinState.REFUSED
    return state


def _pinned(node: NodeReading, certificate: bytes) -> Invitation:
    invitation = node.store.invitations.by_certificate(certificate)
    if invitation is None:
        raise PeerError("an invitation was given up", reason=INVITATION_USED)
    return invitation


# --- the guest --------------------------------------------------------------------------------------


def read_line(node: NodeReading, text: str, now: int) -> InvitationLine:
    """Returns what an invitation says that is for us, at `now` (unix seconds). Raises AuthorError, PeerError, RefusedError."""
    line = decode_line(text)
    if now >= line.expires:
        raise RefusedError(
            "the invitation has ended",
            hint="ask for another one; it lives a day (and compare this machine's clock)",
            reason=INVITATION_EXPIRED,
        )
    if line.host == node.card.partner_id:
        raise RefusedError(
            "that is your own invitation", hint="send it to the partner, who joins by it", reason="own-card"
        )
    return line


def note_joined(
    node: Node, line: InvitationLine, card: Card, words: str, alias: str, state: JoinState, now: int
) -> Joining:
    """Note a host by whose invitation we joined. A yes that a person here has said after an earlier meeting by this line stays while the
    host is a partner; after a no it is asked again."""
    before = node.store.invitations.joining(line.host)
    if before is not None and before.secret != line.secret.reveal():
        before = None
    is_partner = load_roster(node).get(line.host) is not None
    joining = Joining(
        host=line.host,
        alias=alias or ("" if before is None else before.alias),
        card=card.raw,
        words=words,
        address=line.address,
        secret=line.secret.reveal(),
        expires=line.expires,
        joined_at=now,
        here=InvitationState.CONFIRMED
        if before is not None and before.here == InvitationState.CONFIRMED and is_partner
        else InvitationState.WAITING,
        there=standing_of(state),
    )
    node.store.invitations.put_joining(joining)
    return joining


def standing_of(state: JoinState) -> InvitationState:
    return {
        JoinState.WAITING: InvitationState.WAITING,
        JoinState.CONFIRMED: InvitationState.CONFIRMED,
        JoinState.REFUSED: InvitationState.REFUSED,
    }[state]


def note_host_said(node: Node, host: PartnerId, secret: bytes, state: JoinState) -> None:
    """Note what the person at the host has said, unless we have joined by another line meanwhile."""
    joining = node.store.invitations.joining(host)
    if joining is not None and joining.secret == secret:
        node.store.invitations.put_joining(replace(joining, there=standing_of(state)))


def followed(store: StoreReading, now: int) -> list[Joining]:
    """Returns the hosts who are still asked what their person says. In any thread."""
    return [one for one in store.invitations.joinings() if one.is_followed(now)]


# --- a person's yes ---------------------------------------------------------------------------------


class InvitationSource:
    """Those who joined by our invitations, and those by whose invitations we joined (`sharing.pending.WaitingSource`)."""

    word = INVITATION

    def waiting(self, node: NodeReading, now: int) -> list[Waiting]:
        guests = {guest.partner_id: guest for _, guest in _waiting_guests(node)}  # of two lines the newer one
        hosts = [
            _described(one.host, one.card, one.address, one.joined_at)
            for one in node.store.invitations.joinings()
            if one.host not in guests and _is_waiting(one)
        ]
        return [
            *(_described(who, one.card, one.address, one.joined_at) for who, one in guests.items()),
            *hosts,
        ]

    def accept(
        self, node: Node, partner_id: PartnerId, compared: Comparison, alias: str, now: int
    ) -> Accepted | None:
        guests, host = _guests(node, partner_id), _host(node, partner_id)
        chosen, raw, words = alias, b"", list[str]()
        if host is not None:
            chosen, raw, words = alias or host.alias, host.card, [host.words]
        for invitation, guest in guests:
            chosen, raw, words = alias or invitation.name, guest.card, [*words, guest.words]
        if not words:
            return None
        _check_compared(partner_id, compared, words)
        with node.store.transaction():
            for invitation, _ in guests:
                node.store.invitations.put(invitation.decided(is_confirmed=True))
            if host is not None:
                node.store.invitations.put_joining(replace(host, here=InvitationState.CONFIRMED))
            known = load_roster(node).get(partner_id)
            added = add_partner(
                node,
                raw,
                confirmed_fingerprint=fingerprint(partner_id),
                alias=known.alias if known is not None and not alias else chosen,
                has_link=True,
                now=now,
            )
        return Accepted(partner_id, added.name, added.alias, PARTNER)

    def refuse(self, node: Node, partner_id: PartnerId, now: int) -> str | None:
        name = None
        for invitation, guest in _guests(node, partner_id):
            name = _newest(guest.card).name
            node.store.invitations.put(invitation.decided(is_confirmed=False))
        host = _host(node, partner_id)
        if host is not None:
            name = _newest(host.card).name
            node.store.invitations.put_joining(replace(host, here=InvitationState.REFUSED))
        for invitation in _came_later(node, partner_id):
            name = name or ""
            node.store.invitations.put(invitation.without_later())
        return name

    def awaited(self, node: NodeReading) -> dict[PartnerId, str]:
        """Those who came by a line after another had joined: a person may refuse them, which ends the alarm, and not accept them."""
        later = (one.later for one in node.store.invitations.given_out())
        return {one: "" for one in later if one is not None}


def _waiting_guests(node: NodeReading) -> list[tuple[Invitation, JoinedGuest]]:
    """Returns who has joined by our invitations and waits, by the oldest invitation first."""
    given_out = node.store.invitations.given_out()
    return [
        (one, one.guest)
        for one in given_out
        if one.guest is not None and one.state == InvitationState.WAITING
    ]


def _guests(node: NodeReading, partner_id: PartnerId) -> list[tuple[Invitation, JoinedGuest]]:
    """Returns those of them that are this partner: it may have come by two lines."""
    return [(one, guest) for one, guest in _waiting_guests(node) if guest.partner_id == partner_id]


def _came_later(node: NodeReading, partner_id: PartnerId) -> list[Invitation]:
    return [one for one in node.store.invitations.given_out() if one.later == partner_id]


def _host(node: NodeReading, partner_id: PartnerId) -> Joining | None:
    joining = node.store.invitations.joining(partner_id)
    return joining if joining is not None and _is_waiting(joining) else None


def _is_waiting(joining: Joining) -> bool:
    return joining.here == InvitationState.WAITING and joining.there != InvitationState.REFUSED


def _check_compared(partner_id: PartnerId, compared: Comparison, words: list[str]) -> None:
    """Require what a person compared: one of the sets of words, or the fingerprint. Raises RefusedError `wrong-words`,
    `fingerprint-mismatch`, AuthorError."""
    if compared.fingerprint:
        check_fingerprint(partner_id, compared)
    if compared.words or not compared.fingerprint:
        if any(same_words(compared.words, shown) for shown in words):
            return
        raise RefusedError(
            "those are not the words of who waits under this id",
            hint="if the other side reads other words, somebody stands between you: `partner refuse`, and invite anew",
            reason="wrong-words",
        )


def _described(partner_id: PartnerId, card: bytes, address: str, since: int) -> Waiting:
    body = _newest(card)
    url = body.urls[0] if body.urls else ""
    return Waiting(partner_id, body.name, url, address, since, 0, INVITATION, words=True)


def _newest(card_file: bytes) -> CardBody:
    return decode_card(split_versions(card_file)[-1]).body


# --- how an invitation stands -----------------------------------------------------------------------


ENDED = "ended"


class InvitationStatus(Struct, frozen=True, forbid_unknown_fields=True):
    """How an invitation stands, for who waits for it. `here` and `there` are `open`, `ended`, `waiting`, `confirmed` or `refused`, by the person
    on this side and on the other, as far as that is known; name, fingerprint, words are empty before somebody has joined."""

    partner: str
    expires: str | None
    here: str
    there: str
    partner_id: str = ""
    name: str = ""
    fingerprint: str = ""
    words: str = ""
    begun: int = 0
    is_over: bool = False
    """Whether its time has ended."""
    later_fingerprint: str = ""
    """Of who came by the same line after another had joined."""


def invitation_status(node: NodeReading, name: str, now: int) -> InvitationStatus:
    """Returns how the newest invitation stands that we gave out for `name`. Raises NotFoundError."""
    found = [one for one in node.store.invitations.given_out() if one.name == name]
    if not found:
        raise NotFoundError(f"there is no invitation for '{name}'", hint="`p2pshare invite NAME` makes one")
    one = found[-1]
    guest = one.guest
    return InvitationStatus(
        partner=one.name,
        expires=format_instant(one.expires * SECOND_US),
        here=ENDED if one.state == InvitationState.OPEN and now >= one.expires else one.state.value,
        there="",
        is_over=now >= one.expires,
        partner_id="" if guest is None else guest.partner_id.text,
        name="" if guest is None else _newest(guest.card).name,
        fingerprint="" if guest is None else fingerprint(guest.partner_id),
        words="" if guest is None else guest.words,
        begun=one.begun,
        later_fingerprint="" if one.later is None else fingerprint(one.later),
    )


def joining_status(node: NodeReading, host: PartnerId, now: int) -> InvitationStatus:
    """Returns how the invitation stands by which we joined `host`. Raises NotFoundError."""
    joining = node.store.invitations.joining(host)
    if joining is None:
        raise NotFoundError("we joined nobody of that id")
    entry = load_roster(node).get(host)
    return InvitationStatus(
        partner=entry.alias if entry is not None else joining.alias,
        expires=format_instant(joining.expires * SECOND_US),
        here=joining.here.value,
        there=joining.there.value,
        is_over=now >= joining.expires,
        partner_id=host.text,
        name=_newest(joining.card).name,
        fingerprint=fingerprint(host),
        words=joining.words,
    )
