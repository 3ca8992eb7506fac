"""A partner that floods fills its own quota and nobody else's; what had no room is not lost for ever."""

from __future__ import annotations

import hashlib

import pytest
from whole_nodes import (
    NOW,
    World,
    befriend,
    draft,
    seal_unchecked,
    seen_by_daemon,
    send,
    take_in,
    wire_of,
)

from p2pshare.envelope.envelope import Mode, decode_envelope
from p2pshare.gossip.messages import PutVerdict
from p2pshare.limits import MIB, QUOTA_RETRY_SECONDS, QUOTA_SMALL_BYTES_MAX
from p2pshare.node.home import STORE_NAME
from p2pshare.node.node import Node, close_node, note_config
from p2pshare.queries.status import status
from p2pshare.sharing.exchange import Exchange, ReceivedBody
from p2pshare.sharing.intake import Arrival, IntakeStatus

DAY = 86_400
TTL_DAYS = 90


@pytest.fixture
def three(world: World) -> tuple[Node, Node, Node]:
    """alpha and charlie publish, bravo receives."""
    alpha, bravo, charlie = (world.found(name) for name in ("alpha", "bravo", "charlie"))
    for one in (alpha, charlie):
        befriend(one, bravo)
        befriend(bravo, one)
    return alpha, bravo, charlie


def published(author: Node, count: int, *, values: int = 1, now: int = NOW, of: str = "") -> list[bytes]:
    """The bytes of `count` envelopes with so many names each, which no compression makes small."""
    names = [[name_of(of, n, v) for v in range(values)] for n in range(count)]
    return [
        wire_of(author, one) for some in names for one in send(author, some, to=["bravo"], now=now).envelopes
    ]


def name_of(*what: object) -> str:
    digest = hashlib.sha512(repr(what).encode()).hexdigest()
    return f"{digest[:60]}.{digest[60:120]}.example"


def bear(
    reader: Node, received_from: Node, wires: list[bytes], now: int = NOW
) -> list[tuple[IntakeStatus, str]]:
    arrivals = [Arrival(wire, received_from.identity.partner_id) for wire in wires]
    return [(verdict.status, verdict.reason) for verdict in take_in(reader, arrivals, now)]


def room_for(node: Node, count: int, wires: list[bytes]) -> None:
    node.store.log.set_quota(sum(map(len, wires[:count])))


def test_a_flood_is_refused_from_its_authors_quota_on_and_everybody_else_is_taken_in(
    three: tuple[Node, Node, Node],
) -> None:
    alpha, bravo, charlie = three
    flood = published(alpha, 6)
    room_for(bravo, 4, flood)
    told = bear(bravo, alpha, flood[:5]) + bear(bravo, alpha, flood[5:])  # over a batch, and from the next on
    assert told == [(IntakeStatus.HELD, "")] * 4 + [(IntakeStatus.REFUSED, "quota")] * 2
    assert bear(bravo, charlie, published(charlie, 2)) == [(IntakeStatus.HELD, "")] * 2
    account = next(one for one in bravo.store.partners.accounts() if one.partner == alpha.identity.partner_id)
    assert (account.came_in, account.stored, account.refused) == (6, 4, {"quota": 2})
    assert bravo.store.partners.refusals() == {"quota": 2}


def test_what_a_relay_passes_on_is_counted_against_its_author(three: tuple[Node, Node, Node]) -> None:
    alpha, bravo, charlie = three
    flood = published(alpha, 3)
    room_for(bravo, 2, flood)
    assert [reason for _, reason in bear(bravo, charlie, flood)] == ["", "", "quota"]
    assert bear(bravo, charlie, published(charlie, 1)) == [(IntakeStatus.HELD, "")]


def test_who_names_another_circle_in_each_direct_envelope_gets_no_more_room(
    three: tuple[Node, Node, Node],
) -> None:
    alpha, bravo, _ = three
    flood = [
        seal_unchecked(
            alpha, draft(alpha, [name_of(n)]), bravo, mode=Mode.DIRECT, circle=f"c{n}", ahead=n + 1
        )
        for n in range(4)
    ]
    room_for(bravo, 2, flood)
    assert [reason for _, reason in bear(bravo, alpha, flood)] == ["", "", "quota", "quota"]


def test_a_forgery_in_somebodys_name_takes_none_of_its_room(three: tuple[Node, Node, Node]) -> None:
    alpha, bravo, charlie = three
    true = published(alpha, 2)
    room_for(bravo, 2, true)
    forged = [wire[:-1] + bytes([wire[-1] ^ 1]) for wire in true]
    assert {reason for _, reason in bear(bravo, charlie, forged * 3)} == {"bad-signature"}
    assert bear(bravo, alpha, true) == [(IntakeStatus.HELD, "")] * 2


def test_who_has_filled_its_quota_with_lists_can_still_say_something_small(
    three: tuple[Node, Node, Node],
) -> None:
    alpha, bravo, _ = three
    large = published(alpha, 2, values=1_000)
    small = published(alpha, 1, of="small")
    assert len(small[0]) <= QUOTA_SMALL_BYTES_MAX < len(large[0])
    bravo.store.log.set_quota(sum(map(len, large)) + len(small[0]))
    told = bear(bravo, alpha, [*large, *small])
    assert told == [(IntakeStatus.HELD, ""), (IntakeStatus.REFUSED, "quota"), (IntakeStatus.HELD, "")]


def test_ones_own_envelopes_come_back_after_a_restore_whatever_they_take(
    three: tuple[Node, Node, Node], world: World
) -> None:
    alpha, bravo, _ = three
    close_node(alpha)
    yesterday = (alpha.home / STORE_NAME).read_bytes()
    alpha = world.open("alpha")
    wires = published(alpha, 2)
    bear(bravo, alpha, wires)
    close_node(alpha)
    (alpha.home / STORE_NAME).write_bytes(yesterday)
    alpha = world.open("alpha")
    alpha.store.log.set_quota(1)
    assert bear(alpha, bravo, wires) == [(IntakeStatus.HELD, "")] * 2


def test_what_had_no_room_is_remembered_nowhere(three: tuple[Node, Node, Node]) -> None:
    alpha, bravo, _ = three
    wires = published(alpha, 2)
    bravo.store.log.set_quota(1)
    assert {reason for _, reason in bear(bravo, alpha, wires)} == {"quota"}
    assert bravo.store.log.is_seen([decode_envelope(wire).envelope_id for wire in wires]) == set()


@pytest.mark.parametrize("batches_between", [0, 1, 2])
def test_what_had_no_room_is_asked_for_again_when_older_ones_have_expired(
    three: tuple[Node, Node, Node], batches_between: int
) -> None:
    """Whatever came meanwhile: sabotage found that a batch in which nothing was refused could make us forget it."""
    alpha, bravo, _ = three
    first, second = published(alpha, 1), published(alpha, 1, now=NOW + DAY)
    room_for(bravo, 1, second)
    exchange, peer = Exchange(bravo), alpha.identity.partner_id

    def commit(wires: list[bytes], now: int) -> list[tuple[PutVerdict, str]]:
        bodies = [ReceivedBody(peer, decode_envelope(wire).envelope_id, wire) for wire in wires]
        return [(one.verdict, one.reason) for one in exchange.commit(bodies, now).decided]

    late = NOW + TTL_DAYS * DAY
    assert not exchange.sweep(late).makes_room  # nothing expired, nothing was refused
    assert commit(first, NOW) == [(PutVerdict.HELD, "")]
    assert commit(second, NOW + DAY) == [(PutVerdict.REFUSED, "quota")]
    assert not exchange.sweep(NOW + DAY).makes_room
    for _ in range(batches_between):
        assert commit(first, NOW + DAY) == [(PutVerdict.ALREADY_HELD, "")]
    assert exchange.sweep(late).makes_room
    assert not exchange.sweep(late).makes_room  # told once
    assert commit(second, late) == [(PutVerdict.HELD, "")]


@pytest.mark.parametrize("early", [1, 0])
def test_a_flood_that_expires_bit_by_bit_is_not_downloaded_again_with_each_sweep(
    three: tuple[Node, Node, Node], early: int
) -> None:
    alpha, bravo, _ = three
    wires = [
        wire_of(alpha, send(alpha, [name_of(n)], to=["bravo"], now=NOW + n * 60, ttl_class=1).envelopes[0])
        for n in range(3)
    ]
    exchange, peer = Exchange(bravo), alpha.identity.partner_id

    def commit(wire: bytes, now: int) -> None:
        exchange.commit([ReceivedBody(peer, decode_envelope(wire).envelope_id, wire)], now)

    bravo.store.log.set_quota(max(map(len, wires)))  # one is now and then a step of the padding longer
    commit(wires[0], NOW)
    commit(wires[1], NOW + 60)  # refused
    assert exchange.sweep(NOW + DAY).makes_room
    commit(wires[1], NOW + DAY)
    commit(wires[2], NOW + DAY)  # refused
    assert not exchange.sweep(NOW + DAY + 60).makes_room  # the second expires
    assert exchange.sweep(NOW + DAY + QUOTA_RETRY_SECONDS - early).makes_room == (not early)


def test_status_says_who_has_nearly_filled_its_room_and_what_to_do(three: tuple[Node, Node, Node]) -> None:
    alpha, bravo, _ = three
    wires = published(alpha, 4)
    room_for(bravo, 4, wires)
    bear(bravo, alpha, wires[:3])
    assert status(seen_by_daemon(bravo), NOW).alarms == []
    bear(bravo, alpha, wires[3:])
    (alarm,) = status(seen_by_daemon(bravo), NOW).alarms
    assert (alarm.word, alarm.partner, alarm.bytes) == ("quota", "alpha", sum(map(len, wires)))
    assert "limits.author_mib" in alarm.hint and "alpha" in alarm.message
    note_config(bravo)  # as a reload does: the config says 1 GiB
    assert bravo.store.log.quota_bytes() == bravo.config.limits.author_mib * MIB
    assert status(seen_by_daemon(bravo), NOW).alarms == []


def test_a_second_copy_in_one_batch_is_charged_to_nobody(three: tuple[Node, Node, Node]) -> None:
    alpha, bravo, _ = three
    first, second = published(alpha, 2)
    bravo.store.log.set_quota(len(first) * 5 // 2)
    assert bear(bravo, alpha, [first, first, second]) == [
        (IntakeStatus.HELD, ""),
        (IntakeStatus.ALREADY_HELD, ""),
        (IntakeStatus.HELD, ""),
    ]
