"""A notebook on one real daemon: what was written is there after a restart, and no partner hears of it yet."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Partner

    Chain = tuple[Partner, Partner, Partner]

pytestmark = pytest.mark.end_to_end


def test_a_notebook_is_the_same_after_a_restart(chain: Chain) -> None:
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
    assert bravo.cli_json("space", "list", "--json") == []


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
