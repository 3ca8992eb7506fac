"""Entries found for one query to the index of warning lists."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from p2pshare.intel.spans import SPAN_TYPES, Span, with_parents
from p2pshare.warninglists.warning_lists import key_of
from p2pshare.warninglists.warning_patterns import PatternSet, texts

Pair = tuple[str, str]
"""Type and value of a canonical observable."""


class FoundEntries:
    """Pair -> list -> the first entry of that list which matches the pair; a network as its span, for few are ever shown.

    `asked` are the lists that count, by number, and the types they are about.
    """

    def __init__(self, asked: Mapping[int, frozenset[str]]) -> None:
        self.asked = asked
        self.entries: dict[Pair, dict[int, Span | str]] = {}

    def note(self, pair: Pair, part: Pair, owner: int, entry: Span | str) -> None:
        """Note that `part` of `pair` is on the list `owner`, when that list is asked and is about such types."""
        if part[0] in self.asked.get(owner, ()):
            self.entries.setdefault(pair, {}).setdefault(owner, entry)

    def note_patterns(self, pair: Pair, part: Pair, patterns: PatternSet) -> None:
        for text in texts(part[1]):
            for pattern, owner in patterns.matching(text):
                self.note(pair, part, owner, pattern)


def keys_of(part: Pair, labels_max: int) -> Iterable[str]:
    """Returns the keys under which an entry about `part` may stand, where none has more labels than `labels_max`: of a domain
    of a hundred labels only the last few are names that a list may hold. Addresses are found as spans."""
    type_, value = part
    if type_ == "domain":
        labels = value.rsplit(".", labels_max)
        return with_parents(value if len(labels) <= labels_max else ".".join(labels[1:]))
    return () if type_ in SPAN_TYPES else (key_of(value),)
