"""The verbs of spaces on the command line: keys, exit codes, who is asked, hostile text, files, and a kind's own word."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import pytest
from command_line import Home, Said, found_pair
from shared_spaces import hand_over

from p2pshare.cli import program, space_verbs
from p2pshare.cli.space import print_notes
from p2pshare.cli.space_verbs import VERBS, SpaceGroup, space_group
from p2pshare.intel.marking import Tlp
from p2pshare.node.node import Node, close_node, open_node
from p2pshare.operations.interface import Request
from p2pshare.operations.space_membership import InviteIntoSpace, JoinSpace
from p2pshare.operations.space_takeover import TakeOver
from p2pshare.operations.spaces import NoteInSpace, OpenSpace

HOSTILE = "a\n\x1b[2J\x1b]0;owned\x07\u202etxt.exe\u2066<script>\u0000\u2028"


def quiet(*_: object) -> None:
    """No progress is shown."""


class Daemon:
    """A session with a node in this process, as the daemon's is: the tests of the socket are elsewhere."""

    is_daemon = True

    def __init__(self, node: Node) -> None:
        self._node = node

    def run(self, request: Request[Any], progress: object = None) -> Any:
        return request.run(self._node, int(time.time()), quiet)


class Pair:
    """The command line of alpha and bravo, who are partners, and whose daemons run in this process."""

    def __init__(self, homes: dict[str, Home], patch: pytest.MonkeyPatch) -> None:
        self.homes = homes
        self.nodes = {name: open_node(home.path) for name, home in homes.items()}
        by_home = {home.path: self.nodes[name] for name, home in homes.items()}

        @contextmanager
        def connect(home: Path) -> Iterator[Daemon]:
            yield Daemon(by_home[home])

        patch.setattr(space_verbs, "connect", connect)
        patch.setattr(space_verbs, "is_running", lambda home: True)

    def __call__(self, name: str, *words: str) -> Said:
        return self.homes[name](*words)

    def meet(self, space: str, later: int = 0) -> None:
        now = int(time.time()) + later
        for _ in range(2):
            hand_over(space, self.nodes["alpha"], self.nodes["bravo"], now=now)
            hand_over(space, self.nodes["bravo"], self.nodes["alpha"], now=now)

    def close(self) -> None:
        for node in self.nodes.values():
            close_node(node)


@pytest.fixture
def pair(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Pair]:
    homes = found_pair(tmp_path, capsys, monkeypatch)
    told = homes["alpha"]("card", "show", "--json").json["fingerprint"]
    card = str(homes["alpha"].path / "card.p2pcard")
    assert homes["bravo"]("partner", "add", card, "--fingerprint", told).code == 0
    made = Pair(homes, monkeypatch)
    yield made
    made.close()


def opened(pair: Pair, title: str = "ours") -> str:
    said = pair(
        "alpha",
        *("space", "open", "--title", title, "--tlp", "green", "--invite", "bravo", "--yes", "--json"),
    )
    assert said.code == 0
    pair.meet(said.json["space"])
    return str(said.json["space"])


# --- a walk through all verbs --------------------------------------------------------------------------


def test_a_space_from_its_opening_to_its_end(pair: Pair, tmp_path: Path) -> None:
    """Each verb answers with its promised keys, on one space of two."""
    space = opened(pair)
    written = {"space", "entry"}

    def does(name: str, *words: str) -> Any:
        said = pair(name, "space", *words, "--json")
        assert said.code == 0, said.err
        pair.meet(space)
        return said.json

    [listed] = does("bravo", "list")
    assert (listed["status"], listed["lead"], listed["contested"]) == ("invited", "alpha", False)
    assert does("bravo", "join", space[:6]).keys() == written
    note = does("bravo", "note", space, "seen here")["entry"]
    seen = does("alpha", "seen", space, "--limit", "1")
    assert seen.keys() == {"space", "total", "entries", "names"}
    assert [one["id"] for one in seen["entries"]] == [note]
    assert seen["entries"][0].keys() == {"id", "author", "kind", "number", "here", "members"}
    assert seen["entries"][0]["here"] == "held"
    assert pair("alpha", "space", "show", space).code == 0
    assert does("alpha", "seen", space)["entries"][0]["here"] == "shown"
    shown = does("alpha", "show", space)
    assert {"members", "lead", "heads", "contested", "waiting", "links"} <= shown.keys()
    assert [
        (one["name"], one["status"], one["card"])
        for one in sorted(shown["members"], key=lambda one: one["name"])
    ] == [
        ("alpha", "joined", "own"),
        ("bravo", "joined", "partner"),
    ]
    assert does("alpha", "handover", space, "bravo").keys() == written
    assert does("bravo", "accept", space).keys() == written
    assert (
        does("alpha", "show", space)["lead"]
        == shown["members"][[one["name"] for one in shown["members"]].index("bravo")]["id"]
    )
    asked = does("alpha", "takeover", space, "--dry-run")
    assert {
        "does",
        "proposal",
        "votes",
        "needed",
        "voters",
        "void",
        "standing",
        "lead",
        "lead_then",
    } <= asked.keys()
    proposed = does("alpha", "takeover", space, "--yes")
    assert proposed.keys() == {"space", "entry", "does", "proposal", "votes", "needed", "lead"}
    assert (proposed["does"], proposed["needed"]) == ("propose", 1)
    assert does("bravo", "ack", space, "--dry-run")["does"] == "back"
    assert does("bravo", "ack", space, proposed["proposal"][:8], "--yes")["lead"] == "alpha"
    assert does("alpha", "redact", space, note[:6], "--yes").keys() == written
    assert does("alpha", "remove", space, "bravo", "--yes").keys() == {*written, "links"}
    assert does("alpha", "invite", space, "bravo").keys() == {*written, "links"}
    assert does("bravo", "decline", space).keys() == written
    does("alpha", "invite", space, "bravo")
    does("bravo", "join", space)
    assert does("bravo", "leave", space, "--yes").keys() == written
    assert does("alpha", "close", space).keys() == written
    assert does("alpha", "reopen", space).keys() == written
    pair.meet(space, later=60)  # both have folded what was redacted
    file = tmp_path / "out.space"
    made = does("alpha", "export", space, "-o", str(file))
    assert made["entries"] == len(does("alpha", "show", space)["timeline"])
    assert made["without_card"] == [] and made["without_body"] == 1 and made["tlp"] == "TLP:GREEN"
    assert file.stat().st_mode & 0o777 == 0o600
    told = does("bravo", "verify", str(file))
    canonical = pair("alpha", "space", "show", space, "--canonical").out.removesuffix("\n")
    assert told["canonical_sha256"] == hashlib.sha256(canonical.encode()).hexdigest()
    assert (told["verdict"], told["space"], told["cards"]) == ("good", space, 2)
    assert {(one["name"], one["status"]) for one in told["members"]} == {
        ("alpha", "joined"),
        ("bravo", "left"),
    }
    again = tmp_path / "again.space"
    does("bravo", "export", space, "-o", str(again))
    assert again.read_bytes() == file.read_bytes(), "who holds the same writes the same"
    purged = does("bravo", "purge", space, "--yes")
    assert (purged["left"], purged["space"]) == (0, space)
    assert does("bravo", "list") == []
    assert does("bravo", "purge", space[:6], "--take-again")["space"] == space


def test_rekey_and_trust_have_their_exit_codes(pair: Pair) -> None:
    space = opened(pair)
    said = pair("alpha", "space", "rekey", space, "--last-good", "none", "--yes", "--json")
    assert said.code == 5 and json.loads(said.err)["error"]["reason"] == "not-revoked"
    said = pair("alpha", "space", "trust", space, "bravo", "--fingerprint", "x", "--json")
    assert said.code == 5 and json.loads(said.err)["error"]["reason"] == "is-partner"
    assert pair("alpha", "space", "trust", space, "bravo").code == 2, "nobody can be asked"


# --- exit codes ----------------------------------------------------------------------------------------

ID = "<id>"
WRITING: dict[str, tuple[str, ...]] = {
    "join": (ID,),
    "decline": (ID,),
    "leave": (ID, "--yes"),
    "invite": (ID, "bravo"),
    "remove": (ID, "bravo", "--yes"),
    "handover": (ID, "bravo"),
    "accept": (ID,),
    "takeover": (ID, "--yes"),
    "ack": (ID, "--yes"),
    "trust": (ID, "bravo", "--fingerprint", "x"),
    "redact": (ID, ID, "--yes"),
    "rekey": (ID, "--last-good", "none", "--yes"),
    "purge": (ID, "--yes"),
    "note": (ID, "text"),
    "close": (ID,),
    "reopen": (ID,),
}
READING: dict[str, tuple[str, ...]] = {"show": (ID,), "seen": (ID,), "export": (ID, "-o", "/dev/null")}
ASKED = ("leave", "remove", "takeover", "ack", "redact", "rekey", "purge")


def test_every_verb_is_tried_below() -> None:
    known = {verb.name for verb in VERBS}
    assert known == {*WRITING, *READING, "list", "verify"} - {"note", "close", "reopen"}


def test_each_verb_has_its_exit_codes(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unknown 3, too short 1, kept from writing without a daemon 4, and 2 where nobody can be asked; nothing is written by any of it."""
    space = opened(pair)
    before = pair("alpha", "space", "show", space, "--canonical").out
    for verb, words in {**WRITING, **READING}.items():
        for digits, code in (("0" * 64, 3), ("abc", 1), ("no hex digits", 1)):
            said = pair("alpha", "space", verb, *(digits if word == ID else word for word in words), "--json")
            assert said.code == code, (verb, digits, said)
            assert json.loads(said.err.splitlines()[-1])["error"]["exit_code"] == code
    for verb in ASKED:
        words = tuple(space if word == ID else word for word in WRITING[verb] if word != "--yes")
        said = pair("alpha", "space", verb, *words)
        assert said.code == 2 and "--yes" in said.err, verb
    monkeypatch.undo()  # the daemons are gone, and the nodes are still open: the home is this process's
    pair.close()
    for verb, words in WRITING.items():
        said = pair("alpha", "space", verb, *(space if word == ID else word for word in words), "--json")
        error = json.loads(said.err.splitlines()[-1])["error"]
        assert (said.code, error["reason"]) == (4, "daemon-unreachable"), verb
    assert pair("alpha", "space", "show", space, "--canonical").out == before
    pair.nodes.clear()


def test_a_refusal_names_who_may(pair: Pair) -> None:
    space = opened(pair)
    pair("bravo", "space", "join", space)
    pair.meet(space)
    for words in (("invite", space, "alpha"), ("close", space), ("remove", space, "alpha", "--yes")):
        said = pair("bravo", "space", *words)
        assert said.code == 5, words
        assert "only the lead" in said.err and "alpha" in said.err


def test_an_id_that_fits_several_is_told_with_them(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    from p2pshare.spaces.space_store import SpaceReading

    spaces = {opened(pair), opened(pair)}
    real = SpaceReading.begin_with
    monkeypatch.setattr(SpaceReading, "begin_with", lambda reading, digits: real(reading, ""))
    for words in (("join", "abcdef"), ("show", "abcdef"), ("leave", "abcdef", "--yes")):
        said = pair("alpha", "space", *words, "--json")
        error = json.loads(said.err)["error"]
        assert (said.code, error["reason"]) == (2, "ambiguous")
        assert all(space in error["message"] for space in spaces)


# --- hostile text --------------------------------------------------------------------------------------


def harmless(text: str) -> bool:
    """Whether a terminal that is shown this obeys nothing, and reads it in one direction."""
    return all(character == "\n" or character.isprintable() for character in text)


def test_hostile_text_in_every_field_is_shown_and_does_no_harm(pair: Pair, tmp_path: Path) -> None:
    title = HOSTILE.replace("\x00", "")
    node, now = pair.nodes["bravo"], int(time.time())
    space = OpenSpace("note", title, Tlp.GREEN, ("alpha",)).run(node, now, quiet).space
    pair.meet(space)
    JoinSpace(space).run(pair.nodes["alpha"], now, quiet)
    NoteInSpace(space, HOSTILE).run(node, now, quiet)
    pair.meet(space)
    TakeOver(space).run(pair.nodes["alpha"], now, quiet)
    InviteIntoSpace(space, ("alpha",)).run(node, now, quiet)
    pair.meet(space)
    file = tmp_path / "hostile.space"
    for words in (
        ("space", "list"),
        ("space", "show", space),
        ("space", "seen", space),
        ("space", "takeover", space, "--dry-run"),
        ("space", "ack", space, "--dry-run"),
        ("space", "export", space, "-o", str(file)),
        ("space", "verify", str(file)),
        ("status",),
        ("doctor",),
        ("space", "note", space, HOSTILE.replace("\x00", "")),
        ("space", "join", HOSTILE),
        ("space", "redact", space, HOSTILE, "--yes"),
        ("space", "invite", space, HOSTILE),
        ("space", "handover", space, HOSTILE),
    ):
        said = pair("alpha", *words)
        assert harmless(said.out) and harmless(said.err), words
        as_json = pair("alpha", *words, "--json")
        assert (as_json.out + as_json.err).isascii() and harmless(as_json.out + as_json.err), words
    assert "\\x1b[2J" in pair("alpha", "space", "show", space).out, "it is shown, escaped"
    assert pair("alpha", "space", "show", space, "--json").json["title"] == title


@pytest.mark.parametrize("name", ["fault", "flip", "cut", "text", "empty"])
def test_a_spoilt_file_is_bad_and_says_what_is_wrong(name: str, pair: Pair, tmp_path: Path) -> None:
    space = opened(pair)
    file = tmp_path / "out.space"
    pair("alpha", "space", "export", space, "-o", str(file))
    raw = file.read_bytes()
    spoilt = {
        "fault": raw[:-1] + bytes([raw[-1] ^ 1]),
        "flip": raw[: len(raw) - 600] + bytes([raw[-600] ^ 1]) + raw[len(raw) - 599 :],
        "cut": raw[: len(raw) // 2],
        "text": b"not a space at all",
        "empty": b"",
    }[name]
    file.write_bytes(spoilt)
    said = pair("alpha", "space", "verify", str(file), "--json")
    assert (said.code, said.json["verdict"]) == (1, "bad")
    assert said.json["fault"] or said.json["refused"]
    assert pair("alpha", "space", "verify", str(file)).code == 1
    assert pair("alpha", "space", "verify", str(tmp_path / "none")).code == 1


def test_verify_needs_no_home(pair: Pair, tmp_path: Path) -> None:
    space = opened(pair)
    file = tmp_path / "out.space"
    pair("alpha", "space", "export", space, "-o", str(file))
    nowhere = Home(tmp_path / "nowhere", pair.homes["alpha"]._capture, pair.homes["alpha"]._patch)
    said = nowhere("space", "verify", str(file), "--json")
    assert (said.code, said.json["verdict"]) == (0, "good")
    assert not (tmp_path / "nowhere").exists()


# --- a kind's own word ---------------------------------------------------------------------------------


def test_a_kind_wears_the_verbs_under_its_own_word(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """One call makes the group; it finds the spaces of its kind alone."""
    space = opened(pair)
    for kind, code in (("note", 0), ("incident", 3)):
        word = f"worn-{kind}"
        group = space_group(word, kind, {"note": print_notes}, "a kind")
        assert isinstance(group, SpaceGroup) and set(group.commands) == {verb.name for verb in VERBS}
        monkeypatch.setitem(program.COMMANDS, word, ("unused:unused", "a kind"))
        monkeypatch.setattr(program.LazyGroup, "get_command", _found(group, program.LazyGroup.get_command))
        assert pair("alpha", word, "show", space).code == code
        assert pair("bravo", word, "join", space, "--json").code == code
        assert pair("alpha", word, "invite", space[:6], "bravo").code == code
        assert len(pair("alpha", word, "list", "--json").json) == (1 if kind == "note" else 0)
        assert f"p2pshare {word} join" in pair("alpha", word, "join", "--help").out


def _found(
    group: click.Group, real: Callable[..., click.Command | None]
) -> Callable[..., click.Command | None]:
    def get_command(self: Any, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return group if cmd_name == group.name else real(self, ctx, cmd_name)

    return get_command
