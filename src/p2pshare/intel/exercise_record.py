"""An exercise as it is told to people: what its entries come to, with names instead of ids, and what follows from the times.

The one value between an exercise and its report: `spaces.exercise_telling` makes it of a fold, `exporters.exercises` write it. Whatever is computed here
is a function of the record: who was slowest at what and why, what went well, what to improve. Times are exercise seconds since the start where
nothing else is said; a list keeps the order in which it is told.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

SUCCESS, PARTIAL, FAILED, PENDING, SPREAD = "success", "partial", "failed", "pending", "spread"
RATING_WORDS = {
    "P": "performed without challenges",
    "S": "performed with some challenges",
    "M": "performed with major challenges",
    "U": "unable to be performed",
}
"""HSEEP's four ratings, 2020 edition, section 5."""
GOOD_SHARE = 2  # a half: who needed at most one part in so many of the time was good at it


class RecordedObjective(NamedTuple):
    """An objective. `points` of `of`: over all players, where expectations of its injects are scored."""

    id: str
    text: str
    points: str
    of: str
    score: int | None


class RecordedInject(NamedTuple):
    """An inject. `released`: None while it is not; `expected` is empty while players may not see it. `fits`: it opens its leaf."""

    number: int
    at: int
    released: int | None
    to: tuple[str, ...]
    sender: str
    channel: str
    objective: str
    summary: str
    expected: str
    fits: bool = True


class RecordedExpectation(NamedTuple):
    """What one player was expected to do, and did. `after`: seconds from the release to what fulfilled it; `acknowledged`: to its acknowledgement, or
    to the first answer to it where that came before: who answers has read it."""

    inject: int
    id: str
    kind: str
    action: str
    within: int
    late_within: int | None
    result: str
    after: int | None
    weight: int
    acknowledged: int | None = None
    open_injects: int = 0
    """Other injects of this player that were released before and waited for something at the time."""
    attempted: int | None = None
    """Seconds to the first act of this kind behind the inject that does not fulfil it; None without one."""


class RecordedPlayer(NamedTuple):
    """A player: name, place, points as decimal text, and its score in percent (None where nothing is scored yet)."""

    name: str
    place: str
    role: str
    points: str
    of: str
    score: int | None
    expectations: tuple[RecordedExpectation, ...] = ()


class RecordedAct(NamedTuple):
    """Something that a player did; `inject` 0 where it is of none."""

    at: int
    name: str
    action: str
    detail: str
    inject: int = 0


class RecordedObservation(NamedTuple):
    """What an evaluator says. `about`: a player's name or ""; `rating` P, S, M or U, or "". `item`: what is to be done about it, by `owner` until `due`
    (unix seconds, 0: not said)."""

    evaluator: str
    about: str
    objective: str
    expectation: str
    rating: str
    text: str
    item: str = ""
    owner: str = ""
    due: int = 0


class RecordedEvent(NamedTuple):
    """What became of the exercise itself: started, paused, resumed, taken over, a real event, ended. `at` in unix seconds."""

    at: int
    what: str
    who: str
    text: str = ""


class ExerciseRecord(NamedTuple):
    """All of it. `clock`: the exercise's time when it is told; `state`: made, running, paused, ended."""

    exercise: str
    name: str
    kind: str
    pack: str
    state: str
    time_factor: int
    duration: int
    clock: int
    objectives: tuple[RecordedObjective, ...]
    injects: tuple[RecordedInject, ...]
    players: tuple[RecordedPlayer, ...]
    acts: tuple[RecordedAct, ...] = ()
    observations: tuple[RecordedObservation, ...] = ()
    events: tuple[RecordedEvent, ...] = ()
    not_here: str = ""
    """What is not in the record and why, in words; "" where all is."""


class Slowness(NamedTuple):
    """Where a player lost most time: by how much it was later than it had to be, and why as far as the times tell."""

    name: str
    expectation: RecordedExpectation
    why: str


class ImprovementItem(NamedTuple):
    """What to do better. `id` is the same on every node that holds the same entries, and typed in `exercise adopt`: EXPECTATION.PLACE, with the number
    of the player behind it where several share a place, or observation-NUMBER."""

    id: str
    owner: str
    objective: str
    text: str
    due: int = 0


def score_json(record: ExerciseRecord) -> dict[str, Any]:
    """Returns the score as `exercise score --json` prints it."""
    return {
        "players": [
            {
                "name": player.name,
                "place": player.place,
                "points": _number(player.points),
                "of": _number(player.of),
                "score": player.score,
                "expectations": [
                    {
                        "inject": one.inject,
                        "id": one.id,
                        "kind": one.kind,
                        "within": one.within,
                        "result": one.result,
                        "after_seconds": one.after,
                        "weight": one.weight,
                    }
                    for one in player.expectations
                ],
            }
            for player in record.players
        ],
        "objectives": [
            {
                "id": one.id,
                "text": one.text,
                "points": _number(one.points),
                "of": _number(one.of),
                "score": one.score,
            }
            for one in record.objectives
        ],
    }


def _number(text: str) -> int | float:
    """Returns decimal text as JSON writes it: halves are the finest there is."""
    value = float(text)
    return int(value) if value.is_integer() else value


def percent_of_all(record: ExerciseRecord) -> int:
    """Returns the points of all players together in percent, rounded down; 0 where nothing is scored."""
    points, of = (
        sum(2 * float(one) for one in those)
        for those in ([player.points for player in record.players], [player.of for player in record.players])
    )
    return int(points * 100 // of) if of else 0


def span(seconds: int) -> str:
    """Returns a length of exercise time, `0:12:05`."""
    return f"{seconds // 3_600}:{seconds // 60 % 60:02}:{seconds % 60:02}"


def slowest(record: ExerciseRecord) -> list[Slowness]:
    """Returns of each player what it was slowest at, against the time it had; the slowest first.

    What was never done comes before what was done late. A player that did everything in less than the half of its time is not named.
    """
    found = []
    for player in record.players:
        judged = [
            one
            for one in player.expectations
            if one.result not in (PENDING, SPREAD) and one.action != "rated"
        ]
        worst = max(judged, key=_share, default=None)
        if worst is not None and _share(worst) * GOOD_SHARE > 1:
            found.append(Slowness(player.name, worst, why_slow(worst)))
    return sorted(found, key=lambda one: (-_share(one.expectation), one.name))


def _share(one: RecordedExpectation) -> float:
    """Returns the part of its time that was needed; what was never done counts as endless, and more the more it weighs."""
    if one.after is None:
        return 1_000.0 + one.weight
    return one.after / one.within


def why_slow(one: RecordedExpectation) -> str:
    """Returns where the time went, in words, as far as the times tell it."""
    busy = (
        f"; {one.open_injects} other inject{'s' if one.open_injects > 1 else ''} waited at the time"
        if one.open_injects
        else ""
    )
    heard = one.acknowledged
    if one.after is None and one.attempted is not None:
        if _came_too_late(one):
            return f"nothing of the kind was done before {span(one.attempted)}: too late" + busy
        if one.action == "answer":
            return f"it was answered after {span(one.attempted)}, and otherwise than expected" + busy
        return (
            f"something of the kind was done after {span(one.attempted)}, and it is not what was expected, or not all of it in time"
            + busy
        )
    if one.after is None:
        if heard is None:
            return "the inject was never acknowledged, so nobody may have read it" + busy
        return f"it was acknowledged after {span(heard)}, and then nothing that counts was done" + busy
    if one.action == "acknowledge":
        return f"it was read after {span(one.after)}" + busy
    if heard is None or heard > one.after:
        return (
            f"done after {span(one.after)}; when it was read is not known: it was not acknowledged before"
            + busy
        )
    if heard * GOOD_SHARE > one.after:
        return (
            f"{span(heard)} of {span(one.after)} passed before it was acknowledged: it was read late" + busy
        )
    return (
        f"it was acknowledged after {span(heard)}, and {span(one.after - heard)} went by until it was done"
        + busy
    )


def _came_too_late(one: RecordedExpectation) -> bool:
    """Returns whether the first act of the kind came when there was no time left for it."""
    return one.attempted is not None and one.attempted > (one.late_within or one.within)


def strengths(record: ExerciseRecord) -> list[str]:
    """Returns what went well, in sentences."""
    said = []
    for number, identity, those in _by_expectation(record):
        done = [(player, one) for player, one in those if one.result not in (PENDING, SPREAD)]
        if not done or any(one.result != SUCCESS for _, one in done):
            continue
        fast = [
            (player, one)
            for player, one in done
            if one.after is not None and one.after * GOOD_SHARE <= one.within
        ]
        if len(fast) == len(done) and done[0][1].action != "rated":
            names = ", ".join(player.name for player, _ in done)
            said.append(f"Inject {number}, {identity}: {names} did it in half of the time or less.")
    for objective in record.objectives:
        if objective.score == 100:
            said.append(f"Objective {objective.id} was reached in full: {objective.text}")
    for one in record.observations:
        if one.rating == "P" and one.text:
            about = f" of {one.about}" if one.about else ""
            said.append(f"{one.evaluator} says{about}: {one.text}")
    return said


def improvement_items(record: ExerciseRecord) -> list[ImprovementItem]:
    """Returns what to do better, each with an id that is the same on every node that holds the same entries.

    One for each player and expectation that failed or was partly fulfilled, and one for each observation that names one, is rated M or U, or S with
    words.
    """
    objectives = {inject.number: inject.objective for inject in record.injects}
    called = _places_of(record)
    items = []
    for number, identity, those in _by_expectation(record):
        for player, one in those:
            if one.result not in (FAILED, PARTIAL):
                continue
            if one.result == PARTIAL:
                is_late = one.after is not None and one.after > one.within
                what = "was done in part"
            else:
                is_late = _came_too_late(one)
                what = "was not done" if one.attempted is None else "was done otherwise"
            if is_late:
                what = "was done too late"
            items.append(
                ImprovementItem(
                    f"{identity}.{called[id(player)]}",
                    player.name,
                    objectives.get(number, ""),
                    f"Inject {number}, {identity} ({one.kind}: {one.action}) {what}: {why_slow(one)}.",
                )
            )
    for place, seen in enumerate(record.observations, 1):
        saw = f"{seen.evaluator} saw: {seen.text or RATING_WORDS.get(seen.rating, '')}"
        if seen.item:
            text = seen.item  # and not what was seen: an item may become real, and says no more than it must
        elif seen.rating in ("M", "U") or (seen.rating == "S" and seen.text):
            text = saw
        else:
            continue
        owner = seen.owner or seen.about
        items.append(ImprovementItem(f"observation-{place}", owner, seen.objective, text, seen.due))
    return items


def _places_of(record: ExerciseRecord) -> dict[int, str]:
    """Returns by `id` of the player its place, with a number where several share it."""
    shared = Counter(player.place for player in record.players)
    seen: Counter[str] = Counter()
    called = {}
    for player in record.players:
        seen[player.place] += 1
        many = shared[player.place] > 1
        called[id(player)] = f"{player.place}-{seen[player.place]}" if many else player.place
    return called


class RatingSpread(NamedTuple):
    """How evaluators rated one thing; `differs` where they do not agree. Both stand."""

    about: str
    objective: str
    expectation: str
    ratings: tuple[tuple[str, str], ...]
    differs: bool


def spreads(record: ExerciseRecord) -> list[RatingSpread]:
    """Returns the ratings of each thing that was rated, in the order in which it first was."""
    by_thing: dict[tuple[str, str, str], list[tuple[str, str]]] = {}
    for one in record.observations:
        if one.rating:
            by_thing.setdefault((one.about, one.objective, one.expectation), []).append(
                (one.evaluator, one.rating)
            )
    return [
        RatingSpread(*thing, tuple(ratings), len({rating for _, rating in ratings}) > 1)
        for thing, ratings in by_thing.items()
    ]


def _by_expectation(
    record: ExerciseRecord,
) -> Iterator[tuple[int, str, Sequence[tuple[RecordedPlayer, RecordedExpectation]]]]:
    """Yields (inject, expectation's id, who was asked), by inject."""
    by_id: dict[tuple[int, str], list[tuple[RecordedPlayer, RecordedExpectation]]] = {}
    for player in record.players:
        for one in player.expectations:
            by_id.setdefault((one.inject, one.id), []).append((player, one))
    for (number, identity), those in sorted(by_id.items(), key=lambda item: item[0]):
        yield number, identity, those
