"""The meeting point of engine, intake and store: what may leave, in which order things are told."""

from __future__ import annotations

import pytest
from whole_nodes import NOW, World, befriend, send, wire_of

from p2pshare.gossip.messages import PutVerdict, Shard
from p2pshare.gossip.moment import Moment
from p2pshare.identifiers import CircleId, EnvelopeId
from p2pshare.intel.marking import Tlp
from p2pshare.log import expiry
from p2pshare.node.node import Node
from p2pshare.sharing.exchange import Exchange, ReceivedBody, links_of
from p2pshare.sharing.partners import remove_partner

MAIN = CircleId.of("main")
DAY = 86_400


def chain(world: World) -> tuple[Node, Node, Node]:
    """alpha - bravo - charlie; alpha and charlie without a link."""
    alpha, bravo, charlie = (world.found(name) for name in ("alpha", "bravo", "charlie"))
    for left, right, has_link in ((alpha, bravo, True), (bravo, charlie, True), (alpha, charlie, False)):
        befriend(left, right, has_link=has_link)
        befriend(right, left, has_link=has_link)
    return alpha, bravo, charlie


def test_a_relayed_envelope_leaves_on_linked_partners_only(world: World) -> None:
    alpha, bravo, charlie = chain(world)
    (envelope_id,) = send(alpha, ["one.example"], to=["charlie"]).envelopes
    exchange = Exchange(alpha)
    assert exchange.wire(bravo.identity.partner_id, envelope_id) == wire_of(alpha, envelope_id)
    assert exchange.wire(charlie.identity.partner_id, envelope_id) is None
    remove_partner(alpha, "bravo")
    exchange.roster()  # as the driver does at once, before it answers the command
    assert exchange.wire(bravo.identity.partner_id, envelope_id) is None


def test_a_direct_envelope_leaves_to_its_recipients_only_and_waits_until_acknowledged(world: World) -> None:
    alpha, bravo, charlie = chain(world)
    (envelope_id,) = send(bravo, ["red.example"], to=["alpha"], tlp=Tlp.RED).envelopes
    exchange, peer = Exchange(bravo), alpha.identity.partner_id
    assert [one.envelope_id for one in exchange.outbox(peer, 10)] == [envelope_id]
    assert exchange.wire(peer, envelope_id) is not None
    assert exchange.wire(charlie.identity.partner_id, envelope_id) is None
    exchange.acknowledge(peer, [envelope_id])
    assert exchange.outbox(peer, 10) == ()
    assert exchange.wire(peer, envelope_id) is not None  # it may have lost it: a restored backup
    assert exchange.wire(charlie.identity.partner_id, envelope_id) is None
    assert not any(len(one.keys) for one in exchange.keys([MAIN]))  # in no shard


def test_a_direct_envelope_is_never_passed_on_by_its_recipient(world: World) -> None:
    alpha, bravo, charlie = chain(world)
    (envelope_id,) = send(alpha, ["red.example"], to=["bravo"], tlp=Tlp.RED).envelopes
    exchange = Exchange(bravo)
    outcome = exchange.commit(
        [ReceivedBody(alpha.identity.partner_id, envelope_id, wire_of(alpha, envelope_id))], NOW
    )
    assert [one.direct_to for one in outcome.held] == [()]
    assert exchange.wire(charlie.identity.partner_id, envelope_id) is None


def test_one_commit_tells_arrivals_in_order_with_who_handed_them_over_and_a_verdict_for_each_body(
    world: World,
) -> None:
    alpha, bravo, _ = chain(world)
    ids = [send(alpha, [f"n{number}.example"], to=["charlie"]).envelopes[0] for number in range(3)]
    peer = alpha.identity.partner_id
    exchange = Exchange(bravo)
    exchange.begin()
    (own,) = send(bravo, ["own.example"], to=["alpha"]).envelopes
    bodies = [ReceivedBody(peer, one, wire_of(alpha, one)) for one in ids]
    bodies += [
        bodies[0],
        ReceivedBody(peer, ids[0], b"garbage"),
        ReceivedBody(peer, EnvelopeId(bytes(32)), wire_of(alpha, ids[1])),
    ]
    outcome = exchange.commit(bodies, NOW)
    assert [one.item.envelope_id for one in outcome.held] == [own, *ids]
    assert [(one.received_from, one.is_own) for one in outcome.held] == [(None, True), *[(peer, False)] * 3]
    assert [one.lsn for one in outcome.held] == sorted(one.lsn for one in outcome.held)
    assert [(one.verdict, one.reason) for one in outcome.decided] == [
        (PutVerdict.HELD, ""),
        (PutVerdict.HELD, ""),
        (PutVerdict.HELD, ""),
        (PutVerdict.ALREADY_HELD, ""),
        (PutVerdict.REFUSED, "malformed"),
        (PutVerdict.REFUSED, "other-bytes"),
    ]
    assert exchange.commit([], NOW).held == ()


def test_what_expires_together_goes_a_batch_a_sweep_and_others_commit_in_between(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An author may let all that it sent end in one second: dropping it in one call held the writer as long as it liked."""
    alpha, bravo, _ = chain(world)
    peer = alpha.identity.partner_id
    exchange = Exchange(bravo)
    exchange.begin()
    ids = [send(alpha, [f"n{n}.example"], to=["bravo"], ttl_class=1).envelopes[0] for n in range(6)]
    (late,) = send(alpha, ["late.example"], to=["bravo"], now=NOW + DAY + 900).envelopes
    bodies = [ReceivedBody(peer, one, wire_of(alpha, one)) for one in (*ids, late)]
    first = exchange.commit(bodies, NOW + DAY - 1)
    assert [one.verdict for one in first.decided] == [PutVerdict.HELD] * 6 + [PutVerdict.DEFERRED]
    monkeypatch.setattr(expiry, "EXPIRED_AT_ONCE", 2)
    over = NOW + DAY + 900
    for left in (4, 2, 0):
        swept = exchange.sweep(over)
        assert (swept.is_more_due, swept.held) == (True, ()), "what was deferred waits until nothing expires"
        assert bravo.store.log.counts().held == left
        assert exchange.commit([bodies[0]], over).decided, "another's turn"
    last = exchange.sweep(over)
    assert [one.item.envelope_id for one in last.held] == [late]
    assert last.is_more_due
    assert not exchange.sweep(over).is_more_due


def test_a_sweep_in_doubt_of_the_clock_expires_nothing_that_one_of_the_clocks_keeps(world: World) -> None:
    """A clock that jumped 100 days ahead for a minute emptied the relay."""
    alpha, bravo, _ = chain(world)
    peer = alpha.identity.partner_id
    exchange = Exchange(bravo)
    exchange.begin()
    ids = [send(alpha, [f"n{n}.example"], to=["bravo"]).envelopes[0] for n in range(2)]
    exchange.commit([ReceivedBody(peer, one, wire_of(alpha, one)) for one in ids], NOW)
    later = NOW + 100 * DAY
    exchange.sweep(NOW)
    exchange.sweep(later, Moment(later, NOW, later))
    assert bravo.store.log.counts().held == 2
    assert Exchange(bravo).begin().clock_noted_at == NOW, "a life that begins meanwhile doubts the clock, too"
    exchange.sweep(later)
    assert bravo.store.log.counts().held == 0
    assert Exchange(bravo).begin().clock_noted_at == later


def live(bravo: Node, now: int, minutes: int) -> None:
    """A life of so many minutes at an instant, its clock in doubt from beginning to end, as a daemon's would be."""
    exchange = Exchange(bravo)
    noted = exchange.begin().clock_noted_at or now
    for minute in range(minutes):
        shown = now + 60 * minute
        exchange.sweep(shown, Moment(shown, min(noted, shown), shown))


def test_a_node_that_never_runs_for_an_hour_expires_all_the_same(world: World) -> None:
    """A machine that is switched on for half an hour a day doubted its clock each time, and kept everything for ever."""
    alpha, bravo, _ = chain(world)
    exchange = Exchange(bravo)
    exchange.begin()
    exchange.sweep(NOW)
    one = send(alpha, ["short.example"], to=["bravo"]).envelopes[0]
    exchange.commit([ReceivedBody(alpha.identity.partner_id, one, wire_of(alpha, one))], NOW)
    for day in range(100, 102):
        live(bravo, NOW + day * DAY, 31)
    assert bravo.store.log.counts().held == 1, (
        "its clock may still be wrong: until now it ran for less than an hour"
    )
    assert Exchange(bravo).begin().clock_noted_at == NOW + 100 * DAY
    live(bravo, NOW + 102 * DAY, 31)
    assert bravo.store.log.counts().held == 0


@pytest.mark.parametrize("wrong", [1_000 * DAY, -1_000 * DAY], ids=["ahead", "behind"])
def test_a_clock_that_goes_back_begins_its_hour_anew(world: World, wrong: int) -> None:
    """It starts far off each time, and is set right a quarter of an hour later: nothing expires by it, however often."""
    bravo = chain(world)[1]
    Exchange(bravo).sweep(NOW)
    for day in range(1, 12):
        live(bravo, NOW + day * DAY + wrong, 15)
        live(bravo, NOW + day * DAY, 2)
    assert (Exchange(bravo).begin().clock_noted_at or 0) <= NOW + 11 * DAY


def test_a_beginning_is_a_new_epoch_and_knows_what_has_not_left(world: World) -> None:
    alpha, bravo, _ = chain(world)
    (envelope_id,) = send(alpha, ["waits.example"], to=["bravo"]).envelopes
    first, second = Exchange(alpha).begin(), Exchange(alpha).begin()
    assert first.epoch != second.epoch
    assert [one.envelope_id for one in second.first_hops.items] == [envelope_id]
    Exchange(alpha).acknowledge(bravo.identity.partner_id, [envelope_id])
    assert Exchange(alpha).begin().first_hops.items == ()


def test_links_are_what_policy_decided(world: World) -> None:
    alpha, bravo, _ = chain(world)
    (link,) = links_of(Exchange(alpha).roster())
    assert (link.peer, link.circles, link.is_dialable) == (bravo.identity.partner_id, frozenset({MAIN}), True)


def test_the_shards_hold_what_was_seen(world: World) -> None:
    alpha, _, _ = chain(world)
    send(alpha, ["a.example"], to=["bravo"])
    loaded = {one.shard: len(one.keys) for one in Exchange(alpha).keys([MAIN])}
    assert loaded == {Shard(MAIN, ttl): int(ttl == 4) for ttl in range(1, 7)}
