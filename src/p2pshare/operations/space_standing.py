"""How a space stands, for screens over many of them: the canonical output that somebody made, else a fold of what is small.

To fold a space of 50,000 entries takes seconds, which no list and no alarm may cost: they take the output of before, and say that it is
older. Who asks for one space has it as it is now.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from weakref import WeakKeyDictionary

from p2pshare.database.database import Database
from p2pshare.errors import RefusedError
from p2pshare.identifiers import PartnerId
from p2pshare.node.store import StoreReading
from p2pshare.spaces.space_store import SpaceReading, SpaceRow
from p2pshare.spaces.spaces import read_canonical

FOLDED_ENTRIES_MAX = 1_000  # folded for a screen over all spaces: a tenth of a second each


@dataclass(frozen=True)
class Standing:
    """The canonical output of a space. `is_current` False: something was stored since."""

    row: SpaceRow
    raw: bytes
    is_current: bool

    @cached_property
    def output(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.raw)
        return found

    @property
    def lead(self) -> PartnerId | None:
        """None: contested, or its rules are not known."""
        lead = self.output["lead"]
        return None if lead is None else PartnerId.parse(lead)

    @property
    def is_contested(self) -> bool:
        return bool(self.output.get("contested"))

    @property
    def members(self) -> dict[PartnerId, str]:
        return {PartnerId.parse(one["id"]): one["status"] for one in self.output["members"]}

    def status_of(self, member: PartnerId) -> str:
        """Returns the status of a member, empty where it never was one."""
        return next((one["status"] for one in self.output["members"] if one["id"] == member.text), "")


_folded: WeakKeyDictionary[Database, dict[int, Standing]] = WeakKeyDictionary()
"""What was folded for a screen, by the row of the space: a screen asks several times."""


def standing_of(store: StoreReading, row: SpaceRow) -> Standing | None:
    """Returns how a space stands; None where nobody has folded it, and it is too large to be folded for a screen, or cannot be."""
    reading = SpaceReading(store.database)
    newest = reading.newest_canonical(row)
    if newest is not None and newest[1]:
        return Standing(row, newest[0], is_current=True)
    if reading.entry_count(row) > FOLDED_ENTRIES_MAX:
        return None if newest is None else Standing(row, newest[0], is_current=False)
    folded = _folded.setdefault(store.database, {})
    known = folded.get(row.row)
    if known is None or known.row != row:
        try:
            known = folded[row.row] = Standing(row, read_canonical(reading, row), is_current=True)
        except RefusedError:  # its opening was changed on the disk: an alarm says so
            return None if newest is None else Standing(row, newest[0], is_current=False)
    return known


def standing_now(store: StoreReading, row: SpaceRow) -> Standing:
    """Returns how a space stands now, however long that takes."""
    found = standing_of(store, row)
    if found is not None and found.is_current:
        return found
    return Standing(row, read_canonical(SpaceReading(store.database), row), is_current=True)
