"""`exercise ack|answer|rate|stop`: what players and evaluators say in an exercise, and what anybody may who has joined (docs/exercises.md)."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from p2pshare.errors import AuthorError, NotFoundError, RefusedError
from p2pshare.identifiers import PartnerId
from p2pshare.intel.exercise_pack import INJECTS_MAX
from p2pshare.node.node import Node, Progress
from p2pshare.operations.exercises import ExerciseHere, say_in_exercise
from p2pshare.operations.interface import Request
from p2pshare.operations.spaces import Called, SpaceWritten, member_called
from p2pshare.spaces.entry_fields import DECIDING_TEXT_BYTES_MAX, TIME_MAX
from p2pshare.spaces.exercise import ENDED, EVALUATING_ROLES
from p2pshare.spaces.exercise_entries import ExerciseObservation, ExercisePause, InjectAck, InjectAnswer

InjectNumber = Annotated[int, Meta(ge=1, le=INJECTS_MAX)]
SaidText = Annotated[str, Meta(max_length=DECIDING_TEXT_BYTES_MAX)]
SaidLine = Annotated[str, Meta(max_length=256)]


class AckInject(Request[SpaceWritten], frozen=True, tag="exercise-ack"):
    """Say that an inject has been read here by who is on duty."""

    number: InjectNumber

    def run(self, node: Node, now: int, progress: Progress) -> SpaceWritten:
        here = ExerciseHere(node, now)
        here.require_open()
        held = here.inject_called(self.number)
        return say_in_exercise(node, here.row, "inject-ack", InjectAck(held.number), now)


class AnswerInject(Request[SpaceWritten], frozen=True, tag="exercise-answer"):
    """Answer an inject: with words, a choice, or both. The first answer counts."""

    number: InjectNumber
    text: SaidText = ""
    choice: SaidLine = ""

    def run(self, node: Node, now: int, progress: Progress) -> SpaceWritten:
        if not self.text and not self.choice:
            raise AuthorError(
                "an answer has words or a choice", hint="TEXT, or --choice X", reason="bad-argument"
            )
        here = ExerciseHere(node, now)
        here.require_open()
        held = here.inject_called(self.number)
        if here.fold.has_answered(held.number, here.own):
            raise RefusedError(
                f"inject {self.number} has our answer already, and the first one counts",
                hint="say what is to be added by telephone",
                reason="answered",
            )
        answer = InjectAnswer(held.number, self.choice, self.text)
        return say_in_exercise(node, here.row, "answer", answer, now)


class RateExercise(Request[SpaceWritten], frozen=True, tag="exercise-rate"):
    """Say what an evaluator saw: a rating and words, about an objective or expectation, of a player or of all; and what is to be done about it."""

    rating: Literal["", "P", "S", "M", "U"]
    text: SaidText = ""
    about: Called = ""
    """A player's alias, or the beginning of its id."""
    objective: SaidLine = ""
    expectation: SaidLine = ""
    item: SaidText = ""
    owner: Called = ""
    """Who is to do it: a member, as `about` is."""
    due: Annotated[int, Meta(ge=0, le=TIME_MAX)] = 0
    """Unix seconds, 0: no time."""

    def run(self, node: Node, now: int, progress: Progress) -> SpaceWritten:
        here = ExerciseHere(node, now)
        if here.role(here.own) not in EVALUATING_ROLES:
            raise RefusedError(
                "white members and observers rate", hint="tell one of them", reason="not-evaluator"
            )
        if not (self.rating or self.text or self.item):
            raise AuthorError("nothing is said", hint="P, S, M or U, or words", reason="bad-argument")
        pack = here.fold.pack()
        if self.objective and (pack is None or all(one.id != self.objective for one in pack.objectives)):
            known = "" if pack is None else ", ".join(one.id for one in pack.objectives)
            raise NotFoundError(
                "the pack has no such objective", hint=f"it has {known}", reason="unknown-objective"
            )
        said = ExerciseObservation(
            self._inject(here),
            self.expectation,
            self.objective,
            _named(here, self.about),
            self.rating,
            self.text,
            self.item,
            _named(here, self.owner),
            self.due,
        )
        return say_in_exercise(node, here.row, "observation", said, now)

    def _inject(self, here: ExerciseHere) -> int:
        """Returns the number of the inject whose expectation is rated, 0 for none. Raises NotFoundError `unknown-expectation`."""
        if not self.expectation:
            return 0
        for held in here.fold.injects():
            if (
                held.inject is not None
                and held.fits
                and any(one.id == self.expectation for one in held.inject.expect)
            ):
                return held.number
        raise NotFoundError(
            "no inject that was released has such an expectation",
            hint="`p2pshare exercise score` lists them",
            reason="unknown-expectation",
        )


def _named(here: ExerciseHere, name: str) -> tuple[PartnerId, ...]:
    return (member_called(here.state.members, here.names, name),) if name else ()


class StopExercise(Request[SpaceWritten], frozen=True, tag="exercise-stop"):
    """Say that a real event has come: the game is paused everywhere, and each node raises a real alarm. Any member may that has joined."""

    def run(self, node: Node, now: int, progress: Progress) -> SpaceWritten:
        here = ExerciseHere(node, now)
        if here.phase == ENDED:
            raise RefusedError("this exercise has ended", reason="wrong-phase")
        return say_in_exercise(node, here.row, "pause", ExercisePause(is_real_event=1), now)
