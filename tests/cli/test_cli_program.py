"""The program around the commands: quick help, exit codes, the home folder, errors told once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import click
import pytest

from p2pshare.cli.command import HOME_OPTION, home_folder
from p2pshare.cli.program import COMMANDS, asks_for_json, program, run_program
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
from p2pshare.exporters.registry import EXPORTERS

ENVIRONMENT = {name: text for name, text in os.environ.items() if name != "PYTHONUNBUFFERED"}
HEAVY = ("aiohttp", "cryptography", "asyncio", "apsw", "zstandard", "msgspec")


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


def command_at(path: tuple[str, ...]) -> click.Command:
    command: click.Command = program
    for name in path:
        assert isinstance(command, click.Group)
        found = command.get_command(click.Context(command), name)
        assert found is not None
        command = found
    return command


GROUPS = [path for path in every_command() if isinstance(command_at(path), click.Group)]
BARE_GROUPS = [path for path in GROUPS if path != ("doctor",)]  # which examines this node


def named(path: tuple[str, ...]) -> str:
    return " ".join(path) or "program"


# `--help` of each path, in a fork of a process that has loaded the program and no command: none finds what another one loaded.
HELP = """
import json, os, sys, tempfile
from p2pshare.cli.program import run_program
heavy, paths = json.load(sys.stdin)
told = []
for path in paths:
    with tempfile.TemporaryFile() as said:
        if not (child := os.fork()):
            os.dup2(said.fileno(), 1)
            os.dup2(said.fileno(), 2)
            code = run_program([*path, "--help"])
            print("loaded", *(name for name in heavy if name in sys.modules), flush=True)
            os._exit(code)
        _, status = os.waitpid(child, 0)
        said.seek(0)
        told.append((os.waitstatus_to_exitcode(status), said.read().decode()))
json.dump(told, sys.stdout)
"""


@pytest.fixture(scope="module")
def helped() -> dict[tuple[str, ...], tuple[int, str]]:
    """What each command's `--help` said, with its exit code; its last line names what heavy things were loaded."""
    paths = every_command()
    done = subprocess.run(
        [sys.executable, "-c", HELP],
        input=json.dumps((HEAVY, paths)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return {path: (code, said) for path, (code, said) in zip(paths, json.loads(done.stdout), strict=True)}


@pytest.mark.parametrize("path", every_command(), ids=named)
def test_help_is_there_for_every_command_and_loads_nothing_heavy(
    path: tuple[str, ...], helped: dict[tuple[str, ...], tuple[int, str]]
) -> None:
    code, said = helped[path]
    assert code == 0, said
    lines = said.splitlines()
    assert lines[0].startswith(f"Usage: {' '.join(('p2pshare', *path))}")
    assert lines[-1] == "loaded"


NOT_FOR_LOOKING = (
    "aiohttp", "asyncio", "cryptography", "re2", "tomllib",
    "p2pshare.config", "p2pshare.importers", "p2pshare.node.node", "p2pshare.policy", "p2pshare.sharing",
    "p2pshare.warninglists",
)  # fmt: skip


def test_a_look_up_loads_what_reads_and_nothing_else(tmp_path: Path) -> None:
    """Most of the time of one is imports, and a SIEM starts it for each value (docs/decisions/0088)."""
    home = str(tmp_path / "home")
    assert run_program(["init", "--home", home, "--name", "x", "--dial-only"]) == 0
    code = (
        "import sys; from p2pshare.cli.program import run_program\n"
        f"code = run_program(['lookup', '--home', {home!r}, 'evil.example'])\n"
        f"print('loaded', *(name for name in {NOT_FOR_LOOKING!r} if name in sys.modules)); sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (3, "loaded\n"), done.stderr


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
    assert run_program(["status", "--json"]) == code
    out, err = capsys.readouterr()
    told = json.loads(err)["error"]
    assert (out, err.count("\n"), list(told)) == ("", 1, ["message", "hint", "reason", "exit_code"])
    assert (told["exit_code"], told["reason"]) == (code, getattr(error, "reason", told["reason"]))
    assert said.err.splitlines() == [
        f"error: {told['message']}",
        *([f"hint: {told['hint']}"] if told["hint"] else []),
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nonsense"], "error: no such command 'nonsense'"),
        (["lookup"], "error: missing argument 'VALUE ...|-'"),
        (["publish", "--ttl"], "error: option '--ttl' requires an argument"),
        (
            ["export", "--format", "xml"],
            f"error: invalid value for '--format': 'xml' is not one of {', '.join(map(repr, EXPORTERS))}",
        ),
        (["export"], f"error: missing option '--format'. Choose from: {', '.join(EXPORTERS)}"),
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


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("more", [[], ["--json"]], ids=" ".join)
def test_a_result_that_cannot_be_written_is_told_once_and_nothing_comes_after(
    tmp_path: Path, more: list[str], unbuffered: str
) -> None:
    home = str(tmp_path / "home")
    assert run_program(["init", "--home", home, "--name", "x", "--dial-only"]) == 0
    for arguments in (["status"], ["card", "show"], ["status", "--help"]):
        command = [sys.executable, "-m", "p2pshare", *arguments, "--home", home, *more]
        with open("/dev/full", "wb") as full:
            done = subprocess.run(
                command,
                stdout=full,
                stderr=subprocess.PIPE,
                text=True,
                env=ENVIRONMENT | {"PYTHONUNBUFFERED": unbuffered},
                check=False,
            )
        assert done.returncode == 1
        [error, *hint] = done.stderr.splitlines()
        if more:
            assert "no space left on device" in json.loads(error)["error"]["message"]
            assert hint == []
        elif "--help" in arguments:
            assert (error, hint) == ("error: no space left on device", [])
        else:
            assert error == "error: cannot write stdout: no space left on device"
            assert hint == ["hint: make room, or choose another place"]


@pytest.mark.parametrize("is_json", [False, True])
def test_talk_that_cannot_be_written_changes_no_exit_code(is_json: bool) -> None:
    command = [sys.executable, "-m", "p2pshare", "nonsense", *(["--json"] if is_json else [])]
    with open("/dev/full", "wb") as full:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=full, env=ENVIRONMENT, check=False)
    assert (done.returncode, done.stdout) == (2, b"")


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", ">&- 2>&- <&-"])
def test_closed_standard_streams_are_no_bug(closed: str) -> None:
    for arguments, code in (("--help", 0), ("nonsense", 2)):
        command = f"{sys.executable} -m p2pshare {arguments} {closed}"
        done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
        assert done.returncode == code
        assert "a bug" not in done.stderr


def test_version_is_one_word(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_program(["--version"]) == 0
    assert capsys.readouterr().out.split() == ["p2pshare", "0.1.0"]


# --- groups ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("more", [[], ["--home", "/nowhere"]], ids=["alone", "with a home"])
@pytest.mark.parametrize("path", BARE_GROUPS, ids=named)
def test_a_group_without_more_shows_its_help_and_is_no_error(
    path: tuple[str, ...], more: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_program([*path, "--help"]) == 0
    shown = capsys.readouterr()
    assert run_program([*path, *more]) == 0
    assert capsys.readouterr() == shown
    assert (shown.out.startswith("Usage: p2pshare"), shown.err) == (True, "")


def test_every_group_is_seen_here() -> None:
    assert {path[0] for path in BARE_GROUPS if path} == {
        "share",
        "card",
        "passphrase",
        "partner",
        "introduce",
        "warninglist",
        "envelope",
        "consumer",
        "config",
        "service",
        "recall",
        "incident",
        "exercise",
        "lab",
        "space",
        "framework",
        "playbook",
        "training",
        "asset",
        "audit",
        "risk",
    }


@pytest.mark.parametrize("columns", ["20", "80", "300"])
@pytest.mark.parametrize("path", GROUPS, ids=named)
def test_the_help_of_a_group_is_never_cut(
    path: tuple[str, ...], columns: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    assert run_program([*path, "--help"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    group = command_at(path)
    assert isinstance(group, click.Group)
    for name in group.list_commands(click.Context(group)):
        whole = COMMANDS[name][1] if not path else (command_at((*path, name)).help or "").partition("\n\n")[0]
        assert f" {name} {' '.join(whole.split())}" in shown
    assert "..." not in shown.partition("Commands:")[2]


# --- the home ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", every_command(), ids=named)
def test_the_home_is_understood_after_every_command(
    path: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    command = command_at(path)
    assert command.get_params(click.Context(command)).count(HOME_OPTION) == 1
    assert run_program([*path, "--home", "/nowhere", "--help"]) == 0
    assert capsys.readouterr().out.count("--home DIR") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["--home", "HERE", "partner", "list"],
        ["partner", "--home", "HERE", "list"],
        ["partner", "list", "--home", "HERE"],
        ["partner", "list", "--home=HERE"],
        ["--home", "THERE", "partner", "list", "--home", "HERE"],
        ["--home", "THERE", "partner", "--home", "HERE", "list"],
        ["partner", "--home", "THERE", "list", "--home", "HERE"],
        ["partner", "list", "--home", "THERE", "--home", "HERE"],
        ["--home", "HERE", "partner", "list", "--home", ""],
    ],
    ids=" ".join,
)
def test_the_last_home_wins_wherever_it_stands(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("P2PSHARE_HOME", str(tmp_path / "VARIABLE"))
    assert (
        run_program([word.replace("HERE", str(tmp_path / "here")).replace("T/", "/") for word in arguments])
        == 1
    )
    assert capsys.readouterr().err.startswith(f"error: no p2pshare home at {tmp_path / 'here'}\n")


def test_a_home_that_is_a_value_is_no_option(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("P2PSHARE_HOME", str(tmp_path / "variable"))
    for arguments in (["lookup", "--", "--home", "x"], ["opinion", "x", "agree", "--note", "--home"]):
        assert run_program(arguments) == 1
        assert capsys.readouterr().err.startswith(f"error: no p2pshare home at {tmp_path / 'variable'}\n")
    assert run_program(["status", "--home"]) == 2
    assert capsys.readouterr().err.startswith("error: option '--home' requires an argument\n")


# --- errors as JSON ----------------------------------------------------------------------------------


def last_error(err: str) -> dict[str, object]:
    """The error, as a program reads it: the last line of stderr."""
    error: dict[str, object] = json.loads(err.splitlines()[-1])["error"]
    assert list(error) == ["message", "hint", "reason", "exit_code"]
    assert err.isascii()
    assert not {"\x7f", "<"} & set(err)
    return error


@pytest.mark.parametrize("path", every_command(), ids=named)
def test_an_unknown_option_is_told_as_json_wherever_json_stands(
    path: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    for arguments in (["--json", "--nonsense"], ["--nonsense", "--json"], ["--nonsense=1", "x", "--json"]):
        assert run_program([*path, *arguments]) == 2
        out, err = capsys.readouterr()
        error = last_error(err)
        assert (out, err.count("\n"), error["reason"], error["exit_code"]) == ("", 1, "usage", 2)
        assert str(error["message"]).startswith("no such option")
        assert f"`{' '.join(('p2pshare', *path))} --help`" in str(error["hint"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nonsense", "--json"], "no such command 'nonsense'"),
        (["--json", "nonsense"], "no such option"),
        (["lookup", "--json"], "missing argument 'VALUE ...|-'"),
        (["publish", "--json", "--ttl"], "option '--ttl' requires an argument"),
        (
            ["search", "--json", "--limit", "x"],
            "invalid value for '--limit': 'x' is not a valid integer range",
        ),
        (["show", "x", "--json", "--raw"], "--raw writes the object's own bytes"),
        (["partner", "nonsense", "--json"], "no such command 'nonsense'"),
        (["\x7f<b>\udcffb\u00fc\u202e", "--json"], "no such command '\\x7f<b>\\udcffb\u00fc\\u202e'"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_usage_errors_are_json_and_escaped(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_program(arguments) == 2
    out, err = capsys.readouterr()
    assert (out, str(last_error(err)["message"])[: len(message)]) == ("", message)


def test_json_behind_two_dashes_is_a_value() -> None:
    assert asks_for_json(["lookup", "x", "--json"])
    assert asks_for_json(["lookup", "--json", "--", "x"])
    assert not asks_for_json(["lookup", "--", "--json"])
    assert not asks_for_json(["lookup", "--jsonx", "json"])


def test_an_interrupted_command_ends_with_json_after_its_talk(tmp_path: Path) -> None:
    home = str(tmp_path / "home")
    assert run_program(["init", "--home", home, "--name", "x", "--dial-only"]) == 0
    command = [sys.executable, "-m", "p2pshare", "lookup", "--home", home, "--json", "-"]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
        preexec_fn=lambda: signal.signal(
            signal.SIGINT, signal.SIG_DFL
        ),  # a shell's background job ignores it
    ) as waiting:
        assert waiting.stdin is not None
        deadline = time.monotonic() + 30
        while (
            "pipe_read" not in Path(f"/proc/{waiting.pid}/wchan").read_text() and time.monotonic() < deadline
        ):
            time.sleep(0.05)
        waiting.send_signal(signal.SIGINT)
        out, err = waiting.communicate(timeout=30)
    assert (waiting.returncode, out) == (130, "")
    assert last_error(err) == {
        "message": "interrupted",
        "hint": "",
        "reason": "interrupted",
        "exit_code": 130,
    }


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM])
def test_a_command_whose_terminal_is_closed_ends_in_its_order(tmp_path: Path, number: signal.Signals) -> None:
    """Or what waits to be sealed would stay on the disk, readable."""
    program = (
        "import sys, time; from p2pshare.cli import program;"
        "program._call = lambda arguments: (print('ready', flush=True), time.sleep(60));"
        "\ntry: sys.exit(program.run_program([]))\nfinally: print('closed', flush=True)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),
    ) as command:
        assert command.stdout is not None
        assert command.stdout.readline() == "ready\n"
        command.send_signal(number)
        assert command.stdout.read() == "closed\n"
    assert command.returncode == 128 + number
