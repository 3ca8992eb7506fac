"""What is said of a playbook: the rules by name, each with its level, and the place in the text (RFC 6901)."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

PROBLEMS_MAX = 1_000  # told of each level: nobody mends more at once, and a place may have 16 KB
KEY_CHARACTERS_MAX = 250  # CACAO 2.0 section 10.4: keys of a dictionary

ERRORS = (
    "not-json",
    "too-large",
    "too-deep",
    "duplicate-key",
    "number-not-jcs",
    "schema",
    "start-type",
    "start-second",
    "step-id-type",
    "reference-missing",
    "reference-start",
    "next-both",
    "no-next",
    "unreachable",
    "loop",
    "branches-meet",
    "agent-missing",
    "target-missing",
    "authentication-missing",
    "variable-undeclared",
)
WARNINGS = (
    "branches-meet",
    "branch-end-shared",
    "variable-out-of-scope",
    "no-completion",
    "extension-undefined",
    "marking-undefined",
    "marking-own",
)


class PlaybookProblem(msgspec.Struct, frozen=True):
    """One problem: `level` is `error` or `warning`, `rule` a word of ERRORS or WARNINGS, `message` for people."""

    level: str
    pointer: str
    rule: str
    message: str


def problem(rule: str, pointer: str, message: str) -> PlaybookProblem:
    """Returns an error."""
    assert rule in ERRORS, rule
    return PlaybookProblem("error", pointer, rule, message)


def warning(rule: str, pointer: str, message: str) -> PlaybookProblem:
    """Returns a warning: a playbook that has it is valid."""
    assert rule in WARNINGS, rule
    return PlaybookProblem("warning", pointer, rule, message)


class TextPlace(NamedTuple):
    """Where a walk through a text is: a key inside of a place. Linked, for 100,000 values may stand 60 keys of 250 characters deep."""

    around: TextPlace | None
    key: Any

    @property
    def pointer(self) -> str:
        """Returns the JSON pointer; of each key what CACAO lets a key have."""
        keys: list[str] = []
        place: TextPlace | None = self
        while place is not None:
            keys.append(str(place.key)[:KEY_CHARACTERS_MAX].replace("~", "~0").replace("/", "~1"))
            place = place.around
        return "".join(f"/{key}" for key in reversed(keys))


def inside(pointer: str, key: object) -> str:
    """Returns the JSON pointer of a member."""
    text = str(key)
    if "~" in text or "/" in text:
        text = text.replace("~", "~0").replace("/", "~1")
    return f"{pointer}/{text}"
