"""Feeding: both directions over a connection that only one side can open.

Who cannot be dialled asks each of its peers for their feed: what arrived there since, and the direct envelopes
that wait for it. The answer is held back until there is something to say. Bodies it then fetches, as after
any announcement; what it has to give it announces and pushes itself, as everybody does.
"""

from __future__ import annotations

from p2pshare.gossip.actions import Reply, ReplyRefused, SendFeed
from p2pshare.gossip.engine_state import Board
from p2pshare.gossip.events import BodyJudged, FeedAsked
from p2pshare.gossip.link import NEVER, Asker, Link, Pending
from p2pshare.gossip.messages import AnnounceItem, Feed, FeedAnswer, PutVerdict
from p2pshare.gossip.protocol import FEED
from p2pshare.gossip.push import Spreading
from p2pshare.gossip.reconciliation import Reconciliation
from p2pshare.identifiers import CircleId, EnvelopeId, Epoch
from p2pshare.limits import (
    ANNOUNCE_ITEMS_MAX,
    DIRECT_HELD_MAX,
    FEED_DIRECT_MAX,
    FEED_PAUSE_SECONDS,
    FEED_WAIT_SECONDS_MAX,
)

NO_EPOCH = Epoch(bytes(Epoch.length))
NO_CIRCLE = CircleId(bytes(CircleId.length))  # a direct envelope travels in none


class Feeding:
    """The feed, as the one who asks and as the one who answers."""

    def __init__(self, board: Board, spreading: Spreading, reconciliation: Reconciliation) -> None:
        self._board = board
        self._spreading = spreading
        self._reconciliation = reconciliation

    # --- the one who answers ---

    def asked(self, link: Link, event: FeedAsked) -> None:
        """Its question waits for news; an earlier one of the same peer is answered, it will not be read."""
        board, message = self._board, event.message
        self._answer(link)
        known = dict([link.feed_before, link.feed_told]) if message.epoch == board.epoch else {}
        if message.since in known:
            link.feed_told = (message.since, known[message.since])
        else:  # another life, or older than the last lost answer: a hole that it sees
            base = message.since if message.epoch == board.epoch else 0
            link.feed_told = (base + 1, board.feed.last_lsn)
        link.cursor = link.acked_lsn = link.feed_told[1]
        link.announce_at = board.now if link.cursor < board.feed.last_lsn else NEVER
        board.acknowledged(link, [one for one in message.held if one in link.awaited])
        link.has_outbox = True
        link.asker = Asker(event.ticket, board.now + message.wait_seconds)

    def pump(self, link: Link) -> None:
        """Answers when there is something to say, or nothing was for long."""
        if link.asker is None:
            return
        self._spreading.read_outbox(link)
        is_due = min(link.announce_at, link.asker.until) <= self._board.now or link.pushes
        if is_due and not link.is_outbox_read_under_way:
            self._answer(link)

    def due(self, link: Link) -> float:
        """When this link should be looked at again for the sake of the feed."""
        if link.asker is not None:
            return NEVER if link.is_outbox_read_under_way else min(link.announce_at, link.asker.until)
        is_asking = not self._board.settings.is_dialable and link.is_open and not link.has_pending(FEED)
        return link.feed_at if is_asking else NEVER

    def drop(self, link: Link) -> None:
        """The link is gone, or carries something else now."""
        if link.asker is not None:
            self._board.act(ReplyRefused(link.asker.ticket))
            link.asker = None

    def _answer(self, link: Link) -> None:
        if link.asker is None:
            return
        board = self._board
        stretch = board.feed.after(link.cursor, link.peer, link.config.circles, ANNOUNCE_ITEMS_MAX)
        begin, items = link.feed_told[0], stretch.items
        if not stretch.is_whole:
            begin, items = begin + 1, ()
        to_lsn = stretch.to_lsn if stretch.is_whole else board.feed.last_lsn
        link.feed_before, link.feed_told = link.feed_told, (begin + len(items), to_lsn)
        direct = tuple(link.pushes.popleft() for _ in range(min(len(link.pushes), FEED_DIRECT_MAX)))
        board.act(Reply(link.asker.ticket, FeedAnswer(board.epoch, begin, begin + len(items), items, direct)))
        link.asker, link.cursor, link.announce_at = None, to_lsn, NEVER

    # --- the one who asks ---

    def ask(self, link: Link) -> None:
        """Asks an open link for its feed, again and again, when nobody can dial us."""
        board = self._board
        if board.settings.is_dialable or board.now < link.feed_at or not link.may_send(FEED):
            return
        held = tuple(link.direct_held)[:ANNOUNCE_ITEMS_MAX]
        pending = board.begin(link, FEED, held)
        pending.since = link.heard_count if link.heard_epoch is not None else 0
        message = Feed(link.heard_epoch or NO_EPOCH, pending.since, FEED_WAIT_SECONDS_MAX, held)
        board.act(SendFeed(pending.number, link.peer, message))

    def answered(self, link: Link, pending: Pending, answer: FeedAnswer) -> None:
        """Its news, as unbelieved as any announcement."""
        board = self._board
        for envelope_id in pending.ids:
            link.direct_held.pop(envelope_id, None)
        wanted = self._spreading.items_heard(link, answer.items)
        is_news = bool(wanted) or self._want_direct(link, answer.direct)
        if wanted is None:  # no room: the same again later
            link.feed_at = board.now + FEED_PAUSE_SECONDS
            return
        for item in wanted:
            board.want.add(item, link.peer)
        is_gap = answer.epoch != link.heard_epoch or answer.from_count > pending.since
        if is_gap and link.heard_epoch is not None:
            self._reconciliation.soon(link)
        link.heard_epoch, link.heard_count = answer.epoch, answer.to_count
        is_long = board.now - pending.began_at >= FEED_PAUSE_SECONDS
        link.feed_at = board.now if is_news or is_long else board.now + FEED_PAUSE_SECONDS

    def _want_direct(self, link: Link, ids: tuple[EnvelopeId, ...]) -> bool:
        """Envelopes of the peer for us alone: fetched from it, and from nobody else."""
        board = self._board
        fresh = [
            one
            for one in ids
            if one not in link.direct_held and one not in link.direct_wanted and board.is_needed(link, one)
        ]
        for envelope_id in fresh:
            if len(link.direct_wanted) + len(link.direct_held) >= DIRECT_HELD_MAX:
                return False
            if board.want.add(AnnounceItem(envelope_id, 0, 1, NO_CIRCLE, 0), link.peer):
                link.direct_wanted[envelope_id] = None
        return bool(fresh)

    def judged(self, link: Link, event: BodyJudged) -> None:
        """A direct envelope that came by the feed is held: its author is told with the next question."""
        if event.envelope_id not in link.direct_wanted:
            return
        del link.direct_wanted[event.envelope_id]
        if event.verdict in (PutVerdict.HELD, PutVerdict.ALREADY_HELD):
            link.direct_held[event.envelope_id] = None
