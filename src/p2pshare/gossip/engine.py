"""The engine of one node's gossip: events go in, actions come out.

::

    actions = engine.handle(event, now)        # the one door; `now` in steady seconds, which no clock that is set moves
    at = engine.next_wakeup()                  # hand it a `Tick` then, or any event before

No clock, no network, no store: a driver performs the actions and reports how they ended. With the same random
source and the same events the actions are the same, byte for byte. How a pair of nodes speaks::

    A                                          B
    hello {epoch, clock, roots}         --->                   link up; so B greets A as well
                                        <---   hello
    PUT body                            --->   intake, COMMIT  A wrote it: nobody else can have it
                                        <---   held            delivered: A notes it in its store
    announce {ids, sizes}               --->                   B passes it on: to all who may carry it
    get {ids}                           <---                   (want table: each id is asked of one peer)
    bodies                              --->   intake, COMMIT, announce ...
    sync {ranges of each shard}         --->                   anti-entropy: roots differed
                                        <---   ranges, ids     what A lacks it wants, what B lacks it announces

Rules that hold in every state:

1. Received is not held. Only `EnvelopeHeld`, handed in after COMMIT, makes an id known to others.
2. No id and no byte goes to a peer whose link does not carry its circle; direct envelopes go from their
   author to their recipients only. (The driver asks the policy again before each body leaves.)
3. Cursors are hints. Whatever they miss, comparing stores finds.
4. Every table is bounded (limits.py). A peer that is away costs a number, not a queue.
5. A peer's silence or slowness is no fault; only what can be proved counts against it.

The parts: `protocol` (the verbs), `states` (one peer's states), `push` (push, announce, outbox), `long_poll`, `want` and
`fetching` (bodies), `reconciliation` and `responder` (anti-entropy), `engine_state` (shared by all).
"""

from __future__ import annotations

from p2pshare.gossip import events, protocol
from p2pshare.gossip.actions import Action, FetchCard, FetchChain, Reply, ReplyRefused, SendHello
from p2pshare.gossip.engine_state import EngineSettings, EngineState, RandomSource, shard_of
from p2pshare.gossip.events import Event, LinkConfig
from p2pshare.gossip.fetching import PASSING, Fetching
from p2pshare.gossip.index import HOUR_SECONDS
from p2pshare.gossip.link import NEVER, Link, Pending, Unavailable
from p2pshare.gossip.long_poll import LongPoll
from p2pshare.gossip.messages import AnnounceAnswer, Hello, PollAnswer, PutAnswer, SyncAnswer
from p2pshare.gossip.moment import is_confirmed
from p2pshare.gossip.push import Push
from p2pshare.gossip.reconciliation import Reconciliation
from p2pshare.gossip.responder import Responder
from p2pshare.gossip.scheduler import Scheduler
from p2pshare.gossip.states import Cause, State
from p2pshare.identifiers import Epoch, PartnerId
from p2pshare.limits import BACKOFF_SECONDS_MIN, CLOCK_SKEW_SECONDS_MAX, HELLO_INTERVAL_SECONDS

CHAIN_PAUSE_SECONDS = 60.0  # between two chains asked of one peer: checking one may take a second
SILENCE_SECONDS = 2 * HELLO_INTERVAL_SECONDS  # a peer we cannot dial, and that missed two hellos, is away
POLL_REFUSED_SECONDS = (
    60.0  # before asking again who refused a poll: our link was removed there, or carries other circles
)
EVERY_REASON = tuple(Unavailable)


class Engine:
    """The gossip of one node. `last_lsn` is the store's last arrival. The first events are `KeysLoaded` and `LinksConfigured`."""

    def __init__(
        self,
        *,
        epoch: Epoch,
        last_lsn: int,
        card_version: int,
        random: RandomSource,
        settings: EngineSettings | None = None,
    ) -> None:
        self._state = EngineState(epoch, last_lsn, card_version, random, settings or EngineSettings())
        self._scheduler = Scheduler()
        self._reconciliation = Reconciliation(self._state, self._scheduler)
        self._responder = Responder(self._state, self._scheduler)
        self._push = Push(self._state, self._reconciliation)
        self._fetching = Fetching(self._state)
        self._long_poll = LongPoll(self._state, self._push, self._reconciliation)
        self._hour = 0

    def handle(self, event: Event, now: float) -> list[Action]:
        """Take in one event at `now` (steady seconds) and return the actions that follow from it."""
        state = self._state
        state.now = max(state.now, now)
        self._expire()
        state.touch_due()
        self._dispatch(event)
        while touched := state.take_touched():
            for link in touched:
                self._drive(link)
        return state.take_actions()

    @property
    def has_work(self) -> bool:
        """Returns whether `events.Step` should be handed in as soon as nothing else waits."""
        return len(self._scheduler) > 0

    def next_wakeup(self) -> float | None:
        """Returns the latest instant (seconds) to hand in a `Tick`; None when nothing is due before another event."""
        return self._state.next_wakeup()

    def state(self, peer: PartnerId) -> State | None:
        link = self._state.links.get(peer)
        return None if link is None else link.state

    def backlog(self, peer: PartnerId) -> int:
        """Returns the number of envelopes that wait to be announced or pushed to the peer, as far as the arrival log reaches.

        Raises KeyError when there is no link to the peer.
        """
        link = self._state.links[peer]
        return len(link.pushes) + self._state.arrivals.count_after(link.acked_lsn, peer, link.config.circles)

    def sizes(self) -> dict[str, int]:
        """Returns the number of entries of each bounded table, by name; of tables kept for each link, of the largest."""
        state = self._state
        links = list(state.links.values())
        return {
            "want": len(state.want),
            "arrivals": len(state.arrivals),
            "first_hops": len(state.first_hops),
            "aside": len(state.aside),
            "unavailable": max((len(link.unavailable) for link in links), default=0),
            "declined": max((len(link.declined) for link in links), default=0),
            "sessions": len(self._reconciliation),
            "work": len(self._scheduler),
            "pushes": max((len(link.pushes) for link in links), default=0),
            "expected": max((len(link.expected) for link in links), default=0),
        }

    def faults(self, peer: PartnerId) -> dict[str, int]:
        """Returns the faults noted of the peer: reason code to count. Empty without a link to it."""
        link = self._state.links.get(peer)
        return {} if link is None else dict(link.faults)

    def heard(self, peer: PartnerId) -> tuple[int | None, int]:
        """Returns what the peer's last hello told: by how many seconds its clock was ahead of ours (None before the first), and how
        many circles it carries that we do not, where it lacks one of ours."""
        link = self._state.links.get(peer)
        return (None, 0) if link is None else (link.clock_offset, link.foreign_circles)

    @property
    def is_clock_confirmed(self) -> bool:
        """Returns whether the clocks that linked partners told since ours was put in doubt end that."""
        return is_confirmed([link.clock_offset for link in self._state.links.values()])

    # --- events ---

    def _dispatch(self, event: Event) -> None:
        match event:
            case events.Tick():
                pass
            case events.Step():
                self._step()
            case events.EnvelopeHeld():
                self._state.aside.pop(event.item.envelope_id, None)
                self._push.held(event)
            case events.ItemsDropped():
                self._push.dropped(event.items)
            case events.ChainMissing():
                self._chain_missing(event)
            case events.BodyDecided():
                if event.peer in self._state.links:
                    self._long_poll.decided(self._state.links[event.peer], event)
                self._fetching.decided(event)
            case events.DeferralsEnded():
                for envelope_id in event.ids:
                    self._state.aside.pop(envelope_id, None)
            case events.BodyUndecided():
                self._fetching.undecided(event.peer, event.envelope_id)
            case events.ClockSet():
                self._clock_set(event)
            case events.LinksConfigured():
                self._state.partners = event.partners
                self._configure(event.links)
            case events.OwnCardChanged():
                self._own_card_changed(event.version)
            case events.KeysLoaded():
                self._state.index.load(event.shard, event.keys)
            case events.FirstHopsLoaded():
                self._state.first_hops |= {item.envelope_id: shard_of(item) for item in event.items}
            case events.BodyArrived() | events.BodyGone():
                self._body(event)
            case events.Answered() | events.Declined() | events.Failed() | events.Busy():
                self._ended(event)
            case _:
                self._peer_spoke(event)

    def _peer_spoke(
        self, event: events.OutboxRead | events.Heard | events.QuestionHeard | events.PutHeard
    ) -> None:
        link = self._state.links.get(event.peer)
        if link is None:
            if isinstance(event, events.QuestionHeard):
                self._state.act(ReplyRefused(event.ticket))
            return
        self._state.touch(link)
        if isinstance(event, events.OutboxRead):
            self._push.outbox_read(link, event)
            return
        link.clear_back_off(self._state.now)
        if not link.config.is_dialable:
            link.hello_at = self._state.now + SILENCE_SECONDS
        match event:
            case events.HelloHeard():
                self._hello_heard(link, event)
            case events.AnnounceHeard():
                self._push.announce_heard(link, event)
            case events.PollAsked():
                self._long_poll.asked(link, event)
            case events.SyncAsked():
                if self._responder.asked(link, event):
                    self._reconciliation.asked(link)
            case events.PutHeard():
                self._fetching.put_heard(link, event.envelope_id)

    def _body(self, event: events.BodyArrived | events.BodyGone) -> None:
        link = self._state.owners.get(event.request)
        if link is None:
            return
        pending = link.pending[event.request]
        self._state.touch(link)
        if isinstance(event, events.BodyArrived):
            self._fetching.arrived(link, pending, event.envelope_id)
        else:
            self._fetching.gone(link, pending, event.envelope_id)

    def _ended(self, event: events.Answered | events.Declined | events.Failed | events.Busy) -> None:
        found = self._state.end(event.request)
        if found is None:
            return
        link, pending = found
        if pending.verb is protocol.CARD and isinstance(event, events.Failed | events.Busy):
            link.card_asked = 0  # it may be there next time
        match event:
            case events.Answered():
                link.failures = 0
                link.answered_at = self._state.now
                self._answered(link, pending, event)
            case events.Declined():
                self._declined(link, pending, event.reason)
            case events.Failed():
                self._state.fall(link, is_failure=True)
            case events.Busy():
                self._busy(link, pending, event.retry_after_seconds)

    def _answered(self, link: Link, pending: Pending, event: events.Answered) -> None:
        match pending.verb, event.message:
            case protocol.HELLO, Hello() as hello:
                link.note_round_trip(self._state.now - pending.began_at)
                self._hello_answered(link, hello)
            case protocol.ANNOUNCE, AnnounceAnswer() as answer:
                self._push.announced(link, pending, answer)
            case protocol.PUT, PutAnswer() as answer:
                self._push.pushed(link, next(iter(pending.ids)), answer)
            case protocol.POLL, PollAnswer() as answer:
                self._long_poll.answered(link, pending, answer)
            case protocol.SYNC, SyncAnswer() as answer:
                self._reconciliation.answered(link, answer)
            case protocol.GET, None:
                self._fetching.ended(link, pending, is_answered=True)
            case _:  # a push that could not leave, a card that was fetched
                pass

    def _declined(self, link: Link, pending: Pending, reason: str) -> None:
        """Handle a refusal: the peer is reachable and declined this one request. A refused hello takes the link down."""
        self._state.note(link.peer, reason)
        match pending.verb:
            case protocol.HELLO:
                self._state.fall(link, is_failure=True)
            case protocol.POLL:
                link.poll_at = self._state.now + POLL_REFUSED_SECONDS
                link.hello_at = self._state.now  # its answer says what the link carries now, if there is one
            case protocol.GET:
                self._fetching.ended(link, pending, is_answered=False)
            case protocol.SYNC:
                self._reconciliation.declined(link, reason)
            case protocol.CARD if reason in PASSING:  # by a clock that may be wrong, ours or the peer's
                link.has_card_again = True
                link.give_up(self._state.now)
            case _:
                pass

    def _busy(self, link: Link, pending: Pending, seconds: float) -> None:
        """Handle a 429, which is no failure: pause, then ask for smaller batches."""
        link.batch = max(1, link.batch // 2)
        if link.state is State.GREETING:
            link.move(Cause.BUSY)
            link.retry_at = self._state.now + seconds
            return
        link.move(Cause.BUSY)
        link.resume_at = self._state.now + seconds
        match pending.verb:
            case protocol.GET:
                self._fetching.give_back(pending, link, is_over=False)
            case protocol.HELLO:
                link.hello_at = self._state.now
            case protocol.ANNOUNCE if pending.to_lsn is None:  # a repair: the next comparison offers it again
                self._reconciliation.finish(link, is_whole=False)
            case protocol.SYNC:
                self._reconciliation.put_off(link)
            case protocol.POLL:
                pass
            case _:
                self._push.put_back(link, pending)

    # --- hello ---

    def _own_hello(self, link: Link) -> Hello:
        state = self._state
        clock = int(state.moment.now)
        return Hello(state.epoch, clock, state.card_version, state.index.roots(link.config.compared, clock))

    def _greet(self, link: Link) -> None:
        if link.state is State.WAITING:
            link.move(Cause.DIALLED)
            self._push.read_outbox(link)  # what waits for it is known when its roots come
        link.tried_at = self._state.now
        link.hello_at = self._state.now + HELLO_INTERVAL_SECONDS
        pending = self._state.begin(link, protocol.HELLO)
        self._state.act(SendHello(pending.number, link.peer, self._own_hello(link)))

    def _hello_answered(self, link: Link, hello: Hello) -> None:
        is_new = link.state is State.GREETING
        link.move(Cause.ANSWERED)
        self._note_epoch(link, hello)
        if is_new:
            self._reconciliation.link_up(link)
            self._push.link_up(link)
        self._reconciliation.hello_answered(link, hello)
        self._fetch_newer_card(link, hello)

    def _fetch_newer_card(self, link: Link, hello: Hello) -> None:
        """Fetch the peer's card when it has a newer one: once, whether it is accepted is for the partners service to say."""
        if hello.card_version > max(link.config.card_version, link.card_asked):
            link.card_asked = hello.card_version
            pending = self._state.begin(link, protocol.CARD)
            self._state.act(FetchCard(pending.number, link.peer))

    def _chain_missing(self, event: events.ChainMissing) -> None:
        """Fetch the missing versions from who has the newest, where it can be dialled; else another peer's notice brings us there."""
        link = self._state.links.get(event.peer)
        is_soon = link is not None and self._state.now < link.chain_asked_at + CHAIN_PAUSE_SECONDS
        if link is None or is_soon or not (link.is_open and link.may_send(protocol.CHAIN)):
            return
        link.chain_asked_at = self._state.now
        pending = self._state.begin(link, protocol.CHAIN)
        self._state.act(FetchChain(pending.number, link.peer, event.partner, event.circle))

    def _hello_heard(self, link: Link, event: events.HelloHeard) -> None:
        if not link.config.is_dialable:
            link.move(Cause.GREETED)
        self._note_epoch(link, event.message)
        self._reconciliation.hello_heard(link, event.message)
        self._state.act(Reply(event.ticket, self._own_hello(link)))
        if link.is_open and link.config.is_dialable:
            self._fetch_newer_card(link, event.message)
        if self._state.now < link.answered_at + SILENCE_SECONDS:
            link.hello_at = self._state.now + HELLO_INTERVAL_SECONDS * (1 + self._state.random.random())

    def _own_card_changed(self, version: int) -> None:
        """Tell each peer that we can ask, now: the others hear it in the answer to their next hello."""
        self._state.card_version = version
        for link in self._state.links.values():
            if link.is_open and link.config.is_dialable:
                link.hello_at = self._state.now
                self._state.touch(link)

    def _note_epoch(self, link: Link, hello: Hello) -> None:
        """Note the peer's epoch, its clock, and what it carries and we do not. Another epoch is a restart: its counts are void,
        so compare."""
        link.clock_offset = hello.clock - int(self._state.moment.now)
        told = {one.shard.circle for one in hello.shards}
        link.foreign_circles = len(told - link.config.compared) if link.config.circles - told else 0
        if abs(link.clock_offset) > CLOCK_SKEW_SECONDS_MAX:
            self._state.note(link.peer, "clock-skew")
        before, link.epoch = link.epoch, hello.epoch
        is_restart = before not in (None, hello.epoch)
        if is_restart:  # it may hold now what it could not hand over, and take what it refused
            link.follow_sign((Unavailable.GONE, Unavailable.FAULTY), self._state.now, offers_again=True)
        if link.heard_epoch not in (None, hello.epoch):
            link.heard_epoch = None
            is_restart = True
        if is_restart and link.is_open:
            self._reconciliation.soon(link)

    # --- links ---

    def _configure(self, configs: tuple[LinkConfig, ...]) -> None:
        state = self._state
        wanted = {config.peer: config for config in configs}
        for peer in [peer for peer in state.links if peer not in wanted]:
            state.clear(state.links[peer])
            self._forget(peer)
            del state.links[peer]
        links: dict[PartnerId, Link] = {}
        for peer, config in sorted(wanted.items()):
            link = state.links.get(peer)
            if link is None:
                last = state.arrivals.last_lsn
                link = Link(
                    config, cursor=last, acked_lsn=last, poll_reported=(0, last), poll_before=(0, last)
                )
            elif (link.config.compared, link.config.is_dialable) != (config.compared, config.is_dialable):
                self._begin_anew(link)
                link.config = config
                self._long_poll.leave_hole(link)
            link.config = config
            link.retry_at = min(link.retry_at, state.now)
            if link.unavailable or link.exhausted:
                # A card may let in what was refused before it came, and the pause between comparisons may be 15 minutes long.
                self._compare_anew(link)
            link.begin_anew(EVERY_REASON)
            links[peer] = link
            state.touch(link)
        state.links = links
        state.want.share_between(len(links))

    def _begin_anew(self, link: Link) -> None:
        """Reset a link whose circles or address have changed: a request under way may not be allowed any more."""
        self._forget(link.peer)
        if link.state is State.WAITING:
            self._state.clear(link)
        else:
            self._state.fall(link, is_failure=False)
        link.retry_at = self._state.now

    def _compare_anew(self, link: Link) -> None:
        """Have the stores compared soon, by us where the peer can be dialled; else it is told of a hole, and compares."""
        if link.is_open:
            self._reconciliation.soon(link)
        elif not link.config.is_dialable:
            self._long_poll.leave_hole(link)

    def _clock_set(self, event: events.ClockSet) -> None:
        """Follow the wall clock. What was refused or given up was so by another time; whoever can be asked is greeted, for a
        machine that slept has been away. What they told of their clocks before a jump says nothing about ours as it is now."""
        self._state.set_clock(event.moment)
        for link in self._state.links.values():
            if event.moment.is_doubtful:
                link.clock_offset = None
            link.begin_anew(EVERY_REASON)
            link.card_asked = 0
            link.retry_at = min(link.retry_at, max(self._state.now, link.tried_at + BACKOFF_SECONDS_MIN))
            if link.is_open:
                link.hello_at = self._state.now
            self._compare_anew(link)
            self._state.touch(link)

    def _forget(self, peer: PartnerId) -> None:
        """Drop all computations for or with this peer: none of their results may reach it any more."""
        self._scheduler.drop(peer)
        self._reconciliation.drop(peer)
        self._responder.drop(peer)
        self._long_poll.drop(self._state.links[peer])

    def _step(self) -> None:
        """Run one step, a few milliseconds, of the scheduled work."""
        peer = self._scheduler.step()
        if peer is not None and peer in self._state.links:
            self._state.touch(self._state.links[peer])

    def _drive(self, link: Link) -> None:
        """Do what is due for one link, and set its timer for the next time something is due."""
        now = self._state.now
        if link.state is State.WAITING:
            self._reconciliation.drop(link.peer)
        if link.state is State.RESTING and link.resume_at <= now:
            link.move(Cause.RESTED)
            self._push.catch_up(link)
        if link.state is State.CONNECTED and not link.config.is_dialable and link.hello_at <= now:
            self._state.fall(link, is_failure=False)
        if link.state is State.WAITING and link.config.is_dialable and link.retry_at <= now:
            self._greet(link)
        self._fetching.expire_expected(link)
        if link.anew_at <= now:
            link.try_anew(now)
            self._compare_anew(link)
        if link.is_open:
            is_hello_due = link.hello_at <= now or self._reconciliation.is_due(link)
            if is_hello_due and link.may_send(protocol.HELLO):
                self._greet(link)
            self._push.drive(link)
            self._reconciliation.drive(link)
            self._fetching.drive(link)
            self._long_poll.ask(link)
        self._long_poll.drive(link)
        self._state.set_timer(link, self._due(link))

    def _due(self, link: Link) -> float:
        """Returns the next instant to look at the link; a request that waits for its answer needs no timer."""
        now = self._state.now
        expected = min(link.expected.values(), default=NEVER)
        match link.state:
            case State.WAITING:
                return min(link.retry_at if link.config.is_dialable else NEVER, expected)
            case State.RESTING:
                return min(link.resume_at, expected)
            case State.CONNECTED if link.config.is_dialable:
                instants = [self._fetching.due(link), self._long_poll.due(link), link.anew_at]
                if not link.has_pending(protocol.HELLO):
                    instants += [link.hello_at, self._reconciliation.due(link)]
                if not link.has_pending(protocol.ANNOUNCE):
                    instants.append(link.announce_at)
                return min(at for at in [*instants, NEVER] if at > now)
            case State.CONNECTED:
                return min(link.hello_at, expected, self._long_poll.due(link), link.anew_at)
            case State.GREETING:
                return expected

    def _expire(self) -> None:
        """Drop expired keys from the index once an hour; they are a prefix of their shard."""
        earliest = self._state.moment.earliest
        hour = int(earliest) // HOUR_SECONDS
        if hour != self._hour:
            self._hour = hour
            self._state.index.expire(earliest)
