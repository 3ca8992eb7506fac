"""`p2pshare exercise`: keys of the contract, exit codes, who may, ids that are left out, what crosses the wall, hostile text: every line says EXERCISE."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from command_line import Home, Said
from exercise_games import Game
from whole_nodes import World, quiet

from p2pshare.cli import exercise as exercise_command
from p2pshare.cli import session, space_verbs
from p2pshare.errors import OperatorError
from p2pshare.node import exercise_packs
from p2pshare.node.exercise_packs import FOLDER
from p2pshare.node.node import Node
from p2pshare.operations.crossing import checked, fields_of
from p2pshare.operations.interface import Request
from p2pshare.operations.table import node_for

HOSTILE = "a\n\x1b[2J\x07\u202etxt.exe<script>|\u2028"


class Daemon:
    """A session with a node in this process, as the daemon's is: the tests of the socket are elsewhere."""

    is_daemon = True

    def __init__(self, game: Game, node: Node, exercise: str) -> None:
        self._game, self._node, self._exercise = game, node, exercise

    def run(self, request: Request[Any], progress: object = None) -> Any:
        session._require_text(fields_of(request))
        node = node_for(self._node, checked(request), self._exercise)
        return request.run(node, self._game.now, quiet)


class Commands:
    """cert, clinic and lab, with the command line on each home."""

    def __init__(self, game: Game, capture: pytest.CaptureFixture[str], patch: pytest.MonkeyPatch) -> None:
        self.game = game
        self.homes = {name: Home(node.home, capture, patch) for name, node in game.nodes.items()}
        by_home = {node.home: node for node in game.nodes.values()}

        @contextmanager
        def connect(home: Path, exercise: str | None = None) -> Iterator[Daemon]:
            yield Daemon(game, by_home[home], session._exercise(exercise))

        for module in (session, space_verbs, exercise_command):
            patch.setattr(module, "connect", connect)
        patch.setattr(space_verbs, "is_running", lambda home: True)

    def __call__(self, name: str, *words: str) -> Said:
        """What a command says to a person: whatever it is, each line says that it is of an exercise."""
        said = self.homes[name]("exercise", *words)
        for line in (said.out + said.err).splitlines():
            assert line.startswith("EXERCISE"), said
        return said

    def json(self, name: str, *words: str) -> Any:
        said = self.homes[name]("exercise", *words, "--json")
        assert said.code == 0, said
        return json.loads(said.out)

    def play(self, seconds: int = 3) -> None:
        self.game.play(seconds)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    world = World(tmp_path_factory.mktemp("exercises"))
    yield world
    world.close()


@pytest.fixture(scope="module")
def game(world: World) -> Game:
    return Game(world, "cert", "clinic", "lab")


@pytest.fixture
def run(game: Game, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Commands:
    return Commands(game, capsys, monkeypatch)


@pytest.fixture
def made(run: Commands) -> Iterator[str]:
    """The id of an exercise that clinic plays and lab watches as a second white member; it is taken off all nodes afterwards."""
    players = ("--as", "partner=clinic", "--as", "control=lab")
    exercise: str = run.json("cert", "new", "communication-check", *players)["exercise"]
    run.play()
    for name in ("clinic", "lab"):
        assert run(name, "join").code == 0
    run.play(4)
    yield exercise
    for name in run.homes:
        run.homes[name]("exercise", "remove", exercise, "--yes")


def test_what_import_shows_is_what_new_commits_to_once(run: Commands) -> None:
    shown = run.json("cert", "import", "communication-check")
    assert shown.keys() == {"pack", "version", "injects", "commitment", "problems"}
    assert (shown["pack"], len(shown["injects"]), len(shown["commitment"]), shown["problems"]) == (
        "communication-check",
        3,
        3,
        [],
    )
    told = run("cert", "import", "communication-check").out
    for text in (
        "Reach somebody who may disconnect",
        "payload indicator.json",
        "expects sighted: share by sight",
    ):
        assert text in told, "every inject is shown before anything starts"
    shown = run.json("cert", "import", "communication-check")
    commitments = []
    for _ in range(2):
        made = run.json("cert", "new", "communication-check")
        assert made.keys() == {"exercise", "realm", "members"}
        assert made["members"] == [run.game.id("cert").text] and len(made["realm"]) == 32
        told = run.json("cert", "show", made["exercise"])
        commitments.append(told["pack"]["commitment"])
        said = run.homes["cert"]("exercise", "remove", made["exercise"], "--yes", "--json")
        assert json.loads(said.out)["left"] == []
    assert commitments[0] == shown["commitment"] and not {*commitments[0]} & {*commitments[1]}
    assert (run.game["cert"].home / FOLDER).stat().st_mode & 0o777 == 0o700


def test_salts_serve_once_whatever_fails(run: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who played an exercise knows its salts: another one with the same has no secret."""
    shown = run.json("cert", "import", "communication-check")["commitment"]
    assert run("cert", "new", "communication-check", "--as", "partner=nobody-of-that-name").code == 3
    listed = run.homes["cert"]("exercise", "list", "--json").out

    def full(home: Path, archive: object) -> Path:
        raise OperatorError("cannot keep the pack: no space left on device", reason="output")

    with monkeypatch.context() as disk:
        disk.setattr(exercise_packs, "keep_pack", full)
        assert run("cert", "new", "communication-check").code != 0
    assert run.homes["cert"]("exercise", "list", "--json").out == listed, (
        "nothing was made whose salts would serve again"
    )
    made = run.json("cert", "new", "communication-check")
    assert run.json("cert", "show", made["exercise"])["pack"]["commitment"] == shown, (
        "what was shown still counts"
    )
    run.homes["cert"]("exercise", "remove", made["exercise"], "--yes")


def test_a_bad_pack_is_shown_with_its_problems_and_not_kept(run: Commands, tmp_path: Path) -> None:
    (tmp_path / "exercise.toml").write_text('format = "p2pshare-exercise/1"\nid = "bad"\n')
    said = run("cert", "import", str(tmp_path))
    assert said.code == 1 and "the pack was not kept" in said.err
    told = json.loads(run.homes["cert"]("exercise", "import", str(tmp_path), "--json").out)
    assert told["problems"] and told["commitment"] == []
    assert all({*one} == {"rule", "where", "message", "mend"} for one in told["problems"])
    assert (
        run("cert", "lint", str(tmp_path)).code == 1 and run("cert", "lint", "communication-check").code == 0
    )
    assert run("cert", "new", str(tmp_path)).code == 1, "nothing is made of it"
    assert run("cert", "new", "no-such-pack").code != 0


def test_a_game_from_the_first_inject_to_the_score(run: Commands, made: str) -> None:
    assert run("cert", "start", "--speed", "61").code == 5
    said = run("cert", "start", "--speed", "60")
    assert said.code == 0 and "no other white member" not in said.err
    run.play(8)
    items = run.json("clinic", "inbox")
    assert [{*one} for one in items] == [{"inject", "at", "from", "channel", "text", "payload"}] * 3
    assert items[1]["payload"].startswith("{") and items[0]["payload"] is None
    payload = run.homes["clinic"]("exercise", "inbox", "--payload", "2", "-o", "-")
    assert payload.out == items[1]["payload"]
    assert "expected:" not in run("clinic", "inbox").out and "expected:" in run("lab", "inbox").out
    assert run("clinic", "ack", "1").code == 0
    assert run("clinic", "answer", "3", "--choice", "reached").code == 0
    assert run("clinic", "answer", "3", "again").code == 5, "the first answer counts"
    assert run("clinic", "answer", "3").code == 2
    assert run("clinic", "ack", "9").code == 3 and run("lab", "ack", "1").code == 5
    assert run("clinic", "score").code == 5 and run("clinic", "adopt").code == 5, (
        "players see it when it is over"
    )
    run.play(12)
    score = run.json("lab", "score")
    assert score.keys() == {"players", "objectives"}
    [player] = score["players"]
    assert player.keys() == {"name", "place", "points", "of", "score", "expectations"}
    assert {"inject", "id", "kind", "within", "result", "after_seconds", "weight"} == {
        *player["expectations"][0]
    }
    assert run("clinic", "end", "--yes").code == 5, "only the lead does"
    assert run("cert", "end", "--yes").code == 0 and run("cert", "end", "--yes").code == 3
    run.play()
    assert run("clinic", "score").code == 0
    assert run.json("clinic", "show", made)["phase"] == "ended"


def test_pause_inject_and_stop(run: Commands, made: str) -> None:
    assert run("cert", "start").code == 0
    assert run("cert", "pause").code == 0 and run("cert", "pause").code == 5
    assert run("cert", "inject", "3").code == 5, "not in a pause"
    assert run("cert", "resume").code == 0 and run("cert", "inject", "3").code == 0
    run.play()
    assert sorted(one["inject"] for one in run.json("clinic", "inbox")) == [1, 3]
    assert run("clinic", "stop").code == 2, "for a real event alone"
    assert run("clinic", "stop", "--real-event").code == 0
    run.play()
    told = run.json("lab", "show")
    assert (told["phase"], told["stopped_by_real_event"], told["stopped_by"]) == (
        "paused",
        True,
        run.game.id("clinic").text,
    )


def test_a_takeover_that_one_vote_decides_is_shown_before_it_is_made(run: Commands, made: str) -> None:
    assert run("cert", "start", "--speed", "10").code == 0
    run.play(2)
    seen = run.json("lab", "takeover", made, "--dry-run")
    assert (seen["does"], seen["needed"], seen["lead"]) == ("propose", 0, "cert")
    assert seen["lead_then"] == run.json("lab", "takeover", made, "--yes")["lead"]


def test_a_player_stops_no_clock_and_is_told_who_does(run: Commands, made: str) -> None:
    assert run("cert", "start", "--speed", "10").code == 0
    run.play(2)
    said = run("clinic", "pause")
    assert said.code == 5 and "only the lead" in said.err
    run.play(2)
    assert run.json("cert", "show")["phase"] == "running"


def test_an_observation_needs_no_rating(run: Commands, made: str) -> None:
    assert run("cert", "start", "--speed", "10").code == 0
    run.play(2)
    assert run("lab", "rate", "--of", "clinic", "-m", "They telephoned first.").code == 0
    said = run("lab", "rate", "--of", "clinic")
    assert said.code == 2 and "nothing is said" in said.err


def test_two_ratings_stay_and_an_item_crosses_the_wall_as_a_text_alone(run: Commands, made: str) -> None:
    run("cert", "start", "--speed", "60")
    run.play(3)
    assert run("clinic", "rate", "P").code == 5, "players do not rate"
    about = ("--of", "clinic", "--objective", "hear")
    assert run("cert", "rate", "P", *about).code == 0
    done_about = ("--item", "keep the roster new", "--owner", "clinic", "--due", "2027-03-01")
    assert run("lab", "rate", "M", *about, "-m", f"the roster is old {HOSTILE}", *done_about).code == 0
    assert run("lab", "rate", "U", *about, "-m", "nobody looked for 192.0.2.200").code == 0
    run.play(25)
    told = run.json("cert", "show", made)
    assert sorted(one["rating"] for one in told["ratings"]) == ["M", "P", "U"]
    shown = run("cert", "show", made).out
    assert "\x1b" not in shown and "\u202e" not in shown and "the roster is old" in shown
    listed = run.json("clinic", "adopt", made)
    assert ("clinic", "hear", "keep the roster new", "2027-03-01T12:00:00Z") in [
        (one["owner"], one["objective"], one["text"], one["due"]) for one in listed
    ]
    items = {one["text"]: one["id"] for one in listed}
    roster = items["keep the roster new"]
    [address] = [one for text, one in items.items() if "192.0.2.200" in text and "nobody" in text]
    assert run("clinic", "adopt", made, roster, "--yes").code == 2, "where?"
    assert run("clinic", "adopt", made, "no-such-item", "--open", "x", "--yes").code == 3
    said = run.homes["clinic"]("exercise", "adopt", made, address, "--open", "Improvements", "--yes")
    assert said.code == 5 and "192.0.2.200" in said.err, "a value that was played stays in the exercise"
    assert run("clinic", "adopt", made, roster, "--open", "Improvements").code == 2, "nobody can be asked"
    done = run.json(
        "clinic", "adopt", made, roster, "--open", "Improvements", "--text", "Renew the roster", "--yes"
    )
    assert done["text"] == "Renew the roster"
    real = run.homes["clinic"]("incident", "show", done["incident"], "--json")
    [task] = json.loads(real.out)["tasks"]
    assert (task["title"], task["due"]) == ("Renew the roster", "2027-03-01T12:00:00Z")
    assert made not in real.out and "192.0.2.200" not in real.out


def test_hostile_titles_and_texts_are_harmless_and_marked(run: Commands) -> None:
    made = run.json("cert", "new", "communication-check", "--as", "partner=clinic", "--title", HOSTILE)[
        "exercise"
    ]
    run.play()
    assert run("clinic", "join", made).code == 0
    run.play()
    for words in (("list",), ("show", made), ("inbox", made), ("seen", made)):
        said = run("clinic", *words)
        assert said.code == 0
        assert not {"\x1b", "\x07", "\u202e", "\u2028"} & {*said.out, *said.err}, words
    run("cert", "start", made)
    run.play(3)
    assert run("clinic", "answer", made, "1", HOSTILE).code == 0
    for name in run.homes:
        run.homes[name]("exercise", "remove", made, "--yes")


def test_an_id_may_be_left_out_only_where_one_can_be_meant(run: Commands, made: str) -> None:
    other = run.json("cert", "new", "communication-check")["exercise"]
    assert run("cert", "show").code == 2, "two are open"
    assert run("cert", "show", made[:8]).code == 0 and run("clinic", "show").code == 0
    said = run("clinic", "join")
    assert said.code == 3 and "no invitation is here" in said.err, "nobody invites us"
    assert run("cert", "show", "abcdef0123").code == 3
    run.homes["cert"]("exercise", "remove", other, "--yes")


def test_who_is_named_later_sees_its_invitation_and_joins_without_an_id(run: Commands) -> None:
    exercise = run.json("cert", "new", "communication-check", "--as", "partner=clinic")["exercise"]
    run.play()
    assert run("cert", "invite", exercise, "--as", "observer=lab").code == 0
    run.play()
    (listed,) = run.json("lab", "list")
    assert (listed["exercise"], listed["role"], listed["invited_by"]) == (exercise, "invited", "cert")
    assert run("lab", "join").code == 0
    run.play(4)
    (listed,) = run.json("lab", "list")
    assert (listed["role"], listed["place"]) == ("joined", "observer")
    for name in run.homes:
        run.homes[name]("exercise", "remove", exercise, "--yes")


def test_who_takes_which_place(run: Commands, made: str) -> None:
    assert run("cert", "new", "communication-check", "--as", "nowhere=clinic").code == 1
    assert run("cert", "new", "communication-check", "--as", "partner").code == 2
    assert (
        run("cert", "new", "communication-check", "--as", "partner=clinic", "--as", "observer=clinic").code
        == 1
    )
    assert run("cert", "new", "communication-check", "--as", "partner=nobody").code == 3
    assert run("cert", "new", "communication-check", "--tlp", "red").code == 1
    assert run("clinic", "invite", "--as", "partner=lab").code in (3, 5), "only the lead invites"
    assert [one["exercise"] for one in run.json("cert", "list")] == [made], (
        "nothing is left of what was refused"
    )
