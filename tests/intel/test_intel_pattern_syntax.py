"""The syntax of patterns: what the reference parser accepts is let through, and what it refuses is refused."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from stix2patterns.validator import run_validator

from p2pshare.intel.pattern import comparisons_of
from p2pshare.intel.pattern_syntax import KEYWORDS, is_pattern

PATTERNS = [
    "[a:b = 1]",
    " [ a :b. c = 1 ] ",
    "([a:b = 1] AND ([c:d = 2] OR [e:f = 3])) WITHIN 5 SECONDS REPEATS 2 TIMES",
    "[a:b = 1]REPEATS 5TIMES",
    "[a:b = 1] START t'2020-01-01T00:00:00Z' STOP t'2021-01-01T00:00:00.5Z' FOLLOWEDBY [a:b = 2]",
    "[((a:b = 1) OR a:c = 2) AND EXISTS x-y:'z w'[*].v[0]]",
    "[a:b NOT IN (1, 'a', true, h'ff', b'ZmY=', -1.5, t'2020-01-01T00:00:00Z')]",
    "[a:b IN ()]",
    "[a:b NOT LIKE '' AND a:c MATCHES 'x' AND a:d ISSUBSET 'x' AND a:e ISSUPERSET 'x']",
    "[a:b != 'x' AND a:b <> 'x' AND a:b == 'x' AND a:b>-1.5 AND a:c <= .5 AND a:d<'x' AND a:e >= +1]",
    "[a:b /* [ */ = 'a\\'\\\\'] // [",
    "[a:b.'SHA-256' = 'x']",
    "[a:and = 'x\ny']",
]
NO_PATTERNS = [
    "",
    "[]",
    "evil.example",
    "[domain-name:value = 'evil.example'",
    "domain-name:value = 'evil.example'",
    "[domain-name:value = 'evil.example']]",
    "[domain-name:value = 'evil.example' [domain-name:value = 'b.example']",
    "([a:b = 1]",
    "[a:b = 1])",
    "[(a:b = 1]",
    "[a:b = 1) ]",
    "[a:b = 'x' or a:c = 'y']",
    "[a:b = 'a\\.b']",
    '[a:b = "x"]',
    "[a:b = \u2018x\u2019]",
    "[NOT a:b = 'a']",
    "[file:hashes.SHA-256 = 'x']",
    "[a:b = 01]",
    "[a:b = TRUE]",
    "[a:b > true]",
    "[a:b LIKE 5]",
    "[a:b IN (1,)]",
    "[a:IN = 1]",
    "[a:b = t'2020-13-01T00:00:00Z']",
    "[a:b = h'f']",
    "[a:b = 1] START '2020-01-01T00:00:00Z' STOP '2021-01-01T00:00:00Z'",
    "[a:b = 1] WITHIN 5 MINUTES",
    "[a:b = 1] AND",
    "[a:b = 1] garbage",
    "[a:b = 1 /* ]",
    "[a:b = 1]\x00",
]
PIECES = st.sampled_from(
    [
        *(f" {keyword} " for keyword in sorted(KEYWORDS)),
        "[", "]", "(", ")", " ", "=", "==", " != ", "<", "<=", "<>", ",", ".", ":", "*", "-", "0", "5", "-5", "1.5", "a", "a-b", "_x9",
        "a:b", "x:y[*].z", "a:'q'", "'a'", "'b\\'c'", "'", "\\", "h'ff'", "b'ZmY='", "t'2020-01-01T00:00:00Z'",
        "[a:b = 1]", "[a:b = 'x']", "a:b = 1", " REPEATS 5 TIMES", " WITHIN 1.5 SECONDS", "/* */", "//", "\n",
    ]
)  # fmt: skip


def check(text: str) -> None:
    """The two versions are not told apart here: a word of 2.1 that is a name in 2.0 may stand beside what 2.0 alone has."""
    is_accepted = reference_accepts(text)
    assert is_pattern(text) or not is_accepted, text
    assert is_accepted or not is_pattern(text) or "EXISTS" in text, text


def reference_accepts(text: str) -> bool:
    """Whether one of the two grammars does; where a reference fails with an error of its own, the example tells nothing."""
    answers = []
    for version in ("2.0", "2.1"):
        try:
            answers.append(run_validator(text, stix_version=version))
        except (AttributeError, UnboundLocalError, TypeError, ValueError):
            assume(False)
    return [] in answers


@pytest.mark.parametrize("text", PATTERNS)
def test_a_pattern_is_one(text: str) -> None:
    assert is_pattern(text)


@pytest.mark.parametrize("text", NO_PATTERNS)
def test_a_text_that_does_not_parse_is_no_pattern(text: str) -> None:
    assert not is_pattern(text)


@given(st.lists(PIECES, max_size=12).map("".join))
@example("[a:LAST = 1]")
@example("[a:EXISTS = 1]")
def test_any_pieces_are_judged_as_by_the_reference_parser(text: str) -> None:
    check(text)


@given(st.sampled_from(PATTERNS), st.integers(0, 200), PIECES | st.just(""))
def test_a_damaged_pattern_is_judged_as_by_the_reference_parser(text: str, place: int, piece: str) -> None:
    place %= len(text)
    check(text[:place] + piece + text[place + 1 :])


@given(st.text(max_size=200))
def test_no_text_raises_and_what_is_read_is_a_pattern(text: str) -> None:
    is_pattern(text)
    if comparisons_of(text):
        assert is_pattern(text)


def test_hostile_texts_end_at_once() -> None:
    size = 200_000
    begun = time.process_time()
    for text in (
        "(" * size,
        "[" + "(" * size,
        "[a:b = '" + "\\'" * size,
        "[a:b" + "[*]" * size,
        "/**/" * size,
        "//\n" * size,
        "//" * size,
        " " * size,
        "[a:b IN (" + "1," * size,
        "[a:b = 1" + " AND a:b = 1" * size,
        "[a:b = " + "1" * size,
        "[a:b = h'" + "f" * size,
    ):
        assert not is_pattern(text)
    assert time.process_time() - begun < 20


def test_every_real_pattern_is_one(shared_data: Path) -> None:
    lines = (shared_data / "stix21/oasis-patterns/spec_examples.txt").read_text().splitlines()
    assert [line for line in lines if line.strip() and not is_pattern(line)] == []
    seen = 0
    for path in [
        *(shared_data / "stix20").rglob("*.json"),
        *(shared_data / "stix21/amnesty").rglob("*.stix2"),
    ]:
        for one in json.loads(path.read_text())["objects"]:
            if one["type"] == "indicator":
                seen += 1
                assert is_pattern(one["pattern"]), one["pattern"]
    assert seen > 1_700
