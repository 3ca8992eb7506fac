"""`partner add`, `remove`, `confirm`, `link`, `rename`, `list` and `preview`: the partners whose cards are trusted, and what goes to them."""

from __future__ import annotations

from collections.abc import Iterator

from p2pshare.node.node import Node, NodeReading, Progress
from p2pshare.operations.interface import LongRequest, Query, Request, Several
from p2pshare.queries.explaining import Preview, preview
from p2pshare.queries.status import PartnerStatus, partner_rows
from p2pshare.sharing import distrusting
from p2pshare.sharing.distrusting import DistrustedPartner
from p2pshare.sharing.introducing import ConfirmedPartner, confirm, put_link, renew_own_lists, review
from p2pshare.sharing.partners import (
    AddedPartner,
    HeldCard,
    PartnerSummary,
    add_partner,
    describe,
    find_partner,
    remove_partner,
    rename_partner,
    unfreeze_partner,
)


class AddPartner(Request[AddedPartner], frozen=True, tag="partner-add"):
    """Trust a card, whose fingerprint a person confirmed. Without an `alias` one is made from the card."""

    card: bytes
    fingerprint: str
    alias: str = ""
    has_link: bool = True

    def run(self, node: Node, now: int, progress: Progress) -> AddedPartner:
        added = add_partner(
            node,
            self.card,
            confirmed_fingerprint=self.fingerprint,
            alias=self.alias,
            has_link=self.has_link,
            now=now,
        )
        review(node, now)
        return added


class RemovePartner(Request[PartnerSummary], frozen=True, tag="partner-remove"):
    """Stop trusting a partner, called by alias or id."""

    name: str

    def run(self, node: Node, now: int, progress: Progress) -> PartnerSummary:
        removed = describe(remove_partner(node, self.name))
        renew_own_lists(node, now)
        review(node, now)
        return removed


class ConfirmPartner(Request[ConfirmedPartner], frozen=True, tag="partner-confirm"):
    """Note that a person compared the fingerprint or the safety number of a partner that was introduced, called by alias or id."""

    name: str
    fingerprint: str = ""
    safety_number: str = ""

    def run(self, node: Node, now: int, progress: Progress) -> ConfirmedPartner:
        confirmed = confirm(
            node, self.name, told_fingerprint=self.fingerprint, told_safety_number=self.safety_number
        )
        review(node, now)
        return confirmed


class LinkPartner(Request[PartnerSummary], frozen=True, tag="partner-link"):
    """Link a partner that has no link, or end its link; it is called by alias or id."""

    name: str
    has_link: bool = True

    def run(self, node: Node, now: int, progress: Progress) -> PartnerSummary:
        return describe(put_link(node, self.name, has_link=self.has_link))


class DistrustPartner(LongRequest[DistrustedPartner], frozen=True, tag="partner-distrust"):
    """Take what a partner, called by alias or id, says out of effect here; answers when all of it is."""

    name: str

    def steps(self, node: Node, now: int) -> Iterator[DistrustedPartner | None]:
        partner_id = distrusting.distrust(node, self.name, now)
        yield from distrusting.steps(node, partner_id, now)
        yield distrusting.described(node, partner_id)


class TrustPartner(LongRequest[DistrustedPartner], frozen=True, tag="partner-trust"):
    """Bring back what a partner says that was not believed; answers when all of it is back that was read before."""

    name: str

    def steps(self, node: Node, now: int) -> Iterator[DistrustedPartner | None]:
        partner_id = distrusting.trust(node, self.name)
        yield from distrusting.steps(node, partner_id, now)
        yield distrusting.described(node, partner_id)


class RenamePartner(Request[PartnerSummary], frozen=True, tag="partner-rename"):
    """Call a partner, named by alias or id, otherwise from now on."""

    name: str
    alias: str

    def run(self, node: Node, now: int, progress: Progress) -> PartnerSummary:
        return describe(rename_partner(node, self.name, self.alias))


class UnfreezePartner(Request[PartnerSummary], frozen=True, tag="partner-unfreeze"):
    """Believe a frozen partner again, called by alias or id, by the card that it goes on with and whose fingerprint a person confirmed."""

    name: str
    card: bytes
    fingerprint: str

    def run(self, node: Node, now: int, progress: Progress) -> PartnerSummary:
        return describe(
            unfreeze_partner(node, self.name, self.card, confirmed_fingerprint=self.fingerprint, now=now)
        )


class PartnerCard(Query[HeldCard], frozen=True, tag="partner-card"):
    """Return the newest card file that is held of a partner, called by alias or id."""

    name: str

    def run(self, node: NodeReading, now: int, progress: Progress) -> HeldCard:
        return HeldCard(find_partner(node, self.name).card.raw)


class ListPartners(Query[Several[PartnerStatus]], frozen=True, tag="partner-list"):
    """List the partners with the state of their links, in alias order."""

    def run(self, node: NodeReading, now: int, progress: Progress) -> Several[PartnerStatus]:
        return Several(partner_rows(node, now))


class PreviewPartner(Query[Preview], frozen=True, tag="partner-preview"):
    """Count the envelopes that the partner would be handed over a link; with `with_list` also name each."""

    name: str
    with_list: bool = False

    def run(self, node: NodeReading, now: int, progress: Progress) -> Preview:
        return preview(node, self.name, with_list=self.with_list)
