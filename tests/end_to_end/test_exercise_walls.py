"""Exercises on three real daemons: what is played is seen by its players on its own ground, and nowhere else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import exercise_operations
import pytest
from exercise_exits import EXITS, search
from exercise_operations import JoinExercise, MakeExercise
from store_rows import rows

from p2pshare.cli.session import connect
from p2pshare.errors import ShareError
from p2pshare.operations.table import OPERATIONS

if TYPE_CHECKING:
    from conftest import Company, Partner

pytestmark = pytest.mark.end_to_end

LONG = 60.0  # seconds, on a busy machine
QUICK = """
import p2pshare.spaces.travel as travel
for name in dir(travel):
    if name.endswith("_SECONDS") and name not in ("RESEND_SECONDS", "INVITE_SECONDS"):
        setattr(travel, name, getattr(travel, name) / 50)
import p2pshare.sharing.reading as reading
reading.REST_SECONDS_MAX = 0.5
"""
PLAYED = ["wards-are-dark.example", "198.51.100.77", "the-lift-stands-still", "played-title-zx"]
REAL = "seen-for-real.example"


class Game(NamedTuple):
    alpha: Partner
    bravo: Partner
    charlie: Partner
    exercise: str
    incident: str


@pytest.fixture(scope="module", autouse=True)
def _operations() -> Iterator[None]:
    exercise_operations.register()
    yield
    del OPERATIONS["test-exercise-make"], OPERATIONS["test-exercise-join"]


@pytest.fixture(scope="module")
def game(shared_company: Company, eventually: Callable[..., Any]) -> Game:
    """alpha leads an exercise and bravo plays in it: in an incident with observables. charlie is a partner of both and does not play."""
    alpha, bravo, charlie = (shared_company.found(name) for name in ("alpha", "bravo", "charlie"))
    for one in (alpha, bravo, charlie):
        for other in (alpha, bravo, charlie):
            if one is not other:
                one.trust(other)
    for one in (alpha, bravo, charlie):
        one.preface = exercise_operations.PREFACE + QUICK
        one.start()
    invited = ("--invite", "bravo", "--invite", "charlie", "--yes")
    alpha.cli("space", "open", "--title", "what is real", "--tlp", "green", *invited)
    with connect(alpha.home) as session:
        exercise = session.run(MakeExercise("a day in the clinic", ("bravo",))).space
    eventually(lambda: held(bravo, exercise), "bravo is invited", LONG)
    with connect(bravo.home, exercise) as session:
        session.run(JoinExercise(exercise))
    eventually(lambda: held(alpha, exercise) == held(bravo, exercise) == 2, "bravo has joined", LONG)
    named = ("--title", PLAYED[3], "--type", "ransomware", "--tlp", "green", "--invite", "alpha")
    opened = bravo.cli_json("incident", "open", *named, "--exercise", exercise, "--yes", "--json")
    incident = opened["incident"]
    eventually(lambda: held(alpha, exercise) == 3, "alpha is invited into the incident", LONG)
    alpha.cli("incident", "join", incident, "--exercise", exercise)
    for text in PLAYED[:3]:
        bravo.cli("incident", "note", incident, f"we saw {text}", "--exercise", exercise)
    said = bravo.publish("".join(f"{value}\n" for value in PLAYED[:2]), "--exercise", exercise)
    assert said["published"] == 2 and said["recipients"] == ["alpha"] and len(said["envelopes"]) == 1
    alpha.publish(f"{REAL}\n", "--tlp", "green")
    eventually(lambda: held(alpha, exercise) == held(bravo, exercise) == 10, "alpha has all", LONG)
    assert alpha.cli_json("sight", PLAYED[1], "--exercise", exercise, "--json")["recipients"] == ["bravo"]
    assert bravo.cli("withdraw", PLAYED[0], "--reason", "mistake", "--exercise", exercise, "--yes").code == 0
    eventually(lambda: held(alpha, exercise) == held(bravo, exercise) == 12, "both have all", LONG)
    for one in (bravo, charlie):
        one.wait_for(REAL)
        eventually(lambda one=one: one.cli_json("space", "list", "--json"), "the real space is there", LONG)
    return Game(alpha, bravo, charlie, exercise, incident)


def held(partner: Partner, exercise: str) -> int:
    """How many entries of an exercise are held in its file."""
    folder = partner.home / "exercises"
    files = [
        path
        for path in folder.glob("*.sqlite")
        if rows(path, "SELECT 1 FROM sqlite_schema WHERE name = 'space'")
    ]  # one is there for a moment before its tables are
    counts = [
        rows(path, "SELECT count(*) FROM space_entry")[0][0]
        for path in files
        if rows(path, f"SELECT 1 FROM space WHERE hex(space_id) = '{exercise.upper()}'")
    ]
    return sum(counts)


def test_players_see_what_is_played_and_every_line_says_so(game: Game) -> None:
    for one in (game.alpha, game.bravo):
        shown = one.cli("incident", "show", game.incident, "--exercise", game.exercise[:10])
        assert all(text in shown.out for text in PLAYED)
        lines = [line for line in (shown.out + shown.err).splitlines() if line]
        assert lines and all(line.startswith("EXERCISE") for line in lines)
        listed = one.cli_json("incident", "list", "--exercise", game.exercise, "--json")
        assert [row["incident"] for row in listed] == [game.incident]
        assert one.cli_json("incident", "list", "--json") == []


def test_nothing_of_it_is_seen_anywhere_else(game: Game) -> None:
    for one in (game.alpha, game.bravo, game.charlie):
        found = search(one, [*PLAYED, game.exercise, REAL])
        real = [place for place, seen in found.leaks.items() if seen == [REAL]]
        assert real and len(real) == len(found.leaks), f"{one.name}: {found.leaks}"
        assert found.looked_at == {each.name for each in EXITS}, "all of it was there to be looked at"
        assert {place.partition(":")[0] for place in real} >= {
            "tables and views",
            "exports",
            "files of the home",
        }
    assert not (game.charlie.home / "exercises").exists()


def test_what_is_real_alone_is_refused_in_an_exercise(game: Game) -> None:
    said = game.bravo.cli("incident", "watch", "list", "--exercise", game.exercise, code=5)
    assert "nothing of an exercise is in it" in said.err
    said = game.bravo.cli(
        "incident", "fetch", game.incident, "0" * 64, "-o", "-", "--exercise", game.exercise, code=5
    )
    assert "nothing of an exercise is in it" in said.err
    said = game.charlie.cli("incident", "list", "--exercise", game.exercise, code=3)
    assert "no such exercise" in said.err
    with connect(game.alpha.home, game.exercise) as session, pytest.raises(ShareError) as refused:
        from p2pshare.operations.looking import LookUp

        session.run(LookUp((REAL,)))
    assert refused.value.reason == "not-in-exercise"
