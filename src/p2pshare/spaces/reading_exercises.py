"""The reader of the payload `exercise`: what partners hand over of exercises, entries and heads (docs/exercises.md, "Walls").

Each frame says its realm, and is taken in on the ground of that realm alone: nothing of it is ever asked on real ground. A frame that came in another circle
than its realm's is refused (`wrong-circle`), one of an unknown realm that invites nobody, too (`unknown-realm`). All else is as for the
payloads of real spaces (`spaces.reading_entries`); a place is (frame, entries of it that were taken).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from p2pshare.errors import PeerError
from p2pshare.identifiers import CircleId
from p2pshare.log.interface import EnvelopeOrigin
from p2pshare.node.node import Node
from p2pshare.sharing.payload_kinds import Place, ReceivedPayload, Steps
from p2pshare.spaces.entry_frames import EntryFrame, ExerciseFrame, decode_exercise_frame
from p2pshare.spaces.exercise_grounds import exercises_of, note_exercise
from p2pshare.spaces.reading_entries import heads_taken, taken_entries
from p2pshare.spaces.space_exchange import exchange_of


class ExerciseReader:
    """Takes in what is of exercises, each on its own ground."""

    def __init__(self, node: Node) -> None:
        self._exercises = exercises_of(node)
        for one in self._exercises.all():
            exchange_of(one).spaces.forget()  # a reader is made anew where a transaction was undone
        self._now = 0

    def begin(self, now: int, *, is_hurried: bool) -> None:
        self._now = now

    def finish(self) -> None:
        """Do nothing: what is taken in is written at once."""

    def read(
        self, source: EnvelopeOrigin, payload: ReceivedPayload, refused: Counter[str], place: Place
    ) -> Steps:
        number, done = place or (0, 0)
        rows = 0
        for frame_number in range(number, len(payload.frames)):
            try:
                frame = decode_exercise_frame(payload.frames[frame_number])
                node = self._ground_of(frame, payload)
                rows += len(frame.content.entries) if isinstance(frame.content, EntryFrame) else 1
                for taken in self._taken(node, frame, source, payload, refused, done):
                    yield (frame_number, taken)
                    if self._exercises.get(frame.realm) is not node:
                        break  # it was removed meanwhile
            except PeerError as error:
                refused[error.reason] += 1
            done = 0
            yield (frame_number + 1, 0)
        return rows

    def _ground_of(self, frame: ExerciseFrame, payload: ReceivedPayload) -> Node:
        """Returns the node on whose ground a frame is taken in. Raises PeerError where there is none."""
        if payload.circle != CircleId.of_realm(frame.realm):
            raise PeerError("what is of an exercise came in the circle of another", reason="wrong-circle")
        node = self._exercises.get(frame.realm)
        if node is None:
            wires = frame.content.entries if isinstance(frame.content, EntryFrame) else ()
            node = self._exercises.admitted(frame.realm, wires, payload.author, self._now)
        if exchange_of(node).spaces.is_full():
            raise PeerError("an exercise has as much of the disk as it may", reason="exercise-full")
        return node

    def _taken(
        self,
        node: Node,
        frame: ExerciseFrame,
        source: EnvelopeOrigin,
        payload: ReceivedPayload,
        refused: Counter[str],
        done: int,
    ) -> Iterator[int]:
        exchange = exchange_of(node)
        if isinstance(frame.content, EntryFrame):
            yield from taken_entries(exchange, frame.content, payload.author, self._now, refused, done)
            note_exercise(node)
        else:
            order = (source.incarnation, source.sequence)
            for _ in heads_taken(exchange, frame.content, payload.author, self._now, order):
                yield 0
