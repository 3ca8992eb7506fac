"""docs/transport.md cannot drift: its program connects to a real node, its table is the route table."""

from __future__ import annotations

import asyncio
import re
import ssl
import subprocess
import sys

from p2pshare.gossip.protocol import CARD, CHAIN, DIAL, GET, MEMBERS, POLL, PUT, SYNC, VERBS
from p2pshare.http_server.handshake_places import (
    CROWDED,
    OVERTAKEN_KNOWN,
    OVERTAKEN_SILENT,
    OVERTAKEN_TALKING,
)
from p2pshare.http_server.known_addresses import (
    ADDRESS_BITS_IPV6,
    ADMITTED_ADDRESSES_PER_CALLER_MAX,
    ADMITTED_CALLERS_MAX,
    ADMITTED_SECONDS,
    PREFIX_BITS_IPV4,
    PREFIX_BITS_IPV6,
)
from p2pshare.http_server.listener import BACKLOG
from p2pshare.limits import CARD_URLS_MAX, KIB, MIB
from p2pshare.peering.interface import DoorLimits


async def test_the_documented_program_speaks_with_a_real_node(house, alpha, bravo, repository, tmp_path):
    page = (repository / "docs" / "transport.md").read_text()
    program = re.search(r"```python\n(.+?)```", page, re.DOTALL)[1]
    server, port = await house.serve(bravo)
    (tmp_path / "bravo.pem").write_text(ssl.DER_cert_to_PEM_cert(bravo.certificate))
    (tmp_path / "alpha.pem").write_text(ssl.DER_cert_to_PEM_cert(alpha.certificate))
    pem = ssl.DER_cert_to_PEM_cert(alpha.key.secret().reveal()).replace("CERTIFICATE", "PRIVATE KEY")
    (tmp_path / "alpha.key").write_text(pem)
    ran = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", f"HOST, PORT = '127.0.0.1', {port}\n{program}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert ran.stdout == "200 400000 bytes\n", ran.stderr
    assert server.requests_seen == 1


def test_the_documented_routes_are_the_routes(repository):
    page = (repository / "docs" / "transport.md").read_text()
    documented = set(re.findall(r"^\| `(GET|POST|PUT) (/v1/[^`]+)`", page, re.MULTILINE))
    assert documented == {(verb.method, verb.path) for verb in VERBS}
    assert len(documented) == len(VERBS) == 10


def test_the_documented_sizes_are_those_of_the_table(repository):
    page = " ".join((repository / "docs" / "transport.md").read_text().split())
    for told in (
        f"At most {PUT.request_bytes_max // MIB} MiB for `PUT`, {SYNC.request_bytes_max // KIB} KiB for `sync`, 64 KiB",
        f"at most 64 KiB, of `sync` {SYNC.answer_bytes_max // KIB} KiB, a card at most {CARD.answer_bytes_max // MIB} MiB, a member list at most {MEMBERS.answer_bytes_max // KIB} KiB",
        f"PollAnswer, after up to {POLL.wait_seconds} s",
    ):
        assert told in page
    others = {one.request_bytes_max for one in VERBS if one not in (PUT, SYNC, CARD, CHAIN, MEMBERS, DIAL)}
    assert others | {
        one.answer_bytes_max for one in VERBS if one not in (GET, SYNC, CARD, CHAIN, MEMBERS)
    } == {64 * KIB}


def test_the_documented_places_and_reasons_of_a_crowded_door_are_its_own(repository):
    page = " ".join((repository / "docs" / "transport.md").read_text().split())
    limits = DoorLimits()
    for told in (
        f"Each has {limits.handshakes} places, {limits.handshakes_per_address} of them for one address",
        f"an IPv4 /{PREFIX_BITS_IPV4}, an IPv6 /{PREFIX_BITS_IPV6}",
        f"or an IPv6 /{ADDRESS_BITS_IPV6}",
        f"within the last {ADMITTED_SECONDS // 86_400} days",
        f"newest {ADMITTED_ADDRESSES_PER_CALLER_MAX} are known, beside the (up to {CARD_URLS_MAX}) of its card",
        f"{limits.strangers_per_second} of all strangers begin in a second, {limits.known_per_second} of each known",
        f"of {ADMITTED_CALLERS_MAX:,} partners",
        f"queue of connections ({BACKLOG:,})",
    ):
        assert told in page, told
    for reason in (CROWDED, OVERTAKEN_SILENT, OVERTAKEN_TALKING, OVERTAKEN_KNOWN):
        assert f"`{reason}`" in page
