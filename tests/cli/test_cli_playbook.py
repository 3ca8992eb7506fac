"""`p2pshare playbook`: offline, without a home; exit codes, JSON, drawings, and what an author wrote made harmless."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
from command_line import Home
from playbooks_made import raw, sound_playbook, step_id

from p2pshare import jcs

A1 = step_id("action", 1)


@pytest.fixture
def p2pshare(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Home:
    return Home(tmp_path / "no-home", capsys, monkeypatch)


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    path = tmp_path / "sound.json"
    path.write_bytes(raw(sound_playbook()))
    return path


def test_lint_says_valid_or_not_by_its_exit_code_and_makes_no_home(p2pshare: Home, sound: Path) -> None:
    said = p2pshare("playbook", "lint", str(sound), "--json")
    assert (said.code, said.json) == (0, {"valid": True, "problems": []})
    document = sound_playbook()
    document["workflow"][A1] |= {"on_completion": "\x1b[31m", "name": "Ask __boss__:value"}
    sound.write_bytes(raw(document))
    said = p2pshare("playbook", "lint", str(sound), "--json")
    assert said.code == 5 and not said.json["valid"] and said.err == ""
    assert {
        "level": "error",
        "pointer": f"/workflow/{A1}/name",
        "rule": "variable-undeclared",
        "message": "__boss__ is declared nowhere",
    } in said.json["problems"]
    told = p2pshare("playbook", "lint", str(sound))
    assert told.code == 5 and f"error: reference-missing: /workflow/{A1}/on_completion: " in told.out
    assert "is not valid: 4 errors, 0 warnings" in told.err
    assert not p2pshare.path.exists()


def test_lint_reads_stdin_and_a_file_that_is_too_large_is_told_as_a_rule(p2pshare: Home) -> None:
    assert p2pshare("playbook", "lint", "-", stdin=raw(sound_playbook())).code == 0
    said = p2pshare("playbook", "lint", "-", "--json", stdin=b" " * (4 * 2**20 + 1))
    assert (said.code, [one["rule"] for one in said.json["problems"]]) == (5, ["too-large"])


def test_show_and_diff_refuse_what_is_no_playbook_with_the_rule_as_reason(
    p2pshare: Home, sound: Path
) -> None:
    sound.write_bytes(b'{"a": 1, "a": 2}')
    for command in (("show", str(sound)), ("diff", str(sound), str(sound))):
        said = p2pshare("playbook", *command, "--json")
        assert said.code == 1 and json.loads(said.err)["error"]["reason"] == "duplicate-key"


def test_diff_tells_changed_steps(p2pshare: Home, sound: Path, tmp_path: Path) -> None:
    assert "both say the same" in p2pshare("playbook", "diff", str(sound), str(sound)).err
    document = sound_playbook()
    document["workflow"][A1]["name"] = "\x1b[31mAnother"
    other = tmp_path / "other.json"
    other.write_bytes(raw(document))
    said = p2pshare("playbook", "diff", str(sound), str(other))
    assert said.code == 0 and "\x1b" not in said.out
    assert f"~ workflow {A1}" in said.out and "was Step 1" in said.out
    [change] = p2pshare("playbook", "diff", str(sound), str(other), "--json").json["changes"]
    assert (change["id"], change["change"]) == (A1, "changed")
    assert change["properties"][0]["after"] == "\x1b[31mAnother"


def test_show_tells_steps_and_draws_them(p2pshare: Home, sound: Path, tmp_path: Path) -> None:
    shown = p2pshare("playbook", "show", str(sound), "--json").json
    assert len(shown["sha256"]) == 64 and len(shown["steps"]) == 13
    assert "manual: Call __who__:value" in p2pshare("playbook", "show", str(sound)).out
    drawing = tmp_path / "drawn.svg"
    assert p2pshare("playbook", "show", str(sound), "--graph", "-o", str(drawing)).code == 0
    assert len(ElementTree.parse(drawing).getroot().findall("{http://www.w3.org/2000/svg}g")) == 13 + 12
    assert p2pshare("playbook", "show", str(sound), "--graph", "--json").code == 2
    assert p2pshare("playbook", "show", str(sound), "-o", str(drawing)).code == 2


HOSTILE = (
    "a\nFORGED",
    "a\r\nFORGED",
    "\x1b]0;owned\x07",
    "\x9b2J",
    "\u202egnp.exe",
    "a\u2028FORGED",
    "a\x85FORGED",
)


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_hostile_text_of_an_author_begins_no_line_and_moves_no_terminal(
    p2pshare: Home, sound: Path, tmp_path: Path, text: str
) -> None:
    document = sound_playbook()
    document |= {"name": text, "description": text}
    document["workflow"][A1] |= {"name": text, "description": text, "on_completion": text}
    hostile = tmp_path / "hostile.json"
    hostile.write_bytes(raw(document))
    for command in (("lint", str(hostile)), ("show", str(hostile)), ("diff", str(sound), str(hostile))):
        said = p2pshare("playbook", *command)
        for line in (said.out + said.err).split("\n"):
            assert not line.startswith("FORGED") and line.isprintable(), (command, line)


def test_without_the_extra_it_says_what_to_install(
    p2pshare: Home, sound: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(jcs, "import_module", missing)
    said = p2pshare("playbook", "show", str(sound), "--json")
    assert said.code == 1 and json.loads(said.err)["error"]["reason"] == "extra-missing"
    assert "p2pshare[framework]" in said.err
