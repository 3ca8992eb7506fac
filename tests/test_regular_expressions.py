"""Regular expressions: none repeats a group possessively, for Python before 3.11.5 misreads such groups.

Debian 12 has 3.11.2: https://github.com/python/cpython/issues/106052. Looked through is every string of the source, parsed as
`re` parses it, for which of them become expressions only running would tell.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from re import _constants as opcodes
from re import _parser as parser
from typing import Any

import pytest

ONE_CHARACTER = frozenset({opcodes.LITERAL, opcodes.NOT_LITERAL, opcodes.ANY, opcodes.IN})
AS_WRITTEN = re.compile(r"\)(?:[*+?]|\{\d*,?\d*\})\+|\(\?>")
SOME_GROUP = "(?:ab)"  # stands for what an f-string or a sum puts in at run time

BREACHES = [
    r're.compile(r"(?:a|bc)*+")',
    r're.compile(r"(?P<name>a)++x")',
    r're.compile(rb"x(?:ab){2,3}+")',
    r're.compile("a(?>bc)d")',
    r're.compile(r"x(?=(?:ab|c)?+)")',
    r're.compile(r"(a|(?:bc|d)*+)*")',
    'PART = "x (?: ab | c ) *+"',
    'PART = "(?:ab|" + OTHER + ")*+"',
    'PART = f"{OTHER}*+"',
    'PART = f"(?:a{OTHER}|b)" "{2}+"',
    'PART = "".join(["(?:a|bc", ")*+"])',
]
ALLOWED = [
    r"""re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*"')""",
    r're.compile(r"\w++(?:\.\w++){0,100}")',
    r're.compile(r"[0-9a-f]{1,4}+:")',
    r're.compile(r"(?:a|bc)*")',
    r're.compile(r"[()*+,]")',
    '"C++ (and C), more"',
]


def breaches_of(source: str) -> list[str]:
    """The strings in `source` that, taken for regular expressions, repeat a group possessively or have an atomic one."""
    return [text for text in map(written, ast.walk(ast.parse(source))) if text and is_breach(text)]


def written(node: ast.AST | None) -> str | None:
    match node:
        case ast.Constant(value=str() as text):
            return text
        case ast.Constant(value=bytes() as raw):
            return raw.decode("latin-1")
        case ast.JoinedStr(values=parts):
            return "".join(written(part) or SOME_GROUP for part in parts)
        case ast.BinOp(left=left, op=ast.Add(), right=right) if written(left) or written(right):
            return (written(left) or SOME_GROUP) + (written(right) or SOME_GROUP)
    return None


def is_breach(text: str) -> bool:
    """A part of an expression need not parse: there the signs themselves are looked for."""
    parses = list(parses_of(text))
    return any(map(has_breach, parses)) if parses else AS_WRITTEN.search(text) is not None


def parses_of(text: str) -> Iterator[Any]:
    for flags in (0, re.VERBOSE):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with suppress(re.error, OverflowError):
                yield parser.parse(text, flags)


def has_breach(parsed: Any) -> bool:
    if isinstance(parsed, parser.SubPattern):
        return any(map(has_breach, parsed.data))
    if not isinstance(parsed, tuple | list) or not parsed:
        return False
    if parsed[0] is opcodes.ATOMIC_GROUP:
        return True
    if parsed[0] is opcodes.POSSESSIVE_REPEAT:
        repeated = parsed[1][2]
        return len(repeated) != 1 or repeated[0][0] not in ONE_CHARACTER
    return any(map(has_breach, parsed))


def test_no_group_is_repeated_possessively(repository: Path) -> None:
    files = [*(repository / "src").rglob("*.py"), *(repository / "scripts").rglob("*.py")]
    scripts = [path for path in (repository / "scripts").iterdir() if path.is_file() and not path.suffix]
    files += [path for path in scripts if "python" in path.read_text().partition("\n")[0]]
    assert len(files) > 100
    for path in files:
        assert breaches_of(path.read_text()) == [], path


@pytest.mark.parametrize("line", BREACHES)
def test_a_deliberate_breach_is_seen(line: str) -> None:
    assert breaches_of(line)


@pytest.mark.parametrize("line", ALLOWED)
def test_what_is_read_alike_everywhere_is_allowed(line: str) -> None:
    assert breaches_of(line) == []
