"""Where a node listens, and whether partners reach it there: real daemons, asked by `doctor`."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from doctor_faults import DIALLED_BACK, read_findings, said
from free_port import free_port

from p2pshare.node.node import DialledBack
from p2pshare.operations.reachability import Reachability, examine_reachability
from p2pshare.queries.doctor_words import Finding

pytestmark = pytest.mark.end_to_end

# As on Debian, whose installer writes the machine's own name beside 127.0.1.1 in /etc/hosts.
DEBIAN = """
import socket
true_lookup = socket.getaddrinfo
def lookup(host, *more, **named):
    return true_lookup("127.0.1.1" if host == "alpha.example" else host, *more, **named)
socket.getaddrinfo = lookup
"""


def reachable(partner: Any) -> list[Finding]:
    """What the doctor says of the node's reachability."""
    out = partner.cli("doctor", "--json", codes=(0, 1)).out
    return [one for one in read_findings(out) if one.check == "reachable"]


def link(alpha: Any, bravo: Any) -> None:
    alpha.trust(bravo)
    bravo.trust(alpha)


def connected(partner: Any) -> bool:
    return any(one["state"] == "connected" for one in partner.cli_json("partner", "list", "--json"))


def test_every_fault_of_dialling_back_is_planted_here() -> None:
    text = Path(__file__).read_text()
    assert [name for name in DIALLED_BACK if f'"{name}"' not in text] == []


def test_partners_dial_back_where_the_card_says_and_a_node_whose_name_is_loopback_listens_everywhere(
    company: Any, eventually: Callable[..., Any]
) -> None:
    closed = free_port()
    alpha, bravo = company.found("alpha"), company.found("bravo")
    assert said(reachable(alpha), "nobody-dialled"), "no daemon runs"
    alpha.configure("url", f'"https://alpha.example:{alpha.port}"')
    alpha.configure("listen", '""')
    alpha.cli("card", "set", "--url", f"https://alpha.example:{alpha.port}")
    link(alpha, bravo)
    for partner in (alpha, bravo):
        partner.preface = DEBIAN
        partner.start()
    assert "'alpha.example' is an address of this machine alone here (see /etc/hosts)" in alpha.log()
    assert f"listening on 0.0.0.0:{alpha.port}" in alpha.log()
    assert f"listening on 127.0.0.1:{bravo.port}" in bravo.log()
    for address in ("127.0.0.1", "127.0.1.1", "127.9.9.9"):
        socket.create_connection((address, alpha.port), 5).close()
    eventually(lambda: connected(alpha) and connected(bravo), "linked")
    [found] = reachable(alpha)
    assert (found.level, found.message) == (
        "ok",
        f"bravo reached this node at https://alpha.example:{alpha.port}",
    )
    assert reachable(alpha) == [found], "who looks again within a minute has nobody dial"
    assert bravo.log().count("asked to be dialled back") == 1
    bravo.cli("card", "set", "--url", f"https://127.0.0.1:{closed}")
    [known] = alpha.cli_json("partner", "list", "--json")
    eventually(
        lambda: alpha.cli_json("partner", "list", "--json")[0]["card_version"] > known["card_version"], "told"
    )
    [found] = said(reachable(bravo), "not-reached")
    assert (
        found.message == f"alpha dialled https://127.0.0.1:{closed} and did not reach this node: unreachable"
    )
    assert "reaching-a-node.md" in found.mend


def test_what_partners_say_is_told_in_the_words_of_the_page() -> None:
    url = "https://a.example:1"

    def told(*asked: DialledBack) -> list[Finding]:
        return list(examine_reachability(Reachability(2, [url], list(asked))))

    assert said(told(DialledBack("bravo", 1, ("timeout",))), "dialled-before")
    assert said(told(DialledBack("bravo", fault="busy")), "nobody-dialled")
    assert said(told(), "nobody-dialled")
    assert said(told(DialledBack("bravo", 2, ("other-certificate",))), "reached-other")
    findings = told(DialledBack("bravo", 2, ("timeout",)), DialledBack("charlie", 2, ("reached",)))
    assert [one.level for one in findings] == ["warn", "ok"]
    assert [one.level for one in examine_reachability(Reachability(2, [], []))] == ["ok"]
