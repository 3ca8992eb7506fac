"""Actions: requests of the engine to its driver, as values. The driver performs them in order, or at once where it may.

A request gets exactly one end: `events.Answered`, `Declined`, `Failed` or `Busy` with its number, unless the
engine abandoned it first. An inbound question gets exactly one reply with its ticket, in the same
event or, for a sync or a poll, in a later one.
"""

from __future__ import annotations

from dataclasses import dataclass

from p2pshare.gossip.messages import Announce, EngineAnswer, Hello, Poll, Sync
from p2pshare.identifiers import CircleId, EnvelopeId, PartnerId


@dataclass(frozen=True, slots=True)
class SendHello:
    """Send a hello; the answer is a `Hello`."""

    request: int
    peer: PartnerId
    message: Hello


@dataclass(frozen=True, slots=True)
class SendAnnounce:
    """Send an announcement; the answer is an `AnnounceAnswer`."""

    request: int
    peer: PartnerId
    message: Announce


@dataclass(frozen=True, slots=True)
class SendPoll:
    """Send a long poll; the answer is a `PollAnswer`, after up to `message.wait_seconds`."""

    request: int
    peer: PartnerId
    message: Poll


@dataclass(frozen=True, slots=True)
class SendGet:
    """Fetch bodies. Each goes to intake at once, with `events.BodyArrived`; at the end `Answered` with None."""

    request: int
    peer: PartnerId
    ids: tuple[EnvelopeId, ...]


@dataclass(frozen=True, slots=True)
class SendPut:
    """Push a body. The answer is a `PutAnswer`, or None when the envelope is no longer held or must not leave on this link."""

    request: int
    peer: PartnerId
    envelope_id: EnvelopeId


@dataclass(frozen=True, slots=True)
class SendSync:
    """Send one round of a comparison; the answer is a `SyncAnswer`."""

    request: int
    peer: PartnerId
    message: Sync


@dataclass(frozen=True, slots=True)
class FetchCard:
    """Fetch the peer's card, which is newer than the one known here, and let `sharing.partners` decide. The answer is None."""

    request: int
    peer: PartnerId


@dataclass(frozen=True, slots=True)
class FetchChain:
    """Fetch every version of the card of `partner`, which the peer holds as a notice of `circle`, and let `sharing.notices`
    decide. The answer is None."""

    request: int
    peer: PartnerId
    partner: PartnerId
    circle: CircleId


SendQuestion = SendHello | SendAnnounce | SendPoll | SendSync
"""Requests that carry a message for the peer's engine."""

PeerRequest = SendQuestion | SendGet | SendPut | FetchCard | FetchChain


@dataclass(frozen=True, slots=True)
class Abandon:
    """Cancel this request and report no end of it. Bodies that came are still taken in."""

    request: int


@dataclass(frozen=True, slots=True)
class Reply:
    """Answer an inbound question."""

    ticket: int
    message: EngineAnswer


@dataclass(frozen=True, slots=True)
class ReplyBusy:
    """Answer an inbound question with 429: come back later."""

    ticket: int
    retry_after_seconds: float


@dataclass(frozen=True, slots=True)
class ReplyRefused:
    """Refuse an inbound question: there is no link to this peer (empty `reason`), or the question was wrong."""

    ticket: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ReadOutbox:
    """Read the direct envelopes that wait for this peer, oldest first, at most `limit`; hand them in as `events.OutboxRead`."""

    peer: PartnerId
    limit: int


@dataclass(frozen=True, slots=True)
class Acknowledge:
    """Persist that the peer has these envelopes of ours. Repeating it changes nothing."""

    peer: PartnerId
    ids: tuple[EnvelopeId, ...]


@dataclass(frozen=True, slots=True)
class Notice:
    """Count and log something that a person may want to know, and do nothing else. `reason` is a reason code."""

    peer: PartnerId
    reason: str


Action = PeerRequest | Abandon | Reply | ReplyBusy | ReplyRefused | ReadOutbox | Acknowledge | Notice
