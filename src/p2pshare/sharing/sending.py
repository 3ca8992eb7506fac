"""Sending: frames of any payload kind that nobody was asked about go to chosen partners, sealed and stored like a publication.

What the program says by itself (entries of spaces, heads) is addressed partner by partner: direct to those with a link, else through
relays where the marking lets them carry it. To whom there is no way is told, and the others get it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from p2pshare.envelope.envelope import Mode
from p2pshare.envelope.payload import ALONE
from p2pshare.identifiers import EnvelopeId, PartnerId
from p2pshare.knowledge.interface import PublicationPart
from p2pshare.limits import RECIPIENTS_MAX
from p2pshare.log.interface import ContentState
from p2pshare.node.node import Node, gate_settings
from p2pshare.partners.roster import Roster, RosterEntry
from p2pshare.policy.audience import Audience, why_not_for
from p2pshare.policy.gate import Exit, may_pass
from p2pshare.sharing.publishing import SealedContent, addressed_cards, new_publication, seal_part
from p2pshare.sharing.storing import ReadEnvelope, store_envelopes

NO_LINK = "no-direct-link"
NO_PARTNER = "unknown-recipient"


@dataclass
class SentContent:
    """The envelopes that were sealed, and why nothing goes to some partners."""

    envelopes: list[EnvelopeId] = field(default_factory=list)
    no_way: dict[PartnerId, str] = field(default_factory=dict)


def send(
    node: Node, roster: Roster, content: SealedContent, recipients: Sequence[PartnerId], now: int
) -> SentContent:
    """Seal `content` for these partners and store it, ready to leave. `now` in unix seconds. Raises StoreError, OperatorError
    with nothing kept."""
    sent = SentContent()
    linked, apart = _usable(node, roster, content, recipients, now, sent)
    node.store.log.author_state(now)  # a new incarnation is durable before anything is sealed in it
    with node.store.transaction():
        for mode, entries in ((Mode.DIRECT, linked), (Mode.RELAY, apart)):
            for start in range(0, len(entries), RECIPIENTS_MAX):
                audience = Audience(tuple(entries[start : start + RECIPIENTS_MAX]), mode)
                sent.envelopes.append(_seal(node, content, audience, now))
    return sent


def _usable(
    node: Node,
    roster: Roster,
    content: SealedContent,
    recipients: Sequence[PartnerId],
    now: int,
    sent: SentContent,
) -> tuple[list[RosterEntry], list[RosterEntry]]:
    """Returns the partners who are reached directly, and those who are reached through relays."""
    linked: list[RosterEntry] = []
    apart: list[RosterEntry] = []
    may_be_carried = content.circle is None and may_pass(content.tlp, Exit.RELAY, gate_settings(node.config))
    for partner in sorted(set(recipients)):
        entry = roster.get(partner)
        if entry is None:
            sent.no_way[partner] = NO_PARTNER
        elif reason := why_not_for(content.tlp, entry, now):
            sent.no_way[partner] = reason
        elif entry.has_link:
            linked.append(entry)
        elif may_be_carried:
            apart.append(entry)
        else:
            sent.no_way[partner] = NO_LINK
    return linked, apart


def _seal(node: Node, content: SealedContent, audience: Audience, now: int) -> EnvelopeId:
    cards = addressed_cards(node, audience)
    state = node.store.log.author_state(now)
    numbers = node.store.log.recipient_numbers([card.partner_id for card in cards], state.incarnation)
    publication = new_publication()
    sealed = seal_part(node, content, audience, publication, ALONE, state, numbers, now)
    row = ReadEnvelope(
        sealed,
        received_from=None,
        received_at=now,
        content=ContentState.READ,
        part_of=PublicationPart(publication, ALONE),
        awaits_first_hop=audience.mode is not Mode.DIRECT,
        recipient_sequences={partner: number.sequence for partner, number in numbers.items()},
        audience=tuple(entry.partner_id for entry in audience.recipients),
    )
    store_envelopes(node.store, [row])
    return row.envelope_id
