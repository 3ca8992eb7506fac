"""Who gets through the door (P10), to whom our certificate is shown (P11), how a partner leaves (P12)."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
import ssl
import subprocess

import pytest

from p2pshare.errors import PeerError
from p2pshare.gossip.protocol import HELLO
from p2pshare.peering import tls
from p2pshare.peering.client import PeerAddress, PeerClient
from p2pshare.peering.faults import PeerUnreachable
from p2pshare.peering.interface import DoorLimits

REQUEST = b"GET /v1/card HTTP/1.1\r\nHost: x\r\n\r\n"


async def say(port: int, raw: bytes, context: ssl.SSLContext | None = None) -> bytes:
    """What the server answers to `raw`, over TLS when there is a context; empty when it only hangs up."""
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    except (OSError, ssl.SSLError):
        return b""
    try:
        writer.write(raw)
        async with asyncio.timeout(5):
            return await reader.read(65536)
    except OSError:
        return b""
    finally:
        writer.transport.abort()


async def settled(server, refused: int) -> None:
    """Waits until the server has counted `refused` handshakes."""
    async with asyncio.timeout(5):
        while server.handshakes_refused < refused:
            await asyncio.sleep(0.005)


async def assert_refused_before_http(server, reason: str) -> None:
    await settled(server, 1)
    assert server.tally.handshakes_refused == {reason: 1}
    assert server.requests_seen == 0
    assert server.tally.connections_admitted == 0


# --- P10: nobody unknown reaches HTTP ---------------------------------------------------------------


async def test_unknown_client_is_refused_in_the_handshake(house, make_party, bravo):
    server, port = await house.serve(bravo)
    mallory = make_party("mallory")
    assert await say(port, REQUEST, mallory.gate.client_context([bravo.certificate])) == b""
    await assert_refused_before_http(server, "unknown-certificate")


async def test_client_with_a_pinned_name_but_another_key_is_refused(house, make_party, bravo):
    server, port = await house.serve(bravo)
    impostor = make_party("alpha")
    assert await say(port, REQUEST, impostor.gate.client_context([bravo.certificate])) == b""
    await assert_refused_before_http(server, "unknown-certificate")


async def test_client_without_a_certificate_is_refused(house, bravo, anyone_context):
    server, port = await house.serve(bravo)
    assert await say(port, REQUEST, anyone_context) == b""
    await assert_refused_before_http(server, "no-certificate")


@pytest.mark.parametrize(("from_days", "to_days"), [(-10, -0.01), (1, 10)])
async def test_expired_or_not_yet_valid_pinned_certificate_is_refused(
    house, make_party, bravo, forge_certificate, from_days, to_days
):
    late = make_party("late", forge_certificate("late", from_days=from_days, to_days=to_days).key)
    bravo.trusts(late)
    server, port = await house.serve(bravo)
    assert await say(port, REQUEST, late.gate.client_context([bravo.certificate])) == b""
    await assert_refused_before_http(server, "unknown-certificate")


async def test_tls_1_2_is_refused(house, alpha, bravo):
    server, port = await house.serve(bravo)
    context = alpha.gate.client_context([bravo.certificate])
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    assert await say(port, REQUEST, context) == b""
    await assert_refused_before_http(server, "old-tls")


@pytest.mark.parametrize(
    "raw", [REQUEST, b"\x00" * 4096, bytes(range(256)) * 64, b"\x16\x03\x01\xff\xff" + b"A" * 70_000]
)
async def test_what_is_not_tls_is_refused(house, bravo, raw):
    server, port = await house.serve(bravo)
    answer = await say(port, raw)
    assert b"HTTP" not in answer
    await settled(server, 1)
    assert server.requests_seen == 0


async def test_hanging_up_before_and_during_the_handshake_is_counted(house, bravo):
    server, port = await house.serve(bravo)
    for raw in (b"", b"\x16\x03\x01"):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(raw)
        writer.close()
    await settled(server, 2)
    assert server.tally.handshakes_refused == {"hung-up": 2}


async def test_a_silent_connection_ends_at_the_handshake_timeout(house, bravo):
    server, port = await house.serve(bravo, limits=DoorLimits(handshake_seconds=0.2))
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    with contextlib.suppress(ConnectionResetError):
        assert await reader.read() == b""
    await settled(server, 1)
    assert server.tally.handshakes_refused == {"handshake-timeout": 1}
    writer.close()


async def test_a_pinned_issuer_is_refused_at_adding(make_party, bravo, forge_certificate):
    evil = forge_certificate("evil", ca=True)
    with pytest.raises(PeerError) as error:
        bravo.trusts(make_party("evil", evil.key))
    assert error.value.reason == "bad-certificate"


async def test_a_minted_client_passes_the_handshake_of_a_pinned_issuer_and_is_still_refused(
    house, make_party, bravo, forge_certificate, monkeypatch
):
    """The second check alone: the first one (refusal at adding) is switched off."""
    monkeypatch.setattr(tls, "check_anchor", lambda certificate: None)
    evil = forge_certificate("evil", ca=True)
    bravo.trusts(make_party("evil", evil.key))
    server, port = await house.serve(bravo)
    minted = make_party("alpha", forge_certificate("alpha", issuer=evil).key)
    assert await say(port, REQUEST, minted.gate.client_context([bravo.certificate])) == b""
    await assert_refused_before_http(server, "not-pinned")


async def test_a_minted_client_is_refused_when_its_issuer_is_a_proper_leaf(
    house, make_party, bravo, forge_certificate
):
    evil = forge_certificate("evil")
    bravo.trusts(make_party("evil", evil.key))
    server, port = await house.serve(bravo)
    minted = make_party("alpha", forge_certificate("alpha", issuer=evil).key)
    assert await say(port, REQUEST, minted.gate.client_context([bravo.certificate])) == b""
    await assert_refused_before_http(server, "unknown-certificate")


async def test_a_certificate_with_an_rsa_key_is_refused_at_adding(make_party, bravo, forge_certificate):
    with pytest.raises(PeerError) as error:
        bravo.trusts(make_party("rsa", forge_certificate("rsa", rsa_bits=2048).key))
    assert error.value.reason == "bad-certificate"


async def test_no_session_can_be_resumed(house, alpha, bravo):
    _, port = await house.serve(bravo)
    context = alpha.gate.client_context([bravo.certificate])
    context.options &= ~ssl.OP_NO_TICKET

    def ask() -> tuple[bool, bytes]:
        with socket.create_connection(("127.0.0.1", port)) as plain, context.wrap_socket(plain) as secure:
            secure.sendall(REQUEST)
            answer = secure.recv(65536)
            assert secure.session is not None
            return secure.session.has_ticket, answer

    has_ticket, answer = await asyncio.to_thread(ask)
    assert answer.startswith(b"HTTP/1.1 200")
    assert not has_ticket


async def test_a_stranger_is_not_told_whom_we_know(house, bravo):
    """The list of acceptable issuers in a CertificateRequest would name every partner."""
    if shutil.which("openssl") is None:
        pytest.skip("skipped: openssl not installed")
    _, port = await house.serve(bravo)
    shown = await asyncio.to_thread(
        subprocess.run,
        ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-tls1_3"],
        input=b"",
        capture_output=True,
        check=False,
        timeout=20,
    )
    assert b"No client certificate CA names sent" in shown.stdout
    assert b"alpha" not in shown.stdout


# --- P11: our certificate is shown to the right server only -----------------------------------------


def bytes_after_the_server_spoke(listening: socket.socket, context: ssl.SSLContext) -> int:
    """Serves one handshake by hand, up to our flight; counts all that the client says from then on."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = context.wrap_bio(incoming, outgoing, server_side=True)
    connection, _ = listening.accept()
    with connection:
        connection.settimeout(5)
        while not outgoing.pending:
            incoming.write(connection.recv(65536))
            with contextlib.suppress(ssl.SSLWantReadError):
                server.do_handshake()
        connection.sendall(outgoing.read())
        count = 0
        with contextlib.suppress(OSError):
            connection.settimeout(0.5)
            while piece := connection.recv(65536):
                count += len(piece)
    return count


@pytest.mark.parametrize("is_impostor", [True, False])
async def test_our_certificate_is_sent_to_the_right_server_and_never_to_an_impostor(
    alpha, bravo, make_party, hello, is_impostor
):
    server = make_party("bravo") if is_impostor else bravo
    server.trusts(alpha)
    listening = socket.create_server(("127.0.0.1", 0))
    counting = asyncio.create_task(
        asyncio.to_thread(bytes_after_the_server_spoke, listening, server.gate.server_context())
    )
    url = f"https://localhost:{listening.getsockname()[1]}"
    client = PeerClient(alpha.gate, PeerAddress(bravo.partner_id, url, (bravo.certificate,)))
    with pytest.raises(PeerUnreachable) as error:
        await client.ask(HELLO, hello)
    count = await counting
    await client.close()
    listening.close()
    if is_impostor:
        assert error.value.reason == "other-certificate"
        assert count < 64  # an alert at most
    else:
        assert count > len(alpha.certificate)


async def test_a_minted_server_is_cut_by_the_clients_exact_check(
    house, alpha, make_party, forge_certificate, hello, monkeypatch
):
    monkeypatch.setattr(tls, "check_anchor", lambda certificate: None)
    evil = forge_certificate("bravo", ca=True)
    bravo = make_party("bravo", evil.key)
    minted = make_party("minted", forge_certificate("minted", issuer=evil).key)
    minted.trusts(alpha)
    server, port = await house.serve(minted)
    with pytest.raises(PeerUnreachable):
        await house.dial(alpha, bravo, port).ask(HELLO, hello)
    assert server.requests_seen == 0


async def test_a_client_context_trusts_one_partner_only(house, alpha, bravo, make_party, hello):
    charlie = make_party("charlie")
    charlie.trusts(alpha)
    alpha.trusts(charlie)
    _, port = await house.serve(charlie)
    with pytest.raises(PeerUnreachable) as error:
        await house.dial(alpha, bravo, port).ask(HELLO, hello)
    alpha.gate.remove(charlie.partner_id)
    assert error.value.reason == "other-certificate"


async def test_a_partner_that_does_not_know_us_says_so(house, bravo, make_party, hello):
    """asyncio hangs up without OpenSSL's last word: who is not let in could not tell it from a broken line."""
    server, port = await house.serve(bravo)
    client = house.dial(make_party("stranger"), bravo, port)
    for _ in range(20):
        with pytest.raises(PeerUnreachable) as error:
            await client.ask(HELLO, hello)
        assert error.value.reason == "certificate-refused"
    assert server.tally.handshakes_refused == {"unknown-certificate": 20}


async def test_who_is_let_in_later_is_no_longer_told_so(house, bravo, make_party, hello):
    server, port = await house.serve(bravo)
    newcomer = make_party("newcomer")
    client = house.dial(newcomer, bravo, port)
    with pytest.raises(PeerUnreachable):
        await client.ask(HELLO, hello)
    bravo.trusts(newcomer)
    assert await client.ask(HELLO, hello)
    await server.stop()
    with pytest.raises(PeerUnreachable) as error:
        await client.ask(HELLO, hello)
    assert error.value.reason == "unreachable"


@pytest.mark.parametrize("says", [bytes.fromhex("15030300020230"), b"", b"\x16\x03\x03\x00\x01\x02"])
async def test_nobody_on_the_way_can_say_that_a_partner_does_not_know_us(alpha, bravo, hello, says):
    """The alert `unknown_ca` in the clear, before the server has proved its certificate: anybody could send it."""

    async def impostor(reader, writer):
        await reader.read(1)
        writer.write(says)
        writer.close()

    server = await asyncio.start_server(impostor, "127.0.0.1", 0)
    url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    client = PeerClient(alpha.gate, PeerAddress(bravo.partner_id, url, (bravo.certificate,)))
    with pytest.raises(PeerUnreachable) as error:
        await client.ask(HELLO, hello)
    assert error.value.reason in ("tls", "unreachable")
    await client.close()
    server.close()


async def test_a_line_that_was_hung_up_while_a_request_was_made_ready_is_cut_off_and_no_bug(
    house, alpha, bravo, hello
):
    """A new certificate of ours ends every line; a request that has its client by then, and reads what it will send, meets it."""
    _, port = await house.serve(bravo)
    client = house.dial(alpha, bravo, port)
    assert await client.ask(HELLO, hello)
    await client.close()
    with pytest.raises(PeerUnreachable) as error:
        await client.ask(HELLO, hello)
    assert error.value.reason == "cut-off"


# --- P12, and adding without a restart --------------------------------------------------------------


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"], ids=["without-sni", "with-sni"])
async def test_a_partner_added_is_let_in_without_a_restart(house, bravo, make_party, hello, host):
    _, port = await house.serve(bravo)
    newcomer = make_party("newcomer")
    with pytest.raises(PeerUnreachable):
        await house.dial(newcomer, bravo, port, host=host).ask(HELLO, hello)
    bravo.trusts(newcomer)
    assert await house.dial(newcomer, bravo, port, host=host).ask(HELLO, hello)


async def test_a_removed_partner_is_out_at_its_next_request_on_a_live_connection(
    house, alpha, bravo, make_exchange, open_wire
):
    """The per-request check alone: nobody told the server to cut the connection."""
    exchange = make_exchange()
    server, port = await house.serve(bravo, exchange)
    wire = await open_wire(alpha, bravo, port)
    await wire.send(REQUEST)
    assert (await wire.answer())[0] == 200
    bravo.gate.remove(alpha.partner_id)
    await wire.send(REQUEST)
    assert await wire.closed()
    assert len(exchange.calls) == 1
    assert server.tally.take_refused() == {(alpha.partner_id, "no-longer-pinned"): 1}


async def test_dropping_a_partner_cuts_what_it_is_doing_and_keeps_it_out(
    house, alpha, bravo, make_exchange, hello
):
    server, port = await house.serve(bravo, make_exchange(delay_seconds=30))
    client = house.dial(alpha, bravo, port)
    asking = asyncio.create_task(client.ask(HELLO, hello))
    async with asyncio.timeout(5):
        while not server.requests_seen:
            await asyncio.sleep(0.005)
    server.drop(alpha.partner_id)
    with pytest.raises(PeerUnreachable):
        await asking
    with pytest.raises(PeerUnreachable):
        await client.ask(HELLO, hello)
    assert server.requests_seen == 1
    assert server.tally.handshakes_refused == {"unknown-certificate": 1}


async def test_a_partner_removed_during_its_handshake_gets_no_further(house, alpha, bravo, open_wire):
    server, port = await house.serve(bravo)
    original = bravo.gate.partner_of

    def removed_meanwhile(pin):
        bravo.gate.remove(alpha.partner_id)
        return original(pin)

    bravo.gate.partner_of = removed_meanwhile
    wire = await open_wire(alpha, bravo, port)
    assert await wire.closed()
    assert server.requests_seen == 0


async def test_dropping_one_partner_leaves_the_others_connected(house, alpha, bravo, make_party, open_wire):
    charlie = make_party("charlie")
    bravo.trusts(charlie)
    server, port = await house.serve(bravo)
    wire = await open_wire(charlie, bravo, port)
    await wire.send(REQUEST)
    await wire.answer()
    server.drop(alpha.partner_id)
    await wire.send(REQUEST)
    assert (await wire.answer())[0] == 200


# --- the table of pins ------------------------------------------------------------------------------


async def test_a_certificate_that_two_partners_claim_is_pinned_for_neither(
    house, alpha, bravo, make_party, open_wire
):
    """Whoever came first had it: the other was locked out, or its requests counted as the first one's."""
    thief = make_party("thief")
    server, port = await house.serve(bravo)
    wire = await open_wire(alpha, bravo, port)
    bravo.gate.add(thief.partner_id, [thief.certificate, alpha.certificate])
    assert bravo.gate.partner_of(tls.pin_of(alpha.certificate)) is None
    assert bravo.gate.partner_of(tls.pin_of(thief.certificate)) == thief.partner_id
    assert bravo.gate.uncontested([thief.certificate, alpha.certificate]) == (thief.certificate,)
    await wire.send(REQUEST)
    assert await wire.closed(), "a connection from before"
    assert await say(port, REQUEST, alpha.gate.client_context([bravo.certificate])) == b""
    assert server.requests_seen == 0
    bravo.gate.add(thief.partner_id, [thief.certificate])
    assert bravo.gate.partner_of(tls.pin_of(alpha.certificate)) == alpha.partner_id
    assert await say(port, REQUEST, alpha.gate.client_context([bravo.certificate])) != b""


async def test_our_own_certificate_is_pinned_for_nobody(bravo, make_party):
    thief = make_party("thief")
    bravo.gate.add(thief.partner_id, [thief.certificate, bravo.certificate])
    assert bravo.gate.partner_of(tls.pin_of(bravo.certificate)) is None
    assert bravo.gate.uncontested([thief.certificate, bravo.certificate]) == (thief.certificate,)
    bravo.gate.remove(thief.partner_id)
    assert bravo.gate.partner_of(tls.pin_of(thief.certificate)) is None


async def test_a_certificate_with_everything_but_the_key_of_another_shuts_nobody_out(
    house, alpha, bravo, make_party, copy_certificate
):
    """OpenSSL finds an anchor by its subject: two with one subject, serial number and key identifier are told apart."""
    server, port = await house.serve(bravo)
    bravo.gate.add(make_party("thief").partner_id, [copy_certificate(alpha.certificate)])
    assert await say(port, REQUEST, alpha.gate.client_context([bravo.certificate])) != b""
    assert server.requests_seen == 1


@pytest.mark.parametrize("count", [0, 3])
async def test_a_partner_has_one_or_two_certificates(bravo, make_party, count):
    charlie = make_party("charlie")
    with pytest.raises(PeerError):
        bravo.gate.add(charlie.partner_id, [make_party(str(n)).certificate for n in range(count)])


@pytest.mark.parametrize(
    "spoil", [lambda der: der[:-1], lambda der: der + b"\0", lambda der: b"", bytes.upper]
)
async def test_an_unreadable_certificate_is_refused_and_the_others_still_get_in(
    house, alpha, bravo, make_party, hello, spoil
):
    charlie = make_party("charlie")
    with pytest.raises(PeerError) as error:
        bravo.gate.add(charlie.partner_id, [spoil(charlie.certificate)])
    assert error.value.reason == "bad-certificate"
    _, port = await house.serve(bravo)
    assert await house.dial(alpha, bravo, port).ask(HELLO, hello)


async def test_both_certificates_of_a_rotating_partner_are_let_in_and_the_old_one_goes(
    house, bravo, make_party, hello
):
    """Same subject name on both, so that OpenSSL must find the right one by more than its name."""
    old, new = make_party("charlie"), make_party("charlie")
    bravo.gate.add(old.partner_id, [old.certificate, new.certificate])
    _, port = await house.serve(bravo)
    for party in (old, new):
        assert await house.dial(party, bravo, port).ask(HELLO, hello)
    bravo.gate.add(old.partner_id, [new.certificate])
    assert await house.dial(new, bravo, port).ask(HELLO, hello)
    with pytest.raises(PeerUnreachable):
        await house.dial(old, bravo, port).ask(HELLO, hello)


async def test_a_client_dials_a_rotating_partner_under_either_certificate(house, alpha, make_party, hello):
    old, new = make_party("bravo"), make_party("bravo")
    for party in (old, new):
        party.trusts(alpha)
        _, port = await house.serve(party)
        address = PeerAddress(old.partner_id, f"https://127.0.0.1:{port}", (old.certificate, new.certificate))
        client = PeerClient(alpha.gate, address)
        assert await client.ask(HELLO, hello)
        await client.close()


async def test_the_private_key_reaches_openssl_without_a_file(make_party, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    before = set(os.listdir("/proc/self/fd"))
    opened: list[str] = []
    real_open = os.open
    monkeypatch.setattr(
        os, "open", lambda path, *rest, **kw: opened.append(path) or real_open(path, *rest, **kw)
    )
    make_party("alpha")
    assert not list(tmp_path.iterdir())
    assert not opened
    assert len(os.listdir("/proc/self/fd")) <= len(before)


async def test_hundreds_of_partners_share_one_door(house, bravo, make_party, hello):
    parties = [make_party(f"partner {number % 3}") for number in range(40)]
    for number, party in enumerate(parties):
        party.partner_id = type(party.partner_id)(number.to_bytes(32, "big"))
        bravo.trusts(party)
    server, port = await house.serve(bravo)
    for party in parties[::13]:
        assert await house.dial(party, bravo, port).ask(HELLO, hello)
    assert server.handshakes_refused == 0


async def test_another_certificate_is_shown_from_the_next_handshake_on(house, make_party, alpha, bravo):
    """A rotation of bravo's: who has pinned both certificates of its card gets in before and after."""
    _, port = await house.serve(bravo)
    renewed = make_party("bravo")
    both = [bravo.certificate, renewed.certificate]
    assert (await say(port, REQUEST, alpha.gate.client_context(both))).startswith(b"HTTP/1.1 200")
    assert bravo.gate.show(renewed.key, both)
    assert not bravo.gate.show(renewed.key, both)
    assert await say(port, REQUEST, alpha.gate.client_context([bravo.certificate])) == b""
    assert (await say(port, REQUEST, alpha.gate.client_context(both))).startswith(b"HTTP/1.1 200")


async def test_no_certificate_of_our_own_card_is_pinned_for_a_partner(make_party, alpha, bravo):
    older = make_party("bravo")
    bravo.gate.show(bravo.key, [bravo.certificate, older.certificate])
    bravo.gate.add(alpha.partner_id, [older.certificate])
    assert bravo.gate.uncontested([older.certificate]) == ()
    assert bravo.gate.partner_of(tls.pin_of(older.certificate)) is None
