"""A moment: what a node knows of the time, for an hour after its clock was set, too.

A clock that jumps may be right now, or may have been right before; within an hour a person or NTP has mended the wrong one. Until
then two things are kept apart: nothing is expired that is not so by `earliest`, and nothing is too far ahead that is not so by
`latest`. What expired an hour late has cost nothing; what expired by a wrong clock is gone.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Moment:
    """The time by the wall clock (`now`), and the instants between which it is; in unix seconds. All three are one
    where the clock was not set within the hour."""

    now: float
    earliest: float
    latest: float

    @classmethod
    def certain(cls, now: float) -> Moment:
        """Returns the moment of a clock that nobody doubts."""
        return cls(now, now, now)

    @property
    def is_doubtful(self) -> bool:
        """Returns whether the clock was set within the hour."""
        return self.earliest < self.now or self.latest > self.now
