"""Knocks of strangers at whole nodes: who is accepted is linked by its card, and a flood costs a bounded number of rows and checks."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import ssl
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from running_nodes import Partner, eventually
from whole_nodes import befriend

from p2pshare.daemon import driver as driver_module
from p2pshare.daemon import knocks as knocks_module
from p2pshare.envelope.card import fingerprint
from p2pshare.envelope.guest import knock_key
from p2pshare.envelope.keys import create_identity, reissue_card
from p2pshare.envelope.knock import decode_greeting, encode_knock, place_asked
from p2pshare.operations.pending import AcceptPending, ListPending
from p2pshare.partners.pending import PENDING_PER_GROUP_MAX, PendingPartners
from p2pshare.peering.guest_door import GUESTS_PER_ADDRESS_PER_MINUTE_MAX, GUESTS_PER_MINUTE_MAX
from p2pshare.peering.tls import guest_context
from p2pshare.queries.status import partner_rows
from p2pshare.sharing import pending as pending_rules


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[tuple[Partner, Partner]]:
    """alpha trusts bravo, and bravo does not know alpha; neither runs."""
    alpha, bravo = Partner(tmp_path, "alpha"), Partner(tmp_path, "bravo")
    await alpha.write(befriend, alpha.node, bravo.node, now=int(time.time()))
    yield alpha, bravo
    for partner in (alpha, bravo):
        await partner.end()


def state(partner: Partner) -> str:
    """The state of its one link, in a word."""
    assert partner.driver is not None
    link = partner.driver.peer_states()
    partner.node.live = replace_links(partner.node.live, link)
    [row] = partner_rows(partner.node, int(time.time()))
    return row.state


def replace_links(live: Any, links: Any) -> Any:
    from p2pshare.node.node import Door, Live

    return replace(live, links=links) if live is not None else Live(links, Door(0, {}))


def shown(partner: Partner) -> list[Any]:
    return ListPending().run(partner.node, int(time.time()), lambda *_: None).each


async def accept(host: Partner, guest: Partner) -> None:
    partner_id = guest.node.identity.partner_id
    request = AcceptPending(partner_id.text, fingerprint=fingerprint(partner_id), alias="alpha")
    await host.write(request.run, host.node, int(time.time()), lambda *_: None)


async def test_one_that_can_only_dial_is_linked_by_its_next_knock(
    pair: tuple[Partner, Partner], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(knocks_module, "ASKING_PAUSES", ((86_400, 0.5),))
    monkeypatch.setattr(driver_module, "KNOCKS_LOOK_SECONDS", 0.2)
    alpha, bravo = pair
    alpha.node = replace(alpha.node, identity=reissue_card(alpha.node.identity, int(time.time()), urls=[]))
    await bravo.start()
    await alpha.start()
    await eventually(lambda: len(shown(bravo)) == 1, "bravo shows alpha")
    assert (shown(bravo)[0].name, shown(bravo)[0].url, shown(bravo)[0].address) == ("alpha", "", "127.0.0.1")
    await eventually(lambda: state(alpha) == "not-accepted-yet", "alpha is told so")
    await accept(bravo, alpha)
    await eventually(lambda: state(alpha) == "connected", "linked by the next knock")
    await alpha.publish("by-a-knock.example", to=["bravo"])
    await eventually(lambda: bravo.knows("by-a-knock.example"), "and they talk")
    assert bravo.server is not None and bravo.server.guest_outcomes["card-taken"] == 1


async def test_one_that_can_be_dialled_is_linked_at_once(
    pair: tuple[Partner, Partner], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(knocks_module, "ASKING_PAUSES", ((86_400, 86_400.0),))
    alpha, bravo = pair
    await bravo.start()
    await alpha.start()
    await eventually(lambda: len(shown(bravo)) == 1, "bravo shows alpha")
    await accept(bravo, alpha)
    assert bravo.driver is not None
    bravo.driver.fetch_awaited()
    await eventually(lambda: state(alpha) == "connected", "linked without another knock")


async def test_an_address_that_somebody_else_claims_for_an_accepted_id_gives_no_card(
    pair: tuple[Partner, Partner],
) -> None:
    """mallory knocks under alpha's id, with a certificate of its own, and sends bravo to where it listens itself."""
    alpha, bravo = pair
    await bravo.start()
    came: list[bytes] = []
    mallory = create_identity("alpha", [], int(time.time()))
    alpha_id = alpha.node.identity.partner_id
    from p2pshare.envelope.certificate import TlsKey
    from p2pshare.http_server.tls import load_own_key

    key = TlsKey.generate(alpha_id, int(time.time()), 1)  # names alpha: anybody can make it
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    load_own_key(context, key.certificate, key.secret().reveal())

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came.append(await reader.readuntil(b"\r\n\r\n"))
        raw = mallory.card.raw
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(raw) + raw)
        await writer.drain()
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    async with at_the_door(bravo) as (reader, writer, nonce):
        host = bravo.node.identity.partner_id
        place = place_asked(alpha_id, "alpha", f"https://127.0.0.1:{port}", key, host=host, nonce=nonce)
        await say(reader, writer, encode_knock(place))
    await accept(bravo, alpha)
    assert bravo.driver is not None
    bravo.driver.fetch_awaited()
    await eventually(lambda: came, "it was dialled")
    await asyncio.sleep(0.3)
    assert bravo.node.store.partners.all() == [], "and what it handed over made nobody a partner"
    await alpha.start()
    bravo.driver.fetch_awaited()
    await eventually(
        lambda: [row.partner_id for row in bravo.node.store.partners.all()] == [alpha_id], "alpha is"
    )
    server.close()


@contextlib.asynccontextmanager
async def at_the_door(host: Partner, source: str = "127.0.0.1", context: Any = None) -> AsyncIterator[Any]:
    context = context or guest_context(knock_key(host.node.card.raw), host.node.card.tls_certificates)
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", host.port, ssl=context, local_addr=(source, 0)
    )
    try:
        raw = await reader.readexactly(int.from_bytes(await reader.readexactly(4), "big"))
        yield reader, writer, decode_greeting(raw).nonce
    finally:
        writer.transport.abort()


async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, message: bytes) -> None:
    writer.write(len(message).to_bytes(4, "big") + message)
    with contextlib.suppress(OSError):
        await reader.read()


async def test_a_thousand_knocks_cost_a_bounded_number_of_checks_and_rows_and_keep_no_partner_out(
    pair: tuple[Partner, Partner], monkeypatch: pytest.MonkeyPatch
) -> None:
    """From twenty networks with our card, as fast as they can; strangers among them, without it, get no byte."""
    alpha, bravo = pair
    await bravo.write(befriend, bravo.node, alpha.node, now=int(time.time()))
    checked, noted = [], []
    check, note = pending_rules.check_place, PendingPartners.note
    monkeypatch.setattr(pending_rules, "check_place", lambda *a, **k: checked.append(1) or check(*a, **k))
    monkeypatch.setattr(PendingPartners, "note", lambda *a: noted.append(1) or note(*a))
    await bravo.start()
    await alpha.start()
    host = bravo.node.identity.partner_id
    context = guest_context(knock_key(bravo.node.card.raw), bravo.node.card.tls_certificates)
    who = [create_identity(f"guest {number}", [], int(time.time())) for number in range(4)]
    heard = {"guests": 0, "strangers": 0}

    async def one(number: int) -> None:
        with contextlib.suppress(OSError, ssl.SSLError, asyncio.IncompleteReadError):
            async with at_the_door(bravo, f"127.1.{number % 20}.1", context) as (reader, writer, nonce):
                heard["guests"] += 1
                guest = who[number % len(who)]
                key = guest.operational.tls
                place = place_asked(guest.partner_id, f"guest {number}", "", key, host=host, nonce=nonce)
                await say(reader, writer, encode_knock(place))

    async def stranger() -> None:
        anyone = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        anyone.check_hostname, anyone.verify_mode = False, ssl.CERT_NONE
        with contextlib.suppress(OSError, ssl.SSLError):
            reader, writer = await asyncio.open_connection("127.0.0.1", bravo.port, ssl=anyone)
            writer.write(b"GET / HTTP/1.1\r\n\r\n")
            with contextlib.suppress(OSError):
                heard["strangers"] += len(await reader.read())
            writer.transport.abort()

    knocks = [asyncio.create_task(one(number)) for number in range(1_000)]
    knocks += [asyncio.create_task(stranger()) for _ in range(10)]
    for number in range(3):
        await alpha.publish(f"in-the-flood-{number}.example", to=["bravo"])
    await eventually(
        lambda: all(bravo.knows(f"in-the-flood-{number}.example") for number in range(3)), "bravo reads on"
    )
    await asyncio.gather(*knocks)
    gc.collect()  # what failed in a handshake hangs in circles: it ends while the loop is there
    await asyncio.sleep(0.1)
    assert 0 < len(noted) <= len(checked) <= heard["guests"] <= GUESTS_PER_MINUTE_MAX
    assert heard["strangers"] == 0
    assert bravo.server is not None
    outcomes = bravo.server.guest_outcomes  # who was overtaken is counted so, and its row may stand
    assert 0 < outcomes["place-taken"] <= len(noted)
    rows = bravo.node.store.pending.all()
    assert len(rows) == len({row.partner_id for row in rows}) == len(who), (
        "one row a guest, wherever it came from"
    )


async def test_one_network_has_four_places_however_many_ids_it_makes(pair: tuple[Partner, Partner]) -> None:
    _, bravo = pair
    await bravo.start()
    host = bravo.node.identity.partner_id
    for number in range(GUESTS_PER_ADDRESS_PER_MINUTE_MAX):
        guest = create_identity(f"guest {number}", [], int(time.time()))
        key = guest.operational.tls
        async with at_the_door(bravo) as (reader, writer, nonce):
            place = place_asked(guest.partner_id, f"guest {number}", "", key, host=host, nonce=nonce)
            await say(reader, writer, encode_knock(place))
    rows = shown(bravo)
    assert len(rows) == PENDING_PER_GROUP_MAX
    assert "guest 11" in {row.name for row in rows}, "the newcomer always finds a place"
