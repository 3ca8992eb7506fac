"""Refanging: undoes what people do to a value so that nobody clicks on it.

Only whole, known spellings are undone (`hxxp`, `[.]`, `(dot)`, `[at]`, `[:]`, `[://]` ...); everything else is
left as it is, so that an IPv6 address in brackets survives. Linear in the length of the text.
"""

from __future__ import annotations

import re

# At most one blank on each side: an unbounded \s* would be quadratic on a line of blanks.
_TOKENS = re.compile(
    r" ?(?:\[ ?(\.|dot|at|@|:|://|/) ?\]|\( ?(\.|dot|at|@|:|://|/) ?\)|\{ ?(\.|dot|at|@|:|://|/) ?\}) ?|\\(\.)",
    re.IGNORECASE,
)
_SCHEME = re.compile(r"(?:h(?:xx|\*\*|__|tt)p|fxp)(s?)(?=:|\[:)", re.IGNORECASE)
_MARKS = frozenset("[({\\")
_PLAIN = {"dot": ".", "at": "@"}


def refang(text: str) -> str:
    """`hxxps://evil[.]example(.)com` to `https://evil.example.com`; text without such marks comes back as it is."""
    if not _MARKS.isdisjoint(text):
        text = _TOKENS.sub(_restore, text)
    scheme = _SCHEME.match(text)
    if scheme is None:
        return text
    name = "ftp" if text[0] in "fF" else "http"
    return f"{name}{scheme[1].lower()}{text[scheme.end() :]}"


def _restore(match: re.Match[str]) -> str:
    token = (match[1] or match[2] or match[3] or match[4]).lower()
    return _PLAIN.get(token, token)
