"""The daemon's clock for the engine: unix seconds that never run backwards.

Reads the wall clock once and then the monotonic one, so that a clock that is set back stops no timer. A jump
ahead (the machine slept, or its clock was late) is followed; a jump back is not, until the next start.
"""

from __future__ import annotations

import time

JUMP_SECONDS = 60.0


class Clock:
    """The clock: call it for *now*, in unix seconds."""

    def __init__(self) -> None:
        self._ahead = time.time() - time.monotonic()

    def __call__(self) -> float:
        ahead = time.time() - time.monotonic()
        if ahead > self._ahead + JUMP_SECONDS:
            self._ahead = ahead
        return time.monotonic() + self._ahead
