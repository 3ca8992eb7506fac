"""Exercises in which anybody says anything: equal sets give equal bytes in any order, and each result is what its rule says."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from drawn_spaces import folded_in_order
from exercise_histories import DrawnExercise, drawn_exercise
from exercise_stories import EXERCISE_STORIES
from naive_exercise import NaiveExercise
from space_histories import Teller

from p2pshare.spaces.canonical import canonical
from p2pshare.spaces.fold import SpaceFold, fold, parents_first

SEEDS = 24


def compare(told: Teller, space: SpaceFold) -> None:
    """Asserts that both folds say the same."""
    naive = NaiveExercise(told, space)
    shown: dict[str, Any] = json.loads(canonical(space.state()))["state"]
    assert (shown["phase"], shown["time_factor"]) == (naive.shown_phase(), naive.factor)
    assert shown["clock"] == naive.clock(naive.last)
    event = naive.real_event()
    assert shown["real_event"] == (None if event is None else event.text)
    assert [(one["at"], one["id"], one["what"]) for one in shown["turns"]] == [
        (at, x.text, what) for at, x, what in naive.turns
    ]
    assert [(one["id"], one["fault"] or "", one["released"], one["at"]) for one in shown["injects"]] == [
        (one["id"].text, one["fault"], one["released"], one["at"]) for one in naive.injects
    ]
    assert {one["member"]: (one["place"], one["role"]) for one in shown["places"]} == {
        member.hex(): (place, naive.role(member)) for member, place in naive.places().items()
    }
    assert [(one["id"], one["action"], one["moment"], one["upto"]) for one in shown["acts"]] == [
        (one["id"].hex(), one["action"], one["moment"], one["upto"]) for one in naive.acts()
    ]
    assert shown["unstamped"] == [one.text for one in naive.unstamped()]
    players, objectives = naive.players()
    assert [
        {
            "member": one["member"],
            "rows": [
                (row["inject"], row["id"], row["result"], row["after_seconds"]) for row in one["expectations"]
            ],
            "half_points": one["half_points"],
            "half_of": one["half_of"],
            "score": one["score"],
        }
        for one in shown["players"]
    ] == players
    assert shown["objectives"] == objectives


@pytest.fixture(scope="module")
def drawn() -> dict[int, DrawnExercise]:
    return {seed: drawn_exercise(seed) for seed in range(SEEDS)}


@pytest.mark.parametrize("seed", range(SEEDS))
def test_an_exercise_folds_alike_in_any_order_and_each_result_is_what_its_rule_says(
    seed: int, drawn: dict[int, DrawnExercise]
) -> None:
    told = drawn[seed]
    space = folded_in_order(told, random.Random(seed))
    assert canonical(space.state()) == canonical(fold(told.entries.values()))
    compare(told, space)
    state: Any = space.state().kind
    for player in state.score().players:  # whatever clocks say
        assert all(after >= 0 for after in player.acknowledged.values())
        for one in player.results:
            assert one.after_seconds is None or 0 <= one.after_seconds <= (one.late_within or one.within)
            assert (one.after_seconds is None) or (one.result in ("success", "partial"))


@pytest.mark.parametrize("story", EXERCISE_STORIES, ids=[story.name for story in EXERCISE_STORIES])
def test_the_naive_fold_tells_each_story_alike(story: Any) -> None:
    space = SpaceFold()
    for entry in parents_first(story.teller.entries[one] for one in story.checks[-1].known):
        space.add(entry)
    compare(story.teller, space)


def test_the_drawn_exercises_have_what_they_are_for(drawn: dict[int, DrawnExercise]) -> None:
    """Otherwise nothing is proven: each result, fault, turn and phase; takeovers, forks and real events."""
    found: set[str] = set()
    for seed in range(SEEDS):
        told = drawn[seed]
        state = fold(told.entries.values())
        shown = json.loads(canonical(state))["state"]
        found |= {shown["phase"]} | {"real event"} if shown["real_event"] else {shown["phase"]}
        found |= {f"fault {one['fault']}" for one in shown["injects"]}
        found |= {one["what"] for one in shown["turns"]}
        for player in shown["players"]:
            found |= {row["result"] for row in player["expectations"]}
            found |= {"after none" for row in player["expectations"] if row["after_seconds"] == 0}
        found |= {one["action"] for one in shown["acts"]} | {"unstamped"} if shown["unstamped"] else set()
        found |= set(state.members.values())
        found |= {"several terms"} if state.term != (0, 0, 0) else set()
    assert found >= {
        "running", "paused", "ended", "real event", "fault None", "fault not-in-commitment", "fault number-taken", "fault after-end",
        "started", "resumed", "real-event", "success", "partial", "failed", "pending", "spread", "after none", "acknowledge", "answer", "sight",
        "publish", "withdraw", "incident-open", "note", "unstamped", "forked", "several terms",
    }  # fmt: skip
