"""Versions of packages: ordered by the rules of their ecosystem (univers), so that 1.10 comes after 1.9 and 1.0~rc1 before 1.0.

Devices have no such rules; `versions` reads what their makers write.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from p2pshare.risk import extra
from p2pshare.risk.version_statements import compare

CLASSES = {
    "apk": "AlpineLinuxVersion",
    "alpine": "AlpineLinuxVersion",
    "alpm": "ArchLinuxVersion",
    "cargo": "SemverVersion",
    "composer": "ComposerVersion",
    "deb": "DebianVersion",
    "gem": "RubygemsVersion",
    "golang": "GolangVersion",
    "hex": "SemverVersion",
    "maven": "MavenVersion",
    "npm": "SemverVersion",
    "nuget": "NugetVersion",
    "pub": "SemverVersion",
    "pypi": "PypiVersion",
    "rpm": "RpmVersion",
}
_RELEASE = re.compile(r"[.+~](el\d+|fc\d+|amzn\d+|deb\d+|sles?\d+|oe\d+|cm\d+|ubuntu\d+)", re.IGNORECASE)


@lru_cache(maxsize=65_536)
def _read(purl_type: str, version: str) -> Any:
    """Returns the version as its ecosystem orders it; None where it has no rules, or the version breaks them."""
    name = CLASSES.get(purl_type)
    if name is None or extra.versions is None:
        return None
    try:
        return getattr(extra.versions, name)(version)
    except Exception:  # noqa: BLE001 - each class raises what it likes on text that is no version
        return None


def compare_packages(purl_type: str, one: str, other: str) -> int | None:
    """Returns -1, 0 or 1; None where the two are not comparable. Ecosystems without rules compare as devices do."""
    if one == other:
        return 0
    first, second = _read(purl_type, one), _read(purl_type, other)
    if first is None or second is None:
        return compare(one, other)
    try:
        return 0 if first == second else -1 if first < second else 1
    except Exception:  # noqa: BLE001 - a comparison inside univers may fail where both were read
        return None


def release_tag(version: str) -> str:
    """Returns the distribution's release that a package's version names (el9, deb12), '' where it names none."""
    found = _RELEASE.search(version)
    return found[1].lower() if found else ""
