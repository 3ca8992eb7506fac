"""What one partner may take: sizes, rates, connections, time (P14, P23). Limits are narrowed so that tests are quick."""

from __future__ import annotations

import asyncio
import socket
import ssl

import pytest

from p2pshare.gossip.messages import PutVerdict, encode_hello
from p2pshare.gossip.protocol import HELLO
from p2pshare.limits import ENVELOPE_REQUEST_BYTES_MAX, KIB, MIB, REQUEST_BYTES_MAX, SYNC_BYTES_MAX
from p2pshare.peering.faults import PeerBusy, PeerUnreachable, decode_reason
from p2pshare.peering.interface import DialLimits, DoorLimits

QUICK = DoorLimits(header_seconds=0.2, grace_seconds=0.2, linger_seconds=0.2, request_seconds=0.2)


def post(path: str, length: int, body: bytes = b"", extra: str = "", method: str = "POST") -> bytes:
    return f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n{extra}\r\n".encode() + body


def envelope_path(id_of) -> str:
    return "/v1/envelopes/" + id_of(b"").text


# --- sizes ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "method", "bytes_max"),
    [
        ("/v1/hello", "POST", REQUEST_BYTES_MAX),
        ("/v1/announce", "POST", REQUEST_BYTES_MAX),
        ("/v1/get", "POST", REQUEST_BYTES_MAX),
        ("/v1/poll", "POST", REQUEST_BYTES_MAX),
        ("/v1/sync", "POST", SYNC_BYTES_MAX),
        ("/v1/envelopes/" + "0" * 64, "PUT", ENVELOPE_REQUEST_BYTES_MAX),
        ("/v1/card", "GET", 0),
    ],
)
async def test_a_body_over_its_routes_limit_is_refused_unread(
    house, alpha, bravo, open_wire, make_exchange, path, method, bytes_max
):
    exchange = make_exchange()
    _, port = await house.serve(bravo, exchange, limits=QUICK)
    wire = await open_wire(alpha, bravo, port)
    await wire.send(post(path, bytes_max + 1, method=method))
    status, _, body = await wire.answer()
    assert (status, decode_reason(body)) == (413, "too-large")
    assert await wire.closed()
    assert not exchange.calls


async def test_a_body_at_its_limit_is_read(house, alpha, bravo, open_wire):
    _, port = await house.serve(bravo)
    wire = await open_wire(alpha, bravo, port)
    for size in (REQUEST_BYTES_MAX - 1, REQUEST_BYTES_MAX):
        await wire.send(post("/v1/hello", size, bytes(size)))
        status, _, body = await wire.answer()
        assert (status, decode_reason(body)) == (400, "malformed")  # read, and then no hello
    size = ENVELOPE_REQUEST_BYTES_MAX
    await wire.send(post("/v1/envelopes/" + "0" * 64, size, bytes(size), method="PUT"))
    assert (await wire.answer())[0] == 200


async def test_a_body_without_a_declared_length_is_refused(house, alpha, bravo, open_wire, make_exchange):
    exchange = make_exchange()
    _, port = await house.serve(bravo, exchange, limits=QUICK)
    wire = await open_wire(alpha, bravo, port)
    await wire.send(b"POST /v1/hello HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
    status, _, body = await wire.answer()
    assert (status, decode_reason(body)) == (411, "length-required")
    assert not exchange.calls


async def test_a_waiting_client_is_told_to_continue(house, alpha, bravo, open_wire, hello):
    _, port = await house.serve(bravo)
    wire = await open_wire(alpha, bravo, port)
    body = encode_hello(hello)
    await wire.send(post("/v1/hello", len(body), extra="Expect: 100-continue\r\n"))
    assert await wire.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    await wire.send(body)
    assert (await wire.answer())[0] == 200


# --- slowness ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("started", [b"P", b"POST /v1/hello HTTP/1.1\r\nHost: x\r\nX-A: "])
async def test_a_head_that_is_never_finished_is_cut_off(house, alpha, bravo, open_wire, started):
    server, port = await house.serve(bravo, limits=QUICK)
    wire = await open_wire(alpha, bravo, port)
    await wire.send(started)
    assert await wire.closed()
    assert server.tally.take_refused() == {(alpha.partner_id, "slow-head"): 1}
    assert server.requests_seen == 0


async def test_a_head_that_trickles_is_cut_off(house, alpha, bravo, open_wire):
    server, port = await house.serve(bravo, limits=QUICK)
    wire = await open_wire(alpha, bravo, port)
    await wire.send(b"GET /v1/card HTTP/1.1\r\nX-A: ")
    with pytest.raises(OSError):
        async with asyncio.timeout(5):
            while True:
                await wire.send(b"x")
                await asyncio.sleep(0.02)
    assert server.tally.take_refused() == {(alpha.partner_id, "slow-head"): 1}


async def test_a_second_head_on_a_kept_connection_is_cut_off_too(house, alpha, bravo, open_wire, hello):
    server, port = await house.serve(bravo, limits=QUICK)
    wire = await open_wire(alpha, bravo, port)
    body = encode_hello(hello)
    await wire.send(post("/v1/hello", len(body), body))
    assert (await wire.answer())[0] == 200
    await asyncio.sleep(0.3)  # idle between requests is no slowness
    await wire.send(post("/v1/hello", len(body), body))
    assert (await wire.answer())[0] == 200
    await wire.send(b"POST")
    assert await wire.closed()
    assert server.tally.take_refused() == {(alpha.partner_id, "slow-head"): 1}


@pytest.mark.parametrize("length", [100, 5 * MIB])
async def test_headers_sent_body_never_is_cut_off(house, alpha, bravo, open_wire, id_of, length):
    server, port = await house.serve(bravo, limits=QUICK)
    wire = await open_wire(alpha, bravo, port)
    await wire.send(post(envelope_path(id_of), length, method="PUT"))
    assert await wire.closed()
    assert server.tally.take_refused() == {(alpha.partner_id, "slow-or-cut-body"): 1}


async def test_a_body_that_trickles_is_cut_off(house, alpha, bravo, open_wire, id_of):
    limits = DoorLimits(grace_seconds=0.2, bytes_per_second_min=10_000)
    server, port = await house.serve(bravo, limits=limits)
    wire = await open_wire(alpha, bravo, port)
    await wire.send(post(envelope_path(id_of), MIB, method="PUT"))
    with pytest.raises(OSError):
        async with asyncio.timeout(5):
            while True:
                await wire.send(b"x")
                await asyncio.sleep(0.02)
    assert server.tally.take_refused() == {(alpha.partner_id, "slow-or-cut-body"): 1}


async def test_a_body_that_is_slow_but_fast_enough_is_read(house, alpha, bravo, open_wire, id_of):
    limits = DoorLimits(grace_seconds=0.1, bytes_per_second_min=1_000)
    _, port = await house.serve(bravo, limits=limits)
    wire = await open_wire(alpha, bravo, port)
    await wire.send(post(envelope_path(id_of), 800, method="PUT"))
    for _ in range(8):
        await asyncio.sleep(0.05)
        await wire.send(bytes(100))
    assert (await wire.answer())[0] == 200


async def test_a_handler_over_its_deadline_is_cancelled(house, alpha, bravo, make_exchange, hello):
    server, port = await house.serve(bravo, make_exchange(delay_seconds=30), limits=QUICK)
    with pytest.raises(PeerUnreachable) as error:
        await house.dial(alpha, bravo, port).ask(HELLO, hello)
    assert error.value.reason == "deadline"
    assert server.tally.take_refused() == {(alpha.partner_id, "deadline"): 1}


async def test_a_peer_that_asks_and_hangs_up_leaves_no_work_behind(
    house, alpha, bravo, make_exchange, open_wire, hello
):
    exchange = make_exchange(delay_seconds=30)
    server, port = await house.serve(bravo, exchange)
    body = encode_hello(hello)
    for _ in range(8):
        wire = await open_wire(alpha, bravo, port)
        await wire.send(post("/v1/hello", len(body), body))
        seen = len(exchange.calls)
        async with asyncio.timeout(5):
            while len(exchange.calls) == seen:
                await asyncio.sleep(0.005)
        await wire.close()
    async with asyncio.timeout(5):
        await server._is_idle.wait()


async def test_a_client_that_does_not_read_its_answer_is_cut_off(house, alpha, bravo, make_exchange, id_of):
    big = bytes(12 * MIB)
    exchange = make_exchange(held={id_of(big): big})
    server, port = await house.serve(
        bravo, exchange, limits=DoorLimits(grace_seconds=0.3, bytes_per_second_min=100 * MIB)
    )
    body = b"\x91\x91\xc4\x20" + id_of(big)

    def ask_and_stare() -> None:
        context = alpha.gate.client_context([bravo.certificate])
        with socket.socket() as plain:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            plain.connect(("127.0.0.1", port))
            with context.wrap_socket(plain) as secure:
                secure.sendall(post("/v1/get", len(body), body))
                stop.wait()

    import threading

    stop = threading.Event()
    staring = asyncio.create_task(asyncio.to_thread(ask_and_stare))
    async with asyncio.timeout(10):
        while not server.tally.refused:
            await asyncio.sleep(0.02)
    stop.set()
    await staring
    assert server.tally.take_refused() == {(alpha.partner_id, "slow-or-cut-body"): 1}


async def test_an_idle_connection_ends_after_the_keepalive_time(house, alpha, bravo, open_wire):
    _, port = await house.serve(bravo, limits=DoorLimits(keepalive_seconds=0.3))
    wire = await open_wire(alpha, bravo, port)
    assert await wire.closed()


# --- connections ------------------------------------------------------------------------------------


async def test_a_fifth_connection_of_a_partner_is_refused_and_another_partners_first_is_not(
    house, alpha, bravo, make_party, open_wire, hello
):
    charlie = make_party("charlie")
    bravo.trusts(charlie)
    server, port = await house.serve(bravo)
    body = encode_hello(hello)
    wires = [await open_wire(alpha, bravo, port) for _ in range(4)]
    for wire in wires:
        await wire.send(post("/v1/hello", len(body), body))
        assert (await wire.answer())[0] == 200
    fifth = await open_wire(alpha, bravo, port)
    assert await fifth.closed()
    assert server.tally.take_refused() == {(alpha.partner_id, "too-many-connections"): 1}
    assert await house.dial(charlie, bravo, port).ask(HELLO, hello)

    await wires[0].close()
    async with asyncio.timeout(5):
        while True:
            again = await open_wire(alpha, bravo, port)
            await again.send(post("/v1/hello", len(body), body))
            try:
                assert (await again.answer())[0] == 200
                break
            except (OSError, asyncio.IncompleteReadError):
                await asyncio.sleep(0.01)


async def test_our_client_keeps_to_four_connections(house, alpha, bravo, make_exchange, hello):
    server, port = await house.serve(bravo, make_exchange(delay_seconds=0.02))
    client = house.dial(alpha, bravo, port)
    await asyncio.gather(*(client.ask(HELLO, hello) for _ in range(20)))
    assert server.tally.connections_admitted == 4
    assert not server.tally.refused


# --- rates ------------------------------------------------------------------------------------------


async def test_too_many_requests_get_429_with_a_pause_and_other_partners_do_not(
    house, alpha, bravo, make_party, hello
):
    charlie = make_party("charlie")
    bravo.trusts(charlie)
    server, port = await house.serve(bravo, limits=DoorLimits(requests_per_second=2))
    client = house.dial(alpha, bravo, port)
    for _ in range(4):
        await client.ask(HELLO, hello)
    with pytest.raises(PeerBusy) as busy:
        await client.ask(HELLO, hello)
    assert busy.value.retry_after_seconds == 1
    assert busy.value.reason == "too-many-requests"
    assert server.tally.take_refused() == {(alpha.partner_id, "too-many-requests"): 1}
    assert await house.dial(charlie, bravo, port).ask(HELLO, hello)


async def test_reconnecting_does_not_refill_the_buckets(house, alpha, bravo, hello):
    _, port = await house.serve(bravo, limits=DoorLimits(requests_per_second=0.5))
    await house.dial(alpha, bravo, port).ask(HELLO, hello)
    with pytest.raises(PeerBusy):
        await house.dial(alpha, bravo, port).ask(HELLO, hello)


async def test_too_many_envelopes_or_bytes_get_429(house, alpha, bravo, id_of):
    _, port = await house.serve(bravo, limits=DoorLimits(items_per_second=1))
    client = house.dial(alpha, bravo, port)
    for wire in (b"1", b"2"):
        assert (await client.put(id_of(wire), wire)).verdict is PutVerdict.HELD
    with pytest.raises(PeerBusy) as busy:
        await client.put(id_of(b"3"), b"3")
    assert busy.value.reason == "too-much-at-once"

    _, port = await house.serve(bravo, limits=DoorLimits(bytes_per_second=MIB))
    client = house.dial(alpha, bravo, port)
    wire = bytes(10 * MIB)
    assert (await client.put(id_of(wire), wire)).verdict is PutVerdict.HELD
    with pytest.raises(PeerBusy) as busy:
        await client.put(id_of(wire), wire)
    assert 1 <= busy.value.retry_after_seconds <= 4


async def test_answers_count_against_the_next_request(house, alpha, bravo, make_exchange, id_of, hello):
    big = bytes(15 * MIB)
    exchange = make_exchange(held={id_of(big): big})
    _, port = await house.serve(bravo, exchange, limits=DoorLimits(bytes_per_second=64 * KIB))
    client = house.dial(alpha, bravo, port)
    for _ in range(2):
        assert [one async for one in client.get([id_of(big)])]
    with pytest.raises(PeerBusy):
        await client.ask(HELLO, hello)


async def test_one_large_body_of_a_partner_at_a_time_and_the_others_find_room(
    house, alpha, bravo, make_party, open_wire, id_of, hello
):
    charlie = make_party("charlie")
    bravo.trusts(charlie)
    server, port = await house.serve(bravo, limits=DoorLimits(buffered_bytes=20 * MIB))
    slow = await open_wire(alpha, bravo, port)
    await slow.send(post(envelope_path(id_of), 15 * MIB, method="PUT"))
    async with asyncio.timeout(5):
        while not server.requests_seen:
            await asyncio.sleep(0.005)
    client = house.dial(alpha, bravo, port)
    wire = bytes(4 * MIB)
    with pytest.raises(PeerBusy) as busy:
        await client.put(id_of(wire), wire)
    assert busy.value.reason == "no-room"
    assert await client.ask(HELLO, hello)  # small requests need no room
    other = house.dial(charlie, bravo, port)
    assert (await other.put(id_of(wire), wire)).verdict is PutVerdict.HELD
    with pytest.raises(PeerBusy):
        await other.put(id_of(bytes(6 * MIB)), bytes(6 * MIB))
    await slow.close()
    async with asyncio.timeout(5):
        while True:
            try:
                await client.put(id_of(wire), wire)
                break
            except PeerBusy:
                await asyncio.sleep(0.01)


# --- stopping ---------------------------------------------------------------------------------------


async def test_stopping_lets_a_request_end_and_refuses_new_ones(
    house, alpha, bravo, make_exchange, open_wire, hello
):
    exchange = make_exchange(delay_seconds=0.3)
    server, port = await house.serve(bravo, exchange)
    wires = [await open_wire(alpha, bravo, port) for _ in range(2)]
    body = encode_hello(hello)
    await wires[0].send(post("/v1/hello", len(body), body))
    async with asyncio.timeout(5):
        while not exchange.calls:
            await asyncio.sleep(0.005)
    stopping = asyncio.create_task(server.stop())
    await asyncio.sleep(0.05)
    await wires[1].send(post("/v1/hello", len(body), body))
    status, headers, answer = await wires[1].answer()
    assert (status, decode_reason(answer)) == (503, "stopping")
    assert headers["retry-after"] == "5"
    assert (await wires[0].answer())[0] == 200
    await stopping
    with pytest.raises((OSError, ssl.SSLError)):
        await open_wire(alpha, bravo, port)


async def test_stopping_does_not_wait_for_a_stuck_request(house, alpha, bravo, make_exchange, hello):
    exchange = make_exchange(delay_seconds=30)
    server, port = await house.serve(bravo, exchange, limits=DoorLimits(stop_seconds=0.1))
    asking = asyncio.create_task(
        house.dial(alpha, bravo, port, limits=DialLimits(answer_seconds=5)).ask(HELLO, hello)
    )
    async with asyncio.timeout(5):
        while not exchange.calls:
            await asyncio.sleep(0.005)
    await server.stop()
    with pytest.raises(PeerUnreachable):
        await asking
