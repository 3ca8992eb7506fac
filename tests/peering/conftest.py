"""Partners with real keys, a real server and a small second implementation of what stands behind it."""

from __future__ import annotations

import asyncio
import hashlib
import os
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from p2pshare.envelope.keys import Secret, TlsKey
from p2pshare.errors import NotFoundError
from p2pshare.gossip.messages import (
    Announce,
    AnnounceAnswer,
    DialAnswer,
    Hello,
    Poll,
    PollAnswer,
    PutAnswer,
    PutVerdict,
    Sync,
    SyncAnswer,
    SyncPart,
)
from p2pshare.gossip.protocol import Question
from p2pshare.identifiers import CircleId, EnvelopeId, Epoch, PartnerId
from p2pshare.peering.client import PeerAddress, PeerClient
from p2pshare.peering.interface import DialLimits, DoorLimits
from p2pshare.peering.server import PeerServer
from p2pshare.peering.tls import TlsGate

HELLO = Hello(Epoch(bytes(16)), 1_700_000_000, 7)


@dataclass
class MemoryExchange:
    """Envelopes in a dict; the id of an envelope is the SHA-256 of its bytes."""

    held: dict[EnvelopeId, bytes] = field(default_factory=dict)
    hidden: set[EnvelopeId] = field(default_factory=set)
    calls: list[tuple[str, PartnerId]] = field(default_factory=list)
    fault: Exception | None = None
    delay_seconds: float = 0.0

    async def _called(self, name: str, peer: PartnerId) -> None:
        self.calls.append((name, peer))
        if self.delay_seconds:
            await asyncio.sleep(self.delay_seconds)
        if self.fault is not None:
            raise self.fault

    async def ask(self, peer: PartnerId, question: Question[Any, Any], message: Any) -> Any:
        await self._called(question.name, peer)
        match message:
            case Hello():
                return Hello(message.epoch, message.clock, message.card_version + 1)
            case Announce():
                want = tuple(item.envelope_id for item in message.items if item.envelope_id not in self.held)
                return AnnounceAnswer(message.to_count, want)
            case Poll():
                return PollAnswer(message.epoch, message.since, message.since, ())
            case Sync():
                if message.parts[0].shard.ttl_class == 6:
                    raise NotFoundError("no such circle on this link")
                return SyncAnswer(tuple(SyncPart(one.shard, one.message[::-1]) for one in message.parts))

    async def put(self, peer: PartnerId, envelope_id: EnvelopeId, wire: bytes) -> PutAnswer:
        await self._called("put", peer)
        if envelope_of(wire) != envelope_id:
            return PutAnswer(PutVerdict.REFUSED, "wrong-id")
        if envelope_id in self.held:
            return PutAnswer(PutVerdict.ALREADY_HELD)
        self.held[envelope_id] = wire
        return PutAnswer(PutVerdict.HELD)

    async def get(
        self, peer: PartnerId, ids: Sequence[EnvelopeId]
    ) -> AsyncIterator[tuple[EnvelopeId, bytes | None]]:
        await self._called("get", peer)
        for envelope_id in ids:
            yield envelope_id, None if envelope_id in self.hidden else self.held.get(envelope_id)

    async def card(self, peer: PartnerId) -> bytes:
        await self._called("card", peer)
        return b"card" * 100_000

    async def chain(self, peer: PartnerId, partner: PartnerId) -> bytes:
        await self._called("chain", peer)
        if partner != peer:
            raise NotFoundError("no such card", reason="not-held")
        return b"chain" * 100_000

    async def members(self, peer: PartnerId, circle: CircleId) -> bytes:
        await self._called("members", peer)
        if circle != CircleId.of("main"):
            raise NotFoundError("no such list", reason="not-held")
        return b"members" * 10_000

    async def dial_back(self, peer: PartnerId) -> DialAnswer:
        await self._called("dial_back", peer)
        return DialAnswer(3, ("reached", "timeout"))


def envelope_of(wire: bytes) -> EnvelopeId:
    return EnvelopeId(hashlib.sha256(wire).digest())


class Party:
    """One partner: a TLS key and the gate around it."""

    def __init__(self, name: str, key: TlsKey | None = None) -> None:
        self.partner_id = PartnerId(hashlib.sha256(name.encode()).digest())
        self.key = key or TlsKey.generate(self.partner_id, int(time.time()), 30)
        self.gate = TlsGate(self.key)

    @property
    def certificate(self) -> bytes:
        return self.key.certificate

    def trusts(self, other: Party) -> None:
        self.gate.add(other.partner_id, [other.certificate])


class House:
    """Everything started here is stopped at the end of the test."""

    def __init__(self) -> None:
        self._servers: list[PeerServer] = []
        self._clients: list[PeerClient] = []

    async def serve(
        self,
        party: Party,
        exchange: MemoryExchange | None = None,
        limits: DoorLimits | None = None,
        host: str = "127.0.0.1",
        guests: Any = None,
        guest_limits: Any = None,
        **invited: Any,
    ) -> tuple[PeerServer, int]:
        server = self.build(party, exchange, limits, guests, guest_limits, **invited)
        return server, await server.start(host, 0)

    def build(
        self,
        party: Party,
        exchange: MemoryExchange | None = None,
        limits: DoorLimits | None = None,
        guests: Any = None,
        guest_limits: Any = None,
        **invited: Any,
    ) -> PeerServer:
        """A server that is not yet started; it lets guests in when something stands behind it for them."""
        server = PeerServer(exchange or MemoryExchange(), party.gate, limits, guests, guest_limits, **invited)
        self._servers.append(server)
        return server

    def dial(
        self,
        party: Party,
        other: Party,
        port: int,
        host: str = "127.0.0.1",
        limits: DialLimits | None = None,
    ) -> PeerClient:
        address = PeerAddress(other.partner_id, f"https://{host}:{port}", (other.certificate,))
        client = PeerClient(party.gate, address, limits)
        self._clients.append(client)
        return client

    async def close(self) -> None:
        for client in self._clients:
            await client.close()
        for server in self._servers:
            await server.stop()


@pytest.fixture
async def house() -> AsyncIterator[House]:
    house = House()
    yield house
    await house.close()


@pytest.fixture(scope="session")
def alpha() -> Party:
    return Party("alpha")


@pytest.fixture
def bravo(alpha: Party) -> Party:
    """Trusts alpha and nobody else."""
    bravo = Party("bravo", _bravo_key())
    bravo.trusts(alpha)
    return bravo


_keys: list[TlsKey] = []


def _bravo_key() -> TlsKey:
    if not _keys:
        _keys.append(Party("bravo").key)
    return _keys[0]


@pytest.fixture
def make_party() -> Callable[..., Party]:
    return Party


@pytest.fixture
def make_exchange() -> Callable[..., MemoryExchange]:
    return MemoryExchange


@pytest.fixture
def hello() -> Hello:
    return HELLO


@pytest.fixture
def id_of() -> Callable[[bytes], EnvelopeId]:
    return envelope_of


@dataclass
class Wire:
    """A raw TLS connection of a partner, for what a well-behaved client would never send."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, raw: bytes) -> None:
        self.writer.write(raw)
        await self.writer.drain()

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        """Status, headers (names in lower case) and body of the next answer with a declared length."""
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("ascii").split("\r\n")
        headers = {
            name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)
        }
        body = await self.reader.readexactly(int(headers.get("content-length", 0)))
        return int(head[0].split()[1]), headers, body

    async def closed(self) -> bool:
        """Waits for the other side to end the connection, reading away what it still sends."""
        try:
            async with asyncio.timeout(5):
                while await self.reader.read(65536):
                    pass
        except TimeoutError:
            return False
        except OSError:
            return True
        return True

    async def close(self) -> None:
        self.writer.transport.abort()


@pytest.fixture
async def open_wire() -> AsyncIterator[Callable[..., Awaitable[Wire]]]:
    wires: list[Wire] = []

    async def open_wire(party: Party, other: Party, port: int) -> Wire:
        context = party.gate.client_context([other.certificate])
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
        wires.append(Wire(reader, writer))
        return wires[-1]

    yield open_wire
    for wire in wires:
        await wire.close()


@pytest.fixture
def anyone_context() -> ssl.SSLContext:
    """A client that checks nothing and shows nothing."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


@pytest.fixture
def random_bytes() -> Callable[[int], bytes]:
    return os.urandom


@dataclass(frozen=True)
class Forged:
    """A certificate (DER) of any shape, its key, and what is needed to sign others with it."""

    key: TlsKey
    certificate: x509.Certificate
    private_key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


def forge(
    name: str,
    *,
    ca: bool = False,
    issuer: Forged | None = None,
    from_days: float = -1,
    to_days: float = 30,
    rsa_bits: int = 0,
) -> Forged:
    private_key = (
        rsa.generate_private_key(65537, rsa_bits) if rsa_bits else ec.generate_private_key(ec.SECP384R1())
    )
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    signer = issuer or Forged(TlsKey(b"", Secret(b"")), None, private_key)  # type: ignore[arg-type]
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(private_key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + timedelta(days=from_days))
        .not_valid_after(now + timedelta(days=to_days))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(x509.KeyUsage(True, False, False, False, False, ca, False, False, False), True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(private_key.public_key()), False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.private_key.public_key()), False
        )
    )
    certificate = builder.sign(signer.private_key, hashes.SHA384())
    private = private_key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    return Forged(TlsKey(certificate.public_bytes(Encoding.DER), Secret(private)), certificate, private_key)


@pytest.fixture
def copy_certificate() -> Callable[[bytes], bytes]:
    """Makes a certificate that says all that another one says, with another key."""

    def copy(der: bytes) -> bytes:
        original = x509.load_der_x509_certificate(der)
        private_key = ec.generate_private_key(ec.SECP384R1())
        builder = x509.CertificateBuilder(
            original.issuer,
            original.subject,
            private_key.public_key(),
            original.serial_number,
            original.not_valid_before_utc,
            original.not_valid_after_utc,
            list(original.extensions),
        )
        return builder.sign(private_key, hashes.SHA384()).public_bytes(Encoding.DER)

    return copy


@pytest.fixture
def forge_certificate() -> Callable[..., Forged]:
    return forge
