"""What the engine is told. Values; the driver makes them from the network, the store and intake.

Every event that names a peer which has no link (any more) is ignored, save for a refusal of its question.
"""

from __future__ import annotations

from dataclasses import dataclass

from p2pshare.gossip.index import ItemKey
from p2pshare.gossip.messages import (
    Announce,
    AnnounceItem,
    EngineAnswer,
    Hello,
    Poll,
    PutAnswer,
    PutVerdict,
    Shard,
    Sync,
)
from p2pshare.gossip.negentropy.key_index import SortedKeys
from p2pshare.identifiers import CircleId, EnvelopeId, PartnerId


@dataclass(frozen=True, slots=True)
class LinkConfig:
    """A partner we are linked with, as policy decided: the circles its link carries, whether we can dial it.

    `pair` names the shards of the direct envelopes between the two of us; nothing else is in them.
    """

    peer: PartnerId
    circles: frozenset[CircleId]
    is_dialable: bool = True
    card_version: int = 0
    pair: CircleId | None = None

    @property
    def compared(self) -> frozenset[CircleId]:
        """Whose shards are compared on the link."""
        return self.circles if self.pair is None else self.circles | {self.pair}


@dataclass(frozen=True, slots=True)
class LinksConfigured:
    """All links there are from now on. A changed roster may cure what was refused: what was unavailable is forgotten.

    `partners` is how many there are in all, linked with us or not.
    """

    links: tuple[LinkConfig, ...]
    partners: int = 0


@dataclass(frozen=True, slots=True)
class KeysLoaded:
    """What the store has seen of one shard, ascending; at start, and when a link carries a new circle.

    As `SortedKeys` a million of them are taken over at once; otherwise they are sorted in first (0.7 s a million).
    """

    shard: Shard
    keys: SortedKeys | tuple[ItemKey, ...]


@dataclass(frozen=True, slots=True)
class FirstHopsLoaded:
    """Our own relayed envelopes that no partner has acknowledged; at start."""

    items: tuple[AnnounceItem, ...]


@dataclass(frozen=True, slots=True)
class EnvelopeHeld:
    """An envelope was committed; told in order of `lsn`. `received_from` is who handed it over, None where not known.

    `direct_to` are the peers we hand it to ourselves; None for a relayed envelope, () for another's direct one.
    """

    lsn: int
    item: AnnounceItem
    author: PartnerId
    received_from: PartnerId | None = None
    is_own: bool = False
    direct_to: tuple[PartnerId, ...] | None = None


@dataclass(frozen=True, slots=True)
class BodyDecided:
    """Intake's verdict on a body that `peer` handed over under `envelope_id`; after COMMIT, never before.

    Follows every `BodyArrived` and `PutHeard`. A body that was held also comes as `EnvelopeHeld`, before this.
    """

    peer: PartnerId
    envelope_id: EnvelopeId
    verdict: PutVerdict
    reason: str = ""


@dataclass(frozen=True, slots=True)
class BodyUndecided:
    """Intake could not decide about a body (disk full): nothing of it was kept, and it may be asked for again."""

    peer: PartnerId
    envelope_id: EnvelopeId


@dataclass(frozen=True, slots=True)
class OutboxRead:
    """The answer to `actions.ReadOutbox`."""

    peer: PartnerId
    items: tuple[AnnounceItem, ...]


# --- a peer asks -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Heard:
    """An authenticated request that the driver answers alone (bodies, card): the peer lives."""

    peer: PartnerId


@dataclass(frozen=True, slots=True)
class HelloHeard:
    """Reply with its ticket."""

    peer: PartnerId
    ticket: int
    message: Hello


@dataclass(frozen=True, slots=True)
class AnnounceHeard:
    """Reply with its ticket."""

    peer: PartnerId
    ticket: int
    message: Announce


@dataclass(frozen=True, slots=True)
class PollAsked:
    """Reply with its ticket, at the latest after `message.wait_seconds`."""

    peer: PartnerId
    ticket: int
    message: Poll


@dataclass(frozen=True, slots=True)
class SyncAsked:
    """Reply with its ticket, after a number of `Step`s."""

    peer: PartnerId
    ticket: int
    message: Sync


QuestionHeard = HelloHeard | AnnounceHeard | PollAsked | SyncAsked


@dataclass(frozen=True, slots=True)
class PutHeard:
    """A body was pushed to us and goes to intake."""

    peer: PartnerId
    envelope_id: EnvelopeId


# --- a request of ours ends ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class BodyArrived:
    """A body of a `SendGet` came whole and goes to intake; the request goes on."""

    request: int
    envelope_id: EnvelopeId


@dataclass(frozen=True, slots=True)
class BodyGone:
    """The peer does not have this body, or not for us; the request goes on."""

    request: int
    envelope_id: EnvelopeId


@dataclass(frozen=True, slots=True)
class Answered:
    """The answer came whole."""

    request: int
    message: EngineAnswer | PutAnswer | None = None


@dataclass(frozen=True, slots=True)
class Declined:
    """The peer answered, and said no, or what it answered was malformed."""

    request: int
    reason: str


@dataclass(frozen=True, slots=True)
class Failed:
    """No answer came."""

    request: int
    reason: str


@dataclass(frozen=True, slots=True)
class Busy:
    """429: not a failure."""

    request: int
    retry_after_seconds: float


@dataclass(frozen=True, slots=True)
class Step:
    """The driver has a few milliseconds for what takes long; hand it in as long as `Engine.has_work`."""


@dataclass(frozen=True, slots=True)
class Tick:
    """Nothing happened but time."""


Event = (
    LinksConfigured
    | KeysLoaded
    | FirstHopsLoaded
    | EnvelopeHeld
    | BodyDecided
    | BodyUndecided
    | OutboxRead
    | Heard
    | QuestionHeard
    | PutHeard
    | BodyArrived
    | BodyGone
    | Answered
    | Declined
    | Failed
    | Busy
    | Step
    | Tick
)
