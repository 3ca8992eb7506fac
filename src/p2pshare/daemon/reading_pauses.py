"""The pause between an envelope's arrival and the moment from which it may be read: drawn, so that no load tells for whom it is.

Reading takes time, and whoever asks meanwhile can feel it. It cannot be hidden for good from a partner who never stops to
ask; but when it begins is drawn, over a time that is long beside the reading itself, so a question asked at any one moment
hardly ever meets it, and what it meets may be of an envelope before. What is only relayed waits as long: that it is not ours
is found out after the pause.
"""

from __future__ import annotations

import heapq
import random

PAUSE_SECONDS_MIN = 0.005  # the answer leaves first
PAUSE_SECONDS_MAX = 15.0  # a large list is late by half of this, and nobody minds
PAUSE_SECONDS_PER_BYTE = (
    30e-6  # reading takes a twentieth to a fiftieth of it: a warning of one value waits some 10 ms
)


class ReadingPauses:
    """The envelopes that arrived and may not be read yet, by lsn. `now` is in seconds, of one clock."""

    def __init__(self, chance: random.Random) -> None:
        self._random = chance
        self._due: list[tuple[float, int]] = []

    def begin(self, lsn: int, content_bytes: int, now: float) -> None:
        """Draw the pause of an envelope that has just been stored, with so many bytes sealed in it."""
        longest = min(PAUSE_SECONDS_MAX, content_bytes * PAUSE_SECONDS_PER_BYTE)
        heapq.heappush(self._due, (now + PAUSE_SECONDS_MIN + self._random.uniform(0.0, longest), lsn))

    def not_due(self, now: float) -> tuple[int, ...]:
        """Returns the lsns whose pause is not over, and forgets the others."""
        while self._due and self._due[0][0] <= now:
            heapq.heappop(self._due)
        return tuple(lsn for _, lsn in self._due)

    def seconds_left(self, now: float) -> float | None:
        """Returns the time until the next pause is over, None where there is none."""
        return max(0.0, self._due[0][0] - now) if self._due else None
