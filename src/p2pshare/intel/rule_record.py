"""A rule as it is exported: its text, who wrote it, under which licence, and what a lab has made of it."""

from __future__ import annotations

from typing import NamedTuple

from p2pshare.intel.display import safe


class RuleRecord(NamedTuple):
    """A rule, its text as its author wrote it. `lab` is the title of the lab, `digest` the SHA-256 of the text. UNTRUSTED text."""

    language: str
    title: str
    author: str
    licence: str
    level: str
    status: str
    digest: str
    lab: str
    agreed: tuple[str, ...]
    text: bytes

    def credits(self) -> list[str]:
        """Returns the lines that stand above each exported rule: licences of rules ask that its author stays named. Nothing in them begins a line
        of its own."""
        told = {
            "title": self.title,
            "author": self.author,
            "licence": self.licence,
            "status": f"{self.status} in the lab {self.lab}",
            "agreed by": ", ".join(self.agreed),
            "sha256": self.digest,
        }
        return [f"{name}: {one_line(value)}" for name, value in told.items() if value]


def one_line(text: str) -> str:
    """Returns a text without anything that ends a comment's line."""
    return " ".join(safe(text).split())
