"""Exercises in `status` and the alarms: what is real of them.

====================  ==============================================================================
exercise-stopped      a member of an exercise said that a real event has come: the game is paused
====================  ==============================================================================

It names the exercise, and nothing of what is played in it: the alarm is read from the real store, in which nothing else of it is.
"""

from __future__ import annotations

from collections.abc import Iterator

from p2pshare.queries.alarms import Alarm, AlarmFunction, Situation, alarm_about
from p2pshare.spaces.space_store import SpaceReading


def _stopped(seen: Situation) -> Iterator[Alarm]:
    for exercise, since in SpaceReading(seen.store.database).stopped():
        yield alarm_about(
            "exercise-stopped",
            seen.own_id,
            seen.names,
            since,
            f"a real event has stopped the exercise {exercise.short}: what its members tell now is real",
            "call its members, by another way than the exercise; its lead goes on with `p2pshare exercise resume`, or ends it",
            space=exercise.text,
        )


EXERCISE_ALARMS: tuple[AlarmFunction, ...] = (_stopped,)
