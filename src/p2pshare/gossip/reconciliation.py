"""Reconciliation: two stores find their difference. What makes the system correct; all else makes it fast.

This first cut compares plain id lists, page by page, of those shards whose roots differ. The one who asks
does the work for both: what it lacks goes into its want table, what the other lacks it announces as a repair.
The one who answers keeps nothing between two pages. Range-based reconciliation (Negentropy) takes this
file's place with the same few methods.

When: after each link up, another epoch, a hole in the peer's announcements, and periodically, with a pause
that doubles while nothing is found. Equal roots end a comparison before it begins.

A page is compared up to a bound: its last key, the shard's end, or the key with which our own repairs fill
one announcement. So neither side ever holds more than a page and an announcement, whatever the other has;
an endless list costs its teller what it costs us, and ends where the want table is full.
"""

from __future__ import annotations

from dataclasses import dataclass

from p2pshare.gossip.actions import Acknowledge, Reply, SendAnnounce, SendIdsRequest
from p2pshare.gossip.board import Board
from p2pshare.gossip.events import IdsAsked
from p2pshare.gossip.index import FIRST, Key, created_of, id_of
from p2pshare.gossip.link import NEVER, Kind, Link
from p2pshare.gossip.messages import Announce, AnnounceItem, IdsPage, IdsRequest, Shard, ShardRoot
from p2pshare.identifiers import EnvelopeId, PartnerId
from p2pshare.limits import ANNOUNCE_ITEMS_MAX, IDS_PAGE_MAX, LINK_UP_JITTER_SECONDS_MAX

JITTER_SECONDS_PER_LINK = 0.1  # few links need little spreading out
SUM_MODULUS = 1 << 64


@dataclass(slots=True)
class Comparison:
    """One comparison with one peer: the shard being read, where in it, and what was found."""

    shards: list[Shard]
    after: Key = FIRST
    needs: int = 0
    offered_sum: int = 0
    repair: tuple[AnnounceItem, ...] = ()


class Reconciliation:
    """All comparisons, at most one a link."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._comparisons: dict[PartnerId, Comparison] = {}

    # --- when ---

    def link_up(self, link: Link) -> None:
        """Whatever happened while it was away."""
        self._comparisons.pop(link.peer, None)
        link.pause_seconds = self._board.settings.reconcile_seconds
        link.compare_at = NEVER
        self.soon(link)

    def soon(self, link: Link) -> None:
        """There is a reason to compare."""
        spread = min(LINK_UP_JITTER_SECONDS_MAX, JITTER_SECONDS_PER_LINK * len(self._board.links))
        link.compare_at = min(link.compare_at, self._board.now + spread * self._board.random.random())

    def is_due(self, link: Link) -> bool:
        """Whether a hello should leave so that a comparison may begin."""
        return link.compare_at <= self._board.now and link.peer not in self._comparisons

    def due(self, link: Link) -> float:
        """When this link should be looked at again for the sake of comparing."""
        return NEVER if link.peer in self._comparisons else link.compare_at

    def hello_answered(self, link: Link, theirs: tuple[ShardRoot, ...]) -> None:
        """Its roots, fresh: equal ones prove delivery; different ones begin a comparison when one is due."""
        mine = self._board.index.roots(link.config.circles)
        equal = {root.shard for root in set(mine) & set(theirs)}
        self._acknowledge(link, [one for one, shard in self._board.first_hops.items() if shard in equal])
        carried = {root.shard for root in theirs if root.shard.circle in link.config.circles}
        differing = sorted((carried | {root.shard for root in mine}) - equal)
        if not differing:
            self._rest(link, is_found=False)
        elif self.is_due(link):
            self._comparisons[link.peer] = Comparison(differing)

    def _rest(self, link: Link, *, is_found: bool) -> None:
        """Until the next time: soon while there is something to find, rarely while there is not."""
        settings = self._board.settings
        link.pause_seconds = (
            settings.reconcile_seconds
            if is_found
            else min(settings.reconcile_seconds_max, 2 * max(link.pause_seconds, settings.reconcile_seconds))
        )
        link.compare_at = self._board.now + link.pause_seconds * (0.75 + 0.5 * self._board.random.random())

    # --- the one who asks ---

    def pump(self, link: Link) -> None:
        """The next step of a comparison, one at a time."""
        board, comparison = self._board, self._comparisons.get(link.peer)
        if comparison is None or link.has_pending(Kind.COMPARE):
            return
        if comparison.repair:
            # Pushes that earlier repairs led to go first, so that they never pile up.
            if link.may_send(Kind.ANNOUNCE) and not link.pushes:
                ids = [item.envelope_id for item in comparison.repair]
                pending = board.begin(link, Kind.ANNOUNCE, ids)
                lsn = link.acked_lsn
                board.act(
                    SendAnnounce(
                        pending.number, link.peer, Announce(board.epoch, lsn, lsn, comparison.repair)
                    )
                )
                comparison.repair = ()
            return
        if not comparison.shards or not board.want.has_room(link.peer, IDS_PAGE_MAX):
            self.finish(link)
        elif link.may_send(Kind.COMPARE):
            pending = board.begin(link, Kind.COMPARE)
            request = IdsRequest(comparison.shards[0], comparison.after, IDS_PAGE_MAX)
            board.act(SendIdsRequest(pending.number, link.peer, request))

    def answered(self, link: Link, page: IdsPage) -> None:
        """Compares one page with our own keys of the same stretch."""
        comparison = self._comparisons.get(link.peer)
        if comparison is None:
            return
        if page.keys and page.keys[0] <= comparison.after:
            self._board.note(link.peer, "page-runs-backwards")
            self.finish(link)
            return
        shard, theirs = comparison.shards[0], set(page.keys)
        bound = page.keys[-1] if page.has_more else None
        repair: list[AnnounceItem] = []
        for key in self._board.index[shard].between(comparison.after, bound):
            if key in theirs or not self._board.is_current(shard.ttl_class, key):
                continue
            repair.append(self._item(shard, key))
            if len(repair) == ANNOUNCE_ITEMS_MAX:
                bound = key
                break
        self._need(link, comparison, [key for key in page.keys if bound is None or key <= bound])
        comparison.repair = tuple(repair)
        numbers = (int.from_bytes(item.envelope_id[:8], "big") for item in repair)
        comparison.offered_sum = (comparison.offered_sum + sum(numbers)) % SUM_MODULUS
        if bound is None:
            del comparison.shards[0]
        comparison.after = FIRST if bound is None else bound

    def _need(self, link: Link, comparison: Comparison, keys: list[Key]) -> None:
        """Their keys: what we lack is wanted, what is ours has been delivered."""
        board, shard = self._board, comparison.shards[0]
        for key in keys:
            item = AnnounceItem(id_of(key), created_of(key), shard.ttl_class, shard.circle, 0)
            if board.is_wanted(link, item):
                comparison.needs += board.want.add(item, link.peer)
            else:
                board.feed.note_holder(item.envelope_id, link.peer)
        self._acknowledge(link, [id_of(key) for key in keys if id_of(key) in board.first_hops])

    def _item(self, shard: Shard, key: Key) -> AnnounceItem:
        """What we can say of a key of ours; the size only while the feed remembers it."""
        known = self._board.feed.item(id_of(key))
        return known or AnnounceItem(id_of(key), created_of(key), shard.ttl_class, shard.circle, 0)

    def finish(self, link: Link) -> None:
        """Ends the comparison. Offering the same as last time is no find: the peer does not want it."""
        comparison = self._comparisons.pop(link.peer, None)
        if comparison is None:
            return
        is_found = comparison.needs > 0 or comparison.offered_sum != link.offered_sum
        link.offered_sum = comparison.offered_sum
        self._rest(link, is_found=is_found)

    def _acknowledge(self, link: Link, ids: list[EnvelopeId]) -> None:
        for envelope_id in ids:
            self._board.first_hops.pop(envelope_id, None)
        if ids:
            self._board.act(Acknowledge(link.peer, tuple(ids)))

    # --- the one who answers ---

    def ids_asked(self, link: Link, event: IdsAsked) -> None:
        """A page of our keys; nothing of a circle that the link does not carry. It compares for both of us."""
        message = event.message
        keys: tuple[Key, ...] = ()
        has_more = False
        if message.shard.circle in link.config.circles:
            keys, has_more = self._board.index[message.shard].page(message.after, message.limit)
        if not message.after and link.is_open and link.peer not in self._comparisons:
            pause = max(link.pause_seconds, self._board.settings.reconcile_seconds)
            link.compare_at = self._board.now + pause * (0.75 + 0.5 * self._board.random.random())
        self._board.act(Reply(event.ticket, IdsPage(keys, has_more)))
