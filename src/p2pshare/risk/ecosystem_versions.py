"""Versions and ranges of packages (deb, rpm, pypi, npm, maven ...): each ecosystem has an order of its own, and `univers` knows them.

Only these are handed to it: it refuses what CISA writes of devices (`vers:all/<V7.0.3`), and orders their versions wrongly.
Without the extra `[risk]` nothing is said of a package's range, and a person must look.
"""

from __future__ import annotations

import re
from contextlib import suppress
from importlib import import_module
from typing import Any

univers_ranges: Any = None  # where the extra [risk] is not installed
with suppress(ImportError):
    univers_ranges = import_module("univers.version_range")

# The types of package URLs (and of `vers:`) whose versions have an order of their own, and OSV's names for them.
ECOSYSTEMS = frozenset(
    {"alpm", "apk", "cargo", "composer", "conan", "deb", "ebuild", "gem", "golang", "hex", "maven", "npm", "nuget", "pypi", "rpm"}
)  # fmt: skip
PACKAGE_VERSION_CHARACTERS_MAX = (
    200  # Debian's longest has some 80; what is longer is refused before it is read
)
_CONSTRAINT = re.compile(r"(?:<=|>=|!=|<|>|=)?\s*[^<>=!|*\s]+")


class NotUnderstood(Exception):
    """A range or a version that its ecosystem does not know; the text says why."""


def contains(vers: str, version: str) -> bool:
    """Returns whether a range `vers:deb/>=1.0|<2.0` of one of ECOSYSTEMS has the version in it. Raises NotUnderstood."""
    if univers_ranges is None:
        raise NotUnderstood("ranges of packages need the extra p2pshare[risk]")
    if not version.strip() or len(version) > PACKAGE_VERSION_CHARACTERS_MAX:
        raise NotUnderstood("our version is not known")
    if not all(_CONSTRAINT.fullmatch(one.strip()) for one in vers.partition("/")[2].split("|")):
        raise NotUnderstood(
            "the statement is not understood"
        )  # the library would take `bogus<<` for a version
    try:
        read = univers_ranges.VersionRange.from_string(vers)
        return bool(read.contains(read.version_class(version.strip())))
    except Exception as error:
        raise NotUnderstood(f"{type(error).__name__}: {error}"[:PACKAGE_VERSION_CHARACTERS_MAX]) from error


def compare_in(ecosystem: str, one: str, other: str) -> int | None:
    """Returns -1, 0 or 1 as `one` is before, the same as or behind `other` in the ecosystem's order; None where it cannot tell."""
    kinds = {} if univers_ranges is None else univers_ranges.RANGE_CLASS_BY_SCHEMES
    kind = kinds.get(ecosystem)
    if kind is None or max(len(one), len(other)) > PACKAGE_VERSION_CHARACTERS_MAX:
        return None
    try:
        mine, theirs = kind.version_class(one), kind.version_class(other)
        return 0 if mine == theirs else (-1 if mine < theirs else 1)
    except Exception:  # noqa: BLE001 - as above
        return None
