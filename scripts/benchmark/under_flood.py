"""How many dials of honest partners, far away, come in while strangers open a thousand connections a second.

The door is a real one with the protocol's limits; behind it stands no node, only an answer to hello. Twenty partners dial
anew again and again, each from an address of its own, their bytes late by 400 ms in each direction. Door, partners and
strangers are three processes.
"""

from __future__ import annotations

import asyncio
import hashlib
import multiprocessing
import resource
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from flood import FarAway, flooding
from measuring import Report, percentile

from p2pshare.envelope.keys import Secret, TlsKey
from p2pshare.errors import PeerError
from p2pshare.gossip.messages import Hello
from p2pshare.gossip.protocol import HELLO
from p2pshare.identifiers import Epoch, PartnerId
from p2pshare.peering.client import PeerAddress, PeerClient
from p2pshare.peering.server import PeerServer
from p2pshare.peering.tls import TlsGate

PER_SECOND = 1_000
PREFIXES = 10_000
HOLD_SECONDS = 5.0
ONE_WAY_SECONDS = 0.4
PARTNERS = 20
PAUSE_SECONDS = 1.0
PATIENCE_SECONDS = 20.0
SUCCESS_MIN = 0.95


@dataclass(frozen=True)
class Case:
    """Whether the partners' addresses stand on cards, and how much a stranger says before it falls silent."""

    name: str
    is_known: bool
    says: str


CASES = (
    Case("partners on cards, strangers silent", True, "nothing"),
    Case("partners on cards, strangers say one byte", True, "byte"),
    Case("partners on cards, strangers say a TLS hello", True, "hello"),
    Case("partners never seen before, strangers silent", False, "nothing"),
)


@dataclass(frozen=True)
class Dials:
    """What came of the partners' dials, and the seconds from dialling to the answer of those that came in."""

    came_in: int
    failed: int
    seconds: tuple[float, ...]


class Greeting:
    """Answers a hello with itself (`peering.interface.PeerExchange`, as far as it is asked here)."""

    async def ask(self, _peer: PartnerId, _question: object, message: Any) -> Any:
        return message


def measure(report: Report, *, seconds: float) -> None:
    for case in CASES:
        began, cpu = time.perf_counter(), time.process_time()
        dials, refused = asyncio.run(_measure(case, seconds))
        share = (time.process_time() - cpu) / (time.perf_counter() - began)
        success = dials.came_in / max(1, dials.came_in + dials.failed)
        report.add(f"{case.name}: dials", "", [dials.came_in + dials.failed])
        if dials.seconds:
            report.add("... seconds to the answer, p50", "s", [percentile(dials.seconds, 0.5)])
            report.add("... p99", "s", [percentile(dials.seconds, 0.99)])
        report.add("... connections of strangers turned away", "1/s", [refused / seconds])
        report.add("... the door's process, of one core", "", [share])
        report.add("... its peak memory so far", "MiB", [peak_mib()])
        report.gate(f"came in: {case.name}", success, SUCCESS_MIN)


def peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


async def _measure(case: Case, seconds: float) -> tuple[Dials, int]:
    now = int(time.time())
    own = TlsKey.generate(_id_of(PARTNERS), now, 30)
    keys = [TlsKey.generate(_id_of(number), now, 30) for number in range(PARTNERS)]
    gate = TlsGate(own)
    for number, key in enumerate(keys):
        gate.add(_id_of(number), [key.certificate])
        if case.is_known:
            gate.expect_from(_id_of(number), [f"https://{_source_of(number)}:8443"])
    server = PeerServer(Greeting(), gate)  # type: ignore[arg-type]
    port = await server.start("127.0.0.1", 0)
    ours, theirs = multiprocessing.Pipe()
    material = [(key.secret().reveal(), key.certificate) for key in keys]
    process = multiprocessing.get_context("spawn").Process(
        target=_partners, args=(theirs, port, own.certificate, material, seconds, case.is_known), daemon=True
    )
    with flooding(
        port,
        per_second=PER_SECOND,
        seconds=seconds + 60,
        prefixes=PREFIXES,
        says=case.says,
        hold=HOLD_SECONDS,
    ):
        process.start()
        before = server.handshakes_refused
        dials: Dials = await asyncio.to_thread(ours.recv)
        refused = server.handshakes_refused - before
    process.join()
    await server.stop()
    return dials, refused


def _partners(
    results: Connection,
    port: int,
    certificate: bytes,
    material: Sequence[tuple[bytes, bytes]],
    seconds: float,
    comes_back: bool,
) -> None:
    """In a process of their own, as partners are."""
    gates = [TlsGate(TlsKey.from_secret(Secret(secret), own)) for secret, own in material]
    results.send(asyncio.run(_dial_for(port, certificate, gates, seconds, comes_back)))


async def _dial_for(
    port: int, certificate: bytes, gates: Sequence[TlsGate], seconds: float, comes_back: bool
) -> Dials:
    rows = await asyncio.gather(
        *(
            _dial_again(port, certificate, gate, number, seconds, comes_back)
            for number, gate in enumerate(gates)
        )
    )
    found = [one for row in rows for one in row]
    came_in = tuple(one for one in found if one is not None)
    return Dials(len(came_in), len(found) - len(came_in), came_in)


async def _dial_again(
    port: int, certificate: bytes, gate: TlsGate, number: int, seconds: float, comes_back: bool
) -> list[float | None]:
    """Seconds to the answer of each dial, None where none came. Who must not become known has a new address each time."""
    rows: list[float | None] = []
    await asyncio.sleep(number * PAUSE_SECONDS / PARTNERS)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        source = _source_of(number, 0 if comes_back else len(rows))
        async with FarAway(port, source, ONE_WAY_SECONDS) as road:
            url = f"https://127.0.0.1:{road}"
            client = PeerClient(gate, PeerAddress(_id_of(-1), url, (certificate,)))
            began = time.perf_counter()
            try:
                async with asyncio.timeout(PATIENCE_SECONDS):
                    await client.ask(HELLO, Hello(Epoch(bytes(16)), int(time.time()), 1))
                rows.append(time.perf_counter() - began)
            except (PeerError, TimeoutError):
                rows.append(None)
            await client.close()
        await asyncio.sleep(PAUSE_SECONDS)
    return rows


def _id_of(number: int) -> PartnerId:
    return PartnerId(hashlib.sha256(str(number).encode()).digest())


def _source_of(number: int, visit: int = 0) -> str:
    return f"127.1.{number}.{1 + visit % 250}"
