"""Invitations between real daemons: from a line to the first indicator, and what a line is worth in other hands."""

from __future__ import annotations

import json
import re
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from terminals import Terminal

from p2pshare.envelope.invitation import decode_line, encode_line
from p2pshare.envelope.keys import Secret

QUESTIONS = ("the line of the invitation: ", "[yes/no, Enter: later] ", "[y/N] ")
BLOCK = re.compile(r"^```\n((?:alpha|bravo)(?:\$|:).*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def partners(shared_company: Any) -> Iterator[dict[str, Any]]:
    """alpha and mallory, who can be dialled, and bravo, who only dials."""
    made = {
        name: shared_company.found(name, is_dialable=name != "bravo")
        for name in ("alpha", "bravo", "mallory")
    }
    for partner in made.values():
        partner.start()
    yield made


def invite(host: Any, name: str) -> str:
    invited = host.cli_json("invite", name, "--json")
    assert set(invited) == {"line", "partner", "expires"} and invited["partner"] == name
    return invited["line"]


def join(guest: Any, line: str, code: int = 0) -> Any:
    """What `join` answers, or its error."""
    said = guest.cli("join", "-", "--json", stdin=line.encode(), code=code)
    if code == 0:
        return json.loads(said.out)
    return json.loads(said.err.splitlines()[-1])["error"]


def accept(one: Any, other: Any, words: str, code: int = 0, codes: tuple[int, ...] = ()) -> Any:
    return one.cli("partner", "accept", other.partner_id, "--words", words, "--json", code=code, codes=codes)


def aliases(partner: Any) -> set[str]:
    return {one["alias"] for one in partner.cli_json("partner", "list", "--json")}


def alarm_words(partner: Any) -> dict[str, Any]:
    return {one["word"]: one for one in partner.status()["alarms"]}


def lines_of_page(page: Path) -> list[str]:
    return [line for block in BLOCK.findall(page.read_text(encoding="utf-8")) for line in block.splitlines()]


def matches(shown: str, expected: str) -> bool:
    return re.fullmatch(".*".join(map(re.escape, expected.split("…"))), shown) is not None


def test_the_page_is_what_two_terminals_show(
    partners: dict[str, Any], tmp_path: Path, repository: Path
) -> None:
    """docs/onboarding.md is this transcript: bravo only dials, and neither of them is restarted or reloaded. `alpha$ command` begins a
    command, `alpha:` goes on with what that terminal shows; what stands behind a question is typed."""
    (tmp_path / "indicators.txt").write_text("198.51.100.7\n203.0.113.9\n")
    terminals = {name: Terminal(partners[name], tmp_path) for name in ("alpha", "bravo")}
    told = lines_of_page(repository / "docs" / "onboarding.md")
    commands = [line for line in told if re.match(r"(alpha|bravo)\$ ", line)]
    assert [line.split()[2] for line in commands] == ["invite", "join", "publish", "lookup"]
    current, invitation = terminals["alpha"], ""
    for line in told:
        if begun := re.fullmatch(r"(alpha|bravo)\$ p2pshare (.*)", line):
            current = terminals[begun[1]]
            if begun[2].startswith("lookup"):
                terminals["bravo"].end()
                partners["alpha"].wait_for("198.51.100.7")
            current.begin(begun[2].split())
            continue
        if goes_on := re.fullmatch(r"(alpha|bravo):", line):
            current = terminals[goes_on[1]]
            continue
        question = next((one for one in QUESTIONS if one in line), "")
        if not question:
            shown = current.read_line()
            assert matches(shown, line), f"shown: {shown!r}, on the page: {line!r}"
            if shown.startswith("p2pshare-"):
                invitation = shown
            continue
        asked, _, typed = line.partition(question)
        shown = current.read_prompt(question)
        assert matches(shown, asked + question), f"shown: {shown!r}, on the page: {line!r}"
        current.type(invitation if typed.startswith("p2pshare-") else typed)
        current.read_line()
    assert [terminal.end() for terminal in terminals.values()] == [0, 0]


def test_two_that_can_be_dialled_meet_through_a_restart_whoever_says_yes_first(
    partners: dict[str, Any],
) -> None:
    alpha, mallory = partners["alpha"], partners["mallory"]
    line = invite(alpha, "other")
    joined = join(mallory, line)
    assert set(joined) == {"partner_id", "name", "words", "state"}
    assert (joined["partner_id"], joined["name"], joined["state"]) == (alpha.partner_id, "ALPHA", "waiting")
    alpha.stop()
    error = join(mallory, line, code=1)
    assert error["reason"] == "unreachable" and f"127.0.0.1:{alpha.port}" in error["message"]
    alpha.start()
    [waiting] = alpha.cli_json("partner", "pending", "--json")
    assert (waiting["partner_id"], waiting["name"]) == (mallory.partner_id, "MALLORY")
    assert waiting["fingerprint"] == mallory.fingerprint
    said = accept(alpha, mallory, "abacus abdomen abide ability ablaze able", code=5)
    assert "wrong-words" in said.err
    assert aliases(alpha) == {"bravo"}
    accept(alpha, mallory, joined["words"])
    accept(mallory, alpha, joined["words"])
    assert (aliases(alpha), aliases(mallory)) == ({"bravo", "other"}, {"alpha"})
    mallory.publish("198.51.100.9\n", "--to", "alpha")
    alpha.wait_for("198.51.100.9")
    assert join(mallory, line)["state"] == "confirmed", "its line still says how it stands"
    alpha.cli("partner", "pending", code=3)
    assert "MALLORY" not in alpha.log() and joined["words"] not in alpha.log() + mallory.log()
    for one, other in ((alpha, "other"), (mallory, "alpha")):
        one.cli("partner", "remove", other)


def test_a_stranger_that_joins_first_is_nobody_and_the_partner_is_told(partners: dict[str, Any]) -> None:
    """mallory has read the line that was for bravo."""
    alpha, bravo, mallory = (partners[name] for name in ("alpha", "bravo", "mallory"))
    line = invite(alpha, "hospital")
    stolen = join(mallory, line)
    error = join(bravo, line, code=5)
    assert error["reason"] == "invitation-used" and "telephone" in error["hint"]
    alarm = alarm_words(alpha)["invitation-used"]
    assert bravo.fingerprint in alarm["message"] and mallory.fingerprint in alarm["message"]
    [waiting] = alpha.cli_json("partner", "pending", "--json")
    assert waiting["fingerprint"] == mallory.fingerprint
    alpha.cli("partner", "refuse", mallory.partner_id)
    accept(alpha, mallory, stolen["words"], codes=(3, 5))
    assert aliases(alpha) == {"bravo"}
    assert join(mallory, line, code=5)["reason"] == "invitation-used"
    again = join(bravo, invite(alpha, "hospital"))
    assert again["words"] != stolen["words"]
    assert "invitation-used" not in alarm_words(alpha)
    alpha.cli("partner", "refuse", bravo.partner_id)
    guests = alpha.status()["door"]["guests"]
    assert guests["invitation-used"] >= 2 and guests["joined"] >= 2


def test_an_observed_line_alone_lets_nobody_pose_as_the_host(partners: dict[str, Any]) -> None:
    """The line's address leads to mallory: its server knows no such invitation, and with one of its own it is not the inviter."""
    alpha, bravo, mallory = (partners[name] for name in ("alpha", "bravo", "mallory"))
    line = decode_line(invite(alpha, "posing"))
    redirected = encode_line(type(line)(line.host, line.secret, line.expires, f"127.0.0.1:{mallory.port}"))
    assert join(bravo, redirected, code=5)["reason"] == "invitation-unknown"
    own = decode_line(invite(mallory, "posing"))
    error = join(
        bravo, encode_line(type(own)(own.host, own.secret, own.expires, f"127.0.0.1:{alpha.port}")), code=5
    )
    assert error["reason"] == "invitation-unknown"


@pytest.mark.parametrize("change", ["slip", "secret", "expires", "nothing", "cut"])
def test_a_line_that_was_changed_guessed_or_cut_is_refused(partners: dict[str, Any], change: str) -> None:
    alpha, bravo = partners["alpha"], partners["bravo"]
    line = decode_line(invite(alpha, "changed"))
    text = encode_line(line)
    changed, code, reason = {
        "slip": (text[:50] + ("a" if text[50] != "a" else "b") + text[51:], 1, "bad-invitation"),
        "cut": (text[:70], 1, "bad-invitation"),
        "nothing": ("", 1, "bad-invitation"),
        "secret": (
            encode_line(type(line)(line.host, Secret(bytes(16)), line.expires, line.address)),
            5,
            "invitation-unknown",
        ),
        "expires": (
            encode_line(type(line)(line.host, line.secret, line.expires + 60, line.address)),
            5,
            "invitation-unknown",
        ),
    }[change]
    error = join(bravo, changed, code=code)
    assert error["reason"] == reason and error["hint"]
    assert text[20:40] not in json.dumps(error)


def test_a_line_in_an_argument_is_refused_and_not_repeated(partners: dict[str, Any]) -> None:
    bravo = partners["bravo"]
    for arguments in (("p2pshare-abcdef",), ("p2pshare-abc", "def"), ("-", "p2pshare-abcdef")):
        said = bravo.cli("join", *arguments, code=2)
        assert "argument" in said.err and "abc" not in said.err


def test_ones_own_line_and_one_that_has_ended_are_refused(partners: dict[str, Any]) -> None:
    alpha, bravo = partners["alpha"], partners["bravo"]
    line = invite(alpha, "ended")
    assert join(alpha, line, code=5)["reason"] == "own-card"
    ended = decode_line(line)
    past = encode_line(type(ended)(ended.host, ended.secret, 1_700_000_000, ended.address))
    assert join(bravo, past, code=5)["reason"] == "invitation-expired"
    assert bravo.cli("invite", "anybody", "--json", code=5).err.count("no-address") == 1


def test_a_stranger_gets_no_byte_while_invitations_are_out(partners: dict[str, Any]) -> None:
    """Neither without a certificate nor with one of its own."""
    alpha = partners["alpha"]
    invite(alpha, "somebody")
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    heard = b""
    with (
        socket.create_connection(("127.0.0.1", alpha.port), 5) as plain,
        context.wrap_socket(plain) as wrapped,
        suppress(OSError),
    ):
        wrapped.sendall(b"GET / HTTP/1.1\r\n\r\n")
        heard = wrapped.recv(1)
    assert heard == b""


def test_a_daemon_that_stops_does_not_wait_for_a_host_that_says_nothing(partners: dict[str, Any]) -> None:
    mallory, ended = partners["mallory"], decode_line(invite(partners["alpha"], "silent"))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        line = encode_line(
            type(ended)(ended.host, ended.secret, ended.expires, f"127.0.0.1:{silent.getsockname()[1]}")
        )
        command = mallory.command("join", "-", "--json")
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as asking:
            assert asking.stdin is not None and asking.stderr is not None
            asking.stdin.write(line.encode())
            asking.stdin.close()
            silent.settimeout(20)
            came, _ = silent.accept()
            with came:
                assert mallory.stop() == 0
                error = json.loads(asking.stderr.read().splitlines()[-1])["error"]
    assert error["reason"] == "stopping", "it did not wait until the host had been silent for long enough"
    mallory.start()


def test_without_a_daemon_nobody_is_met(partners: dict[str, Any], shared_company: Any) -> None:
    alone = shared_company.found("alone")
    for arguments, stdin in ((("invite", "x"), b""), (("join", "-"), b"p2pshare-x")):
        said = alone.cli(*arguments, stdin=stdin, code=4)
        assert "p2pshare run" in said.err
