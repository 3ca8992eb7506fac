"""YARA source cut into rules, without a compiler and without running anything.

Only signs that show where a rule ends are understood: comments, texts, regular expressions, braces. The parts of its
file that a rule needs (imports, rules it names, global rules) are found by the words in it. Linear: no pattern below
goes back over what it has read, and every token ends behind its beginning. YARA documentation, "Writing YARA rules".
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from p2pshare.intel.runs import run_end

_TOKEN = re.compile(
    r"""
    (?P<comment> //[^\n]*+ | /\* )
  | (?P<text> " )
  | (?P<regex> /(?=[^/\\\n]|\\[^\n]) )
  | (?P<pattern> [$\#@!]\w++\*? )
  | (?P<word> [A-Za-z_]\w*+ )
  | (?P<number> -?\d[\w.]*+ )
  | (?P<sign> [{}:=] )
    """,
    re.VERBOSE | re.ASCII,
)
# How a token goes on, and the sign that ends it (a word needs none).
_REST = {
    "text": (re.compile(r'(?:[^"\\\n]++|\\[^\n]){1,1000}'), '"'),
    "regex": (re.compile(r"(?:[^/\\\n]++|\\[^\n]){1,1000}"), "/"),
    "word": (re.compile(r"(?:\.\w++){1,1000}", re.ASCII), "*"),
}
_ESCAPE = re.compile(r'\\(?:x([0-9A-Fa-f]{2})|([nrt"\\]))')
_ESCAPED = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\"}
MODIFIERS = frozenset({"private", "global"})
SECTIONS = frozenset({"meta", "strings", "variables", "condition"})


class Token(NamedTuple):
    kind: str
    text: str
    start: int
    end: int


@dataclass
class YaraRule:
    """A rule as it stands in its file, from `start` to `end`, and the comments right before it from `begin`."""

    name: str
    begin: int
    start: int
    end: int = 0
    is_global: bool = False
    tags: list[str] = field(default_factory=list)
    meta: list[tuple[str, str]] = field(default_factory=list)
    words: set[str] = field(default_factory=set)


@dataclass
class YaraFile:
    """The rules and imports of a file. `broken` is the position of something that is no rule: nothing behind
    it could be told apart."""

    rules: list[YaraRule] = field(default_factory=list)
    imports: list[str] = field(default_factory=list)
    has_includes: bool = False
    broken: int | None = None


def split_rules(text: str) -> YaraFile:
    """Returns the rules of a file, in order. Never raises; what follows `broken` is not looked at."""
    found = YaraFile()
    tokens = _tokens(text)
    behind = 0  # the end of what came before
    start: int | None = None  # of the modifiers of the rule to come
    modifiers: set[str] = set()
    for token in tokens:
        if token.kind == "word" and token.text in ("import", "include") and start is None:
            named = next(tokens, None)
            if named is None or named.kind != "text":
                found.broken = token.start
                break
            behind = named.end
            if token.text == "include":
                found.has_includes = True
            else:
                found.imports.append(named.text)
        elif token.kind == "word" and token.text in MODIFIERS:
            start = token.start if start is None else start
            modifiers.add(token.text)
        elif token.kind == "word" and token.text == "rule":
            rule = _read_rule(tokens, behind, token.start if start is None else start)
            if rule is None:
                found.broken = token.start
                break
            rule.is_global = "global" in modifiers
            found.rules.append(rule)
            behind, start, modifiers = rule.end, None, set()
        else:
            found.broken = token.start
            break
    return found


def _tokens(text: str) -> Iterator[Token]:
    """Yields all tokens but comments. An open comment, text or regular expression is a token `open`."""
    end = 0
    while (match := _TOKEN.search(text, end)) is not None:
        start = match.start()
        end, is_whole = _end_of(match, text)
        kind = (match.lastgroup or "") if is_whole else "open"
        if kind != "comment":
            yield Token(kind, text[start + 1 : end - 1] if kind == "text" else text[start:end], start, end)


def _end_of(match: re.Match[str], text: str) -> tuple[int, bool]:
    """Returns the end of the token that begins with `match`, and whether it ends as it must."""
    if match[0] == "/*":
        closing = text.find("*/", match.end())
        return (closing + 2, True) if closing >= 0 else (len(text), False)
    if match.lastgroup not in _REST:
        return match.end(), True
    pieces, sign = _REST[match.lastgroup]
    end = run_end(pieces, text, match.end())
    is_ended = text.startswith(sign, end)
    return end + is_ended, is_ended or match.lastgroup == "word"


def _read_rule(tokens: Iterator[Token], begin: int, start: int) -> YaraRule | None:
    """Returns the rule whose keyword was read; None for one that does not end."""
    name = next(tokens, None)
    if name is None or name.kind != "word":
        return None
    rule = YaraRule(name.text, begin, start)
    depth = 0
    section = ""
    before = earlier = name
    for token in tokens:
        if token.kind == "open":
            return None
        if token.text == "{" and token.kind == "sign":
            depth += 1
        elif token.text == "}" and token.kind == "sign":
            depth -= 1
            if depth <= 0:
                rule.end = token.end
                return rule if depth == 0 else None
        elif depth == 0 and token.kind == "word":
            rule.tags.append(token.text)
        elif depth == 1:
            if token.text == ":" and before.text in SECTIONS:
                section = before.text
            elif section == "meta" and before.text == "=" and before.kind == "sign":
                rule.meta.append(
                    (earlier.text, _unescape(token.text) if token.kind == "text" else token.text)
                )
            if token.kind == "word" and section != "meta":
                rule.words.add(token.text)
        earlier, before = before, token
    return None


def _unescape(text: str) -> str:
    return _ESCAPE.sub(lambda match: chr(int(match[1], 16)) if match[1] else _ESCAPED[match[2]], text)
