"""A thief with the sign key of yesterday, after its owner has revoked it: nothing of the thief's is in effect, in whatever way it
tries, and nothing of the owner's is lost that it stands for."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from stolen_key import DAY, MAIN, SINCE, THEN, Theft, id_of
from whole_nodes import NOW, World, raw_draft, seal_unchecked, take_in

from p2pshare.envelope.card_format import NOTHING_VOUCHED, Revocation
from p2pshare.envelope.keys import generate_operational_keys, reissue_card
from p2pshare.gossip.messages import Shard
from p2pshare.intel.authoring import indicator_object
from p2pshare.intel.marking import Tlp
from p2pshare.intel.observable import detect
from p2pshare.knowledge import out_of_effect
from p2pshare.log import envelope_log
from p2pshare.queries.alarms import alarms
from p2pshare.sharing import intake, revocation_walk
from p2pshare.sharing.exchange import Exchange
from p2pshare.sharing.intake import Arrival

# --- what comes in after ---------------------------------------------------------------------------


@pytest.mark.parametrize("at", [SINCE - 100, SINCE + 100, THEN + 10, THEN + 3_000])
def test_nothing_new_of_the_thief_comes_in_whatever_time_it_has(theft: Theft, at: int) -> None:
    """Back-dated, between `since` and arrival, of now, and of the near future, which is deferred."""
    good = theft.seal("good.example", at=NOW + 10)
    card, pages = theft.revoke({MAIN: [good]})
    evil = theft.seal("evil.example", at=at, ahead=2, incarnation=NOW - DAY)
    assert theft.hand(card, THEN) == ("held", "")
    assert theft.hand(evil, THEN + 20) == ("refused", "not-vouched")
    assert theft.hand(good, THEN + 20) == ("refused", "not-vouched")  # its page is missing
    assert [theft.hand(page, THEN + 30) for page in pages] == [("held", "")]
    assert theft.hand(evil, THEN + 40) == ("refused", "not-vouched")
    assert theft.hand(good, THEN + 40) == ("held", "")
    assert (theft.known("good.example"), theft.known("evil.example")) == (True, False)


def test_what_was_deferred_asks_the_pages_when_its_time_has_come(theft: Theft) -> None:
    """Two of the near future, one of them listed: deferred before the revocation, due after it."""
    good, evil = (
        theft.seal(value, at=THEN + 2_000, ahead=ahead)
        for ahead, value in enumerate(("good.example", "evil.example"), start=1)
    )
    assert [one.status.value for one in theft.take_in([good, evil], THEN)] == ["deferred", "deferred"]
    card, pages = theft.revoke({MAIN: [good]}, THEN + 10)
    theft.hand(card, THEN + 10)
    exchange = Exchange(theft.bravo)
    exchange.begin()
    late = [exchange.sweep(THEN + 2_000).refused_late.ids for _ in range(10)]
    assert sorted(one for ids in late for one in ids) == sorted(
        map(id_of, (good, evil))
    )  # its page is missing
    theft.take_in(pages, THEN + 2_010)
    assert theft.hand(good, THEN + 2_020) == ("held", "")  # asked for again
    assert theft.hand(evil, THEN + 2_020) == ("refused", "not-vouched")


def test_what_was_deferred_and_is_listed_comes_in_by_itself(theft: Theft) -> None:
    good = theft.seal("good.example", at=THEN + 2_000)
    theft.take_in([good], THEN)
    theft.take_in([*(parts := theft.revoke({MAIN: [good]}, THEN + 10))[1], parts[0]], THEN + 10)
    theft.settle(THEN + 2_000)
    theft.take_in([], THEN + 2_000)
    assert theft.known("good.example")


def test_where_nothing_is_vouched_for_nothing_comes_in_and_nothing_stays(theft: Theft) -> None:
    evil = theft.seal("evil.example", at=NOW + 10)
    assert theft.hand(evil, NOW + 20) == ("held", "")
    card, pages = theft.revoke({})
    assert pages == []
    theft.hand(card, THEN)
    theft.settle(THEN)
    assert not theft.known("evil.example")
    assert theft.hand(theft.seal("more.example", at=NOW + 11, ahead=2), THEN) == ("refused", "revoked-key")
    assert theft.bravo.store.notices.revocations()[0].root == NOTHING_VOUCHED


# --- what is held ----------------------------------------------------------------------------------


def test_what_the_thief_sealed_between_since_and_the_arrival_of_the_card_leaves_at_once(theft: Theft) -> None:
    good = theft.seal("good.example", at=NOW + 10)
    late = theft.seal("late.example", at=SINCE + 10, ahead=2)
    evil = theft.seal("evil.example", at=SINCE + 20, ahead=3)
    theft.take_in([good, late, evil], SINCE + 30)
    assert ("add", "evil.example") in theft.ask("SELECT op, value FROM v1_changes")
    card, pages = theft.revoke({MAIN: [good, late]})
    theft.hand(card, THEN)
    exchange = Exchange(theft.bravo)
    exchange.begin()
    first = exchange.sweep(THEN)
    while first.is_more_due and not first.dropped.items:
        first = exchange.sweep(THEN)
    assert {one.envelope_id for one in first.dropped.items} == {id_of(late), id_of(evil)}
    theft.settle(THEN)
    assert [theft.known(one) for one in ("good.example", "late.example", "evil.example")] == [
        True,
        False,
        False,
    ]
    theft.take_in(pages, THEN + 10)
    theft.settle(THEN + 10)
    assert [theft.known(one) for one in ("good.example", "late.example", "evil.example")] == [
        True,
        True,
        False,
    ]
    assert ("remove", "evil.example") in theft.ask("SELECT op, value FROM v1_changes")
    assert theft.ask("SELECT value FROM v1_claims WHERE value = 'evil.example'") == []
    assert theft.ask("SELECT value FROM v1_indicators WHERE active AND value = 'evil.example'") == []


def test_what_is_out_of_effect_is_handed_to_nobody_and_takes_no_room(theft: Theft) -> None:
    good, evil = theft.seal("good.example", at=NOW + 10), theft.seal("evil.example", at=SINCE + 20, ahead=2)
    theft.take_in([good, evil], SINCE + 30)
    log, alpha = theft.bravo.store.log, theft.alpha.identity.partner_id
    card, pages = theft.revoke({MAIN: [good]})
    theft.take_in([card, *pages], THEN)
    theft.settle(THEN)
    exchange = Exchange(theft.bravo)
    assert exchange.wire(alpha, id_of(evil)) is None
    assert exchange.wire(alpha, id_of(good)) == good
    [keys] = [one.keys for one in exchange.keys([MAIN]) if one.shard == Shard(MAIN, 4)]
    assert [bytes(key[8:]) for key in keys] == [bytes(id_of(good))]
    assert log.carried() == {(alpha, MAIN): len(good)}
    assert log.evidence(id_of(evil)) == evil
    assert log.counts().held == 1
    assert theft.hand(evil, THEN + 10) == ("refused", "not-vouched")  # nor does it come back
    log.expire(NOW + 91 * DAY)
    assert log.carried()[alpha, MAIN] == 0


def test_back_dated_and_held_it_leaves_with_the_pages_or_after_a_day_without_them(theft: Theft) -> None:
    """Whoever withholds the pages gains a day for what was held already, and nothing else."""
    good, evil = theft.seal("good.example", at=NOW + 10), theft.seal("evil.example", at=NOW + 20, ahead=2)
    theft.take_in([good, evil], SINCE + 30)
    card, pages = theft.revoke({MAIN: [good]})
    theft.hand(card, THEN)
    theft.settle(THEN)
    theft.settle(THEN + DAY - 1)
    assert theft.known("evil.example") and theft.known("good.example")
    theft.settle(THEN + DAY)
    assert not theft.known("evil.example") and not theft.known("good.example")
    theft.take_in(pages, THEN + DAY + 10)  # late, and still the owner's word
    exchange = Exchange(theft.bravo)
    exchange.begin()
    held = [one for _ in range(20) for one in exchange.sweep(THEN + DAY + 10).held]
    assert [one.item.envelope_id for one in held] == [id_of(good)]  # and it is announced again
    assert held[0].lsn == theft.bravo.store.log.last_lsn()
    assert theft.known("good.example") and not theft.known("evil.example")


def test_pages_that_came_decide_at_once(theft: Theft) -> None:
    good, evil = theft.seal("good.example", at=NOW + 10), theft.seal("evil.example", at=NOW + 20, ahead=2)
    theft.take_in([good, evil], SINCE + 30)
    card, pages = theft.revoke({MAIN: [good]})
    theft.take_in([card, *pages], THEN)
    theft.settle(THEN)
    assert theft.known("good.example") and not theft.known("evil.example")


def test_an_object_that_the_thief_replaced_is_its_owners_again(theft: Theft) -> None:
    alpha = theft.alpha
    author = alpha.identity.partner_id
    mine = indicator_object(detect("mine.example"), author=author, created=NOW, tlp=Tlp.GREEN)
    first = json.loads(mine)
    second = {
        **first,
        "modified": "2027-01-15T08:10:00.000Z",
        "pattern": first["pattern"].replace("mine.example", "theirs.example"),
    }
    good = seal_unchecked(alpha, raw_draft([first]), theft.bravo, NOW + 10)
    evil = seal_unchecked(alpha, raw_draft([second]), theft.bravo, NOW + 20, ahead=2)
    theft.take_in([good, evil], SINCE)
    assert theft.known("theirs.example") and not theft.known("mine.example")
    card, pages = theft.revoke({MAIN: [good]})
    theft.take_in([card, *pages], THEN)
    theft.settle(THEN)
    assert theft.known("mine.example") and not theft.known("theirs.example")


def test_a_large_envelope_leaves_in_steps_that_a_crash_does_not_lose(
    theft: Theft, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(out_of_effect, "STEP_CLAIMS", 3)
    values = [f"evil-{number}.example" for number in range(20)]
    good, evil = theft.seal("good.example", at=NOW + 10), theft.seal(*values, at=NOW + 20, ahead=2)
    theft.take_in([good, evil], SINCE + 30)
    card, pages = theft.revoke({MAIN: [good]})
    theft.take_in([card, *pages], THEN)
    exchange = Exchange(theft.bravo)
    for _ in range(3):
        assert exchange.sweep(THEN).is_more_due
    left = sum(map(theft.known, values))
    assert 0 < left < 20
    assert exchange.wire(theft.alpha.identity.partner_id, id_of(evil)) is None  # from the first step on
    theft.bravo = world.reopen("bravo")
    theft.settle(THEN)
    assert not any(map(theft.known, values))
    assert theft.known("good.example")


def test_what_is_not_read_yet_is_not_read_until_a_page_lists_it(theft: Theft) -> None:
    late = theft.seal("late.example", at=SINCE + 10)
    alpha = theft.alpha.identity.partner_id
    intake.take_in(theft.bravo, [Arrival(late, alpha)], SINCE + 30)
    card, pages = theft.revoke({MAIN: [late]})
    theft.hand(card, THEN)  # ... and reads what is unread
    assert not theft.known("late.example")
    theft.settle(THEN)
    theft.take_in(pages, THEN + 10)
    theft.settle(THEN + 10)
    theft.take_in([], THEN + 20)
    assert theft.known("late.example")


def test_evidence_of_a_thief_is_bounded(theft: Theft, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(envelope_log, "EVIDENCE_ENVELOPES_MAX", 2)
    monkeypatch.setattr(envelope_log, "EVIDENCE_AT_ONCE", 2)  # it takes two steps
    monkeypatch.setattr(envelope_log, "KEYED_AT_ONCE", 2)
    monkeypatch.setattr(revocation_walk, "KEYED_AT_ONCE", 2)
    evils = [theft.seal(f"evil-{number}.example", at=SINCE + number, ahead=number + 1) for number in range(5)]
    theft.take_in(evils, SINCE + 30)
    theft.hand(theft.revoke({MAIN: [theft.seal("good.example", at=NOW)]})[0], THEN)
    theft.settle(THEN)
    kept = [one for one in evils if theft.bravo.store.log.evidence(id_of(one))]
    assert kept == evils[:2]
    assert theft.ask("SELECT count(*) FROM envelope WHERE is_out = 1") == [(5,)]


def test_what_had_expired_before_the_theft_was_known_stays_where_it_came_before_it(theft: Theft) -> None:
    """Lists name nothing that has expired; what it said may be true for a year."""
    early = theft.seal("early.example", at=NOW + 10, ttl_class=1)
    after = theft.seal(
        "after.example", at=NOW + 20, ahead=2, ttl_class=1
    )  # back-dated, and the thief had the key
    assert theft.hand(early, NOW + 30) == theft.hand(after, SINCE + 10) == ("held", "")
    later = NOW + 3 * DAY
    theft.bravo.store.log.expire(later)
    card, pages = theft.revoke({MAIN: [theft.seal("good.example", at=NOW)]}, later)
    theft.take_in([card, *pages], later)
    theft.settle(later)
    assert theft.known("early.example") and not theft.known("after.example")


def test_our_own_envelopes_under_our_revoked_key_follow_our_own_card(theft: Theft) -> None:
    """The thief's come home to us as well."""
    evil = theft.seal("evil.example", at=NOW + 20, ahead=2)
    alpha, bravo = theft.alpha, theft.bravo
    take_in(alpha, [Arrival(evil, bravo.identity.partner_id)], SINCE)
    assert alpha.store.log.wire(id_of(evil)) == evil
    key_id = alpha.identity.operational.sign.key_id
    fresh = generate_operational_keys(alpha.identity.partner_id, THEN)
    renewed = reissue_card(
        alpha.identity, THEN, operational=fresh, revoked=[Revocation(key_id, SINCE, 1, NOTHING_VOUCHED)]
    )
    own = replace(theft, bravo=replace(alpha, identity=renewed))
    own.settle(THEN)
    assert alpha.store.log.wire(id_of(evil)) is None
    assert alpha.store.log.evidence(id_of(evil)) == evil


def test_pages_that_do_not_come_are_an_alarm_until_they_do(theft: Theft) -> None:
    good = theft.seal("good.example", at=NOW + 10)
    theft.hand(good, NOW + 20)
    card, pages = theft.revoke({MAIN: [good]})
    theft.hand(card, THEN)
    theft.settle(THEN)

    def words(now: int) -> list[str]:
        found = alarms(theft.bravo.store, theft.bravo.card, is_running=True, now=now)
        return [one.word for one in found if one.word == "vouch-pages-missing"]

    assert (words(THEN + 899), words(THEN + 900)) == ([], ["vouch-pages-missing"])
    theft.take_in(pages, THEN + 901)
    assert words(THEN + 902) == []
