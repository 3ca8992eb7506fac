"""The verbs of the protocol, from actions to bytes and back: what peering does for the real driver, without HTTP."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum
from types import MappingProxyType
from typing import Any

from p2pshare.errors import PeerError
from p2pshare.gossip import actions, events
from p2pshare.gossip.messages import (
    Announce,
    AnnounceAnswer,
    Feed,
    FeedAnswer,
    GetBodies,
    Hello,
    PutAnswer,
    Sync,
    SyncAnswer,
    decode_announce,
    decode_announce_answer,
    decode_feed,
    decode_feed_answer,
    decode_hello,
    decode_put_answer,
    decode_sync,
    decode_sync_answer,
    encode_announce,
    encode_announce_answer,
    encode_feed,
    encode_feed_answer,
    encode_get_bodies,
    encode_hello,
    encode_put_answer,
    encode_sync,
    encode_sync_answer,
)
from p2pshare.identifiers import EnvelopeId, PartnerId


class Verb(StrEnum):
    """What one partner can ask of another."""

    HELLO = "hello"
    ANNOUNCE = "announce"
    FEED = "feed"
    SYNC = "sync"
    PUT = "put"
    GET = "get"
    CARD = "card"


class Status(Enum):
    """How a request ended."""

    ANSWERED = "answered"
    BUSY = "busy"
    FULL = "full"
    REFUSED = "refused"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: `raw` for a message, `bodies` for a `get`, `seconds` for a pause, `reason` for the rest."""

    status: Status
    raw: bytes = b""
    bodies: tuple[tuple[EnvelopeId, bytes | None], ...] = ()
    seconds: float = 0.0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Question:
    """A verb that the engine answers: how it is written and read on both sides."""

    encode: Callable[[Any], bytes]
    decode: Callable[[bytes], Any]
    event: Callable[[PartnerId, int, Any], events.Event]
    decode_answer: Callable[[bytes], Any]


QUESTIONS: Mapping[Verb, Question] = MappingProxyType(
    {
        Verb.HELLO: Question(encode_hello, decode_hello, events.HelloHeard, decode_hello),
        Verb.ANNOUNCE: Question(
            encode_announce, decode_announce, events.AnnounceHeard, decode_announce_answer
        ),
        Verb.FEED: Question(encode_feed, decode_feed, events.FeedAsked, decode_feed_answer),
        Verb.SYNC: Question(encode_sync, decode_sync, events.SyncAsked, decode_sync_answer),
    }
)

VERBS: Mapping[type[Any], Verb] = MappingProxyType(
    {
        actions.SendHello: Verb.HELLO,
        actions.SendAnnounce: Verb.ANNOUNCE,
        actions.SendFeed: Verb.FEED,
        actions.SendSync: Verb.SYNC,
        actions.SendPut: Verb.PUT,
        actions.SendGet: Verb.GET,
        actions.FetchCard: Verb.CARD,
    }
)

_ANSWER_ENCODERS: Mapping[type[Any], Callable[[Any], bytes]] = MappingProxyType(
    {
        Hello: encode_hello,
        AnnounceAnswer: encode_announce_answer,
        FeedAnswer: encode_feed_answer,
        SyncAnswer: encode_sync_answer,
        PutAnswer: encode_put_answer,
    }
)

Message = Hello | Announce | AnnounceAnswer | Feed | FeedAnswer | Sync | SyncAnswer | PutAnswer


def encode_answer(message: Message) -> bytes:
    return _ANSWER_ENCODERS[type(message)](message)


def encode_get(ids: tuple[EnvelopeId, ...]) -> bytes:
    return encode_get_bodies(GetBodies(ids))


def end_of(number: int, verb: Verb, answer: Answer, busy_seconds_when_full: float) -> events.Event:
    """The event that tells the engine how its request `number` ended."""
    match answer.status:
        case Status.BUSY:
            return events.Busy(number, answer.seconds)
        case Status.FULL:
            return events.Busy(number, busy_seconds_when_full)
        case Status.UNREACHABLE:
            return events.Failed(number, answer.reason)
        case Status.REFUSED:
            return events.Declined(number, answer.reason)
        case Status.ANSWERED:
            pass
    try:
        if verb is Verb.PUT:
            return events.Answered(number, decode_put_answer(answer.raw))
        if verb in QUESTIONS:
            return events.Answered(number, QUESTIONS[verb].decode_answer(answer.raw))
    except PeerError as error:
        return events.Declined(number, error.reason)
    return events.Answered(number)
