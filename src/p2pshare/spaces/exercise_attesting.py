"""What members did in the incidents of a realm, as the lead's stamp attests it: no entry of an incident follows an inject, so somebody has to say what
was done after it (docs/exercises.md, "Acts").

Pure: from the fold of one incident to acts. What is sealed for a few is attested without its words, for all members read a stamp.
"""

from __future__ import annotations

from collections.abc import Iterator

from p2pshare.identifiers import EntryId, PartnerId
from p2pshare.spaces.exercise_entries import DETAIL_BYTES_MAX, AttestedAct, cut
from p2pshare.spaces.fold import SpaceState
from p2pshare.spaces.incident import IncidentFold
from p2pshare.spaces.incident_entries import (
    DutyStatement,
    IncidentDetermination,
    IncidentQuestion,
    OwnStatus,
    TaskOutcome,
)
from p2pshare.spaces.vertex import Vertex

SUCCESSFUL = "successful"
SUBMITTED = "submitted"


def acts_in(state: SpaceState) -> Iterator[AttestedAct]:
    """Yields what was done in an incident, in the order of its graph. Its opening is not told before it is said of what type it is."""
    fold = state.kind
    if not isinstance(fold, IncidentFold):
        return
    determined = fold.determination()
    types = None if determined is None else " ".join(determined.determination.types)
    for vertex in state.timeline:
        if vertex.kind in ("open", "join", "close"):
            if types is not None:
                yield _act(vertex, f"incident-{vertex.kind}", types)
        elif (act := _said(fold, vertex)) is not None:
            yield act


def noted(vertex: Vertex, text: str | None) -> AttestedAct:
    """Returns the act that a note is; `text` None: it is sealed, or not here."""
    return _act(vertex, "note", "" if text is None else text, vertex.header.audience)


def _said(fold: IncidentFold, vertex: Vertex) -> AttestedAct | None:
    match vertex.kind:
        case "note":
            return noted(vertex, fold.note(vertex))
        case "ask":
            asked = fold.content(vertex, IncidentQuestion)
            to = vertex.header.audience if asked is None else asked.to
            return _act(vertex, "ask", "" if asked is None else asked.text, to)
        case "outcome":
            outcome = fold.content(vertex, TaskOutcome)
            if outcome is None or outcome.outcome != SUCCESSFUL or outcome.task not in fold.task_ids():
                return None
            return _act(vertex, "task-done", " ".join(fold.task(outcome.task).task.types))
        case "own-status":
            own = fold.content(vertex, OwnStatus)
            return None if own is None else _act(vertex, "own-status", own.status)
        case "determination":
            said = fold.content(vertex, IncidentDetermination)
            return None if said is None else _act(vertex, "determine", said.determination)
        case "duty":
            duty = fold.content(vertex, DutyStatement)
            if duty is None or duty.event != SUBMITTED:
                return None
            return _act(vertex, "duty-done", f"{duty.template}:{duty.stage}" if duty.stage else duty.template)
    return None


def _act(vertex: Vertex, action: str, detail: str, to: tuple[PartnerId, ...] = ()) -> AttestedAct:
    return AttestedAct(
        EntryId(vertex.entry_id),
        vertex.author,
        action,
        cut(detail, DETAIL_BYTES_MAX),
        to,
        vertex.header.created,
    )
