"""What a partner gone bad may answer to our client: bounded in memory and time, and always one of our errors (P14)."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import tracemalloc

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from p2pshare.errors import PeerError
from p2pshare.gossip.messages import Shard, Sync, SyncPart, body_head, encode_hello
from p2pshare.gossip.protocol import HELLO, SYNC
from p2pshare.identifiers import CircleId, EnvelopeId
from p2pshare.limits import ENVELOPE_BYTES_MAX, KIB, MIB, SYNC_BYTES_MAX
from p2pshare.peering.client import UNASKED_ANSWERS_MAX, Gone
from p2pshare.peering.faults import PeerBusy, PeerRefused, PeerUnreachable
from p2pshare.peering.interface import DialLimits

QUICK = DialLimits(connect_seconds=2, answer_seconds=0.4, grace_seconds=0.3, bytes_per_second_min=100 * MIB)
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/msgpack\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


def answer(body: bytes, head: bytes = OK) -> bytes:
    return head + b"Content-Length: %d\r\n\r\n" % len(body) + body


def chunk(raw: bytes) -> bytes:
    return b"%x\r\n" % len(raw) + raw + b"\r\n"


@pytest.fixture
async def liar(house, alpha, bravo):
    """`await liar(script)` -> (client, sent): a server with bravo's key that reads a request's head and runs `script`."""
    servers = []

    async def start(script, limits=QUICK, host="127.0.0.1"):
        sent = [0]

        async def serve(reader, writer):
            async def send(raw):
                writer.write(raw)
                await writer.drain()
                sent[0] += len(raw)

            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                while True:
                    head = await reader.readuntil(b"\r\n\r\n")
                    length = [
                        line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")
                    ]
                    if length:
                        await reader.readexactly(int(length[0].split(b":")[1]))
                    if not await script(send, head):
                        break
            writer.transport.abort()

        server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=bravo.gate.server_context())
        servers.append(server)
        port = server.sockets[0].getsockname()[1]
        return house.dial(alpha, bravo, port, host, limits), sent

    yield start
    for server in servers:
        server.close()


def once(*pieces: bytes, keep: bool = False, pause_seconds: float = 0):
    async def script(send, _head):
        for piece in pieces:
            await send(piece)
            await asyncio.sleep(pause_seconds)
        return keep

    return script


def for_ever(first: bytes, piece: bytes, pause_seconds: float = 0):
    async def script(send, _head):
        await send(first)
        while True:
            await send(piece)
            await asyncio.sleep(pause_seconds)

    return script


@pytest.mark.parametrize(
    ("script", "kind", "reason"),
    [
        (for_ever(CHUNKED, chunk(bytes(64 * KIB))), PeerError, "oversized"),
        (for_ever(OK + b"\r\n", bytes(64 * KIB)), PeerError, "oversized"),
        (for_ever(OK + b"Content-Length: 99999999999\r\n\r\n", bytes(64 * KIB)), PeerError, "oversized"),
        (for_ever(CHUNKED, chunk(b"x"), 0.02), PeerUnreachable, "cut-off"),
        (for_ever(CHUNKED, b"", 0.02), PeerUnreachable, "cut-off"),
        (for_ever(b"", b"", 0.02), PeerUnreachable, "timeout"),
        (for_ever(b"HTTP/1.1 200 OK\r\nX-A: ", b"a", 0.02), PeerUnreachable, "timeout"),
        (for_ever(b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n"), PeerError, "malformed-http"),
        (for_ever(b"HTTP/1.1 200 OK\r\nX-A: ", b"a" * KIB), PeerError, "malformed-http"),
        (for_ever(b"", b"HTTP/1.1 100 Continue\r\n\r\n", 0.005), PeerUnreachable, "timeout"),
        (once(b"nonsense\r\n\r\n"), PeerError, "malformed-http"),
        (once(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"), PeerUnreachable, "cut-off"),
        (once(b"HTTP/1.1 200 OK\r\nContent-Le"), PeerUnreachable, "unreachable"),
        (once(b""), PeerUnreachable, "unreachable"),
        (once(answer(b"nonsense")), PeerError, "malformed"),
        (once(answer(b"\x91" * 60_000)), PeerError, "malformed"),
        (
            once(answer(gzip.compress(bytes(MIB)), OK + b"Content-Encoding: gzip\r\n")),
            PeerError,
            "malformed",
        ),
    ],
)
async def test_endless_oversized_slow_and_broken_answers(liar, hello, script, kind, reason):
    client, sent = await liar(script)
    async with asyncio.timeout(3):
        with pytest.raises(kind) as error:
            await client.ask(HELLO, hello)
    assert error.value.reason == reason
    assert (
        sent[0] < 12 * MIB
    )  # what fits into the kernel's buffers and the limit; not what it would like to send


@pytest.mark.parametrize("chunks", [b"zz\r\n", b"5;" + b"a" * 70_000, b"-1\r\n", b"fffffffffffffffff\r\n"])
async def test_broken_chunks_end_the_answer(liar, hello, chunks):
    client, _ = await liar(once(CHUNKED + chunks))
    async with asyncio.timeout(3):
        with pytest.raises(PeerError) as error:
            await client.ask(HELLO, hello)
    assert error.value.reason in {"cut-off", "malformed-http"}  # whether the head came alone or not


async def test_a_flood_of_interim_answers_ends_the_connection(liar, hello):
    client, sent = await liar(for_ever(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 100))
    async with asyncio.timeout(3):
        with pytest.raises(PeerError):
            await client.ask(HELLO, hello)
    assert sent[0] < 12 * MIB


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"HTTP/1.1 302 Found\r\nLocation: https://127.0.0.1:1/\r\n", PeerRefused),
        (b"HTTP/1.1 307 Moved\r\nLocation: http://169.254.169.254/\r\n", PeerRefused),
        (b"HTTP/1.1 204 No\r\n", PeerRefused),
        (b"HTTP/1.1 206 Partial\r\n", PeerRefused),
        (b"HTTP/1.1 401 No\r\nWWW-Authenticate: Basic\r\n", PeerRefused),
        (b"HTTP/1.1 999 Odd\r\n", PeerRefused),
        (b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n", PeerRefused),
    ],
)
async def test_only_200_is_an_answer_and_redirects_are_not_followed(liar, hello, head, kind):
    client, _ = await liar(once(answer(b"", head)))
    async with asyncio.timeout(3):
        with pytest.raises(kind):
            await client.ask(HELLO, hello)


@pytest.mark.parametrize(
    ("retry_after", "seconds"),
    [("7", 7), ("0", 1), ("999999", 300), ("9" * 500, 1), ("-5", 1), ("soon", 1), ("\u0663", 1), (None, 1)],
)
async def test_a_pause_that_is_asked_for_is_bounded(liar, hello, retry_after, seconds):
    head = b"HTTP/1.1 429 Slow\r\n"
    if retry_after is not None:
        head += b"Retry-After: " + retry_after.encode() + b"\r\n"
    client, _ = await liar(once(answer(b"", head)))
    with pytest.raises(PeerBusy) as busy:
        await client.ask(HELLO, hello)
    assert busy.value.retry_after_seconds == seconds


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"\x81\xa6reason\xa9not-known", "not-known"),
        (b"\x81\xa6reason\xa7\x1b[31mX!", "unspecified"),
        (b"\x81\xa6reason\xa4a b\n", "unspecified"),
        (b"\x81\xa6reason\x01", "unspecified"),
        (b"\x81\xa6reason\xd9\xc8" + b"a" * 200, "unspecified"),
        (b"\x80", "unspecified"),
        (b"\x91" * 200, "unspecified"),
        (b"<html>", "unspecified"),
    ],
)
async def test_a_reason_is_a_code_or_nothing(liar, hello, body, reason):
    client, _ = await liar(once(answer(body, b"HTTP/1.1 400 No\r\n")))
    with pytest.raises(PeerRefused) as refused:
        await client.ask(HELLO, hello)
    assert refused.value.reason == reason


async def test_an_endless_refusal_is_not_read_on(liar, hello):
    client, sent = await liar(for_ever(b"HTTP/1.1 400 No\r\n\r\n", bytes(64 * KIB)))
    with pytest.raises(PeerError) as error:
        await client.ask(HELLO, hello)
    assert error.value.reason == "oversized"
    assert sent[0] < 12 * MIB


async def test_cookies_are_not_kept(liar, hello):
    heads = []

    async def script(send, head):
        heads.append(head)
        await send(answer(encode_hello(hello), OK + b"Set-Cookie: track=1; Path=/\r\n"))
        return True

    client, _ = await liar(script, host="localhost")  # no jar keeps cookies of bare addresses
    for _ in range(2):
        await client.ask(HELLO, hello)
    assert len(heads) == 2
    assert not any(b"cookie" in head.lower() for head in heads)


async def test_answers_nobody_asked_for_end_an_idle_connection_and_are_not_kept(liar, hello):
    good = answer(encode_hello(hello))
    ended = asyncio.Event()

    async def script(send, _head):
        await send(good)
        try:
            while True:
                await send(good * 100)
                await asyncio.sleep(0)
        finally:
            ended.set()

    client, sent = await liar(script)
    tracemalloc.start()
    try:
        with contextlib.suppress(PeerError):
            await client.ask(HELLO, hello)
        async with asyncio.timeout(3):
            await ended.wait()
        assert tracemalloc.get_traced_memory()[1] < 24 * MIB
    finally:
        tracemalloc.stop()
    assert sent[0] < 12 * MIB


async def test_a_few_answers_nobody_asked_for_end_a_connection_that_waits_in_the_pool(liar, hello):
    """Nobody reads there, so only their number can end it: aiohttp keeps what comes, without a bound."""
    good = answer(encode_hello(hello))
    is_idle, ended = asyncio.Event(), asyncio.Event()
    unasked = [0]

    async def script(send, _head):
        await send(good)
        await is_idle.wait()
        try:
            while unasked[0] < 2_000:
                await send(good)
                unasked[0] += 1
                await asyncio.sleep(0.001)
        finally:
            ended.set()

    client, _ = await liar(script)
    await client.ask(HELLO, hello)
    is_idle.set()
    async with asyncio.timeout(10):
        await ended.wait()
    assert UNASKED_ANSWERS_MAX < unasked[0] < 500


# --- get --------------------------------------------------------------------------------------------


async def collect(client, ids):
    came = []
    try:
        async for one in client.get(ids):
            came.append(one)
    except PeerError as error:
        return came, error.reason
    return came, None


async def test_whole_envelopes_of_an_answer_cut_in_the_middle_are_kept(liar, id_of, random_bytes):
    wires = [random_bytes(100_000) for _ in range(3)]
    stream = b"".join(body_head(id_of(wire), len(wire)) + wire for wire in wires)
    whole = 2 * 100_036
    for cut in (whole - 1, whole, whole + 1, whole + 35, whole + 36, whole + 37, len(stream) - 1):
        client, _ = await liar(once(CHUNKED + chunk(stream[:cut])), DialLimits())
        came, reason = await collect(client, [id_of(wire) for wire in wires])
        assert came == [(id_of(wire), wire) for wire in wires][: cut // 100_036]
        assert reason == "cut-off"


async def test_an_answer_that_ends_properly_in_the_middle_of_an_envelope_is_cut_off(liar, id_of):
    stream = body_head(id_of(b"abc"), 3) + b"abc" + body_head(id_of(b"xyz"), 3) + b"x"
    client, _ = await liar(once(answer(stream)), DialLimits())
    assert await collect(client, [id_of(b"abc"), id_of(b"xyz")]) == ([(id_of(b"abc"), b"abc")], "cut-off")


async def test_an_answer_may_answer_fewer_than_asked(liar, id_of):
    client, _ = await liar(once(answer(body_head(id_of(b"abc"), 3) + b"abc")))
    assert await collect(client, [id_of(b"abc"), id_of(b"xyz")]) == ([(id_of(b"abc"), b"abc")], None)


async def test_gone_is_told_apart_and_other_ids_end_the_answer(liar, id_of):
    one, two, other = (EnvelopeId(bytes([n]) * 32) for n in range(3))
    client, _ = await liar(once(answer(body_head(one, 0) + body_head(other, 0) + body_head(two, 0))))
    assert await collect(client, [one, two]) == ([Gone(one)], "unasked-envelope")
    client, _ = await liar(once(answer(body_head(one, 0) * 3)))
    assert await collect(client, [one, two]) == ([Gone(one)], "unasked-envelope")


async def test_an_envelope_over_the_limit_is_refused_at_its_length(liar):
    one = EnvelopeId(bytes(32))
    head = one + (ENVELOPE_BYTES_MAX + 1).to_bytes(4, "big")
    client, sent = await liar(for_ever(CHUNKED + chunk(head), chunk(bytes(64 * KIB))))
    assert await collect(client, [one]) == ([], "oversized")
    assert sent[0] < 12 * MIB


async def test_more_than_an_answer_may_hold_is_refused(liar, id_of):
    ids = [EnvelopeId(bytes([n]) * 32) for n in range(64)]

    async def script(send, _head):
        await send(CHUNKED)
        for one in ids:
            await send(chunk(body_head(one, MIB) + bytes(MIB)))
        return False

    client, _ = await liar(script, DialLimits())
    came, reason = await collect(client, ids)
    assert len(came) == 15
    assert reason == "oversized"


async def test_a_reader_that_takes_its_time_is_not_the_partners_fault(liar, id_of, random_bytes):
    wires = [random_bytes(1 * MIB) for _ in range(3)]
    stream = b"".join(body_head(id_of(wire), len(wire)) + wire for wire in wires)
    client, _ = await liar(once(answer(stream)))
    came = 0
    async for _ in client.get([id_of(wire) for wire in wires]):
        came += 1
        await asyncio.sleep(QUICK.grace_seconds + 0.1)
    assert came == 3


async def test_leaving_an_answer_half_read_frees_the_connection(liar, id_of, hello):
    ids = [EnvelopeId(bytes([n]) * 32) for n in range(2)]
    client, _ = await liar(for_ever(CHUNKED + chunk(body_head(ids[0], 0)), b"", 0.02), DialLimits())
    for _ in range(6):  # more than the four connections there are
        async with asyncio.timeout(2):
            stream = client.get(ids)
            assert await anext(stream) == Gone(ids[0])
            await stream.aclose()


async def test_a_sync_answer_above_its_limit_is_cut_off(liar):
    client, _ = await liar(once(answer(bytes(SYNC_BYTES_MAX + 1)), keep=True))
    with pytest.raises(PeerError) as error:
        await client.ask(SYNC, Sync(1, b"", (SyncPart(Shard(CircleId(bytes(16)), 1), b"m"),)))
    assert error.value.reason == "oversized"


# --- anything ---------------------------------------------------------------------------------------


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    raw=st.one_of(
        st.binary(max_size=200),
        st.binary(max_size=200).map(answer),
        st.binary(max_size=100).map(lambda raw: CHUNKED + raw),
        st.text(st.characters(codec="latin-1"), max_size=80).map(
            lambda text: b"HTTP/1.1 200 OK\r\nX-A: " + text.encode("latin-1") + b"\r\n\r\n"
        ),
    )
)
async def test_whatever_is_answered_becomes_one_of_our_errors(liar, hello, raw):
    client, _ = await liar(once(raw))
    async with asyncio.timeout(3):
        with pytest.raises(PeerError):
            await client.ask(HELLO, hello)
        with contextlib.suppress(PeerError):
            async for _ in client.get([EnvelopeId(bytes(32))]):
                pass
    await client.close()
