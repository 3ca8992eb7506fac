"""An exercise as it is told to people: what its fold holds, with names instead of ids. Pure: what is not in the entries, the caller gives."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping

from p2pshare.identifiers import EntryId, PartnerId
from p2pshare.intel.exercise_record import (
    FAILED,
    ExerciseRecord,
    RecordedAct,
    RecordedEvent,
    RecordedExpectation,
    RecordedInject,
    RecordedObjective,
    RecordedObservation,
    RecordedPlayer,
)
from p2pshare.spaces.exercise import ExerciseAct, ExerciseFold, HeldInject
from p2pshare.spaces.exercise_entries import ExerciseObservation
from p2pshare.spaces.exercise_scoring import EarliestActs, ExpectationResult, PlayerScore, points_text
from p2pshare.spaces.fold import SpaceState

SUMMARY_CHARACTERS_MAX = 240  # of an inject: what stands in a cell
EVENTS_MAX = 256  # starts, pauses, ends that are told: the first ones
ACTS_TOLD_MAX = 512  # of one player, the first ones: a flood of one puts nobody else's out of the report
ACTS_IN_ALL_MAX = (
    20_000  # of all, with what each says some 20 MB: a report crosses the control socket in one message
)
DETAIL_CHARACTERS_MAX = 240  # of what an act says: a value may have eight KiB
OBSERVATIONS_MAX = 2_000  # the first ones: 16 MB where each says as much as it may
NOT_SHOWN = "what was expected: players see it once the exercise has ended"


def record_of(
    state: SpaceState, names: Mapping[PartnerId, str], now: int, *, has_insight: bool = True
) -> ExerciseRecord:
    """Returns the record of an exercise at `now` (unix seconds). `names`: of members as they are called here, else their ids.

    Without insight, which players have once it has ended, it has nothing of what was expected.
    """
    fold = state.kind
    assert isinstance(fold, ExerciseFold)
    telling = _Telling(state, fold, names, has_insight)
    pack = fold.pack()
    score = fold.score(now)
    texts = {} if pack is None else {one.id: one.text for one in pack.objectives}
    return ExerciseRecord(
        state.opening.entry_id.text,
        state.act.title if pack is None else pack.name,
        "" if pack is None else pack.kind,
        "none yet" if pack is None else f"{pack.id} {pack.version}",
        fold.phase_at(now),
        fold.time_factor or (1 if pack is None else pack.time_factor),
        0 if pack is None else pack.duration_seconds,
        fold.clock(now),
        tuple(
            RecordedObjective(
                one.id,
                texts.get(one.id, ""),
                points_text(one.half_points),
                points_text(one.half_of),
                one.score,
            )
            for one in score.objectives
        ),
        tuple(map(telling.inject, fold.injects())),
        tuple(map(telling.player, score.players)),
        tuple(telling.acts()),
        tuple(
            telling.observation(vertex.author, said)
            for vertex, said in fold.observations()[:OBSERVATIONS_MAX]
        ),
        tuple(telling.events()),
        "; ".join(telling.left_out(fold)),
    )


class _Telling:
    """One telling: names, and the injects that count."""

    def __init__(
        self, state: SpaceState, fold: ExerciseFold, names: Mapping[PartnerId, str], has_insight: bool
    ) -> None:
        self._state = state
        self._fold = fold
        self._names = names
        self._has_insight = has_insight
        fitting = [one for one in fold.injects() if one.fits]
        self._released = {one.number: one.at for one in fitting}
        self._places = {one.number: place for place, one in enumerate(fitting)}
        """Number of an inject -> its place in the order of release, against which an act's `upto` is held."""
        self._acts = fold.acts()
        self._answered = {
            vertex.entry_id: one.number for one in fitting for vertex, _ in fold.answers(one.number)
        }
        self._objectives = {
            asked.id: one.inject.objective
            for one in fitting
            if one.inject is not None
            for asked in one.inject.expect
        }
        tried: defaultdict[tuple[PartnerId, str, int], list[tuple[int, int | None]]] = defaultdict(list)
        for act in self._acts:
            number = self._answered.get(act.entry)
            if number is not None or act.action != "answer":
                tried[act.author, act.action, number or 0].append((act.upto, act.moment))
        self._tried = {key: EarliestActs(acts) for key, acts in tried.items()}
        """By author, action and the number of the inject that is answered, 0 where an act names none."""

    def called(self, member: PartnerId) -> str:
        return self._names.get(member) or member.text[:10]

    def inject(self, held: HeldInject) -> RecordedInject:
        inject = held.inject
        if inject is None:
            return RecordedInject(held.number, held.at, held.at, (), "", "", "", held.fault, "", False)
        said = " ".join(inject.text.split()) or inject.payload
        if len(said) > SUMMARY_CHARACTERS_MAX:
            said = said[: SUMMARY_CHARACTERS_MAX - 1] + "…"
        return RecordedInject(
            held.number,
            inject.at_seconds,
            held.at,
            inject.to,
            inject.sender,
            inject.channel,
            inject.objective,
            said if held.fits else f"{said} ({held.fault})",
            " ".join(inject.expected.split()) if self._has_insight else "",
            held.fits,
        )

    def player(self, score: PlayerScore) -> RecordedPlayer:
        pack = self._fold.pack()
        place = None if pack is None else pack.place(score.place)
        waiting = _Waiting(score.results, self._released)
        expectations = (
            tuple(self._expectation(score, one, waiting) for one in score.results)
            if self._has_insight
            else ()
        )
        return RecordedPlayer(
            self.called(score.partner),
            score.place,
            "" if place is None else place.role,
            points_text(score.half_points),
            points_text(score.half_of),
            score.score,
            expectations,
        )

    def _expectation(
        self, score: PlayerScore, one: ExpectationResult, waiting: _Waiting
    ) -> RecordedExpectation:
        return RecordedExpectation(
            one.inject,
            one.id,
            one.kind,
            one.action,
            one.within,
            one.late_within,
            one.result,
            one.after_seconds,
            one.weight,
            score.acknowledged.get(one.inject),
            waiting.beside(one.inject),
            self._attempted(score.partner, one) if one.after_seconds is None else None,
        )

    def _attempted(self, player: PartnerId, one: ExpectationResult) -> int | None:
        """Returns after how many seconds a player first did something of the kind that is for this inject and does not fulfil it."""
        place = self._places.get(one.inject)
        if place is None or one.action in ("acknowledge", "rated"):
            return None
        tables = (self._tried.get((player, one.action, number)) for number in (0, one.inject))
        found = (None if table is None else table.after(place) for table in tables)
        moments = [moment for moment in found if moment is not None]
        begin = self._released[one.inject]
        return max(self._fold.clock(min(moments)) - begin, 0) if moments else None

    def _inject_of(self, act: ExerciseAct) -> int:
        """Returns the inject that an act names, 0 where it names none."""
        if act.action == "acknowledge":
            return int(act.detail)
        return self._answered.get(act.entry, 0)

    def acts(self) -> Iterator[RecordedAct]:
        """Yields what players did, by time. What no stamp names yet is told at the time that it claims."""
        acts = sorted(self._acts_told(), key=_told_at)[:ACTS_IN_ALL_MAX]
        for act in acts:
            detail = act.detail
            if len(detail) > DETAIL_CHARACTERS_MAX:
                detail = detail[: DETAIL_CHARACTERS_MAX - 1] + "…"
            detail += "" if act.moment is not None else " (not stamped yet: it does not count)"
            inject = self._inject_of(act)
            said = "" if act.action == "acknowledge" else detail
            at = self._fold.clock(_told_at(act)[0])
            yield RecordedAct(at, self.called(act.author), act.action, said, inject)

    def _acts_told(self) -> Iterator[ExerciseAct]:
        told: Counter[PartnerId] = Counter()
        for act in self._acts:
            told[act.author] += 1
            if told[act.author] <= ACTS_TOLD_MAX:
                yield act

    def left_out(self, fold: ExerciseFold) -> Iterator[str]:
        """Yields what is not in the record, and why."""
        if not self._has_insight:
            yield NOT_SHOWN
        acts = len(self._acts) - min(sum(1 for _ in self._acts_told()), ACTS_IN_ALL_MAX)
        if acts:
            yield f"{acts} acts of who did more than {ACTS_TOLD_MAX}: they count as all do"
        observations = len(fold.observations()) - OBSERVATIONS_MAX
        if observations > 0:
            yield f"{observations} observations behind the first {OBSERVATIONS_MAX}"

    def observation(self, evaluator: PartnerId, said: ExerciseObservation) -> RecordedObservation:
        return RecordedObservation(
            self.called(evaluator),
            self.called(said.about[0]) if said.about else "",
            said.objective or self._objectives.get(said.expectation, ""),
            said.expectation,
            said.rating,
            said.text,
            said.item,
            self.called(said.owner[0]) if said.owner else "",
            said.due,
        )

    def events(self) -> Iterator[RecordedEvent]:
        """Yields what became of the exercise itself, at the time at which its clock was turned."""
        for turn in self._fold.course.turns[:EVENTS_MAX]:
            what = _EVENTS.get(turn.what, turn.what)
            yield RecordedEvent(turn.at, what, self.called(turn.vertex.author))


def _told_at(act: ExerciseAct) -> tuple[int, EntryId]:
    """Returns the time at which an act is told, and what settles the order of two."""
    return act.created if act.moment is None else act.moment, act.entry


class _Waiting:
    """When which injects waited for a player: from their release until the last thing that was expected was done, or its time was over."""

    def __init__(self, results: Iterable[ExpectationResult], released: Mapping[int, int]) -> None:
        """`released`: number of an inject -> its release, in exercise seconds."""
        self._released = released
        self._ends: dict[int, int] = {}
        for one in results:
            begin = released.get(one.inject)
            if begin is None:
                continue
            if one.after_seconds is not None:
                end = begin + one.after_seconds
            elif one.result == FAILED and one.action != "rated":
                end = begin + (one.late_within or one.within)
            else:
                continue
            if end > begin:
                self._ends[one.inject] = max(self._ends.get(one.inject, 0), end)
        self._sorted_begins = sorted(released[number] for number in self._ends)
        self._sorted_ends = sorted(self._ends.values())

    def beside(self, number: int) -> int:
        """Returns how many other injects waited when this one was released."""
        at = self._released.get(number, 0)
        waited = bisect_right(self._sorted_begins, at) - bisect_right(self._sorted_ends, at)
        return waited - (number in self._ends)


_EVENTS = {"real-event": "stopped for a real event"}
"""What a turn of the clock is called otherwise than its word."""
