"""`partner pending`, `accept`, `refuse`, `rename` as a person meets them: what is shown, what is asked, and what each exit code is."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from command_line import Home, found_pair

from p2pshare.cli import console
from p2pshare.envelope.card import fingerprint, safety_number
from p2pshare.identifiers import PartnerId
from p2pshare.node.store import open_store
from p2pshare.partners.pending import PendingRow

WHO = PartnerId(bytes(range(32)))
MIXED = "\u0410LPHA"  # the first letter is Cyrillic


@pytest.fixture
def alpha(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Home:
    return found_pair(tmp_path, capsys, monkeypatch)["alpha"]


def knock(
    home: Home, name: str = "Guest CERT", url: str = "https://guest.example:1", who: PartnerId = WHO
) -> None:
    store = open_store(home.path / "store.sqlite")
    now = int(time.time())
    store.pending.note(
        PendingRow(who, b"certificate", name, url, "192.0.2.7", "192.0.2.0/24", now, now),
        lambda rows: rows[0],
    )
    store.close()


def test_nobody_waits(alpha: Home) -> None:
    said = alpha("partner", "pending", "--json")
    assert (said.code, said.json) == (3, [])
    said = alpha("partner", "pending")
    assert (said.code, said.out, said.err) == (3, "", "nobody waits to be a partner\n")
    for verb in (("accept", WHO.text, "--fingerprint", fingerprint(WHO)), ("refuse", WHO.text)):
        said = alpha("partner", *verb)
        assert said.code == 3 and "\nhint: see `p2pshare partner pending`" in said.err


def test_what_is_misleading_in_a_name_stands_beside_the_fingerprint(alpha: Home) -> None:
    knock(alpha, MIXED)
    said = alpha("partner", "pending")
    own = PartnerId.parse(alpha("card", "show", "--json").json["partner_id"])
    assert said.code == 0
    assert said.out.splitlines()[:6] == [
        f"{WHO.text[:16]}  {MIXED}, as it calls itself",
        "  careful        mixed scripts: Cyrillic, Latin",
        "  careful        looks like 'ALPHA'",
        "  careful        its name reads like that of this node itself, whose fingerprint is another",
        f"  fingerprint    {fingerprint(WHO)}",
        f"  safety number  {safety_number(own, WHO)}",
    ]
    assert (
        "  came from      192.0.2.7\n" in said.out
        and "  would be at    https://guest.example:1\n" in said.out
    )
    assert "1 would be partners" in alpha("status").out


def test_a_person_is_asked_and_a_no_accepts_nobody(alpha: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    knock(alpha)
    assert alpha("partner", "accept", WHO.text[:8]).code == 2, "no terminal, and nothing compared"
    monkeypatch.setattr(console, "can_ask", lambda: True)
    asked: list[str] = []
    monkeypatch.setattr(console, "ask", lambda question: bool(asked.append(question)))
    said = alpha("partner", "accept", WHO.text[:8])
    assert said.code == 5 and fingerprint(WHO) in said.out + said.err
    assert asked == ["does the partner read you the same fingerprint or safety number?"]
    monkeypatch.setattr(console, "ask", lambda _: True)
    said = alpha("partner", "accept", WHO.text[:8], "--alias", "guest")
    assert said.code == 0 and said.out.splitlines()[-1] == f"accepted  {WHO.text}  Guest CERT"
    assert "its card comes" in said.err
    assert alpha("partner", "pending").code == 3
    assert alpha("status", "--json").json["pending_partners"] == {
        "waiting": 0,
        "accepted": 1,
        "introduced": 0,
    }
    said = alpha("partner", "refuse", WHO.text)
    assert said.code == 0 and said.err == f"refused {WHO.text}, which calls itself Guest CERT\n"
    assert alpha("status", "--json").json["pending_partners"] == {
        "waiting": 0,
        "accepted": 0,
        "introduced": 0,
    }


@pytest.mark.parametrize(
    ("given", "code", "reason"),
    [
        (("--fingerprint", fingerprint(PartnerId(bytes(32)))), 5, "fingerprint-mismatch"),
        (("--words", "a b c d e f"), 5, "no-words"),
        (("--fingerprint", "AAAA"), 1, ""),
        (("--fingerprint", ""), 2, "usage"),
        (("--words", "a", "--fingerprint", "b"), 2, "usage"),
    ],
)
def test_what_was_compared_must_be_right(alpha: Home, given: tuple[str, ...], code: int, reason: str) -> None:
    knock(alpha)
    said = alpha("partner", "accept", WHO.text, *given, "--json")
    assert said.code == code
    if reason:
        assert f'"reason": "{reason}"' in said.err
    assert alpha("status", "--json").json["pending_partners"] == {
        "waiting": 1,
        "accepted": 0,
        "introduced": 0,
    }


def test_one_that_only_dials_is_shown_so(alpha: Home) -> None:
    knock(alpha, url="")
    assert "  would be at    nowhere: it only dials\n" in alpha("partner", "pending").out
    [row] = alpha("partner", "pending", "--json").json
    assert (row["url"], row["words"], row["source"], row["knocks"]) == ("", False, "knock", 1)


def test_a_partner_is_renamed(alpha: Home) -> None:
    said = alpha("partner", "rename", "bravo", "clinic")
    assert (said.code, said.err) == (0, "bravo is called clinic from now on\n")
    assert [one["alias"] for one in alpha("partner", "list", "--json").json] == ["clinic"]
    assert alpha("partner", "rename", "bravo", "x").code == 3
    assert alpha("partner", "rename", "clinic", "a b").code == 1
    config = alpha.path / "config.toml"
    config.write_text(config.read_text() + 'team = ["clinic"]\n')
    said = alpha("partner", "rename", "clinic", "other")
    assert said.code == 5 and "'clinic' is in the group 'team' of config.toml" in said.err
