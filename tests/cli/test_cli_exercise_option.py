"""`--exercise`: which commands know it, what marks their lines, and what is refused without a daemon."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
from command_line import found_pair
from exercise_exits import NOT_SEARCHED, SEARCHED

from p2pshare.cli import console
from p2pshare.cli.incident import incident
from p2pshare.cli.lab import lab
from p2pshare.cli.options import EXERCISE_OPTION
from p2pshare.cli.program import COMMANDS
from p2pshare.cli.publish import publish
from p2pshare.cli.sight import sight
from p2pshare.cli.space import space
from p2pshare.cli.withdraw import withdraw

UNKNOWN = "ab" * 32


def knows(group: click.Group, *words: str) -> bool:
    context = click.Context(group)
    command: click.Command = group
    for word in words:
        assert isinstance(command, click.Group)
        found = command.get_command(context, word)
        assert found is not None, word
        command, context = found, click.Context(found, parent=context)
    return EXERCISE_OPTION in command.get_params(context)


def test_verbs_of_incidents_know_it_and_those_of_other_spaces_do_not() -> None:
    for words in (
        ("open",),
        ("note",),
        ("show",),
        ("list",),
        ("join",),
        ("invite",),
        ("task", "add"),
        ("ioc", "add"),
    ):
        assert knows(incident, *words), words
    for words in (("purge",), ("verify",), ("export",)):
        if words != ("export",):
            assert not knows(incident, *words), words
    assert not knows(lab, "join") and not knows(space, "join")
    for command in (publish, sight, withdraw):
        assert any("--exercise" in one.opts for one in command.params), command.name


def test_every_line_says_so_and_json_does_not(capsys: pytest.CaptureFixture[str]) -> None:
    @click.command()
    def played() -> None:
        console.begin_exercise("ab12cd")
        console.print_result("one\ntwo")
        console.print_table(("a", "b"), [("x", "y\nz")])
        console.say("said")
        console.warn("careful")
        console.print_json({"a": ["b"]})

    console.print_result("before")
    played.main([], standalone_mode=False)
    console.forget_exercises()  # as `run_program` does behind every command
    console.print_result("after")
    said = capsys.readouterr()
    assert said.out.splitlines() == [
        "before",
        "EXERCISE one",
        "EXERCISE two",
        "EXERCISE x  y\\x0az",
        '{"a": ["b"]}',
        "after",
    ]
    assert said.err.splitlines() == ["EXERCISE said", "EXERCISE warning: careful"]


def test_what_is_unknown_refused_or_needs_the_daemon(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    alpha = found_pair(tmp_path, capsys, monkeypatch)["alpha"]
    for words, code, text in (
        (("incident", "list"), 3, "there is no such exercise here"),
        (("incident", "list"), 1, "6 to 64 hexadecimal digits"),
        (("incident", "watch", "list"), 5, "nothing of an exercise is in it"),
        (("incident", "export", UNKNOWN, "--format", "stix"), 5, "nothing of an exercise is in it"),
        (("sight", "evil.example"), 4, "exercises are written by the daemon"),
        (
            ("withdraw", "evil.example", "--reason", "mistake", "--yes"),
            4,
            "exercises are written by the daemon",
        ),
    ):
        said = alpha(*words, "--exercise", "short" if code == 1 else UNKNOWN)
        assert (said.code, said.out) == (code, ""), said
        assert text in said.err
    said = alpha(
        "publish", "-", "--format", "list", "--tlp", "green", "--exercise", UNKNOWN, stdin=b"evil.example\n"
    )
    assert said.code == 4 and "exercises are written by the daemon" in said.err
    assert not (tmp_path / "alpha" / "exercises").exists()


def test_an_empty_id_is_never_taken_for_what_is_real(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`--exercise "$ID"` in a shell that has no ID."""
    alpha = found_pair(tmp_path, capsys, monkeypatch)["alpha"]
    for words in (
        ("publish", "-", "--format", "list", "--tlp", "green", "--yes"),
        ("sight", "evil.example"),
        ("withdraw", "evil.example", "--reason", "mistake", "--yes"),
        ("incident", "open", "--title", "t", "--type", "ransomware", "--tlp", "green", "--yes"),
        ("incident", "list"),
    ):
        for empty in ("", "  "):
            said = alpha(*words, "--exercise", empty, stdin=b"evil.example\n")
            assert (said.code, said.out) == (2, ""), (words, said)
            assert "names no exercise" in said.err
    assert alpha("search", "--json").out.strip() == "[]"


def test_every_command_is_searched_for_what_was_played_or_says_why_not() -> None:
    """A new one that shows content joins the list (tests/support/exercise_exits.py)."""
    assert not set(COMMANDS) - SEARCHED - NOT_SEARCHED.keys(), (
        "search it, or say why it shows nothing of the kind"
    )
    assert not SEARCHED & NOT_SEARCHED.keys() and set(COMMANDS) >= SEARCHED
