"""`exercise replay --solo`: from a file at once and the same twice, on a terminal by what is typed; what it prints can be played again."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from exercise_scripts import perfect_script

from p2pshare.cli.exercise_replay import SPEED_MAX, typed_act
from p2pshare.cli.options import UsageProblem
from p2pshare.intel.exercise_pack import TIME_FACTOR_MAX, pack_hash
from p2pshare.node.exercise_folder import load_pack

PROGRAM = [sys.executable, "-m", "p2pshare", "exercise", "replay"]


def _run(*words: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([*PROGRAM, *words], capture_output=True, stdin=subprocess.DEVNULL, check=False)


def _file(tmp_path: Path, told: object) -> str:
    path = tmp_path / "actions.json"
    path.write_text(json.dumps(told))
    return str(path)


def test_a_file_of_actions_is_scored_the_same_twice_and_so_is_what_comes_out(tmp_path: Path) -> None:
    name = "ransomware-two-hospitals"
    told = perfect_script(load_pack(name).checked(), after=1_300)
    first, second = (tmp_path / "first.json"), (tmp_path / "second.json")
    done = _run(name, "--solo", "--actions", _file(tmp_path, told), "--json", "-o", str(first))
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    assert json.loads(first.read_text()) == result
    again = _run(
        name,
        "--solo",
        "--actions",
        str(first),
        "--json",
        "-o",
        str(second),
        "--report",
        str(tmp_path / "r.html"),
    )
    assert again.stdout == done.stdout and first.read_bytes() == second.read_bytes()
    assert result["format"] == "p2pshare-exercise-result/1"
    assert (result["pack"], result["version"]) == (name, "1.0.0")
    loaded = load_pack(name)
    assert result["pack_hash"] == pack_hash(loaded.checked(), loaded.payloads)
    assert isinstance(result["score"], int) and 0 < result["score"] < 100
    assert set(result) >= {"ended", "places", "actions", "ratings", "result"}
    assert set(result["result"]) == {"players", "objectives"}
    assert b"<svg" in (tmp_path / "r.html").read_bytes()


def test_the_score_is_told_in_lines_that_say_exercise(tmp_path: Path) -> None:
    done = _run(
        "communication-check", "--solo", "--actions", _file(tmp_path, {}), "--report", str(tmp_path / "r.md")
    )
    lines = done.stdout.decode().splitlines()
    assert done.returncode == 0 and lines[-1] == "EXERCISE score: 0 %"
    assert all(line.startswith("EXERCISE") for line in lines)
    assert (tmp_path / "r.md").read_text().startswith("# EXERCISE: Communication check")


def test_what_cannot_be_played_is_refused_with_its_reason(tmp_path: Path) -> None:
    good = _file(tmp_path, {})
    bad = tmp_path / "bad"
    bad.mkdir()
    (bad / "exercise.toml").write_text("format = 1")
    early = tmp_path / "early.json"
    early.write_text(
        json.dumps({"actions": [{"at": 1, "by": "partner", "action": "acknowledge", "inject": 2}]})
    )
    none = tmp_path / "none.json"
    none.write_text(
        json.dumps({"actions": [{"at": 1, "by": "partner", "action": "sight", "values": ["no value"]}]})
    )
    for words, code, reason in (
        (("communication-check", "--actions", good), 2, "usage"),
        (("communication-check", "--solo"), 2, "usage"),
        (("no-such-pack", "--solo", "--actions", good), 1, "not-found"),
        ((str(bad), "--solo", "--actions", good), None, "bad-pack"),
        (("communication-check", "--solo", "--actions", str(tmp_path / "absent")), None, "input"),
        (("communication-check", "--solo", "--actions", str(early)), None, "bad-script"),
        (("communication-check", "--solo", "--actions", str(none)), None, "bad-script"),
    ):
        done = _run(*words, "--json")
        error = json.loads(done.stderr.splitlines()[-1].removeprefix(b"EXERCISE "))["error"]
        assert error["reason"] == reason, (words, error)
        assert done.returncode == error["exit_code"] and (code is None or done.returncode == code)
        assert not done.stdout


def test_on_a_terminal_what_is_typed_is_done_by_the_clock(tmp_path: Path) -> None:
    """The injects come as time goes on (`skip` lets it), every verb is understood, and the result can be played again."""
    here, there = pty.openpty()
    result = tmp_path / "result.json"
    typed = [
        "help",
        "hack the planet",
        "ack 9",
        "ack 3",
        "ack 1",
        "inbox",
        "inbox 1",
        "skip",
        "sight 192.0.2.200",
        "sight nothing-that-is-one --count 0",
        "skip",
        "answer 3 --choice reached",
        "as nobody",
        "as partner",
        "rate reached P well done",
        "score",
        'unclosed "quote',
        "",
        "end",
    ]
    process = subprocess.Popen(
        [*PROGRAM, "communication-check", "--solo", "--speed", "1", "-o", str(result)],
        stdin=there,
        stdout=there,
        stderr=there,
    )
    os.close(there)
    os.write(here, ("\n".join(typed) + "\n").encode())
    seen = b""
    try:
        while piece := os.read(here, 65_536):
            seen += piece
    except OSError:  # its other end is closed
        pass
    assert process.wait() == 0, seen
    text = seen.decode()
    assert "inject 3 to partner from Exercise control" in text and "inject 3 has not come yet" in text
    assert "inject: the pack has 3" in text and "file of actions" not in text
    assert "not understood: hack the planet" in text and "places are partner" in text
    told = json.loads(result.read_text())
    assert [one["action"] for one in told["actions"]] == ["acknowledge", "sight", "answer"]
    assert told["score"] == 100
    again = _run("communication-check", "--solo", "--actions", str(result), "--json")
    assert json.loads(again.stdout)["result"] == told["result"]


def test_the_greatest_speed_is_that_of_packs() -> None:
    assert SPEED_MAX == TIME_FACTOR_MAX


def test_every_verb_that_is_typed_is_an_act() -> None:
    acts = {
        "ack 1": {"action": "acknowledge", "inject": 1},
        "answer 2 we cut it": {"action": "answer", "inject": 2, "text": "we cut it"},
        "answer 2 --choice cut": {"action": "answer", "inject": 2, "choice": "cut"},
        "sight a.example b.example --false-positive": {
            "values": ("a.example", "b.example"),
            "false_positive": True,
        },
        "sight a.example --count 3": {"action": "sight", "count": 3},
        "publish a.example --to x --to y --tlp TLP:GREEN": {
            "action": "publish",
            "to": ("x", "y"),
            "tlp": "green",
        },
        "withdraw a.example": {"action": "withdraw", "values": ("a.example",)},
        "incident open --type ransomware": {"action": "incident-open", "incident_type": "ransomware"},
        "incident join": {"action": "incident-join"},
        "incident close": {"action": "incident-close"},
        "incident note it spreads": {"action": "note", "text": "it spreads"},
        "incident ask which one --to x": {"action": "ask", "text": "which one", "to": ("x",)},
        "incident task done --type containment": {"action": "task-done", "task_type": "containment"},
        "incident own-status contained": {"action": "own-status", "status": "contained"},
        "incident determine confirmed": {"action": "determine", "determination": "confirmed"},
        "incident duty done nis2:early": {"action": "duty-done", "duty": "nis2:early"},
    }
    for line, said in acts.items():
        act = typed_act(line.split(), 60, "x")
        assert {name: getattr(act, name) for name in said} == said
        assert (act.at, act.by) == (60, "x")


@pytest.mark.parametrize(
    "line",
    (
        "ack",
        "ack one",
        "ack 0",
        "ack 99999999999",
        "ack ²",
        "sight",
        "sight --count",
        "publish --to",
        "incident",
        "incident own-status",
        "sight x --what",
        "--to x",
    ),
)
def test_what_is_typed_wrong_is_told(line: str) -> None:
    with pytest.raises(UsageProblem):
        typed_act(line.split(), 0, "x")
