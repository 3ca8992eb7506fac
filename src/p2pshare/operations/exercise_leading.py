"""`exercise start|pause|resume|inject|end`, and what the lead's node does by itself: releases, stamps, the end (`spaces.exercise_lead` has the rules).

Whoever leads now does it, whoever made the exercise: the pack comes out of the entries, and is held against the commitment each time.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from operator import attrgetter
from typing import Annotated

from msgspec import Meta, Struct

from p2pshare.errors import NotFoundError, RefusedError, ShareError
from p2pshare.identifiers import EntryId
from p2pshare.intel.exercise_pack import TIME_FACTOR_MAX, PackArchive
from p2pshare.node.node import Node, Progress
from p2pshare.operations.exercise_playing import InjectNumber
from p2pshare.operations.exercises import (
    ExerciseHere,
    archive_of,
    instant,
    played_row,
    say_in_exercise,
)
from p2pshare.operations.incidents import INCIDENT
from p2pshare.operations.interface import Request
from p2pshare.operations.spaces import SpaceWritten
from p2pshare.spaces.exercise import ENDED, MADE, PAUSED, RUNNING, WHITE, ExerciseFold
from p2pshare.spaces.exercise_attesting import acts_in, noted
from p2pshare.spaces.exercise_entries import (
    AttestedAct,
    ExercisePause,
    ExerciseStamp,
    ExerciseStart,
    released_inject,
)
from p2pshare.spaces.exercise_grounds import note_exercise
from p2pshare.spaces.exercise_lead import (
    WITHIN_SECONDS_MIN,
    EndDue,
    InjectDue,
    LedExercise,
    StampDue,
    fastest,
    in_turns,
    next_step,
    too_short,
)
from p2pshare.spaces.fold import SpaceState
from p2pshare.spaces.space_exchange import exchange_of, spaces_of
from p2pshare.spaces.space_store import SpaceReading, SpaceRow

log = logging.getLogger(__name__)

TOO_SHORT_SHOWN_MAX = 5


class ExerciseStarted(Struct, frozen=True, forbid_unknown_fields=True):
    """The start that was written; when the exercise ends by itself unless it is paused; who has not joined, by name; and how many white members there
    are, ourselves among them."""

    exercise: str
    entry: str
    time_factor: int
    ends: str
    not_joined: list[str]
    white: int


class ExerciseStepped(Struct, frozen=True, forbid_unknown_fields=True):
    """What was written, and what has become of the exercise: its phase and its clock in exercise seconds."""

    exercise: str
    entry: str
    phase: str
    clock_seconds: int


class StartExercise(Request[ExerciseStarted], frozen=True, tag="exercise-start"):
    """Start the exercise's clock, at its pack's time factor or another one: its lead may."""

    time_factor: Annotated[int, Meta(ge=0, le=TIME_FACTOR_MAX)] = 0
    """0: as the pack says."""

    def run(self, node: Node, now: int, progress: Progress) -> ExerciseStarted:
        here = ExerciseHere(node, now)
        _require_phase(here, MADE)
        _require_lead(here)
        pack = archive_of(here).pack
        factor = self.time_factor or pack.time_factor
        short = too_short(pack, factor)
        if short:
            told = ", ".join(f"{one.id} of inject {number}" for number, one in short[:TOO_SHORT_SHOWN_MAX])
            most = fastest(pack)
            raise RefusedError(
                f"at {factor} times speed these are judged within less than {WITHIN_SECONDS_MIN} s of real time: {told}",
                hint=f"--speed {most} is the fastest" if most else "its pack gives too little time",
                reason="too-fast",
            )
        entry = say_in_exercise(node, here.row, "start", ExerciseStart(factor), now)
        absent = [here.called(one) for one, status in here.state.members.items() if status == "invited"]
        return ExerciseStarted(
            entry.space,
            entry.entry,
            factor,
            instant(now + -(-pack.duration_seconds // factor)),
            sorted(absent),
            len(here.white()),
        )


class PauseExercise(Request[ExerciseStepped], frozen=True, tag="exercise-pause"):
    """Stop the exercise's clock: its lead may."""

    def run(self, node: Node, now: int, progress: Progress) -> ExerciseStepped:
        here = ExerciseHere(node, now)
        _require_lead(here)  # a member's own pause without a real event would be written, and stop nothing
        _require_phase(here, RUNNING)
        entry = say_in_exercise(node, here.row, "pause", ExercisePause(is_real_event=0), now)
        return _stepped(node, entry, now)


class ResumeExercise(Request[ExerciseStepped], frozen=True, tag="exercise-resume"):
    """Let the exercise's clock run again: its lead may."""

    def run(self, node: Node, now: int, progress: Progress) -> ExerciseStepped:
        here = ExerciseHere(node, now)
        _require_phase(here, PAUSED)
        return _stepped(node, say_in_exercise(node, here.row, "resume", None, now), now)


class ReleaseInject(Request[ExerciseStepped], frozen=True, tag="exercise-release"):
    """Release an inject now, before its time: its lead may."""

    number: InjectNumber

    def run(self, node: Node, now: int, progress: Progress) -> ExerciseStepped:
        here = ExerciseHere(node, now)
        _require_lead(here)
        _require_phase(here, RUNNING)
        archive = archive_of(here)
        if self.number > len(archive.pack.injects):
            raise NotFoundError(
                f"the pack has {len(archive.pack.injects)} injects",
                hint="say one of them",
                reason="no-inject",
            )
        if self.number in here.fold.released():
            raise RefusedError(f"inject {self.number} has been released", reason="released")
        return _stepped(node, release(node, here.row, archive, self.number, now), now)


class EndExercise(Request[ExerciseStepped], frozen=True, tag="exercise-end"):
    """End the exercise, before its time: its lead may. What was received until now is stamped."""

    def run(self, node: Node, now: int, progress: Progress) -> ExerciseStepped:
        here = ExerciseHere(node, now)
        _require_lead(here)
        if here.fold.course.end is not None:
            raise RefusedError("this exercise has ended", reason="wrong-phase")
        while (due := _last_stamp(node, here, now)) is not None:
            say_in_exercise(node, here.row, "stamp", ExerciseStamp(due.entries, due.attested), now)
            here = ExerciseHere(node, now)
        return _stepped(node, say_in_exercise(node, here.row, "end", None, now), now)


def release(node: Node, row: SpaceRow, archive: PackArchive, number: int, now: int) -> SpaceWritten:
    """Write an inject with its payload. Raises RefusedError that says who may."""
    inject, salt = archive.pack.injects[number - 1], archive.salts[number - 1]
    payload = archive.payloads[inject.payload] if inject.payload else b""
    if payload:
        for _ in exchange_of(node).saying_whole(row.space, payload, row.tlp, now):
            pass
    return say_in_exercise(node, row, "inject", released_inject(inject, salt, payload), now)


def _stepped(node: Node, entry: SpaceWritten, now: int) -> ExerciseStepped:
    here = ExerciseHere(node, now)
    return ExerciseStepped(entry.space, entry.entry, here.phase, here.fold.clock(now))


def _require_phase(here: ExerciseHere, phase: str) -> None:
    if here.phase != phase:
        words = {MADE: "has not started", RUNNING: "runs", PAUSED: "is paused", ENDED: "has ended"}
        raise RefusedError(f"this exercise {words[here.phase]}", reason="wrong-phase")


def _require_lead(here: ExerciseHere) -> None:
    if here.state.lead != here.own:
        lead = "nobody: the lead is contested" if here.state.lead is None else here.called(here.state.lead)
        raise RefusedError(
            "only the lead of an exercise does that",
            hint=f"its lead is {lead}; a white member takes over with `p2pshare exercise takeover`",
            reason="not-lead",
        )


def _last_stamp(node: Node, here: ExerciseHere, now: int) -> StampDue | None:
    """Returns what is still to be stamped before the end, however short ago the last stamp was."""
    led = _led(here.row, here.state, None, LeadRounds(node).acts_elsewhere(here.state, now), now)
    due = next_step(led._replace(phase=PAUSED, stamped_at=0, stamps_over=0), now)
    return due if isinstance(due, StampDue) else None


def _led(
    row: SpaceRow,
    state: SpaceState,
    archive: PackArchive | None,
    acts: Iterable[AttestedAct],
    now: int,
) -> LedExercise:
    """Returns what the lead's next step depends on."""
    fold = state.kind
    assert isinstance(fold, ExerciseFold)
    course, stamp, stamped = fold.course, fold.last_stamp(), fold.stamped_elsewhere()
    is_over = course.started is not None and course.clock.is_over(now)
    stamps = fold.by_kind["stamp"]
    return LedExercise(
        ENDED if course.end is not None else RUNNING if is_over else fold.phase,
        fold.clock(now),
        is_over,
        () if archive is None else tuple((one.number, one.at_seconds) for one in archive.pack.injects),
        frozenset(fold.released()),
        tuple(vertex.entry_id for vertex in in_turns(fold.unstamped(), attrgetter("author"))),
        in_turns((one for one in acts if one.entry not in stamped), attrgetter("author")),
        0 if stamp is None else stamp.header.created,
        sum(course.clock.is_over(one.header.created) for one in stamps) if is_over else 0,
        sum(one.author == state.lead for one in stamps),
    )


class LeadRounds:
    """What this node does by itself in one exercise: it joins incidents of the realm where it is white, and leads where it leads. One for the life of
    a daemon; it remembers the pack, and what it looked at last."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._archive: PackArchive | None = None
        self._looked_for_pack = -1
        self._told_of: set[EntryId] = set()
        self.is_over = False
        """Whether the lead has ended it: then nothing is ever due."""
        self._acts: dict[EntryId, tuple[int, list[AttestedAct]]] = {}

    def step(self, now: int) -> bool:
        """Do what is due at `now`; returns whether anything was written. Raises StoreError."""
        node, spaces = self._node, spaces_of(self._node)
        exercise = note_exercise(node)
        if exercise is None or not spaces.caught_up(exercise, now):
            return False
        state = spaces.state(exercise)
        fold = state.kind
        own = node.identity.partner_id
        if not isinstance(fold, ExerciseFold) or state.members.get(own) != "joined":
            return False
        is_led = state.lead == own
        self.is_over = fold.course.end is not None
        if self.is_over or not (is_led or fold.role(own) == WHITE):
            return False
        has_written = self._join_incidents(now)
        if not is_led or fold.course.started is None:
            return has_written
        row = played_row(node)
        self._find_pack(row, state, now)
        led = _led(row, state, self._archive, self.acts_elsewhere(state, now), now)
        due = next_step(led, now)
        if isinstance(due, InjectDue):
            assert self._archive is not None
            release(node, row, self._archive, due.number, now)
        elif isinstance(due, StampDue):
            say_in_exercise(node, row, "stamp", ExerciseStamp(due.entries, due.attested), now)
        elif isinstance(due, EndDue):
            say_in_exercise(node, row, "end", None, now)
        return has_written or due is not None

    def _find_pack(self, row: SpaceRow, state: SpaceState, now: int) -> None:
        """Have the pack at hand, once all its parts are held and it opens the commitment."""
        if self._archive is None and self._looked_for_pack != len(state.timeline):
            self._looked_for_pack = len(state.timeline)
            try:
                self._archive = archive_of(ExerciseHere(self._node, now))
            except ShareError as error:
                if (
                    row.space not in self._told_of
                ):  # it is looked for with each entry that comes, and told once
                    self._told_of.add(row.space)
                    log.warning(
                        "the pack of exercise %s cannot be played on: %s", row.space.short, error.reason
                    )

    def _join_incidents(self, now: int) -> bool:
        """Join the incidents into which players have invited us, so that what is done in them can be attested."""
        spaces, own = spaces_of(self._node), self._node.identity.partner_id
        has_joined = False
        for row in SpaceReading(self._node.store.database).all():
            if row.kind != INCIDENT or not spaces.caught_up(row.space, now):
                continue
            if spaces.state(row.space).members.get(own) == "invited":
                try:
                    spaces.join(row.space, now)
                    has_joined = True
                except ShareError as error:
                    if row.space not in self._told_of:  # it is tried at each look, and told once
                        self._told_of.add(row.space)
                        log.warning("an incident of an exercise was not joined: %s", error.reason)
        return has_joined

    def acts_elsewhere(self, state: SpaceState, now: int) -> list[AttestedAct]:
        """Returns what members did in incidents of the realm, stamped or not, and their notes in the exercise that are not stamped."""
        spaces, fold = spaces_of(self._node), state.kind
        assert isinstance(fold, ExerciseFold)
        stamped = fold.course.attested  # notes may have 256 MiB together: each is read once
        found = [
            noted(vertex, fold.note(vertex))
            for vertex in fold.by_kind["note"]
            if vertex.entry_id not in stamped
        ]
        for row in SpaceReading(self._node.store.database).all():
            if row.kind != INCIDENT or not spaces.caught_up(row.space, now):
                continue
            incident = spaces.state(row.space)
            length, acts = self._acts.get(row.space, (-1, []))
            if length != len(incident.timeline):
                acts = list(acts_in(incident))
                self._acts[row.space] = len(incident.timeline), acts
            found += acts
        return found
