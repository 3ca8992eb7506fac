"""Patterns of warning lists, written by others and run over every value: in RE2, whose time is linear in the text.

A pattern that RE2 does not read (it has no look-ahead and no back-references), or that takes too much memory, is
refused with RE2's own words. Case never counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import re2

from p2pshare.errors import AuthorError
from p2pshare.intel.observable import clean
from p2pshare.intel.refusals import InvalidValue
from p2pshare.limits import WARNING_PATTERN_BYTES_MAX, WARNING_PATTERN_CHARACTERS_MAX

_FLAGS = frozenset("imsu")


def regex_pattern(entry: str) -> str:
    """Returns the RE2 pattern of an entry; MISP writes `/pattern/flags`, as PHP does. Raises InvalidValue
    bad-regex with RE2's own words as its hint, empty, too-long, matches-everything."""
    body = entry
    if entry[:1] == "/" and entry.rfind("/") > 0:
        body, _, flags = entry[1:].rpartition("/")
        if not set(flags) <= _FLAGS:
            raise InvalidValue("bad-regex", "unknown flags")
        body = "".join(f"(?{flag})" for flag in "ms" if flag in flags) + body
    if not body:
        raise InvalidValue("empty")
    if len(body) > WARNING_PATTERN_CHARACTERS_MAX:
        raise InvalidValue("too-long")
    try:
        pattern = re2.compile(body, _re2_options())
    except (re2.error, UnicodeEncodeError) as error:
        detail = error.args[0] if error.args else ""
        raise InvalidValue(
            "bad-regex", detail.decode("utf-8", "replace") if isinstance(detail, bytes) else "not text"
        ) from None
    if pattern.search("") is not None:  # it would match every value there is
        raise InvalidValue("matches-everything")
    return body


def substring_pattern(entry: str) -> str:
    """Returns the text as a pattern, so that all of them are looked for in one pass. Raises InvalidValue."""
    text = clean(entry)
    if len(text) > WARNING_PATTERN_CHARACTERS_MAX:
        raise InvalidValue("too-long")
    escaped: str = re2.escape(text)
    return escaped


def _re2_options() -> re2.Options:
    options = re2.Options()
    options.log_errors = False
    options.case_sensitive = False
    options.max_mem = WARNING_PATTERN_BYTES_MAX
    return options


class PatternSet:
    """Patterns with an owner's number each, all looked for in one pass over a text."""

    # A pattern of our own that must be found: a set that ran out of memory answers "nothing", which no one could
    # tell from a text that matches nothing.
    _SENTINEL = "\x02sentinel\x03"

    def __init__(self, patterns: Iterable[tuple[str, int]]) -> None:
        self._rows = list(patterns)
        options = _re2_options()
        options.max_mem = WARNING_PATTERN_BYTES_MAX * (len(self._rows) + 2)
        self._set = re2.Set.SearchSet(options)
        for pattern, _ in self._rows:
            self._set.Add(pattern)
        self._set.Add(re2.escape(self._SENTINEL))
        self._set.Compile()
        if self._set.Match(self._SENTINEL) is None:
            raise AuthorError(
                "the patterns of all warning lists together do not fit in memory",
                hint="disable a list of patterns: `p2pshare warninglist set NAME --disable`",
                reason="too-many-patterns",
            )

    def matching(self, text: str) -> Iterator[tuple[str, int]]:
        """Yields (pattern, owner) of each pattern that occurs in `text`, a canonical value."""
        for row in self._set.Match(text) or ():
            yield self._rows[row]


def texts(value: str) -> Iterator[str]:
    """Yields the spellings of a value: as it is, and with its IDN labels in Unicode, for patterns written by people."""
    yield value
    if "xn--" in value:
        decoded = ".".join(_unicode_label(label) for label in value.split("."))
        if decoded != value:
            yield decoded


def _unicode_label(label: str) -> str:
    if not label.startswith("xn--"):
        return label
    try:
        return label[4:].encode("ascii").decode("punycode")
    except UnicodeError:
        return label
