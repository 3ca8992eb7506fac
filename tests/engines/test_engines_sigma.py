"""How events are read and rules are run: as docs/labs-engines.md says, and as a plain reading of the rule says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2pshare.engines.sample_events import DEPTH_MAX, BadSample, events_of, fields_of
from p2pshare.engines.sigma_engine import RuleFault, prepare, read_samples, try_rule
from p2pshare.engines.trial_words import EngineSample


def rule(detection: str, condition: str = "s") -> bytes:
    return f"title: x\nlogsource:\n  category: t\ndetection:\n{detection}  condition: {condition}\n".encode()


def hits(text: bytes, *events: Any) -> int:
    sample = EngineSample("positive", "event-json", json.dumps([*events]).encode())
    return try_rule(text, read_samples([sample])).hits


WINDOWS = {
    "Event": {
        "System": {
            "Provider": {"#attributes": {"Name": "Sysmon"}},
            "EventID": {"#attributes": {"Qualifiers": 1}, "#text": 11},
            "TimeCreated": {"#attributes": {"SystemTime": "2026-04-17T05:24:53Z"}},
            "Channel": "Security",
        },
        "EventData": {"Target Filename": r"C:\a.exe", "Hashes": ["MD5=1", "SHA1=2"], "Empty": None},
        "UserData": {"Detail": {"Name": "deep"}},
    }
}


def test_a_windows_event_has_the_bare_names_of_its_parts() -> None:
    fields = fields_of(WINDOWS)
    assert {name: fields[name] for name in fields if name != "_all"} == {
        "provider_name": "Sysmon", "eventid_qualifiers": 1, "eventid": 11, "timecreated_systemtime": "2026-04-17T05:24:53Z",
        "timestamp": "2026-04-17T05:24:53Z", "channel": "Security", "target filename": r"C:\a.exe", "targetfilename": r"C:\a.exe",
        "hashes": "MD5=1\nSHA1=2", "detail_name": "deep",
    }  # fmt: skip


def test_other_json_has_dotted_names() -> None:
    fields = fields_of({"process": {"name": "x", "args": ["a", 2, True]}, "ok": False})
    assert (
        fields["process.name"] == "x" and fields["process.args"] == "a\n2\ntrue" and fields["ok"] == "false"
    )


@pytest.mark.parametrize(
    ("detection", "event", "wanted"),
    [
        ("  s:\n    EventID: 4688\n", {"EventID": "4688"}, 1),
        ("  s:\n    EventID: 4688\n", {"EventID": 4688}, 1),
        ("  s:\n    Id: '4688'\n", {"Id": 4688}, 1),
        ("  s:\n    n|gt: 9\n", {"n": "10"}, 1),
        ("  s:\n    n|gt: 9\n", {"n": "9"}, 0),
        ("  s:\n    Image|endswith: '\\EVIL.exe'\n", {"image": r"c:\x\evil.EXE"}, 1),
        ("  s:\n    'Process Name': x\n", {"Process Name": "X"}, 1),
        ("  s:\n    ProcessName: x\n", {"Process Name": "X"}, 1),
        ("  s:\n    a.b: x\n", {"a": {"b": "x"}}, 1),
        ("  s:\n    a: null\n", {"b": "x"}, 1),
        ("  s:\n    a|exists: true\n", {"a": ""}, 1),
        ("  s:\n    a|cased: X\n", {"a": "x"}, 0),
        ("  s:\n    a|re: ^x.*y$\n", {"a": "x and y"}, 1),
        ("  s:\n    a|contains: '50%'\n", {"a": "500"}, 0),
        ("  s:\n    - evil\n", {"any": {"where": "so EVIL it is"}}, 1),
        ('  s:\n    a: "it\'s"\n', {"a": "it's"}, 1),
        ("  s:\n    a|cidr: 192.0.2.0/24\n", {"a": "192.0.2.7"}, 1),
    ],
)
def test_values_are_compared_as_sigma_has_it(detection: str, event: Any, wanted: int) -> None:
    assert hits(rule(detection), event) == wanted


@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.sampled_from(["x", "Y", "z z", "7", "%", "_", "\\"])),
        min_size=1,
        max_size=3,
    ),
    st.lists(
        st.dictionaries(
            st.sampled_from("abc"), st.sampled_from(["X", "y", "z z", "7", "%", "_", "\\", "xx"])
        ),
        max_size=4,
    ),
)
@settings(max_examples=60)
def test_equal_fields_are_what_a_plain_reading_says(
    wanted: list[tuple[str, str]], events: list[dict[str, str]]
) -> None:
    asked = dict(wanted)
    text = rule(
        "  s:\n"
        + "".join(
            f"    {name}: {json.dumps(value.replace(chr(92), chr(92) * 2))}\n"
            for name, value in asked.items()
        )
    )
    plain = sum(
        all(event.get(name, "").lower() == value.lower() for name, value in asked.items()) for event in events
    )
    assert hits(text, *events) == plain


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=True) | st.text(max_size=20),
    lambda below: st.lists(below, max_size=4) | st.dictionaries(st.text(max_size=8), below, max_size=4),
    max_leaves=20,
)


@given(JSON)
@settings(max_examples=100)
def test_any_json_is_events_or_a_bad_sample(value: Any) -> None:
    for events in events_of("event-json", json.dumps(value).encode()):
        assert isinstance(events, (BadSample, list))


@given(st.binary(max_size=200))
@settings(max_examples=60)
def test_any_bytes_are_events_or_bad_samples(raw: bytes) -> None:
    for kind in ("event-json", "event-jsonl", "evtx-json"):
        for events in events_of(kind, raw):
            assert isinstance(events, (BadSample, list))


@pytest.mark.parametrize(
    "raw",
    [
        b'{"a":' * 100_000,
        b"[" * 100_000,
        (b'{"a":' * (DEPTH_MAX + 2)) + b"1" + b"}" * (DEPTH_MAX + 2),
        b'{"a": ' + b"9" * 5_000 + b"}",
        b'{"a": "\\ud800"}',
        json.dumps({str(number): 1 for number in range(10_001)}).encode(),
        b"[1]",
    ],
)
def test_a_sample_that_cannot_be_read_is_an_error_and_keeps_no_other_back(raw: bytes) -> None:
    good = EngineSample("positive", "event-json", b'{"a": "b"}')
    answer = try_rule(
        rule("  s:\n    a: b\n"), read_samples([EngineSample("positive", "event-json", raw), good])
    )
    assert (answer.tp, answer.errors + answer.fn, answer.hits_of[1]) == (1, 1, 1)


def test_lines_are_samples_of_their_own() -> None:
    lines = EngineSample("positive", "event-jsonl", b'{"a": "b"}\n\n{"a": "c"}\n{\n')
    answer = try_rule(rule("  s:\n    a: b\n"), read_samples([lines]))
    assert (answer.tp, answer.fn, answer.errors, answer.events) == (1, 1, 1, 2)


def test_a_correlation_counts_within_a_sample() -> None:
    text = b"""title: base
name: base
logsource: {category: t}
detection: {s: {a: b}, condition: s}
---
title: many
correlation:
  type: event_count
  rules: [base]
  group-by: [user]
  timespan: 5m
  condition: {gte: 3}
"""
    event = {"a": "b", "user": "u", "timestamp": "2026-11-30T08:00:00Z"}

    def sample(label: Any, count: int) -> EngineSample:
        return EngineSample(label, "event-json", json.dumps([event] * count).encode())

    answer = try_rule(text, read_samples([sample("positive", 3), sample("negative", 2)]))
    assert (answer.tp, answer.tn) == (1, 1)


def test_a_rule_that_names_too_many_fields_is_refused() -> None:
    with pytest.raises(RuleFault, match="fields"):
        prepare(rule("  s:\n" + "".join(f"    f{number}: x\n" for number in range(1_001))))


def test_each_rule_of_the_regression_data_matches_its_own_positive(shared_data: Path) -> None:
    missed = []
    folders = sorted(one for one in (shared_data / "rules" / "sigma-regression").iterdir() if one.is_dir())
    for folder in folders:
        samples = [
            EngineSample("positive", "evtx-json", one.read_bytes())
            for one in sorted(folder.glob("positive*.json"))
        ]
        answer = try_rule((folder / "rule.yml").read_bytes(), read_samples(samples))
        if not samples or answer.tp != len(samples):
            missed.append(folder.name)
    assert len(folders) == 67 and missed == []
