"""The listener: accepts TCP connections and runs their TLS handshakes, within caps that apply before TLS.

`loop.create_server` has no cap, so the accept loop is ours. A handshake costs memory and a little CPU for
a caller that is not known yet, so at most `handshakes` run at once, and `handshakes_per_address` for one address.
When there is no room the *oldest* unfinished handshake is dropped, not the newcomer: an honest one takes two
round trips, so the oldest is a stalled one, and a flood of silent connections keeps no honest caller out.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import socket
import ssl
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from p2pshare.errors import OperatorError
from p2pshare.http_server.interface import ServerLimits
from p2pshare.http_server.tally import Tally
from p2pshare.limits import TLS_SHUTDOWN_SECONDS

BACKLOG = 256  # the kernel's queue of connections not yet accepted
OUT_OF_FILES = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
OUT_OF_FILES_PAUSE_SECONDS = 1.0

# OpenSSL's word for why a handshake failed -> ours.
HANDSHAKE_REASONS = {
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": "no-certificate",
    "CERTIFICATE_VERIFY_FAILED": "unknown-certificate",
    "UNSUPPORTED_PROTOCOL": "old-tls",
    "HTTP_REQUEST": "not-tls",
    "HTTPS_PROXY_REQUEST": "not-tls",
    "WRONG_VERSION_NUMBER": "not-tls",
    "RECORD_LAYER_FAILURE": "not-tls",
    "PACKET_LENGTH_TOO_LONG": "not-tls",
}

BIND_HINTS = {
    errno.EADDRINUSE: "another program listens there, perhaps a p2pshare that still runs: "
    "stop it, or change `listen` in config.toml",
    errno.EACCES: "ports below 1024 need a privilege: choose a higher one in `listen`",
    errno.EADDRNOTAVAIL: "the address in `listen` is not one of this machine's; "
    "0.0.0.0 or [::] listens on all of them",
}


@dataclass
class Handshake:
    """A connection whose caller is not yet known; `group` is its `address_group`."""

    connection: socket.socket
    group: str
    is_dropped: bool = False

    def drop(self) -> None:
        """Drop the connection. The transport sees the end of the stream and ends by itself: safe in each of its states."""
        self.is_dropped = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)


class Listener:
    """Listening sockets and the handshakes in progress on them."""

    def __init__(
        self,
        context: ssl.SSLContext,
        make_protocol: Callable[[], asyncio.Protocol],
        limits: ServerLimits,
        tally: Tally[Any],
    ) -> None:
        self._context = context
        self._make_protocol = make_protocol
        self._limits = limits
        self._tally = tally
        self._sockets: list[socket.socket] = []
        self._accepting: list[asyncio.Task[None]] = []
        self._handshakes: dict[asyncio.Task[None], Handshake] = {}  # oldest first

    async def start(self, host: str, port: int) -> int:
        """Listen on every address of `host`; returns the port (the chosen one when `port` is 0). Raises OperatorError."""
        self._sockets = await _bind(host, port)
        self._accepting = [asyncio.create_task(self._accept(sock)) for sock in self._sockets]
        chosen: int = self._sockets[0].getsockname()[1]
        return chosen

    @property
    def in_progress(self) -> int:
        """Returns the number of handshakes that hold a place; a dropped one ends within a few turns of the loop."""
        return sum(not handshake.is_dropped for handshake in self._handshakes.values())

    async def stop(self) -> None:
        """Stop listening and drop unfinished handshakes; established connections are not touched."""
        for task in self._accepting:
            task.cancel()
        for handshake in self._handshakes.values():
            handshake.drop()
        await asyncio.gather(*self._accepting, *self._handshakes, return_exceptions=True)
        for sock in self._sockets:
            sock.close()
        self._sockets, self._accepting = [], []

    async def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, address = await loop.sock_accept(listening)
            except OSError as error:
                # A connection that died in the queue is nothing; without file descriptors we wait for some.
                self._tally.refuse_handshake("not-accepted")
                await asyncio.sleep(OUT_OF_FILES_PAUSE_SECONDS if error.errno in OUT_OF_FILES else 0)
                continue
            self._begin(Handshake(connection, address_group(address[0])))
            await asyncio.sleep(0)  # `sock_accept` does not yield while the queue is full: let others run

    def _begin(self, handshake: Handshake) -> None:
        self._make_room(handshake.group)
        task = asyncio.create_task(self._handshake(handshake))
        self._handshakes[task] = handshake
        task.add_done_callback(lambda done: self._handshakes.pop(done, None))

    def _make_room(self, group: str) -> None:
        running = [handshake for handshake in self._handshakes.values() if not handshake.is_dropped]
        per_group = Counter(handshake.group for handshake in running)
        if per_group[group] >= self._limits.handshakes_per_address:
            crowd = group
        elif len(running) >= self._limits.handshakes:
            crowd = per_group.most_common(1)[0][0]
        else:
            return
        next(handshake for handshake in running if handshake.group == crowd).drop()

    async def _handshake(self, handshake: Handshake) -> None:
        """Run a handshake; hand the connection to aiohttp, or close and count it."""
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                self._make_protocol,
                handshake.connection,
                ssl=self._context,
                ssl_handshake_timeout=self._limits.handshake_seconds,
                ssl_shutdown_timeout=TLS_SHUTDOWN_SECONDS,
            )
        except (OSError, ValueError) as error:  # SSLError is an OSError; ValueError: a name that is no text
            self._tally.refuse_handshake("overtaken" if handshake.is_dropped else _reason(error))


def address_group(host: str) -> str:
    """Returns the unit that counts as one address: an IPv4 address, or the /64 that an IPv6 host commonly owns."""
    address = ipaddress.ip_address(host.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return HANDSHAKE_REASONS.get(error.reason or "", "tls-failed")
    # asyncio reports its handshake timeout as ConnectionAbortedError; a peer's hang-up is a reset or an EOF
    return "handshake-timeout" if isinstance(error, ConnectionAbortedError) else "hung-up"


async def _bind(host: str, port: int) -> list[socket.socket]:
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (socket.gaierror, UnicodeError):
        raise OperatorError(
            f"cannot listen on '{host}': no such host",
            hint="give an address of this machine in `listen`, for example 0.0.0.0:8443",
            reason="cannot-listen",
        ) from None
    sockets: list[socket.socket] = []
    try:
        for family, kind, protocol, _, address in dict.fromkeys(found):
            sockets.append(_listening_socket(family, kind, protocol, address))
    except OSError as error:
        for sock in sockets:
            sock.close()
        raise OperatorError(
            f"cannot listen on {_shown(host, port)}: {(error.strerror or 'refused').lower()}",
            hint=BIND_HINTS.get(error.errno or 0, "check `listen` in config.toml"),
            reason="address-in-use" if error.errno == errno.EADDRINUSE else "cannot-listen",
        ) from None
    return sockets


def _listening_socket(
    family: socket.AddressFamily, kind: socket.SocketKind, protocol: int, address: tuple[object, ...]
) -> socket.socket:
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # or a restart waits for TIME_WAIT
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)  # 0.0.0.0 may stand beside [::]
        sock.bind(address)
        sock.listen(BACKLOG)
    except BaseException:
        sock.close()
        raise
    return sock


def _shown(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
