"""`partner pending`, `accept`, `refuse`: those who wait for a person's yes, from every source.

A way to come to wait is a row of `SOURCES` (`sharing.pending.WaitingSource`).
"""

from __future__ import annotations

from msgspec import Struct

from p2pshare.envelope.card import fingerprint, safety_number
from p2pshare.errors import NotFoundError
from p2pshare.identifiers import PartnerId
from p2pshare.intel.instants import SECOND_US, format_instant
from p2pshare.lookalikes import notes_on
from p2pshare.node.node import Node, NodeReading, Progress
from p2pshare.operations.interface import Query, Request, Several
from p2pshare.sharing.inviting import InvitationSource
from p2pshare.sharing.pending import (
    Comparison,
    KnockSource,
    Waiting,
    WaitingSource,
    named_id,
    notes_on_waiting,
)

SOURCES: tuple[WaitingSource, ...] = (InvitationSource(), KnockSource())


class PendingPartner(Struct, frozen=True, forbid_unknown_fields=True):
    """Somebody who waits for a person's yes. `name`, `url` and `partner_id` are its own claim; `notes` say, in words, what beside the name
    a person should know; `source` is `knock` or `invitation`, `words` whether there are words to compare."""

    partner_id: str
    name: str
    url: str
    fingerprint: str
    safety_number: str
    address: str
    since: str
    knocks: int
    source: str
    words: bool
    notes: list[str]


class AcceptedPartner(Struct, frozen=True, forbid_unknown_fields=True):
    """What came of a yes: `state` is `accepted` (its card comes with its next knock) or `partner`; `alias` is empty where one is
    made from the card when it comes."""

    partner_id: str
    name: str
    alias: str
    state: str


class RefusedPartner(Struct, frozen=True, forbid_unknown_fields=True):
    """Somebody who is not shown again."""

    partner_id: str
    name: str


class ListPending(Query[Several[PendingPartner]], frozen=True, tag="partner-pending"):
    """List those who wait for a person's yes, who came first at first."""

    def run(self, node: NodeReading, now: int, progress: Progress) -> Several[PendingPartner]:
        return Several([_described(node, one) for one in waiting(node, now)])


class AcceptPending(Request[AcceptedPartner], frozen=True, tag="partner-accept"):
    """Accept who waits under an id, or its beginning, once a person compared its words or its fingerprint."""

    partner: str
    words: str = ""
    fingerprint: str = ""
    alias: str = ""

    def run(self, node: Node, now: int, progress: Progress) -> AcceptedPartner:
        partner_id = _named(node, self.partner, now)
        compared = Comparison(self.words, self.fingerprint)
        for source in SOURCES:
            accepted = source.accept(node, partner_id, compared, self.alias, now)
            if accepted is not None:
                return AcceptedPartner(
                    accepted.partner_id.text, accepted.name, accepted.alias, accepted.state
                )
        raise _nobody(self.partner)


class RefusePending(Request[RefusedPartner], frozen=True, tag="partner-refuse"):
    """Refuse who waits under an id, or its beginning, in every source."""

    partner: str

    def run(self, node: Node, now: int, progress: Progress) -> RefusedPartner:
        partner_id = _named(node, self.partner, now)
        names = [source.refuse(node, partner_id, now) for source in SOURCES]
        name = next((one for one in names if one is not None), None)
        if name is None:
            raise _nobody(self.partner)
        return RefusedPartner(partner_id.text, name)


def waiting(node: NodeReading, now: int) -> list[Waiting]:
    """Returns everybody who waits for a person's yes, who came first at first. Who joined by an invitation knocks as well until the
    yes, and stands there once: a knock proves less."""
    found = list[Waiting]()
    for source in SOURCES:
        known = {one.partner_id for one in found}
        found += [one for one in source.waiting(node, now) if one.partner_id not in known]
    return sorted(found, key=lambda one: (one.since, one.partner_id))


def _named(node: NodeReading, typed: str, now: int) -> PartnerId:
    known = {one.partner_id for one in waiting(node, now)}
    return named_id(typed, known.union(*(source.awaited(node) for source in SOURCES)))


def _nobody(typed: str) -> NotFoundError:
    return NotFoundError(f"nobody waits under the id '{typed}'", hint="see `p2pshare partner pending`")


def _described(node: NodeReading, one: Waiting) -> PendingPartner:
    return PendingPartner(
        partner_id=one.partner_id.text,
        name=one.name,
        url=one.url,
        fingerprint=fingerprint(one.partner_id),
        safety_number=safety_number(node.card.partner_id, one.partner_id),
        address=one.address,
        since=format_instant(one.since * SECOND_US) or "",
        knocks=one.knocks,
        source=one.source,
        words=one.words,
        notes=[*notes_on(one.name), *notes_on_waiting(node, one)],
    )
