"""An exercise that is played alone: the real fold scores it, equal scripts give equal entries, and what players omit or do late costs what it must."""

from __future__ import annotations

import json

import pytest
from exercise_scripts import perfect_script
from hypothesis import given, settings
from hypothesis import strategies as st

from p2pshare.errors import AuthorError
from p2pshare.intel import exercise_pack
from p2pshare.intel.exercise_pack import ExercisePack
from p2pshare.intel.exercise_record import percent_of_all, score_json, slowest
from p2pshare.intel.exercise_script import SCRIPT_BYTES_MAX, ExerciseScript, read_script
from p2pshare.node.exercise_folder import load_pack, shipped_packs
from p2pshare.spaces import exercise
from p2pshare.spaces.canonical import canonical
from p2pshare.spaces.exercise_solo import SoloExercise, play_script

PACKS = {name: load_pack(name) for name in shipped_packs()}
CHECK = PACKS["communication-check"].checked()


def _script(pack: ExercisePack, told: object) -> ExerciseScript:
    return read_script(json.dumps(told).encode(), pack)


def _played(pack: ExercisePack, told: object) -> SoloExercise:
    return play_script(pack, PACKS[pack.id].payloads, _script(pack, told))


def test_the_lint_and_the_fold_count_expectations_alike() -> None:
    assert exercise_pack.EXPECTED_MAX == exercise.EXPECTED_MAX


@pytest.mark.parametrize("name", PACKS)
def test_who_does_all_that_a_pack_of_ours_expects_has_all_points(name: str) -> None:
    """So each expectation of ours can be fulfilled, with what its injects say."""
    pack = PACKS[name].checked()
    told = perfect_script(pack)
    record = _played(pack, told).record()
    results = {(player.name, one.id): one.result for player in record.players for one in player.expectations}
    assert set(results.values()) == {"success"}, {
        key: value for key, value in results.items() if value != "success"
    }
    assert percent_of_all(record) == 100
    assert len(results) == sum(len(one.by) for inject in pack.injects for one in inject.expect)
    assert slowest(record) == []
    assert record.state == "ended" and all(inject.fits for inject in record.injects)


@pytest.mark.parametrize("name", PACKS)
def test_equal_scripts_give_equal_entries_and_scores(name: str) -> None:
    pack = PACKS[name].checked()
    told = perfect_script(pack, after=700)
    first, second = _played(pack, told), _played(pack, told)
    assert canonical(first.state()) == canonical(second.state())
    assert first.record() == second.record()
    again = _played(pack, _script(pack, told).as_json())
    assert again.record() == first.record()


@given(
    st.lists(
        st.tuples(st.integers(0, 1_200), st.sampled_from(("Clinic", "Port")), st.integers(0, 4)), max_size=12
    )
)
@settings(max_examples=25)
def test_whatever_is_done_the_score_is_the_same_twice_and_within_its_bounds(
    done: list[tuple[int, str, int]],
) -> None:
    whole = (
        {"action": "acknowledge", "inject": 1},
        {"action": "sight", "values": ["192.0.2.200"]},
        {"action": "sight", "values": ["192.0.2.200"], "false_positive": True},
        {"action": "answer", "inject": 1, "text": "what?"},
        {"action": "note", "text": "hello"},
    )
    told = {
        "places": {"partner": ["Clinic", "Port"]},
        "actions": [{"at": at, "by": by, **whole[which]} for at, by, which in done],
    }
    first, second = _played(CHECK, told).record(), _played(CHECK, told).record()
    assert first == second
    for player in score_json(first)["players"]:
        assert 0 <= player["points"] <= player["of"] == 7
        assert player["score"] == player["points"] * 100 // player["of"]


def test_what_is_late_counts_half_and_what_is_missed_nothing() -> None:
    told = {
        "places": {"partner": ["Clinic"]},
        "actions": [
            {"at": "PT10M", "by": "Clinic", "action": "acknowledge", "inject": 1},
            {"at": 120 + 601, "by": "partner", "action": "sight", "values": ["192[.]0[.]2[.]200"]},
            {"at": 300, "by": "Clinic", "action": "answer", "inject": 3, "choice": "deputy"},
            {"at": 301, "by": "Clinic", "action": "answer", "inject": 3, "choice": "reached"},
        ],
    }
    played = _played(CHECK, told)
    (player,) = played.record().players
    assert [(one.id, one.result, one.after) for one in player.expectations] == [
        ("acknowledged", "success", 600),
        ("sighted", "partial", 601),
        ("reached", "failed", None),
    ]
    assert player.expectations[2].attempted == 0
    assert (player.points, player.of, player.score) == ("3", "7", 42)


def test_an_exercise_that_ends_early_does_not_judge_what_was_not_due() -> None:
    told = {"ended": 300, "actions": [{"at": 60, "by": "partner", "action": "acknowledge", "inject": 1}]}
    (player,) = _played(CHECK, told).record().players
    assert {one.id: one.result for one in player.expectations} == {
        "acknowledged": "success",
        "sighted": "pending",
        **({"reached": "pending"} if len(player.expectations) == 3 else {}),
    }
    assert player.score == 100


def test_evaluators_who_differ_take_an_expectation_out_of_the_score() -> None:
    pack = PACKS["ransomware-two-hospitals"].checked()
    told = perfect_script(pack)
    told["ratings"].append(
        {"by": "Otto", "about": "hospital-a", "expectation": "press-judged", "rating": "U"}
    )
    record = _played(pack, told).record()
    found = [
        one
        for player in record.players
        for one in player.expectations
        if one.id == "press-judged" and player.name == "hospital-a"
    ]
    assert [one.result for one in found] == ["spread"]
    assert percent_of_all(record) == 100


def test_an_inject_cannot_be_answered_before_it_comes() -> None:
    told = {"actions": [{"at": 10, "by": "partner", "action": "acknowledge", "inject": 3}]}
    with pytest.raises(LookupError):
        _played(CHECK, told)


_GOOD = {"at": 1, "by": "partner", "action": "acknowledge", "inject": 1}


@pytest.mark.parametrize(
    "told",
    (
        [],
        {"actions": 1},
        {"actions": [{}]},
        {"actions": [_GOOD | {"at": -1}]},
        {"actions": [_GOOD | {"at": 1_201}]},
        {"actions": [_GOOD | {"at": "soon"}]},
        {"actions": [_GOOD | {"at": 1.5}]},
        {"actions": [_GOOD | {"by": "nobody"}]},
        {"actions": [_GOOD | {"by": "control"}]},
        {"actions": [_GOOD | {"action": "hack"}]},
        {"actions": [_GOOD | {"inject": 4}]},
        {"actions": [_GOOD | {"inject": 0}]},
        {"actions": [_GOOD | {"values": ["x"]}]},
        {"actions": [_GOOD | {"more": 1}]},
        {"actions": [{"at": 1, "by": "partner", "action": "sight"}]},
        {"actions": [{"at": 1, "by": "partner", "action": "sight", "values": []}]},
        {"actions": [{"at": 1, "by": "partner", "action": "answer", "inject": 1}]},
        {
            "actions": [
                {"at": 1, "by": "partner", "action": "answer", "inject": 1, "text": "a", "choice": "b"}
            ]
        },
        {"actions": [{"at": 1, "by": "partner", "action": "own-status", "status": "fine"}]},
        {"actions": [{"at": 1, "by": "partner", "action": "incident-open", "incident_type": "Two Words"}]},
        {"actions": [{"at": 1, "by": "partner", "action": "duty-done", "duty": "NIS2"}]},
        {"actions": [{"at": 1, "by": "partner", "action": "ask", "text": "x", "to": ["nobody"]}]},
        {"actions": [{"at": 1, "by": "partner", "action": "sight", "values": ["x"] * 64}] * 200},
        {"places": {"control": ["x"]}},
        {"places": {"nowhere": ["x"]}},
        {"places": {"partner": []}},
        {"places": {"partner": ["x", "x"]}},
        {"places": {"partner": ["\x1b[2J"]}},
        {"places": {"partner": [f"p{number}" for number in range(65)]}},
        {"ended": "never"},
        {"ratings": [{"by": "Eva", "rating": "X"}]},
        {"ratings": [{"by": "Eva", "rating": "P", "about": "nobody"}]},
        {"ratings": [{"by": "Eva", "rating": "P", "expectation": "none"}]},
        {"ratings": [{"by": "Eva", "rating": "P", "objective": "none"}]},
    ),
)
def test_a_script_that_cannot_be_played_is_refused_with_its_place(told: object) -> None:
    with pytest.raises(AuthorError) as raised:
        _script(CHECK, told)
    assert raised.value.reason == "bad-script" and len(raised.value.message) < 400


@pytest.mark.parametrize("raw", (b"", b"{", b"\xff", b"[" * 100_000, b" " * (SCRIPT_BYTES_MAX + 1)))
def test_bytes_that_are_no_script_are_refused(raw: bytes) -> None:
    with pytest.raises(AuthorError):
        read_script(raw, CHECK)
