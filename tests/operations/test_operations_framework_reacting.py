"""Reacting: a playbook that has its quorum and our adoption becomes one set of tasks, whoever reacts; and whatever is missing is said."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from copies import copy_of
from shared_spaces import hand_over, held, partners, run
from whole_nodes import NOW, World

from p2pshare.errors import DiskFull, NotFoundError, RefusedError
from p2pshare.identifiers import EntryId
from p2pshare.intel.marking import Tlp
from p2pshare.intel.playbooks.framework_manifest import manifest_bytes, read_manifest
from p2pshare.node.node import Node
from p2pshare.node.shipped import shipped_frameworks, shipped_playbooks
from p2pshare.operations.framework_reacting import React, Reacted
from p2pshare.operations.frameworks import AdoptFramework, ApprovePlaybook, ImportPlaybook, WriteManifest
from p2pshare.operations.incidents import OpenIncident, SayInIncident, ShowIncident
from p2pshare.operations.space_membership import JoinSpace
from p2pshare.operations.spaces import AmbiguousId, OpenSpace
from p2pshare.spaces.incident_entries import DutyStatement, encode_incident
from p2pshare.spaces.space_exchange import spaces_of
from p2pshare.spaces.spaces import Spaces

RANSOMWARE = "221a1897"
NAMES = ("alpha", "bravo", "charlie")
DAY = 86_400


class Agreed(NamedTuple):
    """Three who are in a framework of ours, whose ransomware playbook nobody has approved; an incident of the first two."""

    alpha: Node
    bravo: Node
    charlie: Node
    framework: str
    incident: str

    def share(self, *spaces: str) -> None:
        """Hand everything of a space to everybody, until all hold the same."""
        for space in spaces or (self.framework, self.incident):
            for _ in range(2):
                for giver in self[:3]:
                    hand_over(space, giver, *[one for one in self[:3] if one is not giver])

    def approve(self, node: Node) -> None:
        run(node, ApprovePlaybook(RANSOMWARE, version=version(node)))
        self.share(self.framework)

    def adopt(self, *nodes: Node) -> None:
        for node in nodes:
            run(node, AdoptFramework(self.framework))
            self.share(self.framework)


def version(node: Node) -> str:
    from p2pshare.operations.frameworks import ShowPlaybook

    return str(run(node, ShowPlaybook(RANSOMWARE)).listed.hash)


def _make_agreed(folder: Path) -> None:
    """The homes of three in a framework, with an incident of the first two; its ids are in a file beside them."""
    world = World(folder)
    alpha, bravo, charlie = partners(world, *NAMES)
    space = run(alpha, OpenSpace("framework", "Hospitals", Tlp.AMBER, ("bravo", "charlie"))).space
    incident = run(alpha, OpenIncident("Ransomware", ("ransomware",), Tlp.AMBER, ("bravo",))).incident
    made = Agreed(alpha, bravo, charlie, space, incident)
    made.share()
    for node in (bravo, charlie):
        run(node, JoinSpace(space))
    run(bravo, JoinSpace(incident))
    run(alpha, ImportPlaybook(space, shipped_playbooks()["ransomware-in-a-hospital"]))
    run(alpha, ImportPlaybook(space, shipped_playbooks()["phishing"]))
    run(alpha, WriteManifest(space, shipped_frameworks()["hospitals"]))
    made.share()
    _close(world, made)


def _make_ready(folder: Path) -> None:
    """The same, and two of three approve the playbook, two have adopted the framework."""
    copy_of("framework agreed", _make_agreed, folder)
    with _opened(folder) as (world, made):
        for node in (made.alpha, made.charlie):
            made.approve(node)
        made.adopt(made.alpha, made.bravo)
        (folder / "ids").unlink()
        _close(world, made)


def _close(world: World, made: Agreed) -> None:
    (world.folder / "ids").write_text(f"{made.framework} {made.incident}")
    world.close()
    world._nodes.clear()


@contextmanager
def _opened(folder: Path) -> Iterator[tuple[World, Agreed]]:
    world = World(folder)
    try:
        yield world, Agreed(*map(world.open, NAMES), *(folder / "ids").read_text().split())
    finally:
        world.close()


@pytest.fixture
def agreed(tmp_path: Path) -> Iterator[Agreed]:
    copy_of("framework agreed", _make_agreed, tmp_path / "three")
    with _opened(tmp_path / "three") as (_, made):
        yield made


@pytest.fixture
def ready(tmp_path: Path) -> Iterator[Agreed]:
    copy_of("framework ready", _make_ready, tmp_path / "three")
    with _opened(tmp_path / "three") as (_, made):
        yield made


def tasks_of(node: Node, incident: str) -> list[dict[str, Any]]:
    told: dict[str, Any] = json.loads(run(node, ShowIncident(incident)).shown)
    return list(told["tasks"])


def test_before_the_second_approval_it_is_said_who_is_missing_and_nothing_is_written(agreed: Agreed) -> None:
    alpha = agreed.alpha
    agreed.adopt(alpha)
    agreed.approve(alpha)
    with pytest.raises(RefusedError) as caught:
        run(alpha, React(agreed.incident))
    assert caught.value.reason == "no-quorum"
    assert "needs 2 approvals and has 1 (" in caught.value.message
    assert "missing: 1 of bravo, charlie" in caught.value.message
    assert tasks_of(alpha, agreed.incident) == []


def test_without_our_own_adoption_we_do_not_react(agreed: Agreed) -> None:
    agreed.approve(agreed.alpha)
    agreed.approve(agreed.charlie)
    with pytest.raises(RefusedError) as caught:
        run(agreed.alpha, React(agreed.incident))
    assert caught.value.reason == "not-adopted"
    assert f"p2pshare framework adopt {agreed.framework[:10]}" in caught.value.hint


def test_two_who_react_beside_each_other_give_one_set_of_tasks(ready: Agreed) -> None:
    alpha, bravo, incident = ready.alpha, ready.bravo, ready.incident
    first, second = run(alpha, React(incident)), run(bravo, React(incident))
    assert isinstance(first, Reacted)
    assert [one.task for one in first.tasks] == [one.task for one in second.tasks]
    assert len(first.tasks) == 36 and all(one.is_new for one in first.tasks)
    ready.share(incident)
    for node in (alpha, bravo):
        listed = tasks_of(node, incident)
        assert [one["task"] for one in listed] == [one.task for one in first.tasks]
        assert [one["step"]["place"] for one in listed] == list(range(1, 37))
        assert not any(one["differs"] for one in listed)
    again = run(bravo, React(incident))
    assert not any(one.is_new for one in again.tasks), "who reacts again adds nothing"


def test_clocks_run_from_what_the_incident_says_and_are_those_of_the_framework(ready: Agreed) -> None:
    incident = ready.incident
    asleep = run(ready.alpha, React(incident, dry_run=True))
    assert {one["state"] for one in asleep.duties} == {"not-running"} and asleep.notes == []
    aware = DutyStatement("aware", "", "gdpr", NOW - DAY, "Europe/Berlin", "")
    run(ready.alpha, SayInIncident(incident, "duty", encode_incident(aware)))
    done = run(ready.alpha, React(incident))
    duties = {one["stage"]: one for one in done.duties}
    assert [duties[stage]["state"] for stage in ("early", "72h", "final")] == [
        "running",
        "running",
        "not-running",
    ]
    assert duties["early"]["from_at"] == duties["72h"]["from_at"] is not None
    ready.share(incident)
    told = json.loads(run(ready.bravo, ShowIncident(incident)).canonical)["state"]["duties"]
    assert sorted((one["template"], one["at"]) for one in told) == [("gdpr", NOW - DAY), ("nis2", NOW - DAY)]
    later = run(ready.alpha, React(incident, aware=NOW - 2 * DAY))
    assert later.duties[0]["due"] != duties["early"]["due"], "our own word, said now, is the newest"
    entries = len(held(ready.alpha, incident))
    run(ready.alpha, React(incident, aware=NOW - 2 * DAY))
    assert len(held(ready.alpha, incident)) == entries, "said again it adds nothing"


def test_what_is_running_keeps_its_version_when_the_approval_is_taken_back(ready: Agreed) -> None:
    incident = ready.incident
    first = run(ready.alpha, React(incident))
    run(ready.charlie, ApprovePlaybook(RANSOMWARE, version=first.hash, is_revoked=True))
    ready.share()
    assert run(ready.alpha, React(incident)).hash == first.hash, "what we began goes on"
    with pytest.raises(RefusedError, match="missing: 1 of"):
        run(ready.bravo, React(incident))  # another one's reaction is not its quorum


def test_one_byte_of_a_step_changed_and_no_approval_counts(ready: Agreed) -> None:
    raw = shipped_playbooks()["ransomware-in-a-hospital"]
    changed = raw.replace(b"Photograph", b"Photographs", 1).replace(
        b'"modified": "2026-11-30T08:00:00.000Z"', b'"modified": "2026-11-30T09:00:00.000Z"', 1
    )
    assert changed != raw
    document = json.loads(shipped_frameworks()["hospitals"])
    document["entries"][0]["least"] = "2026-11-30T09:00:00.000Z"
    run(ready.alpha, ImportPlaybook(ready.framework, changed))
    run(ready.alpha, WriteManifest(ready.framework, json.dumps(document | {"version": 2}).encode()))
    ready.share(ready.framework)
    ready.adopt(ready.alpha, ready.bravo)
    for node in (ready.alpha, ready.bravo):
        with pytest.raises(RefusedError, match="needs 2 approvals and has 0"):
            run(node, React(ready.incident))


def test_several_that_match_are_listed_and_one_is_named(ready: Agreed) -> None:
    manifest = read_manifest(shipped_frameworks()["hospitals"], "ours")
    both = manifest.entries[1].trigger
    raw = manifest_bytes(manifest).replace(b'"phishing",', b'"phishing", "ransomware",', 1)
    assert both.types[0] == "phishing"
    run(ready.alpha, WriteManifest(ready.framework, raw))
    ready.share(ready.framework)
    ready.adopt(ready.alpha)
    with pytest.raises(AmbiguousId) as caught:
        run(ready.alpha, React(ready.incident))
    assert caught.value.exit_code == 2
    assert "playbook--221a1897" in caught.value.message and "playbook--fa8279d9" in caught.value.message
    assert run(ready.alpha, React(ready.incident, playbook=RANSOMWARE)).name == "Ransomware in a hospital"


def test_nothing_that_answers_is_not_found(ready: Agreed) -> None:
    other = run(ready.alpha, OpenIncident("A stolen laptop", ("theft",), Tlp.AMBER)).incident
    with pytest.raises(NotFoundError, match="theft"):
        run(ready.alpha, React(other))
    with pytest.raises(NotFoundError):
        run(ready.alpha, React(ready.incident, playbook="00000000"))


def test_who_reads_the_steps_without_being_in_the_framework_is_told_before(ready: Agreed) -> None:
    """And they are marked as the stricter of both."""
    alpha = ready.alpha
    space = run(alpha, OpenSpace("framework", "Ours alone", Tlp.AMBER, ())).space
    run(alpha, ImportPlaybook(space, shipped_playbooks()["phishing"]))
    document = json.loads(shipped_frameworks()["hospitals"])
    document["entries"] = [document["entries"][1] | {"quorum": 1}]
    run(alpha, WriteManifest(space, json.dumps(document).encode()))
    run(alpha, ApprovePlaybook("fa8279d9", framework=space))
    run(alpha, AdoptFramework(space))
    incident = run(alpha, OpenIncident("Mail", ("phishing",), Tlp.GREEN, ("bravo",))).incident
    with pytest.raises(AmbiguousId):  # the other framework has it as well
        run(alpha, React(incident, dry_run=True))
    would = run(alpha, React(incident, framework=space, dry_run=True))
    assert (would.readers, would.outsiders, would.tlp) == (["bravo"], ["bravo"], "TLP:AMBER")
    assert tasks_of(alpha, incident) == []
    ready.share(incident)
    done = run(alpha, React(incident, framework=space))
    assert done.is_done and len(tasks_of(alpha, incident)) == len(done.tasks) > 25


def test_the_steps_of_a_strict_framework_go_to_its_members_alone(ready: Agreed) -> None:
    alpha = ready.alpha
    document = json.loads(shipped_frameworks()["hospitals"])
    document["entries"] = [document["entries"][1] | {"quorum": 1}]
    for invited, is_refused in (((), True), (("bravo",), False)):
        space = run(alpha, OpenSpace("framework", f"Strict {invited}", Tlp.AMBER_STRICT, invited)).space
        if invited:
            hand_over(space, alpha, ready.bravo)
            run(ready.bravo, JoinSpace(space))
            hand_over(space, ready.bravo, alpha)
        run(alpha, ImportPlaybook(space, shipped_playbooks()["phishing"]))
        run(alpha, WriteManifest(space, json.dumps(document).encode()))
        run(alpha, ApprovePlaybook("fa8279d9", framework=space))
        run(alpha, AdoptFramework(space))
        incident = run(alpha, OpenIncident("Mail", ("phishing",), Tlp.GREEN, ("bravo",))).incident
        if is_refused:
            with pytest.raises(RefusedError, match="bravo would read the steps") as caught:
                run(alpha, React(incident, framework=space))
            assert caught.value.reason == "not-for-these-members" and tasks_of(alpha, incident) == []
        else:
            assert run(alpha, React(incident, framework=space)).tlp == "TLP:AMBER+STRICT"


def test_by_another_version_than_was_shown_nobody_reacts(ready: Agreed) -> None:
    would = run(ready.alpha, React(ready.incident, dry_run=True))
    with pytest.raises(RefusedError) as caught:
        run(ready.alpha, React(ready.incident, hash="0" * 64))
    assert caught.value.reason == "changed-meanwhile"
    assert tasks_of(ready.alpha, ready.incident) == []
    assert run(ready.alpha, React(ready.incident, hash=would.hash)).is_done


def test_a_time_that_no_entry_holds_leaves_nothing_behind(ready: Agreed) -> None:
    """Whoever reacts after it, reacts: the fold did not keep what the store undid."""
    for aware in (2**50, 2**70):
        with pytest.raises((OverflowError, RefusedError)):
            run(ready.alpha, React(ready.incident, aware=aware))
        assert tasks_of(ready.alpha, ready.incident) == []
    assert run(ready.alpha, React(ready.incident, aware=NOW)).is_done


def test_to_have_become_aware_next_year_is_told(ready: Agreed) -> None:
    [note] = run(ready.alpha, React(ready.incident, aware=NOW + 365 * DAY, dry_run=True)).notes
    assert "lies ahead" in note


def test_what_the_store_undoes_is_in_no_fold(ready: Agreed, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk is full in the midst of the tasks; afterwards everything is as if nobody had reacted."""
    said = Spaces.say
    left = iter(range(10))

    def failing(spaces: Spaces, *words: Any, **how: Any) -> Any:
        if next(left, None) is None:
            raise DiskFull("no space left")
        return said(spaces, *words, **how)

    monkeypatch.setattr(Spaces, "say", failing)
    with pytest.raises(DiskFull):
        run(ready.alpha, React(ready.incident))
    monkeypatch.undo()
    assert tasks_of(ready.alpha, ready.incident) == []
    assert spaces_of(ready.alpha).state(EntryId.parse(ready.incident)).kind.reactions() == []
    assert run(ready.alpha, React(ready.incident)).is_done
