"""A door that knows no partner: strangers as one caller, answers in JSON. What `http_server` promises to any room."""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace

import pytest

from p2pshare.envelope.keys import TlsKey
from p2pshare.http_server.interface import Body, Call, Route, ServerLimits
from p2pshare.http_server.refusals import NO_SUCH_ROUTE, HttpRefusal, RequestRefused, refusal_of
from p2pshare.http_server.server import HttpServer
from p2pshare.http_server.tls import Pin, hardened_context, load_own_key
from p2pshare.identifiers import PartnerId

LIMITS = ServerLimits(
    connections_per_caller=2,
    requests_per_second=1_000,
    bytes_per_second=1_000_000,
    items_per_second=1_000,
    body_bytes_max=100,
    large_bodies_per_caller=1,
)


class Library:
    """Counts what it is handed; whoever connects is a reader."""

    content_type = "application/json"

    def __init__(self) -> None:
        self.is_open = True

    def caller_of(self, pin: Pin | None) -> str | None:
        return "reader" if self.is_open else None

    def route_of(self, method: str, path: str) -> Route[str]:
        if (method, path) != ("POST", "/count"):
            raise RequestRefused(NO_SUCH_ROUTE)
        return Route(100, self._count, items=1)

    def refusal_of(self, error: Exception) -> HttpRefusal:
        return refusal_of(error)

    def encode_refusal(self, refusal: HttpRefusal) -> bytes:
        return json.dumps({"title": refusal.reason, "http_status": str(refusal.status)}).encode()

    async def _count(self, call: Call[str]) -> Body:
        if call.raw == b"fail":
            raise ValueError("a secret of the library")
        return json.dumps({"caller": call.caller, "bytes": len(call.raw)}).encode()


@dataclass
class Reader:
    """One connection to the library."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def ask(self, body: bytes, path: str = "/count") -> tuple[int, str, dict[str, object]]:
        head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
        self.writer.write(head.encode() + body)
        lines = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines[1:] if line)
        answer = await self.reader.readexactly(int(headers["content-length"]))
        return int(lines[0].split()[1]), headers["content-type"], json.loads(answer)


@dataclass
class Door:
    """A library that is open, and the connections to it."""

    library: Library
    server: HttpServer[str]
    port: int
    readers: list[Reader] = field(default_factory=list)

    async def enter(self) -> Reader:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        self.readers.append(Reader(*await asyncio.open_connection("127.0.0.1", self.port, ssl=context)))
        return self.readers[-1]

    async def close(self) -> None:
        for reader in self.readers:
            reader.writer.transport.abort()
        await self.server.stop()


async def opened(limits: ServerLimits) -> Door:
    key = TlsKey.generate(PartnerId(bytes(32)), int(time.time()), 30)
    context = hardened_context(ssl.PROTOCOL_TLS_SERVER)
    load_own_key(context, key.certificate, key.secret().reveal())
    library = Library()
    server = HttpServer(library, context, limits)
    return Door(library, server, await server.start("127.0.0.1", 0))


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    door = await opened(LIMITS)
    yield door
    await door.close()


async def test_answers_and_refusals_are_written_as_the_service_writes_them(door: Door) -> None:
    reader = await door.enter()
    assert await reader.ask(b"four") == (200, "application/json", {"caller": "reader", "bytes": 4})
    refused = {"title": "no-such-route", "http_status": "404"}
    assert await reader.ask(b"", "/elsewhere") == (404, "application/json", refused)
    assert await reader.ask(b"fail") == (500, "application/json", {"title": "internal", "http_status": "500"})
    assert door.server.tally.take_refused() == {("reader", "no-such-route"): 1, ("reader", "internal"): 1}


async def test_a_body_above_its_routes_limit_is_refused_unread(door: Door) -> None:
    status, _, told = await (await door.enter()).ask(bytes(101))
    assert (status, told["title"]) == (413, "too-large")


async def test_connections_and_rates_are_counted_for_whom_the_service_names() -> None:
    door = await opened(replace(LIMITS, items_per_second=1))
    try:
        first, second = await door.enter(), await door.enter()
        assert (await first.ask(b""))[0] == (await second.ask(b""))[0] == 200  # two seconds' worth, shared
        status, _, told = await first.ask(b"")
        assert (status, told["title"]) == (429, "too-much-at-once")
        third = await door.enter()
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await third.ask(b"")
        refused = door.server.tally.take_refused()
        assert refused == {("reader", "too-much-at-once"): 1, ("reader", "too-many-connections"): 1}
    finally:
        await door.close()


async def test_a_caller_that_is_nobodys_any_more_ends_at_its_next_request(door: Door) -> None:
    reader = await door.enter()
    assert (await reader.ask(b""))[0] == 200
    door.library.is_open = False
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await reader.ask(b"")
    assert door.server.tally.take_refused() == {("reader", "no-longer-pinned"): 1}


async def test_a_caller_that_is_forgotten_leaves_no_known_address(door: Door) -> None:
    reader, now = await door.enter(), asyncio.get_running_loop().time()
    assert (await reader.ask(b""))[0] == 200
    known = door.server._known
    assert known.is_known("127.0.0.1", now)
    door.library.is_open = False
    door.server.forget("reader")
    assert not known.is_known("127.0.0.1", now)


async def test_an_older_tls_is_refused_before_http(door: Door) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await asyncio.open_connection("127.0.0.1", door.port, ssl=context)
    async with asyncio.timeout(5):
        while not door.server.handshakes_refused:
            await asyncio.sleep(0.005)
    assert door.server.tally.handshakes_refused == {"old-tls": 1}
    assert door.server.requests_seen == 0
