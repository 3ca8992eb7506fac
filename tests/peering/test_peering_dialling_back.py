"""Dialling back over real TLS: what is told of each address, and how little one may have another do."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import replace

import pytest
from free_port import free_port

from p2pshare.config import Config
from p2pshare.gossip.messages import DialAnswer, decode_dial_answer, encode_dial_answer
from p2pshare.gossip.protocol import VERBS
from p2pshare.http_server import listener
from p2pshare.http_server.listener import is_name_of_loopback
from p2pshare.peering import dialling_back
from p2pshare.peering.client import PeerAddress
from p2pshare.peering.dialling_back import PARTNER_PAUSE_SECONDS, REACHED, DiallingBack
from p2pshare.peering.faults import PeerBusy
from p2pshare.peering.frames import cut


def address_of(party, port, host="127.0.0.1") -> PeerAddress:
    return PeerAddress(party.partner_id, f"https://{host}:{port}", (party.certificate,))


async def test_each_address_of_a_card_has_its_outcome(house, alpha, bravo, make_party, monkeypatch):
    monkeypatch.setattr(dialling_back, "ADDRESS_SECONDS_MAX", 0.5)
    monkeypatch.setattr(dialling_back, "_is_public", lambda place: True)  # as if loopback were everybody's
    server, port = await house.serve(bravo)
    _, other = await house.serve(make_party("other"))
    silent = socket.create_server(("127.0.0.1", 0))

    async def babble(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 no\r\n\r\n")
        await writer.drain()
        cut(writer)

    babbling = await asyncio.start_server(babble, "127.0.0.1", 0)
    ports = [port, other, silent.getsockname()[1], babbling.sockets[0].getsockname()[1], free_port()]
    addresses = [address_of(bravo, one) for one in ports]
    addresses.append(replace(addresses[0], url="https://nowhere.invalid:1"))
    addresses.append(replace(addresses[0], url="http://x"))
    addresses.append(
        replace(addresses[0], url=f"https://a..b:{port}")
    )  # Python's resolver raises what is no OSError
    addresses.append(replace(addresses[0], url=f"https://{'x' * 64}.example:{port}"))
    outcomes = await DiallingBack(alpha.gate, lambda: 0.0).dial(bravo.partner_id, addresses)
    assert outcomes == (
        REACHED,
        "other-certificate",
        "timeout",
        "tls",
        "unreachable",
        "not-reached",
        *["bad-url"] * 3,
    )
    assert server.requests_seen == 0, "a handshake, and no word"
    silent.close()
    babbling.close()


async def test_an_asker_learns_nothing_of_what_else_is_in_our_network(
    house, alpha, bravo, make_party, monkeypatch
):
    """A port that is closed, one that is silent, one that speaks, one of another node: all the same, also in time."""
    monkeypatch.setattr(dialling_back, "ADDRESS_SECONDS_MAX", 0.3)
    waits = []

    async def wait_until(then: float) -> None:
        waits.append(then)

    monkeypatch.setattr(dialling_back, "_wait_until", wait_until)
    _, port = await house.serve(bravo)
    _, other = await house.serve(make_party("other"))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        ports = [free_port(), silent.getsockname()[1], other, port]
        addresses = [address_of(bravo, one) for one in ports]
        addresses.append(address_of(bravo, free_port(), "localhost"))
        addresses.append(address_of(bravo, free_port(), "[::ffff:127.0.0.1]"))
        outcomes = await DiallingBack(alpha.gate, lambda: 0.0).dial(bravo.partner_id, addresses)
    assert outcomes == (*["not-reached"] * 3, REACHED, *["not-reached"] * 2)
    assert len(waits) == 5, "each waits until its time is over"


@pytest.mark.parametrize(
    ("place", "is_public"),
    [
        ("8.8.8.8", True),
        ("2606:4700::1111", True),
        ("127.0.0.1", False),
        ("::1", False),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("fe80::1%eth0", False),
        ("fd00::1", False),
        ("::ffff:10.0.0.1", False),
        ("64:ff9b::a00:1", False),
        ("2002:a00:1::1", False),
        ("224.0.0.1", False),
        ("0.0.0.0", False),
        ("a.name.behind.a.proxy", False),
    ],
)
def test_what_everybody_could_dial(place, is_public):
    assert dialling_back._is_public(place) is is_public


async def test_one_asker_at_a_time_and_each_once_a_minute(house, alpha, bravo, make_party):
    _, port = await house.serve(bravo)
    now = [0.0]
    dialling = DiallingBack(alpha.gate, lambda: now[0])
    address, other = address_of(bravo, port), make_party("other").partner_id
    first = asyncio.create_task(dialling.dial(bravo.partner_id, [address]))
    await asyncio.sleep(0)
    with pytest.raises(PeerBusy):
        await dialling.dial(other, [address])
    assert await first == (REACHED,)
    assert await dialling.dial(other, [address]) == (REACHED,)
    for second in (0.0, 1.0, PARTNER_PAUSE_SECONDS - 1):
        now[0] = second
        with pytest.raises(PeerBusy) as caught:
            await dialling.dial(bravo.partner_id, [address])
        assert caught.value.retry_after_seconds == PARTNER_PAUSE_SECONDS - second
    now[0] = PARTNER_PAUSE_SECONDS
    assert await dialling.dial(bravo.partner_id, [address]) == (REACHED,)


async def test_an_asker_that_hangs_up_leaves_the_way_free(house, alpha, bravo, make_party):
    silent = socket.create_server(("127.0.0.1", 0))
    dialling = DiallingBack(alpha.gate, lambda: 0.0)
    asked = asyncio.create_task(dialling.dial(bravo.partner_id, [address_of(bravo, silent.getsockname()[1])]))
    await asyncio.sleep(0.05)
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    assert await dialling.dial(make_party("other").partner_id, []) == ()
    silent.close()


async def test_the_verb_carries_no_address_and_no_body(house, alpha, bravo, make_exchange):
    exchange = make_exchange()
    _, port = await house.serve(bravo, exchange)
    answer = await house.dial(alpha, bravo, port).dial_back()
    assert answer == DialAnswer(3, ("reached", "timeout"))
    assert exchange.calls == [("dial_back", alpha.partner_id)]
    [verb] = [verb for verb in VERBS if verb.name == "dial"]
    assert verb.request_bytes_max == 0


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\x92\x00\x90",
        b"\x92\x01\x91\xa0",
        b"\x92\x01\x91\xa1\n",
        b"\x92\x01\x91\x01",
        b"\x92\x01\x99" + b"\xa1a" * 9,
        b"\x91\x01",
    ],
)
def test_what_is_no_answer_is_malformed(raw):
    with pytest.raises(Exception) as caught:
        decode_dial_answer(raw)
    assert getattr(caught.value, "reason", "") in ("malformed", "not-canonical")
    good = DialAnswer(1, ("reached",) * 8)
    assert decode_dial_answer(encode_dial_answer(good)) == good


# --- where a node listens ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "found", "is_one"),
    [
        ("alpha.example", ["127.0.1.1"], True),
        ("alpha.example", ["127.0.1.1", "::1"], True),
        ("alpha.example", ["127.0.1.1", "192.0.2.1"], False),
        ("alpha.example", ["192.0.2.1"], False),
        ("alpha.example", [], False),
        ("localhost", ["127.0.0.1"], False),
        ("node.localhost.", ["127.0.0.1"], False),
        ("localhost.localdomain", ["127.0.0.1"], False),
        ("ip6-localhost", ["::1"], False),
        ("127.1", ["127.0.0.1"], False),
        ("0x7f000001", ["127.0.0.1"], False),
        ("localhosting.example", ["127.0.1.1"], True),
        ("127.0.1.1", ["127.0.1.1"], False),
        ("::1", ["::1"], False),
    ],
)
async def test_a_name_that_leads_to_loopback_alone_is_told_from_one_that_is_meant_so(
    monkeypatch, host, found, is_one
):
    def lookup(*_, **__):
        if not found:
            raise socket.gaierror("no such host")
        return [(socket.AF_INET, socket.SOCK_STREAM, 0, "", (one, 0)) for one in found]

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    assert await is_name_of_loopback(host) is is_one
    assert Config(name="a", url="https://alpha.example:8443").listen_address == ("alpha.example", 8443)


async def test_where_a_machine_has_one_family_it_listens_on_that(house, bravo, alpha, monkeypatch):
    bind = listener._listening_socket

    def without_ipv6(family, *more, **options):
        if family == socket.AF_INET6:
            raise OSError(listener.errno.EAFNOSUPPORT, "no")
        return bind(family, *more, **options)

    monkeypatch.setattr(listener, "_listening_socket", without_ipv6)
    sockets = listener._bind_everywhere(0)
    assert [sock.family for sock in sockets] == [socket.AF_INET]
    for sock in sockets:
        sock.close()
