"""`space`: the promised keys and exit codes, on a home without a daemon and on one with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import Home, found_pair

from p2pshare.intel.marking import Tlp
from p2pshare.node.node import close_node, open_node
from p2pshare.operations.spaces import AmbiguousId, NoteInSpace, OpenSpace, ShowSpace
from p2pshare.spaces.space_store import SpaceReading

NOW = 1_900_000_000


@pytest.fixture
def alpha(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Home:
    return found_pair(tmp_path, capsys, monkeypatch)["alpha"]


def quiet(*_: object) -> None:
    """No progress is shown."""


@pytest.fixture
def space(alpha: Home) -> str:
    """A space with bravo and two notes, one of them hostile, as the daemon would write it."""
    node = open_node(alpha.path)
    now = node.card.not_before + 60
    try:
        opened = OpenSpace("note", "ours", Tlp.GREEN, ("bravo",)).run(node, now, quiet)
        for text in ("seen here", "a\nFORGED \x1b[31m"):
            NoteInSpace(opened.space[:6], text).run(node, now, quiet)
    finally:
        close_node(node)
    return opened.space


def test_list_and_show_have_their_promised_keys(alpha: Home, space: str) -> None:
    (listed,) = alpha("space", "list", "--json").json
    assert listed == {
        "space": space,
        "kind": "note",
        "title": "ours",
        "tlp": "TLP:GREEN",
        "opener": "alpha",
        "entries": 3,
        "waiting": 0,
        "status": "joined",
        "lead": "alpha",
        "contested": False,
    }
    shown = alpha("space", "show", space[:6].upper(), "--json").json
    assert {(one["name"], one["status"]) for one in shown["members"]} == {
        ("alpha", "joined"),
        ("bravo", "invited"),
    }
    assert shown["contested"] is False and shown["waiting"] == 0 and len(shown["heads"]) == 1
    assert shown["lead"] == next(one["id"] for one in shown["members"] if one["name"] == "alpha")
    assert {one["text"] for one in shown["state"]["notes"]} == {"seen here", "a\nFORGED \x1b[31m"}
    output = alpha("space", "show", space, "--canonical", "--json").out
    assert (
        output
        == json.dumps(json.loads(output), sort_keys=True, separators=(",", ":"), ensure_ascii=False) + "\n"
    )
    text = alpha("space", "show", space).out
    assert "seen here" in text and "\nFORGED" not in text and "\x1b" not in text


def test_writing_needs_the_daemon(alpha: Home, space: str) -> None:
    opening = ("space", "open", "--title", "ours", "--tlp", "green", "--invite", "bravo", "--yes", "--json")
    for arguments in (opening, ("space", "note", space, "text", "--json")):
        said = alpha(*arguments)
        assert said.code == 4 and json.loads(said.err)["error"]["reason"] == "daemon-unreachable"
    assert len(alpha("space", "list", "--json").json) == 1
    assert alpha("space", "open", "--title", "ours", "--tlp", "green").code == 2, "nobody can be asked"


def test_an_id_is_unknown_too_short_or_fits_several(alpha: Home, space: str) -> None:
    unknown = "0" * 64 if space[0] != "0" else "1" * 64
    assert alpha("space", "show", unknown).code == 3
    assert alpha("space", "show", space[:5]).code == 1
    assert alpha("space", "show", "no id").code == 1


def test_several_spaces_under_one_beginning_are_candidates(
    alpha: Home, space: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two ids that begin alike would take years to draw: the store is asked for a shorter beginning."""
    node = open_node(alpha.path)
    try:
        while len(found := SpaceReading(node.store.database).begin_with(space[:1])) < 2:
            OpenSpace("note", "more", Tlp.GREEN).run(node, node.card.not_before + 60, quiet)
        real = SpaceReading.begin_with
        monkeypatch.setattr(SpaceReading, "begin_with", lambda reading, digits: real(reading, digits[:1]))
        with pytest.raises(AmbiguousId) as caught:
            ShowSpace(space[:6]).run(node, NOW, quiet)
    finally:
        close_node(node)
    assert all(row.space.text in str(caught.value) for row in found)
    said = alpha("space", "show", space[:6], "--json")
    assert said.code == 2 and json.loads(said.err)["error"]["reason"] == "ambiguous"


def test_who_is_no_partner_cannot_be_invited_and_an_empty_note_is_not_written(
    alpha: Home, space: str
) -> None:
    from p2pshare.errors import AuthorError, NotFoundError

    node = open_node(alpha.path)
    now = node.card.not_before + 60
    try:
        with pytest.raises(NotFoundError):
            OpenSpace("note", "ours", Tlp.GREEN, ("nobody",)).run(node, now, quiet)
        for text in ("", "\u20ac" * 90_000):
            with pytest.raises(AuthorError):
                NoteInSpace(space, text).run(node, now, quiet)
    finally:
        close_node(node)
    assert [one["entries"] for one in alpha("space", "list", "--json").json] == [3]
