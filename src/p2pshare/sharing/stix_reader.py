"""The reader of STIX payloads (`payload_kinds` has the contract): objects go into the store, and those that a list blocks into quarantine."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Sequence

from p2pshare.intel.extraction import ObjectFacts
from p2pshare.intel.marking import Tlp
from p2pshare.knowledge.interface import NewFrame
from p2pshare.knowledge.wide_objects import Reach
from p2pshare.log.interface import EnvelopeOrigin
from p2pshare.node.node import Node
from p2pshare.sharing.content import Content
from p2pshare.sharing.payload_kinds import Place, ReceivedPayload
from p2pshare.sharing.storing import ContentWriter

PIECE_ROWS = 512  # claims, or objects without one, of a step: some 10 ms
SLICE_ROWS = 1_024  # ... written together: some 20 ms


class StixReader:
    """Reads the frames of several payloads into one writer."""

    def __init__(self, node: Node) -> None:
        self._reach = node.store.knowledge.reach
        self._content = ContentWriter(node.store.knowledge, node.warning_index, SLICE_ROWS)

    def begin(self, now: int) -> None:
        self._content.begin(now)

    def finish(self) -> None:
        self._content.finish()

    def read(
        self, source: EnvelopeOrigin, payload: ReceivedPayload, refused: Counter[str], place: Place
    ) -> Generator[Place, None, int]:
        """A place is (frame, objects of it that were read, objects and rows of the payload before that frame)."""
        number, done, objects, rows = place or (0, 0, 0, 0)
        floor = Tlp.from_label(payload.header.marking) or Tlp.RED  # one that we do not know is the strictest
        content = Content(
            payload.frames, floor, refused, objects=objects, rows=rows, begin=number, is_begun=done > 0
        )
        for frame in content:
            before = (content.objects_before, content.rows_before)
            reach = self._reach(source, frame.objects)
            if not content.take_rows(sum(one.charged for one in reach)):
                break
            for piece, weight in pieces(frame.objects[done:], reach[done:]) or (
                [((), 0)] if not done else []
            ):
                # what it inflated to is not held
                self._content.add(source, NewFrame(frame.frame, piece, is_continued=done > 0), weight)
                done += len(piece)
                yield content.frame, done, *before
            done = 0
            yield content.frame + 1, 0, content.objects, content.rows
        return content.rows


def pieces(
    objects: Sequence[ObjectFacts], reach: Sequence[Reach] = ()
) -> list[tuple[Sequence[ObjectFacts], int]]:
    """Returns runs of `objects` with some PIECE_ROWS rows each, and their rows: one pattern may name a thousand values, and
    one sighting touch as many."""
    runs: list[tuple[Sequence[ObjectFacts], int]] = []
    begin = rows = 0
    for number, one in enumerate(objects, start=1):
        rows += len(one.claims) or 1
        if reach:
            rows += reach[number - 1].rows
        if rows >= PIECE_ROWS:
            runs.append((objects[begin:number], rows))
            begin, rows = number, 0
    return runs if begin == len(objects) else [*runs, (objects[begin:], rows)]
