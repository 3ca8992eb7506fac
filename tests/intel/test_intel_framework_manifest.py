"""A framework in a file: ours is true to the last hash, and what is wrong with another is told with its place."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from p2pshare.errors import AuthorError
from p2pshare.intel.playbooks.csf_outcomes import CATEGORIES, CSF_OUTCOMES
from p2pshare.intel.playbooks.framework_manifest import (
    ENTRIES_MAX,
    MANIFEST_BYTES_MAX,
    FrameworkEntry,
    FrameworkTrigger,
    manifest_bytes,
    read_manifest,
)
from p2pshare.intel.playbooks.playbook_text import playbook_of
from p2pshare.node.duty_files import load_duty_templates
from p2pshare.node.shipped import shipped_frameworks, shipped_playbooks
from p2pshare.risk.decision_tables import INPUTS, decision_table

OURS = shipped_frameworks()["hospitals"]


def test_our_framework_names_our_playbooks_and_duties_and_each_hash_is_true(repository: Path) -> None:
    manifest = read_manifest(OURS, "hospitals.json")
    playbooks = {name: playbook_of(raw).document for name, raw in shipped_playbooks().items()}
    named = {(entry.playbook, entry.least) for entry in manifest.entries}
    assert named == {(one["id"], one["modified"]) for one in playbooks.values()} and len(named) == 3
    templates = load_duty_templates()
    outcomes = {name for table in INPUTS for name in decision_table(table).outcomes}
    for entry in manifest.entries:
        assert entry.quorum == 2
        assert set(entry.trigger.risk) <= outcomes
        assert [duty.template for duty in entry.duties] == ["nis2"]
        for duty in entry.duties:
            file = repository / "config" / "duties" / f"{duty.template}.json"
            assert hashlib.sha256(file.read_bytes()).hexdigest() == duty.sha256
            assert templates[duty.template].version == duty.version
    by_word = {name: one["id"] for name, one in playbooks.items()}
    called = {
        word: [e.playbook for e in manifest.entries if e.matches(types=[word])]
        for word in ("ransomware", "phishing")
    }
    assert called == {"ransomware": [by_word["ransomware-in-a-hospital"]], "phishing": [by_word["phishing"]]}
    assert [e.playbook for e in manifest.entries if e.matches(risk=["immediate"])] == [
        by_word["exposed-vulnerability"]
    ]
    # Each has what ATT&CK calls the technique that its own text names.
    for entry in manifest.entries:
        document = next(one for one in playbooks.values() if one["id"] == entry.playbook)
        techniques = {
            one["external_id"]
            for one in document["external_references"]
            if one.get("source") == "mitre-attack"
        }
        assert techniques and techniques <= set(entry.trigger.attack)


def test_a_framework_that_is_written_is_read_back() -> None:
    manifest = read_manifest(OURS, "x")
    assert read_manifest(manifest_bytes(manifest), "x") == manifest
    assert manifest_bytes(manifest) == OURS


def test_a_technique_calls_for_what_its_sub_techniques_do_and_not_the_other_way() -> None:
    trigger = FrameworkTrigger(attack=("T1566", "T1078.002"))
    entry = FrameworkEntry(trigger, "playbook--x", "", 1)
    assert entry.matches(attack=["T1566.001"]) and entry.matches(attack=["T1566"])
    assert not entry.matches(attack=["T1078"]) and entry.matches(attack=["T1078.002"])
    assert not entry.matches(types=["T1566"]) and not entry.matches()


def test_the_outcomes_are_the_106_of_nist() -> None:
    assert len(CSF_OUTCOMES) == 106 and len(CATEGORIES) == 22
    assert {"GV.SC-10", "RS.MA-01", "RS.AN-03", "RC.CO-04"} <= CSF_OUTCOMES
    assert not {"RS.AN-01", "RS.RP-1", "RC.IM-01", "RS.CO-04", "PR.DS-05"} & CSF_OUTCOMES


def entry(document: Any, number: int = 0) -> Any:
    return document["entries"][number]


WRONG: list[tuple[Callable[[Any], Any], str]] = [
    (lambda d: d.update(extra=1), "unknown field `extra`"),
    (lambda d: d.pop("title"), "missing required field `title`"),
    (lambda d: d.update(entries=[]), r"\$\.entries"),
    (lambda d: d.update(version=0), r"\$\.version"),
    (lambda d: d.update(entries=[entry(d)] * (ENTRIES_MAX + 1)), r"\$\.entries"),
    (lambda d: entry(d, 1).update(quorum=0), r"\$\.entries\[1\]\.quorum"),
    (lambda d: entry(d).update(quorum="2"), r"\$\.entries\[0\]\.quorum"),
    (lambda d: entry(d).update(playbook="playbook--1"), r"\$\.entries\[0\]\.playbook"),
    (lambda d: entry(d).update(least="yesterday"), r"\$\.entries\[0\]\.least"),
    (lambda d: entry(d).update(trigger={}), "a trigger has types, attack or risk"),
    (lambda d: entry(d)["trigger"].update(types=["Ransom ware"]), r"\$\.entries\[0\]\.trigger\.types\[0\]"),
    (lambda d: entry(d)["trigger"].update(attack=["1486"]), r"\$\.entries\[0\]\.trigger\.attack\[0\]"),
    (lambda d: entry(d)["duties"][0].update(sha256="AB"), r"\$\.entries\[0\]\.duties\[0\]\.sha256"),
    # a line break behind a word is no part of it
    (lambda d: d.update(framework="hospitals\n"), r"\$\.framework"),
    (lambda d: entry(d).update(playbook=entry(d)["playbook"] + "\n"), r"\$\.entries\[0\]\.playbook"),
    (lambda d: entry(d).update(least=entry(d)["least"] + "\n"), r"\$\.entries\[0\]\.least"),
    (lambda d: entry(d)["trigger"].update(types=["theft\n"]), r"\$\.entries\[0\]\.trigger\.types\[0\]"),
    (lambda d: entry(d)["trigger"].update(attack=["T1486\n"]), r"\$\.entries\[0\]\.trigger\.attack\[0\]"),
    (lambda d: entry(d)["trigger"].update(risk=["immediate\n"]), r"\$\.entries\[0\]\.trigger\.risk\[0\]"),
    (
        lambda d: entry(d)["duties"][0].update(sha256="a" * 64 + "\n"),
        r"\$\.entries\[0\]\.duties\[0\]\.sha256",
    ),
    (lambda d: entry(d).update(csf=["RS.MA-01", "RS.RP-1"]), "/entries/0/csf: 'RS.RP-1' is no outcome"),
    (lambda d: entry(d).update(csf=["RS.MA-01", "RS.MA-01"]), "/entries/0/csf: 'RS.MA-01' stands twice"),
    (
        lambda d: entry(d)["duties"].append(dict(entry(d)["duties"][0])),
        "/entries/0/duties: 'nis2' stands twice",
    ),
    (lambda d: d["entries"].append(entry(d)), "/entries: playbook--.* stands twice"),
]


@pytest.mark.parametrize("number", range(len(WRONG)))
def test_what_is_wrong_is_told_with_its_place_and_what_to_read(number: int) -> None:
    spoil, told = WRONG[number]
    document = json.loads(OURS)
    spoil(document)
    with pytest.raises(AuthorError, match=told) as caught:
        read_manifest(json.dumps(document).encode(), "ours.json")
    assert caught.value.reason == "bad-framework"
    assert "ours.json" in caught.value.message and "docs/playbooks.md" in (caught.value.hint or "")


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[]",
        b"\xff",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b" " * (MANIFEST_BYTES_MAX + 1),
        OURS.replace(b'"version": 1,\n  "entries"', b'"version": 1, "version": 2,\n  "entries"'),
    ],
    ids=["nothing", "a list", "no UTF-8", "deep lists", "deep objects", "too large", "a key twice"],
)
def test_a_hostile_file_is_an_error(raw: bytes) -> None:
    with pytest.raises(AuthorError) as caught:
        read_manifest(raw, "ours.json")
    assert caught.value.reason == "bad-framework"
