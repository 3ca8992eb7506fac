"""The table of scoring, computed by hand: one inject at exercise second 0, released 10 s after the start at 60 times speed, so 600; a real second is
a minute. `within` is twenty minutes and `late_within` forty, unless the row says otherwise."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from exercise_histories import ExerciseTeller, expecting, inject_of

from p2pshare.identifiers import EntryId
from p2pshare.intel.exercise_pack import MatchValue
from p2pshare.spaces.exercise import ExerciseFold
from p2pshare.spaces.fold import fold

RELEASED = 10  # seconds after the start
Did = Callable[[ExerciseTeller], EntryId | tuple[EntryId, ...] | None]
TWO = {"values": ("a.example", "b.example")}
TOLD = {"values": ("a.example",), "to": ("ward",), "tlp_max": "green"}


def attested(told: ExerciseTeller, action: str, detail: str, at: int, to: str = "") -> None:
    told.stamp(attested=[told.elsewhere("A", action, detail, at, to=to)], at=at + 1)


ROWS: tuple[tuple[str, str, dict[str, MatchValue], Did, tuple[str, int | None]], ...] = (
    ("at once", "acknowledge", {}, lambda t: t.ack_inject("A", 1, at=10), ("success", 0)),
    ("within, inclusive", "acknowledge", {}, lambda t: t.ack_inject("A", 1, at=30), ("success", 1_200)),
    ("a second later", "acknowledge", {}, lambda t: t.ack_inject("A", 1, at=31), ("partial", 1_260)),
    ("late, inclusive", "acknowledge", {}, lambda t: t.ack_inject("A", 1, at=50), ("partial", 2_400)),
    ("too late", "acknowledge", {}, lambda t: t.ack_inject("A", 1, at=51), ("failed", None)),
    ("clock put back", "acknowledge", {}, lambda t: t.ack_inject("A", 1, at=-9_000), ("success", 0)),
    ("clock put ahead: the stamp counts", "acknowledge", {}, lambda t: t.ack_inject("A", 1, at=9_000), ("failed", None)),
    ("another inject", "acknowledge", {}, lambda t: t.ack_inject("A", 2, at=11), ("failed", None)),
    ("nothing", "acknowledge", {}, lambda t: None, ("failed", None)),
    ("choice in any case", "answer", {"choice": "Yes"}, lambda t: t.answer("A", 1, choice=" yES ", at=11), ("success", 60)),
    ("first one counts", "answer", {"choice": "yes"}, lambda t: (t.answer("A", 1, choice="no", at=11), t.answer("A", 1, choice="yes", at=12)), ("failed", None)),
    ("number as a word", "answer", {"number": 24}, lambda t: t.answer("A", 1, "within (24) hours", at=12), ("success", 120)),
    ("number in a word", "answer", {"number": 24}, lambda t: t.answer("A", 1, "124 hours", at=12), ("failed", None)),
    ("all words", "answer", {"words": ("nis2", "early")}, lambda t: t.answer("A", 1, "EARLY by NIS2", at=12), ("success", 120)),
    ("whole with the last value", "sight", TWO, lambda t: (t.sight("A", "a.example", at=12), t.sight("A", "B.example", at=29)), ("success", 1_140)),
    ("whole too late, part in time", "sight", TWO, lambda t: (t.sight("A", "a.example", at=12), t.sight("A", "b.example", at=45)), ("partial", 120)),
    ("some values", "sight", TWO, lambda t: t.sight("A", "b.example", at=45), ("partial", 2_100)),
    ("too few", "sight", {"values": ("a.example",), "count_min": 3}, lambda t: t.sight("A", "a.example", 2, at=12), ("failed", None)),
    ("false positive where none is", "sight", {"values": ("a.example",)}, lambda t: t.sight("A", "a.example", false=True, at=12), ("failed", None)),
    ("to all", "publish", TOLD, lambda t: t.publish("A", "a.example", at=12), ("success", 120)),
    ("to both", "publish", TOLD, lambda t: t.publish("A", "a.example", to="BC", at=12), ("success", 120)),
    ("to one of two", "publish", TOLD, lambda t: t.publish("A", "a.example", to="B", at=12), ("partial", 120)),
    ("to others", "publish", TOLD, lambda t: t.publish("A", "a.example", to="O", at=12), ("failed", None)),
    ("too strict", "publish", TOLD, lambda t: t.publish("A", "a.example", tlp=2, at=12), ("partial", 120)),
    ("strict, then right and late", "publish", TOLD, lambda t: (t.publish("A", "a.example", tlp=2, at=12), t.publish("A", "a.example", at=40)), ("partial", 120)),
    ("taken back", "withdraw", TWO, lambda t: t.withdraw("A", "a.example", "b.example", at=12), ("success", 120)),
    ("of that type", "incident-open", {"incident_type": "malware"}, lambda t: attested(t, "incident-open", "ransomware malware", 12), ("success", 120)),
    ("of another type", "incident-open", {"incident_type": "malware"}, lambda t: attested(t, "incident-open", "malwares", 12), ("failed", None)),
    ("before the release", "incident-open", {}, lambda t: attested(t, "incident-open", "malware", 9), ("failed", None)),
    ("a stage of the duty", "duty-done", {"duty": "nis2"}, lambda t: attested(t, "duty-done", "nis2:early", 12), ("success", 120)),
    ("another stage", "duty-done", {"duty": "nis2:final"}, lambda t: attested(t, "duty-done", "nis2:early", 12), ("failed", None)),
    ("the word", "own-status", {"status": "contained"}, lambda t: attested(t, "own-status", "contained", 12), ("success", 120)),
    ("note to some", "note", {"words": ("Backups",), "to": ("ward",)}, lambda t: attested(t, "note", "the backups", 12, to="B"), ("partial", 120)),
    ("question to all", "ask", {"words": ("who",)}, lambda t: attested(t, "ask", "WHO has it?", 12), ("success", 120)),
    ("rated well", "rated", {}, lambda t: t.observe("O", "it", "P", "A", at=12), ("success", None)),
    ("rated of all", "rated", {}, lambda t: t.observe("O", "it", "U", at=12), ("failed", None)),
    ("M and S do not differ", "rated", {}, lambda t: (t.observe("O", "it", "M", "A", at=12), t.observe("W", "it", "S", "A", at=12)), ("partial", None)),
    ("evaluators differ", "rated", {}, lambda t: (t.observe("O", "it", "P", "A", at=12), t.observe("W", "it", "S", "A", at=12)), ("spread", None)),
    ("newest of one", "rated", {}, lambda t: (t.observe("O", "it", "U", "A", at=12), t.observe("O", "it", "P", "A", at=13)), ("success", None)),
    ("by a player", "rated", {}, lambda t: t.observe("B", "it", "P", "A", at=12), ("pending", None)),
)  # fmt: skip


@pytest.mark.parametrize(("action", "match", "did", "expected"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])  # fmt: skip
def test_each_row_of_the_table_by_hand(
    action: str, match: dict[str, MatchValue], did: Did, expected: tuple[str, int | None]
) -> None:
    told = ExerciseTeller()
    told.begin(
        inject_of(1, expecting("it", action, match, by=("clinic",), late=2_400, weight=3)), inject_of(2)
    )
    told.release(1, at=RELEASED)
    told.release(2, at=RELEASED)
    done = did(told)
    entries = done if isinstance(done, tuple) else () if done is None else (done,)
    told.stamp("L", *entries, at=70)
    told.end(at=100)
    fold_ = fold(told.entries.values()).kind
    assert isinstance(fold_, ExerciseFold)
    (player,) = [one for one in fold_.score().players if one.place == "clinic"]
    (row,) = player.results
    assert (row.result, row.after_seconds) == expected
    points = {"success": (6, 6, 100), "partial": (3, 6, 50), "failed": (0, 6, 0)}.get(
        row.result, (0, 0, None)
    )
    assert (player.half_points, player.half_of, player.score) == points


def test_a_score_is_rounded_down_and_what_is_spread_or_pending_stands_outside() -> None:
    told = ExerciseTeller()
    rows = [
        expecting("a", "acknowledge", by=("clinic",), weight=1, late=2_400),
        expecting("b", "answer", {"choice": "x"}, by=("clinic",), weight=2),
        expecting("c", "rated", by=("clinic",), weight=50),
        expecting("d", "sight", by=("clinic",), within=14_000, weight=50),
    ]
    told.begin(inject_of(1, *rows))
    told.release(1, at=RELEASED)
    entries = told.ack_inject("A", 1, at=31), told.answer("A", 1, choice="x", at=12)
    told.observe("O", "c", "P", "A", at=12)
    told.observe("W", "c", "U", "A", at=12)
    told.stamp("L", *entries, at=32)
    told.end(at=60)
    fold_ = fold(told.entries.values()).kind
    assert isinstance(fold_, ExerciseFold)
    (player,) = [one for one in fold_.score().players if one.place == "clinic"]
    assert [one.result for one in player.results] == ["partial", "success", "spread", "pending"]
    assert (player.half_points, player.half_of, player.score) == (5, 6, 83), "2.5 of 3 points are 83.3 %"
