"""The verbs: the requests that one partner can make of another, a row each (docs/gossip.md, "Verbs"; docs/transport.md,
"HTTP").

Routes and client in `peering`, the daemon's driver and the simulator all read these rows. A verb that the engine answers
is a `Question`. To add a verb: its message in `messages`, an action, an event, a row here, and the engine's part in it;
nothing outside this room changes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Generic, TypeVar

from p2pshare.gossip import actions, events
from p2pshare.gossip.messages import (
    BODY_HEAD_BYTES,
    Announce,
    AnnounceAnswer,
    DialAnswer,
    GetBodies,
    Hello,
    HelloAnswer,
    Poll,
    PollAnswer,
    PutAnswer,
    Sync,
    SyncAnswer,
    decode_announce,
    decode_announce_answer,
    decode_dial_answer,
    decode_get_bodies,
    decode_hello,
    decode_poll,
    decode_poll_answer,
    decode_put_answer,
    decode_sync,
    decode_sync_answer,
    encode_announce,
    encode_announce_answer,
    encode_dial_answer,
    encode_get_bodies,
    encode_hello,
    encode_poll,
    encode_poll_answer,
    encode_put_answer,
    encode_sync,
    encode_sync_answer,
)
from p2pshare.identifiers import CircleId, EnvelopeId, PartnerId
from p2pshare.limits import (
    CARD_CHAIN_BYTES_MAX,
    ENVELOPE_BYTES_MAX,
    ENVELOPE_REQUEST_BYTES_MAX,
    MEMBER_LIST_BYTES_MAX,
    POLL_WAIT_SECONDS_MAX,
    REQUEST_BYTES_MAX,
    RESPONSE_BYTES_MAX,
    SYNC_BYTES_MAX,
)

M = TypeVar("M")
Q = TypeVar("Q")
A = TypeVar("A")

ID_IN_PATH = "{id}"
CIRCLE_IN_PATH = "{circle}"


@dataclass(frozen=True, slots=True)
class Codec(Generic[M]):
    """The one form of a message in bytes; `decode` raises PeerError."""

    encode: Callable[[M], bytes]
    decode: Callable[[bytes], M]


RAW: Codec[bytes] = Codec(bytes, bytes)
"""Bytes that are no message: an envelope, a card, nothing; for `get`, a stream of heads and envelopes."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Verb(Generic[Q, A]):
    """A row of the table. `action` sends it, `event` reports that a peer has sent it; `answer` comes with status 200."""

    name: str
    method: str
    path: str
    """`{id}` in it stands for the 64 hexadecimal digits of the id of an envelope, a notice or a partner, `{circle}` for the 32 of a
    circle's."""
    request: Codec[Q]
    answer: Codec[A]
    action: type[actions.PeerRequest] | None = None
    event: type[Any] | None = None
    """None: the daemon asks by itself or for a person, and the driver alone answers; without an event no engine hears of it."""
    request_bytes_max: int = REQUEST_BYTES_MAX
    answer_bytes_max: int = REQUEST_BYTES_MAX
    in_flight_max: int = 1
    """Requests of this verb to one peer at once, at most."""
    envelopes: int = 0
    """Number of envelopes that a request hands over: they have a rate of their own."""
    wait_seconds: float = 0.0
    """Time for which an answer may be held back until there is news."""

    def path_of(self, named: EnvelopeId | PartnerId | CircleId) -> str:
        """Returns the path of a request that is about one envelope, partner or circle."""
        return self.path.replace(CIRCLE_IN_PATH if isinstance(named, CircleId) else ID_IN_PATH, named.text)


AnyVerb = Verb[Any, Any]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Question(Verb[Q, A]):
    """A verb that the engine answers: a message in, a message out."""

    def heard(self, peer: PartnerId, ticket: int, message: Q) -> events.Event:
        """Returns the event of a peer's question; the engine's reply has the same `ticket`."""
        assert self.event is not None
        event: events.Event = self.event(peer, ticket, message)
        return event


HELLO: Question[Hello, HelloAnswer] = Question(
    name="hello",
    method="POST",
    path="/v1/hello",
    request=Codec(encode_hello, decode_hello),
    answer=Codec(encode_hello, decode_hello),
    action=actions.SendHello,
    event=events.HelloHeard,
)
ANNOUNCE: Question[Announce, AnnounceAnswer] = Question(
    name="announce",
    method="POST",
    path="/v1/announce",
    request=Codec(encode_announce, decode_announce),
    answer=Codec(encode_announce_answer, decode_announce_answer),
    action=actions.SendAnnounce,
    event=events.AnnounceHeard,
)
POLL: Question[Poll, PollAnswer] = Question(
    name="poll",
    method="POST",
    path="/v1/poll",
    request=Codec(encode_poll, decode_poll),
    answer=Codec(encode_poll_answer, decode_poll_answer),
    action=actions.SendPoll,
    event=events.PollAsked,
    wait_seconds=POLL_WAIT_SECONDS_MAX,
)
SYNC: Question[Sync, SyncAnswer] = Question(
    name="sync",
    method="POST",
    path="/v1/sync",
    request=Codec(encode_sync, decode_sync),
    answer=Codec(encode_sync_answer, decode_sync_answer),
    action=actions.SendSync,
    event=events.SyncAsked,
    request_bytes_max=SYNC_BYTES_MAX,
    answer_bytes_max=SYNC_BYTES_MAX,
)

# Answered by the driver alone, from the store; the engine hears of it.
GET: Verb[GetBodies, bytes] = Verb(
    name="get",
    method="POST",
    path="/v1/get",
    request=Codec(encode_get_bodies, decode_get_bodies),
    answer=RAW,
    action=actions.SendGet,
    event=events.Heard,
    answer_bytes_max=max(RESPONSE_BYTES_MAX, BODY_HEAD_BYTES + ENVELOPE_BYTES_MAX),
    in_flight_max=2,
)
PUT: Verb[bytes, PutAnswer] = Verb(
    name="put",
    method="PUT",
    path=f"/v1/envelopes/{ID_IN_PATH}",
    request=RAW,
    answer=Codec(encode_put_answer, decode_put_answer),
    action=actions.SendPut,
    event=events.PutHeard,
    request_bytes_max=ENVELOPE_REQUEST_BYTES_MAX,
    in_flight_max=3,
    envelopes=1,
)
CARD: Verb[bytes, bytes] = Verb(
    name="card",
    method="GET",
    path="/v1/card",
    request=RAW,
    answer=RAW,
    action=actions.FetchCard,
    event=events.Heard,
    request_bytes_max=0,
    answer_bytes_max=CARD_CHAIN_BYTES_MAX,
)

CHAIN: Verb[bytes, bytes] = Verb(
    name="chain",
    method="GET",
    path=f"/v1/card/{ID_IN_PATH}",
    request=RAW,
    answer=RAW,
    action=actions.FetchChain,
    event=events.Heard,
    request_bytes_max=0,
    answer_bytes_max=CARD_CHAIN_BYTES_MAX,
)

MEMBERS: Verb[bytes, bytes] = Verb(
    name="members",
    method="GET",
    path=f"/v1/members/{CIRCLE_IN_PATH}",
    request=RAW,
    answer=RAW,
    action=None,
    event=events.Heard,
    request_bytes_max=0,
    answer_bytes_max=MEMBER_LIST_BYTES_MAX,
)

# Asked by a person (`p2pshare doctor`), and answered by the driver alone.
DIAL: Verb[bytes, DialAnswer] = Verb(
    name="dial",
    method="POST",
    path="/v1/dial",
    request=RAW,
    answer=Codec(encode_dial_answer, decode_dial_answer),
    request_bytes_max=0,
)

VERBS: tuple[AnyVerb, ...] = (HELLO, ANNOUNCE, GET, PUT, POLL, SYNC, CARD, CHAIN, MEMBERS, DIAL)

VERB_OF: Mapping[type[Any], AnyVerb] = MappingProxyType(
    {verb.action: verb for verb in VERBS if verb.action is not None}
)
"""Each verb by the action that sends it."""


def question_of(action: actions.SendQuestion) -> Question[Any, Any]:
    """Returns the row of an action that carries a message for the peer's engine."""
    question = VERB_OF[type(action)]
    assert isinstance(question, Question)
    return question
