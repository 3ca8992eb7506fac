"""Push and announce: new envelopes go out at once, and the items that peers announce come into the want table.

1. Our own new envelope is pushed whole to a few peers (nobody else can hold it yet) when it is small, and
   announced to the rest. Of a burst only the first few are pushed: 64 bodies then share a request and a commit.
2. Another author's is announced, after COMMIT, to every peer whose link carries its circle, save those that have it.
   Only in a large and sparse federation, and only when it came from its author's own push, is it pushed once more.
3. Direct envelopes are pushed by us alone, to their recipients alone, until each acknowledges.
4. A body counts as delivered when its peer says so after its own COMMIT: in the answer to a push, by
   announcing it, or by a comparison. A node that fetched an envelope from its author therefore announces it back.
"""

from __future__ import annotations

from collections.abc import Collection

from p2pshare.gossip.actions import ReadOutbox, Reply, ReplyBusy, SendAnnounce, SendPut
from p2pshare.gossip.arrivals import PollItem
from p2pshare.gossip.engine_state import EngineState, shard_of
from p2pshare.gossip.events import AnnounceHeard, EnvelopeHeld, OutboxRead
from p2pshare.gossip.index import key_of
from p2pshare.gossip.link import NEVER, Link, Pending
from p2pshare.gossip.messages import Announce, AnnounceAnswer, AnnounceItem, PutAnswer, PutVerdict, Shard
from p2pshare.gossip.protocol import ANNOUNCE, PUT
from p2pshare.gossip.reconciliation import Reconciliation
from p2pshare.identifiers import EnvelopeId, PartnerId
from p2pshare.limits import (
    ANNOUNCE_ITEMS_MAX,
    COALESCE_SECONDS_MIN,
    DIRECT_HELD_MAX,
    EAGER_BYTES_MAX,
    EAGER_PEERS_MAX,
    EAGER_WAITING_PER_PEER_MAX,
    FETCH_BYTES_PER_SECOND_MIN,
    FIRST_HOPS_MAX,
    OUTBOX_READ_MAX,
    PUSHES_WAITING_PER_PEER_MAX,
)

SPARSE_FACTOR = 4  # about degree^4 / 2 n of n pushed bodies come twice: at most 1 in 32, 1 in 200 measured
COALESCE_PEERS_PER_SECOND = 200  # with many peers announcements are fewer and longer
WANT_FULL_PAUSE_SECONDS = 5.0


class Push:
    """Pushes, announcements, and the outbox of direct envelopes."""

    def __init__(self, state: EngineState, reconciliation: Reconciliation) -> None:
        self._state = state
        self._reconciliation = reconciliation

    # --- something is held here ---

    def held(self, event: EnvelopeHeld) -> None:
        """Push or announce an envelope that was committed: from here on its id may leave."""
        state, item = self._state, event.item
        announcers = state.want.done(item.envelope_id)
        if event.direct_to is not None:
            state.arrivals.skip(event.lsn)
            self._held_direct(event, event.direct_to)
            return
        state.index.add(shard_of(item), key_of(item.created, item.envelope_id))
        one = PollItem(event.lsn, item, set(announcers))
        if (
            event.is_own and event.received_from is None
        ):  # with a received_from it comes back after our disk was restored
            if len(state.first_hops) < FIRST_HOPS_MAX:
                state.first_hops[item.envelope_id] = shard_of(item)
            one.held_by.update(self._push_first(item, ()))
        elif event.received_from == event.author and event.received_from in announcers:
            one.held_by.discard(event.received_from)  # rule 4: the author waits for a word from us
        elif event.received_from is not None:
            one.held_by.add(event.received_from)
            if event.received_from == event.author and self._is_sparse(item):
                one.held_by.update(self._push_first(item, one.held_by))
        state.arrivals.append(one)
        for link in state.carriers(item.circle):
            if (link.is_open or link.asker is not None) and link.peer not in one.held_by:
                link.announce_at = min(link.announce_at, self._announce_at(link, event))
                state.touch(link)

    def dropped(self, items: Collection[AnnounceItem]) -> None:
        """Forget notices that a newer card has pushed out: they are neither compared nor announced any more."""
        for item in items:
            self._state.index.remove(shard_of(item), key_of(item.created, item.envelope_id))
            self._state.arrivals.drop(item.envelope_id)
            self._state.first_hops.pop(item.envelope_id, None)

    def _is_sparse(self, item: AnnounceItem) -> bool:
        """Returns whether far more partners exist than two hops reach: then a second push hardly ever brings a copy twice."""
        degree = len(self._state.carriers(item.circle))
        return self._state.partners >= SPARSE_FACTOR * degree * degree

    def _push_first(self, item: AnnounceItem, but: Collection[PartnerId]) -> list[PartnerId]:
        """Promise the body to a few connected peers (rule 1), and return these peers."""
        if item.size > EAGER_BYTES_MAX:
            return []
        links = [
            link
            for link in self._state.carriers(item.circle)
            if link.is_open and link.peer not in but and len(link.pushes) < EAGER_WAITING_PER_PEER_MAX
        ]
        self._state.random.shuffle(links)
        for link in links[:EAGER_PEERS_MAX]:
            link.pushes.append(item.envelope_id)
            self._state.touch(link)
        return [link.peer for link in links[:EAGER_PEERS_MAX]]

    def _held_direct(self, event: EnvelopeHeld, recipients: tuple[PartnerId, ...]) -> None:
        """Push a direct envelope to its recipients (rule 3), but not to the one that brought it home. It is compared only with
        the partner at its other end."""
        for peer in recipients if event.is_own else (event.author,):
            link = self._state.links.get(peer)
            if link is None or link.config.pair is None:
                continue
            key = key_of(event.item.created, event.item.envelope_id)
            self._state.index.add(Shard(link.config.pair, event.item.ttl_class), key)
            if peer == event.author:
                self.note_direct_held(link, event.item.envelope_id)
            is_owed = event.is_own and peer != event.received_from
            if is_owed and link.is_open and len(link.pushes) < PUSHES_WAITING_PER_PEER_MAX:
                link.awaited[event.item.envelope_id] = event.item
                link.pushes.append(event.item.envelope_id)
            elif is_owed:
                link.has_outbox = True
            self._state.touch(link)

    def note_direct_held(self, link: Link, envelope_id: EnvelopeId) -> None:
        """Note that a direct envelope of the peer is held, however it came: the next poll says so to its author, which may never
        see our roots equal its own."""
        if not self._state.settings.is_dialable and len(link.direct_held) < DIRECT_HELD_MAX:
            link.direct_held[envelope_id] = None

    def _announce_at(self, link: Link, event: EnvelopeHeld) -> float:
        """Returns the instant to announce an envelope: an own one at once.

        One that came from its author waits: the author is pushing it to others, who would fetch it here in vain. One from
        further away waits only when it is not the first of a burst.
        """
        now = self._state.now
        if event.is_own and event.received_from is None:
            return now
        pause = max(COALESCE_SECONDS_MIN, len(self._state.links) / COALESCE_PEERS_PER_SECOND)
        if event.received_from != event.author:
            return max(now, link.announced_at + pause)
        trips = [one.round_trip_seconds for one in self._state.carriers(event.item.circle) if one.is_open]
        return now + max([pause, *(trip / 2 for trip in trips)])

    # --- towards one peer ---

    def link_up(self, link: Link) -> None:
        """Announce the arrivals of the time when the peer was away, as far as the arrival log reaches back."""
        link.has_outbox = True
        self.catch_up(link)

    def catch_up(self, link: Link) -> None:
        """Announce now the arrivals that could not be announced meanwhile."""
        if link.cursor < self._state.arrivals.last_lsn:
            link.announce_at = self._state.now

    def drive(self, link: Link) -> None:
        """Send the pushes and the announcement that are due on an open link."""
        state = self._state
        if not link.has_pending(PUT):
            self.read_outbox(link)
        while link.pushes and link.may_send(PUT):
            envelope_id = link.pushes.popleft()
            pending = state.begin(link, PUT, [envelope_id])
            state.act(SendPut(pending.number, link.peer, envelope_id))
        if link.announce_at <= state.now and link.may_send(ANNOUNCE):
            self._announce(link)

    def read_outbox(self, link: Link) -> None:
        """Ask the store for direct envelopes that wait for the peer, once those read before are sent."""
        is_room = len(link.awaited) < OUTBOX_READ_MAX and not link.pushes
        if link.has_outbox and is_room and not link.is_outbox_read_under_way:
            link.has_outbox, link.is_outbox_read_under_way = False, True
            self._state.act(ReadOutbox(link.peer, OUTBOX_READ_MAX))

    def _announce(self, link: Link) -> None:
        state = self._state
        stretch = state.arrivals.after(link.cursor, link.peer, link.config.circles, ANNOUNCE_ITEMS_MAX)
        if not stretch.is_whole:  # too far behind: a comparison finds all of it
            link.cursor = link.acked_lsn = state.arrivals.last_lsn
            link.reported += 1  # a gap that the peer sees, too
            link.announce_at = NEVER
            self._reconciliation.soon(link)
            return
        link.cursor = stretch.to_lsn
        link.announce_at = state.now if stretch.to_lsn < state.arrivals.last_lsn else NEVER
        if stretch.items:
            link.announced_at = state.now
            pending = state.begin(link, ANNOUNCE, [item.envelope_id for item in stretch.items])
            pending.to_lsn = stretch.to_lsn
            message = Announce(state.epoch, link.reported, link.reported + len(stretch.items), stretch.items)
            state.act(SendAnnounce(pending.number, link.peer, message))

    def announced(self, link: Link, pending: Pending, answer: AnnounceAnswer) -> None:
        """Note that the peer heard our announcement, and push the bodies that it wants because it cannot dial us."""
        if pending.to_lsn is not None:
            link.acked_lsn = max(link.acked_lsn, pending.to_lsn)
            link.reported += len(pending.ids)
        for envelope_id in answer.want:
            if envelope_id in pending.ids and len(link.pushes) < PUSHES_WAITING_PER_PEER_MAX:
                link.pushes.append(envelope_id)

    def pushed(self, link: Link, envelope_id: EnvelopeId, answer: PutAnswer) -> None:
        """Note the peer's verdict on a body that was pushed to it."""
        if answer.verdict in (PutVerdict.HELD, PutVerdict.ALREADY_HELD):
            self._state.acknowledged(link, (envelope_id,))
        elif answer.verdict is PutVerdict.REFUSED:
            self._state.note(link.peer, "push-refused")
            link.decline(envelope_id, self._state.now)

    def put_back(self, link: Link, pending: Pending) -> None:
        """Put back a push or an announcement that was answered with a pause, to be sent again after it."""
        if pending.verb is PUT:
            link.pushes.extendleft(pending.ids)
        elif pending.to_lsn is not None:
            link.cursor, link.announce_at = link.acked_lsn, self._state.now

    def outbox_read(self, link: Link, event: OutboxRead) -> None:
        """Note the direct envelopes that wait for the peer since earlier.

        The peer may have them: the next comparison finds out, and pushes those that it lacks. A peer that cannot be
        dialled is offered them in the answer to its poll.
        """
        link.is_outbox_read_under_way = False
        said_held, link.said_held = link.said_held, frozenset()
        self._state.acknowledged(
            link, [one.envelope_id for one in event.items if one.envelope_id in said_held]
        )
        fresh = [one for one in event.items if one.envelope_id not in link.awaited.keys() | said_held]
        for item in fresh:
            link.awaited[item.envelope_id] = item
            if not link.config.is_dialable:
                link.pushes.append(item.envelope_id)
        if len(event.items) == OUTBOX_READ_MAX and fresh:
            link.has_outbox = True
            self._reconciliation.soon(link)

    # --- a peer announces ---

    def announce_heard(self, link: Link, event: AnnounceHeard) -> None:
        """Answer an announcement. Its items are as untrusted as any other bytes: they only name ids that may be asked for."""
        message = event.message
        wanted = self.items_heard(link, message.items)
        if wanted is None:
            self._state.act(ReplyBusy(event.ticket, WANT_FULL_PAUSE_SECONDS))
            return
        want = self._want(link, wanted)
        self._follow(link, message)
        self._state.act(Reply(event.ticket, AnnounceAnswer(message.to_count, want)))

    def items_heard(self, link: Link, items: tuple[AnnounceItem, ...]) -> list[AnnounceItem] | None:
        """Returns the announced items to fetch; None when the want table has no room for them.

        Also notes that the peer holds them: they need not be announced to it, and count as delivered.
        """
        state = self._state
        carried = [item for item in items if item.circle in link.config.circles]
        if len(carried) < len(items):
            state.note(link.peer, "circle-not-on-link")
        link.named_anew(item.envelope_id for item in carried)
        wanted = [item for item in carried if state.is_wanted(link, item)]
        if not state.want.has_room(link.peer, len(wanted)):
            return None
        for item in carried:
            state.arrivals.note_holder(item.envelope_id, link.peer)
            if item.envelope_id in link.pushes:
                link.pushes.remove(item.envelope_id)
        delivered = tuple(
            one.envelope_id for one in carried if state.first_hops.get(one.envelope_id) == shard_of(one)
        )
        if delivered:
            state.acknowledged(link, delivered)
        return wanted

    def _want(self, link: Link, wanted: list[AnnounceItem]) -> tuple[EnvelopeId, ...]:
        """Put items into the want table; returns the ids that a peer which cannot be dialled shall push."""
        state = self._state
        asked: list[EnvelopeId] = []
        for item in wanted:
            if link.is_open:
                state.want.add(item, link.peer)
                state.touch_asked(item.envelope_id)  # with a smaller size it is late sooner
            elif state.want.is_free(item.envelope_id):
                state.want.add(item, link.peer)
                state.want.ask(item.envelope_id, link.peer)
                seconds = link.patience_seconds * (1 + len(asked)) + item.size / FETCH_BYTES_PER_SECOND_MIN
                link.expected[item.envelope_id] = state.now + seconds
                asked.append(item.envelope_id)
        return tuple(asked)

    def _follow(self, link: Link, message: Announce) -> None:
        """Follow the peer's count of announced items, a hint: a gap in it, or another epoch, is a reason to compare."""
        if message.from_count == message.to_count:
            return
        if link.heard_epoch is not None:
            is_gap = message.epoch != link.heard_epoch or message.from_count > link.heard_count
            if is_gap:
                self._reconciliation.compare_all(link)
        link.heard_epoch, link.heard_count = message.epoch, message.to_count
