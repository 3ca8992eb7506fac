"""Measure whether time tells a recipient from a relay: a real daemon, real TLS, and an author who times all that it can.

The author pushes envelopes of one size, for one recipient each, in drawn order: half of them are for the daemon that it
pushes to (it reads them, after the answer), the other half for somebody else (it only carries them). For each push the author
notes the times below. For each kind of time the best threshold is fitted on one half of the pushes and judged on the other;
its accuracy is 0.5 where time tells nothing, and 1.0 where one push tells all.

The author is given more than a stranger has: it shares the machine and the disk, and its road is loopback.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY / "scripts" / "benchmark"))

# ruff: noqa: E402
from material import frames_of, indicator, values

from p2pshare.envelope.card import fingerprint
from p2pshare.envelope.envelope import Mode, SealedEnvelope
from p2pshare.envelope.payload import ALONE, PayloadHeader, encode_payload
from p2pshare.envelope.recipient_number import RecipientNumber
from p2pshare.envelope.sealing import Recipient, SealRequest, seal
from p2pshare.errors import NotFoundError, PeerError
from p2pshare.gossip.messages import Announce, AnnounceAnswer, Hello, PutVerdict
from p2pshare.gossip.protocol import HELLO
from p2pshare.identifiers import CircleId, EnvelopeId, Epoch, PartnerId, PublicationId
from p2pshare.intel.marking import Tlp
from p2pshare.node.init import found_home
from p2pshare.node.node import Node, close_node, open_node
from p2pshare.peering.client import PeerAddress, PeerClient
from p2pshare.peering.server import PeerServer
from p2pshare.peering.tls import TlsGate
from p2pshare.sharing.partners import add_partner

ACCURACY_MAX = 0.60  # docs/gossip.md: what one push may tell
SEED = 20_261_130
START_SECONDS = 30.0  # for the daemon to answer
WATCH_SECONDS = 0.020  # between two hellos of an author who never looks away
BACK_TO_BACK = 100  # pushes without a pause, half of them for the daemon
PUBLICATION = PublicationId(bytes(PublicationId.length))

# --- statistics ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Sample:
    """One time in seconds, and whether the push was for the daemon."""

    seconds: float
    is_recipient: bool


@dataclass(frozen=True, slots=True)
class Threshold:
    """Says recipient of what takes longer than `seconds`; of what takes no longer, where not `is_above`."""

    seconds: float
    is_above: bool

    def says_recipient(self, seconds: float) -> bool:
        return (seconds > self.seconds) == self.is_above


def accuracy(threshold: Threshold, samples: Sequence[Sample]) -> float:
    """Returns the mean of the shares of recipients and of relays that it tells right: one class that is larger gains nothing."""
    shares = []
    for kind in (True, False):
        said = [threshold.says_recipient(one.seconds) == kind for one in samples if one.is_recipient is kind]
        shares.append(sum(said) / len(said))
    return sum(shares) / 2


def fitted(samples: Sequence[Sample]) -> Threshold:
    """Returns the threshold that tells `samples` best."""
    ordered = sorted(samples, key=lambda one: one.seconds)
    recipients = sum(one.is_recipient for one in ordered)
    relays = len(ordered) - recipients
    below = {True: 0, False: 0}
    best, found = 0.5, Threshold(ordered[-1].seconds, is_above=True)
    for one, above in itertools.pairwise(ordered):
        below[one.is_recipient] += 1
        if above.seconds == one.seconds:
            continue  # no threshold lies between two equal times
        right = ((recipients - below[True]) / recipients + below[False] / relays) / 2
        for share, is_above in ((right, True), (1 - right, False)):
            if share > best:
                best, found = share, Threshold((one.seconds + above.seconds) / 2, is_above)
    return found


def judged(samples: Sequence[Sample], chance: random.Random) -> float:
    """Returns the accuracy on pushes that the threshold was not fitted on: each half, drawn, is judged by the other's."""
    halves: tuple[list[Sample], list[Sample]] = ([], [])
    for kind in (True, False):
        of_kind = [one for one in samples if one.is_recipient is kind]
        chance.shuffle(of_kind)
        halves[0].extend(of_kind[::2])
        halves[1].extend(of_kind[1::2])
    return (accuracy(fitted(halves[0]), halves[1]) + accuracy(fitted(halves[1]), halves[0])) / 2


def median(figures: Sequence[float]) -> float:
    return sorted(figures)[len(figures) // 2]


# --- the parts ----------------------------------------------------------------------------------------


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Party:
    """A home that was founded here, and its open node."""

    def __init__(self, folder: Path, name: str, now: int) -> None:
        self.home, self.port = folder / name, free_port()
        url = f"https://127.0.0.1:{self.port}"
        found_home(self.home, name=name, url=url, listen="", passphrase=None, now=now)
        self.node: Node = open_node(self.home)

    def trust(self, other: Party, now: int) -> None:
        card = other.node.identity.card
        add_partner(
            self.node,
            card.raw,
            confirmed_fingerprint=fingerprint(card.partner_id),
            alias="",
            has_link=True,
            now=now,
        )

    @property
    def address(self) -> PeerAddress:
        card = self.node.identity.card
        return PeerAddress(card.partner_id, f"https://127.0.0.1:{self.port}", card.tls_certificates)


class Author:
    """Seals envelopes of so many objects, each for one of two recipients."""

    def __init__(self, author: Party, chance: random.Random, now: int) -> None:
        self._author, self._chance, self._now = author, chance, now
        self._sealed = 0
        self._numbers: dict[PartnerId, int] = {}

    def seal(self, recipient: Party, objects: int) -> SealedEnvelope:
        card = recipient.node.identity.card
        self._sealed += 1
        self._numbers[card.partner_id] = self._numbers.get(card.partner_id, 0) + 1
        chosen = values(objects, SEED + self._sealed)
        frames = frames_of([indicator(type_, value, self._chance) for type_, value in chosen])
        header = PayloadHeader("stix", self._now, Tlp.GREEN.label, objects, PUBLICATION, ALONE)
        request = SealRequest(
            payload=encode_payload(header, frames),
            recipients=(Recipient(card, RecipientNumber(self._numbers[card.partner_id])),),
            incarnation=self._now,
            sequence=self._sealed,
            previous=bytes(32),
            circle=CircleId.of("main"),
            mode=Mode.RELAY,
            created=self._now,
            ttl_class=4,
        )
        return seal(self._author.node.identity, request)


class Witness:
    """The daemon's other partner: it notes when it hears of an envelope, and asks for nothing
    (`peering.interface.PeerExchange`, as far as it is asked here)."""

    def __init__(self) -> None:
        self.heard: dict[EnvelopeId, float] = {}

    async def ask(self, _peer: PartnerId, _question: object, message: Any) -> Any:
        if isinstance(message, Hello):
            return Hello(Epoch(bytes(16)), int(time.time()), 1)
        if isinstance(message, Announce):
            now = time.perf_counter()
            for item in message.items:
                self.heard.setdefault(item.envelope_id, now)
            return AnnounceAnswer(message.to_count)
        raise NotFoundError("nothing is compared here")

    async def put(self, _peer: PartnerId, envelope_id: EnvelopeId, _wire: bytes) -> Any:
        raise NotFoundError("nothing is taken in here")

    async def card(self, _peer: PartnerId) -> bytes:
        raise NotFoundError("no news")


@contextmanager
def daemon_in(home: Path) -> Iterator[None]:
    """A daemon as a process of its own, from here to the end of the block."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("P2PSHARE_")}
    with (home.parent / "daemon.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "p2pshare", "--home", str(home), "run"],
            stdout=log,
            stderr=log,
            env=environment,
        )
        try:
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()


# --- what is measured ---------------------------------------------------------------------------------


@dataclass
class Times:
    """Times of each kind, in the order of the pushes, and the load beside them."""

    by_kind: dict[str, list[Sample]] = field(default_factory=dict)
    load: list[float] = field(default_factory=list)

    def note(self, kind: str, seconds: float, is_recipient: bool) -> None:
        self.by_kind.setdefault(kind, []).append(Sample(seconds, is_recipient))

    def lines(self, chance: random.Random) -> Iterator[tuple[str, float, str]]:
        """Yields (kind, accuracy, a line) of each kind."""
        for kind, samples in self.by_kind.items():
            found = judged(samples, chance)
            told = [
                median([one.seconds for one in samples if one.is_recipient is own]) * 1e3
                for own in (True, False)
            ]
            yield kind, found, f"{kind:<58} {told[0]:8.1f} {told[1]:8.1f} {len(samples):6d}   {found:.2f}"


@dataclass
class Stage:
    """The parts of a measurement that are there all the time."""

    author: Author
    victim: Party
    other: Party
    client: PeerClient
    witness: Witness
    chance: random.Random
    objects: int

    def drawn(self, pushes: int) -> list[tuple[bool, SealedEnvelope]]:
        """Returns envelopes, so many for the daemon and so many for somebody else, in drawn order."""
        order = [True] * pushes + [False] * pushes
        self.chance.shuffle(order)
        return [(own, self.author.seal(self.victim if own else self.other, self.objects)) for own in order]

    def small(self) -> SealedEnvelope:
        return self.author.seal(self.other, 1)

    async def push(self, envelope: SealedEnvelope) -> float:
        """Returns the seconds to the answer."""
        began = time.perf_counter()
        answer = await self.client.put(envelope.envelope_id, envelope.wire)
        assert answer.verdict is PutVerdict.HELD, answer
        return time.perf_counter() - began

    async def hello(self) -> float:
        began = time.perf_counter()
        await self.client.ask(HELLO, Hello(Epoch(bytes(16)), int(time.time()), 1))
        return time.perf_counter() - began

    async def get(self, envelope_id: EnvelopeId) -> float:
        began = time.perf_counter()
        async for _ in self.client.get([envelope_id]):
            pass
        return time.perf_counter() - began


async def one_by_one(stage: Stage, pushes: int, pause: float, times: Times) -> None:
    """Pushes with a pause after each: the answer, what comes right after it, and what comes at a drawn moment of the pause."""
    previous: bool | None = None
    for number, (own, envelope) in enumerate(stage.drawn(pushes)):
        probes, later = (stage.small(), stage.small()), stage.small()
        began = time.perf_counter()
        seconds = await stage.push(envelope)
        times.note("answer to the push", seconds, own)
        if previous is not None:
            times.note("answer to the next large push, after the pause", seconds, previous)
        previous = own
        right_after: list[tuple[str, Callable[[], Any]]] = [
            ("next push", lambda probes=probes: stage.push(probes[0])),
            ("next hello", stage.hello),
            ("next get", lambda envelope=envelope: stage.get(envelope.envelope_id)),
        ]
        stage.chance.shuffle(right_after)
        for kind, probe in right_after:
            times.note(f"{kind}, right after", await probe(), own)
        moment = began + stage.chance.uniform(0.3, 1) * pause
        await asyncio.sleep(max(0.0, moment - time.perf_counter()))
        in_pause: list[tuple[str, Callable[[], Any]]] = [
            ("push", lambda later=later: stage.push(later)),
            ("hello", stage.hello),
        ]
        stage.chance.shuffle(in_pause)
        for kind, probe in in_pause:
            times.note(f"{kind} at a drawn moment of the pause", await probe(), own)
        await asyncio.sleep(max(0.0, began + pause - time.perf_counter()))
        if envelope.envelope_id in stage.witness.heard:
            times.note("announcement", stage.witness.heard[envelope.envelope_id] - began, own)
        times.load.append(os.getloadavg()[0])
        if number % 50 == 49:
            print(f"  {number + 1} pushes", file=sys.stderr, flush=True)


async def watched(stage: Stage, pushes: int, pause: float, times: Times) -> None:
    """The same by an author who says hello all through the pause: it hears the load itself."""
    for own, envelope in stage.drawn(pushes):
        began = time.perf_counter()
        await stage.push(envelope)
        hellos = []
        while time.perf_counter() < began + pause:
            hellos.append(await stage.hello())
            await asyncio.sleep(WATCH_SECONDS)
        times.note("sum of hellos all through the pause", sum(hellos), own)
        times.note("slowest of them", max(hellos), own)


async def back_to_back(stage: Stage, pushes: int, times: Times) -> None:
    """Pushes without a pause."""
    previous: bool | None = None
    for own, envelope in stage.drawn(pushes):
        seconds = await stage.push(envelope)
        times.note("back to back: answer to the push", seconds, own)
        if previous is not None:
            times.note("back to back: answer to the next push", seconds, previous)
        previous = own


async def until_it_answers(stage: Stage) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        with suppress(PeerError):
            await stage.hello()
            return
        assert time.monotonic() < deadline, "the daemon does not answer"
        await asyncio.sleep(0.1)


async def measure(
    folder: Path, *, objects: int, pushes: int, pause: float, quick: bool
) -> tuple[Times, Times]:
    """Returns the times that are judged, and those that are only shown."""
    now, chance = int(time.time()), random.Random(SEED)
    victim, author, other, seen = (
        Party(folder, name, now) for name in ("victim", "author", "other", "witness")
    )
    for one in (author, other, seen):
        victim.trust(one, now)
        one.trust(victim, now)
    close_node(victim.node)
    witness = Witness()
    gate = TlsGate(seen.node.identity.operational.tls)
    gate.add(victim.node.identity.partner_id, victim.node.identity.card.tls_certificates)
    server = PeerServer(witness, gate)  # type: ignore[arg-type]
    await server.start("127.0.0.1", seen.port)
    client = PeerClient(TlsGate(author.node.identity.operational.tls), victim.address)
    stage = Stage(Author(author, chance, now), victim, other, client, witness, chance, objects)
    gated, shown = Times(), Times()
    with daemon_in(victim.home):
        await until_it_answers(stage)
        await one_by_one(stage, 1, pause, Times())  # warm
        await one_by_one(stage, pushes, pause, gated)
        if not quick:
            await watched(stage, max(2, pushes // 5), pause, shown)
            await back_to_back(stage, max(2, min(pushes, BACK_TO_BACK // 2)), shown)
        await client.close()
    await server.stop()
    for party in (author, other, seen):
        close_node(party.node)
    return gated, shown


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="scripts/measure-audience",
        description="measure whether time tells a recipient from a relay; exits 1 where it does",
    )
    parser.add_argument("--objects", type=int, default=5_000, help="in each envelope (5000)")
    parser.add_argument("--pushes", type=int, default=200, help="of each kind (200)")
    parser.add_argument("--pause", type=float, default=3.0, help="seconds from push to push (3)")
    parser.add_argument("--gated-only", action="store_true", help="leave out what is shown and not judged")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every time there")
    found = parser.parse_args()
    if found.pushes < 2 or found.objects < 1:
        parser.error("two pushes of each kind and one object are the least")
    print(f"{found.pushes} pushes of each kind, {found.objects} objects, {found.pause:g} s apart")
    with tempfile.TemporaryDirectory(dir=REPOSITORY, prefix=".audience-") as name:  # the disk, not a tmpfs
        gated, shown = asyncio.run(
            measure(
                Path(name),
                objects=found.objects,
                pushes=found.pushes,
                pause=found.pause,
                quick=found.gated_only,
            )
        )
    if found.json:
        rows = {
            kind: [[one.seconds, one.is_recipient] for one in samples]
            for times in (gated, shown)
            for kind, samples in times.by_kind.items()
        }
        found.json.write_text(json.dumps({"load": gated.load, "times": rows}))
    print(
        f"load {min(gated.load):.1f} / {median(gated.load):.1f} / {max(gated.load):.1f} (least, median, most)"
    )
    print(
        f"{'median ms':<58} {'recip.':>8} {'relay':>8} {'pushes':>6}   accuracy (must: <= {ACCURACY_MAX:.2f})"
    )
    chance, is_well = random.Random(SEED), True
    for _, told, line in gated.lines(chance):
        is_well = is_well and told <= ACCURACY_MAX
        print(line if told <= ACCURACY_MAX else f"{line} MISS")
    for _, _, line in shown.lines(chance):
        print(f"{line} (shown, not judged)")
    return 0 if is_well else 1


if __name__ == "__main__":
    sys.exit(main())
