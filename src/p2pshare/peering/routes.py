"""The seven routes: bytes in, one call of `PeerExchange`, bytes out. Anything else is 404."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass

from p2pshare.gossip.messages import (
    decode_announce,
    decode_feed,
    decode_get_bodies,
    decode_hello,
    decode_sync,
    encode_announce_answer,
    encode_feed_answer,
    encode_hello,
    encode_put_answer,
    encode_sync_answer,
)
from p2pshare.identifiers import EnvelopeId, PartnerId
from p2pshare.limits import ENVELOPE_REQUEST_BYTES_MAX, REQUEST_BYTES_MAX, SYNC_BYTES_MAX
from p2pshare.peering.bodies import encode_envelopes
from p2pshare.peering.faults import NO_SUCH_ROUTE, RequestRefused
from p2pshare.peering.interface import PeerExchange

HELLO_PATH = "/v1/hello"
ANNOUNCE_PATH = "/v1/announce"
FEED_PATH = "/v1/feed"
GET_PATH = "/v1/get"
SYNC_PATH = "/v1/sync"
CARD_PATH = "/v1/card"
ENVELOPES_PATH = "/v1/envelopes/"
ENVELOPE_PATTERN = re.compile(re.escape(ENVELOPES_PATH) + "([0-9a-f]{64})")

Stream = AsyncGenerator[bytes, None]
Body = bytes | Stream


@dataclass(frozen=True, slots=True)
class Call:
    """One request of an admitted peer; `raw` is its whole body."""

    peer: PartnerId
    raw: bytes
    envelope_id: EnvelopeId | None = None


async def _hello(exchange: PeerExchange, call: Call) -> Body:
    return encode_hello(await exchange.hello(call.peer, decode_hello(call.raw)))


async def _announce(exchange: PeerExchange, call: Call) -> Body:
    return encode_announce_answer(await exchange.announce(call.peer, decode_announce(call.raw)))


async def _feed(exchange: PeerExchange, call: Call) -> Body:
    return encode_feed_answer(await exchange.feed(call.peer, decode_feed(call.raw)))


async def _get(exchange: PeerExchange, call: Call) -> Body:
    return encode_envelopes(exchange.get(call.peer, decode_get_bodies(call.raw).ids))


async def _sync(exchange: PeerExchange, call: Call) -> Body:
    return encode_sync_answer(await exchange.sync(call.peer, decode_sync(call.raw)))


async def _card(exchange: PeerExchange, call: Call) -> Body:
    return await exchange.card(call.peer)


async def _put(exchange: PeerExchange, call: Call) -> Body:
    if call.envelope_id is None:
        raise RequestRefused(NO_SUCH_ROUTE)
    return encode_put_answer(await exchange.put(call.peer, call.envelope_id, call.raw))


@dataclass(frozen=True, slots=True)
class Route:
    """How large a request body may be, how many envelopes it counts for, and what answers it."""

    request_bytes_max: int
    envelopes: int
    answer: Callable[[PeerExchange, Call], Awaitable[Body]]


PUT_ENVELOPE = Route(ENVELOPE_REQUEST_BYTES_MAX, 1, _put)

ROUTES: dict[tuple[str, str], Route] = {
    ("POST", HELLO_PATH): Route(REQUEST_BYTES_MAX, 0, _hello),
    ("POST", ANNOUNCE_PATH): Route(REQUEST_BYTES_MAX, 0, _announce),
    ("POST", FEED_PATH): Route(REQUEST_BYTES_MAX, 0, _feed),
    ("POST", GET_PATH): Route(REQUEST_BYTES_MAX, 0, _get),
    ("POST", SYNC_PATH): Route(SYNC_BYTES_MAX, 0, _sync),
    ("GET", CARD_PATH): Route(0, 0, _card),
}


def route_of(method: str, path: str) -> tuple[Route, EnvelopeId | None]:
    """The route of a request line, and the id in its path. Raises RequestRefused (404)."""
    route = ROUTES.get((method, path))
    if route is not None:
        return route, None
    match = ENVELOPE_PATTERN.fullmatch(path) if method == "PUT" else None
    if match is None:
        raise RequestRefused(NO_SUCH_ROUTE)
    return PUT_ENVELOPE, EnvelopeId.parse(match[1])
