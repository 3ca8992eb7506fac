"""The syntax of the STIX pattern language: whether a text is a pattern at all (STIX 2.1 section 9, and 2.0's).

What no grammar accepts, no tool of a partner can use: it is told to its author before it leaves. What a pattern
means, and how far it is read, is for `pattern`. Here everything is let through that one of the two versions accepts.

Apart from its parentheses the language is regular, for which operator binds more tightly does not matter here: so it
is followed from token to token, with two counters. Linear in the length of the text, without recursion.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from p2pshare.intel.runs import run_end

_BLANKS = " \t\r\n\v\f\x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
_LINE = re.compile(r"[^\r\n]*+")
_SKIPPED = re.compile(rf"[{_BLANKS}]*+")
# The longest match decides, as in the reference's lexer; what begins like a word is told apart afterwards.
_TOKEN = re.compile(
    r"""(?P<timestamp>t'\d{4}-(?:0[1-9]|1[012])-(?:0[1-9]|[12]\d|3[01])T(?:[01]\d|2[0-3]):[0-5]\d:(?:[0-5]\d|60)(?:\.\d++)?Z')
      | (?P<binary>h'[0-9A-Fa-f]*+'|b'[A-Za-z0-9+/]*+={0,2}')
      | (?P<float>[+-]?\d*+\.\d++)
      | (?P<integer>[+-]?(?:0|[1-9]\d*+))
      | (?P<word>[a-zA-Z_][\w-]*+)
      | (?P<sign>==?|!=|<>|<=?|>=?|[\[\]().,:*])
      | (?P<quote>')""",
    re.ASCII | re.VERBOSE,
)
_CHARACTERS = re.compile(r"(?:[^'\\]++|\\['\\]){1,1000}")
_LITERALS = frozenset({"timestamp", "float", "integer", "string", "true", "false", "hex"})
# fmt: off
KEYWORDS = frozenset(
    {
        "AND", "OR", "NOT", "FOLLOWEDBY", "LIKE", "MATCHES", "ISSUPERSET", "ISSUBSET", "EXISTS", "LAST", "IN",
        "START", "STOP", "SECONDS", "WITHIN", "REPEATS", "TIMES", "true", "false",
    }
)
# fmt: on
_ORDERED = frozenset({"<", ">", "<=", ">="})
_EQUAL = frozenset({"=", "==", "!=", "<>"})
_OF_STRINGS = frozenset({"LIKE", "MATCHES", "ISSUPERSET", "ISSUBSET"})


class _Wrong(Exception):
    """Raised for a text that is no pattern."""


def is_pattern(text: str) -> bool:
    """Returns whether the grammar of STIX 2.1, or of 2.0, accepts `text`. Never raises."""
    try:
        _Follower(text).follow()
    except _Wrong:
        return False
    return True


class _Follower:
    """Follower of one text, a token ahead: `_kind` is the token's kind, which for a sign or keyword is itself."""

    def __init__(self, text: str) -> None:
        self._tokens = _tokens_of(text)
        self._kind = ""
        self._next()

    def follow(self) -> None:
        depth = 0
        while True:
            while self._took("("):
                depth += 1
            self._observation()
            self._qualifiers()
            while depth and self._took(")"):
                depth -= 1
                self._qualifiers()
            if not (self._took("AND") or self._took("OR") or self._took("FOLLOWEDBY")):
                break
        if depth or self._kind != "end":
            raise _Wrong

    def _observation(self) -> None:
        self._take("[")
        depth = 0
        while True:
            while self._took("("):
                depth += 1
            self._comparison()
            while depth and self._took(")"):
                depth -= 1
            if not (self._took("AND") or self._took("OR")):
                break
        if depth:
            raise _Wrong
        self._take("]")

    def _qualifiers(self) -> None:
        while True:
            if self._took("START"):
                self._take("timestamp")
                self._take("STOP")
                self._take("timestamp")
            elif self._took("WITHIN"):
                self._take("integer", "float")
                self._take("SECONDS")
            elif self._took("REPEATS"):
                self._take("integer")
                self._take("TIMES")
            else:
                return

    def _comparison(self) -> None:
        if self._took("EXISTS"):
            if self._kind != ":":
                self._path()
                return
            self._steps()  # 2.0 has no such word: there it is a name
        else:
            self._path()
        self._took("NOT")
        sign = self._kind
        self._next()
        if sign in _EQUAL:
            self._take(*_LITERALS)
        elif sign in _ORDERED:
            self._take(*(_LITERALS - {"true", "false"}))
        elif sign in _OF_STRINGS:
            self._take("string")
        elif sign == "IN":
            self._take("(")
            if self._took(")"):
                return
            self._take(*_LITERALS)
            while self._took(","):
                self._take(*_LITERALS)
            self._take(")")
        else:
            raise _Wrong

    def _path(self) -> None:
        self._take("name", "name-with-hyphen", "EXISTS")
        self._steps()

    def _steps(self) -> None:
        self._take(":")
        self._take("name", "string", "EXISTS")
        while True:
            if self._took("."):
                self._take("name", "string", "EXISTS")
            elif self._took("["):
                self._take("integer", "*")
                self._take("]")
            else:
                return

    def _take(self, *kinds: str) -> None:
        if self._kind not in kinds:
            raise _Wrong
        self._next()

    def _took(self, kind: str) -> bool:
        if self._kind != kind:
            return False
        self._next()
        return True

    def _next(self) -> None:
        self._kind = next(self._tokens, "end")


def _tokens_of(text: str) -> Iterator[str]:
    """Yields the kind of each token. Raises _Wrong at what is none."""
    position = _after_blanks(text, 0)
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise _Wrong
        kind, written = match.lastgroup or "", match[0]
        position = match.end()
        if kind == "quote":
            position = run_end(_CHARACTERS, text, position)
            if not text.startswith("'", position):
                raise _Wrong
            position += 1
            yield "string"
        elif kind == "word":
            yield written if written in KEYWORDS else "name-with-hyphen" if "-" in written else "name"
        elif kind == "binary":
            if (written[0] == "h" and len(written) % 2 == 0) or (written[0] == "b" and len(written) % 4 != 3):
                raise _Wrong  # half a byte; base64 comes in fours
            yield "hex"
        else:
            yield written if kind == "sign" else kind
        position = _after_blanks(text, position)


def _after_blanks(text: str, position: int) -> int:
    """Returns the position behind the blanks and comments that begin at `position`. Raises _Wrong for a comment that does not
    end."""
    while True:
        blank = _SKIPPED.match(text, position)
        position = blank.end() if blank else position
        if text.startswith("/*", position):
            end = text.find("*/", position + 2)
            if end < 0:
                raise _Wrong
            position = end + 2
        elif text.startswith("//", position):
            line = _LINE.match(text, position)
            position = line.end() if line else position
        else:
            return position
