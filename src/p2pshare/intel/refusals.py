"""Refusals: input that was not taken, counted by reason, with a few examples for the person who has to mend it.

Nothing is dropped silently: things read = things kept + refusals. A reason is one of our own kebab-case words (table
in docs/intelligence.md); an example is text from the input, so it is clipped and made safe to print before it is kept.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from p2pshare.errors import AuthorError
from p2pshare.intel.display import clip
from p2pshare.limits import REFUSAL_EXAMPLES_MAX, REJECT_CHARACTERS_MAX


class InvalidValue(AuthorError):
    """A text that has no canonical form under its type. `reason` says why; the message never holds the text."""

    reason = "bad-value"

    def __init__(self, reason: str, hint: str = "") -> None:
        hint = hint or "write one value: an address, a network, a domain, a URL, a hash ..."
        super().__init__(f"no canonical value: {reason}", hint=hint, reason=reason)


@dataclass(frozen=True)
class Refusal:
    """A refused thing: the reason, its place (`line 3`, `objects[7]`), and its text as an example."""

    reason: str
    where: str
    example: str


@dataclass(frozen=True)
class Note:
    """An assumption about what is read, or a part of it that was passed over: shown to the person, not counted as read."""

    reason: str
    where: str
    example: str = ""


class Refusals:
    """Counts by reason, and the first few examples of each; with `keeps_each` also every refusal, in order."""

    def __init__(self, *, keeps_each: bool = False) -> None:
        self._keeps_each = keeps_each
        self._each: list[Refusal] = []
        self._counts: Counter[str] = Counter()
        self._examples: dict[str, list[str]] = {}

    def add(self, reason: str, example: str = "", *, count: int = 1) -> None:
        """Count `count` refusals; `example` may be any text: the place where it was, where one is known."""
        self._add(Refusal(reason, example, ""), example, count)

    def _add(self, refusal: Refusal | Note, example: str, count: int) -> None:
        reason = refusal.reason
        if self._keeps_each:
            self._each += [Refusal(reason, refusal.where, refusal.example[:REJECT_CHARACTERS_MAX])] * count
        self._counts[reason] += count
        examples = self._examples.setdefault(reason, [])
        if example and len(examples) < REFUSAL_EXAMPLES_MAX:
            shown = clip(example)
            if shown not in examples:
                examples.append(shown)

    def add_refusal(self, refusal: Refusal | Note) -> None:
        """Count one refusal, or note, with its place as part of the example."""
        self._add(refusal, ": ".join(one for one in (refusal.where, refusal.example) if one), count=1)

    def merge(self, other: Refusals) -> None:
        """Add the counts of `other`, and its examples as far as there is room."""
        for reason, count in other._counts.items():
            self._counts[reason] += count
            for example in other._examples.get(reason, ()):
                self.add(reason, example, count=0)

    def take(self, reason: str) -> int:
        """Returns how often a reason was counted and removes it: it was no refusal after all."""
        self._examples.pop(reason, None)
        return self._counts.pop(reason, 0)

    @property
    def each(self) -> Sequence[Refusal]:
        """Returns every refusal, where they are kept."""
        return self._each

    @property
    def counts(self) -> Mapping[str, int]:
        """Returns the number of refusals by reason."""
        return dict(self._counts)

    @property
    def total(self) -> int:
        return sum(self._counts.values())

    def __bool__(self) -> bool:
        return bool(self._counts)

    def to_json(self) -> list[dict[str, Any]]:
        """Returns `[{reason, count, examples}]`, the most frequent first, then by name."""
        ordered = sorted(self._counts.items(), key=lambda pair: (-pair[1], pair[0]))
        return [
            {"reason": reason, "count": count, "examples": list(self._examples.get(reason, ()))}
            for reason, count in ordered
        ]


def every_refusal() -> Refusals:
    """Returns Refusals that keep each: for a reader of whole files, which are bounded."""
    return Refusals(keeps_each=True)
