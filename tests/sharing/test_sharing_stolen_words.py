"""What a thief of a sign key withdrew, saw, called false and proposed in its owner's name goes with the revocation; what the owner said
stays. Compared with a store that never met the thief."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, field
from random import Random
from typing import Any

import pytest
from stolen_key import MAIN, SINCE, THEN, Theft, id_of
from store_rows import rows
from whole_nodes import NOW, World, befriend, draft, raw_draft, seal_unchecked, take_in

from p2pshare.intel.assessing import Proposal, Target, false_positive_object, proposal_object, sighting_object
from p2pshare.intel.authoring import indicator_object
from p2pshare.intel.derivation import ObjectOrigin, restated_id, restating, with_derivation
from p2pshare.intel.instants import SECOND_US
from p2pshare.intel.marking import Tlp
from p2pshare.intel.observable import detect
from p2pshare.intel.withdrawing import Reason, WithdrawalFacts, withdrawal_object
from p2pshare.knowledge import assessments, out_of_effect
from p2pshare.node.node import Node
from p2pshare.sharing.intake import Arrival

VALUES = [f"value-{number}.example" for number in range(6)]


@dataclass
class Speaking:
    """What is said in alpha's name at bravo, by alpha and by the thief, about indicators of alpha's and of charlie's."""

    theft: Theft
    charlie: Node
    good: list[bytes] = field(default_factory=list)
    sealed: int = 0

    def seal(self, *objects: bytes, at: int, is_thief: bool = False) -> bytes:
        """An envelope with these objects in alpha's name; of the owner's it is noted that they are vouched for."""
        self.sealed += 1
        wire = seal_unchecked(
            self.theft.alpha,
            raw_draft([json.loads(one) for one in objects]),
            self.theft.bravo,
            at,
            ahead=self.sealed,
        )
        if not is_thief:
            self.good.append(wire)
        return wire

    def indicator(self, value: str, author: Node | None = None) -> bytes:
        author = author or self.theft.alpha
        return indicator_object(detect(value), author=author.identity.partner_id, created=NOW, tlp=Tlp.GREEN)

    def withdrawal(
        self, value: str, *, reason: Reason = Reason.MISTAKE, up_to: int = NOW + 500, at: int = NOW + 20
    ) -> bytes:
        target = json.loads(self.indicator(value))["id"]
        facts = WithdrawalFacts(target, 0, 0, up_to * SECOND_US, reason, None)
        return withdrawal_object(facts, author=self.theft.alpha.identity.partner_id, now=at, tlp=Tlp.GREEN)

    def passed_on(self, value: str, at: int) -> bytes:
        """Charlie's envelope that restates alpha's indicator."""
        origin = ObjectOrigin(self.theft.alpha.identity.partner_id, json.loads(self.indicator(value))["id"])
        stix = json.loads(
            indicator_object(
                detect(value),
                author=self.charlie.identity.partner_id,
                created=NOW,
                modified=at,
                tlp=Tlp.GREEN,
            )
        )
        stix["id"] = restated_id(self.charlie.identity.partner_id, origin)
        self.sealed += 1
        part = raw_draft([with_derivation(stix, restating(origin, None))])
        return seal_unchecked(self.charlie, part, self.theft.bravo, at, ahead=self.sealed)

    def target(self, value: str) -> Target:
        stix = json.loads(self.indicator(value, self.charlie))
        return Target(stix["id"], self.charlie.identity.partner_id)

    def sighting(self, value: str, count: int, at: int) -> bytes:
        reporter = self.theft.alpha.identity.partner_id
        return sighting_object(self.target(value), reporter=reporter, count=count, now=at, tlp=Tlp.GREEN)

    def false_positive(self, value: str, at: int) -> bytes:
        reporter = self.theft.alpha.identity.partner_id
        return false_positive_object(self.target(value), reporter=reporter, now=at, tlp=Tlp.GREEN)

    def charlies(self, values: list[str]) -> bytes:
        return seal_unchecked(self.charlie, draft(self.charlie, values), self.theft.bravo, NOW)

    def bear(self, node: Node, wires: list[bytes], now: int) -> None:
        verdicts = take_in(node, [Arrival(wire, self.theft.alpha.identity.partner_id) for wire in wires], now)
        assert {one.status.value for one in verdicts} == {"held"}, [one.reason for one in verdicts]

    def revoke(self) -> None:
        card, pages = self.theft.revoke({MAIN: self.good})
        self.theft.take_in([card, *pages], THEN)
        self.theft.settle(THEN)


@pytest.fixture
def speaking(theft: Theft, world: World) -> Speaking:
    charlie = world.found("charlie")
    for node in (theft.alpha, theft.bravo):
        befriend(node, charlie)
        befriend(charlie, node)
    return Speaking(theft, charlie)


def rows_of(node: Node, sql: str, *bindings: object) -> list[tuple[Any, ...]]:
    return rows(node.store.database.path, sql, *bindings)


def status_of(node: Node, value: str) -> tuple[object, ...]:
    [row] = rows_of(node, "SELECT status, reason FROM v1_indicators WHERE value = ?", value)
    return row


def test_what_a_thief_withdrew_counts_again_and_the_feed_says_so(speaking: Speaking) -> None:
    bravo = speaking.theft.bravo
    first = speaking.seal(*map(speaking.indicator, VALUES[:3]), at=NOW + 10)
    own = speaking.seal(speaking.withdrawal(VALUES[1]), at=NOW + 20)
    evil = speaking.seal(
        *(speaking.withdrawal(value, reason=Reason.LEGAL) for value in VALUES[:3]), at=NOW + 30, is_thief=True
    )
    speaking.bear(bravo, [first, own, evil], NOW + 40)
    assert [status_of(bravo, value)[0] for value in VALUES[:3]] == ["delisted"] * 3
    speaking.revoke()
    assert [status_of(bravo, value) for value in VALUES[:3]] == [
        ("active", None),
        ("delisted", "withdrawn"),  # its owner said so, too
        ("active", None),
    ]
    changes = rows_of(bravo, "SELECT op, value FROM v1_changes ORDER BY seq")
    assert [op for op, value in changes if value in (VALUES[0], VALUES[2])] == ["add", "add"]
    reasons = rows_of(bravo, "SELECT reason FROM withdrawal")
    assert reasons == [("mistake",)], "nor is the thief's reason left"
    assert rows_of(bravo, "SELECT count(*) FROM withdrawal_said WHERE is_out = 1") == [(3,)]  # as evidence


def test_what_its_owner_withdrew_late_is_withdrawn_again_once_a_page_lists_it(speaking: Speaking) -> None:
    bravo = speaking.theft.bravo
    first = speaking.seal(speaking.indicator(VALUES[0]), at=NOW + 10)
    late = speaking.seal(speaking.withdrawal(VALUES[0]), at=SINCE + 10)
    speaking.bear(bravo, [first, late], SINCE + 20)
    card, pages = speaking.theft.revoke({MAIN: speaking.good})
    speaking.theft.take_in([card], THEN)
    speaking.theft.settle(THEN)
    assert status_of(bravo, VALUES[0]) == ("active", None)
    speaking.theft.take_in(pages, THEN + 10)
    speaking.theft.settle(THEN + 10)
    assert status_of(bravo, VALUES[0]) == ("delisted", "withdrawn")


def test_what_is_passed_on_falls_with_what_its_owner_says_and_not_with_a_thief(speaking: Speaking) -> None:
    """Charlie affirmed the first after its owner's withdrawal, and before the thief's."""
    bravo = speaking.theft.bravo
    first = speaking.seal(*map(speaking.indicator, VALUES[:3]), at=NOW + 10)
    own = speaking.seal(speaking.withdrawal(VALUES[0]), speaking.withdrawal(VALUES[2]), at=NOW + 20)
    evil = speaking.seal(
        *(speaking.withdrawal(value, reason=Reason.LEGAL, at=NOW + 40) for value in VALUES[:3]),
        at=NOW + 40,
        is_thief=True,
    )
    again = [
        speaking.passed_on(value, at)
        for value, at in ((VALUES[0], NOW + 30), (VALUES[1], NOW + 15), (VALUES[2], NOW + 15))
    ]
    fallen = "SELECT reason FROM v1_claims WHERE value = ? AND derived_from IS NOT NULL"
    speaking.bear(bravo, [first, own, *again], NOW + 50)
    assert [rows_of(bravo, fallen, value) for value in VALUES[:3]] == [
        [(None,)],
        [(None,)],
        [("origin-withdrawn",)],
    ]
    speaking.bear(bravo, [evil], NOW + 60)
    assert [rows_of(bravo, fallen, value) for value in VALUES[:3]] == [[("origin-withdrawn",)]] * 3
    speaking.revoke()
    assert [rows_of(bravo, fallen, value) for value in VALUES[:3]] == [
        [(None,)],
        [(None,)],
        [("origin-withdrawn",)],
    ]


def test_a_restated_false_positive_that_comes_back_counts_as_little_as_before(speaking: Speaking) -> None:
    """It is out of effect while the pages of its reporter are missing, and in effect again with them."""
    bravo = speaking.theft.bravo
    bravo.store.knowledge.set_false_positive_reports(1)
    said = json.loads(speaking.false_positive(VALUES[0], SINCE + 10))
    origin = ObjectOrigin(bravo.identity.partner_id, said["id"])
    said["id"] = restated_id(speaking.theft.alpha.identity.partner_id, origin)
    restated = with_derivation(said, restating(origin, None))
    late = speaking.seal(
        json.dumps(restated).encode(), speaking.false_positive(VALUES[1], SINCE + 10), at=SINCE + 10
    )
    speaking.bear(bravo, [speaking.charlies(VALUES[:2]), late], SINCE + 20)
    states = [status_of(bravo, value) for value in VALUES[:2]]
    assert states == [("active", None), ("delisted", "false-positive")]
    card, pages = speaking.theft.revoke({MAIN: speaking.good})
    speaking.theft.take_in([card], THEN)
    speaking.theft.settle(THEN)
    assert [status_of(bravo, value)[0] for value in VALUES[:2]] == ["active", "active"]
    speaking.theft.take_in(pages, THEN + 10)
    speaking.theft.settle(THEN + 10)
    assert [status_of(bravo, value) for value in VALUES[:2]] == states


def test_sightings_and_false_positives_of_a_thief_leave_the_sums(speaking: Speaking) -> None:
    bravo = speaking.theft.bravo
    bravo.store.knowledge.set_false_positive_reports(1)
    speaking.bear(bravo, [speaking.charlies(VALUES[:3])], NOW + 5)
    own = speaking.seal(speaking.sighting(VALUES[0], 3, NOW + 10), at=NOW + 10)
    evil = speaking.seal(
        speaking.sighting(VALUES[0], 1_000, NOW + 20),
        speaking.sighting(VALUES[1], 7, NOW + 20),
        speaking.false_positive(VALUES[2], NOW + 20),
        at=NOW + 20,
        is_thief=True,
    )
    speaking.bear(bravo, [own, evil], NOW + 30)
    assert status_of(bravo, VALUES[2]) == ("delisted", "false-positive")
    sighted = "SELECT o.value, s.sighted_at FROM effective_state s JOIN observable o ON o.id = s.observable ORDER BY o.value"
    assert rows_of(bravo, sighted) == [(VALUES[0], NOW + 20), (VALUES[1], NOW + 20), (VALUES[2], None)]
    speaking.revoke()
    assert rows_of(bravo, "SELECT value, count, reports FROM v1_sightings") == [(VALUES[0], 3, 1)]
    assert status_of(bravo, VALUES[2]) == ("active", None)
    assert rows_of(bravo, sighted) == [(VALUES[0], NOW + 10), (VALUES[1], None), (VALUES[2], None)]
    assert rows_of(bravo, "SELECT count(*) FROM recounting") == [(0,)]


def test_a_false_positive_that_waits_for_its_target_does_not_wait_for_a_thief(speaking: Speaking) -> None:
    bravo = speaking.theft.bravo
    bravo.store.knowledge.set_false_positive_reports(1)
    evil = speaking.seal(speaking.false_positive(VALUES[0], NOW + 20), at=NOW + 20, is_thief=True)
    own = speaking.seal(speaking.false_positive(VALUES[1], NOW + 20), at=NOW + 20)
    speaking.bear(bravo, [evil, own], NOW + 30)
    speaking.revoke()
    speaking.bear(bravo, [speaking.charlies(VALUES[:2])], THEN + 10)
    assert status_of(bravo, VALUES[0]) == ("active", None)
    assert status_of(bravo, VALUES[1]) == ("delisted", "false-positive")


def test_what_a_thief_pushed_out_of_the_line_waits_again(speaking: Speaking) -> None:
    """The newest 64 of an organisation wait for an object that is not held."""
    bravo = speaking.theft.bravo
    own = speaking.seal(speaking.sighting(VALUES[0], 3, NOW + 10), at=NOW + 10)
    many = [speaking.sighting(VALUES[0], 1, NOW + 100 + number) for number in range(70)]
    evil = speaking.seal(*many, at=NOW + 20, is_thief=True)
    speaking.bear(bravo, [own, evil], NOW + 300)
    assert rows_of(bravo, "SELECT is_waiting, count(*) FROM assessment GROUP BY is_waiting") == [
        (1, 64),
        (2, 7),
    ]
    speaking.revoke()
    assert rows_of(bravo, "SELECT is_out, is_waiting, count(*) FROM assessment GROUP BY 1, 2") == [
        (0, 1, 1),
        (1, 0, 70),
    ]
    speaking.bear(bravo, [speaking.charlies(VALUES[:1])], THEN + 10)
    assert rows_of(bravo, "SELECT value, count, reports FROM v1_sightings") == [(VALUES[0], 3, 1)]


def test_a_proposal_of_a_thief_is_shown_to_nobody(speaking: Speaking) -> None:
    bravo = speaking.theft.bravo
    reporter = speaking.theft.alpha.identity.partner_id
    mine = indicator_object(
        detect("mine.example"), author=bravo.identity.partner_id, created=NOW, tlp=Tlp.GREEN
    )
    about = Target(json.loads(mine)["id"], bravo.identity.partner_id)
    said = [
        proposal_object(
            about, Proposal(confidence=number), reporter=reporter, now=NOW + number, tlp=Tlp.GREEN
        )
        for number in (1, 2)
    ]
    evil, own = speaking.seal(said[0], at=NOW + 10, is_thief=True), speaking.seal(said[1], at=NOW + 20)
    speaking.bear(bravo, [evil, own], NOW + 30)
    listed = bravo.store.knowledge.proposals_to
    assert len(listed(bravo.identity.partner_id, 10)) == 2
    speaking.revoke()
    assert [json.loads(one.raw)["proposed"] for one in listed(bravo.identity.partner_id, 10)] == [
        {"confidence": 2}
    ]


def what_counts(node: Node) -> list[list[tuple[object, ...]]]:
    """All that a SIEM sees, and the withdrawals that hold for what is still to come."""
    return [
        rows_of(node, sql)
        for sql in (
            "SELECT value, status, reason, authors, claims, score FROM v1_indicators ORDER BY type, value",
            """SELECT value, reporter, count, first_seen, last_seen, not_seen_at, false_positive, reports
            FROM v1_sightings ORDER BY value, reporter""",
            """SELECT object_key, incarnation, sequence, up_to_us, reason, replaced_by FROM withdrawal
            ORDER BY object_key""",
            """SELECT o.value, s.sighted_at FROM effective_state s JOIN observable o ON o.id = s.observable
            WHERE s.status < 5 ORDER BY o.value""",
        )
    ]


@pytest.mark.parametrize("seed", range(8))
def test_whatever_both_said_a_store_ends_as_one_that_never_met_the_thief(
    speaking: Speaking, world: World, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    random = Random(seed)
    monkeypatch.setattr(out_of_effect, "STEP_CLAIMS", random.choice([1, 3, 2_000]))
    monkeypatch.setattr(assessments, "RECOUNTED_OBSERVABLES", random.choice([1, 2, 2_000]))
    bravo = speaking.theft.bravo
    bravo.store.database.checkpoint()
    shutil.copytree(bravo.home, world.folder / "clean")
    clean = world.open("clean")
    for node in (bravo, clean):
        node.store.knowledge.set_false_positive_reports(1)
    wires: list[tuple[bytes, bool]] = []
    for _ in range(14):
        is_thief = random.random() < 0.5
        at = NOW + 30 + random.randrange(900)
        value = random.choice(VALUES)
        said = random.choice(
            [
                speaking.indicator(value),
                speaking.withdrawal(value, reason=random.choice([Reason.LEGAL, Reason.MISTAKE]), up_to=at),
                speaking.sighting(value, random.randrange(4), at),
                speaking.false_positive(value, at),
            ]
        )
        stix = json.loads(said)
        if stix["type"] in ("sighting", "opinion"):
            # two contents of one id would be a fork, and not the thief's alone
            stix["id"] = stix["id"][:-6] + f"{seed:02x}{len(wires):02x}{is_thief:02x}"
        if stix["type"] == "indicator" and is_thief:
            stix = json.loads(speaking.indicator(f"thiefs-{value}"))
        wires.append((speaking.seal(json.dumps(stix).encode(), at=at, is_thief=is_thief), is_thief))
    charlies = speaking.charlies(VALUES[:4])
    order = [*(wire for wire, _ in wires), charlies]
    random.shuffle(order)
    evil = {wire for wire, is_thief in wires if is_thief}
    for wire in order:
        speaking.bear(bravo, [wire], SINCE)
        if wire not in evil:
            speaking.bear(clean, [wire], SINCE)
    speaking.revoke()
    for node in (bravo, clean):
        node.store.knowledge.reevaluate(THEN, 1_000)
    assert what_counts(bravo) == what_counts(clean)
    assert {id_of(wire) for wire in evil} == {
        id_of(wire) for wire in evil if bravo.store.log.wire(id_of(wire)) is None
    }
