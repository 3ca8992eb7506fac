"""The rows behind the SQL views of incidents, made from the fold in small steps (docs/siem.md, "Incidents").

An incident is due when something of it was stored since its rows were made, by whoever wrote it: after a restart, too. Its rows are made once
its fold is current, and begun anew where that changes meanwhile; what was written by then is kept. Only what differs is written.

Runs in the writer thread, behind `Spaces.go_on`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from p2pshare.database.database import Database
from p2pshare.identifiers import EntryId
from p2pshare.intel.duty_templates import OVERDUE, RUNNING, DutyTemplate
from p2pshare.intel.instants import SECOND_US, format_instant
from p2pshare.spaces.fold import SpaceState
from p2pshare.spaces.incident import HeldTask, IncidentFold
from p2pshare.spaces.incident_entries import TIME_MAX
from p2pshare.spaces.incident_telling import Telling, duties_shown
from p2pshare.spaces.space_store import EntryTold, IncidentRow, SpaceRow, SpaceStore
from p2pshare.spaces.spaces import Spaces
from p2pshare.spaces.vertex import Vertex

ROWS_AT_ONCE = 128  # made and written in one step: some 5 ms
TEXT_CHARACTERS_MAX = 4_096  # of one entry in its view: a note may have 256 KiB, and is in the store already
LOOK_SECONDS = 1  # between two looks for what is due


class IncidentViews:
    """The views of one node. `templates` gives the duty templates as they are now."""

    def __init__(
        self, database: Database, spaces: Spaces, templates: Callable[[], Mapping[str, DutyTemplate]]
    ) -> None:
        self._store = SpaceStore(database)
        self._spaces = spaces
        self._templates = templates
        self._under_way: tuple[EntryId, Iterator[None]] | None = None
        self._looked_at = 0
        self.is_due = False
        """Whether an incident waits for its rows."""

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
        """Look for an incident whose rows can be made."""
        if abs(now - self._looked_at) < LOOK_SECONDS:
            self.is_due = True  # what came since the last look is seen by the next one
            return False
        self._looked_at = now
        due = self._store.incidents_to_show()
        self.is_due = bool(due)
        for row in due:
            current = self._spaces.current(row.space)
            if current is not None:
                self._under_way = row.space, self._make(row, current[0].state(), now)
                return True
            if self._spaces.has_unknown_rules(row.space):
                self._store.put_incident(row, IncidentRow())
        return False

    def _make(self, row: SpaceRow, state: SpaceState, now: int) -> Iterator[None]:
        """Make the rows of an incident; yields between small steps."""
        telling, fold = Telling(state, {}, is_sealed_told=True), state.kind
        assert isinstance(fold, IncidentFold)
        yield from self._make_timeline(row, state, fold, telling)
        yield from self._make_parts(
            row, "task", ((held.vertex.entry_id.text, _task(held)) for held in _tasks(fold))
        )
        yield from self._make_parts(row, "duty", _duties(telling, self._templates(), now))
        self._store.put_incident(row, _incident(state, fold))

    def _make_timeline(
        self, row: SpaceRow, state: SpaceState, fold: IncidentFold, telling: Telling
    ) -> Iterator[None]:
        there: dict[bytes, tuple[str, bool]] = {}
        last = 0
        while page := self._store.timeline_behind(row, last):
            there.update((entry, (badges, bool(has_text))) for _, entry, badges, has_text in page)
            last = page[-1][0]
            yield
        entries = [vertex for vertex in state.timeline if vertex.kind != "merge"]
        for start in range(0, len(entries), ROWS_AT_ONCE):
            fresh = []
            for vertex in entries[start : start + ROWS_AT_ONCE]:
                badges = json.dumps(telling.badges(vertex))
                has_text = vertex.content is not None and not fold.is_redacted(vertex)
                if there.pop(bytes(vertex.entry_id), None) != (badges, has_text):
                    fresh.append(_timeline(vertex, telling, badges, has_text=has_text))
            self._store.put_timeline(row, fresh)
            yield
        gone = list(there)
        for start in range(0, len(gone), ROWS_AT_ONCE):
            self._store.drop_timeline(gone[start : start + ROWS_AT_ONCE])
            yield

    def _make_parts(
        self, row: SpaceRow, part: str, wanted: Iterator[tuple[str, Mapping[str, Any]]]
    ) -> Iterator[None]:
        there = self._store.incident_parts(row, part)
        fresh: dict[str, str | None] = {}
        for key, said in wanted:
            text = json.dumps(said, ensure_ascii=False)
            if there.pop(key, None) != text:
                fresh[key] = text
            if len(fresh) >= ROWS_AT_ONCE:
                self._store.put_incident_parts(row, part, fresh)
                fresh = {}
                yield
        self._store.put_incident_parts(row, part, {**fresh, **dict.fromkeys(there)})
        yield


def _incident(state: SpaceState, fold: IncidentFold) -> IncidentRow:
    held, closes = fold.determination(), fold.closes
    said = held.determination if held else None
    return IncidentRow(
        fold.status,
        json.dumps(said.types if said else []),
        said.determination if said else None,
        said.criticality[0] if said and said.criticality else None,
        state.lead,
        json.dumps(
            [
                {"partner_id": member.text, "status": status}
                for member, status in sorted(state.members.items())
            ]
        ),
        _instant(state.opening.header.created),
        _instant(closes[-1].header.created) if fold.is_closed else None,
        len(fold.late),
    )


def _timeline(vertex: Vertex, telling: Telling, badges: str, *, has_text: bool) -> EntryTold:
    text = telling.text_of(vertex)
    return EntryTold(
        vertex.entry_id,
        vertex.kind,
        vertex.author,
        vertex.header.tlp,
        _instant(telling.stated_at(vertex)),
        _instant(vertex.header.created),
        None if text is None else text[:TEXT_CHARACTERS_MAX],
        badges,
        has_text,
    )


def _tasks(fold: IncidentFold) -> Iterator[HeldTask]:
    return (fold.task(vertex) for vertex in fold.by_kind["task"])


def _task(held: HeldTask) -> Mapping[str, Any]:
    return {
        "title": held.task.title,
        "text": held.task.text,
        "owner": None if held.owner is None else held.owner.text,
        "claim": json.dumps([claim.author.text for claim, stands in held.claims if stands]),
        "outcome": held.outcome,
        "due": _instant(held.task.due),
        "conflict": int(held.in_conflict),
        "disputed": int(held.disputed),
    }


def _duties(
    telling: Telling, templates: Mapping[str, DutyTemplate], now: int
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yields each duty as it stands whatever the time: the view says which are overdue."""
    for one in duties_shown(telling.stated_duties(), templates, now):
        said = one | ({"state": RUNNING} if one["state"] == OVERDUE else {})
        yield f"{one['organisation']} {one['template']} {one['stage']}", said


def _instant(at: int) -> str | None:
    return format_instant(min(at, TIME_MAX) * SECOND_US) if at else None
