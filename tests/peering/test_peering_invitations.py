"""Invitations over real TLS: who holds the line meets the host and nobody else does, and neither side is told anything before the other is proved."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import ssl
import time
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from p2pshare.envelope.card import believe_stranger
from p2pshare.envelope.card_format import decode_card, split_versions
from p2pshare.envelope.guest import knock_key
from p2pshare.envelope.invitation import (
    CONTEXT_HOST,
    GuestIntroduced,
    HostIntroduced,
    InvitationLine,
    JoinBegun,
    Joined,
    JoinRefused,
    JoinState,
    Meeting,
    StateAsked,
    check_commitment,
    check_guest,
    encode_guest_introduced,
    encode_guest_opening,
    encode_host_introduced,
    encode_joined,
    sign_as_host,
)
from p2pshare.envelope.keys import Identity, Secret, TlsKey, create_identity
from p2pshare.errors import PeerError
from p2pshare.gossip.protocol import HELLO
from p2pshare.http_server.tls import hardened_context, load_own_key
from p2pshare.peering.faults import PeerUnreachable
from p2pshare.peering.frames import cut, read_message
from p2pshare.peering.guest_places import GuestLimits
from p2pshare.peering.invited_guests import LIMITS
from p2pshare.peering.joining import Own, ask_state, join
from p2pshare.peering.knocking import hand_card
from p2pshare.peering.tls import TlsGate, guest_context

NOW = int(time.time())
PAGE = b"GET /v1/card HTTP/1.1\r\nHost: x\r\n\r\n"


@dataclass
class Invitations:
    """What stands behind the door: a host's keys, and who has joined. The checks are those of the envelope room."""

    identity: Identity
    begun: int = 0
    met: list[str] = field(default_factory=list)
    came_from: list[str] = field(default_factory=list)
    fault: Exception | None = None
    state: JoinState = JoinState.WAITING

    def own_id(self) -> Any:
        return self.identity.partner_id

    async def begin_join(self, certificate: bytes) -> HostIntroduced:
        self.begun += 1
        if self.fault is not None:
            raise self.fault
        return HostIntroduced(secrets.token_bytes(32), self.identity.card.raw)

    async def join(self, meeting: Meeting, said: GuestIntroduced, address: str) -> Joined:
        check_commitment(meeting)
        newest = decode_card(split_versions(said.card_file)[-1])
        card = believe_stranger(said.card_file, newest.body.partner_id, NOW)
        check_guest(meeting, card, said.signature, NOW)
        self.met.append(meeting.words())
        self.came_from.append(address)
        return Joined(sign_as_host(self.identity.operational.sign, meeting), self.state)

    async def state_of(self, certificate: bytes) -> JoinState:
        return self.state


@pytest.fixture(scope="module")
def identities() -> dict[str, Identity]:
    return {
        name: create_identity(name, ["https://127.0.0.1:1"], NOW) for name in ("host", "guest", "mallory")
    }


@pytest.fixture
def host(identities: dict[str, Identity], make_party: Any) -> Any:
    party = make_party("host", identities["host"].operational.tls)
    party.partner_id = identities["host"].partner_id
    return party


@pytest.fixture
def own(identities: dict[str, Identity]) -> Own:
    return own_of(identities["guest"])


def own_of(identity: Identity) -> Own:
    return Own(identity.card.raw, identity.operational.sign, secrets.token_bytes(32))


@dataclass
class Door:
    """A host that listens, with one invitation out."""

    server: Any
    port: int
    line: InvitationLine
    behind: Invitations

    async def counted(self, **outcomes: int) -> None:
        wanted = {name.replace("_", "-"): count for name, count in outcomes.items()}
        async with asyncio.timeout(10):
            while dict(self.server.guest_outcomes) != wanted:
                await asyncio.sleep(0.01)


@pytest.fixture
async def open_door(house: Any, host: Any, identities: dict[str, Identity]) -> Any:
    async def open_door(limits: GuestLimits = LIMITS, guests: Any = None) -> Door:
        behind = Invitations(identities["host"])
        server, port = await house.serve(host, guests=guests, invitations=behind, invited_limits=limits)
        line = InvitationLine(
            host.partner_id, Secret(secrets.token_bytes(16)), NOW + 3_600, f"127.0.0.1:{port}"
        )
        host.gate.expect_invited([line.key().certificate])
        return Door(server, port, line, behind)

    return open_door


@pytest.fixture
async def come() -> Any:
    """`come(line)` opens a connection as the guest of a line."""
    opened: list[asyncio.StreamWriter] = []

    async def come(line: InvitationLine, source: str = "127.0.0.1") -> Any:
        port = int(line.address.rpartition(":")[2])
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=guest_context(line.key(), ()), local_addr=(source, 0)
        )
        opened.append(writer)
        return reader, writer

    yield come
    for writer in opened:
        cut(writer)


def framed(message: bytes) -> bytes:
    return len(message).to_bytes(4, "big") + message


async def all_of(reader: asyncio.StreamReader) -> bytes:
    said = b""
    async with asyncio.timeout(10):
        with contextlib.suppress(OSError):
            while piece := await reader.read(65_536):
                said += piece
    return said


# --- who meets ----------------------------------------------------------------------------------------


async def test_both_sides_have_the_same_six_words(open_door: Any, own: Own) -> None:
    door = await open_door()
    met = await join(door.line, own, NOW)
    assert door.behind.met == [met.words] and len(met.words.split()) == 6
    assert (met.card.name, met.state) == ("host", JoinState.WAITING)
    assert door.behind.came_from == ["127.0.0.1"]
    await door.counted(joined=1)
    assert door.server.tally.take_refused() == {}


async def test_two_meetings_have_other_words(open_door: Any, identities: dict[str, Identity]) -> None:
    door = await open_door()
    words = {(await join(door.line, own_of(identities["guest"]), NOW)).words for _ in range(2)}
    assert len(words) == 2


async def test_a_guest_asks_how_it_stands(open_door: Any, host: Any, make_party: Any) -> None:
    door = await open_door()
    door.behind.state = JoinState.CONFIRMED
    assert await ask_state(door.line, (host.certificate,)) == JoinState.CONFIRMED
    await door.counted(state_told=1)
    with pytest.raises(PeerError) as caught:
        await ask_state(door.line, (make_party("mallory").certificate,))
    assert caught.value.reason == "not-the-inviter"


@pytest.mark.parametrize("change", ["secret", "host", "expires"])
async def test_a_line_that_was_guessed_or_changed_gets_no_byte(
    open_door: Any, own: Own, identities: dict[str, Identity], come: Any, change: str
) -> None:
    door = await open_door()
    changed = {
        "secret": replace(door.line, secret=Secret(bytes(16))),
        "host": replace(door.line, host=identities["mallory"].partner_id),
        "expires": replace(door.line, expires=door.line.expires + 1),
    }[change]
    with pytest.raises(PeerUnreachable) as caught:
        await join(changed, own, NOW)
    assert caught.value.reason == "invitation-unknown"
    reader, writer = await come(changed)
    writer.write(PAGE)
    assert await all_of(reader) == b""
    assert (door.behind.begun, door.server.requests_seen, door.server.guest_outcomes) == (0, 0, {})


async def test_a_line_whose_time_is_over_is_let_in_by_nobody(open_door: Any, own: Own, host: Any) -> None:
    door = await open_door()
    ended = replace(door.line, expires=NOW - 1)
    host.gate.expect_invited([ended.key().certificate])
    with pytest.raises(PeerUnreachable) as caught:
        await join(ended, own, NOW)
    assert caught.value.reason == "invitation-expired"


async def test_an_invitation_that_was_given_up_is_unknown(open_door: Any, own: Own, host: Any) -> None:
    door = await open_door()
    host.gate.expect_invited([])
    with pytest.raises(PeerUnreachable) as caught:
        await join(door.line, own, NOW)
    assert caught.value.reason == "invitation-unknown"


async def test_a_guest_reaches_no_http_and_is_no_partner(open_door: Any, host: Any, come: Any) -> None:
    door = await open_door()
    reader, writer = await come(door.line)
    writer.write(PAGE)
    said = await all_of(reader)
    assert b"HTTP" not in said and b"oversized" in said
    assert (door.server.requests_seen, door.behind.begun) == (0, 0)
    certificate = door.line.key().certificate
    with pytest.raises(PeerError):
        host.gate.add(host.partner_id, [certificate])
    assert not host.gate.is_guest(TlsGate(door.line.key()).shown_certificate)


async def test_what_the_host_refuses_is_told_with_its_reason(open_door: Any, own: Own) -> None:
    door = await open_door()
    door.behind.fault = PeerError("x", reason="invitation-used")
    with pytest.raises(JoinRefused) as caught:
        await join(door.line, own, NOW)
    assert caught.value.reason == "invitation-used"
    await door.counted(invitation_used=1)
    assert door.server.tally.take_refused() == {(None, "guest-invitation-used"): 1}


async def test_a_bug_behind_the_door_costs_one_guest_and_tells_nothing(open_door: Any, own: Own) -> None:
    door = await open_door()
    door.behind.fault = KeyError("a bug")
    with pytest.raises(PeerUnreachable) as caught:
        await join(door.line, own, NOW)
    assert caught.value.reason == "cut-off"
    await door.counted(internal=1)


# --- an impostor at the address -----------------------------------------------------------------------


@pytest.fixture
async def answer_with(identities: dict[str, Identity]) -> Any:
    """`answer_with(key, said)` is a server that shows a key's certificate and says these frames; returns its port and what it hears."""
    servers: list[Any] = []

    async def answer_with(key: TlsKey, said: bytes, *, hangs_up: bool = False) -> tuple[int, bytearray]:
        heard = bytearray()

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(said)
            if not hangs_up:
                with contextlib.suppress(OSError):
                    while piece := await reader.read(65_536):
                        heard.extend(piece)
            writer.close()

        context = hardened_context(ssl.PROTOCOL_TLS_SERVER)
        load_own_key(context, key.certificate, key.secret().reveal())
        servers.append(await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context))
        return servers[-1].sockets[0].getsockname()[1], heard

    yield answer_with
    for server in servers:
        server.close()


def line_to(identity: Identity, port: int) -> InvitationLine:
    return InvitationLine(identity.partner_id, Secret(bytes(16)), NOW + 3_600, f"127.0.0.1:{port}")


@pytest.mark.parametrize("card", ["host", "mallory"])
async def test_an_impostor_gets_neither_card_nor_name_nor_signature(
    answer_with: Any, own: Own, identities: dict[str, Identity], card: str
) -> None:
    """Whoever has read the line and answers at its address, with the host's card or its own."""
    greeting = framed(encode_host_introduced(HostIntroduced(bytes(32), identities[card].card.raw)))
    port, heard = await answer_with(identities["mallory"].operational.tls, greeting)
    with pytest.raises(PeerError) as caught:
        await join(line_to(identities["host"], port), own, NOW)
    assert caught.value.reason == "not-the-inviter"
    assert len(heard) == 4 + 2 + 2 + 32, "a commitment, and no more"


async def test_the_hosts_certificate_without_its_sign_key_is_not_enough(
    answer_with: Any, own: Own, identities: dict[str, Identity]
) -> None:
    forged = identities["mallory"].operational.sign.sign(CONTEXT_HOST, bytes(48))
    said = framed(encode_host_introduced(HostIntroduced(bytes(32), identities["host"].card.raw)))
    said += framed(encode_joined(Joined(forged, JoinState.CONFIRMED)))
    port, _ = await answer_with(identities["host"].operational.tls, said)
    with pytest.raises(PeerError) as caught:
        await join(line_to(identities["host"], port), own, NOW)
    assert caught.value.reason == "bad-signature"


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "oversized"),
        (framed(b"\x93\x01\xc4\x1f" + bytes(31) + b"\xc4\x01x"), "malformed"),
        (framed(encode_host_introduced(HostIntroduced(bytes(32), b"no card"))), "malformed"),
        ((4_194_346).to_bytes(4, "big") + b"\x93\x01\xc4\x20", "oversized"),
        ((1 << 20).to_bytes(4, "big") + b"\x94\x01\xc4\x20", "oversized"),
        (b"\0\0\0\0", "malformed"),
        (b"", "timeout"),
        (b"\0\0\0\x30\x93\x01", "timeout"),
    ],
)
async def test_a_hostile_server_costs_one_try_and_no_more(
    answer_with: Any, own: Own, identities: dict[str, Identity], said: bytes, reason: str
) -> None:
    port, _ = await answer_with(identities["host"].operational.tls, said)
    with pytest.raises(PeerError) as caught:
        await join(line_to(identities["host"], port), own, NOW, seconds=0.5)
    assert caught.value.reason == reason


async def test_a_host_that_hangs_up_or_is_not_there_says_why(
    answer_with: Any, own: Own, identities: dict[str, Identity]
) -> None:
    port, _ = await answer_with(identities["host"].operational.tls, b"", hangs_up=True)
    with pytest.raises(PeerUnreachable) as caught:
        await join(line_to(identities["host"], port), own, NOW)
    assert caught.value.reason == "cut-off"
    with pytest.raises(PeerUnreachable) as caught:
        await join(line_to(identities["host"], 9), own, NOW)
    assert caught.value.reason == "unreachable"


# --- what a guest may say -----------------------------------------------------------------------------

BEGUN = framed(encode_guest_opening(JoinBegun(bytes(32))))
SAID = encode_guest_introduced(GuestIntroduced(bytes(32), b"no card", bytes(4_691)))


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (b"\0\0\0\0", "malformed"),
        (framed(b"\xc1"), "malformed"),
        (framed(b"\x91\x07"), "malformed"),
        (framed(SAID), "malformed"),
        (framed(b"\x92\x01\xc5\x00\x20" + bytes(32)), "not-canonical"),
        (b"\0\1\0\1" + bytes(70_000), "oversized"),
        (BEGUN + BEGUN, "malformed"),
        (BEGUN + framed(encode_guest_opening(StateAsked())), "malformed"),
        (BEGUN + framed(SAID[:-1]), "malformed"),
        (BEGUN + framed(SAID + b"x"), "malformed"),
        (BEGUN + framed(SAID), "join-commitment"),
        (BEGUN + (4_199_040).to_bytes(4, "big") + b"\x94\x01\xc4\x20", "oversized"),
        (BEGUN + (1 << 20).to_bytes(4, "big") + b"\x93\x01\xc4\x20", "oversized"),
    ],
)
async def test_garbage_ends_the_conversation_is_counted_and_told(
    open_door: Any, come: Any, said: bytes, reason: str
) -> None:
    door = await open_door()
    reader, writer = await come(door.line)
    writer.write(said)
    if said.startswith(BEGUN):
        await read_message(reader, b"\x93\x01\xc4\x20")
    assert await read_message(reader) == b"\x92\x00" + bytes([0xA0 | len(reason)]) + reason.encode()
    writer.close()
    await door.counted(**{reason.replace("-", "_"): 1})
    assert door.behind.met == []


@pytest.mark.parametrize("says", [b"", b"\0", BEGUN[:-1], BEGUN, BEGUN + framed(SAID)[:-1]])
async def test_a_silent_or_slow_guest_is_cut(open_door: Any, come: Any, says: bytes) -> None:
    door = await open_door(replace(LIMITS, seconds=0.3))
    reader, writer = await come(door.line)
    writer.write(says)
    await all_of(reader)
    await door.counted(too_slow=1)


async def test_a_guest_that_hangs_up_is_counted_once(open_door: Any, come: Any) -> None:
    door = await open_door()
    _, writer = await come(door.line)
    writer.write(BEGUN[:5])
    writer.close()
    await door.counted(cut_off=1)


# --- a crowd ------------------------------------------------------------------------------------------


async def test_the_older_of_two_guests_of_one_invitation_makes_room(open_door: Any, come: Any) -> None:
    door = await open_door()
    guests = []
    for _ in range(3):
        guests.append(await come(door.line))
        guests[-1][1].write(BEGUN)
        await read_message(guests[-1][0], b"\x93\x01\xc4\x20")
    assert await all_of(guests[0][0]) == b""
    await door.counted(overtaken=1)


GUESTS_IN_A_FLOOD = 150  # run with 1,000 it takes ten seconds, and comes to the same


async def test_a_flood_of_guests_of_one_line_keeps_out_no_other_guest_and_no_partner(
    house: Any, open_door: Any, own: Own, host: Any, alpha: Any, hello: Any
) -> None:
    """From eight addresses, each with the beginning of a card file; beside them another invitation, a knock, and a partner."""

    class NothingNew:
        def own_version(self) -> int:
            return 1

        async def take_card(self, card_file: bytes) -> bool:
            return False

    door = await open_door(guests=NothingNew())
    host_card = door.behind.identity.card.raw
    other = replace(door.line, secret=Secret(b"another invitati"))
    host.gate.expect_knocks(host_card)
    host.gate.expect_invited([door.line.key().certificate, other.key().certificate])
    host.trusts(alpha)
    client = house.dial(alpha, host, door.port)
    assert await client.ask(HELLO, hello)
    at_once, context = 0, guest_context(door.line.key(), ())

    async def one_guest(number: int) -> None:
        with contextlib.suppress(OSError, ssl.SSLError):
            source = (f"127.0.7.{number % 8}", 0)
            _, writer = await asyncio.open_connection("127.0.0.1", door.port, ssl=context, local_addr=source)
            writer.write(BEGUN + (4 << 20).to_bytes(4, "big") + b"\x94\x01\xc4\x20" + bytes(10_000))
            await asyncio.sleep(0.05)
            cut(writer)

    flood = asyncio.gather(*(one_guest(number) for number in range(GUESTS_IN_A_FLOOD)))
    met = []
    while not flood.done():
        assert await client.ask(HELLO, hello)
        if not met:
            met.append(await join(other, own, NOW))
            await hand_card(replace(client.address, partner_id=host.partner_id), host_card, b"a card file")
        await asyncio.sleep(0.05)
        at_once = max(at_once, len(door.server._invited_door._guests))
    outcomes = door.server.guest_outcomes
    assert len(met) == 1 and at_once <= 3
    assert outcomes["joined"] == 1 and outcomes["nothing-new"] == 1
    assert outcomes["too-many-of-invitation"] > 50, "30 in a minute come in, the rest gets no byte"
    assert door.behind.begun <= 31


async def test_a_flood_of_knocks_keeps_out_no_guest_of_an_invitation(
    open_door: Any, own: Own, host: Any
) -> None:
    class Silent:
        def own_version(self) -> int:
            return 1

    door = await open_door(guests=Silent())
    host_card = door.behind.identity.card.raw
    host.gate.expect_knocks(host_card)
    context = guest_context(knock_key(host_card), [host.certificate])
    knocking = [
        await asyncio.open_connection(
            "127.0.0.1", door.port, ssl=context, local_addr=(f"127.0.9.{number}", 0)
        )
        for number in range(1, 9)
    ]
    met = await join(door.line, own, NOW)
    assert door.behind.met == [met.words]
    for _, writer in knocking:
        cut(writer)
