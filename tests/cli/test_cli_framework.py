"""`p2pshare framework` and `playbook` with a framework: keys, exit codes, who is asked, hostile text.

One partner whose daemon runs in this process; what three do together is in tests/end_to_end/test_frameworks.py.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from command_line import Home, Said
from playbooks_made import raw, sound_playbook, step_id
from whole_nodes import NOW, World, quiet

from p2pshare.cli import space_verbs
from p2pshare.node.node import Node
from p2pshare.node.shipped import shipped_playbooks
from p2pshare.operations.interface import Request

HOSTILE = "a\n\x1b[2J\x07\u202etxt.exe<script>|\u2028"
RANSOMWARE = "221a1897"
EXPOSED = "b84eb179"
RISK = Path(__file__).resolve().parents[2] / "config" / "demo" / "risk"
RISK_NOW = 1_796_040_000  # noon of the day that the demo's sources name


class Daemon:
    """A session with a node in this process, as the daemon's is."""

    is_daemon = True

    def __init__(self, node: Node) -> None:
        self._node = node

    def run(self, request: Request[Any], progress: object = None) -> Any:
        return request.run(self._node, NOW, quiet)


class Alone:
    """alpha, in frameworks of its own."""

    def __init__(self, node: Node, home: Home) -> None:
        self.node, self.home = node, home

    def __call__(self, *words: str) -> Said:
        return self.home(*words)

    def json(self, *words: str, code: int = 0) -> Any:
        said = self.home(*words, "--json")
        assert said.code == code, said
        return json.loads(said.out if code in (0, 6) else said.err.splitlines()[-1])

    def framework(self, title: str) -> str:
        return str(self.json("framework", "new", "--title", title, "--tlp", "green", "--yes")["space"])


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    world = World(tmp_path_factory.mktemp("frameworks"))
    yield world.found("alpha")
    world.close()


@pytest.fixture
def alone(node: Node, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Alone:
    @contextmanager
    def connect(home: Path) -> Iterator[Daemon]:
        yield Daemon(node)

    monkeypatch.setattr(space_verbs, "connect", connect)
    monkeypatch.setattr(space_verbs, "is_running", lambda home: True)
    return Alone(node, Home(node.home, capsys, monkeypatch))


@pytest.fixture
def ransomware(tmp_path: Path) -> str:
    path = tmp_path / "ransomware.json"
    path.write_bytes(shipped_playbooks()["ransomware-in-a-hospital"])
    return str(path)


def test_a_framework_from_new_to_react_with_the_keys_that_are_promised(
    alone: Alone, ransomware: str, tmp_path: Path
) -> None:
    assert alone("framework", "status").code == 3, "there is none yet"
    space = alone.framework("ours")
    assert alone("framework", "adopt", space, "--yes").code == 5, "it says nothing yet"
    assert alone("playbook", "import", ransomware, "--review", "tomorrow").code == 2
    imported = alone.json("playbook", "import", ransomware, "--review", "2026-12-31")
    assert imported.keys() == {"imported", "refused", "notes"}
    digest = imported["imported"][0]["hash"]
    assert alone("framework", "add", "--playbook", RANSOMWARE).code == 2
    assert alone("framework", "add", "--playbook", RANSOMWARE, "--type", "A B", "--quorum", "1").code == 2
    assert (
        alone(
            "framework", "add", "--playbook", RANSOMWARE, "--type", "x", "--quorum", "1", "--duties", "no-law"
        ).code
        == 2
    )
    words = (
        "--type",
        "ransomware",
        "--quorum",
        "1",
        "--duties",
        "nis2",
        "--risk",
        "immediate",
        "--csf",
        "RS.MA-01",
    )
    alone.json("framework", "add", space, "--playbook", RANSOMWARE, *words)
    assert alone("playbook", "approve", RANSOMWARE).code == 2, "nobody can be asked"
    case = alone.json("incident", "open", "--title", "T", "--type", "ransomware", "--tlp", "green", "--yes")[
        "incident"
    ]
    error = alone.json("framework", "react", case, "--yes", code=5)["error"]
    assert (error["reason"], "needs 1 approvals and has 0 (nobody)" in error["message"]) == (
        "no-quorum",
        True,
    )
    approved = alone.json("playbook", "approve", RANSOMWARE, "--yes")
    assert approved["hash"] == digest
    again = alone.json("playbook", "approve", RANSOMWARE, "--yes")
    assert (again["is_new"], again["entry"]) == (False, approved["entry"]), (
        "the approval, and not the playbook"
    )
    assert alone.json("framework", "react", case, "--yes", code=5)["error"]["reason"] == "not-adopted"
    assert "not-adopted" not in alone("framework", "adopt", "--yes").err
    status = alone.json("framework", "status", space)
    assert status.keys() >= {"framework", "version", "entries"}
    [entry] = status["entries"]
    promised = {"trigger", "playbook", "version", "hash", "approvals", "needed", "adopted_by", "forked"}
    assert entry.keys() >= promised and entry["trigger"] == ["ransomware", "risk:immediate"]
    assert entry["approvals"] == [{"by": "alpha", "at": "2027-01-15T08:00:00Z"}] and entry["needed"] == 1
    assert "in force" in alone("framework", "status").out
    opened = alone("incident", "open", "--title", "U", "--type", "ransomware", "--tlp", "green", "--yes")
    assert f"--playbook {RANSOMWARE}`" in opened.err
    told = alone.json(
        "framework", "react", case, "--aware", "2027-01-15T09:00", "--zone", "Europe/Berlin", "--yes"
    )
    assert told.keys() >= {"playbook", "version", "tasks", "duties"}
    assert [one["state"] for one in told["duties"]][:3] == ["running", "running", "not-running"]
    assert told["duties"][0]["due"] == "2027-01-16T08:00:00Z"
    shown = alone("incident", "show", case)
    assert "Ransomware in a hospital, version 2026-11-30T08:00:00.000Z" in shown.out
    assert "1. Take the report and open the incident" in shown.out
    first = told["tasks"][0]["task"]
    step = alone("incident", "task", "show", case, first[:10])
    assert (
        "step          1 of the playbook " + digest[:10] in step.out and "\nBy: Officer on duty\n" in step.out
    )
    assert alone.json("incident", "task", "show", case, first)["text"] == told["tasks"][0]["text"]
    assert alone("framework", "react", case, "--yes").code == 0
    assert alone("framework", "react", case, "--aware", "at noon", "--yes").code == 2
    assert alone("framework", "react", "000000", "--yes").code == 3
    out = tmp_path / "out.json"
    exported = alone.json("playbook", "export", RANSOMWARE, "-o", str(out))
    assert (exported["signatures"], len(json.loads(out.read_bytes())["signatures"])) == (1, 1)
    assert alone("playbook", "export", RANSOMWARE, "--json").code == 2
    assert "signatures" not in json.loads(alone_bytes(alone, out, "--unsigned"))
    for form in ("--as-misp", "--as-stix"):
        assert alone("playbook", "export", RANSOMWARE, form, "-o", str(out)).code == 0
        assert alone.json("playbook", "import", str(out))["imported"][0]["hash"] == digest, form
    assert "soarca-parallel" in alone("playbook", "export", RANSOMWARE, "--for", "soarca", "-o", str(out)).err
    told = alone("playbook", "derive", RANSOMWARE, "-o", str(out), "--json").json
    assert json.loads(out.read_bytes())["derived_from"] == [entry["playbook"]]
    assert told["id"] == json.loads(out.read_bytes())["id"] and told["derived_from"] == entry["playbook"]
    assert alone("playbook", "derive", RANSOMWARE, "--json").code == 2, "stdout has room for one of both"
    assert alone("playbook", "new", "Ours", "-o", str(out)).code == 0
    assert alone("playbook", "lint", str(out)).code == 0
    alone.json("playbook", "revoke-approval", RANSOMWARE, "--yes")
    assert alone("playbook", "revoke-approval", RANSOMWARE, "--yes").code == 5


def alone_bytes(alone: Alone, out: Path, *words: str) -> bytes:
    assert alone("playbook", "export", RANSOMWARE, *words, "-o", str(out)).code == 0
    return out.read_bytes()


def test_what_is_not_valid_is_refused_with_its_rule_and_costs_nothing_that_stands_beside_it(
    alone: Alone, tmp_path: Path
) -> None:
    space = alone.framework("refusing")
    bad = sound_playbook()
    bad["workflow"][step_id("action", 5)]["on_completion"] = step_id("action", 5)
    both = tmp_path / "both.json"
    both.write_text(json.dumps([bad, sound_playbook() | {"id": step_id("playbook", 2)}]))
    told = alone.json("playbook", "import", str(both), "--framework", space, code=6)
    assert [one["reason"] for one in told["refused"]] == ["loop"] and len(told["imported"]) == 1
    both.write_bytes(raw(bad))
    assert (
        alone.json("playbook", "import", str(both), "--framework", space, code=5)["error"]["reason"] == "loop"
    )
    both.write_bytes(b"[]")
    assert alone("playbook", "import", str(both), "--framework", space).code == 5
    assert alone("playbook", "import", str(both)).code == 5, "nothing is in it, whatever framework is meant"


def last_task(alone: Alone, case: str) -> str:
    """Returns the id of the last task, reacting first."""
    return str(alone.json("framework", "react", case, "--yes")["tasks"][-1]["task"])


def test_hostile_text_of_a_playbook_reaches_no_terminal(alone: Alone, tmp_path: Path) -> None:
    space = alone.framework("hostile")
    playbook = sound_playbook() | {"id": step_id("playbook", 9), "name": HOSTILE}
    playbook["workflow"][step_id("action", 5)] |= {"name": HOSTILE, "description": HOSTILE}
    path = tmp_path / "hostile.json"
    path.write_bytes(raw(playbook))
    alone.json("playbook", "import", str(path), "--framework", space)
    called = step_id("playbook", 9)
    words = ("--playbook", called, "--type", "hostile-type", "--quorum", "1")
    alone.json("framework", "add", space, *words)
    alone.json("playbook", "approve", called, "--yes")
    alone.json("framework", "adopt", space, "--yes")
    case = alone.json(
        "incident", "open", "--title", "H", "--type", "hostile-type", "--tlp", "green", "--yes"
    )["incident"]
    for words in (
        ("playbook", "list"),
        ("playbook", "show", called),
        ("playbook", "diff", called, "2026-03-01T08:00:00.000Z", "2026-03-01T08:00:00.000Z"),
        ("framework", "status", space),
        ("framework", "show", space),
        ("framework", "react", case, "--yes"),
        ("incident", "show", case),
        ("incident", "task", "show", case, last_task(alone, case)),
        ("incident", "open", "--title", "H", "--type", "hostile-type", "--tlp", "green", "--yes"),
    ):
        said = alone(*words)
        assert said.code == 0, said
        for text in (said.out, said.err):
            assert not {"\x1b", "\x07", "\u202e", "\u2028"} & set(text), words


def test_the_plan_of_risk_names_the_playbook_of_each_threat_and_how_it_stands(
    alone: Alone, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(time, "time", lambda: float(RISK_NOW))
    for kind in ("devices.csv", "portal.cdx.json"):
        assert alone("asset", "import", str(RISK / kind)).code == 0
    for kind, name in (("kev", "kev.json"), ("epss", "epss.csv"), ("vulnrichment", "ssvc"), ("csaf", "csaf")):
        assert alone("risk", "source", "add", kind, str(RISK / name)).code == 0
    path = tmp_path / "exposed.json"
    path.write_bytes(shipped_playbooks()["exposed-vulnerability"])
    space = alone.framework("risk")
    alone.json("playbook", "import", str(path), "--framework", space)
    words = ("--risk", "out-of-cycle", "--quorum", "1")
    alone.json("framework", "add", space, "--playbook", EXPOSED, *words)

    def planned() -> set[tuple[str, str | None]]:
        work = alone.json("risk", "plan")
        return {
            (one["outcome"], (one["playbook"] or {}).get("state"))
            for one in work
            if one["outcome"] == "out-of-cycle"
        }

    assert planned() == {("out-of-cycle", "approving")}
    assert (
        "Exposed vulnerability" in alone("risk", "plan").out
        or "approvals missing" in alone("risk", "plan").out
    )
    alone.json("playbook", "approve", EXPOSED, "--framework", space, "--yes")
    assert planned() == {("out-of-cycle", "not-adopted")}
    alone.json("framework", "adopt", space, "--yes")
    assert planned() == {("out-of-cycle", "ready")}
