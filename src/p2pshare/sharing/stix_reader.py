"""The reader of STIX payloads (`payload_kinds` has the contract): objects go into the store, and those that a list blocks into quarantine."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from p2pshare.intel.marking import Tlp
from p2pshare.knowledge.interface import NewFrame
from p2pshare.log.interface import EnvelopeOrigin
from p2pshare.node.node import Node
from p2pshare.sharing.content import Content
from p2pshare.sharing.payload_kinds import ReceivedPayload
from p2pshare.sharing.storing import ContentWriter


class StixReader:
    """Reads the frames of several payloads into one writer."""

    def __init__(self, node: Node) -> None:
        self._content = ContentWriter(node.store.knowledge, node.warning_index)
        self.finish = self._content.finish

    def read(self, source: EnvelopeOrigin, payload: ReceivedPayload, refused: Counter[str]) -> Iterator[None]:
        floor = Tlp.from_label(payload.header.marking) or Tlp.RED  # one that we do not know is the strictest
        for frame in Content(payload.frames, floor, refused):
            self._content.add(source, NewFrame(frame.frame, frame.objects))  # what it inflated to is not held
            yield
