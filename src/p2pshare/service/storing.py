"""Storing: envelopes into the log, what could be read of them into knowledge, and quarantine over both.

The log comes first and knows nothing of content; what is read afterwards is stored under the `Source` that it answered
with. Today the three are one transaction: nobody sees an envelope without its claims.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from p2pshare.knowledge.interface import NewFrame
from p2pshare.knowledge.knowledge import Knowledge
from p2pshare.limits import STORE_CHUNK_OBJECTS
from p2pshare.log.interface import NewEnvelope, Source, Stored
from p2pshare.node.store import Store
from p2pshare.service.guarding import Watch
from p2pshare.warninglists.warning_index import WarningIndex


@dataclass(frozen=True)
class Opened:
    """The readable content of an envelope. `frames` is walked once, inside the transaction; it may be lazy."""

    frames: Iterable[NewFrame]
    recipient_sequence: int | None = None
    """The author's number for the envelopes sealed for us (1, 2, ...); None for our own envelopes."""


@dataclass(frozen=True)
class Arriving(NewEnvelope):
    """An envelope to be stored, with what could be read of it."""

    opened: Opened | None = None


def store_envelopes(
    store: Store, arrivals: Sequence[Arriving], *, index: WarningIndex | None = None
) -> list[Stored]:
    """Stores what is new of `arrivals` with its content, and quarantines what a list in `index` blocks, all in one
    transaction; answers in order. Raises what `EnvelopeLog.add` raises, with nothing kept."""
    watch = Watch(store.knowledge, index)
    with store.transaction():
        stored = store.log.add(arrivals)
        opened = [
            (answer.source, arrival.opened)
            for answer, arrival in zip(stored, arrivals, strict=True)
            if answer.source is not None and arrival.opened is not None
        ]
        if opened:
            store.log.mark_opened((source, content.recipient_sequence) for source, content in opened)
            frames = ((source, frame) for source, content in opened for frame in content.frames)
            _store_content(store.knowledge, _looked_at(frames, watch))
            watch.settle(max(arrival.received_at for arrival in arrivals))
    return stored


def _looked_at(frames: Iterable[tuple[Source, NewFrame]], watch: Watch) -> Iterator[tuple[Source, NewFrame]]:
    for source, frame in frames:
        watch.look(frame.objects)
        yield source, frame


def _store_content(knowledge: Knowledge, frames: Iterable[tuple[Source, NewFrame]]) -> None:
    """Hands frames over in parts: no more than a chunk of rows is held at once, however large an envelope is."""
    pending: list[tuple[Source, NewFrame]] = []
    rows = 0
    for source, frame in frames:
        pending.append((source, frame))
        rows += sum(len(one.claims) or 1 for one in frame.objects)  # one pattern may name a thousand values
        if rows >= STORE_CHUNK_OBJECTS:
            knowledge.add(pending)
            pending, rows = [], 0
    if pending:
        knowledge.add(pending)
