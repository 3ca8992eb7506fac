"""Sigma rules: kept byte for byte, looked at but never run; a hostile YAML costs itself and little of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from p2pshare.errors import AuthorError
from p2pshare.identifiers import PartnerId
from p2pshare.importers import sigma
from p2pshare.importers.interface import InputSource
from p2pshare.importers.sigma import check_condition, documents_of, read_sigma
from p2pshare.importers.yaml_text import load_mapping
from p2pshare.intel.authoring import identity_id
from p2pshare.intel.bundle import Reading
from p2pshare.intel.extraction import extract
from p2pshare.intel.marking import TLP2_IDS, Tlp
from p2pshare.limits import RULE_BYTES_MAX, RULE_DEPTH_MAX, RULE_NODES_MAX

NOW = 1_790_000_000  # 2026-09-21
AUTHOR = PartnerId(bytes(32))
RULE = """\
# a comment of its own
title: Odd process
id: E15BC294-ae2a-45ad-b7d6-637b33868bde
status: test
description: |
    Two lines
    of text.
references:
    - https://vendor.example/a
author: Ada, Bob
license: DRL-1.1
date: 2024-05-01
modified: 2025-01-01
tags:
    - attack.t1078.002
logsource:
    product: windows
detection:
    selection_a:
        EventID: 5137
    selection_b:
        - x
    filter:
        y: z
    condition: all of selection_* and not filter
level: medium
"""


def read(text: str | bytes, tlp: Tlp | None = Tlp.GREEN) -> Reading:
    raw = text if isinstance(text, bytes) else text.encode()
    reading = read_sigma(raw, InputSource("-", AUTHOR, NOW, tlp))
    assert reading.read == len(reading.objects) + reading.refusals.total
    return reading


def only(reading: Reading) -> dict[str, Any]:
    [one] = reading.objects
    found: dict[str, Any] = json.loads(one.raw)
    return found


def refused(text: str | bytes) -> list[str]:
    return [one["reason"] for one in read(text).refusals.to_json()]


def test_a_rule_becomes_an_indicator_that_keeps_its_text_author_and_licence() -> None:
    stix = only(read(RULE))
    assert stix == {
        "type": "indicator",
        "spec_version": "2.1",
        "id": "indicator--e15bc294-ae2a-45ad-b7d6-637b33868bde",
        "created_by_ref": identity_id(AUTHOR),
        "created": "2024-05-01T00:00:00Z",
        "modified": "2026-09-21T14:13:20Z",
        "name": "Odd process",
        "description": "Two lines\nof text.\n",
        "pattern": RULE,
        "pattern_type": "sigma",
        "valid_from": "2024-05-01T00:00:00Z",
        "labels": ["attack.t1078.002", "sigma-level:medium", "sigma-status:test"],
        "external_references": [
            {"source_name": "sigma", "external_id": "E15BC294-ae2a-45ad-b7d6-637b33868bde"},
            {"source_name": "reference", "url": "https://vendor.example/a"},
        ],
        "object_marking_refs": [TLP2_IDS[Tlp.GREEN]],
        "x_rule_author": "Ada, Bob",
        "x_rule_license": "DRL-1.1",
    }


def test_a_rule_claims_no_observable() -> None:
    [one] = read(RULE.replace("EventID: 5137", "ip: 192.0.2.1")).objects
    [facts] = extract(b"[" + one.raw + b"]", floor=Tlp.GREEN).objects
    assert facts.claims == ()


def test_line_ends_and_a_byte_order_mark_change_nothing_but_themselves() -> None:
    windows = RULE.replace("\n", "\r\n")
    assert only(read(b"\xef\xbb\xbf" + windows.encode()))["pattern"] == windows


def test_a_rule_without_a_uuid_is_named_by_its_title() -> None:
    ids = {
        only(read(RULE.replace("id: E15BC294-ae2a-45ad-b7d6-637b33868bde", new)))["id"]
        for new in ("", "id: 7")
    }
    assert len(ids) == 1
    assert ids != {only(read(RULE))["id"]}


def test_several_rules_in_a_file_are_parted_at_their_marks() -> None:
    second = RULE.replace("E15BC294", "00000000")
    reading = read(f"---\n{RULE}--- # next\n{second}...\n---\n# nothing\n")
    assert [json.loads(one.raw)["pattern"] for one in reading.objects] == [RULE, second]


def test_the_same_rule_twice_is_merged_and_another_under_its_id_is_refused() -> None:
    changed = RULE.replace("5137", "1")
    assert read(f"{RULE}---\n{RULE}---\n{changed}").refusals.counts == {"repeated": 1, "duplicate-id": 1}


def test_a_marking_of_the_rule_tightens() -> None:
    assert only(read(RULE.replace("attack.t1078.002", "tlp.red")))["object_marking_refs"] == [
        TLP2_IDS[Tlp.RED]
    ]
    assert only(read(RULE.replace("attack.t1078.002", "tlp.clear")))["object_marking_refs"] == [
        TLP2_IDS[Tlp.GREEN]
    ]
    assert "object_marking_refs" not in only(read(RULE, None))
    assert refused(RULE.replace("attack.t1078.002", "tlp.secret")) == ["unknown-marking"]


def test_a_date_that_is_yet_to_come_is_not_believed() -> None:
    for date in ("2099-01-01", "1969-12-31", "soon", "2024-13-01"):
        created = only(read(RULE.replace("date: 2024-05-01", f"date: '{date}'")))["created"]
        assert created == "2026-09-21T14:13:20Z"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (("title: Odd process", ""), "missing-property"),
        (("title: Odd process", "title: [a]"), "wrong-type"),
        (("logsource:\n    product: windows", ""), "missing-property"),
        (("condition: all of selection_* and not filter", ""), "missing-property"),
        (("condition: all of selection_* and not filter", "condition: 7"), "wrong-type"),
        (("condition: all of selection_*", "condition: all of selektion_*"), "unknown-selection"),
        (("not filter", "not other"), "unknown-selection"),
        (("and not filter", "and not"), "bad-condition"),
        (("title:", "title: x\ntitle:"), "duplicate-key"),
        (("EventID: 5137", "EventID: &a 5137\n        other: *a"), "yaml-alias"),
        (("status: test", "status: !!python/object/apply:os.system [ls]"), "not-yaml"),
        (("status: test", "status: [unclosed"), "not-yaml"),
        (("status: test", "status: 2024-02-31"), "not-yaml"),
        (("status: test", "status: a\x00b"), "not-yaml"),
        (("status: test", "status: " + "[" * (RULE_DEPTH_MAX + 1)), "too-deep"),
    ],
)
def test_what_is_wrong_with_a_rule_is_told(change: tuple[str, str], reason: str) -> None:
    assert refused(RULE.replace(*change)) == [reason]


@pytest.mark.parametrize("text", ["", "\n\n", "# only a comment\n", "---\n---\n"])
def test_nothing_is_no_rule(text: str) -> None:
    assert read(text).read == 0


@pytest.mark.parametrize("text", ["a list\n", "- a\n- b\n", "7\n", "'text'\n"])
def test_what_is_no_mapping_is_refused(text: str) -> None:
    assert refused(text) == ["not-a-mapping"]


def test_a_file_that_is_not_utf8_is_refused_as_a_whole() -> None:
    with pytest.raises(AuthorError) as caught:
        read(RULE.encode() + b"# \xe9\n")
    assert caught.value.reason == "not-utf8"


def test_a_file_of_too_many_rules_is_refused_as_a_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sigma, "OBJECTS_PER_BUNDLE_MAX", 2)
    assert read("a\n---\nb\n").read == 2
    with pytest.raises(AuthorError) as caught:
        read("a\n---\nb\n---\nc\n")
    assert caught.value.reason == "too-many-objects"


def test_correlations_and_filters_are_rules_too() -> None:
    correlation = (
        "title: Many\nname: x\ncorrelation:\n    type: event_count\n    rules: [a]\n    timespan: 10m\n"
    )
    filter_ = "title: Not these\nlogsource: {product: windows}\nfilter:\n    rules: [a]\n    selection: {u: v}\n    condition: not selection\n"
    assert len(read(f"{correlation}---\n{filter_}").objects) == 2
    assert refused(correlation.replace("    type: event_count\n", "")) == ["missing-property"]


@pytest.mark.parametrize(
    ("condition", "reason"),
    [
        ("a", ""),
        ("a and b or not c_1", ""),
        ("NOT a AND (b OR (c_1))", ""),
        ("1 of c_*", ""),
        ("any of them", ""),
        ("all of *_1 and a", ""),
        ("2 of c*2", ""),
        ("not not a", ""),
        ("a | count() by x > 5", ""),
        ("", "bad-condition"),
        ("a b", "bad-condition"),
        ("a and", "bad-condition"),
        ("and a", "bad-condition"),
        ("(a", "bad-condition"),
        ("a)", "bad-condition"),
        ("()", "bad-condition"),
        ("1 of", "bad-condition"),
        ("1 of (c_*)", "bad-condition"),
        ("write x from a (if not b) to list", "bad-condition"),
        ("x", "unknown-selection"),
        ("1 of x_*", "unknown-selection"),
        ("A", "unknown-selection"),
    ],
)
def test_conditions(condition: str, reason: str) -> None:
    assert check_condition(condition, {"a", "b", "c_1", "c_2"}) == reason


def test_the_limits_of_a_document() -> None:
    def nodes(count: int) -> str:
        return "a: [" + ",".join("1" * (count - 3)) + "]"

    assert load_mapping(nodes(RULE_NODES_MAX))[1] is None
    fault = load_mapping(nodes(RULE_NODES_MAX + 1))[1]
    assert fault is not None
    assert fault.reason == "too-many-nodes"

    def nested(depth: int) -> str:
        return "a: " + "[" * (depth - 1) + "]" * (depth - 1)

    assert load_mapping(nested(RULE_DEPTH_MAX))[1] is None
    fault = load_mapping(nested(RULE_DEPTH_MAX + 1))[1]
    assert fault is not None
    assert fault.reason == "too-deep"

    filler = RULE_BYTES_MAX - len(RULE.encode()) - 2
    assert refused(RULE + "#" * filler + "\n") == []
    assert refused(RULE + "#" * (filler + 2) + "\n") == ["rule-too-large"]


def test_a_billion_laughs_are_refused_at_the_first() -> None:
    lines = ["a0: &a0 [x,x,x,x,x,x,x,x,x]"] + [
        f"a{number}: &a{number} [{','.join([f'*a{number - 1}'] * 9)}]" for number in range(1, 10)
    ]
    assert refused("\n".join(lines)) == ["yaml-alias"]


@given(st.text(max_size=200) | st.text(alphabet="a:-[]{}&*!|>'\"\n #%@`,?", max_size=80))
def test_any_text_is_read(text: str) -> None:
    read(text.encode("utf-8", "replace"))


@given(st.lists(st.text(alphabet="ab \n#'|", max_size=12), max_size=6))
def test_documents_lose_nothing(documents: list[str]) -> None:
    text = "---\n".join(f"{one}\n" for one in documents)
    kept = [one for _, one in documents_of(text)]
    assert kept == [
        f"{one}\n"
        for one in documents
        if any(line.strip() and line.strip()[0] != "#" for line in one.split("\n"))
    ]


def test_the_published_rules_are_kept_as_they_are(shared_data: Path) -> None:
    """Counted with PyYAML's own loader: 189 files of one document each, one condition that Sigma does not know."""
    paths = sorted((shared_data / "rules/sigma").rglob("*.yml"))
    assert len(paths) == 189
    stored: dict[str, str] = {}
    problems = []
    for path in paths:
        reading = read(path.read_bytes())
        problems += reading.refusals.to_json()
        for one in reading.objects:
            stix = json.loads(one.raw)
            stored[stix["id"].removeprefix("indicator--")] = stix["pattern"]
            rule = yaml.safe_load(path.read_text())
            assert stix["name"] == rule["title"]
            assert stix["x_rule_author"] == rule["author"]
            assert [url["url"] for url in stix["external_references"][1:]] == rule.get("references", [])
    rules = {yaml.safe_load(path.read_text())["id"]: path.read_text() for path in paths}
    assert len(rules) == 189
    [problem] = problems
    assert problem["reason"] == "bad-condition"
    assert len(stored) == 188
    assert stored.items() <= rules.items()
