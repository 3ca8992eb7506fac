"""The event queue of virtual time: the event that is due next happens next, and in between no time passes."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable

START_SECONDS = 1_800_000_000.0
"""The instant at which every simulated world begins (unix seconds)."""


class EventQueue:
    """A queue of acts in order of (time, order of planning), so that equal times never depend on chance."""

    def __init__(self) -> None:
        self.now = START_SECONDS
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()

    def after(self, seconds: float, act: Callable[[], None]) -> None:
        """Plan `act` for that much later; never before now."""
        heapq.heappush(self._queue, (self.now + max(0.0, seconds), next(self._numbers), act))

    def run_until(self, end: float) -> None:
        """Do everything that is due up to and with `end` (unix seconds); then it is `end`."""
        while self._queue and self._queue[0][0] <= end:
            self.now, _, act = heapq.heappop(self._queue)
            act()
        self.now = max(self.now, end)
