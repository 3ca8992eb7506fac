"""A tiny network of real engines on virtual time.

The stores are dictionaries and bodies are their ids: what is tested is who asks whom for what, and when.
"""

from __future__ import annotations

import hashlib
import heapq
import itertools
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from p2pshare.gossip import actions, events
from p2pshare.gossip.engine import Engine
from p2pshare.gossip.engine_state import EngineSettings
from p2pshare.gossip.index import key_of
from p2pshare.gossip.messages import (
    AnnounceAnswer,
    AnnounceItem,
    Hello,
    PollAnswer,
    PutAnswer,
    PutVerdict,
    Shard,
    SyncAnswer,
)
from p2pshare.gossip.protocol import question_of
from p2pshare.identifiers import CircleId, EnvelopeId, Epoch, PartnerId

MAIN = CircleId.of("main")
START = 1_700_000_000.0
TIMEOUT_SECONDS = 10.0


def partner(number: int) -> PartnerId:
    return PartnerId(hashlib.sha256(b"partner%d" % number).digest())


def envelope(number: int) -> EnvelopeId:
    return EnvelopeId(hashlib.sha256(b"envelope%d" % number).digest())


def item_of(
    number: int, *, created: int = int(START), circle: CircleId = MAIN, size: int = 1_000, ttl_class: int = 4
) -> AnnounceItem:
    return AnnounceItem(envelope(number), created, ttl_class, circle, size)


@dataclass
class Record:
    """What a node's store has of one envelope; `direct_to` None: relayed."""

    lsn: int
    item: AnnounceItem
    author: PartnerId
    direct_to: tuple[PartnerId, ...] | None = None


@dataclass
class Node:
    """An engine, its durable store (survives a crash), and what it did."""

    peer: PartnerId
    links: dict[PartnerId, events.LinkConfig]
    engine: Engine | None = None
    store: dict[EnvelopeId, Record] = field(default_factory=dict)
    outbox: dict[PartnerId, dict[EnvelopeId, None]] = field(default_factory=dict)
    first_hops: dict[EnvelopeId, AnnounceItem] = field(default_factory=dict)
    lives: int = 0
    bodies_in: Counter[EnvelopeId] = field(default_factory=Counter)
    has_room: bool = True
    refuses: set[EnvelopeId] = field(default_factory=set)


class Network:
    """Nodes, the wires between them, and the faults of the wires. Everything in order of (time, number)."""

    def __init__(self, seed: int, *, reconcile_seconds: float = 5.0) -> None:
        self.random = random.Random(seed)
        self.seed = seed
        self.now = START
        self.nodes: dict[PartnerId, Node] = {}
        self.settings = EngineSettings(
            reconcile_seconds=reconcile_seconds, reconcile_seconds_max=8 * reconcile_seconds
        )
        self.loss = 0.0
        self.duplication = 0.0
        self.cut: set[frozenset[PartnerId]] = set()
        self.trace = hashlib.sha256()
        self.kinds: Counter[str] = Counter()
        self.bodies_sent = 0
        self.leaks: list[str] = []
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self._tickets: dict[int, Callable[[Any], None]] = {}
        self._abandoned: set[tuple[PartnerId, int, int]] = set()
        self._woken: dict[PartnerId, float] = {}
        self._stepping: set[PartnerId] = set()

    # --- building ---

    def add(self, count: int) -> list[Node]:
        for number in range(len(self.nodes), len(self.nodes) + count):
            self.nodes[partner(number)] = Node(partner(number), {})
        return list(self.nodes.values())

    def link(
        self,
        left: Node,
        right: Node,
        *,
        circles: frozenset[CircleId] = frozenset({MAIN}),
        dialable: tuple[bool, bool] = (True, True),
    ) -> None:
        """`dialable`: whether left can be dialled, whether right can."""
        pair = CircleId.of_pair(left.peer, right.peer)
        left.links[right.peer] = events.LinkConfig(right.peer, circles, dialable[1], 1, pair)
        right.links[left.peer] = events.LinkConfig(left.peer, circles, dialable[0], 1, pair)
        for node in (left, right):
            self.configure(node)

    def unlink(self, left: Node, right: Node) -> None:
        del left.links[right.peer], right.links[left.peer]
        for node in (left, right):
            self.configure(node)

    def configure(self, node: Node) -> None:
        if node.engine is not None:
            self.give(node, events.LinksConfigured(tuple(node.links.values())))

    def start(self, *nodes: Node) -> None:
        for node in nodes or self.nodes.values():
            node.lives += 1
            last = max((record.lsn for record in node.store.values()), default=0)
            node.engine = Engine(
                epoch=Epoch(hashlib.sha256(node.peer + bytes([node.lives])).digest()[:16]),
                last_lsn=last,
                card_version=1,
                random=random.Random(self.random.random()),
                settings=self.settings,
            )
            shards: dict[Shard, list[bytes]] = {}
            for record in node.store.values():
                for circle in self._compared_under(node, record):
                    shards.setdefault(Shard(circle, record.item.ttl_class), []).append(
                        key_of(record.item.created, record.item.envelope_id)
                    )
            for shard, keys in sorted(shards.items()):
                self.give(node, events.KeysLoaded(shard, tuple(sorted(keys))))
            self.give(node, events.FirstHopsLoaded(tuple(node.first_hops.values())))
            self.configure(node)

    def _compared_under(self, node: Node, record: Record) -> list[CircleId]:
        """A relayed envelope under its circle, a direct one under each pair that it is between."""
        if record.direct_to is None:
            return [record.item.circle]
        others = record.direct_to if record.author == node.peer else (record.author,)
        return [CircleId.of_pair(node.peer, other) for other in others]

    def crash(self, node: Node) -> None:
        node.engine = None

    def publish(self, node: Node, item: AnnounceItem, *, to: tuple[Node, ...] | None = None) -> None:
        """Commits, then tells the engine if it runs."""
        direct_to = None if to is None else tuple(one.peer for one in to)
        record = self._commit(node, item, node.peer, direct_to)
        if direct_to is None:
            node.first_hops[item.envelope_id] = item
        for peer in direct_to or ():
            node.outbox.setdefault(peer, {})[item.envelope_id] = None
        if node.engine is not None:
            self.give(node, events.EnvelopeHeld(record.lsn, item, node.peer, None, True, direct_to))

    def _commit(
        self, node: Node, item: AnnounceItem, author: PartnerId, direct_to: tuple[PartnerId, ...] | None
    ) -> Record:
        record = Record(len(node.store) + 1, item, author, direct_to)
        node.store[item.envelope_id] = record
        return record

    # --- running ---

    def run(self, seconds: float) -> None:
        self.run_until(lambda: False, seconds)

    def run_until(self, is_done: Callable[[], bool], seconds: float) -> bool:
        """Runs until `is_done`, at most so many virtual seconds; whether it is."""
        end = self.now + seconds
        while not is_done():
            if not self._queue or self._queue[0][0] > end:
                self.now = end
                return is_done()
            self.now, _, act = heapq.heappop(self._queue)
            act()
        return True

    def later(self, seconds: float, act: Callable[[], None]) -> None:
        heapq.heappush(self._queue, (self.now + seconds, next(self._numbers), act))

    def give(self, node: Node, event: events.Event) -> None:
        """One event into one engine; its actions are performed."""
        if node.engine is None:
            return
        taken = node.engine.handle(event, self.now)
        self.trace.update(repr((round(self.now, 6), node.peer, type(event).__name__, taken)).encode())
        life = node.lives
        for action in taken:
            self.kinds[type(action).__name__] += 1
            self._perform(node, life, action)
        if node.engine.has_work and node.peer not in self._stepping:
            self._stepping.add(node.peer)
            self.later(0.002, lambda: self._step(node))
        wakeup = node.engine.next_wakeup()
        if wakeup is not None and wakeup < self._woken.get(node.peer, float("inf")):
            self._woken[node.peer] = wakeup
            self.later(max(0.0, wakeup - self.now), lambda: self._wake(node, wakeup))

    def _wake(self, node: Node, at: float) -> None:
        if self._woken.get(node.peer) == at:
            del self._woken[node.peer]
        self.give(node, events.Tick())

    def _step(self, node: Node) -> None:
        self._stepping.discard(node.peer)
        self.give(node, events.Step())

    def delay(self) -> float:
        return 0.01 + 0.07 * self.random.random()

    # --- performing ---

    def _perform(self, node: Node, life: int, action: actions.Action) -> None:
        match action:
            case actions.Reply() | actions.ReplyBusy() | actions.ReplyRefused():
                self._tickets.pop(action.ticket)(action)
            case actions.ReadOutbox():
                ids = itertools.islice(node.outbox.get(action.peer, {}), action.limit)
                items = tuple(node.store[one].item for one in ids)
                self.later(0.001, lambda: self._tell(node, life, events.OutboxRead(action.peer, items)))
            case actions.Acknowledge():
                for envelope_id in action.ids:
                    node.first_hops.pop(envelope_id, None)
                    node.outbox.get(action.peer, {}).pop(envelope_id, None)
            case actions.Abandon():
                self._abandoned.add((node.peer, life, action.request))
            case actions.Notice():
                pass
            case _:
                self._check_leak(node, action)
                self._send(node, life, action)

    def _tell(self, node: Node, life: int, event: events.Event) -> None:
        if node.lives == life:
            self.give(node, event)

    def _end(self, node: Node, life: int, number: int, event: events.Event) -> None:
        if (node.peer, life, number) not in self._abandoned:
            self._tell(node, life, event)

    def _send(self, node: Node, life: int, action: actions.PeerRequest) -> None:
        other = self.nodes[action.peer]
        is_lost = self.random.random() < self.loss

        def back(event: events.Event, seconds: float = 0.0) -> None:
            self.later(seconds or self.delay(), lambda: self._end(node, life, action.request, event))

        def arrive() -> None:
            if (
                is_lost
                or frozenset({node.peer, other.peer}) in self.cut
                or other.engine is None
                or not node.links.get(
                    other.peer, events.LinkConfig(other.peer, frozenset(), False)
                ).is_dialable
                or node.peer not in other.links
            ):
                back(events.Failed(action.request, "timeout"), TIMEOUT_SECONDS if is_lost else 0.0)
                return
            if self.random.random() < self.loss:  # it arrives, and the answer is lost
                self._answer(
                    other,
                    node,
                    action,
                    lambda event: back(events.Failed(action.request, "timeout"), TIMEOUT_SECONDS),
                )
                return
            self._answer(other, node, action, back)
            if self.random.random() < self.duplication:
                self._answer(other, node, action, lambda event: None)

        self.later(self.delay(), arrive)

    def _answer(
        self, other: Node, node: Node, action: actions.PeerRequest, back: Callable[[events.Event], None]
    ) -> None:
        ticket = next(self._numbers)
        match action:
            case actions.SendPut():
                record = node.store[action.envelope_id]
                self._receive(
                    other, node.peer, record, lambda answer: back(events.Answered(action.request, answer))
                )
            case actions.SendGet():
                self.give(other, events.Heard(node.peer))
                self._serve(other, node, action, back)
            case actions.FetchCard():
                back(events.Answered(action.request))
            case _:
                self._expect(ticket, action, back, other.links.get(node.peer), node)
                self.give(other, question_of(action).heard(node.peer, ticket, action.message))

    def _expect(
        self,
        ticket: int,
        action: actions.PeerRequest,
        back: Callable[[events.Event], None],
        config: events.LinkConfig | None,
        node: Node,
    ) -> None:
        def reply(answer: actions.Action) -> None:
            match answer:
                case actions.Reply():
                    self._check_reply(action, answer, config.circles if config else frozenset(), node.peer)
                    back(events.Answered(action.request, answer.message))
                case actions.ReplyBusy():
                    back(events.Busy(action.request, answer.retry_after_seconds))
                case _:
                    back(events.Declined(action.request, "not-held"))

        self._tickets[ticket] = reply

    def _serve(
        self, other: Node, node: Node, action: actions.SendGet, back: Callable[[events.Event], None]
    ) -> None:
        life = node.lives
        for envelope_id in action.ids:
            record = other.store.get(envelope_id)
            if record is None or not (
                record.item.circle in other.links[node.peer].circles
                if record.direct_to is None
                else record.author == other.peer and node.peer in record.direct_to
            ):
                back(events.BodyGone(action.request, envelope_id))
                continue

            def come(record: Record = record) -> None:
                if node.lives == life and node.engine is not None:
                    self._tell(node, life, events.BodyArrived(action.request, record.item.envelope_id))
                    self._receive(node, other.peer, record, lambda answer: None, is_put=False)

            self.later(self.delay(), come)
        self.later(0.1, lambda: back(events.Answered(action.request)))

    def _receive(
        self,
        node: Node,
        received_from: PartnerId,
        record: Record,
        answer: Callable[[PutAnswer], None],
        *,
        is_put: bool = True,
    ) -> None:
        """A body goes to intake; the verdict comes after a while, unless the node crashes."""
        life = node.lives
        self.bodies_sent += 1
        node.bodies_in[record.item.envelope_id] += 1
        if is_put:
            self.give(node, events.PutHeard(received_from, record.item.envelope_id))
        self.later(0.005, lambda: self._judge(node, life, received_from, record, answer))

    def _judge(
        self,
        node: Node,
        life: int,
        received_from: PartnerId,
        record: Record,
        answer: Callable[[PutAnswer], None],
    ) -> None:
        if node.lives != life or node.engine is None:
            return
        envelope_id = record.item.envelope_id
        if not node.has_room:
            self.give(node, events.BodyUndecided(received_from, envelope_id))
            return
        verdict, reason = PutVerdict.HELD, ""
        if received_from not in node.links or envelope_id in node.refuses:
            verdict, reason = PutVerdict.REFUSED, "author-unknown"
        elif record.direct_to is not None and received_from != record.author:
            verdict, reason = PutVerdict.REFUSED, "direct-from-another"
        elif envelope_id in node.store:
            verdict = PutVerdict.ALREADY_HELD
        else:
            direct_to = None if record.direct_to is None else ()
            mine = self._commit(node, record.item, record.author, direct_to)
            self.give(
                node,
                events.EnvelopeHeld(mine.lsn, record.item, record.author, received_from, False, direct_to),
            )
        self.give(node, events.BodyDecided(received_from, envelope_id, verdict, reason))
        answer(PutAnswer(verdict, reason))

    # --- what must never happen ---

    def _check_leak(self, node: Node, action: actions.PeerRequest) -> None:
        """No message names an id, a shard or a body outside what the link may carry."""
        config = node.links.get(action.peer)
        circles = config.circles if config else frozenset()
        if config and isinstance(action, actions.SendHello | actions.SendSync):
            circles = config.compared
        named: list[CircleId] = []
        match action:
            case actions.SendHello():
                named = [root.shard.circle for root in action.message.shards]
            case actions.SendAnnounce():
                named = [item.circle for item in action.message.items]
                if any(node.store[item.envelope_id].direct_to is not None for item in action.message.items):
                    self.leaks.append("direct announced")
            case actions.SendSync():
                named = [part.shard.circle for part in action.message.parts]
            case actions.SendPut():
                record = node.store[action.envelope_id]
                if record.direct_to is None:
                    named = [record.item.circle]
                elif record.author != node.peer or action.peer not in record.direct_to:
                    self.leaks.append("direct to another")
        if config is None or not set(named) <= circles:
            self.leaks.append(type(action).__name__)

    def _check_reply(
        self,
        action: actions.PeerRequest,
        answer: actions.Reply,
        circles: frozenset[CircleId],
        asker: PartnerId,
    ) -> None:
        """The same for answers; a want list names nothing but what was announced."""
        compared = circles | {CircleId.of_pair(action.peer, asker)}
        match action, answer.message:
            case actions.SendHello(), Hello() as hello:
                if not {root.shard.circle for root in hello.shards} <= compared:
                    self.leaks.append("hello answered")
            case actions.SendSync(), SyncAnswer() as told:
                if not {part.shard.circle for part in told.parts} <= compared:
                    self.leaks.append("sync answered")
            case actions.SendPoll(), PollAnswer() as answered:
                if not {item.circle for item in answered.items} <= circles:
                    self.leaks.append("poll answered")
            case actions.SendAnnounce(), AnnounceAnswer() as told:
                if not set(told.want) <= {item.envelope_id for item in action.message.items}:
                    self.leaks.append("wanted what was not announced")

    def holds(self, *ids: EnvelopeId) -> bool:
        return all(set(ids) <= set(node.store) for node in self.nodes.values())
