"""Where a node listens, and whether partners reach it there: real daemons, asked by `doctor`."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from doctor_faults import DIALLED_BACK, read_findings, said
from free_port import free_port

from p2pshare.envelope.keys import create_identity
from p2pshare.http_server.tls import load_own_key
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


@contextmanager
def somebody_else(port: int) -> Iterator[None]:
    """A TLS server with a certificate of its own."""
    tls = create_identity("other", [], 1_800_000_000).operational.tls
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    load_own_key(context, tls.certificate, tls.secret().reveal())
    listening = socket.create_server(("127.0.0.1", port))

    def serve() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listening.accept()
                with suppress(OSError):
                    context.wrap_socket(connection, server_side=True).close()

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()


def connected(partner: Any) -> bool:
    return any(one["state"] == "connected" for one in partner.cli_json("partner", "list", "--json"))


def test_every_fault_of_dialling_back_is_planted_here() -> None:
    text = Path(__file__).read_text()
    assert [name for name in DIALLED_BACK if f'"{name}"' not in text] == []


def test_a_partner_that_is_asked_dials_back_and_says_what_came_of_it(
    company: Any, eventually: Callable[..., Any]
) -> None:
    alpha, bravo = company.linked("alpha", "bravo")
    assert said(reachable(alpha), "nobody-dialled"), "no daemon runs"
    bravo.start()
    alpha.start()
    eventually(lambda: connected(alpha), "linked")
    [found] = reachable(alpha)
    assert (found.level, found.message) == (
        "ok",
        f"bravo reached this node at https://127.0.0.1:{alpha.port}",
    )
    assert reachable(alpha) == [found], "who looks again within a minute has nobody dial"
    assert bravo.log().count("asked to be dialled back") == 1
    bravo.stop()
    alpha.stop()
    alpha.start()
    [found] = said(reachable(alpha), "nobody-dialled")
    assert "none is connected" in found.message


def test_a_port_that_is_not_forwarded_and_one_behind_which_somebody_else_sits_are_told_apart(
    company: Any, eventually: Callable[..., Any]
) -> None:
    closed = free_port()
    alpha, bravo = company.found("alpha", url_port=closed), company.found("bravo")
    alpha.trust(bravo)
    bravo.trust(alpha)
    bravo.start()
    alpha.start()
    eventually(lambda: connected(alpha), "alpha dials")
    [found] = said(reachable(alpha), "not-reached")
    assert (
        found.message == f"bravo dialled https://127.0.0.1:{closed} and did not reach this node: unreachable"
    )
    assert "reaching-a-node.md" in found.mend
    alpha.stop()
    bravo.stop()
    with somebody_else(closed):
        bravo.start()
        alpha.start()
        eventually(lambda: connected(alpha), "alpha dials again")
        assert said(reachable(alpha), "reached-other")


def test_a_partner_that_has_an_older_card_says_what_it_dialled(
    company: Any, eventually: Callable[..., Any]
) -> None:
    from p2pshare.node.node import DialledBack
    from p2pshare.operations.reachability import Reachability, examine_reachability

    answer = Reachability(2, ["https://a.example:1"], [DialledBack("bravo", 1, ("timeout",))])
    assert said(list(examine_reachability(answer)), "dialled-before")
    busy = Reachability(2, ["https://a.example:1"], [DialledBack("bravo", fault="busy")])
    assert said(list(examine_reachability(busy)), "nobody-dialled")


def test_a_node_whose_name_is_loopback_here_listens_on_all_addresses_and_says_so(company: Any) -> None:
    alpha = company.found("alpha")
    alpha.configure("url", f'"https://alpha.example:{alpha.port}"')
    alpha.configure("listen", '""')
    alpha.preface = DEBIAN
    alpha.start()
    log = alpha.log()
    assert "'alpha.example' is an address of this machine alone here (see /etc/hosts)" in log
    assert f"listening on 0.0.0.0:{alpha.port}" in log
    for address in ("127.0.0.1", "127.0.1.1", "127.9.9.9"):
        socket.create_connection((address, alpha.port), 5).close()


@pytest.mark.parametrize("url", ["https://127.0.0.1:{}", "https://localhost:{}"])
def test_a_node_that_is_told_to_be_on_loopback_stays_there(company: Any, url: str) -> None:
    alpha = company.found("alpha")
    alpha.configure("url", f'"{url.format(alpha.port)}"')
    alpha.configure("listen", '""')
    alpha.start()
    assert f"listening on 127.0.0.1:{alpha.port}" in alpha.log()
    assert "0.0.0.0" not in alpha.log()
