"""The service behind a server, and the server's limits."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from p2pshare import limits
from p2pshare.http_server.refusals import HttpRefusal
from p2pshare.http_server.tls import Pin

Caller = TypeVar("Caller", bound=Hashable)
"""A caller's identity as the service knows it: rates, connections and refusals are counted for each."""

Stream = AsyncGenerator[bytes, None]
Body = bytes | Stream


@dataclass(frozen=True, slots=True)
class Call(Generic[Caller]):
    """A request of an admitted caller; `raw` is its whole body."""

    caller: Caller
    raw: bytes


@dataclass(frozen=True, slots=True)
class Route(Generic[Caller]):
    """A route: the limit of a request's body, the function that answers it, and the items that it counts for beside bytes.

    An answer that `is_held_back` waits for news and is no work meanwhile: it takes no turn.
    """

    request_bytes_max: int
    answer: Callable[[Call[Caller]], Awaitable[Body]]
    items: int = 0
    is_held_back: bool = False


class Service(Protocol[Caller]):
    """The routes of a server and its callers. An answer may raise anything: `refusal_of` gives the refusal to send instead.

    An answer is cancelled when it takes longer than `ServerLimits.request_seconds` or its caller hangs up.
    """

    content_type: str
    """The content type of answers that are bytes, and of refusals."""

    def caller_of(self, pin: Pin | None) -> Caller | None:
        """Returns the owner of a certificate, None for an unknown one; called at each connection and at each request."""

    def route_of(self, method: str, path: str) -> Route[Caller]:
        """Returns the route of a request line. Raises RequestRefused (404)."""

    def refusal_of(self, error: Exception) -> HttpRefusal:
        """Returns the refusal for `error`, which reveals nothing of its message beyond a reason code."""

    def encode_refusal(self, refusal: HttpRefusal) -> bytes:
        """Returns the body of a refusal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerLimits:
    """The limits of one server. Those that depend on its callers and routes have no default."""

    connections_per_caller: int
    requests_per_second: float
    bytes_per_second: float
    items_per_second: float
    """Rates of one caller; a token bucket each, and one for each direction of bytes."""
    body_bytes_max: int
    """The largest body that any route takes: it must fit into a bucket."""
    large_bodies_per_caller: int
    handshake_seconds: float = limits.TLS_HANDSHAKE_SECONDS
    handshakes: int = limits.TLS_HANDSHAKES_MAX
    """Of strangers, and as many connections of theirs that say nothing; the same again for known addresses."""
    handshakes_per_address: int = limits.TLS_HANDSHAKES_PER_ADDRESS_MAX
    strangers_per_second: float = limits.TLS_STRANGERS_PER_SECOND_MAX
    known_per_second: float = limits.TLS_KNOWN_PER_SECOND_MAX
    """Handshakes that may begin: of all strangers together, and of each known address."""
    keepalive_seconds: float = limits.KEEPALIVE_SECONDS
    header_seconds: float = limits.HEADER_SECONDS_MAX
    request_seconds: float = limits.REQUEST_SECONDS_MAX
    grace_seconds: float = limits.BODY_GRACE_SECONDS
    linger_seconds: float = limits.LINGER_SECONDS
    stop_seconds: float = limits.STOP_SECONDS_MAX
    bytes_per_second_min: float = limits.BODY_RATE_BYTES_PER_SECOND_MIN
    buffered_bytes: int = limits.BUFFERED_BODIES_BYTES_MAX
