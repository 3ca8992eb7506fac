"""The console: every word that a person reads passes through here.

Rules:
1. Results go to stdout, everything else to stderr: a pipe gets data only.
2. No capitals, no full stop: `error: what, where`, and beneath it `hint: how to mend it`.
3. Colour and moving lines only on a terminal, and not where NO_COLOR is set (no-color.org).
4. Nothing is asked without a terminal on both stdin and stderr; the command then needs `--yes`.
5. Text that others wrote (values, names, ids) is escaped before it is shown: `shown`. JSON escapes by itself.
6. In an exercise every line begins with `EXERCISE`, results and talk; what is JSON for a program is as it always is, and on a terminal such a line stands
   above it.
7. Both streams may lead to one pipe: each is flushed before the other is written, so that the order holds.
"""

from __future__ import annotations

import errno
import json
import os
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import IO, TYPE_CHECKING, Any, BinaryIO

import click

from p2pshare.daemon.service_manager import ERROR_PRIORITY, WARNING_PRIORITY, with_priority, writes_to_journal
from p2pshare.errors import OperatorError, ShareError
from p2pshare.intel.display import safe
from p2pshare.lookalikes import notes_on

if TYPE_CHECKING:
    from p2pshare.queries.status import PartnerStatus

REDRAW_SECONDS = 0.1
COMPLAINT_CHARACTERS_MAX = (
    6_000  # of an error and of its hint: more than any path has; of what is longer the middle is left out
)
COMPLAINT_END_CHARACTERS = 500  # which say what is wrong
EXERCISE_MARK = "EXERCISE"
_EXERCISE = "p2pshare.exercise"  # in the context of a command, and of those inside it
_IS_MARKED = "p2pshare.exercise-marked"
CLOSED_DOORS = {
    "not-accepted-yet": "not accepted yet",
    "removed-by-partner": "removed by partner",
    "other-certificate": "another certificate is shown",
}
"""States of a partner that does not let us in, for a person."""
CLEAR_LINE = "\r\x1b[K"
UNWRITABLE_HINTS = {
    errno.EACCES: "write as a user who may, or choose another file",
    errno.EBADF: "this descriptor is not open for writing",
    errno.EISDIR: "give a file in it, or - for stdout",
    errno.ELOOP: "its symbolic links lead round in a circle: give the file itself",
    errno.ENOSPC: "make room, or choose another place",
    errno.ENXIO: "give a file, or a FIFO whose reader was started",
    errno.EPERM: "write as a user who may, or choose another file",
}


def shown(text: object) -> str:
    """Returns `text` made harmless for a terminal; absent is a dash, true and false are yes and no."""
    if isinstance(text, bool):
        return "yes" if text else "no"
    return "-" if text is None or text == "" else safe(str(text))


def shown_name(name: str) -> str:
    """Returns `shown` of a name on a card, and behind it in brackets what the eye does not see: mixed scripts, ..."""
    notes = "; ".join(notes_on(name))
    return f"{shown(name)} ({notes})" if notes else shown(name)


def counted(number: int, noun: str) -> str:
    """Returns `1 object`, `2 objects`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def begin_exercise(exercise: str) -> None:
    """Have the command that runs, and all it asks, be for the exercise whose id begins so."""
    click.get_current_context().meta[_EXERCISE] = exercise
    _note_mark()


def chosen_exercise() -> str:
    """Returns what `begin_exercise` was told by the command that runs; "" for what is real."""
    context = click.get_current_context(silent=True)
    return "" if context is None else str(context.meta.get(_EXERCISE, ""))


def mark_exercises(*, is_marked: bool = True) -> None:
    """Have every line of the command that runs say that it is of an exercise, though it is for none in particular: a list, a pack."""
    click.get_current_context().meta[_IS_MARKED] = is_marked
    _note_mark()


_marks_errors = ContextVar("marks_errors", default=False)
"""Whether the command of now was of an exercise when it failed: its error is told when its context is gone."""


def forget_exercises() -> None:
    """End a command in this process: nothing of it marks the lines of another."""
    _marks_errors.set(False)


def _note_mark() -> None:
    _marks_errors.set(_is_marked())


def _is_marked() -> bool:
    context = click.get_current_context(silent=True)
    if context is None:
        return _marks_errors.get()
    return bool(context.meta.get(_EXERCISE) or context.meta.get(_IS_MARKED))


def _marked(text: str) -> str:
    """Returns text whose lines each say that they are of an exercise, where they are (rule 6)."""
    if not _is_marked():
        return text
    return "\n".join(f"{EXERCISE_MARK} {line}".rstrip() for line in text.split("\n"))


def print_result(text: str) -> None:
    """Print one line of the result, on stdout. `text` is already `shown` where others wrote it."""
    _put(_marked(text))


def _put(text: str) -> None:
    with _writing_stdout():
        sys.stdout.write(text + "\n")


def print_json(value: Any) -> None:
    """Print the result as JSON, on stdout: indented for a person, one line for a pipe."""
    is_read = sys.stdout.isatty()
    if is_read and _is_marked():
        _put(EXERCISE_MARK)
    _put(json_text(value, indent=2 if is_read else None))


@contextmanager
def result_bytes() -> Iterator[BinaryIO]:
    """Yields stdout for bytes, behind all that was printed. Raises OperatorError."""
    flush_results()
    with _writing_stdout():
        yield sys.stdout.buffer
    flush_results()


def flush_results() -> None:
    """Write out what was printed. Raises OperatorError; BrokenPipeError when the reader has gone away."""
    with _writing_stdout():
        sys.stdout.flush()


@contextmanager
def _writing_stdout() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise unwritable("stdout", error) from None


def json_text(value: Any, indent: int | None = None) -> str:
    """Returns JSON in printable ASCII. DEL is the one control character that JSON lets stand as it is, and `<` would
    begin a tag where the text is put on a page: both can only occur inside strings."""
    text = json.dumps(value, indent=indent, ensure_ascii=True, default=_fields_of)
    return text.replace("\x7f", "\\u007f").replace("<", "\\u003c")


def _fields_of(answer: Any) -> Any:
    """Returns an answer of an operation as JSON has it."""
    from msgspec import to_builtins

    return to_builtins(answer)


def say(text: str) -> None:
    """Write a line of talk, on stderr, behind all results before it. Talk that cannot be written fails no command."""
    _talk(_marked(text))


def _talk(text: str) -> None:
    flush_results()
    try:
        sys.stderr.write(text + "\n")
    except OSError:
        discard(sys.stderr)


def complain(error: ShareError, *, as_json: bool = False) -> None:
    """Write an error and its hint, on stderr, the last that is written there; as JSON it is one line."""
    try:
        sys.stdout.flush()
    except OSError:
        discard(sys.stdout)
    if as_json:
        fields = {"message": _told(error.message), "hint": _told(error.hint)}
        _talk(json_text({"error": fields | {"reason": error.reason, "exit_code": error.exit_code}}))
        return
    _say_at(ERROR_PRIORITY, f"{_coloured('error:', '31')} {_told(error.message)}")
    if error.hint:
        _say_at(ERROR_PRIORITY, f"{_coloured('hint:', '36')} {_told(error.hint)}")


def _told(text: str) -> str:
    """Returns what an error says, harmless for a terminal: it may repeat what somebody typed, of any length."""
    if len(text) <= COMPLAINT_CHARACTERS_MAX:
        return safe(text)
    return f"{safe(text[: COMPLAINT_CHARACTERS_MAX // 2])} … {safe(text[-COMPLAINT_END_CHARACTERS:])}"


def warn(text: str) -> None:
    _say_at(WARNING_PRIORITY, f"{_coloured('warning:', '33')} {safe(text)}")


def _say_at(priority: int, text: str) -> None:
    """Say it, where a service runs the command with the priority by which its journal sorts."""
    _talk(with_priority(_marked(text), priority) if writes_to_journal(sys.stderr) else _marked(text))


def unwritable(name: str, error: OSError) -> OperatorError:
    """Returns the error to raise when `name`, which was asked for, cannot be written."""
    return OperatorError(
        f"cannot write {name}: {(error.strerror or 'unknown').lower()}",
        hint=UNWRITABLE_HINTS.get(
            error.errno or 0, "check that its folder exists, may be written and has space"
        ),
        reason="output",
    )


def discard(stream: IO[str]) -> None:
    """Lead `stream`, which cannot be written, nowhere: Python's own last flush would fail once more, aloud."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def open_closed_streams() -> None:
    """Lead standard streams that were closed (`>&-`) nowhere: Python has None for them, and the next file opened would
    get their number."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115  open until the process ends


def can_ask() -> bool:
    """Returns whether a person sits in front of this process (rule 4)."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def ask(question: str) -> bool:
    """Ask on stderr; returns True for `y` and `yes` only. The caller has looked at `can_ask`."""
    flush_results()
    sys.stderr.write(f"{_marked(question)} [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def ask_text(question: str) -> str:
    """Ask on stderr; returns the line that was typed, without blanks at its ends. The caller has looked at `can_ask`."""
    flush_results()
    sys.stderr.write(f"{question} ")
    sys.stderr.flush()
    line = sys.stdin.readline()
    if not line.endswith("\n"):  # the end of the input: what is said next begins a line
        sys.stderr.write("\n")
    return line.strip()


def print_fields(fields: Mapping[str, Any]) -> None:
    """Print one `name  value` a line; a list's values on one line."""
    for name, value in fields.items():
        text = (", ".join(map(shown, value)) or "none") if isinstance(value, (list, tuple)) else shown(value)
        print_result(f"{name.replace('_', ' '):<13} {text}")


def print_table(heading: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print columns as wide as their widest cell; a pipe gets no heading."""
    cells = [[shown(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(heading, *cells, strict=True)]
    if sys.stdout.isatty():
        print_result(_row(heading, widths))
    for row in cells:
        print_result(_row(row, widths))


def print_counts(what: str, counted_by_reason: Iterable[Mapping[str, Any]]) -> None:
    """Say what was refused or noted, by reason, with a few examples: talk, not result."""
    for one in counted_by_reason:
        examples = ", ".join(shown(example) for example in one.get("examples", ()))
        tail = f", for example {examples}" if examples else ""
        say(f"{what}: {one['count']} {shown(one['reason'])}{tail}")


def print_partners(partners: Sequence[PartnerStatus]) -> None:
    """Print the table of partners that `status` and `partner list` share."""
    rows = []
    for one in partners:  # "waiting: tls": why nothing is heard stands beside the state
        word = CLOSED_DOORS.get(one.state, one.state)
        state = f"{word}: {one.last_error}" if one.last_error not in ("", one.state) else word
        rows.append((one.alias, state, one.last_exchange, one.url, shown_name(one.name)))
    print_table(("alias", "state", "last_exchange", "url", "name"), rows)
    for one in partners:
        if one.standing != "compared":
            print_result(f"{shown(one.alias)}: {introduced_words(one.introduced_by, one.suspended)}")
        if one.noted:
            counts = "  ".join(f"{shown(reason)} {count}" for reason, count in one.noted.items())
            print_result(f"noted of {shown(one.alias)}: {counts}")
        if one.distrusted:
            print_result(
                f"distrusted {shown(one.alias)}: since {one.distrusted}  `p2pshare partner trust` takes it back"
            )
        if one.knocked:
            print_result(f"knocked at {shown(one.alias)}: {one.knocked}  {shown(one.knock)}")


def introduced_words(introducers: Sequence[str], suspended: str = "") -> str:
    """Returns `introduced by X, fingerprint not compared`, and why nobody introduces the partner any more."""
    by = ", ".join(map(shown, introducers)) or "a partner that was removed"
    ended = f"; suspended: {shown(suspended)}" if suspended else ""
    return f"introduced by {by}, fingerprint not compared{ended}"


def no_progress(what: str, done: int, of: int) -> None:
    """Show nothing: for work that is over before a line could be read."""


class ProgressLine:
    """One line on stderr that moves while long work is done; silent where stderr is no terminal."""

    def __init__(self, stream: IO[str] | None = None) -> None:
        self._stream = stream or sys.stderr
        self._moving = self._stream.isatty() and "NO_COLOR" not in os.environ
        self._drawn_at = 0.0

    def __enter__(self) -> ProgressLine:
        return self

    def __exit__(self, *_: object) -> None:
        if self._drawn_at:
            self._stream.write(CLEAR_LINE)
            self._stream.flush()

    def show(self, what: str, done: int, of: int) -> None:
        """Redraw the line, at most every REDRAW_SECONDS; `of` is 0 where the end is not known."""
        now = time.monotonic()
        if self._moving and now - self._drawn_at >= REDRAW_SECONDS:
            share = f" of {of}" if of else ""
            self._stream.write(f"{CLEAR_LINE}{safe(what)} {done}{share}")
            self._stream.flush()
            self._drawn_at = now


def _row(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()


def _coloured(word: str, code: str) -> str:
    if sys.stderr.isatty() and "NO_COLOR" not in os.environ:
        return f"\x1b[{code}m{word}\x1b[0m"
    return word
