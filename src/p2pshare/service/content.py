"""Content: a payload's frames, inflated and read into facts. Publishing and intake share it.

What a partner publishes goes through the same reader as what it gets, so both stores agree on every value. Frames
are read one at a time: however large a payload is when inflated, one frame of it is in memory.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from p2pshare.envelope.payload import compress_frame, decode_payload, inflate_frame, stated_bytes
from p2pshare.errors import PeerError, ShareError
from p2pshare.intel.extraction import ObjectFacts, extract
from p2pshare.intel.json_rescue import elements_of
from p2pshare.intel.marking import Meaning, Tlp
from p2pshare.intel.refusals import Refusals
from p2pshare.knowledge.interface import NewFrame
from p2pshare.limits import ENVELOPE_CLAIMS_MAX, INFLATED_BYTES_MAX, OBJECTS_PER_BUNDLE_MAX

PAYLOAD_STIX = "stix"

logger = logging.getLogger(__name__)


@dataclass
class Content:
    """Frames still to be read, and what reading them refused so far, by reason. Iterate once."""

    frames: Iterable[bytes]
    floor: Tlp
    """No object in the frames counts as looser than this."""
    refused: Counter[str] = field(default_factory=Counter)
    notes: Refusals = field(default_factory=Refusals)
    """What was wrong inside objects that were kept."""
    objects: int = 0
    claims: int = 0
    watch: Callable[[Sequence[ObjectFacts]], None] | None = None
    """Hears of the objects of each frame before they are stored."""

    def __iter__(self) -> Iterator[NewFrame]:
        """Reads on. What cannot be read is counted and left out; what is good beside it is kept."""
        budget_bytes = INFLATED_BYTES_MAX
        definitions: dict[str, Meaning] = {}
        for frame in self.frames:
            try:
                size, affordable_bytes = stated_bytes(frame), budget_bytes
                if size <= budget_bytes:
                    budget_bytes -= size  # before it is tried: one that fails at its end has cost as much
                text = inflate_frame(frame, budget_bytes=affordable_bytes)
                extraction = extract(text, floor=self.floor, definitions=definitions)
            except ShareError as error:
                self.refused[f"content-{error.reason}"] += 1
                continue
            except Exception as error:  # noqa: BLE001 - a bug of ours on one frame must not cost the batch
                logger.error("a frame could not be read: %s", type(error).__name__)
                self.refused["internal-error"] += 1
                continue
            self.refused.update(extraction.refusals.counts)
            self.notes.merge(extraction.notes)
            self.objects += len(extraction.objects)
            if self.objects > OBJECTS_PER_BUNDLE_MAX:
                self.refused["content-too-many-objects"] += 1
                return
            self.claims += sum(len(one.claims) for one in extraction.objects)
            if self.claims > ENVELOPE_CLAIMS_MAX:
                self.refused["content-too-many-claims"] += 1
                return
            if self.watch is not None:
                self.watch(extraction.objects)
            yield NewFrame(frame, extraction.objects)


def only_what_was_read(frames: Iterable[NewFrame]) -> tuple[bytes, ...]:
    """The frames anew, with the objects that were read and nothing else: what nobody judged must not be sealed."""
    rewritten = []
    for frame in frames:
        elements = elements_of(inflate_frame(frame.frame))
        kept = [bytes(elements[fact.position]) for fact in frame.objects]
        if kept:
            rewritten.append(compress_frame(b"[" + b",".join(kept) + b"]"))
    return tuple(rewritten)


def open_content(payload: bytes) -> Content:
    """The content of an opened payload. Raises PeerError: malformed, or of an unknown type."""
    header, frames = decode_payload(payload)
    if header.type != PAYLOAD_STIX:
        raise PeerError("unknown payload type", reason="payload-type-unknown")
    return Content(frames, _floor(header.marking))


def stated_content_bytes(frames: Iterable[bytes]) -> int:
    """How many bytes the frames say they inflate to; those that cannot be read count nothing."""
    total = 0
    for frame in frames:
        with suppress(PeerError):
            total += stated_bytes(frame)
    return total


def _floor(marking: str) -> Tlp:
    """The header's marking; one we do not know counts as the strictest."""
    return Tlp.from_label(marking) or Tlp.RED
