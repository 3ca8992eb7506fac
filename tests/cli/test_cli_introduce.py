"""`introduce` at the terminal: who is shown and asked, what a hostile name may do to a screen, what is told by exit codes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from command_line import Home, found_pair

from p2pshare.cli import console
from p2pshare.envelope.card_format import CardBody, sign_card
from p2pshare.envelope.keys import Identity, create_identity
from p2pshare.envelope.member_list import ListedMember, pack_file, sign_list
from p2pshare.identifiers import CircleId
from p2pshare.node.keyfile import read_operational_keys

HOSTILE = "Clinic \u3164[31mNorth"  # invisible, and what would colour the line


def member(name: str, hostile: str = "") -> tuple[ListedMember, bytes]:
    """A partner whose card another program made; `hostile` is a name that ours refuses for itself."""
    made: Identity = create_identity(name, ["https://clinic.example:1"], int(time.time()))
    fields = {field: getattr(made.card, field) for field in CardBody.__dataclass_fields__}
    body = replace(CardBody(**fields), name=hostile or name)
    raw = sign_card(body, made.roots)
    from p2pshare.envelope.card import believe_chain

    card = believe_chain(raw)
    return ListedMember(card.partner_id, 1, card.body_digest), raw


@pytest.fixture
def pair(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> dict[str, Home]:
    return found_pair(tmp_path, capsys, monkeypatch)


@pytest.fixture
def file(pair: dict[str, Home], tmp_path: Path) -> Path:
    """bravo's list: two clinics, and one whose name is hostile."""
    folder = pair["bravo"].path
    keys = read_operational_keys(folder / "identity.p2pkey")
    members = [member("Clinic North"), member("Clinic South"), member("Mallory", HOSTILE)]
    now = int(time.time())
    raw = sign_list(
        keys.sets[0].sign,
        keys.partner_id,
        CircleId.of("main"),
        1,
        created=now,
        expires=now + 86_400,
        members=[one for one, _ in members],
    )
    path = tmp_path / "clinics.p2pintro"
    path.write_bytes(pack_file(raw, [card for _, card in members]))
    return path


def answers(monkeypatch: pytest.MonkeyPatch, *given: bool) -> list[str]:
    """Somebody sits at the terminal and answers so; the questions that were asked."""
    left: Iterator[bool] = iter(given)
    asked: list[str] = []

    def ask(question: str) -> bool:
        asked.append(question)
        return next(left)

    monkeypatch.setattr(console, "can_ask", lambda: True)
    monkeypatch.setattr(console, "ask", ask)
    return asked


def test_without_a_terminal_nothing_is_accepted_unasked(pair: dict[str, Home], file: Path) -> None:
    assert pair["alpha"]("introduce", "accept", str(file)).code == 2
    assert pair["alpha"]("partner", "confirm", "bravo").code == 2
    both = pair["alpha"]("partner", "confirm", "bravo", "--fingerprint", "A", "--safety-number", "1")
    assert both.code == 2


def test_each_is_asked_when_not_all_are_wanted_and_a_hostile_name_is_escaped_and_refused(
    pair: dict[str, Home], file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alpha = pair["alpha"]
    asked = answers(monkeypatch, False, True, False)
    said = alpha("introduce", "accept", str(file))
    assert said.code == 6, "one was refused"
    assert len(asked) == 3
    assert "accept all 2 of them?" in asked[0]
    assert "\u3164" not in said.out + said.err
    assert "Clinic \\u3164[31mNorth" in said.err
    assert "name-imitates" in said.err
    assert said.out.count("introduced by bravo, fingerprint not compared") == 1
    again = alpha("introduce", "accept", str(file), "--yes", "--json").json
    assert len(again["accepted"]) == 2, "the other one now; the first gets no second introducer"
    assert [one["reason"] for one in again["refused"]] == ["name-imitates"]


def test_one_is_accepted_by_name_and_a_name_that_nobody_has_is_told(
    pair: dict[str, Home], file: Path
) -> None:
    alpha = pair["alpha"]
    assert alpha("introduce", "accept", str(file), "--only", "Clinic West").code == 3
    told = alpha("introduce", "accept", str(file), "--only", "Clinic North", "--json").json
    assert told["accepted"] == ["clinic-north"]
    assert {"name": "Clinic South", "reason": "not-accepted"} in told["held"]
    listed = alpha("introduce", "list")
    assert "introduced: clinic-north" in listed.out
    assert "waiting:" in listed.out


def test_a_name_that_is_a_partner_and_a_file_is_not_guessed(
    pair: dict[str, Home], file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(file.parent)
    elsewhere = file.parent / "names"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    (elsewhere / "bravo").write_bytes(file.read_bytes())
    said = pair["alpha"]("introduce", "accept", "bravo", "--yes", "--json")
    assert "ambiguous" in said.err
    (elsewhere / "bravo").unlink()
    (elsewhere / "bravo").mkdir()
    asked = pair["alpha"]("introduce", "accept", "bravo", "--yes")
    assert asked.code == 4, "a folder is no list: the partner is asked, by the daemon"
    missing = pair["alpha"]("introduce", "accept", "nobody", "--yes")
    assert missing.code == 1
    assert "cannot read nobody" in missing.err


def test_a_file_that_is_no_list_is_told_by_its_name_with_the_way_to_another(
    pair: dict[str, Home], file: Path, tmp_path: Path
) -> None:
    for name, raw in (("list.txt", b"198.51.100.7\n"), ("cut.p2pintro", file.read_bytes()[:3_000])):
        (tmp_path / name).write_bytes(raw)
        said = pair["alpha"]("introduce", "accept", str(tmp_path / name), "--yes")
        assert said.code == 1
        assert name in said.err and "introduce export" in said.err


def test_the_partner_is_asked_by_the_daemon_alone(
    pair: dict[str, Home], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    said = pair["alpha"]("introduce", "accept", "bravo", "--yes")
    assert said.code == 4
    assert "introduce export" in said.err
