"""Notebooks of real daemons, by the commands that a person types: a restart, the verbs, and what two members see of each other."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from conftest import Partner

    Chain = tuple[Partner, Partner, Partner]

pytestmark = pytest.mark.end_to_end


def test_a_notebook_is_the_same_after_a_restart(chain: Chain, eventually: Callable[..., Any]) -> None:
    alpha, bravo, _ = chain
    opened = alpha.cli_json(
        "space", "open", "--title", "ours", "--tlp", "amber", "--invite", "bravo", "--yes", "--json"
    )
    space = opened["space"]
    assert opened["entry"] == space and len(opened["members"]) == 2
    first = alpha.cli_json("space", "note", space[:6], "seen here", "--json")
    before = alpha.cli("space", "show", space, "--canonical")
    alpha.stop()
    alpha.start()
    assert alpha.cli("space", "show", space, "--canonical").out == before.out
    second = alpha.cli_json("space", "note", space, "seen again", "--json")
    shown = alpha.cli_json("space", "show", space, "--json")
    assert [one["id"] for one in shown["state"]["notes"]] == [first["entry"], second["entry"]]
    assert shown["heads"] == [second["entry"]]
    (listed,) = eventually(
        lambda: bravo.cli_json("space", "list", "--json"), "bravo hears that it is invited"
    )
    assert (listed["space"], listed["entries"]) == (space, 1)


def test_the_verbs_are_asked_of_a_running_daemon(chain: Chain, tmp_path: Path) -> None:
    """Over the real socket: what is written and shown, who is refused, a file that anybody checks, and nothing left behind."""
    alpha = chain[0]
    opened = alpha.cli_json("space", "open", "--title", "verbs", "--tlp", "green", "--yes", "--json")
    space = opened["space"]
    secret = "a-name-that-must-go " * 40
    note = alpha.cli_json("space", "note", space, secret, "--json")["entry"]
    alpha.cli("space", "show", space)
    assert alpha.cli_json("space", "seen", space, "--json")["entries"][0]["here"] == "shown"
    for words in (("takeover", space, "--yes"), ("leave", space, "--yes"), ("accept", space)):
        said = alpha.cli("space", *words, "--json", code=5)
        assert '"reason": "' in said.err, words
    alpha.cli_json("space", "redact", space[:6], note[:6], "--yes", "--json")
    alpha.cli_json("space", "note", space, "stays", "--json")
    file = tmp_path / "verbs.space"
    alpha.cli_json("space", "export", space, "-o", str(file), "--json")
    told = alpha.cli_json("space", "verify", str(file), "--json")
    assert (told["verdict"], told["without_body"]) == ("good", 1)
    assert secret.encode() not in file.read_bytes()
    assert [one["space"] for one in alpha.cli_json("space", "list", "--json")][-1] == space
    purged = alpha.cli_json("space", "purge", space, "--yes", "--json")
    assert purged["left"] == 0
    store = b"".join(path.read_bytes() for path in alpha.home.glob("store.sqlite*"))
    assert secret.encode()[:60] not in store
    alpha.cli("space", "show", space, code=3)
    alpha.stop()
    alpha.cli("space", "purge", space, "--take-again", "--json", code=4)  # who writes needs the daemon
    alpha.start()


def test_two_members_see_each_other_write_and_vote(chain: Chain, eventually: Callable[..., Any]) -> None:
    """What travels is seen by the commands: invitations, notes, an open vote, a lead by majority, a removal."""
    alpha, bravo, _ = chain
    space = alpha.cli_json(
        "space", "open", "--title", "two", "--tlp", "green", "--invite", "bravo", "--yes", "--json"
    )["space"]

    def invitations() -> list[str]:
        return [one["space"] for one in bravo.cli_json("status", "--json")["spaces"]["invitations"]]

    eventually(lambda: space in invitations(), "bravo is invited")
    bravo.cli_json("space", "join", space[:8], "--json")
    bravo.cli_json("space", "note", space, "from bravo", "--json")

    def texts() -> list[str]:
        return [one["text"] for one in alpha.cli_json("space", "show", space, "--json")["state"]["notes"]]

    eventually(lambda: texts() == ["from bravo"], "alpha has the note")
    bravo_id = bravo.cli_json("status", "--json")["partner_id"]
    proposal = bravo.cli_json("space", "takeover", space, "--yes", "--json")["proposal"]

    def voted() -> bool:
        said = alpha.cli("space", "ack", space, proposal, "--yes", "--json", codes=(0, 3))
        return said.code == 0

    eventually(voted, "alpha votes for it")
    assert alpha.cli_json("space", "show", space, "--json")["lead"] == bravo_id
    eventually(
        lambda: bravo.cli_json("space", "show", space, "--json")["lead"] == bravo_id,
        "bravo leads by the vote",
    )
    bravo.cli_json("space", "remove", space, "alpha", "--yes", "--json")
    eventually(lambda: alpha.cli_json("space", "list", "--json")[-1]["status"] == "removed", "alpha is told")
    for size in (1_000_000, 262_129):
        said = alpha.cli("space", "note", space, "x" * size, code=1)
        assert len(said.err) < 1_000 and "error: " in said.err, "refused with its limit, by command or daemon"
    alpha.cli("space", "note", space, "too late", code=5)
