"""Pending partners: those who wait for a person's yes, wherever they come from, and the card of one who got it (docs/card.md, "Pending
partners").

A source is one way to come to wait: a knock here, an invitation elsewhere (`WaitingSource`). Whoever lists, accepts or refuses asks
all of them (`operations.pending`). Nothing that somebody who waits says of itself is believed; what a person compares is the
fingerprint, and after a yes only the card of that very id counts.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from p2pshare.config import ALIAS_PATTERN
from p2pshare.envelope.card import accept_first, fingerprint, parse_fingerprint
from p2pshare.envelope.knock import PlaceAsked, check_place
from p2pshare.errors import AuthorError, NotFoundError, PeerError, RefusedError
from p2pshare.identifiers import PartnerId
from p2pshare.lookalikes import imitates, skeleton
from p2pshare.node.node import Node, NodeReading
from p2pshare.partners.pending import Draw, PendingDecision, PendingRow
from p2pshare.sharing.partners import AddedPartner, add_partner, alias_for, load_roster, skeletons_taken

PREFIX_DIGITS_MIN = 8  # of an id, when it is typed: what a list shows of each is longer
ACCEPTED = "accepted"
PARTNER = "partner"
"""What comes of a yes: the id is awaited, its card comes with its next knock; or its card was here, and it is a partner."""
KNOCK = "knock"


@dataclass(frozen=True, slots=True)
class Waiting:
    """Somebody who waits for a person's yes, as it describes itself. `source` is the word of its source; `since` unix seconds."""

    partner_id: PartnerId
    name: str
    url: str
    address: str
    since: int
    knocks: int
    source: str
    words: bool = False
    """Whether there are words to compare: those of an invitation."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """What a person has compared with the partner by another way: the words of an invitation, or a fingerprint; else empty."""

    words: str = ""
    fingerprint: str = ""


@dataclass(frozen=True, slots=True)
class Accepted:
    """What came of a yes: `state` is ACCEPTED or PARTNER, `alias` empty where it is made when the card comes."""

    partner_id: PartnerId
    name: str
    alias: str
    state: str


class WaitingSource(Protocol):
    """One way by which somebody comes to wait. Each method may raise ShareError."""

    word: str

    def waiting(self, node: NodeReading, now: int) -> list[Waiting]:
        """Returns those who wait, who came first at first. In any thread."""

    def accept(
        self, node: Node, partner_id: PartnerId, compared: Comparison, alias: str, now: int
    ) -> Accepted | None:
        """Accept the id when what was compared is right; returns None when nobody of that id waits here.

        Raises RefusedError (exit code 5) for wrong words or fingerprint, with nothing changed.
        """

    def refuse(self, node: Node, partner_id: PartnerId, now: int) -> str | None:
        """Refuse the id; returns the name it had, None when nobody of that id waits here."""

    def awaited(self, node: NodeReading) -> dict[PartnerId, str]:
        """Returns the names of ids that a person may still accept or refuse, though they do not wait: accepted and not come,
        refused before. In any thread."""


# --- knocks -----------------------------------------------------------------------------------------


def hear_place(node: NodeReading, place: PlaceAsked, nonce: bytes) -> bool:
    """Returns whether who asks for a place is to be noted: no partner, and nobody whom a person refused. In any thread.

    Raises PeerError `own-card`, and as `envelope.knock.check_place`.
    """
    if place.partner_id == node.card.partner_id:
        raise PeerError("somebody asks for a place under our own id", reason="own-card")
    check_place(place, host=node.card.partner_id, nonce=nonce)
    decision = node.store.pending.decisions().get(place.partner_id)
    is_refused = decision is not None and not decision.is_accepted
    return not is_refused and load_roster(node).get(place.partner_id) is None


def note_place(node: Node, place: PlaceAsked, address: str, address_group: str, draw: Draw, now: int) -> None:
    """Note somebody whom `hear_place` let pass, who came from `address`; `draw` chooses who makes room. Nobody who has become a partner
    meanwhile: one that joined by an invitation knocks until the yes."""
    if load_roster(node).get(place.partner_id) is not None:
        return
    claimed = place.partner_id, place.certificate, place.name, place.url
    node.store.pending.note(PendingRow(*claimed, address, address_group, now, now), draw)


def awaited_at(node: NodeReading) -> list[PendingRow]:
    """Returns where the cards of those whom a person accepted may be fetched, as they said themselves, who knocked last first."""
    accepted = {one.partner_id for one in node.store.pending.accepted()}
    rows = [row for row in node.store.pending.all() if row.partner_id in accepted and row.url]
    return sorted(rows, key=lambda row: -row.last_at)


class KnockSource:
    """Those who knocked."""

    word = KNOCK

    def waiting(self, node: NodeReading, now: int) -> list[Waiting]:
        decided = node.store.pending.decisions()
        return [
            Waiting(row.partner_id, row.name, row.url, row.address, row.since, row.knocks, KNOCK)
            for row in node.store.pending.all()
            if row.partner_id not in decided
        ]

    def accept(
        self, node: Node, partner_id: PartnerId, compared: Comparison, alias: str, now: int
    ) -> Accepted | None:
        name = self._name_of(node, partner_id)
        if name is None:
            return None
        if not compared.fingerprint:
            raise RefusedError(
                "who knocked has no words: there was no invitation",
                hint="compare the fingerprint: --fingerprint, as the partner tells it to you",
                reason="no-words",
            )
        check_fingerprint(partner_id, compared)
        check_alias(node, partner_id, alias)
        node.store.pending.decide(PendingDecision(partner_id, True, alias, name, now))
        return Accepted(partner_id, name, alias, ACCEPTED)

    def refuse(self, node: Node, partner_id: PartnerId, now: int) -> str | None:
        name = self._name_of(node, partner_id)
        if name is not None:
            node.store.pending.decide(PendingDecision(partner_id, False, "", name, now))
        return name

    def awaited(self, node: NodeReading) -> dict[PartnerId, str]:
        return {one.partner_id: one.name for one in node.store.pending.decisions().values()}

    def _name_of(self, node: NodeReading, partner_id: PartnerId) -> str | None:
        """Returns how somebody calls itself who waits, or about whom was decided; None for others."""
        names = {row.partner_id: row.name for row in node.store.pending.all()}
        return (self.awaited(node) | names).get(partner_id)


def check_fingerprint(partner_id: PartnerId, compared: Comparison) -> None:
    """Require that a person compared the fingerprint of this id. Raises AuthorError (unreadable), RefusedError
    `fingerprint-mismatch`."""
    if parse_fingerprint(compared.fingerprint) != partner_id:
        raise RefusedError(
            "that is not the fingerprint of who waits under this id",
            hint="compare it with the partner once more; somebody else may have knocked under its name",
            reason="fingerprint-mismatch",
        )


def check_alias(
    node: NodeReading, partner_id: PartnerId, alias: str, hint: str = "give another one with --alias"
) -> None:
    """Require that a name of a person's choice can be a partner's; empty is none. `hint` says how to give another one where it is
    taken. Raises AuthorError."""
    if not alias:
        return
    if not ALIAS_PATTERN.fullmatch(alias):
        raise AuthorError(
            f"'{alias}' is no usable alias", hint="letters, digits, dot, dash and underscore, at most 64"
        )
    roster = load_roster(node)
    holder = roster.by_name(alias)
    taken = {one.alias for one in node.store.pending.accepted() if one.partner_id != partner_id}
    if (holder is not None and holder.partner_id != partner_id) or alias in roster.groups or alias in taken:
        raise AuthorError(f"the name '{alias}' is taken", hint=hint, reason="alias-taken")


def admit_accepted(node: Node, raw: bytes, partner_id: PartnerId, now: int) -> AddedPartner | None:
    """Make an id that a person has accepted a partner with a link, by its card; None where it was not accepted.

    Raises PeerError with the reason: nobody is there to ask, so a name that is taken meanwhile gets the id behind it.
    """
    decision = node.store.pending.decisions().get(partner_id)
    if decision is None or not decision.is_accepted:
        return None
    confirmed = fingerprint(partner_id)
    alias = decision.alias or _alias_as_seen(node, raw, decision, now)
    try:
        return add_partner(node, raw, confirmed_fingerprint=confirmed, alias=alias, has_link=True, now=now)
    except AuthorError:
        alias = f"partner-{partner_id.short}"
        return add_partner(node, raw, confirmed_fingerprint=confirmed, alias=alias, has_link=True, now=now)


def _alias_as_seen(node: Node, raw: bytes, decision: PendingDecision, now: int) -> str:
    """Returns the alias of who comes without one: made from the name on its card when a person has seen that name, and it is nobody
    else's; else from the id. Raises PeerError."""
    card = accept_first(raw, now)
    if skeleton(card.name) != skeleton(decision.name):
        return f"partner-{card.partner_id.short}"
    roster = load_roster(node)
    return alias_for(roster, card, skeletons_taken(node, roster, but=card.partner_id))


# --- for people -------------------------------------------------------------------------------------


def named_id(typed: str, known: Iterable[PartnerId]) -> PartnerId:
    """Returns the id that a person typed, whole or its first PREFIX_DIGITS_MIN digits or more. Raises NotFoundError,
    AuthorError `ambiguous`."""
    digits = typed.strip().lower()
    found = sorted({one for one in known if len(digits) >= PREFIX_DIGITS_MIN and one.text.startswith(digits)})
    if not found:
        raise NotFoundError(
            f"nobody who waits has the id '{typed}'",
            hint="see `p2pshare partner pending`: the whole id, or its first eight digits or more",
        )
    if len(found) > 1:
        raise AuthorError(
            f"{len(found)} who wait have an id that begins so", hint="give more of it", reason="ambiguous"
        )
    return found[0]


def notes_on_waiting(node: NodeReading, one: Waiting) -> list[str]:
    """Returns, in words, what a person should know beside the name that somebody gives itself: that it reads like a partner's or our
    own, that it once was a partner, that its address says it is on this machine."""
    roster = load_roster(node)
    known = roster.get(one.partner_id)
    if known is not None:  # by an invitation, for whoever knocks is asked that first
        return [f"is your partner '{known.alias}' already"]
    names = node.store.partners.names()
    others = {
        name: f"'{name}', who was your partner and was removed"
        for who, name in names.items()
        if who not in (one.partner_id, node.card.partner_id) and roster.get(who) is None
    }
    others |= {entry.alias: f"your partner '{entry.alias}'" for entry in roster}
    others |= {entry.card.name: f"your partner '{entry.alias}'" for entry in roster}
    others |= {node.config.name: "this node itself", node.card.name: "this node itself"}
    notes = [
        f"its name reads like that of {who}, whose fingerprint is another"
        for who in imitates(one.name, others)
    ]
    former = names.get(one.partner_id)
    if former is not None:
        notes.append(f"was your partner '{former}', and was removed")
    return notes
