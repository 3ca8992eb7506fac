"""Decay: the part of a claim's confidence that is left as it grows old. Pure.

The part that remains is `1 - (elapsed / lifetime) ** (1 / speed)`, at least 0; an elapsed time below 0 counts
as 0, so that a clock that runs ahead zeroes nothing. The shape is that of the decaying models of MISP
(Mokaddem et al., "Taxonomy driven indicator scoring in MISP threat intelligence platforms", 2018) and
OpenCTI. A claim is over when a fifth is left.

A score is shown in tenths of its base, rounded up: a consumer hears of eight changes in a claim's life, not
of one an hour, and between two steps nothing has to be written.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass

DAY_SECONDS = 86_400
CONFIDENCE_DEFAULT = 50  # the base of a claim whose author states none: neither trusted nor doubted
OVER_PERCENT = 20  # what remains when a claim is over
STEP_PERCENT = 10


@dataclass(frozen=True)
class Decay:
    """Decay of one kind of value: nothing remains after `lifetime_days`; `speed` above 1 loses most of it early."""

    lifetime_days: int
    speed: float = 1.0


def remaining(decay: Decay, elapsed_seconds: float) -> float:
    """Returns the part of a claim that remains, 1.0 to 0.0, `elapsed_seconds` after its decay started."""
    part = max(elapsed_seconds, 0.0) / (decay.lifetime_days * DAY_SECONDS)
    return max(0.0, 1.0 - math.pow(part, 1.0 / decay.speed))


def seconds_until(decay: Decay, percent: int) -> int:
    """Returns the whole seconds after which no more than `percent` remain."""
    return math.ceil(decay.lifetime_days * DAY_SECONDS * math.pow((100 - percent) / 100, decay.speed))


# A fifth remains after 32, 188 and 376 days.
ADDRESS, NAME, FILE = Decay(40), Decay(235), Decay(470)

DECAYS: dict[str, Decay] = {
    "ipv4": ADDRESS,
    "ipv6": ADDRESS,
    "ipv4-net": ADDRESS,
    "ipv6-net": ADDRESS,
    "url": ADDRESS,
    "domain": NAME,
    "email": NAME,
    "asn": NAME,
    "user-agent": NAME,
}


@dataclass(frozen=True)
class DecaySteps:
    """A decay as steps: `seconds[n]` after its start a claim counts `percents[n]`; after `over_seconds` it is over."""

    seconds: tuple[int, ...]
    percents: tuple[int, ...]
    over_seconds: int

    def at(self, elapsed_seconds: int) -> tuple[int, int | None]:
        """Returns (percent of the base, the elapsed seconds of the next change); (0, None) when it is over."""
        if elapsed_seconds < self.seconds[1]:  # as long as a claim is new, which it is at intake
            return self.percents[0], self.seconds[1]
        if elapsed_seconds >= self.over_seconds:
            return 0, None
        place = bisect_right(self.seconds, elapsed_seconds) - 1
        after = self.seconds[place + 1] if place + 1 < len(self.seconds) else self.over_seconds
        return self.percents[place], after

    @property
    def first_seconds(self) -> int:
        """Returns the elapsed seconds of the first step."""
        return self.seconds[1]


def steps_of(decay: Decay) -> DecaySteps:
    """Returns the steps of a decay: 100, 90, ... percent, each from when no more than that remains."""
    percents = tuple(range(100, OVER_PERCENT, -STEP_PERCENT))
    return DecaySteps(
        tuple(seconds_until(decay, percent) for percent in percents),
        percents,
        seconds_until(decay, OVER_PERCENT),
    )


STEPS: Mapping[str, DecaySteps] = {name: steps_of(decay) for name, decay in DECAYS.items()}
FILE_STEPS = steps_of(FILE)


def steps_for(type_: str) -> DecaySteps:
    """Returns the steps of an observable's type: artefacts of files, and types without a row of their own, last longest."""
    return STEPS.get(type_, FILE_STEPS)
