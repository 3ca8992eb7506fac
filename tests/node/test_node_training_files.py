"""Who took a course: no name on the disk, one pseudonym a person, the better scores kept, and nothing lost to a crash or a second command."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from msgspec.structs import replace

from p2pshare.errors import AuthorError, NotFoundError, OperatorError
from p2pshare.node.training_files import TrainingResult, note_result, pseudonym_of, training_results

NAME = "Ada Lovelace"
RESULT = TrainingResult(
    hash="ab" * 32,
    pseudonym="cd" * 16,
    author="ef" * 32,
    course="first-aid",
    version="1.0.0",
    title="First aid",
    provider="Hospital",
    quiz=60,
    exercise=None,
    tries=1,
    last="2026-12-01",
    completed="",
)


def is_passed(result: TrainingResult) -> bool:
    return (result.quiz or 0) >= 80 and (result.exercise or 0) >= 80


def test_a_name_is_one_pseudonym_however_it_is_typed_and_stands_nowhere(tmp_path: Path) -> None:
    one = pseudonym_of(tmp_path, NAME, may_make=True)
    assert {
        pseudonym_of(tmp_path, typed, may_make=False) for typed in ("ada lovelace", "  ADA\tLovelace ")
    } == {one}
    assert pseudonym_of(tmp_path, "Ada Lovelac", may_make=False) != one
    note_result(tmp_path, replace(RESULT, pseudonym=one), is_passed)
    for path in tmp_path.rglob("*"):
        assert b"lovelace" not in str(path).lower().encode()
        assert path.is_dir() or b"lovelace" not in path.read_bytes().lower()


def test_another_home_has_another_pseudonym_for_the_same_person(tmp_path: Path) -> None:
    homes = [tmp_path / name for name in ("one", "other")]
    for home in homes:
        home.mkdir()
    assert len({pseudonym_of(home, NAME, may_make=True) for home in homes}) == 2


def test_the_secret_is_its_owners_alone(tmp_path: Path) -> None:
    pseudonym_of(tmp_path, NAME, may_make=True)
    secret = tmp_path / "training" / "secret"
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600 and len(secret.read_bytes()) == 32
    assert stat.S_IMODE(secret.parent.stat().st_mode) == 0o700
    secret.chmod(0o640)
    with pytest.raises(OperatorError) as refused:
        pseudonym_of(tmp_path, NAME, may_make=True)
    assert refused.value.reason == "training-secret" and NAME not in str(refused.value)


def test_a_damaged_or_led_astray_secret_is_refused_and_never_replaced(tmp_path: Path) -> None:
    """A new one would make other people of the same people, without a word."""
    secret = tmp_path / "training" / "secret"
    secret.parent.mkdir()
    for raw in (b"", b"x" * 31, b"x" * 33):
        secret.write_bytes(raw)
        secret.chmod(0o600)
        with pytest.raises(OperatorError):
            pseudonym_of(tmp_path, NAME, may_make=True)
        assert secret.read_bytes() == raw
    secret.unlink()
    (tmp_path / "elsewhere").write_bytes(b"x" * 32)
    secret.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OperatorError):
        pseudonym_of(tmp_path, NAME, may_make=True)
    secret.unlink()
    os.mkfifo(secret, 0o600)
    with pytest.raises(OperatorError):
        pseudonym_of(tmp_path, NAME, may_make=True)


def test_asking_makes_no_secret(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        pseudonym_of(tmp_path, NAME, may_make=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["", "  ", "x" * 201, "a\ud800b", "\u200b" * 0])
def test_what_is_no_name_is_refused_and_not_repeated(tmp_path: Path, name: str) -> None:
    with pytest.raises(AuthorError) as refused:
        pseudonym_of(tmp_path, name, may_make=True)
    assert not name.strip() or name not in str(refused.value)
    assert list(tmp_path.iterdir()) == []


def test_the_better_scores_are_kept_and_a_later_failure_takes_nothing_back(tmp_path: Path) -> None:
    first = note_result(tmp_path, RESULT, is_passed)
    assert (first.quiz, first.exercise, first.completed) == (60, None, "")
    second = note_result(tmp_path, replace(RESULT, quiz=90, last="2026-12-02"), is_passed)
    assert (second.quiz, second.tries, second.completed) == (90, 2, "")
    third = note_result(tmp_path, replace(RESULT, quiz=None, exercise=85, last="2026-12-03"), is_passed)
    assert (third.quiz, third.exercise, third.completed) == (90, 85, "2026-12-03")
    fourth = note_result(tmp_path, replace(RESULT, quiz=0, exercise=0, last="2026-12-04"), is_passed)
    assert (fourth.quiz, fourth.exercise, fourth.completed, fourth.tries) == (90, 85, "2026-12-03", 4)
    assert training_results(tmp_path) == ([fourth], [])


def test_commands_at_once_lose_no_try(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        names = list(pool.map(lambda _: pseudonym_of(tmp_path, NAME, may_make=True), range(8)))
        list(pool.map(lambda _: note_result(tmp_path, RESULT, is_passed), range(24)))
    assert len(set(names)) == 1, "two that make the secret at once have one"
    [kept] = training_results(tmp_path).results
    assert kept.tries == 24


def test_files_that_are_no_results_are_none_and_told(tmp_path: Path) -> None:
    kept = note_result(tmp_path, RESULT, is_passed)
    folder = tmp_path / "training" / "results"
    [good] = folder.iterdir()
    (folder / f"{'00' * 32}-{'11' * 16}.json").write_bytes(good.read_bytes())  # under another's name
    (folder / f"{'22' * 32}-{'11' * 16}.json").write_bytes(b"{")
    (folder / f"{'33' * 32}-{'11' * 16}.json").write_bytes(b"\xff" * 10_000)
    (folder / "notes.txt").write_text("x")
    (folder / ".half.part").write_bytes(b"")
    (folder / f"{'44' * 32}-{'11' * 16}.json").symlink_to(good)
    os.mkfifo(folder / f"{'55' * 32}-{'11' * 16}.json")
    (folder / f"{'66' * 32}-{'11' * 16}.json").mkdir()
    found = training_results(tmp_path)
    assert found.results == [kept]
    assert [name[:2] for name in found.damaged] == ["00", "22", "33", "44", "55", "66"]


@pytest.mark.parametrize("raw", [b"", b"{", b"null"])
def test_a_result_that_cannot_be_read_is_not_written_over(tmp_path: Path, raw: bytes) -> None:
    """It may have been that of somebody who had passed all."""
    note_result(tmp_path, RESULT, is_passed)
    [path] = (tmp_path / "training" / "results").iterdir()
    path.write_bytes(raw)
    with pytest.raises(OperatorError) as refused:
        note_result(tmp_path, RESULT, is_passed)
    assert refused.value.reason == "damaged-result" and path.read_bytes() == raw
    path.unlink()
    assert note_result(tmp_path, RESULT, is_passed).tries == 1


KILLED = """
import os, signal, sys
from pathlib import Path
from p2pshare.node import training_files, whole_files
at = {}
def fsync(descriptor):
    at["n"] = at.get("n", 0) + 1
    if at["n"] == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)
whole_files.os = type("Os", (), {name: staticmethod(getattr(os, name)) if callable(getattr(os, name)) and not isinstance(getattr(os, name), type)
    else getattr(os, name) for name in dir(os) if not name.startswith("__")} | {"fsync": staticmethod(fsync)})
training_files.pseudonym_of(Path(sys.argv[1]), "Ada Lovelace", may_make=True)
"""


@pytest.mark.parametrize("moment", [2, 3])  # before the secret has its name, and while it has two
def test_a_killed_command_leaves_no_second_copy_of_the_secret_for_long(tmp_path: Path, moment: int) -> None:
    """Who removes the secret makes pseudonyms nobody's for good: not while a copy lies beside it."""
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path), str(moment)], check=False)
    assert done.returncode == -signal.SIGKILL
    folder = tmp_path / "training"
    left = {path.name for path in folder.iterdir()}
    assert any(name.endswith(".part") for name in left) and ("secret" in left) == (moment == 3)
    before = (folder / "secret").read_bytes() if moment == 3 else None
    pseudonym_of(tmp_path, NAME, may_make=True)
    assert [path.name for path in folder.iterdir()] == ["secret"]
    assert before in (None, (folder / "secret").read_bytes())


def test_what_is_told_as_kept_is_on_the_disk_with_the_folders_above_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        synced.append(os.fstat(descriptor).st_ino)
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    pseudonym_of(tmp_path, NAME, may_make=True)
    note_result(tmp_path, RESULT, is_passed)
    training = tmp_path / "training"
    folders = [path.stat().st_ino for path in (tmp_path, training, training, training / "results")]
    assert [one for one in synced if one in folders] == folders
    assert len(synced) == 6, "the secret and the result, whole, before they have their names"


def test_what_a_killed_command_left_among_the_results_goes_with_the_next(tmp_path: Path) -> None:
    note_result(tmp_path, RESULT, is_passed)
    folder = tmp_path / "training" / "results"
    (folder / f".{'ab' * 8}.part").write_bytes(b"{")
    (folder / ".mine.part").write_bytes(b"")
    note_result(tmp_path, RESULT, is_passed)
    assert sorted(path.name for path in folder.iterdir())[0] == ".mine.part"
    assert len(list(folder.iterdir())) == 2
