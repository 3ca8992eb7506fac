"""Notices: cards and vouch pages as they go round a circle, beside its envelopes (docs/card.md).

::

    notice = [magic "p2pn", 1, circle, content (bin)]       content: one version of a card, or a vouch page

A partner two hops away never meets the author, and must hear of its new keys and its revocations all the same. What a
notice says is signed by the author's roots, so whoever passes it on can add nothing. Like an envelope it names the one
circle whose members it is for; a page of the author's direct envelopes names the pair that may have it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from p2pshare.envelope.card import Card
from p2pshare.envelope.card_format import CARD_MAGIC, DecodedCard, decode_card
from p2pshare.envelope.encoding import Reader, pack, refusal
from p2pshare.envelope.vouch import VOUCH_MAGIC, Scope, VouchPage, check_page, decode_page
from p2pshare.identifiers import CircleId, NoticeId, PartnerId
from p2pshare.limits import CARD_BYTES_MAX, NOTICE_BYTES_MAX, VOUCH_PAGE_BYTES_MAX

NOTICE_MAGIC = b"p2pn"
FORMAT_VERSION = 1
DOMAIN_NOTICE = b"p2pshare/v1/notice-id\x00"
_HEAD = b"\x94\xc4\x04" + NOTICE_MAGIC  # array of 4, bin of 4: no envelope begins so
_CONTENT_BYTES_MAX = max(CARD_BYTES_MAX, VOUCH_PAGE_BYTES_MAX)


@dataclass(frozen=True, slots=True)
class CircleNotice:
    """A notice of the right form, and nothing more: no card has verified it."""

    notice_id: NoticeId
    circle: CircleId
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


def notice_of(circle: CircleId, content: bytes) -> bytes:
    """Returns the notice that brings one version of a card, or a vouch page, to a circle."""
    return pack([NOTICE_MAGIC, FORMAT_VERSION, circle, content])


def circle_of_page(author: PartnerId, scope: Scope) -> CircleId:
    """Returns the circle in which a vouch page goes round: its own, or that of the author and the one partner it is for."""
    return scope if isinstance(scope, CircleId) else CircleId.of_pair(author, scope)


def notice_id_of(raw: bytes) -> NoticeId:
    return NoticeId(hashlib.sha384(DOMAIN_NOTICE + raw).digest()[: NoticeId.length])


def is_notice(raw: bytes) -> bool:
    """Returns whether bytes are to be read as a notice, whatever is wrong with them; no envelope is."""
    return raw.startswith(_HEAD)


def read_notice(raw: bytes) -> CircleNotice:
    """Returns a notice. Checks the form only.

    Raises PeerError `oversized`, `malformed`, `not-canonical`, `unknown-version`, `wrong-circle`, and those of cards and
    vouch pages.
    """
    if len(raw) > NOTICE_BYTES_MAX:
        raise refusal("oversized", "a notice is too large")
    reader = Reader(raw)
    reader.array(4, 4)
    if reader.blob(4, 4) != NOTICE_MAGIC:
        raise refusal("malformed", "not a notice")
    if reader.integer() != FORMAT_VERSION:
        raise refusal("unknown-version", "a notice has a format that this program does not know")
    circle = CircleId(reader.blob(CircleId.length, CircleId.length))
    content = _read_content(reader.blob(1, _CONTENT_BYTES_MAX))
    reader.end()
    if isinstance(content, VouchPage) and circle != circle_of_page(content.author, content.scope):
        raise refusal("wrong-circle", "a vouch page goes round in another circle than its own")
    return CircleNotice(notice_id_of(raw), circle, content)


def _read_content(raw: bytes) -> DecodedCard | VouchPage:
    magic = raw[3:7]  # both begin: array of 4 or 11, bin of 4, magic
    if magic == CARD_MAGIC:
        return decode_card(raw)
    if magic == VOUCH_MAGIC:
        return decode_page(raw)
    raise refusal("malformed", "a notice is neither of one version of a card nor of a vouch page")
