"""The part of the contract (interface.py) about what counts here now: the effective view, quarantine, the sweep."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Protocol

from p2pshare.identifiers import PartnerId
from p2pshare.intel.assessing import Assessment
from p2pshare.intel.marking import Pap, Tlp
from p2pshare.intel.observable import Observable

QUARANTINE_SOURCES = ("allow-list", "false-positive", "warning-list")


@dataclass(frozen=True, slots=True)
class Quarantine:
    """Why an observable may not be acted upon here: one of QUARANTINE_SOURCES, and its words for it."""

    source: str
    reason: str
    noted_at: int


@dataclass(frozen=True, slots=True)
class IndicatorRow:
    """The effective view of one observable over the claims that may be shown; see docs/siem.md for each rule."""

    type: str
    value: str
    is_active: bool
    confidence: int | None
    tlp: Tlp
    first_seen: int
    last_seen: int
    valid_from_us: int | None
    valid_until_us: int | None
    authors: int
    claims: int
    status: str
    """active, pending, expired, replaced or delisted; `reason` says why it is not active."""
    reason: str | None
    score: int
    pap: Pap | None


@dataclass(frozen=True, slots=True)
class AssessmentRow:
    """What one partner says about an object; `author` and `observable` as far as it says whose and which."""

    kind: Assessment
    reporter: PartnerId
    object_id: str
    target: str
    author: PartnerId | None
    observable: Observable | None
    count: int
    seen_at: int
    tlp: Tlp
    received_at: int
    raw: bytes
    """Its JSON, byte for byte."""


@dataclass(frozen=True, slots=True)
class SightingRow:
    """What one organisation says about one observable, summed up; `is_false_positive` is its latest word."""

    reporter: PartnerId
    reports: int
    count: int
    first_seen: int | None
    last_seen: int | None
    not_seen_at: int | None
    is_false_positive: bool
    tlp: Tlp
    is_trusted: bool
    """A partner of the roster that is not frozen, or we ourselves: only their words count."""


class StandingReading(Protocol):
    """What any thread may ask."""

    def assessments(self, object_id: str, limit: int) -> list[AssessmentRow]:
        """The newest `limit` that are about an object of this id, whoever's it is, newest first."""
        ...

    def proposals_to(self, author: PartnerId, limit: int) -> list[AssessmentRow]:
        """The newest `limit` proposals to change an object of `author`, newest first."""
        ...

    def sightings(self, observables: Collection[Observable]) -> dict[Observable, list[SightingRow]]:
        """One row for each organisation that said something about it; absent keys: nobody did."""
        ...

    def indicators(
        self, now_us: int, *, type: str | None = None, is_active_only: bool = True, tlp_max: Tlp
    ) -> Iterator[IndicatorRow]:
        """The effective view for an export, over claims no stricter than `tlp_max`, in order of arrival."""
        ...

    def values(
        self, now_us: int, *, type: str | None = None, tlp_max: Tlp, pap_max: Pap
    ) -> Iterator[tuple[str, str]]:
        """(type, value) of each active observable that no claim keeps from such use, in order of arrival: what a
        plain list holds. Without any PAP there is no limit."""
        ...

    def indicator_lines(self, now_us: int, *, type: str | None = None, tlp_max: Tlp) -> Iterator[str]:
        """Active rows of `indicators` as NDJSON: strings of whole lines, each line one JSON object.

        The keys are the columns of the view v1_indicators.
        """
        ...

    def standings(
        self, observables: Collection[Observable], now_us: int, *, tlp_max: Tlp
    ) -> dict[Observable, IndicatorRow]:
        """The effective row at `now_us` of each that has a claim no stricter than `tlp_max`, active or not."""
        ...

    def quarantined(self, observables: Collection[Observable]) -> dict[Observable, list[Quarantine]]:
        """The rows of each quarantined one among these, in order of source; absent keys are not quarantined."""
        ...

    def observables_after(self, after: int, limit: int) -> list[tuple[int, Observable]]:
        """At most `limit` observables, with their row's number, above `after`, in order: for a walk over all."""
        ...

    def last_observable(self) -> int:
        """The highest number of a row, 0 at first."""
        ...


class StandingWriting(Protocol):
    """What the one writer may change."""

    def settle(self, now: int, limit: int) -> int:
        """Judges at most `limit` of the observables that time alone has changed by `now`; how many.

        Standing, score, end and feed row change together. Repeated until it answers 0, nothing is left that is due.
        """
        ...

    def quarantine(self, observables: Collection[Observable], source: str, reason: str, now: int) -> int:
        """Marks each that is held here; how many `source` had not marked before. Unknown ones are passed over.

        Marking again renews the reason and keeps the time.
        """
        ...

    def release(self, observables: Collection[Observable], source: str) -> int:
        """Takes the marks of `source` away, how many there were. Other sources' marks stay."""
        ...
