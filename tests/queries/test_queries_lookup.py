"""Lookup over a real store: exact, by network, domain and host; and the words for why something does not count."""

from __future__ import annotations

from whole_nodes import NOW, World, befriend, publish, quiet, send

from p2pshare.envelope.payload import compress_frame
from p2pshare.intel.marking import Tlp
from p2pshare.intel.observable import Observable, detect
from p2pshare.intel.withdrawing import Reason, WithdrawalFacts, withdrawal_object
from p2pshare.node.node import Node
from p2pshare.queries.lookup import LookedUp, WithdrawalReason, look_up
from p2pshare.sharing.drafting import DraftPart

DAY = 86_400


def listing(world: World, *values: str) -> Node:
    alpha, bravo = world.found("alpha"), world.found("bravo")
    befriend(alpha, bravo)
    send(alpha, list(values), to=["bravo"])
    return alpha


def ask(node: Node, value: str, now: int = NOW) -> LookedUp:
    """The answer, whose every match must say what the effective view says of what is listed."""
    [answer] = look_up(node.store, [value], now)
    for match in answer.matches:
        listed = Observable(match.type, match.value)
        row = node.store.knowledge.effective_states([listed], now * 1_000_000, tlp_max=Tlp.RED)[listed]
        told = (match.status, match.reason, match.score, match.tlp)
        assert told == (row.status, row.reason, row.score, row.tlp.label)
    return answer


def matches(answer: LookedUp) -> list[tuple[str, str]]:
    return [(one.match, one.value) for one in answer.matches]


def test_each_kind_of_match_is_named_with_what_is_listed(world: World) -> None:
    node = listing(world, "192.0.2.0/24", "2001:db8::/32", "evil.example", "192.0.2.7", "203.0.113.0/24")
    for asked, expected in {
        "192.0.2.7": [("exact", "192.0.2.7"), ("network", "192.0.2.0/24")],
        "192.0.2[.]8": [("network", "192.0.2.0/24")],
        "::ffff:192.0.2.8": [("network", "192.0.2.0/24")],
        "192.0.2.128/25": [("network", "192.0.2.0/24")],
        "192.0.0.0/16": [],
        "2001:DB8:0::1": [("network", "2001:db8::/32")],
        "WWW.Evil[.]example": [("domain", "evil.example")],
        "notevil.example": [],
        "hxxp://evil.example/x": [("host", "evil.example")],
        "http://a.b.evil.example/": [("domain", "evil.example")],
        "http://192.0.2.7:81/": [("host", "192.0.2.7"), ("network", "192.0.2.0/24")],
        "http://[2001:db8::5]/": [("network", "2001:db8::/32")],
        "someone@evil.example": [("host", "evil.example")],
    }.items():
        answer = ask(node, asked)
        assert matches(answer) == expected, asked
        assert (answer.found, answer.active) == (bool(expected), bool(expected))
        assert [(one.match, one.listed) for one in answer.claims] == expected


def test_a_closer_match_that_does_not_count_leaves_the_wider_one_active(world: World) -> None:
    node = listing(world, "192.0.2.0/24", "192.0.2.7")
    node.store.knowledge.quarantine([detect("192.0.2.7")], "warning-list", "list 'resolvers' names it", NOW)
    answer = ask(node, "192.0.2.7")
    assert [(one.status, one.reason) for one in answer.matches] == [
        ("delisted", "warning-list"),
        ("active", None),
    ]
    assert answer.matches[0].quarantine[0].reason == "list 'resolvers' names it"
    assert (answer.active, answer.status) == (True, "active")


def test_why_something_does_not_count_is_said(world: World) -> None:
    node = listing(world, "evil.example")
    early = ask(node, "evil.example", NOW - DAY)
    assert (early.active, early.status, early.reason) == (False, "pending", None)
    node.store.knowledge.quarantine([detect("evil.example")], "allow-list", "ours", NOW)
    listed = ask(node, "www.evil.example")
    assert (listed.found, listed.status, listed.reason) == (True, "delisted", "allow-list")
    node.store.knowledge.release([detect("evil.example")], "allow-list")
    assert ask(node, "evil.example").status == "active"


def test_only_networks_have_lengths_and_a_new_one_is_noted(world: World) -> None:
    node = listing(world, "192.0.2.0/24", "2001:db8::/32", "http://evil.example/a/24")
    lengths = node.store.knowledge.network_lengths()
    assert lengths == {"ipv4-net": (24,), "ipv6-net": (32,)}
    send(node, ["198.51.0.0/16"], to=["bravo"], tlp=Tlp.CLEAR)
    assert node.store.knowledge.network_lengths()["ipv4-net"] == (24, 16)


def test_thousands_of_values_keep_their_order(world: World) -> None:
    node = listing(world, "192.0.2.0/24")
    values = [f"192.0.{n // 256}.{n % 256}" for n in range(2_500)]
    answers = look_up(node.store, values, NOW)
    assert [one.value for one in answers] == values
    assert [one.found for one in answers] == [n // 256 == 2 for n in range(2_500)]


def test_what_its_author_took_back_is_told_with_the_reason_and_what_replaces_it(world: World) -> None:
    node = listing(world, "evil.example")
    [claim] = ask(node, "evil.example").claims
    own, successor = node.identity.partner_id, "indicator--00000000-0000-4000-8000-000000000001"
    state = node.store.log.author_state(NOW)
    facts = WithdrawalFacts(
        target=claim.object_id,
        incarnation=state.incarnation,
        sequence=state.sequence,
        up_to_us=NOW * 1_000_000,
        reason=Reason.SUPERSEDED,
        replaced_by=successor,
    )
    raw = withdrawal_object(facts, author=own, now=NOW + 1, tlp=Tlp.GREEN)
    part = DraftPart(Tlp.GREEN, (compress_frame(b"[" + raw + b"]"),), 1)
    publish(node, [part], names=["bravo"], ttl_class=4, is_dry_run=False, now=NOW + 1, progress=quiet)
    answer = ask(node, "evil.example", NOW + 2)
    assert (answer.active, answer.status) == (False, "replaced")
    assert answer.claims[0].withdrawal == WithdrawalReason("superseded", successor)
