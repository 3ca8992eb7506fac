"""Assessing between whole nodes: who hears of it, what counts there, and what must not be said to whom."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pytest
from whole_nodes import NOW, World, befriend, send, take_in

from p2pshare.errors import NotFoundError, RefusedError
from p2pshare.identifiers import EnvelopeId
from p2pshare.intel.assessing import Proposal, false_positive_object, proposal_object, sighting_object
from p2pshare.intel.authoring import indicator_id
from p2pshare.intel.instants import format_instant
from p2pshare.intel.marking import Tlp
from p2pshare.intel.observable import detect
from p2pshare.node.node import Node, note_config
from p2pshare.queries.lookup import SeenBy, look_up
from p2pshare.queries.refresh import reevaluate_all
from p2pshare.sharing.assessing import Said, proposals, say
from p2pshare.sharing.intake import Arrival, IntakeStatus
from p2pshare.sharing.partners import remove_partner

DAY = 86_400
VALUE = "198.51.100.7"


def hand_over(node: Node, ids: Sequence[EnvelopeId], to: Node, now: int = NOW) -> list[IntakeStatus]:
    wires = [node.store.log.wire(one) for one in ids]
    arrivals = [Arrival(wire, node.identity.partner_id) for wire in wires if wire is not None]
    return [verdict.status for verdict in take_in(to, arrivals, now)]


def sight(
    node: Node, what: str = VALUE, *, names: Sequence[str] = (), now: int = NOW, count: int = 1
) -> Said:
    reporter = node.identity.partner_id
    return say(
        node,
        what,
        lambda target, tlp: sighting_object(target, reporter=reporter, count=count, now=now, tlp=tlp),
        names=names,
        ttl="90d",
        now=now,
    )


def call_false(node: Node, what: str = VALUE, *, now: int = NOW) -> Said:
    write = partial(false_positive_object, reporter=node.identity.partner_id, now=now)
    return say(node, what, lambda target, tlp: write(target, tlp=tlp), names=(), ttl="90d", now=now)


def status_at(node: Node, value: str = VALUE, now: int = NOW) -> tuple[str, str | None]:
    observable = detect(value)
    row = node.store.knowledge.effective_states([observable], now * 1_000_000, tlp_max=Tlp.RED)[observable]
    return row.status, row.reason


@pytest.fixture
def trio(world: World) -> tuple[Node, Node, Node]:
    """alpha, who publishes, and bravo and charlie, who have its indicator; all know each other."""
    nodes = alpha, bravo, charlie = (world.found("alpha"), world.found("bravo"), world.found("charlie"))
    for node in nodes:
        for other in nodes:
            if other is not node:
                befriend(node, other)
    published = send(alpha, [VALUE], to=["bravo", "charlie"]).envelopes
    for node in (bravo, charlie):
        assert hand_over(alpha, published, node) == [IntakeStatus.HELD]
    return alpha, bravo, charlie


def test_only_the_author_hears_of_a_sighting_and_its_clock_starts_again(
    trio: tuple[Node, Node, Node],
) -> None:
    alpha, bravo, charlie = trio
    seen_at = NOW + 20 * DAY
    said = sight(bravo, now=seen_at)
    assert (said.objects, said.recipients) == (1, {"alpha"})
    assert hand_over(bravo, said.envelopes, alpha, seen_at) == [IntakeStatus.HELD]
    assert hand_over(bravo, said.envelopes, charlie, seen_at) == [IntakeStatus.HELD]  # carried, not read
    later = NOW + 40 * DAY
    for node, status in ((alpha, "active"), (bravo, "active"), (charlie, "expired")):
        reevaluate_all(node, later)
        assert status_at(node, now=later)[0] == status


def test_two_partners_make_a_false_positive_at_the_author_and_a_thousand_messages_do_not(
    trio: tuple[Node, Node, Node],
) -> None:
    alpha, bravo, charlie = trio
    ids = [one for n in range(20) for one in call_false(bravo, now=NOW + n).envelopes]
    assert set(hand_over(bravo, ids, alpha, NOW + 20)) == {IntakeStatus.HELD}
    assert status_at(alpha) == ("active", None)
    assert hand_over(charlie, call_false(charlie).envelopes, alpha) == [IntakeStatus.HELD]
    assert status_at(alpha) == ("delisted", "false-positive")
    assert status_at(bravo) == ("active", None)  # it knows of its own word only


def test_the_number_that_is_needed_is_the_configuration_s(
    world: World, trio: tuple[Node, Node, Node]
) -> None:
    alpha, bravo, _ = trio
    hand_over(bravo, call_false(bravo).envelopes, alpha)
    assert status_at(alpha) == ("active", None)
    config = alpha.home / "config.toml"
    text = config.read_text()
    config.write_text(text.replace("false_positive_reports = 2", "false_positive_reports = 1"))
    alpha = world.reopen("alpha")
    note_config(alpha)
    assert status_at(alpha) == ("delisted", "false-positive")


def test_who_is_no_partner_any_more_does_not_count_and_is_not_heard(trio: tuple[Node, Node, Node]) -> None:
    alpha, bravo, charlie = trio
    for node in (bravo, charlie):
        hand_over(node, call_false(node).envelopes, alpha)
    assert status_at(alpha)[0] == "delisted"
    remove_partner(alpha, "bravo")
    assert status_at(alpha) == ("active", None)
    assert hand_over(bravo, call_false(bravo, now=NOW + 1).envelopes, alpha) == [IntakeStatus.REFUSED]


def test_a_stricter_object_is_spoken_of_to_its_author_alone(trio: tuple[Node, Node, Node]) -> None:
    """The value of an AMBER object must not reach a third partner inside a sighting."""
    alpha, bravo, charlie = trio
    secret = "203.0.113.99"
    hand_over(alpha, send(alpha, [secret], to=["bravo"], tlp=Tlp.AMBER).envelopes, bravo)
    with pytest.raises(RefusedError) as refusal:
        sight(bravo, secret, names=["charlie"])
    assert refusal.value.reason == "not-ours-to-share"
    said = sight(bravo, secret)
    assert said.recipients == {"alpha"}
    hand_over(bravo, said.envelopes, charlie)
    assert charlie.store.knowledge.sightings([detect(secret)]) == {}
    assert charlie.store.log.counts().opened == 1


def test_a_sighting_is_never_marked_looser_than_its_object(trio: tuple[Node, Node, Node]) -> None:
    alpha, bravo, _ = trio
    for tlp, level in ((Tlp.CLEAR, Tlp.AMBER), (Tlp.RED, Tlp.RED)):
        value = f"203.0.113.{int(tlp)}"
        hand_over(alpha, send(alpha, [value], to=["bravo"], tlp=tlp).envelopes, bravo)
        sight(bravo, value)
        (seen,) = bravo.store.knowledge.sightings([detect(value)])[detect(value)]
        assert seen.tlp == level


def test_what_nobody_claims_cannot_be_assessed(trio: tuple[Node, Node, Node]) -> None:
    with pytest.raises(NotFoundError):
        sight(trio[1], "203.0.113.200")


def test_our_own_object_needs_names(trio: tuple[Node, Node, Node]) -> None:
    alpha, bravo, _ = trio
    with pytest.raises(RefusedError) as refusal:
        sight(alpha)
    assert refusal.value.reason == "own-object"
    said = sight(alpha, names=["bravo"])
    assert hand_over(alpha, said.envelopes, bravo) == [IntakeStatus.HELD]
    assert [one.reporter for one in bravo.store.knowledge.sightings([detect(VALUE)])[detect(VALUE)]] == [
        alpha.identity.partner_id
    ]


def test_an_author_who_looks_a_value_up_reads_what_others_saw(trio: tuple[Node, Node, Node]) -> None:
    """Who was told 'harmless' had to ask the store by SQL to find out."""
    alpha, bravo, charlie = trio
    hand_over(
        bravo, sight(bravo, count=3).envelopes + sight(bravo, count=0, now=NOW + 1).envelopes, alpha, NOW + 1
    )
    hand_over(charlie, call_false(charlie).envelopes, alpha)
    [answer] = look_up(alpha.store, [VALUE], NOW + 1)
    told = {one.by: one for one in answer.matches[0].sightings}
    assert told["bravo"] == SeenBy(
        by="bravo",
        count=3,
        last_seen=format_instant(NOW * 1_000_000),
        not_seen_at=format_instant((NOW + 1) * 1_000_000),
        false_positive=False,
        trusted=True,
    )
    assert (told["charlie"].false_positive, told["charlie"].count) == (True, 0)
    [nobody] = look_up(bravo.store, ["203.0.113.200"], NOW)
    assert nobody.matches == []
    remove_partner(alpha, "charlie")
    [answer] = look_up(alpha.store, [VALUE], NOW + 1)
    assert [one.trusted for one in answer.matches[0].sightings].count(False) == 1


def test_a_name_that_nobody_has_is_not_told_as_the_author_s_fault(trio: tuple[Node, Node, Node]) -> None:
    with pytest.raises(RefusedError) as refusal:
        sight(trio[1], names=["chalie"])
    assert refusal.value.reason == "unknown-recipient"
    assert "chalie" in refusal.value.message
    assert "author" not in refusal.value.message


def test_each_author_of_a_value_hears_of_its_own_claim(trio: tuple[Node, Node, Node]) -> None:
    _, bravo, charlie = trio
    hand_over(charlie, send(charlie, [VALUE], to=["bravo"]).envelopes, bravo)
    said = sight(bravo)
    assert (said.objects, said.recipients) == (2, {"alpha", "charlie"})
    assert bravo.store.knowledge.sightings([detect(VALUE)])[detect(VALUE)][0].reports == 2


def test_a_sighting_that_overtakes_its_object_applies_when_the_object_comes(
    world: World, tmp_path: Path
) -> None:
    alpha, bravo = world.found("alpha"), world.found("bravo")
    befriend(alpha, bravo)
    befriend(bravo, alpha)
    published = send(alpha, [VALUE], to=["bravo"]).envelopes
    hand_over(alpha, published, bravo)
    said = sight(bravo, names=["alpha"])
    again = world.found("again")  # knows both, and meets the sighting first
    for other in (alpha, bravo):
        befriend(again, other)
        befriend(other, again)
    more = send(alpha, ["203.0.113.5"], to=["again", "bravo"]).envelopes
    hand_over(alpha, more, bravo)
    later = sight(bravo, "203.0.113.5", names=["again"])
    hand_over(bravo, later.envelopes, again)
    assert again.store.knowledge.sightings([detect("203.0.113.5")]) == {}
    hand_over(alpha, more, again)
    assert len(again.store.knowledge.sightings([detect("203.0.113.5")])[detect("203.0.113.5")]) == 1
    assert said.objects == 1


def test_a_proposal_reaches_the_author_and_changes_nothing_by_itself(trio: tuple[Node, Node, Node]) -> None:
    alpha, bravo, _ = trio
    object_id = indicator_id(alpha.identity.partner_id, detect(VALUE))
    proposal = Proposal(confidence=5, labels=("test",), note="only seen in our own scans")
    said = say(
        bravo,
        object_id,
        lambda target, tlp: proposal_object(
            target, proposal, reporter=bravo.identity.partner_id, now=NOW, tlp=tlp
        ),
        names=(),
        ttl="90d",
        now=NOW,
    )
    assert said.recipients == {"alpha"}
    hand_over(bravo, said.envelopes, alpha)
    (listed,) = proposals(alpha)
    assert (listed.by, listed.object_id, listed.proposed) == ("bravo", object_id, proposal.to_json())
    assert proposals(bravo) == []
    assert status_at(alpha) == ("active", None)
    (row,) = alpha.store.knowledge.assessments(object_id, 10)
    assert json.loads(row.raw)["type"] == "p2pshare-proposal"
