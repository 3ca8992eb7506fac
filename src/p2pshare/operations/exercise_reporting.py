"""`exercise report`: an exercise as it is told to people, which the command writes in a format (docs/exercise-packs.md, "Report")."""

from __future__ import annotations

from msgspec import Struct

from p2pshare.intel.exercise_record import ExerciseRecord
from p2pshare.node.node import NodeReading, Progress
from p2pshare.operations.exercises import ExerciseHere
from p2pshare.operations.interface import Query
from p2pshare.spaces.exercise_telling import record_of


class ExerciseReported(Struct, frozen=True, forbid_unknown_fields=True):
    """An exercise, told."""

    record: ExerciseRecord


class ReportExercise(Query[ExerciseReported], frozen=True, tag="exercise-report"):
    """Tell the exercise as it stands here. Until it has ended, a player's has nothing of what was expected."""

    def run(self, node: NodeReading, now: int, progress: Progress) -> ExerciseReported:
        here = ExerciseHere(node, now)
        return ExerciseReported(record_of(here.state, here.names, now, has_insight=here.has_insight))
