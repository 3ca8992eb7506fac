"""Intake: every arrival gets one verdict, the accounts add up, and what is good beside the bad is kept."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from whole_nodes import (
    NOW,
    READERS,
    World,
    befriend,
    publish,
    quiet,
    raw_draft,
    seal_unchecked,
    send,
    stix_header,
    take_in,
    wire_of,
)

from p2pshare.envelope.envelope import DecodedEnvelope, decode_envelope
from p2pshare.envelope.payload import decode_payload, inflate_frame
from p2pshare.envelope.sealing import open_envelope
from p2pshare.envelope.verification import verify_envelope
from p2pshare.gossip.moment import Moment
from p2pshare.intel.marking import Tlp
from p2pshare.node.node import Node
from p2pshare.queries.lookup import look_up
from p2pshare.sharing import intake
from p2pshare.sharing.intake import Arrival, IntakeStatus, IntakeVerdict, retry_deferred
from p2pshare.sharing.partners import remove_partner
from p2pshare.sharing.reading import read_all

DAY = 86_400


@pytest.fixture
def pair(world: World) -> tuple[Node, Node]:
    alpha, bravo = world.found("alpha"), world.found("bravo")
    befriend(alpha, bravo)
    befriend(bravo, alpha)
    return alpha, bravo


def bear(node: Node, wires: list[bytes], received_from: Node, now: int = NOW) -> list[IntakeVerdict]:
    return take_in(node, [Arrival(wire, received_from.identity.partner_id) for wire in wires], now)


def found(node: Node, value: str, now: int = NOW) -> bool:
    return bool(look_up(node.store, [value], now)[0].found)


def check_accounts(node: Node) -> None:
    """P22: what came in = stored + already held + deferred + refused by reason."""
    for account in node.store.partners.accounts():
        told = account.stored + account.already_held + account.deferred + sum(account.refused.values())
        assert account.came_in == told, account


def test_published_at_alpha_is_found_at_bravo_and_at_alpha(pair: tuple[Node, Node]) -> None:
    alpha, bravo = pair
    report = send(alpha, ["198.51.100.7", "evil.example"], to=["bravo"])
    assert (report.published, report.observables, report.recipients) == (2, 2, {"bravo"})
    verdicts = bear(bravo, [wire_of(alpha, one) for one in report.envelopes], alpha)
    assert [one.status for one in verdicts] == [IntakeStatus.HELD]
    for node in pair:
        answers = look_up(node.store, ["198[.]51.100.7", "EVIL.example"], NOW)
        assert [answer.found and answer.active for answer in answers] == [True, True]
        assert [answer.authors for answer in answers] == [["alpha"], ["alpha"]]


def test_replayed_envelope_is_held_once_in_one_batch_and_over_a_restart(
    world: World, pair: tuple[Node, Node]
) -> None:
    """P5: exactly-once acceptance."""
    alpha, bravo = pair
    wire = wire_of(alpha, send(alpha, ["198.51.100.7"], to=["bravo"]).envelopes[0])
    assert [one.status for one in bear(bravo, [wire, wire], alpha)] == [
        IntakeStatus.HELD,
        IntakeStatus.ALREADY_HELD,
    ]
    bravo = world.reopen("bravo")
    assert [one.status for one in bear(bravo, [wire], alpha)] == [IntakeStatus.ALREADY_HELD]
    assert bravo.store.log.counts().held == 1
    assert len(look_up(bravo.store, ["198.51.100.7"], NOW)[0].claims) == 1
    check_accounts(bravo)


def test_forged_copy_does_not_suppress_the_true_one(pair: tuple[Node, Node]) -> None:
    """An id counts as seen only once its envelope was verified."""
    alpha, bravo = pair
    wire = wire_of(alpha, send(alpha, ["198.51.100.7"], to=["bravo"]).envelopes[0])
    forged = wire[:-1] + bytes([wire[-1] ^ 1])  # the last byte of the ML-DSA signature: same id
    first, second = bear(bravo, [forged, wire], alpha)
    assert (first.status, first.reason) == (IntakeStatus.REFUSED, "bad-signature")
    assert second.status is IntakeStatus.HELD
    check_accounts(bravo)


def test_bad_bytes_beside_good_ones_cost_only_themselves(pair: tuple[Node, Node]) -> None:
    alpha, bravo = pair
    wires = [wire_of(alpha, send(alpha, [f"198.51.100.{n}"], to=["bravo"]).envelopes[0]) for n in range(1, 4)]
    generator = random.Random(7)
    bad = [
        b"",
        b"\x00",
        generator.randbytes(4000),
        wires[0][:-1],
        wires[0] + b"\x00",
        wires[1][: len(wires[1]) // 2],
    ]
    verdicts = bear(
        bravo, [bad[0], wires[0], bad[1], bad[2], wires[1], bad[3], bad[4], bad[5], wires[2]], alpha
    )
    assert [one.status is IntakeStatus.HELD for one in verdicts] == [
        False,
        True,
        False,
        False,
        True,
        False,
        False,
        False,
        True,
    ]
    assert all(one.reason for one in verdicts if one.status is IntakeStatus.REFUSED)
    assert bravo.store.log.counts().held == 3
    assert sum(bravo.store.partners.refusals().values()) == 6
    check_accounts(bravo)


def test_relay_holds_what_it_cannot_read(world: World) -> None:
    alpha, bravo, charlie = (world.found(name) for name in ("alpha", "bravo", "charlie"))
    befriend(alpha, bravo)
    befriend(alpha, charlie, has_link=False)
    befriend(bravo, alpha)
    befriend(bravo, charlie)
    befriend(charlie, bravo)
    befriend(charlie, alpha, has_link=False)
    wire = wire_of(alpha, send(alpha, ["evil.example"], to=["charlie"], tlp=Tlp.AMBER).envelopes[0])
    assert bear(bravo, [wire], alpha)[0].status is IntakeStatus.HELD
    counts = bravo.store.log.counts()
    assert (counts.held, counts.opened, counts.relayed) == (1, 0, 1)
    assert bravo.store.knowledge.observable_counts() == {}
    assert not found(bravo, "evil.example")
    assert bear(charlie, [wire], bravo)[0].status is IntakeStatus.HELD
    assert found(charlie, "evil.example")


def test_direct_envelope_handed_over_by_another_is_refused(world: World) -> None:
    alpha, bravo, charlie = (world.found(name) for name in ("alpha", "bravo", "charlie"))
    for node, other in (
        (alpha, charlie),
        (charlie, alpha),
        (charlie, bravo),
        (bravo, alpha),
        (bravo, charlie),
    ):
        befriend(node, other)
    wire = wire_of(alpha, send(alpha, ["evil.example"], to=["charlie"], tlp=Tlp.RED).envelopes[0])
    verdict = bear(charlie, [wire], bravo)[0]
    assert (verdict.status, verdict.reason) == (IntakeStatus.REFUSED, "direct-from-another")
    assert bear(charlie, [wire], alpha)[0].status is IntakeStatus.HELD


def test_unknown_author_and_removed_partner_are_refused(world: World, pair: tuple[Node, Node]) -> None:
    alpha, bravo = pair
    mallory = world.found("mallory")
    befriend(mallory, bravo)
    wire = wire_of(mallory, send(mallory, ["evil.example"], to=["bravo"]).envelopes[0])
    assert bear(bravo, [wire], alpha)[0].reason == "author-unknown"
    later = wire_of(alpha, send(alpha, ["other.example"], to=["bravo"]).envelopes[0])
    remove_partner(bravo, "alpha")
    assert bear(bravo, [later], alpha)[0].reason == "author-unknown"
    check_accounts(bravo)


def test_future_is_deferred_and_taken_in_when_due(pair: tuple[Node, Node]) -> None:
    alpha, bravo = pair
    wire = wire_of(alpha, send(alpha, ["evil.example"], to=["bravo"], now=NOW + 2 * 3600).envelopes[0])
    verdict = bear(bravo, [wire], alpha, now=NOW)[0]
    assert verdict.status is IntakeStatus.DEFERRED
    assert not found(bravo, "evil.example", NOW)
    assert retry_deferred(bravo, NOW + 60) == []
    assert [one.status for one in retry_deferred(bravo, NOW + 2 * 3600)] == [IntakeStatus.HELD]
    read_all(bravo, READERS, NOW + 2 * 3600)
    assert found(bravo, "evil.example", NOW + 2 * 3600)
    check_accounts(bravo)


def test_a_deferred_envelope_is_counted_once_and_its_second_copy_as_held_already(
    world: World, pair: tuple[Node, Node]
) -> None:
    """It was counted when it came and again when it was due: a partner's account said more than it had handed over."""
    alpha, bravo = pair
    charlie = world.found("charlie")
    befriend(bravo, charlie)
    befriend(charlie, bravo)
    wire = wire_of(alpha, send(alpha, ["evil.example"], to=["bravo"], now=NOW + 3600).envelopes[0])
    assert {one.status for one in bear(bravo, [wire, wire], alpha)} == {IntakeStatus.DEFERRED}
    assert bear(bravo, [wire], charlie)[0].status is IntakeStatus.DEFERRED

    def accounts() -> dict[str, tuple[int, ...]]:
        names = {alpha.identity.partner_id: "alpha", charlie.identity.partner_id: "charlie"}
        return {
            names[one.partner]: (one.came_in, one.stored, one.already_held, one.deferred)
            for one in bravo.store.partners.accounts()
        }

    assert accounts() == {"alpha": (2, 0, 1, 1), "charlie": (1, 0, 1, 0)}
    assert [one.status for one in retry_deferred(bravo, NOW + 3600)] == [IntakeStatus.HELD]
    assert accounts() == {"alpha": (2, 1, 1, 0), "charlie": (1, 0, 1, 0)}
    check_accounts(bravo)


def test_a_deferred_envelope_that_is_refused_when_it_is_due_is_counted_once(pair: tuple[Node, Node]) -> None:
    alpha, bravo = pair
    wire = wire_of(alpha, send(alpha, ["evil.example"], to=["bravo"], now=NOW + 3600).envelopes[0])
    bear(bravo, [wire], alpha)
    expired = NOW + 3600 + 800 * DAY
    assert [one.reason for one in retry_deferred(bravo, expired)] == ["expired"]
    (account,) = bravo.store.partners.accounts()
    assert (account.came_in, account.deferred, account.refused) == (1, 0, {"expired": 1})


@pytest.mark.parametrize("jump", [20 * DAY, -20 * DAY])
def test_in_doubt_of_the_clock_what_is_current_by_either_clock_is_taken_in(
    pair: tuple[Node, Node], jump: int
) -> None:
    """It jumped for a minute: everything that came was expired, or of the far future, and never asked for again."""
    alpha, bravo = pair
    moment = Moment(NOW + jump, min(NOW, NOW + jump), max(NOW, NOW + jump))

    def taken_in(created: int) -> IntakeVerdict:
        (one,) = send(alpha, [f"n{created}.example"], to=["bravo"], now=created, ttl_class=1).envelopes
        [verdict] = intake.take_in(
            bravo, [Arrival(wire_of(alpha, one), alpha.identity.partner_id)], NOW + jump, moment
        )
        return verdict

    for created in (NOW, int(moment.latest)):
        assert taken_in(created).status is IntakeStatus.HELD
    assert taken_in(int(moment.latest) + 2 * DAY).reason == "from-the-future"  # by both


def test_a_forged_envelope_of_the_future_is_not_kept_aside(pair: tuple[Node, Node]) -> None:
    """Unsigned bytes would fill the room of deferred ones in another's name, and suppress the true one."""
    alpha, bravo = pair
    wire = wire_of(alpha, send(alpha, ["evil.example"], to=["bravo"], now=NOW + 3600).envelopes[0])
    forged = wire[:-1] + bytes([wire[-1] ^ 1])
    (verdict,) = bear(bravo, [forged], alpha)
    assert (verdict.status, verdict.reason) == (IntakeStatus.REFUSED, "bad-signature")
    assert bravo.store.log.due_deferred(NOW + 2 * 3600, 9, 1 << 20) == []
    assert bear(bravo, [wire], alpha)[0].status is IntakeStatus.DEFERRED


def test_who_may_not_hand_an_envelope_over_does_not_learn_whether_it_is_held(
    world: World, pair: tuple[Node, Node]
) -> None:
    """`already-held` before admission would tell any partner what another circle, or a direct envelope, brought us."""
    alpha, bravo = pair
    charlie = world.found("charlie")
    befriend(bravo, charlie)
    befriend(charlie, bravo)
    held = wire_of(alpha, send(alpha, ["secret.example"], to=["bravo"], tlp=Tlp.RED).envelopes[0])
    other = wire_of(alpha, send(alpha, ["another.example"], to=["bravo"], tlp=Tlp.RED).envelopes[0])
    assert bear(bravo, [held], alpha)[0].status is IntakeStatus.HELD
    answers = bear(bravo, [held, other], charlie)
    assert {(one.status, one.reason) for one in answers} == {(IntakeStatus.REFUSED, "direct-from-another")}


def test_deferred_envelopes_are_taken_in_in_batches_and_one_that_fails_twice_costs_itself_alone(
    pair: tuple[Node, Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    """All in one transaction, the watchdog killed the daemon over them, and at the next start it began again."""
    alpha, bravo = pair
    later = NOW + 3600
    ids = [send(alpha, [f"m{n}.example"], to=["bravo"], now=later).envelopes[0] for n in range(5)]
    arrivals = [Arrival(wire_of(alpha, one), alpha.identity.partner_id) for one in ids]
    assert {one.status for one in take_in(bravo, arrivals, NOW)} == {IntakeStatus.DEFERRED}
    bad, real = min(ids), intake._check

    def die(batch: object, arrival: Arrival, decoded: DecodedEnvelope, is_seen: bool) -> object:
        if decoded.envelope_id == bad:
            raise SystemExit  # what a kill looks like from inside
        return real(batch, arrival, decoded, is_seen)  # type: ignore[arg-type]

    monkeypatch.setattr(intake, "_check", die)
    deaths = 0
    for _ in range(20):
        try:
            if not retry_deferred(bravo, later):
                break
        except SystemExit:
            deaths += 1
    assert deaths == 2
    assert bravo.store.log.counts().held == 4
    (account,) = bravo.store.partners.accounts()
    assert account.refused == {"gave-up": 1}


def test_far_future_and_expired_are_refused(pair: tuple[Node, Node]) -> None:
    alpha, bravo = pair
    future = wire_of(alpha, send(alpha, ["a.example"], to=["bravo"], now=NOW + 2 * DAY).envelopes[0])
    assert bear(bravo, [future], alpha)[0].reason == "from-the-future"
    short = wire_of(alpha, send(alpha, ["b.example"], to=["bravo"], now=NOW + DAY, ttl_class=1).envelopes[0])
    assert bear(bravo, [short], alpha, now=NOW + 2 * DAY)[0].reason == "expired"
    check_accounts(bravo)


def test_bad_objects_are_refused_and_good_ones_beside_them_kept(pair: tuple[Node, Node]) -> None:
    alpha, bravo = pair
    good = {
        "type": "indicator",
        "spec_version": "2.1",
        "id": "indicator--11111111-1111-4111-8111-111111111111",
        "created": "2026-01-01T00:00:00.000Z",
        "modified": "2026-01-01T00:00:00.000Z",
        "pattern": "[domain-name:value = 'good.example']",
        "pattern_type": "stix",
        "valid_from": "2026-01-01T00:00:00Z",
    }
    objects = [
        good,
        good | {"id": 7},
        {"type": "indicator"},
        "text",
        [],
        good | {"id": "indicator--x", "pattern": 5},
    ]
    part = raw_draft(objects)
    assert bear(bravo, [seal_unchecked(alpha, part, bravo)], alpha)[0].status is IntakeStatus.HELD
    assert found(bravo, "good.example")
    assert sum(bravo.store.partners.refusals().values()) == len(objects) - 1


def test_objects_that_nobody_could_read_are_not_sealed(pair: tuple[Node, Node]) -> None:
    """P19: a marking that was never read may be RED, so bytes that were refused must not leave with the rest."""
    alpha, bravo = pair
    deep = {"type": "indicator", "secret": "not-decided.example", "x": _nested(100)}
    part = raw_draft([_indicator("good.example", 1), deep, "text", _indicator("fine.example", 2)])
    report = publish(alpha, [part], names=["bravo"], ttl_class=4, is_dry_run=False, now=NOW, progress=quiet)
    assert (report.published, report.refusals.total) == (2, 2)
    wire = wire_of(alpha, report.envelopes[0])
    assert bear(bravo, [wire], alpha)[0].status is IntakeStatus.HELD
    assert found(bravo, "good.example") and found(bravo, "fine.example")
    assert bravo.store.partners.refusals() == {}
    opened = open_envelope(
        bravo.identity, verify_envelope(decode_envelope(wire), alpha.identity.card, NOW), alpha.identity.card
    )
    assert opened is not None
    _, frames = decode_payload(opened.payload)
    assert all(b"not-read" not in inflate_frame(frame) for frame in frames)


def test_a_part_with_nothing_to_read_is_not_sealed(pair: tuple[Node, Node]) -> None:
    alpha, _ = pair
    part = raw_draft(["text", {"type": "indicator"}])
    report = publish(alpha, [part], names=["bravo"], ttl_class=4, is_dry_run=False, now=NOW, progress=quiet)
    assert (report.published, report.refusals.total, report.envelopes, report.recipients) == (0, 2, [], set())


def _nested(depth: int) -> object:
    inner: object = 1
    for _ in range(depth):
        inner = [inner]
    return inner


def _indicator(domain: str, number: int) -> dict[str, object]:
    return {
        "type": "indicator",
        "spec_version": "2.1",
        "id": f"indicator--11111111-1111-4111-8111-{number:012}",
        "created": "2026-01-01T00:00:00.000Z",
        "modified": "2026-01-01T00:00:00.000Z",
        "pattern": f"[domain-name:value = '{domain}']",
        "pattern_type": "stix",
        "valid_from": "2026-01-01T00:00:00Z",
    }


def test_author_lies_about_its_own_marking_only_towards_stricter(pair: tuple[Node, Node]) -> None:
    """The payload's marking is a floor: an object inside it may be stricter, never looser."""
    alpha, bravo = pair
    clear = "marking-definition--94868c89-83c2-464b-929b-a1a8aa3c8487"
    thing = {
        "type": "indicator",
        "spec_version": "2.1",
        "id": "indicator--22222222-2222-4222-8222-222222222222",
        "created": "2026-01-01T00:00:00.000Z",
        "modified": "2026-01-01T00:00:00.000Z",
        "pattern": "[domain-name:value = 'loose.example']",
        "pattern_type": "stix",
        "valid_from": "2026-01-01T00:00:00Z",
        "object_marking_refs": [clear],
    }
    part = raw_draft([thing], Tlp.AMBER)
    report = publish(alpha, [part], names=["bravo"], ttl_class=4, is_dry_run=False, now=NOW, progress=quiet)
    bear(bravo, [wire_of(alpha, report.envelopes[0])], alpha)
    assert look_up(bravo.store, ["loose.example"], NOW)[0].claims[0].tlp == "TLP:AMBER"


def test_restored_backup_never_reuses_a_sequence_number(world: World, pair: tuple[Node, Node]) -> None:
    """P8 for the own store: after a restore the feed goes on in a larger incarnation, without a fork."""
    alpha, bravo = pair
    first = send(alpha, ["a.example"], to=["bravo"])
    alpha.store.database.checkpoint()
    backup = (alpha.home / "store.sqlite").read_bytes()
    second = send(alpha, ["b.example"], to=["bravo"])
    wires = [wire_of(alpha, one) for one in first.envelopes + second.envelopes]
    alpha.store.close()
    (alpha.home / "store.sqlite").write_bytes(backup)
    for suffix in ("-wal", "-shm"):
        (alpha.home / f"store.sqlite{suffix}").unlink(missing_ok=True)
    alpha = world.open("alpha")
    third = send(alpha, ["c.example"], to=["bravo"], now=NOW + 60)
    wires.append(wire_of(alpha, third.envelopes[0]))
    assert [one.status for one in bear(bravo, wires, alpha, now=NOW + 60)] == [IntakeStatus.HELD] * 3
    assert bravo.store.log.sequence_forks() == []


def test_equivocation_is_kept_as_evidence(world: World, pair: tuple[Node, Node]) -> None:
    """P9: two envelopes of one (author, incarnation, sequence) are both held, and told."""
    alpha, bravo = pair
    alpha.store.database.checkpoint()
    backup = (alpha.home / "store.sqlite").read_bytes()
    one = wire_of(alpha, send(alpha, ["a.example"], to=["bravo"], now=NOW).envelopes[0])
    alpha.store.close()
    (alpha.home / "store.sqlite").write_bytes(backup)
    for suffix in ("-wal", "-shm"):
        (alpha.home / f"store.sqlite{suffix}").unlink(missing_ok=True)
    alpha = world.open("alpha")
    other = wire_of(alpha, send(alpha, ["b.example"], to=["bravo"], now=NOW).envelopes[0])
    assert [verdict.status for verdict in bear(bravo, [one, other], alpha)] == [
        IntakeStatus.HELD,
        IntakeStatus.HELD,
    ]
    forks = bravo.store.log.sequence_forks()
    assert len(forks) == 1
    assert forks[0].author == alpha.identity.partner_id
    assert bravo.store.log.wire(forks[0].first) in (one, other)
    assert bravo.store.log.wire(forks[0].second) in (one, other)


def gaps(reader: Node, author: Node) -> list[tuple[int, ...]]:
    """The numbers (first, last) that `reader` misses of `author`, all of one incarnation."""
    found = reader.store.log.sequence_gaps(author.identity.partner_id)
    assert len({incarnation for incarnation, *_ in found}) <= 1
    return [tuple(numbers) for _, *numbers in found]


def test_an_omitted_envelope_is_noticed_with_the_right_number(pair: tuple[Node, Node]) -> None:
    """P6: every relay may lie; the recipient's own numbers do not."""
    alpha, bravo = pair
    wires = [wire_of(alpha, send(alpha, [f"198.51.100.{n}"], to=["bravo"]).envelopes[0]) for n in range(1, 7)]
    bear(bravo, [wires[0], wires[3], wires[5]], alpha)
    assert gaps(bravo, alpha) == [(2, 3), (5, 5)]
    bear(bravo, [wires[1], wires[2], wires[4]], alpha)
    assert gaps(bravo, alpha) == []


def test_what_cannot_be_read_is_no_gap_in_what_its_author_sealed_for_us(pair: tuple[Node, Node]) -> None:
    """Its number was signed and has come: nobody withholds anything."""
    alpha, bravo = pair
    part = raw_draft([])
    unreadable = replace(stix_header(part), marking="\x1b")
    first = seal_unchecked(alpha, part, bravo, header=unreadable, recipient_sequence=1)
    third = seal_unchecked(alpha, part, bravo, ahead=2, recipient_sequence=3)
    assert [one.status for one in bear(bravo, [first, third], alpha)] == [IntakeStatus.HELD] * 2
    assert bravo.store.partners.refusals() == {"content-malformed": 1}
    assert gaps(bravo, alpha) == [(2, 2)]
