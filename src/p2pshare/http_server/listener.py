"""The listener: accepts TCP connections and runs their TLS handshakes, within caps that apply before TLS.

`loop.create_server` has no cap, so the accept loop is ours. A handshake costs memory and CPU for somebody we do
not know yet, so three things are bounded, each apart for strangers and for known addresses:

1. how many connections wait that have said nothing: each costs a socket, its TLS begins with its first byte
2. how many handshakes are in progress; `handshake_places` decides which one makes room
3. how many handshakes begin in a second (`Turns`)
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import random
import socket
import ssl
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from p2pshare.errors import OperatorError
from p2pshare.http_server.handshake_places import Dropped, HandshakePlaces
from p2pshare.http_server.interface import ServerLimits
from p2pshare.http_server.known_addresses import KnownAddresses, Origin, origin_of
from p2pshare.http_server.rates import BURST_SECONDS, TokenBucket
from p2pshare.http_server.tally import Tally
from p2pshare.http_server.tls import socket_in_handshake
from p2pshare.limits import TLS_SHUTDOWN_SECONDS

BACKLOG = (
    1_024  # the kernel's queue of connections not yet accepted: a second of flood while the loop is busy
)
TURNS_KEPT_MAX = 1_024  # addresses whose last handshakes are counted; the longest idle is forgotten first
TLS_SECONDS_MIN = 0.001  # of a handshake whose turn came at the last moment: asyncio takes no zero
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

EVERY_ADDRESS = ""
"""In place of a host: all addresses of this machine, of both families."""
NO_SUCH_FAMILY = {errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL}

BIND_HINTS = {
    errno.EADDRINUSE: "another program listens there, perhaps a p2pshare that still runs: "
    "stop it, or change `listen` in config.toml",
    errno.EACCES: "ports below 1024 need a privilege: choose a higher one in `listen`",
    errno.EADDRNOTAVAIL: "the address in `listen` is not one of this machine's; "
    "0.0.0.0 or [::] listens on all of them",
}


@dataclass(eq=False)
class Handshake:
    """A connection whose caller is not yet known: silent until its first byte, then run by a task."""

    connection: socket.socket
    origin: Origin
    is_from_known: bool
    deadline: float
    task: asyncio.Task[None] | None = None
    is_in_tls: bool = False
    is_dropped: bool = False


class Turns:
    """The rate at which handshakes begin, one after the other: of all strangers together, and of each known address."""

    def __init__(self, limits: ServerLimits) -> None:
        self._limits = limits
        self._lines: OrderedDict[str | None, tuple[asyncio.Lock, TokenBucket]] = OrderedDict()

    async def wait(self, known_address: str | None) -> None:
        """Wait until a handshake from there may begin; None stands for all strangers."""
        now = asyncio.get_running_loop().time
        lock, bucket = self._line_of(known_address, now())
        async with lock:
            await asyncio.sleep(bucket.wait_seconds(1, now()))
            bucket.take(1)

    def _line_of(self, known_address: str | None, now: float) -> tuple[asyncio.Lock, TokenBucket]:
        line = self._lines.get(known_address)
        if line is None:
            is_stranger = known_address is None
            rate = self._limits.strangers_per_second if is_stranger else self._limits.known_per_second
            line = asyncio.Lock(), TokenBucket(rate, max(1.0, rate * BURST_SECONDS), now)
            self._lines[known_address] = line
            if len(self._lines) > TURNS_KEPT_MAX:
                self._lines.popitem(last=False)
        self._lines.move_to_end(known_address)
        return line


class Listener:
    """Listening sockets and the handshakes in progress on them."""

    def __init__(
        self,
        context: ssl.SSLContext,
        make_protocol: Callable[[], asyncio.Protocol],
        limits: ServerLimits,
        tally: Tally[Any],
        known: KnownAddresses[Any],
    ) -> None:
        self._context = context
        self._make_protocol = make_protocol
        self._limits = limits
        self._tally = tally
        self._known = known
        # Nobody must foresee which connection makes room.
        self._places: HandshakePlaces[Handshake] = HandshakePlaces(limits, random.SystemRandom())
        self._turns = Turns(limits)
        self._sockets: list[socket.socket] = []
        self._accepting: list[asyncio.Task[None]] = []
        self._silent: dict[Handshake, asyncio.TimerHandle] = {}
        self._talking: set[Handshake] = set()  # also those dropped, until they have ended

    async def start(self, host: str, port: int) -> int:
        """Listen on every address of `host`; returns the port (the chosen one when `port` is 0). Raises OperatorError."""
        self.start_on(await _bind(host, port))
        chosen: int = self._sockets[0].getsockname()[1]
        return chosen

    def start_on(self, sockets: Sequence[socket.socket]) -> None:
        """Accept on sockets that listen already; they are closed at the end."""
        self._sockets = list(sockets)
        for sock in self._sockets:
            sock.setblocking(False)
        self._accepting = [asyncio.create_task(self._accept(sock)) for sock in self._sockets]

    @property
    def addresses(self) -> list[str]:
        """Returns where it listens, each as HOST:PORT; an IPv6 address in brackets."""
        return [_shown(*sock.getsockname()[:2]) for sock in self._sockets]

    @property
    def in_progress(self) -> int:
        """Returns the number of handshakes that hold a place; a dropped one ends within a few turns of the loop."""
        return len(self._places)

    async def stop(self) -> None:
        """Stop listening and drop unfinished handshakes; established connections are not touched."""
        for task in self._accepting:
            task.cancel()
        for handshake in [*self._silent, *self._talking]:
            self._cut(handshake)
        tasks = [handshake.task for handshake in self._talking if handshake.task is not None]
        await asyncio.gather(*self._accepting, *tasks, return_exceptions=True)
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
            self._begin(connection, origin_of(address[0]))
            await asyncio.sleep(0)  # `sock_accept` does not yield while the queue is full: let others run

    def _begin(self, connection: socket.socket, origin: Origin) -> None:
        now = asyncio.get_running_loop().time()
        is_known = self._known.is_known(origin.address, now)
        handshake = Handshake(connection, origin, is_known, now + self._limits.handshake_seconds)
        # A partner's first byte follows the last packet of its connection: here and now it is no silent one.
        if _has_spoken(connection):
            self._speak(handshake)
        else:
            self._listen(handshake)

    def _listen(self, handshake: Handshake) -> None:
        loop = asyncio.get_running_loop()
        self._make_room(self._places.arrive(handshake, handshake.origin, is_known=handshake.is_from_known))
        self._silent[handshake] = loop.call_at(
            handshake.deadline, self._end_silent, handshake, "handshake-timeout"
        )
        try:
            loop.add_reader(handshake.connection.fileno(), self._first_byte, handshake)
        except OSError:  # the kernel watches no more sockets: the accept loop must live on
            self._end_silent(handshake, "not-accepted")

    def _first_byte(self, handshake: Handshake) -> None:
        """Go on with a connection at whose socket bytes, an end or an error wait."""
        if _has_spoken(handshake.connection):
            self._unlisten(handshake)
            self._speak(handshake)
        else:
            self._end_silent(handshake, "hung-up")

    def _speak(self, handshake: Handshake) -> None:
        self._make_room(self._places.speak(handshake, handshake.origin, is_known=handshake.is_from_known))
        handshake.task = asyncio.create_task(self._handshake(handshake))
        handshake.task.add_done_callback(lambda _: self._ended(handshake))
        self._talking.add(handshake)

    def _make_room(self, dropped: Dropped[Handshake] | None) -> None:
        if dropped is not None:
            self._tally.refuse_handshake(dropped.reason)
            self._cut(dropped.connection)

    def _cut(self, handshake: Handshake) -> None:
        handshake.is_dropped = True
        if handshake in self._silent:
            self._close_silent(handshake)
        elif handshake.is_in_tls:
            # The transport sees the end of the stream and ends by itself: safe in every state it may be in.
            with contextlib.suppress(OSError):
                handshake.connection.shutdown(socket.SHUT_RDWR)
        elif handshake.task is not None:
            handshake.task.cancel()

    def _end_silent(self, handshake: Handshake, reason: str) -> None:
        self._tally.refuse_handshake(reason)
        self._close_silent(handshake)

    def _close_silent(self, handshake: Handshake) -> None:
        self._places.leave(handshake)
        self._unlisten(handshake)
        handshake.connection.close()

    def _unlisten(self, handshake: Handshake) -> None:
        self._silent.pop(handshake).cancel()
        asyncio.get_running_loop().remove_reader(handshake.connection.fileno())

    def _ended(self, handshake: Handshake) -> None:
        self._talking.discard(handshake)
        self._places.leave(handshake)
        if not handshake.is_in_tls:
            handshake.connection.close()

    async def _handshake(self, handshake: Handshake) -> None:
        """Run a handshake; hand the connection to aiohttp, or close and count it."""
        try:
            async with asyncio.timeout_at(handshake.deadline):
                await self._turns.wait(handshake.origin.address if handshake.is_from_known else None)
            left = handshake.deadline - asyncio.get_running_loop().time()
            await self._tls(handshake, max(left, TLS_SECONDS_MIN))
        except (OSError, ValueError) as error:  # SSLError is an OSError; ValueError: a name that is no text
            if not handshake.is_dropped:
                self._tally.refuse_handshake(_reason(error))
            # The frames of a failed handshake hold it, and it holds them: 300 KiB each until a garbage collection.
            error.__traceback__ = None

    async def _tls(self, handshake: Handshake, seconds: float) -> None:
        handshake.is_in_tls = True
        socket_in_handshake.set(handshake.connection)  # of this task, and of what it starts
        await asyncio.get_running_loop().connect_accepted_socket(
            self._make_protocol,
            handshake.connection,
            ssl=self._context,
            ssl_handshake_timeout=seconds,
            ssl_shutdown_timeout=TLS_SHUTDOWN_SECONDS,
        )


def _has_spoken(connection: socket.socket) -> bool:
    """Returns whether bytes wait at the socket; False at its end, though it is readable there."""
    try:
        return bool(connection.recv(1, socket.MSG_PEEK))
    except OSError:
        return False


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return HANDSHAKE_REASONS.get(error.reason or "", "tls-failed")
    # asyncio reports its handshake timeout as ConnectionAbortedError; a peer's hang-up is a reset or an EOF
    return "handshake-timeout" if isinstance(error, (ConnectionAbortedError, TimeoutError)) else "hung-up"


LOOPBACK_NAMES = frozenset({"localhost", "localhost4", "localhost6", "ip6-localhost", "ip6-loopback"})
"""First labels that distributions write into /etc/hosts for loopback itself: who uses one means this machine alone."""


async def is_name_of_loopback(host: str) -> bool:
    """Returns whether `host` is a name that leads to loopback alone on this machine, though it need not elsewhere: Debian writes the
    machine's own name beside 127.0.1.1 in /etc/hosts. False for addresses, for names of loopback itself, and for those that are not
    found."""
    labels = host.rstrip(".").lower().split(".")
    if _is_numeric(host) or labels[-1] == "localhost" or labels[0] in LOOPBACK_NAMES:
        return False
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError):
        return False
    return all(ipaddress.ip_address(str(address[0]).partition("%")[0]).is_loopback for *_, address in found)


def _is_numeric(host: str) -> bool:
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        try:
            socket.inet_aton(host)  # 127.1, which every resolver takes for 127.0.0.1
        except OSError:
            return False
    return True


async def _bind(host: str, port: int) -> list[socket.socket]:
    if host == EVERY_ADDRESS:
        return _bind_everywhere(port)
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
        several = dict.fromkeys(found)
        for family, kind, protocol, _, address in several:
            is_for_both = len(several) == 1 and address[0] == "::"
            sockets.append(_listening_socket(family, kind, protocol, address, is_for_both=is_for_both))
    except OSError as error:
        for sock in sockets:
            sock.close()
        raise _not_bound(host, port, error) from None
    return sockets


def _not_bound(host: str, port: int, error: OSError) -> OperatorError:
    return OperatorError(
        f"cannot listen on {_shown(host, port)}: {(error.strerror or 'refused').lower()}",
        hint=BIND_HINTS.get(error.errno or 0, "check `listen` in config.toml"),
        reason="address-in-use" if error.errno == errno.EADDRINUSE else "cannot-listen",
    )


def _bind_everywhere(port: int) -> list[socket.socket]:
    """Listen on all addresses of both families; of one where the machine has only that. Raises OperatorError."""
    sockets: list[socket.socket] = []
    for family, host in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):  # noqa: S104 that is what was asked for
        try:
            sockets.append(_listening_socket(family, socket.SOCK_STREAM, 0, (host, port), is_for_both=False))
        except OSError as error:
            is_missing = error.errno in NO_SUCH_FAMILY
            if is_missing and (sockets or family == socket.AF_INET):
                continue
            for sock in sockets:
                sock.close()
            raise _not_bound(host, port, error) from None
        port = sockets[0].getsockname()[1]
    return sockets


def _listening_socket(
    family: socket.AddressFamily,
    kind: socket.SocketKind,
    protocol: int,
    address: tuple[object, ...],
    *,
    is_for_both: bool,
) -> socket.socket:
    """`is_for_both`: on [::] alone whoever has IPv4 comes in, too, as a mapped address (RFC 4291 section 2.5.5.2); else 0.0.0.0 may stand
    beside it."""
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # or a restart waits for TIME_WAIT
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, not is_for_both)
        sock.bind(address)
        sock.listen(BACKLOG)
    except BaseException:
        sock.close()
        raise
    return sock


def _shown(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
