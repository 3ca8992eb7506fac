"""Long runs of escapes, steps and words: read as short ones are, in memory that does not grow with them, in one pass."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pshare.importers.yara_text import split_rules
from p2pshare.intel.json_mending import mend
from p2pshare.intel.json_rescue import mask_faulty
from p2pshare.intel.json_text import Fault, half_surrogate_at, string_end
from p2pshare.intel.pattern import comparisons_of
from p2pshare.intel.refusals import Refusals
from p2pshare.limits import MIB

COUNTS = (1, 99, 100, 101, 999, 1_000, 1_001, 2_000, 2_001)  # around what one match takes


def mended(raw: bytes) -> list[bytes]:
    return mend(raw, Refusals())


def names_of_rules(text: str) -> list[str]:
    return [rule.name for rule in split_rules(text).rules]


def in_one_rule(strings: str, condition: str = "true") -> str:
    return f"rule a {{ strings: {strings} condition: {condition} }} rule b {{ condition: true }}"


@given(st.lists(st.sampled_from([b"\\", b'"', b"a", b"\n", b'\\"', b"\\\\"]), max_size=12).map(b"".join))
def test_a_string_ends_behind_the_first_quote_that_is_not_escaped(text: bytes) -> None:
    position = 0
    while position < len(text) and text[position : position + 1] != b'"':
        if text[position : position + 1] == b"\\" and position + 1 == len(text):
            break
        position += 2 if text[position : position + 1] == b"\\" else 1
    is_closed = text[position : position + 1] == b'"'
    assert string_end(b'"' + text, 1) == 1 + position + is_closed


@pytest.mark.parametrize("count", COUNTS)
def test_a_string_of_many_escapes_is_one_string(count: int) -> None:
    text = b'"' + b'\\",]x' * count + b'"'
    assert string_end(text + b'"', 1) == len(text)
    assert mended(b"[" + text + b",]") == [b"[" + text + b"]"]
    faulty = b'{"b": ' + text[:-1] + b'\\ud800"}'
    masked, faults = mask_faulty(b"[" + faulty + b', {"a": ' + text + b"}]")
    assert masked == b'["0", {"a": ' + text + b"}]"
    assert faults == {0: Fault("half-surrogate", "/b")}


@pytest.mark.parametrize("count", COUNTS)
def test_half_a_character_behind_many_whole_ones_is_found(count: int) -> None:
    whole = b'"' + b"\\ud83d\\ude00\\n\\u0041-" * count
    assert half_surrogate_at(whole + b'"') == -1
    assert half_surrogate_at(whole + b'\\ude00"') == len(whole)


@pytest.mark.parametrize("count", COUNTS)
def test_patterns_of_many_steps_and_escapes_are_read(count: int) -> None:
    path, text = "a:b" + ".c[*].'d'" * count, "it\\'s \\\\" * count
    assert comparisons_of(f"[{path} = 'x' OR file:name = '{text}']") == (("file-name", "it's \\" * count),)
    assert comparisons_of(f"[{path}.'d = 'x' OR file:name = 'x']") == ()
    assert comparisons_of(f"[file:name = '{text}\\n']") == ()
    assert comparisons_of(f"[file:name = '{text}") == ()


@pytest.mark.parametrize("count", COUNTS)
def test_rules_of_many_escapes_and_dots_are_told_apart(count: int) -> None:
    strings = '$a = "' + '\\"}x' * count + '" $b = /' + "\\/}x" * count + "/ /* " + "}*" * count + " */"
    words = "pe" + ".x" * count
    found = split_rules(in_one_rule(strings, words))
    assert [rule.name for rule in found.rules] == ["a", "b"]
    assert words in found.rules[0].words


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        (in_one_rule('$a = "}'), []),
        (in_one_rule('$a = "\\"'), []),
        (in_one_rule('$a = "\\\\"'), ["a", "b"]),
        (in_one_rule("$a = /}\\/\n"), []),  # an escaped slash ends no regular expression
        (in_one_rule("$a = /}\\\\/\n"), ["a", "b"]),
        (in_one_rule("/* } **/"), ["a", "b"]),
        (in_one_rule("/*/ } */"), ["a", "b"]),
        (in_one_rule("/**/"), ["a", "b"]),
        (in_one_rule("/* }"), []),
        (in_one_rule("// }"), []),
        (in_one_rule("// }\n"), ["a", "b"]),
        (in_one_rule("", "a..b and a. and of (a*)"), ["a", "b"]),
    ],
)
def test_where_a_rule_ends(text: str, kept: list[str]) -> None:
    assert names_of_rules(text) == kept


def refused(raw: bytes) -> Any:
    with pytest.raises(Exception, match="nests deeper"):
        mask_faulty(raw)


@pytest.mark.parametrize(
    ("read", "text"),
    [
        (half_surrogate_at, b'"' + b"\\n" * MIB),
        (mended, b'[1,],"' + b'\\"' * MIB),
        (refused, b'["' + b'\\"' * MIB),
        (comparisons_of, "[a:b" + ".c" * MIB + " = 'x']"),
        (comparisons_of, "[file:name = '" + "\\'" * MIB + "']"),
        (split_rules, in_one_rule('$a = "' + '\\"' * MIB)),
        (split_rules, in_one_rule("$a = /" + "\\/" * MIB)),
        (split_rules, in_one_rule("/*" + "*" * 2 * MIB)),
        (split_rules, in_one_rule("", "a" + ".a" * MIB)),
    ],
)
def test_a_million_repetitions_take_the_memory_of_the_text(read: Callable[[Any], Any], text: Any) -> None:
    """A group that repeats keeps 64 bytes for each time until its match ends, 32 times the size of these texts."""
    tracemalloc.start()
    try:
        read(text)
        assert tracemalloc.get_traced_memory()[1] < 4 * len(text)
    finally:
        tracemalloc.stop()
