"""Two versions of a package: in the order of its ecosystem where it has one, else as versions of devices are ordered."""

from __future__ import annotations

import re
from functools import lru_cache

from p2pshare.risk.device_versions import compare
from p2pshare.risk.ecosystem_versions import compare_in

_ZEROS_AT_END = re.compile(r"(?<=\d)(?:\.0+)+$")
_RELEASE = re.compile(r"[.+~](el\d+|fc\d+|amzn\d+|deb\d+|sles?\d+|oe\d+|cm\d+|ubuntu\d+)", re.IGNORECASE)


@lru_cache(maxsize=65_536)
def compare_packages(purl_type: str, one: str, other: str) -> int | None:
    """Returns -1, 0 or 1; None where the two are not comparable. `purl_type` is that of the package-url."""
    if one == other:
        return 0
    order = compare_in(purl_type, one, other)
    return compare(one, other) if order is None else order


def compare_spelling(one: str, other: str) -> bool:
    """Returns whether two versions are one in other letters: v1.2 and 1.2.0."""
    return _plain(one) == _plain(other)


@lru_cache(maxsize=65_536)
def _plain(version: str) -> str:
    return _ZEROS_AT_END.sub("", version.strip().lower().removeprefix("v"))


def release_tag(version: str) -> str:
    """Returns the distribution's release that a package's version names (el9, deb12), '' where it names none."""
    found = _RELEASE.search(version)
    return found[1].lower() if found else ""
