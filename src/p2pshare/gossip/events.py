"""Events: the inputs of the engine, as values. The driver makes them from the network, the store and intake.

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
from p2pshare.gossip.moment import Moment
from p2pshare.gossip.negentropy.key_index import SortedKeys
from p2pshare.identifiers import CircleId, EnvelopeId, PartnerId


@dataclass(frozen=True, slots=True)
class LinkConfig:
    """A link to a partner, as policy decided: the circles it carries, and whether the partner can be dialled from here.

    `pair` names the shards of the direct envelopes between these two partners; nothing else is in them.
    """

    peer: PartnerId
    circles: frozenset[CircleId]
    is_dialable: bool = True
    card_version: int = 0
    pair: CircleId | None = None

    @property
    def compared(self) -> frozenset[CircleId]:
        """Returns the circles whose shards are compared on the link, `pair` among them."""
        return self.circles if self.pair is None else self.circles | {self.pair}


@dataclass(frozen=True, slots=True)
class LinksConfigured:
    """The complete set of links from now on. A changed roster may cure a refusal, so unavailable ids are forgotten.

    `partners` is the number of all partners, linked with this node or not.
    """

    links: tuple[LinkConfig, ...]
    partners: int = 0


@dataclass(frozen=True, slots=True)
class ClockSet:
    """The wall clock jumped, or the doubt after that is over. Until the first one the time is what `now` says, in which
    it never jumps."""

    moment: Moment


@dataclass(frozen=True, slots=True)
class OwnCardChanged:
    """Our own card has this version now; every peer that we can ask is greeted with it."""

    version: int


@dataclass(frozen=True, slots=True)
class KeysLoaded:
    """The keys of one shard that the store has seen, ascending; at start, and when a link carries a new circle.

    `SortedKeys` are taken over at once, even a million of them; a tuple is sorted in first (0.7 s a million).
    """

    shard: Shard
    keys: SortedKeys | tuple[ItemKey, ...]


@dataclass(frozen=True, slots=True)
class FirstHopsLoaded:
    """Our own relayed envelopes that no partner has acknowledged; at start."""

    items: tuple[AnnounceItem, ...]


@dataclass(frozen=True, slots=True)
class EnvelopeHeld:
    """An envelope was committed; handed in, in order of `lsn`. `received_from` is the peer it came from, None if not known.

    `direct_to` are the peers at its other end, to whom it is to be handed from here; None for a relayed envelope, () for another author's direct one.
    """

    lsn: int
    item: AnnounceItem
    author: PartnerId
    received_from: PartnerId | None = None
    is_own: bool = False
    direct_to: tuple[PartnerId, ...] | None = None


@dataclass(frozen=True, slots=True)
class ItemsDropped:
    """Notices that a newer card has pushed out, and envelopes that are out of effect: they are compared and announced no more.
    Handed in before what pushed them out is."""

    items: tuple[AnnounceItem, ...]


@dataclass(frozen=True, slots=True)
class ChainMissing:
    """A newer card of `partner` came from `peer` as a notice of `circle`, and versions between it and the known one are missing."""

    peer: PartnerId
    partner: PartnerId
    circle: CircleId


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
class DeferralsEnded:
    """Envelopes that were deferred and, when their time had come, refused: they may be asked for again, for a card or a vouch page
    may let them in later."""

    ids: tuple[EnvelopeId, ...]


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
    """An authenticated request that the driver answers alone (bodies, card); it shows that the peer is reachable."""

    peer: PartnerId


@dataclass(frozen=True, slots=True)
class HelloHeard:
    """A hello of a peer; its `Reply` has the same `ticket`."""

    peer: PartnerId
    ticket: int
    message: Hello


@dataclass(frozen=True, slots=True)
class AnnounceHeard:
    """An announcement of a peer; its `Reply` has the same `ticket`."""

    peer: PartnerId
    ticket: int
    message: Announce


@dataclass(frozen=True, slots=True)
class PollAsked:
    """A long poll of a peer; its `Reply` has the same `ticket` and comes after `message.wait_seconds` at the latest."""

    peer: PartnerId
    ticket: int
    message: Poll


@dataclass(frozen=True, slots=True)
class SyncAsked:
    """A round of a comparison that a peer began; its `Reply` has the same `ticket` and comes after a number of `Step`s."""

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
    """The answer to a request, whole and well-formed; the request has ended."""

    request: int
    message: EngineAnswer | PutAnswer | None = None


@dataclass(frozen=True, slots=True)
class Declined:
    """The peer refused the request, or its answer was malformed; the request has ended."""

    request: int
    reason: str


@dataclass(frozen=True, slots=True)
class Failed:
    """No answer came; the request has ended."""

    request: int
    reason: str


@dataclass(frozen=True, slots=True)
class Busy:
    """The peer answered 429, which is no failure; the request has ended."""

    request: int
    retry_after_seconds: float


@dataclass(frozen=True, slots=True)
class Step:
    """A few milliseconds for scheduled work; the driver hands it in as long as `Engine.has_work`."""


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed, and nothing else happened."""


Event = (
    LinksConfigured
    | ClockSet
    | OwnCardChanged
    | KeysLoaded
    | FirstHopsLoaded
    | EnvelopeHeld
    | ItemsDropped
    | ChainMissing
    | BodyDecided
    | DeferralsEnded
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
