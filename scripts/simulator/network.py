"""The network between partners: latency, loss, duplication, cuts, storms of 429. Every message is bytes on it.

A request has one end: an answer, or silence until its time is over. Where the network loses the answer, the other side
has done what it was asked; where it doubles a request, it does so twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Set
from dataclasses import dataclass, field
from random import Random
from typing import Protocol

from p2pshare.gossip.protocol import CARD, CHAIN, PUT, AnyVerb
from p2pshare.identifiers import EnvelopeId, PartnerId
from simulator.answers import Answer, Status
from simulator.event_queue import EventQueue
from simulator.scenario import NetworkConditions, Span
from simulator.trace import Trace

SILENCE_SECONDS = 10.0  # what a request may take without a byte; the real one is more patient
REFUSED_SECONDS = 0.05
RETRY_AFTER_SECONDS = Span(1, 20)

Heard = Callable[[Answer], None]


class End(Protocol):
    """A partner that is up, as the network sees it."""

    @property
    def name(self) -> str: ...
    @property
    def partner_id(self) -> PartnerId: ...
    @property
    def is_alive(self) -> bool: ...
    @property
    def is_dialable(self) -> bool: ...

    def knows(self, peer: PartnerId) -> bool:
        """Returns whether this certificate gets through the door."""
        ...

    def asked(self, peer: PartnerId, verb: AnyVerb, raw: bytes, reply: Heard) -> None: ...


@dataclass(slots=True)
class Call:
    """A request under way. `body` hears each body of a `get` as it comes, `end` the end."""

    origin: End
    peer: PartnerId
    verb: AnyVerb
    raw: bytes
    end: Heard
    body: Callable[[EnvelopeId, bytes | None], None] | None = None
    moved_at: float = 0.0
    is_over: bool = False


@dataclass
class Tally:
    """Traffic between honest partners; bytes of messages and bodies, without HTTP and TLS around them."""

    requests: Counter[AnyVerb] = field(default_factory=Counter)
    bytes: int = 0


class Network:
    """The network between all pairs of partners. `find` gives the end that is up, or None."""

    def __init__(
        self,
        event_queue: EventQueue,
        trace: Trace,
        random: Random,
        network_conditions: NetworkConditions,
        find: Callable[[PartnerId], End | None],
        honest: Set[PartnerId],
    ) -> None:
        self.network_conditions = network_conditions
        self.tally = Tally()
        self.cuts: Counter[tuple[PartnerId, PartnerId]] = Counter()
        """(dialler, dialled) -> how many faults cut them: neither direction says anything of the other."""
        self.slow: Counter[tuple[PartnerId, PartnerId]] = Counter()
        self.stormy: Counter[PartnerId] = Counter()
        """How many faults make a partner answer 429."""
        self._event_queue = event_queue
        self._trace = trace
        self._random = random
        self._find = find
        self._honest = honest

    def ask(self, call: Call) -> None:
        call.moved_at = self._event_queue.now
        if self._is_counted(call):
            self.tally.requests[call.verb] += 1
            self.tally.bytes += len(call.raw)
        self._note(call.origin, call.peer, f"-> {call.verb.name}", call.verb, call.raw)
        self._watch(call)
        pair = (call.origin.partner_id, call.peer)
        if self._random.random() < self.network_conditions.loss:
            return
        delay = self._delay(pair, len(call.raw))
        self._event_queue.after(delay, lambda: self._arrive(call))
        if self._random.random() < self.network_conditions.duplication:
            again = delay + self._delay(pair, len(call.raw))
            self._event_queue.after(again, lambda: self._arrive_again(call))

    def abandon(self, call: Call) -> None:
        """Hang up for the origin; bytes under way to the other side still arrive."""
        call.is_over = True

    # --- a request arrives ---

    def _reached(self, call: Call) -> End | None:
        """Returns the other end, when it can be dialled and knows the dialler."""
        other = self._find(call.peer)
        is_cut = self.cuts[call.origin.partner_id, call.peer] > 0
        if other is None or is_cut or not other.is_dialable or not other.knows(call.origin.partner_id):
            return None
        return other

    def _arrive(self, call: Call) -> None:
        other = self._reached(call)
        if other is None:
            gone = Answer(Status.UNREACHABLE, reason="unreachable")
            self._event_queue.after(REFUSED_SECONDS, lambda: self._finish(call, gone))
        elif self.stormy[call.peer]:
            pause = Answer(Status.BUSY, seconds=RETRY_AFTER_SECONDS.draw(self._random))
            self._event_queue.after(REFUSED_SECONDS, lambda: self._finish(call, pause))
        else:
            other.asked(
                call.origin.partner_id, call.verb, call.raw, lambda answer: self._answer(call, answer)
            )

    def _arrive_again(self, call: Call) -> None:
        other = self._reached(call)
        if other is not None and not self.stormy[call.peer]:
            other.asked(call.origin.partner_id, call.verb, call.raw, lambda answer: None)

    # --- an answer goes back ---

    def _answer(self, call: Call, answer: Answer) -> None:
        pair = (call.peer, call.origin.partner_id)
        if self._is_counted(call):
            self.tally.bytes += len(answer.raw) + sum(len(wire or b"") for _, wire in answer.bodies)
        if self._random.random() < self.network_conditions.loss:
            if not answer.bodies:
                return
            kept = self._random.randrange(len(answer.bodies))  # the connection breaks after a few bodies
            answer = Answer(Status.UNREACHABLE, bodies=answer.bodies[:kept], reason="cut-off")
        at = self._delay(pair, len(answer.raw))
        for envelope_id, wire in answer.bodies:
            at += len(wire or b"") / self._bytes_per_second(pair)
            self._come(call, at, envelope_id, wire)
        self._event_queue.after(at, lambda: self._finish(call, answer))

    def _come(self, call: Call, seconds: float, envelope_id: EnvelopeId, wire: bytes | None) -> None:
        def come() -> None:
            if call.is_over or not call.origin.is_alive or call.body is None:
                return
            call.moved_at = self._event_queue.now
            self._trace.note(f"{call.origin.name} <- body {envelope_id.short} {len(wire or b'')}")
            call.body(envelope_id, wire)

        self._event_queue.after(seconds, come)

    def _finish(self, call: Call, answer: Answer) -> None:
        if call.is_over or not call.origin.is_alive:
            return
        call.is_over = True
        what = f"<- {call.verb.name} {answer.status.value} {answer.reason}"
        self._note(call.origin, call.peer, what, call.verb, answer.raw)
        call.end(answer)

    def _watch(self, call: Call) -> None:
        """End the request after a silence; some are silent while there is no news."""
        patience = SILENCE_SECONDS + call.verb.wait_seconds

        def look() -> None:
            if call.is_over or not call.origin.is_alive:
                return
            left = call.moved_at + patience - self._event_queue.now
            if left > 1e-3:
                self._event_queue.after(left, look)
            else:
                self._finish(call, Answer(Status.UNREACHABLE, reason="timeout"))

        self._event_queue.after(patience, look)

    def _is_counted(self, call: Call) -> bool:
        return {call.origin.partner_id, call.peer} <= self._honest

    # --- how long it takes ---

    def _delay(self, pair: tuple[PartnerId, PartnerId], size: int) -> float:
        seconds = self.network_conditions.latency_seconds.draw(self._random)
        seconds += self.network_conditions.jitter_seconds * self._random.random()
        if self._is_slow(pair):
            seconds += 2.0
        return seconds + size / self._bytes_per_second(pair)

    def _bytes_per_second(self, pair: tuple[PartnerId, PartnerId]) -> float:
        return self.network_conditions.bytes_per_second / (400 if self._is_slow(pair) else 1)

    def _is_slow(self, pair: tuple[PartnerId, PartnerId]) -> bool:
        return self.slow[pair] > 0 or self.slow[pair[::-1]] > 0

    def _note(self, origin: End, peer: PartnerId, what: str, verb: AnyVerb, raw: bytes) -> None:
        shown = b"" if verb in (PUT, CARD, CHAIN) else raw  # signatures and cards are left to chance
        self._trace.note(f"{origin.name} {what} {peer.short} {len(shown)}", shown)
