"""What is asked on a real terminal, and what happens on yes, on no, and where nobody can answer."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from p2pshare.cli.program import run_program
from p2pshare.envelope.card import Card, believe_chain, fingerprint, safety_number


@pytest.fixture
def homes(tmp_path: Path) -> tuple[Path, Path]:
    """alpha and bravo, founded; neither knows the other."""
    for name in ("alpha", "bravo"):
        assert (
            run_program(
                ["--home", str(tmp_path / name), "init", "--name", name, "--url", "https://127.0.0.1:1"]
            )
            == 0
        )
    return tmp_path / "alpha", tmp_path / "bravo"


def on_terminal(home: Path, *arguments: str, answer: bytes) -> tuple[int, str]:
    """Runs a command whose stdin and stderr are a terminal where `answer` is typed; (exit code, what it showed)."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "p2pshare", "--home", str(home), *arguments]
    with subprocess.Popen(
        command, stdin=theirs, stderr=theirs, stdout=subprocess.DEVNULL, env=os.environ | {"NO_COLOR": "1"}
    ) as asking:
        os.write(ours, answer)
        code = asking.wait(30)
    os.close(theirs)
    shown = b""
    try:
        while piece := os.read(ours, 65_536):
            shown += piece
    except OSError:  # a terminal without another end answers EIO (pty(7))
        pass
    os.close(ours)
    return code, shown.decode()


def partners_of(home: Path, capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    assert run_program(["--home", str(home), "partner", "list", "--json"]) == 0
    return capsys.readouterr().out


def own_card(home: Path) -> Card:
    return believe_chain((home / "card.p2pcard").read_bytes())


def test_a_card_is_confirmed_by_fingerprint_or_safety_number(
    homes: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    alpha, bravo = homes
    ours, theirs = own_card(alpha).partner_id, own_card(bravo).partner_id
    code, shown = on_terminal(alpha, "partner", "add", str(bravo / "card.p2pcard"), answer=b"no\n")
    assert code == 5
    assert fingerprint(theirs) in shown
    assert safety_number(ours, theirs) == safety_number(theirs, ours)
    assert safety_number(ours, theirs) in shown
    assert partners_of(alpha, capsys) == "[]\n"
    code, _ = on_terminal(alpha, "partner", "add", str(bravo / "card.p2pcard"), answer=b"yes\n")
    assert code == 0
    assert '"alias": "bravo"' in partners_of(alpha, capsys)


def test_publish_shows_marking_and_recipients_and_asks_once(
    homes: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    alpha, bravo = homes
    values = tmp_path / "values.txt"
    values.write_text("asked.example\n")
    add = [
        "partner",
        "add",
        str(bravo / "card.p2pcard"),
        "--fingerprint",
        fingerprint(own_card(bravo).partner_id),
    ]
    assert run_program(["--home", str(alpha), *add]) == 0
    code, shown = on_terminal(alpha, "publish", str(values), "--tlp", "green", answer=b"n\n")
    assert code == 5
    assert "1 object with 1 observable, TLP:GREEN, for bravo" in shown
    assert shown.count("publish? [y/N]") == 1
    assert run_program(["--home", str(alpha), "lookup", "asked.example"]) == 3
    code, _ = on_terminal(alpha, "publish", str(values), "--tlp", "green", answer=b"y\n")
    assert code == 0
    assert run_program(["--home", str(alpha), "lookup", "asked.example"]) == 0


def test_what_will_not_leave_is_shown_before_the_question(homes: tuple[Path, Path], tmp_path: Path) -> None:
    alpha, bravo = homes
    card = bravo / "card.p2pcard"
    told = fingerprint(own_card(bravo).partner_id)
    arguments = ["partner", "add", str(card), "--fingerprint", told, "--alias", "bravo"]
    assert run_program(["--home", str(alpha), *arguments]) == 0
    values = tmp_path / "values.txt"
    values.write_text("evil.example\n10.0.0.1\n")
    code, shown = on_terminal(alpha, "publish", str(values), "--tlp", "green", answer=b"n\n")
    assert code == 5
    assert 0 < shown.find("1 private-address, for example 10.0.0.1") < shown.find("publish? [y/N]")


def test_the_first_values_of_a_tables_columns_are_shown_before_the_question(
    homes: tuple[Path, Path], tmp_path: Path
) -> None:
    alpha, bravo = homes
    told = fingerprint(own_card(bravo).partner_id)
    arguments = ["partner", "add", str(bravo / "card.p2pcard"), "--fingerprint", told, "--alias", "bravo"]
    assert run_program(["--home", str(alpha), *arguments]) == 0
    values = tmp_path / "values.csv"
    values.write_text("hostname,seen\nws1.hospital.example,2026\nws2.hospital.example,2026\n")
    code, shown = on_terminal(alpha, "publish", str(values), "--tlp", "green", answer=b"n\n")
    assert code == 5
    line = "column 1 (hostname): ws1.hospital.example, ws2.hospital.example"
    assert 0 < shown.find(line) < shown.find("publish? [y/N]")


def test_with_yes_nothing_is_asked_on_a_terminal(homes: tuple[Path, Path], tmp_path: Path) -> None:
    alpha, _ = homes
    values = tmp_path / "values.txt"
    values.write_text("nobody.example\n")
    code, shown = on_terminal(alpha, "publish", str(values), "--tlp", "green", "--yes", answer=b"")
    assert code == 5
    assert "[y/N]" not in shown
    assert "there is nobody to publish to" in shown


def test_without_a_terminal_a_card_needs_its_fingerprint(
    homes: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    alpha, bravo = homes
    capsys.readouterr()
    assert run_program(["--home", str(alpha), "partner", "add", str(bravo / "card.p2pcard")]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert fingerprint(own_card(bravo).partner_id) not in err
