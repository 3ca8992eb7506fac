"""An exercise as it is told to people: what its fold holds, with names instead of ids. Pure: what is not in the entries, the caller gives."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping

from p2pshare.identifiers import PartnerId
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
from p2pshare.spaces.exercise_scoring import ExpectationResult, PlayerScore, points_text
from p2pshare.spaces.fold import SpaceState

SUMMARY_CHARACTERS_MAX = 240  # of an inject: what stands in a cell
EVENTS_MAX = 256  # starts, pauses, ends that are told: the first ones
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
        tuple(telling.observation(vertex.author, said) for vertex, said in fold.observations()),
        tuple(telling.events()),
        "" if has_insight else NOT_SHOWN,
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
        self._by_player: defaultdict[tuple[PartnerId, str], list[ExerciseAct]] = defaultdict(list)
        for act in self._acts:
            self._by_player[act.author, act.action].append(act)

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
        expectations = (
            tuple(self._expectation(score, one) for one in score.results) if self._has_insight else ()
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

    def _expectation(self, score: PlayerScore, one: ExpectationResult) -> RecordedExpectation:
        begin = self._released.get(one.inject, 0)
        waited = {
            other.inject
            for other in score.results
            if other.inject != one.inject and self._waits(other, begin)
        }
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
            self._heard(score, one.inject),
            len(waited),
            self._attempted(score.partner, one) if one.after_seconds is None else None,
        )

    def _heard(self, score: PlayerScore, number: int) -> int | None:
        """Returns after how many seconds a player said that it had read an inject: it acknowledged it, or answered it."""
        begin = self._released.get(number)
        answers = [
            self._fold.clock(act.moment) - begin
            for act in self._by_player[score.partner, "answer"]
            if begin is not None and act.moment is not None and self._answered.get(act.entry) == number
        ]
        acknowledged = score.acknowledged.get(number)
        return min([*answers, *([] if acknowledged is None else [acknowledged])], default=None)

    def _attempted(self, player: PartnerId, one: ExpectationResult) -> int | None:
        """Returns after how many seconds a player first did something of the kind that is for this inject and does not fulfil it."""
        place = self._places.get(one.inject)
        if place is None or one.action in ("acknowledge", "rated"):
            return None
        moments = [
            act.moment
            for act in self._by_player[player, one.action]
            if act.moment is not None
            and act.upto > place
            and self._answered.get(act.entry, one.inject) == one.inject
        ]
        begin = self._released[one.inject]
        return self._fold.clock(min(moments)) - begin if moments else None

    def _inject_of(self, act: ExerciseAct) -> int:
        """Returns the inject that an act names, 0 where it names none."""
        if act.action == "acknowledge":
            return int(act.detail)
        return self._answered.get(act.entry, 0)

    def _waits(self, other: ExpectationResult, at: int) -> bool:
        """Returns whether an expectation of another inject, released before, was neither fulfilled nor over at that time."""
        begin = self._released.get(other.inject)
        if begin is None or begin > at:
            return False
        if other.after_seconds is not None:
            return begin + other.after_seconds > at
        over = other.late_within or other.within
        return other.result == FAILED and other.action != "rated" and begin + over > at

    def acts(self) -> Iterator[RecordedAct]:
        """Yields what players did, by time. What no stamp names yet is told at the time that it claims."""
        acts = sorted(
            self._acts,
            key=lambda act: (act.created if act.moment is None else act.moment, act.entry),
        )
        for act in acts:
            moment = act.created if act.moment is None else act.moment
            detail = act.detail + ("" if act.moment is not None else " (not stamped yet: it does not count)")
            inject = self._inject_of(act)
            said = "" if act.action == "acknowledge" else detail
            yield RecordedAct(self._fold.clock(moment), self.called(act.author), act.action, said, inject)

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


_EVENTS = {"real-event": "stopped for a real event"}
"""What a turn of the clock is called otherwise than its word."""
