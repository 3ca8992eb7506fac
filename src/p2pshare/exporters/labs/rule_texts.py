"""Rules in the language in which they were written, one after another in one file. Above each stand its author and its licence, as a comment."""

from __future__ import annotations

from collections.abc import Sequence

from p2pshare.importers.yara_text import split_rules
from p2pshare.intel.refusals import Refusals
from p2pshare.intel.rule_record import RuleRecord


def sigma(rules: Sequence[RuleRecord], refusals: Refusals) -> bytes:
    """Returns YAML documents."""
    return b"---\n".join(_commented(rule, "# ") for rule in rules)


def yara(rules: Sequence[RuleRecord], refusals: Refusals) -> bytes:
    """Returns a file that compiles: what has a rule of a name that stands before it already is refused."""
    taken: set[str] = set()
    kept = []
    for rule in rules:
        names = {one.name for one in split_rules(rule.text.decode()).rules}
        if names & taken:
            refusals.add("same-name", rule.title)
            continue
        taken |= names
        kept.append(_commented(rule, "// "))
    return b"\n".join(kept)


def suricata(rules: Sequence[RuleRecord], refusals: Refusals) -> bytes:
    """Returns a file of rules, one a line."""
    return b"\n".join(_commented(rule, "# ") for rule in rules)


def _commented(rule: RuleRecord, sign: str) -> bytes:
    head = "".join(f"{sign}{line}\n" for line in rule.credits())
    text = rule.text.removeprefix(b"\xef\xbb\xbf")
    return head.encode() + text + (b"" if text.endswith(b"\n") else b"\n")
