"""An exercise as it is told to people: what its fold holds, with names instead of ids. Pure: what is not in the entries, the caller gives."""

from __future__ import annotations

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
from p2pshare.spaces.exercise import ExerciseFold, HeldInject
from p2pshare.spaces.exercise_entries import ExerciseObservation, ExercisePause, ExerciseStart
from p2pshare.spaces.exercise_scoring import ExpectationResult, PlayerScore, points_text
from p2pshare.spaces.fold import SpaceState

SUMMARY_CHARACTERS_MAX = 240  # of an inject: what stands in a cell
EVENTS_MAX = 256  # pauses and the like: more are told as a number
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
        fold.phase,
        fold.time_factor or (1 if pack is None else pack.time_factor),
        0 if pack is None else pack.duration_seconds,
        fold.clock(now),
        tuple(
            RecordedObjective(
                one.id, texts.get(one.id, ""), points_text(one.half_points), points_text(one.half_of), one.score
            )
            for one in score.objectives
        ),
        tuple(map(telling.inject, fold.injects())),
        tuple(map(telling.player, score.players)),
        tuple(telling.acts()),
        tuple(telling.observation(vertex.author, said) for vertex, said in fold.observations),
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
        self._released = {one.number: one.at for one in fold.injects() if one.fits}

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
            score.acknowledged.get(one.inject),
            len(waited),
        )

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
            self._fold.acts,
            key=lambda act: (act.created if act.moment is None else act.moment, act.entry),
        )
        for act in acts:
            moment = act.created if act.moment is None else act.moment
            detail = act.detail + ("" if act.moment is not None else " (not stamped yet: it does not count)")
            yield RecordedAct(self._fold.clock(moment), self.called(act.author), act.action, detail)

    def observation(self, evaluator: PartnerId, said: ExerciseObservation) -> RecordedObservation:
        return RecordedObservation(
            self.called(evaluator),
            self.called(said.about[0]) if said.about else "",
            said.objective,
            said.expectation,
            said.rating,
            said.text,
            said.item,
            self.called(said.owner[0]) if said.owner else "",
            said.due,
        )

    def events(self) -> Iterator[RecordedEvent]:
        """Yields what became of the exercise itself, in the order of its entries."""
        told = 0
        for vertex in self._state.timeline:
            what = _EVENTS.get(vertex.kind)
            if what is None or told == EVENTS_MAX:
                continue
            told += 1
            text = ""
            said = self._fold.said(vertex) if vertex.kind in ("start", "pause") else None
            if isinstance(said, ExercisePause) and said.is_real_event:
                what = "stopped for a real event"
            elif isinstance(said, ExerciseStart):
                text = f"{said.time_factor} times real time"
            yield RecordedEvent(vertex.header.created, what, self.called(vertex.author), text)


_EVENTS = {
    "start": "started",
    "pause": "paused",
    "resume": "resumed",
    "end": "ended",
    "takeover": "takeover proposed",
    "handover": "handed over",
}
"""Kind of an entry -> what it is called."""
