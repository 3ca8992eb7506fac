"""The SQLite store's part about what counts here now (interface_standing.py)."""

from __future__ import annotations

from collections.abc import Collection

from p2pshare.intel.observable import Observable
from p2pshare.store import quarantine
from p2pshare.store.interface_standing import Quarantine
from p2pshare.store.transactions import Transactions


class SqliteStanding(Transactions):
    """See `interface_standing` for what each method promises."""

    def quarantine(self, observables: Collection[Observable], source: str, reason: str, now: int) -> int:
        with self._writing() as writer:
            return quarantine.quarantine(writer, observables, source, reason, now)

    def release(self, observables: Collection[Observable], source: str) -> int:
        with self._writing() as writer:
            return quarantine.release(writer, observables, source)

    def quarantined(self, observables: Collection[Observable]) -> dict[Observable, list[Quarantine]]:
        return self._read(quarantine.quarantined, observables)
