"""Whole nodes in one process: real keys, real TLS on loopback, real SQLite; only the command line is missing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from running_nodes import Partner, eventually
from whole_nodes import befriend

from p2pshare.envelope.card_format import Revocation
from p2pshare.envelope.keys import generate_operational_keys, reissue_card
from p2pshare.envelope.vouch import vouch
from p2pshare.errors import DiskFull
from p2pshare.gossip import actions
from p2pshare.identifiers import CircleId
from p2pshare.intel.marking import Tlp
from p2pshare.node.node import note_config
from p2pshare.node.vouch_pages import keep_pages
from p2pshare.peering.client import PeerClient
from p2pshare.sharing.exchange import Outcome
from p2pshare.sharing.partners import remove_partner

Chain = tuple[Partner, Partner, Partner]


@pytest.fixture
async def chain(tmp_path: Path) -> AsyncIterator[Chain]:
    """alpha - bravo - charlie; alpha and charlie trust one another without a link. Nobody runs yet."""
    partners = tuple(Partner(tmp_path, name) for name in ("alpha", "bravo", "charlie"))
    alpha, bravo, charlie = partners
    for left, right, has_link in ((alpha, bravo, True), (bravo, charlie, True), (alpha, charlie, False)):
        for one, other in ((left, right), (right, left)):
            await one.write(befriend, one.node, other.node, has_link=has_link, now=int(time.time()))
    yield alpha, bravo, charlie
    for partner in partners:
        await partner.end()


async def start_all(chain: Chain) -> None:
    for partner in chain:
        await partner.start()


async def test_two_hops_and_the_relay_reads_nothing(chain: Chain) -> None:
    alpha, bravo, charlie = chain
    await start_all(chain)
    await alpha.publish("for-charlie.example", to=["charlie"], tlp=Tlp.AMBER)
    await eventually(lambda: charlie.knows("for-charlie.example"), "charlie reads it")
    assert bravo.held() == 1
    assert not bravo.knows("for-charlie.example")
    assert bravo.node.store.log.counts().relayed == 1
    await eventually(lambda: alpha.pending() == 0, "alpha knows that it left")
    assert charlie.node.store.partners.refusals() == {}


async def test_what_had_no_room_in_its_authors_quota_comes_once_there_is_room(chain: Chain) -> None:
    alpha, bravo, _ = chain
    await alpha.start()
    await bravo.start()
    await alpha.publish("first.example", to=["bravo"])
    await eventually(lambda: bravo.held() == 1, "bravo holds the first")
    assert alpha.driver is not None and bravo.driver is not None
    states, peer = alpha.driver.peer_states, bravo.node.identity.partner_id
    await eventually(lambda: states()[peer].state == "connected", "alpha can push")
    await bravo.write(bravo.node.store.log.set_quota, 1)
    await alpha.publish("second.example", to=["bravo"])
    await eventually(lambda: "quota" in bravo.node.store.partners.refusals(), "bravo refuses the second")
    await eventually(lambda: states()[peer].noted == {"push-refused": 1}, "alpha sees it")
    await bravo.write(note_config, bravo.node)
    await bravo.driver._report_outcome(Outcome((), makes_room=True))
    await eventually(lambda: bravo.knows("second.example"), "and has asked for it again")


async def test_a_partner_that_was_down_is_caught_up_through_the_relay(chain: Chain) -> None:
    alpha, bravo, charlie = chain
    await alpha.start()
    await bravo.start()
    for number in range(20):
        await alpha.publish(f"while-down-{number}.example", to=["charlie"])
    await eventually(lambda: bravo.held() == 20, "bravo carries all")
    await charlie.start()
    await eventually(lambda: charlie.held() == 20, "charlie has caught up")
    await eventually(
        lambda: all(charlie.knows(f"while-down-{number}.example") for number in range(20)), "and has read all"
    )


async def test_published_while_nothing_ran_leaves_at_the_next_start(chain: Chain) -> None:
    alpha, bravo, _ = chain
    await alpha.publish("offline.example", to=["bravo"])
    assert alpha.pending() == 1
    await start_all(chain)
    await eventually(lambda: bravo.knows("offline.example"), "bravo reads it")
    await eventually(lambda: alpha.pending() == 0, "alpha knows that it left")


async def test_a_direct_envelope_waits_for_its_recipient_and_passes_nobody_else(chain: Chain) -> None:
    alpha, bravo, charlie = chain
    await alpha.start()
    await charlie.start()
    await alpha.publish("red.example", to=["bravo"], tlp=Tlp.RED)
    assert alpha.pending() == 1
    await bravo.start()
    await eventually(lambda: bravo.knows("red.example"), "bravo reads it")
    await eventually(lambda: alpha.pending() == 0, "alpha knows that it arrived")
    await bravo.publish("after.example", to=["charlie"])
    await eventually(lambda: charlie.knows("after.example"), "charlie hears bravo")
    assert charlie.held() == 1


async def test_a_removed_partner_is_out_within_one_request(chain: Chain) -> None:
    alpha, bravo, _ = chain
    await alpha.start()
    await bravo.start()  # charlie would be counted, too: it compares with bravo every second or so
    await alpha.publish("before.example", to=["bravo"])
    await eventually(lambda: bravo.knows("before.example"), "bravo reads it")
    assert bravo.driver is not None and bravo.server is not None and alpha.driver is not None
    await bravo.write(remove_partner, bravo.node, "alpha")
    await bravo.driver.reload_roster()
    bravo.server.drop(alpha.node.identity.partner_id)
    seen = bravo.server.requests_seen
    await alpha.publish("after.example", to=["bravo"])
    peer = bravo.node.identity.partner_id
    await eventually(lambda: alpha.driver.peer_states()[peer].state == "waiting", "alpha cannot reach bravo")
    assert bravo.server.requests_seen <= seen + 1
    assert not bravo.knows("after.example")


async def test_a_partner_added_while_running_is_dialled_and_caught_up(chain: Chain) -> None:
    alpha, _, charlie = chain
    await start_all(chain)
    await alpha.publish("early.example", to=["charlie", "bravo"])
    for one, other in ((alpha, charlie), (charlie, alpha)):
        await one.write(befriend, one.node, other.node, now=int(time.time()))
        assert one.driver is not None
        await one.driver.reload_roster()
    states = alpha.driver.peer_states  # type: ignore[union-attr]
    await eventually(
        lambda: states()[charlie.node.identity.partner_id].state == "connected", "they are linked"
    )
    await alpha.publish("direct.example", to=["charlie"], tlp=Tlp.RED)
    await eventually(
        lambda: charlie.knows("direct.example") and charlie.knows("early.example"), "charlie has both"
    )


async def test_a_full_disk_acknowledges_nothing_and_catches_up_later(
    chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    alpha, bravo, _ = chain
    monkeypatch.setattr("p2pshare.gossip.fetching.NO_ROOM_PAUSE_SECONDS", 0.5)
    monkeypatch.setattr("p2pshare.daemon.driver.DISK_FULL_PAUSE_SECONDS", 0.5)
    await alpha.start()
    await bravo.start()
    add, is_full = bravo.node.store.log.add, True

    def add_unless_full(arrivals: Any) -> Any:
        if is_full and arrivals:
            raise DiskFull("no room")
        return add(arrivals)

    monkeypatch.setattr(bravo.node.store.log, "add", add_unless_full)
    await alpha.publish("no-room-yet.example", to=["bravo"])
    await asyncio.sleep(0.5)
    assert (bravo.held(), alpha.pending()) == (0, 1)
    is_full = False
    await eventually(lambda: bravo.knows("no-room-yet.example"), "there is room again")
    await eventually(lambda: alpha.pending() == 0, "alpha knows that it left")


async def test_many_small_envelopes_share_requests_and_each_is_stored_once(chain: Chain) -> None:
    alpha, bravo, charlie = chain
    await start_all(chain)
    for number in range(150):
        await alpha.publish(f"burst-{number}.example", to=["charlie", "bravo"])
    await eventually(lambda: charlie.held() == 150, "charlie has all")
    account = {one.partner: one for one in bravo.node.store.partners.accounts()}[
        alpha.node.identity.partner_id
    ]
    assert account.stored == 150
    assert account.came_in == account.stored + account.already_held
    await eventually(lambda: alpha.pending() == 0, "alpha knows that all left")


async def test_a_renewed_card_is_fetched_and_used_without_a_person(chain: Chain) -> None:
    """New TLS key and all: bravo learns the card while the old certificate still stands beside the new one."""
    alpha, bravo, charlie = chain
    await bravo.start()
    await charlie.start()
    now = int(time.time())
    fresh = generate_operational_keys(alpha.node.identity.partner_id, now)
    renewed = reissue_card(alpha.node.identity, now, name="ALPHA RENEWED", operational=fresh)
    old_tls = replace(renewed.operational, tls=alpha.node.identity.operational.tls)
    alpha.node = replace(alpha.node, identity=replace(renewed, operational=old_tls))
    await alpha.start()

    def names() -> set[str]:
        assert bravo.driver is not None
        return {entry.card.name for entry in bravo.driver.roster}

    await eventually(lambda: "ALPHA RENEWED" in names(), "bravo has the new card")
    await alpha.stop()
    alpha.node = replace(alpha.node, identity=renewed)
    await alpha.start()
    await alpha.publish("with-the-new-key.example", to=["bravo"])
    await eventually(lambda: bravo.knows("with-the-new-key.example"), "bravo trusts the new certificate")


async def test_a_partner_two_hops_away_has_a_new_card_within_a_minute(chain: Chain) -> None:
    """It never meets the author: the card goes round the circle. So does one that was issued while the others were down."""
    alpha, bravo, charlie = chain
    await start_all(chain)
    for number, name in enumerate(("ALPHA ONE", "ALPHA TWO")):
        await alpha.stop()
        renewed = reissue_card(alpha.node.identity, int(time.time()), name=name)
        alpha.node = replace(alpha.node, identity=renewed)
        if number:
            await charlie.stop()
        await alpha.start()
        await eventually(lambda name=name: bravo.card_name(alpha) == name, "bravo has it")  # type: ignore[misc]
        if number:
            await charlie.start()
        await eventually(lambda name=name: charlie.card_name(alpha) == name, "charlie has it")  # type: ignore[misc]
    await alpha.publish("after.example", to=["charlie"])
    await eventually(lambda: charlie.knows("after.example"), "charlie reads on")


async def test_versions_that_were_missed_are_asked_for(chain: Chain) -> None:
    alpha, bravo, charlie = chain
    await bravo.start()
    for name in ("SECOND", "THIRD"):
        renewed = reissue_card(alpha.node.identity, int(time.time()), name=name)
        alpha.node = replace(alpha.node, identity=renewed)
    await alpha.start()
    await eventually(lambda: bravo.card_name(alpha) == "THIRD", "bravo has it")
    await charlie.start()
    await eventually(lambda: charlie.card_name(alpha) == "THIRD", "charlie has it")
    await eventually(lambda: charlie.notices() == bravo.notices() == alpha.notices(), "nothing differs")


async def test_what_a_thief_sealed_leaves_two_hops_away_and_what_its_owner_lists_stays(chain: Chain) -> None:
    """Real stores, keys and TLS, three in a line; charlie never meets alpha, whose keys the thief had."""
    alpha, bravo, charlie = chain
    await start_all(chain)
    [good] = await alpha.publish("good.example", to=["bravo", "charlie"])
    await alpha.publish("evil.example", to=["bravo", "charlie"])
    for partner in (bravo, charlie):
        await eventually(lambda one=partner: one.knows("evil.example"), "it is in effect")  # type: ignore[misc]
    await alpha.stop()
    now, identity = int(time.time()), alpha.node.identity
    key_id = identity.operational.sign.key_id
    made = vouch(identity.partner_id, key_id, {CircleId.of("main"): [good]})
    fresh = generate_operational_keys(identity.partner_id, now)
    revoked = [Revocation(key_id, now - 3_600, 1, made.root)]
    renewed = reissue_card(identity, now, operational=fresh, revoked=revoked)
    shown = replace(renewed.operational, tls=identity.operational.tls)  # the one that bravo knows
    alpha.node = replace(alpha.node, identity=replace(renewed, operational=shown))
    keep_pages(alpha.home, made)
    await alpha.start()
    await eventually(lambda: bravo.card_version(alpha) == 2, "bravo has the card")
    await alpha.stop()
    alpha.node = replace(alpha.node, identity=renewed)
    await alpha.start()
    for partner in (bravo, charlie):
        for is_so, what in (
            (lambda one=partner: not one.knows("evil.example"), "the thief's is out"),
            (lambda one=partner: one.knows("good.example"), "the owner's is in effect"),
        ):
            await eventually(is_so, what)  # no sweep comes meanwhile: it is woken
    await alpha.publish("after.example", to=["charlie"])
    await eventually(lambda: charlie.knows("after.example"), "alpha goes on under its new key")
    assert alpha.held() == bravo.held() == charlie.held() == 2


async def test_times_of_exchanges_are_written_down(chain: Chain) -> None:
    alpha, bravo, _ = chain
    await alpha.start()
    await bravo.start()
    await alpha.publish("spoken.example", to=["bravo"])
    await eventually(lambda: bravo.held() == 1, "bravo has it")
    await alpha.stop()
    assert alpha.node.store.partners.last_exchanges()[bravo.node.identity.partner_id] >= time.time() - 60


async def test_a_card_that_was_stored_is_followed_though_its_request_was_abandoned(
    chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The link falls while the card that was fetched is written. Nobody read the roster again then: the new certificate was pinned at
    the next start, and the card went on to nobody."""
    alpha, bravo, charlie = chain
    await bravo.start()
    await charlie.start()
    driver, peer = bravo.driver, alpha.node.identity.partner_id
    assert driver is not None
    renewed = reissue_card(alpha.node.identity, int(time.time()), name="ALPHA RENEWED").card.raw
    loop, apply, number = asyncio.get_running_loop(), driver._exchange.apply_card, 1_000_000

    async def card(self: PeerClient) -> bytes:
        return renewed

    def apply_and_fall(*arguments: Any) -> bool:
        is_changed = apply(*arguments)
        loop.call_soon_threadsafe(driver._perform, actions.Abandon(number))
        return is_changed

    monkeypatch.setattr(PeerClient, "card", card)
    monkeypatch.setattr(driver._exchange, "apply_card", apply_and_fall)
    driver._perform(actions.FetchCard(number, peer))
    await eventually(lambda: driver.roster.entries[peer].card.version == 2, "the roster is read again")
    assert number not in driver._requests
    await eventually(lambda: charlie.card_name(alpha) == "ALPHA RENEWED", "and the card goes on")
