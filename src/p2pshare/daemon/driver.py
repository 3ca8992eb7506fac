"""The driver: performs what the engine asks, on the real clock and network, and reports to it what came of it.

It holds no rule of its own. Invariants that it keeps:

1. The engine is only ever called in the event loop, one event at a time; nothing it asks for is performed
   before the event is over.
2. Nothing blocks the loop: writing, and with it all cryptography of intake, is in the writer thread; reading
   is in a small pool, through the store's read-only connections.
3. A push is answered after COMMIT; a full disk is answered 507 and never acknowledged.
4. A partner that was removed is unpinned before anything else happens, its requests are cancelled.
5. The end: no new requests, what waits is committed, connections are closed.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import itertools
import logging
import random
import secrets
import time
import traceback
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar, cast

from p2pshare.daemon.clock import Clock
from p2pshare.daemon.dialling import Lines
from p2pshare.daemon.intake_queue import IntakeQueue, StoreWriter
from p2pshare.daemon.knocks import CARD_TAKEN, HANDED_OVER, NOTHING_NEW, Knocks, reason_of
from p2pshare.daemon.member_lists import LOOK_SECONDS, MemberListRounds
from p2pshare.daemon.reading_pauses import ReadingPauses
from p2pshare.envelope.knock import PlaceAsked
from p2pshare.errors import NotFoundError, PeerError, ShareError, StoreError
from p2pshare.gossip import actions, events
from p2pshare.gossip.actions import Action
from p2pshare.gossip.engine import Engine
from p2pshare.gossip.engine_state import EngineSettings
from p2pshare.gossip.messages import AnnounceItem, DialAnswer, EngineAnswer, PutAnswer
from p2pshare.gossip.moment import Moment
from p2pshare.gossip.protocol import Question, question_of
from p2pshare.gossip.states import State
from p2pshare.http_server.known_addresses import origin_of
from p2pshare.identifiers import CircleId, EnvelopeId, PartnerId
from p2pshare.limits import (
    DISK_FULL_PAUSE_SECONDS,
    EXCHANGES_NOTED_SECONDS,
    SWEEP_SECONDS,
)
from p2pshare.node.node import DialledBack, LinkState, Node, Progress
from p2pshare.node.proxy_login import proxy_of
from p2pshare.partners.interface import NOT_ACCEPTED_YET, OTHER_CERTIFICATE
from p2pshare.partners.roster import Roster, RosterEntry
from p2pshare.peering.client import Gone, PeerAddress, PeerClient
from p2pshare.peering.dialling_back import PARTNER_PAUSE_SECONDS, REACHED, SECONDS_MAX, DiallingBack
from p2pshare.peering.faults import PeerBusy, PeerFull, PeerUnreachable
from p2pshare.peering.interface import DialLimits
from p2pshare.peering.knocking import KnockLimits, ask_card, ask_for_place, hand_card
from p2pshare.peering.tls import TlsGate
from p2pshare.sharing.exchange import Exchange, Outcome, ReceivedBody, links_of
from p2pshare.sharing.own_card import shown_by
from p2pshare.sharing.payload_kinds import Readers
from p2pshare.sharing.reading import ContentReader

log = logging.getLogger(__name__)

NOTES_PER_MINUTE_MAX = 20  # lines of log that one partner may cause in a minute
T = TypeVar("T")
Q = TypeVar("Q")
A = TypeVar("A")

READER_THREADS = 2
STEP_PAUSE_SECONDS = (
    0.001  # between two steps of long work, while other things happen: a third of the loop ...
)
STEP_PAUSES_MAX = (
    20  # ... and so many of them in a row while bodies are taken in: both want the one interpreter
)
EVENTS_AT_ONCE = 64  # then the loop may do something else
ACKNOWLEDGED_AT_ONCE = 1_000  # noted in one transaction: some 50 ms that other writers wait
CARD_SETTLED_SECONDS = (
    5.0  # after a partner fetched our card: one that could not keep it asks again within two
)
CONNECTED = State.CONNECTED.value
DIAL_BACK_KEPT_SECONDS = PARTNER_PAUSE_SECONDS + 1.0
DIAL_BACK_ASKED_MAX = (
    3  # partners that a person's question has dial back: one may not reach us for a reason of its own
)
DIAL_BACK_SECONDS_MAX = SECONDS_MAX + 5.0  # of all of them: a person waits
AWAITED_DIALLED_MAX = 64  # addresses dialled after a person accepted somebody ...
AWAITED_ADDRESSES_MAX = 3  # ... and of one id: others may claim it beside its owner
KNOCKS_LOOK_SECONDS = 10.0  # between two looks whether a knock is due at a door that never let us in
CLOCK_LOOK_SECONDS = 5.0  # between two looks whether the clock was set
STOPPING_PAUSE_SECONDS = 5.0
READING_FAILED_PAUSE_SECONDS = 60.0  # after a fault of ours that no single envelope has


class Driver:
    """The driver of one daemon's life of gossip; it answers what `peering.server` asks (`peering.interface.PeerExchange`, and
    `peering.interface.GuestExchange`).

    `writer` runs functions in the writer thread; `readers` read each kind of payload there. `start` once, then the
    methods in any order, `stop` once; all from one event loop.
    """

    def __init__(self, node: Node, writer: StoreWriter, readers: Readers, *, seed: int | None = None) -> None:
        self.gate = TlsGate(node.identity.operational.tls)
        self.roster = Roster(node.identity.partner_id)
        self._node = node
        self._writer = writer
        self._exchange = Exchange(node)
        self._content = ContentReader(node, readers, time.monotonic, time.thread_time)
        self._is_unread = asyncio.Event()
        # Nobody must foresee the keys of audits.
        self._random = random.SystemRandom() if seed is None else random.Random(seed)  # noqa: S311 for tests
        self._reading_pauses = ReadingPauses(self._random)
        self._now = Clock()
        """Steady seconds; and what time it is."""
        self._jump: tuple[float | None, int] = (None, 0)
        proxy = proxy_of(node.config)
        connect_seconds = node.config.gossip.connect_timeout_seconds
        self._dial_limits = DialLimits(connect_seconds=connect_seconds, proxy=proxy)
        self._lines = Lines(self.gate, self._dial_limits)
        self._readers = ThreadPoolExecutor(READER_THREADS, thread_name_prefix="reader")
        self._intake = IntakeQueue(
            self._exchange,
            writer,
            moment=self._now.moment,
            report=self._report_outcome,
            report_failure=self._report_failure,
        )
        self._engine: Engine | None = None
        self._tickets = itertools.count()
        self._replies: dict[int, asyncio.Future[Any]] = {}
        self._is_step_planned = False
        self._is_busy = False
        self._pauses = 0
        self._requests: dict[int, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._loaded_circles: set[CircleId] = set()
        self._linked: set[PartnerId] = set()
        self._exchanged: dict[PartnerId, int] = {}
        self._card_fetches: dict[PartnerId, tuple[int, float]] = {}
        self._own_notices: frozenset[EnvelopeId] = frozenset()
        self._troubles: dict[PartnerId, str] = {}
        self._notes_reported: dict[PartnerId, tuple[int, int]] = {}
        self._member_lists = MemberListRounds(self._exchange, self, self._read, writer)
        self._dial_back_lock = asyncio.Lock()
        self._dialled_back: tuple[int, float, list[DialledBack]] = (0, 0.0, [])
        """(version of our card, when, what partners said) of the last time that they were asked to dial us."""
        self._dialling_back = DiallingBack(self.gate, time.monotonic, proxy)
        self._knocks = Knocks(node.store.partners.closed_doors())
        self._knock_limits = KnockLimits(connect_seconds, proxy=proxy)
        self._roster_lock = asyncio.Lock()
        self._is_roster_stale = asyncio.Event()
        self._is_stopping = False
        self._intake_task: asyncio.Task[None] | None = None
        self.clock_believed = asyncio.Event()
        """Set when a doubt of the clock ends; cleared by who waits for it."""
        self.content_was_read: Callable[[], None] = _nothing
        """Called after content was read, when nothing is left that may be read by now."""

    # --- life ---

    async def start(self) -> None:
        """Begin a new epoch, load the index from the store and the partners, then dial them. Raises StoreError."""
        beginning = await self._writer(self._exchange.begin)
        self._now.follow_absence(beginning.clock_noted_at)
        self._engine = Engine(
            epoch=beginning.epoch,
            last_lsn=beginning.last_lsn,
            card_version=beginning.card_version,
            random=self._random,
            settings=EngineSettings(
                reconcile_seconds=self._node.config.gossip.reconcile_seconds,
                is_dialable=bool(self._node.identity.card.urls and self._node.config.url),
            ),
        )
        self._intake_task = asyncio.create_task(self._intake.run())
        self._expect_guests()
        await self._show_certificate()
        await self.reload_roster()
        self._give(beginning.first_hops)
        self._spawn(self._read_content())
        self._spawn(self._follow_roster())
        self._spawn(self._every(SWEEP_SECONDS, self._sweep))
        self._spawn(self._every(EXCHANGES_NOTED_SECONDS, self._note_exchanges))
        self._spawn(self._every(CLOCK_LOOK_SECONDS, self._look_at_clock))
        self._spawn(self._every(SWEEP_SECONDS, self._show_certificate))
        self._spawn(self._every(LOOK_SECONDS, self._member_lists.look))
        self._spawn(self._every(KNOCKS_LOOK_SECONDS, self._knock_where_due))

    async def stop(self) -> None:
        """End what is under way: cancel requests, commit bodies that came, close connections."""
        self._is_stopping = True
        if self._timer is not None:
            self._timer.cancel()
        tasks = [*self._requests.values(), *self._tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._intake.close()
        if self._intake_task is not None:
            await self._intake_task
        await self._lines.close()
        await self._note_exchanges()
        self._readers.shutdown()

    def wake(self) -> None:
        """Look for news in the arrival log, and for what may be read: something was published here, or the quota changed."""
        self._intake.look_for_news()
        self._is_unread.set()

    async def reload_roster(self) -> None:
        """Follow the roster: partners were added, removed, or changed their cards. A removed one is out when this returns."""
        async with self._roster_lock:
            with contextlib.suppress(StoreError):  # a full disk: what introductions come to stays as it was
                await self._writer(self._exchange.review, int(self.moment.earliest))
            roster = await self._read(self._exchange.roster)
            await self._lines.follow(roster)
            await self._list_notices()
            links = links_of(roster)
            circles = {circle for link in links for circle in link.circles} - self._loaded_circles
            for loaded in await self._read(self._exchange.keys, circles):
                self._give(loaded)
            self._loaded_circles |= circles
            fresh = sorted({link.peer for link in links} - self._linked)  # of them the engine kept no account
            await self._load_pairs(fresh)
            self.roster = roster
            self._linked = {link.peer for link in links}
            if self._knocks.keep(self._linked):
                await self._note_doors()
            self._give(events.LinksConfigured(links, len(roster)))
            await self._load_pairs(fresh)  # and what was committed between the two

    async def _follow_roster(self) -> None:
        """Read the roster again when something that came has changed it; changes that come meanwhile share the next time."""
        while True:
            await self._is_roster_stale.wait()
            self._is_roster_stale.clear()
            try:
                await self.reload_roster()
            except StoreError as error:
                log.error("the roster was not read again: %s", error.reason)
                await asyncio.sleep(DISK_FULL_PAUSE_SECONDS)
                self._is_roster_stale.set()

    async def _list_notices(self) -> None:
        """Have the newest cards go round; on a full disk those that did before."""
        try:
            self._give(await self._writer(self._exchange.list_notices))
        except StoreError as error:
            log.error("the newest cards do not go round yet: %s", error.reason)
        self._own_notices = await self._read(self._exchange.own_notices)
        self._intake.look_for_news()
        self._intake.sweep()  # a card may revoke a key, and a page vouch for what is held under it

    async def follow_card(self) -> None:
        """Use our new card from here on: partners are told its version and fetch it, and it goes round."""
        await self._show_certificate()
        await self._list_notices()
        self._give(events.OwnCardChanged(self._node.card.version))

    async def _show_certificate(self) -> None:
        """Show the certificate of our card that every linked partner knows (`sharing.own_card`), or the newest."""
        key = await self._read(shown_by, self._node, int(time.time()))
        certificates = self._node.card.tls_certificates
        before = self.gate.show(key, certificates)
        if before is None:
            return
        log.info("another certificate of ours is shown from now on")
        if (
            before in certificates
        ):  # else it was revoked: who does not know the new one yet would hear no more
            await self._lines.hang_up()

    def _expect_guests(self) -> None:
        """Let in as guests who hold our card: the key that they show follows from its first version, which never changes."""
        try:
            self.gate.expect_knocks(self._node.card.raw)
        except PeerError as error:
            log.error("nobody can knock here: %s", error.reason)

    async def _load_pairs(self, peers: Sequence[PartnerId]) -> None:
        """Load the keys of the direct envelopes between each of these and us."""
        for peer in peers:
            for loaded in await self._read(self._exchange.pair_keys, peer):
                self._give(loaded)

    def peer_states(self) -> dict[PartnerId, LinkState]:
        """Returns the state of each link, for `status`."""
        engine = self._engine
        if engine is None:
            return {}
        return {
            peer: LinkState(
                state.value,
                engine.backlog(peer),
                self._troubles.get(peer, ""),
                engine.faults(peer),
                *engine.heard(peer),
            )
            for peer in (entry.partner_id for entry in self.roster.links())
            if (state := engine.state(peer)) is not None
        }

    # --- the engine ---

    def _give(self, event: events.Event) -> None:
        """Give the engine one event, perform its actions, set the timer anew."""
        if self._engine is None or self._is_stopping:
            return
        self._is_busy = self._is_busy or not isinstance(event, events.Step)
        moment = self._now.look()
        if moment is not None:
            self._follow_clock(moment)
        for action in self._engine.handle(event, self._now()):
            self._perform(action)
        if self._now.is_doubted and self._engine.is_clock_confirmed:
            self._now.end_doubt()
            self._give(events.Tick())
        self._set_timer()
        if self._engine.has_work and not self._is_step_planned:
            self._is_step_planned = True
            pause = STEP_PAUSE_SECONDS if self._is_busy else 0.0
            self._is_busy = False
            asyncio.get_running_loop().call_later(pause, self._step)

    def _follow_clock(self, moment: Moment) -> None:
        """Tell the engine of a clock that was set, or that is no longer in doubt, and the log."""
        assert self._engine is not None
        jump = self._now.jumped_at, round(self._now.jumped_seconds)
        if moment.is_doubtful and jump != self._jump and jump[0] is not None:
            log.warning(
                "the clock jumped by %d s: nothing expires by it for an hour, or until partners confirm it",
                jump[1],
            )
            self._jump = jump
            self._spawn(self._write(self._exchange.note_jump, int(jump[0]), jump[1]))
        elif moment.is_doubtful:
            log.info(
                "this node was off for long, or its clock was set: nothing expires by it for an hour, or until partners confirm it"
            )
        else:
            log.info("the clock is believed again")
            self.clock_believed.set()
        for action in self._engine.handle(events.ClockSet(moment), self._now()):
            self._perform(action)

    @property
    def moment(self) -> Moment:
        """Returns what is known of the time."""
        return self._now.moment()

    def _step(self) -> None:
        """Have the engine go on with long work. What a commit does in the writer costs many times as much while the loop
        computes: each statement gives the interpreter away, and has to get it back."""
        if self._intake.is_committing and self._pauses < STEP_PAUSES_MAX:
            self._pauses += 1
            asyncio.get_running_loop().call_later(STEP_PAUSE_SECONDS, self._step)
            return
        self._pauses = 0
        self._is_step_planned = False
        self._give(events.Step())

    def _reply(self, ticket: int, message: Any, error: Exception | None = None) -> None:
        """Answer the request of that ticket, unless its asker hung up meanwhile."""
        waiting = self._replies.pop(ticket, None)
        if waiting is None or waiting.done():
            return
        if error is None:
            waiting.set_result(message)
        else:
            waiting.set_exception(error)

    def _set_timer(self) -> None:
        assert self._engine is not None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        wakeup = self._engine.next_wakeup()
        if wakeup is not None:
            delay = max(0.0, wakeup - self._now())
            self._timer = asyncio.get_running_loop().call_later(delay, self._give, events.Tick())

    def _perform(self, action: Action) -> None:
        match action:
            case actions.Reply():
                self._reply(action.ticket, action.message)
            case actions.ReplyBusy():
                self._reply(action.ticket, None, PeerBusy(action.retry_after_seconds))
            case actions.ReplyRefused() if action.reason:
                self._reply(action.ticket, None, PeerError("a question was refused", reason=action.reason))
            case actions.ReplyRefused():
                self._reply(action.ticket, None, NotFoundError("no link to this partner"))
            case actions.ReadOutbox():
                self._spawn(self._read_outbox(action))
            case actions.Acknowledge():
                self._note_card_known(action.peer, action.ids)
                self._spawn(self._acknowledge(action.peer, action.ids))
            case actions.Notice():
                self._log_note(action.peer, action.reason)
            case actions.Abandon():
                if action.request in self._requests:
                    self._requests.pop(action.request).cancel()
            case _:
                log.debug("request %d: %s", action.request, type(action).__name__)
                task = asyncio.create_task(self._request(action))
                self._requests[action.request] = task
                task.add_done_callback(functools.partial(self._forget, action.request))

    def _forget(self, number: int, _: asyncio.Task[None]) -> None:
        self._requests.pop(number, None)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _read(self, function: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._readers, lambda: function(*arguments))

    async def _write(self, function: Callable[..., object], *arguments: object) -> None:
        """Run a function in the writer thread; one that fails is done again at a later occasion."""
        try:
            await self._writer(function, *arguments)
        except StoreError as error:
            log.error("the store could not note an exchange: %s", error.reason)

    async def _acknowledge(self, peer: PartnerId, ids: Sequence[EnvelopeId]) -> None:
        """Note that the peer holds these, a part at a time: a first comparison may tell of all that we ever sent."""
        for start in range(0, len(ids), ACKNOWLEDGED_AT_ONCE):
            await self._write(self._exchange.acknowledge, peer, ids[start : start + ACKNOWLEDGED_AT_ONCE])

    async def _read_outbox(self, action: actions.ReadOutbox) -> None:
        items: tuple[AnnounceItem, ...] = ()
        with contextlib.suppress(StoreError):
            items = await self._writer(self._exchange.outbox, action.peer, action.limit)
        self._give(events.OutboxRead(action.peer, items))

    # --- our requests ---

    async def _request(self, action: actions.PeerRequest) -> None:
        """Perform one request and report its end to the engine, exactly once, unless it was abandoned."""
        self._give(await self._end_of(action))

    async def _end_of(self, action: actions.PeerRequest) -> events.Event:
        number = action.request
        client: PeerClient | None = None
        try:
            client = self._lines.client(action.peer)
            message = await self._ask(action, client)
        except PeerBusy as busy:
            return events.Busy(number, busy.retry_after_seconds)
        except PeerFull:
            return events.Busy(number, DISK_FULL_PAUSE_SECONDS)
        except PeerUnreachable as error:
            await self._note_unreachable(action.peer, error.reason, client)
            return events.Failed(number, error.reason)
        except PeerError as error:
            return events.Declined(number, error.reason)
        except Exception as error:  # noqa: BLE001 the daemon outlives a bug in one request
            place = "".join(traceback.format_tb(error.__traceback__))  # lines of code, never values
            log.error("a request failed: %s\n%s", type(error).__name__, place)
            return events.Failed(number, "internal")
        self._note_exchange(action.peer)
        self._note_trouble(action.peer, "")
        if self._knocks.opened(action.peer):
            await self._note_doors()
        return events.Answered(number, message)

    async def _ask(self, action: actions.PeerRequest, client: PeerClient) -> EngineAnswer | PutAnswer | None:
        match action:
            case actions.SendPut():
                wire = await self._read(self._exchange.wire, action.peer, action.envelope_id)
                return None if wire is None else await client.put(action.envelope_id, wire)
            case actions.SendGet():
                await self._fetch(action, client)
            case actions.FetchCard():
                await self._whole(self._take_card(action.peer, await client.card()))
            case actions.FetchChain():
                await self._whole(self._take_chain(action, await client.chain(action.partner)))
            case _:
                answer: EngineAnswer = await client.ask(question_of(action), action.message)
                return answer
        return None

    async def _whole(self, work: Coroutine[Any, Any, None]) -> None:
        """Await work that goes on where the request it belongs to is abandoned: what was stored must be followed."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        await asyncio.shield(task)

    async def _take_card(self, peer: PartnerId, raw: bytes) -> None:
        moment = self.moment
        if await self._writer(self._exchange.apply_card, peer, raw, int(moment.now), moment):
            log.info("partner %s has a newer card", self._named(peer))
            self._is_roster_stale.set()

    async def _take_chain(self, action: actions.FetchChain, raw: bytes) -> None:
        moment = self.moment
        arguments = (action.partner, action.circle, raw, int(moment.now), moment)
        is_changed, dropped = await self._writer(self._exchange.apply_chain, *arguments)
        self._give(dropped)
        if is_changed:
            log.info("partner %s has a newer card", self._named(action.partner))
            self._is_roster_stale.set()

    async def _fetch(self, action: actions.SendGet, client: PeerClient) -> None:
        """Hand each body to intake as soon as it is whole; intake reports its verdict."""
        bodies = client.get(action.ids)
        async with contextlib.aclosing(cast(Any, bodies)):
            async for one in bodies:
                if isinstance(one, Gone):
                    self._give(events.BodyGone(action.request, one.envelope_id))
                    continue
                envelope_id, wire = one
                await self._intake.room(action.peer)
                # Nothing may come between the next two lines: each arrival is decided.
                self._give(events.BodyArrived(action.request, envelope_id))
                self._intake.put(ReceivedBody(action.peer, envelope_id, wire))

    # --- doors that are closed to us ---

    async def _note_unreachable(self, peer: PartnerId, fault: str, client: PeerClient | None) -> None:
        """Note that a request to the peer had no answer, and knock where its door is closed and a knock is due. What is said about
        a certificate that we show no more is no news: the next try shows another."""
        reason = ""
        if client is not None and self._lines.shows_newest(peer):
            with contextlib.suppress(StoreError):
                has_met = peer in self._exchanged or await self._read(self._exchange.has_met, peer)
                reason = reason_of(fault, has_met=has_met)
        self._note_trouble(peer, reason or fault)
        await self._lines.note_failure(peer)
        if not reason or client is None or peer not in self._linked:
            return
        is_new = self._knocks.closed(peer, reason, int(time.time()))
        if self._knocks.begin(peer, self._node.card.version, self._now()):
            self._spawn(self._knock(peer, reason, client.address))
        if is_new:
            await self._note_doors()

    async def _knock_where_due(self) -> None:
        """Knock at doors that never let us in: a person may have said yes, and the next try of the link may be minutes away."""
        for peer, door in list(self._knocks.doors.items()):
            if door.reason != NOT_ACCEPTED_YET or peer not in self._linked:
                continue
            with contextlib.suppress(PeerError):  # no address to dial
                client = self._lines.client(peer)
                if self._knocks.begin(peer, self._node.card.version, self._now()):
                    self._spawn(self._knock(peer, door.reason, client.address))

    async def _knock(self, peer: PartnerId, reason: str, address: PeerAddress) -> None:
        """Knock at a closed door, and note what came of it."""
        was_heard = True
        try:
            outcome = await self._knock_at(peer, reason, address)
        except PeerUnreachable as error:
            outcome, was_heard = error.reason, False
        except ShareError as error:
            outcome = error.reason
        except Exception as error:  # noqa: BLE001 the daemon outlives a bug in one knock
            place = "".join(traceback.format_tb(error.__traceback__))  # lines of code, never values
            log.error("a knock failed: %s\n%s", type(error).__name__, place)
            outcome = "internal"
        before = self._knocks.doors.get(peer)
        if before is None or (before.reason, before.outcome) != (
            reason,
            outcome,
        ):  # not each of a person's hour
            log.info("knocked at %s, %s: %s", self._named(peer), reason, outcome)
        noted = self._knocks.ended(
            peer, reason, outcome, was_heard=was_heard, now=int(time.time()), at=self._now()
        )
        if noted:
            await self._note_doors()
        if outcome == HANDED_OVER:
            self._give(events.Heard(peer))  # it has our card now: the next try is not to wait

    async def _knock_at(self, peer: PartnerId, reason: str, address: PeerAddress) -> str:
        """Returns what came of it. Raises ShareError."""
        entry = self.roster.get(peer)
        if entry is None:
            raise NotFoundError("the partner was removed meanwhile")
        known = entry.card
        if reason != OTHER_CERTIFICATE:
            own = self._node.card
            await hand_card(address, known.raw, own.raw, self._knock_limits)
            if self._knocks.asks_place(peer, own.version, self._now()):
                key = self._node.identity.operational.tls
                await ask_for_place(address, known.raw, own, key, self._knock_limits)
                self._knocks.place_asked(peer, reason, own.version, self._now())
            return HANDED_OVER
        raw = await ask_card(address, known.raw, known.version, self._knock_limits)
        if raw is None or not await self._take_sifted(raw, peer):
            return NOTHING_NEW
        return CARD_TAKEN

    async def _take_sifted(self, raw: bytes, expected: PartnerId | None) -> bool:
        """Take a card file that anybody may have handed over, of `expected` or of any partner; returns whether anything in it was
        new. Raises ShareError."""
        moment = self.moment
        time_now = int(moment.now)
        author, news = await self._read(self._exchange.sift_card, raw, expected, time_now, moment)
        try:
            if not news or not await self._writer(self._exchange.apply_card, author, news, time_now, moment):
                return False
        except PeerError:
            await self.reload_roster()  # a fork has frozen it
            raise
        log.info("partner %s has a newer card", self._named(author))
        await self.reload_roster()
        return True

    def hear(self, peer: PartnerId) -> None:
        """Note a sign of life of a partner that may let us in from now on: the next try is not to wait."""
        if self.roster.get(peer) is not None:
            self._give(events.Heard(peer))

    async def _note_doors(self) -> None:
        await self._write(self._node.store.partners.note_closed_doors, dict(self._knocks.doors))

    # --- guests (peering.interface.GuestExchange) ---

    def own_version(self) -> int:
        return self._node.card.version

    def own_card(self) -> bytes:
        return self._node.card.raw

    async def take_card(self, card_file: bytes) -> bool:
        """Take a card that a guest handed over, to its end even if the guest is cut meanwhile."""
        taking = asyncio.create_task(self._take_sifted(card_file, None))
        self._tasks.add(taking)
        taking.add_done_callback(self._tasks.discard)
        taking.add_done_callback(
            lambda done: done.cancelled() or done.exception()
        )  # nobody may be left to hear it
        return await asyncio.shield(taking)

    async def take_place(self, place: PlaceAsked, nonce: bytes, host: str) -> bool:
        """Note who asks for a place among the pending partners; returns whether it was one to note. Raises ShareError."""
        if not await self._read(self._exchange.hear_place, place, nonce):
            return False
        origin = origin_of(host)
        noting = self._exchange.note_place, place, origin.address, origin.prefix
        await self._writer(*noting, secrets.choice, int(time.time()))
        return True

    async def ask_dial_back(self) -> list[DialledBack]:
        """Ask connected partners, one after another, to dial the addresses on our card, until DIAL_BACK_ASKED_MAX were asked or one said that
        it reached each of them; returns what they said. Who asks again within DIAL_BACK_KEPT_SECONDS is told the same: they would not dial again."""
        async with self._dial_back_lock:
            key, at, kept = self._dialled_back
            if kept and key == self._node.card.version and self._now() - at < DIAL_BACK_KEPT_SECONDS:
                return kept
            asked = await self._dial_back_answers()
            self._dialled_back = self._node.card.version, self._now(), asked
            return asked

    async def _dial_back_answers(self) -> list[DialledBack]:
        asked: list[DialledBack] = []
        ends_at = asyncio.get_running_loop().time() + DIAL_BACK_SECONDS_MAX
        states = self.peer_states()
        for entry in self.roster.links():
            if states.get(entry.partner_id, LinkState("")).state != CONNECTED or not entry.card.urls:
                continue
            asked.append(await self._ask_dial_back(entry, ends_at))
            is_reached = asked[-1].outcomes and set(asked[-1].outcomes) == {REACHED}
            if is_reached or len(asked) == DIAL_BACK_ASKED_MAX:
                break
        return asked

    async def _ask_dial_back(self, entry: RosterEntry, ends_at: float) -> DialledBack:
        try:
            async with asyncio.timeout_at(ends_at):
                answer = await self._lines.client(entry.partner_id).dial_back()
        except TimeoutError:
            return DialledBack(entry.alias, fault="timeout")
        except PeerError as error:
            return DialledBack(entry.alias, fault=error.reason)
        return DialledBack(entry.alias, answer.card_version, answer.outcomes)

    def fetch_awaited(self) -> None:
        """Dial those whom a person has just accepted for their cards, in place of waiting for their next knocks."""
        self._spawn(self._fetch_awaited())

    async def _fetch_awaited(self) -> None:
        """Ask each address for a card, one after another. It is what somebody who knocked said of itself: nothing is shown there before
        the certificate that it knocked with, and nothing is believed but the card of an id that was accepted."""
        rows = await self._read(self._exchange.awaited_at)
        tried: Counter[PartnerId] = Counter()
        for row in rows[:AWAITED_DIALLED_MAX]:
            tried[row.partner_id] += 1
            if tried[row.partner_id] > AWAITED_ADDRESSES_MAX or self.roster.get(row.partner_id) is not None:
                continue
            try:
                await self._fetch_awaited_from(PeerAddress(row.partner_id, row.url, (row.certificate,)))
            except ShareError as error:  # then it comes with a knock
                log.info("the card of %s was not to be had at once: %s", row.partner_id.short, error.reason)

    async def _fetch_awaited_from(self, address: PeerAddress) -> None:
        client = PeerClient(self.gate, address, self._dial_limits)
        try:
            raw = await client.card()
        finally:
            await client.close()
        await self._take_sifted(raw, None)

    # --- intake ---

    async def _report_outcome(self, outcome: Outcome) -> None:
        if outcome.believed_clock is not None:
            self._now.believe(outcome.believed_clock)
        reported: tuple[events.Event, ...] = (
            outcome.dropped,
            outcome.refused_late,
            *outcome.held,
            *outcome.decided,
            *outcome.missing,
        )
        for number, event in enumerate(reported):
            self._give(event)
            if number % EVENTS_AT_ONCE == EVENTS_AT_ONCE - 1:
                await asyncio.sleep(0)
        for lsn, content_bytes in outcome.unread:
            self._reading_pauses.begin(lsn, content_bytes, self._now())
        if outcome.unread or outcome.reads_again:
            self._is_unread.set()
        if outcome.makes_room or outcome.has_changed_roster:
            # what was unavailable is forgotten: what had no room, or no card yet, is asked for again
            self._is_roster_stale.set()

    async def _read_content(self) -> None:
        """Read what was left unread by a life before this one, and what arrives, after it was acknowledged and announced
        on."""
        while True:
            try:
                has_read = False
                while await self._writer(
                    self._content.read_on,
                    int(time.time()),
                    self._writer.is_wanted,
                    self._reading_pauses.not_due(self._now()),
                ):
                    has_read = True
                if has_read:
                    self.content_was_read()
            except StoreError as error:
                log.error("content waits to be read: %s", error.reason)
                await asyncio.sleep(DISK_FULL_PAUSE_SECONDS)
                continue
            except Exception as error:  # noqa: BLE001 the daemon outlives a bug in reading
                place = "".join(traceback.format_tb(error.__traceback__))  # lines of code, never values
                log.error("content waits to be read: %s\n%s", type(error).__name__, place)
                await self._write(self._exchange.note_reading_failed)
                await asyncio.sleep(READING_FAILED_PAUSE_SECONDS)
                continue
            with contextlib.suppress(TimeoutError):
                waits = (self._reading_pauses.seconds_left(self._now()), self._content.seconds_left())
                async with asyncio.timeout(min((one for one in waits if one is not None), default=None)):
                    await self._is_unread.wait()
            self._is_unread.clear()

    def _report_failure(self, body: ReceivedBody, error: StoreError) -> None:
        self._give(events.BodyUndecided(body.received_from, body.envelope_id))

    # --- a peer asks (peering.interface.PeerExchange) ---

    async def ask(self, peer: PartnerId, question: Question[Q, A], message: Q) -> A:
        """Returns the engine's reply to a question. Raises PeerBusy, PeerError, NotFoundError."""
        if self._engine is None or self._is_stopping:
            raise PeerBusy(STOPPING_PAUSE_SECONDS)
        self._note_exchange(peer)
        ticket = next(self._tickets)
        waiting: asyncio.Future[A] = asyncio.get_running_loop().create_future()
        self._replies[ticket] = waiting
        try:
            self._give(question.heard(peer, ticket, message))
            return await waiting
        finally:
            self._replies.pop(ticket, None)

    async def put(self, peer: PartnerId, envelope_id: EnvelopeId, wire: bytes) -> PutAnswer:
        """Take in a pushed body; returns its verdict after COMMIT. Raises StoreError: DiskFull becomes 507 at the listener."""
        self._note_exchange(peer)
        await self._intake.room(peer)
        self._give(events.PutHeard(peer, envelope_id))
        decided = await self._intake.put(ReceivedBody(peer, envelope_id, wire))
        return PutAnswer(decided.verdict, decided.reason)

    async def get(
        self, peer: PartnerId, ids: Sequence[EnvelopeId]
    ) -> AsyncIterator[tuple[EnvelopeId, bytes | None]]:
        """Yields one body at a time: the listener stops asking when its response is full."""
        self._note_exchange(peer)
        self._give(events.Heard(peer))
        for envelope_id in ids:
            yield envelope_id, await self._read(self._exchange.wire, peer, envelope_id)
            self._note_card_known(peer, [envelope_id])

    async def card(self, peer: PartnerId) -> bytes:
        self._note_exchange(peer)
        self._give(events.Heard(peer))
        card = self._node.card
        self._card_fetches[peer] = (card.version, self._now())
        return card.raw

    async def dial_back(self, peer: PartnerId) -> DialAnswer:
        self._note_exchange(peer)
        entry = self.roster.get(peer)
        if entry is None:
            raise NotFoundError("no link to this partner")
        card = entry.card
        addresses = [PeerAddress(peer, url, card.tls_certificates) for url in card.urls]
        outcomes = await self._dialling_back.dial(peer, addresses)
        log.info("partner %s asked to be dialled back: %s", peer.short, ", ".join(outcomes) or "no address")
        return DialAnswer(card.version, outcomes)

    def _note_card_known(self, peer: PartnerId, ids: Sequence[EnvelopeId]) -> None:
        """Note that the peer has our newest card when one of `ids` is its notice: as good as a fetch."""
        if not self._own_notices.isdisjoint(ids):
            self._card_fetches[peer] = (self._node.card.version, self._now())

    async def chain(self, peer: PartnerId, partner: PartnerId) -> bytes:
        self._note_exchange(peer)
        self._give(events.Heard(peer))
        raw = await self._read(self._exchange.chain, peer, partner)
        if raw is None:
            raise NotFoundError("no card that goes round on this link", reason="not-held")
        return raw

    async def members(self, peer: PartnerId, circle: CircleId) -> bytes:
        self._note_exchange(peer)
        self._give(events.Heard(peer))
        raw = await self._read(self._exchange.members, peer, circle, int(time.time()))
        if raw is None:
            raise NotFoundError("no member list of this circle for this link", reason="not-held")
        return bytes(raw)

    # --- member lists (daemon.member_lists.Lined) ---

    def client_of(self, peer: PartnerId) -> PeerClient:
        return self._lines.client(peer)

    def is_connected(self, peer: PartnerId) -> bool:
        return self._engine is not None and self._engine.state(peer) is State.CONNECTED

    def roster_changed(self) -> None:
        self._is_roster_stale.set()

    async def fetch_introductions(self, peer: PartnerId, circle: CircleId, progress: Progress) -> bytes:
        """Returns the file of a linked partner's newest member list, for a person to look at. Raises ShareError."""
        return await self._member_lists.fetch_file(peer, circle, progress)

    # --- from time to time ---

    def _note_exchange(self, peer: PartnerId) -> None:
        self._exchanged[peer] = int(time.time())

    def _named(self, partner: PartnerId) -> str:
        """Returns our name for a partner, for the log; the short form of its id where it has none here (any more)."""
        entry = self.roster.get(partner)
        return partner.short if entry is None else entry.alias

    def _log_note(self, peer: PartnerId, reason: str) -> None:
        """Log a line, unless the peer makes us write too many: it chooses how often, and in part the words."""
        minute = int(self._now() // 60)
        since, logged = self._notes_reported.get(peer, (minute, 0))
        if since != minute:
            if logged > NOTES_PER_MINUTE_MAX:
                log.info("partner %s: %d more notes", self._named(peer), logged - NOTES_PER_MINUTE_MAX)
            logged = 0
        self._notes_reported[peer] = (minute, logged + 1)
        if logged < NOTES_PER_MINUTE_MAX:
            log.info("partner %s: %s", self._named(peer), reason)

    def _note_trouble(self, peer: PartnerId, reason: str) -> None:
        """Note why our last request to the peer failed, empty when it did not; logged once a change, not once a try."""
        if reason != self._troubles.get(peer, ""):
            log.info("partner %s: %s", self._named(peer), reason or "answers")
            self._troubles[peer] = reason

    async def _note_exchanges(self) -> None:
        exchanged, self._exchanged = self._exchanged, {}
        if exchanged:
            await self._write(self._exchange.note_exchanges, exchanged)
        settled = self._now() - CARD_SETTLED_SECONDS
        fetches = {peer: version for peer, (version, at) in self._card_fetches.items() if at <= settled}
        if fetches:
            self._card_fetches = {
                peer: one for peer, one in self._card_fetches.items() if peer not in fetches
            }
            await self._write(self._node.store.partners.note_card_fetches, fetches)
            await self._show_certificate()  # theirs may be the last one that it waited for

    async def _look_at_clock(self) -> None:
        """Follow a clock that was set while nothing else happened."""
        self._give(events.Tick())

    async def _sweep(self) -> None:
        self._intake.sweep()

    async def _every(self, seconds: float, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        while True:
            await work()
            await asyncio.sleep(seconds)


def _nothing() -> None:
    """Do nothing."""
