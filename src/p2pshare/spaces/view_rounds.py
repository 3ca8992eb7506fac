"""View rounds: the rows behind the SQL views of one kind of space, made anew in small steps after its folds (docs/siem.md).

A space is due when something of it was stored since its rows were made, by whoever wrote it: after a restart, too. Its rows are made once
its fold is current, and begun anew where that changes meanwhile; what was written by then is kept. Only what differs is written.

Runs in the writer thread, behind `Spaces.go_on`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator

from p2pshare.database.database import Database
from p2pshare.identifiers import EntryId
from p2pshare.spaces.fold import SpaceState
from p2pshare.spaces.space_store import SpaceRow, SpaceStore
from p2pshare.spaces.spaces import Spaces

LOOK_SECONDS = 1  # between two looks for what is due


class ViewRounds(ABC):
    """The views of one kind of space at one node."""

    def __init__(self, database: Database, spaces: Spaces) -> None:
        self._store = SpaceStore(database)
        self._spaces = spaces
        self._under_way: tuple[EntryId, Iterator[None]] | None = None
        self._looked_at = 0
        self.is_due = False
        """Whether a space waits for its rows."""

    @abstractmethod
    def due(self) -> list[SpaceRow]:
        """Returns the spaces whose rows are not of what is held."""

    @abstractmethod
    def make(self, row: SpaceRow, state: SpaceState, now: int) -> Iterator[None]:
        """Make the rows of a space; yields between small steps."""

    @abstractmethod
    def put_unknown(self, row: SpaceRow) -> None:
        """Note a space of other rules than ours: of it nothing is shown."""

    def go_on(self, now: int) -> bool:
        """Do a small step of what is due. Returns whether more is to be done at once. Raises StoreError with nothing of the step kept."""
        if self._under_way is None and not self._begin(now):
            return False
        assert self._under_way is not None
        space, steps = self._under_way
        try:
            if self._spaces.current(space) is not None:
                next(steps)
                return True
        except StopIteration:
            pass
        except BaseException:
            self._under_way = None
            raise
        self._under_way, self._looked_at = None, 0
        return True

    def _begin(self, now: int) -> bool:
        """Look for a space whose rows can be made."""
        if abs(now - self._looked_at) < LOOK_SECONDS:
            self.is_due = True  # what came since the last look is seen by the next one
            return False
        self._looked_at = now
        due = self.due()
        self.is_due = bool(due)
        for row in due:
            current = self._spaces.current(row.space)
            if current is not None:
                self._under_way = row.space, self.make(row, current[0].state(), now)
                return True
            if self._spaces.has_unknown_rules(row.space):
                self.put_unknown(row)
        return False
