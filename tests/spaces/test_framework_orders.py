"""Frameworks in which anybody says anything: equal sets give equal bytes in any order, and each register is what its rule says."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from drawn_spaces import folded_in_order
from framework_histories import P, Q, drawn_framework
from naive_framework import NaiveFramework

from p2pshare.spaces.canonical import canonical
from p2pshare.spaces.fold import SpaceFold, fold
from p2pshare.spaces.framework import FrameworkFold

SEEDS = 40
ORDERS = 3


def members_of(space: SpaceFold) -> tuple[set[Any], set[Any]]:
    members = space.state().members
    return (
        {one for one in members if members[one] == "joined"},
        {one for one in members if members[one] == "forked"},
    )


@pytest.mark.parametrize("seed", range(SEEDS))
def test_a_framework_folds_alike_in_any_order_at_once_and_entry_by_entry(seed: int) -> None:
    told = drawn_framework(seed)
    wanted = canonical(fold(told.entries.values()))
    for number in range(ORDERS):
        space = folded_in_order(told, random.Random(seed * 1_000 + number))
        assert canonical(space.state()) == wanted, f"framework {seed}, order {number}"


@pytest.mark.parametrize("seed", range(SEEDS))
def test_each_register_of_a_framework_is_what_its_rule_says(seed: int) -> None:
    told = drawn_framework(seed)
    space = folded_in_order(told, random.Random(seed))
    naive = NaiveFramework(told, space)
    shown: dict[str, Any] = json.loads(canonical(space.state()))["state"]
    assert (shown["manifest"], shown["manifest_conflict"]) == naive.manifest()
    assert [(one["id"], one["counts"], one["forked"]) for one in shown["playbooks"]] == naive.playbooks()
    assert [(one["id"], one["stands"]) for one in shown["approvals"]] == naive.approvals()
    assert {one["author"]: one["manifest"] for one in shown["adoptions"]} == naive.adoptions()
    state_kind = space.state().kind
    assert isinstance(state_kind, FrameworkFold)
    joined, forked = members_of(space)
    for playbook in (P, Q):
        counted = state_kind.tally_of(playbook, 2, "", joined, forked)
        assert {
            (one.version.modified, one.version.digest): set(one.approvals) for one in counted.of
        } == naive.approvers(playbook, joined)


def test_the_drawn_frameworks_have_what_they_are_for() -> None:
    """Otherwise nothing is proven."""
    found: set[str] = set()
    for seed in range(SEEDS):
        state = fold(drawn_framework(seed).entries.values())
        shown = json.loads(canonical(state))["state"]
        found |= {key for key, value in shown.items() if value}
        found |= {f"{key} {one[key]}" for one in shown["playbooks"] for key in ("counts", "forked")}
        found |= {f"stands {one['stands']}" for one in shown["approvals"]}
        found |= set(state.members.values())
        found |= {"several terms"} if state.term != (0, 0, 0) else set()
        kind = state.kind
        assert isinstance(kind, FrameworkFold)
        joined = {one for one, status in state.members.items() if status == "joined"}
        found |= {"in force"} if kind.tally_of(P, 2, "", joined, ()).version else set()
    assert found >= {
        "adoptions", "approvals", "manifest", "manifest_conflict", "notes", "playbooks", "revocations", "counts True", "counts False",
        "forked True", "forked False", "stands True", "stands False", "forked", "removed", "several terms", "in force",
    }  # fmt: skip
