"""Alarms: each has its word, its partner and its mend; what is only late, or usual, is none."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from whole_nodes import (
    NOW,
    World,
    befriend,
    raw_draft,
    seal_unchecked,
    seen_by_daemon,
    send,
    take_in,
    wire_of,
)

from p2pshare.envelope.evidence import decode_proof
from p2pshare.envelope.inspection import inspect
from p2pshare.envelope.keys import reissue_card
from p2pshare.errors import NotFoundError, PeerError
from p2pshare.intel.marking import Tlp
from p2pshare.limits import (
    GAP_ALARM_SECONDS,
    GAPS_SHOWN_MAX,
    NO_EXCHANGE_ALARM_SECONDS,
    RHYTHM_ENVELOPES_MIN,
    RHYTHM_FACTOR,
    RHYTHM_SECONDS_MIN,
    USED_TWICE_ALARM_SECONDS,
)
from p2pshare.node.node import Node, close_node, open_node
from p2pshare.operations import exercise_alarms, framework_alarms, incident_alarms, space_alarms
from p2pshare.queries import alarms as queries_alarms
from p2pshare.queries.alarms import ALARMS, Alarm, Situation, alarms, rhythm_breaks_at
from p2pshare.queries.doctor import examine_node
from p2pshare.queries.doctor_words import FAIL, WARN
from p2pshare.queries.proofs import proof_about
from p2pshare.queries.status import status
from p2pshare.sharing.intake import Arrival, IntakeStatus
from p2pshare.sharing.own_card import renew
from p2pshare.sharing.partners import apply_card_update, remove_partner

HOUR = 3_600


@pytest.fixture
def pair(tmp_path: Path) -> Any:
    world = World(tmp_path)
    alpha, bravo = world.found("alpha"), world.found("bravo")
    befriend(alpha, bravo)
    befriend(bravo, alpha)
    yield alpha, bravo
    world.close()


def of(node: Node, word: str, now: int = NOW, *, is_running: bool = True) -> list[dict[str, Any]]:
    told = status(seen_by_daemon(node) if is_running else node, now).alarms
    assert all(alarm.hint and alarm.message and "{" not in alarm.hint for alarm in told)
    return [alarm for alarm in told if alarm.word == word]


def bear(reader: Node, author: Node, *wires: bytes, now: int = NOW) -> None:
    arrivals = [Arrival(wire, author.identity.partner_id) for wire in wires]
    assert {verdict.status for verdict in take_in(reader, arrivals, now)} == {IntakeStatus.HELD}


def published(author: Node, count: int, now: int = NOW, pause: int = 0) -> list[bytes]:
    return [
        wire_of(author, send(author, [f"n{n}.example"], to=["bravo"], now=now + n * pause).envelopes[0])
        for n in range(count)
    ]


def test_a_healthy_pair_has_no_alarm(pair: tuple[Node, Node]) -> None:
    alpha, bravo = pair
    bear(bravo, alpha, *published(alpha, 3))
    assert status(seen_by_daemon(bravo), NOW).alarms == []


@pytest.mark.parametrize("late", [-1, 0, 1])
def test_numbers_that_never_came_are_named_once_they_are_late(pair: tuple[Node, Node], late: int) -> None:
    alpha, bravo = pair
    wires = published(alpha, 7)
    bear(bravo, alpha, wires[0], wires[3], wires[6])
    told = of(bravo, "sequence-gap", NOW + GAP_ALARM_SECONDS + late)
    assert len(told) == (late >= 0)
    if told:
        (alarm,) = told
        assert (alarm.partner, alarm.missing, alarm.ranges) == ("alpha", 4, [(NOW, 2, 3), (NOW, 5, 6)])
        assert alarm.since == "2027-01-15T08:00:00Z"
        assert alarm.message.startswith(
            "4 of the envelopes that alpha sealed for us never came: number 2 to 3, 5 to 6 of incarnation "
        )


def test_a_gap_keeps_its_time_while_it_is_filled_and_ends_with_the_last_number(
    pair: tuple[Node, Node],
) -> None:
    alpha, bravo = pair
    wires = published(alpha, 5)
    bear(bravo, alpha, wires[0], wires[4])
    bear(bravo, alpha, wires[2], now=NOW + HOUR)
    (alarm,) = of(bravo, "sequence-gap", NOW + HOUR)
    assert (alarm.since, alarm.ranges) == ("2027-01-15T08:00:00Z", [(NOW, 2, 2), (NOW, 4, 4)])
    bear(bravo, alpha, wires[1], wires[3], now=NOW + HOUR)
    assert of(bravo, "sequence-gap", NOW + 2 * HOUR) == []


def test_a_gap_of_an_earlier_version_has_no_time_and_is_told(pair: tuple[Node, Node]) -> None:
    alpha, bravo = pair
    bear(bravo, alpha, *published(alpha, 2)[1:])
    with bravo.store.database.transaction() as writer:
        writer.execute("UPDATE sequence_gap SET noted_at = 0")
    (alarm,) = of(bravo, "sequence-gap")
    assert (alarm.since, alarm.ranges) == (None, [(NOW, 1, 1)])


@pytest.mark.parametrize("gaps", [GAPS_SHOWN_MAX - 1, GAPS_SHOWN_MAX, GAPS_SHOWN_MAX + 1])
def test_gaps_at_the_limit_of_a_line(pair: tuple[Node, Node], gaps: int) -> None:
    alpha, bravo = pair
    bear(bravo, alpha, *published(alpha, 2 * gaps)[1::2])
    (alarm,) = of(bravo, "sequence-gap", NOW + HOUR)
    assert alarm.missing == gaps
    assert alarm.message.endswith(", ...") == (gaps > GAPS_SHOWN_MAX)


def test_more_gaps_than_a_line_holds_are_counted_and_cut(pair: tuple[Node, Node]) -> None:
    alpha, bravo = pair
    bear(bravo, alpha, *published(alpha, 14)[1::2])
    (alarm,) = of(bravo, "sequence-gap", NOW + HOUR)
    assert (alarm.missing, len(alarm.ranges)) == (7, 5)
    assert alarm.message.endswith(f"number 1, 3, 5, 7, 9 of incarnation {NOW}, ...")


@pytest.mark.parametrize("late", [-1, 0, 1])
def test_a_partner_who_is_not_heard_for_an_hour_is_an_alarm(pair: tuple[Node, Node], late: int) -> None:
    _, bravo = pair
    now = NOW + NO_EXCHANGE_ALARM_SECONDS + late
    told = of(bravo, "no-exchange", now)
    assert len(told) == (late >= 0)
    bravo.store.partners.touch(bravo.store.partners.all()[0].partner_id, NOW + 60)
    assert of(bravo, "no-exchange", now) == []
    (alarm,) = of(bravo, "no-exchange", now + 60 + 1)
    assert (alarm.partner, alarm.since) == ("alpha", "2027-01-15T08:01:00Z")
    assert alarm.message == "no exchange with alpha since 2027-01-15T08:01:00Z"
    (stopped,) = of(bravo, "no-exchange", now + 60 + 1, is_running=False)
    assert "p2pshare run" in stopped.hint


def test_a_partner_without_a_link_need_not_be_heard(pair: tuple[Node, Node]) -> None:
    alpha, bravo = pair
    befriend(bravo, alpha, has_link=False)
    assert of(bravo, "no-exchange", NOW + 10 * HOUR) == []


# --- an author's rhythm ----------------------------------------------------------------------------


@pytest.mark.parametrize("count", [RHYTHM_ENVELOPES_MIN - 1, RHYTHM_ENVELOPES_MIN, RHYTHM_ENVELOPES_MIN + 1])
def test_an_author_has_a_rhythm_after_a_few_envelopes(count: int) -> None:
    assert (rhythm_breaks_at([NOW] * count) is None) == (count < RHYTHM_ENVELOPES_MIN)


def test_the_longest_pause_is_what_is_usual_and_a_day_is_always_allowed() -> None:
    daily = [NOW + day * 86_400 for day in range(10)]
    assert rhythm_breaks_at(daily) == daily[-1] + RHYTHM_FACTOR * 86_400
    over_the_week_end = daily[:5] + [instant + 2 * 86_400 for instant in daily[5:]]
    assert rhythm_breaks_at(over_the_week_end) == over_the_week_end[-1] + RHYTHM_FACTOR * 3 * 86_400
    burst = [NOW + second for second in range(30)]
    assert rhythm_breaks_at(burst) == burst[-1] + RHYTHM_SECONDS_MIN
    assert rhythm_breaks_at(burst[::-1]) == rhythm_breaks_at(burst)


def test_an_author_who_stops_is_an_alarm_although_others_are_heard(pair: tuple[Node, Node]) -> None:
    alpha, bravo = pair
    wires = published(alpha, 10, NOW, HOUR)
    last = NOW + 9 * HOUR
    bear(bravo, alpha, *wires, now=last)
    assert of(bravo, "author-silent", last + RHYTHM_SECONDS_MIN) == []
    (alarm,) = of(bravo, "author-silent", last + RHYTHM_SECONDS_MIN + 1)
    assert (alarm.partner, alarm.since) == ("alpha", "2027-01-15T17:00:00Z")


# --- forks and their proofs ------------------------------------------------------------------------


def test_an_equivocation_is_an_alarm_whose_proof_a_stranger_believes(pair: tuple[Node, Node]) -> None:
    alpha, bravo = pair
    twins = [seal_unchecked(alpha, raw_draft([]), bravo), seal_unchecked(alpha, raw_draft([]), bravo)]
    bear(bravo, alpha, *twins)
    (alarm,) = of(bravo, "sequence-fork")
    assert (alarm.partner, alarm.count, len(alarm.envelopes)) == ("alpha", 1, 2)
    raw = proof_about(bravo.store, bravo.identity.card.raw, "alpha")
    report = inspect(raw, NOW)
    assert report.is_complete
    assert report.facts["partner_id"] == alpha.identity.partner_id.text
    assert sorted(alarm.envelopes) == report.facts["signed"]
    by_id = proof_about(bravo.store, bravo.identity.card.raw, alpha.identity.partner_id.text, ("envelope",))
    assert by_id == raw
    bravo.store.log.expire(NOW + 200 * 86_400)
    remove_partner(bravo, "alpha")
    assert proof_about(bravo.store, bravo.identity.card.raw, "alpha") == raw, (
        "expired, and no partner any more"
    )


def test_a_card_fork_is_an_alarm_whose_proof_a_stranger_believes(pair: tuple[Node, Node]) -> None:
    alpha, bravo = pair
    one, other = (reissue_card(alpha.identity, NOW, name=name).card.raw for name in ("One", "Other"))
    apply_card_update(bravo, alpha.identity.partner_id, one, NOW)
    with pytest.raises(PeerError):
        apply_card_update(bravo, alpha.identity.partner_id, other, NOW)
    (alarm,) = of(bravo, "card-fork")
    assert alarm.partner == "alpha"
    report = inspect(proof_about(bravo.store, bravo.identity.card.raw, "alpha"), NOW)
    assert report.is_complete
    assert report.facts["claims"] == "two different cards of version 2"


def test_two_contents_of_one_version_are_an_alarm_and_no_proof(pair: tuple[Node, Node]) -> None:
    alpha, bravo = pair
    identity = {
        "type": "identity",
        "spec_version": "2.1",
        "id": "identity--00000000-0000-4000-8000-000000000001",
        "created": "2026-01-01T00:00:00.000Z",
        "modified": "2026-01-01T00:00:00.000Z",
        "object_marking_refs": ["marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb"],
    }
    for sequence, name in enumerate(("One", "Other"), 1):
        part = raw_draft([identity | {"name": name}], Tlp.GREEN)
        wire = seal_unchecked(alpha, part, bravo, now=NOW + sequence)
        take_in(bravo, [Arrival(wire, alpha.identity.partner_id)], NOW + sequence)
    (alarm,) = of(bravo, "object-fork", NOW + 2)
    assert (alarm.partner, alarm.objects) == ("alpha", [identity["id"]])
    with pytest.raises(NotFoundError):
        proof_about(bravo.store, bravo.identity.card.raw, "alpha", ("card",))


def test_our_own_number_used_twice_says_that_our_keys_are(pair: tuple[Node, Node]) -> None:
    alpha, bravo = pair
    twin = seal_unchecked(alpha, raw_draft([]), bravo)
    published(alpha, 1)
    verdicts = take_in(alpha, [Arrival(twin, bravo.identity.partner_id)], NOW)
    assert [verdict.status for verdict in verdicts] == [IntakeStatus.HELD]
    (alarm,) = of(alpha, "sequence-fork")
    assert alarm.partner == "alpha"
    assert "this node's keys" in alarm.hint
    proof = decode_proof(proof_about(alpha.store, alpha.identity.card.raw, "alpha"))
    assert proof.first.core.author == alpha.identity.partner_id

    (alarm,) = of(alpha, "identity-used-twice")
    assert "stop the copy" in alarm.hint
    assert [finding.level for finding in examine_node(alpha.home, is_running=True, now=NOW)].count(FAIL) >= 2


def test_a_home_that_runs_twice_is_told_to_both_and_to_their_partner_until_it_has_ended(
    pair: tuple[Node, Node], tmp_path: Path
) -> None:
    alpha, bravo = pair
    bear(bravo, alpha, *published(alpha, 1))
    alpha.store.database.checkpoint()
    shutil.copytree(alpha.home, tmp_path / "copy")
    copy = open_node(tmp_path / "copy")
    sealed: list[bytes] = []
    for n, node in enumerate((alpha, copy, alpha)):
        now = NOW + 100 + n
        sealed.append(wire_of(node, send(node, [f"twice{n}.example"], to=["bravo"], now=now).envelopes[0]))
    bear(bravo, alpha, *sealed, now=NOW + 200)
    for node, others in ((alpha, sealed[1:2]), (copy, [sealed[0], sealed[2]])):
        bear(node, bravo, *others, now=NOW + 200)
    for node in (alpha, copy, bravo):
        (alarm,) = of(node, "identity-used-twice", NOW + 200)
        assert (alarm.partner, alarm.since) == ("alpha", "2027-01-15T08:01:41Z")
        assert ("stop the copy" in alarm.hint) == (node is not bravo)
        assert of(node, "sequence-fork", NOW + 200) == of(node, "sequence-gap", NOW + 2 * HOUR) == []
        assert of(node, "identity-used-twice", NOW + 200 + USED_TWICE_ALARM_SECONDS) == []
    close_node(copy)


def test_nothing_to_prove_and_nobody_of_that_name(pair: tuple[Node, Node]) -> None:
    _, bravo = pair
    for name in ("alpha", "nobody"):
        with pytest.raises(NotFoundError):
            proof_about(bravo.store, bravo.identity.card.raw, name)
    assert alarms(bravo.store, bravo.card, is_running=True, now=NOW) == []


# --- a room above ----------------------------------------------------------------------------------


def test_a_room_above_adds_alarms_of_its_own_to_status_and_doctor(pair: tuple[Node, Node]) -> None:
    alpha, bravo = pair
    bear(bravo, alpha, *(seal_unchecked(alpha, raw_draft([]), bravo) for _ in range(2)))

    def taken_over(seen: Situation) -> Iterator[Alarm]:
        for partner_id in sorted(seen.names):
            if partner_id != seen.own_id and seen.is_running and seen.now == NOW:
                yield Alarm(
                    word="taken-over",
                    partner=seen.names[partner_id],
                    partner_id=partner_id.text,
                    since=None,
                    message="a space has another lead",
                    hint="call its members",
                )

    functions = (*ALARMS, taken_over)
    told = status(seen_by_daemon(bravo), NOW, alarm_functions=functions).alarms
    assert [(one.word, one.partner) for one in told] == [
        ("sequence-fork", "alpha"),
        ("taken-over", "alpha"),
    ]
    bravo.store.database.checkpoint()
    findings = examine_node(bravo.home, is_running=True, now=NOW, alarm_functions=functions)
    found = [(one.level, one.message) for one in findings if one.check == "alarm"]
    assert found[1:] == [(WARN, "taken-over: a space has another lead")]
    assert [one.word for one in of(bravo, "taken-over")] == []


def test_the_page_explains_each_word(repository: Path) -> None:
    """A monitor looks for these words, and a person looks them up. One is of `status` alone, which asks the inventory."""
    page = (repository / "docs" / "operations.md").read_text(encoding="utf-8")
    section = page[page.index("## Alarms") : page.index("## What is noted")]
    code = "".join(
        Path(module.__file__).read_text(encoding="utf-8")
        for module in (queries_alarms, space_alarms, incident_alarms, framework_alarms, exercise_alarms)
    )
    words = re.findall(r'alarm_about\(\s*"([a-z-]+)"', code)
    assert len(words) == len(incident_alarms.EVERY_ALARM), "one function for each word"
    assert set(re.findall(r"^\| `([a-z-]+)` \|", section, re.MULTILINE)) == {*words, "incident-found-here"}


def test_keys_that_nothing_has_renewed_are_an_alarm_from_day_60_of_90(pair: Any) -> None:
    alpha, _ = pair
    day = 86_400
    assert not of(alpha, "keys-not-renewed", NOW + 60 * day - 1)
    [alarm] = of(alpha, "keys-not-renewed", NOW + 60 * day)
    assert alarm.partner_id == alpha.card.partner_id.text
    assert "card renew" in alarm.hint
    [ended] = of(alpha, "keys-not-renewed", NOW + 91 * day)
    assert " ended at " in ended.message
    renew(alpha, NOW + 60 * day)
    assert not of(alpha, "keys-not-renewed", NOW + 60 * day)
