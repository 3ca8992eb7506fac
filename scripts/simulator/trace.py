"""The trace: one line for everything that happens, as a hash, and as text for a person who wants to read it.

Two runs of one scenario and seed have the same hash, on any machine, whatever the hash seed of the process. So bytes that
chance makes outside the seed may not stand in it: signatures (outside the id of an envelope), the bytes of cards, and the
random epochs of stores, which `World` replaces by numbered ones.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from simulator.event_queue import START_SECONDS, EventQueue


class Trace:
    """The trace of one run. `report` gets every line; None where nobody reads."""

    def __init__(self, event_queue: EventQueue, report: Callable[[str], None] | None = None) -> None:
        self._event_queue = event_queue
        self._report = report
        self._hash = hashlib.blake2b(digest_size=16)
        self.lines = 0

    def note(self, text: str, raw: bytes = b"") -> None:
        """Add a line; `raw` counts for the hash and is not shown."""
        line = f"{self._event_queue.now - START_SECONDS:12.6f} {text}"
        self._hash.update(line.encode() + raw)
        self.lines += 1
        if self._report is not None:
            self._report(line)

    def digest(self) -> str:
        return self._hash.hexdigest()
