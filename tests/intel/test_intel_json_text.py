"""JSON before it is believed: depth without recursion, duplicate keys, numbers that are none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pshare.errors import AuthorError
from p2pshare.intel import json_text
from p2pshare.intel.json_text import (
    Fault,
    find_half_surrogate,
    half_surrogate_at,
    is_shallow,
    parse_object,
    without_bom,
)
from p2pshare.limits import JSON_DEPTH_MAX, MIB, OBJECT_BRACKETS_MAX

TREES = st.recursive(
    st.none() | st.text('[]{}"\\ab', max_size=6) | st.integers(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text('[]{}"\\a', max_size=3), inner, max_size=3)
    ),
    max_leaves=20,
)


def depth_of(tree: Any) -> int:
    if isinstance(tree, dict):
        return 1 + max(map(depth_of, tree.values()), default=0)
    return 1 + max(map(depth_of, tree), default=0) if isinstance(tree, list) else 0


@given(TREES, st.integers(0, 6), st.booleans())
def test_depth_equals_that_of_the_parsed_tree(tree: Any, depth_max: int, is_ascii: bool) -> None:
    raw = json.dumps(tree, ensure_ascii=is_ascii).encode()
    assert is_shallow(raw, depth_max) == (depth_of(tree) <= depth_max)


@given(TREES, st.integers(1, 40))
def test_depth_does_not_depend_on_where_chunks_end(tree: Any, chunk: int) -> None:
    raw = json.dumps(tree).encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_text, "_CHUNK_BYTES", chunk)
        assert is_shallow(raw, 3) == (depth_of(tree) <= 3)


def test_depth_at_the_limit_and_one_above() -> None:
    assert is_shallow(b"[" * JSON_DEPTH_MAX + b"]" * JSON_DEPTH_MAX)
    assert not is_shallow(b"[" * (JSON_DEPTH_MAX + 1) + b"]" * (JSON_DEPTH_MAX + 1))
    assert not is_shallow(b'{"a":' * (JSON_DEPTH_MAX + 1))


def test_hostile_texts_are_looked_at_without_recursion() -> None:
    for raw in (
        b"[" * MIB,
        b"[]" * MIB,
        b'"[",' * MIB,
        b'"' + b'\\"' * MIB,
        b'"' + b"\\" * MIB,
        (b"[" * 64 + b"]" * 64) * 8192,
    ):
        assert is_shallow(raw) == (not raw.startswith(b"[[") or raw.endswith(b"]"))


@given(st.binary(max_size=200))
def test_no_bytes_raise_in_the_depth_check(raw: bytes) -> None:
    is_shallow(raw)


@pytest.mark.parametrize(
    ("raw", "fault"),
    [
        (b'{"a":1,"a":2}', Fault("duplicate-key", "/a")),
        (b'{"a":[{"b/~":{"c":1,"c":1}}]}', Fault("duplicate-key", "/a/0/b~1~0/c")),
        (b'{"\\u0061":1,"a":1}', Fault("duplicate-key", "/a")),
        (b'{"a":[1,NaN]}', Fault("not-a-number", "/a/1")),
        (b'{"a":-Infinity}', Fault("not-a-number", "/a")),
        (b'{"a":tru}', Fault("not-json", "")),
        (b"[1]", Fault("not-an-object", "")),
        (b'"x"', Fault("not-an-object", "")),
    ],
)
def test_faults_name_their_place(raw: bytes, fault: Fault) -> None:
    assert parse_object(raw) == (None, fault)


@pytest.mark.parametrize("more", [-1, 0, 1])
def test_an_object_of_nothing_but_lists_is_refused_before_each_takes_a_hundred_bytes(more: int) -> None:
    """Of 250 KB of brackets, 6 KB on the wire, a reader made 11 MB of lists."""
    raw = b'{"a":[' + b",".join([b"[]"] * (OBJECT_BRACKETS_MAX - 2 + more)) + b"]}"
    parsed, fault = parse_object(raw)
    assert fault == (Fault("too-many-brackets", "") if more > 0 else None)
    assert (parsed is None) == (more > 0)


def test_a_number_of_a_million_digits_costs_nothing() -> None:
    parsed, fault = parse_object(b'{"a":' + b"9" * MIB + b"}")
    assert fault is None
    assert parsed == {"a": float("inf")}


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ("{}".encode("utf-16"), "encoding"),
        ("{}".encode("utf-16-le"), "encoding"),
        ("{}".encode("utf-32"), "encoding"),
        (b'{"a":"\xff"}', "not-utf8"),
        (b'{"a":"\xc3', "not-utf8"),
    ],
)
def test_other_encodings_are_told(raw: bytes, reason: str) -> None:
    with pytest.raises(AuthorError) as caught:
        without_bom(raw)
    assert caught.value.reason == reason


def test_json_test_suite(shared_data: Path) -> None:
    seen = 0
    for path in sorted((shared_data / "formats/json-test-suite").glob("[yn]_*.json")):
        raw = path.read_bytes()
        seen += 1
        # Put into an object so that every kind of value can be asked for.
        is_accepted = is_shallow(raw) and parse_object(b'{"value":' + raw + b"}")[1] is None
        try:
            without_bom(raw)
        except AuthorError:
            is_accepted = False
        if path.name.startswith("n_"):
            assert not is_accepted, path.name
        elif "duplicated" not in path.name:  # JSON allows duplicate keys; we do not
            assert is_accepted, path.name
    assert seen > 100


@given(
    st.lists(
        st.sampled_from(["a", "\\", '"', "\ud800", "\udc00", "\U0001f600", "\x00", "\\ud800"]), max_size=6
    )
)
def test_half_of_a_surrogate_pair_is_found_in_text_as_in_what_it_says(characters: list[str]) -> None:
    written = json.dumps(["".join(characters)])
    said = json.loads(written)
    assert (half_surrogate_at(written.encode()) >= 0) == (find_half_surrogate(said) is not None)


def test_half_surrogates_are_looked_for_in_one_pass() -> None:
    pair, half = b"\\ud83d\\ude00", b"\\ud83d"
    assert half_surrogate_at(b'"' + pair * MIB + b'"') == -1
    assert half_surrogate_at(b'"' + b"\\" * MIB + half + b'"') == MIB + 1
    assert half_surrogate_at(b'"' + pair * MIB + half + b'"') == len(pair) * MIB + 1
