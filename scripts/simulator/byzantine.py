"""Liars: partners with a valid identity and a link, who break the rules in one way each. They never tire.

A byzantine runs the real engine and bends what goes in and out of it, so that its lies come between truths.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from random import Random
from types import MappingProxyType

from p2pshare.envelope.envelope import DecodedEnvelope
from p2pshare.gossip.messages import (
    Announce,
    AnnounceItem,
    GetBodies,
    Shard,
    Sync,
    SyncAnswer,
    SyncPart,
)
from p2pshare.gossip.negentropy.negentropy_wire import (
    CREATED_BYTES,
    END,
    FINGERPRINT_BYTES,
    ID_BYTES,
    Bound,
    MessageWriter,
    RangeMode,
)
from p2pshare.gossip.protocol import ANNOUNCE, GET, HELLO, PUT, SYNC, AnyVerb
from p2pshare.identifiers import CircleId, EnvelopeId, Epoch, PartnerId
from p2pshare.limits import ANNOUNCE_ITEMS_MAX, GET_IDS_MAX
from p2pshare.node.node import Node
from simulator.answers import Answer, Status
from simulator.authoring import Wish, write_envelope
from simulator.driver import Stage, VirtualDriver
from simulator.event_queue import START_SECONDS
from simulator.network import Call, Heard
from simulator.oracle import Published

MAIN = CircleId.of("main")
DAY_SECONDS = 86_400
FLOOD_IDS = 16
FLOOD_BODIES = 24  # of 6 kB each: twice what may wait of one partner
INVENTED_IDS = 500
CALM_PERIODS = 8  # when the faults are over a Byzantine partner goes on, more rarely
Bodies = Sequence[tuple[EnvelopeId, bytes | None]]


class ByzantineBehaviour:
    """Honest in everything; each kind of lie replaces a part."""

    period_seconds = 7.0

    def served(self, bodies: Bodies, random: Random) -> Bodies:
        return bodies

    def pushed(self, wire: bytes, random: Random) -> bytes:
        return wire

    def answered(self, verb: AnyVerb, raw: bytes, random: Random) -> bytes:
        return raw

    def is_silent(self, verb: AnyVerb, random: Random) -> bool:
        """Whether a request gets no answer at all."""
        return False

    def act(self, byzantine: ByzantineDriver) -> None:
        """From time to time, unasked."""


class ByzantineDriver(VirtualDriver):
    """A life of a Byzantine partner."""

    def __init__(self, name: str, node: Node, stage: Stage, *, seed: str, lie: str) -> None:
        self.lie = BEHAVIOURS[lie]()
        self.chance = Random(f"{seed} lie")
        super().__init__(name, node, stage, seed=seed)
        self._later(self.chance.random() * self.lie.period_seconds, self._act)

    @property
    def peers(self) -> list[PartnerId]:
        return sorted(self._links)

    def _act(self) -> None:
        self.lie.act(self)
        self._later(self.lie.period_seconds * (CALM_PERIODS if self.is_calm else 1), self._act)

    @property
    def is_calm(self) -> bool:
        """Whether the faults are over."""
        return self.stage.event_queue.now > START_SECONDS + self.stage.scenario.seconds

    def tell(self, peer: PartnerId, verb: AnyVerb, raw: bytes) -> None:
        """A request of its own; what is answered does not matter to it."""
        self.stage.network.ask(Call(self, peer, verb, raw, lambda answer: None))

    def asked(self, peer: PartnerId, verb: AnyVerb, raw: bytes, reply: Heard) -> None:
        if isinstance(self.lie, AlwaysBusy):
            reply(Answer(Status.BUSY, seconds=300.0))
        elif not self.lie.is_silent(verb, self.chance):
            super().asked(peer, verb, raw, reply)

    def pushed(self, wire: bytes) -> bytes:
        return self.lie.pushed(wire, self.chance)

    def answered(self, verb: AnyVerb, raw: bytes) -> bytes:
        return self.lie.answered(verb, raw, self.chance)

    def served(self, bodies: Bodies) -> tuple[tuple[EnvelopeId, bytes | None], ...]:
        return tuple(self.lie.served(bodies, self.chance))


class CorruptBodies(ByzantineBehaviour):
    """Half of its bodies have a wrong byte; in the signatures it leaves the id as it was."""

    def served(self, bodies: Bodies, random: Random) -> Bodies:
        return [(one, None if wire is None else self.pushed(wire, random)) for one, wire in bodies]

    def pushed(self, wire: bytes, random: Random) -> bytes:
        if random.random() < 0.5:
            return wire
        place = len(wire) - 1 - random.randrange(random.choice([4_000, len(wire)]))
        return wire[:place] + bytes([wire[place] ^ 1]) + wire[place + 1 :]


class OtherBodies(ByzantineBehaviour):
    """Gives each body under the id of another."""

    def served(self, bodies: Bodies, random: Random) -> Bodies:
        network = [wire for _, wire in bodies]
        return [(one, wire) for (one, _), wire in zip(bodies, network[1:] + network[:1], strict=True)]


class WithheldBodies(ByzantineBehaviour):
    """Announces, and then has it not, or says nothing."""

    def served(self, bodies: Bodies, random: Random) -> Bodies:
        return [(one, None) for one, _ in bodies if random.random() < 0.7]

    def is_silent(self, verb: AnyVerb, random: Random) -> bool:
        return verb is GET and random.random() < 0.5


class BogusAnnouncements(ByzantineBehaviour):
    """Announces ids of nothing, and true ids with false dates and sizes."""

    def act(self, byzantine: ByzantineDriver) -> None:
        random, now = byzantine.chance, int(byzantine.now)
        items = [
            AnnounceItem(
                EnvelopeId(random.randbytes(32)), now - random.randrange(DAY_SECONDS), 4, MAIN, 5_000
            )
            for _ in range(ANNOUNCE_ITEMS_MAX - 8)
        ]
        for envelope_id in random.sample(
            sorted(byzantine.stage.oracle.published), k=min(8, len(byzantine.stage.oracle.published))
        ):
            items.append(AnnounceItem(envelope_id, now - random.randrange(DAY_SECONDS), 3, MAIN, 1))
        count = random.randrange(1 << 40)
        message = Announce(Epoch(random.randbytes(16)), count, count + 1, tuple(items))
        byzantine.tell(random.choice(byzantine.peers), ANNOUNCE, ANNOUNCE.request.encode(message))


class EndlessSync(ByzantineBehaviour):
    """Whoever compares with it finds ever more ids."""

    def answered(self, verb: AnyVerb, raw: bytes, random: Random) -> bytes:
        if verb is not SYNC:
            return raw
        parts = SYNC.answer.decode(raw).parts
        return SYNC.answer.encode(
            SyncAnswer(tuple(SyncPart(one.shard, _inventions(random)) for one in parts))
        )


def _inventions(random: Random) -> bytes:
    """A message that lists ids of nothing, and differs in the rest."""
    writer = MessageWriter()
    packed = b"".join(random.randbytes(ID_BYTES) for _ in range(INVENTED_IDS))
    writer.add(
        Bound.at((1_799_990_000).to_bytes(CREATED_BYTES, "big") + random.randbytes(ID_BYTES)),
        RangeMode.IDS,
        packed,
    )
    writer.add(END, RangeMode.FINGERPRINT, random.randbytes(FINGERPRINT_BYTES))
    return bytes(writer.raw)


def ask_for_all(circle: CircleId, clock: int) -> bytes:
    """A question for every id of a shard."""
    writer = MessageWriter()
    writer.add(END, RangeMode.IDS)
    return SYNC.request.encode(Sync(clock, b"", (SyncPart(Shard(circle, 4), bytes(writer.raw)),)))


class Replay(ByzantineBehaviour):
    """Hands over again what everybody has, and what has long expired."""

    def act(self, byzantine: ByzantineDriver) -> None:
        random, oracle, peer = (
            byzantine.chance,
            byzantine.stage.oracle,
            byzantine.chance.choice(byzantine.peers),
        )
        known = sorted(one for one, entry in oracle.published.items() if not entry.direct_to)
        if known:
            wire = oracle.published[random.choice(known)].envelope.wire
            self._push(byzantine, peer, oracle.published[random.choice(known)].envelope.envelope_id, wire)
        old = _expired_envelope(byzantine)
        self._push(byzantine, peer, old.envelope_id, old.wire)

    def _push(
        self, byzantine: ByzantineDriver, peer: PartnerId, envelope_id: EnvelopeId, wire: bytes
    ) -> None:
        byzantine.tell(peer, PUT, envelope_id + wire)


class BodyFlood(ByzantineBehaviour):
    """Pushes more expired bodies at once than intake has room for: to everybody, and in peace to one of them."""

    period_seconds = 1.0

    def act(self, byzantine: ByzantineDriver) -> None:
        old = _expired_envelope(byzantine)
        for peer in [byzantine.chance.choice(byzantine.peers)] if byzantine.is_calm else byzantine.peers:
            for _ in range(FLOOD_BODIES):
                byzantine.tell(peer, PUT, old.envelope_id + old.wire)


def _expired_envelope(byzantine: ByzantineDriver) -> DecodedEnvelope:
    """Returns one that the byzantine really signed, for days ago."""
    old = write_envelope(
        byzantine.node.identity,
        Wish(MAIN, 300, ttl_class=1),
        incarnation=1,
        sequence=1 + byzantine.chance.randrange(1 << 20),
        previous=bytes(32),
        created=int(byzantine.now) - 3 * DAY_SECONDS,
        random=byzantine.chance,
    )
    byzantine.stage.oracle.published[old.envelope_id] = Published(old)
    return old


class Equivocation(ByzantineBehaviour):
    """Two envelopes of one number: one for some, the other for others. Both must end everywhere."""

    def act(self, byzantine: ByzantineDriver) -> None:
        random, number = byzantine.chance, 1 + byzantine.chance.randrange(1 << 20)
        if byzantine.is_calm:
            return
        for peer in random.sample(byzantine.peers, k=min(2, len(byzantine.peers))):
            one = write_envelope(
                byzantine.node.identity,
                Wish(MAIN, 400),
                incarnation=7,
                sequence=number,
                previous=bytes(32),
                created=int(byzantine.now),
                random=random,
            )
            byzantine.stage.oracle.published[one.envelope_id] = Published(one)
            byzantine.tell(peer, PUT, one.envelope_id + one.wire)


class Flood(ByzantineBehaviour):
    """Many requests a second, each allowed by itself."""

    period_seconds = 1.0

    def act(self, byzantine: ByzantineDriver) -> None:
        random, peer = byzantine.chance, byzantine.chance.choice(byzantine.peers)
        for _ in range(5):
            ids = tuple(EnvelopeId(random.randbytes(32)) for _ in range(FLOOD_IDS))
            byzantine.tell(peer, GET, GET.request.encode(GetBodies(ids)))
            byzantine.tell(peer, SYNC, ask_for_all(MAIN, int(byzantine.now)))


class Curious(ByzantineBehaviour):
    """Asks for everything there is, also what is not for it."""

    def act(self, byzantine: ByzantineDriver) -> None:
        random, peer = byzantine.chance, byzantine.chance.choice(byzantine.peers)
        ids = sorted(byzantine.stage.oracle.published)
        byzantine.tell(
            peer, GET, GET.request.encode(GetBodies(tuple(random.sample(ids, k=min(GET_IDS_MAX, len(ids))))))
        )
        for circle in sorted({one.envelope.core.circle for one in byzantine.stage.oracle.published.values()}):
            byzantine.tell(peer, SYNC, ask_for_all(circle, int(byzantine.now)))


class Smuggler(ByzantineBehaviour):
    """Hands over what the link does not carry: other circles, and direct envelopes of others."""

    def act(self, byzantine: ByzantineDriver) -> None:
        random, oracle, peer = (
            byzantine.chance,
            byzantine.stage.oracle,
            byzantine.chance.choice(byzantine.peers),
        )
        foreign = sorted(
            one
            for one, entry in oracle.published.items()
            if entry.direct_to or entry.envelope.core.circle != MAIN
        )
        for envelope_id in random.sample(foreign, k=min(3, len(foreign))):
            byzantine.tell(peer, PUT, envelope_id + oracle.published[envelope_id].envelope.wire)
        items = tuple(
            replace(_item(oracle.published[one]), circle=MAIN) for one in foreign[:ANNOUNCE_ITEMS_MAX]
        )
        message = Announce(Epoch(bytes(16)), 0, 0, items)
        byzantine.tell(peer, ANNOUNCE, ANNOUNCE.request.encode(message))


class Garbled(ByzantineBehaviour):
    """Its messages have wrong bytes, and some are only that."""

    def answered(self, verb: AnyVerb, raw: bytes, random: Random) -> bytes:
        if not raw or random.random() < 0.5:
            return raw
        place = random.randrange(len(raw))
        return raw[:place] + random.randbytes(random.randrange(3)) + raw[place + 1 :]

    def act(self, byzantine: ByzantineDriver) -> None:
        random = byzantine.chance
        verbs: list[AnyVerb] = [HELLO, ANNOUNCE, SYNC, GET, PUT]
        verb = random.choice(verbs)
        raw = random.randbytes(32 + random.randrange(2_000))
        byzantine.tell(random.choice(byzantine.peers), verb, raw)


class AlwaysBusy(ByzantineBehaviour):
    """Answers 429 for ever."""


def _item(entry: Published) -> AnnounceItem:
    core = entry.envelope.core
    return AnnounceItem(
        entry.envelope.envelope_id, core.created, core.ttl_class, core.circle, entry.envelope.size
    )


BEHAVIOURS: Mapping[str, type[ByzantineBehaviour]] = MappingProxyType(
    {
        "corrupt-bodies": CorruptBodies,
        "other-bodies": OtherBodies,
        "withheld-bodies": WithheldBodies,
        "bogus-announcements": BogusAnnouncements,
        "endless-sync": EndlessSync,
        "replay": Replay,
        "equivocation": Equivocation,
        "flood": Flood,
        "body-flood": BodyFlood,
        "curious": Curious,
        "smuggler": Smuggler,
        "garbled": Garbled,
        "always-busy": AlwaysBusy,
    }
)
