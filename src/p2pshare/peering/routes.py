"""The seven routes: bytes in, one call of `PeerExchange`, bytes out. Anything else is 404."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from functools import partial

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
from p2pshare.http_server.interface import Body, Call, Route
from p2pshare.http_server.refusals import NO_SUCH_ROUTE, RequestRefused
from p2pshare.identifiers import EnvelopeId, PartnerId
from p2pshare.limits import ENVELOPE_REQUEST_BYTES_MAX, REQUEST_BYTES_MAX, SYNC_BYTES_MAX
from p2pshare.peering.bodies import encode_envelopes
from p2pshare.peering.interface import PeerExchange

HELLO_PATH = "/v1/hello"
ANNOUNCE_PATH = "/v1/announce"
FEED_PATH = "/v1/feed"
GET_PATH = "/v1/get"
SYNC_PATH = "/v1/sync"
CARD_PATH = "/v1/card"
ENVELOPES_PATH = "/v1/envelopes/"
ENVELOPE_PATTERN = re.compile(re.escape(ENVELOPES_PATH) + "([0-9a-f]{64})")

Answer = Callable[[PeerExchange, Call[PartnerId]], Awaitable[Body]]


async def _hello(exchange: PeerExchange, call: Call[PartnerId]) -> Body:
    return encode_hello(await exchange.hello(call.caller, decode_hello(call.raw)))


async def _announce(exchange: PeerExchange, call: Call[PartnerId]) -> Body:
    return encode_announce_answer(await exchange.announce(call.caller, decode_announce(call.raw)))


async def _feed(exchange: PeerExchange, call: Call[PartnerId]) -> Body:
    return encode_feed_answer(await exchange.feed(call.caller, decode_feed(call.raw)))


async def _get(exchange: PeerExchange, call: Call[PartnerId]) -> Body:
    return encode_envelopes(exchange.get(call.caller, decode_get_bodies(call.raw).ids))


async def _sync(exchange: PeerExchange, call: Call[PartnerId]) -> Body:
    return encode_sync_answer(await exchange.sync(call.caller, decode_sync(call.raw)))


async def _card(exchange: PeerExchange, call: Call[PartnerId]) -> Body:
    return await exchange.card(call.caller)


async def _put(envelope_id: EnvelopeId, exchange: PeerExchange, call: Call[PartnerId]) -> Body:
    return encode_put_answer(await exchange.put(call.caller, envelope_id, call.raw))


ROUTES: dict[tuple[str, str], tuple[int, Answer]] = {
    ("POST", HELLO_PATH): (REQUEST_BYTES_MAX, _hello),
    ("POST", ANNOUNCE_PATH): (REQUEST_BYTES_MAX, _announce),
    ("POST", FEED_PATH): (REQUEST_BYTES_MAX, _feed),
    ("POST", GET_PATH): (REQUEST_BYTES_MAX, _get),
    ("POST", SYNC_PATH): (SYNC_BYTES_MAX, _sync),
    ("GET", CARD_PATH): (0, _card),
}
"""How large a request body may be, and what answers it."""


def route_of(exchange: PeerExchange, method: str, path: str) -> Route[PartnerId]:
    """Returns the route of a request line. Raises RequestRefused (404)."""
    if (method, path) in ROUTES:
        bytes_max, answer = ROUTES[method, path]
        return Route(bytes_max, partial(answer, exchange))
    match = ENVELOPE_PATTERN.fullmatch(path) if method == "PUT" else None
    if match is None:
        raise RequestRefused(NO_SUCH_ROUTE)
    return Route(ENVELOPE_REQUEST_BYTES_MAX, partial(_put, EnvelopeId.parse(match[1]), exchange), items=1)
