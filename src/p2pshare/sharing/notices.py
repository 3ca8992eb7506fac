"""Notices: the cards and vouch pages of circles, taken in, kept and handed on (docs/gossip.md, "Notices").

Like envelopes they are admitted by the circle of the link they came by, and verified before they are held. The checks, cheap
first:

1. size and form            `envelope.notice.read_notice`
2. circle allowed on the link, author known and not frozen
3. not held yet
4. a card: signed by roots that are known, then its chain, as for any newer card (`sharing.partners`); a page: its root stands in
   the author's newest card, and its author has room

In each circle the newest card of an author goes round, where the author is linked with us, is ourselves, or came that way.
What was dropped for a newer one is returned, for gossip to forget. Runs in the writer thread.
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from dataclasses import dataclass

from p2pshare.envelope.card import Card, CardFork, DecodedCard, believe_chain, check_roots
from p2pshare.envelope.notice import CircleNotice, circle_of_page, notice_id_of, notice_of, read_notice
from p2pshare.envelope.vouch import VouchPage, check_page
from p2pshare.errors import PeerError
from p2pshare.gossip.moment import Moment
from p2pshare.identifiers import CircleId, PartnerId
from p2pshare.limits import MIB
from p2pshare.node.node import Node
from p2pshare.node.vouch_pages import own_pages
from p2pshare.partners.notices import NewNotice, NoticeEntry, VouchedPage
from p2pshare.partners.roster import Roster
from p2pshare.policy.admission import carries
from p2pshare.sharing.own_card import keep_newer_card
from p2pshare.sharing.partners import apply_card_update, load_roster

PAGE_BYTES_PER_AUTHOR_MAX = 80 * MIB  # in one circle: a whole shelf of a million envelopes takes 73
GAP = "card-gap"

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TakenNotice:
    """What became of one notice: held already, or now with what that dropped, or refused for `reason`."""

    reason: str = ""
    is_new: bool = False
    dropped: tuple[NoticeEntry, ...] = ()
    has_changed_roster: bool = False
    missing: tuple[PartnerId, CircleId] | None = None
    """The author and the circle of a newer card, when versions between it and the known one are missing, or it is our own."""


def take_in_notice(
    node: Node,
    roster: Roster,
    notice: CircleNotice,
    raw: bytes,
    received_from: PartnerId | None,
    now: int,
    moment: Moment | None = None,
) -> TakenNotice:
    """Take in one notice, inside a transaction; `roster` as it is within it. `now` in unix seconds, which `moment` may put in
    doubt. Raises OperatorError alone."""
    try:
        _admit(roster, notice, received_from)
        if node.store.notices.entry(notice.notice_id) is not None:
            return TakenNotice()
        if isinstance(notice.content, DecodedCard):
            return _take_in_card(node, roster, notice, notice.content, now, moment)
        return _take_in_page(node, roster, notice, notice.content, raw)
    except CardFork as fork:
        return TakenNotice(fork.reason, has_changed_roster=True)  # frozen, and the proof is kept
    except PeerError as error:
        return TakenNotice(error.reason)


def _admit(roster: Roster, notice: CircleNotice, received_from: PartnerId | None) -> None:
    """Check 2. Raises PeerError."""
    link = roster.get(received_from) if received_from is not None else None
    content, entry = notice.content, roster.get(notice.author)
    if isinstance(content, VouchPage) and isinstance(content.scope, PartnerId):
        if content.scope != roster.own_id or received_from != notice.author:
            raise PeerError("a partner's vouch page came from or to another", reason="direct-from-another")
    elif link is None or not carries(link, notice.circle):
        raise PeerError("a notice of a circle that the link does not carry", reason="circle-not-on-link")
    if entry is None and notice.author != roster.own_id:
        raise PeerError("a notice of a stranger", reason="author-unknown")
    if entry is not None and entry.is_frozen:
        raise PeerError("a notice of a partner that is frozen", reason="author-frozen")


def _take_in_card(
    node: Node, roster: Roster, notice: CircleNotice, card: DecodedCard, now: int, moment: Moment | None
) -> TakenNotice:
    if notice.author == roster.own_id:
        if (
            card.body.version > node.card.version
        ):  # ours was set back: the next one that we issue would be a fork
            check_roots(card, node.card)
            node.store.partners.note_own_card_elsewhere(card.body.version)
            kept = node.store.partners.own_card_newer()
            is_kept = kept is not None and believe_chain(kept).version >= card.body.version
            return TakenNotice("own-card-newer", missing=None if is_kept else (notice.author, notice.circle))
        raise PeerError("another version of our own card", reason="own-card")
    known = roster.entries[notice.author].card
    is_changed = False
    if card.body_digest != known.body_digest:
        check_roots(card, known)
        if (
            card.body.version > known.version + 1
        ):  # asking for what is between is worth it, whoever handed it over
            return TakenNotice(GAP, missing=(notice.author, notice.circle))
        is_changed = apply_card_update(node, notice.author, card.raw, now, moment)
    dropped = list_cards(node, [notice.author], also=[(notice.author, notice.circle)])
    # the version that is known, under other signatures (which nobody needs to check), is held already
    is_new = node.store.notices.entry(notice.notice_id) is not None
    return TakenNotice(is_new=is_new, dropped=tuple(dropped), has_changed_roster=is_changed)


def _take_in_page(
    node: Node, roster: Roster, notice: CircleNotice, page: VouchPage, raw: bytes
) -> TakenNotice:
    notices = node.store.notices
    entry = roster.get(notice.author)
    revocation = check_page(page, node.card if entry is None else entry.card)
    if notices.page_bytes(notice.author, notice.circle) + len(raw) > PAGE_BYTES_PER_AUTHOR_MAX:
        raise PeerError("the vouch pages of an author take too much room", reason="quota")
    listed = VouchedPage(page.key_id, page.root, page.pages, page.ids)
    new = NewNotice(notice.notice_id, notice.author, notice.circle, revocation.since, raw, listed)
    notices.put(node.store.log.next_lsn(), new)
    notices.look_again(notice.author, page.key_id)
    return TakenNotice(is_new=True, has_changed_roster=True)  # what was not vouched for may be let in


def hold_own_pages(node: Node) -> None:
    """Hold the pages for which our own card stands, so that they go round. Raises StoreError."""
    for page, raw in own_pages(node.home, node.card):
        wire = notice_of(circle_of_page(page.author, page.scope), raw)
        if node.store.notices.entry(notice_id_of(wire)) is None:
            with node.store.transaction():
                _take_in_page(node, load_roster(node), read_notice(wire), page, wire)


def take_in_chain(
    node: Node,
    author: PartnerId,
    circle: CircleId,
    raw: bytes,
    now: int,
    moment: Moment | None = None,
) -> tuple[bool, list[NoticeEntry]]:
    """Take every version of an author's card, of which a notice of `circle` told; returns whether the roster changed, and
    the notices that were dropped. One of our own is kept for a person to go on from. Raises PeerError with its reason."""
    if author == node.identity.partner_id:
        keep_newer_card(node, raw)
        return False, []
    is_changed = apply_card_update(node, author, raw, now, moment)
    return is_changed, list_cards(node, [author], also=[(author, circle)])


def list_cards(
    node: Node,
    authors: Collection[PartnerId] | None = None,
    also: Collection[tuple[PartnerId, CircleId]] = (),
) -> list[NoticeEntry]:
    """Bring the notices of these authors, or of all, up to date with roster and cards; returns those that were dropped.

    `also` are authors and circles in which their card was met. Writes only where something changed. Raises StoreError.
    """
    dropped = _list_cards(node, authors, also)
    if authors is None:
        hold_own_pages(node)  # behind the card that has their root: who gets a page first must refuse it
    return dropped


def _list_cards(
    node: Node, authors: Collection[PartnerId] | None, also: Collection[tuple[PartnerId, CircleId]]
) -> list[NoticeEntry]:
    store, roster = node.store, load_roster(node)
    cards = {entry.partner_id: entry.card for entry in roster} | {roster.own_id: node.card}
    held = {(one.author, one.circle): one for one in store.notices.cards(authors)}
    wanted = {*held, *also, *_linked(roster)}
    new = [
        made
        for author, circle in sorted(wanted)
        if author in cards and (authors is None or author in authors)
        for made in [_card_notice(cards[author], circle)]
        if (author, circle) not in held or held[author, circle].notice_id != made.notice_id
    ]
    stale = [one for one in held.values() if one.author not in cards]
    stale += [one for one in store.notices.pages(authors) if not _stands_for(cards.get(one.author), one)]
    if not new and not stale:
        return []
    with store.transaction():
        store.notices.drop(stale)
        return stale + [old for one in new for old in store.notices.put(store.log.next_lsn(), one)]


def _linked(roster: Roster) -> set[tuple[PartnerId, CircleId]]:
    """Returns in which circles the cards of our partners go round from here, and our own: those of the links."""
    links = {(entry.partner_id, circle) for entry in roster.links() for circle in entry.circles}
    return links | {(roster.own_id, circle) for _, circle in links}


def _card_notice(card: Card, circle: CircleId) -> NewNotice:
    raw = notice_of(circle, card.version_raw)
    return NewNotice(notice_id_of(raw), card.partner_id, circle, card.not_before, raw)


def _stands_for(card: Card | None, one: NoticeEntry) -> bool:
    """Returns whether the author's newest card has the root of a page."""
    assert one.page is not None
    revocation = None if card is None else card.revocation(one.page.key_id)
    return revocation is not None and revocation.vouch_root == one.page.root
