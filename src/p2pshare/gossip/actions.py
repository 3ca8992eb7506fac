"""What the engine asks of its driver. Values; the driver performs them in order, or at once where it may.

A request gets exactly one end: `events.Answered`, `Declined`, `Failed` or `Busy` with its number, unless the
engine abandoned it first. An inbound question gets exactly one reply with its ticket, in the same
event or, for a sync or a poll, in a later one.
"""

from __future__ import annotations

from dataclasses import dataclass

from p2pshare.gossip.messages import Announce, EngineAnswer, Hello, Poll, Sync
from p2pshare.identifiers import EnvelopeId, PartnerId


@dataclass(frozen=True, slots=True)
class SendHello:
    """Answer: `Hello`."""

    request: int
    peer: PartnerId
    message: Hello


@dataclass(frozen=True, slots=True)
class SendAnnounce:
    """Answer: `AnnounceAnswer`."""

    request: int
    peer: PartnerId
    message: Announce


@dataclass(frozen=True, slots=True)
class SendPoll:
    """Answer: `PollAnswer`, after up to `message.wait_seconds`."""

    request: int
    peer: PartnerId
    message: Poll


@dataclass(frozen=True, slots=True)
class SendGet:
    """Each body goes to intake at once, with `events.BodyArrived`; then `Answered` with None."""

    request: int
    peer: PartnerId
    ids: tuple[EnvelopeId, ...]


@dataclass(frozen=True, slots=True)
class SendPut:
    """Answer: `PutAnswer`; None when the envelope is no longer held or must not leave on this link."""

    request: int
    peer: PartnerId
    envelope_id: EnvelopeId


@dataclass(frozen=True, slots=True)
class SendSync:
    """Answer: `SyncAnswer`."""

    request: int
    peer: PartnerId
    message: Sync


@dataclass(frozen=True, slots=True)
class FetchCard:
    """The peer has another card than we know: fetch it and let `sharing.partners` decide. Answer: None."""

    request: int
    peer: PartnerId


SendQuestion = SendHello | SendAnnounce | SendPoll | SendSync
"""What carries a message for the peer's engine."""

PeerRequest = SendQuestion | SendGet | SendPut | FetchCard


@dataclass(frozen=True, slots=True)
class Abandon:
    """Cancel this request; its end is no longer waited for. Bodies that came are still taken in."""

    request: int


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to an inbound question."""

    ticket: int
    message: EngineAnswer


@dataclass(frozen=True, slots=True)
class ReplyBusy:
    """429: come back later."""

    ticket: int
    retry_after_seconds: float


@dataclass(frozen=True, slots=True)
class ReplyRefused:
    """There is no link to this peer (empty `reason`), or its question was wrong."""

    ticket: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ReadOutbox:
    """Tell `events.OutboxRead`: the direct envelopes that wait for this peer, oldest first, at most `limit`."""

    peer: PartnerId
    limit: int


@dataclass(frozen=True, slots=True)
class Acknowledge:
    """The peer has these envelopes of ours: persist that. Repeating it changes nothing."""

    peer: PartnerId
    ids: tuple[EnvelopeId, ...]


@dataclass(frozen=True, slots=True)
class Notice:
    """Something a person may want to know: counted and logged, nothing else. `reason` is a reason code."""

    peer: PartnerId
    reason: str


Action = PeerRequest | Abandon | Reply | ReplyBusy | ReplyRefused | ReadOutbox | Acknowledge | Notice
