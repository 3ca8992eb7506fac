"""A course between two real daemons: published, listed, fetched, taken, attested by the daemon, and verified on a machine without a home.

One pair for all tests of this file, each going on where the one before ended.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import Company, Partner

pytestmark = [
    pytest.mark.end_to_end,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="skipped: no /proc here"),
]

NAME = "Ada Lovelace"
RIGHT = b"worth = 2\namber = 2\nprivate = 2\nwrong = 1\nseen = [1, 3]\n"


@pytest.fixture(scope="module")
def pair(shared_company: Company) -> tuple[Partner, Partner]:
    return shared_company.pair()


def courses(partner: Partner) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = partner.cli_json("training", "list", "--json")["courses"]
    return found


def away(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs the program in a process of its own, on a machine whose user has no home folder of p2pshare and no network's name."""
    empty = folder / "no home"
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("P2PSHARE", "XDG"))
    } | {"HOME": str(empty)}
    return subprocess.run(
        [sys.executable, "-m", "p2pshare", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_from_a_folder_to_an_attestation_that_verifies_without_a_home(
    pair: tuple[Partner, Partner], tmp_path: Path, eventually: Callable[..., Any]
) -> None:
    alpha, bravo = pair
    published = alpha.cli_json("training", "publish", "first-warning", "--tlp", "green", "--yes", "--json")
    [held] = eventually(lambda: courses(bravo), "bravo holds the course")
    assert held["hash"] == published["hash"] and held["author"] == "alpha"
    assert (held["materials"], held["questions"], held["exercise"]) == (3, 5, "communication-check 1.0.0")

    out = tmp_path / "out"
    fetched = bravo.cli_json("training", "fetch", "first-warning", "-o", str(out), "--json")
    assert len(fetched["written"]) == 3 and fetched["missing"] == []

    (tmp_path / "answers.toml").write_bytes(RIGHT)
    course = json.loads((out / "course.json").read_bytes())
    result = {"format": "p2pshare-exercise-result/1", "score": 75} | course["exercise"]
    (tmp_path / "result.json").write_text(json.dumps(result))
    words = ("--answers", str(tmp_path / "answers.toml"), "--exercise-result", str(tmp_path / "result.json"))
    taken = bravo.cli_json("training", "take", "first-warning", "--as", NAME, *words, "--json")
    assert taken["completed"] and taken["quiz"]["percent"] == 100

    proof, card = tmp_path / "proof.p2pt", tmp_path / "bravo.p2pcard"
    bravo.cli("training", "attest", "first-warning", "-o", str(proof), "--pseudonyms", "--yes")
    bravo.cli("card", "export", str(card))

    good = away(tmp_path, "training", "verify", str(proof), str(card), "--course", str(out), "--json")
    said = json.loads(good.stdout)
    assert good.returncode == 0 and said["verdict"] == "good", good
    assert said["completed"] == 1 and said["pseudonyms"] == [taken["pseudonym"]]
    assert said["course_author"] == alpha.partner_id and said["partner_id"] == bravo.partner_id
    alpha.cli("card", "export", str(tmp_path / "alpha.p2pcard"))
    other = away(tmp_path, "training", "verify", str(proof), str(tmp_path / "alpha.p2pcard"))
    assert other.returncode == 1 and "wrong-author" in other.stdout
    assert not (tmp_path / "no home").exists()


def test_a_later_version_takes_its_place_and_a_withdrawal_is_told(
    pair: tuple[Partner, Partner], tmp_path: Path, eventually: Callable[..., Any], repository: Path
) -> None:
    alpha, bravo = pair
    folder = tmp_path / "course"
    folder.mkdir()
    manifest = (repository / "config" / "courses" / "first-warning" / "course.toml").read_text()
    source = repository / "config" / "courses" / "first-warning" / "materials"
    (folder / "materials").mkdir()
    for path in source.iterdir():
        (folder / "materials" / path.name).write_bytes(path.read_bytes())
    (folder / "course.toml").write_text(manifest.replace('version = "1.0.0"', 'version = "1.1.0"', 1))
    alpha.cli("training", "publish", str(folder), "--tlp", "green", "--yes")
    eventually(
        lambda: [one["version"] for one in courses(bravo)] == ["1.1.0"], "the newer version took its place"
    )
    bravo.cli("training", "attest", "first-warning", "-o", str(tmp_path / "old.p2pt"), "--yes")

    [held] = courses(alpha)
    alpha.cli("withdraw", held["object_id"], "--reason", "superseded", "--yes")
    eventually(lambda: [one["withdrawn"] for one in courses(bravo)] == ["superseded"], "the withdrawal came")
    assert "superseded" in bravo.cli("training", "take", "first-warning", "--as", NAME, "--read", code=5).err

    # what was completed was alpha's: withdrawn, until somebody else's copy of the same course stands
    attest = ("training", "attest", "first-warning", "-o", str(tmp_path / "new.p2pt"), "--yes")
    assert "superseded" in bravo.cli(*attest, code=5).err
    bravo.cli("training", "publish", "first-warning", "--tlp", "green", "--yes")
    bravo.cli(*attest)
    bravo.cli("card", "export", str(tmp_path / "bravo.p2pcard"))
    words = (str(tmp_path / "new.p2pt"), str(tmp_path / "bravo.p2pcard"), "--json")
    said = json.loads(away(tmp_path, "training", "verify", *words).stdout)
    assert said["verdict"] == "good" and said["course_author"] == bravo.partner_id


def test_no_name_is_in_any_home_log_or_answer_of_either(
    pair: tuple[Partner, Partner], tmp_path: Path
) -> None:
    alpha, bravo = pair
    bravo.cli("training", "report", "--format", "csv", "-o", str(bravo.home.parent / "report.csv"))
    for one in (alpha, bravo):
        one.stop()
    looked_at = [path for path in alpha.home.parent.rglob("*") if path.is_file()]
    assert {"store.sqlite", "alpha.log", "report.csv", "secret"} <= {path.name for path in looked_at}
    for path in looked_at:
        assert b"lovelace" not in path.read_bytes().lower(), path
