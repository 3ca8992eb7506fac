"""An admitted connection: aiohttp's protocol, reached only by callers that the service knows.

Whoever is no caller, and is spoken with in another way, is handed over before aiohttp hears of the connection. Three things that aiohttp does not do by itself stand here. A connection with an unknown certificate never
reaches the parser (`connection_made`). The head of a request must arrive within `header_seconds` of its first
byte. And no error of aiohttp writes text to a caller or a traceback to a log.

This file and `_dialling_connector` in `peering/client.py` are the only ones that lean on aiohttp's insides; the
tests in `tests/peering` fail when they change.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Generic

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from p2pshare.http_server.interface import Caller, ServerLimits, Service
from p2pshare.http_server.known_addresses import KnownAddresses
from p2pshare.http_server.refusals import BAD_REQUEST, HttpRefusal
from p2pshare.http_server.tally import Tally
from p2pshare.http_server.tls import Pin, peer_pin
from p2pshare.limits import HEADER_FIELDS_MAX, HEADER_LINE_BYTES_MAX

logger = logging.getLogger(__name__)

ProtocolOf = Callable[[Pin | None, str], asyncio.Protocol | None]
"""Returns the protocol for whoever shows the certificate with this pin from this host, in place of HTTP; None for HTTP."""

SERVER_NAME = "p2pshare"  # in place of the versions of aiohttp and Python


class Connections(web.Server, Generic[Caller]):
    """The admitted connections of one server, and the factory of new ones."""

    def __init__(
        self,
        answer: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]],
        service: Service[Caller],
        limits: ServerLimits,
        tally: Tally[Caller],
        known: KnownAddresses[Caller],
        protocol_of: ProtocolOf | None,
    ) -> None:
        # A caller that asks and hangs up, again and again, must not pile up work beyond its connections' cap.
        super().__init__(answer, handler_cancellation=True)
        self.service = service
        self.limits = limits
        self.tally = tally
        self.protocol_of = protocol_of
        self._known = known
        self._of_caller: dict[Caller, set[Connection[Caller]]] = {}

    def __call__(self) -> Connection[Caller]:
        return Connection(self)

    def enter(self, connection: Connection[Caller]) -> bool:
        """Returns whether this connection, whose handshake is done, may speak HTTP; counts it either way."""
        caller = self.service.caller_of(connection.pin)
        if caller is None:
            self.tally.refuse_handshake("not-pinned")
            return False
        live = self._of_caller.setdefault(caller, set())
        if len(live) >= self.limits.connections_per_caller:
            self.tally.refuse(caller, "too-many-connections")
            return False
        live.add(connection)
        connection.caller = caller
        self.tally.connections_admitted += 1
        self._note_address(caller, connection)
        return True

    def leave(self, connection: Connection[Caller]) -> None:
        """Remove a connection that has ended."""
        caller = connection.caller
        if caller is None or caller not in self._of_caller:
            return
        self._of_caller[caller].discard(connection)
        if not self._of_caller[caller]:
            del self._of_caller[caller]
        # A connection may have lived longer than its address was known.
        if self.service.caller_of(connection.pin) == caller:
            self._note_address(caller, connection)

    def _note_address(self, caller: Caller, connection: Connection[Caller]) -> None:
        if connection.host:
            self._known.note_admitted(caller, connection.host, asyncio.get_running_loop().time())

    def abort(self, caller: Caller) -> None:
        """Cut every connection of the caller at once, also in the middle of a request."""
        for connection in list(self._of_caller.get(caller, ())):
            connection.abort()

    def abort_all(self) -> None:
        """Cut every connection."""
        for caller in list(self._of_caller):
            self.abort(caller)


class Connection(RequestHandler, Generic[Caller]):
    """A TCP connection after its handshake."""

    __slots__ = ("_connections", "_head_timer", "_is_admitted", "caller", "host", "pin")

    def __init__(self, connections: Connections[Caller]) -> None:
        super().__init__(
            connections,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=connections.limits.keepalive_seconds,
            lingering_time=connections.limits.linger_seconds,
            logger=logger,
            access_log=None,  # type: ignore[arg-type] # None switches it off
            max_line_size=HEADER_LINE_BYTES_MAX,
            max_field_size=HEADER_LINE_BYTES_MAX,
            max_headers=HEADER_FIELDS_MAX,
            auto_decompress=False,
        )
        self._connections = connections
        self._head_timer: asyncio.TimerHandle | None = None
        self._is_admitted = False
        self.pin: Pin | None = None
        self.caller: Caller | None = None
        self.host = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.pin = peer_pin(transport.get_extra_info("ssl_object"))
        peer_name = transport.get_extra_info("peername")
        self.host = peer_name[0] if peer_name else ""  # asyncio has none of a connection that was reset
        if (other := self._other_protocol()) is not None:
            self._manager = None
            transport.set_protocol(other)
            other.connection_made(transport)
            return
        self._is_admitted = self._connections.enter(self)
        if self._is_admitted:
            super().connection_made(transport)
        else:
            self._manager = None  # aiohttp's mark of a connection it has nothing to do with
            transport.abort()  # type: ignore[attr-defined]

    def _other_protocol(self) -> asyncio.Protocol | None:
        """Returns the protocol of who is no caller and is spoken with otherwise; None for HTTP, or not at all."""
        protocol_of = self._connections.protocol_of
        return None if protocol_of is None else protocol_of(self.pin, self.host)

    def data_received(self, data: bytes) -> None:
        if not self._is_admitted:
            return
        before = self._request_count
        super().data_received(data)
        if self._request_count > before:
            self._stop_head_timer()
        elif self._head_timer is None and data and not (self._request_in_progress or self._messages):
            self._head_timer = self._loop.call_later(
                self._connections.limits.header_seconds, self._head_too_slow
            )

    def connection_lost(self, exc: BaseException | None) -> None:
        self._stop_head_timer()
        self._connections.leave(self)
        super().connection_lost(exc)

    def abort(self) -> None:
        """Cut the connection now; bytes that were not yet sent are lost."""
        if self.transport is not None:
            self.transport.abort()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Returns aiohttp's own refusals (a head it cannot parse, a bug of ours) without text, and ends the connection."""
        reason = "malformed-http" if status == BAD_REQUEST else "internal"
        if not isinstance(exc, ConnectionError):  # that one is our own cut, already counted
            self._connections.tally.refuse(self.caller, reason)
        service = self._connections.service
        response = web.Response(
            status=status,
            body=service.encode_refusal(HttpRefusal(status, reason)),
            content_type=service.content_type,
            headers={"Server": SERVER_NAME},
        )
        response.force_close()
        return response

    def log_exception(self, *args: Any, **kw: Any) -> None:
        """Log the place of an error alone: enough to find the bug, while a traceback may quote a caller's bytes."""
        logger.error("internal error: %s", place_of(kw.get("exc_info")))

    def _head_too_slow(self) -> None:
        self._head_timer = None
        if self._request_in_progress:
            return  # the bytes were the first of a body whose request was just about to be handled
        self._connections.tally.refuse(self.caller, "slow-head")
        self.abort()

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None


def place_of(error: object) -> str:
    """Returns class and place of an exception, without its message, as `KeyError at routes.py:12`."""
    if not isinstance(error, BaseException):
        return "unknown"
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = f" at {trace.tb_frame.f_code.co_filename.rpartition('/')[2]}:{trace.tb_lineno}" if trace else ""
    return f"{type(error).__name__}{where}"
