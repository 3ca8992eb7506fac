"""Incidents in which anybody says anything: equal sets give equal bytes in any order, and each register is what its rule says."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from drawn_spaces import folded_in_order
from incident_histories import drawn_incident
from naive_incident import NaiveIncident

from p2pshare.spaces.canonical import canonical
from p2pshare.spaces.fold import fold

SEEDS = 40
ORDERS = 3


@pytest.mark.parametrize("seed", range(SEEDS))
def test_an_incident_folds_alike_in_any_order_at_once_and_entry_by_entry(seed: int) -> None:
    told = drawn_incident(seed)
    wanted = canonical(fold(told.entries.values()))
    for number in range(ORDERS):
        space = folded_in_order(told, random.Random(seed * 1_000 + number))
        assert canonical(space.state()) == wanted, f"incident {seed}, order {number}"


@pytest.mark.parametrize("seed", range(SEEDS))
def test_each_register_is_what_its_rule_says(seed: int) -> None:
    told = drawn_incident(seed)
    space = folded_in_order(told, random.Random(seed))
    naive = NaiveIncident(told, space)
    shown: dict[str, Any] = json.loads(canonical(space.state()))["state"]
    assert [
        {
            "id": task["id"],
            "owner": task["owner"],
            "conflict": task["conflict"],
            "claims": [(one["id"], one["stands"]) for one in task["claims"]],
            "assignments": task["assignments"],
            "outcome": task["outcome"],
            "disputed": task["disputed"],
            "outcomes": sorted(one["id"] for one in task["outcomes"]),
            "title": task["title"],
            "differs": task["differs"],
        }
        for task in shown["tasks"]
    ] == naive.tasks()
    assert (shown["determination"], shown["determination_conflict"]) == naive.determination()
    assert {one["author"]: one["status"] for one in shown["own_status"]} == naive.own_status()
    assert [(one["id"], one["event"]) for one in shown["duties"]] == naive.duties()
    assert [(one["id"], one["text"], one["conflict"]) for one in shown["lessons"]] == naive.lessons()
    assert (shown["closes"], shown["late"], shown["after"]) == naive.sides()


def test_the_drawn_incidents_have_what_they_are_for() -> None:
    """Otherwise nothing is proven: conflicts, disputes, late and after, closed and open, forks, and content of each kind."""
    found: set[str] = set()
    for seed in range(SEEDS):
        told = drawn_incident(seed)
        state = fold(told.entries.values())
        shown = json.loads(canonical(state))["state"]
        found |= {f"closed {shown['closed']}"} | {
            key for key, value in shown.items() if value not in ([], None)
        }
        for task in shown["tasks"]:
            found |= {key for key in ("conflict", "disputed") if task[key]} | {f"outcome {task['outcome']}"}
            found |= {f"stands {claim['stands']}" for claim in task["claims"]}
        found |= {"lesson conflict" for lesson in shown["lessons"] if lesson["conflict"]}
        found |= set(state.members.values())
        found |= {"several terms"} if state.term != (0, 0, 0) else set()
    assert found >= {
        "closed True", "closed False", "late", "after", "conflict", "disputed", "stands True", "stands False", "several terms", "forked",
        "removed", "lesson conflict", "outcome unknown", "outcome pending", "outcome ongoing", "recurrences", "questions", "duties",
        "duplicates", "determination", "opinions", "impacts", "events", "objects", "own_status",
    }  # fmt: skip
