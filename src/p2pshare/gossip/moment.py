"""A moment: what a node knows of the time, for an hour after its clock was set, too; and what ends the doubt before that.

A clock that jumps may be right now, or may have been right before; within an hour a person or NTP has mended the wrong one. Until
then two things are kept apart: nothing is expired that is not so by `earliest`, and nothing is too far ahead that is not so by
`latest`. What expired an hour late has cost nothing; what expired by a wrong clock is gone.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from p2pshare.limits import CLOCK_NEAR_SECONDS


@dataclass(frozen=True, slots=True)
class Moment:
    """The time by the wall clock (`now`), and the instants between which it is; in unix seconds. All three are one
    where the clock was not set within the hour, or partners have confirmed it since."""

    now: float
    earliest: float
    latest: float

    @classmethod
    def certain(cls, now: float) -> Moment:
        """Returns the moment of a clock that nobody doubts."""
        return cls(now, now, now)

    @property
    def is_doubtful(self) -> bool:
        """Returns whether the clock was set within the hour, and partners have not confirmed it since."""
        return self.earliest < self.now or self.latest > self.now


def is_confirmed(told: Collection[int | None]) -> bool:
    """Returns whether the clocks of partners end a doubt of ours: more than half of all linked partners agree with it.

    `told` has one entry for each linked partner: by how many seconds its clock is ahead of ours, as a hello said since the doubt
    began; None where it has said nothing since. Who is silent counts as one who does not agree, so nobody gains by being first, and
    what is told can only end the doubt, never prolong it.
    """
    agreeing = sum(offset is not None and abs(offset) < CLOCK_NEAR_SECONDS for offset in told)
    return 2 * agreeing > len(told)
