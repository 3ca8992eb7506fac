"""Names on cards beside their fingerprints: what the eye does not see is written out, on every screen that compares."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest
from command_line import Home, found_pair

from p2pshare.cli import console
from p2pshare.envelope.card import fingerprint
from p2pshare.envelope.card_format import CardBody, sign_card
from p2pshare.envelope.keys import Identity, create_identity

MIXED = "\u0410CME CERT"  # the first letter is Cyrillic
MIXED_NOTE = "mixed scripts: Cyrillic, Latin; looks like 'ACME'"
HIDDEN = "ACME\u3164CERT"


def card_named(name: str) -> tuple[bytes, str]:
    """A card that another program made, with a name that ours refuses for itself; its fingerprint."""
    made: Identity = create_identity("Mallory", ["https://mallory.example:1"], int(time.time()))
    fields = {field: getattr(made.card, field) for field in CardBody.__dataclass_fields__}
    raw = sign_card(replace(CardBody(**fields), name=name), made.roots)
    return raw, fingerprint(made.partner_id)


@pytest.fixture
def alpha(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Home:
    return found_pair(tmp_path, capsys, monkeypatch)["alpha"]


@pytest.mark.parametrize(
    ("name", "shown", "note"),
    [
        (MIXED, MIXED, MIXED_NOTE),
        (HIDDEN, "ACME\\u3164CERT", "invisible characters: U+3164"),
    ],
)
def test_a_lookalike_is_told_wherever_a_card_is_read(
    alpha: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, shown: str, note: str
) -> None:
    raw, told = card_named(name)
    card = tmp_path / "mallory.p2pcard"
    card.write_bytes(raw)
    listed = note.split("; ")
    for command in (("card", "show"), ("verify",)):
        said = alpha(*command, str(card))
        assert f"name          {shown}\n" in said.out
        assert f"name notes    {', '.join(listed)}\n" in said.out
        assert alpha(*command, str(card), "--json").json["name_notes"] == listed
    assert alpha("verify", str(card)).out.count(told) == 1
    monkeypatch.setattr(console, "can_ask", lambda: True)
    monkeypatch.setattr(console, "ask", lambda _: False)
    asked = alpha("partner", "add", str(card))
    assert asked.code == 5
    assert f"name           {shown} ({note})\n" in asked.err
    added = alpha("partner", "add", str(card), "--fingerprint", told, "--alias", "m")
    assert added.out.endswith(f"{shown} ({note})\n")
    for listing in (("partner", "list"), ("status",)):
        [line] = [line for line in alpha(*listing).out.splitlines() if line.startswith("m ")]
        assert line.endswith(f"{shown} ({note})")


def test_an_honest_name_has_no_note(alpha: Home) -> None:
    assert "name_notes" not in alpha("card", "show", "--json").json
    assert "name notes" not in alpha("card", "show").out
    assert "(" not in alpha("partner", "list").out


def test_a_card_whose_name_shows_nothing_is_no_card(alpha: Home, tmp_path: Path) -> None:
    raw, told = card_named("\u3164\u2800")
    card = tmp_path / "nobody.p2pcard"
    card.write_bytes(raw)
    assert alpha("partner", "add", str(card), "--fingerprint", told, "--alias", "m").code == 1
    assert alpha("verify", str(card), "--json").json["checks"][0]["reason"] == "malformed"


@pytest.mark.parametrize("name", [MIXED, HIDDEN, "\u3164", "AC\u2800ME", "ACME\ufe0f", "\u202eEMCA"])
def test_init_makes_no_card_with_a_name_that_misleads(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    home = Home(tmp_path / "new", capsys, monkeypatch)
    said = home("init", "--name", name, "--dial-only")
    assert said.code in (1, 78)
    assert "\nhint: " in said.err
    assert not home.path.exists()
