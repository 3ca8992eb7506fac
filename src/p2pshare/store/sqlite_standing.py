"""The SQLite store's part about what counts here now (interface_standing.py)."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

import apsw

from p2pshare.identifiers import PartnerId
from p2pshare.intel.marking import Pap, Tlp
from p2pshare.intel.observable import Observable
from p2pshare.store import assessments, quarantine, reading_standing, rereading, settings, standing
from p2pshare.store.interface_standing import AssessmentRow, IndicatorRow, Quarantine, SightingRow
from p2pshare.store.transactions import Transactions


class SqliteStanding(Transactions):
    """See `interface_standing` for what each method promises."""

    def __init__(self, path: Path, writer: apsw.Connection | None, free_space_bytes_min: int) -> None:
        super().__init__(path, writer, free_space_bytes_min)
        if writer is not None and self._read(standing.unnoted_types):
            with self._writing(
                frees_space=True
            ):  # a few bytes, and a full disk must not keep anybody from looking
                standing.note_types(writer)
        if writer is not None and self._read(rereading.has_unread):
            with self._writing(frees_space=True) as own:
                rereading.read_pap(own)

    def _after_begin(self, writer: apsw.Connection) -> None:
        self._told_before = standing.last_change(writer)

    def _before_commit(self, writer: apsw.Connection) -> None:
        now = self._told_at or int(settings.get_setting(writer, "settled_at") or 0)
        if now:
            standing.settle(writer, now, self._told_before)

    def _tell(self, now: int) -> None:
        """The time of the transaction that is under way: the latest that any of its calls was given."""
        self._told_at = max(self._told_at, now)

    def settle(self, now: int, limit: int) -> int:
        with self._writing() as writer:
            self._tell(now)
            return standing.judge_due(writer, now, limit)

    def quarantine(self, observables: Collection[Observable], source: str, reason: str, now: int) -> int:
        with self._writing() as writer:
            self._tell(now)
            return quarantine.quarantine(writer, observables, source, reason, now)

    def release(self, observables: Collection[Observable], source: str) -> int:
        with self._writing() as writer:
            return quarantine.release(writer, observables, source)

    def quarantined(self, observables: Collection[Observable]) -> dict[Observable, list[Quarantine]]:
        return self._read(quarantine.quarantined, observables)

    def indicators(
        self, now_us: int, *, type: str | None = None, is_active_only: bool = True, tlp_max: Tlp
    ) -> Iterator[IndicatorRow]:
        options = {"type": type, "is_active_only": is_active_only, "tlp_max": tlp_max}
        return self._walk(reading_standing.indicators, now_us, **options)

    def values(
        self, now_us: int, *, type: str | None = None, tlp_max: Tlp, pap_max: Pap
    ) -> Iterator[tuple[str, str]]:
        return self._walk(reading_standing.values, now_us, type=type, tlp_max=tlp_max, pap_max=pap_max)

    def indicator_lines(self, now_us: int, *, type: str | None = None, tlp_max: Tlp) -> Iterator[str]:
        return self._walk(reading_standing.indicator_lines, now_us, type=type, tlp_max=tlp_max)

    def assessments(self, object_id: str, limit: int) -> list[AssessmentRow]:
        return self._read(assessments.of_object, object_id, limit)

    def proposals_to(self, author: PartnerId, limit: int) -> list[AssessmentRow]:
        return self._read(assessments.proposals_to, author, limit)

    def sightings(self, observables: Collection[Observable]) -> dict[Observable, list[SightingRow]]:
        return self._read(assessments.sightings, observables)

    def standings(
        self, observables: Collection[Observable], now_us: int, *, tlp_max: Tlp
    ) -> dict[Observable, IndicatorRow]:
        return self._read(reading_standing.standings, observables, now_us, tlp_max)

    def observables_after(self, after: int, limit: int) -> list[tuple[int, Observable]]:
        return self._read(quarantine.observables_after, after, limit)

    def last_observable(self) -> int:
        return self._read(quarantine.last_observable)
