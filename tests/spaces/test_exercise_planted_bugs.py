"""Bugs that somebody could make in the fold and the scoring of exercises: each is spoken against by a story."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from exercise_stories import EXERCISE_STORIES
from kind_stories import at

from p2pshare.errors import PeerError
from p2pshare.identifiers import PartnerId
from p2pshare.spaces import exercise, exercise_scoring
from p2pshare.spaces.authority import Authority
from p2pshare.spaces.canonical import canonical
from p2pshare.spaces.exercise import ExerciseClock, ExerciseCourse, ExerciseFold
from p2pshare.spaces.exercise_scoring import _Deeds, _Scoring
from p2pshare.spaces.fold import fold
from p2pshare.spaces.vertex import Past, Vertex

Plant = Callable[[pytest.MonkeyPatch], None]


def the_lead_votes(patch: pytest.MonkeyPatch) -> None:
    def voters(self: Authority, past: Past) -> frozenset[PartnerId]:
        return frozenset(
            one for one in self.members if self.is_named(one, past) and self._has_lead_role(one, past)
        )

    patch.setattr(Authority, "voters", voters)


def players_take_over(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Authority, "_has_lead_role", lambda self, member, past: True)


def leaves_are_not_looked_at(patch: pytest.MonkeyPatch) -> None:
    def opened(self: ExerciseCourse, vertex: Vertex, said: Any, leaf: bytes) -> Any:
        try:
            return "", exercise.read_inject(said.jcs)
        except PeerError:
            return "unreadable", None

    patch.setattr(ExerciseCourse, "_open", opened)


def another_pack_replaces_the_first(patch: pytest.MonkeyPatch) -> None:
    go_on = ExerciseCourse._go_on

    def replaced(self: ExerciseCourse, place: int, vertex: Vertex) -> None:
        if vertex.kind == "pack":
            self.pack = None
        go_on(self, place, vertex)

    patch.setattr(ExerciseCourse, "_go_on", replaced)


def a_number_counts_twice(patch: pytest.MonkeyPatch) -> None:
    release = ExerciseCourse._release

    def released(self: ExerciseCourse, place: int, vertex: Vertex) -> None:
        self._numbers.clear()
        release(self, place, vertex)

    patch.setattr(ExerciseCourse, "_release", released)


def pasts_are_not_asked(patch: pytest.MonkeyPatch) -> None:
    def reach(self: ExerciseFold) -> dict[Vertex, int]:
        everything = len(self.course.effective)
        return dict.fromkeys(self._vertices, everything)

    patch.setattr(ExerciseFold, "_reach", reach)


def a_wrong_clock_wins(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(exercise_scoring, "max", lambda one, *others: one, raising=False)


def the_clock_goes_on_in_a_pause(patch: pytest.MonkeyPatch) -> None:
    turn = ExerciseClock.turn
    patch.setattr(ExerciseClock, "turn", lambda self, instant, factor: turn(self, instant, factor or 60))


def it_never_ends_by_itself(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(ExerciseClock, "last_instant", property(lambda self: self.ended))


def any_answer_counts(patch: pytest.MonkeyPatch) -> None:
    def last(self: _Deeds, number: int, inject: int) -> Any:
        stamped = [act for act in self.acts("answer", str(number)) if act.moment is not None]
        return stamped[-1] if stamped else None

    patch.setattr(_Deeds, "first_answer", last)


def some_recipients_are_all(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(_Scoring, "_required_of", lambda self, player, to: frozenset())


def players_rate(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(exercise, "EVALUATING_ROLES", ("white", "observer", "blue"))


def late_is_in_time(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(exercise_scoring, "PARTIAL", "success")


def a_resume_lifts_what_it_has_not_seen(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(
        ExerciseFold,
        "_before_resumes",
        lambda self: set(self._vertices) if self.by_kind["resume"] else set(),
    )


def stamps_count_behind_the_end(patch: pytest.MonkeyPatch) -> None:
    go_on = ExerciseCourse._go_on

    def stamped(self: ExerciseCourse, place: int, vertex: Vertex) -> None:
        if vertex.kind == "stamp":
            self._stamp(place, vertex)
        else:
            go_on(self, place, vertex)

    patch.setattr(ExerciseCourse, "_go_on", stamped)


BUGS: list[Plant] = [
    the_lead_votes,
    players_take_over,
    leaves_are_not_looked_at,
    another_pack_replaces_the_first,
    a_number_counts_twice,
    pasts_are_not_asked,
    a_wrong_clock_wins,
    the_clock_goes_on_in_a_pause,
    it_never_ends_by_itself,
    any_answer_counts,
    some_recipients_are_all,
    players_rate,
    late_is_in_time,
    a_resume_lifts_what_it_has_not_seen,
    stamps_count_behind_the_end,
]


def stories_that_disagree() -> Iterator[str]:
    """Yields the stories of which some check does not hold."""
    for story in EXERCISE_STORIES:
        for check in story.checks:
            state = json.loads(canonical(fold(story.teller.entries[one] for one in check.known)))["state"]
            if not all(holds(state, place, value) for place, value in check.state.items()):
                yield story.name
                break


def holds(state: Any, place: str, value: Any) -> bool:
    try:
        return bool(at(state, place) == value)
    except TypeError:  # there is nothing beyond that place
        return False


def test_without_a_bug_all_stories_agree() -> None:
    assert list(stories_that_disagree()) == []


@pytest.mark.parametrize("plant", BUGS, ids=lambda plant: plant.__name__)
def test_each_planted_bug_is_spoken_against(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch)
    assert any(stories_that_disagree())
