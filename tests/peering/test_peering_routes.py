"""The routes between two real nodes over real TLS, and what a refusal looks like."""

from __future__ import annotations

import asyncio

import pytest

from p2pshare.errors import DiskFull, NotFoundError, PeerError, RefusedError
from p2pshare.gossip.messages import (
    Announce,
    AnnounceItem,
    Poll,
    PutVerdict,
    Shard,
    Sync,
    SyncPart,
)
from p2pshare.gossip.protocol import ANNOUNCE, HELLO, POLL, SYNC
from p2pshare.http_server.server import BUSY_ANSWER_SECONDS
from p2pshare.identifiers import CircleId, EnvelopeId, Epoch
from p2pshare.limits import ENVELOPE_BYTES_MAX, MIB
from p2pshare.peering.client import Gone, PeerAddress, PeerClient
from p2pshare.peering.faults import PeerBusy, PeerFull, PeerRefused, PeerUnreachable

SHARD = Shard(CircleId(bytes(16)), 4)


async def collect(stream):
    return [one async for one in stream]


async def test_every_verb_reaches_the_exchange_with_the_peers_identity(
    house, alpha, bravo, make_exchange, hello, id_of
):
    exchange = make_exchange()
    server, port = await house.serve(bravo, exchange)
    client = house.dial(alpha, bravo, port)
    wire = b"an envelope"
    item = AnnounceItem(id_of(wire), 1, 4, CircleId(bytes(16)), len(wire))

    assert (await client.ask(HELLO, hello)).card_version == hello.card_version + 1
    assert (await client.ask(ANNOUNCE, Announce(Epoch(bytes(16)), 0, 3, (item,)))).want == (id_of(wire),)
    assert (await client.put(id_of(wire), wire)).verdict is PutVerdict.HELD
    assert (await client.put(id_of(wire), wire)).verdict is PutVerdict.ALREADY_HELD
    assert await collect(client.get([id_of(wire)])) == [(id_of(wire), wire)]
    assert (await client.ask(POLL, Poll(Epoch(bytes(16)), 5, 0))).to_count == 5
    assert (await client.ask(SYNC, Sync(1, b"", (SyncPart(SHARD, b"ab"),)))).parts == (
        SyncPart(SHARD, b"ba"),
    )
    assert await client.card() == b"card" * 100_000
    assert await client.chain(alpha.partner_id) == b"chain" * 100_000
    with pytest.raises(PeerRefused) as caught:
        await client.chain(bravo.partner_id)
    assert caught.value.reason == "not-held"
    assert await client.members(CircleId.of("main")) == b"members" * 10_000
    with pytest.raises(PeerRefused) as caught:
        await client.members(CircleId.of("other"))
    assert caught.value.reason == "not-held"
    assert {peer for _, peer in exchange.calls} == {alpha.partner_id}
    assert server.requests_seen == 12
    assert server.tally.connections_admitted == 1  # kept alive


@pytest.mark.parametrize("size", [1, 64 * 1024, 64 * 1024 + 1, 5 * MIB, ENVELOPE_BYTES_MAX])
async def test_envelopes_of_every_size_go_both_ways(house, alpha, bravo, random_bytes, id_of, size):
    _, port = await house.serve(bravo)
    client = house.dial(alpha, bravo, port)
    wire = random_bytes(size)
    assert (await client.put(id_of(wire), wire)).verdict is PutVerdict.HELD
    assert await collect(client.get([id_of(wire)])) == [(id_of(wire), wire)]


async def test_a_get_answer_is_full_at_four_mebibytes_and_a_larger_envelope_travels_alone(
    house, alpha, bravo, make_exchange, random_bytes, id_of
):
    wires = [random_bytes(MIB) for _ in range(6)] + [random_bytes(5 * MIB)]
    exchange = make_exchange(held={id_of(wire): wire for wire in wires})
    _, port = await house.serve(bravo, exchange)
    client = house.dial(alpha, bravo, port)
    missing = [id_of(wire) for wire in wires]
    batches = []
    while missing:
        batches.append([envelope_id for envelope_id, _ in await collect(client.get(missing))])
        missing = [one for one in missing if one not in batches[-1]]
    assert [len(batch) for batch in batches] == [3, 3, 1]


async def test_not_held_and_not_allowed_look_the_same(house, alpha, bravo, make_exchange, id_of):
    exchange = make_exchange(held={id_of(b"secret"): b"secret"}, hidden={id_of(b"secret")})
    _, port = await house.serve(bravo, exchange)
    client = house.dial(alpha, bravo, port)
    unknown = EnvelopeId(bytes(32))
    assert await collect(client.get([id_of(b"secret"), unknown])) == [Gone(id_of(b"secret")), Gone(unknown)]


@pytest.mark.parametrize(
    ("fault", "status", "reason"),
    [
        (PeerError("x", reason="malformed"), 400, "malformed"),
        (PeerError("x", reason="clock-skew"), 409, "clock-skew"),
        (NotFoundError("x"), 404, "not-held"),
        (RefusedError("x", reason="not-in-this-circle"), 404, "not-held"),
        (KeyError("/secret/path and 203.0.113.7"), 500, "internal"),
    ],
)
@pytest.mark.parametrize("verb", ["hello", "get"])
async def test_a_fault_behind_the_door_becomes_a_status_and_a_reason_code(
    house, alpha, bravo, make_exchange, hello, caplog, fault, status, reason, verb
):
    server, port = await house.serve(bravo, make_exchange(fault=fault))
    client = house.dial(alpha, bravo, port)
    with pytest.raises(PeerRefused) as refused:
        if verb == "hello":
            await client.ask(HELLO, hello)
        else:
            await collect(client.get([EnvelopeId(bytes(32))]))
    assert (refused.value.status, refused.value.reason) == (status, reason)
    assert server.tally.take_refused() == {(alpha.partner_id, reason): 1}
    assert "203.0.113.7" not in caplog.text


async def test_a_full_disk_answers_507_and_the_client_says_so(house, alpha, bravo, make_exchange, id_of):
    _, port = await house.serve(bravo, make_exchange(fault=DiskFull("full")))
    with pytest.raises(PeerFull) as full:
        await house.dial(alpha, bravo, port).put(id_of(b"x"), b"x")
    assert full.value.reason == "disk-full"


async def test_a_busy_exchange_answers_429_with_its_pause(house, alpha, bravo, make_exchange, hello):
    _, port = await house.serve(bravo, make_exchange(fault=PeerBusy(12)))
    with pytest.raises(PeerBusy) as busy:
        await house.dial(alpha, bravo, port).ask(HELLO, hello)
    assert busy.value.retry_after_seconds == 12


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]"])
async def test_names_and_both_address_families_work(house, alpha, bravo, hello, host):
    _, port = await house.serve(bravo, host=host.strip("[]"))
    if host == "localhost":
        _, port = await house.serve(bravo)
    assert await house.dial(alpha, bravo, port, host=host).ask(HELLO, hello)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:1",
        "https://user@127.0.0.1:1",
        "https://127.0.0.1:65536",
        "https://127.0.0.1:1/../etc",
        "https://127.0.0.1:1?x=1",
        "file:///etc/passwd",
        "https://",
        "https://a b:1",
        "https://a..b:1",
        f"https://{'x' * 64}.example:1",
        "unix:///run/docker.sock",
        "",
    ],
)
async def test_only_plain_https_addresses_are_dialled(alpha, bravo, url):
    with pytest.raises(PeerError) as error:
        PeerClient(alpha.gate, PeerAddress(bravo.partner_id, url, (bravo.certificate,)))
    assert error.value.reason == "bad-url"


async def test_nobody_listens_there(house, alpha, bravo, hello):
    with pytest.raises(PeerUnreachable) as error:
        await house.dial(alpha, bravo, 1).ask(HELLO, hello)
    assert error.value.reason == "unreachable"


async def test_being_told_to_wait_costs_who_goes_on_asking_and_not_us(
    house, alpha, bravo, make_exchange, hello
):
    """429 is held back a little, whoever says it: a partner with four connections is refused a few times a second."""
    exchange = make_exchange()
    exchange.fault = PeerBusy(3)
    _, port = await house.serve(bravo, exchange)
    client = house.dial(alpha, bravo, port)
    clock = asyncio.get_running_loop().time
    began = clock()
    for _ in range(2):
        with pytest.raises(PeerBusy) as error:
            await client.ask(HELLO, hello)
        assert error.value.retry_after_seconds == 3
    assert clock() - began >= 2 * BUSY_ANSWER_SECONDS
