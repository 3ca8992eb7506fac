"""What the daemon answers for those who may not open its store, and what it tells about a link that does not work."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from every_operation import every_malformed, told_node
from whole_nodes import World

from p2pshare.daemon.control_protocol import receive_message, send_message, short_name, socket_path
from p2pshare.errors import StoreError
from p2pshare.operations.table import OPERATIONS

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


def said_to(home: Path, message: dict[str, Any]) -> dict[str, Any]:
    """What the daemon of `home` answers to a message on its real control socket."""
    with socket.socket(socket.AF_UNIX) as connection, short_name(socket_path(home)) as name:
        connection.connect(name)
        assert "greeting" in receive_message(connection)
        send_message(connection, message)
        while "progress" in (answer := receive_message(connection)):
            pass
        return answer


def test_a_surplus_field_a_missing_one_and_another_type_are_refused_for_every_operation(
    chain: Chain, tmp_path: Path
) -> None:
    """Nothing of it is done: the daemon answers as before."""
    home = chain[0].home
    before = chain[0].cli("search", "--json", "--limit", "1000", codes=(0, 3)).out
    world = World(tmp_path)
    refused = set()
    for field, fields in every_malformed(told_node(world), world.found("newcomer")):
        error = said_to(home, fields)["error"]
        assert (error["reason"], error["exit_code"]) == ("bad-argument", 1), fields
        assert error["message"].startswith(f"{fields['operation']}: ") and field in error["message"], error
        refused.add(fields["operation"])
    world.close()
    assert refused == set(OPERATIONS)
    unknown = said_to(home, {"operation": "make-coffee"})["error"]
    assert (unknown["reason"], unknown["hint"][:27]) == ("unknown-operation", "command and daemon are of d")
    assert chain[0].cli("search", "--json", "--limit", "1000", codes=(0, 3)).out == before


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
