"""What a report tells beside the score: when a player tried in vain, what else waited, against a slow reading of the same words on drawn exercises."""

from __future__ import annotations

import pytest
from exercise_histories import ExerciseTeller, drawn_exercise, expecting, inject_of

from p2pshare.spaces.exercise import ExerciseFold
from p2pshare.spaces.exercise_scoring import ExpectationResult, PlayerScore
from p2pshare.spaces.exercise_telling import ACTS_TOLD_MAX, DETAIL_CHARACTERS_MAX, record_of
from p2pshare.spaces.fold import SpaceState, fold

LATER = 2_000_000_000


def slow_waits(fold_: ExerciseFold, score: PlayerScore, one: ExpectationResult) -> int:
    released = {held.number: held.at for held in fold_.injects() if held.fits}
    at, waited = released[one.inject], set()
    for other in score.results:
        begin = released[other.inject]
        if other.inject == one.inject or begin > at:
            continue
        if other.after_seconds is not None:
            end = begin + other.after_seconds
        elif other.result == "failed" and other.action != "rated":
            end = begin + (other.late_within or other.within)
        else:
            continue
        if end > at:
            waited.add(other.inject)
    return len(waited)


def slow_attempt(fold_: ExerciseFold, player: PlayerScore, one: ExpectationResult) -> int | None:
    fitting = [held for held in fold_.injects() if held.fits]
    (place,) = [at for at, held in enumerate(fitting) if held.number == one.inject]
    answered = {vertex.entry_id for vertex, _ in fold_.answers(one.inject)}
    if one.after_seconds is not None or one.action in ("acknowledge", "rated"):
        return None
    moments = [
        act.moment
        for act in fold_.acts()
        if (act.author, act.action) == (player.partner, one.action)
        and act.moment is not None
        and act.upto > place
        and (act.action != "answer" or act.entry in answered)
    ]
    return max(fold_.clock(min(moments)) - fitting[place].at, 0) if moments else None


@pytest.mark.parametrize("seed", range(24))
def test_the_fast_telling_says_what_the_slow_one_says(seed: int) -> None:
    told = drawn_exercise(seed)
    state: SpaceState = fold(told.entries.values())
    assert isinstance(state.kind, ExerciseFold)
    record, score = record_of(state, {}, LATER), state.kind.score(LATER)
    for shown, player in zip(record.players, score.players, strict=True):
        for row, one in zip(shown.expectations, player.results, strict=True):
            assert row.open_injects == slow_waits(state.kind, player, one)
            assert row.attempted == slow_attempt(state.kind, player, one)


def test_a_try_with_a_clock_that_was_put_back_is_told_as_no_time_and_not_as_less() -> None:
    told = ExerciseTeller()
    told.begin(inject_of(1, expecting("seen", "sight", {"values": ("a.example",)})))
    told.release(1, at=100)
    told.stamp("L", told.sight("A", "other.example", at=-500), at=110)
    state: SpaceState = fold(told.entries.values())
    (player, *_) = [one for one in record_of(state, {}, LATER).players if one.place == "clinic"]
    assert [(one.result, one.attempted) for one in player.expectations] == [("failed", 0)]


def test_one_players_flood_neither_fills_a_report_nor_puts_anothers_acts_out_of_it() -> None:
    told = ExerciseTeller()
    told.begin()
    told.release(1, at=0)
    for number in range(ACTS_TOLD_MAX + 100):
        told.sight("A", f"{number}.{'x' * 2_000}.example", at=1)
    told.sight("B", "honest.example", at=2)
    told.observe("O", "", "P", text="fine")
    record = record_of(fold(told.entries.values()), {}, LATER)
    assert len(record.acts) == ACTS_TOLD_MAX + 1
    assert record.acts[-1].detail.startswith("honest.example")
    assert max(len(one.detail) for one in record.acts) < DETAIL_CHARACTERS_MAX + 60
    assert record.not_here == f"100 acts of who did more than {ACTS_TOLD_MAX}: they count as all do"
