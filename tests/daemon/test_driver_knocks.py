"""Knocking between whole nodes: real keys, real TLS on loopback, real SQLite. A certificate changed while a partner was away."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from running_nodes import Partner, eventually
from whole_nodes import befriend

from p2pshare.envelope.card_format import CardBody, Revocation, encode_versions, sign_card
from p2pshare.envelope.keys import Identity, create_identity, generate_operational_keys, reissue_card
from p2pshare.envelope.knock import KnockGreeting, encode_card_given, encode_greeting
from p2pshare.gossip.link import Link
from p2pshare.http_server.tls import load_own_key
from p2pshare.operations.pending import ListPending
from p2pshare.partners.interface import NOT_ACCEPTED_YET, OTHER_CERTIFICATE, REMOVED_BY_PARTNER, ClosedDoor
from p2pshare.peering.client import PeerAddress, PeerClient
from p2pshare.peering.faults import PeerUnreachable
from p2pshare.peering.frames import read_message, write_message
from p2pshare.peering.knocking import ask_card, hand_card
from p2pshare.peering.tls import TlsGate
from p2pshare.queries.alarms import NOT_LET_IN, alarms
from p2pshare.queries.doctor import examine_node
from p2pshare.queries.status import partner_rows
from p2pshare.sharing.partners import remove_partner

Pair = tuple[Partner, Partner]


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[Pair]:
    """alpha and bravo, linked; neither runs."""
    alpha, bravo = Partner(tmp_path, "alpha"), Partner(tmp_path, "bravo")
    for one, other in ((alpha, bravo), (bravo, alpha)):
        await one.write(befriend, one.node, other.node, now=int(time.time()))
    yield alpha, bravo
    for partner in (alpha, bravo):
        await partner.end()


def revoked(identity: Identity, name: str = "ALPHA AGAIN") -> Identity:
    """The identity after `card revoke`: new keys and a new certificate, the old ones are gone from the card."""
    now = int(time.time())
    key_id = identity.operational.sign.key_id
    fresh = generate_operational_keys(identity.partner_id, now)
    revocation = Revocation(key_id, now - 3_600, 1, bytes(32))
    made = reissue_card(identity, now, name=name, operational=fresh, revoked=[revocation])
    assert made.card.tls_certificates == (fresh.tls.certificate,)
    return made


def revoke(partner: Partner) -> None:
    partner.node = replace(partner.node, identity=revoked(partner.node.identity))


def id_of(partner: Partner) -> Any:
    return partner.node.identity.partner_id


def door(partner: Partner, other: Partner) -> ClosedDoor | None:
    """What the partner has noted of the other's door."""
    return partner.node.store.partners.closed_doors().get(id_of(other))


def trouble(partner: Partner, other: Partner) -> str:
    assert partner.driver is not None
    return partner.driver.peer_states()[id_of(other)].last_error


async def met(alpha: Partner, bravo: Partner) -> None:
    """Both run, have talked, and stop."""
    for partner in (alpha, bravo):
        await partner.start()
    for one, other in ((alpha, bravo), (bravo, alpha)):
        await eventually(lambda one=one, other=other: trouble(one, other) == "", "no trouble")  # type: ignore[misc]
    await alpha.publish("before.example", to=["bravo"])
    await eventually(lambda: bravo.knows("before.example"), "they talk")
    await eventually(lambda: alpha.pending() == 0, "and alpha hears of it")
    for partner in (alpha, bravo):
        await partner.stop()


async def talk(alpha: Partner, bravo: Partner) -> None:
    """Something goes over the link in each direction."""
    await alpha.publish("from-alpha.example", to=["bravo"])
    await bravo.publish("from-bravo.example", to=["alpha"])
    await eventually(lambda: bravo.knows("from-alpha.example"), "bravo hears alpha")
    await eventually(lambda: alpha.knows("from-bravo.example"), "alpha hears bravo")


async def dial_only(partner: Partner, other: Partner) -> None:
    """Take the partner's address off its card, as if it could only dial out."""
    identity = reissue_card(partner.node.identity, int(time.time()), urls=[])
    partner.node = replace(partner.node, identity=identity)
    await other.write(befriend, other.node, partner.node, now=int(time.time()))


@pytest.mark.parametrize("who_dials", ["both", "who changed", "the other"])
async def test_a_partner_that_was_away_while_a_certificate_was_revoked_is_linked_again_by_a_knock(
    pair: Pair, who_dials: str
) -> None:
    alpha, bravo = pair
    if who_dials == "who changed":
        await dial_only(alpha, bravo)
    if who_dials == "the other":
        await dial_only(bravo, alpha)
    await met(alpha, bravo)
    revoke(alpha)
    version = alpha.node.card.version
    assert bravo.card_version(alpha) == version - 1
    await alpha.start()
    await bravo.start()
    await eventually(lambda: bravo.card_version(alpha) == version, "bravo has the card")
    await talk(alpha, bravo)
    for one, other in ((alpha, bravo), (bravo, alpha)):
        await eventually(lambda one=one, other=other: door(one, other) is None, "no door is closed")  # type: ignore[misc]
    assert alpha.server is not None and bravo.server is not None
    taken, given = bravo.server.guest_outcomes["card-taken"], alpha.server.guest_outcomes["card-given"]
    assert taken + given >= 1
    if who_dials != "both":
        assert (taken > 0, given > 0) == (who_dials == "who changed", who_dials == "the other")


async def test_a_knock_that_was_heard_ends_the_pause_before_the_next_try(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pauses of a link that has failed for long are minutes; with the card handed over there is nothing to wait for."""
    alpha, bravo = pair
    await dial_only(alpha, bravo)
    await met(alpha, bravo)
    revoke(alpha)
    monkeypatch.setattr(Link, "back_off", lambda link, now, random: setattr(link, "retry_at", now + 300.0))
    await bravo.start()
    await alpha.start()
    await talk(alpha, bravo)


async def test_both_changed_while_they_were_apart(pair: Pair) -> None:
    alpha, bravo = pair
    await met(alpha, bravo)
    revoke(alpha)
    revoke(bravo)
    await alpha.start()
    await bravo.start()
    await talk(alpha, bravo)


async def test_a_partner_that_removed_us_is_told_so_and_knocked_at_once_a_day(pair: Pair) -> None:
    alpha, bravo = pair
    await met(alpha, bravo)
    await bravo.write(remove_partner, bravo.node, "alpha")
    await alpha.start()
    await bravo.start()
    assert bravo.server is not None
    await eventually(lambda: trouble(alpha, bravo) == REMOVED_BY_PARTNER, "alpha is told so")
    knocked = {"author-unknown": 1, "place-taken": 1}
    await eventually(lambda: bravo.server.guest_outcomes == knocked, "and has knocked")  # type: ignore[union-attr]
    await eventually(lambda: (door(alpha, bravo) or ClosedDoor("", 0)).outcome == "card-handed-over", "noted")
    await asyncio.sleep(3)
    assert bravo.server.guest_outcomes == knocked, "dialled again, not knocked again"
    assert bravo.server.tally.handshakes_refused["unknown-certificate"] >= 2
    noted = door(alpha, bravo)
    assert noted is not None and noted.reason == REMOVED_BY_PARTNER
    [row] = partner_rows(alpha.node, int(time.time()))
    assert row.knocked is not None and row.knock == "card-handed-over"
    [asking] = ListPending().run(bravo.node, int(time.time()), lambda *_: None).each
    assert (
        asking.partner_id == id_of(alpha).text and "was your partner 'alpha', and was removed" in asking.notes
    )
    await bravo.write(befriend, bravo.node, alpha.node, now=int(time.time()))
    await bravo.driver.reload_roster()  # type: ignore[union-attr]
    await talk(alpha, bravo)
    await eventually(lambda: door(alpha, bravo) is None, "the door is open")


async def test_a_partner_that_has_not_added_us_yet_is_told_apart(pair: Pair) -> None:
    alpha, bravo = pair
    await bravo.write(remove_partner, bravo.node, "alpha")
    await alpha.start()
    await bravo.start()
    await eventually(lambda: trouble(alpha, bravo) == NOT_ACCEPTED_YET, "alpha is told so")
    await eventually(lambda: (door(alpha, bravo) or ClosedDoor("", 0)).knocked_at > 0, "and has knocked")
    now = int(time.time())

    def words(after: int) -> list[tuple[str, str]]:
        told = alarms(alpha.node.store, alpha.node.card, is_running=True, now=now + after)
        return [(one.word, one.partner) for one in told]

    assert words(0) == []
    assert words(4_000) == [("not-let-in", "bravo")], "and no second one that only says that nothing came"
    told = alarms(alpha.node.store, alpha.node.card, is_running=True, now=now + 1_000)
    assert "does not accept this node's certificate, and never did since" in told[0].message
    assert "; knocked 20" in told[0].message
    found = examine_node(alpha.home, is_running=True, now=now + 1_000)
    assert [one.level for one in found if one.message.startswith("not-let-in: bravo does not")] == ["warn"]


def test_each_reason_of_a_closed_door_has_its_words() -> None:
    assert set(NOT_LET_IN) == {NOT_ACCEPTED_YET, REMOVED_BY_PARTNER, OTHER_CERTIFICATE}


# --- hostile ones -----------------------------------------------------------------------------------


@pytest.fixture
async def in_place_of() -> AsyncIterator[Callable[[Partner, bytes], Awaitable[list[str]]]]:
    """`in_place_of(partner, card)` listens where the partner does, under a certificate of its own, and answers a knock with
    `card`, saying that it is version 99; returns the list of what happens there."""
    servers = []

    async def in_place_of(partner: Partner, card: bytes) -> list[str]:
        seen: list[str] = []
        thief = create_identity("thief", [], int(time.time())).operational.tls

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            seen.append("came")
            await write_message(writer, encode_greeting(KnockGreeting(bytes(32), 99)))
            try:
                if await read_message(reader) == b"\x91\x03":
                    seen.append("asked")
                    await write_message(writer, encode_card_given(card))
                    await reader.read()
            finally:
                writer.close()

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        load_own_key(context, thief.certificate, thief.secret().reveal())
        servers.append(await asyncio.start_server(answer, "127.0.0.1", partner.port, ssl=context))
        return seen

    yield in_place_of
    for server in servers:
        server.close()


def forged_card(alpha: Identity) -> bytes:
    """alpha's next card, with the thief's certificate, signed by the thief's root."""
    thief = create_identity("thief", [], int(time.time()))
    card = reissue_card(alpha, int(time.time()), name="THIEF").card
    forged = sign_card(
        CardBody(**{one.name: getattr(card, one.name) for one in fields(CardBody)}), thief.roots
    )
    return encode_versions([alpha.card.version_raw, forged])


@pytest.mark.parametrize("offered", ["forged", "older", "another's", "garbage"])
async def test_a_hostile_server_that_answers_a_knock_changes_nothing(
    pair: Pair, in_place_of: Callable[[Partner, bytes], Awaitable[list[str]]], offered: str
) -> None:
    alpha, bravo = pair
    await met(alpha, bravo)
    older, now = alpha.node.identity, int(time.time())
    alpha.node = replace(alpha.node, identity=reissue_card(older, now, name="ALPHA TWO"))
    await bravo.write(befriend, bravo.node, alpha.node, now=now)
    card = {
        "forged": forged_card(alpha.node.identity),
        "older": older.card.raw,
        "another's": create_identity("other", [], now).card.raw,
        "garbage": b"\x93\xc4\x04p2pv" + bytes(5_000),
    }[offered]
    outcome = {
        "forged": "card-signature",
        "older": "nothing-new",
        "another's": "card-other-partner",
        "garbage": "unknown-version",
    }[offered]
    seen = await in_place_of(alpha, card)
    before = bravo.node.store.partners.all()
    await bravo.start()
    await eventually(lambda: (door(bravo, alpha) or ClosedDoor("", 0)).outcome == outcome, "it was noted")
    assert seen[-1] == "asked"
    assert trouble(bravo, alpha) == OTHER_CERTIFICATE
    assert bravo.node.store.partners.all() == before
    assert bravo.driver is not None
    assert bravo.driver.gate.uncontested(alpha.node.card.tls_certificates) == alpha.node.card.tls_certificates
    await asyncio.sleep(2)
    assert seen.count("asked") == 1, "a day passes before the next one"


async def test_two_cards_that_the_same_roots_signed_freeze_the_partner_and_change_no_key(
    pair: Pair, in_place_of: Callable[[Partner, bytes], Awaitable[list[str]]]
) -> None:
    """A thief of the roots: as everywhere, that is a fork, and evidence; its certificate is not believed."""
    alpha, bravo = pair
    await met(alpha, bravo)
    first = alpha.node.identity
    alpha.node = replace(alpha.node, identity=reissue_card(first, int(time.time()), name="ALPHA TWO"))
    await bravo.write(befriend, bravo.node, alpha.node, now=int(time.time()))
    before = bravo.node.store.partners.all()
    await in_place_of(alpha, revoked(revoked(first, name="THIEF")).card.raw)
    await bravo.start()
    await eventually(lambda: bravo.node.store.partners.fork_count() == 1, "the evidence is kept")
    [after] = bravo.node.store.partners.all()
    assert after == replace(before[0], is_frozen=True)


async def test_a_thief_with_the_old_certificate_gets_nothing_by_a_knock(pair: Pair) -> None:
    """It holds yesterday's home: certificate, card and daily keys, and no root. bravo has heard of the revocation."""
    alpha, bravo = pair
    await met(alpha, bravo)
    thief = alpha.node.identity
    revoke(alpha)
    owner = alpha.node.identity
    await bravo.write(befriend, bravo.node, alpha.node, now=int(time.time()))
    await bravo.start()
    assert bravo.server is not None and bravo.driver is not None
    before = bravo.node.store.partners.all()
    address = PeerAddress(id_of(bravo), f"https://127.0.0.1:{bravo.port}", bravo.node.card.tls_certificates)
    for card in (thief.card.raw, forged_card(owner), owner.card.raw, b"\x00"):
        await hand_card(address, bravo.node.card.raw, card)
    assert await ask_card(address, bravo.node.card.raw, 0) == bravo.node.card.raw
    assert bravo.node.store.partners.all() == before
    await eventually(
        lambda: (
            bravo.server.guest_outcomes  # type: ignore[union-attr]
            == {"nothing-new": 2, "card-signature": 1, "malformed": 1, "card-given": 1}
        ),
        "each is counted",
    )
    with pytest.raises(PeerUnreachable) as error:
        await _hello(thief, address)
    assert error.value.reason == "certificate-refused"
    assert bravo.server.requests_seen == 0


async def _hello(identity: Identity, address: PeerAddress) -> None:
    client = PeerClient(TlsGate(identity.operational.tls), address)
    try:
        await client.card()
    finally:
        await client.close()


async def test_guests_that_flood_keep_no_partner_from_its_link(pair: Pair) -> None:
    alpha, bravo = pair
    await alpha.start()
    await bravo.start()
    address = PeerAddress(id_of(bravo), f"https://127.0.0.1:{bravo.port}", bravo.node.card.tls_certificates)
    garbage = encode_versions([bytes(60_000)] * 60)

    async def flood() -> None:
        while True:
            try:
                await hand_card(address, bravo.node.card.raw, garbage)
            except PeerUnreachable:
                await asyncio.sleep(0.01)

    floods = [asyncio.create_task(flood()) for _ in range(4)]
    try:
        for number in range(5):
            await alpha.publish(f"in-the-flood-{number}.example", to=["bravo"])
        await eventually(
            lambda: all(bravo.knows(f"in-the-flood-{number}.example") for number in range(5)),
            "bravo reads on",
        )
        await eventually(lambda: bravo.server.guest_outcomes["too-many-of-address"] > 5, "it was a flood")  # type: ignore[union-attr]
    finally:
        for one in floods:
            one.cancel()
    assert bravo.server is not None
    outcomes = bravo.server.guest_outcomes
    assert outcomes["malformed"] <= 12 and outcomes["card-taken"] == 0
