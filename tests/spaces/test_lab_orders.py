"""Labs in which anybody says anything: equal sets give equal bytes in any order, and each status is what its rule says."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from drawn_spaces import folded_in_order
from lab_histories import drawn_lab
from lab_stories import LAB_STORIES
from naive_lab import NaiveLab
from space_histories import Teller

from p2pshare.spaces.canonical import canonical
from p2pshare.spaces.fold import SpaceFold, fold, parents_first

SEEDS = 30
ORDERS = 2
TOLD = ("agree", "disagree", "missing", "passed", "promotion", "shared", "status", "test_since")
VERSIONS = ("rule", "revise", "propose")


def compare(told: Teller, space: SpaceFold) -> None:
    """Asserts that both folds say the same."""
    naive = NaiveLab(told, space)
    shown: dict[str, Any] = json.loads(canonical(space.state()))["state"]
    assert [
        {
            **{key: rule[key] for key in ("id", "current", "conflict", "status", "missing")},
            "versions": [(one["id"], one["deprecated"]) for one in rule["versions"]],
            "proposals": [one["id"] for one in rule["proposals"]],
        }
        for rule in shown["rules"]
    ] == naive.rules()
    for name, kinds in (("rule_texts", VERSIONS), ("remedy_texts", ("remedy",))):
        assert {one["hash"]: {key: one[key] for key in TOLD} for one in shown[name]} == naive.texts(*kinds)
    assert [(one["id"], one["label"], one["conflict"]) for one in shown["samples"]] == naive.samples()
    assert [(one["id"], one["current"]) for one in shown["remedies"]] == naive.remedies()
    assert (shown["closes"], shown["late"], shown["after"]) == naive.sides()
    assert shown["benign_permille"] == naive.limit()


@pytest.mark.parametrize("seed", range(SEEDS))
def test_a_lab_folds_alike_in_any_order_at_once_and_entry_by_entry(seed: int) -> None:
    told = drawn_lab(seed)
    wanted = canonical(fold(told.entries.values()))
    for number in range(ORDERS):
        space = folded_in_order(told, random.Random(seed * 1_000 + number))
        assert canonical(space.state()) == wanted, f"lab {seed}, order {number}"


@pytest.mark.parametrize("seed", range(SEEDS))
def test_each_status_is_what_its_rule_says(seed: int) -> None:
    told = drawn_lab(seed)
    compare(told, folded_in_order(told, random.Random(seed)))


@pytest.mark.parametrize("story", LAB_STORIES, ids=[story.name for story in LAB_STORIES])
def test_the_naive_fold_tells_each_story_alike(story: Any) -> None:
    for check in story.checks[-1:]:
        space = SpaceFold()
        for entry in parents_first(story.teller.entries[one] for one in check.known):
            space.add(entry)
        compare(story.teller, space)


def test_the_drawn_labs_have_what_they_are_for() -> None:
    """Otherwise nothing is proven: each status, each thing that is missing, conflicts, proposals, forks, late and after."""
    found: set[str] = set()
    for seed in range(SEEDS):
        state = fold(drawn_lab(seed).entries.values())
        shown = json.loads(canonical(state))["state"]
        found |= {key for key, value in shown.items() if value not in ([], None)}
        for rule in shown["rules"]:
            found |= {rule["status"], *(one["what"] for one in rule["missing"])}
            found |= {key for key in ("conflict", "proposals") if rule[key]}
            found |= {"versions"} if len(rule["versions"]) > 1 else set()
        for text in shown["rule_texts"]:
            found |= {text["status"], *(one["what"] for one in text["missing"])}
        found |= {f"sample {one['label']}" for one in shown["samples"]}
        found |= {"sample conflict" for one in shown["samples"] if one["conflict"]}
        found |= {f"remedy {one['status']}" for one in shown["remedies"]}
        found |= set(state.members.values())
        found |= {"several terms"} if state.term != (0, 0, 0) else set()
    assert found >= {
        "experimental", "test", "stable", "deprecated", "agreement", "independent-run", "promotion", "soak", "field-figures", "disagreement",
        "conflict", "proposals", "versions", "sample positive", "sample negative", "sample conflict", "remedy experimental", "forked",
        "removed", "several terms", "late", "after", "notes", "question",
    }  # fmt: skip
