"""Exercises on three real daemons: a communication check at speed, a player who is away, a facilitator who is lost, a real event, and the end of the file."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from exercise_exits import EXITS, search
from quick_spaces import QUICK_SPACES

from p2pshare.cli.session import connect
from p2pshare.errors import ShareError
from p2pshare.operations.looking import LookUp

if TYPE_CHECKING:
    from conftest import Company, Partner

pytestmark = pytest.mark.end_to_end

LONG = 60.0  # seconds, on a busy machine
QUICK = f"""{QUICK_SPACES}
import p2pshare.daemon.exercise_rounds as rounds
rounds.LOOK_SECONDS = 0.2
"""
SPEED = "60"  # the fastest at which the check may be played: twenty minutes in twenty seconds
FOUND = "192.0.2.200"  # what its second inject has players look for


class Game(NamedTuple):
    """A check that ran by itself while charlie was away, and one whose facilitator is lost in the middle."""

    alpha: Partner
    bravo: Partner
    charlie: Partner
    check: str
    lost: str


class Soon:
    """`eventually` of the company, which looks again only where a store or an exercise of one of them has changed: a command costs more than a look."""

    def __init__(self, eventually: Callable[..., Any], *partners: Partner) -> None:
        self._eventually = eventually
        self._partners = partners

    def __call__(self, happened: Callable[[], Any], what: str) -> Any:
        seen: list[tuple[str, int, int]] = []

        def looked() -> Any:
            nonlocal seen
            now = [
                (path.name, stat.st_mtime_ns, stat.st_size)
                for one in self._partners
                for path in (one.home / "store.sqlite-wal", *(one.home / "exercises").glob("*.sqlite-wal"))
                if path.exists()
                for stat in (path.stat(),)
            ]
            if now == seen:
                return None
            seen = now
            return happened()

        return self._eventually(looked, what, LONG)


def show(partner: Partner, exercise: str) -> Any:
    return partner.cli_json("exercise", "show", exercise, "--json")


def inbox(partner: Partner, exercise: str) -> list[int]:
    return [one["inject"] for one in partner.cli_json("exercise", "inbox", exercise, "--json")]


def join(partner: Partner, exercise: str, soon: Soon) -> None:
    soon(
        lambda: partner.cli("exercise", "join", exercise, codes=(0, 3)).code == 0,
        "it is invited, and joins",
    )


def joined(partner: Partner, exercise: str) -> set[str]:
    return {one["name"] for one in show(partner, exercise)["members"] if one["status"] == "joined"}


def play(partner: Partner, exercise: str, number: int, soon: Soon) -> None:
    """What the check asks of a player for one inject."""
    soon(lambda: number in inbox(partner, exercise), f"inject {number} has come")
    if number == 1:
        partner.cli("exercise", "ack", exercise, "1")
    elif number == 2:
        partner.cli("sight", FOUND, "--exercise", exercise)
    else:
        partner.cli("exercise", "answer", exercise, "3", "--choice", "reached")


@pytest.fixture(scope="module")
def three(shared_company: Company) -> list[Partner]:
    return [shared_company.found(name) for name in ("alpha", "bravo", "charlie")]


@pytest.fixture(scope="module")
def soon(three: list[Partner], eventually: Callable[..., Any]) -> Soon:
    return Soon(eventually, *three)


@pytest.fixture(scope="module")
def game(three: list[Partner], soon: Soon) -> Game:
    alpha, bravo, charlie = three
    for one in three:
        for other in three:
            if one is not other:
                one.trust(other)
        one.preface = QUICK
        one.start()
    players = ("--as", "partner=bravo", "--as", "partner=charlie")
    alpha.cli("exercise", "import", "communication-check")  # what is kept of it is searched as well
    made = alpha.cli_json("exercise", "new", "communication-check", *players, "--tlp", "green", "--json")
    assert made.keys() == {"exercise", "realm", "members"}
    assert sorted(made["members"]) == sorted(one.partner_id for one in three)
    check = made["exercise"]
    for one in (bravo, charlie):
        join(one, check, soon)
    soon(lambda: len(joined(alpha, check)) == 3, "both have joined")
    soon(lambda: show(charlie, check)["pack"], "the commitment has come")
    charlie.stop()
    said = alpha.cli("exercise", "start", check, "--speed", SPEED)
    assert "no other white member: if your node is lost, the exercise can only be ended" in said.err
    for number in (1, 2, 3):
        play(bravo, check, number, soon)
    white = ("--as", "control=charlie", "--as", "partner=bravo")
    lost = alpha.cli_json("exercise", "new", "communication-check", *white, "--tlp", "green", "--json")[
        "exercise"
    ]
    join(bravo, lost, soon)
    soon(lambda: show(alpha, check)["phase"] == "ended", "it ends by itself")
    charlie.start()
    return Game(alpha, bravo, charlie, check, lost)


def test_all_nodes_come_to_one_score_and_what_was_missed_has_failed(game: Game, soon: Soon) -> None:
    scores = soon(lambda: one_score(game), "all three say the same")
    assert scores.keys() == {"players", "objectives"}
    by_partner = {one["name"]: one for one in scores["players"]}
    for one in by_partner["bravo"]["expectations"]:
        assert one["result"] in ("success", "partial"), one
        assert (one["result"] == "success") == (one["after_seconds"] <= one["within"]), one
    assert [one["result"] for one in by_partner["charlie"]["expectations"]] == ["failed"] * 3
    assert by_partner["charlie"]["score"] == 0 and by_partner["bravo"]["score"] >= 50
    assert inbox(game.charlie, game.check) == [1, 2, 3], "it has them all the same"
    assert inbox(game.bravo, game.check) == [1, 2, 3]


def one_score(game: Game) -> Any:
    """The score of the check where all three say the same, whatever each calls itself and the others."""
    found = []
    for one in (game.alpha, game.bravo, game.charlie):
        said = one.cli("exercise", "score", game.check, "--json", codes=(0, 5))
        if said.code:
            return None
        told = json.loads(said.out)
        for player in told["players"]:
            player["name"] = player["name"].lower()
        told["players"].sort(key=lambda player: player["name"])
        found.append(told)
    return found[0] if found[0] == found[1] == found[2] else None


def test_a_lost_facilitator_is_taken_over_and_the_commitment_still_holds(game: Game, soon: Soon) -> None:
    alpha, bravo, charlie = game.alpha, game.bravo, game.charlie
    join(charlie, game.lost, soon)
    soon(lambda: len(joined(alpha, game.lost)) == 3, "both have joined")
    before = show(alpha, game.lost)["pack"]["commitment"]
    soon(lambda: charlie.cli("exercise", "show", game.lost).code == 0, "charlie has it")
    said = alpha.cli("exercise", "start", game.lost, "--speed", SPEED)
    assert "no other white member" not in said.err
    play(bravo, game.lost, 1, soon)
    soon(lambda: inbox(charlie, game.lost) == [1], "the deputy reads it as well")
    alpha.kill()
    said = bravo.cli("exercise", "takeover", game.lost, "--yes", code=5)
    assert "white" in said.err or "member" in said.err, "a player does not take over"
    charlie.cli("exercise", "takeover", game.lost, "--yes")
    for number in (2, 3):
        play(bravo, game.lost, number, soon)
    for one in (bravo, charlie):
        told = show(one, game.lost)
        assert told["pack"]["commitment"] == before
        assert [(each["inject"], each["reason"]) for each in told["injects"]] == [(1, ""), (2, ""), (3, "")]
        assert told["lead"] == charlie.partner_id


def test_a_real_event_stops_it_everywhere_with_a_real_alarm_on_each(game: Game, soon: Soon) -> None:
    alpha, bravo, charlie = game.alpha, game.bravo, game.charlie
    alpha.start()
    bravo.cli("exercise", "stop", game.lost, "--real-event")
    for one in (alpha, bravo, charlie):
        found = soon(
            lambda one=one: [each for each in one.status()["alarms"] if each["word"] == "exercise-stopped"],
            "the alarm is raised",
        )
        assert game.lost[:8] in json.dumps(found) and FOUND not in json.dumps(found)
        soon(lambda one=one: show(one, game.lost)["phase"] == "paused", "the game is paused")
    charlie.cli("exercise", "resume", game.lost)
    for one in (alpha, bravo, charlie):
        soon(
            lambda one=one: all(each["word"] != "exercise-stopped" for each in one.status()["alarms"]),
            "the alarm is over",
        )
    charlie.cli("exercise", "end", game.lost, "--yes")
    soon(lambda: show(bravo, game.lost)["phase"] == "ended", "all hear that it has ended")


PLAYED = ["wards-are-dark.example", "198.51.100.77", "the-lift-stands-still", "played-title-zx"]
REAL = "seen-for-real.example"


def test_nothing_that_was_played_is_seen_anywhere_else(game: Game, soon: Soon) -> None:
    """Every exit of all three is searched (tests/support/exercise_exits.py), after all that was done before, and with the ordinary verbs."""
    alpha, bravo, charlie = game.alpha, game.bravo, game.charlie
    late = bravo.cli("sight", FOUND, "--exercise", game.check, code=5)
    assert "this exercise has ended" in late.err
    players = ("--as", "partner=bravo", "--as", "partner=charlie")
    named = alpha.cli_json("exercise", "new", "communication-check", *players, "--tlp", "green", "--json")
    drill = named["exercise"]
    for one in (bravo, charlie):
        join(one, drill, soon)
    soon(lambda: len(joined(bravo, drill)) == 3, "all are in it")
    there = ("--exercise", drill)
    said = bravo.publish("".join(f"{value}\n" for value in PLAYED[:2]), *there)
    assert (said["published"], said["recipients"], len(said["envelopes"])) == (2, ["alpha", "charlie"], 1)
    about = ("--title", PLAYED[3], "--type", "ransomware", "--tlp", "green", "--invite", "alpha")
    incident = bravo.cli_json("incident", "open", *about, *there, "--yes", "--json")["incident"]
    soon(lambda: alpha.cli("incident", "join", incident, *there, codes=(0, 3)).code == 0, "alpha joins")
    bravo.cli("incident", "note", incident, f"{PLAYED[2]}: {PLAYED[0]}", *there)
    soon(lambda: PLAYED[2] in alpha.cli("incident", "show", incident, *there).out, "alpha reads it")
    soon(lambda: alpha.cli("sight", PLAYED[1], *there, codes=(0, 3)).code == 0, "alpha knows the value")
    assert bravo.cli("withdraw", PLAYED[0], "--reason", "mistake", *there, "--yes").code == 0
    shown = alpha.cli("incident", "show", incident, *there)
    lines = [line for line in (shown.out + shown.err).splitlines() if line]
    assert lines and all(line.startswith("EXERCISE") for line in lines)
    assert alpha.cli_json("incident", "list", "--json") == []
    invited = ("--invite", "bravo", "--invite", "charlie", "--yes")
    alpha.cli("space", "open", "--title", "what is real", "--tlp", "green", *invited)
    alpha.publish(f"{REAL}\n", "--tlp", "green")
    for one in (alpha, bravo, charlie):
        one.wait_for(REAL)
        soon(lambda one=one: one.cli_json("space", "list", "--json"), "the real space is there")
        found = search(one, [*PLAYED, FOUND, REAL])
        real = [place for place, seen in found.leaks.items() if seen == [REAL]]
        assert real and len(real) == len(found.leaks), f"{one.name}: {found.leaks}"
        assert found.looked_at == {each.name for each in EXITS}, "all of it was there to be looked at"
        assert {place.partition(":")[0] for place in real} >= {
            "tables and views",
            "exports",
            "files of the home",
        }
    for one in (alpha, bravo, charlie):
        one.cli("exercise", "remove", drill, "--yes")


def test_what_is_of_real_things_alone_is_refused_in_an_exercise(game: Game) -> None:
    for arguments in (
        ("incident", "watch", "list"),
        ("incident", "fetch", "0" * 64, "0" * 64, "-o", "-"),
        ("incident", "export", "0" * 64, "--format", "stix"),
    ):
        said = game.bravo.cli(*arguments, "--exercise", game.check, code=5)
        assert "nothing of an exercise is in it" in said.err
    said = game.bravo.cli("incident", "list", "--exercise", "0" * 64, code=3)
    assert "no such exercise" in said.err
    with connect(game.alpha.home, game.check) as session, pytest.raises(ShareError) as refused:
        session.run(LookUp((REAL,)))
    assert refused.value.reason == "not-in-exercise"


def test_what_is_removed_is_gone_and_does_not_come_back(game: Game) -> None:
    bravo = game.bravo
    files = {path.name for path in (bravo.home / "exercises").iterdir()}
    gone = bravo.cli_json("exercise", "remove", game.lost[:10], "--yes", "--json")
    assert gone["exercise"] == game.lost and gone["left"] == [] and gone["entries"] > 10
    left = {path.name for path in (bravo.home / "exercises").iterdir()}
    assert files - left >= {*gone["deleted"]} >= {f"{gone['realm']}.sqlite"} and not any(
        gone["realm"] in name for name in left
    )
    listed = bravo.cli_json("exercise", "list", "--json")
    assert [one["exercise"] for one in listed] == [game.check]
    said = bravo.cli("exercise", "show", game.lost, code=3)
    assert all(line.startswith("EXERCISE") for line in said.out.splitlines())
