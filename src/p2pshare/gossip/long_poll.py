"""Long polling: both directions over connections that only one side can open.

A node that cannot be dialled polls each of its peers: for the envelopes that arrived there since, and the direct
envelopes that wait for it. The answer is held back until there is news. The node then fetches bodies, as after any
announcement; its own envelopes it announces and pushes itself, as every node does.
"""

from __future__ import annotations

from p2pshare.gossip.actions import Reply, ReplyRefused, SendPoll
from p2pshare.gossip.engine_state import EngineState
from p2pshare.gossip.events import BodyDecided, PollAsked
from p2pshare.gossip.link import NEVER, Link, Pending, PendingPoll
from p2pshare.gossip.messages import AnnounceItem, Poll, PollAnswer, PutVerdict
from p2pshare.gossip.protocol import POLL
from p2pshare.gossip.push import Push
from p2pshare.gossip.reconciliation import Reconciliation
from p2pshare.identifiers import CircleId, EnvelopeId, Epoch
from p2pshare.limits import (
    ANNOUNCE_ITEMS_MAX,
    DIRECT_HELD_MAX,
    POLL_DIRECT_MAX,
    POLL_PAUSE_SECONDS,
    POLL_WAIT_SECONDS_MAX,
)

NAMED_SECONDS = 2.0 * POLL_WAIT_SECONDS_MAX  # what was fetched meanwhile is in the next question
NO_EPOCH = Epoch(bytes(Epoch.length))
NO_CIRCLE = CircleId(bytes(CircleId.length))  # a direct envelope travels in none


class LongPoll:
    """Long polling: both the polling side and the answering side."""

    def __init__(self, state: EngineState, push: Push, reconciliation: Reconciliation) -> None:
        self._state = state
        self._push = push
        self._reconciliation = reconciliation

    # --- the answering side ---

    def asked(self, link: Link, event: PollAsked) -> None:
        """Keep a poll until there is news. An earlier one of the same peer is answered now; its answer will not be read."""
        state, message = self._state, event.message
        self._answer(link)
        known = dict([link.poll_before, link.poll_reported]) if message.epoch == state.epoch else {}
        if message.since in known:
            link.poll_reported = (message.since, known[message.since])
        else:  # another life, or older than the last lost answer: a hole that it sees
            base = message.since if message.epoch == state.epoch else 0
            link.poll_reported = (base + 1, state.arrivals.last_lsn)
        link.cursor = link.acked_lsn = link.poll_reported[1]
        link.announce_at = state.now if link.cursor < state.arrivals.last_lsn else NEVER
        state.acknowledged(link, [one for one in message.held if one in link.awaited])
        # named in another life, or before the link fell: believed where the outbox has it for this peer
        link.said_held = frozenset(message.held) - link.awaited.keys()
        link.has_outbox = True
        self._name_again(link)
        link.asker = PendingPoll(event.ticket, state.now + message.wait_seconds)

    def _name_again(self, link: Link) -> None:
        """Name direct envelopes once more that were named a while ago and are not said to be held: the answer may have been lost."""
        waiting, before = set(link.pushes), self._state.now - NAMED_SECONDS
        link.pushes.extend(one for one, at in link.named_at.items() if at <= before and one not in waiting)

    def drive(self, link: Link) -> None:
        """Answer a waiting poll when there is news, or when its time is over."""
        if link.asker is None:
            return
        self._push.read_outbox(link)
        is_due = min(link.announce_at, link.asker.until) <= self._state.now or link.pushes
        if is_due and not link.is_outbox_read_under_way:
            self._answer(link)

    def due(self, link: Link) -> float:
        """Returns the next instant to look at this link for the sake of polling; NEVER without one."""
        if link.asker is not None:
            return NEVER if link.is_outbox_read_under_way else min(link.announce_at, link.asker.until)
        is_asking = not self._state.settings.is_dialable and link.is_open and not link.has_pending(POLL)
        return link.poll_at if is_asking else NEVER

    def drop(self, link: Link) -> None:
        """Refuse the waiting poll of a link that is gone, or that carries other circles now."""
        if link.asker is not None:
            self._state.act(ReplyRefused(link.asker.ticket))
            link.asker = None

    def leave_hole(self, link: Link) -> None:
        """Leave a hole in what the peer's polls are answered: it compares then, though nothing may have arrived here."""
        if link.config.is_dialable:
            return
        link.poll_reported = (link.poll_reported[0] + 1, self._state.arrivals.last_lsn)
        link.poll_before = link.poll_reported
        link.cursor = link.acked_lsn = link.poll_reported[1]
        if link.asker is not None:
            link.announce_at = self._state.now  # now rather than when there is news

    def _answer(self, link: Link) -> None:
        if link.asker is None:
            return
        state = self._state
        stretch = state.arrivals.after(link.cursor, link.peer, link.config.circles, ANNOUNCE_ITEMS_MAX)
        begin, items = link.poll_reported[0], stretch.items
        if not stretch.is_whole:
            begin, items = begin + 1, ()
        to_lsn = stretch.to_lsn if stretch.is_whole else state.arrivals.last_lsn
        link.poll_before, link.poll_reported = link.poll_reported, (begin + len(items), to_lsn)
        direct = tuple(link.pushes.popleft() for _ in range(min(len(link.pushes), POLL_DIRECT_MAX)))
        for envelope_id in direct:
            if envelope_id in link.awaited:
                link.named_at[envelope_id] = state.now
        state.act(Reply(link.asker.ticket, PollAnswer(state.epoch, begin, begin + len(items), items, direct)))
        link.asker, link.cursor, link.announce_at = None, to_lsn, NEVER

    # --- the one who asks ---

    def ask(self, link: Link) -> None:
        """Poll an open link, again and again, when this node cannot be dialled."""
        state = self._state
        if state.settings.is_dialable or state.now < link.poll_at or not link.may_send(POLL):
            return
        held = tuple(link.direct_held)[:ANNOUNCE_ITEMS_MAX]
        pending = state.begin(link, POLL, held)
        pending.since = link.heard_count if link.heard_epoch is not None else 0
        message = Poll(link.heard_epoch or NO_EPOCH, pending.since, POLL_WAIT_SECONDS_MAX, held)
        state.act(SendPoll(pending.number, link.peer, message))

    def answered(self, link: Link, pending: Pending, answer: PollAnswer) -> None:
        """Take in the news of an answer, as untrusted as any announcement."""
        state = self._state
        for envelope_id in pending.ids:
            link.direct_held.pop(envelope_id, None)
        wanted = self._push.items_heard(link, answer.items)
        is_news = self._want_direct(link, answer.direct) or bool(wanted)
        if wanted is None:  # no room: the same again later
            link.poll_at = state.now + POLL_PAUSE_SECONDS
            return
        for item in wanted:
            state.want.add(item, link.peer)
        is_gap = answer.epoch != link.heard_epoch or answer.from_count > pending.since
        if is_gap and link.heard_epoch is not None:
            self._reconciliation.compare_all(link)
        link.heard_epoch, link.heard_count = answer.epoch, answer.to_count
        is_long = state.now - pending.began_at >= POLL_PAUSE_SECONDS
        link.poll_at = state.now if is_news or is_long else state.now + POLL_PAUSE_SECONDS

    def _want_direct(self, link: Link, ids: tuple[EnvelopeId, ...]) -> bool:
        """Want the peer's direct envelopes, to be fetched from it alone; returns whether there is a new one."""
        state = self._state
        link.named_anew(ids)
        fresh = [
            one
            for one in ids
            if one not in link.direct_held and one not in link.direct_wanted and state.is_needed(link, one)
        ]
        for envelope_id in fresh:
            if len(link.direct_wanted) + len(link.direct_held) >= DIRECT_HELD_MAX:
                return False
            if state.want.add(AnnounceItem(envelope_id, 0, 1, NO_CIRCLE, 0), link.peer):
                link.direct_wanted[envelope_id] = None
        return bool(fresh)

    def decided(self, link: Link, event: BodyDecided) -> None:
        """Note intake's verdict on a direct envelope that came by polling; if it is held, the next poll says so to its author."""
        if event.envelope_id not in link.direct_wanted:
            return
        del link.direct_wanted[event.envelope_id]
        if event.verdict in (PutVerdict.HELD, PutVerdict.ALREADY_HELD):
            self._push.note_direct_held(link, event.envelope_id)
