"""The daemon's two clocks: a steady one for intervals, which is never set, and the wall clock for everything that is dated.

A timer that is set on the steady clock is due after as many seconds whatever becomes of the wall clock. The wall clock is
followed wherever it jumps, ahead or back; for an hour after a jump, or until partners confirm it, nothing expires by it
(`gossip.moment`). Jumps below a minute are not followed until they come to a minute together: nothing here is as exact as that.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from p2pshare.gossip.moment import Moment
from p2pshare.limits import CLOCK_DOUBT_SECONDS

JUMP_SECONDS = 60.0
ABSENT_SECONDS_MAX = (
    3_600.0  # since an earlier life looked at the clock; longer, and it may have been set meanwhile
)


class Clock:
    """The clocks: call it for the steady seconds, which were unix seconds when it was made; `moment` tells the time. Reads
    `wall` and `monotonic`, in seconds; free of asyncio."""

    def __init__(
        self,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._wall = wall
        self._monotonic = monotonic
        self._ahead = self._steady_ahead = wall() - monotonic()
        """By how much the wall clock, as followed, and the steady one are ahead of the monotonic clock."""
        self._doubted_until = -float("inf")
        self._earliest = 0.0
        """In doubt nothing is later than the clock was when it jumped first."""
        self._trusted_ahead = self._latest_ahead = self._ahead
        self.jumped_at: float | None = None
        """When the clock jumped last, by what it shows since (unix seconds); None when it never did."""
        self.jumped_seconds = 0.0
        """How far it jumped then; negative for a jump back."""
        self._told = self._state()

    def __call__(self) -> float:
        return self._monotonic() + self._steady_ahead

    def follow_absence(self, noted_at: int | None) -> None:
        """Doubt the clock when an earlier life saw a time, `noted_at` (unix seconds), from which it is far away: the node was off for
        long, or its clock was set meanwhile. That it was set is certain only where it is behind."""
        if noted_at is None:
            return
        monotonic = self._monotonic()
        now = monotonic + self._ahead
        if abs(now - noted_at) > ABSENT_SECONDS_MAX:
            self._doubt(monotonic, noted_at - monotonic, self._ahead)
            if now < noted_at:
                self.jumped_at, self.jumped_seconds = now, now - noted_at

    def believe(self, instant: float) -> None:
        """Believe that it is later than `instant` (unix seconds): a clock in doubt showed it, and an hour of running has passed."""
        self._earliest = max(self._earliest, instant)

    @property
    def is_doubted(self) -> bool:
        """Returns whether the clock was in doubt when it was looked at last, and nothing has ended that since."""
        return self._monotonic() < self._doubted_until

    def end_doubt(self) -> None:
        """Believe the clock from now on: partners agree with it (`gossip.moment.is_confirmed`)."""
        self._doubted_until = min(self._doubted_until, self._monotonic())

    def moment(self) -> Moment:
        """Returns the time now."""
        monotonic = self._monotonic()
        ahead = self._wall() - monotonic
        if abs(ahead - self._ahead) > JUMP_SECONDS:
            before, self._ahead = self._ahead, ahead
            self._doubt(monotonic, before, ahead)
            self.jumped_at, self.jumped_seconds = monotonic + ahead, ahead - before
        now = monotonic + self._ahead
        if monotonic >= self._doubted_until:
            return Moment.certain(now)
        return Moment(now, min(now, self._earliest), max(now, monotonic + self._latest_ahead))

    def look(self) -> Moment | None:
        """Returns the time where the clock jumped, or a doubt of it ended, since this was asked before; else None."""
        moment, state = self.moment(), self._state()
        if state == self._told:
            return None
        self._told = state
        return moment

    def _state(self) -> tuple[float, bool, float]:
        return self._ahead, self.is_doubted, self._doubted_until

    def _doubt(self, monotonic: float, before: float, ahead: float) -> None:
        """Doubt the clock from now on: it was ahead of the monotonic one by `before`, and is by `ahead`."""
        if monotonic >= self._doubted_until:
            self._earliest = monotonic + before
            self._trusted_ahead = self._latest_ahead = before
        else:
            self._earliest = min(self._earliest, monotonic + before)
            self._latest_ahead = max(self._latest_ahead, before)
        if abs(ahead - self._trusted_ahead) <= JUMP_SECONDS:
            self._latest_ahead = ahead  # back where it was before: nothing is ahead of that
        self._doubted_until = monotonic + CLOCK_DOUBT_SECONDS
