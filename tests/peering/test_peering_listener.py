"""The accept loop: caps before TLS, floods, and addresses that cannot be listened on."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket

import pytest

from p2pshare.errors import OperatorError
from p2pshare.gossip.protocol import HELLO
from p2pshare.peering.faults import PeerUnreachable
from p2pshare.peering.interface import DoorLimits


@pytest.fixture
def flood():
    """`flood(port, count, source)` opens connections that never say a word."""
    opened: list[socket.socket] = []

    def flood(port: int, count: int, source: str = "127.0.0.1") -> list[socket.socket]:
        for _ in range(count):
            plain = socket.socket()
            plain.setblocking(False)
            plain.bind((source, 0))
            with contextlib.suppress(BlockingIOError):
                plain.connect(("127.0.0.1", port))
            opened.append(plain)
        return opened

    yield flood
    for plain in opened:
        plain.close()


async def eventually(condition) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.005)


def is_open(connection: socket.socket) -> bool:
    """Whether the other side has neither ended nor reset it."""
    try:
        return bool(connection.recv(1))
    except BlockingIOError:
        return True
    except ConnectionResetError:
        return False


STALLED = DoorLimits(handshake_seconds=120)  # so that no place becomes free by waiting


async def hello_gets_through(client, hello) -> None:
    """A partner that tries again, as its driver does, is served while the flood stands."""
    async with asyncio.timeout(20):
        while True:
            try:
                await client.ask(HELLO, hello)
                return
            except PeerUnreachable:
                await asyncio.sleep(0.01)


async def test_a_thousand_silent_connections_from_the_partners_own_address_keep_it_not_out(
    house, alpha, bravo, hello, flood
):
    server, port = await house.serve(bravo, limits=STALLED)
    flood(port, 1000)
    await hello_gets_through(house.dial(alpha, bravo, port), hello)
    assert server.handshakes_in_progress <= 8
    assert server.requests_seen == 1


async def test_a_thousand_silent_connections_from_many_addresses_keep_a_partner_not_out(
    house, alpha, bravo, hello, flood
):
    server, port = await house.serve(bravo, limits=STALLED)
    for number in range(125):
        flood(port, 8, f"127.0.1.{number + 1}")
    await hello_gets_through(house.dial(alpha, bravo, port), hello)
    assert server.handshakes_in_progress <= 64
    await eventually(lambda: server.tally.handshakes_refused["overtaken-silent"] > 64)


async def test_a_flood_while_a_partner_is_being_served(house, alpha, bravo, hello, flood):
    server, port = await house.serve(bravo)
    client = house.dial(alpha, bravo, port)
    await client.ask(HELLO, hello)
    for _ in range(10):
        flood(port, 50)
        assert await client.ask(HELLO, hello)
    assert server.tally.connections_admitted == 1


async def test_one_of_the_same_address_makes_room(house, bravo, flood):
    server, port = await house.serve(bravo, limits=DoorLimits(handshakes_per_address=3))
    connections = flood(port, 3, "127.0.2.1")
    await eventually(lambda: server.handshakes_in_progress == 3)
    flood(port, 1, "127.0.2.1")
    await eventually(lambda: server.handshakes_refused == 1)
    assert server.handshakes_in_progress == 3
    assert server.tally.handshakes_refused == {"crowded-address": 1}
    await eventually(lambda: [is_open(connection) for connection in connections].count(False) == 1)
    assert len(connections) == 4 and is_open(connections[3])


async def test_when_the_house_is_full_the_busiest_network_makes_room(house, bravo, flood):
    server, port = await house.serve(bravo, limits=DoorLimits(handshakes=4))
    alone = flood(port, 1, "127.0.3.1")[0]
    await eventually(lambda: server.handshakes_in_progress == 1)
    for number in range(3):
        flood(port, 1, f"127.0.4.{number + 1}")
    await eventually(lambda: server.handshakes_in_progress == 4)
    for number in range(20):
        flood(port, 1, f"127.0.5.{number + 1}")
    await eventually(lambda: server.tally.handshakes_refused["overtaken-silent"] == 20)
    assert is_open(alone)


async def test_who_has_spoken_before_a_burst_of_silent_ones_is_accepted_loses_no_place_to_them(
    house, bravo, flood
):
    server, port = await house.serve(bravo, limits=DoorLimits(handshakes=1))
    talker = flood(port, 1)[0]
    talker.send(b"\x16")
    for number in range(5):
        flood(port, 1, f"127.0.6.{number + 1}")
    await eventually(lambda: server.tally.handshakes_refused.total() == 4)
    assert server.tally.handshakes_refused == {"overtaken-silent": 4}
    assert is_open(talker)


async def test_without_file_descriptors_the_loop_pauses_and_goes_on(house, alpha, bravo, hello, monkeypatch):
    loop = asyncio.get_running_loop()
    accept, failures = loop.sock_accept, [OSError(errno.EMFILE, "x"), OSError(errno.ECONNABORTED, "x")]

    async def failing(sock):
        if failures:
            raise failures.pop()
        return await accept(sock)

    monkeypatch.setattr(loop, "sock_accept", failing)
    monkeypatch.setattr("p2pshare.http_server.listener.OUT_OF_FILES_PAUSE_SECONDS", 0.01)
    server, port = await house.serve(bravo)
    assert await house.dial(alpha, bravo, port).ask(HELLO, hello)
    assert server.tally.handshakes_refused == {"not-accepted": 2}


async def test_without_room_in_the_kernels_table_the_loop_goes_on(
    house, alpha, bravo, hello, flood, monkeypatch
):
    loop = asyncio.get_running_loop()

    def failing(*_: object) -> None:
        raise OSError(errno.ENOSPC, "x")

    server, port = await house.serve(bravo)
    monkeypatch.setattr(loop, "add_reader", failing)
    flood(port, 3)
    await eventually(lambda: server.tally.handshakes_refused["not-accepted"] == 3)
    assert server.handshakes_in_progress == 0
    monkeypatch.undo()
    assert await house.dial(alpha, bravo, port).ask(HELLO, hello)


async def test_others_run_between_two_connections_of_a_full_queue(house, bravo, monkeypatch):
    """`sock_accept` returns at once while the kernel's queue is full, so nothing else would get a turn."""
    loop = asyncio.get_running_loop()
    accept, queue, turns, seen = loop.sock_accept, [socket.socketpair() for _ in range(20)], [0], []

    async def full_queue(sock):
        if not queue:
            return await accept(sock)
        seen.append(turns[0])
        ours, theirs = queue.pop()
        theirs.close()
        return ours, ("192.0.2.1", 1)

    async def others():
        while True:
            turns[0] += 1
            await asyncio.sleep(0)

    monkeypatch.setattr(loop, "sock_accept", full_queue)
    running = asyncio.create_task(others())
    server, _ = await house.serve(bravo)
    await eventually(lambda: server.handshakes_refused == 20)
    running.cancel()
    assert len(set(seen)) == 20


async def test_a_port_in_use_is_told_with_its_mend(house, bravo):
    _, port = await house.serve(bravo)
    server = house.build(bravo)
    with pytest.raises(OperatorError) as error:
        await server.start("127.0.0.1", port)
    assert error.value.reason == "address-in-use"
    assert str(port) in error.value.message
    assert "listen" in error.value.hint


@pytest.mark.parametrize("host", ["192.0.2.1", "2001:db8::1", "a" * 300, "\u2260.\u2260"])
async def test_an_address_that_is_not_ours_is_told_with_its_mend(house, bravo, host):
    server = house.build(bravo)
    with pytest.raises(OperatorError) as error:
        await server.start(host, 0)
    assert error.value.reason == "cannot-listen"
    assert "listen" in error.value.hint


async def test_both_families_may_listen_on_one_port(house, alpha, bravo, hello):
    server, port = await house.serve(bravo, host="0.0.0.0")
    other = house.build(bravo)
    assert await other.start("::1", port) == port
    assert await house.dial(alpha, bravo, port, host="127.0.0.1").ask(HELLO, hello)
    assert await house.dial(alpha, bravo, port, host="[::1]").ask(HELLO, hello)
    assert (server.requests_seen, other.requests_seen) == (1, 1)


async def test_stopping_ends_unfinished_handshakes_and_frees_the_port(bravo, flood, house):
    server, port = await house.serve(bravo)
    flood(port, 5)
    await eventually(lambda: server.handshakes_in_progress == 5)
    async with asyncio.timeout(2):
        await server.stop()
    assert await house.build(bravo).start("127.0.0.1", port) == port
