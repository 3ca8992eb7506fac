"""The kind `exercise`: partners practise with the real verbs, and every node computes the same times and the same score (docs/exercises.md).

What the lead writes, its *course*, is read in the order of (depth, id), with a clock that never goes back: the pack, the start, pauses, injects,
stamps, the end. Of a pack the first one counts, and of each number the first inject that opens its leaf, so whoever leads later is bound to what
was committed to before the start.

What players do counts for an inject when it was written with that inject, and every one before it, in its past, and when a stamp names it; it is
judged by `min(created, stamp)`, never before the release. What they do elsewhere, in incidents of the realm, has no path to the inject: a stamp
attests it, and it counts where it says that it was written after the release and was stamped behind it.

What follows from entries is found when it is asked for, so that one more entry costs no more than its place in a list.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from p2pshare.errors import PeerError
from p2pshare.identifiers import EntryId, PartnerId
from p2pshare.intel.exercise_pack import PackExpectation, PackInject, leaf_by_digest, read_inject
from p2pshare.spaces.entry_fields import EntryBodies
from p2pshare.spaces.exercise_entries import (
    READERS,
    AttestedAct,
    ExerciseInject,
    ExerciseObject,
    ExerciseObservation,
    ExercisePause,
    ExerciseSighting,
    ExerciseStamp,
    ExerciseStart,
    ExerciseWithdrawal,
    InjectAck,
    InjectAnswer,
    StatedPack,
    StatedValues,
)
from p2pshare.spaces.exercise_scoring import (
    NO_SCORE,
    ExerciseScore,
    PlayerScore,
    ScoredAct,
    ScoredCourse,
    ScoredInject,
    ScoredRating,
    score_exercise,
    wanted_values,
)
from p2pshare.spaces.interface import EntryKind, FoldView, Json, SpaceKind
from p2pshare.spaces.notebook import read_text
from p2pshare.spaces.vertex import Vertex, by_order

STEP_ENTRIES = 128  # folded between two yields: some 3 ms
WEIGHT_BYTES = 128  # of what a deciding entry says: as much work as an entry
EXPECTED_MAX = 4_096  # expectations that one exercise scores, each counted with its values and words

WHITE, OBSERVER = "white", "observer"
LEAD_ROLE = WHITE
PLAYING_ROLES = ("blue", "red")
EVALUATING_ROLES = (WHITE, OBSERVER)

MADE, RUNNING, PAUSED, ENDED = "made", "running", "paused", "ended"

LEAD_ONLY = ("pack", "start", "resume", "end", "inject", "stamp")
COURSE_KINDS = (*LEAD_ONLY, "pause")
ACTION_BY_KIND = {
    "inject-ack": "acknowledge",
    "answer": "answer",
    "object": "publish",
    "sighting": "sight",
    "withdrawal": "withdraw",
}
"""Of the entries of this space with which players act."""


Opened = tuple[str, PackInject | None]
"""What a release is against the leaf of its number: why it has no effect, or "" and the inject."""


class HeldInject(NamedTuple):
    """A release that is here. `inject` is None where it says none; `released` in unix seconds, `at` in exercise seconds.

    `fault`: why it has no effect: `no-pack`, `not-started`, `after-end`, `not-in-commitment`, `number-taken`, `unreadable`; or "".
    """

    vertex: Vertex
    said: ExerciseInject
    inject: PackInject | None
    released: int
    at: int
    fault: str

    @property
    def number(self) -> int:
        return self.said.number

    @property
    def fits(self) -> bool:
        return not self.fault


class ExerciseAct(NamedTuple):
    """What a member did, in this space or elsewhere. `moment` (unix seconds): what it is judged by, None without a stamp; `detail`: what it
    says, in a line. `upto`: it can be for the first so many injects."""

    entry: EntryId
    author: PartnerId
    action: str
    detail: str
    created: int
    moment: int | None
    upto: int


class ExerciseClock:
    """Exercise seconds at an instant: none before the start, none in a pause, none beyond the end or the pack's duration."""

    def __init__(self, duration: int) -> None:
        self._duration = duration
        self._begins: list[int] = []
        self._bases: list[int] = []
        self._factors: list[int] = []
        self.full: int | None = None
        """The last instant at which the duration is not exceeded, as long as the clock is not turned again; None where it stands still."""
        self.ended: int | None = None
        """The instant of the end that an entry states."""

    def turn(self, instant: int, factor: int) -> None:
        """Let it run `factor` times as fast as the world from an instant on, which is none before the last; 0: stand still."""
        base = self.at(instant)
        self._begins.append(instant)
        self._bases.append(base)
        self._factors.append(factor)
        self.full = instant + (self._duration - base) // factor if factor else None

    def at(self, instant: int) -> int:
        """Returns the exercise seconds at an instant (unix seconds)."""
        if self.ended is not None:
            instant = min(instant, self.ended)
        place = bisect_right(self._begins, instant) - 1
        if place < 0:
            return 0
        passed = (instant - self._begins[place]) * self._factors[place]
        return min(self._bases[place] + passed, self._duration)

    def is_over(self, instant: int) -> bool:
        """Returns whether something at an instant comes too late: behind the end that is stated, or behind the one that comes by itself."""
        last = self.last_instant
        return last is not None and instant > last

    @property
    def last_instant(self) -> int | None:
        """Returns the last instant at which something counts; None as long as no end is stated and none comes by itself."""
        return min((end for end in (self.ended, self.full) if end is not None), default=None)


class _Heard(NamedTuple):
    """By the number of an inject: who acknowledged it, who answered it, and the answers by (depth, id)."""

    acked: dict[int, set[PartnerId]]
    answered: dict[int, set[PartnerId]]
    answers: dict[int, list[tuple[Vertex, InjectAnswer]]]


class _Stamped(NamedTuple):
    """The first stamp that names something: its place in the course, and its instant."""

    place: int
    instant: int


class ClockTurn(NamedTuple):
    """What became of an exercise at an instant (unix seconds): `started`, `paused`, `resumed`, `real-event` or `ended`."""

    at: int
    what: str
    vertex: Vertex


class ExerciseCourse:
    """What the lead's entries, in the order of (depth, id), make of an exercise. `opened` keeps what was read of injects between two courses."""

    def __init__(
        self,
        acts: Sequence[Vertex],
        bodies: EntryBodies,
        opened: dict[tuple[Vertex, bytes], Opened],
        real_events: Mapping[EntryId, Vertex],
    ) -> None:
        self._said = bodies.said
        self._opened = opened
        self._real_events = real_events
        self.pack: StatedPack | None = None
        self.clock = ExerciseClock(0)
        self.phase = MADE
        self.time_factor = 0
        self.started: Vertex | None = None
        self.end: Vertex | None = None
        self.injects: list[HeldInject] = []
        self.stamped: dict[EntryId, _Stamped] = {}
        self.attested: dict[EntryId, tuple[AttestedAct, _Stamped]] = {}
        self.last_stamp: Vertex | None = None
        self.turns: list[ClockTurn] = []
        self.stops: list[Vertex] = []
        """Real events that a stamp names, or that the lead itself states, and no start or resume has lifted."""
        self.instant = 0
        """Of the last of them, never before an earlier one (unix seconds)."""
        self.places: list[int] = []
        """Of the injects that count: which of the entries releases them."""
        self._numbers: set[int] = set()
        self._expected = 0
        for place, vertex in enumerate(acts):
            if vertex.kind == "pause" and vertex.term is None:
                continue  # a real event that a member states stands where a stamp names it
            self.instant = max(self.instant, vertex.header.created)
            self._go_on(place, vertex)
        self.effective = [held for held in self.injects if held.fits]

    @property
    def is_over(self) -> bool:
        """Returns whether it has ended, by an entry or by itself before the last one."""
        return self.phase == ENDED or self.clock.is_over(self.instant)

    def _go_on(self, place: int, vertex: Vertex) -> None:
        match vertex.kind:
            case "pack":
                if self.pack is None:
                    self.pack = self._said(vertex, StatedPack)
            case "start":
                if self.phase == MADE and self.pack is not None:
                    self.started, self.phase = vertex, RUNNING
                    self.time_factor = self._said(vertex, ExerciseStart).time_factor
                    self.clock = ExerciseClock(self.pack.duration_seconds)
                    self.stops.clear()
                    self._turn("started", vertex, self.time_factor)
            case "resume":
                if self.phase == PAUSED:
                    self.phase = RUNNING
                    self.stops.clear()
                    self._turn("resumed", vertex, self.time_factor)
            case "pause":
                self._pause(vertex, is_real_event=bool(self._said(vertex, ExercisePause).is_real_event))
            case "end":
                if self.phase != ENDED:
                    if not self.is_over:
                        self.turns.append(ClockTurn(self.instant, "ended", vertex))
                    self.end, self.phase, self.clock.ended = vertex, ENDED, self.instant
            case "stamp":
                if self.phase != ENDED:
                    self._stamp(place, vertex)
            case "inject":
                self._release(place, vertex)

    def _turn(self, what: str, vertex: Vertex, factor: int) -> None:
        self.clock.turn(self.instant, factor)
        self.turns.append(ClockTurn(self.instant, what, vertex))

    def _pause(self, vertex: Vertex, *, is_real_event: bool) -> None:
        if self.is_over:
            return
        if self.phase == RUNNING:
            self.phase = PAUSED
            self._turn("real-event" if is_real_event else "paused", vertex, 0)
        if is_real_event:
            self.stops.append(vertex)

    def _stamp(self, place: int, vertex: Vertex) -> None:
        stamp, mark = self._said(vertex, ExerciseStamp), _Stamped(place, self.instant)
        self.last_stamp = vertex
        for entry_id in stamp.entries:
            if entry_id in self.stamped:
                continue
            self.stamped[entry_id] = mark
            event = self._real_events.get(entry_id)
            if event is not None:
                self._pause(event, is_real_event=True)
        for act in stamp.attested:
            self.attested.setdefault(act.entry, (act, mark))

    def _release(self, place: int, vertex: Vertex) -> None:
        said = self._said(vertex, ExerciseInject)
        inject: PackInject | None = None
        if self.pack is None:
            fault = "no-pack"
        elif self.phase == MADE:
            fault = "not-started"
        elif self.is_over:
            fault = "after-end"
        elif said.number in self._numbers:
            fault = "number-taken"
        elif said.number > len(self.pack.leaves):
            fault = "not-in-commitment"
        else:
            fault, inject = self._open(vertex, said, self.pack.leaves[said.number - 1])
        if inject is not None and not fault:
            self._numbers.add(said.number)
            self.places.append(place)
            self._expected += sum(map(_weight, inject.expect))
            if self._expected > EXPECTED_MAX:  # it is shown and answered; nothing of it is scored
                inject = inject._replace(expect=())
        self.injects.append(
            HeldInject(vertex, said, inject, self.instant, self.clock.at(self.instant), fault)
        )

    def _open(self, vertex: Vertex, said: ExerciseInject, leaf: bytes) -> Opened:
        """Returns why what is released does not open its leaf, or "" and the inject. It is read once, however often the course is."""
        key = vertex, leaf
        found = self._opened.get(key)
        if found is None:
            found = self._opened[key] = _opened(said, leaf)
        return found


def _opened(said: ExerciseInject, leaf: bytes) -> Opened:
    if leaf_by_digest(said.salt, said.jcs, said.payload_sha384) != leaf:
        return "not-in-commitment", None
    try:
        inject = read_inject(said.jcs)
    except PeerError:
        return "unreadable", None
    if inject.number != said.number or bool(inject.payload) != bool(said.payload_sha256):
        return "not-in-commitment", None
    return "", inject


def _weight(expectation: PackExpectation) -> int:
    """Returns to how many looks into a table an expectation comes."""
    values, words = expectation.match.get("values", ()), expectation.match.get("words", ())
    assert isinstance(values, tuple) and isinstance(words, tuple)
    return 1 + len(values) + len(words)


class ExerciseFold:
    """An exercise: the entries with an effect by kind, and what follows from them."""

    def __init__(self, view: FoldView) -> None:
        self._view = view
        self._begin()

    def _begin(self) -> None:
        self._bodies = EntryBodies(READERS)
        self._vertices: list[Vertex] = []
        """All of them, parents before children."""
        self.by_kind: dict[str, list[Vertex]] = {kind: [] for kind in READERS}
        """Entries with an effect, by (depth, id)."""
        self._course_acts: list[Vertex] = []
        self._real_events: dict[EntryId, Vertex] = {}
        """Those that a member states who is not the lead."""
        self._opened: dict[tuple[Vertex, bytes], Opened] = {}
        self._course: ExerciseCourse | None = None
        self._places: dict[PartnerId, str] | None = None
        self._placed = 0
        """How many entries with an effect there are: what was found with fewer is found anew when it is asked for, and only then let go."""
        self._acts: tuple[int, list[tuple[ExerciseAct, ScoredAct]]] = (-1, [])
        self._score: tuple[int, int | None, ExerciseScore] = (-1, None, NO_SCORE)
        self._told: tuple[int, _Heard] = (-1, _Heard({}, {}, {}))

    # --- from entries ------------------------------------------------------------------------------

    def whole(self, vertices: Sequence[Vertex]) -> Iterator[None]:
        self._begin()
        weight = 0
        for vertex in vertices:
            self._place(vertex)
            weight += 1 + vertex.header.body_bytes // WEIGHT_BYTES
            if weight >= STEP_ENTRIES:
                weight = 0
                yield

    def add(self, vertex: Vertex) -> bool:
        self._place(vertex)
        return True

    def _place(self, vertex: Vertex) -> None:
        self._vertices.append(vertex)
        kind = vertex.kind
        placed = self.by_kind.get(kind)
        if placed is None or not vertex.has_effect:
            return
        insort(placed, vertex, key=by_order)
        if kind in COURSE_KINDS:
            insort(self._course_acts, vertex, key=by_order)
            if self._is_real_event(vertex):
                self._real_events[vertex.entry_id] = vertex
            self._course = self._places = None
        if kind != "note":
            self._bodies.read(vertex)
        self._placed += 1

    def _is_real_event(self, vertex: Vertex) -> bool:
        """Returns whether a member that does not lead states a real event."""
        if vertex.kind != "pause" or vertex.term is not None:
            return False
        return bool(self._bodies.said(vertex, ExercisePause).is_real_event)

    # --- the course --------------------------------------------------------------------------------

    @property
    def course(self) -> ExerciseCourse:
        """Returns what the lead's entries come to."""
        if self._course is None:
            self._course = ExerciseCourse(self._course_acts, self._bodies, self._opened, self._real_events)
        return self._course

    def pack(self) -> StatedPack | None:
        """Returns the pack that is played: what its first effective entry states."""
        return self.course.pack

    @property
    def time_factor(self) -> int:
        """Returns how many exercise seconds pass in one of the world, 0 before the start."""
        return self.course.time_factor

    @property
    def phase(self) -> str:
        """Returns `made`, `running`, `paused` or `ended`, as far as entries tell; `phase_at` knows what the time has made of it."""
        course = self.course
        if course.is_over:
            return ENDED
        if course.phase == RUNNING and self.real_event() is not None:
            return PAUSED
        return course.phase

    def phase_at(self, now: int) -> str:
        """Returns the phase at an instant: an exercise ends by itself after its pack's duration."""
        phase = self.phase
        return ENDED if phase == RUNNING and self.course.clock.is_over(now) else phase

    def clock(self, now: int) -> int:
        """Returns the exercise seconds at `now` (unix seconds). A real event that no stamp names yet stops it when its author says."""
        stop = self.real_event()
        if stop is not None:
            now = min(now, max(stop.header.created, self.course.instant))
        return self.course.clock.at(now)

    def real_event(self) -> Vertex | None:
        """Returns the first entry that stops the exercise because of a real event, and that nothing has lifted."""
        course = self.course
        if course.is_over:
            return None
        if course.stops:
            return course.stops[0]
        unstamped = [one for one in self._real_events.values() if one.entry_id not in course.stamped]
        lifted = self._before_resumes() if unstamped else set()
        return min((one for one in unstamped if one not in lifted), key=by_order, default=None)

    @property
    def stopped_by(self) -> PartnerId | None:
        """Returns who has stopped it because of a real event."""
        event = self.real_event()
        return None if event is None else event.author

    def _before_resumes(self) -> set[Vertex]:
        """Returns what is in the past of any start or resume that has an effect."""
        resumes = {*self.by_kind["resume"], *self.by_kind["start"]}
        past: set[Vertex] = set()
        for vertex in reversed(self._vertices):
            if vertex in resumes or vertex in past:
                past.update(vertex.parents)
        return past

    def injects(self) -> list[HeldInject]:
        """Returns all releases in their order, those without an effect with their fault."""
        return self.course.injects

    def inject(self, number: int) -> HeldInject | None:
        """Returns the release of a number that counts."""
        return next((held for held in self.course.effective if held.number == number), None)

    def released(self) -> set[int]:
        """Returns the numbers of the injects that are released, with effect."""
        return {held.number for held in self.course.effective}

    def last_stamp(self) -> Vertex | None:
        """Returns the last stamp that counts."""
        return self.course.last_stamp

    def stamped_elsewhere(self) -> set[EntryId]:
        """Returns the entries elsewhere that a stamp attests."""
        return set(self.course.attested)

    def unstamped(self) -> list[Vertex]:
        """Returns the acts in this space, and the real events, that no stamp names, by (depth, id)."""
        stamped = self.course.stamped
        waiting = [
            vertex
            for kind in ACTION_BY_KIND
            for vertex in self.by_kind[kind]
            if vertex.entry_id not in stamped
        ]
        waiting += [vertex for vertex in self._real_events.values() if vertex.entry_id not in stamped]
        return sorted(waiting, key=by_order)

    # --- players -----------------------------------------------------------------------------------

    def places(self) -> Mapping[PartnerId, str]:
        """Returns the place of each member that has one: the id in its invitation, or for `white` the first white place of the pack."""
        if self._places is None:
            pack = self.course.pack
            stated = () if pack is None else pack.places
            known = {place.id for place in stated}
            white = next((place.id for place in stated if place.role == WHITE), WHITE)
            self._places = {
                member: white if role == WHITE else role
                for member, role in sorted(self._view.roles().items())
                if role == WHITE or role in known
            }
        return self._places

    def role(self, member: PartnerId) -> str:
        """Returns `white`, `red`, `blue` or `observer`; "" for who has no place."""
        place, pack = self.places().get(member), self.course.pack
        if place is None:
            return ""
        stated = None if pack is None else pack.place(place)
        return WHITE if stated is None else stated.role

    # --- what players did --------------------------------------------------------------------------

    def acts(self) -> list[ExerciseAct]:
        """Returns what members did: here by the numbers of their authors, then elsewhere in the order in which it was attested."""
        return [act for act, _ in self._all_acts()]

    def has_acked(self, number: int, member: PartnerId) -> bool:
        """Returns whether a member has acknowledged an inject, stamped or not."""
        return member in self._heard().acked.get(number, ())

    def has_answered(self, number: int, member: PartnerId) -> bool:
        """Returns whether a member has answered an inject, stamped or not."""
        return member in self._heard().answered.get(number, ())

    def answers(self, number: int) -> list[tuple[Vertex, InjectAnswer]]:
        """Returns the answers to an inject, by (depth, id)."""
        return self._heard().answers.get(number, [])

    def _heard(self) -> _Heard:
        """Returns what was acknowledged and answered, by inject: one look at all of it, whoever asks for each."""
        if self._told[0] != self._placed:
            told = _Heard({}, {}, {})
            for vertex in self.by_kind["inject-ack"]:
                number = self._bodies.said(vertex, InjectAck).inject
                told.acked.setdefault(number, set()).add(vertex.author)
            for vertex in self.by_kind["answer"]:
                answer = self._bodies.said(vertex, InjectAnswer)
                told.answers.setdefault(answer.inject, []).append((vertex, answer))
                told.answered.setdefault(answer.inject, set()).add(vertex.author)
            self._told = self._placed, told
        return self._told[1]

    def values(self) -> dict[tuple[str, str], list[Vertex]]:
        """Returns what was published here, (STIX type, canonical value) -> the objects that say it, without what its author withdrew later."""
        withdrawn: dict[tuple[PartnerId, tuple[str, str]], int] = {}
        for vertex in self.by_kind["withdrawal"]:
            for value in self._bodies.said(vertex, ExerciseWithdrawal).values:
                key = vertex.author, value
                withdrawn[key] = max(withdrawn.get(key, 0), vertex.number)
        found: dict[tuple[str, str], list[Vertex]] = {}
        for vertex in self.by_kind["object"]:
            for value in self._bodies.said(vertex, ExerciseObject).values:
                if withdrawn.get((vertex.author, value), 0) < vertex.number:
                    found.setdefault(value, []).append(vertex)
        return found

    def played_values(self) -> set[str]:
        """Returns all values that members ever published, saw or took back here, in folded case: what was withdrawn was played all the same."""
        found = {
            value.casefold()
            for vertex in self.by_kind["object"]
            for _, value in self._bodies.said(vertex, ExerciseObject).values
        }
        found |= {
            value.casefold()
            for vertex in self.by_kind["withdrawal"]
            for _, value in self._bodies.said(vertex, ExerciseWithdrawal).values
        }
        return found | {
            self._bodies.said(vertex, ExerciseSighting).value.casefold()
            for vertex in self.by_kind["sighting"]
        }

    def observations(self) -> list[tuple[Vertex, ExerciseObservation]]:
        """Returns what evaluators, those whose role is white or observer, say they saw, by (depth, id)."""
        return [
            (vertex, self._bodies.said(vertex, ExerciseObservation))
            for vertex in self.by_kind["observation"]
            if self.role(vertex.author) in EVALUATING_ROLES
        ]

    def _all_acts(self) -> list[tuple[ExerciseAct, ScoredAct]]:
        if self._acts[0] != self._placed:
            self._acts = self._placed, [*self._own_acts(), *self._acts_elsewhere()]
        return self._acts[1]

    def _own_acts(self) -> Iterator[tuple[ExerciseAct, ScoredAct]]:
        course, reach = self.course, self._reach()
        wanted = frozenset(wanted_values(held.inject for held in course.effective if held.inject is not None))
        last = course.clock.last_instant
        own = (vertex for kind in ACTION_BY_KIND for vertex in self.by_kind[kind])
        for vertex in sorted(own, key=_by_number):
            mark, created = course.stamped.get(vertex.entry_id), vertex.header.created
            moment = None
            if mark is not None:
                moment = min(created, mark.instant)
                moment = None if last is not None and moment > last else moment
            upto = reach.get(vertex, 0)
            detail, scored = self._read(vertex, upto, moment, wanted)
            yield (
                ExerciseAct(vertex.entry_id, vertex.author, scored.action, detail, created, moment, upto),
                scored,
            )

    def _acts_elsewhere(self) -> Iterator[tuple[ExerciseAct, ScoredAct]]:
        course = self.course
        releases = [held.released for held in course.effective]
        for act, mark in course.attested.values():
            upto = min(bisect_left(course.places, mark.place), bisect_right(releases, act.created))
            moment: int | None = min(act.created, mark.instant)
            if moment is not None and course.clock.is_over(moment):
                moment = None
            yield (
                ExerciseAct(act.entry, act.author, act.action, act.detail, act.created, moment, upto),
                ScoredAct(act.action, upto, moment, (), text=act.detail, to=act.to),
            )

    def _read(
        self, vertex: Vertex, upto: int, moment: int | None, wanted: frozenset[str]
    ) -> tuple[str, ScoredAct]:
        """Returns what an act in this space says in a line, and as scoring reads it."""
        action = ACTION_BY_KIND[vertex.kind]
        match vertex.kind:
            case "inject-ack":
                number = str(self._bodies.said(vertex, InjectAck).inject)
                return number, ScoredAct(action, upto, moment, (number,))
            case "answer":
                answer = self._bodies.said(vertex, InjectAnswer)
                number = str(answer.inject)
                return answer.choice or answer.text, ScoredAct(
                    action, upto, moment, (number,), answer.text, answer.choice
                )
            case "object":
                made = self._bodies.said(vertex, ExerciseObject)
                return _listed(made.values), ScoredAct(
                    action, upto, moment, _keys(made.values, wanted), tlp=made.tlp, to=made.to
                )
            case "sighting":
                seen = self._bodies.said(vertex, ExerciseSighting)
                return seen.value, ScoredAct(
                    action,
                    upto,
                    moment,
                    (seen.value.casefold(),),
                    times=seen.times,
                    is_false_positive=bool(seen.is_false_positive),
                    to=seen.to,
                )
        values = self._bodies.said(vertex, ExerciseWithdrawal).values
        return _listed(values), ScoredAct(action, upto, moment, _keys(values, wanted))

    def _reach(self) -> dict[Vertex, int]:
        """Returns for each act in this space how many of the injects that count, in their order from the first, are in its past."""
        index = {held.vertex: 1 << place for place, held in enumerate(self.course.effective)}
        if not index:
            return {}
        upto: dict[Vertex, int] = {}
        found: dict[Vertex, int] = {}
        for vertex in self._vertices:
            seen = 0
            for parent in vertex.parents:
                seen |= upto[parent]
            if vertex.kind in ACTION_BY_KIND:
                found[vertex] = (seen ^ (seen + 1)).bit_length() - 1
            upto[vertex] = seen | index.get(vertex, 0)
        return found

    # --- the score ---------------------------------------------------------------------------------

    def score(self, now: int | None = None) -> ExerciseScore:
        """Returns the score; without `now` (unix seconds) as far as the lead's entries have come, the same on every node that holds the same."""
        if self._score[:2] != (self._placed, now):
            self._score = self._placed, now, self._scored_at(now)
        return self._score[2]

    def _scored_at(self, now: int | None) -> ExerciseScore:
        course = self.course
        instant = course.instant if now is None else max(now, course.instant)
        players = [member for member in self.places() if self.role(member) in PLAYING_ROLES]
        pack = course.pack
        return score_exercise(
            ScoredCourse(
                [
                    ScoredInject(held.inject, held.released)
                    for held in course.effective
                    if held.inject is not None
                ],
                self.places(),
                players,
                () if pack is None else [one.id for one in pack.objectives],
                course.clock.at,
                course.clock.at(instant),
                course.is_over or course.clock.is_over(instant),
            ),
            ((act.author, scored) for act, scored in self._all_acts()),
            (
                ScoredRating(
                    vertex.author, (vertex.number, vertex.entry_id), said.expectation, said.about, said.rating
                )
                for vertex, said in self.observations()
                if said.rating
            ),
        )

    # --- canonical ---------------------------------------------------------------------------------

    def canonical(self) -> Json:
        course, score = self.course, self.score()
        event = self.real_event()
        return {
            "acts": [
                {
                    "action": act.action,
                    "author": act.author.text,
                    "id": act.entry.text,
                    "moment": act.moment,
                    "upto": act.upto,
                }
                for act in self.acts()
            ],
            "clock": course.clock.at(course.instant),
            "injects": [_inject_json(held) for held in course.injects],
            "notes": [self._note(vertex) for vertex in self.by_kind["note"]],
            "objectives": [
                {"half_of": one.half_of, "half_points": one.half_points, "id": one.id, "score": one.score}
                for one in score.objectives
            ],
            "observations": [_observation_json(vertex, said) for vertex, said in self.observations()],
            "pack": _pack_json(course.pack),
            "phase": self.phase,
            "places": [
                {"member": member.text, "place": place, "role": self.role(member)}
                for member, place in self.places().items()
            ],
            "players": [_player_json(one) for one in score.players],
            "real_event": None if event is None else event.entry_id.text,
            "time_factor": course.time_factor,
            "turns": [
                {"at": turn.at, "id": turn.vertex.entry_id.text, "what": turn.what} for turn in course.turns
            ],
            "unstamped": [vertex.entry_id.text for vertex in self.unstamped()],
        }

    def note(self, vertex: Vertex) -> str | None:
        """Returns the text of a note; None for one that is redacted, sealed or not held."""
        is_hidden = self._view.is_redacted(vertex) or bool(vertex.header.audience)
        return None if is_hidden or vertex.content is None else read_text(vertex.content)

    def _note(self, vertex: Vertex) -> Json:
        return {
            "id": vertex.entry_id.text,
            "redacted": self._view.is_redacted(vertex),
            "sealed": bool(vertex.header.audience),
            "text": self.note(vertex),
        }


def _by_number(vertex: Vertex) -> tuple[PartnerId, int, EntryId]:
    return vertex.author, vertex.number, vertex.entry_id


def _keys(values: StatedValues, wanted: frozenset[str]) -> tuple[str, ...]:
    """Returns those values, in folded case, that are looked for."""
    return tuple({value.casefold() for _, value in values} & wanted)


def _listed(values: StatedValues) -> str:
    first = values[0][1]
    return first if len(values) == 1 else f"{first} and {len(values) - 1} more"


def _inject_json(held: HeldInject) -> Json:
    inject = held.inject
    return {
        "at": held.at,
        "fault": held.fault or None,
        "id": held.vertex.entry_id.text,
        "number": held.number,
        "payload": held.said.payload_sha256.hex() or None,
        "released": held.released,
        "scored": inject is not None and bool(inject.expect),
    }


def _observation_json(vertex: Vertex, said: ExerciseObservation) -> Json:
    return {
        "about": [one.text for one in said.about],
        "author": vertex.author.text,
        "due": said.due,
        "expectation": said.expectation,
        "id": vertex.entry_id.text,
        "inject": said.inject,
        "item": said.item,
        "objective": said.objective,
        "owner": [one.text for one in said.owner],
        "rating": said.rating,
        "text": said.text,
    }


def _pack_json(pack: StatedPack | None) -> Json:
    if pack is None:
        return None
    return {
        "archive": pack.archive.hex(),
        "duration": pack.duration_seconds,
        "id": pack.id,
        "kind": pack.kind,
        "language": pack.language,
        "leaves": [leaf.hex() for leaf in pack.leaves],
        "name": pack.name,
        "objectives": [{"id": one.id, "text": one.text} for one in pack.objectives],
        "places": [
            {"id": one.id, "many": one.many, "role": one.role, "title": one.title} for one in pack.places
        ],
        "size": pack.size,
        "time_factor": pack.time_factor,
        "version": pack.version,
    }


def _player_json(player: PlayerScore) -> Json:
    return {
        "acknowledged": [[number, after] for number, after in sorted(player.acknowledged.items())],
        "expectations": [
            {
                "after_seconds": one.after_seconds,
                "id": one.id,
                "inject": one.inject,
                "kind": one.kind,
                "result": one.result,
                "weight": one.weight,
                "within": one.within,
            }
            for one in player.results
        ],
        "half_of": player.half_of,
        "half_points": player.half_points,
        "member": player.partner.text,
        "place": player.place,
        "score": player.score,
    }


KIND = SpaceKind(
    name="exercise",
    entry_kinds={
        kind: EntryKind(is_deciding=kind != "note", is_lead_only=kind in LEAD_ONLY, read=read)
        for kind, read in READERS.items()
    },
    lead_role=LEAD_ROLE,
    fold=ExerciseFold,
)
