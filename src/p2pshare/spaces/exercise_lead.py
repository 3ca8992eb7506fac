"""What the lead of an exercise does by itself, as a function of what holds in it and of the time (docs/exercises.md, "The course").

Rules:

1. An inject is released when the exercise's clock has reached its time, in the order of numbers; never before. After a restart or a pause what is
   overdue is released at once, one after another. One that was released by hand (`exercise inject N`) is not released again.
2. What was received is stamped, at most every `STAMP_SECONDS` of real time and only where there is anything; in a pause as well. A stamp goes before
   a release that is due: what it names cannot count for what comes behind it. After `STAMPS_PER_PAUSE` stamps the pause doubles, and again: who writes
   something every ten seconds for days takes from the lead not the entries in which it releases and ends.
3. Where more has come than one stamp holds, members take turns: who writes ten thousand acts waits behind itself and nobody else.
4. When the clock has reached the duration, what was received until then is stamped, in as many stamps as it takes but `STAMPS_OVER_MAX`, and the
   exercise ends. What is not released by then never is.
5. An exercise that was not started, or has ended, is let alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import NamedTuple, TypeVar

from p2pshare.identifiers import EntryId, PartnerId
from p2pshare.intel.exercise_pack import ExercisePack, PackExpectation
from p2pshare.limits import KIB
from p2pshare.spaces.exercise import PAUSED, RUNNING, WHITE, ExerciseFold
from p2pshare.spaces.exercise_entries import ATTESTED_MAX, STAMPED_MAX, AttestedAct, attested_bytes
from p2pshare.spaces.fold import SpaceState

HERE = ("joined", "invited", "forked")
T = TypeVar("T")

STAMP_SECONDS = 10  # of real time between two stamps: 360 entries an hour, where something is always written
STAMPS_PER_PAUSE = (
    512  # of one lead, then the pause doubles: two years have 7,168 of the 10,000 entries of one author
)
STAMPS_OVER_MAX = (
    32  # when the duration has passed, at once: 4,096 acts in incidents, which are the most that are real
)
STAMP_BYTES_MAX = (
    192 * KIB
)  # of the acts that one stamp attests: an entry's body has 256 KiB, and 1,024 ids have 35
WITHIN_SECONDS_MIN = (
    10  # of real time: what is stamped every ten seconds, and crosses a network, is not judged by less
)


class LedExercise(NamedTuple):
    """What the lead's next step depends on. `clock`: exercise seconds at the time that is asked about; `is_over`: the duration has passed."""

    phase: str
    clock: int
    is_over: bool
    injects: tuple[tuple[int, int], ...]
    """(number, exercise seconds) of each inject that can be released here: none, as long as the pack's archive is not held."""
    released: frozenset[int]
    unstamped: tuple[EntryId, ...]
    elsewhere: tuple[AttestedAct, ...]
    """What was done in incidents of the realm, or is content, and no stamp names. Both in the order in which they are to be stamped (`in_turns`)."""
    stamped_at: int
    """When the last stamp was written (unix seconds), 0 without one."""
    stamps_over: int
    """How many were written when the duration had passed."""
    stamps: int = 0
    """How many this lead has written."""


class InjectDue(NamedTuple):
    """Release this inject."""

    number: int


class StampDue(NamedTuple):
    """Stamp these, both ascending: as many as one entry has room for."""

    entries: tuple[EntryId, ...]
    attested: tuple[AttestedAct, ...]


class EndDue(NamedTuple):
    """End the exercise."""


LeadStep = InjectDue | StampDue | EndDue


def next_step(led: LedExercise, now: int) -> LeadStep | None:
    """Returns what the lead writes next at `now` (unix seconds); None: nothing yet."""
    if led.phase not in (RUNNING, PAUSED):
        return None
    stamp = None if led.stamps_over >= STAMPS_OVER_MAX else _stamp(led)
    may_stamp = (
        now - led.stamped_at >= stamp_pause(led.stamps)
        or now < led.stamped_at  # a clock that was put back
        or led.stamps_over > 0
    )
    if stamp is not None and may_stamp:
        return stamp
    if led.phase == PAUSED:
        return None
    if led.is_over:
        return EndDue() if stamp is None else None
    return next((InjectDue(number) for number in due_injects(led)), None)


def due_injects(led: LedExercise) -> Iterable[int]:
    """Returns the numbers of the injects whose time has come and that are not released, ascending."""
    return sorted(number for number, at in led.injects if at <= led.clock and number not in led.released)


def stamp_pause(stamps: int) -> int:
    """Returns how many seconds of real time lie between two stamps of a lead that has written so many."""
    return STAMP_SECONDS << (stamps // STAMPS_PER_PAUSE)


def in_turns(acts: Iterable[T], author: Callable[[T], PartnerId]) -> tuple[T, ...]:
    """Returns acts in the order in which they are stamped: the first one of each author, then the second one of each, and so on."""
    turns: Counter[PartnerId] = Counter()
    placed = []
    for act in acts:
        by = author(act)
        placed.append((turns[by], act))
        turns[by] += 1
    return tuple(act for _, act in sorted(placed, key=lambda one: one[0]))


def _stamp(led: LedExercise) -> StampDue | None:
    entries, attested, left = led.unstamped[:STAMPED_MAX], list[AttestedAct](), STAMP_BYTES_MAX
    for act in led.elsewhere[:ATTESTED_MAX]:
        left -= attested_bytes(act)
        if left < 0:
            break
        attested.append(act)
    return StampDue(tuple(sorted(entries)), tuple(sorted(attested))) if entries or attested else None


def white_members(state: SpaceState) -> set[PartnerId]:
    """Returns the members of an exercise that are white now, whether joined or only invited."""
    fold = state.kind
    assert isinstance(fold, ExerciseFold)
    pack, places = fold.pack(), fold.places()
    white = {place.id for place in pack.places if place.role == WHITE} if pack is not None else set()
    return {
        member
        for member, status in state.members.items()
        if status in HERE and (member == state.lead or places.get(member) in white)
    }


def too_short(pack: ExercisePack, time_factor: int) -> list[tuple[int, PackExpectation]]:
    """Returns the expectations, each with the number of its inject, whose `within` is less than `WITHIN_SECONDS_MIN` of real time at this speed."""
    return [
        (inject.number, one)
        for inject in pack.injects
        for one in inject.expect
        if one.within < WITHIN_SECONDS_MIN * time_factor
    ]


def fastest(pack: ExercisePack) -> int:
    """Returns the greatest time factor at which no `within` is too short; 0 where even real time is too fast."""
    return min(
        (one.within // WITHIN_SECONDS_MIN for inject in pack.injects for one in inject.expect),
        default=pack.duration_seconds,
    )
