"""Fast paths of extraction: whatever a frame holds, they give exactly what the slow ones give."""

from __future__ import annotations

import ipaddress
import json
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from p2pshare.intel import bundle, extraction, json_text
from p2pshare.intel.addresses import canonical_address, is_plain_ipv6
from p2pshare.intel.bundle import BundleObject, check_object
from p2pshare.intel.extraction import Extraction, ObjectFacts, extract
from p2pshare.intel.json_text import Fault, is_shallow, parse_object, says_nothing_twice
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


# --- a file's object, checked fully ---

UNLIKE: list[dict[str, Any]] = [
    {"confidence": 85.0},
    {"confidence": True},
    {"confidence": None},
    {"revoked": 1},
    {"revoked": "true"},
    {"labels": "a"},
    {"labels": [1]},
    {"indicator_types": {}},
    {"extensions": []},
    {"extensions": {"a": {"b": [1, 2.50, None, "\u00e9", 10**18, 10**25]}}},
    {"spec_version": 2.1},
    {"spec_version": None},
    {"object_marking_refs": ["x"]},
    {"object_marking_refs": None},
    {"granular_markings": []},
    {"granular_markings": [{"lang": "en"}]},
    {"granular_markings": [{"marking_ref": TLP2_IDS[Tlp.RED]}]},
    {"granular_markings": {}},
    {"created_by_ref": ""},
    {"created_by_ref": "\x00"},
    {"valid_until": ""},
    {"valid_until": 5},
    {"pattern": ""},
    {"pattern": 7},
    {"pattern_type": ""},
    {"type": "Indicator"},
    {"id": f"indicator--{UUID}\n"},
    {"x_custom": "\ud800"},
    {"x_custom": '\u2028 \x7f / \\ "'},
    {"x_custom": 1e999},
    {"x_custom": -0.0},
    {"x_custom": [[[]]], "description": 'a, b: "c" : {}'},
    {"definition": {}, "name": None},
    *({name: instant} for name in ("created", "modified", "valid_from", "valid_until") for instant in ("now", "2023-02-30T12:14:36Z")),
    *({"modified": "1970-01-01T00:00:00Z", name: "now"} for name in ("created", "valid_from")),
    *({"created": instant, "modified": instant, "valid_from": instant} for instant in ("now", "2023-07-28T12:14:36+02:00")),
]  # fmt: skip
WRONG = st.sampled_from(UNLIKE)
STRICT = ORDINARY | {"pattern_type": "stix", "spec_version": "2.1"}
WRITTEN = st.sampled_from(
    [
        {"separators": (",", ":")},
        {},
        {"indent": 2},
        {"separators": (" ,", " : ")},
        {"ensure_ascii": False, "separators": (",", ":")},
    ]
)
CHECKED = st.builds(
    lambda one, wrong, dropped: {
        key: value for key, value in (STRICT | one | wrong).items() if key not in dropped
    },
    st.just({}) | NEAR | OBJECTS,
    st.just({}) | WRONG,
    st.just(set()) | st.sets(st.sampled_from([*STRICT]), max_size=1),
)


def checked_slowly(raw: bytes) -> BundleObject | Fault:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bundle, "_check_plainly", lambda *_: None)
        return check_object(raw)


@pytest.mark.parametrize("unlike", UNLIKE, ids=str)
def test_an_object_that_is_unlike_others_in_one_thing_is_taken_or_refused_all_the_same(
    unlike: dict[str, Any],
) -> None:
    raw = json.dumps(STRICT | unlike, separators=(",", ":"), ensure_ascii=False).encode(
        "utf-8", "surrogatepass"
    )
    assert check_object(raw) == checked_slowly(raw)


@given(CHECKED, WRITTEN)
@example(STRICT, {})
def test_an_object_is_taken_or_refused_the_fast_way_as_the_slow_one(
    stix: dict[str, Any], written: dict[str, Any]
) -> None:
    raw = json.dumps(stix, **written).encode("utf-8", "surrogatepass")
    assert check_object(raw) == checked_slowly(raw)


@given(CHECKED, WRITTEN, st.sampled_from(['"a":1,', '"a" :1 ,', '"\\u0061":2,', '"a":"\\u00e9",']))
def test_a_key_that_stands_twice_is_seen_inside_of_an_object_however_it_is_written(
    stix: dict[str, Any], written: dict[str, Any], again: str
) -> None:
    text = json.dumps(stix | {"x_custom": {"a": 1, "b": [{"c": "d"}]}}, **written)
    place = text.index("{", text.rindex('"x_custom"')) + 1
    raw = (text[:place] + again + text[place:]).encode("utf-8", "surrogatepass")
    found = check_object(raw)
    assert isinstance(found, Fault)
    assert found == checked_slowly(raw)


@given(CHECKED, WRITTEN, st.sampled_from([*STRICT, "x_custom"]))
def test_a_key_that_stands_twice_is_seen_outside(
    stix: dict[str, Any], written: dict[str, Any], again: str
) -> None:
    text = json.dumps(stix | {"x_custom": 1}, **written)
    raw = ("{" + json.dumps({again: stix.get(again)})[1:-1] + "," + text[1:]).encode("utf-8", "surrogatepass")
    found = check_object(raw)
    assert isinstance(found, Fault) or again not in stix
    assert found == checked_slowly(raw)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b'{"a":1,"b":[{"c":"d"}]}', True),
        (b' { "a" : 1 ,\n "b" : [ { "c" : "d" } ] } ', True),
        (b'{"a":1,"a":1}', False),
        (b'{"b":[{"c":"d","c":"d"}]}', False),
        (b'{"a": 1, "\\u0061": 2}', False),
        (b'{"a": "\\u00e9", "a": "\\u00e9"}', False),
        (b'{"a":1,"a":1e6}', False),  # as long as what is written anew
    ],
)
def test_what_is_written_anew_as_it_stood_says_nothing_twice(raw: bytes, expected: bool) -> None:
    assert says_nothing_twice(raw, msgspec.json.decode(raw)) is expected
    assert (parse_object(raw)[1] is None) is expected


@pytest.mark.parametrize("written", [{"separators": (",", ":")}, {}, {"indent": 4}])
def test_an_ordinary_object_is_checked_the_fast_way(written: dict[str, Any]) -> None:
    more = {
        "labels": ["c2"],
        "confidence": 85,
        "object_marking_refs": [TLP2_IDS[Tlp.GREEN]],
        "x_custom": [1, {"a": None}],
    }
    raw = json.dumps(STRICT | more, **written).encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bundle, "parse_object", None)  # the slow way begins with it
        found = check_object(raw)
    assert isinstance(found, BundleObject)
    assert (found.raw, found.marking_refs) == (raw, (TLP2_IDS[Tlp.GREEN],))
