"""The virtual driver: performs what the engine asks, in virtual time, as `daemon/driver.py` does in ours.

One object is one life of one partner. When it ends, everything under way in it is gone: bodies that were not committed,
requests, timers, the engine. Only what the store committed is there for the next life. Bodies wait in the product's own queue
(`daemon.intake_queue`), and a life may end between a commit and the word of it.
"""

from __future__ import annotations

import asyncio
import itertools
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Any

from p2pshare.daemon.clock import Clock
from p2pshare.daemon.intake_queue import IntakeQueue
from p2pshare.database.connection import StoreFailed
from p2pshare.errors import DiskFull, PeerError, StoreError
from p2pshare.gossip import actions, events
from p2pshare.gossip.engine import Engine
from p2pshare.gossip.engine_state import EngineSettings
from p2pshare.gossip.intake_schedule import IntakeSchedule, WaitingBody
from p2pshare.gossip.messages import GetBodies, PutAnswer, Shard
from p2pshare.gossip.protocol import CARD, CHAIN, GET, PUT, VERB_OF, AnyVerb, Question, question_of
from p2pshare.identifiers import CircleId, EnvelopeId, Epoch, PartnerId
from p2pshare.limits import DISK_FULL_PAUSE_SECONDS, RESPONSE_BYTES_MAX
from p2pshare.node.node import Node
from p2pshare.operations.payload_readers import load_readers
from p2pshare.sharing.exchange import Exchange, Outcome, ReceivedBody, links_of
from p2pshare.sharing.reading import ContentReader
from simulator.answers import Answer, Status, end_of
from simulator.event_queue import EventQueue
from simulator.network import Call, Heard, Network
from simulator.oracle import Oracle
from simulator.reading import Reading, Stream
from simulator.scenario import Scenario
from simulator.trace import Trace
from simulator.virtual_loop import VirtualLoop

READ_SECONDS = 0.001
WRITE_SECONDS = 0.003
STEP_SECONDS = 0.002


@dataclass
class Stage:
    """The parts that all partners of a world share."""

    scenario: Scenario
    event_queue: EventQueue
    trace: Trace
    random: Random
    network: Network
    oracle: Oracle
    loop: VirtualLoop
    raised: list[str] = field(default_factory=list)
    """Tracebacks of what was raised where the product goes on all the same: a bug, and a run that fails."""
    epochs: dict[Epoch, Epoch] = field(default_factory=dict)

    def numbered(self, epoch: Epoch) -> Epoch:
        """Returns a number in the place of an epoch that chance made: the first is 1, the second 2; the same stays the
        same."""
        return self.epochs.setdefault(epoch, Epoch((len(self.epochs) + 1).to_bytes(16, "big")))


class Writer:
    """The thread that owns the writing side of a life's store (`daemon.intake_queue.StoreWriter`): a call takes virtual time, and
    is done at some moment of it."""

    def __init__(self, driver: VirtualDriver) -> None:
        self._driver = driver

    async def __call__(self, function: Callable[..., Any], *arguments: object) -> Any:
        driver, stage = self._driver, self._driver.stage
        whole = stage.scenario.commit_seconds.draw(stage.random)
        before = whole * stage.random.random()
        await driver.sleep(before)
        try:
            result = function(*arguments)
        except StoreFailed:
            driver.disk_failed()
            await driver.sleep(0.0)  # for ever: this life is over
            raise
        except StoreError:
            raise
        except Exception:
            stage.raised.append(traceback.format_exc())
            raise
        if isinstance(result, Outcome):
            driver.unreported = len(result.decided)
        await driver.sleep(whole - before)
        driver.unreported = 0
        return result

    def is_wanted(self) -> bool:
        """Returns False: nobody is in line."""
        return False


class VirtualDriver:
    """One life of one partner. Raises StoreError when the store does not let it begin."""

    def __init__(
        self,
        name: str,
        node: Node,
        stage: Stage,
        *,
        seed: str,
        skew: Callable[[], float] = lambda: 0.0,
        disk_failed: Callable[[], None] = lambda: None,
    ) -> None:
        self.name = name
        self.node = node
        self.is_alive = True
        self.stage = stage
        self.disk_failed = disk_failed
        """Called once a write or a sync has failed: the process has to end."""
        self.unreported = 0
        """Verdicts that are committed, and that nobody has heard of."""
        self.clock = Clock(lambda: stage.event_queue.now + skew(), lambda: stage.event_queue.now)
        self._exchange = Exchange(node)
        self._content = ContentReader(node, load_readers(), lambda: 0.0)
        self._is_reading = False
        self._tickets = itertools.count()
        self._replies: dict[int, Callable[[actions.Action], None]] = {}
        self._is_step_planned = False
        self._calls: dict[int, Call] = {}
        self._undecided: list[asyncio.Future[events.BodyDecided]] = []
        self._intake = IntakeQueue(
            self._exchange,
            Writer(self),
            moment=self.clock.moment,
            report=self._report,
            report_failure=self._report_failure,
            limits=stage.scenario.intake.limits,
        )
        self._watch_turns(self._intake._schedule)
        self._reading = Reading(stage.loop, self._intake.room)
        self._wakeup: float | None = None
        self._loaded_circles: set[CircleId] = set()
        self._loaded_pairs: frozenset[PartnerId] = frozenset()
        self._links: frozenset[PartnerId] = frozenset()
        beginning = self._exchange.begin()
        self.clock.follow_absence(beginning.clock_noted_at)
        self.engine = Engine(
            epoch=stage.numbered(beginning.epoch),
            last_lsn=beginning.last_lsn,
            card_version=beginning.card_version,
            random=Random(seed),
            settings=EngineSettings(
                reconcile_seconds=stage.scenario.reconcile_seconds,
                is_dialable=self.is_dialable,
                want_entries_max=stage.scenario.want_entries_max,
            ),
        )
        self.reload_roster()
        stage.loop.create_task(self._intake.run())
        self._plan_reading()
        self._give(beginning.first_hops)
        self._later(stage.scenario.sweep_seconds * stage.random.random(), self._sweep)

    @property
    def partner_id(self) -> PartnerId:
        return self.node.identity.partner_id

    @property
    def is_dialable(self) -> bool:
        return bool(self.node.identity.card.urls)

    @property
    def now(self) -> float:
        """Returns its steady seconds: unix seconds when this life began, and never set since."""
        return self.clock()

    @property
    def time(self) -> int:
        """Returns the time by its wall clock, unix seconds."""
        return int(self.clock.moment().now)

    def end(self) -> None:
        """End this life: no event, action or answer of it happens any more."""
        self.is_alive = False

    def wake(self) -> None:
        """Look for news in the arrival log: something was published here."""
        self._intake.look_for_news()

    def reload_roster(self) -> None:
        """Follow the roster: partners, links or circles changed."""
        roster = self._exchange.roster()
        if self.stage.scenario.cards is not None:
            self._list_notices()
        links = links_of(roster)
        self._links = frozenset(link.peer for link in links)
        for number, call in list(self._calls.items()):
            if call.peer not in self._links:
                self._hang_up(number)
        circles = {circle for link in links for circle in link.circles} - self._loaded_circles
        for loaded in self._exchange.keys(circles):
            self._give(loaded)
        self._loaded_circles |= circles
        for peer in sorted(self._links - self._loaded_pairs):
            for loaded in self._exchange.pair_keys(peer):
                self._give(loaded)
        self._loaded_pairs = self._links
        self._give(events.LinksConfigured(links, len(roster)))

    def follow_card(self) -> None:
        """Use our new card from here on: partners are told its version and fetch it, and it goes round."""
        self._list_notices()
        self._give(events.OwnCardChanged(self.node.card.version))

    def _list_notices(self) -> None:
        with suppress(StoreError):
            self._give(self._exchange.list_notices())
        self._intake.look_for_news()
        self._intake.sweep()

    def knows(self, peer: PartnerId) -> bool:
        return peer in self._links

    @property
    def waiting(self) -> int:
        """Returns the number of bodies whose verdict nobody has heard."""
        self._undecided = [one for one in self._undecided if not one.done()]
        return len(self._undecided)

    def lacking_keys(self, shard: Shard, keys: set[bytes]) -> set[bytes]:
        """Returns those of the keys that the engine's index lacks; a circle that no link carried in this life has none."""
        return (
            keys.difference(self.engine._state.index[shard])
            if shard.circle in self._loaded_circles
            else set()
        )

    async def sleep(self, seconds: float) -> None:
        """Wait; for ever where this life has ended by then."""
        done: asyncio.Future[None] = self.stage.loop.create_future()
        self._later(seconds, lambda: done.set_result(None))
        await done

    # --- the engine ---

    def _give(self, event: events.Event, at: float | None = None) -> None:
        """Give the engine one event, perform its actions, set the timer anew. Nothing performed gives another event at
        once."""
        if not self.is_alive:
            return
        moment = self.clock.look()
        if moment is not None:
            for action in self.engine.handle(events.ClockSet(moment), self.now):
                self._perform(action)
        for action in self.engine.handle(event, max(self.now, at or 0.0)):
            self._perform(action)
        if self.clock.is_doubted and self.engine.is_clock_confirmed:
            self.clock.end_doubt()
            self._give(events.Tick())
        self._set_timer()
        if self.engine.has_work and not self._is_step_planned:
            self._is_step_planned = True
            self._later(STEP_SECONDS, self._step)

    def _step(self) -> None:
        self._is_step_planned = False
        self._give(events.Step())

    def _set_timer(self) -> None:
        wakeup = self.engine.next_wakeup()
        if wakeup is None or (self._wakeup is not None and self._wakeup <= wakeup):
            return
        self._wakeup = wakeup
        self._later(wakeup - self.now, lambda: self._tick(wakeup))

    def _tick(self, at: float) -> None:
        if self._wakeup == at:
            self._wakeup = None
            self._give(events.Tick(), at)

    def _later(self, seconds: float, act: Callable[[], None]) -> None:
        def when_alive() -> None:
            if self.is_alive:
                act()

        self.stage.event_queue.after(seconds, when_alive)

    def _perform(self, action: actions.Action) -> None:
        match action:
            case actions.Reply() | actions.ReplyBusy() | actions.ReplyRefused():
                self._replies.pop(action.ticket)(action)
            case actions.ReadOutbox():
                self._later(READ_SECONDS, lambda: self._read_outbox(action))
            case actions.Acknowledge():
                self._note("acknowledge", action.peer, action.ids)
                self._later(WRITE_SECONDS, lambda: self._acknowledge(action))
            case actions.Notice():
                self._note(action.reason, action.peer)
            case actions.Abandon():
                self._hang_up(action.request)
            case _:
                self._ask(action)

    def _note(self, what: str, peer: PartnerId, ids: tuple[EnvelopeId, ...] = ()) -> None:
        self.stage.trace.note(f"{self.name} {what} {peer.short} {len(ids)}", b"".join(ids))

    def _hang_up(self, number: int) -> None:
        call = self._calls.pop(number, None)
        if call is not None:
            self.stage.network.abandon(call)

    def _read_outbox(self, action: actions.ReadOutbox) -> None:
        try:
            items = self._exchange.outbox(action.peer, action.limit)
        except StoreFailed:
            self.disk_failed()
            return
        except StoreError:
            items = ()
        self._give(events.OutboxRead(action.peer, items))

    def _acknowledge(self, action: actions.Acknowledge) -> None:
        store, own = self.node.store, action.ids
        waiting = {entry.envelope_id for entry in store.log.first_hops()}
        try:
            self._exchange.acknowledge(action.peer, own)
        except StoreFailed:
            self.disk_failed()
        except StoreError:
            self._note("acknowledge-lost", action.peer, own)
        else:
            gone = waiting - {entry.envelope_id for entry in store.log.first_hops()}
            self.stage.oracle.delivered(self.partner_id, action.peer, own, gone)

    # --- our requests ---

    def _ask(self, action: actions.PeerRequest) -> None:
        verb, number = VERB_OF[type(action)], action.request
        raw = self._request(action)
        if raw is None:
            self._later(READ_SECONDS, lambda: self._give(events.Answered(number)))
            return
        self.dial(number, action.peer, verb, raw, partial(self._take_card, action))

    def _take_card(self, action: actions.PeerRequest, raw: bytes) -> None:
        """Take the card that a request was for. Raises PeerError when it is not believed."""
        now, moment, is_changed = self.time, self.clock.moment(), False
        match action:
            case actions.FetchCard():
                is_changed = self._exchange.apply_card(action.peer, raw, now, moment)
            case actions.FetchChain():
                is_changed, dropped = self._exchange.apply_chain(
                    action.partner, action.circle, raw, now, moment
                )
                self._give(dropped)
            case _:
                pass
        if is_changed:
            self._note_cards()

    def _note_cards(self) -> None:
        self.stage.trace.note(f"{self.name} knows a newer card")
        self._later(READ_SECONDS, self.reload_roster)

    def _request(self, action: actions.PeerRequest) -> bytes | None:
        """Returns the bytes to send; None for a push that may not leave, or can no longer."""
        oracle = self.stage.oracle
        match action:
            case actions.SendPut():
                wire = self._exchange.wire(action.peer, action.envelope_id)
                if wire is None:
                    return None
                oracle.body_leaves(self.partner_id, action.peer, action.envelope_id)
                return action.envelope_id + self.pushed(wire)
            case actions.SendGet():
                return GET.request.encode(GetBodies(action.ids))
            case actions.FetchCard():
                return b""
            case actions.FetchChain():
                return bytes(action.partner)
        oracle.message_leaves(self.partner_id, action.peer, action.message, self.node.store, self.time)
        return question_of(action).request.encode(action.message)

    def dial(
        self,
        number: int,
        peer: PartnerId,
        verb: AnyVerb,
        raw: bytes,
        take_card: Callable[[bytes], None] = lambda raw: None,
    ) -> None:
        """Send a request of the engine; its end becomes an event. `take_card` is handed the card that was asked for."""

        def end(answer: Answer) -> None:
            self._calls.pop(number, None)
            if answer.status is Status.ANSWERED and verb in (CARD, CHAIN):
                try:
                    take_card(answer.raw)
                except PeerError as error:
                    answer = Answer(Status.REFUSED, reason=error.reason)
                except StoreFailed:
                    self.disk_failed()
                    return
                except StoreError:
                    answer = Answer(Status.FULL)
            self._give(end_of(number, verb, answer, DISK_FULL_PAUSE_SECONDS))

        def body(envelope_id: EnvelopeId, wire: bytes | None) -> None:
            if wire is None:
                self._give(events.BodyGone(number, envelope_id))
                return
            self._give(events.BodyArrived(number, envelope_id))
            self._take_in(ReceivedBody(peer, envelope_id, wire), lambda verdict: None)

        stream = Stream(peer)

        def come(is_body: bool, read: Callable[[], None]) -> None:
            """Read it in its turn, unless the engine abandons the request before."""
            self._reading.add(stream, is_body, lambda: read() if number in self._calls else None)

        call = Call(
            self,
            peer,
            verb,
            raw,
            lambda answer: come(False, lambda: end(answer)),
            lambda envelope_id, wire: come(wire is not None, lambda: body(envelope_id, wire)),
        )
        self._calls[number] = call
        self.stage.network.ask(call)

    def pushed(self, wire: bytes) -> bytes:
        """Returns the bytes that go out in a push of this body of ours."""
        return wire

    # --- intake ---

    def _take_in(self, body: ReceivedBody, done: Callable[[events.BodyDecided | StoreError], None]) -> None:
        self.stage.oracle.body_came(self.partner_id, body.received_from, body.envelope_id, len(body.wire))
        with self.stage.loop.running():
            verdict = self._intake.put(body)
        self._undecided.append(verdict)

        def answer(future: asyncio.Future[events.BodyDecided]) -> None:
            if not self.is_alive:
                return
            error = future.exception()
            if error is None:
                done(future.result())
            elif isinstance(error, StoreError):
                done(error)

        verdict.add_done_callback(answer)

    def _watch_turns(self, schedule: IntakeSchedule[Any]) -> None:
        """Have the oracle see each batch that a commit takes."""
        take = schedule.take

        def watched() -> list[WaitingBody[Any]]:
            batch = take()
            for one in batch:
                self.stage.oracle.body_taken(self.partner_id, one.received_from, one.item[0].envelope_id)
            return batch

        schedule.take = watched  # type: ignore[method-assign]

    def _sweep(self) -> None:
        self._intake.sweep()
        self._later(self.stage.scenario.sweep_seconds, self._sweep)

    def _plan_reading(self) -> None:
        if not self._is_reading:
            self._is_reading = True
            self._later(self.stage.scenario.commit_seconds.draw(self.stage.random), self._read_content)

    def _read_content(self) -> None:
        """One turn of the reader; a full disk is tried again with the next arrival."""
        self._is_reading = False
        try:
            if self._content.read_on(self.time, lambda: True):
                self._plan_reading()
        except StoreFailed:
            self.disk_failed()
        except StoreError:
            self._later(DISK_FULL_PAUSE_SECONDS, self._plan_reading)

    def _report_failure(self, body: ReceivedBody, error: StoreError) -> None:
        self.stage.trace.note(f"{self.name} nothing-stored {body.envelope_id.short} {error.reason}")
        self.stage.oracle.body_undecided(self.partner_id)
        self._give(events.BodyUndecided(body.received_from, body.envelope_id))

    async def _report(self, outcome: Outcome) -> None:
        try:
            self._report_outcome(outcome)
        except Exception:
            self.stage.raised.append(traceback.format_exc())
            raise

    def _report_outcome(self, outcome: Outcome) -> None:
        if outcome.believed_clock is not None:
            self.clock.believe(outcome.believed_clock)
        self.stage.oracle.dropped(self.partner_id, [one.envelope_id for one in outcome.dropped.items])
        self._give(outcome.dropped)
        self._give(outcome.refused_late)
        for held in outcome.held:
            self.stage.trace.note(f"{self.name} holds {held.item.envelope_id.short} {held.lsn}")
            at, earliest = self.stage.event_queue.now, self.clock.moment().earliest
            self.stage.oracle.held(self.partner_id, held.item.envelope_id, self.node.store, earliest, at)
            self._give(held)
        for decided in outcome.decided:
            self.stage.trace.note(
                f"{self.name} decided {decided.envelope_id.short} {decided.verdict} {decided.reason}"
            )
            self.stage.oracle.body_decided(self.partner_id, decided)
            self._give(decided)
        for missing in outcome.missing:
            self._give(missing)
        if outcome.unread or outcome.reads_again:
            self._plan_reading()
        if outcome.has_changed_roster:
            self._note_cards()
        elif outcome.makes_room:
            self._later(READ_SECONDS, self.reload_roster)

    # --- a peer asks ---

    def asked(self, peer: PartnerId, verb: AnyVerb, raw: bytes, reply: Heard) -> None:
        """Take a request that arrived; `reply` is called once, at once or later, unless this life ends before."""
        if not self.is_alive:
            return
        try:
            if isinstance(verb, Question):
                self._question(peer, verb, raw, reply)
            elif verb is PUT:
                self._put_asked(peer, raw, reply)
            elif verb is GET:
                self._get_asked(peer, raw, reply)
            else:
                self._give(events.Heard(peer))
                card = self._exchange.chain(peer, PartnerId(raw)) if verb is CHAIN else self.node.card.raw
                reply(
                    Answer(Status.REFUSED, reason="not-held")
                    if card is None
                    else Answer(Status.ANSWERED, card)
                )
        except PeerError as error:
            reply(Answer(Status.REFUSED, reason=error.reason))

    def _question(self, peer: PartnerId, question: Question[Any, Any], raw: bytes, reply: Heard) -> None:
        message = question.request.decode(raw)
        ticket = next(self._tickets)

        def replied(action: actions.Action) -> None:
            match action:
                case actions.Reply() as said:
                    self.stage.oracle.message_leaves(
                        self.partner_id, peer, said.message, self.node.store, self.time
                    )
                    sent = self.answered(question, question.answer.encode(said.message))
                    reply(Answer(Status.ANSWERED, sent))
                case actions.ReplyBusy() as busy:
                    reply(Answer(Status.BUSY, seconds=busy.retry_after_seconds))
                case actions.ReplyRefused() as refused:
                    reply(Answer(Status.REFUSED, reason=refused.reason or "not-held"))

        self._replies[ticket] = replied
        self._give(question.heard(peer, ticket, message))

    def answered(self, verb: AnyVerb, raw: bytes) -> bytes:
        """Returns the bytes that go out for this answer of ours."""
        return raw

    def _put_asked(self, peer: PartnerId, raw: bytes, reply: Heard) -> None:
        envelope_id = EnvelopeId(raw[: EnvelopeId.length])

        def done(verdict: events.BodyDecided | StoreError) -> None:
            if isinstance(verdict, DiskFull):
                reply(Answer(Status.FULL))
            elif isinstance(verdict, StoreError):
                reply(Answer(Status.REFUSED, reason=verdict.reason))
            else:
                message = PutAnswer(verdict.verdict, verdict.reason)
                self.stage.oracle.push_answered(self.partner_id, peer, verdict, self.node.store)
                reply(Answer(Status.ANSWERED, PUT.answer.encode(message)))

        def read() -> None:
            self._give(events.PutHeard(peer, envelope_id))
            self._take_in(ReceivedBody(peer, envelope_id, raw[EnvelopeId.length :]), done)

        self._reading.add(Stream(peer), True, read)

    def _get_asked(self, peer: PartnerId, raw: bytes, reply: Heard) -> None:
        self._give(events.Heard(peer))
        bodies: list[tuple[EnvelopeId, bytes | None]] = []
        total = 0
        for envelope_id, wire in self._exchange.wires(peer, GET.request.decode(raw).ids):
            if total > 0 and total + len(wire or b"") > RESPONSE_BYTES_MAX:
                break
            total += len(wire or b"")
            bodies.append((envelope_id, wire))
        served = self.served(bodies)
        for envelope_id, wire in served:
            if wire is not None:
                self.stage.oracle.body_leaves(self.partner_id, peer, envelope_id)
        self._later(READ_SECONDS, lambda: reply(Answer(Status.ANSWERED, bodies=served)))

    def served(
        self, bodies: list[tuple[EnvelopeId, bytes | None]]
    ) -> tuple[tuple[EnvelopeId, bytes | None], ...]:
        """Returns the bodies that go out, of those that were asked for."""
        return tuple(bodies)
