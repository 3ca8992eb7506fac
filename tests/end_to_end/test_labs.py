"""A lab of three real daemons: a rule moves to `test` by what each finds on its own machine, one byte sends it back, and no word of any log leaves.

One company for all tests of this file, each going on where the one before ended. Every daemon writes down what it hands to TLS.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from store_rows import rows

from p2pshare.envelope.payload import inflate_frame

if TYPE_CHECKING:
    from conftest import Company, Partner

pytestmark = [
    pytest.mark.end_to_end,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="skipped: no /proc here"),
]

LONG = 60.0  # seconds, on a busy machine
# The pauses of docs/spaces.md, a fiftieth as long: a daemon reads them from the module each time. And what is handed to TLS is written down.
PREFACE = """
import ssl
import p2pshare.spaces.travel as travel
for name in dir(travel):
    if name.endswith("_SECONDS") and name not in ("RESEND_SECONDS", "INVITE_SECONDS"):
        setattr(travel, name, getattr(travel, name) / 50)
_sent = open({sent!r}, "ab", buffering=0)
_write = ssl.SSLObject.write
def write(self, data):
    _sent.write(bytes(data))
    return _write(self, data)
ssl.SSLObject.write = write
"""
RULE = """title: Download by certutil
id: e011a729-98a6-4139-b5c4-bf6f6dd8239a
status: test
author: Alice Example
license: DRL-1.1
logsource: {category: process_creation, product: windows}
detection:
  selection:
    Image|endswith: certutil.exe
    CommandLine|contains: urlcache
  condition: selection
level: medium
"""
CANARIES = [f"kanarie{number:02}zx" for number in range(20)]
SHOWN = "seen-by-all-members"  # stands in what may leave, and must be found where no canary is


def event(image: str, *words: str) -> dict[str, Any]:
    """An event of Windows; the words stand in its fields and in their names."""
    data = {"Image": f"C:\\Windows\\System32\\{image}", "CommandLine": f"{image} -urlcache {' '.join(words)}"}
    return {
        "Event": {"System": {"EventID": 1}, "EventData": data | {f"Field {word}": word for word in words}}
    }


class LabOfThree(NamedTuple):
    alpha: Partner
    bravo: Partner
    charlie: Partner
    id: str
    folder: Path

    @property
    def three(self) -> tuple[Partner, Partner, Partner]:
        return self[:3]

    def run(self, partner: Partner, *words: str, code: int = 0) -> Any:
        return partner.cli_json(
            "lab", *(self.id if word == "ID" else word for word in words), "--json", code=code
        )

    def rule(self, partner: Partner) -> dict[str, Any]:
        [found] = self.run(partner, "status", "ID")["rules"]
        return dict(found)

    def file(self, name: str, content: Any) -> str:
        path = self.folder / name
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return str(path)

    def sent_by(self, partner: Partner) -> bytes:
        return (self.folder / f"{partner.name}-sent").read_bytes()


@pytest.fixture(scope="module")
def lab(
    shared_company: Company, tmp_path_factory: pytest.TempPathFactory, eventually: Callable[..., Any]
) -> LabOfThree:
    """A lab that alpha leads; all have joined, and their SIEMs read rules from `test` on."""
    folder = tmp_path_factory.mktemp("lab")
    three = [shared_company.found(name) for name in ("alpha", "bravo", "charlie")]
    for one in three:
        for other in three:
            if one is not other:
                one.trust(other)
        one.configure("siem_status_min", '"test"')
        one.preface = PREFACE.format(sent=str(folder / f"{one.name}-sent"))
        one.start()
    alpha, bravo, charlie = three
    invited = ("--invite", "bravo", "--invite", "charlie")
    opened = alpha.cli_json("lab", "open", "--title", "Certutil", "--question", SHOWN, *invited, "--json")
    for one in (bravo, charlie):
        eventually(
            lambda one=one: one.cli("lab", "join", opened["lab"], codes=(0, 3, 5)).code == 0,
            "it is invited, and joins",
            LONG,
        )
    return LabOfThree(alpha, bravo, charlie, opened["lab"], folder)


def equal(lab: LabOfThree) -> bool:
    """Whether all three hold the same; entries are counted first, for that costs nothing."""
    counts = {one.query("SELECT count(*) FROM space_entry")[0] for one in lab.three}
    return (
        len(counts) == 1
        and len({one.cli("lab", "show", lab.id, "--canonical").out for one in lab.three}) == 1
    )


FIGURES = ("sample_set", "tp", "fn", "fp", "tn", "errors", "events", "hits")


def test_others_find_the_same_figures_and_the_rule_is_in_test_at_all_without_a_leader(
    lab: LabOfThree, eventually: Callable[..., Any]
) -> None:
    alpha, bravo, charlie = lab.three
    lab.run(alpha, "rule", "add", "ID", lab.file("rule.yml", RULE))
    positive = lab.file("positive.json", event("certutil.exe", SHOWN))
    lab.run(alpha, "sample", "add", "ID", positive, "--positive", "--with-content")
    negative = lab.file("negative.json", event("notepad.exe", SHOWN))
    lab.run(alpha, "sample", "add", "ID", negative, "--negative", "--with-content")
    eventually(lambda: equal(lab), "the rule and its samples came", LONG)
    ran = [lab.run(one, "test", "ID") for one in lab.three]
    assert [{key: one[key] for key in FIGURES} for one in ran] == [{key: ran[0][key] for key in FIGURES}] * 3
    assert [ran[0][key] for key in ("tp", "fn", "fp", "tn", "errors")] == [1, 0, 0, 1, 0]
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
    [match] = ran[1]["matches"]
    assert (match["author"], match["licence"], match["label"]) == ("Alice Example", "DRL-1.1", "positive")
    for one in (bravo, charlie):
        assert lab.rule(one)["status"] == "experimental"
        lab.run(one, "review", "ID", ran[0]["rule_hash"][:12], "--agree")
    for one in lab.three:
        eventually(
            lambda one=one: lab.rule(one)["status"] == "test",
            "two others agree, and a run of theirs is good",
            LONG,
        )
        seen = "SELECT title, status, author_name, licence, hash FROM v1_rules"
        expected = [("Download by certutil", "test", "Alice Example", "DRL-1.1", ran[0]["rule_hash"])]
        eventually(
            lambda one=one, seen=seen, expected=expected: one.query(seen) == expected,
            "its SIEM reads it",
            LONG,
        )
    eventually(lambda: equal(lab), "byte for byte the same", LONG)


def test_one_byte_changed_is_another_rule(lab: LabOfThree, eventually: Callable[..., Any]) -> None:
    before = lab.rule(lab.alpha)
    assert len(before["reviews"]) == 2 and len(before["runs"]) == 3
    lab.run(lab.alpha, "rule", "revise", "ID", lab.file("rule.yml", RULE + "\n"))
    for one in lab.three:
        eventually(lambda one=one: lab.rule(one)["hash"] != before["hash"], "the new text came", LONG)
        after = lab.rule(one)
        assert after["rule"] == before["rule"]
        assert (after["status"], after["reviews"], after["runs"], after["field"]) == (
            "experimental",
            [],
            [],
            [],
        )
        seen, old = "SELECT hash, is_current FROM v1_rules", [(before["hash"], 0)]
        eventually(
            lambda one=one, seen=seen, old=old: one.query(seen) == old,
            "its SIEM goes on with what had come farther",
            LONG,
        )
    assert lab.run(lab.charlie, "test", "ID", before["hash"][:12], "--dry-run")["tp"] == 1, (
        "the old text can be tried"
    )


def test_no_word_of_a_log_leaves(lab: LabOfThree, eventually: Callable[..., Any]) -> None:
    """20 canaries in own samples, in values and names of fields: tried, told of by hash or by nothing, reviewed, counted, withdrawn."""
    bravo = lab.bravo
    told = lab.file("told.json", event("certutil.exe", *CANARIES[:10]))
    lines = "".join(json.dumps(event("notepad.exe", word)) + "\n" for word in CANARIES[10:])
    kept = lab.file("kept.jsonl", lines)
    lab.run(bravo, "sample", "add", "ID", told, "--positive", "--origin", SHOWN)
    lab.run(bravo, "sample", "add", "ID", kept, "--negative", "--local")
    said = bravo.cli("lab", "test", lab.id, "--samples", "own")
    own = lab.run(bravo, "test", "ID", "--samples", "own")
    assert (own["tp"], own["fp"], own["events"]) == (1, 0, 11), "they were read: the counts are theirs"
    rule = own["rule_hash"][:12]
    lab.run(
        bravo, "field", "ID", rule, "--hits", "12", "--confirmed", "3", "--benign", "1", "--window", "30d"
    )
    lab.run(bravo, "review", "ID", rule, "--disagree", "-m", SHOWN)
    lab.run(
        bravo,
        "sample",
        "remove",
        "ID",
        json.loads(bravo.cli("lab", "status", lab.id, "--json").out)["samples"][-1]["sha256"],
    )
    eventually(lambda: equal(lab), "all of it came", LONG)
    for partner in lab.three:
        sent = lab.sent_by(partner)
        assert b" HTTP/1.1\r\n" in sent, "what is handed to TLS was written down"
        sealed = b"\n".join(
            inflate_frame(raw) for (raw,) in rows(partner.home / "store.sqlite", "SELECT bytes FROM frame")
        )
        bodies = rows(partner.home / "store.sqlite", "SELECT body FROM space_entry WHERE body IS NOT NULL")
        written = b"\n".join(bytes(body) for (body,) in bodies)
        assert SHOWN.encode() in written, "what may be read is found this way"
        for where in (
            sent,
            sealed,
            written,
            partner.log_path.read_bytes(),
            said.out.encode(),
            said.err.encode(),
        ):
            assert canaries_in(where) == [], partner.name
    files = [path for partner in lab.three for path in partner.home.rglob("*") if path.is_file()]
    inside = [path for path in files if bravo.home / "samples" in path.parents]
    assert {
        path.name: found for path in set(files) - set(inside) if (found := canaries_in(path.read_bytes()))
    } == {}
    assert canaries_in(b"".join(path.read_bytes() for path in inside)) == CANARIES[10:], "and there alone"


def canaries_in(raw: bytes) -> list[str]:
    return [one for one in CANARIES if one.encode() in raw.lower()]


AUTORUN = "import p2pshare.daemon.run as run\nrun.AUTORUN_SECONDS = 0.5\n"


def test_with_autorun_a_rule_of_another_is_tried_as_it_comes(
    lab: LabOfThree, eventually: Callable[..., Any]
) -> None:
    alpha, charlie = lab.alpha, lab.charlie
    charlie.stop()
    charlie.configure("autorun", "true")
    charlie.preface += AUTORUN
    charlie.start()
    lab.run(alpha, "rule", "revise", "ID", lab.file("rule.yml", RULE + "\n\n"))
    by_charlie = eventually(
        lambda: [one for one in lab.rule(alpha)["runs"] if one["organisation"] == charlie.partner_id],
        "charlie tried it, and told the lab",
        LONG,
    )
    assert [(one["tp"], one["fn"], one["fp"], one["errors"]) for one in by_charlie] == [(1, 0, 0, 0)]
    charlie.stop()


def test_a_hostile_run_is_killed_within_its_limits_and_partners_are_answered_meanwhile(
    lab: LabOfThree,
) -> None:
    """A rule of 4,000 runaway expressions, and a million events, in a child of its own: nothing is told, and the daemons go on answering."""
    names = [f"s{number}" for number in range(4_000)]
    hostile = RULE.partition("detection:")[0].replace("e011a729", "e011a72a") + "detection:\n"
    hostile += "".join(f"  {name}: {{CommandLine|re: '(a+)+b'}}\n" for name in names)
    hostile += f"  condition: {' or '.join(names)}\n"
    added = lab.run(lab.alpha, "rule", "add", "ID", lab.file("hostile.yml", hostile))
    many = lab.file("many.json", "[" + ",".join(['{"CommandLine":1}'] * 1_000_000) + "]")
    lab.run(lab.alpha, "sample", "add", "ID", many, "--negative", "--local")
    command = lab.alpha.command("lab", "test", lab.id, added["hash"][:12], "--samples", "own", "--json")
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        answered = 0
        while is_running(child):
            for one in (lab.alpha, lab.bravo):
                assert one.status()["running"]
                answered += 1
        _, err = child.communicate()
    assert answered > 0 and child.returncode == 5
    assert json.loads(err.splitlines()[-1])["error"]["reason"] == "killed-memory", err
    assert lab.run(lab.alpha, "status", "ID")["rules"][-1]["runs"] == [], "and nobody is told of it"


def is_running(child: subprocess.Popen[bytes]) -> bool:
    """Whether a process still runs in a moment from now: who asks all the time would take its processor."""
    try:
        child.wait(0.3)
    except subprocess.TimeoutExpired:
        return True
    return False
