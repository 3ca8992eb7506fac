"""Content: a payload's frames, inflated and read into facts. Publishing and intake share it.

A partner's own publications go through the same reader as those it receives, so both stores agree on every value. Frames
are read one at a time: however large a payload is when inflated, one frame of it is in memory.
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import msgspec

from p2pshare.envelope.payload import compress_frame, inflate_frame, stated_bytes
from p2pshare.errors import ShareError
from p2pshare.intel.extraction import ObjectFacts, extract
from p2pshare.intel.json_rescue import elements_of
from p2pshare.intel.marking import Meaning, Tlp
from p2pshare.intel.refusals import Refusals
from p2pshare.knowledge.interface import NewFrame
from p2pshare.limits import FRAME_CLAIMS_MAX
from p2pshare.policy.content_cost import ContentBounds, rows_of

logger = logging.getLogger(__name__)

_DEFINITION = re.compile(rb'"type"\s*:\s*"marking-definition"')


@dataclass(frozen=True)
class ReadFrame(NewFrame):
    """A frame that was read, with the JSON array that it inflated to: to look at the objects' bytes, nobody need inflate
    it again."""

    text: bytes = field(repr=False)
    is_whole: bool
    """Whether every object in it was read."""


@dataclass
class Content:
    """Frames still to be read, and counts of what reading them refused so far, by reason. Iterate once."""

    frames: Sequence[bytes]
    floor: Tlp
    """No object in the frames counts as looser than this."""
    refused: Counter[str] = field(default_factory=Counter)
    notes: Refusals = field(default_factory=Refusals)
    """Faults inside objects that were kept."""
    objects: int = 0
    rows: int = 0
    """Of all frames so far (`policy.content_cost`)."""
    begin: int = 0
    """The frame with which reading goes on; of those before it only the marking definitions are read again."""
    is_begun: bool = False
    """Whether what is refused in that frame was counted before."""
    frame: int = 0
    objects_before: int = 0
    rows_before: int = 0
    """The present frame's number, and what was before it."""

    def __post_init__(self) -> None:
        self.bounds = ContentBounds.of(sum(map(len, self.frames)))
        self._is_new = True
        """Whether the present frame was not begun before."""

    def __iter__(self) -> Iterator[ReadFrame]:
        """Yields each frame once it is read. What cannot be read is counted and left out; what is good beside it is kept."""
        budget_bytes = self.bounds.inflated_bytes
        definitions: dict[str, Meaning] = {}
        for number, frame in enumerate(self.frames):
            self.frame = number
            if self.frame < self.begin:
                budget_bytes -= self._pass_over(frame, budget_bytes, definitions)
                continue
            self.objects_before, self.rows_before = self.objects, self.rows
            self._is_new = self.frame > self.begin or not self.is_begun
            try:
                size, affordable_bytes = stated_bytes(frame), budget_bytes
                if size <= budget_bytes:
                    budget_bytes -= size  # before it is tried: one that fails at its end has cost as much
                text = inflate_frame(frame, budget_bytes=affordable_bytes)
                extraction = extract(
                    text, floor=self.floor, definitions=definitions, claims_max=self._claims_left()
                )
            except ShareError as error:
                self.refused[f"content-{error.reason}"] += 1
                continue
            except Exception as error:  # noqa: BLE001 - a bug of ours on one frame must not cost the batch
                logger.error("a frame could not be read: %s", type(error).__name__)
                self.refused["internal-error"] += 1
                continue
            if self._is_new:
                self.refused.update(extraction.refusals.counts)
            self.notes.merge(extraction.notes)
            self.objects += len(extraction.objects)
            if self.objects > self.bounds.objects:
                self.refused["content-too-many-objects"] += 1
                return
            if not self.take_rows(rows_of(extraction.objects)):
                return
            yield ReadFrame(frame, extraction.objects, text, not extraction.refusals)

    def take_rows(self, rows: int) -> bool:
        """Count `rows` more; returns False, and says so once, where they are too many for what the envelope weighs."""
        if self.rows + rows > self.bounds.rows:
            if self._is_new:
                self.refused["content-too-many-claims"] += 1
            return False
        self.rows += rows
        return True

    def _claims_left(self) -> int:
        """Returns how many claims of patterns with several values the next frame may have."""
        return min(FRAME_CLAIMS_MAX, max(0, self.bounds.rows - self.rows))

    def _pass_over(self, frame: bytes, budget_bytes: int, definitions: dict[str, Meaning]) -> int:
        """Returns what a frame that was read before took of the budget; takes in what it defines for those behind it."""
        try:
            size = stated_bytes(frame)
            if size > budget_bytes:
                return 0
            text = inflate_frame(frame, budget_bytes=budget_bytes)
        except ShareError:
            return 0
        if _DEFINITION.search(text):
            extract(text, floor=self.floor, definitions=definitions)
        return size


def only(frame: ReadFrame, kept: Sequence[ObjectFacts]) -> NewFrame:
    """Returns `frame` with those of its objects that are `kept` and nothing else: what nobody screened must not be sealed."""
    if frame.is_whole and len(kept) == len(frame.objects):
        return NewFrame(frame.frame, frame.objects)
    elements = elements_of(frame.text)
    array = b"[" + b",".join(bytes(elements[fact.position]) for fact in kept) + b"]"
    moved = [msgspec.structs.replace(fact, position=place) for place, fact in enumerate(kept)]
    return NewFrame(compress_frame(array), moved)
