"""Operations for tests of exercises on real daemons, where the commands for it are not what is tried.

`register` adds them to the table of a process: the test's own, and by `PREFACE` that of a daemon.
"""

from __future__ import annotations

from pathlib import Path

from p2pshare.identifiers import EntryId
from p2pshare.node.node import Node, Progress
from p2pshare.operations.interface import Request
from p2pshare.operations.spaces import SpaceWritten, partner_called
from p2pshare.operations.table import OPERATIONS, Operation
from p2pshare.spaces.exercise_grounds import make_exercise
from p2pshare.spaces.space_exchange import spaces_of

PREFACE = f"""
import sys
sys.path.insert(0, {str(Path(__file__).resolve().parent)!r})
import exercise_operations
exercise_operations.register()
"""


class MakeExercise(Request[SpaceWritten], frozen=True, tag="test-exercise-make"):
    """Make an exercise with these partners as players."""

    title: str
    invite: tuple[str, ...] = ()

    def run(self, node: Node, now: int, progress: Progress) -> SpaceWritten:
        invited = [(partner_called(node.store, name), "blue") for name in self.invite]
        made = make_exercise(node, self.title, 1, invited, now)
        assert made.ground.exercise is not None
        return SpaceWritten(made.ground.exercise.text, made.ground.realm.text)


class JoinExercise(Request[SpaceWritten], frozen=True, tag="test-exercise-join"):
    """Accept the invitation into the exercise that this is asked for."""

    exercise_id: str

    def run(self, node: Node, now: int, progress: Progress) -> SpaceWritten:
        joined = spaces_of(node).join(EntryId.parse(self.exercise_id), now)
        return SpaceWritten(self.exercise_id, joined.entry_id.text)


def register() -> None:
    OPERATIONS["test-exercise-make"] = Operation(MakeExercise, writes_spaces=True)
    OPERATIONS["test-exercise-join"] = Operation(JoinExercise, writes_spaces=True, in_exercise=True)
