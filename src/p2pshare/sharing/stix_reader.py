"""The reader of STIX payloads (`payload_kinds` has the contract): objects go into the store, and those that a list blocks into quarantine."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence

from p2pshare.errors import PeerError
from p2pshare.intel.extraction import ObjectFacts
from p2pshare.intel.marking import Tlp
from p2pshare.knowledge.interface import NewFrame
from p2pshare.knowledge.wide_objects import Reach
from p2pshare.log.interface import EnvelopeOrigin
from p2pshare.node.node import Node
from p2pshare.sharing.content import Content
from p2pshare.sharing.payload_kinds import SLICE_SECONDS, Place, ReceivedPayload, Steps
from p2pshare.sharing.storing import ContentWriter

PIECE_ROWS = (
    128  # claims, or objects without one, that a step gathers at most: with writing them less than 10 ms
)
SLICE_ROWS = 1_024  # written together at first; then as many as the clock says ...
SLICE_ROWS_MIN = 128  # ... at least: with fewer the statements themselves would be what takes long
SLICE_ROWS_MAX = 8_192  # ... at most: bounds memory
WRITING_SECONDS = 0.75 * SLICE_SECONDS  # of a chunk: the next one may be dearer
CHANGE_MAX = 2.0  # of the size from one chunk to the next: one odd time is no measure


class StixReader:
    """Reads the frames of several payloads into one writer."""

    def __init__(self, node: Node) -> None:
        self._reach = node.store.knowledge.reach
        self._is_distrusted = node.store.partners.is_distrusted
        self._content = ContentWriter(node.store.knowledge, node.warning_index, SLICE_ROWS)

    def begin(self, now: int) -> None:
        self._content.begin(now)

    def finish(self) -> None:
        self._content.finish()

    def read(
        self, source: EnvelopeOrigin, payload: ReceivedPayload, refused: Counter[str], place: Place
    ) -> Steps:
        """A place is (frame, objects of it that were read, objects and rows of the payload before that frame).

        Inflating a frame and gathering its first piece is a step; so is each further piece, and each chunk that is written.
        """
        if self._is_distrusted(
            source.author
        ):  # handed on by somebody else: what it sealed for us waits unread
            raise PeerError("its author is not believed here", reason="author-distrusted")
        number, done, objects, rows = place or (0, 0, 0, 0)
        floor = Tlp.from_label(payload.header.marking) or Tlp.RED  # one that we do not know is the strictest
        content = Content(
            payload.frames, floor, refused, objects=objects, rows=rows, begin=number, is_begun=done > 0
        )
        for frame in content:
            reach = self._reach(source, frame.objects)
            left_out = {number for number, one in enumerate(reach) if not content.take_rows(one.charged)}
            before = (content.objects_before, content.rows_before)
            behind = (content.frame + 1, 0, content.objects, content.rows)
            is_whole = 0 < done >= len(frame.objects)
            while not is_whole:
                piece, weight = piece_of(frame.objects, done, min(PIECE_ROWS, self._content.room), reach)
                # what it inflated to is not held
                kept = _without(piece, left_out, done) if left_out else piece
                self._content.gather(source, NewFrame(frame.frame, kept, is_continued=done > 0), weight)
                done += len(piece)
                is_whole = done >= len(frame.objects)
                here = behind if is_whole else (content.frame, done, *before)
                yield here
                if self._content.room <= 0:
                    rows = self._content.write()
                    self._note_time(rows, (yield here))
            done = 0
        return content.rows

    def _note_time(self, rows: int, seconds: float | None) -> None:
        """Have as many rows written together as take WRITING_SECONDS, by the time that `rows` of them took."""
        if seconds:
            fitting = rows * WRITING_SECONDS / seconds
            before = self._content.rows_max
            fitting = min(max(fitting, before / CHANGE_MAX), before * CHANGE_MAX)
            self._content.rows_max = min(max(int(fitting), SLICE_ROWS_MIN), SLICE_ROWS_MAX)


def _without(piece: Sequence[ObjectFacts], left_out: Collection[int], begin: int) -> Sequence[ObjectFacts]:
    """Returns the objects of a piece that begins at `begin` of its frame, but for those `left_out`."""
    return [one for number, one in enumerate(piece, start=begin) if number not in left_out]


def piece_of(
    objects: Sequence[ObjectFacts], begin: int, rows_max: int, reach: Sequence[Reach] = ()
) -> tuple[Sequence[ObjectFacts], int]:
    """Returns a run of `objects` from `begin` on, with some `rows_max` rows, and their number: one pattern may name a thousand
    values, and one sighting touch as many."""
    rows = 0
    for end in range(begin, len(objects)):
        rows += len(objects[end].claims) or 1
        if reach:
            rows += reach[end].rows
        if rows >= rows_max:
            return objects[begin : end + 1], rows
    return objects[begin:], rows
