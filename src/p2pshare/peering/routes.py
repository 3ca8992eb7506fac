"""The routes: the verbs of `gossip.protocol`, each bytes in, one call of `PeerExchange`, bytes out. Any other is 404."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from p2pshare.gossip.protocol import (
    CARD,
    CHAIN,
    CIRCLE_IN_PATH,
    DIAL,
    GET,
    ID_IN_PATH,
    MEMBERS,
    PUT,
    VERBS,
    AnyVerb,
    Question,
)
from p2pshare.http_server.interface import Body, Call, Route
from p2pshare.http_server.refusals import NO_SUCH_ROUTE, RequestRefused
from p2pshare.identifiers import CircleId, EnvelopeId, PartnerId
from p2pshare.peering.bodies import encode_envelopes
from p2pshare.peering.interface import PeerExchange

Answer = Callable[[PeerExchange, Call[PartnerId]], Awaitable[Body]]


async def _ask(question: Question[Any, Any], exchange: PeerExchange, call: Call[PartnerId]) -> Body:
    answer = await exchange.ask(call.caller, question, question.request.decode(call.raw))
    return question.answer.encode(answer)


async def _put(envelope_id: EnvelopeId, exchange: PeerExchange, call: Call[PartnerId]) -> Body:
    return PUT.answer.encode(await exchange.put(call.caller, envelope_id, call.raw))


async def _get(exchange: PeerExchange, call: Call[PartnerId]) -> Body:
    return encode_envelopes(exchange.get(call.caller, GET.request.decode(call.raw).ids))


async def _card(exchange: PeerExchange, call: Call[PartnerId]) -> Body:
    return await exchange.card(call.caller)


async def _dial(exchange: PeerExchange, call: Call[PartnerId]) -> Body:
    return DIAL.answer.encode(await exchange.dial_back(call.caller))


async def _chain(partner: PartnerId, exchange: PeerExchange, call: Call[PartnerId]) -> Body:
    return await exchange.chain(call.caller, partner)


async def _members(circle: CircleId, exchange: PeerExchange, call: Call[PartnerId]) -> Body:
    return await exchange.members(call.caller, circle)


ROUTES: dict[tuple[str, str], tuple[AnyVerb, Answer]] = {
    (GET.method, GET.path): (GET, _get),
    (CARD.method, CARD.path): (CARD, _card),
    (DIAL.method, DIAL.path): (DIAL, _dial),
    **{(verb.method, verb.path): (verb, partial(_ask, verb)) for verb in VERBS if isinstance(verb, Question)},
}
ID_DIGITS = "([0-9a-f]{64})"
PUT_PATH, CHAIN_PATH = (
    re.compile(re.escape(verb.path).replace(re.escape(ID_IN_PATH), ID_DIGITS)) for verb in (PUT, CHAIN)
)
MEMBERS_PATH = re.compile(re.escape(MEMBERS.path).replace(re.escape(CIRCLE_IN_PATH), "([0-9a-f]{32})"))


def route_of(exchange: PeerExchange, method: str, path: str) -> Route[PartnerId]:
    """Returns the route of a request line. Raises RequestRefused (404)."""
    verb, answer = _row_of(method, path)
    return Route(
        verb.request_bytes_max,
        partial(answer, exchange),
        verb.envelopes,
        is_held_back=verb.wait_seconds > 0,
    )


def _row_of(method: str, path: str) -> tuple[AnyVerb, Answer]:
    if method == PUT.method and (match := PUT_PATH.fullmatch(path)) is not None:
        return PUT, partial(_put, EnvelopeId.parse(match[1]))
    if method == CHAIN.method and (match := CHAIN_PATH.fullmatch(path)) is not None:
        return CHAIN, partial(_chain, PartnerId.parse(match[1]))
    if method == MEMBERS.method and (match := MEMBERS_PATH.fullmatch(path)) is not None:
        return MEMBERS, partial(_members, CircleId.parse(match[1]))
    if (method, path) not in ROUTES:
        raise RequestRefused(NO_SUCH_ROUTE)
    return ROUTES[method, path]
