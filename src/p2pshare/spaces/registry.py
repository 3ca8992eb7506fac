"""The kinds of space, by name: a new one is a file beside this one and a row here.

`load_space_kind` imports the file that a row names. A space of another kind is shown by its members and its time line alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from p2pshare.spaces.interface import SpaceKind

SPACE_KINDS: Mapping[str, str] = {
    "note": "p2pshare.spaces.notebook:KIND",
    "framework": "p2pshare.spaces.framework:KIND",
    "incident": "p2pshare.spaces.incident:KIND",
    "lab": "p2pshare.spaces.lab:KIND",
    "exercise": "p2pshare.spaces.exercise:KIND",
}
"""Name in the opening -> `module:name` of the `SpaceKind`."""


def load_space_kind(name: str) -> SpaceKind | None:
    """Returns the kind called `name`, or None where it is not known."""
    from pkgutil import resolve_name  # a kind is read when a space of it is

    path = SPACE_KINDS.get(name)
    if path is None:
        return None
    found: SpaceKind = resolve_name(path)
    return found
