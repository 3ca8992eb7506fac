"""`p2pshare incident`: keys, exit codes, who is asked, a case worked by two, files out and in, hostile text."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from command_line import Home, Said
from shared_spaces import hand_over, held, id_of, partners
from whole_nodes import NOW, World, quiet

from p2pshare.cli import space_verbs
from p2pshare.identifiers import EntryId
from p2pshare.intel.marking import Tlp
from p2pshare.node.node import Node
from p2pshare.operations.incidents import OpenIncident
from p2pshare.operations.interface import Request
from p2pshare.operations.space_membership import InviteIntoSpace
from p2pshare.operations.spaces import MarkShown
from p2pshare.spaces.incident_entries import (
    IncidentBody,
    IncidentEvent,
    IncidentLesson,
    IncidentObject,
    IncidentQuestion,
    IncidentRecurrence,
    IncidentTask,
    OwnStatus,
    encode_incident,
)
from p2pshare.spaces.space_exchange import spaces_of
from p2pshare.spaces.writing import SpaceStatement

HOSTILE = "a\n\x1b[2J\x07\u202etxt.exe<script>|\u2028"
ZONE = ("--zone", "Europe/Berlin", "--under", "nis2")


class Daemon:
    """A session with a node in this process, as the daemon's is: the tests of the socket are elsewhere."""

    is_daemon = True

    def __init__(self, node: Node) -> None:
        self._node = node

    def run(self, request: Request[Any], progress: object = None) -> Any:
        return request.run(self._node, NOW, quiet)


class Two:
    """alpha and bravo, partners whose daemons run in this process, and a case of theirs that alpha leads."""

    def __init__(
        self, nodes: list[Node], capture: pytest.CaptureFixture[str], patch: pytest.MonkeyPatch
    ) -> None:
        self.nodes = {node.config.name: node for node in nodes}
        self.homes = {name: Home(node.home, capture, patch) for name, node in self.nodes.items()}
        by_home = {node.home: node for node in nodes}

        @contextmanager
        def connect(home: Path) -> Iterator[Daemon]:
            yield Daemon(by_home[home])

        patch.setattr(space_verbs, "connect", connect)
        patch.setattr(space_verbs, "is_running", lambda home: True)
        opened = self.json(
            "alpha",
            "incident",
            "open",
            "--title",
            "Ransomware",
            "--type",
            "Ransomware",
            "--tlp",
            "green",
            "--invite",
            "bravo",
            "--yes",
        )
        assert opened.keys() == {"incident", "space", "members", "entry"}
        self.id: str = opened["incident"]
        self.meet()
        self.json("bravo", "incident", "join", self.id[:8])
        self.meet()

    def __call__(self, name: str, *words: str) -> Said:
        return self.homes[name]("incident", *words)

    def json(self, name: str, *words: str) -> Any:
        said = self.homes[name](*words, "--json")
        assert said.code == 0, said
        return json.loads(said.out)

    def wrote(self, name: str, *words: str) -> str:
        entry: str = self.json(name, "incident", *words)["entry"]
        self.meet()
        return entry

    def show(self, name: str = "alpha") -> dict[str, Any]:
        found: dict[str, Any] = self.json(name, "incident", "show", self.id)
        return found

    def meet(self) -> None:
        for _ in range(2):
            hand_over(self.id, self.nodes["alpha"], self.nodes["bravo"], now=NOW)
            hand_over(self.id, self.nodes["bravo"], self.nodes["alpha"], now=NOW)


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Node]]:
    world = World(tmp_path_factory.mktemp("incidents"))
    yield partners(world, "alpha", "bravo")
    world.close()


@pytest.fixture
def two(nodes: list[Node], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Two:
    return Two(nodes, capsys, monkeypatch)


def test_two_work_one_case_from_open_to_close(two: Two, tmp_path: Path) -> None:
    case = two.id
    two.wrote("bravo", "note", case, "we are encrypted")
    two.wrote(
        "bravo",
        "event",
        "add",
        case,
        "--start",
        "2027-02-12T09:00:00+01:00",
        "--type",
        "ransomware",
        "--text",
        "encrypted",
    )
    two.wrote(
        "bravo",
        "impact",
        "add",
        case,
        "availability",
        "availability_impact=70",
        "--count",
        "computers-server=7",
    )
    two("bravo", "ioc", "add", case, "evil[.]example", "198.51.100.7")
    two.meet()
    assert [one["value"] for one in two.show()["observables"]] == ["evil.example", "198.51.100.7"]
    task = two.wrote("alpha", "task", "add", case, "block it", "--due", "2027-02-13T09:00:00Z")
    two.wrote("bravo", "task", "claim", case, task[:8])
    two.wrote("bravo", "task", "done", case, task[:8], "--text", "everywhere")
    question = two.wrote("alpha", "ask", case, "since when?", "--to", "bravo")
    two.wrote("bravo", "answer", case, question[:8], "since Monday")
    two.wrote("bravo", "opine", case, "disagree", "--determination", "confirmed")
    two.wrote("alpha", "determine", case, "confirmed", "--criticality", "80")
    two.wrote("bravo", "own-status", case, "engaged")
    refused = two("alpha", "close", case)
    assert refused.code == 5 and "not closed at: bravo" in refused.err and "no lesson" in refused.err
    two.wrote(
        "alpha",
        "lesson",
        "add",
        case,
        "segment",
        "--owner",
        "bravo",
        "--due",
        "2027-03-01T00:00:00Z",
        "--link",
        "https://t.example/1",
    )
    two.wrote("bravo", "own-status", case, "closed")
    two.wrote("alpha", "close", case, "--text", "done")
    shown = two.show()
    assert (shown["status"], shown["determination"], shown["types"]) == (
        "closed",
        "confirmed",
        ["ransomware"],
    )
    assert (
        shown["tasks"][0]["outcome"] == "successful"
        and shown["questions"][0]["answers"][0]["text"] == "since Monday"
    )
    mine, theirs = (
        two.homes[name]("incident", "show", case, "--canonical").out for name in ("alpha", "bravo")
    )
    assert mine == theirs, "byte for byte"
    [listed] = [one for one in two.json("bravo", "incident", "list") if one["incident"] == case]
    assert listed.keys() == {
        "incident",
        "title",
        "type",
        "status",
        "lead",
        "members",
        "role",
        "unread",
        "invited_by",
    }
    assert (listed["lead"], listed["role"], listed["type"], listed["invited_by"]) == (
        "alpha",
        "joined",
        "ransomware",
        "alpha",
    )
    assert listed["unread"] > 0 and two("bravo", "show", case).code == 0
    again = [one for one in two.json("bravo", "incident", "list") if one["incident"] == case]
    assert again[0]["unread"] == 0, "a person was shown it"
    two.wrote("bravo", "reopen", case, "--text", "again")
    assert two.show()["status"] == "open"


def test_an_export_is_read_into_another_incident(two: Two, tmp_path: Path) -> None:
    two.wrote("alpha", "event", "add", two.id, "--start", "2027-02-12T09:00:00Z", "--text", "encrypted")
    two.wrote("alpha", "task", "add", two.id, "block it")
    two("alpha", "ioc", "add", two.id, "evil.example", "--text", "its server")
    for name in ("stix", "markdown", "html", "csv", "veris"):
        file = tmp_path / f"case.{name}"
        assert two("alpha", "export", two.id, "--format", name, "-o", str(file)).code == 0
        assert file.stat().st_size > 100
    other = two.json(
        "alpha", "incident", "open", "--title", "Copy", "--type", "x", "--tlp", "green", "--yes"
    )["incident"]
    told = two.json("alpha", "incident", "import", other, str(tmp_path / "case.stix"))
    assert told["refused"] == [] and told["taken"] == told["read"] and told["entries"] >= 4
    first, copy = two.show(), two.json("alpha", "incident", "show", other)
    for key in ("observables", "impacts", "types"):
        strip = [
            {k: v for k, v in one.items() if k != "entry"} if isinstance(one, dict) else one
            for one in first[key]
        ]
        assert [
            {k: v for k, v in one.items() if k != "entry"} if isinstance(one, dict) else one
            for one in copy[key]
        ] == strip
    (tmp_path / "odd.json").write_text(json.dumps({"type": "bundle", "id": "bundle--f607171d-3b62-40ac-a00b-84b5afc44d5f", "objects": [
        {"type": "incident", "spec_version": "2.1", "id": "incident--b754abee-6de5-4b4e-8125-8dab1ca199fe", "created": "2023-05-02T20:00:00Z", "modified": "2023-05-02T20:00:00Z", "name": "theirs"},
        {"type": "x-case", "spec_version": "2.1", "id": "x-case--b754abee-6de5-4b4e-8125-8dab1ca199fe", "created": "2023-05-02T20:00:00Z", "modified": "2023-05-02T20:00:00Z"},
    ]}))  # fmt: skip
    partly = two("alpha", "import", other, str(tmp_path / "odd.json"), "--json")
    assert partly.code == 6 and json.loads(partly.out)["refused"][0]["reason"] == "not-of-incidents"


def test_duties_run_from_what_was_stated(two: Two, tmp_path: Path) -> None:
    assert {one["template"] for one in two.json("alpha", "incident", "duty", "list")} >= {
        "nis2",
        "gdpr",
        "dora",
    }
    assert two.json("alpha", "incident", "duty", "list", two.id) == [], (
        "nothing was stated, nothing is guessed"
    )
    two.wrote("alpha", "aware", two.id, "--at", "2027-03-27T12:00:00", *ZONE)
    rows = {one["stage"]: one for one in two.json("bravo", "incident", "duty", "list", two.id)}
    assert rows["early"]["due"] == "2027-03-28T11:00:00Z", (
        "24 hours, over the night in which clocks go forward"
    )
    assert {"duty", "template", "stage", "from", "due", "state", "submitted_at"} <= rows["early"].keys()
    two.wrote("alpha", "duty", "done", two.id, "early", "--at", "2027-03-28T09:00:00", *ZONE)
    rows = {one["stage"]: one for one in two.show()["duties"]}
    assert rows["early"]["state"] == "done" and rows["final"]["state"] == "not-running"
    report = tmp_path / "report.md"
    assert two("alpha", "sitrep", two.id, "--nis2", "72h", "-o", str(report)).code == 0
    assert "Runs from: 2027-03-27T11:00:00Z (zone Europe/Berlin)" in report.read_text()
    assert two("alpha", "sitrep", two.id, "--report", "moon").code == 2
    plain = two("alpha", "aware", two.id, "--at", "2027-03-27T12:00:00+01:00", "--json")
    assert plain.code == 0 and "under cra-incident, " in plain.err and "dates count in " in plain.err
    answer = json.loads(plain.out)
    assert {"nis2", "gdpr"} <= set(answer["under"]) and len(answer["entries"]) == len(answer["under"])
    assert "classified-major" not in plain.out and answer["entry"] == answer["entries"][-1]
    several = two("alpha", "duty", "done", two.id, "early", "--at", "2027-03-28T09:00:00Z")
    assert several.code == 2 and "several laws have a stage" in several.err
    assert two("alpha", "classify", two.id, "--at", "2027-03-28T09:00:00Z").code == 0
    assert two("alpha", "classify", two.id, "--as", "no-such-event", "--at", "2027-03-28T09:00:00Z").code == 2
    assert two("alpha", "aware", two.id, "--at", "yesterday", *ZONE).code == 2
    assert two("alpha", "aware", two.id, "--at", "2027-10-31T02:30:00", *ZONE).code == 2, (
        "that hour comes twice"
    )
    assert two("alpha", "aware", two.id, "--at", "2027-10-31T02:30:00+02:00", *ZONE).code == 0
    assert two("alpha", "duty", "done", two.id, "noon", "--at", "2027-03-28T09:00:00Z", *ZONE).code == 2
    assert (
        two(
            "alpha",
            "aware",
            two.id,
            "--at",
            "2027-03-28T09:00:00Z",
            "--zone",
            "Mars/Olympus",
            "--under",
            "nis2",
        ).code
        == 2
    )


def test_who_may_not_is_told_who_may(two: Two) -> None:
    task = two.wrote("alpha", "task", "add", two.id, "block it")
    for words in (
        ("determine", two.id, "blocked"),
        ("task", "assign", two.id, task[:8], "bravo"),
        ("duplicate", two.id, two.id),
    ):
        said = two("bravo", *words)
        assert said.code == 5 and "its lead may: alpha" in said.err, words
    two.wrote("alpha", "close", two.id, "--override", "exercise is over")
    said = two("bravo", "reopen", two.id)
    assert said.code == 0 and "opens nothing" in said.err
    two.wrote("alpha", "task", "assign", two.id, task[:8], "bravo")
    assert (
        two.show()["tasks"][0]["owner"] == two.show()["members"][0]["partner_id"]
        or two.show()["tasks"][0]["owner"]
    )


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("event", "add", "ID", "--status", "maybe"), 1),
        (("event", "add", "ID", "--start", "soon"), 2),
        (("impact", "add", "ID", "karma", "x=1"), 1),
        (("impact", "add", "ID", "availability", "nonsense"), 2),
        (("ioc", "add", "ID", "not a value at all"), 1),
        (("task", "claim", "ID", "abcdef12"), 3),
        (("task", "claim", "ID", "x"), 1),
        (("note", "ID", ""), 1),
        (("note", "ID", "secret", "--tlp", "red"), 1),
        (("ask", "ID", "who?", "--to", "nobody"), 3),
        (("note", "000000", "x"), 3),
        (("duplicate", "ID", "short"), 2),
        (("open", "--title", "t", "--type", "x", "--tlp", "green"), 2),
        (("determine", "ID", "guilty"), 1),
    ],
)
def test_what_is_typed_wrongly_writes_nothing(two: Two, words: tuple[str, ...], code: int) -> None:
    before = len(two.show()["timeline"])
    said = two("alpha", *(two.id if word == "ID" else word for word in words))
    assert said.code == code, said
    assert len(two.show()["timeline"]) == before


def test_what_names_its_readers_is_read_by_them_alone(two: Two) -> None:
    two.wrote("alpha", "note", two.id, "for bravo", "--tlp", "red", "--to", "bravo")
    rows = [row for row in two.show("bravo")["timeline"] if row["badges"] == ["sealed"]]
    assert [row["text"] for row in rows] == ["for bravo"]
    assert "for bravo" not in two("alpha", "show", two.id, "--canonical").out


def test_hostile_text_moves_no_terminal(two: Two) -> None:
    two.wrote("bravo", "note", two.id, HOSTILE)
    two.wrote("bravo", "task", "add", two.id, HOSTILE)
    said = two("alpha", "show", two.id)
    assert said.code == 0 and not {"\x1b", "\x07", "\u202e", "\u2028"} & set(said.out + said.err)
    assert two.show()["tasks"][0]["title"] == HOSTILE


def test_show_says_who_was_shown_what(two: Two) -> None:
    shown = two.show("alpha")
    by_name = {one["name"]: one for one in shown["members"]}
    assert by_name["bravo"]["seen_up_to"] is None, "its heads have not come"
    run_numbers = {by_name["alpha"]["partner_id"]: 1, by_name["bravo"]["partner_id"]: 1}
    MarkShown(two.id, run_numbers).run(two.nodes["alpha"], NOW, quiet)
    by_name = {one["name"]: one for one in two.show("alpha")["members"]}
    assert by_name["alpha"]["seen_up_to"] == run_numbers and by_name["bravo"]["introduced_by"] is None


def test_what_is_put_away_is_in_no_list_and_comes_back(two: Two) -> None:
    def listed(*words: str) -> list[str]:
        return [one["incident"] for one in two.json("alpha", "incident", "list", *words)]

    assert two.id in listed() and two.id not in listed("--archived")
    assert two.json("alpha", "incident", "archive", two.id) == {"incident": two.id, "archived": True}
    assert two.id not in listed() and two.id in listed("--archived")
    two.wrote("bravo", "note", two.id, "it goes on")
    assert two.show()["timeline"][-1]["text"] == "it goes on"
    two.json("alpha", "incident", "archive", two.id, "--undo")
    assert two.id in listed()


def test_the_only_open_incident_needs_no_id(two: Two) -> None:
    for one in two.json("bravo", "incident", "list"):
        if one["incident"] != two.id:
            two.json("bravo", "incident", "archive", one["incident"])
    written = two("bravo", "note", "no id here")
    assert written.code == 0 and f"incident {two.id[:10]}" in written.err
    task = two.wrote("bravo", "task", "add", "block it")
    two.wrote("bravo", "task", "claim", task[:8])
    assert two.show("bravo")["timeline"][-1]["kind"] == "claim"
    assert two("bravo", "ioc", "add", "evil.example").code == 0
    assert two("bravo", "ioc", "add", "one.example", "two.example").code == 0
    assert two("bravo", "show").code == 0
    other = two.json(
        "bravo", "incident", "open", "--title", "Other", "--type", "phishing", "--tlp", "green", "--yes"
    )["incident"]
    refused = two("bravo", "note", "no id here")
    assert refused.code == 2 and "2 incidents are open" in refused.err
    assert two.id[:10] in refused.err and other[:10] in refused.err
    for case in (two.id, other):
        two.json("bravo", "incident", "archive", case)
    nothing = two("bravo", "note", "no id here")
    assert nothing.code == 3 and "`p2pshare incident open` opens one" in nothing.err, "as of labs"


def test_who_is_invited_and_who_reads_is_said_before(two: Two) -> None:
    first = two("bravo", "note", two.id, "our first word")
    assert "the first that we write in it: alpha will read it, TLP:GREEN or stricter" in first.err
    assert "the first" not in two("bravo", "note", two.id, "our second").err
    two.wrote("alpha", "note", two.id, "for one", "--tlp", "amber+strict", "--to", "bravo")
    invited = two("alpha", "invite", two.id, "bravo")
    assert invited.code == 0
    assert "bravo will read what is here: " in invited.err
    assert "the strictest TLP:GREEN; 1 more name their readers" in invited.err


def test_an_invitation_without_its_opening_is_listed(two: Two) -> None:
    alpha, bravo = two.nodes["alpha"], two.nodes["bravo"]
    opened = OpenIncident("Elsewhere", ("phishing",), Tlp.GREEN).run(alpha, NOW, quiet)
    InviteIntoSpace(opened.incident, ("bravo",)).run(alpha, NOW, quiet)
    invitation = held(alpha, opened.incident)[-1]
    spaces_of(bravo).take_in([invitation.wire], id_of(alpha), NOW)
    [listed] = [one for one in two.json("bravo", "incident", "list") if one["incident"] == opened.incident]
    assert (listed["role"], listed["invited_by"], listed["members"], listed["lead"]) == (
        "invited", "alpha", [], None,
    )  # fmt: skip


def test_values_and_files_are_told_and_what_may_not_leave_is_refused(
    two: Two, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "evil.test.org").write_text("worse.test.org\n")
    both = two("bravo", "ioc", "add", two.id, "evil.test.org")
    assert both.code == 2 and "./evil.test.org" in both.err, "a value, or a file of that name?"
    missing = two("bravo", "ioc", "add", two.id, "hits.csv")
    assert missing.code == 2 and "no file" in missing.err, "a slip is not told as the name of a file"
    told = two("bravo", "ioc", "add", two.id, "./evil.test.org", "8.8.4[.]4", "10.1.2.3", "--json")
    assert told.code == 6, told
    answer = json.loads(told.out)
    assert {one["value"] for one in answer["told"]} == {"worse.test.org", "8.8.4.4"} - {
        one
        for one in ("8.8.4.4",)
        if any(refusal["reason"] == "warning-list" for refusal in answer["refused"])
    }
    assert "private-address" in [one["reason"] for one in answer["refused"]] and "--share-private" in told.err
    red = {
        "type": "indicator", "spec_version": "2.1", "id": "indicator--b754abee-6de5-4b4e-8125-8dab1ca199fe",
        "created": "2023-05-02T20:00:00Z", "modified": "2023-05-02T20:00:00Z", "valid_from": "2023-05-02T20:00:00Z",
        "pattern": "[domain-name:value = 'red.test.org']", "pattern_type": "stix",
        "object_marking_refs": ["marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1"],
    }  # fmt: skip
    (tmp_path / "red.json").write_text(
        json.dumps({"type": "bundle", "id": "bundle--f607171d-3b62-40ac-a00b-84b5afc44d5f", "objects": [red]})
    )
    refused = two("bravo", "ioc", "add", two.id, "red.json")
    assert refused.code == 5 and "names-needed" in refused.err, refused
    assert "red.test.org" not in json.dumps(two.show("bravo")), "its own marking is obeyed"


def test_an_attachment_comes_back_byte_for_byte_and_nothing_is_watched_before_the_close(
    two: Two, tmp_path: Path
) -> None:
    log, copy = tmp_path / "proxy.log", tmp_path / "copy.log"
    log.write_bytes(b"GET /\n" * 100_000)
    attached = two.json("alpha", "incident", "attach", two.id, str(log))
    assert attached.keys() == {"space", "entry", "sha256"}
    two.meet()
    assert two("bravo", "fetch", two.id, attached["sha256"][:8], "-o", str(copy)).code == 0
    assert copy.read_bytes() == log.read_bytes()
    log.write_bytes(b"MZ" + bytes(100))
    refused = two("alpha", "attach", two.id, str(log))
    assert refused.code == 5 and "hash" in refused.err
    assert two("bravo", "fetch", two.id, "abcdef12", "-o", str(copy)).code == 3
    assert two.json("bravo", "incident", "watch", "list", two.id) == []
    assert two("bravo", "watch", "tell", two.id, "evil.test.org", "--yes").code == 3


LONG = "x" * 100_000
STRAY = "a\udcffb"  # what Python makes of a byte that is no UTF-8, on the command line
TYPED = {
    "controls": HOSTILE.replace("\x00", ""),
    "c1 and bidi": "\x9b2J\u202egnp.exe\u202c\u2066x\u2069\u200b\x85\u2029",
    "long": LONG,
    "stray": STRAY,
}
FIELDS: list[tuple[str, ...]] = [
    ("open", "--title", "TEXT", "--type", "x", "--tlp", "green", "--yes"),
    ("open", "--title", "t", "--type", "TEXT", "--tlp", "green", "--yes"),
    ("open", "--title", "t", "--type", "x", "--tlp", "TEXT", "--yes"),
    ("open", "--title", "t", "--type", "x", "--tlp", "green", "--invite", "TEXT", "--yes"),
    ("note", "ID", "TEXT"),
    ("note", "ID", "for few", "--to", "TEXT"),
    ("note", "ID", "strict", "--tlp", "TEXT"),
    ("event", "add", "ID", "--text", "TEXT"),
    ("event", "add", "ID", "--start", "TEXT"),
    ("event", "add", "ID", "--end", "TEXT"),
    ("event", "add", "ID", "--status", "TEXT"),
    ("event", "add", "ID", "--type", "TEXT"),
    ("event", "add", "ID", "--start", "2027-01-01T00:00:00", "--zone", "TEXT"),
    ("impact", "add", "ID", "TEXT", "x=1"),
    ("impact", "add", "ID", "availability", "availability_impact=TEXT"),
    ("impact", "add", "ID", "availability", "TEXT=1"),
    ("impact", "add", "ID", "availability", "availability_impact=1", "--count", "TEXT=1"),
    ("impact", "add", "ID", "availability", "availability_impact=1", "--text", "TEXT"),
    ("ioc", "add", "ID", "TEXT", "--yes"),
    ("ioc", "add", "ID", "evil.test.org", "--text", "TEXT", "--yes"),
    ("ioc", "remove", "ID", "TEXT"),
    ("ask", "ID", "TEXT"),
    ("ask", "ID", "who?", "--to", "TEXT"),
    ("answer", "ID", "TEXT", "me"),
    ("opine", "ID", "TEXT"),
    ("opine", "ID", "agree", "--about", "TEXT"),
    ("opine", "ID", "agree", "--determination", "TEXT"),
    ("determine", "ID", "TEXT"),
    ("own-status", "ID", "TEXT"),
    ("own-status", "ID", "engaged", "--text", "TEXT"),
    ("task", "add", "ID", "TEXT"),
    ("task", "add", "ID", "t", "--text", "TEXT"),
    ("task", "add", "ID", "t", "--due", "TEXT"),
    ("task", "add", "ID", "t", "--type", "TEXT"),
    ("task", "claim", "ID", "TEXT"),
    ("task", "assign", "ID", "TEXT", "TEXT"),
    ("lesson", "add", "ID", "TEXT"),
    ("lesson", "add", "ID", "t", "--owner", "TEXT"),
    ("lesson", "add", "ID", "t", "--due", "TEXT"),
    ("lesson", "add", "ID", "t", "--link", "TEXT"),
    ("lesson", "done", "ID", "TEXT"),
    ("close", "ID", "--override", "TEXT"),
    ("reopen", "ID", "--text", "TEXT"),
    ("duplicate", "ID", "TEXT"),
    ("attach", "ID", "FILE", "--name", "TEXT"),
    ("attach", "ID", "TEXT"),
    ("fetch", "ID", "TEXT", "-o", "-"),
    ("watch", "tell", "ID", "TEXT", "--yes"),
    ("watch", "list", "TEXT"),
    ("aware", "ID", "--at", "TEXT", *ZONE),
    ("aware", "ID", "--at", "2027-01-01T00:00:00Z", "--zone", "TEXT", "--under", "nis2"),
    ("aware", "ID", "--at", "2027-01-01T00:00:00Z", "--zone", "Europe/Berlin", "--under", "TEXT"),
    ("classify", "ID", "TEXT", "--at", "2027-01-01T00:00:00Z", *ZONE),
    ("duty", "done", "ID", "TEXT"),
    ("sitrep", "ID", "--report", "TEXT"),
    ("export", "ID", "--format", "TEXT"),
    ("export", "ID", "-o", "no/such/folder/TEXT"),
    ("import", "ID", "TEXT"),
    ("show", "TEXT"),
    ("handover", "ID", "TEXT"),
    ("invite", "ID", "TEXT"),
    ("remove", "ID", "TEXT", "--yes"),
    ("redact", "ID", "TEXT", "--yes"),
    ("trust", "ID", "TEXT", "--yes"),
    ("TEXT", "ID"),
    ("note", "ID", "a note", "--TEXT"),
]  # fmt: skip


def harmless(text: str) -> bool:
    return all(character == "\n" or character.isprintable() for character in text)


@pytest.mark.parametrize("name", TYPED)
def test_no_text_that_is_typed_into_any_field_crashes_or_steers_a_terminal(
    two: Two, name: str, tmp_path: Path
) -> None:
    file = tmp_path / "report.log"
    file.write_text("an attachment")
    for words in FIELDS:
        typed = [
            {"ID": two.id, "FILE": str(file)}.get(word, word.replace("TEXT", TYPED[name])) for word in words
        ]
        said = two("alpha", *typed)
        assert said.code in (0, 1, 2, 3, 5, 6), (words, said.code, said.err[-500:])
        assert harmless(said.out) and harmless(said.err), (words, said)
        assert "Traceback" not in said.err and "internal" not in said.err, (words, said.err[-500:])
        if said.code:
            assert said.err.count("error: ") == 1, (words, said.err[-500:])
            assert len(said.out + said.err) < 8_000, (words, len(said.out), len(said.err))
    two.meet()
    for words in (("show", two.id), ("list",), ("duty", "list", two.id), ("watch", "list")):
        for who in ("alpha", "bravo"):
            said = two(who, *words)
            assert said.code == 0 and harmless(said.out) and harmless(said.err), words
    for format_ in ("markdown", "html", "csv", "veris", "stix"):
        said = two("bravo", "export", two.id, "--format", format_)
        assert said.code == 0 and not {"\x1b", "\x07", "\u202e", "\x9b"} & set(said.out), format_
        assert "<script>" not in said.out or format_ in ("stix", "veris", "csv"), format_


def test_a_note_of_a_megabyte_is_refused_with_its_limit_and_the_rest_goes_on(two: Two) -> None:
    entries = len(two.show()["timeline"])
    for size, text in ((1_000_000, "a"), (300_000, "\u00e9"), (262_129, "x")):
        said = two("alpha", "note", two.id, text * size)
        assert said.code == 1 and len(said.err) < 1_000 and "error: " in said.err, said.err[-500:]
    assert len(two.show()["timeline"]) == entries
    two.wrote("alpha", "note", two.id, "x" * 262_000)
    assert len(two.show("bravo")["timeline"]) == entries + 1


def hostile_entries(text: str) -> Iterator[tuple[str, bytes]]:
    """Content of each kind as a member's own program writes it: the text in every field that is one."""
    stix = json.dumps({"type": text, "id": text, "name": text, "x": text}).encode()
    bodies: list[tuple[str, IncidentBody]] = [
        ("event", IncidentEvent("occurred", 0, "", 0, "", (), text)),
        ("object", IncidentObject("domain", text, text, stix)),
        ("object", IncidentObject("domain", text, text, b"[" * 100_000)),
        ("object", IncidentObject("artifact", text, text, b"")),
        ("ask", IncidentQuestion((), text)),
        ("recurrence", IncidentRecurrence("domain", text, NOW - NOW % 86_400, text)),
        ("task", IncidentTask(text[:40], text[:1_000], 0, ())),
        ("own-status", OwnStatus("engaged", text[:1_000])),
        ("lesson", IncidentLesson(b"", text[:1_000], (), 0, text[:40], "open")),
    ]
    yield "note", text.encode()
    for kind, body in bodies:
        yield kind, encode_incident(body)


@pytest.mark.parametrize("name", ["controls", "c1 and bidi", "long", "markup"])
def test_what_a_hostile_member_writes_into_any_field_is_shown_and_exported_without_harm(
    two: Two, name: str
) -> None:
    text = (TYPED | {"markup": "=cmd|' /C calc'!A0\n# x\n[a](javascript:b)<img src=x onerror=y>|`"})[name]
    bravo, space = two.nodes["bravo"], EntryId.parse(two.id)
    for kind, content in hostile_entries(text[:4_000] if name == "long" else text):
        spaces_of(bravo).say(space, SpaceStatement(kind, content, 1), NOW)
    two.meet()
    views = (("show", two.id), ("list",), ("watch", "list"), ("duty", "list", two.id), ("sitrep", two.id))
    for words in views:
        said = two("alpha", *words)
        assert said.code == 0 and harmless(said.out) and harmless(said.err), (words, said.err[-500:])
    for format_ in ("markdown", "html", "csv", "veris", "stix"):
        said = two("alpha", "export", two.id, "--format", format_)
        assert said.code == 0 and harmless(said.out.replace("\r", "")), (format_, said.err[-500:])
        if format_ == "html":
            assert "<script>" not in said.out and "<img" not in said.out
        if format_ in ("veris", "stix"):
            json.loads(said.out)
    assert two.homes["alpha"]("status").code == 0
    shown = two.show()
    assert text[:4_000] in [row["text"] for row in shown["timeline"] if row["kind"] == "note"]
