"""Fast paths of extraction: whatever a frame holds, they give exactly what the slow ones give."""

from __future__ import annotations

import ipaddress
import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from p2pshare.intel import extraction, json_text
from p2pshare.intel.addresses import canonical_address, is_plain_ipv6
from p2pshare.intel.extraction import Extraction, ObjectFacts, extract
from p2pshare.intel.json_text import is_shallow
from p2pshare.intel.marking import TLP2_IDS, Tlp
from p2pshare.intel.pattern import PATHS, canonical_comparison, comparisons_of, plain_pair
from p2pshare.limits import VALUE_BYTES_MAX

UUID = "34655650-3d18-47b5-bb6c-b9bdb7b26203"
INSTANTS = st.sampled_from(
    [
        "2023-07-28T12:14:36Z",
        "2023-07-28T12:14:36.194Z",
        "2023-07-28T12:14:36.194951Z",
        "1970-01-01T00:00:00Z",
        "2023-07-28T12:14:36+02:00",
        "2023-02-30T12:14:36Z",
        "now",
        "",
    ]
)
VALUES = st.sampled_from(
    [
        "192.0.2.1",
        "192.0.2.0/24",
        "192.0.2.999",
        "2001:db8::1",
        "2001:DB8::1",
        "::ffff:192.0.2.1",
        "evil.example",
        "EVIL.example",
        "localhost",
        "https://evil.example/a",
        "HTTPS://evil.example",
        "https://evil.example/" + "a" * (VALUE_BYTES_MAX - 21),
        "https://evil.example/" + "a" * (VALUE_BYTES_MAX - 20),
        "d41d8cd98f00b204e9800998ecf8427e",
        "D41D8CD98F00B204E9800998ECF8427E",
        "a' = 'b",
        "\\'",
        "",
        "\u202e",
    ]
)
PATTERNS = (
    st.builds(
        lambda path, sign, value: f"[{path}{sign}'{value}']",
        st.sampled_from(sorted(PATHS)),
        st.sampled_from([" = ", "=", " == ", " != "]),
        VALUES | st.text(max_size=8),
    )
    | st.builds("[ipv4-addr:value = '192.0.2.{}' OR domain-name:value = '{}']".format, st.integers(0, 300), VALUES)
    | st.sampled_from(["", "']", "[", "[ipv4-addr:value IN ('192.0.2.1')]"])
)  # fmt: skip
REFS = st.lists(st.sampled_from([*TLP2_IDS.values(), f"marking-definition--{UUID}", "x"]), max_size=2)
LABELS = st.lists(st.sampled_from(["a", "b", "", "\x1b[2J", "x" * 300]), max_size=3)
OBJECTS = st.fixed_dictionaries(
    {
        "type": st.just("indicator") | st.sampled_from(["relationship", "tool", "x-indicator", ""]),
        "id": st.just(f"indicator--{UUID}")
        | st.sampled_from([f"indicator--{UUID.upper()}", f"indicator--{UUID}\n", f"indicator--{UUID[1:]}", f"tool--{UUID}", ""]),
        "modified": INSTANTS,
        "created": INSTANTS,
        "pattern": PATTERNS,
        "valid_from": INSTANTS,
    },
    optional={
        "pattern_type": st.sampled_from(["stix", "yara", ""]),
        "valid_until": INSTANTS,
        "created_by_ref": st.sampled_from([f"identity--{UUID}", "me"]) | st.none(),
        "confidence": st.integers(0, 100) | st.none() | st.just(101),
        "revoked": st.booleans(),
        "labels": LABELS,
        "indicator_types": LABELS,
        "object_marking_refs": REFS,
        "granular_markings": st.lists(st.fixed_dictionaries({"marking_ref": st.sampled_from(list(TLP2_IDS.values()))}), max_size=1),
    },
)  # fmt: skip
ORDINARY = {
    "type": "indicator",
    "id": f"indicator--{UUID}",
    "modified": "2023-07-28T12:14:36.194Z",
    "created": "2023-07-28T12:14:36.194Z",
    "pattern": "[domain-name:value = 'evil.example']",
    "valid_from": "2023-07-28T12:14:36.194Z",
}
# Most of a list's objects are like the one before in all but a few properties.
NEAR = st.builds(
    lambda one, names: ORDINARY | {name: one[name] for name in names & one.keys()},
    OBJECTS,
    st.sets(st.sampled_from([*ORDINARY, "labels", "object_marking_refs", "valid_until", "created_by_ref"]), max_size=2),
)  # fmt: skip


def said(found: Extraction) -> tuple[object, ...]:
    counts = found.refusals.counts, found.notes.counts
    return found.objects, *counts, found.refusals.to_json(), found.notes.to_json()


def slowly(raw: bytes, floor: Tlp) -> Extraction:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(extraction._FrameReader, "_plain_facts", lambda *_: None)
        return extract(raw, floor=floor)


@given(st.lists(OBJECTS | NEAR, max_size=8), st.sampled_from(Tlp))
@example([ORDINARY, ORDINARY], Tlp.CLEAR)
@example([ORDINARY, ORDINARY | {"labels": ["\x1b"]}, ORDINARY | {"labels": ["\x1b"]}], Tlp.CLEAR)
@example([ORDINARY | {"object_marking_refs": ["x"]}] * 2, Tlp.CLEAR)
@example([ORDINARY, ORDINARY | {"valid_from": ""}], Tlp.CLEAR)
@example([ORDINARY, ORDINARY | {"created": "now"}], Tlp.CLEAR)
def test_the_fast_path_says_what_the_slow_one_says(objects: list[dict[str, Any]], floor: Tlp) -> None:
    raw = json.dumps(objects).encode()
    assert said(extract(raw, floor=floor)) == said(slowly(raw, floor))


UNUSUAL: list[dict[str, Any]] = [
    {"type": "relationship"},
    {"pattern_type": "yara"},
    {"created_by_ref": "me"},
    {"created_by_ref": f"identity--{UUID}"},
    {"granular_markings": [{"marking_ref": TLP2_IDS[Tlp.RED]}]},
    {"object_marking_refs": [TLP2_IDS[Tlp.AMBER]]},
    {"labels": ["\x1b[2J"]},
    {"id": f"indicator--{UUID}0"},
    {"modified": "1970-01-01T00:00:00Z"},
    {"valid_from": "1970-01-01T00:00:00Z"},
    {"valid_until": "never"},
    {"revoked": True},
    {"confidence": 0},
]


@pytest.mark.parametrize("unusual", UNUSUAL)
def test_what_is_unusual_about_one_object_is_not_lost_behind_ordinary_ones(unusual: dict[str, Any]) -> None:
    raw = json.dumps([ORDINARY, ORDINARY | unusual, ORDINARY | unusual, ORDINARY]).encode()
    assert said(extract(raw, floor=Tlp.GREEN)) == said(slowly(raw, Tlp.GREEN))


def test_an_ordinary_indicator_takes_the_fast_path() -> None:
    taken: list[bool] = []
    plain_facts = extraction._FrameReader._plain_facts

    def noted(*arguments: Any) -> ObjectFacts | None:
        found = plain_facts(*arguments)
        taken.append(found is not None)
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(extraction._FrameReader, "_plain_facts", noted)
        extract(json.dumps([ORDINARY] * 3).encode(), floor=Tlp.CLEAR)
    assert taken == [False, True, True]  # the first of a frame teaches its author, markings and labels


@given(PATTERNS)
@example("[url:value = 'https://evil.example/" + "a" * VALUE_BYTES_MAX + "']")
@example("[url:value = 'https://evil.example/\\'https://evil.example/']")
def test_a_plain_pair_is_what_the_reader_finds(pattern: str) -> None:
    fast = plain_pair(pattern)
    if fast is not None:
        ((type_, text),) = comparisons_of(pattern)
        assert canonical_comparison(type_, text) == fast


GROUP = st.sampled_from(["0", "1", "00", "01", "ffff", "fffff", "a", "A", "", "g"]) | st.integers(
    0, 65535
).map("{:x}".format)
NEAR_IPV6 = st.lists(GROUP, min_size=1, max_size=9).map(":".join) | st.ip_addresses(v=6).map(str) | st.builds(
    "{}::{}".format, st.lists(GROUP, max_size=7).map(":".join), st.lists(GROUP, max_size=7).map(":".join)
)  # fmt: skip


@given(NEAR_IPV6)
@example("1:2:3:4:5::6")
@example("1:2:3:4:5:6::7")
@example("1:2:3::4:5:6")
@example("::ffff:1")
def test_fast_ipv6_is_canonical_already(text: str) -> None:
    if is_plain_ipv6(text):
        assert canonical_address(text) == ("ipv6", text)
        assert str(ipaddress.IPv6Address(text)) == text


def test_ordinary_ipv6_addresses_take_the_fast_path() -> None:
    assert all(map(is_plain_ipv6, ["2001:db8::1", "fe80::1:2:3:4", "2a02:4780:1:10::a"]))


@given(st.text("[]{}", max_size=60), st.integers(0, 12), st.integers(0, 12))
@example("[[[[[[[[[[]]]]]]]]]]", 10, 8)
@example("[[[[[[[[[[]]]]]]]]]]", 9, 8)
@example("[[[[[]]]]]", 3, 8)
@example("[[", 1, 8)
@example("][", 3, 8)
def test_collapsing_brackets_finds_the_same_depth_as_counting(text: str, depth_max: int, passes: int) -> None:
    raw = text.encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_text, "_ORDINARY_DEPTH", passes)
        fast = is_shallow(raw, depth_max)
        patch.setattr(json_text, "_ORDINARY_DEPTH", 0)
        assert fast == is_shallow(raw, depth_max)
