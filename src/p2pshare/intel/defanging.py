"""Refanging: undo the marks that people put into a value so that nobody clicks on it.

Only whole, known spellings are undone (`hxxp`, `[.]`, `(dot)`, `[at]`, `[:]`, `[://]` ...); everything else
is left as it is, so that an IPv6 address in brackets survives. Linear in the length of the text.
"""

from __future__ import annotations

import re
from typing import NamedTuple

# At most one blank on each side: an unbounded \s* would be quadratic on a line of blanks.
_TOKENS = re.compile(
    r" ?(?:\[ ?(\.|dot|at|@|:|://|/) ?\]|\( ?(\.|dot|at|@|:|://|/) ?\)|\{ ?(\.|dot|at|@|:|://|/) ?\}) ?|\\(\.)",
    re.IGNORECASE,
)
_SCHEME = re.compile(r"(?:h(?:xx|\*\*|__|tt)p|fxp)(s?)(?=:|\[:)", re.IGNORECASE)
# In running text nothing around a mark is taken away: `see (at) home` is no address. `\.` is a regular expression
# or a path there more often than a mark; Markdown writes `\[.\]`.
_SIGN = r" ?(\\?\.|dot|at|@|:|://|/) ?"
_IN_TEXT = re.compile(rf"\\?\[{_SIGN}\\?\]|\({_SIGN}\)|\{{{_SIGN}\}}", re.IGNORECASE)
_MARKS = re.compile(r"[\[({\\]")
_PLAIN = {"dot": ".", "at": "@"}


def refang(text: str) -> str:
    """Returns `https://evil.example.com` for `hxxps://evil[.]example(.)com`, and text without such marks as it is."""
    if _MARKS.search(text) is not None:
        text = _TOKENS.sub(_restore, text)
    scheme = _SCHEME.match(text)
    if scheme is None:
        return text
    name = "ftp" if text[0] in "fF" else "http"
    return f"{name}{scheme[1].lower()}{text[scheme.end() :]}"


def _restore(match: re.Match[str]) -> str:
    token = (match[1] or match[2] or match[3] or match[4]).lower()
    return _PLAIN.get(token, token)


class Unmarked(NamedTuple):
    """A line of running text without its defanging marks; `places` are the offsets in `text` of the signs
    they stood for. The word `at` has none: people keep their own address from spammers with it, so it does
    not say that one is bad."""

    text: str
    places: list[int]


def undo_marks(line: str) -> Unmarked:
    """Returns `line` with every bracketed sign restored, and their places. Schemes (`hxxp`) are left as they are."""
    if _MARKS.search(line) is None:
        return Unmarked(line, [])
    pieces: list[str] = []
    places: list[int] = []
    position = length = 0
    for match in _IN_TEXT.finditer(line):
        written = (match[1] or match[2] or match[3]).lower().removeprefix("\\")
        sign = _PLAIN.get(written, written)
        length += match.start() - position
        if written != "at":
            places.append(length)
        pieces += (line[position : match.start()], sign)
        length += len(sign)
        position = match.end()
    pieces.append(line[position:])
    return Unmarked("".join(pieces), places)
