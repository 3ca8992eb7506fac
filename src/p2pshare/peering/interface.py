"""What stands behind the door, and how fast and how much may pass it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from p2pshare import limits
from p2pshare.gossip.messages import PutAnswer
from p2pshare.gossip.protocol import Question
from p2pshare.http_server.interface import ServerLimits
from p2pshare.identifiers import EnvelopeId, PartnerId

Q = TypeVar("Q")
A = TypeVar("A")


class PeerExchange(Protocol):
    """What the server asks for on behalf of `peer`, whose certificate it has just checked.

    Each call may raise a `ShareError`; `faults.answer_to` says which status each becomes. A call is
    cancelled when it takes longer than `DoorLimits.request_seconds` or its peer hangs up. All calls are
    idempotent: a partner may repeat them.
    """

    async def ask(self, peer: PartnerId, question: Question[Q, A], message: Q) -> A:
        """Returns what the engine answers, for some questions after up to `question.wait_seconds`."""

    async def put(self, peer: PartnerId, envelope_id: EnvelopeId, wire: bytes) -> PutAnswer:
        """Answers only after COMMIT."""

    def get(
        self, peer: PartnerId, ids: Sequence[EnvelopeId]
    ) -> AsyncIterator[tuple[EnvelopeId, bytes | None]]:
        """The wire bytes of each id; None both for what is not held and for what this peer may not have.

        The server stops asking when a response is full (`RESPONSE_BYTES_MAX`), so yield lazily.
        """

    async def card(self, peer: PartnerId) -> bytes:
        """Our card, or the chain of all its versions, as file bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorLimits(ServerLimits):
    """The limits of the door to partners; the defaults are the protocol's, tests and the configuration narrow them."""

    connections_per_caller: int = limits.CONNECTIONS_PER_PARTNER_MAX
    requests_per_second: float = 50
    bytes_per_second: float = 32 * limits.MIB
    items_per_second: float = 200
    """Of envelopes that one partner pushes."""
    body_bytes_max: int = limits.ENVELOPE_REQUEST_BYTES_MAX
    large_bodies_per_caller: int = limits.LARGE_BODIES_PER_PARTNER_MAX


@dataclass(frozen=True, slots=True)
class DialLimits:
    """The client's limits."""

    connect_seconds: float = 10
    answer_seconds: float = limits.REQUEST_SECONDS_MAX + limits.BODY_GRACE_SECONDS
    grace_seconds: float = limits.BODY_GRACE_SECONDS
    bytes_per_second_min: float = limits.BODY_RATE_BYTES_PER_SECOND_MIN
