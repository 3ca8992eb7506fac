"""The reader of STIX payloads (`payload_kinds` has the contract): objects go into the store, and those that a list blocks into quarantine.

While somebody else waits for the writer, each piece is written at the end of its turn. While nobody does, up to AHEAD_ROWS are gathered and
put into the order of their values before any is written, in chunks of SLICE_SECONDS each: rows of neighbouring values lie beside one another,
and a store that has grown writes fewer pages. Nothing of such a batch counts as read before all of it is written. Who is killed amid it reads
it again, and storing what is there changes nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from itertools import accumulate
from operator import itemgetter

from p2pshare.errors import PeerError
from p2pshare.intel.extraction import ObjectFacts
from p2pshare.intel.marking import Tlp
from p2pshare.knowledge.interface import NewFrame
from p2pshare.knowledge.knowledge import Knowledge
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
AHEAD_ROWS = 8_192  # gathered before they are written, of all payloads together: 10 MiB of facts
SAMPLED_OBJECTS = 64  # of a batch, to tell whether it says again what is held: a millisecond
WRITING_SECONDS = 0.75 * SLICE_SECONDS  # of a chunk: the next one may be dearer
_Steps = Generator[Place, float | None, None]
CHANGE_MAX = 2.0  # of the size from one chunk to the next: one odd time is no measure


class StixReader:
    """Reads the frames of several payloads into one writer."""

    def __init__(self, node: Node) -> None:
        self._knowledge = node.store.knowledge
        self._is_distrusted = node.store.partners.is_distrusted
        self._content = ContentWriter(node.store.knowledge, node.warning_index, SLICE_ROWS)
        self._is_hurried = True
        self._ahead = 0
        """Rows in all batches together."""

    def begin(self, now: int, *, is_hurried: bool) -> None:
        self._is_hurried = is_hurried
        self._content.begin(now)

    def finish(self) -> None:
        self._content.finish()

    def read(
        self, source: EnvelopeOrigin, payload: ReceivedPayload, refused: Counter[str], place: Place
    ) -> Steps:
        """A place is (frame, objects of it that were read, objects and rows of the payload before that frame), and behind these the
        rows of that frame and of those behind it that are stored, 0 for one that is not.

        Inflating a frame and gathering its first piece is a step; so is each further piece, and each chunk that is written.
        """
        if self._is_distrusted(
            source.author
        ):  # handed on by somebody else: what it sealed for us waits unread
            raise PeerError("its author is not believed here", reason="author-distrusted")
        number, done, objects, rows, *stored = place or (0, 0, 0, 0)
        floor = Tlp.from_label(payload.header.marking) or Tlp.RED  # one that we do not know is the strictest
        batch = _Batch({number + behind: row for behind, row in enumerate(stored) if row})
        content = Content(
            payload.frames, floor, batch.refused, objects=objects, rows=rows, begin=number, is_begun=done > 0
        )
        try:
            for frame in content:
                reach = self._knowledge.reach(source, frame.objects)
                left_out = {number for number, one in enumerate(reach) if not content.take_rows(one.charged)}
                weights = weights_of(frame.objects, reach)
                before = (content.objects_before, content.rows_before)
                is_whole = 0 < done >= len(frame.objects)
                while not is_whole:
                    goes_ahead = self._may_go_ahead()
                    rows_max = PIECE_ROWS if goes_ahead else min(PIECE_ROWS, self._content.room)
                    begin, done = done, piece_end(weights, done, rows_max)
                    is_whole = done >= len(frame.objects)
                    batch.take(content.frame, frame.frame)
                    for one in range(begin, done):
                        if one not in left_out:
                            batch.add(content.frame, frame.objects[one], weights[one])
                            self._ahead += weights[one]
                    if goes_ahead:
                        yield place
                        if self._may_go_ahead():
                            continue
                    yield from self._hand_over(source, batch, place, goes_on=begin > 0 or not is_whole)
                    behind = (content.frame + 1, 0, content.objects, content.rows)
                    place = batch.place_at(behind if is_whole else (content.frame, done, *before))
                    batch.tell(refused)
                    yield place
                    yield from self._write_where_full(place)
                done = 0
            yield from self._hand_over(source, batch, place, goes_on=False)
            batch.tell(refused)
            yield from self._write_where_full((content.frame + 1, 0, content.objects, content.rows))
        finally:
            self._ahead -= batch.rows
        return content.rows

    def _may_go_ahead(self) -> bool:
        return not self._is_hurried and self._ahead < AHEAD_ROWS

    def _hand_over(self, source: EnvelopeOrigin, batch: _Batch, place: Place, *, goes_on: bool) -> _Steps:
        """Have all of the batch written in the order of values, a chunk a step, its rest by the end of the turn. Reading goes on from
        `place` until that is done; `goes_on`: more may come of its frames, so that they need rows."""
        if batch.count(self._content.room) < len(batch.objects) and not self._knowledge.shared_objects(
            batch.sample()
        ):
            batch.sort()  # what is held is compared with what comes, by frames: those are kept together
        while batch.has_more:
            count = batch.count(self._content.room)
            if goes_on or count < len(batch.objects):
                batch.store_frames(self._knowledge, source)
            for frame, rows in batch.remove(count):
                self._content.gather(source, frame, rows)
                self._ahead -= rows
            if batch.has_more:
                yield from self._write_where_full(batch.place_at(place[:4] or (0, 0, 0, 0)))

    def _write_where_full(self, place: Place) -> _Steps:
        if self._content.room <= 0:
            self._note_time(self._content.write(), (yield place))

    def _note_time(self, rows: int, seconds: float | None) -> None:
        """Have as many rows written together as take WRITING_SECONDS, by the time that `rows` of them took."""
        if seconds:
            fitting = rows * WRITING_SECONDS / seconds
            before = self._content.rows_max
            fitting = min(max(fitting, before / CHANGE_MAX), before * CHANGE_MAX)
            self._content.rows_max = min(max(int(fitting), SLICE_ROWS_MIN), SLICE_ROWS_MAX)


class _Batch:
    """Objects of one envelope that were gathered and are not written yet, with what was refused of their frames meanwhile."""

    def __init__(self, frame_rows: dict[int, int]) -> None:
        self.refused: Counter[str] = Counter()
        self.objects: list[tuple[str, int, ObjectFacts, int]] = []
        """(first value, number of the frame, object, rows)."""
        self._frames: dict[int, bytes] = {}
        """By number."""
        self._frame_rows = frame_rows

    @property
    def has_more(self) -> bool:
        return bool(self.objects or self._without_row())

    @property
    def rows(self) -> int:
        return sum(rows for *_, rows in self.objects)

    def take(self, number: int, frame: bytes) -> None:
        """Take a frame, which is stored with its objects, or without any."""
        self._frames[number] = frame

    def _without_row(self) -> list[int]:
        return [number for number in self._frames if number not in self._frame_rows]

    def add(self, number: int, fact: ObjectFacts, rows: int) -> None:
        """Add an object of the frame `number` that touches so many rows."""
        self.objects.append((fact.claims[0].value if fact.claims else "", number, fact, rows))

    def sort(self) -> None:
        self.objects.sort(key=itemgetter(0))

    def sample(self) -> list[str]:
        """Returns the ids of some objects."""
        return [fact.object_id for _, _, fact, _ in self.objects[:: 1 + len(self.objects) // SAMPLED_OBJECTS]]

    def count(self, rows_max: int) -> int:
        """Returns how many objects from the first on have some `rows_max` rows."""
        reached = accumulate(rows for *_, rows in self.objects)
        return next((count for count, rows in enumerate(reached, 1) if rows >= rows_max), len(self.objects))

    def store_frames(self, knowledge: Knowledge, source: EnvelopeOrigin) -> None:
        """Give each frame its row."""
        if numbers := self._without_row():
            rows = knowledge.add_frames(source, [self._frames[number] for number in numbers])
            self._frame_rows.update(zip(numbers, rows, strict=True))

    def remove(self, count: int) -> Iterator[tuple[NewFrame, int]]:
        """Yields the first `count` objects by their frames, with the number of their rows, and those frames that have none."""
        chosen, self.objects = self.objects[:count], self.objects[count:]
        by_frame: dict[int, list[ObjectFacts]] = {number: [] for number in self._without_row()}
        rows: Counter[int] = Counter()
        for _, number, fact, weight in chosen:
            by_frame.setdefault(number, []).append(fact)
            rows[number] += weight
        for number, facts in by_frame.items():
            row = self._frame_rows.get(number)
            yield NewFrame(self._frames[number], facts, row=row), rows[number]
        if not self.objects:
            self._frames.clear()

    def place_at(self, place: Place) -> Place:
        """Returns `place` with the rows of the frames from it on."""
        begin = place[0]
        self._frame_rows = {number: row for number, row in self._frame_rows.items() if number >= begin}
        end = max(self._frame_rows, default=begin - 1) + 1
        return (*place, *(self._frame_rows.get(number, 0) for number in range(begin, end)))

    def tell(self, refused: Counter[str]) -> None:
        """Count what was refused: reading goes on behind it."""
        refused.update(self.refused)
        self.refused.clear()


def weights_of(objects: Sequence[ObjectFacts], reach: Sequence[Reach]) -> list[int]:
    """Returns the rows of each object: one pattern may name a thousand values, and one sighting touch as many."""
    own = [len(one.claims) or 1 for one in objects]
    return [rows + other.rows for rows, other in zip(own, reach, strict=True)] if reach else own


def piece_end(weights: Sequence[int], begin: int, rows_max: int) -> int:
    """Returns the end of a run from `begin` on with some `rows_max` rows."""
    rows = 0
    for end in range(begin, len(weights)):
        rows += weights[end]
        if rows >= rows_max:
            return end + 1
    return len(weights)
