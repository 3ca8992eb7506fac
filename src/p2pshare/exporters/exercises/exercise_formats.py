"""The formats in which an exercise is reported, by name: a new one is a file beside this one and a row here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from p2pshare.intel.exercise_record import ExerciseRecord


class ExerciseReporter(NamedTuple):
    """A row: the place of a format in the program, and its line in help."""

    path: str
    """`module:name` of a function from an `ExerciseRecord` to the bytes of the file."""
    about: str


EXERCISE_REPORTERS: Mapping[str, ExerciseReporter] = {
    "markdown": ExerciseReporter(
        "p2pshare.exporters.exercises.exercise_markdown:render", "a text for people"
    ),
    "html": ExerciseReporter(
        "p2pshare.exporters.exercises.exercise_page:render", "one page to print, with the time line drawn"
    ),
}


def load_exercise_reporter(name: str) -> Callable[[ExerciseRecord], bytes]:
    """Returns the format called `name`. Raises KeyError for one that has no row."""
    from pkgutil import resolve_name  # not for help, which reads the rows only

    found: Callable[[ExerciseRecord], bytes] = resolve_name(EXERCISE_REPORTERS[name].path)
    return found
