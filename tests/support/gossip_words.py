"""What the partners of a gossip dialogue say, in short."""

from __future__ import annotations

from p2pshare.gossip import events
from p2pshare.gossip.messages import (
    Announce,
    AnnounceItem,
    Shard,
    ShardRoot,
)
from p2pshare.identifiers import CircleId, EnvelopeId, Epoch, PartnerId

MAIN = CircleId.of("main")
NOW = 1_700_000_000
EPOCH = Epoch(b"e" * 16)
US = PartnerId(bytes(32))
DIFFERENT = (ShardRoot(Shard(MAIN, 4), 7, b"r" * 16),)


def item(number: int, size: int = 1_000, circle: CircleId = MAIN, created: int = NOW) -> AnnounceItem:
    return AnnounceItem(EnvelopeId(number.to_bytes(4, "big") * 8), created, 4, circle, size)


def announce(
    peer: PartnerId,
    *items: AnnounceItem,
    ticket: int = 1,
    counts: tuple[int, int] = (0, 1),
    epoch: Epoch = EPOCH,
) -> events.AnnounceHeard:
    return events.AnnounceHeard(peer, ticket, Announce(epoch, *counts, items))


def held(
    number: int, lsn: int = 1, received_from: PartnerId | None = None, author: PartnerId = US
) -> events.EnvelopeHeld:
    return events.EnvelopeHeld(lsn, item(number), author, received_from, is_own=received_from is None)
