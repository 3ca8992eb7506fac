"""The part of the contract (interface.py) about what counts here now: quarantine."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol

from p2pshare.intel.observable import Observable

QUARANTINE_SOURCES = ("allow-list", "false-positive", "warning-list")


@dataclass(frozen=True, slots=True)
class Quarantine:
    """Why an observable may not be acted upon here: one of QUARANTINE_SOURCES, and its words for it."""

    source: str
    reason: str
    noted_at: int


class StandingReading(Protocol):
    """What any thread may ask."""

    def quarantined(self, observables: Collection[Observable]) -> dict[Observable, list[Quarantine]]:
        """The rows of each quarantined one among these, in order of source; absent keys are not quarantined."""
        ...


class StandingWriting(Protocol):
    """What the one writer may change."""

    def quarantine(self, observables: Collection[Observable], source: str, reason: str, now: int) -> int:
        """Marks each that is held here; how many `source` had not marked before. Unknown ones are passed over.

        Marking again renews the reason and keeps the time.
        """
        ...

    def release(self, observables: Collection[Observable], source: str) -> int:
        """Takes the marks of `source` away, how many there were. Other sources' marks stay."""
        ...
