"""What is said of a playbook: the rules by name, each with its level, and the place in the text (RFC 6901)."""

from __future__ import annotations

import msgspec

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


def inside(pointer: str, key: object) -> str:
    """Returns the JSON pointer of a member."""
    text = str(key)
    if "~" in text or "/" in text:
        text = text.replace("~", "~0").replace("/", "~1")
    return f"{pointer}/{text}"
