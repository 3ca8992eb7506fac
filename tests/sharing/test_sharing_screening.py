"""Warning lists and the privacy lint where they are asked: at intake, at publishing, and when lists change."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

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
    seal_unchecked,
    send,
    take_in,
    wire_of,
)

from p2pshare.config import PrivacyConfig
from p2pshare.errors import AuthorError, RefusedError
from p2pshare.intel.assessing import false_positive_object, opinion_object
from p2pshare.intel.marking import TLP2_IDS, Pap, Tlp
from p2pshare.intel.observable import Observable, detect
from p2pshare.limits import ALLOW_REASON_CHARACTERS_MAX
from p2pshare.node.node import Node
from p2pshare.operations.warninglists import Allow
from p2pshare.sharing import quarantining
from p2pshare.sharing.assessing import Said, say
from p2pshare.sharing.drafting import DraftPart
from p2pshare.sharing.intake import Arrival, IntakeStatus
from p2pshare.sharing.quarantining import EvaluationStep, evaluate_again
from p2pshare.sharing.screening import NOTHING_CONFIRMED, Confirmed
from p2pshare.warninglists.warning_index import WarningIndex
from p2pshare.warninglists.warning_lists import ListAction, allowed_of, parse_warning_list

GOOD = "evil.example"


@pytest.fixture
def pair(world: World) -> tuple[Node, Node]:
    alpha, bravo = world.found("alpha"), world.found("bravo")
    befriend(alpha, bravo)
    befriend(bravo, alpha)
    return alpha, bravo


def index(node: Node) -> WarningIndex:
    assert node.warning_index is not None
    return node.warning_index


def block(node: Node, *entries: str, name: str = "ours", action: ListAction = ListAction.BLOCK) -> None:
    raw = json.dumps({"name": name, "type": "string", "list": list(entries)}).encode()
    index(node).replace(parse_warning_list(raw), action, NOW)


def finish(node: Node) -> list[EvaluationStep]:
    steps = [evaluate_again(node, NOW)]
    while not steps[-1].is_finished:
        steps.append(evaluate_again(node, NOW))
    return steps


def active(node: Node) -> set[str]:
    """What an export of active values holds."""
    return {
        value
        for _, value in node.store.knowledge.values(NOW * 1_000_000 + 1, tlp_max=Tlp.AMBER, pap_max=Pap.GREEN)
    }


def marks(node: Node, text: str) -> list[tuple[str, str]]:
    return [
        (one.source, one.reason)
        for one in node.store.knowledge.quarantined([detect(text)]).get(detect(text), [])
    ]


def hand_over(alpha: Node, bravo: Node, values: list[str]) -> None:
    """Alpha, who checks nothing, sends `values` to bravo."""
    wire = seal_unchecked(alpha, draft(alpha, values), bravo)
    [verdict] = take_in(bravo, [Arrival(wire, alpha.identity.partner_id)], NOW)
    assert verdict.status is IntakeStatus.HELD


def published(
    node: Node, part: DraftPart, confirmed: Confirmed = NOTHING_CONFIRMED, *, dry: bool = False
) -> Published:
    report = publish(
        node,
        [part],
        names=["bravo"],
        ttl_class=4,
        is_dry_run=dry,
        now=NOW,
        progress=quiet,
        confirmed=confirmed,
    )
    assert report.published + report.refusals.total == part.objects - part.repeats
    return report


# --- intake ---


def test_what_a_partner_claims_about_a_public_resolver_is_kept_and_never_active(
    pair: tuple[Node, Node],
) -> None:
    alpha, bravo = pair
    hand_over(alpha, bravo, [GOOD, "8.8.8.8", "127.0.0.1", "0.0.0.0/1", "http://user@8.8.4.4:80/"])
    assert active(bravo) == {GOOD}
    assert marks(bravo, "8.8.8.8") == [("warning-list", "public resolvers")]
    assert marks(bravo, "0.0.0.0/1")
    assert len(bravo.store.knowledge.lookup([detect("8.8.8.8")])[detect("8.8.8.8")]) == 1


def test_a_list_that_informs_quarantines_nothing(pair: tuple[Node, Node]) -> None:
    alpha, bravo = pair
    block(bravo, GOOD, action=ListAction.INFORM)
    hand_over(alpha, bravo, [GOOD])
    assert active(bravo) == {GOOD}


def test_what_is_allowed_here_is_quarantined_under_its_own_source_with_the_operators_words(
    pair: tuple[Node, Node],
) -> None:
    alpha, bravo = pair
    block(bravo, GOOD)
    index(bravo).allow(allowed_of(GOOD), "our own sinkhole", NOW)
    hand_over(alpha, bravo, [GOOD])
    assert marks(bravo, GOOD) == [("allow-list", "our own sinkhole"), ("warning-list", "ours")]


# --- lists change ---


def test_a_list_that_comes_later_takes_effect_on_what_is_stored_and_releases_it_when_it_goes(
    pair: tuple[Node, Node],
) -> None:
    alpha, bravo = pair
    hand_over(alpha, bravo, [GOOD, "other.example"])
    block(bravo, GOOD)
    assert finish(bravo)[-1].quarantined == 1
    assert active(bravo) == {"other.example"}
    index(bravo).set_list("ours", action=None, is_enabled=False)
    assert finish(bravo)[-1].released == 1
    assert active(bravo) == {GOOD, "other.example"}


def test_the_allow_list_takes_effect_at_once_and_lets_go(pair: tuple[Node, Node]) -> None:
    alpha, bravo = pair
    hand_over(alpha, bravo, [GOOD, f"https://{GOOD}/x", "a.other.example"])
    index(bravo).allow(allowed_of(GOOD), "", NOW)
    index(bravo).allow(allowed_of("*.other.example"), "", NOW)
    finish(bravo)
    assert active(bravo) == set()
    index(bravo).disallow(allowed_of(GOOD), NOW)
    finish(bravo)
    assert active(bravo) == {GOOD, f"https://{GOOD}/x"}


def test_a_mark_that_is_still_right_keeps_its_time(pair: tuple[Node, Node]) -> None:
    alpha, bravo = pair
    hand_over(alpha, bravo, [GOOD])
    block(bravo, GOOD)
    finish(bravo)
    block(bravo, "other.example", name="another")
    while not evaluate_again(bravo, NOW + 60).is_finished:
        pass
    [mark] = bravo.store.knowledge.quarantined([detect(GOOD)])[detect(GOOD)]
    assert (mark.noted_at, evaluate_again(bravo, NOW).released) == (NOW, 0)


def test_marks_of_other_sources_stay(pair: tuple[Node, Node]) -> None:
    alpha, bravo = pair
    hand_over(alpha, bravo, [GOOD])
    bravo.store.knowledge.quarantine([detect(GOOD)], "false-positive", "three partners say so", NOW)
    block(bravo, GOOD)
    finish(bravo)
    index(bravo).set_list("ours", action=ListAction.INFORM, is_enabled=None)
    finish(bravo)
    assert marks(bravo, GOOD) == [("false-positive", "three partners say so")]


def test_steps_are_bounded_and_go_on_after_a_restart(
    world: World, pair: tuple[Node, Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quarantining, "GUARD_STEP_OBSERVABLES", 3)
    alpha, bravo = pair
    names = [f"a{number}.example" for number in range(8)]
    hand_over(alpha, bravo, names)
    block(bravo, *names)
    first = evaluate_again(bravo, NOW)
    assert (first.quarantined, first.done, first.of, first.is_finished) == (3, 3, 8, False)
    bravo = world.reopen("bravo")
    assert [step.quarantined for step in finish(bravo)] == [6, 8]
    assert active(bravo) == set()
    assert finish(bravo) == [EvaluationStep(0, 0, is_finished=True, quarantined=8)]


def test_a_change_in_the_middle_begins_anew(pair: tuple[Node, Node], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quarantining, "GUARD_STEP_OBSERVABLES", 3)
    alpha, bravo = pair
    names = [f"a{number}.example" for number in range(8)]
    hand_over(alpha, bravo, names)
    block(bravo, "a7.example")
    evaluate_again(bravo, NOW)
    block(bravo, "a0.example")
    finish(bravo)
    assert set(names) - active(bravo) == {"a0.example"}


def test_what_arrives_between_two_steps_is_guarded_too(
    pair: tuple[Node, Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quarantining, "GUARD_STEP_OBSERVABLES", 2)
    alpha, bravo = pair
    hand_over(alpha, bravo, ["a1.example", "a2.example", "a3.example"])
    block(bravo, "late.example")
    evaluate_again(bravo, NOW)
    report = send(alpha, ["late.example"], to=["bravo"])
    take_in(bravo, [Arrival(wire_of(alpha, report.envelopes[0]), alpha.identity.partner_id)], NOW)
    finish(bravo)
    assert "late.example" not in active(bravo)


# --- publishing ---


def test_blocked_values_are_refused_at_publishing_and_the_rest_leaves(pair: tuple[Node, Node]) -> None:
    alpha, _ = pair
    report = published(alpha, draft(alpha, [GOOD, "8.8.8.8", "d41d8cd98f00b204e9800998ecf8427e"]))
    assert (report.published, report.refusals.counts) == (1, {"warning-list": 2})
    [told] = report.refusals.to_json()
    assert "8.8.8.8 (public resolvers)" in told["examples"]
    assert active(alpha) == {GOOD}


def test_a_refused_object_is_not_in_the_envelope(pair: tuple[Node, Node]) -> None:
    alpha, bravo = pair
    report = published(alpha, draft(alpha, [GOOD, "10.0.0.1"]))
    take_in(bravo, [Arrival(wire_of(alpha, report.envelopes[0]), alpha.identity.partner_id)], NOW)
    assert set(bravo.store.knowledge.lookup([detect(GOOD), detect("10.0.0.1")])) == {detect(GOOD)}


def test_what_was_confirmed_leaves_is_noted_and_is_quarantined_here(pair: tuple[Node, Node]) -> None:
    alpha, _ = pair
    report = published(alpha, draft(alpha, ["8.8.8.8"]), Confirmed(listed=True))
    assert (report.published, report.notes.counts) == (1, {"warning-list": 1})
    assert active(alpha) == set()


def test_each_confirmation_confirms_its_own_reason_only(pair: tuple[Node, Node]) -> None:
    alpha, _ = pair
    part = draft(alpha, ["10.0.0.1"])
    assert published(alpha, part, dry=True).refusals.counts == {"private-address": 1}
    assert published(alpha, part, Confirmed(listed=True), dry=True).refusals.counts == {"private-address": 1}
    assert published(alpha, part, Confirmed(private=True), dry=True).refusals.counts == {"warning-list": 1}
    assert published(alpha, part, Confirmed(private=True, listed=True), dry=True).published == 1


def test_what_informs_and_what_is_allowed_is_told_and_refused(pair: tuple[Node, Node]) -> None:
    alpha, _ = pair
    block(alpha, GOOD, action=ListAction.INFORM)
    index(alpha).allow(allowed_of("cert.example"), "", NOW)
    report = published(alpha, draft(alpha, [GOOD, "cert.example"]), dry=True)
    assert report.refusals.counts == {"allow-list": 1}
    assert report.notes.counts == {"warning-list": 1}


def test_nothing_is_sealed_when_everything_was_refused(pair: tuple[Node, Node]) -> None:
    alpha, _ = pair
    report = published(alpha, draft(alpha, ["10.0.0.1", "printer.local"]))
    assert (report.published, report.envelopes) == (0, [])
    assert report.refusals.counts == {"private-address": 1, "internal-name": 1}


def objects(*more: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for number, stix in enumerate(more):
        stamp = "2026-01-01T00:00:00Z"
        given = {"spec_version": "2.1", "created": stamp, "modified": stamp}
        marked = {"object_marking_refs": [TLP2_IDS[Tlp.GREEN]]}
        yield given | marked | {"id": f"{stix['type']}--00000000-0000-4000-8000-{number:012d}"} | stix


def test_user_accounts_and_paths_in_objects_of_any_type_are_refused(pair: tuple[Node, Node]) -> None:
    alpha, _ = pair
    report = published(
        alpha,
        raw_draft(
            list(
                objects(
                    {"type": "user-account", "account_login": "anna"},
                    {
                        "type": "note",
                        "content": r"in C:\Users\anna\x",
                        "object_refs": ["indicator--" + "0" * 8],
                    },
                    {"type": "malware", "name": "x", "is_family": False, "description": "plain"},
                    {"type": "malware", "name": "y", "is_family": False, "description": "/home/anna/x"},
                    {
                        "type": "indicator",
                        "pattern": f"[domain-name:value = '{GOOD}']",
                        "pattern_type": "stix",
                        "valid_from": "2026-01-01T00:00:00Z",
                        "description": r"dropped to C:\Users\anna\x",
                    },
                    {
                        "type": "indicator",
                        "pattern": "[ipv4-addr:value = '10.0.0.7' AND file:size = 3]",
                        "pattern_type": "stix",
                        "valid_from": "2026-01-01T00:00:00Z",
                    },
                )
            )
        ),
        dry=True,
    )
    counts = dict(report.refusals.counts)
    counts.pop("bad-id", None)
    assert counts["user-name-in-path"] >= 2
    assert counts["user-account"] == counts["private-address"] == 1
    assert report.published >= 1


def test_own_domains_and_mail_domains_come_from_the_configuration(pair: tuple[Node, Node]) -> None:
    alpha, _ = pair
    part = draft(alpha, ["a.int.cert.example", "anna@cert.example", GOOD])
    assert not published(alpha, part, dry=True).refusals
    privacy = PrivacyConfig(internal_domains=("int.cert.example",), mail_domains=("cert.example",))
    alpha = replace(alpha, config=replace(alpha.config, privacy=privacy))
    assert published(alpha, part, dry=True).refusals.counts == {"internal-name": 1, "internal-mail": 1}
    assert published(alpha, part, Confirmed(private=True), dry=True).published == 3


def test_a_correction_about_a_listed_value_always_leaves(pair: tuple[Node, Node]) -> None:
    alpha, _ = pair
    [stix] = objects(
        {
            "type": "indicator",
            "pattern": "[ipv4-addr:value = '8.8.8.8']",
            "pattern_type": "stix",
            "valid_from": "2026-01-01T00:00:00Z",
            "revoked": True,
        }
    )
    assert published(alpha, raw_draft([stix]), dry=True).published == 1


def tell(node: Node, what: str, write: Callable[..., bytes], **more: Any) -> Said:
    reporter = node.identity.partner_id
    return say(
        node,
        what,
        lambda target, tlp: write(target, reporter=reporter, now=NOW, tlp=tlp, **more),
        names=[],
        ttl="90d",
        now=NOW,
    )


def test_an_opinion_whose_words_name_a_person_is_refused_with_the_reason(pair: tuple[Node, Node]) -> None:
    alpha, bravo = pair
    hand_over(alpha, bravo, [GOOD])
    with pytest.raises(RefusedError) as caught:
        tell(bravo, GOOD, opinion_object, opinion="disagree", text=r"see C:\Users\anna\x")
    assert caught.value.reason == "user-name-in-path"


def test_a_partner_can_be_told_that_its_claim_is_about_our_own_host(pair: tuple[Node, Node]) -> None:
    alpha, bravo = pair
    hand_over(alpha, bravo, ["wiki.home.arpa", "10.0.0.1"])
    for value in ("wiki.home.arpa", "10.0.0.1"):
        assert tell(bravo, value, false_positive_object).objects == 1


def test_a_pattern_of_many_values_is_refused_when_one_of_them_is_blocked(pair: tuple[Node, Node]) -> None:
    alpha, bravo = pair
    [stix] = objects(
        {
            "type": "indicator",
            "pattern": f"[domain-name:value = '{GOOD}' OR ipv4-addr:value = '8.8.8.8']",
            "pattern_type": "stix",
            "valid_from": "2026-01-01T00:00:00Z",
        }
    )
    assert published(alpha, raw_draft([stix]), dry=True).refusals.counts == {"warning-list": 1}
    wire = seal_unchecked(alpha, raw_draft([stix]), bravo)
    take_in(bravo, [Arrival(wire, alpha.identity.partner_id)], NOW)
    assert bravo.store.knowledge.quarantined([Observable("ipv4", "8.8.8.8"), detect(GOOD)]).keys() == {
        Observable("ipv4", "8.8.8.8")
    }


@pytest.mark.parametrize("over", [-1, 0, 1])
def test_the_words_beside_an_allowed_value_end_at_their_limit_and_harm_no_terminal(
    pair: tuple[Node, Node], over: int
) -> None:
    alpha, _ = pair
    words = "w" * (ALLOW_REASON_CHARACTERS_MAX + over)
    if over < 1:
        assert Allow(GOOD, words).run(alpha, NOW, quiet).reason == words
    else:
        with pytest.raises(AuthorError):
            Allow(GOOD, words).run(alpha, NOW, quiet)
    with pytest.raises(AuthorError):
        Allow(GOOD, "a\x1b[2Jb").run(alpha, NOW, quiet)


@pytest.mark.parametrize("over", [-1, 0, 1])
def test_a_step_ends_at_its_limit(
    pair: tuple[Node, Node], monkeypatch: pytest.MonkeyPatch, over: int
) -> None:
    alpha, bravo = pair
    hand_over(alpha, bravo, [f"a{number}.example" for number in range(4 + over)])
    monkeypatch.setattr(quarantining, "GUARD_STEP_OBSERVABLES", 4)
    steps = finish(bravo)
    assert len(steps) == (1 if over < 0 else 2)
    assert steps[-1].done == 4 + over
