"""Withdrawing: everybody who was sent it is told, nobody else's claim goes, and what came back stays back."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

import pytest
from whole_nodes import (
    NOW,
    Published,
    World,
    befriend,
    draft,
    publish,
    quiet,
    raw_draft,
    send,
    take_in,
    wire_of,
)

from p2pshare.envelope.envelope import Mode
from p2pshare.errors import AuthorError, NotFoundError, RefusedError
from p2pshare.identifiers import EnvelopeId
from p2pshare.intel.authoring import indicator_id
from p2pshare.intel.marking import Tlp
from p2pshare.intel.observable import detect
from p2pshare.intel.withdrawing import WITHDRAWAL, Reason
from p2pshare.node.node import Node
from p2pshare.sharing.intake import Arrival, IntakeStatus
from p2pshare.sharing.partners import load_roster, remove_partner
from p2pshare.sharing.recalling import recall_status
from p2pshare.sharing.withdrawing import WithdrawalReport, WithdrawalRequest, withdraw

SHARED, OTHER = "203.0.113.9", "evil.example"
Three = tuple[Node, Node, Node]


def taken_back(
    node: Node, what: str, *, now: int = NOW + 10, dry: bool = False, to: Sequence[str] = (), **more: object
) -> WithdrawalReport:
    request = WithdrawalRequest(what, Reason.FALSE_POSITIVE, names=to, **more)
    return withdraw(node, request, is_dry_run=dry, now=now, progress=quiet)


def hand_over(author: Node, reader: Node, *envelopes: EnvelopeId) -> list[IntakeStatus]:
    received_from = author.identity.partner_id
    arrivals = [Arrival(wire_of(author, one), received_from) for one in envelopes]
    return [verdict.status for verdict in take_in(reader, arrivals, NOW + 20)]


def view(node: Node, value: str = SHARED) -> set[tuple[str, bool]]:
    """Who claims `value` here, and whether it was taken back."""
    names = node.store.partners.names()
    observable = detect(value)
    claims = node.store.knowledge.lookup([observable]).get(observable, ())
    return {(names[claim.author], claim.is_revoked) for claim in claims}


def own_id(node: Node, value: str = SHARED) -> str:
    return indicator_id(node.identity.partner_id, detect(value))


# --- three partners ---


def test_two_authors_of_one_address_and_each_withdrawal_removes_its_own(three: Three) -> None:
    alpha, bravo, charlie = three
    [one] = send(alpha, [SHARED], to=["bravo", "charlie"]).envelopes
    [other] = send(bravo, [SHARED], to=["alpha", "charlie"]).envelopes
    hand_over(alpha, charlie, one)
    hand_over(bravo, charlie, other)
    assert view(charlie) == {("alpha", False), ("bravo", False)}
    [row] = charlie.store.knowledge.indicators((NOW + 30) * 1_000_000, tlp_max=Tlp.RED)
    assert (row.is_active, row.claims) == (True, 2)
    [gone] = taken_back(alpha, SHARED).envelopes
    hand_over(alpha, charlie, gone)
    assert view(charlie) == {("alpha", True), ("bravo", False)}
    row = charlie.store.knowledge.effective_states([detect(SHARED)], (NOW + 30) * 1_000_000, tlp_max=Tlp.RED)[
        detect(SHARED)
    ]
    assert (row.is_active, row.authors) == (True, 2)
    [too] = taken_back(bravo, SHARED).envelopes
    hand_over(bravo, charlie, too)
    assert view(charlie) == {("alpha", True), ("bravo", True)}
    row = charlie.store.knowledge.effective_states([detect(SHARED)], (NOW + 30) * 1_000_000, tlp_max=Tlp.RED)[
        detect(SHARED)
    ]
    assert (row.is_active, row.status) == (False, "delisted")


def test_whoever_was_away_for_all_of_it_ends_with_the_same_view_in_any_order(three: Three) -> None:
    alpha, bravo, charlie = three
    audience = ["bravo", "charlie"]
    told = [
        send(alpha, [SHARED, OTHER], to=audience).envelopes[0],
        taken_back(alpha, SHARED).envelopes[0],
        send(alpha, [SHARED], to=audience, now=NOW + 100).envelopes[0],
        taken_back(alpha, OTHER, now=NOW + 150).envelopes[0],
        taken_back(alpha, SHARED, now=NOW + 200).envelopes[0],
        send(alpha, [OTHER], to=audience, now=NOW + 300).envelopes[0],
    ]
    hand_over(alpha, bravo, *told)  # all at once, as after a long absence
    for one in reversed(told):
        hand_over(alpha, charlie, one)
    for node in three:
        assert (view(node), view(node, OTHER)) == ({("alpha", True)}, {("alpha", False)})


def test_a_withdrawal_before_its_target_wins_and_a_late_relay_resurrects_nothing(three: Three) -> None:
    alpha, bravo, charlie = three
    [first] = send(alpha, [SHARED], to=["bravo", "charlie"]).envelopes
    late = wire_of(alpha, first)
    [gone] = taken_back(alpha, SHARED).envelopes
    hand_over(alpha, charlie, gone)
    assert view(charlie) == set()
    for _ in range(2):
        take_in(charlie, [Arrival(late, bravo.identity.partner_id)], NOW + 30)
    assert view(charlie) == {("alpha", True)}
    assert list(charlie.store.knowledge.values((NOW + 40) * 1_000_000, tlp_max=Tlp.RED, pap_max=3)) == []


def test_publishing_what_was_received_makes_our_own_claim_and_no_loop(three: Three) -> None:
    alpha, bravo, charlie = three
    [first] = send(alpha, [SHARED], to=["bravo", "charlie"]).envelopes
    for reader in (bravo, charlie):
        hand_over(alpha, reader, first)
    [again] = send(bravo, [SHARED], to=["alpha", "charlie"]).envelopes
    for reader in (alpha, charlie):
        hand_over(bravo, reader, again)
    claims = {name: len(view(node)) for name, node in zip("abc", three, strict=True)}
    assert claims == {"a": 2, "b": 2, "c": 2}
    [gone] = taken_back(alpha, SHARED).envelopes
    for reader in (bravo, charlie):
        hand_over(alpha, reader, gone)
    [echo] = send(charlie, [SHARED], to=["alpha", "bravo"], now=NOW + 15).envelopes
    hand_over(charlie, bravo, echo)
    assert view(bravo) == {("alpha", True), ("bravo", False), ("charlie", False)}
    assert hand_over(alpha, bravo, first, gone) == [IntakeStatus.ALREADY_HELD] * 2
    assert view(bravo) == {("alpha", True), ("bravo", False), ("charlie", False)}


# --- who is told, and how ---


def recipients(node: Node, report: WithdrawalReport | Published) -> list[set[str]]:
    names = node.store.partners.names()
    return [{names[one] for one in node.store.log.audience(envelope)} for envelope in report.envelopes]


def test_everybody_who_was_sent_any_version_is_told_and_nobody_else(world: World, three: Three) -> None:
    alpha, *_ = three
    delta = world.found("delta")
    befriend(alpha, delta)
    send(alpha, [SHARED], to=["bravo"])
    send(alpha, [SHARED], to=["charlie"], now=NOW + 1)
    report = taken_back(alpha, SHARED)
    assert recipients(alpha, report) == [{"bravo", "charlie"}]
    assert report.recipients == {"bravo", "charlie"}


def test_the_same_version_sent_once_more_to_another_counts_too(three: Three) -> None:
    alpha, *_ = three
    part = draft(alpha, [SHARED])
    for name in ("bravo", "charlie"):
        publish(alpha, [part], names=[name], ttl_class=4, is_dry_run=False, now=NOW, progress=quiet)
    assert len(alpha.store.knowledge.object_versions(own_id(alpha))) == 1
    assert recipients(alpha, taken_back(alpha, SHARED)) == [{"bravo", "charlie"}]


def test_each_hears_of_it_as_strictly_as_of_the_object_and_direct_where_it_was(three: Three) -> None:
    alpha, bravo, charlie = three
    [red] = send(alpha, [SHARED], to=["bravo"], tlp=Tlp.RED).envelopes
    [green] = send(alpha, [SHARED], to=["charlie"], tlp=Tlp.GREEN, now=NOW + 1).envelopes
    report = taken_back(alpha, SHARED)
    entries = [alpha.store.log.entry(one) for one in report.envelopes]
    assert [one.mode for one in entries if one] == [Mode.RELAY, Mode.DIRECT]
    assert recipients(alpha, report) == [{"charlie"}, {"bravo"}]
    assert report.markings == {Tlp.GREEN, Tlp.RED}
    hand_over(alpha, bravo, red, report.envelopes[1])
    hand_over(alpha, charlie, green, report.envelopes[0])
    for reader, tlp in ((bravo, Tlp.RED), (charlie, Tlp.GREEN)):
        assert view(reader) == {("alpha", True)}
        [said] = [
            one
            for version in reader.store.knowledge.envelope_objects(
                report.envelopes[1 if reader is bravo else 0]
            )
            if (one := json.loads(version))["type"] == WITHDRAWAL
        ]
        [kept] = reader.store.knowledge.object_versions(said["id"])
        assert kept.tlp is tlp


@pytest.mark.parametrize(
    "sent", [(Tlp.CLEAR, Tlp.AMBER), (Tlp.AMBER, Tlp.GREEN), (Tlp.RED, Tlp.GREEN, Tlp.RED)]
)
def test_who_was_sent_it_under_several_markings_hears_of_it_under_the_strictest(
    three: Three, sent: Sequence[Tlp]
) -> None:
    """Found by sabotage: whoever got one version alone is told under its marking by the loosest, too."""
    alpha, *_ = three
    for number, tlp in enumerate(sent):
        send(alpha, [SHARED], to=["bravo"], tlp=tlp, now=NOW + number)
    send(alpha, [SHARED], to=["charlie"], tlp=Tlp.CLEAR, now=NOW + len(sent))
    report = taken_back(alpha, SHARED)
    assert report.markings == {max(sent), Tlp.CLEAR}
    modes = {
        frozenset(names): entry.mode
        for names, one in zip(recipients(alpha, report), report.envelopes, strict=True)
        if (entry := alpha.store.log.entry(one)) is not None
    }
    assert modes[frozenset({"bravo"})] == (Mode.DIRECT if max(sent) is Tlp.RED else Mode.RELAY)


def test_it_is_carried_as_long_as_the_longest_version(three: Three) -> None:
    alpha, *_ = three
    send(alpha, [SHARED], to=["bravo"], ttl_class=6)
    send(alpha, [SHARED], to=["bravo"], ttl_class=1, now=NOW + 5)
    [envelope] = taken_back(alpha, SHARED).envelopes
    entry, longest = alpha.store.log.entry(envelope), NOW + 730 * 86_400
    assert entry is not None
    assert entry.expires >= longest


def test_who_cannot_be_told_is_named_with_the_reason(three: Three) -> None:
    alpha, *_ = three
    send(alpha, [SHARED], to=["bravo", "charlie"])
    remove_partner(alpha, "charlie")
    report = taken_back(alpha, SHARED)
    assert (report.recipients, report.skipped) == ({"bravo"}, {"charlie": "partner-removed"})
    send(alpha, [OTHER], to=["bravo"])
    remove_partner(alpha, "bravo")
    with pytest.raises(RefusedError, match="nobody who was sent it") as caught:
        taken_back(alpha, OTHER)
    assert caught.value.reason == "no-recipients"
    assert "bravo: partner-removed" in caught.value.hint


def test_others_may_be_told_by_name_and_the_gate_holds(world: World, three: Three) -> None:
    alpha, *_ = three
    send(alpha, [SHARED], to=["bravo"], tlp=Tlp.AMBER)
    assert taken_back(alpha, SHARED, to=["charlie"], dry=True).recipients == {"bravo", "charlie"}
    with pytest.raises(RefusedError) as caught:
        taken_back(alpha, SHARED, to=["charly"])
    assert (caught.value.reason, caught.value.hint) == ("unknown-recipient", "did you mean 'charlie'?")


def test_groups_hear_of_no_red_and_who_is_named_hears_of_it_direct(three: Three) -> None:
    alpha, bravo, charlie = three
    send(alpha, [SHARED], to=["bravo"], tlp=Tlp.RED)
    grouped = replace(alpha, config=replace(alpha.config, groups={"both": ("bravo", "charlie")}))
    with pytest.raises(RefusedError) as caught:
        taken_back(grouped, SHARED, to=["both"])
    assert caught.value.reason == "group-not-allowed"
    [gone] = taken_back(grouped, SHARED, to=["charlie"]).envelopes
    recipients = {bravo.identity.partner_id, charlie.identity.partner_id}
    assert alpha.store.log.audience(gone).keys() == recipients


def test_what_went_direct_stays_direct_though_relays_may_carry_it_now(three: Three) -> None:
    alpha, *_ = three
    send(alpha, [SHARED], to=["bravo"], tlp=Tlp.AMBER_STRICT)
    relaxed = replace(
        alpha, config=replace(alpha.config, policy=replace(alpha.config.policy, relay_strict=True))
    )
    [gone] = taken_back(relaxed, SHARED).envelopes
    entry = alpha.store.log.entry(gone)
    assert entry is not None
    assert entry.mode == Mode.DIRECT


def test_an_audience_that_was_never_written_down_is_everybody_only_where_everybody_may(three: Three) -> None:
    alpha, *_ = three
    send(alpha, [SHARED], to=["bravo"])
    send(alpha, [OTHER], to=["bravo"], tlp=Tlp.AMBER)
    with alpha.store.database.transaction() as writer:
        writer.execute("DELETE FROM envelope_recipient")  # as where it came home from a partner
    assert taken_back(alpha, SHARED, dry=True).recipients == {"bravo", "charlie"}
    with pytest.raises(RefusedError) as caught:
        taken_back(alpha, OTHER)
    assert "audience-unknown" in caught.value.hint
    assert taken_back(alpha, OTHER, to=["bravo"]).recipients == {"bravo"}


# --- refusals ---


def test_what_is_not_ours_is_refused_with_what_can_be_done(three: Three) -> None:
    alpha, bravo, _ = three
    [first] = send(alpha, [SHARED], to=["bravo"]).envelopes
    hand_over(alpha, bravo, first)
    for what in (SHARED, own_id(alpha)):
        with pytest.raises(RefusedError, match="only its author") as caught:
            taken_back(bravo, what)
        assert caught.value.reason == "not-ours"
        assert "--false-positive" in caught.value.hint


def test_what_is_unknown_nonsense_or_immutable_is_refused(three: Three) -> None:
    alpha, *_ = three
    send(alpha, [SHARED], to=["bravo"])
    for what in ("unknown.example", own_id(alpha, "unknown.example")):
        with pytest.raises(NotFoundError):
            taken_back(alpha, what)
    with pytest.raises(AuthorError):
        taken_back(alpha, "no value at all")
    taken_back(alpha, SHARED)
    with pytest.raises(RefusedError) as caught:
        taken_back(alpha, f"{WITHDRAWAL}--00000000-0000-4000-8000-000000000000")
    assert caught.value.reason == "not-withdrawable"


def test_withdrawing_twice_says_so_and_sends_nothing(three: Three) -> None:
    alpha, *_ = three
    send(alpha, [SHARED], to=["bravo"])
    taken_back(alpha, SHARED)
    sequence = alpha.store.log.author_state(NOW).sequence
    report = taken_back(alpha, SHARED, now=NOW + 50)
    assert (report.objects, report.already, report.envelopes) == ([], [own_id(alpha)], [])
    assert alpha.store.log.author_state(NOW).sequence == sequence


def test_a_dry_run_leaves_everything_as_it_is(three: Three) -> None:
    alpha, *_ = three
    send(alpha, [SHARED], to=["bravo"])
    report = taken_back(alpha, SHARED, dry=True)
    assert (report.objects, report.envelopes, report.recipients) == ([own_id(alpha)], [], {"bravo"})
    assert view(alpha) == {("alpha", False)}


def test_what_replaces_it_must_be_another_object_that_is_known(three: Three) -> None:
    alpha, *_ = three
    send(alpha, [SHARED, OTHER], to=["bravo"])
    for wrong, error in (
        ("evil.example", AuthorError),
        (own_id(alpha), AuthorError),
        (own_id(alpha, "unknown.example"), NotFoundError),
    ):
        with pytest.raises(error):
            taken_back(alpha, SHARED, replaced_by=wrong)
    taken_back(alpha, SHARED, replaced_by=own_id(alpha, OTHER))
    assert alpha.store.knowledge.withdrawals(own_id(alpha))[alpha.identity.partner_id].replaced_by == own_id(
        alpha, OTHER
    )


def test_publishing_what_our_own_withdrawal_reaches_is_refused_and_the_rest_leaves(three: Three) -> None:
    alpha, *_ = three
    part = draft(alpha, [SHARED, OTHER])
    publish(alpha, [part], names=["bravo"], ttl_class=4, is_dry_run=False, now=NOW, progress=quiet)
    taken_back(alpha, SHARED)
    options = {"names": ["bravo"], "ttl_class": 4, "is_dry_run": False, "progress": quiet}
    report = publish(alpha, [part], now=NOW + 50, **options)
    assert (report.refusals.counts, report.published) == ({"withdrawn": 1}, 1)
    assert all(
        own_id(alpha).encode() not in raw
        for raw in alpha.store.knowledge.envelope_objects(report.envelopes[0])
    )
    fresh = draft(alpha, [SHARED], now=NOW + 60)
    report = publish(alpha, [fresh], now=NOW + 60, **options)
    assert (report.published, report.notes.counts) == (1, {"withdrawn-before": 1})
    assert report.notes.to_json()[0]["examples"] == [SHARED]
    assert view(alpha) == {("alpha", False)}


def test_a_vulnerability_or_any_other_object_is_withdrawn_by_its_id(three: Three) -> None:
    alpha, bravo, _ = three
    stamp = "2026-01-01T00:00:00Z"
    malware = {
        "type": "malware",
        "spec_version": "2.1",
        "id": "malware--0b6a1e1c-7c5a-4a4a-9d0d-4f7b1c3a2e11",
        "created": stamp,
        "modified": stamp,
        "name": "x",
        "is_family": False,
    }
    part = raw_draft([malware])
    options = {"names": ["bravo"], "ttl_class": 4, "is_dry_run": False, "progress": quiet}
    [envelope] = publish(alpha, [part], now=NOW, **options).envelopes
    [gone] = taken_back(alpha, malware["id"]).envelopes
    hand_over(alpha, bravo, gone, envelope)
    assert [one.is_revoked for one in bravo.store.knowledge.object_versions(malware["id"])] == [True]


# --- recall ---


def states(node: Node, what: str = "") -> dict[str, str]:
    told = recall_status(node.store, load_roster(node), what or own_id(node))
    assert sum(told.counts.values()) == len(told.recipients)
    return {one.name: one.state for one in told.recipients}


def test_recall_says_what_is_proven_and_nothing_more(three: Three) -> None:
    alpha, bravo, charlie = three
    send(alpha, [SHARED], to=["bravo", "charlie"])
    with pytest.raises(NotFoundError):
        states(alpha)
    [gone] = taken_back(alpha, SHARED).envelopes
    assert states(alpha) == {"bravo": "waiting", "charlie": "waiting"}
    alpha.store.log.acknowledge(gone, bravo.identity.partner_id)
    assert states(alpha) == {"bravo": "acknowledged", "charlie": "not-known"}
    alpha.store.log.acknowledge(gone, charlie.identity.partner_id)
    assert states(alpha) == {"bravo": "acknowledged", "charlie": "acknowledged"}


def test_recall_says_which_partners_no_word_can_come_from(world: World) -> None:
    alpha, near, far = world.found("alpha"), world.found("near"), world.found("far")
    befriend(alpha, near)
    befriend(alpha, far, has_link=False)
    send(alpha, [SHARED], to=["near", "far"])
    [gone] = taken_back(alpha, SHARED).envelopes
    alpha.store.log.acknowledge(gone, near.identity.partner_id)
    told = recall_status(alpha.store, load_roster(alpha), own_id(alpha)).recipients
    assert [(one.name, one.state, one.has_link) for one in told] == [
        ("near", "acknowledged", True),
        ("far", "not-known", False),
    ]


def test_recall_does_not_say_of_a_value_that_it_was_not_withdrawn(three: Three) -> None:
    """`withdraw` takes values, `recall status` ids: asked for a value it said that nothing had been withdrawn."""
    alpha = three[0]
    send(alpha, [SHARED], to=["bravo"])
    taken_back(alpha, SHARED)
    with pytest.raises(AuthorError) as refused:
        states(alpha, SHARED)
    assert refused.value.reason == "bad-id"
    assert refused.value.hint


def test_recall_of_what_went_direct_waits_for_each(three: Three) -> None:
    alpha, bravo, _ = three
    send(alpha, [SHARED], to=["bravo", "charlie"], tlp=Tlp.RED)
    [gone] = taken_back(alpha, SHARED).envelopes
    alpha.store.log.acknowledge(gone, bravo.identity.partner_id)
    assert states(alpha) == {"bravo": "acknowledged", "charlie": "waiting"}
    alpha.store.log.expire(NOW + 800 * 86_400)
    assert states(alpha) == {"bravo": "acknowledged", "charlie": "expired"}


def test_recall_names_who_was_not_addressed_and_what_was_revived(three: Three) -> None:
    alpha, bravo, _ = three
    send(alpha, [SHARED], to=["bravo", "charlie"])
    remove_partner(alpha, "charlie")
    [gone] = taken_back(alpha, SHARED).envelopes
    alpha.store.log.acknowledge(gone, bravo.identity.partner_id)
    assert states(alpha) == {"bravo": "acknowledged", "charlie": "not-addressed"}
    send(alpha, [SHARED], to=["bravo"], now=NOW + 60)
    told = recall_status(alpha.store, load_roster(alpha), own_id(alpha))
    assert told.revived is True
    taken_back(alpha, SHARED, now=NOW + 90)
    assert states(alpha) == {"bravo": "waiting", "charlie": "not-addressed"}
