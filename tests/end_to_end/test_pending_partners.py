"""Pending partners between real daemons: who knocks is shown, accepted by a person, and linked; who does not let us in is told so. Where a
node listens, and whether partners reach it there."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from doctor_faults import DIALLED_BACK, read_findings, said
from free_port import free_port
from page_commands import commands_of

from p2pshare.node.node import DialledBack
from p2pshare.operations.reachability import Reachability, examine_reachability
from p2pshare.queries.doctor_words import Finding

pytestmark = pytest.mark.end_to_end

KNOCKS_AGAIN_SECONDS = 90  # a knock that a busy machine lost comes again after a minute

# As on Debian, whose installer writes the machine's own name beside 127.0.1.1 in /etc/hosts.
DEBIAN = """
import socket
true_lookup = socket.getaddrinfo
def lookup(host, *more, **named):
    return true_lookup("127.0.1.1" if host == "alpha.example" else host, *more, **named)
socket.getaddrinfo = lookup
"""


@pytest.fixture(scope="module")
def page(repository: Path) -> list[list[str]]:
    """What docs/onboarding.md has people type, the words behind `p2pshare`: three times before a yes, and the yes."""
    commands = commands_of(repository / "docs" / "onboarding.md", "Partners who knock")
    assert [command.machine for command in commands] == ["alpha", "bravo", "alpha", "bravo"]
    return [command.words[1:] for command in commands]


def typed(partner: Any, words: list[str], *more: str, **values: str) -> str:
    """What a command of the page shows, with what stands in this test for its words in capitals."""
    told = [values.get(word, word) for word in words]
    return str(partner.cli(*told, *more).out)


@pytest.fixture(scope="module")
def pair(shared_company: Any, eventually: Callable[..., Any], page: list[list[str]]) -> tuple[Any, Any]:
    """alpha, which trusts bravo, and bravo, which has never heard of alpha; both run, and alpha has knocked."""
    alpha, bravo = shared_company.found("alpha"), shared_company.found("bravo")
    alpha.configure("url", f'"https://alpha.example:{alpha.port}"')
    alpha.configure("listen", '""')
    alpha.cli("card", "set", "--url", f"https://alpha.example:{alpha.port}")
    alpha.preface = bravo.preface = DEBIAN
    typed(
        alpha,
        [str(bravo.home / "card.p2pcard") if one == "bravo.p2pcard" else one for one in page[0]],
        BRAVOS=bravo.fingerprint,
    )
    bravo.start()
    none = bravo.cli("partner", "pending", "--json", code=3)
    assert none.out == "[]\n" and "nobody waits" in none.err
    alpha.start()
    eventually(
        lambda: bravo.cli("partner", "pending", codes=(0, 3)).code == 0,
        "alpha has knocked",
        KNOCKS_AGAIN_SECONDS,
    )
    return alpha, bravo


def row_of(partner: Any, other: str) -> Any:
    [row] = [row for row in partner.cli_json("partner", "list", "--json") if row["alias"] == other]
    return row


def pending(partner: Any) -> list[Any]:
    rows: list[Any] = json.loads(partner.cli("partner", "pending", "--json", codes=(0, 3)).out)
    return rows


def test_who_knocks_is_shown_and_is_told_that_it_is_not_accepted_yet(
    pair: tuple[Any, Any], page: list[list[str]], eventually: Callable[..., Any]
) -> None:
    alpha, bravo = pair
    [row] = bravo.cli_json("partner", "pending", "--json")
    assert {key: row[key] for key in ("partner_id", "name", "url", "fingerprint", "address", "source")} == {
        "partner_id": alpha.partner_id,
        "name": "ALPHA",
        "url": f"https://alpha.example:{alpha.port}",
        "fingerprint": alpha.fingerprint,
        "address": "127.0.0.1",
        "source": "knock",
    }
    assert row["knocks"] >= 1 and row["since"].endswith("Z") and row["notes"] == []
    said = typed(bravo, page[1])
    assert alpha.fingerprint in said and "ALPHA, as it calls itself" in said
    assert "1 would be partners" in bravo.cli("status").out
    assert bravo.status()["pending_partners"] == {"waiting": 1, "accepted": 0, "introduced": 0}
    assert bravo.cli_json("partner", "list", "--json") == [], "nobody is a partner by knocking"
    eventually(lambda: row_of(alpha, "bravo")["state"] == "not-accepted-yet", "alpha is told so")
    assert "not accepted yet" in typed(alpha, page[2])
    assert "not accepted yet" in alpha.cli("status").out


def test_what_a_person_did_not_compare_accepts_nobody(pair: tuple[Any, Any]) -> None:
    alpha, bravo = pair
    for wrong, code in (
        (["--fingerprint", bravo.fingerprint], 5),
        (["--words", "one two three four five six"], 5),
        (["--fingerprint", "nonsense"], 1),
        ([], 2),
        (["--words", "a", "--fingerprint", "b"], 2),
    ):
        said = bravo.cli("partner", "accept", alpha.partner_id, *wrong, code=code)
        assert "Traceback" not in said.err and said.out == ""
    bravo.cli("partner", "accept", bravo.partner_id, "--fingerprint", bravo.fingerprint, code=3)
    bravo.cli("partner", "refuse", "0" * 64, code=3)
    assert [row["partner_id"] for row in pending(bravo)] == [alpha.partner_id]


def test_who_is_accepted_is_linked_at_once_and_can_be_renamed(
    pair: tuple[Any, Any], page: list[list[str]], eventually: Callable[..., Any]
) -> None:
    alpha, bravo = pair
    told = typed(bravo, page[3], "--json", ID=alpha.partner_id[:10], ALPHAS=alpha.fingerprint.lower())
    assert json.loads(told) == {
        "partner_id": alpha.partner_id,
        "name": "ALPHA",
        "alias": "",
        "state": "accepted",
    }
    assert pending(bravo) == []
    eventually(lambda: bravo.cli_json("partner", "list", "--json"), "its card came")
    eventually(lambda: row_of(alpha, "bravo")["state"] == "connected", "and it is let in")
    alpha.publish("first.example")
    bravo.wait_for("first.example")
    assert bravo.cli_json("partner", "rename", "alpha", "hospital-a", "--json")["alias"] == "hospital-a"
    assert row_of(bravo, "hospital-a")["name"] == "ALPHA"
    assert bravo.query("SELECT DISTINCT author_name FROM v1_claims") == [("hospital-a",)]
    bravo.cli("partner", "rename", "alpha", "x", code=3)
    bravo.cli("partner", "rename", "hospital-a", "not good", code=1)


def test_who_was_removed_is_told_so_and_waits_as_one_that_was_removed(
    pair: tuple[Any, Any], eventually: Callable[..., Any]
) -> None:
    alpha, bravo = pair
    bravo.cli("partner", "remove", "hospital-a")
    eventually(
        lambda: row_of(alpha, "bravo")["state"] == "removed-by-partner",
        "alpha is told so",
        KNOCKS_AGAIN_SECONDS,
    )
    assert "removed by partner" in alpha.cli("partner", "list").out
    alpha.stop()
    alpha.start()  # each life knocks at once, however often this address has knocked in the last minute
    [row] = eventually(lambda: pending(bravo), "and knocks", KNOCKS_AGAIN_SECONDS)
    assert row["notes"] == ["was your partner 'hospital-a', and was removed"]
    bravo.cli("partner", "refuse", alpha.partner_id)
    bravo.cli("partner", "pending", code=3)
    bravo.cli("partner", "accept", alpha.partner_id, "--fingerprint", alpha.fingerprint, "--alias", "alpha")
    eventually(
        lambda: row_of(alpha, "bravo")["state"] == "connected",
        "a person may change its mind",
        KNOCKS_AGAIN_SECONDS,
    )


def test_one_that_is_not_there_is_unreachable_and_neither_of_the_two(
    pair: tuple[Any, Any], shared_company: Any, eventually: Callable[..., Any]
) -> None:
    alpha, _ = pair
    charlie = shared_company.found("charlie")
    alpha.trust(charlie)
    row = eventually(lambda: (row := row_of(alpha, "charlie"))["last_error"] and row, "alpha has tried")
    assert (row["state"], row["last_error"]) in (("waiting", "unreachable"), ("connecting", "unreachable"))


# --- where a node listens, and who reaches it there -------------------------------------------------


def reachable(partner: Any) -> list[Finding]:
    """What the doctor says of the node's reachability."""
    out = partner.cli("doctor", "--json", codes=(0, 1)).out
    return [one for one in read_findings(out) if one.check == "reachable"]


def test_a_node_whose_name_is_loopback_here_listens_on_all_addresses_and_says_so(
    pair: tuple[Any, Any],
) -> None:
    alpha, bravo = pair
    assert "'alpha.example' is an address of this machine alone here (see /etc/hosts)" in alpha.log()
    assert f"listening on 0.0.0.0:{alpha.port}" in alpha.log()
    assert f"listening on 127.0.0.1:{bravo.port}" in bravo.log(), "a numeric address is meant so"
    for address in ("127.0.0.1", "127.0.1.1", "127.9.9.9"):
        socket.create_connection((address, alpha.port), 5).close()


def test_partners_dial_back_where_the_card_says(
    pair: tuple[Any, Any], eventually: Callable[..., Any]
) -> None:
    alpha, bravo = pair
    eventually(lambda: row_of(alpha, "bravo")["state"] == "connected", "linked", KNOCKS_AGAIN_SECONDS)
    [found] = reachable(alpha)
    assert (found.level, found.message) == (
        "ok",
        f"bravo reached this node at https://alpha.example:{alpha.port}",
    )
    closed = free_port()
    bravo.cli("card", "set", "--url", f"https://127.0.0.1:{closed}")
    eventually(lambda: row_of(alpha, "bravo")["card_version"] == 2, "alpha has the new card")
    [found] = said(reachable(bravo), "not-reached")
    assert (
        found.message
        == f"alpha dialled https://127.0.0.1:{closed} and did not reach this node: of an address that not everybody can dial it tells no more"
    )
    assert "reaching-a-node.md" in found.mend


def test_what_partners_say_is_told_in_the_words_of_the_page() -> None:
    def told(*asked: DialledBack) -> list[Finding]:
        return list(examine_reachability(Reachability(2, ["https://a.example:1"], list(asked))))

    assert said(list(examine_reachability(None)), "nobody-dialled"), "no daemon runs"
    assert said(told(), "nobody-dialled")
    assert said(told(DialledBack("bravo", fault="busy")), "nobody-dialled")
    assert said(told(DialledBack("bravo", 1, ("timeout",))), "dialled-before")
    assert said(told(DialledBack("bravo", 2, ("other-certificate",))), "reached-other")
    findings = told(DialledBack("bravo", 2, ("timeout",)), DialledBack("charlie", 2, ("reached",)))
    assert [one.level for one in findings] == ["warn", "ok"]
    assert [one.level for one in examine_reachability(Reachability(2, [], []))] == ["ok"]


def test_every_fault_of_dialling_back_is_planted_here() -> None:
    text = Path(__file__).read_text()
    assert [name for name in DIALLED_BACK if f'"{name}"' not in text] == []
