"""The virtual driver: performs what the engine asks, in virtual time, as `daemon/driver.py` does in ours.

One object is one life of one partner. When it ends, everything under way in it is gone: bodies that were not committed,
requests, timers, the engine. Only what the store committed is there for the next life.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Any

from p2pshare.errors import DiskFull, PeerError, StoreError
from p2pshare.gossip import actions, events
from p2pshare.gossip.engine import Engine
from p2pshare.gossip.engine_state import EngineSettings
from p2pshare.gossip.intake_schedule import IntakeSchedule, WaitingBody
from p2pshare.gossip.messages import GetBodies, PutAnswer
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
    epochs: dict[Epoch, Epoch] = field(default_factory=dict)

    def numbered(self, epoch: Epoch) -> Epoch:
        """Returns a number in the place of an epoch that chance made: the first is 1, the second 2; the same stays the
        same."""
        return self.epochs.setdefault(epoch, Epoch((len(self.epochs) + 1).to_bytes(16, "big")))


@dataclass(frozen=True, slots=True)
class Waiting:
    """A body in the queue of intake, and the function that waits for its verdict."""

    body: ReceivedBody
    done: Callable[[events.BodyDecided | StoreError], None]


class VirtualDriver:
    """One life of one partner. Raises StoreError when the store does not let it begin."""

    def __init__(self, name: str, node: Node, stage: Stage, *, seed: str, skew_seconds: float = 0.0) -> None:
        self.name = name
        self.node = node
        self.is_alive = True
        self.stage = stage
        self._skew_seconds = skew_seconds
        self._exchange = Exchange(node)
        self._content = ContentReader(node, load_readers(), lambda: 0.0)
        self._is_reading = False
        self._tickets = itertools.count()
        self._replies: dict[int, Callable[[actions.Action], None]] = {}
        self._is_step_planned = False
        self._calls: dict[int, Call] = {}
        self._schedule: IntakeSchedule[Waiting] = IntakeSchedule(stage.scenario.intake.limits)
        self._reading = Reading(self._schedule.has_room)
        self._is_committing = False
        self._is_news_due = False
        self._is_sweep_due = False
        self._wakeup: float | None = None
        self._loaded_circles: set[CircleId] = set()
        self._loaded_pairs: frozenset[PartnerId] = frozenset()
        self._links: frozenset[PartnerId] = frozenset()
        beginning = self._exchange.begin()
        self.engine = Engine(
            epoch=stage.numbered(beginning.epoch),
            last_lsn=beginning.last_lsn,
            card_version=beginning.card_version,
            random=Random(seed),
            settings=EngineSettings(
                reconcile_seconds=stage.scenario.reconcile_seconds, is_dialable=self.is_dialable
            ),
        )
        self.reload_roster()
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
        """Returns the time by its own clock, unix seconds."""
        return self.stage.event_queue.now + self._skew_seconds

    def end(self) -> None:
        """End this life: no event, action or answer of it happens any more."""
        self.is_alive = False

    def wake(self) -> None:
        """Look for news in the arrival log: something was published here."""
        self._is_news_due = True
        self._plan_commit()

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
        self._is_news_due = self._is_sweep_due = True
        self._plan_commit()

    def knows(self, peer: PartnerId) -> bool:
        return peer in self._links

    @property
    def waiting(self) -> int:
        """Returns the number of bodies that wait for intake."""
        return len(self._schedule)

    # --- the engine ---

    def _give(self, event: events.Event, at: float | None = None) -> None:
        """Give the engine one event, perform its actions, set the timer anew. Nothing performed gives another event at
        once."""
        if not self.is_alive:
            return
        for action in self.engine.handle(event, max(self.now, at or 0.0)):
            self._perform(action)
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
        except StoreError:
            items = ()
        self._give(events.OutboxRead(action.peer, items))

    def _acknowledge(self, action: actions.Acknowledge) -> None:
        try:
            self._exchange.acknowledge(action.peer, action.ids)
        except StoreError:
            self._note("acknowledge-lost", action.peer, action.ids)

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
        now, is_changed = int(self.now), False
        match action:
            case actions.FetchCard():
                is_changed = self._exchange.apply_card(action.peer, raw, now)
            case actions.FetchChain():
                is_changed, dropped = self._exchange.apply_chain(action.partner, action.circle, raw, now)
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
        oracle.message_leaves(self.partner_id, action.peer, action.message, self.node.store, self.now)
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
        self._schedule.put(body.received_from, len(body.wire), Waiting(body, done))
        self._plan_commit()

    def _plan_commit(self) -> None:
        if not self._is_committing:
            self._is_committing = True
            self._later(self.stage.scenario.commit_seconds.draw(self.stage.random), self._commit)

    def _sweep(self) -> None:
        self._is_sweep_due = True
        self._plan_commit()
        self._later(self.stage.scenario.sweep_seconds, self._sweep)

    def _commit(self) -> None:
        """Do one turn of `daemon.intake_queue`."""
        self._is_committing = False
        is_sweep, self._is_sweep_due, self._is_news_due = self._is_sweep_due, False, False
        batch = self._schedule.take()
        try:
            if is_sweep:
                swept = self._exchange.sweep(int(self.now))
                self._is_sweep_due |= swept.is_more_due
                self._report(swept)
            outcome = self._exchange.commit([one.item.body for one in batch], int(self.now))
        except StoreError as error:
            self._fail(batch, error)
        else:
            self._report(outcome)
            for one, decided in zip(batch, outcome.decided, strict=True):
                one.item.done(decided)
            self._plan_reading()
        self._reading.go_on()
        if len(self._schedule) or self._is_news_due or self._is_sweep_due:
            self._plan_commit()

    def _plan_reading(self) -> None:
        if not self._is_reading:
            self._is_reading = True
            self._later(self.stage.scenario.commit_seconds.draw(self.stage.random), self._read_content)

    def _read_content(self) -> None:
        """One turn of the reader; a full disk is tried again with the next arrival."""
        self._is_reading = False
        with suppress(StoreError):
            if self._content.read_on(int(self.now), lambda: True):
                self._plan_reading()

    def _fail(self, batch: Sequence[WaitingBody[Waiting]], error: StoreError) -> None:
        self.stage.trace.note(f"{self.name} nothing-stored {len(batch)}")
        for one in batch:
            body = one.item.body
            self.stage.oracle.body_undecided(self.partner_id, body.received_from, body.envelope_id)
            self._give(events.BodyUndecided(body.received_from, body.envelope_id))
            one.item.done(error)

    def _report(self, outcome: Outcome) -> None:
        self.stage.oracle.dropped(self.partner_id, [one.envelope_id for one in outcome.dropped.items])
        self._give(outcome.dropped)
        self._give(outcome.refused_late)
        for held in outcome.held:
            self.stage.trace.note(f"{self.name} holds {held.item.envelope_id.short} {held.lsn}")
            self.stage.oracle.held(self.partner_id, held.item.envelope_id, self.node.store, self.now)
            self._give(held)
        for decided in outcome.decided:
            self.stage.trace.note(
                f"{self.name} decided {decided.envelope_id.short} {decided.verdict} {decided.reason}"
            )
            self.stage.oracle.body_decided(self.partner_id, decided)
            self._give(decided)
        for missing in outcome.missing:
            self._give(missing)
        if outcome.has_changed_roster:
            self._note_cards()

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
                        self.partner_id, peer, said.message, self.node.store, self.now
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
