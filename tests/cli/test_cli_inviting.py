"""`invite` and `join` as a person meets them: what is shown, what is asked, and what each answer does. The node is the command's own, for no
daemon runs here; real ones are in tests/end_to_end/test_invitations.py.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from command_line import Home, found_pair
from inviting_host import host_one_guest

from p2pshare.cli import console, invite, join, session
from p2pshare.envelope.card import accept_first, fingerprint
from p2pshare.envelope.card_format import CardBody, sign_card
from p2pshare.envelope.keys import Identity, create_identity
from p2pshare.node.store import open_store
from p2pshare.partners.invited import JoinedGuest

WORDS = "abacus abdomen abide ability ablaze able"
HOSTILE_NAMES = ("<script>alert(1)</script>", "=cmd|' /C calc'!A0", "'`;--\"", "\u0410LPHA", "error: evil")
HOSTILE_TEXTS = (
    "a\nFORGED",
    "\x1b[31mred",
    "\u202egnp.exe",
    "a\x00b",
    "a\ud800b",
    "x" * 5_000,
    "",
    "--",
    "p2pshare-\x1b]0;x\x07",
)


@pytest.fixture
def alpha(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Home:
    home = found_pair(tmp_path, capsys, monkeypatch)["alpha"]
    for module in (invite, join):
        monkeypatch.setattr(module, "ask_running", session.ask)
    return home


@pytest.fixture
def on_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "can_ask", lambda: True)


@pytest.fixture(scope="module")
def guest() -> Identity:
    return create_identity("Guest CERT", [], int(time.time()))


def arriving(home: Home, guest: Identity) -> Callable[[float], None]:
    """What happens while `invite` waits: somebody joins."""

    def arrive(_: float) -> None:
        store = open_store(home.path / "store.sqlite")
        invitation = store.invitations.given_out()[-1]
        joined = JoinedGuest(guest.partner_id, guest.card.raw, WORDS, "192.0.2.7", int(time.time()))
        store.invitations.put(invitation.joined(joined))
        store.close()

    return arrive


def aliases(home: Home) -> set[str]:
    return {one["alias"] for one in home("partner", "list", "--json").json}


@pytest.mark.usefixtures("on_terminal")
@pytest.mark.parametrize(
    ("answer", "code", "is_partner", "still_waits"),
    [
        ("yes", 0, True, False),
        (" Y ", 0, True, False),
        ("no", 5, False, False),
        ("", 0, False, True),
        ("maybe", 0, False, True),
    ],
)
def test_invite_waits_shows_who_came_and_does_what_is_answered(
    alpha: Home,
    guest: Identity,
    monkeypatch: pytest.MonkeyPatch,
    answer: str,
    code: int,
    is_partner: bool,
    still_waits: bool,
) -> None:
    monkeypatch.setattr("p2pshare.cli.invite.time.sleep", arriving(alpha, guest))
    said = alpha("invite", "newcomer", stdin=f"{answer}\n".encode())
    assert said.code == code
    assert said.out.startswith("p2pshare-") and said.out.count("\n") == 1, (
        "a pipe gets the line and nothing else"
    )
    for shown in ("Guest CERT, as it calls itself", fingerprint(guest.partner_id), WORDS):
        assert shown in said.err
    assert ("newcomer" in aliases(alpha)) == is_partner
    assert (alpha("partner", "pending").code == 0) == still_waits
    assert ("words differ" in said.err) == (answer == "no")


@pytest.mark.usefixtures("on_terminal")
@pytest.mark.parametrize("option", ["--no-wait", "--json"])
def test_invite_does_not_wait_where_that_is_said(
    alpha: Home, option: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("p2pshare.cli.invite.time.sleep", lambda _: pytest.fail("it waits"))
    said = alpha("invite", "newcomer", option)
    assert said.code == 0
    if option == "--json":
        assert set(said.json) == {"line", "partner", "expires"} and said.err == ""


@pytest.mark.usefixtures("on_terminal")
@pytest.mark.parametrize(
    ("answer", "code", "is_partner"), [("yes", 0, True), ("no", 5, False), ("", 0, False)]
)
def test_join_asks_for_the_line_and_for_the_words(
    alpha: Home, answer: str, code: int, is_partner: bool
) -> None:
    host = create_identity("Host CERT", [], int(time.time()))
    line = host_one_guest(host, int(time.time()))
    wrapped = f"{line[:50]}\n  {line[50:90]}\n{line[90:]}"
    said = alpha("join", "--alias", "host", "--no-wait", stdin=f"{wrapped}\n{answer}\n".encode())
    assert said.code == code
    assert said.out == f"{host.partner_id.text}  Host CERT\n"
    assert fingerprint(host.partner_id) in said.err and "six words" in said.err
    assert ("host" in aliases(alpha)) == is_partner


def test_join_from_a_pipe_asks_nothing_and_says_how_to_go_on(alpha: Home) -> None:
    host = create_identity("Host CERT", [], int(time.time()))
    said = alpha("join", "-", stdin=host_one_guest(host, int(time.time())).encode())
    assert said.code == 0 and f"partner accept {host.partner_id.text[:16]} --words" in said.err
    [row] = alpha("partner", "pending", "--json").json
    assert (row["partner_id"], row["source"], row["words"]) == (host.partner_id.text, "invitation", True)
    assert aliases(alpha) == {"bravo"}
    words = next(
        line.split("six words")[1].split() for line in said.err.splitlines() if "six words  " in line
    )
    assert (
        alpha("partner", "accept", host.partner_id.text[:8], "--words", " ".join(reversed(words))).code == 5
    )
    accepted = alpha("partner", "accept", host.partner_id.text[:8], "--words", " ".join(words), "--json")
    assert (accepted.code, accepted.json["alias"], accepted.json["state"]) == (0, "host-cert", "partner")


@pytest.mark.usefixtures("on_terminal")
def test_a_line_that_stays_incomplete_is_refused_when_the_person_gives_up(alpha: Home) -> None:
    said = alpha("join", stdin=b"p2pshare-abc\ndef\n\n")
    assert said.code == 1 and said.err.count("it is not whole") == 2 and "this is no invitation" in said.err


@pytest.mark.parametrize(
    "arguments", [("p2pshare-secret",), ("p2pshare-sec", "ret"), ("-", "p2pshare-secret"), ("file.txt",)]
)
def test_a_line_in_an_argument_is_refused_and_not_repeated(alpha: Home, arguments: tuple[str, ...]) -> None:
    said = alpha("join", *arguments)
    assert said.code == 2 and "as an argument" in said.err and "sec" not in said.err


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_hostile_names_of_hosts_begin_no_line_and_steer_nothing(alpha: Home, name: str) -> None:
    host = _named(name)
    said = alpha("join", "-", "--alias", "host", stdin=host_one_guest(host, int(time.time())).encode())
    shown = alpha("partner", "pending")
    for text in (said.out, said.err, shown.out):
        assert not any(line.startswith(name) for line in text.splitlines())
        assert {one for one in text if not one.isprintable()} <= {"\n"}
    if name.startswith("\u0410"):
        assert "mixed scripts: Cyrillic, Latin" in said.err


def _named(name: str) -> Identity:
    """A host of any name that a card may have, also one that `init` would refuse."""
    now = int(time.time())
    made = create_identity("Host", [], now)
    fields = {field: getattr(made.card, field) for field in CardBody.__dataclass_fields__}
    body = CardBody(**fields | {"name": name})
    card = accept_first(sign_card(body, made.roots), now)
    return replace(made, card=card)


@pytest.mark.parametrize("text", HOSTILE_TEXTS, ids=range(len(HOSTILE_TEXTS)))
def test_hostile_texts_are_refused_and_shown_harmless(alpha: Home, text: str) -> None:
    raw = text.encode("utf-8", "surrogateescape" if "\ud800" not in text else "surrogatepass")
    sayings: list[Any] = [
        alpha("join", "-", stdin=raw),
        alpha("invite", "--", text),
        alpha("join", "--alias", text, "-", stdin=b"x"),
    ]
    for said in sayings:
        assert said.code in (1, 2), said
        assert "\x1b" not in said.err and "\u202e" not in said.err and "a bug of p2pshare" not in said.err
        assert not any(line.startswith("FORGED") for line in said.err.splitlines())


def test_without_a_daemon_both_say_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    home = found_pair(tmp_path, capsys, monkeypatch)["alpha"]
    for arguments in (("invite", "newcomer"), ("join", "-")):
        said = home(*arguments, stdin=b"p2pshare-x")
        assert said.code == 4 and "start it with `p2pshare run`" in said.err
