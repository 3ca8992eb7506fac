"""Options and argument types that several commands share."""

from __future__ import annotations

import sys
from collections.abc import Callable
from io import BufferedReader
from pathlib import Path
from typing import Any, TypeVar, cast

import click

from p2pshare.cli import console
from p2pshare.cli.completion import complete_file
from p2pshare.errors import AuthorError, ShareError

Function = TypeVar("Function", bound=Callable[..., Any])

STANDARD_STREAM = "-"
EXIT_PARTLY_DONE = 6


class UsageProblem(ShareError):
    """The command was typed in a way that cannot be followed."""

    exit_code = 2
    reason = "usage"


def json_option(function: Function) -> Function:
    """Add `--json`: the result as JSON on stdout, the same exit code."""
    return click.option("--json", "as_json", is_flag=True, help="print the result as JSON")(function)


def _choose_exercise(context: click.Context, _: click.Parameter, exercise: str | None) -> None:
    if exercise is None:
        return
    if not exercise.strip():  # of a variable that is not set: it must not become what is real
        raise UsageProblem("--exercise names no exercise", hint="`p2pshare exercise list` has their ids")
    console.begin_exercise(exercise)


EXERCISE_OPTION = click.Option(
    ["--exercise"],
    metavar="ID",
    expose_value=False,
    callback=_choose_exercise,
    help="in the exercise ID: nothing of it is real, and nothing real is in it",
)


def exercise_option(function: Function) -> Function:
    """Add `--exercise ID`: the command, and all that it asks, is for that exercise."""
    return click.option(
        "--exercise",
        metavar="ID",
        expose_value=False,
        callback=_choose_exercise,
        help=EXERCISE_OPTION.help,
    )(function)


def owner_output_option(function: Function) -> Function:
    """Add `-o FILE`: stdout, or a file for its owner alone, which appears whole or not at all."""
    return click.option(
        "-o",
        "file",
        metavar="FILE",
        default=STANDARD_STREAM,
        show_default="stdout",
        shell_complete=complete_file,
        help="appears whole or not at all, for its owner alone",
    )(function)


def required_output_option(function: Function) -> Function:
    """Add `-o FILE` that must be named: a file for its owner alone, which appears whole or not at all, or `-` for stdout."""
    return click.option(
        "-o",
        "file",
        metavar="FILE",
        required=True,
        shell_complete=complete_file,
        help="appears whole or not at all, for its owner alone; - for stdout",
    )(function)


def read_input(name: str, bytes_max: int) -> bytes:
    """Returns the bytes of a file, or of stdin for `-`. Raises AuthorError when there are more than `bytes_max`, or it
    cannot be read."""
    with open_input(name) as stream:
        raw = stream.read(bytes_max + 1)
    if len(raw) > bytes_max:
        raise AuthorError(f"{name} is larger than {bytes_max} bytes", hint="split it", reason="oversized")
    return raw


def open_input(name: str) -> BufferedReader:
    """Returns a file opened for reading, or stdin for `-`. Raises AuthorError."""
    if name == STANDARD_STREAM:
        return cast(BufferedReader, sys.stdin.buffer)
    try:
        return Path(name).open("rb")
    except OSError as error:
        raise AuthorError(
            f"cannot read {name}: {(error.strerror or 'unknown').lower()}", hint="give a file, or - for stdin"
        ) from None
