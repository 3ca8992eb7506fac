"""The server: admitted connections, rate limits, deadlines; what it lets through goes to `PeerExchange`.

What a request passes, cheap first. Each refusal is counted, and named to the peer by status and reason code:

1. the handshake with a pinned certificate (`listener`, `tls`); nobody else reaches this file
2. the certificate is still pinned, now (a removed partner ends here, its connection is cut)
3. the server is not stopping (503)
4. a known route (404) and a declared length (411) within the route's limit (413)
5. the partner's token buckets (429)
6. room for a large body (429)
7. the body arrives at a minimum rate (or the connection is cut)
8. the exchange answers within a deadline (503), and the answer leaves at a minimum rate (or cut)
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from typing import cast

import aiohttp
from aiohttp import web

from p2pshare.errors import OperatorError
from p2pshare.identifiers import EnvelopeId, PartnerId
from p2pshare.limits import LARGE_BODIES_PER_PARTNER_MAX
from p2pshare.peering.bodies import BodyCutOff, BufferBudget, pieces_of, read_exactly
from p2pshare.peering.connection import (
    MESSAGE_TYPE,
    SERVER_NAME,
    Connection,
    Connections,
    logger,
    place_of,
)
from p2pshare.peering.faults import INTERNAL, STOPPING, Refusal, RequestRefused, answer_to, encode_refusal
from p2pshare.peering.interface import DoorLimits, PeerExchange
from p2pshare.peering.listener import Listener
from p2pshare.peering.rates import Pace, PartnerRates
from p2pshare.peering.routes import Body, Call, Route, Stream, route_of
from p2pshare.peering.tally import Tally
from p2pshare.peering.tls import TlsGate

AIOHTTP_MIN = (3, 14, 3)
BUSY_ANSWER_SECONDS = 0.25  # how long the answer "too many requests" is held back
STREAM_TYPE = "application/octet-stream"


def require_safe_http() -> None:
    """Raises OperatorError unless aiohttp is new enough and parses with its C parser (llhttp).

    The pure Python parser is slower by far and is the one that request smuggling bugs were found in.
    """
    version = tuple(int(part) for part in aiohttp.__version__.split(".")[:3] if part.isdigit())
    parser = aiohttp.http_parser.HttpRequestParser.__module__
    if version < AIOHTTP_MIN or not parser.endswith("._http_parser"):
        raise OperatorError(
            f"aiohttp {aiohttp.__version__} cannot serve partners safely",
            hint=f"install aiohttp >= {'.'.join(map(str, AIOHTTP_MIN))} with its compiled parser "
            "(a wheel, and AIOHTTP_NO_EXTENSIONS not set)",
            reason="unsafe-http",
        )


class PeerServer:
    """Serves partners from `start` to `stop`; all from one event loop."""

    def __init__(self, exchange: PeerExchange, gate: TlsGate, limits: DoorLimits | None = None) -> None:
        require_safe_http()
        self.tally = Tally()
        self._exchange = exchange
        self._gate = gate
        self._limits = limits or DoorLimits()
        self._rates: dict[PartnerId, PartnerRates] = {}
        self._budget = BufferBudget(self._limits.buffered_bytes, LARGE_BODIES_PER_PARTNER_MAX)
        self._in_progress = 0
        self._is_idle = asyncio.Event()
        self._is_idle.set()
        self._is_stopping = False
        self._connections: Connections | None = None
        self._listener: Listener | None = None

    async def start(self, host: str, port: int) -> int:
        """Listens on `host` (name, IPv4 or IPv6 address); returns the port, chosen when `port` is 0.

        Raises OperatorError, `address-in-use` or `cannot-listen`.
        """
        self._connections = Connections(self._serve, self._gate, self._limits, self.tally)
        self._listener = Listener(self._gate.server_context(), self._connections, self._limits, self.tally)
        return await self._listener.start(host, port)

    async def stop(self) -> None:
        """Accepts nobody new, lets requests in progress end for `stop_seconds`, then cuts every connection."""
        self._is_stopping = True
        if self._listener is None or self._connections is None:
            return
        await self._listener.stop()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._limits.stop_seconds):
                await self._is_idle.wait()
        self._connections.abort_all()
        await self._connections.shutdown(timeout=1)

    def drop(self, partner_id: PartnerId) -> None:
        """Unpins the partner and cuts its connections now, whatever they are doing."""
        self._gate.remove(partner_id)
        self._rates.pop(partner_id, None)
        if self._connections is not None:
            self._connections.abort(partner_id)

    @property
    def requests_seen(self) -> int:
        """Requests that reached the HTTP parser and were whole or malformed; zero for anybody unknown."""
        return self._connections.requests_count if self._connections is not None else 0

    @property
    def handshakes_refused(self) -> int:
        """Connections that did not become a partner's."""
        return self.tally.handshakes_refused.total()

    @property
    def handshakes_in_progress(self) -> int:
        """Connections that are not yet known to be anybody's."""
        return self._listener.in_progress if self._listener is not None else 0

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        connection = cast(Connection, request.protocol)
        peer = self._gate.partner_of(connection.pin)
        if peer is None:
            self.tally.refuse(connection.partner_id, "no-longer-pinned")
            connection.abort()
            raise ConnectionResetError
        self._in_progress += 1
        self._is_idle.clear()
        try:
            return await self._answer(peer, request)
        except BodyCutOff:
            self.tally.refuse(peer, "slow-or-cut-body")
            connection.abort()
            raise ConnectionResetError from None
        finally:
            self._in_progress -= 1
            if not self._in_progress:
                self._is_idle.set()

    async def _answer(self, peer: PartnerId, request: web.BaseRequest) -> web.StreamResponse:
        try:
            route, envelope_id, length = await self._admit(peer, request)
            with self._budget.reserve(peer, length):
                raw = await self._read(request, length)
                async with asyncio.timeout(self._limits.request_seconds):
                    body = await route.answer(self._exchange, Call(peer, raw, envelope_id))
                    if not isinstance(body, bytes):
                        body = await _started(body)
        except (BodyCutOff, ConnectionError):
            raise
        except Exception as error:  # noqa: BLE001 - the boundary: anything becomes a refusal and a count
            return await self._refuse(peer, request, error)
        return await self._send(peer, request, web.StreamResponse(), body)

    async def _admit(self, peer: PartnerId, request: web.BaseRequest) -> tuple[Route, EnvelopeId | None, int]:
        """The route, the id in its path and the declared length. Raises RequestRefused."""
        if self._is_stopping:
            raise RequestRefused(STOPPING)
        now = asyncio.get_running_loop().time()
        rates = self._rates.setdefault(peer, PartnerRates(self._limits, now))
        if wait := rates.admit_request(now):
            raise RequestRefused(Refusal(429, "too-many-requests", wait))
        route, envelope_id = route_of(request.method, request.raw_path)
        length = _declared_length(request)
        if length > route.request_bytes_max:
            raise RequestRefused(Refusal(413, "too-large"))
        if wait := rates.admit_body(length, route.envelopes, now):
            raise RequestRefused(Refusal(429, "too-much-at-once", wait))
        return route, envelope_id, length

    async def _read(self, request: web.BaseRequest, length: int) -> bytes:
        if length and request.headers.get("Expect", "").lower() == "100-continue":
            await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        return await read_exactly(request.content, length, self._pace())

    async def _refuse(
        self, peer: PartnerId, request: web.BaseRequest, error: Exception
    ) -> web.StreamResponse:
        refusal = answer_to(error)
        self.tally.refuse(peer, refusal.reason)
        if refusal is INTERNAL:
            logger.error("internal error: %s", place_of(error))
        if refusal.status == 429 and refusal.retry_after_seconds is not None:
            # Asking on costs the asker, not us: with its few connections it can be refused a few times a second.
            await asyncio.sleep(min(refusal.retry_after_seconds, BUSY_ANSWER_SECONDS))
        response = web.StreamResponse(status=refusal.status)
        if refusal.retry_after_seconds is not None:
            response.headers["Retry-After"] = str(math.ceil(refusal.retry_after_seconds))
        return await self._send(peer, request, response, encode_refusal(refusal))

    async def _send(
        self, peer: PartnerId, request: web.BaseRequest, response: web.StreamResponse, body: Body
    ) -> web.StreamResponse:
        """Sends head and body. Raises BodyCutOff when the peer reads too slowly, or our own stream breaks."""
        response.headers["Server"] = SERVER_NAME
        if isinstance(body, bytes):
            response.content_type = MESSAGE_TYPE
            response.content_length = len(body)
            body = _stream_of(b"" if request.method == "HEAD" else body)
        else:
            response.content_type = STREAM_TYPE
        sent, pace = 0, self._pace()
        try:
            async with asyncio.timeout_at(pace.deadline):
                await response.prepare(request)
            async with contextlib.aclosing(body):
                while (piece := await self._next_piece(body, pace)) is not None:
                    async with asyncio.timeout_at(pace.deadline):
                        await response.write(piece)
                    sent += len(piece)
                    pace.moved(len(piece))
            async with asyncio.timeout_at(pace.deadline):
                await response.write_eof()
        except TimeoutError:
            raise BodyCutOff from None
        finally:
            if peer in self._rates:
                self._rates[peer].count_sent(sent)
        return response

    async def _next_piece(self, body: Stream, pace: Pace) -> bytes | None:
        """The next piece of an answer, or None at its end; the time we take for it is not the peer's."""
        loop = asyncio.get_running_loop()
        asked_at = loop.time()
        try:
            async with asyncio.timeout(self._limits.request_seconds):
                piece = await anext(body, None)
        except (ConnectionError, TimeoutError):
            raise
        except Exception as error:  # noqa: BLE001 - the boundary, once more
            logger.error("an answer broke off: %s", place_of(error))
            raise BodyCutOff from None  # the status line is gone: only cutting the connection still says no
        pace.excuse(loop.time() - asked_at)
        return piece

    def _pace(self) -> Pace:
        now = asyncio.get_running_loop().time()
        return Pace(self._limits.grace_seconds, self._limits.bytes_per_second_min, now)


def _declared_length(request: web.BaseRequest) -> int:
    """Bytes of the body, which must be told beforehand: memory and tokens are reserved for it."""
    if "Transfer-Encoding" in request.headers:
        raise RequestRefused(Refusal(411, "length-required"))
    if "Upgrade" in request.headers or request.method == "CONNECT":
        raise RequestRefused(Refusal(400, "no-upgrade"))
    return request.content_length or 0


async def _started(body: Stream) -> Stream:
    """`body` with its first piece at hand, so that what fails before it still becomes a status."""
    first = await anext(body, b"")

    async def whole() -> Stream:
        async with contextlib.aclosing(body):
            yield first
            async for piece in body:
                yield piece

    return whole()


async def _stream_of(body: bytes) -> Stream:
    for piece in pieces_of(body):
        yield piece
