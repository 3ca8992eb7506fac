"""The exchange behind the server for partners, and the limits of server and client."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from p2pshare import limits
from p2pshare.envelope.invitation import GuestIntroduced, HostIntroduced, Joined, JoinState, Meeting
from p2pshare.envelope.knock import PlaceAsked
from p2pshare.gossip.messages import DialAnswer, PutAnswer
from p2pshare.gossip.protocol import Question
from p2pshare.http_server.interface import ServerLimits
from p2pshare.identifiers import CircleId, EnvelopeId, PartnerId
from p2pshare.peering.proxies import Proxy

Q = TypeVar("Q")
A = TypeVar("A")


class PeerExchange(Protocol):
    """The calls that the server makes on behalf of `peer`, whose certificate it has just checked.

    Each call may raise a `ShareError`; `faults.answer_to` gives the status that each becomes. A call is
    cancelled when it takes longer than `DoorLimits.request_seconds` or its peer hangs up. All calls are
    idempotent: a partner may repeat them.
    """

    async def ask(self, peer: PartnerId, question: Question[Q, A], message: Q) -> A:
        """Returns the engine's answer, for some questions after up to `question.wait_seconds`."""

    async def put(self, peer: PartnerId, envelope_id: EnvelopeId, wire: bytes) -> PutAnswer:
        """Take an envelope in and return the verdict, only after COMMIT."""

    def get(
        self, peer: PartnerId, ids: Sequence[EnvelopeId]
    ) -> AsyncIterator[tuple[EnvelopeId, bytes | None]]:
        """Yields (id, wire bytes) of each id; None both for one that is not held and for one that this peer may not have.

        The server stops asking when a response is full (`RESPONSE_BYTES_MAX`), so yield lazily.
        """

    async def card(self, peer: PartnerId) -> bytes:
        """Returns our card, or the chain of all its versions, as file bytes."""

    async def chain(self, peer: PartnerId, partner: PartnerId) -> bytes:
        """Returns the chain of all versions of a partner's card. Raises NotFoundError when it is not held, or not for this
        peer."""

    async def members(self, peer: PartnerId, circle: CircleId) -> bytes:
        """Returns our newest member list of a circle. Raises NotFoundError when there is none, or none for this peer."""

    async def dial_back(self, peer: PartnerId) -> DialAnswer:
        """Dial each address on this peer's card, and say what came of it. Raises PeerBusy when somebody was dialled just now."""


class GuestExchange(Protocol):
    """The calls that the server makes for a guest: somebody who holds a card of ours, and nothing more is known of it."""

    def own_version(self) -> int:
        """Returns the version of our card."""

    def own_card(self) -> bytes:
        """Returns our card file, or the chain of all its versions."""

    async def take_card(self, card_file: bytes) -> bool:
        """Take a partner's newer card, or the first one of somebody whom a person has accepted; returns whether there was anything
        new in it. Raises ShareError with its reason."""

    async def take_place(self, place: PlaceAsked, nonce: bytes, host: str) -> bool:
        """Have a person see who asks, from the numeric address `host`, to be a partner; `nonce` is that of the greeting. Returns
        whether it was noted: partners, and whom a person has refused, are not. Raises ShareError with its reason."""


class InvitationExchange(Protocol):
    """The calls that the server makes for a guest of an invitation, whose certificate (DER) is `certificate`. Each may raise a
    PeerError, whose reason the guest is told."""

    async def begin_join(self, certificate: bytes) -> HostIntroduced:
        """Count a guest's first message, and return our answer with a nonce drawn now."""

    async def join(self, meeting: Meeting, said: GuestIntroduced, address: str) -> Joined:
        """Take a guest that came from the network address `address`; returns our signature, and what a person has said so far."""

    async def state_of(self, certificate: bytes) -> JoinState:
        """Returns what a person has said of whoever joined by the invitation."""

    def own_id(self) -> PartnerId:
        """Returns the id that stands in our lines."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorLimits(ServerLimits):
    """The limits of the server for partners; the defaults are the protocol's, tests and the configuration narrow them."""

    connections_per_caller: int = limits.CONNECTIONS_PER_PARTNER_MAX
    requests_per_second: float = 50
    bytes_per_second: float = 32 * limits.MIB
    items_per_second: float = 200
    """Rate of the envelopes that one partner pushes."""
    body_bytes_max: int = limits.ENVELOPE_REQUEST_BYTES_MAX
    large_bodies_per_caller: int = limits.LARGE_BODIES_PER_PARTNER_MAX


@dataclass(frozen=True, slots=True)
class DialLimits:
    """The limits of the client."""

    connect_seconds: float = 10
    answer_seconds: float = limits.REQUEST_SECONDS_MAX + limits.BODY_GRACE_SECONDS
    grace_seconds: float = limits.BODY_GRACE_SECONDS
    bytes_per_second_min: float = limits.BODY_RATE_BYTES_PER_SECOND_MIN
    proxy: Proxy | None = None
    """What is dialled through, None for nothing."""
