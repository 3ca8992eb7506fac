"""Exercises in which anybody says anything: equal sets give equal bytes in any order, and each result is what its rule says."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from drawn_spaces import folded_in_order
from exercise_histories import AttackedExercise, DrawnExercise, drawn_exercise, honest_exercise
from exercise_stories import EXERCISE_STORIES
from naive_exercise import NaiveExercise
from naive_fold import NaiveFold
from space_campaign import plain_of
from space_histories import Teller

from p2pshare.spaces.canonical import canonical
from p2pshare.spaces.exercise_entries import READERS
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


@pytest.mark.parametrize("seed", range(20))
def test_players_change_nothing_of_the_course_or_of_anothers_score_afterwards(seed: int) -> None:
    """Two of the players write 30 entries from any past: packs, releases, stamps, takeovers, real events, acts with any clock."""
    honest = honest_exercise()
    attack = AttackedExercise(honest, random.Random(seed), "BC")
    attack.go_on(30)
    before, after = (json.loads(canonical(fold(told.entries.values()))) for told in (honest, attack))
    assert (after["lead"], after["term"]) == (before["lead"], before["term"])
    assert [one["id"] for one in after["members"]] == [one["id"] for one in before["members"]]
    for key in ("pack", "injects", "turns", "clock", "phase", "time_factor", "real_event", "places"):
        assert after["state"][key] == before["state"][key], key
    assert after["state"]["observations"] == before["state"]["observations"]
    assert after["state"]["players"][0] == before["state"]["players"][0], "A's line"
    results = [row["result"] for row in before["state"]["players"][0]["expectations"]]
    assert {"success", "partial", "failed"} <= set(results)


@pytest.mark.parametrize("seed", range(12))
def test_who_leads_an_exercise_is_what_the_naive_fold_of_spaces_says(seed: int) -> None:
    """Takeovers among those with a role, of which the lead is no voter: both folds give each entry the same effect."""
    told = drawn_exercise(seed)
    space = folded_in_order(told, random.Random(seed))
    plain = [plain_of(entry) for entry in told.entries.values()]
    naive = NaiveFold(plain)
    own = {one for kind in READERS if kind != "note" for one in naive.of_kind[kind]}
    effects = {one: naive.effect(one, naive.all) for one in naive.all - own}
    assert effects == {bytes(one): space.effect_of(one) for one in told.entries if bytes(one) not in own}
    lead = space.state().lead
    assert naive.lead(naive.all) == (None if lead is None else bytes(lead))


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
