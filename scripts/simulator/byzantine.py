"""Byzantine partners: they have a valid identity and a link, and break the rules in one way each. They never tire.

A Byzantine partner runs the real engine and bends its input and output, so that its lies come between truths.
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
    """A partner that is honest in everything; each kind of lie replaces a part."""

    period_seconds = 7.0

    def served(self, bodies: Bodies, random: Random) -> Bodies:
        return bodies

    def pushed(self, wire: bytes, random: Random) -> bytes:
        return wire

    def answered(self, verb: AnyVerb, raw: bytes, random: Random) -> bytes:
        return raw

    def is_silent(self, verb: AnyVerb, random: Random) -> bool:
        """Returns whether a request gets no answer at all."""
        return False

    def act(self, driver: ByzantineDriver) -> None:
        """Do something unasked; called every `period_seconds`."""


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
        """Returns whether the faults are over."""
        return self.stage.event_queue.now > START_SECONDS + self.stage.scenario.seconds

    def send(self, peer: PartnerId, verb: AnyVerb, raw: bytes) -> None:
        """Send a request that the engine did not ask for; its answer is ignored."""
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
    """Change a byte in half of the bodies; one in the signatures leaves the id as it was."""

    def served(self, bodies: Bodies, random: Random) -> Bodies:
        return [(one, None if wire is None else self.pushed(wire, random)) for one, wire in bodies]

    def pushed(self, wire: bytes, random: Random) -> bytes:
        if random.random() < 0.5:
            return wire
        place = len(wire) - 1 - random.randrange(random.choice([4_000, len(wire)]))
        return wire[:place] + bytes([wire[place] ^ 1]) + wire[place + 1 :]


class OtherBodies(ByzantineBehaviour):
    """Hand over each body under the id of another."""

    def served(self, bodies: Bodies, random: Random) -> Bodies:
        wires = [wire for _, wire in bodies]
        return [(one, wire) for (one, _), wire in zip(bodies, wires[1:] + wires[:1], strict=True)]


class WithheldBodies(ByzantineBehaviour):
    """Announce, and then hold nothing of it, or say nothing."""

    def served(self, bodies: Bodies, random: Random) -> Bodies:
        return [(one, None) for one, _ in bodies if random.random() < 0.7]

    def is_silent(self, verb: AnyVerb, random: Random) -> bool:
        return verb is GET and random.random() < 0.5


class BogusAnnouncements(ByzantineBehaviour):
    """Announce ids of nothing, and true ids with false dates and sizes."""

    def act(self, driver: ByzantineDriver) -> None:
        random, now = driver.chance, int(driver.now)
        items = [
            AnnounceItem(
                EnvelopeId(random.randbytes(32)), now - random.randrange(DAY_SECONDS), 4, MAIN, 5_000
            )
            for _ in range(ANNOUNCE_ITEMS_MAX - 8)
        ]
        for envelope_id in random.sample(
            sorted(driver.stage.oracle.published), k=min(8, len(driver.stage.oracle.published))
        ):
            items.append(AnnounceItem(envelope_id, now - random.randrange(DAY_SECONDS), 3, MAIN, 1))
        count = random.randrange(1 << 40)
        message = Announce(Epoch(random.randbytes(16)), count, count + 1, tuple(items))
        driver.send(random.choice(driver.peers), ANNOUNCE, ANNOUNCE.request.encode(message))


class EndlessSync(ByzantineBehaviour):
    """Name ever more ids to a partner that compares."""

    def answered(self, verb: AnyVerb, raw: bytes, random: Random) -> bytes:
        if verb is not SYNC:
            return raw
        parts = SYNC.answer.decode(raw).parts
        return SYNC.answer.encode(
            SyncAnswer(tuple(SyncPart(one.shard, _inventions(random)) for one in parts))
        )


def _inventions(random: Random) -> bytes:
    """Returns a message that lists ids of nothing, and differs in the rest."""
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
    """Returns a question for every id of a shard."""
    writer = MessageWriter()
    writer.add(END, RangeMode.IDS)
    return SYNC.request.encode(Sync(clock, b"", (SyncPart(Shard(circle, 4), bytes(writer.raw)),)))


class Replay(ByzantineBehaviour):
    """Hand over again envelopes that everybody has, and one that has long expired."""

    def act(self, driver: ByzantineDriver) -> None:
        random, oracle, peer = (
            driver.chance,
            driver.stage.oracle,
            driver.chance.choice(driver.peers),
        )
        known = sorted(one for one, entry in oracle.published.items() if not entry.direct_to)
        if known:
            wire = oracle.published[random.choice(known)].envelope.wire
            self._push(driver, peer, oracle.published[random.choice(known)].envelope.envelope_id, wire)
        old = _expired_envelope(driver)
        self._push(driver, peer, old.envelope_id, old.wire)

    def _push(self, driver: ByzantineDriver, peer: PartnerId, envelope_id: EnvelopeId, wire: bytes) -> None:
        driver.send(peer, PUT, envelope_id + wire)


class BodyFlood(ByzantineBehaviour):
    """Push more expired bodies at once than intake has room for: to everybody, and in peace to one partner."""

    period_seconds = 1.0

    def act(self, driver: ByzantineDriver) -> None:
        old = _expired_envelope(driver)
        for peer in [driver.chance.choice(driver.peers)] if driver.is_calm else driver.peers:
            for _ in range(FLOOD_BODIES):
                driver.send(peer, PUT, old.envelope_id + old.wire)


def _expired_envelope(driver: ByzantineDriver) -> DecodedEnvelope:
    """Returns an envelope that this partner really signed, for days ago."""
    old = write_envelope(
        driver.node.identity,
        Wish(MAIN, 300, ttl_class=1),
        incarnation=1,
        sequence=1 + driver.chance.randrange(1 << 20),
        previous=bytes(32),
        created=int(driver.now) - 3 * DAY_SECONDS,
        random=driver.chance,
    )
    driver.stage.oracle.published[old.envelope_id] = Published(old)
    return old


class Equivocation(ByzantineBehaviour):
    """Sign two envelopes of one number: one for some, the other for others. Both must end everywhere."""

    def act(self, driver: ByzantineDriver) -> None:
        random, number = driver.chance, 1 + driver.chance.randrange(1 << 20)
        if driver.is_calm:
            return
        for peer in random.sample(driver.peers, k=min(2, len(driver.peers))):
            one = write_envelope(
                driver.node.identity,
                Wish(MAIN, 400),
                incarnation=7,
                sequence=number,
                previous=bytes(32),
                created=int(driver.now),
                random=random,
            )
            driver.stage.oracle.published[one.envelope_id] = Published(one)
            driver.send(peer, PUT, one.envelope_id + one.wire)


class Flood(ByzantineBehaviour):
    """Send many requests a second, each allowed by itself."""

    period_seconds = 1.0

    def act(self, driver: ByzantineDriver) -> None:
        random, peer = driver.chance, driver.chance.choice(driver.peers)
        for _ in range(5):
            ids = tuple(EnvelopeId(random.randbytes(32)) for _ in range(FLOOD_IDS))
            driver.send(peer, GET, GET.request.encode(GetBodies(ids)))
            driver.send(peer, SYNC, ask_for_all(MAIN, int(driver.now)))


class Curious(ByzantineBehaviour):
    """Ask for everything there is, also what is not for this partner."""

    def act(self, driver: ByzantineDriver) -> None:
        random, peer = driver.chance, driver.chance.choice(driver.peers)
        ids = sorted(driver.stage.oracle.published)
        driver.send(
            peer, GET, GET.request.encode(GetBodies(tuple(random.sample(ids, k=min(GET_IDS_MAX, len(ids))))))
        )
        for circle in sorted({one.envelope.core.circle for one in driver.stage.oracle.published.values()}):
            driver.send(peer, SYNC, ask_for_all(circle, int(driver.now)))


class Smuggler(ByzantineBehaviour):
    """Hand over envelopes that the link does not carry: other circles, and direct envelopes of others."""

    def act(self, driver: ByzantineDriver) -> None:
        random, oracle, peer = (
            driver.chance,
            driver.stage.oracle,
            driver.chance.choice(driver.peers),
        )
        foreign = sorted(
            one
            for one, entry in oracle.published.items()
            if entry.direct_to or entry.envelope.core.circle != MAIN
        )
        for envelope_id in random.sample(foreign, k=min(3, len(foreign))):
            driver.send(peer, PUT, envelope_id + oracle.published[envelope_id].envelope.wire)
        items = tuple(
            replace(_item(oracle.published[one]), circle=MAIN) for one in foreign[:ANNOUNCE_ITEMS_MAX]
        )
        message = Announce(Epoch(bytes(16)), 0, 0, items)
        driver.send(peer, ANNOUNCE, ANNOUNCE.request.encode(message))


class Garbled(ByzantineBehaviour):
    """Send messages with wrong bytes, and some that are only that."""

    def answered(self, verb: AnyVerb, raw: bytes, random: Random) -> bytes:
        if not raw or random.random() < 0.5:
            return raw
        place = random.randrange(len(raw))
        return raw[:place] + random.randbytes(random.randrange(3)) + raw[place + 1 :]

    def act(self, driver: ByzantineDriver) -> None:
        random = driver.chance
        verbs: list[AnyVerb] = [HELLO, ANNOUNCE, SYNC, GET, PUT]
        verb = random.choice(verbs)
        raw = random.randbytes(32 + random.randrange(2_000))
        driver.send(random.choice(driver.peers), verb, raw)


class AlwaysBusy(ByzantineBehaviour):
    """Answer 429 for ever."""


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
