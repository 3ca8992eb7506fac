"""What the daemon answers for those who may not open its store, and what it tells about a link that does not work."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from p2pshare.errors import StoreError

if TYPE_CHECKING:
    from conftest import Partner

    Chain = tuple[Partner, Partner, Partner]

pytestmark = pytest.mark.end_to_end
Eventually = Callable[[Callable[[], Any], str], Any]


def test_a_member_of_the_group_publishes_looks_up_searches_and_shows_without_opening_the_store(
    chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    def not_permitted(*_: object) -> None:
        raise StoreError("the store cannot be opened")

    alpha, _, charlie = chain
    monkeypatch.setattr("p2pshare.cli.publish.open_store_for_reading", not_permitted)
    monkeypatch.setattr("p2pshare.cli.session.open_store_for_reading", not_permitted)
    alpha.publish("by-a-member.example\n")
    charlie.wait_for("by-a-member.example")
    [answer] = alpha.cli_json("lookup", "by-a-member[.]example", "--json")
    assert (answer["found"], answer["active"], answer["authors"]) == (True, True, ["ALPHA"])
    [found] = alpha.cli_json("search", "--type", "domain", "--text", "by-a-member", "--since", "1h", "--json")
    [version] = alpha.cli_json("show", found["id"], "--json")["versions"]
    assert version["object"]["pattern"] == "[domain-name:value = 'by-a-member.example']"
    assert json.loads(alpha.cli("show", found["id"], "--raw").out) == version["object"]
    assert alpha.cli_json("show", found["envelope_id"], "--json")["circle"] == "main"
    assert alpha.cli("search", "--text", "nowhere", codes=(3,)).out == ""
    assert alpha.cli("search", "--author", "nobody", codes=(3,)).out == ""
    assert alpha.cli("show", found["id"], "--version", "2", codes=(3,)).out == ""


@pytest.mark.parametrize(
    "command",
    [
        ("recall", "status", "x\udcff"),
        ("withdraw", "x\udcff", "--reason", "mistake"),
        ("sight", "x\udcff"),
        ("explain", "x", "--partner", "b\udcff"),
        ("partner", "remove", "b\udcff"),
        ("allow", "198.51.100.1", "--reason", "r\udcff"),
    ],
    ids=lambda command: command[0],
)
def test_a_stray_byte_is_refused_like_any_mistake_also_while_a_daemon_runs(
    chain: Chain, command: tuple[str, ...]
) -> None:
    said = chain[0].cli(*command, codes=(1, 2, 3, 5))
    assert said.err.startswith("error: ") and "a bug of" not in said.err


def test_a_link_that_does_not_work_says_why_until_it_works_again(
    chain: Chain, eventually: Eventually
) -> None:
    alpha, bravo, _ = chain

    def trouble() -> str:
        [partner] = [one for one in alpha.status()["partners"] if one["alias"] == "bravo"]
        return str(partner["last_error"])

    eventually(lambda: trouble() == "", "the link to bravo works")
    bravo.stop()
    eventually(trouble, "alpha says why bravo is not heard")
    assert "bravo  " in alpha.cli("status").out
    assert f": {trouble()}" in alpha.cli("partner", "list").out
    bravo.start()
    eventually(lambda: trouble() == "", "the link to bravo works again")
