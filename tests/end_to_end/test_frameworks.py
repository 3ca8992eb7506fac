"""A framework of three real daemons: two of three approve before anybody reacts, one byte of a step voids every approval on every node, and the
clocks run from what the incident says.

One company for all tests of this file, each going on where the one before ended.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from quick_spaces import QUICK_SPACES

from p2pshare.node.shipped import shipped_playbooks

if TYPE_CHECKING:
    from conftest import Company, Partner

pytestmark = [
    pytest.mark.end_to_end,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="skipped: no /proc here"),
]

LONG = 60.0  # seconds, on a busy machine
RANSOMWARE = "221a1897"
NOT_HERE = {"approvals": [], "hash": None, "version": None, "forked": False, "adopted_by": []}


class Framework(NamedTuple):
    alpha: Partner
    bravo: Partner
    charlie: Partner
    id: str
    folder: Path

    @property
    def three(self) -> tuple[Partner, Partner, Partner]:
        return self[:3]

    def status(self, partner: Partner) -> dict[str, Any]:
        """Returns the entry for ransomware, as a partner has it."""
        entries = partner.cli_json("framework", "status", self.id, "--json")["entries"]
        found: dict[str, Any] = next((one for one in entries if RANSOMWARE in one["playbook"]), NOT_HERE)
        return found

    def approvals(self, partner: Partner) -> list[str]:
        return sorted(one["by"].lower() for one in self.status(partner)["approvals"])


@pytest.fixture(scope="module")
def agreed(shared_company: Company, eventually: Callable[..., Any]) -> Framework:
    """A framework that alpha leads, with the playbooks that come with the program; all have joined, alpha approves and adopts."""
    three = [shared_company.found(name) for name in ("alpha", "bravo", "charlie")]
    for one in three:
        for other in three:
            if one is not other:
                one.trust(other)
    for one in three:
        one.preface = QUICK_SPACES
        one.start()
    alpha, bravo, charlie = three
    invited = ("--invite", "bravo", "--invite", "charlie", "--yes", "--json")
    opened = alpha.cli_json("framework", "new", "--title", "Hospitals", "--tlp", "amber", *invited)
    space = str(opened["space"])
    folder = alpha.home.parent
    for name, raw in shipped_playbooks().items():
        (folder / f"{name}.json").write_bytes(raw)
        alpha.cli_json("playbook", "import", str(folder / f"{name}.json"), "--json")
    alpha.cli_json("framework", "add", "--file", "hospitals", "--json")
    for one in (bravo, charlie):
        eventually(
            lambda one=one: one.cli("framework", "join", space, codes=(0, 3, 5)).code == 0,
            "it is invited, and joins",
            LONG,
        )
    return Framework(alpha, bravo, charlie, space, folder)


def react(partner: Partner, case: str, *words: str, code: int = 0) -> Any:
    said = partner.cli("framework", "react", case, *words, "--yes", "--json", code=code)
    return json.loads(said.out if code == 0 else said.err.splitlines()[-1])


def test_before_the_second_approval_react_refuses_and_says_who_is_missing(
    agreed: Framework, eventually: Callable[..., Any]
) -> None:
    alpha = agreed.alpha
    for one in agreed.three:
        eventually(
            lambda one=one: len(one.cli_json("framework", "status", "--json")["members"]) == 3,
            "all joined",
            LONG,
        )
    approved = alpha.cli_json("playbook", "approve", RANSOMWARE, "--yes", "--json")
    alpha.cli("framework", "adopt", agreed.id, "--yes")
    for one in agreed.three:
        eventually(lambda one=one: agreed.approvals(one) == ["alpha"], "the approval came", LONG)
        assert agreed.status(one)["hash"] == approved["hash"]
    opened = alpha.cli(
        "incident", "open", "--title", "Ward 3", "--type", "ransomware", "--tlp", "amber",
        "--invite", "bravo", "--invite", "charlie", "--yes", "--json",
    )  # fmt: skip
    assert "1 of 2 approvals are missing" in opened.err
    case = str(json.loads(opened.out)["incident"])
    error = react(alpha, case, code=5)["error"]
    assert error["reason"] == "no-quorum" and "missing: 1 of bravo, charlie" in error["message"]
    assert alpha.cli_json("incident", "show", case, "--json")["tasks"] == []


def test_with_two_of_three_the_incident_offers_it_and_two_who_react_have_one_set(
    agreed: Framework, eventually: Callable[..., Any]
) -> None:
    alpha, bravo, charlie = agreed.three
    assert bravo.cli("playbook", "approve", RANSOMWARE, "--yes", code=5).code == 5, (
        "nobody looked at it there"
    )
    bravo.cli("playbook", "show", RANSOMWARE)
    bravo.cli("playbook", "approve", RANSOMWARE, "--yes")
    bravo.cli("framework", "adopt", agreed.id, "--yes")
    for one in agreed.three:
        eventually(lambda one=one: agreed.approvals(one) == ["alpha", "bravo"], "both approvals came", LONG)
        eventually(
            lambda one=one: len(agreed.status(one)["adopted_by"]) == 2,
            "both adopted",
            LONG,
        )
    view = "SELECT in_force, adopted, json_array_length(approvals), bad_signatures FROM v1_playbooks WHERE id LIKE 'playbook--221a%'"
    for one, adopted in ((alpha, 1), (bravo, 1), (charlie, 0)):
        eventually(
            lambda one=one, adopted=adopted: one.query(view) == [(1, adopted, 2, 0)],
            "the SIEM reads it",
            LONG,
        )
    opened = alpha.cli(
        "incident", "open", "--title", "Ward 7", "--type", "ransomware", "--tlp", "amber",
        "--invite", "bravo", "--invite", "charlie", "--yes", "--json",
    )  # fmt: skip
    case = str(json.loads(opened.out)["incident"])
    assert f"`p2pshare framework react {case[:10]} --playbook {RANSOMWARE}`" in opened.err
    for one in (bravo, charlie):
        eventually(
            lambda one=one: one.cli("incident", "join", case, codes=(0, 3, 5)).code == 0, "it joins", LONG
        )
    eventually(
        lambda: bravo.cli_json("incident", "show", case, "--json")["types"], "bravo knows its type", LONG
    )
    alpha.cli(
        "incident",
        "aware",
        case,
        "--at",
        "2026-11-30T09:00:00+01:00",
        "--zone",
        "Europe/Berlin",
        "--under",
        "gdpr",
    )
    first, second = react(alpha, case), react(bravo, case)
    assert [one["task"] for one in first["tasks"]] == [one["task"] for one in second["tasks"]]
    assert [one["place"] for one in first["tasks"]] == list(range(1, len(first["tasks"]) + 1))
    assert first["version"] == "2026-11-30T08:00:00.000Z"
    clocks = {one["stage"]: one for one in first["duties"]}
    assert clocks["early"]["due"] == "2026-12-01T08:00:00Z" and clocks["72h"]["due"] == "2026-12-03T08:00:00Z"
    assert clocks["final"]["state"] == "not-running" and clocks["final"]["from"] == "submitted:72h"
    alpha.cli(
        "incident",
        "duty",
        "done",
        case,
        "72h",
        "--at",
        "2026-12-01T10:00:00Z",
        "--zone",
        "Europe/Berlin",
        "--under",
        "nis2",
    )
    [final] = [
        one
        for one in alpha.cli_json("incident", "duty", "list", case, "--json")
        if one["stage"] == "final" and one["template"] == "nis2"
    ]
    assert final["due"] == "2027-01-01T22:59:59Z"
    wanted = [one["task"] for one in first["tasks"]]
    for one in agreed.three:

        def has_one_set(one: Partner = one) -> bool:
            held = one.cli_json("incident", "show", case, "--json")["tasks"]
            return [task["task"] for task in held] == wanted and not any(task["differs"] for task in held)

        eventually(has_one_set, "one set of tasks, in order", LONG)
    assert charlie.cli("framework", "react", case, "--yes", code=5).code == 5, "charlie has not adopted it"


def test_one_byte_of_a_step_changed_and_every_approval_is_void_on_every_node(
    agreed: Framework, eventually: Callable[..., Any]
) -> None:
    alpha, bravo, _ = agreed.three
    before = agreed.status(alpha)["hash"]
    raw = (agreed.folder / "ransomware-in-a-hospital.json").read_bytes()
    changed = raw.replace(b"Photograph", b"photograph", 1)
    assert len(changed) == len(raw) and changed != raw
    (agreed.folder / "changed.json").write_bytes(changed)
    alpha.cli("playbook", "import", str(agreed.folder / "changed.json"))
    for one in agreed.three:
        eventually(
            lambda one=one: agreed.status(one)["forked"], "two contents under one version are told", LONG
        )
        assert one.cli("framework", "adopt", agreed.id, "--yes", code=5).code == 5
    opened = bravo.cli_json(
        "incident", "open", "--title", "Ward 9", "--type", "ransomware", "--tlp", "amber", "--yes", "--json"
    )
    assert react(bravo, opened["incident"], code=5)["error"]["reason"] == "forked"
    newer = changed.replace(
        b'"modified": "2026-11-30T08:00:00.000Z"', b'"modified": "2026-12-01T08:00:00.000Z"', 1
    )
    (agreed.folder / "newer.json").write_bytes(newer)
    alpha.cli("playbook", "import", str(agreed.folder / "newer.json"))
    alpha.cli(
        "framework", "add", "--playbook", RANSOMWARE, "--type", "ransomware", "--quorum", "2", "--duties", "nis2",
        "--least", "2026-12-01T08:00:00.000Z",
    )  # fmt: skip
    for one in agreed.three:
        eventually(
            lambda one=one: agreed.status(one)["version"] == "2026-12-01T08:00:00.000Z",
            "the new version came",
            LONG,
        )
        told = agreed.status(one)
        assert told["approvals"] == [] and told["hash"] != before and told["adopted_by"] == []
