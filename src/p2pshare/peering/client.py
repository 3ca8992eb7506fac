"""The client: asks one partner, shows our certificate to it alone, and trusts no size that it declares.

Every call has a deadline that moves on only as bytes do, and a limit on the bytes it holds in memory. All verbs
are idempotent, so a caller may repeat any of them after any fault.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import aiohttp
from aiohttp.abc import ResolveResult
from aiohttp.client_proto import ResponseHandler
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.payload import Payload
from yarl import URL

from p2pshare.config import url_address
from p2pshare.errors import ConfigError, PeerError
from p2pshare.gossip.messages import DialAnswer, GetBodies, PutAnswer
from p2pshare.gossip.protocol import CARD, CHAIN, DIAL, GET, MEMBERS, PUT, Question
from p2pshare.http_server.bodies import BodyCutOff, pieces_of, read_piece
from p2pshare.http_server.rates import Pace
from p2pshare.http_server.tls import peer_pin, pin_of
from p2pshare.identifiers import CircleId, EnvelopeId, PartnerId
from p2pshare.limits import (
    CLIENT_IDLE_SECONDS,
    CONNECTIONS_PER_PARTNER_MAX,
    HEADER_FIELDS_MAX,
    HEADER_LINE_BYTES_MAX,
    KIB,
)
from p2pshare.peering.bodies import EnvelopeSplitter, read_at_most
from p2pshare.peering.faults import (
    CERTIFICATE_REFUSED,
    OTHER_CERTIFICATE,
    PeerUnreachable,
    answered_fault,
    is_unknown_ca_alert,
)
from p2pshare.peering.interface import DialLimits
from p2pshare.peering.proxies import Proxy, tunnel
from p2pshare.peering.tls import TlsGate

Q = TypeVar("Q")
A = TypeVar("A")

REFUSAL_BYTES_MAX = 256
UNASKED_ANSWERS_MAX = 4  # answers nobody waits for: beyond it the connection is cut
READ_BUFFER_BYTES = 64 * KIB


@dataclass(frozen=True, slots=True)
class PeerAddress:
    """A partner's address, and the certificates (DER; two while rotating) that prove its identity."""

    partner_id: PartnerId
    url: str
    certificates: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Gone:
    """An answer for an envelope that the partner does not hold, or not for us."""

    envelope_id: EnvelopeId


class PeerClient:
    """Calls to one partner over at most CONNECTIONS_PER_PARTNER_MAX kept-alive connections.

    Made inside a running event loop; `close` ends its connections. Every call may raise PeerUnreachable,
    PeerBusy, PeerRefused, or a plain PeerError for an answer that breaks the protocol.
    """

    def __init__(self, gate: TlsGate, address: PeerAddress, limits: DialLimits | None = None) -> None:
        """Make a client that has not dialled yet. Raises PeerError `bad-url` or `bad-certificate`."""
        self.address = address
        self._limits = limits or DialLimits()
        self._origin = dial_url(address.url)
        self._is_refused = False
        self._session = aiohttp.ClientSession(
            connector=_dialling_connector(
                gate.client_context(address.certificates),
                frozenset(map(pin_of, address.certificates)),
                functools.partial(gate.note_reached, address.partner_id),
                self._note_refused,
                self._limits.proxy,
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=self._limits.connect_seconds),
            headers={"User-Agent": "p2pshare"},
            read_bufsize=READ_BUFFER_BYTES,
            max_line_size=HEADER_LINE_BYTES_MAX,
            max_field_size=HEADER_LINE_BYTES_MAX,
            max_headers=HEADER_FIELDS_MAX,
        )

    async def close(self) -> None:
        """End every connection."""
        await self._session.close()

    async def ask(self, question: Question[Q, A], message: Q) -> A:
        """Returns the answer of the partner's engine; it may take `question.wait_seconds`."""
        raw = question.request.encode(message)
        return question.answer.decode(
            await self._call(question.method, question.path, raw, question.answer_bytes_max)
        )

    async def put(self, envelope_id: EnvelopeId, wire: bytes) -> PutAnswer:
        """Push an envelope and return the partner's verdict; HELD comes only after its COMMIT.

        Raises PeerFull, a kind of PeerUnreachable, when its disk is full.
        """
        raw = await self._call(PUT.method, PUT.path_of(envelope_id), wire, PUT.answer_bytes_max)
        return PUT.answer.decode(raw)

    async def card(self) -> bytes:
        """Returns the partner's card file, or the chain of its versions: not yet verified."""
        return await self._call(CARD.method, CARD.path, b"", CARD.answer_bytes_max)

    async def dial_back(self) -> DialAnswer:
        """Ask the partner to dial the addresses on our card; returns what came of it. It takes up to `peering.dialling_back.SECONDS_MAX`."""
        return DIAL.answer.decode(await self._call(DIAL.method, DIAL.path, b"", DIAL.answer_bytes_max))

    async def chain(self, partner: PartnerId) -> bytes:
        """Returns every version of the card of another partner: not yet verified."""
        return await self._call(CHAIN.method, CHAIN.path_of(partner), b"", CHAIN.answer_bytes_max)

    async def members(self, circle: CircleId) -> bytes:
        """Returns the partner's newest member list of a circle: not yet verified."""
        return await self._call(MEMBERS.method, MEMBERS.path_of(circle), b"", MEMBERS.answer_bytes_max)

    async def get(self, ids: Sequence[EnvelopeId]) -> AsyncIterator[tuple[EnvelopeId, bytes] | Gone]:
        """Yields each asked envelope as soon as it is whole: (id, wire, not yet verified) or Gone.

        The partner may answer fewer than were asked for. Envelopes yielded before a fault stay valid.
        """
        missing = set(ids)
        splitter = EnvelopeSplitter()
        came_in = 0
        async with self._request(GET.method, GET.path, GET.request.encode(GetBodies(tuple(ids)))) as answer:
            while piece := await answer.next_piece():
                came_in += len(piece)
                if came_in > GET.answer_bytes_max:
                    raise PeerError("an answer is too large", reason="oversized")
                for envelope_id, wire in splitter.feed(piece):
                    if envelope_id not in missing:
                        raise PeerError("an envelope that was not asked for", reason="unasked-envelope")
                    missing.remove(envelope_id)
                    yield Gone(envelope_id) if wire is None else (envelope_id, wire)
            if not splitter.is_between_envelopes:
                raise PeerUnreachable("an answer broke off", reason="cut-off")

    async def _call(self, method: str, path: str, body: bytes, answer_bytes_max: int) -> bytes:
        async with self._request(method, path, body) as answer:
            return await answer.read(answer_bytes_max)

    @contextlib.asynccontextmanager
    async def _request(self, method: str, path: str, body: bytes) -> AsyncIterator[_Answer]:
        """Send a request; the context holds the answer, whose status is 200. Every fault is raised as a PeerError."""
        with self._refusal_told(), _translated_faults():
            pace = Pace(self._limits.answer_seconds, self._limits.bytes_per_second_min, _now())
            pace.moved(len(body))  # the time that sending may take
            if self._session.closed:  # while the request was made ready; the next one has another client
                raise PeerUnreachable("the line was hung up here", reason="cut-off")
            async with asyncio.timeout_at(pace.deadline):
                response = await self._session.request(
                    method,
                    self._origin.join(URL(path)),
                    data=_PiecewisePayload(body) if body else None,
                    allow_redirects=False,
                )
            self._is_refused = False
            try:
                answer = _Answer(response, self._limits)
                if response.status != 200:
                    raw = await answer.read(REFUSAL_BYTES_MAX)
                    raise answered_fault(response.status, raw, response.headers.get("Retry-After"))
                yield answer
            finally:
                response.release()  # back to the pool when it was read to its end, else cut

    def _note_refused(self) -> None:
        """Note that the pinned server has ended a connection because it does not accept our certificate."""
        self._is_refused = True

    @contextlib.contextmanager
    def _refusal_told(self) -> Iterator[None]:
        """Tell a certificate that is not accepted from other broken lines: by then the request may have met a closed socket."""
        try:
            yield
        except PeerUnreachable:
            if not self._is_refused:
                raise
            raise PeerUnreachable("our certificate is not accepted", reason=CERTIFICATE_REFUSED) from None


class _Answer:
    """The body of an answer, read at a minimum rate; time that its reader takes does not count."""

    def __init__(self, response: aiohttp.ClientResponse, limits: DialLimits) -> None:
        self._content = response.content
        self._read_at = _now()
        self._pace = Pace(limits.grace_seconds, limits.bytes_per_second_min, self._read_at)

    async def read(self, bytes_max: int) -> bytes:
        return await read_at_most(self._content, bytes_max, self._pace)

    async def next_piece(self) -> bytes:
        """Returns the bytes that came in, at most a few READ_BUFFER_BYTES; empty at the end."""
        self._pace.excuse(_now() - self._read_at)
        piece = b"" if self._content.at_eof() else await read_piece(self._content, self._pace)
        self._read_at = _now()
        return piece


class _PiecewisePayload(Payload):
    """A request body that is written in pieces and can be written again when a kept connection had died."""

    def __init__(self, body: bytes) -> None:
        super().__init__(body, content_type="application/octet-stream")
        self._size = len(body)

    async def write(self, writer: Any) -> None:
        for piece in pieces_of(self._value):
            await writer.write(piece)

    async def write_with_length(self, writer: Any, content_length: int | None) -> None:
        await self.write(writer)  # the length we declared is the whole

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        return bytes(self._value).decode(encoding, errors)


class _DialledConnection(ResponseHandler):
    """aiohttp's protocol with two more checks: the exact certificate, and no flood of unrequested answers."""

    def __init__(
        self,
        pins: frozenset[bytes],
        reached: Callable[[str, float], None],
        refused: Callable[[], None],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        super().__init__(loop=loop)
        self._pins = pins
        self._reached = reached
        self._refused = refused
        self._is_pinned = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._is_pinned = peer_pin(transport.get_extra_info("ssl_object")) in self._pins
        if not self._is_pinned:
            self.abort()
        elif peer_name := transport.get_extra_info("peername"):  # none of a connection that was reset
            self._reached(peer_name[0], self._loop.time())

    def connection_lost(self, exc: BaseException | None) -> None:
        if self._is_pinned and is_unknown_ca_alert(
            exc
        ):  # said under the pinned server's keys: nobody else can
            self._refused()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if len(self._buffer) > UNASKED_ANSWERS_MAX:
            self.abort()

    def close(self) -> None:
        """Close without TLS's goodbye: a hostile peer could draw it out, and nothing of ours is unsent here."""
        self.abort()


class _TunnellingConnector(aiohttp.TCPConnector):
    """aiohttp's connector whose sockets come through our proxy. It has one of its own for HTTP alone, which resolves names here and
    hands TLS another protocol than ours."""

    def __init__(self, proxy: Proxy, **options: Any) -> None:
        super().__init__(**options)
        self._through = proxy

    async def _resolve_host(self, host: str, port: int, traces: Any = None) -> list[ResolveResult]:
        """Returns the name as it is: the proxy resolves it."""
        return [ResolveResult(hostname=host, host=host, port=port, family=socket.AF_INET, proto=0, flags=0)]

    async def _wrap_create_connection(
        self,
        *args: Any,
        addr_infos: Any,
        req: aiohttp.ClientRequest,
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - of the method it overrides
        **kwargs: Any,
    ) -> tuple[asyncio.Transport, ResponseHandler]:
        kwargs.pop("client_error", None)
        host, port = req.url.raw_host, req.url.port
        assert host is not None and port is not None, "dial_url gives both"
        seconds = timeout.sock_connect or DialLimits().connect_seconds
        async with asyncio.timeout(seconds):  # the handshake, too: a proxy may let us through to nobody
            road = await tunnel(self._through, host, port, seconds)
            try:
                transport, protocol = await self._loop.create_connection(*args, **kwargs, sock=road)
            except BaseException:
                road.close()
                raise
        return transport, protocol


def _unheard(host: str, now: float) -> None:
    """The address at the other end is the proxy's, and no partner's."""


def dial_url(url: str) -> URL:
    """Returns `https://HOST:PORT` of a card's address, and nothing more of it. Raises PeerError `bad-url`.

    Only these are dialled; redirects are not followed. A hostile card can only make us open a TLS connection to an
    address of its choice, which shows nothing of ours before the pinned certificate came.
    """
    try:
        host, port = url_address(url)
        return URL.build(scheme="https", host=host, port=port, path="/")
    except (ConfigError, ValueError):
        raise PeerError("a partner's address is not https://HOST:PORT", reason="bad-url") from None


def _dialling_connector(
    context: ssl.SSLContext,
    pins: frozenset[bytes],
    reached: Callable[[str, float], None],
    refused: Callable[[], None],
    proxy: Proxy | None,
) -> aiohttp.TCPConnector:
    """`reached` is called with the numeric address at which the certificate was shown, and the loop's time, but not where a proxy
    stands between; `refused` when the server there does not accept ours."""
    options: dict[str, Any] = {
        "ssl": context,
        "limit": CONNECTIONS_PER_PARTNER_MAX,
        "keepalive_timeout": CLIENT_IDLE_SECONDS,
        "resolver": aiohttp.ThreadedResolver(),  # the system's, also where aiodns is installed
    }
    if proxy is None:
        connector = aiohttp.TCPConnector(**options)
    else:
        connector, reached = _TunnellingConnector(proxy, **options), _unheard
    # aiohttp has no public place for a protocol of ours; its own setting would be Fingerprint, which
    # switches verification off and shows our certificate first.
    connection = functools.partial(_DialledConnection, pins, reached, refused, asyncio.get_running_loop())
    connector._factory = connection  # type: ignore[assignment]
    return connector


@contextlib.contextmanager
def _translated_faults() -> Iterator[None]:
    """Translate aiohttp's and asyncio's exceptions into ours; their texts may quote the peer and are dropped."""
    try:
        yield
    except PeerError:
        raise
    except (BodyCutOff, aiohttp.ClientPayloadError):
        raise PeerUnreachable("an answer broke off", reason="cut-off") from None
    except TimeoutError:
        raise PeerUnreachable("no answer in time", reason="timeout") from None
    except (HttpProcessingError, aiohttp.ClientResponseError):
        raise PeerError("an answer is not HTTP", reason="malformed-http") from None
    except (aiohttp.ClientError, OSError) as error:
        if _has_cause(error, ssl.SSLCertVerificationError, aiohttp.ClientConnectorCertificateError):
            raise PeerUnreachable("another certificate was shown", reason=OTHER_CERTIFICATE) from None
        if _has_cause(error, ssl.SSLError, aiohttp.ClientSSLError):
            raise PeerUnreachable("the TLS handshake failed", reason="tls") from None
        raise PeerUnreachable("no connection", reason="unreachable") from None


def _has_cause(error: BaseException | None, *kinds: type[BaseException]) -> bool:
    while error is not None:
        if isinstance(error, kinds):
            return True
        error = error.__cause__
    return False


def _now() -> float:
    return asyncio.get_running_loop().time()
