"""Bugs that somebody could make in the fold of incidents: each is spoken against by a story, or by the naive fold of a drawn incident."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from incident_histories import drawn_incident
from incident_stories import INCIDENT_STORIES
from naive_incident import NaiveIncident

from p2pshare.spaces.canonical import canonical
from p2pshare.spaces.closing import Closing
from p2pshare.spaces.fold import SpaceFold, fold, parents_first
from p2pshare.spaces.incident import IncidentFold
from p2pshare.spaces.register_clock import CombinedPast, RegisterClock

Plant = Callable[[pytest.MonkeyPatch], None]


def everybody_reopens(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(IncidentFold, "_reopens", lambda self, vertex: True)


def nothing_is_replaced(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(RegisterClock, "newest", lambda self, vertices: list(vertices))


def the_first_stands(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(RegisterClock, "newest", lambda self, vertices: list(vertices[:1]))


def twins_are_one(patch: pytest.MonkeyPatch) -> None:
    def holds(self: CombinedPast, vertex: object) -> bool:
        lane = self._lanes.get(vertex.author)  # type: ignore[attr-defined]
        return lane is not None and self._clock >> lane & 0x7FFF >= vertex.number  # type: ignore[attr-defined]

    patch.setattr(CombinedPast, "holds", holds)


def everybody_says_outcomes(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(IncidentFold, "_may_say", lambda self, claims, assigns: lambda outcome: True)


def late_is_after(patch: pytest.MonkeyPatch) -> None:
    side_of = Closing.side_of
    patch.setattr(Closing, "side_of", lambda self, vertex: side_of(self, vertex) and "after")


def releases_are_forgotten(patch: pytest.MonkeyPatch) -> None:
    task = IncidentFold.task

    def forgetful(self: IncidentFold, vertex: object) -> object:
        self._by_task["release"].clear()
        return task(self, vertex)  # type: ignore[arg-type]

    patch.setattr(IncidentFold, "task", forgetful)


def a_step_is_a_task_for_each_who_reacts(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(IncidentFold, "_task_id", lambda self, vertex: vertex.entry_id)


PLANTED: tuple[Plant, ...] = (
    everybody_reopens,
    nothing_is_replaced,
    the_first_stands,
    twins_are_one,
    everybody_says_outcomes,
    late_is_after,
    releases_are_forgotten,
    a_step_is_a_task_for_each_who_reacts,
)


def told_wrongly() -> str:
    """Returns which story, or which drawn incident, a fold contradicts; "" for none."""
    for story in INCIDENT_STORIES:
        for check in story.checks:
            state = json.loads(canonical(fold(story.teller.entries[one] for one in check.known)))["state"]
            for place, wanted in check.state.items():
                found = state
                for key in place.split("."):
                    if isinstance(found, list):
                        found = found[int(key)] if int(key) < len(found) else None
                    else:
                        found = found[key]
                if found != wanted:
                    return story.name
    for seed in range(60):
        told = drawn_incident(seed)
        space = SpaceFold()
        for entry in parents_first(told.entries.values()):
            space.add(entry)
        naive, state = NaiveIncident(told, space), json.loads(canonical(space.state()))["state"]
        tasks = {one["id"]: (one["owner"], one["outcome"], one["disputed"]) for one in naive.tasks()}
        if tasks != {one["id"]: (one["owner"], one["outcome"], one["disputed"]) for one in state["tasks"]}:
            return f"drawn incident {seed}"
        if naive.duties() != [(one["id"], one["event"]) for one in state["duties"]]:
            return f"duties of drawn incident {seed}"
    return ""


@pytest.mark.parametrize("plant", PLANTED, ids=[plant.__name__ for plant in PLANTED])
def test_a_planted_bug_of_incidents_is_caught(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch)
    assert told_wrongly() != ""


def test_without_a_planted_bug_nothing_is_told_wrongly() -> None:
    assert told_wrongly() == ""
