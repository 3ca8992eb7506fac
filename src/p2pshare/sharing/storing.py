"""Storing: envelopes into the log, what was read of them into knowledge, and quarantine over both.

The log comes first and knows nothing of content; what is read afterwards is stored under the `EnvelopeOrigin` that it answered
with. What we publish is stored with its content in one transaction; what others send is read after (`reading`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from p2pshare.knowledge.interface import NewFrame, PublicationPart
from p2pshare.knowledge.knowledge import Knowledge
from p2pshare.limits import STORE_CHUNK_OBJECTS
from p2pshare.log.interface import EnvelopeOrigin, NewEnvelope, Stored
from p2pshare.node.store import Store
from p2pshare.sharing.quarantining import Watch
from p2pshare.warninglists.warning_index import WarningIndex


class ContentWriter:
    """A writer of frames of several envelopes together, a chunk at a time: rows that are sorted together cost less, and
    no more than a chunk of them is held at once, however large an envelope is. What a list in `index` blocks is
    quarantined."""

    def __init__(self, knowledge: Knowledge, index: WarningIndex | None, rows_max: int | None = None) -> None:
        self._knowledge = knowledge
        self.rows_max = rows_max or STORE_CHUNK_OBJECTS
        self._index = index
        self._watch = Watch(knowledge, index)
        self._now = 0
        self._pending: list[tuple[EnvelopeOrigin, NewFrame]] = []
        self._rows = 0

    def begin(self, now: int) -> None:
        """Begin a transaction: content that is stored in it is evaluated at `now` (unix seconds)."""
        self._now = now

    def add(self, source: EnvelopeOrigin, frame: NewFrame) -> None:
        """Take a frame; it may be written at once. Raises StoreError."""
        self.gather(source, frame)
        if self.room <= 0:
            self.write()

    def gather(self, source: EnvelopeOrigin, frame: NewFrame, rows: int | None = None) -> None:
        """Take a frame that touches `rows` rows, those of its objects where that is not said; write nothing yet."""
        self._pending.append((source, frame))
        if rows is None:
            rows = sum(len(one.claims) or 1 for one in frame.objects)
        self._rows += rows

    @property
    def room(self) -> int:
        """Returns how many rows are missing in the chunk; 0 or less: it is to be written before more is gathered."""
        return self.rows_max - self._rows

    def finish(self) -> None:
        """Write the rest, and the quarantine: the end of a transaction. Raises StoreError."""
        self.write()
        self._watch.finish(self._now)
        self._watch = Watch(self._knowledge, self._index)

    def write(self) -> int:
        """Write what was gathered; returns how many rows it was. Raises StoreError."""
        rows = self._rows
        if self._pending:
            self._watch.look([one for _, frame in self._pending for one in frame.objects])
            self._knowledge.add(self._pending, self._now)
        self._pending, self._rows = [], 0
        return rows


@dataclass(frozen=True)
class ReadEnvelope(NewEnvelope):
    """An envelope to be stored together with what was read of it; `frames` None where nothing is to be read here."""

    frames: Sequence[NewFrame] | None = None
    part_of: PublicationPart | None = None


def store_envelopes(store: Store, arrivals: Sequence[ReadEnvelope]) -> list[Stored]:
    """Store what is new of `arrivals` with its content, all in one transaction; returns answers in order. No warning list
    is asked.

    Raises what `EnvelopeLog.add` raises, with nothing kept.
    """
    with store.transaction():
        stored = store.log.add(arrivals)
        opened = [
            (answer.source, arrival.frames)
            for answer, arrival in zip(stored, arrivals, strict=True)
            if answer.source is not None and arrival.frames is not None
        ]
        if opened:
            content = ContentWriter(store.knowledge, None)
            content.begin(max(arrival.received_at for arrival in arrivals))
            for source, frames in opened:
                for frame in frames:
                    content.add(source, frame)
            content.finish()
        for answer, arrival in zip(stored, arrivals, strict=True):
            if answer.source is not None and arrival.part_of is not None:
                store.knowledge.put_part(answer.source, arrival.part_of)
    return stored
