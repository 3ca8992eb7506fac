"""Contents: the JSON of stored objects, out of their frames. The only place of the store that decompresses.

Frames are those that `envelope.payload` already let through, and its bomb-safe inflater reads them again. A
budget bounds what one call may decompress, so that an author cannot make us inflate old frames without end.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping

import apsw
import msgspec

from p2pshare.database.fetching import fetch
from p2pshare.envelope.payload import inflate_frame
from p2pshare.errors import PeerError
from p2pshare.intel.json_rescue import elements_of
from p2pshare.limits import INFLATED_BYTES_MAX

FRAMES_REMEMBERED_MAX = 4


class Contents:
    """Objects by (frame, position), a few frames remembered."""

    def __init__(self, connection: apsw.Connection, *, budget_bytes: int = INFLATED_BYTES_MAX) -> None:
        self._connection = connection
        self._budget_bytes = budget_bytes
        self._frames: OrderedDict[int, list[msgspec.Raw]] = OrderedDict()

    def raw(self, frame: int, position: int) -> bytes | None:
        """Returns the object's JSON, byte for byte; None when it is not there or the budget is spent."""
        objects = self._frames.get(frame)
        if objects is None:
            objects = self._inflate(frame)
            self._frames[frame] = objects
            if len(self._frames) > FRAMES_REMEMBERED_MAX:
                self._frames.popitem(last=False)
        else:
            self._frames.move_to_end(frame)
        return bytes(objects[position]) if position < len(objects) else None

    def _inflate(self, frame: int) -> list[msgspec.Raw]:
        found = fetch(self._connection, "SELECT bytes FROM frame WHERE id = ?", (frame,))
        if not found or self._budget_bytes <= 0:
            return []
        try:
            text = inflate_frame(found[0][0], budget_bytes=self._budget_bytes)
        except PeerError:  # too large for what is left of the budget
            self._budget_bytes = 0
            return []
        self._budget_bytes -= len(text)
        return elements_of(text)

    def is_same(self, one: tuple[int, int], other: tuple[int, int]) -> bool:
        """Returns whether two objects have the same content. An object that can no longer be read is not
        called different."""
        first, second = self.raw(*one), self.raw(*other)
        if first is None or second is None or first == second:
            return True
        return _meaning(first) == _meaning(second)

    def holds(self, *places: tuple[int, int]) -> bool:
        """Returns whether each can be read."""
        return all(self.raw(*place) is not None for place in places)


def _meaning(raw: bytes) -> object:
    """Returns the object without its spelling: key order and white space are not content."""
    try:
        meaning: Mapping[str, object] = msgspec.json.decode(raw)
    except msgspec.DecodeError:
        return raw
    return meaning
