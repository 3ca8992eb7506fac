"""What an organisation owes in an incident is told before and after it is due, to it alone, and no longer than it owes it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from shared_spaces import hand_over, id_of, partners, run
from whole_nodes import NOW, World, seen_by_daemon

from p2pshare.identifiers import EntryId
from p2pshare.intel.marking import Tlp
from p2pshare.node.node import Node
from p2pshare.operations.incident_alarms import DUTY_ALARM_SECONDS, TASK_ALARM_SECONDS, AlarmLog
from p2pshare.operations.incidents import OpenIncident, SayInIncident
from p2pshare.operations.space_membership import JoinSpace
from p2pshare.operations.status import ShowStatus
from p2pshare.spaces.incident_entries import (
    DutyStatement,
    IncidentAnswer,
    IncidentBody,
    IncidentQuestion,
    IncidentTask,
    TaskAssignment,
    TaskClaim,
    TaskOutcome,
    encode_incident,
)

HOUR = 3_600


class Case:
    def __init__(self, alpha: Node, bravo: Node) -> None:
        self.alpha, self.bravo = alpha, bravo
        self.id = run(alpha, OpenIncident("Ransomware", ("ransomware",), Tlp.GREEN, ("bravo",))).incident
        self.meet()
        run(bravo, JoinSpace(self.id))
        self.meet()

    def meet(self) -> None:
        for giver, taker in ((self.alpha, self.bravo), (self.bravo, self.alpha)):
            hand_over(self.id, giver, taker)

    def say(self, node: Node, kind: str, body: IncidentBody) -> EntryId:
        entry = run(node, SayInIncident(self.id, kind, encode_incident(body))).entry  # type: ignore[arg-type]
        self.meet()
        return EntryId.parse(entry)

    def words(self, node: Node, now: int = NOW) -> list[str]:
        found = run(seen_by_daemon(node), ShowStatus(), now).alarms
        return [
            alarm.word for alarm in found if alarm.space == self.id and alarm.word.startswith("incident-")
        ]


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Case]:
    world = World(tmp_path_factory.mktemp("incidents"))
    yield Case(*partners(world, "alpha", "bravo"))
    world.close()


def test_a_report_is_told_before_and_after_it_is_due_to_who_owes_it(case: Case) -> None:
    case.say(case.alpha, "duty", DutyStatement("aware", "", "gdpr", NOW, "Europe/Berlin", ""))
    due = NOW + 72 * HOUR
    assert case.words(case.alpha, due - DUTY_ALARM_SECONDS - 1) == []
    assert (
        case.words(case.alpha, due - DUTY_ALARM_SECONDS)
        == ["incident-duty"]
        == case.words(case.alpha, due + HOUR)
    )
    assert case.words(case.bravo, due + HOUR) == [], "it is alpha's duty"
    case.say(case.alpha, "duty", DutyStatement("submitted", "72h", "gdpr", due, "Europe/Berlin", ""))
    assert case.words(case.alpha, due + HOUR) == []


def test_a_task_is_told_to_its_owner_until_it_is_done(case: Case) -> None:
    due = NOW + 48 * HOUR
    task = case.say(case.alpha, "task", IncidentTask("block it", "", due, ()))
    assert case.words(case.bravo, due) == [], "nobody's yet"
    case.say(case.bravo, "claim", TaskClaim(task))
    assert case.words(case.bravo, due - TASK_ALARM_SECONDS - 1) == []
    assert case.words(case.bravo, due - HOUR) == ["incident-task"] == case.words(case.bravo, due + HOUR)
    assert case.words(case.alpha, due) == []
    case.say(case.bravo, "outcome", TaskOutcome(task, "successful", ""))
    assert case.words(case.bravo, due) == []


def test_who_is_asked_is_told_until_it_has_answered(case: Case) -> None:
    question = case.say(case.alpha, "ask", IncidentQuestion((id_of(case.bravo),), "since {when}?\x1b[2J"))
    assert case.words(case.bravo) == ["incident-question"] and case.words(case.alpha) == []
    [alarm] = [
        one for one in run(seen_by_daemon(case.bravo), ShowStatus()).alarms if one.word == "incident-question"
    ]
    assert "\x1b" not in alarm.message and alarm.message.startswith("alpha asks us")
    case.say(case.bravo, "answer", IncidentAnswer(question, "since Monday"))
    assert case.words(case.bravo) == []


def test_who_is_given_a_task_is_told_until_it_takes_it(case: Case) -> None:
    task = case.say(case.alpha, "task", IncidentTask("call the bank", "", 0, ()))
    case.say(case.alpha, "assign", TaskAssignment(task, (id_of(case.bravo),)))
    assert case.words(case.bravo) == ["incident-given"] and case.words(case.alpha) == []
    case.say(case.bravo, "claim", TaskClaim(task))
    assert case.words(case.bravo) == []
    case.say(case.bravo, "outcome", TaskOutcome(task, "successful", ""))


def test_a_law_of_the_home_alerts_and_a_file_that_is_none_is_told(case: Case) -> None:
    folder = case.bravo.home / "duties"
    folder.mkdir()
    shipped = json.loads((Path(__file__).parents[2] / "config" / "duties" / "gdpr.json").read_text("utf-8"))
    (folder / "land.json").write_text(json.dumps(shipped | {"template": "land"}), "utf-8")
    case.say(case.bravo, "duty", DutyStatement("aware", "", "land", NOW - 72 * HOUR, "Europe/Berlin", ""))
    assert case.words(case.bravo) == ["incident-duty"]
    (folder / "land.json").write_text("{}", "utf-8")
    assert case.words(case.bravo) == []
    words = [one.word for one in run(seen_by_daemon(case.bravo), ShowStatus()).alarms]
    assert "incident-templates" in words
    (folder / "land.json").unlink()


def test_the_log_is_told_once_that_a_person_is_asked_and_never_what(
    case: Case, caplog: pytest.LogCaptureFixture
) -> None:
    told = AlarmLog(case.bravo)
    told.step(NOW)
    caplog.clear()
    case.say(case.alpha, "ask", IncidentQuestion((id_of(case.bravo),), "a secret question"))
    for now in (NOW, NOW + 15):
        told.step(now)
    lines = [record.getMessage() for record in caplog.records]
    assert lines == [f"incident-question in the space {case.id[:10]}: `p2pshare status` says more"]
    elsewhere = run(case.alpha, OpenIncident("A second one", ("phishing",), Tlp.GREEN, ("bravo",))).incident
    hand_over(elsewhere, case.alpha, case.bravo)
    caplog.clear()
    told.step(NOW + 30)
    lines = [record.getMessage() for record in caplog.records]
    assert lines == [f"space-invitation in the space {elsewhere[:10]}: `p2pshare status` says more"]
    assert "secret" not in caplog.text and "second" not in caplog.text
