"""Incidents in `status` and the alarms: what an organisation owes, before and after it is due, and what it was asked.

====================  ==============================================================================
incident-duty         a report that a law asks of us is due within six hours, or overdue
incident-task         a task of ours is due within a day, or overdue
incident-given        the lead has given us a task, and we have not taken it, released it or said what came of it
incident-question     we were asked, and have not answered
incident-templates    a duty template of this home is none: duties stand by those of the program alone
incident-recurrence   a member saw a value of a closed incident again
incident-seen-again   we did, or somebody told us, and the members may not have it by itself
====================  ==============================================================================
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import Any

from p2pshare.identifiers import PartnerId
from p2pshare.intel.display import clip
from p2pshare.intel.instants import SECOND_US, format_instant, parse_instant
from p2pshare.node.duty_files import DutyTemplates, duty_templates_of
from p2pshare.node.node import NodeReading
from p2pshare.operations.exercise_alarms import EXERCISE_ALARMS
from p2pshare.operations.framework_alarms import FRAMEWORK_ALARMS
from p2pshare.operations.incident_watch import DAY_SECONDS, SIGHTING, object_in
from p2pshare.operations.incidents import INCIDENT, duties_by
from p2pshare.operations.space_alarms import EVERY_SPACE_ALARM, SPACE_ALARMS, spaces_status, standings
from p2pshare.operations.space_standing import Standing
from p2pshare.queries.alarms import Alarm, AlarmFunction, Situation, alarm_about, alarms
from p2pshare.spaces.space_store import SpaceReading

log = logging.getLogger(__name__)

SHORT_DIGITS = 10  # of a space's id in the log, as everywhere
DUTY_ALARM_SECONDS = 6 * 3_600  # before a report is due: a working day is too long before one of 24 hours
TASK_ALARM_SECONDS = 24 * 3_600
WATCH_ALARM_SECONDS = 7 * 86_400  # so long a person who was away for a week is told
OPEN_OUTCOMES = frozenset({"pending", "ongoing", "unknown"})


def _incidents(seen: Situation) -> Iterator[tuple[Standing, Mapping[str, Any]]]:
    """Yields the incidents in which we are a member, with their states."""
    for one in standings(seen.store):
        state = one.output.get("state")
        if one.row.kind == INCIDENT and state is not None and one.status_of(seen.own_id) == "joined":
            yield one, state


def _about(standing: Standing) -> str:
    return f"'{clip(standing.row.title)}' ({standing.row.space.short})"


def _duties(seen: Situation) -> Iterator[Alarm]:
    templates = None
    for one, state in _incidents(seen):
        if not state["duties"]:
            continue
        templates = _templates(seen).templates if templates is None else templates
        for duty in duties_by(state["duties"], templates, seen.now):
            if (
                duty["organisation"] != seen.own_id.text
                or duty["due"] is None
                or duty["state"] not in ("running", "overdue")
            ):
                continue
            due = parse_instant(duty["due"]) // SECOND_US
            if seen.now < due - DUTY_ALARM_SECONDS:
                continue
            word = "was due" if duty["state"] == "overdue" else "is due"
            report = f"{duty['template']}:{duty['stage']}"
            yield alarm_about(
                "incident-duty",
                seen.own_id,
                seen.names,
                parse_instant(duty["from_at"]) // SECOND_US,
                f"the report {report} of the incident {_about(one)} {word} {duty['due']}",
                f"`p2pshare incident sitrep {one.row.space.short} --report {report}`, and `incident duty done` once it is submitted",
                space=one.row.space.text,
            )


def _templates(seen: Situation) -> DutyTemplates:
    """Returns the templates of the program and of the home, in which the store is."""
    return duty_templates_of(seen.store.database.path.parent)


def _bad_templates(seen: Situation) -> Iterator[Alarm]:
    problem = _templates(seen).problem
    if problem:
        yield alarm_about(
            "incident-templates",
            seen.own_id,
            seen.names,
            None,
            f"the duty templates of this home are left out: {clip(problem)}",
            "`p2pshare incident duty list` says what is wrong with them",
        )


def _given(seen: Situation) -> Iterator[Alarm]:
    for one, state in _incidents(seen):
        for task in state["tasks"]:
            is_ours = task["owner"] == seen.own_id.text and task["outcome"] in OPEN_OUTCOMES
            is_taken = any(
                claim["stands"] and claim["author"] == seen.own_id.text for claim in task["claims"]
            )
            if not is_ours or is_taken or not task["assignments"]:
                continue
            yield alarm_about(
                "incident-given",
                seen.own_id,
                seen.names,
                None,
                f"the task '{clip(task['title'])}' of the incident {_about(one)} was given to us",
                f"`p2pshare incident task claim {one.row.space.short} {task['id'][:10]}` takes it, `task release` lets it go",
                space=one.row.space.text,
            )


def _tasks(seen: Situation) -> Iterator[Alarm]:
    for one, state in _incidents(seen):
        for task in state["tasks"]:
            due = task["due"]
            is_ours = task["owner"] == seen.own_id.text and task["outcome"] in OPEN_OUTCOMES
            if not is_ours or due is None or seen.now < due - TASK_ALARM_SECONDS:
                continue
            word = "was due" if seen.now > due else "is due"
            yield alarm_about(
                "incident-task",
                seen.own_id,
                seen.names,
                None,
                f"our task '{clip(task['title'])}' of the incident {_about(one)} {word} {format_instant(due * SECOND_US)}",
                f"`p2pshare incident task done {one.row.space.short} {task['id'][:10]}`, or `task release` for somebody else",
                space=one.row.space.text,
            )


def _questions(seen: Situation) -> Iterator[Alarm]:
    for one, state in _incidents(seen):
        rows = {row["id"]: row for row in one.output["timeline"]}
        for question in state["questions"]:
            if seen.own_id.text not in (question["to"] or ()):
                continue
            if any(rows[answer["id"]]["author"] == seen.own_id.text for answer in question["answers"]):
                continue
            asked = rows[question["id"]]
            yield alarm_about(
                "incident-question",
                PartnerId.parse(asked["author"]),
                seen.names,
                asked["created"],
                f"{{name}} asks us in the incident {_about(one)}: {clip(question['text'])}",
                f"`p2pshare incident answer {one.row.space.short} {question['id'][:10]} TEXT`",
                space=one.row.space.text,
            )


def _recurrences(seen: Situation) -> Iterator[Alarm]:
    for one, state in _incidents(seen):
        if not state["closed"]:
            continue
        since_close = {*state["after"], *state["late"]}
        told = [row for row in state["recurrences"] if row["id"] in since_close and row["value"] is not None]
        if not told:
            continue
        rows = {row["id"]: row for row in one.output["timeline"]}
        newest = max(told, key=lambda row: (row["day"], row["id"]))
        if seen.now >= newest["day"] + WATCH_ALARM_SECONDS:
            continue
        lead = (
            "`p2pshare incident reopen`"
            if one.lead == seen.own_id
            else "ask its lead to reopen it, or `incident reopen`"
        )
        yield alarm_about(
            "incident-recurrence",
            PartnerId.parse(rows[newest["id"]]["author"]),
            seen.names,
            rows[newest["id"]]["created"],
            f"{{name}} saw {newest['type']} {clip(newest['value'])} again, of the closed incident {_about(one)}",
            lead,
            space=one.row.space.text,
            count=len(told),
        )


def _seen_again(seen: Situation) -> Iterator[Alarm]:
    reading = SpaceReading(seen.store.database)
    for one, state in _incidents(seen):
        if not state["closed"]:
            continue
        told = {(row["type"], row["value"]): row["day"] for row in state["recurrences"]}
        for entry_id, how, seen_at in reading.seen_again(one.row):
            said = object_in(reading, entry_id)
            if said is None or seen.now >= seen_at + WATCH_ALARM_SECONDS:
                continue
            if told.get((said.type, said.value), 0) >= seen_at - seen_at % DAY_SECONDS:
                continue
            word = "we saw" if how == SIGHTING else "it was claimed to us:"
            yield alarm_about(
                "incident-seen-again",
                seen.own_id,
                seen.names,
                seen_at,
                f"{word} {said.type} {clip(said.value)} of the closed incident {_about(one)}; its members were told nothing",
                f"`p2pshare incident watch tell {one.row.space.short} VALUE` tells them, if they may know",
                space=one.row.space.text,
            )


INCIDENT_ALARMS: tuple[AlarmFunction, ...] = (
    _duties,
    _tasks,
    _given,
    _questions,
    _recurrences,
    _seen_again,
    _bad_templates,
)
EVERY_ALARM: tuple[AlarmFunction, ...] = (
    *EVERY_SPACE_ALARM,
    *INCIDENT_ALARMS,
    *FRAMEWORK_ALARMS,
    *EXERCISE_ALARMS,
)
"""The alarms of a node, in the order in which they are reported."""


class AlarmLog:
    """Tells the log what spaces and incidents ask of a person, once it begins; never what anybody wrote."""

    def __init__(self, node: NodeReading) -> None:
        self._node = node
        self._told: frozenset[tuple[str, str]] = frozenset()

    def step(self, now: int) -> None:
        """Log each alarm of a space that was not there at the last call."""
        functions = (*SPACE_ALARMS, *INCIDENT_ALARMS, *FRAMEWORK_ALARMS, *EXERCISE_ALARMS)
        found = alarms(self._node.store, self._node.card, is_running=True, now=now, functions=functions)
        asked = [("space-invitation", one.space) for one in spaces_status(self._node).invitations]
        there = frozenset([*asked, *((one.word, one.space) for one in found if isinstance(one.space, str))])
        for word, space in sorted(there - self._told):
            log.warning("%s in the space %s: `p2pshare status` says more", word, space[:SHORT_DIGITS])
        self._told = there
