"""Bugs that somebody could make in the fold of frameworks: each is spoken against by a story, or by the naive fold of a drawn framework."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from framework_histories import P, Q, drawn_framework
from framework_stories import FRAMEWORK_STORIES
from naive_framework import NaiveFramework

from p2pshare.spaces import framework
from p2pshare.spaces.canonical import canonical
from p2pshare.spaces.fold import SpaceFold, fold, parents_first
from p2pshare.spaces.framework import FrameworkFold
from p2pshare.spaces.register_clock import RegisterClock

Plant = Callable[[pytest.MonkeyPatch], None]


def who_says_so_early_is_the_owner(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(
        FrameworkFold, "_owner", lambda self, playbook, versions: versions[0].author if versions else None
    )


def the_newest_manifest_says_the_owner(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(framework, "min", max, raising=False)


def revocations_always_win(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(framework, "precedes", lambda one, other: False)


def approvals_always_win(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(framework, "precedes", lambda one, other: True)


def an_approval_is_of_a_digest_alone(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(framework, "_content_of", lambda subject: subject[2])


def the_first_stands(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(RegisterClock, "newest", lambda self, vertices: list(vertices[:1]))


PLANTED: tuple[Plant, ...] = (
    who_says_so_early_is_the_owner,
    the_newest_manifest_says_the_owner,
    revocations_always_win,
    approvals_always_win,
    an_approval_is_of_a_digest_alone,
    the_first_stands,
)


def is_spoken_against() -> bool:
    for story in FRAMEWORK_STORIES:
        for check in story.checks:
            state = json.loads(canonical(fold(story.teller.entries[one] for one in check.known)))["state"]
            for place, wanted in check.state.items():
                found = state
                for key in place.split("."):
                    found = found[int(key)] if isinstance(found, list) else found[key]
                if found != wanted:
                    return True
    return any(_differs(seed) for seed in range(40))


def _differs(seed: int) -> bool:
    told = drawn_framework(seed)
    space = SpaceFold()
    for entry in parents_first(told.entries.values()):
        space.add(entry)
    naive, state = NaiveFramework(told, space), space.state()
    shown = json.loads(canonical(state))["state"]
    assert isinstance(state.kind, FrameworkFold)
    joined = {one for one, status in state.members.items() if status == "joined"}
    forked = {one for one, status in state.members.items() if status == "forked"}
    return (
        (shown["manifest"], shown["manifest_conflict"]) != naive.manifest()
        or [(one["id"], one["counts"], one["forked"]) for one in shown["playbooks"]] != naive.playbooks()
        or [(one["id"], one["stands"]) for one in shown["approvals"]] != naive.approvals()
        or {one["author"]: one["manifest"] for one in shown["adoptions"]} != naive.adoptions()
        or any(
            {
                (one.version.modified, one.version.digest): set(one.approvals)
                for one in state.kind.tally_of(playbook, 2, "", joined, forked).of
            }
            != naive.approvers(playbook, joined)
            for playbook in (P, Q)
        )
    )


@pytest.mark.parametrize("plant", PLANTED, ids=lambda plant: plant.__name__)
def test_a_planted_bug_of_frameworks_is_found(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch)
    assert is_spoken_against()


def test_without_a_planted_bug_nothing_speaks_against_frameworks() -> None:
    assert not is_spoken_against()
