"""The guests' door over real TLS: who holds a card of ours gets a few frames and no HTTP, all others not a byte, and partners go on."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from collections import Counter
from dataclasses import dataclass, field, replace

import pytest

from p2pshare.envelope.guest import knock_key
from p2pshare.envelope.keys import create_identity
from p2pshare.envelope.knock import (
    CARD_MESSAGE_BYTES_MAX,
    CardAsked,
    CardHanded,
    PlaceAsked,
    check_place,
    decode_greeting,
    encode_knock,
    place_asked,
)
from p2pshare.errors import DiskFull, PeerError
from p2pshare.gossip.protocol import HELLO
from p2pshare.http_server.tally import Tally
from p2pshare.http_server.tls import pin_of
from p2pshare.identifiers import PartnerId
from p2pshare.limits import CARD_CHAIN_BYTES_MAX
from p2pshare.peering import tls
from p2pshare.peering.client import PeerAddress
from p2pshare.peering.faults import PeerUnreachable
from p2pshare.peering.frames import cut
from p2pshare.peering.guest_door import GUESTS_MAX, GuestDoor, guest_limits
from p2pshare.peering.knocking import KnockLimits, ask_card, ask_for_place, hand_card
from p2pshare.peering.tls import guest_context

HOST = PartnerId(bytes(range(32)))
REQUEST = b"GET /v1/card HTTP/1.1\r\nHost: x\r\n\r\n"
GREETING_BYTES = 4 + 1 + 1 + 2 + 32 + 1  # frame, array, 1, bin, nonce, version


@dataclass
class Cards:
    """What stands behind the door: a card, and what guests hand over."""

    version: int = 7
    card: bytes = b"our card"
    taken: list[bytes] = field(default_factory=list)
    places: list[tuple[str, str, str]] = field(default_factory=list)
    fault: Exception | None = None
    is_new: bool = True
    delay_seconds: float = 0.0

    def own_version(self) -> int:
        return self.version

    def own_card(self) -> bytes:
        return self.card

    async def take_card(self, card_file: bytes) -> bool:
        await asyncio.sleep(self.delay_seconds)
        if self.fault is not None:
            raise self.fault
        self.taken.append(card_file)
        return self.is_new

    async def take_place(self, place: PlaceAsked, nonce: bytes, host: str) -> bool:
        check_place(place, host=HOST, nonce=nonce)
        self.places.append((place.name, place.url, host))
        return self.is_new


@pytest.fixture(scope="module")
def host_card() -> bytes:
    """The card of the host, from which the key of its guests follows."""
    return create_identity("Bravo", [], int(time.time())).card.raw


@pytest.fixture
def host(bravo, host_card):
    """bravo, which pins the certificate of its guests."""
    bravo.gate.expect_guests([knock_key(host_card).certificate])
    return bravo


@pytest.fixture
async def come(host, host_card):
    """`come(port)` opens a connection as a guest, from an address of loopback."""
    opened: list[asyncio.StreamWriter] = []

    async def come(port, source="127.0.0.1", card=None):
        context = guest_context(knock_key(card or host_card), [host.certificate])
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, local_addr=(source, 0))
        opened.append(writer)
        return reader, writer

    yield come
    for writer in opened:
        cut(writer)


async def all_of(reader) -> bytes:
    """What the host says until it hangs up."""
    said = b""
    async with asyncio.timeout(10):
        with contextlib.suppress(OSError):
            while piece := await reader.read(65536):
                said += piece
    return said


async def counted(server, **outcomes) -> None:
    wanted = {name.replace("_", "-"): count for name, count in outcomes.items()}
    async with asyncio.timeout(10):
        while dict(server.guest_outcomes) != wanted:
            await asyncio.sleep(0.01)


def framed(message: bytes) -> bytes:
    return len(message).to_bytes(4, "big") + message


def address_of(party, port) -> PeerAddress:
    return PeerAddress(party.partner_id, f"https://127.0.0.1:{port}", (party.certificate,))


# --- who comes in -----------------------------------------------------------------------------------


async def test_a_guest_gets_no_http(house, host, make_exchange, come):
    exchange = make_exchange()
    server, port = await house.serve(host, exchange, guests=Cards())
    reader, writer = await come(port)
    writer.write(REQUEST)
    assert len(await all_of(reader)) == GREETING_BYTES
    await counted(server, oversized=1)
    assert (server.requests_seen, server.tally.connections_admitted, exchange.calls) == (0, 0, [])
    assert server.tally.take_refused() == {(None, "guest-oversized"): 1}


async def test_a_scanner_without_the_card_gets_no_byte(house, host, come, anyone_context, make_party):
    """Neither with no certificate, nor with one of its own, nor with the guests' key of another host."""
    server, port = await house.serve(host, guests=Cards())
    other = create_identity("Other", [], int(time.time())).card.raw
    own = make_party("scanner").gate.client_context([host.certificate])
    for context in (anyone_context, own, guest_context(knock_key(other), [host.certificate])):
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
        assert await all_of(reader) == b""
        cut(writer)
    assert not server.guest_outcomes
    assert server.tally.handshakes_refused == {"no-certificate": 1, "unknown-certificate": 2}


async def test_where_nothing_stands_behind_the_door_a_guest_gets_no_byte(house, host, come):
    server, port = await house.serve(host)
    reader, _ = await come(port)
    assert await all_of(reader) == b""
    assert server.tally.handshakes_refused == {"not-pinned": 1}


async def test_a_guests_certificate_is_pinned_for_no_partner(host, host_card, make_party, monkeypatch):
    """Neither by the rules of certificates, nor where those fail: a partner would be whoever holds our card."""
    certificate = knock_key(host_card).certificate
    mallory = make_party("mallory")
    with pytest.raises(PeerError) as error:
        host.gate.add(mallory.partner_id, [certificate])
    assert error.value.reason == "bad-certificate"
    monkeypatch.setattr(tls, "check_anchor", lambda certificate: None)
    host.gate.add(mallory.partner_id, [certificate])
    assert host.gate.partner_of(pin_of(certificate)) is None
    assert host.gate.is_guest(pin_of(certificate))


async def test_a_guests_address_does_not_become_known(house, host, come):
    """Or whoever holds our card would have the places at the door that are kept for partners."""
    server, port = await house.serve(host, guests=Cards())
    reader, writer = await come(port)
    writer.write(framed(encode_knock(CardHanded(b"card"))))
    await all_of(reader)
    await counted(server, card_taken=1)
    assert not host.gate.known_addresses.is_known("127.0.0.1", asyncio.get_running_loop().time())


async def test_partners_come_in_as_before_and_never_as_guests(house, alpha, host, hello, come):
    server, port = await house.serve(host, guests=Cards())
    await come(port)
    assert await house.dial(alpha, host, port).ask(HELLO, hello)
    assert (server.requests_seen, server.tally.connections_admitted) == (1, 1)


# --- what is said -----------------------------------------------------------------------------------


async def test_a_card_that_is_handed_over_is_dealt_with_when_the_host_hangs_up(house, host, host_card):
    cards = Cards(delay_seconds=0.2)
    server, port = await house.serve(host, guests=cards)
    await hand_card(address_of(host, port), host_card, b"a card file")
    assert cards.taken == [b"a card file"]
    await counted(server, card_taken=1)
    cards.is_new = False
    await hand_card(address_of(host, port), host_card, b"again")
    await counted(server, card_taken=1, nothing_new=1)
    assert server.tally.take_refused() == {}


async def test_the_largest_card_file_goes_through_in_both_directions(house, host, host_card):
    largest = bytes(CARD_CHAIN_BYTES_MAX)
    cards = Cards(card=largest)
    server, port = await house.serve(host, guests=cards)
    await hand_card(address_of(host, port), host_card, largest)
    assert cards.taken == [largest]
    assert await ask_card(address_of(host, port), host_card, 6) == largest
    await counted(server, card_taken=1, card_given=1)


async def test_a_card_is_asked_for_only_when_it_is_newer(house, host, host_card):
    server, port = await house.serve(host, guests=Cards())
    assert await ask_card(address_of(host, port), host_card, 6) == b"our card"
    assert await ask_card(address_of(host, port), host_card, 7) is None
    await counted(server, card_given=1, cut_off=1)


async def test_a_server_with_another_certificate_is_asked_for_its_card_and_handed_none(
    house, host, host_card, make_party
):
    cards = Cards()
    _, port = await house.serve(host, guests=cards)
    before = replace(address_of(host, port), certificates=(make_party("bravo").certificate,))
    assert await ask_card(before, host_card, 6) == b"our card"
    with pytest.raises(PeerUnreachable) as error:
        await hand_card(before, host_card, b"a card file")
    assert (error.value.reason, cards.taken) == ("other-certificate", [])


@pytest.mark.parametrize("fault", [PeerError("x", reason="bad-signature"), DiskFull("x"), KeyError("a bug")])
async def test_what_the_host_refuses_is_counted_and_told_to_nobody(house, host, host_card, come, fault):
    server, port = await house.serve(host, guests=Cards(fault=fault))
    reader, writer = await come(port)
    writer.write(framed(encode_knock(CardHanded(b"card"))))
    assert len(await all_of(reader)) == GREETING_BYTES
    reason = getattr(fault, "reason", "internal")
    assert server.guest_outcomes == {reason: 1}
    assert server.tally.take_refused() == {(None, f"guest-{reason}"): 1}


async def test_who_asks_for_a_place_is_handed_on_with_the_nonce_and_the_address_it_came_from(
    house, host, host_card
):
    cards = Cards()
    server, port = await house.serve(host, guests=cards)
    own = create_identity("Guest", ["https://guest.example:8443"], int(time.time()))
    address = replace(address_of(host, port), partner_id=HOST)
    await ask_for_place(address, host_card, own.card, own.operational.tls)
    assert cards.places == [("Guest", "https://guest.example:8443", "127.0.0.1")]
    cards.is_new = False
    await ask_for_place(address, host_card, own.card, own.operational.tls)
    await counted(server, place_taken=1, nothing_new=1)
    assert server.requests_seen == 0 and server.tally.take_refused() == {}


async def test_what_was_said_to_ask_for_a_place_is_worth_nothing_in_another_conversation(house, host, come):
    """A replay: the nonce is the host's, and new for each guest."""
    cards = Cards()
    server, port = await house.serve(host, guests=cards)
    own = create_identity("Guest", [], int(time.time()))
    said = []
    for number in range(2):
        reader, writer = await come(port)
        greeting = decode_greeting((await reader.readexactly(GREETING_BYTES))[4:])
        if not said:
            place = place_asked(
                own.partner_id, "Guest", "", own.operational.tls, host=HOST, nonce=greeting.nonce
            )
            said.append(framed(encode_knock(place)))
        writer.write(said[0])
        assert await all_of(reader) == b"", number
    await counted(server, place_taken=1, bad_signature=1)
    assert len(cards.places) == 1


# --- what it costs ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "outcome"),
    [
        (b"\0\0\0\0", "malformed"),
        (framed(b"\xc1"), "malformed"),
        (framed(b"\x91\x07"), "malformed"),
        (framed(b"\x91\x03") + b"x", "malformed"),
        (framed(b"\x92\x02\xc4\x00"), "malformed"),
        (framed(b"\x92\x02\xc5\x00\x01x"), "not-canonical"),
        (b"\0\1\0\1" + bytes(70_000), "oversized"),
        ((CARD_MESSAGE_BYTES_MAX + 1).to_bytes(4, "big") + b"\x92\x02", "oversized"),
        (CARD_MESSAGE_BYTES_MAX.to_bytes(4, "big") + b"\x91\x03", "oversized"),
        (b"\xff" * 6, "oversized"),
    ],
)
async def test_garbage_ends_the_conversation_and_is_counted(house, host, come, said, outcome):
    cards = Cards()
    server, port = await house.serve(host, guests=cards)
    reader, writer = await come(port)
    writer.write(said)
    await all_of(reader)
    await counted(server, **{outcome.replace("-", "_"): 1})
    assert cards.taken == []


@pytest.mark.parametrize("says", [b"", b"\0", framed(b"\x92\x02\xc4")[:-1], b"\0\x3f\xff\xff\x92\x02\xc6"])
async def test_a_slow_guest_is_cut_whatever_it_has_begun_to_say(house, host, come, says):
    server, port = await house.serve(host, guests=Cards(), guest_limits=guest_limits(seconds=0.3))
    reader, writer = await come(port)
    writer.write(says)
    await all_of(reader)
    await counted(server, too_slow=1)


async def test_a_guest_that_reads_nothing_is_cut(house, host, come):
    cards = Cards(card=bytes(CARD_CHAIN_BYTES_MAX))
    server, port = await house.serve(host, guests=cards, guest_limits=guest_limits(seconds=0.5))
    _, writer = await come(port)
    writer.write(framed(encode_knock(CardAsked())))
    writer.transport.pause_reading()
    await counted(server, too_slow=1)


async def test_a_guest_that_hangs_up_is_counted_once(house, host, come):
    server, port = await house.serve(host, guests=Cards())
    _, writer = await come(port)
    writer.write(b"\0\0")
    writer.close()
    await counted(server, cut_off=1)


async def test_the_oldest_of_four_guests_makes_room_for_the_fifth(house, host, come):
    server, port = await house.serve(host, guests=Cards())
    guests = []
    for _ in range(GUESTS_MAX + 1):
        guests.append(await come(port))
        await guests[-1][0].readexactly(GREETING_BYTES)
    assert await all_of(guests[0][0]) == b""
    await counted(server, overtaken=1)
    reader, writer = guests[1]
    writer.write(framed(encode_knock(CardAsked())))
    assert (await reader.readexactly(4 + 2 + 2 + 8)).endswith(b"our card")


async def test_a_guest_that_is_overtaken_while_its_card_is_taken_leaves_nothing_behind(house, host, come):
    cards = Cards(delay_seconds=30)
    server, port = await house.serve(host, guests=cards, guest_limits=guest_limits(guests=1))
    _, writer = await come(port)
    writer.write(framed(encode_knock(CardHanded(b"card"))))
    await asyncio.sleep(0.1)
    reader, writer = await come(port)
    await reader.readexactly(GREETING_BYTES)
    assert server.guest_outcomes == {"overtaken": 1}


async def test_a_guest_that_is_overtaken_before_its_first_turn_is_cut_as_well(host):
    """Two that come in within one turn of the loop: a task that is cancelled before it has begun runs none of its lines."""
    arrived = []
    plain = await asyncio.start_server(lambda *ends: arrived.append(ends), "127.0.0.1", 0)
    dialled = [await asyncio.open_connection(*plain.sockets[0].getsockname()) for _ in range(2)]
    async with asyncio.timeout(5):
        while len(arrived) < 2:
            await asyncio.sleep(0.01)
    door = GuestDoor(Cards(), host.gate, Tally(), Counter(), guest_limits(guests=1))
    for ends in arrived:
        door._come_in("127.0.0.1", "127.0.0.1", *ends)
    assert await all_of(dialled[0][0]) == b""
    assert len(await dialled[1][0].readexactly(GREETING_BYTES)) == GREETING_BYTES
    await door.close()
    assert await all_of(dialled[1][0]) == b""
    assert door.outcomes == {"overtaken": 1}
    for _, writer in dialled:
        cut(writer)
    plain.close()


async def test_no_more_than_so_many_guests_come_in_a_minute(house, host, come):
    limits = guest_limits(guests=9, per_minute=5, per_address_per_minute=3)
    server, port = await house.serve(host, guests=Cards(), guest_limits=limits)
    heard = []
    for source in ("127.0.0.2",) * 4 + ("127.0.0.3",) * 3:
        reader, writer = await come(port, source)
        heard.append(bool(await reader.read(1)))
        cut(writer)
    assert heard == [True, True, True, False, True, True, False]
    await counted(server, cut_off=5, too_many=1, too_many_of_address=1)


async def test_a_minute_later_guests_come_in_again(house, host, come, monkeypatch):
    monkeypatch.setattr("p2pshare.peering.guest_places.MINUTE_SECONDS", 0.3)
    limits = guest_limits(per_minute=1)
    _, port = await house.serve(host, guests=Cards(), guest_limits=limits)
    heard = []
    for pause in (0.0, 0.0, 0.4):
        await asyncio.sleep(pause)
        reader, _ = await come(port)
        heard.append(bool(await reader.read(1)))
    assert heard == [True, False, True]


async def test_a_flood_of_guests_is_bounded_and_partners_go_on(house, alpha, host, hello, come):
    """Four hundred from eight addresses, each with the beginning of a card file."""
    cards = Cards()
    server, port = await house.serve(host, guests=cards)
    client = house.dial(alpha, host, port)
    assert await client.ask(HELLO, hello)
    at_once, asked = 0, 0

    async def one_guest(number: int) -> None:
        with contextlib.suppress(OSError, ssl.SSLError):
            _, writer = await come(port, f"127.0.7.{number % 8}")
            writer.write((4 << 20).to_bytes(4, "big") + b"\x92\x02" + bytes(10_000))
            await asyncio.sleep(0.05)
            cut(writer)

    flood = asyncio.gather(*(one_guest(number) for number in range(400)))
    while not flood.done():
        assert await client.ask(HELLO, hello)
        asked += 1
        await asyncio.sleep(0.05)
        at_once = max(at_once, len(server._guest_door._guests))
    assert asked > 10
    assert at_once <= GUESTS_MAX
    outcomes = server.guest_outcomes
    assert sum(outcomes.values()) - outcomes["too-many"] - outcomes["too-many-of-address"] <= 60
    assert outcomes["too-many"] + outcomes["too-many-of-address"] > 20
    assert cards.taken == []
    newcomer = await house.dial(alpha, host, port).ask(HELLO, hello)
    assert newcomer, "a partner that dials anew is let in as well"


async def test_stopping_cuts_guests(house, host, come):
    server, port = await house.serve(host, guests=Cards())
    reader, _ = await come(port)
    await reader.readexactly(GREETING_BYTES)
    await server.stop()
    assert await all_of(reader) == b""


# --- the one who knocks -----------------------------------------------------------------------------


@pytest.fixture
async def answer_with(make_party):
    """`answer_with(said)` is a server with any certificate that says these bytes and then waits; returns its port."""
    servers = []

    async def answer_with(said: bytes, *, hangs_up: bool = False) -> int:
        async def answer(reader, writer):
            writer.write(said)
            if not hangs_up:
                await all_of(reader)
            writer.close()

        party = make_party("anybody")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_own_key(context, party.certificate, party.key.secret().reveal())
        servers.append(await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context))
        return servers[-1].sockets[0].getsockname()[1]

    yield answer_with
    for server in servers:
        server.close()


GREETING = framed(b"\x93\x01\xc4\x20" + bytes(32) + b"\x09")


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "oversized"),
        (framed(b"\x93\x02\xc4\x20" + bytes(32) + b"\x09"), "malformed"),
        (framed(b"\x93\x01\xc4\x20" + bytes(32) + b"\x00"), "malformed"),
        (GREETING + framed(b"\x92\x02\xc4\x01x"), "malformed"),
        (GREETING + (CARD_MESSAGE_BYTES_MAX + 1).to_bytes(4, "big") + b"\x92\x03", "oversized"),
        (GREETING + (1 << 20).to_bytes(4, "big") + b"\x92\x02", "oversized"),
        (GREETING[:-1], "timeout"),
        (GREETING, "timeout"),
        (b"", "timeout"),
    ],
)
async def test_a_hostile_server_costs_a_knock_and_no_more(bravo, host_card, answer_with, said, reason):
    port = await answer_with(said)
    with pytest.raises(PeerError) as error:
        await ask_card(address_of(bravo, port), host_card, 1, KnockLimits(seconds=0.5))
    assert error.value.reason == reason


async def test_a_knock_at_a_door_that_hangs_up_or_takes_no_guests_says_why(
    house, bravo, host_card, answer_with, anyone_context
):
    port = await answer_with(GREETING, hangs_up=True)
    with pytest.raises(PeerUnreachable) as error:
        await ask_card(address_of(bravo, port), host_card, 1)
    assert error.value.reason == "cut-off"
    _, port = await house.serve(bravo)
    for knock in (
        ask_card(address_of(bravo, port), host_card, 1),
        hand_card(address_of(bravo, port), host_card, b"x"),
    ):
        with pytest.raises(PeerUnreachable) as error:
            await knock
        assert error.value.reason == "certificate-refused"
    with pytest.raises(PeerUnreachable) as error:
        await ask_card(address_of(bravo, 9), host_card, 1)
    assert error.value.reason == "unreachable"
    with pytest.raises(PeerError) as refused:
        await ask_card(replace(address_of(bravo, 9), url="ftp://x"), host_card, 1)
    assert refused.value.reason == "bad-url"
