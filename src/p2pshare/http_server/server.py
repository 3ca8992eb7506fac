"""The server: admitted connections, rate limits, deadlines; requests that pass them go to its service.

The checks of a request, cheap first. Each refusal is counted, and named to the caller by status and reason code:

1. the handshake, and a certificate of a known caller (`listener`, `connection`); no other connection reaches this file
2. the certificate is still that of a known caller, now (a removed caller ends here, its connection is cut)
3. the server is not stopping (503)
4. a known route (404) and a declared length (411) within the route's limit (413)
5. the caller's token buckets (429)
6. its turn, while other callers ask as well (it waits; `turns`)
7. room for a large body (429)
8. the body arrives at a minimum rate (or the connection is cut)
9. the service answers within a deadline (503), and the answer leaves at a minimum rate (or cut)
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import ssl
from typing import Generic, cast

import aiohttp
from aiohttp import web

from p2pshare.errors import OperatorError
from p2pshare.http_server.bodies import BodyCutOff, BufferBudget, pieces_of, read_exactly
from p2pshare.http_server.connection import (
    SERVER_NAME,
    Connection,
    Connections,
    ProtocolOf,
    logger,
    place_of,
)
from p2pshare.http_server.interface import Body, Call, Caller, Route, ServerLimits, Service, Stream
from p2pshare.http_server.known_addresses import KnownAddresses
from p2pshare.http_server.listener import Listener
from p2pshare.http_server.rates import CallerRates, Pace
from p2pshare.http_server.refusals import INTERNAL, STOPPING, HttpRefusal, RequestRefused
from p2pshare.http_server.tally import Tally
from p2pshare.http_server.turns import CallerTurns
from p2pshare.limits import REQUEST_BYTES_MAX

AIOHTTP_MIN = (3, 14, 3)
BUSY_ANSWER_SECONDS = 0.25  # how long the answer "too many requests" is held back
STREAM_TYPE = "application/octet-stream"


def require_safe_http() -> None:
    """Require that aiohttp is new enough and parses with its C parser (llhttp). Raises OperatorError `unsafe-http`.

    The pure Python parser is slower by far, and request smuggling bugs were found in it.
    """
    version = tuple(int(part) for part in aiohttp.__version__.split(".")[:3] if part.isdigit())
    parser = aiohttp.http_parser.HttpRequestParser.__module__
    if version < AIOHTTP_MIN or not parser.endswith("._http_parser"):
        raise OperatorError(
            f"aiohttp {aiohttp.__version__} cannot serve HTTP safely",
            hint=f"install aiohttp >= {'.'.join(map(str, AIOHTTP_MIN))} with its compiled parser "
            "(a wheel, and AIOHTTP_NO_EXTENSIONS not set)",
            reason="unsafe-http",
        )


class HttpServer(Generic[Caller]):
    """A server of one service, from `start` to `stop`; all from one event loop."""

    def __init__(
        self,
        service: Service[Caller],
        context: ssl.SSLContext,
        limits: ServerLimits,
        known: KnownAddresses[Caller] | None = None,
        protocol_of: ProtocolOf | None = None,
    ) -> None:
        """Make a server that does not listen yet. Raises OperatorError `unsafe-http` (see `require_safe_http`).

        `known` is told which addresses callers have, beside those that they are admitted from. `protocol_of` names who is no
        caller, and what is spoken with it instead of HTTP.
        """
        require_safe_http()
        self.tally: Tally[Caller] = Tally()
        self._service = service
        self._context = context
        self._limits = limits
        self._known: KnownAddresses[Caller] = known if known is not None else KnownAddresses()
        self._rates: dict[Caller, CallerRates] = {}
        self._turns: CallerTurns[Caller] = CallerTurns()
        self._budget = BufferBudget(limits.buffered_bytes, limits.large_bodies_per_caller)
        self._in_progress = 0
        self._is_idle = asyncio.Event()
        self._is_idle.set()
        self._is_stopping = False
        self._protocol_of = protocol_of
        self._connections: Connections[Caller] | None = None
        self._listener: Listener | None = None

    async def start(self, host: str, port: int) -> int:
        """Listen on `host` (name, IPv4 or IPv6 address, EVERY_ADDRESS); returns the port, a free one when `port` is 0.

        Raises OperatorError, `address-in-use` or `cannot-listen`.
        """
        self._connections = Connections(
            self._serve, self._service, self._limits, self.tally, self._known, self._protocol_of
        )
        self._listener = Listener(self._context, self._connections, self._limits, self.tally, self._known)
        return await self._listener.start(host, port)

    @property
    def addresses(self) -> list[str]:
        """Returns where it listens, each as HOST:PORT."""
        return self._listener.addresses if self._listener is not None else []

    async def stop(self) -> None:
        """Accept no new connection, let requests in progress end for `stop_seconds`, then cut every connection."""
        self._is_stopping = True
        if self._listener is None or self._connections is None:
            return
        await self._listener.stop()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._limits.stop_seconds):
                await self._is_idle.wait()
        self._connections.abort_all()
        await self._connections.shutdown(timeout=1)

    def forget(self, caller: Caller) -> None:
        """Forget the caller's rates and cut its connections now, also in the middle of a request."""
        self._rates.pop(caller, None)
        self._turns.forget(caller)
        self._known.forget(caller)
        if self._connections is not None:
            self._connections.abort(caller)

    @property
    def requests_seen(self) -> int:
        """Returns the number of requests that reached the HTTP parser, whole or malformed; unknown callers never do."""
        return self._connections.requests_count if self._connections is not None else 0

    @property
    def handshakes_refused(self) -> int:
        """Returns the number of connections that were not admitted."""
        return self.tally.handshakes_refused.total()

    @property
    def handshakes_in_progress(self) -> int:
        """Returns the number of connections whose caller is not yet known."""
        return self._listener.in_progress if self._listener is not None else 0

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        connection = cast("Connection[Caller]", request.protocol)
        caller = self._service.caller_of(connection.pin)
        if caller is None:
            self.tally.refuse(connection.caller, "no-longer-pinned")
            connection.abort()
            raise ConnectionResetError
        self._in_progress += 1
        self._is_idle.clear()
        try:
            return await self._answer(caller, request)
        except BodyCutOff:
            self.tally.refuse(caller, "slow-or-cut-body")
            connection.abort()
            raise ConnectionResetError from None
        finally:
            self._in_progress -= 1
            if not self._in_progress:
                self._is_idle.set()

    async def _answer(self, caller: Caller, request: web.BaseRequest) -> web.StreamResponse:
        try:
            route, length = self._admit(caller, request)
            if route.is_held_back:
                body = await self._worked_on(caller, request, route, length)
            elif length <= REQUEST_BYTES_MAX:
                async with self._turns.turn(caller):
                    body = await self._worked_on(caller, request, route, length)
            else:  # which may be long under way
                body = await self._worked_on(caller, request, route, length, self._turns.turn(caller))
        except (BodyCutOff, ConnectionError):
            raise
        except Exception as error:  # noqa: BLE001 - the boundary: anything becomes a refusal and a count
            return await self._refuse(caller, request, error)
        return await self._send(caller, request, web.StreamResponse(), body)

    async def _worked_on(
        self,
        caller: Caller,
        request: web.BaseRequest,
        route: Route[Caller],
        length: int,
        turn: contextlib.AbstractAsyncContextManager[None] | None = None,
    ) -> Body:
        """Returns the answer to a request that was admitted; `turn` is waited for once the body is there."""
        with self._budget.reserve(caller, length):
            raw = await self._read(request, length)
            async with turn or contextlib.nullcontext(), asyncio.timeout(self._limits.request_seconds):
                body = await route.answer(Call(caller, raw))
                return body if isinstance(body, bytes) else await _started(body)

    def _admit(self, caller: Caller, request: web.BaseRequest) -> tuple[Route[Caller], int]:
        """Returns the route and the declared length. Raises RequestRefused."""
        if self._is_stopping:
            raise RequestRefused(STOPPING)
        now = asyncio.get_running_loop().time()
        rates = self._rates.setdefault(caller, CallerRates(self._limits, now))
        if wait := rates.admit_request(now):
            raise RequestRefused(HttpRefusal(429, "too-many-requests", wait))
        route = self._service.route_of(request.method, request.raw_path)
        length = _declared_length(request)
        if length > route.request_bytes_max:
            raise RequestRefused(HttpRefusal(413, "too-large"))
        if wait := rates.admit_body(length, route.items, now):
            raise RequestRefused(HttpRefusal(429, "too-much-at-once", wait))
        return route, length

    async def _read(self, request: web.BaseRequest, length: int) -> bytes:
        if length and request.headers.get("Expect", "").lower() == "100-continue":
            await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        return await read_exactly(request.content, length, self._pace())

    async def _refuse(self, caller: Caller, request: web.BaseRequest, error: Exception) -> web.StreamResponse:
        refusal = self._service.refusal_of(error)
        self.tally.refuse(caller, refusal.reason)
        if refusal is INTERNAL:
            logger.error("internal error: %s", place_of(error))
        if refusal.status == 429 and refusal.retry_after_seconds is not None:
            # Asking on costs the asker, not us: with its few connections it can be refused a few times a second.
            await asyncio.sleep(min(refusal.retry_after_seconds, BUSY_ANSWER_SECONDS))
        response = web.StreamResponse(status=refusal.status)
        if refusal.retry_after_seconds is not None:
            response.headers["Retry-After"] = str(math.ceil(refusal.retry_after_seconds))
        return await self._send(caller, request, response, self._service.encode_refusal(refusal))

    async def _send(
        self, caller: Caller, request: web.BaseRequest, response: web.StreamResponse, body: Body
    ) -> web.StreamResponse:
        """Send head and body. Raises BodyCutOff when the caller reads too slowly, or our own stream breaks."""
        response.headers["Server"] = SERVER_NAME
        if isinstance(body, bytes):
            response.content_type = self._service.content_type
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
            if caller in self._rates:
                self._rates[caller].count_sent(sent)
        return response

    async def _next_piece(self, body: Stream, pace: Pace) -> bytes | None:
        """Returns the next piece of an answer, or None at its end; the time to make it does not count against the caller."""
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
    """Returns the declared bytes of the body: memory and tokens are reserved for it. Raises RequestRefused (411, 400)."""
    if "Transfer-Encoding" in request.headers:
        raise RequestRefused(HttpRefusal(411, "length-required"))
    if "Upgrade" in request.headers or request.method == "CONNECT":
        raise RequestRefused(HttpRefusal(400, "no-upgrade"))
    return request.content_length or 0


async def _started(body: Stream) -> Stream:
    """Returns `body` with its first piece already made, so that a failure before it still becomes a status."""
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
