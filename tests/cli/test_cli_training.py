"""`p2pshare training`: what is published, taken, attested and verified, with exit codes; no name of a person leaves, whatever goes wrong."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from command_line import Home, Said, found_pair
from copies import copy_of
from courses_made import SMALL, TEXT

from p2pshare.cli import training
from p2pshare.cli.training import EXERCISE_RESULT_FORMAT

NAME = "Ada Lovelace"
HOSTILE = "=cmd|' /C calc'!A0 <script>| ![x](y)"
EXERCISE = {"pack": "check", "version": "1.0.0", "pack_hash": "ab" * 32, "pass_mark": 80}
RIGHT = b"first = 2\n"


def folder_of(
    place: Path, name: str = "course", files: dict[str, bytes] | None = None, **changes: Any
) -> str:
    folder = place / name
    folder.mkdir(parents=True, exist_ok=True)
    for file, raw in ({"read.md": TEXT} if files is None else files).items():
        (folder / file).write_bytes(raw)
    (folder / "course.json").write_text(json.dumps(SMALL | changes))
    return str(folder)


@pytest.fixture
def alpha(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Home:
    """alpha, which trusts bravo and has published a course with a quiz and an exercise."""

    def make(place: Path) -> None:
        home = found_pair(place, capsys, monkeypatch)["alpha"]
        said = home(
            "training", "publish", folder_of(place, exercise=EXERCISE), "--tlp", "green", "--yes", "--json"
        )
        assert said.code == 0, said

    folder = copy_of("training", make, tmp_path / "made")
    return Home(folder / "alpha", capsys, monkeypatch)


@pytest.fixture
def place(alpha: Home) -> Path:
    return alpha.path.parent


def json_of(said: Said, code: int = 0) -> Any:
    assert said.code == code, said
    return (
        json.loads(said.out)
        if code in (0, 1, 6) and said.out
        else json.loads(said.err.splitlines()[-1])["error"]
    )


def answers(place: Path, raw: bytes = RIGHT) -> str:
    (place / "answers").write_bytes(raw)
    return str(place / "answers")


def result_file(place: Path, **changes: Any) -> str:
    said = {"format": EXERCISE_RESULT_FORMAT, "ended": "x"} | EXERCISE | {"score": 85} | changes
    said.pop("pass_mark")
    (place / "result.json").write_text(json.dumps(said))
    return str(place / "result.json")


def complete(alpha: Home, place: Path, name: str = NAME) -> Any:
    words = ("--answers", answers(place), "--exercise-result", result_file(place))
    return json_of(alpha("training", "take", "first-aid", "--as", name, *words, "--json"))


# --- publishing ------------------------------------------------------------------------------------


def test_the_same_folder_is_published_once_and_another_content_needs_a_later_version(
    alpha: Home, place: Path
) -> None:
    again = json_of(
        alpha("training", "publish", folder_of(place, exercise=EXERCISE), "--tlp", "green", "--json")
    )
    assert again["is_new"] is False and again["envelopes"] == []
    other = alpha("training", "publish", folder_of(place, title="Other"), "--tlp", "green", "--yes", "--json")
    assert json_of(other, 5)["reason"] == "version-not-later"
    lower = alpha("training", "publish", folder_of(place, version="0.9"), "--tlp", "green", "--yes", "--json")
    assert json_of(lower, 5)["reason"] == "version-not-later"
    words = ("--tlp", "green", "--yes", "--json")
    newer = json_of(alpha("training", "publish", folder_of(place, version="1.1"), *words))
    assert newer["is_new"] and len(newer["envelopes"]) == 1 and newer["recipients"] == ["bravo"]
    [held] = json_of(alpha("training", "list", "--json"))["courses"]
    assert (held["version"], held["hash"]) == ("1.1", newer["hash"])
    versions = alpha("show", held["object_id"], "--json").json["versions"]
    assert [one["is_current"] for one in versions] == [False, True]
    assert versions[0]["object"]["created"] == versions[1]["object"]["created"]


def test_the_same_version_goes_to_whoever_came_since(alpha: Home, place: Path) -> None:
    folder = folder_of(place, exercise=EXERCISE)
    words = ("--tlp", "amber", "--to", "bravo", "--yes", "--json")
    assert json_of(alpha("training", "publish", folder, *words))["envelopes"] == []
    again = json_of(alpha("training", "publish", folder, *words, "--again"))
    assert again["is_new"] and len(again["envelopes"]) == 1
    [held] = json_of(alpha("training", "list", "--json"))["courses"]
    assert (held["hash"], held["tlp"]) == (again["hash"], "TLP:AMBER")


def test_what_was_withdrawn_comes_back_as_it_was_or_as_a_later_version(alpha: Home, place: Path) -> None:
    [held] = json_of(alpha("training", "list", "--json"))["courses"]
    assert alpha("withdraw", held["object_id"], "--reason", "mistake", "--yes").code == 0
    words = ("--tlp", "green", "--yes", "--json")
    other = alpha("training", "publish", folder_of(place, title="Other"), *words)
    assert json_of(other, 5)["reason"] == "version-not-later"
    assert json_of(alpha("training", "publish", folder_of(place, exercise=EXERCISE), *words))["is_new"]
    [held] = json_of(alpha("training", "list", "--json"))["courses"]
    assert held["withdrawn"] == ""


def test_a_dry_run_and_bad_folders_let_nothing_leave(alpha: Home, place: Path) -> None:
    dry = json_of(
        alpha("training", "publish", folder_of(place, version="2"), "--tlp", "green", "--dry-run", "--json")
    )
    assert dry["envelopes"] == [] and dry["recipients"] == ["bravo"]
    bad = alpha(
        "training", "publish", folder_of(place, title="a\x1b[2J", version="x"), "--tlp", "green", "--json"
    )
    assert json_of(bad, 1)["reason"] == "bad-course"
    assert "refused: format" in bad.err and "\x1b" not in bad.err
    none = alpha("training", "publish", str(place / "nowhere"), "--tlp", "green", "--json")
    assert json_of(none, 1)["reason"] == "no-folder"
    [held] = json_of(alpha("training", "list", "--json"))["courses"]
    assert held["version"] == "1.0.0"


def test_what_tells_of_our_own_people_is_found_inside_the_materials(alpha: Home, place: Path) -> None:
    """They travel in base64, into which the lint of publishing does not look."""
    files = {"read.md": rb"Open C:\Users\j.doe\warning.txt"}
    folder = folder_of(place, version="2", files=files)
    said = alpha("training", "publish", folder, "--tlp", "green", "--yes", "--json")
    assert json_of(said, 5)["reason"] == "user-name-in-path"
    question = {"id": "first", "text": "/home/jdoe/x?", "choices": ["a", "b"], "answer": [1]}
    asked = alpha(
        "training",
        "publish",
        folder_of(place, version="2", quiz={"question": [question]}),
        "--tlp",
        "green",
        "--json",
    )
    assert json_of(asked, 5)["reason"] == "user-name-in-path"
    shared = alpha("training", "publish", folder, "--tlp", "green", "--yes", "--share-private", "--json")
    assert len(json_of(shared)["envelopes"]) == 1


def test_ours_is_published_by_its_name_and_markings_bind(alpha: Home) -> None:
    said = alpha("training", "publish", "first-warning", "--tlp", "amber", "--json")
    assert said.code == 5, "AMBER names its readers"
    named = json_of(
        alpha("training", "publish", "first-warning", "--tlp", "amber", "--to", "bravo", "--yes", "--json")
    )
    assert named["recipients"] == ["bravo"]
    [held] = [
        one
        for one in json_of(alpha("training", "list", "--json"))["courses"]
        if one["course"] == "first-warning"
    ]
    assert held["tlp"] == "TLP:AMBER"


# --- materials -------------------------------------------------------------------------------------


def test_materials_are_written_once_and_overwrite_nothing(alpha: Home, place: Path) -> None:
    out = place / "out"
    fetched = json_of(alpha("training", "fetch", "first-aid", "-o", str(out), "--json"))
    assert [one["file"] for one in fetched["written"]] == ["read.md"] and fetched["missing"] == []
    assert (out / "read.md").read_bytes() == TEXT
    assert json_of(alpha("training", "fetch", "first-aid", "-o", str(out), "--json"))["written"]
    (out / "read.md").write_bytes(b"mine")
    said = alpha("training", "fetch", "first-aid", "-o", str(out), "--json")
    assert json_of(said, 1)["reason"] == "file-exists" and (out / "read.md").read_bytes() == b"mine"
    no_folder = alpha("training", "fetch", "first-aid", "-o", str(out / "read.md"), "--json")
    assert json_of(no_folder, 1)["reason"] == "file-exists" and "no folder" in no_folder.err
    (out / "read.md").unlink()
    (out / "read.md").symlink_to(place / "target")
    assert alpha("training", "fetch", "first-aid", "-o", str(out)).code == 1
    assert not (place / "target").exists()


def test_what_is_named_by_hash_alone_comes_in_another_way_and_is_compared(alpha: Home, place: Path) -> None:
    film, page = b"film" * 200_000, b"<script>alert(1)</script>"
    materials = [{"file": "film.mp4"}, {"file": "page.html"}]
    folder = folder_of(place, version="3", files={"film.mp4": film, "page.html": page}, material=materials)
    published = json_of(alpha("training", "publish", folder, "--tlp", "green", "--yes", "--json"))
    assert published["by_hash"] == ["film.mp4"]
    out = place / "out"
    fetched = json_of(alpha("training", "fetch", "first-aid", "-o", str(out), "--json"), 6)
    assert [one["name"] for one in fetched["missing"]] == ["film.mp4"]
    assert [one["file"] for one in fetched["written"]] == ["page.html.txt"], (
        "what a browser would run is text"
    )
    assert not (out / "page.html").exists() and (out / "page.html.txt").read_bytes() == page
    (place / "changed").write_bytes(film + b".")
    wrong = alpha(
        "training", "fetch", "first-aid", "-o", str(out), "--from", str(place / "changed"), "--json"
    )
    assert json_of(wrong, 1)["reason"] == "wrong-hash"
    whole = alpha("training", "fetch", "first-aid", "-o", str(out), "--from", f"{folder}/film.mp4", "--json")
    assert json_of(whole)["missing"] == []
    assert hashlib.sha256((out / "film.mp4").read_bytes()).digest() == hashlib.sha256(film).digest()


def test_a_pipe_that_is_brought_is_refused_and_not_waited_for(alpha: Home, place: Path) -> None:
    """Its bytes come once, and they are read twice."""
    os.mkfifo(place / "pipe")
    words = ("training", "fetch", "first-aid", "-o", str(place / "out"), "--from", str(place / "pipe"))
    assert json_of(alpha(*words, "--json"), 1)["reason"] == "no-file"


def test_a_result_that_cannot_be_read_is_told_and_attested_for_nobody(alpha: Home, place: Path) -> None:
    complete(alpha, place)
    complete(alpha, place, "Grace Hopper")
    [first, _] = sorted((alpha.path / "training" / "results").iterdir())
    first.write_bytes(b"")
    said = alpha("training", "report", "--json")
    assert len(json_of(said)) == 1 and "1 result cannot be read" in said.err and first.name in said.err
    attested = alpha("training", "attest", "first-aid", "-o", str(place / "a.p2pt"), "--yes")
    assert "1 result cannot be read" in attested.err and "1 person completed" in attested.err


def test_what_is_no_folder_names_the_courses_that_come_with_the_program(alpha: Home) -> None:
    said = alpha("training", "publish", "first-waning", "--tlp", "green", "--json")
    assert "first-warning" in json_of(said, 1)["hint"]


# --- taking it -------------------------------------------------------------------------------------


def test_quiz_and_exercise_complete_it_together_in_any_order(alpha: Home, place: Path) -> None:
    wrong = alpha(
        "training", "take", "first-aid", "--as", NAME, "--answers", answers(place, b"first = 1"), "--json"
    )
    assert wrong.code == 5 and wrong.json["quiz"]["percent"] == 0 and wrong.json["completed"] == ""
    right = alpha("training", "take", "first-aid", "--as", NAME, "--answers", answers(place), "--json")
    assert right.code == 5 and right.json["quiz"]["questions"] == [{"id": "first", "right": True}]
    assert "still to pass: the exercise check 1.0.0" in right.err
    done = alpha(
        "training", "take", "first-aid", "--as", NAME, "--exercise-result", result_file(place), "--json"
    )
    assert done.code == 0 and done.json["completed"] and done.json["tries"] == 3
    [held] = json_of(alpha("training", "list", "--json"))["courses"]
    assert (held["taken"], held["completed"]) == (1, 1)


def test_the_result_of_another_exercise_counts_for_nothing(alpha: Home, place: Path) -> None:
    for change in ({"pack": "other"}, {"version": "2"}, {"pack_hash": "00" * 32}):
        file = result_file(place, **change)
        said = alpha("training", "take", "first-aid", "--as", NAME, "--exercise-result", file, "--json")
        assert json_of(said, 5)["reason"] == "other-exercise"
    for change in ({"score": 101}, {"score": True}, {"score": "90"}, {"score": None}, {"format": "x"}):
        file = result_file(place, **change)
        said = alpha("training", "take", "first-aid", "--as", NAME, "--exercise-result", file, "--json")
        assert json_of(said, 1)["reason"] == "bad-exercise-result"
    for raw in (b"[]", b"{", b"\xff", b"[" * 100_000, b"7"):
        (place / "result.json").write_bytes(raw)
        said = alpha(
            "training",
            "take",
            "first-aid",
            "--as",
            NAME,
            "--exercise-result",
            str(place / "result.json"),
            "--json",
        )
        assert json_of(said, 1)["reason"] == "bad-exercise-result"
    assert json_of(alpha("training", "report", "--json")) == []


def test_what_a_real_replay_wrote_completes_our_course(alpha: Home, place: Path) -> None:
    assert alpha("training", "publish", "first-warning", "--tlp", "green", "--yes").code == 0
    quiz = answers(place, b"worth = 2\namber = 2\nprivate = 2\nwrong = 1\nseen = [3, 1]\n")
    assert alpha("training", "take", "first-warning", "--as", NAME, "--answers", quiz).code == 5
    done = [
        {"at": 60, "by": "partner", "action": "acknowledge", "inject": 1},
        {"at": 300, "by": "partner", "action": "sight", "values": ["192.0.2.200"]},
    ]
    in_time = {"at": 1_000, "by": "partner", "action": "answer", "inject": 3, "choice": "reached"}
    for actions, score, code in ((done, 57, 5), ([*done, in_time], 78, 0)):
        (place / "actions.json").write_text(json.dumps({"ended": 1_200, "actions": actions}))
        words = ("--solo", "--actions", str(place / "actions.json"), "-o", str(place / "result.json"))
        assert alpha("exercise", "replay", "communication-check", *words).code == 0
        result = str(place / "result.json")
        said = alpha("training", "take", "first-warning", "--as", NAME, "--exercise-result", result, "--json")
        assert (said.code, said.json["exercise"]["score"], bool(said.json["completed"])) == (
            code,
            score,
            not code,
        )


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"second = 1", "unknown-question"),
        (b"first = 3", "unknown-choice"),
        (b"first = true", "bad-answers"),
        (b'first = "2"', "bad-answers"),
        (b"first = [[1]]", "bad-answers"),
        (b"{", "bad-answers"),
        (b"\xff", "bad-answers"),
        (b"{" * 60_000, "bad-answers"),
        (b"x = " + b"[" * 60_000, "bad-answers"),
    ],
)
def test_answers_that_are_none_are_told_and_nothing_is_kept(
    alpha: Home, place: Path, raw: bytes, reason: str
) -> None:
    said = alpha("training", "take", "first-aid", "--as", NAME, "--answers", answers(place, raw), "--json")
    assert json_of(said, 1)["reason"] == reason
    assert not (alpha.path / "training" / "results").exists()


def test_without_a_terminal_it_must_be_said_who_and_what(alpha: Home, place: Path) -> None:
    assert alpha("training", "take", "first-aid", "--answers", answers(place)).code == 2
    assert alpha("training", "take", "first-aid", "--as", "-", "--answers", answers(place)).code == 2
    assert alpha("training", "take", "first-aid", "--as", NAME).code == 2
    assert alpha("training", "take", "first-aid", "--as", NAME, "--read").code == 2
    assert alpha("training", "take", "first-aid", "--as", "", "--answers", answers(place)).code == 1
    assert alpha("training", "take", "nothing", "--as", NAME, "--answers", answers(place)).code == 3


def test_on_a_terminal_the_quiz_is_asked_until_the_answer_is_a_choice(
    alpha: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training.console, "can_ask", lambda: True)
    said = alpha("training", "take", "first-aid", "--json", stdin=f"{NAME}\nx\n9\n2\n".encode())
    assert said.code == 5 and said.json["quiz"]["percent"] == 100
    assert said.err.count("a number from 1 to 2") == 2
    assert "1  Nobody" in said.err and NAME not in said.out + said.err
    stopped = alpha("training", "take", "first-aid", "--as", NAME, "--json", stdin=b"")
    assert json_of(stopped, 5)["reason"] == "not-confirmed"


def test_a_course_out_of_its_time_or_withdrawn_is_not_taken(alpha: Home, place: Path) -> None:
    for number, (dates, reason) in enumerate(
        (({"begins": "2999-01-01"}, "course-not-begun"), ({"ends": "2001-01-01"}, "course-over")), 2
    ):
        folder = folder_of(place, version=str(number), **dates)
        assert alpha("training", "publish", folder, "--tlp", "green", "--yes").code == 0
        said = alpha("training", "take", "first-aid", "--as", NAME, "--answers", answers(place), "--json")
        assert json_of(said, 5)["reason"] == reason
    [held] = json_of(alpha("training", "list", "--json"))["courses"]
    assert alpha("withdraw", held["object_id"], "--reason", "mistake", "--yes").code == 0
    assert "withdrawn: mistake" in alpha("training", "list").out
    for words in (
        ("take", "first-aid", "--as", NAME, "--answers", answers(place)),
        ("fetch", "first-aid", "-o", str(place / "o")),
    ):
        assert json_of(alpha("training", *words, "--json"), 5)["reason"] == "course-withdrawn"


def test_a_course_of_reading_alone_is_completed_by_saying_so(alpha: Home, place: Path) -> None:
    folder = folder_of(place, id="reading", quiz=None)
    assert alpha("training", "publish", folder, "--tlp", "green", "--yes").code == 0
    assert alpha("training", "take", "reading", "--as", NAME).code == 2
    assert alpha("training", "take", "reading", "--as", NAME, "--read").code == 0


# --- attestations ----------------------------------------------------------------------------------


@pytest.fixture
def attested(alpha: Home, place: Path) -> Path:
    for name in (NAME, "Grace Hopper"):
        complete(alpha, place, name)
    file = place / "proof.p2pt"
    said = alpha("training", "attest", "first-aid", "-o", str(file), "--pseudonyms", "--json")
    assert said.json["completed"] == 2 and len(said.json["pseudonyms"]) == 2
    return file


@pytest.fixture
def nowhere(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Home]:
    """A machine without a home folder."""
    home = Home(tmp_path / "no home", capsys, monkeypatch)
    yield home
    assert not home.path.exists()


def checks_of(said: Said) -> dict[str, str]:
    return {one["name"]: one["reason"] or one["verdict"] for one in said.json["checks"]}


def test_a_partner_verifies_it_offline_without_a_home(
    alpha: Home, place: Path, attested: Path, nowhere: Home
) -> None:
    card = str(alpha.path / "card.p2pcard")
    assert alpha("training", "fetch", "first-aid", "-o", str(place / "out")).code == 0
    courses = (str(place / "course"), str(place / "out"), str(place / "out" / "course.json"))
    digest = json_of(alpha("training", "list", "--json"))["courses"][0]["hash"]
    for course in (*courses, digest):
        said = nowhere("training", "verify", str(attested), card, "--course", course, "--json")
        assert said.code == 0 and said.json["verdict"] == "good", said
        assert set(checks_of(said).values()) == {"passed"} and len(said.json["checks"]) == 6
    assert (said.json["completed"], said.json["title"], said.json["name"]) == (2, "First aid", "alpha")
    alone = nowhere("training", "verify", str(attested), card)
    assert "compare the fingerprint" in alone.err and "--course compares the course" in alone.err
    (place / "large.p2pt").write_bytes(attested.read_bytes() + bytes(256 * 1024))
    large = nowhere("training", "verify", str(place / "large.p2pt"), card, "--json")
    assert large.code == 1 and checks_of(large)["shape"] == "oversized"
    swapped = nowhere("training", "verify", card, str(attested))
    assert swapped.code == 1 and "the attestation comes first" in swapped.err
    ours = nowhere("training", "verify", str(attested), card, "--course", "first-warning", "--json")
    assert ours.code == 1 and checks_of(ours)["course"] == "wrong-course", (
        "a course of ours is called by its name"
    )
    short = nowhere("training", "verify", str(attested), card, "--course", digest[:12], "--json")
    assert "64 digits" in short.err


def test_each_way_in_which_it_does_not_hold_is_told(
    alpha: Home, place: Path, attested: Path, nowhere: Home
) -> None:
    card, other = alpha.path / "card.p2pcard", place / "bravo" / "card.p2pcard"
    raw = bytearray(attested.read_bytes())
    cases = {
        "wrong-author": (bytes(raw), other, ()),
        "wrong-course": (bytes(raw), card, ("--course", "00" * 32)),
        "bad-signature": (bytes(raw[:-1]) + bytes([raw[-1] ^ 1]), card, ()),
        "malformed": (bytes(raw[:-1]), card, ()),
    }
    for reason, (content, against, words) in cases.items():
        (place / "tried").write_bytes(content)
        said = nowhere("training", "verify", str(place / "tried"), str(against), *words, "--json")
        assert said.code == 1 and said.json["verdict"] == "bad" and reason in checks_of(said).values(), said
    swapped = nowhere("training", "verify", str(card), str(attested), "--json")
    assert swapped.code == 1
    noise = nowhere("training", "verify", str(attested), str(attested), "--json")
    assert noise.code == 1 and checks_of(noise)["card: its roots signed every version"] == "malformed"


def test_who_verifies_it_as_a_card_is_shown_the_way(attested: Path, nowhere: Home) -> None:
    said = nowhere("verify", str(attested))
    assert said.code == 2 and "training verify" in said.err


def test_after_the_key_is_revoked_it_is_issued_again(
    alpha: Home, place: Path, attested: Path, nowhere: Home
) -> None:
    card = str(alpha.path / "card.p2pcard")
    key = nowhere("training", "verify", str(attested), card, "--json").json["key_id"]
    assert alpha("card", "revoke", key, "--reason", "compromised").code == 0
    said = nowhere("training", "verify", str(attested), card, "--json")
    assert said.code == 1 and "revoked-key" in checks_of(said).values()
    assert alpha("training", "attest", "first-aid", "-o", str(attested)).code == 0
    assert nowhere("training", "verify", str(attested), card).code == 0


def test_nobody_completed_it_is_no_attestation(alpha: Home, place: Path) -> None:
    said = alpha("training", "attest", "first-aid", "-o", str(place / "none"), "--json")
    assert json_of(said, 3)["reason"] == "nobody-completed" and not (place / "none").exists()
    alpha("training", "take", "first-aid", "--as", NAME, "--answers", answers(place))
    assert alpha("training", "attest", "first-aid", "-o", str(place / "none")).code == 3


def test_what_its_author_took_back_is_not_attested(alpha: Home, place: Path) -> None:
    complete(alpha, place)
    [held] = json_of(alpha("training", "list", "--json"))["courses"]
    assert alpha("withdraw", held["object_id"], "--reason", "mistake", "--yes").code == 0
    said = alpha("training", "attest", "first-aid", "-o", str(place / "none"), "--json")
    assert json_of(said, 5)["reason"] == "course-withdrawn" and not (place / "none").exists()
    assert len(json_of(alpha("training", "report", "--json"))) == 1


def test_two_versions_are_attested_apart(alpha: Home, place: Path) -> None:
    complete(alpha, place)
    folder = folder_of(place, version="2", exercise=EXERCISE)
    assert alpha("training", "publish", folder, "--tlp", "green", "--yes").code == 0
    complete(alpha, place)
    said = alpha("training", "attest", "first-aid", "-o", "-", "--json")
    assert json_of(said, 3)["reason"] == "ambiguous-course"
    for one in json_of(alpha("training", "report", "--json")):
        done = alpha("training", "attest", one["hash"], "-o", str(place / one["version"]), "--json")
        assert done.json["version"] == one["version"]


# --- names -----------------------------------------------------------------------------------------


def test_no_name_stands_in_any_file_or_answer(alpha: Home, place: Path, attested: Path) -> None:
    alpha("training", "report", "--format", "csv", "-o", str(place / "report.csv"))
    alpha("training", "report", "--format", "markdown", "-o", str(place / "report.md"))
    told = [
        alpha(*words.split())
        for words in ("training report", "training list --json", "status --json", "doctor")
    ]
    told += [alpha("training", "take", "first-aid", "--as", NAME, "--answers", answers(place, b"x = 1"))]
    texts = [said.out + said.err for said in told]
    for path in place.rglob("*"):
        if path.is_file():
            texts.append(path.read_bytes().decode("latin-1"))
    assert len(texts) > 15
    assert not [text[:80] for text in texts if "lovelace" in text.lower() or "hopper" in text.lower()]


def test_a_person_is_found_by_name_and_named_by_pseudonym(alpha: Home, place: Path, attested: Path) -> None:
    [row] = json_of(alpha("training", "report", "--as", "ada LOVELACE", "--json"))
    assert row["completed"] and len(row["pseudonym"]) == 32
    assert json_of(alpha("training", "report", "--as", "Nobody Here", "--json")) == []
    assert len(json_of(alpha("training", "report", "first-aid", "--json"))) == 2
    assert json_of(alpha("training", "report", "other", "--json")) == []


# --- reports ---------------------------------------------------------------------------------------


def test_no_title_of_a_partner_is_a_formula_or_markup_in_a_report(alpha: Home, place: Path) -> None:
    folder = folder_of(place, id="hostile", title=HOSTILE, provider="@SUM(1)", summary="x")
    assert alpha("training", "publish", folder, "--tlp", "green", "--yes").code == 0
    words = ("--as", NAME, "--answers", answers(place))
    assert alpha("training", "take", "hostile", *words).code == 0
    [_, row] = csv.reader(io.StringIO(alpha("training", "report", "--format", "csv").out))
    assert row[3] == f"'{HOSTILE}" and row[4] == "'@SUM(1)"
    table = alpha("training", "report", "--format", "markdown").out.splitlines()
    assert (
        len(table) == 3
        and "<script>" not in table[2].replace("\\<", "")
        and "![" not in table[2].replace("\\!", "")
    )
    assert table[2].replace("\\|", "").count("|") == 11
    assert "<script>" not in alpha("training", "report", "--json").out


def test_a_report_to_a_file_is_its_owners_alone(alpha: Home, place: Path, attested: Path) -> None:
    for words in (("--json",), ("--format", "csv"), ("--format", "markdown"), ()):
        target = place / "report"
        target.unlink(missing_ok=True)
        assert alpha("training", "report", *words, "-o", str(target)).code == 0
        assert target.stat().st_mode & 0o077 == 0 and target.read_bytes().count(b"first-aid") >= 2


def test_who_may_not_read_the_results_is_told(alpha: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.rmtree(alpha.path / "training", ignore_errors=True)
    (alpha.path / "training").mkdir()
    (alpha.path / "training" / "results").write_text("no folder")
    said = alpha("training", "report", "--json")
    assert json_of(said, 1)["reason"] == "training-files"
    listed = alpha("training", "list", "--json")
    assert listed.code == 0 and "cannot be read" in listed.err
