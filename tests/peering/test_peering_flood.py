"""Floods of strangers while partners who are far away dial anew: who is known, or has said something, gets in.

Real sockets: the strangers are a process that connects from all of loopback, a partner's bytes take 200 ms each way.
Places and rates are a quarter of the real ones: a connection that has none of the kept places is dropped after 64 ms.
The whole figure, 1,000 a second for a minute, is `scripts/benchmark/under_flood.py`.
"""

from __future__ import annotations

import asyncio
import gc
import os
import ssl
from asyncio.sslproto import SSLProtocol
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from benchmark.flood import FarAway, client_hello, flooding
from p2pshare.errors import PeerError
from p2pshare.gossip.messages import Hello
from p2pshare.gossip.protocol import HELLO
from p2pshare.peering.client import PeerAddress, PeerClient
from p2pshare.peering.interface import DoorLimits

SCALED = DoorLimits(handshakes=16, strangers_per_second=25)
PER_SECOND, PREFIXES = 250, 10_000
ONE_WAY_SECONDS = 0.2
PARTNERS, DIALS = 7, 3
SUCCESS_MIN = 0.95


def source_of(number: int) -> str:
    return f"127.1.0.{number + 1}"


@pytest.fixture
def partners(bravo, make_party) -> list[Any]:
    """Each has an address of its own, `source_of` its number."""
    partners = [make_party(f"partner {number}") for number in range(PARTNERS)]
    for partner in partners:
        bravo.trusts(partner)
    return partners


@pytest.fixture
def say_hello_from_afar(bravo, partners, hello) -> Callable[[int, int], Awaitable[list[bool]]]:
    """`say_hello_from_afar(port, number)` dials DIALS times anew, one after the other; returns which came in."""

    async def say_hello_from_afar(port: int, number: int) -> list[bool]:
        came_in = []
        async with FarAway(port, source_of(number), ONE_WAY_SECONDS) as road:
            for _ in range(DIALS):
                address = PeerAddress(bravo.partner_id, f"https://127.0.0.1:{road}", (bravo.certificate,))
                client = PeerClient(partners[number].gate, address)
                try:
                    await client.ask(HELLO, hello)
                    came_in.append(True)
                except PeerError:
                    came_in.append(False)
                await client.close()
        return came_in

    return say_hello_from_afar


async def success_under_flood(say_hello_from_afar, port: int, says: str) -> float:
    with flooding(port, per_second=PER_SECOND, seconds=30, prefixes=PREFIXES, says=says):
        await asyncio.sleep(0.5)  # it fills the places
        rows = await asyncio.gather(*(say_hello_from_afar(port, number) for number in range(PARTNERS)))
    came_in = [one for row in rows for one in row]
    return sum(came_in) / len(came_in)


@pytest.mark.parametrize("says", ["nothing", "byte", "hello"])
async def test_a_flood_keeps_out_nobody_whose_address_stands_on_a_card(
    house, bravo, partners, say_hello_from_afar, says
):
    server, port = await house.serve(bravo, limits=SCALED)
    for number, partner in enumerate(partners):
        bravo.gate.expect_from(partner.partner_id, [f"https://{source_of(number)}:8443"])
    assert await success_under_flood(say_hello_from_afar, port, says) >= SUCCESS_MIN
    assert server.handshakes_refused > 100  # the flood was one


async def test_a_flood_keeps_out_nobody_who_was_admitted_lately(
    house, bravo, partners, hello, say_hello_from_afar
):
    server, port = await house.serve(bravo, limits=SCALED)
    for number, partner in enumerate(partners):
        async with FarAway(port, source_of(number), 0) as road:
            await house.dial(partner, bravo, road).ask(HELLO, hello)
    assert await success_under_flood(say_hello_from_afar, port, "byte") >= SUCCESS_MIN
    assert server.handshakes_refused > 100


async def test_a_flood_that_is_silent_keeps_out_nobody_who_speaks(house, bravo, say_hello_from_afar):
    """Partners that nobody has seen yet, from addresses on no card."""
    server, port = await house.serve(bravo, limits=SCALED)
    assert await success_under_flood(say_hello_from_afar, port, "nothing") >= SUCCESS_MIN
    assert server.handshakes_refused > 100


async def test_an_address_that_answered_us_by_its_name_is_known(house, alpha, bravo, hello):
    _, port = await house.serve(bravo)
    alpha.trusts(bravo)
    now = asyncio.get_running_loop().time
    alpha.gate.expect_from(
        bravo.partner_id, [f"https://localhost:{port}", "not an address", "https://192.0.2.1"]
    )
    assert not alpha.gate.known_addresses.is_known("127.0.0.1", now())
    assert alpha.gate.known_addresses.is_known("192.0.2.1", now())
    await house.dial(alpha, bravo, port, host="localhost").ask(HELLO, hello)
    assert alpha.gate.known_addresses.is_known("127.0.0.1", now())


async def test_a_removed_partners_addresses_are_strangers_addresses(house, alpha, bravo, hello):
    server, port = await house.serve(bravo)
    await house.dial(alpha, bravo, port).ask(HELLO, hello)
    bravo.gate.expect_from(alpha.partner_id, ["https://192.0.2.1:8443"])
    now = asyncio.get_running_loop().time()
    known = bravo.gate.known_addresses
    assert known.is_known("127.0.0.1", now) and known.is_known("192.0.2.1", now)
    server.drop(alpha.partner_id)
    await asyncio.sleep(0.05)  # its connection ends
    bravo.gate.expect_from(alpha.partner_id, ["https://192.0.2.1:8443"])
    bravo.gate.note_reached(alpha.partner_id, "127.0.0.1", now)
    assert not known.is_known("127.0.0.1", now) and not known.is_known("192.0.2.1", now)


async def test_an_address_is_known_from_the_end_of_its_last_connection(
    house, alpha, bravo, hello, monkeypatch
):
    """A connection that is used all the time lives longer than "lately"; when it breaks, its address must be known."""
    monkeypatch.setattr("p2pshare.http_server.known_addresses.ADMITTED_SECONDS", 0.3)
    _, port = await house.serve(bravo)
    client = house.dial(alpha, bravo, port)
    await client.ask(HELLO, hello)
    now, known = asyncio.get_running_loop().time, bravo.gate.known_addresses
    await asyncio.sleep(0.4)
    assert not known.is_known("127.0.0.1", now())
    await client.close()
    async with asyncio.timeout(5):
        while not known.is_known("127.0.0.1", now()):
            await asyncio.sleep(0.01)


async def test_a_renewed_certificate_leaves_its_partners_addresses_known(alpha, bravo, make_party):
    bravo.gate.expect_from(alpha.partner_id, ["https://192.0.2.1:8443"])
    bravo.gate.add(alpha.partner_id, [alpha.certificate, make_party("alpha anew").certificate])
    assert bravo.gate.known_addresses.is_known("192.0.2.1", 0.0)


async def test_a_stranger_makes_no_address_known(house, bravo, make_party):
    _, port = await house.serve(bravo)
    with pytest.raises(PeerError):
        await house.dial(make_party("stranger"), bravo, port).ask(HELLO, Hello(bravo.partner_id, 0, 0))
    assert not bravo.gate.known_addresses.is_known("127.0.0.1", asyncio.get_running_loop().time())


async def test_handshakes_of_strangers_begin_at_a_bounded_rate(house, bravo):
    """Each costs a signature: without a bound, hellos that cost their sender nothing take the whole event loop."""
    begun = 0
    swap = bravo.gate._front.sni_callback

    def counting(*arguments: object) -> None:
        nonlocal begun
        begun += 1
        return swap(*arguments)

    bravo.gate._front.sni_callback = counting
    server, port = await house.serve(bravo, limits=DoorLimits(strangers_per_second=10))
    open_files = len(os.listdir("/proc/self/fd"))
    with flooding(port, per_second=200, seconds=30, prefixes=PREFIXES, says="hello"):
        while not server.handshakes_refused:
            await asyncio.sleep(0.01)
        await asyncio.sleep(1.5)
        assert len(os.listdir("/proc/self/fd")) < open_files + 2 * server.handshakes_in_progress
    assert 10 <= begun <= 55  # two seconds' worth at once, then ten a second


async def test_failed_handshakes_leave_nothing_that_waits_for_a_garbage_collection(house, bravo):
    """Each weighs 300 KiB; a flood of them was 340 MiB, because the collector counts objects and no bytes."""
    server, port = await house.serve(bravo, limits=DoorLimits(strangers_per_second=1_000))
    gc.collect()
    gc.disable()
    try:
        for number in range(24):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(client_hello() if number % 3 else b"GET / HTTP/1.1\r\n\r\n")
            await writer.drain()
            await asyncio.sleep(0.01)
            if number % 3 == 1:
                writer.transport.abort()
            else:
                writer.close()
        async with asyncio.timeout(10):
            while server.handshakes_refused < 24:
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        left = [one for one in gc.get_objects() if isinstance(one, (SSLProtocol, ssl.SSLObject))]
        assert len(left) <= 1  # the last one's frame may still stand
    finally:
        gc.enable()
