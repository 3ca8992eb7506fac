"""The program around the commands: quick help, exit codes, the home folder, errors told once."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

from p2pshare.cli import export
from p2pshare.cli.program import COMMANDS, home_folder, program, run_program
from p2pshare.errors import (
    AuthorError,
    ConfigError,
    DaemonUnreachable,
    KeyFileError,
    NotFoundError,
    PeerError,
    RefusedError,
    ShareError,
)

HEAVY = ("aiohttp", "cryptography", "asyncio", "apsw", "zstandard", "msgspec")

EXPORTS = (*export.FORMAT_NAMES, *export.FOLDER_FORMAT_NAMES)


def every_command() -> list[tuple[str, ...]]:
    """All commands, subcommands too, as they are typed."""
    paths: list[tuple[str, ...]] = [()]
    context = click.Context(program)
    for name in program.list_commands(context):
        command = program.get_command(context, name)
        paths.append((name,))
        if isinstance(command, click.Group):
            paths += [(name, inner) for inner in command.commands]
    return paths


@pytest.mark.parametrize("path", every_command(), ids=lambda path: " ".join(path) or "program")
def test_help_is_there_for_every_command_and_loads_nothing_heavy(path: tuple[str, ...]) -> None:
    code = (
        "import sys; from p2pshare.cli.program import run_program\n"
        f"code = run_program([*{path!r}, '--help'])\n"
        f"print('loaded', *(name for name in {HEAVY!r} if name in sys.modules)); sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith(f"Usage: {' '.join(('p2pshare', *path))}")
    assert lines[-1] == "loaded"


def test_the_list_of_commands_tells_each_in_one_short_line() -> None:
    context = click.Context(program)
    for name, (_, text) in COMMANDS.items():
        command = program.get_command(context, name)
        assert command is not None
        assert command.name == name
        assert len(text) <= 70
        assert text[0].islower()


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ShareError("x"), 1),
        (AuthorError("x"), 1),
        (PeerError("x"), 1),
        (NotFoundError("x"), 3),
        (DaemonUnreachable("x"), 4),
        (RefusedError("x"), 5),
        (KeyFileError("x"), 66),
        (ConfigError("x"), 78),
        (PermissionError(13, "Permission denied", "/x"), 1),
        (KeyError("evil.example"), 1),
        (KeyboardInterrupt(), 130),
        (click.UsageError("No such option."), 2),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else str(value),
)
def test_each_error_has_its_exit_code_and_is_told_on_stderr_only(
    error: BaseException, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_: object) -> int:
        raise error

    monkeypatch.setattr("p2pshare.cli.program._call", fail)
    assert run_program([]) == code
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("error: ")
    assert "Traceback" not in said.err
    assert "evil.example" not in said.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nonsense"], "error: no such command 'nonsense'"),
        (["lookup"], "error: missing argument 'VALUE ...|-'"),
        (["publish", "--ttl"], "error: option '--ttl' requires an argument"),
        (
            ["export", "--format", "xml"],
            f"error: invalid value for '--format': 'xml' is not one of {', '.join(map(repr, EXPORTS))}",
        ),
        (["export"], f"error: missing option '--format'. Choose from: {', '.join(EXPORTS)}"),
    ],
)
def test_usage_errors_are_2_in_lower_case_with_a_hint(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_program(arguments) == 2
    first, second = capsys.readouterr().err.splitlines()
    assert first == message
    assert second.startswith("hint: `p2pshare")


def test_the_home_is_the_option_else_the_variable_else_the_data_folder(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("P2PSHARE_HOME", "/from/variable")
    assert home_folder("/from/option") == Path("/from/option")
    assert home_folder(None) == Path("/from/variable")
    monkeypatch.delenv("P2PSHARE_HOME")
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    assert home_folder(None) == Path("/data/p2pshare")
    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.setenv("HOME", "/home/somebody")
    assert home_folder(None) == Path("/home/somebody/.local/share/p2pshare")
    assert home_folder("relative") == Path.cwd() / "relative"


def test_a_reader_that_goes_away_ends_the_command_without_a_word() -> None:
    code = "import sys; from p2pshare.cli.program import run_program; sys.exit(run_program(['--help']))"
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-c", code], stdout=writing, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (1, "")


def test_version_is_one_word(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_program(["--version"]) == 0
    assert capsys.readouterr().out.split() == ["p2pshare", "0.1.0"]
