"""Who approves what, through the whole fold: the cases that stand beside the checkout, and what a member tries."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

from drawn_spaces import orders
from framework_histories import V1, V2, FrameworkTeller, P
from space_histories import partner

from p2pshare.identifiers import EntryId
from p2pshare.intel.playbooks.quorum import QuorumTally
from p2pshare.spaces.fold import SpaceFold, SpaceState, fold
from p2pshare.spaces.framework import FrameworkFold

APPROVALS = 10_000


class Case:
    """A story of approvals, told as entries."""

    def __init__(self, story: dict[str, Any]) -> None:
        self.story = story
        self.told = FrameworkTeller("".join(story["members"]))
        self.ids: dict[str, EntryId] = {}
        self.acts = {act["id"]: act for act in story["acts"]}
        joins = [one for one, entry in self.told.entries.items() if entry.header.kind in ("open", "join")]
        self.begun = set(joins)
        for act in story["acts"]:
            after = [self.ids[one] for one in act["after"]]
            before = self.told.past(after)
            if not after:
                after = joins[1:]
            elif not self.begun <= before:
                after += [one for one in joins if one not in before]
            self.ids[act["id"]] = self._tell(act, after)

    def _tell(self, act: dict[str, Any], after: list[EntryId]) -> EntryId:
        told, who = self.told, act["by"]
        how = {"after": after, "key": 2 if act.get("key", "").endswith("-new") else 1}
        match act["do"]:
            case "playbook":
                return told.playbook(who, act["content"], act["modified"], **how)
            case "framework":
                return told.manifest(
                    who,
                    P,
                    version=act["version"],
                    quorum=self.story["needed"],
                    least=act["least_version"],
                    **how,
                )
            case "adopt":
                of = [one for one in told.past(after) if told.entries[one].header.kind == "manifest"]
                return told.adopt(who, max(of, key=lambda one: told.entries[one].header.depth), **how)
            case "approve" | "revoke":
                said = self.acts[act["of"]]
                of_approval = said if said["do"] == "playbook" else self.acts[said["of"]]
                return getattr(told, act["do"])(who, of_approval["content"], of_approval["modified"], **how)
            case "remove":
                return told.remove(who, act["whom"], **how)
            case other:
                raise AssertionError(f"the cases have an act that is not told yet: {other}")

    def tally(self, known: set[EntryId], seed: int) -> tuple[QuorumTally, set[str]]:
        space, draw = SpaceFold(), random.Random(seed)
        for entry in orders({one: self.told.entries[one] for one in known | self.begun}, draw):
            space.add(entry)
        kind, state = space.state().kind, space.state()
        assert isinstance(kind, FrameworkFold)
        manifest = kind.manifest()
        adopters = {
            self.told.names[one]
            for one, named in kind.adopted().items()
            if manifest is not None and named == manifest.vertex.entry_id
        }
        return tally_of(state, self.story["needed"]), adopters


def tally_of(state: SpaceState, needed: int, playbook: str = P) -> QuorumTally:
    kind = state.kind
    assert isinstance(kind, FrameworkFold)
    entry = kind.entry_of(playbook)
    members = state.members
    return kind.tally_of(
        playbook,
        needed,
        "" if entry is None else entry.least,
        {one for one in members if members[one] == "joined"},
        {one for one in members if members[one] == "forked"},
    )


def test_every_case_of_a_quorum_is_told_alike_by_every_node(shared_data: Path) -> None:
    paths = sorted((shared_data.parent / "cases" / "pillars" / "quorum").glob("*.json"))
    assert len(paths) >= 3
    for path in paths:
        case = Case(json.loads(path.read_text()))
        names = {one.hex(): name for one, name in case.told.names.items()}
        wanted = json.loads(path.with_name(path.name + ".expect").read_text())
        for check in wanted["checks"]:
            for seed in range(3):
                counted, adopters = case.tally({case.ids[one] for one in check["known"]}, seed)
                where = f"{path.name} {check['known']}"
                assert (counted.version and counted.version.modified) == check["version"], where
                assert sorted(names[one] for one in counted.approvals) == check["approvals"], where
                assert counted.missing >= check["missing_at_least"], where
                assert (
                    sorted(names[one] for one in counted.may_still_approve) == check["may_still_approve"]
                ), where
                for modified, by in check.get("of", {}).items():
                    (of,) = [one for one in counted.of if one.version.modified == modified]
                    assert sorted(names[one] for one in of.approvals) == by, where
                works = counted.version is not None and "A" in adopters
                assert works == ("A: works" in check["react"]), where


def test_two_contents_of_one_version_have_no_quorum_whatever_approves_them() -> None:
    told = FrameworkTeller("LABC")
    told.playbook("L")
    told.manifest("L")
    for name in "LABC":
        told.approve(name)
    assert tally_of(fold(told.entries.values()), 2).version is not None
    told.playbook("L", "Y")
    counted = tally_of(fold(told.entries.values()), 2)
    assert counted.version is None and all(one.is_forked for one in counted.of)
    told.playbook("L", "Z", V2)
    told.approve("A", "Z", V2)
    told.approve("B", "Z", V2)
    found = tally_of(fold(told.entries.values()), 2).version
    assert found is not None and found.modified == V2, "its owner makes a new version"


def test_a_member_that_equivocates_counts_in_none_until_it_is_invited_again() -> None:
    told = FrameworkTeller("LAB")
    told.playbook("L")
    seen = told.heads()
    told.approve("A")
    told.note("B", "one", after=seen)
    told.approve("B", after=seen)
    state = fold(told.entries.values())
    assert state.members[partner("B")] == "forked"
    assert tally_of(state, 2).approvals == (partner("A").text,)
    told.invite("L", "B")
    told.join("B", after=told.heads())
    told.approve("B")
    assert len(tally_of(fold(told.entries.values()), 2).approvals) == 2


def test_who_left_or_was_removed_counts_no_more() -> None:
    told = FrameworkTeller("LAB")
    told.playbook("L")
    told.approve("A")
    told.approve("B")
    told.remove("L", "B")
    counted = tally_of(fold(told.entries.values()), 2)
    assert counted.approvals == (partner("A").text,)
    assert counted.may_still_approve == (partner("L").text,)


def test_one_member_who_approves_and_revokes_ten_thousand_times_is_one_and_costs_what_it_wrote() -> None:
    told = FrameworkTeller("LAB")
    told.playbook("L")
    told.approve("L")
    last = told.approve("A")
    number = told.entries[last].header.number
    for place in range(1, APPROVALS):
        write = told.revoke if place % 2 else told.approve
        last = write("A", after=[last], number=number + place)
    state = fold(told.entries.values())
    counted = tally_of(state, 2)
    assert counted.version is None and counted.approvals == (partner("L").text,), "the last was a revocation"
    assert isinstance(state.kind, FrameworkFold)
    assert len(state.kind.by_kind["approve"]) + len(state.kind.by_kind["revoke-approval"]) == APPROVALS + 1
    told.approve("A", after=[last], number=number + APPROVALS)
    assert tally_of(fold(told.entries.values()), 2).version is not None


def test_a_template_is_approved_by_nobody_and_an_approval_of_another_content_is_none() -> None:
    told = FrameworkTeller("LAB")
    told.playbook("L", template=1)
    for name in "LAB":
        told.approve(name)
    assert tally_of(fold(told.entries.values()), 1).of == ()
    told.playbook("L", "Y", V2)
    for name in "LAB":
        told.approve(name, "Y", V1)
        told.approve(name, "X", V2)
    assert tally_of(fold(told.entries.values()), 1).version is None
