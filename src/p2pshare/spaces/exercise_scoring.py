"""What players' acts come to, against what was expected of them: results, points, score (docs/exercises.md, "Scoring").

A function of values alone: no clock, no store, no names. Each act comes with `upto`, how many of the released injects it can be an answer to (the
first so many, in the order of release), and with `moment`, the instant that it is judged by. So "the earliest act after this inject" is a look into a
table of the least moments, and a thousand injects and fifty thousand acts are no fifty million comparisons.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from p2pshare.identifiers import PartnerId
from p2pshare.intel.exercise_pack import TLP_WORDS, PackExpectation, PackInject

SUCCESS, PARTIAL, FAILED, PENDING, SPREAD = "success", "partial", "failed", "pending", "spread"
HALF_POINTS = {SUCCESS: 2, PARTIAL: 1, FAILED: 0}
"""Halves of the weight; what is not here stands outside the score."""
RATING_RESULTS = {"P": SUCCESS, "S": PARTIAL, "M": PARTIAL, "U": FAILED}

ACTS_PER_KEY_MAX = 256  # of one player, action and value that are looked at, the first ones: nobody sights a value so often for one inject
_STRIPPED = ".,;:!?()\"'"
_ANY = ""
"""Stands for whatever value."""


class ScoredAct(NamedTuple):
    """What a player did. `upto`: it can be for the first so many injects; `moment` (unix seconds) is None while no stamp names it.

    `keys`: what it is looked for by, those of its values that any inject expects (`wanted_values`) or the number of an inject. `tlp` of what was published, `to` whom it went to (nobody: all).
    """

    action: str
    upto: int
    moment: int | None
    keys: tuple[str, ...]
    text: str = ""
    choice: str = ""
    times: int = 1
    is_false_positive: bool = False
    tlp: int = 0
    to: tuple[PartnerId, ...] = ()


class ScoredInject(NamedTuple):
    """An inject that counts, released at an instant (unix seconds). They are in the order of release."""

    inject: PackInject
    released: int


class ScoredRating(NamedTuple):
    """What an evaluator says of an expectation, of one player or of all; a greater `order` is newer."""

    evaluator: PartnerId
    order: tuple[int, bytes]
    expectation: str
    about: tuple[PartnerId, ...]
    rating: str


class ScoredCourse(NamedTuple):
    """What an exercise is scored by. `clock`: exercise seconds at an instant; `as_of`: exercise seconds until which it has come."""

    injects: Sequence[ScoredInject]
    places: Mapping[PartnerId, str]
    players: Sequence[PartnerId]
    """Who has a line in the score whether anything is expected of it or not."""
    objectives: Sequence[str]
    clock: Callable[[int], int]
    as_of: int
    is_ended: bool


class ExpectationResult(NamedTuple):
    """What came of one expectation at one player. Times are exercise seconds from the release; `after`: of what counts, else None."""

    inject: int
    id: str
    kind: str
    action: str
    within: int
    late_within: int | None
    weight: int
    objective: str
    result: str
    after_seconds: int | None


class PlayerScore(NamedTuple):
    """One player's. `half_points` and `half_of`: twice the points, as half ones are given; `score` in percent, rounded down, or None.

    `acknowledged`: number of an inject -> exercise seconds from its release to the acknowledgement.
    """

    partner: PartnerId
    place: str
    half_points: int
    half_of: int
    score: int | None
    results: tuple[ExpectationResult, ...]
    acknowledged: Mapping[int, int]


class ObjectiveScore(NamedTuple):
    """What all players together reached of an objective."""

    id: str
    half_points: int
    half_of: int
    score: int | None


class ExerciseScore(NamedTuple):
    """The score of an exercise: players by place and id, objectives in the pack's order."""

    players: tuple[PlayerScore, ...]
    objectives: tuple[ObjectiveScore, ...]


NO_SCORE = ExerciseScore((), ())


def wanted_values(injects: Iterable[PackInject]) -> Iterator[str]:
    """Yields the values that any of these injects expects, in folded case: what acts are looked for by."""
    for inject in injects:
        for expectation in inject.expect:
            values = expectation.match.get("values", ())
            assert isinstance(values, tuple)
            for value in values:
                yield value.casefold()


def percent(half_points: int, half_of: int) -> int | None:
    """Returns points of points in percent, rounded down; None of nothing."""
    return half_points * 100 // half_of if half_of else None


def points_text(half_points: int) -> str:
    """Returns points as a decimal number: `3`, `2.5`."""
    return f"{half_points // 2}.5" if half_points % 2 else str(half_points // 2)


class EarliestActs:
    """Of some acts, each (upto, moment), the least moment among those that can be for an inject."""

    __slots__ = ("_least", "_upto")

    def __init__(self, acts: Iterable[tuple[int, int | None]]) -> None:
        found = sorted((upto, moment) for upto, moment in acts if moment is not None and upto)
        self._upto = [upto for upto, _ in found]
        self._least = [moment for _, moment in found]
        for place in range(len(found) - 2, -1, -1):
            self._least[place] = min(self._least[place], self._least[place + 1])

    def after(self, inject: int) -> int | None:
        """Returns the least moment of the acts that can be for the inject at this place in the order of release."""
        place = bisect_right(self._upto, inject)
        return self._least[place] if place < len(self._least) else None


class _Deeds:
    """What one player did, found by action and key."""

    def __init__(self, player: PartnerId) -> None:
        self.player = player
        self._by_key: defaultdict[tuple[str, str], list[ScoredAct]] = defaultdict(list)
        self._tables: dict[tuple[object, ...], EarliestActs] = {}
        self._first_answers: dict[int, ScoredAct | None] = {}

    def add(self, act: ScoredAct) -> None:
        """Note an act; those of one author come in the order of their numbers."""
        for key in (*act.keys, _ANY):
            listed = self._by_key[act.action, key]
            if len(listed) < ACTS_PER_KEY_MAX or act.action == "answer":
                listed.append(act)

    def acts(self, action: str, key: str = _ANY) -> list[ScoredAct]:
        return self._by_key.get((action, key), [])

    def earliest(self, key: str, what: tuple[object, ...], fits: Callable[[ScoredAct], bool]) -> EarliestActs:
        """Returns the table of the acts that fit; `what` says by what: the same for the same, and the action first."""
        found = self._tables.get((key, *what))
        if found is None:
            action = what[0]
            assert isinstance(action, str)
            found = self._tables[key, *what] = EarliestActs(
                (act.upto, act.moment) for act in self.acts(action, key) if fits(act)
            )
        return found

    def first_answer(self, number: int, inject: int) -> ScoredAct | None:
        """Returns the first answer to an inject, whether it is stamped or not."""
        if number not in self._first_answers:
            answers = self.acts("answer", str(number))
            self._first_answers[number] = next((act for act in answers if act.upto > inject), None)
        return self._first_answers[number]


class _Found(NamedTuple):
    """The moments of what fulfils an expectation: wholly, or in part. `is_wrong`: it cannot be fulfilled any more."""

    whole: int | None
    part: int | None = None
    is_wrong: bool = False


_NOTHING = _Found(None)


class _Scoring:
    """The scoring of one course."""

    def __init__(self, course: ScoredCourse, ratings: Iterable[ScoredRating]) -> None:
        self._course = course
        self._holders: defaultdict[str, list[PartnerId]] = defaultdict(list)
        for partner, place in sorted(course.places.items()):
            self._holders[place].append(partner)
        self._ratings: dict[tuple[str, tuple[PartnerId, ...]], dict[PartnerId, ScoredRating]] = {}
        for rating in ratings:
            of = self._ratings.setdefault((rating.expectation, rating.about), {})
            before = of.get(rating.evaluator)
            if before is None or before.order < rating.order:
                of[rating.evaluator] = rating
        self._required: dict[tuple[PartnerId, tuple[str, ...]], frozenset[PartnerId]] = {}

    def rows(self) -> dict[PartnerId, list[tuple[int, PackExpectation]]]:
        """Returns what is expected of each player: the place of the inject in the order of release, and the expectation."""
        found: dict[PartnerId, list[tuple[int, PackExpectation]]] = {
            player: [] for player in self._course.players
        }
        by_number = sorted(
            range(len(self._course.injects)), key=lambda one: self._course.injects[one].inject.number
        )
        for place in by_number:
            for expectation in self._course.injects[place].inject.expect:
                for by in dict.fromkeys(expectation.by):
                    for player in self._holders.get(by, ()):
                        found.setdefault(player, []).append((place, expectation))
        return found

    def result(self, deeds: _Deeds, inject: int, expectation: PackExpectation) -> tuple[str, int | None]:
        """Returns what came of an expectation, and after how many exercise seconds."""
        if expectation.action == "rated":
            return self._rated(deeds.player, expectation), None
        found = self._fulfilled(deeds, inject, expectation)
        released = self._course.injects[inject].released
        start = self._course.clock(released)
        deadline = expectation.late_within or expectation.within
        whole, part = (
            None if moment is None else self._course.clock(max(moment, released)) - start
            for moment in (found.whole, found.part)
        )
        if whole is not None and whole <= expectation.within:
            return SUCCESS, whole
        in_part = [after for after in (whole, part) if after is not None and after <= deadline]
        if in_part:
            return PARTIAL, min(in_part)
        spent = self._course.as_of - start
        is_due = spent > deadline or (self._course.is_ended and spent == deadline)
        return FAILED if is_due or found.is_wrong else PENDING, None

    def _rated(self, player: PartnerId, expectation: PackExpectation) -> str:
        newest = dict(self._ratings.get((expectation.id, ()), {}))
        for evaluator, rating in self._ratings.get((expectation.id, (player,)), {}).items():
            if evaluator not in newest or newest[evaluator].order < rating.order:
                newest[evaluator] = rating
        results = {RATING_RESULTS[rating.rating] for rating in newest.values()}
        if not results:
            return PENDING
        return results.pop() if len(results) == 1 else SPREAD

    # --- what fulfils ------------------------------------------------------------------------------

    def _fulfilled(self, deeds: _Deeds, inject: int, expectation: PackExpectation) -> _Found:
        match, action = expectation.match, expectation.action
        number = self._course.injects[inject].inject.number
        match action:
            case "acknowledge":
                return _Found(deeds.earliest(str(number), (action,), _is_any).after(inject))
            case "answer":
                answer = deeds.first_answer(number, inject)
                if answer is None or answer.moment is None:
                    return _NOTHING
                fits = answer_fits(expectation.match, answer.choice, answer.text)
                return _Found(answer.moment if fits else None, is_wrong=not fits)
            case "sight" | "publish" | "withdraw":
                return self._said(deeds, inject, expectation)
            case "note" | "ask":
                return self._told(deeds, inject, expectation)
        field = _DETAIL_FIELDS[action]
        wanted = match.get(field)
        table = deeds.earliest(
            _ANY, (action, wanted), lambda act: wanted is None or detail_fits(field, str(wanted), act.text)
        )
        return _Found(table.after(inject))

    def _said(self, deeds: _Deeds, inject: int, expectation: PackExpectation) -> _Found:
        """Returns what fulfils an expectation of values: all of them, whether in one entry or in several; some are a part."""
        match, action = expectation.match, expectation.action
        values = match.get("values", (_ANY,))
        assert isinstance(values, tuple)
        least, is_false_positive = match.get("count_min", 1), match.get("false_positive", False)
        tlp_max, to = match.get("tlp_max"), match.get("to", ())
        assert isinstance(least, int) and isinstance(to, tuple)
        strictest = TLP_WORDS.index(str(tlp_max)) if tlp_max is not None else len(TLP_WORDS)
        required = self._required_of(deeds.player, to)
        what = (action, least, is_false_positive, strictest, to)

        def fits(act: ScoredAct) -> bool:
            return act.times >= least and act.is_false_positive == is_false_positive

        def is_whole(act: ScoredAct) -> bool:
            return fits(act) and act.tlp <= strictest and (not act.to or required.issubset(act.to))

        def is_part(act: ScoredAct) -> bool:
            return fits(act) and (not act.to or not required or not required.isdisjoint(act.to))

        whole: int | None = 0
        part: int | None = None
        for value in values:
            key = value.casefold()
            at = deeds.earliest(key, (*what, "whole"), is_whole).after(inject)
            whole = None if at is None or whole is None else max(whole, at)
            some = deeds.earliest(key, (*what, "part"), is_part).after(inject)
            if some is not None:
                part = some if part is None else min(part, some)
        return _Found(whole, part)

    def _told(self, deeds: _Deeds, inject: int, expectation: PackExpectation) -> _Found:
        match, action = expectation.match, expectation.action
        words, to = match.get("words", ()), match.get("to", ())
        assert isinstance(words, tuple) and isinstance(to, tuple)
        wanted = tuple(one.casefold() for one in words)
        required = self._required_of(deeds.player, to)

        def is_whole(act: ScoredAct) -> bool:
            return (not act.to or required.issubset(act.to)) and has_words(wanted, act.text)

        def is_part(act: ScoredAct) -> bool:
            return (not act.to or not required or not required.isdisjoint(act.to)) and has_words(
                wanted, act.text
            )

        what = (action, wanted, to)
        return _Found(
            deeds.earliest(_ANY, (*what, "whole"), is_whole).after(inject),
            deeds.earliest(_ANY, (*what, "part"), is_part).after(inject),
        )

    def _required_of(self, player: PartnerId, to: tuple[str, ...]) -> frozenset[PartnerId]:
        """Returns who holds these places, but for the player itself."""
        key = player, to
        found = self._required.get(key)
        if found is None:
            holders = {one for place in to for one in self._holders.get(place, ())}
            found = self._required[key] = frozenset(holders - {player})
        return found


_DETAIL_FIELDS = {
    "incident-open": "incident_type",
    "incident-join": "incident_type",
    "incident-close": "incident_type",
    "task-done": "task_type",
    "own-status": "status",
    "determine": "determination",
    "duty-done": "duty",
}
"""Action -> the one field of its match."""


def _is_any(act: ScoredAct) -> bool:
    return True


def detail_fits(field: str, wanted: str, detail: str) -> bool:
    """Returns whether the detail of an act elsewhere is what a match wants: one of its types, its word, or its duty with or without stage."""
    if field in ("incident_type", "task_type"):
        return wanted in detail.split(" ")
    return detail == wanted or (field == "duty" and detail.startswith(f"{wanted}:"))


def has_words(wanted: Iterable[str], text: str) -> bool:
    """Returns whether all of these, given in folded case, stand in a text, in any case."""
    folded = text.casefold()
    return all(one in folded for one in wanted)


def answer_fits(match: Mapping[str, object], choice: str, text: str) -> bool:
    """Returns whether an answer is what a match wants: its choice, the number as a word of its text, and all the words."""
    wanted, number, words = match.get("choice"), match.get("number"), match.get("words", ())
    assert isinstance(words, tuple)
    if isinstance(wanted, str) and choice.strip().casefold() != wanted.strip().casefold():
        return False
    if number is not None and str(number) not in (one.strip(_STRIPPED) for one in text.split()):
        return False
    return has_words((one.casefold() for one in words), text)


def score_exercise(
    course: ScoredCourse,
    acts: Iterable[tuple[PartnerId, ScoredAct]],
    ratings: Iterable[ScoredRating],
) -> ExerciseScore:
    """Returns the score. The acts of one author come in the order of their numbers."""
    scoring = _Scoring(course, ratings)
    rows = scoring.rows()
    deeds = {player: _Deeds(player) for player in rows}
    for author, act in acts:
        if author in deeds:
            deeds[author].add(act)
    by_objective: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0])
    players = []
    for player in sorted(rows, key=lambda one: (course.places.get(one, ""), one)):
        results = []
        points = of = 0
        for place, one in rows[player]:
            inject = course.injects[place].inject
            result, after = scoring.result(deeds[player], place, one)
            results.append(
                ExpectationResult(
                    inject.number,
                    one.id,
                    one.kind,
                    one.action,
                    one.within,
                    one.late_within,
                    one.weight,
                    inject.objective,
                    result,
                    after,
                )
            )
            if result in HALF_POINTS:
                reached = HALF_POINTS[result] * one.weight
                points, of = points + reached, of + 2 * one.weight
                by_objective[inject.objective][0] += reached
                by_objective[inject.objective][1] += 2 * one.weight
        acknowledged = _acknowledged(course, deeds[player])
        players.append(
            PlayerScore(
                player,
                course.places.get(player, ""),
                points,
                of,
                percent(points, of),
                tuple(results),
                acknowledged,
            )
        )
    objectives = []
    for objective in course.objectives:
        points, of = by_objective[objective]
        objectives.append(ObjectiveScore(objective, points, of, percent(points, of)))
    return ExerciseScore(tuple(players), tuple(objectives))


def _acknowledged(course: ScoredCourse, deeds: _Deeds) -> dict[int, int]:
    """Returns after how many exercise seconds a player acknowledged each inject that it did."""
    found = {}
    for place, (inject, released) in enumerate(course.injects):
        if not deeds.acts("acknowledge", str(inject.number)):
            continue
        moment = deeds.earliest(str(inject.number), ("acknowledge",), _is_any).after(place)
        if moment is not None:
            found[inject.number] = course.clock(max(moment, released)) - course.clock(released)
    return found
