"""Notices: cards and vouch pages as they will go round a circle, beside its envelopes (docs/card.md).

A partner two hops away never meets the author, and must hear of its new keys and its revocations all the same. What a
notice says is signed by the author's roots, so whoever passes it on can add nothing.

No room uses this yet: nodes give out their own card to their neighbours alone (docs/card.md says so).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from p2pshare.envelope.card import Card
from p2pshare.envelope.card_format import CARD_MAGIC, DecodedCard, decode_card
from p2pshare.envelope.encoding import refusal
from p2pshare.envelope.vouch import VOUCH_MAGIC, VouchPage, check_page, decode_page
from p2pshare.identifiers import NoticeId, PartnerId

DOMAIN_NOTICE = b"p2pshare/v1/notice-id\x00"


@dataclass(frozen=True, slots=True)
class CircleNotice:
    """A notice of the right form, and nothing more: no card has verified it."""

    notice_id: NoticeId
    content: DecodedCard | VouchPage

    @property
    def author(self) -> PartnerId:
        return self.content.body.partner_id if isinstance(self.content, DecodedCard) else self.content.author

    def created(self, newest: Card) -> int:
        """Returns its place in time, unix seconds, by the newest card of its author: when a card begins, or since when the
        key of a page is revoked. Raises PeerError `bad-vouch` for a page for which that card does not stand."""
        if isinstance(self.content, DecodedCard):
            return self.content.body.not_before
        return check_page(self.content, newest).since


def read_notice(raw: bytes) -> CircleNotice:
    """Returns one version of a card, or a vouch page, by its magic. Checks the form only.

    Raises PeerError `malformed`, and those of cards and vouch pages.
    """
    magic = raw[3:7]  # both begin: array of 4 or 11, bin of 4, magic
    content: DecodedCard | VouchPage
    if magic == CARD_MAGIC:
        content = decode_card(raw)
    elif magic == VOUCH_MAGIC:
        content = decode_page(raw)
    else:
        raise refusal("malformed", "a notice is neither one version of a card nor a vouch page")
    return CircleNotice(NoticeId(hashlib.sha384(DOMAIN_NOTICE + raw).digest()[: NoticeId.length]), content)
