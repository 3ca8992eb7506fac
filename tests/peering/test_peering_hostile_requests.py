"""What a partner gone bad may send to our server: it answers, counts, stays up and serves the others (P14)."""

from __future__ import annotations

import asyncio
import gzip

import msgpack
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from p2pshare.gossip.messages import GetBodies, encode_get_bodies, encode_hello
from p2pshare.gossip.protocol import HELLO
from p2pshare.identifiers import EnvelopeId
from p2pshare.limits import KIB
from p2pshare.peering.faults import REASON_PATTERN, decode_reason
from p2pshare.peering.interface import DoorLimits

FAST = DoorLimits(requests_per_second=10_000, items_per_second=10_000, linger_seconds=0.1)
POSTS = ["/v1/hello", "/v1/announce", "/v1/poll", "/v1/get", "/v1/sync"]

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.binary(max_size=64)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(st.integers(0, 9), inner, max_size=4),
    max_leaves=20,
)


def request(method: str, path: str, body: bytes = b"") -> bytes:
    return f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(path=st.sampled_from(POSTS), body=st.binary(max_size=300) | values.map(msgpack.packb))
async def test_malformed_messages_get_400_and_a_reason(
    house, alpha, bravo, open_wire, make_exchange, path, body
):
    exchange = make_exchange()
    server, port = await house.serve(bravo, exchange, limits=FAST)
    wire = await open_wire(alpha, bravo, port)
    await wire.send(request("POST", path, body))
    status, _, answer = await wire.answer()
    assert status in (200, 400)  # chance may write a good message
    if status == 400:
        assert REASON_PATTERN.fullmatch(decode_reason(answer))
        assert decode_reason(answer) != "unspecified"
        assert not exchange.calls
    await wire.close()
    await server.stop()


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize(
    "body",
    [
        b"\x91" * (64 * KIB),
        b"\x81\x00" * (32 * KIB),
        b"\xdf\xff\xff\xff\xff",
        b"\xdd\xff\xff\xff\xff",
        b"\xc6\xff\xff\xff\xff",
        b"\xc7\x0c\xff" + bytes(12),
        b"\x90" + b"\x80" * 60_000,
    ],
    ids=["nested arrays", "nested maps", "map32", "array32", "bin32", "timestamp", "trailing"],
)
async def test_messages_that_blow_up_parsers_get_400(house, alpha, bravo, open_wire, path, body):
    _, port = await house.serve(bravo, limits=FAST)
    wire = await open_wire(alpha, bravo, port)
    await wire.send(request("POST", path, body))
    status, _, answer = await wire.answer()
    assert status == 400
    assert len(answer) < 64


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/v1/hello"),
        ("POST", "/v1/card"),
        ("DELETE", "/v1/envelopes/" + "0" * 64),
        ("GET", "/v1/envelopes/" + "0" * 64),
        ("PUT", "/v1/envelopes/"),
        ("PUT", "/v1/envelopes/" + "0" * 63),
        ("PUT", "/v1/envelopes/" + "A" * 64),
        ("PUT", "/v1/envelopes/" + "0" * 64 + "/"),
        ("PUT", "/v1/envelopes/%30" + "0" * 63),
        ("POST", "/v1/hello?x=1"),
        ("POST", "/v1/hello/"),
        ("POST", "//v1/hello"),
        ("POST", "/v1/../v1/hello"),
        ("POST", "http://other.example/v1/hello"),
        ("OPTIONS", "*"),
        ("TRACE", "/v1/card"),
        ("BREW", "/v1/card"),
    ],
)
async def test_any_other_request_line_is_refused(house, alpha, bravo, open_wire, make_exchange, method, path):
    exchange = make_exchange()
    _, port = await house.serve(bravo, exchange, limits=FAST)
    wire = await open_wire(alpha, bravo, port)
    await wire.send(request(method, path))
    status, headers, body = await wire.answer()
    assert (status, decode_reason(body)) in {(404, "no-such-route"), (400, "malformed-http")}
    assert headers["server"] == "p2pshare"
    assert not exchange.calls


@pytest.mark.parametrize(
    "raw",
    [
        b"\r\n\r\nnonsense\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET /v1/card HTTP/9.9\r\n\r\n",
        b"GET /v1/card HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"GET /v1/card HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"POST /v1/hello HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /v1/hello HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n",
        b"GET /v1/card HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n",
        b"GET /v1/card HTTP/1.1\r\nHost: x\r\nX-A: " + b"a" * 9000 + b"\r\n\r\n",
        b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /v1/card HTTP/1.1\r\nHost: x\r\n" + b"".join(b"X-%d: y\r\n" % n for n in range(200)) + b"\r\n",
        b"GET /v1/card HTTP/1.1\r\nHost: x\r\nX\x00: y\r\n\r\n",
        b"GET /v1/card HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n" + b"\0" * 99,
        b"CONNECT other.example:443 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
)
async def test_broken_http_is_refused_without_a_word_of_text(
    house, alpha, bravo, open_wire, make_exchange, hello, caplog, raw
):
    exchange = make_exchange()
    server, port = await house.serve(bravo, exchange, limits=FAST)
    wire = await open_wire(alpha, bravo, port)
    await wire.send(raw)
    status, _, body = await wire.answer()
    assert 400 <= status < 500
    assert decode_reason(body) != "unspecified"
    assert len(body) < 64
    assert not exchange.calls
    assert sum(server.tally.refused.values()) >= 1
    assert "Traceback" not in caplog.text
    assert await house.dial(alpha, bravo, port).ask(HELLO, hello)


async def test_a_head_request_keeps_the_connection_in_step(house, alpha, bravo, open_wire, hello):
    _, port = await house.serve(bravo, limits=FAST)
    wire = await open_wire(alpha, bravo, port)
    await wire.send(b"HEAD /v1/card HTTP/1.1\r\nHost: x\r\n\r\n")
    head = await wire.reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 404")
    body = encode_hello(hello)
    await wire.send(request("POST", "/v1/hello", body))
    assert (await wire.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")


async def test_pipelined_requests_are_answered_in_order(house, alpha, bravo, open_wire, hello):
    _, port = await house.serve(bravo, limits=FAST)
    wire = await open_wire(alpha, bravo, port)
    body = encode_hello(hello)
    await wire.send(request("POST", "/v1/hello", body) * 30 + request("GET", "/nowhere") * 3)
    statuses = [(await wire.answer())[0] for _ in range(33)]
    assert statuses == [200] * 30 + [404] * 3


async def test_pipelining_without_reading_is_cut_off(house, alpha, bravo, open_wire):
    """Each answer is 400 kB: what is not read must not pile up here."""
    limits = DoorLimits(requests_per_second=10_000, grace_seconds=0.3, bytes_per_second_min=1e9)
    server, port = await house.serve(bravo, limits=limits)
    wire = await open_wire(alpha, bravo, port)
    wire.writer.transport.pause_reading()
    await wire.send(request("GET", "/v1/card") * 200)
    async with asyncio.timeout(5):
        while not server.tally.refused:
            await asyncio.sleep(0.01)
    assert server.tally.take_refused() == {(alpha.partner_id, "slow-or-cut-body"): 1}


async def test_compressed_bodies_are_taken_as_they_are(house, alpha, bravo, open_wire, hello):
    """A decompressing server would turn 17 MiB into 17 GiB."""
    _, port = await house.serve(bravo, limits=FAST)
    wire = await open_wire(alpha, bravo, port)
    body = gzip.compress(encode_hello(hello))
    await wire.send(
        f"POST /v1/hello HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        + body
    )
    status, _, answer = await wire.answer()
    assert (status, decode_reason(answer)) == (400, "malformed")


async def test_a_stream_that_breaks_behind_the_door_is_cut_not_ended(
    house, alpha, bravo, make_exchange, id_of
):
    class Breaking(make_exchange):
        async def get(self, peer, ids):
            yield ids[0], self.held[ids[0]]
            raise KeyError("203.0.113.7")

    wires = [b"one", b"two"]
    exchange = Breaking(held={id_of(wire): wire for wire in wires})
    _, port = await house.serve(bravo, exchange)
    client = house.dial(alpha, bravo, port)
    came = []
    with pytest.raises(Exception) as error:
        async for envelope_id, wire in client.get([id_of(wire) for wire in wires]):
            came.append((envelope_id, wire))
    assert came == [(id_of(b"one"), b"one")]
    assert error.value.reason == "cut-off"


def test_get_requests_of_the_raw_tests_match_the_message():
    assert encode_get_bodies(GetBodies((EnvelopeId(bytes(32)),))) == b"\x91\x91\xc4\x20" + bytes(32)
