"""A notebook on one real daemon: what was written is there after a restart, and who is invited has the opening alone."""

from __future__ import annotations

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
