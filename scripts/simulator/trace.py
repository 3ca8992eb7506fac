"""The trace: one line for everything that happens, as a hash, and as text for whoever wants to read it.

Two runs of one scenario and seed have the same hash, on any machine, whatever the hash seed of the process.
So what chance makes outside the seed may not stand in it: signatures (outside the id of an envelope), the
bytes of cards, and the random epochs of stores, which `World` replaces by numbered ones.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from simulator.event_queue import START_SECONDS, Agenda


class Trace:
    """`tell` hears every line; None where nobody reads."""

    def __init__(self, agenda: Agenda, tell: Callable[[str], None] | None = None) -> None:
        self._agenda = agenda
        self._tell = tell
        self._hash = hashlib.blake2b(digest_size=16)
        self.lines = 0

    def note(self, text: str, raw: bytes = b"") -> None:
        """`raw` counts for the hash and is not shown."""
        line = f"{self._agenda.now - START_SECONDS:12.6f} {text}"
        self._hash.update(line.encode() + raw)
        self.lines += 1
        if self._tell is not None:
            self._tell(line)

    def digest(self) -> str:
        return self._hash.hexdigest()
